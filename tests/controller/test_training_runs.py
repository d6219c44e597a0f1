"""When a run starts, how it goes on, and what comes of it."""

from datetime import timedelta

import pytest
from worlds import NOW, condition, message, runs_of, said

from shoploop.api.pod_result import PartDone, StepsFailed, written
from shoploop.api.pods import image, store_env
from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.cli.cluster import PARTS
from shoploop.controller.decide import manifests as runs

RUN = "20260302-115000-abcdef"
SAID = said()


def running(recommender, **more):
    """A status with a run under way."""
    spec = RecommenderSpec.model_validate(recommender["spec"])
    run = {
        "id": RUN, "trigger": "Spec", "cause": "x", "specHash": runs.spec_hash(spec), "podHash": runs.pod_hash(spec),
        "phase": "Running", "startedAt": "2026-03-02T11:50:00Z",
    }  # fmt: skip
    return recommender | {"status": {"run": run | more}}


def kinds(objects):
    return [thing["kind"] for thing in objects]


def test_a_new_recommender_starts_a_run(make_recommender, plan):
    made = plan(make_recommender())
    assert kinds(made.apply) == ["ConfigMap", "Job"]
    assert made.status["run"]["phase"] == "Running"
    assert made.status["run"]["trigger"] == "Spec"
    assert condition(made, "Ready") == ("False", "RunPending")
    assert [event.reason for event in made.events] == ["RunStarted"]


def test_nothing_is_made_before_the_finalizer_is_there(make_recommender, plan):
    made = plan(make_recommender(meta={"finalizers": []}))
    assert made.finalizer and not made.apply and made.release is None


def test_the_same_run_goes_on_after_the_operator_was_killed(make_recommender, plan):
    recommender = make_recommender()
    first = plan(recommender)
    again = plan(recommender | {"status": first.status}, now=NOW + timedelta(seconds=90))
    assert again.status["run"] == first.status["run"]
    assert [thing["metadata"]["name"] for thing in again.apply] == [thing["metadata"]["name"] for thing in first.apply]
    assert not again.events


def test_a_version_for_this_spec_makes_a_run_needless(make_recommender, make_version, plan):
    recommender = make_recommender()
    spec_hash = runs.spec_hash(RecommenderSpec.model_validate(recommender["spec"]))
    made = plan(recommender, make_version(spec_hash=spec_hash))
    assert runs_of(made) == []
    assert "run" not in made.status


