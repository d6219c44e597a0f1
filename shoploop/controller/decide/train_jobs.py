"""Steps that several machines carry out together, as a TrainJob of the Kubeflow Trainer; pure.

What a pod needs besides its image, words and resources has no place in a TrainJob that the Trainer's versions 2.1 to 2.3
share: ``podTemplateOverrides`` became ``runtimePatches``. So each TrainJob has a TrainingRuntime of its own beside it, in
the shape of the Trainer's torch-distributed, with the pod that a Job of the run would have. Both have the same name.
"""

import json
from typing import Any

from shoploop.api.status import ProgressStatus
from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.controller.decide import manifests
from shoploop.controller.decide.kinds import TRAINING
from shoploop.controller.decide.names import Object, child_metadata, train_job_name
from shoploop.controller.decide.settings import Settings

RUNTIME, TRAIN_JOB = TRAINING
CONTAINER = "node"
"""What the Trainer calls the container, and the Job of the JobSet that it is in."""

RESTARTS = 10
"""A machine that is lost ends the others' processes too, so all begin again at their last checkpoint."""

LOG_LINES = 40
"""Of the first pod's log that are looked at for how far it is."""


def objects(
    recommender: Object, spec: RecommenderSpec, run: str, index: int, settings: Settings
) -> tuple[Object, Object]:
    """The runtime and the TrainJob of the run's part ``index``, in the order in which they are made."""
    part = manifests.parts(spec)[index]
    pod = manifests.part_pod(recommender, spec, run, index, settings, verb="together")
    container = pod["containers"][0]
    container["name"] = CONTAINER
    trainer: Object = {
        "image": container["image"],
        "args": container.pop("args"),
        "numNodes": part.nodes,
        "numProcPerNode": max(part.gpu, 1),
        "resourcesPerNode": container.pop("resources"),
    }
    if part.gpu:  # NCCL's processes of one machine meet there
        container["volumeMounts"].append({"name": "shared-memory", "mountPath": "/dev/shm"})
        pod["volumes"].append({"name": "shared-memory", "emptyDir": {"medium": "Memory"}})
    labels = manifests.part_labels(run, index)
    metadata = child_metadata(recommender, train_job_name(recommender, run, index), labels)
    runtime = {
        "apiVersion": RUNTIME.api_version,
        "kind": RUNTIME.kind,
        "metadata": metadata | {"labels": metadata["labels"] | {"trainer.kubeflow.org/framework": "torch"}},
        "spec": {
            "mlPolicy": {"numNodes": part.nodes, "torch": {}},
            "template": {"spec": _job_set(pod, dict(metadata["labels"]))},
        },
    }
    train_job = {
        "apiVersion": TRAIN_JOB.api_version,
        "kind": TRAIN_JOB.kind,
        "metadata": metadata | {"labels": dict(metadata["labels"])},
        "spec": {
            "runtimeRef": {"apiGroup": RUNTIME.group, "kind": RUNTIME.kind, "name": metadata["name"]},
            "trainer": trainer,
        },
    }
    return runtime, manifests.queued(train_job, spec)


def _job_set(pod: Object, labels: dict[str, str]) -> Object:
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
                        "activeDeadlineSeconds": manifests.DEADLINE_SECONDS,
                        "podFailurePolicy": manifests.pod_failure_policy(CONTAINER),
                        "template": {"metadata": {"labels": labels}, "spec": pod},
                    },
                },
            }
        ],
    }


def child_job_name(train_job: Object) -> str:
    """Name of the Job that the Trainer makes."""
    return f"{train_job['metadata']['name']}-{CONTAINER}-0"


def first_pod(train_job: Object, pods: tuple[Object, ...]) -> str | None:
    """Name of the pod whose process is the first of all, while it runs."""
    owner = child_job_name(train_job)
    for pod in pods:
        meta = pod["metadata"]
        of_it = any(reference.get("name") == owner for reference in meta.get("ownerReferences", []))
        index = {**meta.get("labels", {}), **meta.get("annotations", {})}.get(
            "batch.kubernetes.io/job-completion-index"
        )
        if of_it and index == "0" and pod.get("status", {}).get("phase") == "Running":
            return str(meta["name"])
    return None


def progress(log: str) -> ProgressStatus | None:
    """How far a step is by the events in the end of its log (:mod:`shoploop.progress`); None where it says nothing."""
    done: dict[str, Any] = {}
    for line in log.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if not isinstance(event, dict):
            continue
        if event.get("kind") == "progress":
            done |= {key: event.get(key) for key in ("done", "total", "what")}
        losses = event.get("validation_loss") or event.get("train_loss")
        if event.get("kind") == "epoch" and isinstance(losses, dict):
            done["loss"] = losses.get("fused")
    try:
        return ProgressStatus.model_validate(done) if "what" in done else None
    except ValueError:
        return None
