"""Who serves on a cluster and who is tried beside: what is written into the store, which pods are made, and what is told."""

from datetime import timedelta

import pytest
import yaml
from worlds import NOW, condition, message

from shoploop.api.predictor_state import CandidateState, Ended, PredictorState, Waiting
from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.controller.decide import rollouts
from shoploop.controller.decide.conditions import timestamp
from shoploop.controller.decide.manifests import spec_hash
from shoploop.controller.decide.names import SERVE_ANNOTATION
from shoploop.controller.decide.observed import Install

FIRST, SECOND = "v000000000001", "v000000000002"
CODE = "c" * 64
WRITTEN = {"request": f"{FIRST} run-01", "promoted": FIRST}


def pod(**more):
    """What a pod says that serves the first version."""
    return PredictorState(**{"base": FIRST, "stable": FIRST, "promoted": FIRST, "promotions": 1} | more)


def tried(**more):
    return CandidateState(**{"version": SECOND, "number": 1, "percent": 10} | more)


@pytest.fixture
def packaged(make_version):
    """A version whose Bento says which serving code it has."""

    def make(version, day, code=CODE, **more):
        made = make_version(version, day=day, digest=f"{day:064x}", **more)
        made["status"]["packages"][0]["code"] = code
        return made

    return make


@pytest.fixture
def told(make_recommender, packaged, make_release, make_deployment, plan, settings):
    """What is decided while pods serve the first version, and a second has passed."""

    def decide(
        *pods, objects=(), code=CODE, serving=None, written=WRITTEN, annotation=None, second=True, conditions=(),
        again=None,
    ):  # fmt: skip
        meta = {"annotations": {SERVE_ANNOTATION: annotation}} if annotation else {}
        status = {"version": FIRST, "serving": written, "conditions": list(conditions)}
        recommender = make_recommender(serving=serving or {}, status=status, meta=meta, suspend=False)
        known = {
            "spec_hash": spec_hash(RecommenderSpec.model_validate(recommender["spec"]))
        }  # so there is nothing to run for
        one, other = packaged(FIRST, 1, **known), packaged(SECOND, 2, code, **known)
        if again:  # a third run came to the second version, too
            (verdict,) = other["status"]["verdicts"]
            third = verdict | {"run": "run-03", "time": "2026-03-02T11:00:00Z", "reason": again}
            other["status"]["verdicts"] = [third, verdict]
        release = make_release(recommender, one, settings, manifest=yaml.safe_dump({}))
        versions = (one, other) if second else (one,)
        world = {"releases": (release,), "predictors": pods}
        return plan(recommender, *versions, make_deployment(), *objects, **world)

    return decide


def jobs(made):
    return [one for one in made.apply if one["kind"] == "Job" and "-serve-" in one["metadata"]["name"]]


def words(job):
    return " ".join(job["spec"]["template"]["spec"]["containers"][0]["args"])


def ended(job, state="Complete", at="2026-03-02T11:59:30Z"):
    return job | {
        "metadata": job["metadata"] | {"uid": "job"},
        "status": {"conditions": [{"type": state, "status": "True", "reason": "x", "lastTransitionTime": at}]},
    }


def reasons(made):
    return {event.reason: event.type for event in made.events}


def test_a_version_that_passed_is_written_into_the_store_by_one_job_and_moves_no_pod(told):
    made = told(pod())
    (job,) = jobs(made)
    assert f"--verb promote --version {SECOND}" in words(job) and "$(SHOPLOOP_JOB)" in words(job)
    assert not isinstance(made.release, Install)
    assert made.status["version"] == FIRST and made.status["serving"]["request"] == WRITTEN["request"]
    again = told(pod(), objects=(job | {"metadata": job["metadata"] | {"uid": "job"}},))
    assert jobs(again) == []


def test_once_it_is_written_predictors_say_when_it_serves_and_helm_knows_nothing_of_it(told):
    (job,) = jobs(told(pod()))
    made = told(pod(), objects=(ended(job),))
    assert made.status["serving"] == {"request": f"{SECOND} run-02", "promoted": SECOND}
    assert reasons(made)["ServeDecided"] == "Normal"
    after = told(*[pod(stable=SECOND, promoted=SECOND, promotions=2)] * 2, written=made.status["serving"])
    assert after.status["version"] == SECOND and not isinstance(after.release, Install)
    assert reasons(after)["Exchanged"] == "Normal"
    assert SECOND in message(after, "Ready") and jobs(after) == []
    served = {name: status["serving"] for name, status in after.version_status.items()}
    assert served[f"grocery-{SECOND}"] is True


