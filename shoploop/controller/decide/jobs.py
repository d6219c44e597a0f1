"""Runs as Kubernetes Jobs, and TrainJobs where several machines train: the launcher's half that decides; pure. Which pods
they are is in manifests.py and train_jobs.py, how they fare in outcome.py."""

from dataclasses import dataclass
from typing import Any

from shoploop.api.pods import needs_claim
from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.controller.decide import manifests, outcome, train_jobs
from shoploop.controller.decide.kinds import TRAINING
from shoploop.controller.decide.launcher import Moves, Seen
from shoploop.controller.decide.names import (
    COMPONENT_LABEL,
    RECOMMENDER_LABEL,
    RUN_COMPONENT,
    RUN_LABEL,
    Object,
    run_object_name,
    train_job_name,
)
from shoploop.controller.decide.observed import ChildKey
from shoploop.controller.decide.settings import Settings
from shoploop.runs.launchers.launcher import Look
from shoploop.runs.record import Failure, StepRecord

KINDS = ("Job", "ConfigMap", *(kind.kind for kind in TRAINING))
"""What a run consists of."""


@dataclass(frozen=True, kw_only=True)
class JobsLook(Look):
    """How a run's Jobs fare."""

    part: int
    """The part of the run that it is at."""

    parts: int
    job: Object | None = None
    """The Job of that part; None where it has to be made."""

    trouble: str | None = None
    """Why the run does not get on, where waiting alone will not help."""

    outdated: bool = False
    """Whether it does not get on with an image that nobody asks for any more."""


class Jobs:
    """Consecutive steps with equal resources share a Job; Jobs come one after another."""

    name = "Jobs"

    def __init__(self, recommender: Object, spec: RecommenderSpec, settings: Settings, *, renews: bool = False):
        self.recommender, self.spec, self.settings = recommender, spec, settings
        self.renews = renews
        self.parts = [manifests.renewal_part()] if renews else manifests.parts(spec)

    def look(self, run: str, seen: Seen) -> JobsLook:
        steps: dict[str, StepRecord] = {}
        for index, part in enumerate(self.parts):
            job = seen.children.get(self._key(run, index))
            at: dict[str, Any] = {"part": index, "parts": len(self.parts), "job": job}
            if job is None:
                return JobsLook(state="running", steps=steps, **at)
            state = outcome.state(job)
            # which of a part's steps it is at is known to the run's record alone
            run_state = {"Complete": "done", "Active": "running", "Failed": "failed"}[state]
            steps |= {name: StepRecord.model_validate({"name": name, "state": run_state}) for name in part.steps}
            if state == "Failed":
                message = outcome.failure_message(job, seen.pods)
                return JobsLook(state="failed", steps=steps, failure=Failure(message=message), **at)
            if state == "Active":
                pods = outcome.pods_of(job, seen.pods)
                trouble = outcome.trouble(pods) or seen.warnings.get(job["metadata"]["name"])
                if trouble and part.nodes > 1:
                    trouble += (
                        f" spec.training.nodes asks for {part.nodes} such pods at once: make room, or set it lower."
                    )
                outdated = bool(trouble) and _image(job) != _image(self._made(run, index)[-1])
                return JobsLook(state="running", steps=steps, trouble=trouble, outdated=outdated, **at)
        return JobsLook(state="done", steps=steps, **at)

    def advance(self, run: str, seen: Seen) -> Moves:
        """The Job of the part that comes next, and what it needs where that is missing."""
        look = self.look(run, seen)
        if look.state != "running":
            return Moves()
        if look.job is not None:
            return Moves(apply=self._spec_of_run(run, seen))
        if former := self._former_pod(run, seen):
            return Moves(waits_for=former)
        made: list[Object] = []
        if needs_claim(self.spec) and not self.spec.store.claim:
            wanted = manifests.claim(self.recommender, self.spec)
            if ("PersistentVolumeClaim", wanted["metadata"]["name"]) not in seen.children:
                made.append(wanted)
        return Moves(apply=(*made, *self._spec_of_run(run, seen), *self._made(run, look.part)))

    def cancel(self, run: str, seen: Seen) -> Moves:
        """Its Jobs and its ConfigMap go; the pods go with the Jobs."""
        return Moves(delete=tuple(key for key, _ in self._objects(run, seen)))

    def resume(self, run: str, seen: Seen) -> Moves:
        """No Job is kept: the steps may be cut into other parts by now."""
        return Moves(delete=tuple(key for key, _ in self._objects(run, seen) if key[0] != "ConfigMap"))

    def logs(self, run: str) -> str:
        labels = {
            COMPONENT_LABEL: RUN_COMPONENT,
            RECOMMENDER_LABEL: self.recommender["metadata"]["name"],
            RUN_LABEL: run,
        }
        return ",".join(f"{name}={value}" for name, value in labels.items())

    def of_run(self, run: str, seen: Seen) -> list[Object]:
        """The Jobs and TrainJobs that there are of a run."""
        return [live for (kind, _), live in self._objects(run, seen) if kind in ("Job", train_jobs.TRAIN_JOB.kind)]

    def _objects(self, run: str, seen: Seen) -> list[tuple[ChildKey, Object]]:
        return [
            (key, live)
            for key, live in seen.children.items()
            if key[0] in KINDS and live["metadata"].get("labels", {}).get(RUN_LABEL) == run
        ]

    def _key(self, run: str, part: int) -> ChildKey:
        """Of the Job or the TrainJob that carries a part out."""
        if self.parts[part].nodes > 1:
            return train_jobs.TRAIN_JOB.kind, train_job_name(self.recommender, run, part)
        return "Job", run_object_name(self.recommender, run, part)

    def _made(self, run: str, part: int) -> tuple[Object, ...]:
        """What carries a part out; what it needs comes before it."""
        if self.renews:
            return (manifests.renewal_job(self.recommender, self.spec, run, self.settings),)
        if self.parts[part].nodes > 1:
            return train_jobs.objects(self.recommender, self.spec, run, part, self.settings)
        return (manifests.job(self.recommender, self.spec, run, part, self.settings),)

    def _spec_of_run(self, run: str, seen: Seen) -> tuple[Object, ...]:
        """The ConfigMap with the run's spec, where it is missing: a pod that is made again needs it."""
        missing = ("ConfigMap", run_object_name(self.recommender, run)) not in seen.children
        return (manifests.config_map(self.recommender, run),) if missing else ()

    def _former_pod(self, run: str, seen: Seen) -> str | None:
        """A pod that still works for the run, though its Job is gone: two must never write at once."""
        working = {id(pod) for live in self.of_run(run, seen) for pod in outcome.pods_of(live, seen.pods)}
        for pod in seen.pods:
            meta = pod["metadata"]
            owned = id(pod) in working
            ended = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
            if meta.get("labels", {}).get(RUN_LABEL) == run and not owned and not ended:
                return str(meta["name"])
        return None


def _image(job: Object) -> str:
    if job["kind"] == train_jobs.TRAIN_JOB.kind:
        return str(job["spec"]["trainer"]["image"])
    return str(job["spec"]["template"]["spec"]["containers"][0]["image"])
