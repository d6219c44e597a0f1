"""When the operator renews what serves, when it waits, and that a renewal stands for no run."""

from datetime import timedelta
from typing import Any

import pytest
from worlds import CHART_DIGEST, NOW, condition, message, said

from shoploop.api.pod_result import DataSeen, NothingNew, StepsFailed, written
from shoploop.api.predictor_state import CandidateState, PredictorState
from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.controller.decide import manifests
from shoploop.controller.decide.names import CHECK_COMPONENT
from shoploop.controller.decide.observed import Observed
from shoploop.controller.decide.reconcile import desired

SERVES, RENEWED = "v000000000001", "v00000000000a"
EVERY_NIGHT = {"cron": "0 3 * * *"}
DONE = {
    "id": "20260301-000000-abcdef", "trigger": "Spec", "cause": "x", "phase": "Succeeded", "version": SERVES,
    "startedAt": "2026-03-01T00:00:00Z", "finishedAt": "2026-03-01T00:10:00Z", "source": "d1",
}  # fmt: skip


def asks(value: str = "1") -> dict[str, Any]:
    return {"annotations": {"shoploop.io/renew": value}}


class World:
    """A Recommender whose version serves, and what becomes of it from look to look."""

    def __init__(self, make_recommender, make_version, make_deployment, make_release, make_job, settings):
        self.make_recommender, self.make_version, self.make_job = make_recommender, make_version, make_job
        self.deployment, self.make_release, self.settings = make_deployment(), make_release, settings
        self.predictors: Any = ()
        self.children: list[Any] = []
        self.pods: tuple[Any, ...] = ()
        self.feedback: dict[str, frozenset[str]] = {}
        self.now = NOW
        self.begin()

    def begin(self, *, meta: dict[str, Any] | None = None, run: dict[str, Any] | None = None, **spec: Any) -> None:
        """The run of this spec made the version, which is promoted and serves; ``run`` changes what is told of it."""
        self.recommender = self.make_recommender(meta=meta, **spec)
        known = RecommenderSpec.model_validate(self.recommender["spec"])
        self.spec_hash = manifests.spec_hash(known)
        record = self.make_version(SERVES, spec_hash=self.spec_hash)
        record["spec"] |= {"lineage": {"data": "d1"}}
        verdict = record["status"]["verdicts"][0]
        verdict |= {"run": DONE["id"], "time": DONE["finishedAt"]}
        self.versions = [record]
        ended = DONE | {"specHash": self.spec_hash, "podHash": manifests.pod_hash(known)} | (run or {})
        serving = {"request": f"{SERVES} {DONE['id']}", "promoted": SERVES}
        self.recommender["status"] = {"version": SERVES, "run": ended, "serving": serving}
        self.release = self.make_release(self.recommender, record, self.settings)

    def look(self, **later: float) -> Any:
        """What is decided now; what is told of it is the status of the next look."""
        self.now += timedelta(**later)
        things = [*self.versions, self.deployment, *self.children]
        for number, thing in enumerate(things):
            thing["metadata"].setdefault("uid", f"uid-{number}")
        observed = Observed(
            now=self.now, releases=(self.release,), pods=self.pods, predictors=self.predictors,
            feedback_secrets=self.feedback,
            children={(thing["kind"], thing["metadata"]["name"]): thing for thing in things},
        )  # fmt: skip
        plan = desired(self.recommender, observed, self.settings, chart_digest=CHART_DIGEST)
        self.recommender = self.recommender | {"status": plan.status}
        return plan

    def change(self, **spec: Any) -> None:
        self.recommender["spec"] = self.make_recommender(**spec)["spec"]

    def annotate(self, value: str) -> None:
        self.recommender["metadata"] |= asks(value)

    def ends(self, said: str, *, state: str = "Complete", exit_code: int = 0) -> Any:
        """The Job of what is under way ends so; the look after that."""
        run = self.recommender["status"]["run"]
        job, pods = self.make_job(
            self.recommender, run["id"], self.settings, state=state, said=said, exit_code=exit_code
        )
        self.children, self.pods = [job], tuple(pods)
        plan = self.look(minutes=2)
        for thing in plan.apply:
            if thing["kind"] == "ModelVersion":
                status = plan.version_status[thing["metadata"]["name"]]
                thing["metadata"]["creationTimestamp"] = f"{self.now:%Y-%m-%dT%H:%M:%SZ}"
                self.versions.append(thing | {"status": status})
        return plan

    def sees(self, looks: Any, source: str) -> None:
        """The Job that looks at the data has ended, and tells their digest."""
        told = {"terminated": {"exitCode": 0, "message": written(DataSeen(source=source))}}
        looks = looks | {"status": {"conditions": [{"type": "Complete", "status": "True"}]}}
        looks["metadata"]["uid"] = "looks"
        owner = {"name": "p", "ownerReferences": [{"uid": "looks"}]}
        self.children = [looks]
        self.pods = ({"metadata": owner, "status": {"containerStatuses": [{"name": "steps", "state": told}]}},)

    def renews(self, **later: float) -> bool:
        """Whether a renewal is under way after a look."""
        run = self.look(**later).status["run"]
        return (run["trigger"], run["phase"]) == ("Renewal", "Running")


