"""A search of settings as objects of a cluster: trials as a Katib Experiment or an indexed Job, the Job that gathers; pure.

Every trial is a pod of the pipeline image with a run's store, data and Secret (:mod:`shoploop.runs.studies`). It must not
know what is searched: the space comes in Katib's words.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from shoploop.api.pods import DEADLINE_SECONDS, pod_failure_policy, queued, store_uri
from shoploop.api.v1alpha1 import Recommender
from shoploop.controller.decide import manifests
from shoploop.controller.decide.names import COMPONENT_LABEL, RECOMMENDER_LABEL, Object, short_hash
from shoploop.controller.decide.settings import Settings

EXPERIMENT = "kubeflow.org/v1beta1", "Experiment", "experiments.kubeflow.org"
"""Version, kind, and what an API server that has Katib lists among its resources."""

STUDY_LABEL = "shoploop.io/study"
COMPONENT = "study"
NAME_LETTERS = 40
"""Katib takes no longer name of an Experiment."""

TRIAL_NAME = "${trialSpec.Name}"
"""Katib's word for the name that it gives to a trial."""

By = Literal["katib", "jobs"]
ResumePolicy = Literal["Never", "LongRunning", "FromVolume"]


@dataclass(frozen=True, kw_only=True)
class Study:
    """What somebody asks for."""

    id: str
    recommender: Recommender
    image: str
    trials: int
    parallel: int
    seed: int = 0
    namespace: str | None = None
    """None: where kubectl puts things."""

    resume_policy: ResumePolicy = "Never"
    """Katib's: whether more trials can be asked for when all are done."""

    search: Mapping[str, Any] = field(default_factory=dict)
    """``parameters``, ``objective``, ``algorithm`` and ``earlyStopping`` of the Experiment."""

    @property
    def name(self) -> str:
        """Of its Experiment and its ConfigMap, and the beginning of its Jobs' names. Katib asks for a letter first."""
        head = f"tune-{short_hash(self.id)}-"
        return (head + self.recommender.metadata.name)[:NAME_LETTERS].rstrip("-.")

    @property
    def labels(self) -> dict[str, str]:
        return {
            "app.kubernetes.io/managed-by": "shoploop-tune",
            "app.kubernetes.io/part-of": "shoploop",
            COMPONENT_LABEL: COMPONENT,
            RECOMMENDER_LABEL: self.recommender.metadata.name,
            STUDY_LABEL: self.id,
        }


def objects(study: Study, *, by: By) -> list[Object]:
    """The spec as the trials read it, and the trials."""
    return [config_map(study), experiment(study) if by == "katib" else trials_job(study)]


def config_map(study: Study) -> Object:
    document = study.recommender.model_dump(mode="json", by_alias=True, exclude_none=True)
    document.pop("status", None)
    document["metadata"] = {"name": study.recommender.metadata.name}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(study, study.name),
        "data": {"recommender.json": json.dumps(document, sort_keys=True, indent=1)},
    }


def experiment(study: Study) -> Object:
    """The Experiment, whose trials are Jobs.

    Katib makes one line for a shell of a container's command and arguments, so each word is quoted; and its webhook refuses a
    Job that reads otherwise once empty fields are left out, so there are none.
    """
    names = [parameter["name"] for parameter in study.search["parameters"]]
    settings = [word for name in names for word in ("--set", f"{name}=${{trialParameters.{name}}}")]
    pod = _pod(study, ["--trial", "${trialParameters.trial}", *settings])
    container = pod["containers"][0]
    container["command"] = [shlex.quote(word) for word in container.pop("args")]  # else Katib asks the registry for one
    job = _job(study, pod)
    job["metadata"] = {"labels": job["metadata"]["labels"]}
    api_version, kind, _ = EXPERIMENT
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": _metadata(study, study.name),
        "spec": {
            **study.search,
            "metricsCollectorSpec": {"collector": {"kind": "StdOut"}},
            "maxTrialCount": study.trials,
            "parallelTrialCount": study.parallel,
            "maxFailedTrialCount": min(3, study.trials),
            "resumePolicy": study.resume_policy,
            "trialTemplate": {
                "primaryContainerName": container["name"],
                "trialParameters": [
                    {"name": "trial", "description": "Name of the trial", "reference": TRIAL_NAME},
                    *({"name": name, "description": f"spec.training.{name}", "reference": name} for name in names),
                ],
                "trialSpec": _without_empty(job),
            },
        },
    }


def trials_job(study: Study) -> Object:
    """All trials as one indexed Job; each pod draws its own settings by its number."""
    made = _job(study, _pod(study, ["--drawn"]), name=f"{study.name}-{study.trials}")
    made["spec"] |= {
        "completionMode": "Indexed",
        "completions": study.trials,
        "parallelism": study.parallel,
        "backoffLimitPerIndex": 1,
        "activeDeadlineSeconds": DEADLINE_SECONDS * -(-study.trials // study.parallel),
    }
    del made["spec"]["backoffLimit"]  # one trial that fails must not end the others
    if (
        study.recommender.spec.training.placement.queue
    ):  # Kueue lets it begin with fewer pods where the quota has no more
        made["metadata"]["annotations"] = {"kueue.x-k8s.io/job-min-parallelism": "1"}
    return made


def conclusion_job(study: Study, *, trials: Sequence[str] = ()) -> Object:
    """The Job that gathers what the trials came to, and proves it.

    Args:
        trials: Names of those that have ended by now: with others there is another Job.
    """
    return _job(study, _pod(study, ["--conclude"]), name=f"{study.name}-end-{short_hash(sorted(trials), digits=6)}")


def _pod(study: Study, more: Sequence[str]) -> Object:
    spec = study.recommender.spec
    words = ["-m", "shoploop.runs", "tune", "--spec", f"{manifests.SPEC_MOUNT}/recommender.json"]
    words += [
        "--store",
        store_uri(spec),
        *manifests.data_root(spec),
        "--study",
        study.id,
        "--seed",
        str(study.seed),
        *more,
    ]
    settings = Settings(chart=Path(), pipeline_image=study.image, serving_image="")
    pod = manifests.pod_spec({"metadata": {"name": study.recommender.metadata.name}}, spec, settings, words)
    manifests.mount_data(pod, spec)
    container = pod["containers"][0]
    container["volumeMounts"].append({"name": "spec", "mountPath": manifests.SPEC_MOUNT, "readOnly": True})
    pod["volumes"].append({"name": "spec", "configMap": {"name": study.name}})
    manifests.ask(pod, spec, gpu=spec.training.resources.gpu)
    return pod


def _job(study: Study, pod: Object, *, name: str = "") -> Object:
    made: Object = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(study, name),
        "spec": {
            "backoffLimit": 1,
            "activeDeadlineSeconds": DEADLINE_SECONDS,
            "podFailurePolicy": pod_failure_policy(pod["containers"][0]["name"]),
            "template": {"metadata": {"labels": study.labels}, "spec": pod},
        },
    }
    return queued(made, study.recommender.spec)


def _metadata(study: Study, name: str) -> Object:
    where = {"namespace": study.namespace} if study.namespace else {}
    return {"name": name, **where, "labels": study.labels}


def _without_empty(value: Any) -> Any:
    """The same without empty lists and mappings; an empty ``emptyDir`` is what it says."""
    if isinstance(value, dict):
        inner = {key: found if key == "emptyDir" else _without_empty(found) for key, found in value.items()}
        return {key: found for key, found in inner.items() if key == "emptyDir" or found not in ({}, [])}
    return [_without_empty(found) for found in value] if isinstance(value, list) else value
