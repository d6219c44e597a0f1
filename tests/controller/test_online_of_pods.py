"""Learning between two runs on a cluster: what it needs, what is told of it, and what a person decides by an annotation."""

import pytest
from worlds import NOW, chart_values, condition, message, situation

from shoploop.api.learner_state import Halt, LearnerState
from shoploop.controller.decide import online
from shoploop.controller.decide.names import ONLINE_ANNOTATION

VERSION, LATER = "v000000000001", "v000000000002"
ASKED = {
    "enabled": True,
    "log": {"type": "Redis", "connection": "redis:6379"},
    "keys": {"impressions": {"name": "impressions"}},
}
SECRETS = {"impressions": frozenset({"1.key"})}
LEARNS = LearnerState(version=VERSION, commit=7, served=7, settled=40, behind=0, lag_seconds=0.0)


@pytest.fixture
def told(make_recommender, make_version, make_release, make_deployment, plan, settings):
    """What is decided while a version serves and its learner says ``state``."""

    def decide(state, *objects, status=None, annotation=None, serves=VERSION, **world):
        meta = {"annotations": {ONLINE_ANNOTATION: annotation}} if annotation else {}
        before = {"version": serves} | (status or {})
        recommender = make_recommender(online=ASKED, status=before, meta=meta)
        version = make_version(serves)
        release = make_release(recommender, version, settings)
        world = {"releases": (release,), "feedback_secrets": SECRETS, "learner": state} | world
        return plan(recommender, version, make_deployment(), *objects, **world)

    return decide


def jobs(made):
    return [one for one in made.apply if one["kind"] == "Job" and "-online-" in one["metadata"]["name"]]


def told_events(made):
    return {event.reason: event.type for event in made.events}


def test_what_is_asked_for_reaches_the_chart(make_recommender, make_version, settings):
    values = chart_values(make_recommender(online=ASKED | {"optimizer": "Sgd"}), make_version(), settings)["online"]
    assert (values["enabled"], values["publishPeriodSeconds"], values["optimizer"]) == (True, 1, "Sgd")


@pytest.mark.parametrize(
    ("spec", "reason", "says"),
    [
        ({"online": {"enabled": True}, "serving": {"replicas": 1}}, "OnlineLogUnset", "spec.online.log is not set"),
    ],
)
def test_what_it_needs_is_named_and_nothing_is_changed(make_recommender, make_version, plan, spec, reason, says):
    made = plan(make_recommender(**spec), make_version(), feedback_secrets=SECRETS)
    assert condition(made, "Ready") == ("False", reason)
    assert says in message(made, "Ready")
    assert made.release is None and made.apply == ()


def test_a_learner_that_learns_makes_the_condition_true_and_tells_its_lag(told):
    made = told(LEARNS)
    assert condition(made, "OnlineLearning") == ("True", "Learning")
    assert made.status["online"] == {"lagSeconds": 0.0}
    assert made.requeue_seconds <= online.LOOK_SECONDS


@pytest.mark.parametrize(
    ("before", "now", "written"),
    [
        (None, 3.4, 3.0),
        (0.0, 1.6, 0.0),
        (5.0, 0.2, 0.0),
        (100.0, 115.0, 100.0),
        (100.0, 130.0, 130.0),
        (4.0, None, None),
    ],
)
def test_a_lag_that_hardly_moved_is_not_written_anew(told, before, now, written):
    status = {"online": {"lagSeconds": before}} if before is not None else {}
    state = LEARNS.model_copy(update={"lag_seconds": now})
    assert told(state, status=status).status["online"].get("lagSeconds") == written


def test_a_trip_is_told_as_an_event_with_what_to_do_and_degrades_while_it_serves_on(told):
    why = "progressive_loss: On the last 200 examples what was learned is more surprised."
    made = told(LEARNS.model_copy(update={"frozen": why, "served": 9, "commit": 9, "lag_seconds": 12.0}))
    assert condition(made, "OnlineLearning") == ("False", "GuardrailTripped")
    assert why in message(made, "OnlineLearning") and "shoploop.io/online='resume WHY'" in message(
        made, "OnlineLearning"
    )
    assert told_events(made)["GuardrailTripped"] == "Warning"
    assert condition(made, "Degraded") == ("True", "GuardrailTripped")
    assert condition(made, "Ready")[0] == "True"
    assert made.status["online"] == {"lagSeconds": 12.0, "frozen": why}


def test_a_trip_is_told_once(told):
    state = LEARNS.model_copy(update={"frozen": "not_finite: What was learned holds NaN."})
    first = told(state)
    again = told(state, status={"conditions": first.status["conditions"], "online": first.status["online"]})
    assert "GuardrailTripped" not in told_events(again)


