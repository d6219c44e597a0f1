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


class IncumbentStatus(Spec):
    """The version that served when a run judged another."""

    version: Text
    """Its id."""

    compared: bool
    """Whether the two could be compared. Where not, the new one had to be better than the best simple baseline."""

    why_not: Annotated[str, Field(max_length=1024)] | None = None
    """Why they could not."""


class ProgressStatus(Spec):
    """How far a training on several machines is."""

    done: Annotated[float, Field(ge=0)]
    """How many are done."""

    total: Annotated[float, Field(ge=0)]
    """Of how many."""

    what: Annotated[str, Field(min_length=1, max_length=64)]
    """What is counted, e.g. epochs."""

    loss: float | None = None
    """Of the fused score on validation, or on training where nothing is held out, after the last epoch."""


class HandedOverStatus(Spec):
    """A run that Kubeflow Pipelines carries out."""

    id: Text | None = None
    """Of the run there; unset until it has begun."""

    page: Url | None = None
    """Its page."""

    done: Annotated[int, Field(ge=0)] | None = None
    """Steps that are done."""

    total: Annotated[int, Field(ge=0)] | None = None
    """Of how many."""


class RunStatus(Spec):
    """A run, or a renewal."""

    id: Text
    """Its folder under runs/ in the store."""

    trigger: Literal["Spec", "Schedule", "Data", "Request", "Renewal"]
    """What started it: a changed spec, the schedule, changed data, or the annotation shoploop.io/run. Renewal: it trains
    nothing, and brings the version that serves up to date."""

    cause: Annotated[str, Field(max_length=253)]
    """The hash of the spec, the time of the schedule, the digest of the data or the value of the annotation that started
    it. Of a renewal, the time of spec.renewal or the value of its annotation."""

    spec_hash: Text
    """Hash of the sections of the spec that decide what is trained."""

    pod_hash: Text | None = None
    """Hash of the fields of the spec that decide what its pods look like."""

    pack_hash: Text | None = None
    """Hash of the fields of the spec that are packed into a Bento."""

    source: Text | None = None
    """Digest of the data that it read, or that it was started for: spec.dataCheck compares with it."""

    request: Text | None = None
    """Value of the annotation shoploop.io/run when it started: each value asks once."""

    renew_request: Text | None = None
    """Value of the annotation shoploop.io/renew that was carried out last: each value asks once."""

    phase: Literal["Running", "Succeeded", "Failed"]
    """How far it is."""

    nodes: Annotated[int, Field(ge=2, le=1024)] | None = None
    """Machines that train together; unset where one trains alone."""

    progress: ProgressStatus | None = None
    """How far the training on several machines is, as its first pod says it."""

    kubeflow: HandedOverStatus | None = None
    """The run of Kubeflow Pipelines that carries it out, where runner.type asks for that."""

    started_at: Time
    """When it was decided."""

    finished_at: Time | None = None
    """When it ended."""

    version: Text | None = None
    """The version it made; unset where a renewal found nothing new."""

    incumbent: IncumbentStatus | None = None
    """The version that served, with which it compared the one it made."""

    reason: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z]+$")] | None = None
    """Why it failed, or made no version, in one word, e.g. JobFailed, ResultLost, ResultUnreadable or NothingToRenew."""

    message: Annotated[str, Field(max_length=4096)] | None = None
    """The same in a sentence."""


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
    """Age of the oldest event that is not learned yet, in whole seconds; 0 where there is none, unset where nobody knows. It
    is written anew where it is 0 again, or has moved by more than two seconds and a fifth."""

    served_commit: Annotated[int, Field(ge=0)] | None = None
    """The commit that predictors are to answer with, where that is not the last: one that was pinned."""

    frozen: Annotated[str, Field(max_length=1024)] | None = None
    """Why learning was stopped, by a guardrail or a person. Unset where it goes on."""

    request: Text | None = None
    """Value of the annotation shoploop.io/online that was carried out last: each value asks once."""


class CandidateStatus(Spec):
    """The version that is tried beside the one that serves."""

    version: Text
    """Its id."""

    number: Annotated[int, Field(ge=1)]
    """Of its candidacy in the store's log."""

    percent: Annotated[int, Field(ge=0, le=100)]
    """Share of users that it answers."""

    shadow: bool = False
    """Whether it answers nobody, and only scores."""

    pods: Annotated[int, Field(ge=0)] = 0
    """Predictor pods in which it is at work."""

    given: Annotated[int, Field(ge=0)] = 0
    """Answers of it in those pods, in the shadow too. Counts are written anew where they have grown by half."""

    failed: Annotated[int, Field(ge=0)] = 0
    """Answers of it that failed; the version that serves gave them."""

    different: Annotated[int, Field(ge=0)] = 0
    """Answers in the shadow that were others than what was shown."""