@pytest.fixture
def world(make_recommender, make_version, make_deployment, make_release, make_job, settings):
    return World(make_recommender, make_version, make_deployment, make_release, make_job, settings)


def renewal_said(**more: Any) -> str:
    return said(RENEWED, parent=SERVES, source="d2", metrics={}, **more)


def test_nobody_who_asks_for_none_gets_a_renewal(world):
    before = world.recommender["status"]["run"]
    assert world.look().status["run"] == before and not world.renews(hours=48)


def test_an_annotation_asks_for_one_renewal_and_another_value_for_another(world):
    world.begin(meta=asks("1"))
    assert world.renews()
    world.ends(written(NothingNew(reason="It is all known.")))
    assert not world.renews(minutes=1)
    world.annotate("2")
    assert world.renews(minutes=1)


def test_a_schedule_asks_at_its_time_and_the_last_run_or_renewal_counts(world):
    world.begin(renewal=EVERY_NIGHT, run={"finishedAt": "2026-03-02T03:00:01Z"})
    assert not world.renews()
    plan = world.look()
    assert plan.requeue_seconds is not None and plan.requeue_seconds <= 15 * 3600 + 1
    assert world.renews(hours=15, seconds=2)
    assert world.recommender["status"]["run"]["cause"] == "2026-03-03T03:00:00Z"
    world.ends(written(NothingNew(reason="It is all known.")))
    assert not world.renews(hours=1)


def test_one_pod_of_the_pipeline_image_does_it_without_a_gpu_where_the_spec_of_the_run_lies(world):
    world.begin(meta=asks(), training={"resources": {"gpu": 2}, "nodes": 3})
    plan = world.look()
    config, job = plan.apply
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    run = plan.status["run"]
    words = ["python", "-m", "shoploop.runs", "renew", "--spec", "/etc/shoploop/recommender.json", "--run", run["id"]]
    assert container["args"] == [*words, "--store", "s3://shop/loop"]
    assert container["image"] == "localhost/pipeline:1"
    assert "nvidia.com/gpu" not in container["resources"]["limits"] and "nodes" not in run
    assert f'"shoploop.io/serving": "{SERVES}"' in config["data"]["recommender.json"]


