"""What the operator knows of the world at one moment, and what it decides to do about it: plain data, no logic."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from shoploop.api.learner_state import LearnerState
from shoploop.api.predictor_state import PredictorState
from shoploop.api.status import ProgressStatus
from shoploop.controller.decide.conditions import Found
from shoploop.controller.decide.handed_over import Told
from shoploop.controller.decide.names import Object

ChildKey = tuple[str, str]
"""Kind and name of an object in the Recommender's namespace."""


@dataclass(frozen=True, kw_only=True)
class Release:
    """One revision of a Helm release, as Helm keeps it."""

    name: str
    revision: int
    status: str
    """deployed, superseded, failed, uninstalled, pending-install, pending-upgrade, pending-rollback or uninstalling."""

    description: str
    deployed_at: datetime
    chart: str
    recommender: str
    """The value recommender.name of its values; empty where it has none."""

    version: str = ""
    """The value version.id of its values: what it runs; empty where it has none."""

    digest: str = ""
    """The value version.digest of its values; empty where it has none."""

    manifest: str
    """What was rendered, as a stream of YAML documents."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Something that was tried and did not work."""

    what: str
    """What it was: ``release``, or kind and name of an object."""

    found: Found
    attempts: int
    retry_at: datetime
    generation: int
    """The spec that it was tried for; another spec is tried at once."""


@dataclass(frozen=True, kw_only=True)
class Observed:
    """The world around one Recommender."""

    now: datetime
    children: Mapping[ChildKey, Object] = field(default_factory=dict)
    """Its own objects and those of its release."""

    releases: tuple[Release, ...] = ()
    """Revisions of its Helm release, oldest first."""

    pods: tuple[Object, ...] = ()
    """Pods of its Jobs and of its predictor; only looked for while something is under way."""

    warnings: Mapping[str, str] = field(default_factory=dict)
    """Job name to why it could make no pod."""

    secret_keys: frozenset[str] | None = None
    """Keys of the store's Secret; None where there is no such Secret."""

    signing_keys: frozenset[str] | None = None
    """Keys of the Secret of spec.signing.privateKey, by their names; None where there is no such Secret."""

    feedback_secrets: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    """By the name of each Secret that spec.online names, its keys; None where there is no such Secret."""

    learner: LearnerState | str | None = None
    """What the learner says of itself, or why it does not; None where there is none to ask."""

    predictors: tuple[PredictorState, ...] | str = ()
    """What the updaters of its pods say of who answers there, or why none does; empty where there are none to ask."""

    progress: ProgressStatus | None = None
    """How far the training on several machines is; None where there is none, or it says nothing."""

    handed_over: Told | None = None
    """What the pod says that waits for a run on Kubeflow Pipelines; None where there is none, or it says nothing."""

    rival: str | None = None
    """An older Recommender that keeps its versions at the same place, as namespace/name."""

    failures: Mapping[str, Failure] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Event:
    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Install:
    """Bring the Helm release to these values; the description marks the revision as the operator's."""

    name: str
    values: dict[str, Any]
    description: str


@dataclass(frozen=True, kw_only=True)
class Recover:
    """Remove a revision that an operator left half made."""

    name: str
    revision: int


@dataclass(frozen=True, kw_only=True)
class Repair:
    """Put back what the release's own manifest says."""

    objects: tuple[Object, ...]


@dataclass(frozen=True, kw_only=True)
class Uninstall:
    name: str


ReleaseAction = Install | Recover | Repair | Uninstall


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be done for one Recommender. Carrying it out twice does no harm."""

    status: dict[str, Any]
    finalizer: bool = True
    apply: tuple[Object, ...] = ()
    """Own objects to write by server-side apply."""

    version_status: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """ModelVersions whose ``status`` has to change, and what it has to be."""

    delete: tuple[ChildKey, ...] = ()
    release: ReleaseAction | None = None
    events: tuple[Event, ...] = ()
    requeue_seconds: float | None = None
    """When to look again, at the latest; None leaves it to events and the resync."""
