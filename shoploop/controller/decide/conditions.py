"""Every reason that a condition or an event can give, beside its message; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shoploop.controller.decide.names import RENEW_ANNOTATION, RESUME_ANNOTATION, RUN_ANNOTATION

MESSAGE_LENGTH = 1024


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why something is as it is: one word for programs, a sentence for people that says what to do."""

    name: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Found:
    """A reason with its sentence filled in."""

    reason: str
    message: str


def found(reason: Reason, /, **values: object) -> Found:
    text = reason.message.format(**values)
    return Found(
        reason=reason.name, message=text if len(text) <= MESSAGE_LENGTH else text[: MESSAGE_LENGTH - 3] + "..."
    )


def _reasons(**messages: str) -> dict[str, Reason]:
    return {name: Reason(name=name, message=message) for name, message in messages.items()}


KUBEFLOW = (
    "KubeflowUnreachable", "KubeflowBusy", "KubeflowLogin", "KubeflowForbidden", "KubeflowMissing", "KubeflowConflict",
    "KubeflowFailed", "KubeflowUnreadable",
)  # fmt: skip
"""Answers of a server of Kubeflow Pipelines that a run waits for the mending of; the server's client names them so."""

REASONS = _reasons(
    **dict.fromkeys(KUBEFLOW, "Run {run} waits, and asks again: {detail}"),
    # it serves
    Serving="Version {version} serves on {ready} of {wanted} pods.",
    ScaledToZero="Version {version} is released with no pods, as spec.serving.replicas asks.",
    # somebody has to change the spec
    SpecInvalid="The spec breaks a rule: {problems}.",
    NotBuilt="{what}",
    StoreTaken="{other} already keeps its versions at {path}. Name another store, or rename one of the two.",
    VersionNotFound="spec.serving.pinnedVersion names {version}, which has no ModelVersion. There are: {known}.",
    ScheduleNeverFires="{field}.cron {cron!r} never fires: {why}. Mend it, or remove {field}.",
    # the world has to change
    SecretMissing="Secret {secret}, named by spec.store.secretRef, does not exist in namespace {namespace}. Create it.",
    SecretKeyMissing="Secret {secret}, named by spec.store.secretRef, lacks {keys}. Add what is missing.",
    SigningIncomplete="The signing policy is {policy}, and {field} is not set. Set it (docs/signing.md says how to make"
    " keys), or ask for less: spec.signing.policy, and signing.policy of charts/shoploop.",
    SigningKeyMissing="Secret {secret}, named by spec.signing.privateKey, lacks the key {key} or does not exist. Create it:"
    " kubectl -n {namespace} create secret generic {secret} --from-file={key}=NAME.key",
    FeedbackKeyUnset="spec.online.log is set, and spec.online.keys.impressions is not: answers are signed, so that nobody can"
    " claim what was not shown. Make a key and name its Secret: openssl rand -base64 32 > 1.key;"
    " kubectl -n {namespace} create secret generic impressions --from-file=1.key",
    FeedbackSecretMissing="Secret {secret}, named by {field}, does not exist in namespace {namespace}. Create it.",
    FeedbackSecretKeyMissing="Secret {secret}, named by {field}, lacks the key {key}. Add it.",
    ForeignObject="{object} exists and was not made by this Recommender. It is left alone. Remove it: {detail}",
    QuotaExceeded="The namespace's quota does not allow it: {detail}",
    Forbidden="The cluster does not allow it: {detail}",
    ApplyFailed="{object} could not be written and is tried again: {detail}",
    TrainerMissing="spec.training.nodes is above 1, and the cluster does not know {object}: the Kubeflow Trainer, 2.1 or"
    " later, is not installed. Install it (`shoploop doctor` says how), or set spec.training.nodes to 1.",
    TrainerUnready="The Kubeflow Trainer does not answer about {object} and is asked again: {detail}",
    TrainJobRefused="The Kubeflow Trainer refuses {object} and is asked again: {detail} shoploop writes what its versions 2.1"
    " to 2.3 share: install one of them, or set spec.training.nodes to 1.",
    RunnerEndpointUnset="spec.runner.type is KubeflowPipelines, and spec.runner.endpoint is not set. Name its API, e.g."
    " http://ml-pipeline.kubeflow:8888, or set spec.runner.type to Job.",
    RunnerRefuses="{problems}",
    DataClaimMissing="spec.{field} is {uri}, a relative path, and on a cluster such a path is read from spec.data.claim,"
    " which is not set. Name the PersistentVolumeClaim with the files there, or copy them into the store:"
    " shoploop data push -f recommender.yaml",
    # runs
    RunPending="Run {run} is about to start.",
    RunWaits="Run {run} goes on once its former pod {pod} has ended.",
    Running="Run {run} is at part {part} of {parts}: {steps}.",
    RunStalled="Run {run} cannot go on: {detail}",
    RunFailed="Run {run} failed: {detail} Change the spec, or ask for a run: "
    f"kubectl annotate recommender {{name}} {RUN_ANNOTATION}=$(date +%s) --overwrite",
    RunSucceeded="Run {run} made version {version}.",
    GateRefused="Run {run} made version {version}, which the gate refused by the rule {rule}: {why} See its report.",
    VerdictLost="Run {run} made version {version}, but what the gate said about it is recorded nowhere, so nothing is"
    f" promoted by it. Ask for a run: kubectl annotate recommender {{name}} {RUN_ANNOTATION}=$(date +%s) --overwrite",
    Renewed="Renewal {run} made version {version}. {why}",
    NothingToRenew="Renewal {run} found nothing new, and what serves goes on serving: {detail}",
    RenewalOvertaken="Renewal {run} made version {version} of {parent}, which was not to be replaced any more: {why}. The"
    " version is put aside.",
    RenewalFailed="Renewal {run} failed, and what serves goes on serving: {detail} Mend it, and ask for another:"
    f" kubectl annotate recommender {{name}} {RENEW_ANNOTATION}=$(date +%s) --overwrite",
    RenewalCollects="Renewal {run} begins once what was collected has become interactions.",
    RenewalNotDue="Nothing asks for a renewal.",
    RenewalGivenUp="Renewal {run} was given up, since the spec was changed meanwhile; a renewal follows what that asks for.",
    RenewalWaits="A renewal is due, because of {asked}, and waits: {why}.",
    JobFailed="{detail}",
    ResultLost="its last pod was removed before its result was read.",
    ResultUnreadable="its last pod left no result that can be read: {detail}",
    IncumbentNotCompared="Run {run} could not compare its version {version} with {incumbent}, which served, so the gate"
    " asked it to be better than the best simple baseline: {why}",
    IncumbentCompared="Run {run} compared its version {version} with {incumbent}, which served.",
    NoIncumbent="No version served that run {run} had to compare its own with.",
    NoRunYet="No run was started yet.",
    NoRunNeeded="A version was made and judged by this spec.",
    Suspended="spec.suspend is true: nothing is started or promoted until it is false.",
    Superseded="the spec changed meanwhile.",
    NoVersion="There is no version that passed the gate.",
    PackageMissing="Version {version} has no Bento on record, so it cannot be released. Ask for a run:"
    f" kubectl annotate recommender {{name}} {RUN_ANNOTATION}=$(date +%s) --overwrite",
    ServesRefused="Version {version} serves, though the gate's last word on it is a refusal (run {run}, rule {rule}):"
    " {why}",
    ServesUnjudged="Version {version} serves, though nothing that the gate said about it is on record: {why}",
    RecordMissing="Version {version} serves, but its ModelVersion is gone: its release is left as it is until a run makes"
    f" a record. Ask for one: kubectl annotate recommender {{name}} {RUN_ANNOTATION}=$(date +%s) --overwrite",
    DataCheckFailed="Nobody can tell whether the data changed: {detail}",
    # releases
    Released="Helm release {release} is at revision {revision} with version {version}.",
    Releasing="Helm release {release} is being brought to version {version}.",
    ReleaseFailed="Helm release {release} failed and is tried again: {detail}",
    ValuesRefused="charts/recommender refuses its values: {detail}",
    NotReleased="Nothing is released.",
    ReleaseHeld="Revision {revision} of Helm release {release} was not made by the operator ({description}), so it is"
    " held: nothing is repaired or promoted until the spec changes, or"
    f" kubectl annotate recommender {{name}} {RESUME_ANNOTATION}={{revision}} --overwrite",
    NotHeld="The release is the operator's.",
    PodsNotReady="{ready} of {wanted} pods of version {version} are ready.",
    PodsStalled="{ready} of {wanted} pods of version {version} are ready: {detail}",
    # learning between two runs
    OnlineLogUnset="spec.online.enabled is true, and spec.online.log is not set: it is learned from the events there."
    " Name a log: {{type: Redis, connection: redis:6379}}, or for one pod {{type: Sqlite}}.",
    Learning="What comes is learned on top of version {version}{more}.",
    CompactionFailed="What was collected did not become interactions, so the next run does not learn from it: {detail}",
    OnlineOff="spec.online.enabled is false: nothing is learned between two runs.",
    LearnerOff="There are no pods to learn from, as spec.serving.replicas asks.",
    LearnerStarting="The learner starts: {detail}.",
    LearnerWaits="The learner waits: {detail} What came is learned when it is back.",
    LearnerHalted="The learner does not go on ({code}): {detail}",
    LearnerStalled="The learner cannot start: {detail}",
    LearnerUnreachable="Nobody knows how far learning is: {detail}. Let the operator reach it: online.learner.from of"
    " charts/recommender, networkPolicy.egress of charts/shoploop.",
    GuardrailTripped="Learning on top of version {version} was stopped, and commit {served} is served: {detail} Go on:"
    " kubectl annotate recommender {name} {annotation}='resume WHY' --overwrite",
    LearningFrozen="Learning on top of version {version} was stopped, and commit {served} is served: {detail} Go on:"
    " kubectl annotate recommender {name} {annotation}='resume WHY' --overwrite",
    # who serves, and who is tried beside
    CandidateBegins="Version {version} is about to be tried beside the one that serves.",
    CandidateAnswers="Version {version} answers {percent} % of users; {stable} answers the others.",
    CandidateInShadow="Version {version} answers in the shadow; {stable} answers all users.",
    CandidateReturned="Version {version} answers no more: {reason}. {stable} answers all users.",
    CandidateEnded="Version {version} is no candidate any more: {reason}. {stable} answers all users.",
    CandidateOtherCode="Version {version} was packaged by other serving code than {stable}, so it cannot be tried beside it."
    " Promote it, which makes new pods, or make both versions anew:"
    " kubectl annotate recommender {name} {annotation}='promote {version}' --overwrite",
    CandidateRefused="Version {version} cannot be tried: {detail}",
    NoCandidate="No version is tried beside the one that serves.",
    CatchingUp="{detail}",
    PromotionHeld="{detail}",
    PredictorsUnreachable="Nobody knows which version the predictors serve: {detail}. Let the operator reach their updaters:"
    " promotions.from of charts/recommender, networkPolicy.egress of charts/shoploop.",
    # the rest
    AsWanted="Nothing is under way.",
    VersionTooOld="Version {version} was made {days} days ago; spec.gate.maxAgeDays is {limit}.",
    AllWell="Nothing is amiss.",
    Deleting="It is being deleted: {detail}.",
    # events only
    RunStarted="Run {run} starts, because of {why}.",
    RenewalStarted="Renewal {run} of version {version} starts, because of {why}.",
    RunDiscarded="Run {run} is given up: {detail}",
    RunMoved="Run {run} goes on in other pods, as the spec now asks; steps that are done are kept.",
    VersionRecorded="Version {version} is recorded; the gate {verdict} it.",
    Promoted="Version {version} is promoted.",
    Exchanged="Version {version} serves, in place of {before}.",
    ServeDecided="{what}: it is in the store, and predictors follow.",
    ServeNotDecided="{what}: it could not be done: {detail}",
    ServeAnnotationUnread="The annotation {annotation} is {value!r}, which says nothing that there is. Write promote VERSION,"
    " rollback, candidate VERSION 10, candidate VERSION shadow or end, and why: e.g. 'rollback it sells less'.",
    Repaired="Put back as revision {revision} has it: {objects}.",
    Pruned="{objects} went beyond spec.retention and were removed.",
    OnlineDecided="{value}: it is in the chain of version {version}.",
    OnlineNotDecided="{value}: it could not be done: {detail}",
    OnlineAnnotationUnread="The annotation {annotation} is {value!r}, which says nothing that there is. Write pin N, unpin,"
    " rollback N or resume, and why: e.g. 'rollback 12 a flood of clicks'.",
    ReleaseResumed="Revision {revision} is no longer held.",
    ReleaseRecovered="Revision {revision} was left half made by an operator that ended, and is made again.",
    DeletionTimedOut="Its children were not gone after {seconds:.0f} s, and it no longer waits: {detail}",
    PodsLeft="The store is emptied though {pods} did not end within {seconds:.0f} s, as on a node that nobody reaches."
    " What is written there from now on stays.",
    StoreLeft="Nothing at {path} is removed, though spec.deletionPolicy is Delete: {other} keeps its versions there.",
    Uninstalled="Helm release {release} is uninstalled.",
)

