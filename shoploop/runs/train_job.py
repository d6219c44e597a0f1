"""A step that several machines carry out, as a TrainJob of the Kubeflow Trainer, whoever asks for it; pure.

What a pod needs besides its image, words and resources has no place in a TrainJob that the Trainer's versions 2.1 to 2.3
share: ``podTemplateOverrides`` became ``runtimePatches``. So each TrainJob has a TrainingRuntime of its own beside it, in
the shape of the Trainer's torch-distributed, with the pod that a Job of the run would have. Both have the same name.
"""

from typing import Any

from shoploop.api.pods import DEADLINE_SECONDS, pod_failure_policy, queued
from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.steps import STEPS, not_asked_for

Object = dict[str, Any]

GROUP, VERSION = "trainer.kubeflow.org", "v1alpha1"
KINDS = {"TrainingRuntime": "trainingruntimes", "TrainJob": "trainjobs"}
"""By kind: its name in an address."""

RUNTIME, TRAIN_JOB = KINDS
CONTAINER = "node"
"""What the Trainer calls the container, and the Job of the JobSet that it is in."""

RESTARTS = 10
"""A machine that is lost ends the others' processes too, so all begin again at their last checkpoint."""


def machines(spec: RecommenderSpec, step: str) -> int:
    """How many carry a step out together."""
    # with differential privacy the generator is trained by one: its accountant sees every batch whole
    private = step == "augment_samples" and spec.augmentation.differential_privacy is not None
    alone = private or step in not_asked_for(spec)
    return spec.training.nodes if STEPS[step].together and not alone else 1


def objects(
    spec: RecommenderSpec, metadata: Object, pod: Object, *, nodes: int, processes: int, seconds: int = DEADLINE_SECONDS
) -> tuple[Object, Object]:
    """The runtime and the TrainJob, in the order in which they are made.

    Args:
        metadata: Of both.
        pod: As a Job's would be; its one container has its ``args`` and ``resources``.
        nodes: Pods.
        processes: In each of them.
        seconds: After this long they are ended.
    """
    container = pod["containers"][0]
    container["name"] = CONTAINER
    trainer: Object = {
        "image": container["image"],
        "args": container.pop("args"),
        "numNodes": nodes,
        "numProcPerNode": processes,
        "resourcesPerNode": container.pop("resources"),
    }
    api_version = f"{GROUP}/{VERSION}"
    runtime = {
        "apiVersion": api_version,
        "kind": RUNTIME,
        "metadata": metadata | {"labels": metadata["labels"] | {"trainer.kubeflow.org/framework": "torch"}},
        "spec": {
            "mlPolicy": {"numNodes": nodes, "torch": {}},
            "template": {"spec": _job_set(pod, dict(metadata["labels"]), seconds)},
        },
    }
    train_job = {
        "apiVersion": api_version,
        "kind": TRAIN_JOB,
        "metadata": metadata | {"labels": dict(metadata["labels"])},
        "spec": {
            "runtimeRef": {"apiGroup": GROUP, "kind": RUNTIME, "name": metadata["name"]},
            "trainer": trainer,
        },
    }
    return runtime, queued(train_job, spec)


def share_memory(pod: Object) -> None:
    """Lets NCCL's processes of one machine meet."""
    pod["containers"][0]["volumeMounts"].append({"name": "shared-memory", "mountPath": "/dev/shm"})
    pod["volumes"].append({"name": "shared-memory", "emptyDir": {"medium": "Memory"}})


def _job_set(pod: Object, labels: dict[str, str], seconds: int) -> Object:
    mistake = {"name": "mistake", "action": "FailJobSet", "onJobFailureReasons": ["PodFailurePolicy"]}
    return {
        # one pod that fails ends its Job, and then all begin again once all of them are gone: two never write at once
        "failurePolicy": {"maxRestarts": RESTARTS, "restartStrategy": "BlockingRecreate", "rules": [mistake]},
        "replicatedJobs": [
            {
                "name": CONTAINER,
                "template": {
                    "metadata": {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}},
                    "spec": {
                        "backoffLimit": 0,
                        "activeDeadlineSeconds": seconds,
                        "podFailurePolicy": pod_failure_policy(CONTAINER),
                        "template": {"metadata": {"labels": labels}, "spec": pod},
                    },
                },
            }
        ],
    }
