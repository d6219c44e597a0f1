"""What a decision is made about: one Recommender, its spec, the world around it and the operator's settings; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.controller.decide.drift import rendered
from shoploop.controller.decide.jobs import Jobs
from shoploop.controller.decide.manifests import pack_hash, spec_hash
from shoploop.controller.decide.names import Object
from shoploop.controller.decide.observed import ChildKey, Observed, Release
from shoploop.controller.decide.settings import Settings
from shoploop.controller.decide.versions import RENEWAL, Version, versions_of


@dataclass(frozen=True, kw_only=True)
class Situation:
    """Everything that a decision may look at; nothing in it changes while it is decided."""

    recommender: Object
    spec: RecommenderSpec
    """The Recommender's spec, read."""

    observed: Observed
    settings: Settings
    chart_digest: str
    """Digest of charts/recommender: another chart is a reason for another revision."""

    @property
    def name(self) -> str:
        return str(self.recommender["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.recommender["metadata"]["namespace"])

    @property
    def uid(self) -> str:
        return str(self.recommender["metadata"]["uid"])

    @property
    def generation(self) -> int:
        return int(self.recommender["metadata"]["generation"])

    @property
    def annotations(self) -> dict[str, str]:
        return dict(self.recommender["metadata"].get("annotations") or {})

    @property
    def status(self) -> dict[str, Any]:
        """As it was told last."""
        return dict(self.recommender.get("status") or {})

    @property
    def last_run(self) -> dict[str, Any] | None:
        """``status.run``: the last run, or the last renewal."""
        return self.status.get("run")

    @property
    def now(self) -> datetime:
        return self.observed.now

    def child(self, kind: str, name: str) -> Object | None:
        return self.observed.children.get((kind, name))

    def children(self, kind: str) -> list[tuple[ChildKey, Object]]:
        return [(key, live) for key, live in self.observed.children.items() if key[0] == kind]

    @cached_property
    def spec_hash(self) -> str:
        return spec_hash(self.spec)

    @cached_property
    def pack_hash(self) -> str:
        return pack_hash(self.spec)

    @cached_property
    def versions(self) -> tuple[Version, ...]:
        """Its versions, oldest record first."""
        return versions_of(self.recommender, self.observed.children)

    def launcher(self, run: Mapping[str, Any]) -> Jobs:
        """What carries a run out, or a renewal; ``run`` is its ``status.run``."""
        return Jobs(self.recommender, self.spec, self.settings, renews=run.get("trigger") == RENEWAL)

    @property
    def predictor(self) -> Object | None:
        """The Deployment of its release."""
        return self.child("Deployment", f"{self.name}-predictor")

    @property
    def release(self) -> Release | None:
        """The newest revision of its Helm release."""
        return self.observed.releases[-1] if self.observed.releases else None

    @cached_property
    def rendered(self) -> list[Object]:
        """What the newest revision consists of."""
        return rendered(self.release) if self.release else []
