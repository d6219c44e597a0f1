"""Looks at Recommenders, one at a time each: observe, decide (reconcile.py), carry out.

Nothing that matters is kept here: an operator that starts anew comes to the same decisions from what the cluster says.
"""

import logging
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any
from uuid import uuid4

from shoploop.api.learner_state import LearnerState
from shoploop.api.predictor_state import PredictorState
from shoploop.api.status import ProgressStatus
from shoploop.controller import learners, metrics, predictors
from shoploop.controller.cache import Cache, Key, trimmed
from shoploop.controller.cluster import Cluster, ClusterError, Stale, kind_of
from shoploop.controller.decide import data_checks as checks
from shoploop.controller.decide import feedback, outcome, store_place
from shoploop.controller.decide.conditions import Found, say, timestamp
from shoploop.controller.decide.handed_over import LOG_LINES as HANDED_OVER_LINES
from shoploop.controller.decide.handed_over import Told, told
from shoploop.controller.decide.kinds import MODEL_VERSION, OWN, RECOMMENDER, RELEASED, SECRET, TRAINING
from shoploop.controller.decide.names import (
    COMPONENT_LABEL,
    FINALIZER,
    ONLINE_COMPONENT,
    RECOMMENDER_LABEL,
    RUN_COMPONENT,
    RUN_LABEL,
    SERVE_COMPONENT,
    Object,
    is_ours,
    learner_name,
    updater_name,
)
from shoploop.controller.decide.observed import Failure, Install, Observed, Plan, Recover, Repair, Uninstall
from shoploop.controller.decide.reconcile import desired
from shoploop.controller.decide.serving import RELEASE
from shoploop.controller.decide.settings import Settings, chart_digest
from shoploop.controller.decide.train_jobs import LOG_LINES, TRAIN_JOB, first_pod
from shoploop.controller.decide.train_jobs import progress as read_progress
from shoploop.controller.decide.versions import versions_of
from shoploop.controller.helm import Helm, HelmFailed, secret_name
from shoploop.controller.pending import Pending

log = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 5
LONGEST_RETRY_SECONDS = 300
STALE_SECONDS = 0.2
KINDS_BY_KIND = {kind.kind: kind for kind in (*OWN, *TRAINING, *RELEASED)}


