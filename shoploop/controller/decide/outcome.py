"""How a run's Jobs and pods fare, as the cluster tells it: going, done, failed, stuck, and what they left; pure."""

import json
from collections.abc import Sequence
from typing import Any, Literal

from shoploop.controller.decide.names import Object

WAITS_FOR_A_PERSON = {
    "ErrImagePull": "its image cannot be pulled",
    "ImagePullBackOff": "its image cannot be pulled",
    "InvalidImageName": "its image has no valid name",
    "ErrImageNeverPull": "its image is not on the node",
    "CreateContainerConfigError": "its container lacks something",
    "CrashLoopBackOff": "its container ends again and again",
}


def state(live: Object) -> Literal["Active", "Complete", "Failed"]:
    """How far a Job is."""
    for condition in live.get("status", {}).get("conditions", []):
        if condition["status"] == "True" and condition["type"] in ("Complete", "Failed"):
            return "Complete" if condition["type"] == "Complete" else "Failed"
    return "Active"


def failure_message(live: Object, pods: Sequence[Object]) -> str:
    """Why a Job failed: the last words of its newest pod, else the Job's own condition."""
    for pod in reversed(pods_of(live, pods)):
        ended = _terminated(pod)
        if ended and ended.get("exitCode") != 0:
            return _last_words(ended)[-700:]
    for condition in live.get("status", {}).get("conditions", []):
        if condition["type"] == "Failed" and condition["status"] == "True":
            return f"{condition.get('reason', 'Failed')}: {condition.get('message', '')}"
    return "its Job failed."


def _last_words(ended: Object) -> str:
    """What a container left: a step's error as JSON, the end of its log, or nothing but an exit code."""
    message = str(ended.get("message", ""))
    try:
        said = json.loads(message)
        return f"{said['error']}: {said['message']}"
    except (ValueError, KeyError, TypeError):
        words = " ".join(message.split())
    return words or f"{ended.get('reason', 'it ended')} with exit code {ended.get('exitCode')}."


def result(live: Object, pods: Sequence[Object]) -> dict[str, Any] | str | None:
    """What the run's last pod said: its JSON, what is wrong with its words, or None where there is no such pod."""
    for pod in reversed(pods_of(live, pods)):
        ended = _terminated(pod)
        if ended and ended.get("exitCode") == 0:
            try:
                said = json.loads(ended.get("message", ""))
            except ValueError:
                return f"{ended.get('message', '')[:200]!r} is no JSON."
            missing = [key for key in ("version", "passed", "digest") if not isinstance(said, dict) or key not in said]
            return f"it lacks {', '.join(missing)}." if missing else said
    return None


def left(live: Object, pods: Sequence[Object]) -> dict[str, Any]:
    """What a Job's newest pod that ended said, whether it ended well or not; empty where it said nothing as JSON."""
    for pod in reversed(pods_of(live, pods)):
        if ended := _terminated(pod):
            try:
                said = json.loads(ended.get("message", ""))
            except ValueError:
                return {}
            return said if isinstance(said, dict) else {}
    return {}


def pods_of(live: Object, pods: Sequence[Object]) -> list[Object]:
    """A Job's pods, oldest first."""
    uid = live["metadata"]["uid"]
    own = [p for p in pods if any(o.get("uid") == uid for o in p["metadata"].get("ownerReferences", []))]
    return sorted(own, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))


def trouble(pods: Sequence[Object]) -> str | None:
    """Why pods do not get going, in words, where waiting alone will not help."""
    for pod in pods:
        status = pod.get("status", {})
        for container in (*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])):
            waiting = container.get("state", {}).get("waiting", {})
            if waiting.get("reason") in WAITS_FOR_A_PERSON:
                return (
                    f"{WAITS_FOR_A_PERSON[waiting['reason']]} ({waiting['reason']}: {waiting.get('message', '')[:300]})"
                )
        for condition in status.get("conditions", []):
            if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
                return f"no node fits its pod: {condition.get('message', '')[:300]}"
    return None


def _terminated(pod: Object) -> Object | None:
    for container in pod.get("status", {}).get("containerStatuses", []):
        if container.get("name") == "steps" and "terminated" in container.get("state", {}):
            ended: Object = container["state"]["terminated"]
            return ended
    return None