WARNINGS = frozenset(
    {
        *KUBEFLOW, "RunnerEndpointUnset", "RunnerRefuses",
        "SpecInvalid", "NotBuilt", "StoreTaken", "VersionNotFound", "ScheduleNeverFires", "SecretMissing",
        "SecretKeyMissing", "SigningIncomplete", "SigningKeyMissing", "ForeignObject", "QuotaExceeded", "Forbidden",
        "ApplyFailed", "RunStalled", "RunFailed", "GateRefused", "ReleaseFailed", "ValuesRefused", "ReleaseHeld",
        "PodsStalled", "VersionTooOld", "DataCheckFailed", "DeletionTimedOut", "RunDiscarded", "ReleaseRecovered",
        "VerdictLost", "IncumbentNotCompared", "PackageMissing", "ServesRefused", "ServesUnjudged", "RecordMissing",
        "DataClaimMissing", "OnlineLogUnset", "LearnerHalted", "LearnerStalled", "LearnerUnreachable",
        "GuardrailTripped", "LearningFrozen", "LearnerWaits", "OnlineNotDecided", "OnlineAnnotationUnread",
        "CompactionFailed", "RenewalFailed",
        "CandidateReturned", "CandidateOtherCode", "CandidateRefused", "PromotionHeld", "PredictorsUnreachable",
        "ServeNotDecided", "ServeAnnotationUnread", "FeedbackKeyUnset", "FeedbackSecretMissing", "FeedbackSecretKeyMissing",
        "TrainerMissing", "TrainerUnready", "TrainJobRefused", "PodsLeft", "StoreLeft",
    }
)  # fmt: skip
"""Reasons whose events are warnings."""


