"""A renewal inside a pod: the steps that it has in common with a run, then its own. A pod that was killed begins again, and
reuses the steps that are done. Who serves afterwards is the operator's to say.
"""

from typing import Any

from shoploop.api.pod_result import NothingNew, Result
from shoploop.api.v1alpha1 import Recommender
from shoploop.runs.planning import Run
from shoploop.runs.pod import Pod, told_serving
from shoploop.runs.record import LAST_SHARED
from shoploop.steps import Workspace


class RenewingPod:
    """The one pod of the renewal ``run`` of a recommender, which the operator hands over with the version that serves."""

    def __init__(self, run: str, recommender: Recommender, workspace: Workspace):
        from shoploop.runs import renewal

        pinned = recommender.spec.serving.pinned_version
        self.serving = renewal.serving_version(workspace, pinned=pinned, told=told_serving(recommender))
        begun = Run(id=run, recommender=recommender, until=LAST_SHARED, serving=self.serving.version)
        self.pod = Pod(begun, workspace)

    @property
    def source(self) -> str:
        """Digest of the data."""
        return self.pod.plan.source

    def carry_out(self) -> Result:
        """The version that was made; or that there is nothing new to know.

        Raises:
            ShoploopError: a step failed.
            ContractMismatch, KeyUnusable, KeyUntrusted, ArtifactError: see :func:`~shoploop.runs.renewal.renew`.
        """
        from shoploop.runs import renewal
        from shoploop.training.renewal import NothingToRenew

        pod = self.pod
        pod.carry_out(list(pod.run.steps), finishes=False)
        pod.journal.end("done")
        try:
            done = renewal.renew(pod.workspace, pod.run, self.serving, trust=pod.trust(), promotes=False, tell=_tell)
        except NothingToRenew as nothing:
            return NothingNew(reason=str(nothing), source=self.source)
        return done.made


def _tell(event: dict[str, Any]) -> None:
    if event["kind"] == "started":
        print(f"{event['step']}: {event['says']}", flush=True)
    elif event["kind"] == "finished":
        print(f"{event['step']}: done in {event['seconds']:.1f} s", flush=True)
