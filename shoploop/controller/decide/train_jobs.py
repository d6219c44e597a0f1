"""Steps that several machines carry out together, as TrainJobs of the operator's, and how far they are; pure."""

import json
from typing import Any

from shoploop.api.status import ProgressStatus
from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.controller.decide import manifests
from shoploop.controller.decide.kinds import TRAINING
from shoploop.controller.decide.names import Object, child_metadata, train_job_name
from shoploop.controller.decide.settings import Settings
from shoploop.runs import train_job

TRAIN_JOB = TRAINING[1]
LOG_LINES = 40
"""Of the first pod's log that are looked at for how far it is."""


def objects(
    recommender: Object, spec: RecommenderSpec, run: str, index: int, settings: Settings
) -> tuple[Object, Object]:
    """The runtime and the TrainJob of the run's part ``index``, in the order in which they are made."""
    part = manifests.parts(spec)[index]
    pod = manifests.part_pod(recommender, spec, run, index, settings, verb="together")
    if part.gpu:
        train_job.share_memory(pod)
    labels = manifests.part_labels(run, index)
    metadata = child_metadata(recommender, train_job_name(recommender, run, index), labels)
    return train_job.objects(spec, metadata, pod, nodes=part.nodes, processes=max(part.gpu, 1))


def child_job_name(live: Object) -> str:
    """Name of the Job that the Trainer makes."""
    return f"{live['metadata']['name']}-{train_job.CONTAINER}-0"


def first_pod(live: Object, pods: tuple[Object, ...]) -> str | None:
    """Name of the pod whose process is the first of all, while it runs or when it has done all."""
    owner = child_job_name(live)
    for pod in pods:
        meta = pod["metadata"]
        of_it = any(reference.get("name") == owner for reference in meta.get("ownerReferences", []))
        index = {**meta.get("labels", {}), **meta.get("annotations", {})}.get(
            "batch.kubernetes.io/job-completion-index"
        )
        if of_it and index == "0" and pod.get("status", {}).get("phase") in ("Running", "Succeeded"):
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
