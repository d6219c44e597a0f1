"""How a run's Jobs and pods fare, as the cluster tells it: going, done, failed, stuck, and what they left; pure."""

from collections.abc import Sequence
from typing import Literal

from shoploop.api.pod_result import PartDone, Result, ResultUnreadable, StepsFailed, read
from shoploop.controller.decide.conditions import Found, say
from shoploop.controller.decide.names import Object
from shoploop.controller.decide.train_jobs import TRAIN_JOB, child_job_name
from shoploop.errors import PeerLost
from shoploop.runs import train_job

WAITS_FOR_A_PERSON = {
    "ErrImagePull": "its image cannot be pulled",
    "ImagePullBackOff": "its image cannot be pulled",
    "InvalidImageName": "its image has no valid name",
    "ErrImageNeverPull": "its image is not on the node",
    "CreateContainerConfigError": "its container lacks something",
    "CrashLoopBackOff": "its container ends again and again",
}


CONTAINERS = ("steps", train_job.CONTAINER)
"""Of a Job's pod, and of a TrainJob's."""

LAST_WORDS = 700
"""Letters of a container's last words that a condition has room for."""


def state(live: Object) -> Literal["Active", "Complete", "Failed"]:
    """How far a Job is."""
    for condition in live.get("status", {}).get("conditions", []):
        if condition["status"] == "True" and condition["type"] in ("Complete", "Failed"):
            return "Complete" if condition["type"] == "Complete" else "Failed"
    return "Active"


def failure_message(live: Object, pods: Sequence[Object]) -> str:
    """Why a Job failed: the last words of its newest pod, else the Job's own condition. Of pods that worked together the one
    is heard that names an error of its own: the others only say that they have lost it."""
    told = [_last_words(ended) for pod in reversed(pods_of(live, pods)) if (ended := _failed(pod))]
    if told:
        return min(told, key=_only_lost_another)[-700:]
    for condition in live.get("status", {}).get("conditions", []):
        if condition["type"] == "Failed" and condition["status"] == "True":
            return f"{condition.get('reason', 'Failed')}: {condition.get('message', '')}"
    return "its Job failed."


def _failed(pod: Object) -> Object | None:
    ended = _terminated(pod)
    return ended if ended and ended.get("exitCode") != 0 else None


def _only_lost_another(words: str) -> bool:
    return words.startswith(f"{PeerLost.__name__}:")


def _last_words(ended: Object) -> str:
    """What a container left: a step's named error, the end of its log, or nothing but an exit code."""
    message = str(ended.get("message", ""))
    try:
        result = read(message)
    except ResultUnreadable:
        words = " ".join(message.split())
        return words or f"{ended.get('reason', 'it ended')} with exit code {ended.get('exitCode')}."
    return f"{result.error}: {result.message}" if isinstance(result, StepsFailed) else "its container failed."


def result(live: Object, pods: Sequence[Object]) -> Result | Found:
    """What the newest pod of a Job that is done said, or why nobody knows it."""
    for pod in reversed(pods_of(live, pods)):
        ended = _terminated(pod)
        if ended and ended.get("exitCode") == 0:
            try:
                return read(ended.get("message"))
            except ResultUnreadable as error:
                return say("ResultUnreadable", detail=str(error))
    return say("ResultLost")


def source(live: Object, pods: Sequence[Object]) -> str | None:
    """Digest of the data that a Job's newest pod read, whether it ended well or not; None where it does not say."""
    for pod in reversed(pods_of(live, pods)):
        if ended := _terminated(pod):
            try:
                result = read(ended.get("message"))
            except ResultUnreadable:
                return None
            return None if isinstance(result, PartDone) else result.source
    return None


def pods_of(live: Object, pods: Sequence[Object]) -> list[Object]:
    """A Job's pods, oldest first; of a TrainJob those of the Job that the Trainer makes."""
    if live["kind"] == TRAIN_JOB.kind:
        key, wanted = "name", child_job_name(live)
    else:
        key, wanted = "uid", live["metadata"]["uid"]
    own = [p for p in pods if any(o.get(key) == wanted for o in p["metadata"].get("ownerReferences", []))]
    return sorted(own, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))


def trouble(pods: Sequence[Object]) -> str | None:
    """Why pods do not get going, in words, where waiting alone will not help."""
    for pod in pods:
        status = pod.get("status", {})
        for container in (*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])):
            waiting = container.get("state", {}).get("waiting", {})
            if waiting.get("reason") in WAITS_FOR_A_PERSON:
                detail = f"{waiting['reason']}: {waiting.get('message', '')[:300]}"
                if last := container.get("lastState", {}).get("terminated", {}).get("message"):
                    detail = f"{waiting['reason']}: {' '.join(str(last).split())[-LAST_WORDS:]}"
                return f"{WAITS_FOR_A_PERSON[waiting['reason']]} ({detail})"
        for condition in status.get("conditions", []):
            if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
                return f"no node fits its pod: {condition.get('message', '')[:300]}"
    return None


def _terminated(pod: Object) -> Object | None:
    for container in pod.get("status", {}).get("containerStatuses", []):
        if container.get("name") in CONTAINERS and "terminated" in container.get("state", {}):
            ended: Object = container["state"]["terminated"]
            return ended
    return None
