"""What the operator writes: the status of a Recommender, and the ModelVersion, the record of a trained version.

The same rules as in v1alpha1.py: docstrings become descriptions, and unset is absent, never empty.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from shoploop.api.fields import API_VERSION, Metadata, Name, Rule, Spec, Text, Url, rules

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Condition(Spec):
    """One thing that is known about an object, as of a generation of its spec."""

    type: Annotated[str, Field(min_length=1, max_length=64)]
    """What it is about, e.g. Ready."""

    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""

    reason: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z]+$")]
    """Why, in one word."""

    message: Annotated[str, Field(max_length=4096)]
    """Why, in a sentence that says what to do."""

    last_transition_time: Time
    """When the status last changed."""

    observed_generation: Annotated[int, Field(ge=0)]
    """The metadata.generation that this was found out about."""


Conditions = Annotated[
    list[Condition],
    Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
]


class RunStatus(Spec):
    """The last run."""

    id: Text
    """Its folder under runs/ in the store."""

    trigger: Literal["Spec", "Schedule", "Data", "Request"]
    """What started it: a changed spec, the schedule, changed data, or the annotation shoploop.io/run."""

    cause: Annotated[str, Field(max_length=253)]
    """The hash of the spec, the time of the schedule, the digest of the data or the value of the annotation that started
    it."""

    spec_hash: Text
    """Hash of the sections of the spec that decide what is trained."""

    pod_hash: Text | None = None
    """Hash of the fields of the spec that decide what its pods look like."""

    source: Text | None = None
    """Digest of the data that it read, or that it was started for: spec.dataCheck compares with it."""

    request: Text | None = None
    """Value of the annotation shoploop.io/run when it started: each value asks once."""

    phase: Literal["Running", "Succeeded", "Failed"]
    """How far it is."""

    started_at: Time
    """When it was decided."""

    finished_at: Time | None = None
    """When it ended."""

    version: Text | None = None
    """The version it made."""

    message: Annotated[str, Field(max_length=4096)] | None = None
    """Why it failed."""


class ReleaseStatus(Spec):
    """The Helm release of the predictor."""

    name: Text
    """Its name in `helm list`."""

    revision: Annotated[int, Field(ge=1)]
    """The revision seen last."""

    held_since_generation: Annotated[int, Field(ge=0)] | None = None
    """The generation of the spec when somebody else's revision was found. Until the spec changes, nothing is
    repaired."""


class OnlineStatus(Spec):
    """Online learning."""

    lag_seconds: Annotated[float, Field(ge=0)] | None = None
    """How far learning is behind the newest event."""


class RecommenderStatus(Spec):
    """What the operator observed."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The metadata.generation that this status is about."""

    conditions: Conditions = Field(default_factory=list)
    """Ready, RunSucceeded, Released, ReleaseHeld, Progressing, Degraded."""

    version: Text | None = None
    """The version that serves."""

    replicas: Annotated[int, Field(ge=0)] | None = None
    """Predictor pods that are ready."""

    selector: Annotated[str, Field(max_length=512)] | None = None
    """Labels of the predictor pods."""

    run: RunStatus | None = None
    """The last run."""

    release: ReleaseStatus | None = None
    """The Helm release of the predictor."""

    online: OnlineStatus | None = None
    """Online learning."""


NEVER_CHANGES = Rule(
    cel="self == oldSelf", message="a ModelVersion is a record and cannot be changed; make another one instead"
)


class ModelVersionSpec(Spec):
    """What was trained, from what, and how well it did."""

    model_config = rules(NEVER_CHANGES)

    recommender: Name
    """Whose version it is."""

    version: Text
    """Its id, v and 12 hex digits: the same bytes have the same id."""

    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """sha256 of the Bento."""

    bento: Url
    """Where the Bento lies."""

    passed: bool
    """The gate's verdict. Only a version that passed is promoted; spec.serving.pinnedVersion overrides it."""

    run: Text | None = None
    """The run that made it."""

    spec_hash: Text | None = None
    """Hash of the sections of the spec that it was trained by. No run is started for a spec that has a version."""

    parent: Text | None = None
    """The version that served when this one was trained."""

    metrics: dict[str, float] = Field(default_factory=dict)
    """What the evaluation measured, e.g. ndcg@10."""

    lineage: dict[str, str] = Field(default_factory=dict)
    """Digests of what it was made from."""


class ModelVersionStatus(Spec):
    """Whether it serves."""

    serving: bool | None = None
    """Whether it serves now."""


class ModelVersion(Spec):
    """The immutable record of a trained version."""

    Status: ClassVar[type[Spec]] = ModelVersionStatus

    model_config = ConfigDict()

    api_version: Literal["shoploop.io/v1alpha1"] = API_VERSION
    kind: Literal["ModelVersion"] = "ModelVersion"
    metadata: Metadata = Metadata()
    spec: ModelVersionSpec
    """What was trained, from what, and how well it did."""

    status: dict[str, Any] | None = None
    """Whether it serves."""