def test_while_pods_differ_it_serves_as_before_and_is_asked_again_soon(told):
    written = {"request": f"{SECOND} run-02", "promoted": SECOND}
    both = pod(stable=SECOND, promoted=SECOND, promotions=2), pod()
    made = told(*both, written=written)
    assert made.status["version"] == FIRST
    assert made.requeue_seconds == rollouts.SOON_SECONDS


@pytest.mark.parametrize("code", ["d" * 64, None], ids=["other code", "nobody knows"])
def test_a_version_of_other_serving_code_is_a_revision(told, code):
    made = told(pod(), code=code)
    assert isinstance(made.release, Install) and made.release.values["version"]["id"] == SECOND
    assert len(jobs(made)) == 1


def test_what_somebody_rolled_back_in_the_store_stands_until_there_is_a_new_verdict(told):
    written = {"request": f"{SECOND} run-02", "promoted": SECOND}
    made = told(pod(promoted=FIRST, promotions=3), written=written)
    assert jobs(made) == [] and made.status["version"] == FIRST
    assert made.status["serving"]["promoted"] == FIRST


def test_a_verdict_that_a_later_run_only_repeats_is_no_new_one(told):
    written = {"request": f"{SECOND} run-02", "promoted": SECOND}
    rolled_back = pod(promoted=FIRST, promotions=3)
    assert jobs(told(rolled_back, written=written, again="As it is.")) == []
    (job,) = jobs(told(rolled_back, written=written, again="Of other days."))
    assert f"--version {SECOND} --run run-03" in words(job)
    before = {"request": f"{SECOND} run-03", "promoted": SECOND}  # by an operator that took the last run's word for new
    assert jobs(told(rolled_back, written=before, again="As it is.")) == []


def test_a_pin_is_written_and_written_again_where_somebody_decides_otherwise(told):
    asked = {"pinnedVersion": SECOND}
    (job,) = jobs(told(pod(), serving=asked))
    assert f"--version {SECOND} --alone" in words(job)
    written = {"request": f"{SECOND} pinned", "promoted": SECOND}
    assert jobs(told(pod(stable=SECOND, promoted=SECOND, promotions=2), serving=asked, written=written)) == []
    (again,) = jobs(told(pod(promotions=3), serving=asked, written=written))
    assert again["metadata"]["name"] != job["metadata"]["name"]


@pytest.mark.parametrize("state", ["Complete", "Active"])
def test_a_pin_that_is_taken_back_before_it_was_read_gives_way_to_what_passed_last(told, state):
    passed = {"request": f"{SECOND} run-02", "promoted": SECOND}
    serves = [pod(stable=SECOND, promoted=SECOND, promotions=2)] * 2
    (pin,) = jobs(told(*serves, serving={"pinnedVersion": FIRST}, written=passed))
    there = ended(pin) if state == "Complete" else pin | {"metadata": pin["metadata"] | {"uid": "job"}}
    made = told(*[pod(promoted=FIRST, promotions=3)] * 2, written=passed, objects=(there,))
    if state == "Active":  # nobody knows yet that it is written
        assert jobs(made) == [] and ("Job", pin["metadata"]["name"]) not in made.delete
        made = told(*[pod(promotions=3)] * 2, written=made.status["serving"], objects=(ended(pin),))
    (again,) = jobs(made)
    assert f"--verb promote --version {SECOND}" in words(again)
    assert made.status["serving"] == {"request": f"{FIRST} pinned", "promoted": FIRST}
    assert ("Job", pin["metadata"]["name"]) in made.delete


def test_a_job_that_was_read_asks_for_nothing_once_more(told):
    passed = {"request": f"{SECOND} run-02", "promoted": SECOND}
    (job,) = jobs(told(pod()))
    made = told(pod(promoted=FIRST, promotions=3), written=passed, objects=(ended(job),))
    assert jobs(made) == [] and made.status["serving"]["request"] == passed["request"]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"percent": 10}, "--percent 10"),
        ({"shadow": True}, "--shadow"),
        ({"steps": [{"percent": 5, "minutes": 30}, {"percent": 50}]}, "--step 5:30 --step 50:60"),
    ],
)
def test_a_candidate_begins_where_the_spec_asks_for_one(told, asked, says):
    made = told(pod(), serving={"candidate": asked})
    (job,) = jobs(made)
    assert f"--verb candidate --version {SECOND} --serving {FIRST} {says} --waits --run run-02" in words(job)
    assert not isinstance(made.release, Install)
    assert condition(made, "Candidate") == ("False", "CandidateBegins")
    written = told(pod(), serving={"candidate": asked}, objects=(ended(job),)).status["serving"]
    assert written == {"request": f"{SECOND} run-02", "promoted": FIRST}