def test_where_kubeflow_carries_runs_out_the_operator_renews_by_a_job_of_its_own(world):
    runner = {"type": "KubeflowPipelines", "endpoint": "http://ml-pipeline.kubeflow:8888", "image": "registry.io/all:1"}
    world.begin(meta=asks(), runner=runner)
    assert "renew" in world.look().apply[-1]["spec"]["template"]["spec"]["containers"][0]["args"]


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"serving": {"pinnedVersion": SERVES}}, "spec.serving.pinnedVersion names v000000000001"),
        ({"suspend": True}, None),
    ],
    ids=["pinned", "suspended"],
)
def test_what_somebody_has_decided_is_left_as_it_is(world, spec, why):
    world.begin(meta=asks(), renewal=EVERY_NIGHT, **spec)
    plan = world.look()
    assert plan.status["run"]["trigger"] == "Spec"
    if why:
        assert condition(plan, "Renewed") == ("False", "RenewalWaits") and why in message(plan, "Renewed")
    assert condition(plan, "Degraded")[0] == "False"


def test_before_a_first_version_serves_nothing_is_renewed(world):
    world.begin(meta=asks())
    world.versions, world.recommender["status"] = [], {}
    assert world.look().status["run"]["trigger"] == "Spec"
    world.begin(meta=asks())
    del world.recommender["status"]["version"]
    world.release = world.release.__class__(**vars(world.release) | {"status": "pending-install", "version": ""})
    assert not world.renews()


def state(**more: Any) -> PredictorState:
    about = {"base": SERVES, "stable": SERVES, "promoted": SERVES, "promotions": 1}
    return PredictorState.model_validate(about | more)


def test_while_a_candidate_is_tried_nothing_is_renewed(world):
    world.begin(meta=asks())
    tried = CandidateState(version="v00000000000c", number=1, percent=10, answers=True)
    world.predictors = (state(candidate=tried),)
    plan = world.look()
    assert "v00000000000c is being tried" in message(plan, "Renewed")
    world.predictors = (state(),)
    assert world.renews(minutes=1)


@pytest.mark.parametrize("predictors", [(state(promoted="v00000000000b"),), "no answer"], ids=["moving", "unknown"])
def test_while_nobody_knows_for_sure_what_serves_a_renewal_waits(world, predictors):
    world.begin(meta=asks())
    world.predictors = predictors
    assert not world.renews()
    world.predictors = (state(),)
    assert world.renews(minutes=1)


def test_a_version_that_is_about_to_be_promoted_is_waited_for(world):
    world.begin(meta=asks())
    world.versions.append(world.make_version("v00000000000b", day=2, spec_hash=world.spec_hash))
    plan = world.look()
    assert plan.status["run"]["trigger"] == "Spec" and "about to serve" in message(plan, "Renewed")


def test_weights_that_the_gate_refused_last_are_not_renewed(world):
    world.begin(meta=asks())
    world.versions[0]["status"]["verdicts"][0]["passed"] = False
    assert "last word" in message(world.look(), "Renewed")


def test_a_version_without_a_package_on_record_is_not_renewed(world):
    world.begin(meta=asks())
    world.versions[0]["status"]["packages"] = []
    assert "no Bento" in message(world.look(), "Renewed")


@pytest.mark.parametrize("by", ["spec", "schedule", "request"])
def test_a_run_that_is_due_comes_first(world, by):
    world.begin(meta=asks(), renewal=EVERY_NIGHT)
    if by == "spec":
        world.change(training={"epochs": 9})
    elif by == "schedule":
        world.change(schedule=EVERY_NIGHT)
    else:
        world.recommender["metadata"]["annotations"]["shoploop.io/run"] = "1"
    assert world.look().status["run"]["trigger"].lower() == by


def test_while_a_run_is_under_way_nothing_is_renewed(world):
    world.begin(run={"phase": "Running", "finishedAt": ""})
    world.annotate("1")
    assert not world.renews()


def test_a_look_at_the_data_that_is_not_done_is_waited_for(world):
    world.begin(meta=asks(), dataCheck={"everyMinutes": 60})
    plan = world.look()
    assert plan.status["run"]["trigger"] == "Spec"
    (looks,) = (
        one for one in plan.apply if one["metadata"]["labels"].get("app.kubernetes.io/component") == CHECK_COMPONENT
    )
    world.sees(looks, "d1")
    assert world.renews(seconds=5)