class ServingStatus(Spec):
    """What the store's logs say of who serves, as far as predictors have read them, and what was decided."""

    request: Text | None = None
    """The verdict or the pin that was last written into them: a version and a run, or a version and ``pinned``."""

    asked: Text | None = None
    """Value of the annotation shoploop.io/serve that was carried out last: each value asks once."""

    promoted: Text | None = None
    """The version that the last promotion names. It serves where ``status.version`` says so."""

    candidate: CandidateStatus | None = None
    """Unset where there is none."""

    silent_since: Time | None = None
    """Since when no predictor says who answers there."""


class RecommenderStatus(Spec):
    """What the operator observed."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The metadata.generation that this status is about."""

    conditions: Conditions = Field(default_factory=list)
    """Ready, RunSucceeded, Renewed, Released, ReleaseHeld, Progressing, Degraded, IncumbentNotCompared, OnlineLearning,
    Candidate."""

    version: Text | None = None
    """The version that serves."""

    replicas: Annotated[int, Field(ge=0)] | None = None
    """Predictor pods that are ready."""

    selector: Annotated[str, Field(max_length=512)] | None = None
    """Labels of the predictor pods."""

    run: RunStatus | None = None
    """The last run, or the last renewal where that came later."""

    training_run: RunStatus | None = None
    """The last run, where ``run`` is a renewal that came later: whether another run is due is asked of this one."""

    release: ReleaseStatus | None = None
    """The Helm release of the predictor."""

    serving: ServingStatus | None = None
    """Who serves by the store's logs, and who is tried beside."""

    online: OnlineStatus | None = None
    """Online learning."""


NEVER_CHANGES = Rule(
    cel="self == oldSelf", message="a ModelVersion is a record and cannot be changed; make another one instead"
)
ONE_PER_VERSION = Rule(
    cel="self.metadata.name == self.spec.recommender + '-' + self.spec.version",
    message="a version has one ModelVersion, named <recommender>-<version>",
)
ENTRIES = 20
"""Verdicts and packages that are kept of a version."""


class ModelVersionSpec(Spec):
    """What was trained, from what, and how well it did."""

    model_config = rules(NEVER_CHANGES)

    recommender: Name
    """Whose version it is."""

    version: Text
    """Its id, v and 12 hex digits: the same bytes have the same id."""

    run: Text | None = None
    """The run that made it first."""

    parent: Text | None = None
    """The version that served when this one was trained, or whose weights this one has."""

    metrics: dict[str, float] = Field(default_factory=dict)
    """What the evaluation measured, e.g. ndcg@10."""

    lineage: dict[str, str] = Field(default_factory=dict)
    """Digests of what it was made from: data, and for a renewal also trained, the data that its weights learned from, and
    weights, the version whose weights these are."""


class Verdict(Spec):
    """What the gate said about a version, once."""

    model_config = ConfigDict(strict=True)

    run: Text
    """The run that asked the gate."""

    time: Time
    """When."""

    rule: Literal["NotWorse", "Better", "Always"]
    """spec.gate.rule as it was."""

    passed: bool
    """Whether it let the version serve."""

    reason: Annotated[str, Field(max_length=1024)]
    """Why, in a sentence."""

    answers: Text | None = None
    """By surface what answers, e.g. ``items by followers, search by model``: a simple method where the gate did not let the
    model. Unset where the model answers everywhere, and of a refusal."""

    spec_hash: Text
    """Hash of the sections of the spec that decide what is trained and how it is judged, of a renewal those by which its
    weights were. No run is started for a spec by which a version was judged."""


class Package(Spec):
    """A Bento of a version."""

    model_config = ConfigDict(strict=True)

    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Its sha256."""

    bento: Url
    """Where it lies."""

    run: Text
    """The run that packed it last."""

    time: Time
    """When."""

    pack_hash: Text
    """Hash of the fields of the spec that are packed into it."""

    code: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Digest of the serving code in it: versions of one code are exchanged without a moved pod. Unset where nobody knows."""


def _by(key: str) -> Any:
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


class ModelVersionStatus(Spec):
    """What became of the version since it was trained: verdicts, packages, and whether it serves."""

    serving: bool | None = None
    """Whether it serves now; one version of a Recommender does."""

    verdicts: Annotated[list[Verdict], Field(max_length=ENTRIES, json_schema_extra=_by("run"))] = Field(
        default_factory=list
    )
    """What the gate said about it, newest first. The version that passed last is promoted; a later refusal takes nothing
    away from a version that serves; spec.serving.pinnedVersion overrides all."""

    packages: Annotated[list[Package], Field(max_length=ENTRIES, json_schema_extra=_by("digest"))] = Field(
        default_factory=list
    )
    """Its Bentos, newest first. The newest with the item fields that the spec asks for is released."""


class ModelVersion(Spec):
    """The immutable record of a trained version."""

    Status: ClassVar[type[Spec]] = ModelVersionStatus

    model_config = rules(ONE_PER_VERSION)

    api_version: Literal["shoploop.io/v1alpha1"] = API_VERSION
    kind: Literal["ModelVersion"] = "ModelVersion"
    metadata: Metadata = Metadata()
    spec: ModelVersionSpec
    """What was trained, from what, and how well it did."""

    status: dict[str, Any] | None = None
    """Its verdicts, its packages, and whether it serves."""