TRIES = {"request": f"{SECOND} run-02", "promoted": FIRST}


def test_what_a_candidate_does_is_told_with_counts_that_are_not_written_at_every_look(told):
    pods = [pod(candidate=tried(given=given, failed=1)) for given in (30, 12)]
    made = told(*pods, serving={"candidate": {"percent": 10}}, written=TRIES)
    assert condition(made, "Candidate") == ("True", "CandidateAnswers")
    assert "answers 10 % of users" in message(made, "Candidate") and reasons(made)["CandidateAnswers"] == "Normal"
    seen = made.status["serving"]["candidate"]
    assert (seen["version"], seen["pods"], seen["given"], seen["failed"]) == (SECOND, 2, 42, 2)
    assert jobs(made) == [] and made.requeue_seconds == rollouts.LOOK_SECONDS
    more = [pod(candidate=tried(given=given, failed=1)) for given in (32, 13)]
    again = told(*more, serving={"candidate": {"percent": 10}}, written=made.status["serving"])
    assert again.status["serving"]["candidate"]["given"] == 42
    twice = [pod(candidate=tried(given=given, failed=1)) for given in (70, 13)]
    assert told(*twice, written=made.status["serving"]).status["serving"]["candidate"]["given"] == 83


def test_a_candidate_in_the_shadow_is_told_as_such(told):
    made = told(pod(candidate=tried(percent=0, shadow=True, given=9, different=4)), written=TRIES)
    assert condition(made, "Candidate") == ("True", "CandidateInShadow")
    assert made.status["serving"]["candidate"]["different"] == 4


def test_a_candidate_that_one_pod_gave_up_is_ended_for_all_and_told(told):
    why = "3 of its last 9 answers failed"
    made = told(pod(candidate=tried()), pod(candidate=tried(answers=False, returned=why)), written=TRIES)
    (job,) = jobs(made)
    assert "--verb end --number 1" in words(job) and f"--reason={why}" in words(job)
    assert condition(made, "Candidate") == ("False", "CandidateReturned")
    assert reasons(made)["CandidateReturned"] == "Warning" and condition(made, "Degraded")[0] == "True"
    over = pod(ended=Ended(version=SECOND, number=2, reason=why, by="a predictor, Job 7"))
    after = told(over, written=TRIES, objects=(ended(job),))
    assert why in message(after, "Candidate") and jobs(after) == []
    assert after.delete == (("Job", job["metadata"]["name"]),)
    assert after.status["version"] == FIRST


def test_after_its_last_step_a_candidate_is_promoted_unless_somebody_decided_meanwhile(told):
    made = told(pod(promotions=4, candidate=tried(percent=50, over=True)), written=TRIES)
    (job,) = jobs(made)
    assert f"--verb promote --version {SECOND} --after 4" in words(job)


def test_a_candidate_of_other_serving_code_is_named_with_what_to_do(told):
    made = told(pod(candidate=tried(answers=False)), code="d" * 64, written=TRIES)
    assert condition(made, "Candidate") == ("False", "CandidateOtherCode")
    assert f"shoploop.io/serve='promote {SECOND}'" in message(made, "Candidate")
    assert not isinstance(made.release, Install)


@pytest.mark.parametrize(
    ("annotation", "says"),
    [
        (f"promote {SECOND} it sells more", f"--verb promote --version {SECOND} --reason=it sells more"),
        ("rollback", "--verb rollback --reason=as the annotation asks"),
        (f"candidate {SECOND} 10%", f"--verb candidate --version {SECOND} --percent 10 --serving {FIRST}"),
        (f"candidate {SECOND} shadow", f"--verb candidate --version {SECOND} --shadow"),
        ("end enough seen", "--verb end --reason=enough seen"),
    ],
)
def test_what_a_person_decides_by_an_annotation_is_written_once(told, annotation, says):
    made = told(pod(), second=False, annotation=annotation)
    (job,) = jobs(made)
    assert says in words(job) and "kubectl annotate" in words(job)
    done = told(pod(), second=False, annotation=annotation, objects=(ended(job),))
    assert done.status["serving"]["asked"] == annotation and reasons(done)["ServeDecided"] == "Normal"
    assert jobs(told(pod(), second=False, annotation=annotation, written=done.status["serving"])) == []
    failed = told(pod(), second=False, annotation=annotation, objects=(ended(job, "Failed"),))
    assert failed.status["serving"]["asked"] == annotation and reasons(failed)["ServeNotDecided"] == "Warning"