def test_a_folder_on_a_cluster_gets_a_claim_first(make_recommender, plan):
    made = plan(make_recommender(store={"uri": ".shoploop"}))
    assert kinds(made.apply) == ["PersistentVolumeClaim", "ConfigMap", "Job"]
    claim, _, job = made.apply
    assert "ownerReferences" not in claim["metadata"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    volumes = job["spec"]["template"]["spec"]["volumes"]
    assert {"name": "store", "persistentVolumeClaim": {"claimName": "grocery-store"}} in volumes


def test_a_gpu_is_held_by_training_steps_only(make_recommender, settings):
    recommender = make_recommender(training={"resources": {"gpu": 1}})
    spec = RecommenderSpec.model_validate(recommender["spec"])
    cut = runs.parts(spec)
    assert [part.gpu for part in cut] == [0, 1, 0]
    assert cut[1].steps == ("augment_samples", "estimate_importance", "train_fused")
    limits = [
        runs.job(recommender, spec, RUN, index, settings)["spec"]["template"]["spec"]["containers"][0]["resources"][
            "limits"
        ]
        for index in range(3)
    ]
    assert [limit.get("nvidia.com/gpu") for limit in limits] == [None, 1, None]


def test_steps_with_equal_resources_share_one_job(make_recommender):
    spec = RecommenderSpec.model_validate(make_recommender()["spec"])
    assert len(runs.parts(spec)) == 1


def test_the_second_part_starts_when_the_first_is_done(make_recommender, make_job, plan, settings):
    recommender = running(make_recommender(training={"resources": {"gpu": 1}}))
    first, _ = make_job(recommender, RUN, settings, part=0, state="Complete")
    made = plan(recommender, first, runs.config_map(recommender, RUN))
    assert [thing["metadata"]["labels"]["shoploop.io/part"] for thing in made.apply] == ["1"]


def test_a_deleted_job_of_a_run_under_way_is_made_again(make_recommender, plan):
    recommender = running(make_recommender())
    made = plan(recommender, runs.config_map(recommender, RUN))
    assert kinds(made.apply) == ["Job"]


def test_the_spec_of_a_run_under_way_is_made_again_when_somebody_deletes_it(make_recommender, make_job, plan, settings):
    recommender = running(make_recommender())
    job, pods = make_job(recommender, RUN, settings)
    assert kinds(plan(recommender, job, pods=tuple(pods)).apply) == ["ConfigMap"]
    assert plan(recommender, job, runs.config_map(recommender, RUN), pods=tuple(pods)).apply == ()


def test_the_record_of_what_serves_is_made_again_as_it_was(make_recommender, make_job, plan, settings):
    """Deleted by somebody, or never written by an operator that was killed at that moment."""
    recommender = running(make_recommender())
    job, pods = make_job(recommender, RUN, settings, state="Complete", said=SAID)
    first = plan(recommender, job, pods=tuple(pods))
    later = plan(recommender | {"status": first.status}, job, pods=tuple(pods))
    assert later.apply == first.apply
    assert later.release.values == first.release.values


def test_a_run_that_passed_becomes_a_version_that_is_released(make_recommender, make_job, plan, settings):
    recommender = running(make_recommender())
    job, pods = make_job(recommender, RUN, settings, state="Complete", said=SAID)
    made = plan(recommender, job, pods=tuple(pods))
    (version,) = made.apply
    assert version["kind"] == "ModelVersion"
    assert version["metadata"]["name"] == "grocery-v00000000000a"
    assert version["spec"]["metrics"] == {"ndcg@10": 0.25}
    status = made.version_status["grocery-v00000000000a"]
    (verdict,), (package,) = status["verdicts"], status["packages"]
    assert (verdict["passed"], verdict["rule"], verdict["run"]) == (True, "NotWorse", RUN)
    bento = "recommenders/grocery/versions/v00000000000a/bento/bbbbbbbbbbbbbbbb.bento"
    assert package["bento"] == f"s3://shop/loop/{bento}"
    assert made.release.values["version"]["id"] == "v00000000000a"
    assert made.status["run"]["phase"] == "Succeeded"


def test_a_version_that_the_gate_refused_is_recorded_and_not_released(make_recommender, make_job, plan, settings):
    recommender = running(make_recommender())
    job, pods = make_job(recommender, RUN, settings, state="Complete", said=said(passed=False))
    made = plan(recommender, job, pods=tuple(pods))
    assert kinds(made.apply) == ["ModelVersion"]
    assert made.release is None
    assert condition(made, "Ready") == ("False", "GateRefused")


def test_a_version_that_passed_in_part_says_what_passed_and_what_answers(make_recommender, make_job, plan, settings):
    recommender = running(make_recommender())
    reason = "Search passed and answers by the model. Recommendations did not pass."
    told = said(passed=True, reason=reason, answers="items by decay, search by model")
    job, pods = make_job(recommender, RUN, settings, state="Complete", said=told)
    made = plan(recommender, job, pods=tuple(pods))
    [verdict] = made.version_status["grocery-v00000000000a"]["verdicts"]
    assert (verdict["answers"], verdict["reason"]) == ("items by decay, search by model", reason)
    assert made.release is not None
    assert reason in next(one["message"] for one in made.status["conditions"] if one["type"] == "RunSucceeded")
    assert any(reason in event.message for event in made.events if event.reason == "VersionRecorded")


SEEN = {"version": "v000000000001", "compared": True, "why_not": None}


@pytest.mark.parametrize("passed", [True, False])
def test_a_serving_version_that_could_not_be_compared_is_a_condition_and_an_event(
    make_recommender, make_job, plan, settings, passed
):
    recommender = running(make_recommender())
    seen = SEEN | {"compared": False, "why_not": "Its files are gone."}
    job, pods = make_job(recommender, RUN, settings, state="Complete", said=said(passed=passed, incumbent=seen))
    made = plan(recommender, job, pods=tuple(pods))
    assert made.status["run"]["incumbent"] == {
        "version": "v000000000001", "compared": False, "whyNot": "Its files are gone."
    }  # fmt: skip
    assert condition(made, "IncumbentNotCompared") == ("True", "IncumbentNotCompared")
    assert "with v000000000001, which served" in message(made, "IncumbentNotCompared")
    assert "Its files are gone." in message(made, "IncumbentNotCompared")
    (event,) = [event for event in made.events if event.reason == "IncumbentNotCompared"]
    assert event.type == "Warning"
    again = plan(recommender | {"status": made.status}, job, pods=tuple(pods))
    assert [event for event in again.events if event.reason == "IncumbentNotCompared"] == []


@pytest.mark.parametrize(("seen", "reason"), [(SEEN, "IncumbentCompared"), (None, "NoIncumbent")])
def test_a_comparison_as_it_should_be_is_no_event(make_recommender, make_job, plan, settings, seen, reason):
    recommender = running(make_recommender())
    job, pods = make_job(recommender, RUN, settings, state="Complete", said=said(incumbent=seen))
    made = plan(recommender, job, pods=tuple(pods))
    assert condition(made, "IncumbentNotCompared") == ("False", reason)
    assert [event for event in made.events if "ncumbent" in event.reason] == []


def test_a_run_under_way_leaves_the_last_word_on_the_comparison_as_it_was(make_recommender, make_job, plan, settings):
    recommender = running(make_recommender())
    before = {
        "type": "IncumbentNotCompared", "status": "True", "reason": "IncumbentNotCompared", "message": "why",
        "lastTransitionTime": "2026-03-01T00:00:00Z", "observedGeneration": 1,
    }  # fmt: skip
    recommender["status"]["conditions"] = [before]
    job, pods = make_job(recommender, RUN, settings)
    made = plan(recommender, job, pods=tuple(pods))
    assert [c for c in made.status["conditions"] if c["type"] == "IncumbentNotCompared"] == [before]


def test_the_same_model_packed_anew_is_the_same_version_with_one_more_package(
    make_recommender, make_version, make_job, plan, settings
):
    recommender = running(make_recommender())
    job, pods = make_job(recommender, RUN, settings, state="Complete", said=SAID)
    made = plan(recommender, job, make_version("v00000000000a"), pods=tuple(pods))
    assert made.apply == ()
    packages = made.version_status["grocery-v00000000000a"]["packages"]
    assert [package["digest"][0] for package in packages] == ["b", "a"]
    assert made.release.values["version"]["digest"] == "b" * 64


@pytest.mark.parametrize(
    ("said", "exit_code", "shown"),
    [
        (
            written(StepsFailed(error="DataUnreadable", message="s3://x is not there.")),
            2,
            "DataUnreadable: s3://x is not there.",
        ),
        ("Traceback\n  File x\nKeyError: 'a'", 1, "KeyError: 'a'"),
        ("", 137, "exit code 137"),
    ],
    ids=["a named error", "the end of a log", "nothing"],
)
def test_a_failed_run_says_why(make_recommender, make_job, plan, settings, said, exit_code, shown):
    recommender = running(make_recommender())
    job, pods = make_job(recommender, RUN, settings, state="Failed", said=said, exit_code=exit_code)
    made = plan(recommender, job, pods=tuple(pods))
    assert condition(made, "Ready") == ("False", "RunFailed")
    assert shown in message(made, "Ready")
    assert made.status["run"]["phase"] == "Failed"


def test_a_failed_run_is_not_repeated_by_itself(make_recommender, plan):
    recommender = running(make_recommender(), phase="Failed", finishedAt="2026-03-02T11:55:00Z", message="no.")
    made = plan(recommender)
    assert not made.apply


def test_a_run_whose_result_is_lost_failed(make_recommender, make_job, plan, settings):
    recommender = running(make_recommender())
    job, _ = make_job(recommender, RUN, settings, state="Complete")
    made = plan(recommender, job)
    assert "removed before its result was read" in message(made, "Ready")
    assert made.status["run"]["reason"] == "ResultLost"


@pytest.mark.parametrize(
    "words",
    [
        "not json", "", '{"version": "v1"}', said()[:-1], said().replace("true", '"True"'),
        said(passed=False).replace("false", '"False"'), written(PartDone()),
    ],
    ids=["no JSON", "nothing", "too little", "cut", "text for true", "text for false", "of another part"],
)  # fmt: skip
def test_a_result_that_cannot_be_read_is_a_failure_that_promotes_nothing(
    make_recommender, make_job, plan, settings, words
):
    recommender = running(make_recommender())
    job, pods = make_job(recommender, RUN, settings, state="Complete", said=words)
    made = plan(recommender, job, pods=tuple(pods))
    assert condition(made, "Ready") == ("False", "RunFailed")
    assert (made.status["run"]["phase"], made.status["run"]["reason"]) == ("Failed", "ResultUnreadable")
    assert not made.apply and not made.version_status and made.release is None


def test_another_spec_gives_up_the_run_under_way(make_recommender, make_job, plan, settings):
    recommender = running(make_recommender(), specHash="another")
    job, _ = make_job(recommender, RUN, settings)
    made = plan(recommender, job)
    assert made.delete == (("Job", job["metadata"]["name"]),)
    assert made.status["run"]["id"] != RUN
    assert [event.reason for event in made.events] == ["RunDiscarded", "RunStarted"]


@pytest.mark.parametrize(
    "change",
    [
        {"serving": {"replicas": 3}},
        {"training": {"resources": {"memory": "8Gi"}}},
        {"retention": {"runs": 3}},
        {"schedule": {"cron": "0 3 * * *"}},
    ],
    ids=["replicas", "memory", "retention", "schedule"],
)
def test_what_does_not_change_the_model_starts_no_run(make_recommender, change):
    before, after = (RecommenderSpec.model_validate(make_recommender(**spec)["spec"]) for spec in ({}, change))
    assert runs.spec_hash(before) == runs.spec_hash(after)


@pytest.mark.parametrize(
    "change",
    [{"training": {"epochs": 9}}, {"data": {"dataset": "other"}}, {"serving": {"itemFields": ["title", "price"]}}],
    ids=["epochs", "data", "item fields"],
)
def test_what_changes_the_model_or_its_package_starts_a_run(make_recommender, change):
    before, after = (RecommenderSpec.model_validate(make_recommender(**spec)["spec"]) for spec in ({}, change))
    assert runs.spec_hash(before) != runs.spec_hash(after)


def test_an_annotation_asks_for_one_run(make_recommender, plan):
    done = {"phase": "Succeeded", "finishedAt": "2026-03-02T11:55:00Z", "version": "v1"}
    asked = make_recommender(meta={"annotations": {"shoploop.io/run": "1"}})
    first = plan(running(asked, **done))
    assert first.status["run"]["trigger"] == "Request"
    ended = first.status["run"] | done
    assert not plan(asked | {"status": {"run": ended}}).apply


def test_a_schedule_starts_a_run_at_its_time(make_recommender, plan):
    done = {"phase": "Succeeded", "startedAt": "2026-03-02T02:00:00Z", "finishedAt": "2026-03-02T02:10:00Z"}
    recommender = running(make_recommender(schedule={"cron": "0 3 * * *"}), **done)
    early = plan(recommender, now=NOW.replace(hour=2, minute=59))
    assert not early.apply
    assert early.requeue_seconds == 61
    late = plan(recommender, now=NOW.replace(hour=3, minute=0, second=1))
    assert (late.status["run"]["trigger"], late.status["run"]["cause"]) == ("Schedule", "2026-03-02T03:00:00Z")


def test_times_that_passed_during_a_run_are_not_made_up_for(make_recommender, plan):
    done = {"phase": "Succeeded", "startedAt": "2026-03-02T02:00:00Z", "finishedAt": "2026-03-02T11:00:00Z"}
    assert not plan(running(make_recommender(schedule={"cron": "0 3 * * *"}), **done)).apply


def test_a_schedule_reads_its_time_zone(make_recommender, plan):
    done = {"phase": "Succeeded", "startedAt": "2026-03-02T01:00:00Z", "finishedAt": "2026-03-02T01:10:00Z"}
    spec = {"schedule": {"cron": "0 3 * * *", "timeZone": "Europe/Berlin"}}
    made = plan(running(make_recommender(**spec), **done), now=NOW.replace(hour=2, minute=0, second=1))
    assert made.status["run"]["cause"] == "2026-03-02T02:00:00Z"


@pytest.mark.parametrize(
    "schedule",
    [{"cron": "0 3 31 2 *"}, {"cron": "99 3 * * *"}, {"cron": "0 3 * * *", "timeZone": "Europe/Atlantis"}],
    ids=["no such day", "no such minute", "no such zone"],
)
def test_a_schedule_that_never_fires_is_told_and_stops_nothing(make_recommender, plan, schedule):
    made = plan(make_recommender(schedule=schedule))
    assert condition(made, "Degraded") == ("True", "ScheduleNeverFires")
    assert kinds(made.apply) == ["ConfigMap", "Job"]


def test_a_schedule_that_never_fires_stays_told_during_a_run(make_recommender, make_job, plan, settings):
    recommender = running(make_recommender(schedule={"cron": "0 3 31 2 *"}))
    job, _ = make_job(recommender, RUN, settings)
    assert condition(plan(recommender, job), "Degraded") == ("True", "ScheduleNeverFires")


def test_a_suspended_recommender_starts_nothing(make_recommender, plan):
    made = plan(make_recommender(suspend=True))
    assert not made.apply
    assert condition(made, "Ready") == ("False", "Suspended")


def test_a_run_under_way_goes_on_when_suspended(make_recommender, make_job, plan, settings):
    recommender = running(make_recommender(suspend=True))
    job, _ = make_job(recommender, RUN, settings)
    made = plan(recommender, job)
    assert not made.delete and made.status["run"]["phase"] == "Running"


def test_an_image_that_cannot_be_pulled_is_told(make_recommender, make_job, plan, settings):
    recommender = running(make_recommender())
    job, _ = make_job(recommender, RUN, settings)
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    pod = {
        "metadata": {"name": "p", "ownerReferences": [{"uid": "job-0"}]},
        "status": {"containerStatuses": [{"name": "steps", "state": waiting}]},
    }
    made = plan(recommender, job, pods=(pod,))
    assert condition(made, "Degraded") == ("True", "RunStalled")
    assert "its image cannot be pulled" in message(made, "Ready")


def test_a_quota_that_allows_no_pod_is_told(make_recommender, make_job, plan, settings):
    recommender = running(make_recommender())
    job, _ = make_job(recommender, RUN, settings)
    made = plan(recommender, job, warnings={job["metadata"]["name"]: "exceeded quota: pods, used: pods=3"})
    assert "exceeded quota" in message(made, "Ready")


def test_runs_beyond_retention_are_removed_with_their_jobs(make_recommender, make_job, plan, settings):
    recommender = running(make_recommender(retention={"runs": 2}), phase="Succeeded", finishedAt="2026-03-02T11:55:00Z")
    jobs = [make_job(recommender, f"2026030{day}-000000-aaaaaa", settings)[0] for day in (1, 2, 3)]
    made = plan(recommender, *jobs)
    names = {name for _, name in made.delete}
    assert jobs[0]["metadata"]["name"] in names
    assert jobs[2]["metadata"]["name"] not in names


def test_shoploop_logs_finds_the_pods_of_a_run(make_recommender, settings):
    made = make_recommender()
    job = runs.job(made, RecommenderSpec.model_validate(made["spec"]), "r1", 0, settings)
    asked = dict(pair.split("=") for pair in PARTS["run"].format(name="grocery").split(","))
    assert asked.items() <= job["spec"]["template"]["metadata"]["labels"].items()


def test_pods_are_restricted_and_hold_no_token(make_recommender, settings):
    recommender = make_recommender()
    spec = RecommenderSpec.model_validate(recommender["spec"])
    pod = runs.job(recommender, spec, RUN, 0, settings)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_keys_of_the_store_come_from_its_secret(make_recommender):
    store = {"uri": "s3://shop", "endpoint": "http://s3:8333", "secretRef": {"name": "keys"}}
    env = store_env(RecommenderSpec.model_validate(make_recommender(store=store)["spec"]))
    found = {entry["name"]: entry for entry in env}
    assert found["AWS_ENDPOINT_URL"]["value"] == "http://s3:8333"
    assert found["AWS_ACCESS_KEY_ID"]["valueFrom"]["secretKeyRef"]["name"] == "keys"


def test_a_queue_labels_the_job_and_not_its_pods(make_recommender, settings):
    recommender = make_recommender(training={"placement": {"queue": "training"}})
    spec = RecommenderSpec.model_validate(recommender["spec"])
    job = runs.job(recommender, spec, RUN, 0, settings)
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "training"
    assert "kueue.x-k8s.io/queue-name" not in job["spec"]["template"]["metadata"]["labels"]


@pytest.mark.parametrize(
    ("reference", "registry", "wanted"),
    [
        ("localhost/shoploop:1", "mirror.io", "mirror.io/shoploop:1"),
        ("shoploop/pipeline:1", "mirror.io/team", "mirror.io/team/shoploop/pipeline:1"),
        ("shoploop/pipeline:1", None, "shoploop/pipeline:1"),
    ],
)
def test_a_registry_of_the_spec_replaces_the_operators(make_recommender, reference, registry, wanted):
    images = {"registry": registry} if registry else {}
    spec = RecommenderSpec.model_validate(make_recommender(images=images)["spec"])
    assert image(reference, spec) == wanted