def test_its_version_is_recorded_with_its_parent_and_promoted_at_once(world):
    world.begin(meta=asks(), serving={"candidate": {"percent": 10}}, training={"resources": {"gpu": 1}})
    world.look()
    plan = world.ends(renewal_said())
    (record,) = (one for one in plan.apply if one["kind"] == "ModelVersion")
    assert record["spec"]["parent"] == SERVES
    assert record["spec"]["lineage"] == {"data": "d2", "trained": "d1", "weights": SERVES}
    assert condition(plan, "Renewed") == ("True", "Renewed")
    plan = world.look(seconds=1)
    (promotes,) = (one for one in plan.apply if "-serve-" in one["metadata"]["name"])
    words = promotes["spec"]["template"]["spec"]["containers"][0]["args"]
    assert words[words.index("--verb") + 1] == "promote" and RENEWED in words


def test_a_renewal_stands_for_no_run(world):
    """What the last run trained stays told beside it, and is what a changed spec and changed data are compared with."""
    world.begin(meta=asks(), run={"incumbent": {"version": "v000000000000", "compared": True}})
    trained = world.recommender["status"]["run"]
    world.look()
    assert world.recommender["status"]["trainingRun"] == trained
    plan = world.ends(renewal_said())
    assert plan.status["trainingRun"] == trained
    assert condition(plan, "RunSucceeded") == ("True", "RunSucceeded")
    assert condition(plan, "IncumbentNotCompared") == ("False", "IncumbentCompared")
    world.recommender["metadata"]["annotations"]["shoploop.io/run"] = "1"
    run = world.look(minutes=1).status
    assert run["run"]["trigger"] == "Request" and run["run"]["renewRequest"] == "1"
    assert "trainingRun" not in run


def test_a_spec_that_failed_to_train_is_not_taken_for_trained_because_of_a_renewal(world):
    world.begin(meta=asks())
    world.change(training={"epochs": 9})
    world.look()
    world.ends(written(StepsFailed(error="DataUnreadable", message="No.")), state="Failed", exit_code=2)
    assert world.renews(seconds=5)
    plan = world.ends(renewal_said())
    (verdict,) = plan.version_status[f"grocery-{RENEWED}"]["verdicts"]
    assert verdict["specHash"] == world.spec_hash  # of the spec that its weights were judged by
    assert condition(plan, "RunSucceeded") == ("False", "RunFailed")
    # other pods are a reason to try the failed spec again, as without the renewal
    world.change(training={"epochs": 9, "resources": {"memory": "9Gi"}})
    assert world.look(minutes=1).status["run"]["trigger"] == "Spec"


@pytest.mark.parametrize("known", [True, False], ids=["by the last run", "by the versions"])
def test_data_that_only_a_renewal_has_read_are_trained_on(world, known):
    world.begin(meta=asks())
    world.look()
    world.ends(renewal_said())
    if not known:
        del world.recommender["status"]["trainingRun"]
    world.change(dataCheck={"everyMinutes": 60})
    (looks,) = (one for one in world.look(seconds=5).apply if "-check-" in one["metadata"]["name"])
    world.sees(looks, "d2")
    run = world.look(seconds=5).status["run"]
    assert (run["trigger"], run["cause"]) == ("Data", "d2")


def test_a_renewal_of_a_renewal_says_what_its_weights_learned_from(world):
    world.begin(meta=asks())
    world.look()
    world.ends(renewal_said())
    world.recommender["status"] |= {"version": RENEWED, "serving": {"promoted": RENEWED}}
    run = world.recommender["status"]["run"]["id"]
    world.recommender["status"]["serving"]["request"] = f"{RENEWED} {run}"
    world.predictors = (state(stable=RENEWED, promoted=RENEWED),)
    world.annotate("2")
    assert world.renews(minutes=1)
    plan = world.ends(said("v00000000000b", parent=RENEWED, source="d3"))
    (record,) = (one for one in plan.apply if one["kind"] == "ModelVersion")
    assert record["spec"]["lineage"] == {"data": "d3", "trained": "d1", "weights": SERVES}