@pytest.mark.parametrize(
    ("state", "reason", "says"),
    [
        (
            LEARNS.model_copy(update={"halt": Halt(code="LogGap", message="9 records are gone.")}),
            "LearnerHalted",
            "LogGap",
        ),
        (LEARNS.model_copy(update={"waits_for": "Redis does not answer."}), "LearnerWaits", "Redis does not answer."),
        (LEARNS.model_copy(update={"settled": None}), "LearnerStarting", "takes up"),
        ("http://x does not answer", "LearnerStarting", "does not answer"),
        (None, "LearnerStarting", "not asked"),
    ],
)
def test_whatever_keeps_it_from_learning_is_named(told, state, reason, says):
    made = told(state)
    assert condition(made, "OnlineLearning") == ("False", reason)
    assert says in message(made, "OnlineLearning")
    assert condition(made, "Ready")[0] == "True"


def test_a_learner_that_is_silent_for_long_is_called_unreachable(told):
    since = {"type": "OnlineLearning", "status": "False", "reason": "LearnerStarting", "message": "x"}
    for minute, reason in (("11:59", "LearnerStarting"), ("11:50", "LearnerUnreachable")):
        seen = since | {"lastTransitionTime": f"2026-03-02T{minute}:00Z", "observedGeneration": 1}
        made = told("it does not answer", status={"conditions": [seen]})
        assert condition(made, "OnlineLearning") == ("False", reason), NOW


@pytest.mark.parametrize(("minute", "again"), [("11:59", online.LOOK_SECONDS), ("11:50", online.UNREACHABLE_SECONDS)])
def test_a_learner_that_is_silent_for_long_is_asked_less_often(
    make_recommender, make_version, make_release, settings, minute, again
):
    seen = {"type": "OnlineLearning", "status": "False", "reason": "LearnerStarting", "message": "x"}
    seen |= {"lastTransitionTime": f"2026-03-02T{minute}:00Z", "observedGeneration": 1}
    recommender = make_recommender(online=ASKED, status={"conditions": [seen]})
    releases = (make_release(recommender, make_version(), settings),)
    about = situation(recommender, settings=settings, releases=releases, learner="it does not answer")
    assert online.look(about, VERSION).requeue_seconds == again


@pytest.mark.parametrize(("ready", "reason"), [(0, "LearnerStarting"), (1, "LearnerUnreachable")])
def test_a_pod_that_starts_for_long_is_not_called_unreachable(told, ready, reason):
    seen = {"type": "OnlineLearning", "status": "False", "reason": "LearnerStarting", "message": "x"}
    seen |= {"lastTransitionTime": "2026-03-02T11:50:00Z", "observedGeneration": 1}
    learner = {
        "kind": "Deployment",
        "metadata": {"name": "grocery-learner", "namespace": "shop"},
        "spec": {"replicas": 1},
        "status": {"readyReplicas": ready},
    }
    made = told("it does not answer", learner, status={"conditions": [seen]})
    assert condition(made, "OnlineLearning") == ("False", reason)


def test_a_commit_that_is_pinned_is_told(told):
    made = told(LEARNS.model_copy(update={"served": 3}))
    assert "commit 3 is pinned" in message(made, "OnlineLearning")
    assert made.status["online"]["servedCommit"] == 3


def test_without_it_nothing_is_told_of_it(make_recommender, make_version, plan):
    made = plan(make_recommender(), make_version())
    assert "OnlineLearning" not in {one["type"] for one in made.status["conditions"]}
    assert "online" not in made.status


@pytest.mark.parametrize(
    ("text", "verb", "commit", "reason"),
    [
        ("pin 12", "pin", 12, "as the annotation asks"),
        ("rollback 0 a flood of clicks", "rollback", 0, "a flood of clicks"),
        (" resume   looked  at it ", "resume", None, "looked at it"),
        ("unpin", "unpin", None, "as the annotation asks"),
    ],
)
def test_what_an_annotation_says_is_understood(text, verb, commit, reason):
    assert online.parse(text) == online.Decision(verb=verb, commit=commit, reason=reason)


@pytest.mark.parametrize("text", ["", "pin", "rollback x", "freeze", "resumed", "rollback -1", "pin 1.5"])
def test_what_says_nothing_is_told_and_nothing_is_done(told, text):
    assert online.parse(text) is None
    made = told(LEARNS, annotation=text or "?")
    assert jobs(made) == [] and told_events(made)["OnlineAnnotationUnread"] == "Warning"
    assert made.status["online"]["request"] == (text or "?")