class Worker:
    def __init__(
        self,
        settings: Settings,
        cluster: Cluster,
        helm: Helm,
        cache: Cache,
        *,
        ask_learner: Callable[[str, str], LearnerState | str] = learners.ask,
        ask_predictors: Callable[[str, str], tuple[PredictorState, ...] | str] = predictors.ask,
    ):
        self.settings = settings
        self.cluster = cluster
        self.helm = helm
        self.cache = cache
        self._ask_learner, self._ask_predictors = ask_learner, ask_predictors
        self.pending = Pending()
        self.chart_digest = chart_digest(settings.chart)
        self.busy_since: dict[int, float] = {}
        """Worker number to when its look began, on the monotonic clock."""

        self._failures: dict[Key, dict[str, Failure]] = {}
        self._places: dict[Key, tuple[str, int, tuple[str, str] | None]] = {}
        """Where the versions of each Recommender lie, with the uid and the generation that this was found out about."""

        self._threads: list[Thread] = []

    def start(self) -> None:
        for number in range(self.settings.workers):
            thread = Thread(target=self._work, args=(number,), name=f"worker-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, seconds: float = 20) -> None:
        """Takes nothing new, and waits for what is being done."""
        self.pending.close()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))

    def _work(self, number: int) -> None:
        while (key := self.pending.take()) is not None:
            self.busy_since[number] = began = time.monotonic()
            result, again = "error", float(FIRST_RETRY_SECONDS)
            try:
                again = self.look(key)
                result = "ok"
            except Stale:
                result, again = "stale", STALE_SECONDS
            except ClusterError as error:
                log.warning("%s/%s: %s", *key, error)
            except Exception:
                log.exception("%s/%s: a look failed", *key)
            finally:
                self.busy_since.pop(number, None)
                self.pending.done(key)
                if self.cache.recommender(key) is not None:
                    self.pending.add(key, again)
                metrics.RECONCILES.labels(result).inc()
                metrics.RECONCILE_SECONDS.observe(time.monotonic() - began)
                metrics.QUEUE.set(len(self.pending))

    def look(self, key: Key) -> float:
        """One look at one Recommender; returns after how many seconds the next is due."""
        recommender = self.cache.recommender(key)
        if recommender is None:
            self._failures.pop(key, None)
            self._places.pop(key, None)
            return 0
        plan = desired(recommender, self._observe(key, recommender), self.settings, chart_digest=self.chart_digest)
        return self._carry_out(key, recommender, plan)

    # what there is

    def _observe(self, key: Key, recommender: Object) -> Observed:
        children = self.cache.children(key) | self._training(key, recommender)
        releases = self.cache.releases(key)
        store = recommender["spec"].get("store", {})
        reference = store.get("secretRef")
        private = recommender["spec"].get("signing", {}).get("privateKey")
        pods, warnings = self._pods(key, recommender, children)
        return Observed(
            now=datetime.now(UTC),
            children=children,
            releases=releases,
            pods=pods,
            warnings=warnings,
            secret_keys=self.cluster.secret_keys(key[0], reference["name"]) if reference else None,
            signing_keys=self.cluster.secret_keys(key[0], private["name"]) if private else None,
            feedback_secrets={
                name: self.cluster.secret_keys(key[0], name)
                for name in sorted(feedback.secret_names(recommender["spec"]))
            },
            learner=self._learner(key, recommender, children),
            predictors=self._predictors(key, recommender, children),
            progress=self._progress(key, recommender, children, pods),
            handed_over=self._handed_over(key, recommender, children, pods),
            rival=self._rival(recommender),
            failures=self._failures.get(key, {}),
        )

    def _training(self, key: Key, recommender: Object) -> dict[tuple[str, str], Object]:
        """What the Kubeflow Trainer has of the Recommender, while a run may need it; nothing where there is no Trainer."""
        run = recommender.get("status", {}).get("run") or {}
        nodes = max(recommender["spec"].get("training", {}).get("nodes", 1), run.get("nodes", 1))
        if nodes == 1 or run.get("phase") != "Running":
            return {}
        found: dict[tuple[str, str], Object] = {}
        for kind in TRAINING:
            try:
                there = self.cluster.find(kind, key[0], labels=f"{RECOMMENDER_LABEL}={key[1]}")
            except ClusterError as error:
                if error.status != 404:
                    raise
                there = []
            found |= {(kind.kind, live["metadata"]["name"]): trimmed(kind, live) for live in there}
        return found

    def _progress(
        self, key: Key, recommender: Object, children: dict[tuple[str, str], Object], pods: tuple[Object, ...]
    ) -> ProgressStatus | None:
        """How far a training on several machines is, by the log of its first pod: also once it has ended, or what came
        between the last look and the end would never be told."""
        run = (recommender.get("status") or {}).get("run") or {}
        for (kind, _), live in children.items():
            if kind != TRAIN_JOB.kind or live["metadata"].get("labels", {}).get(RUN_LABEL) != run.get("id"):
                continue
            if outcome.state(live) in ("Active", "Complete") and (pod := first_pod(live, pods)):
                return read_progress(self.cluster.log_end(key[0], pod, LOG_LINES) or "")
        return None

    def _handed_over(
        self, key: Key, recommender: Object, children: dict[tuple[str, str], Object], pods: tuple[Object, ...]
    ) -> Told | None:
        """What the pod says that waits for a run on Kubeflow Pipelines, while it does."""
        if recommender["spec"].get("runner", {}).get("type") != "KubeflowPipelines":
            return None
        for (kind, _), live in children.items():
            if kind != "Job" or live["metadata"].get("labels", {}).get(COMPONENT_LABEL) != RUN_COMPONENT:
                continue
            if outcome.state(live) == "Active" and (own := outcome.pods_of(live, pods)):
                return told(self.cluster.log_end(key[0], own[-1]["metadata"]["name"], HANDED_OVER_LINES) or "")
        return None

    def _learner(
        self, key: Key, recommender: Object, children: dict[tuple[str, str], Object]
    ) -> LearnerState | str | None:
        """What the learner says of itself, where there is one."""
        wanted = (recommender["spec"].get("online") or {}).get("enabled") is True
        there = ("Service", learner_name(key[1])) in children
        return (
            self._ask_learner(*key) if wanted and there and "deletionTimestamp" not in recommender["metadata"] else None
        )

    def _predictors(
        self, key: Key, recommender: Object, children: dict[tuple[str, str], Object]
    ) -> tuple[PredictorState, ...] | str:
        """What the updaters of its pods say, where there are any."""
        live = children.get(("Deployment", f"{key[1]}-predictor"))
        there = ("Service", updater_name(key[1])) in children and live is not None and live["spec"].get("replicas", 1)
        return self._ask_predictors(*key) if there and "deletionTimestamp" not in recommender["metadata"] else ()

    def _pods(
        self, key: Key, recommender: Object, children: dict[tuple[str, str], Object]
    ) -> tuple[tuple[Object, ...], dict[str, str]]:
        """Pods, and why Jobs made none; only while something is under way, so that an idle cluster is left alone."""
        run = recommender.get("status", {}).get("run") or {}
        running = run.get("phase") == "Running"
        recorded = any(
            v.id == run.get("version") and v.verdict_of(run["id"]) for v in versions_of(recommender, children)
        )
        lost = run.get("phase") == "Succeeded" and bool(run.get("version")) and not recorded
        unready = any(kind == "Deployment" and not _is_ready(live) for (kind, _), live in children.items())
        deleting = "deletionTimestamp" in recommender["metadata"]
        checking = bool(checks.jobs(children)) or _decides(children)
        if not (running or unready or deleting or lost or checking):
            return (), {}
        pods = tuple(self.cluster.pods(key[0], f"{RECOMMENDER_LABEL}={key[1]}"))
        warnings = {}
        for (kind, name), live in children.items():
            if kind in ("Job", TRAIN_JOB.kind) and outcome.state(live) == "Active" and not outcome.pods_of(live, pods):
                message = self.cluster.pod_failures(key[0], live)
                if message:
                    warnings[name] = message
        return pods, warnings

    def _rival(self, recommender: Object) -> str | None:
        """An older Recommender whose versions lie at the same place."""
        place = self._place(recommender)
        if place is None:
            return None
        rank = _rank(recommender)
        for other in self.cache.recommenders():
            if _rank(other) < rank and self._place(other) == place:
                return f"{other['metadata']['namespace']}/{other['metadata']['name']}"
        return None

    def _place(self, recommender: Object) -> tuple[str, str] | None:
        meta, key = recommender["metadata"], _key(recommender)
        uid, generation, place = self._places.get(key, ("", 0, None))
        if (uid, generation) != (meta["uid"], meta["generation"]):
            place = store_place.place(recommender)
            self._places[key] = (meta["uid"], meta["generation"], place)
            if self.cache.recommender(key) is None:  # it went meanwhile, and whoever forgets it was here before
                self._places.pop(key, None)
        return place

    # what is done

    def _carry_out(self, key: Key, recommender: Object, plan: Plan) -> float:
        has = FINALIZER in recommender["metadata"].get("finalizers", [])
        if plan.finalizer and not has:
            self.cache.put(RECOMMENDER, self.cluster.set_finalizer(recommender, True))
            return 0
        if plan.status != recommender.get("status", {}) and plan.finalizer:
            # first, so that an operator that is killed now finds the run it has begun
            recommender = self.cluster.set_status(recommender, plan.status)
            self.cache.put(RECOMMENDER, recommender)
        for event in plan.events:
            self._tell(recommender, event.type, event.reason, event.message)
        if not plan.finalizer:
            if has:
                self.cluster.set_finalizer(recommender, False)
            return self.settings.resync_seconds
        before = self._failures.get(key, {})
        after = self._do(recommender, plan, before)
        self._failures[key] = after
        if {name: f.found for name, f in after.items()} != {name: f.found for name, f in before.items()}:
            return 0
        waits = [max((failure.retry_at - datetime.now(UTC)).total_seconds(), 0.1) for failure in after.values()]
        if plan.requeue_seconds is not None:
            waits.append(plan.requeue_seconds)
        return min(waits, default=self.settings.resync_seconds * random.uniform(0.9, 1.1))

    def _do(self, recommender: Object, plan: Plan, before: dict[str, Failure]) -> dict[str, Failure]:
        """Carries out what a plan asks for; returns what did not work."""
        namespace = recommender["metadata"]["namespace"]
        after: dict[str, Failure] = {}

        def attempt(what: str, action: Callable[[], None]) -> bool:
            failure = self._attempt(recommender, what, action, before.get(what))
            if failure is not None:
                after[what] = failure
            return failure is None

        written = True
        for wanted in plan.apply:
            what = f"apply:{wanted['kind']}/{wanted['metadata']['name']}"
            written = attempt(what, lambda wanted=wanted: self._apply_own(recommender, wanted))  # type: ignore[misc]
            if not written:
                break  # what comes next needs it
        for name, status in plan.version_status.items():
            marked = attempt(f"status:{name}", lambda name=name, status=status: self._mark(recommender, name, status))  # type: ignore[misc]
            written = written and marked
        # nothing is promoted before it is on record why it may serve
        if plan.release is not None and (written or not isinstance(plan.release, Install)):
            attempt(RELEASE, lambda: self._release(namespace, plan))
        for kind, name in plan.delete:
            attempt(
                f"delete:{kind}/{name}",
                lambda kind=kind, name=name: self.cluster.delete(KINDS_BY_KIND[kind], namespace, name),  # type: ignore[misc]
            )
        return after

    def _attempt(
        self, recommender: Object, what: str, action: Callable[[], None], before: Failure | None
    ) -> Failure | None:
        generation = recommender["metadata"]["generation"]
        now = datetime.now(UTC)
        if before and before.generation == generation and now < before.retry_at:
            return before
        try:
            action()
            return None
        except Stale:
            raise
        except (ClusterError, HelmFailed, _ForeignObject) as error:
            attempts = before.attempts + 1 if before and before.generation == generation else 1
            wait = min(FIRST_RETRY_SECONDS * 2 ** (attempts - 1), LONGEST_RETRY_SECONDS)
            log.warning("%s/%s: %s: %s", *_key(recommender), what, error)
            return Failure(
                what=what, found=error.found, attempts=attempts, retry_at=now + timedelta(seconds=wait),
                generation=generation,
            )  # fmt: skip

    def _apply_own(self, recommender: Object, wanted: Object) -> None:
        """Writes an object of the operator's own, unless somebody else's has its name."""
        kind, meta = kind_of(wanted), wanted["metadata"]
        live = self.cluster.get(kind, meta["namespace"], meta["name"])
        if live is not None and not is_ours(live, recommender):
            raise _ForeignObject(f"{kind.kind} {meta['name']}", f"kubectl delete {kind.plural} {meta['name']}")
        if live is None or kind is not MODEL_VERSION:  # a record is written once
            live = self.cluster.apply(wanted)
        if kind not in TRAINING:  # they are asked for
            self.cache.put(kind, live)

    def _release(self, namespace: str, plan: Plan) -> None:
        match plan.release:
            case Install() as install:
                self._helm("install", lambda: self._install(namespace, install))
            case Uninstall(name=name):
                self._helm("uninstall", lambda: self.helm.uninstall(namespace, name))
                self._see_releases(namespace, name)
            case Recover(name=name, revision=revision):
                self.cluster.delete(SECRET, namespace, secret_name(name, revision))
                self._see_releases(namespace, name)
            case Repair(objects=objects):
                for wanted in objects:
                    placed = {**wanted, "metadata": {"namespace": namespace, **wanted["metadata"]}}
                    self.cache.put(kind_of(placed), self.cluster.apply(placed))
                    metrics.REPAIRS.inc()

    def _install(self, namespace: str, action: Install) -> None:
        """Never over a release that somebody else made: those do not carry our label, so no watch told of them."""
        if not self.cache.releases((namespace, action.name)):
            found = self.cluster.find(SECRET, namespace, labels=f"owner=helm,name={action.name},!{RECOMMENDER_LABEL}")
            if found:
                raise _ForeignObject(f"Helm release {action.name}", f"helm uninstall {action.name} -n {namespace}")
        try:
            self.helm.install(namespace, action)
        finally:
            self._see_releases(namespace, action.name)

    def _see_releases(self, namespace: str, name: str) -> None:
        """Reads what Helm just wrote: the next decision must not wait for a watch."""
        found = self.cluster.find(SECRET, namespace, labels=f"owner=helm,{RECOMMENDER_LABEL}={name}")
        there = {secret["metadata"]["name"] for secret in found}
        for secret in found:
            self.cache.put(SECRET, secret)
        for release in self.cache.releases((namespace, name)):
            if secret_name(name, release.revision) not in there:
                self.cache.remove(SECRET, namespace, secret_name(name, release.revision))

    def _helm(self, action: str, call: Callable[[], None]) -> None:
        try:
            call()
        except HelmFailed:
            metrics.HELM.labels(action, "failed").inc()
            raise
        metrics.HELM.labels(action, "ok").inc()

    def _mark(self, recommender: Object, name: str, status: dict[str, Any]) -> None:
        live = self.cache.children(_key(recommender)).get(("ModelVersion", name))
        if live is not None:
            self.cache.put(MODEL_VERSION, self.cluster.set_status(live, status))

    def _tell(self, recommender: Object, type_: str, reason: str, message: str) -> None:
        """An event that cannot be written must not keep anything from being done."""
        log.info("%s/%s: %s: %s", *_key(recommender), reason, message)
        name = f"{recommender['metadata']['name']}.{uuid4().hex[:16]}"
        try:
            self.cluster.tell(
                recommender, type_=type_, reason=reason, message=message, name=name, now=timestamp(datetime.now(UTC))
            )
        except ClusterError as error:
            log.info("%s/%s: no event %s: %s", *_key(recommender), reason, error)


class _ForeignObject(Exception):
    """Something of that name is there, and somebody else made it."""

    def __init__(self, what: str, remedy: str):
        super().__init__(f"{what} is somebody else's")
        self.found: Found = say("ForeignObject", object=what, detail=remedy)


def _key(recommender: Object) -> Key:
    return recommender["metadata"]["namespace"], recommender["metadata"]["name"]


def _rank(recommender: Object) -> tuple[str, str]:
    meta: dict[str, Any] = recommender["metadata"]
    return meta["creationTimestamp"], meta["uid"]


def _decides(children: dict[tuple[str, str], Object]) -> bool:
    """Whether a Job writes what was decided about who serves, or about online learning, or did."""
    return any(
        kind == "Job" and live["metadata"].get("labels", {}).get(COMPONENT_LABEL) in (ONLINE_COMPONENT, SERVE_COMPONENT)
        for (kind, _), live in children.items()
    )


def _is_ready(deployment: Object) -> bool:
    wanted, status = deployment["spec"].get("replicas", 1), deployment.get("status", {})
    return bool(
        status.get("readyReplicas", 0) >= wanted
        and status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    )