def test_a_spec_that_changes_meanwhile_is_trained_and_the_renewal_is_still_asked_for(world):
    world.begin(meta=asks())
    assert world.renews()
    world.change(training={"epochs": 9})
    plan = world.look(seconds=5)
    assert plan.status["run"]["trigger"] == "Spec" and "renewRequest" not in plan.status["run"]
    assert [event.reason for event in plan.events][:2] == ["RunDiscarded", "RunStarted"]


def test_nothing_new_is_said_in_plain_words_and_alarms_nobody(world):
    world.begin(meta=asks())
    world.look()
    plan = world.ends(written(NothingNew(reason="It was made of these very tables.", source="d1")))
    assert condition(plan, "Renewed") == ("True", "NothingToRenew")
    assert "what serves goes on serving: It was made of these very tables." in message(plan, "Renewed")
    assert condition(plan, "Degraded")[0] == "False" and condition(plan, "Ready")[0] == "True"
    assert [(event.type, event.reason) for event in plan.events] == [("Normal", "NothingToRenew")]
    again = world.look(minutes=1)
    assert condition(again, "Renewed") == ("True", "NothingToRenew") and again.events == ()


def test_a_renewal_that_fails_is_told_and_neither_what_serves_nor_a_later_run_is_the_worse_for_it(world):
    world.begin(meta=asks(), schedule={"cron": "0 3 * * *"}, run={"finishedAt": "2026-03-02T03:00:01Z"})
    world.look()
    failed = StepsFailed(error="ContractMismatch", message="The tables lack price.")
    plan = world.ends(written(failed), state="Failed", exit_code=2)
    assert condition(plan, "Renewed") == ("False", "RenewalFailed")
    assert "ContractMismatch: The tables lack price." in message(plan, "Renewed")
    assert condition(plan, "Degraded") == ("True", "RenewalFailed")
    assert condition(plan, "Ready")[0] == "True" and condition(plan, "RunSucceeded")[0] == "True"
    assert plan.status["version"] == SERVES and plan.release is None
    assert not world.renews(minutes=1)
    assert world.look(hours=16).status["run"]["trigger"] == "Schedule"


@pytest.mark.parametrize("how", ["promoted", "pinned", "gone back"])
def test_who_decides_otherwise_is_right(world, how):
    world.begin(meta=asks())
    world.look()
    if how == "pinned":
        world.change(serving={"pinnedVersion": SERVES})
    elif how == "gone back":  # from what a renewal had made of the same data
        world.versions.append(world.make_version(RENEWED, day=1, spec_hash=world.spec_hash))
    else:
        other = world.make_version("v00000000000b", day=1, spec_hash=world.spec_hash)
        world.versions.append(other)
        world.recommender["status"]["version"] = "v00000000000b"
        world.recommender["status"]["serving"]["promoted"] = "v00000000000b"
        world.predictors = (state(stable="v00000000000b", promoted="v00000000000b"),)
    plan = world.ends(renewal_said())
    assert condition(plan, "Renewed") == ("False", "RenewalOvertaken")
    assert "ModelVersion" not in [one["kind"] for one in plan.apply]
    assert "version" not in plan.status["run"]


def test_a_schedule_of_renewals_that_never_fires_is_told(world):
    world.begin(renewal={"cron": "0 3 31 2 *"})
    plan = world.look()
    assert condition(plan, "Degraded") == ("True", "ScheduleNeverFires")
    assert message(plan, "Degraded").startswith("spec.renewal.cron '0 3 31 2 *' never fires")