def test_a_decision_is_carried_into_the_store_by_one_job(told):
    made = told(LEARNS, annotation="rollback 12 a flood")
    (job,) = jobs(made)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    args = container["args"]
    assert args[1:4] == ["-m", "shoploop.runs", "online"]
    assert args[args.index("--verb") + 1] == "rollback" and args[args.index("--to") + 1] == "12"
    assert args[args.index("--version") + 1] == VERSION and "--reason=a flood" in args
    assert any("$(SHOPLOOP_JOB)" in arg for arg in args) and "controller-uid" in str(container["env"])
    assert "request" not in made.status["online"]


def ended(job, type_):
    job["metadata"]["uid"] = "job"
    job["status"] = {"conditions": [{"type": type_, "status": "True", "reason": "Because", "message": "no commit 12"}]}
    return job


def test_a_decision_that_was_carried_out_is_told_and_asked_for_no_more(told):
    (job,) = jobs(told(LEARNS, annotation="pin 12"))
    made = told(LEARNS, ended(job, "Complete"), annotation="pin 12")
    assert told_events(made)["OnlineDecided"] == "Normal"
    assert made.status["online"]["request"] == "pin 12"
    after = told(LEARNS, job, annotation="pin 12", status={"online": made.status["online"]})
    assert jobs(after) == [] and after.delete == (("Job", job["metadata"]["name"]),)
    assert "OnlineDecided" not in told_events(after)


@pytest.mark.parametrize(
    ("state", "told_of"), [("Complete", "OnlineDecided"), ("Failed", "OnlineNotDecided"), (None, None)]
)
def test_a_decision_is_for_the_version_that_served_then_also_where_another_serves_before_it_is_done(
    told, state, told_of
):
    (job,) = jobs(told(LEARNS, annotation="rollback 12"))
    there = ended(job, state) if state else job | {"metadata": job["metadata"] | {"uid": "job"}}
    made = told(LEARNS, there, annotation="rollback 12", serves=LATER)
    assert jobs(made) == [] and made.delete == ()
    assert told_events(made).keys() & {"OnlineDecided", "OnlineNotDecided"} == {told_of} - {None}
    assert made.status["online"].get("request") == (told_of and "rollback 12")
    if state == "Complete":
        assert VERSION in next(event.message for event in made.events if event.reason == told_of)
    (later,) = jobs(told(LEARNS, annotation="rollback 13", serves=LATER))
    assert LATER in later["spec"]["template"]["spec"]["containers"][0]["args"]


def test_a_decision_that_cannot_be_carried_out_is_told_and_given_up(told):
    (job,) = jobs(told(LEARNS, annotation="pin 12"))
    made = told(LEARNS, ended(job, "Failed"), annotation="pin 12")
    assert told_events(made)["OnlineNotDecided"] == "Warning"
    assert "no commit 12" in next(event.message for event in made.events if event.reason == "OnlineNotDecided")
    assert made.status["online"]["request"] == "pin 12"


def test_a_learner_without_pods_is_off(told):
    learner = {
        "kind": "Deployment",
        "metadata": {"name": "grocery-learner", "namespace": "shop"},
        "spec": {"replicas": 0},
    }
    assert condition(told(None, learner), "OnlineLearning") == ("False", "LearnerOff")


def test_what_is_learned_and_decided_is_signed_where_the_spec_has_a_key(make_recommender, make_version, settings):
    from shoploop.api.v1alpha1 import RecommenderSpec
    from shoploop.controller.decide import manifests

    pem = f"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA{'A' * 43}=\n-----END PUBLIC KEY-----\n"
    signing = {"policy": "Require", "publicKeys": [pem], "privateKey": {"name": "shop", "key": "a.key"}}
    recommender = make_recommender(online=ASKED, signing=signing)
    values = chart_values(recommender, make_version(), settings)
    assert values["signing"]["privateKey"] == {"secretName": "shop", "key": "a.key"}
    spec = RecommenderSpec.model_validate(recommender["spec"])
    job = manifests.online_job(
        recommender, spec, settings, "x", version=VERSION, verb="resume", commit=None, reason="looked at it"
    )
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert {"SHOPLOOP_SIGNING_KEY", "SHOPLOOP_TRUSTED_KEYS"} <= {one["name"] for one in container["env"]}
    alone = chart_values(make_recommender(signing=signing), make_version(), settings)
    assert "privateKey" not in alone["signing"], "where nothing is learned nobody needs it"