def say(reason: str, /, **values: object) -> Found:
    """The reason of that name, with its sentence filled in."""
    return found(REASONS[reason], **values)


def incumbent_not_compared(run: Mapping[str, Any] | None) -> dict[str, tuple[bool, Found]]:
    """The condition of that name, of the last run that made a version; nothing while there is no other word on it."""
    if run is None or run["phase"] != "Succeeded":
        return {}
    about, seen = {"run": run["id"], "version": run.get("version", "")}, run.get("incumbent")
    if seen is None:
        return {"IncumbentNotCompared": (False, say("NoIncumbent", run=run["id"]))}
    if seen["compared"] is True:
        return {"IncumbentNotCompared": (False, say("IncumbentCompared", **about, incumbent=seen["version"]))}
    why = say("IncumbentNotCompared", **about, incumbent=seen["version"], why=seen.get("whyNot", ""))
    return {"IncumbentNotCompared": (True, why)}


def timestamp(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


SEE = "The condition {type} says why."


def told_once(conditions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each message by one condition: the one that is named as the reason, else the first; the others name that one."""
    tellers: dict[str, str] = {}
    for condition in conditions:
        if condition["reason"] == condition["type"]:
            tellers[condition["message"]] = condition["type"]
        tellers.setdefault(condition["message"], condition["type"])
    told = []
    for condition in conditions:
        teller = tellers[condition["message"]]
        told.append(condition if teller == condition["type"] else condition | {"message": SEE.format(type=teller)})
    return told


def spelt_out(conditions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The conditions with a message of their own, as they were before :func:`told_once`."""
    messages = {condition["type"]: condition.get("message", "") for condition in conditions}
    said = {SEE.format(type=type_): message for type_, message in messages.items()}
    return [condition | {"message": said.get(own := messages[condition["type"]], own)} for condition in conditions]


def merged(
    before: list[dict[str, Any]], now_found: Mapping[str, tuple[bool, Found]], *, generation: int, now: datetime
) -> list[dict[str, Any]]:
    """The conditions of a status; a condition keeps the time of its last change of status."""
    old = {condition["type"]: condition for condition in before}
    conditions = []
    for type_, (holds, why) in now_found.items():
        status = "True" if holds else "False"
        was = old.get(type_)
        since = was["lastTransitionTime"] if was and was["status"] == status else timestamp(now)
        conditions.append(
            {
                "type": type_,
                "status": status,
                "reason": why.reason,
                "message": why.message,
                "lastTransitionTime": since,
                "observedGeneration": generation,
            }
        )
    return conditions