def test_what_was_collected_becomes_interactions_before_a_renewal_reads_them(world):
    world.feedback = {"impressions": frozenset({"1.key"}), "redis": frozenset({"password"})}
    log = {"type": "Redis", "connection": "redis:6379", "secretRef": {"name": "redis"}}
    online = {"log": log, "keys": {"impressions": {"name": "impressions"}}, "compactEveryMinutes": 10_080}
    world.begin(meta=asks(), online=online, data={"dataset": "completejourney", "feedback": True})

    def done(job, state="Complete"):
        return job | {"status": {"conditions": [{"type": state, "status": "True", "message": "no log"}]}}

    plan = world.look()
    (compacts,) = plan.apply
    assert "compact" in compacts["spec"]["template"]["spec"]["containers"][0]["args"]
    assert condition(plan, "Renewed") == ("False", "RenewalCollects")
    world.children = [compacts]
    assert world.look(seconds=5).apply == ()
    for state in ("Complete", "Failed"):
        world.children = [done(compacts, state)]
        plan = world.look(seconds=5)
        assert [one["kind"] for one in plan.apply] == ["ConfigMap", "Job"]
        assert "renew" in plan.apply[-1]["spec"]["template"]["spec"]["containers"][0]["args"]
        assert plan.delete == ()
    world.ends(written(NothingNew(reason="It is all known.")))
    world.children.append(done(compacts))
    gone = world.look(minutes=1).delete
    assert ("Job", compacts["metadata"]["name"]) in gone, "the turns go on with Jobs of their own"


def test_interactions_that_cannot_be_made_hold_up_nothing(world):
    world.feedback = {"impressions": frozenset({"1.key"}), "redis": frozenset({"password"})}
    log = {"type": "Redis", "connection": "redis:6379", "secretRef": {"name": "redis"}}
    online = {"log": log, "keys": {"impressions": {"name": "impressions"}}, "compactEveryMinutes": 10_080}
    world.begin(meta=asks(), online=online, data={"dataset": "completejourney", "feedback": True})
    (compacts,) = world.look().apply
    world.children = [compacts]
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    compacts["metadata"]["uid"] = "uid-of-it"
    pod = {
        "metadata": {"name": "p", "ownerReferences": [{"uid": "uid-of-it"}]},
        "status": {"containerStatuses": [{"name": "shoploop", "state": {"waiting": waiting}}]},
    }
    world.pods = (pod,)
    plan = world.look(seconds=5)
    assert "renew" in plan.apply[-1]["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "ImagePullBackOff" in message(plan, "Degraded")


def test_what_is_waited_for_no_longer_is_said_no_longer(world):
    world.begin(meta=asks(), serving={"pinnedVersion": SERVES})
    assert condition(world.look(), "Renewed") == ("False", "RenewalWaits")
    del world.recommender["metadata"]["annotations"]
    assert condition(world.look(minutes=1), "Renewed") == ("False", "RenewalNotDue")


@pytest.mark.parametrize("ended", [{"phase": "Failed", "version": None}, {"version": "v00000000000b"}])
def test_a_night_whose_run_brought_nothing_that_serves_has_a_renewal(world, ended):
    slot_passed = {"startedAt": "2026-03-02T03:00:01Z", "finishedAt": "2026-03-02T03:40:00Z"}
    world.begin(renewal=EVERY_NIGHT, run=slot_passed | ended)
    assert world.renews()


def test_a_renewal_that_a_changed_spec_has_ended_is_no_failure(world):
    world.begin(renewal=EVERY_NIGHT)
    assert world.renews(hours=24)
    world.change(renewal=EVERY_NIGHT, training={"epochs": 9})
    plan = world.look(minutes=1)
    assert plan.status["run"]["trigger"] == "Spec"
    assert condition(plan, "Renewed") == ("False", "RenewalNotDue")
    assert condition(plan, "Degraded")[0] == "False"