@pytest.mark.parametrize("annotation", ["promote", "candidate v1", "candidate v1 100", "undo"])
def test_an_annotation_that_says_nothing_is_told_once(told, annotation):
    made = told(pod(), second=False, annotation=annotation)
    assert jobs(made) == [] and reasons(made)["ServeAnnotationUnread"] == "Warning"
    again = told(pod(), second=False, annotation=annotation, written=made.status["serving"])
    assert "ServeAnnotationUnread" not in reasons(again)


def test_a_decision_that_could_not_be_written_is_named_and_tried_again(told):
    (job,) = jobs(told(pod()))
    made = told(pod(), objects=(ended(job, "Failed"),))
    assert condition(made, "Degraded") == ("True", "ServeNotDecided") and made.delete == ()
    later = told(pod(), objects=(ended(job, "Failed", at="2026-03-02T11:50:00Z"),))
    assert later.delete == (("Job", job["metadata"]["name"]),), NOW


def test_a_version_that_still_learns_is_told_as_on_its_way(told):
    line = f"{SECOND} learns what came since its data; {FIRST} serves until it has caught up."
    waiting = Waiting(code="CatchingUp", message=line)
    written = {"request": f"{SECOND} run-02", "promoted": SECOND}
    made = told(pod(promoted=SECOND, promotions=2, waiting=waiting), written=written)
    assert condition(made, "Progressing") == ("True", "CatchingUp") and message(made, "Progressing") == line
    assert condition(made, "Ready")[0] == "True" and made.status["version"] == FIRST


def test_a_version_that_must_not_be_served_degrades_and_who_serves_goes_on(told):
    waiting = Waiting(code="Refused", message="Its signature is nobody's.")
    written = {"request": f"{SECOND} run-02", "promoted": SECOND}
    made = told(pod(promoted=SECOND, promotions=2, waiting=waiting), written=written)
    assert condition(made, "Degraded") == ("True", "PromotionHeld")
    assert condition(made, "Ready")[0] == "True"


def test_predictors_that_are_silent_for_long_are_named(
    make_recommender, packaged, make_release, make_deployment, plan, settings
):
    for since, reason in (("2026-03-02T11:59:00Z", "AllWell"), ("2026-03-02T11:50:00Z", "PredictorsUnreachable")):
        status = {"version": FIRST, "serving": WRITTEN | {"silentSince": since}}
        recommender = make_recommender(status=status, suspend=True, gate={"maxAgeDays": 100})
        version = packaged(FIRST, 1)
        release = make_release(recommender, version, settings, manifest=yaml.safe_dump({}))
        made = plan(recommender, version, make_deployment(), releases=(release,), predictors="it does not answer")
        assert condition(made, "Degraded")[1] == reason
        assert made.status["version"] == FIRST


@pytest.mark.parametrize(("minutes", "again"), [(0, rollouts.SOON_SECONDS), (2, 12), (60, rollouts.IDLE_SECONDS)])
def test_the_longer_predictors_are_silent_the_later_they_are_asked_again(
    make_recommender, packaged, make_release, make_deployment, plan, settings, minutes, again
):
    since = timestamp(NOW - timedelta(minutes=minutes))
    status = {"version": FIRST, "serving": WRITTEN | {"silentSince": since}}
    recommender = make_recommender(status=status, suspend=True, gate={"maxAgeDays": 100})
    version = packaged(FIRST, 1)
    release = make_release(recommender, version, settings, manifest=yaml.safe_dump({}))
    made = plan(recommender, version, make_deployment(), releases=(release,), predictors="they do not answer")
    assert made.requeue_seconds == again


def test_without_pods_nothing_is_written_and_a_revision_names_the_version(told):
    made = told(serving={"replicas": 0})
    assert jobs(made) == []
    assert made.release.values["version"]["id"] == SECOND


def test_versions_that_answer_somebody_are_not_pruned(make_recommender, packaged, make_release, plan, settings):
    versions = [packaged(f"v{number:012x}", number) for number in range(1, 6)]
    recommender = make_recommender(status={"version": FIRST, "serving": TRIES}, retention={"versions": 1}, suspend=True)
    release = make_release(recommender, versions[0], settings)
    made = plan(recommender, *versions, releases=(release,), predictors=(pod(candidate=tried()),))
    assert sorted(name for kind, name in made.delete if kind == "ModelVersion") == [
        "grocery-v000000000003",
        "grocery-v000000000004",
    ]
