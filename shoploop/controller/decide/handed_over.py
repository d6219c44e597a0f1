"""Runs that Kubeflow Pipelines carries out: a Job's pod hands them over and waits, and says in its log how they are; pure.

The operator asks no server of Kubeflow and reads no store: that is the pod's to do, which has the keys of a run.
"""

import json
from dataclasses import dataclass

from shoploop.api.status import HandedOverStatus
from shoploop.api.v1alpha1 import Recommender, RecommenderSpec
from shoploop.controller.decide.conditions import Found, say
from shoploop.errors import SpecInvalid
from shoploop.runs.kubeflow.placement import check_submittable

LOG_LINES = 20
"""Of the pod's log that are looked at."""

KIND = "kubeflow"


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the pod said last."""

    status: HandedOverStatus
    trouble: tuple[str, str] | None = None
    """What keeps it from going on, as a reason and a sentence: the server does not answer as it should."""


def told(log: str) -> Told | None:
    """The last that the end of a log says of a run; None where it says nothing."""
    for line in reversed(log.splitlines()):
        try:
            said = json.loads(line)
            if said["kind"] != KIND:
                continue
            known = {key: said[key] for key in ("id", "page", "done", "total") if key in said}
            trouble = said.get("trouble")
            why = (str(trouble["reason"]), str(trouble["message"])) if trouble else None
            return Told(status=HandedOverStatus.model_validate(known), trouble=why)
        except (ValueError, TypeError, KeyError):
            continue
    return None


def blocker(name: str, spec: RecommenderSpec) -> Found | None:
    """What somebody has to mend before any pod of Kubeflow could do what the spec asks for."""
    if spec.runner.type != "KubeflowPipelines":
        return None
    if not spec.runner.endpoint:
        return say("RunnerEndpointUnset")
    try:
        check_submittable(Recommender.model_validate({"metadata": {"name": name}, "spec": spec}))
    except SpecInvalid as error:
        return say("RunnerRefuses", problems=" ".join(str(error).split()))
    return None
