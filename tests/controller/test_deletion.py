"""How a Recommender goes, and what it leaves."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from small_cluster import NAMESPACE, Clock, SmallCluster, SmallHelm
from worlds import NOW, condition, message

from shoploop.controller import worker as worker_module
from shoploop.controller.cache import Cache
from shoploop.controller.decide import manifests as runs
from shoploop.controller.decide.kinds import RECOMMENDER
from shoploop.controller.decide.names import COMPACT_COMPONENT, COMPONENT_LABEL, child_metadata
from shoploop.controller.decide.observed import Failure, Uninstall
from shoploop.controller.worker import Worker

DELETED = {"deletionTimestamp": "2026-03-02T11:59:50Z", "deletionGracePeriodSeconds": 0}


def test_the_release_goes_first(make_recommender, make_version, make_release, plan, settings):
    recommender = make_recommender(meta=DELETED)
    made = plan(recommender, releases=(make_release(recommender, make_version(), settings),))
    assert made.finalizer
    assert made.release == Uninstall(name="grocery")
    assert condition(made, "Ready") == ("False", "Deleting")


def test_then_the_object_goes_and_the_store_stays(make_recommender, plan):
    made = plan(make_recommender(meta=DELETED))
    assert not made.finalizer
    assert not made.apply and not made.delete


def test_a_store_that_goes_too_is_emptied_by_a_job(make_recommender, plan):
    recommender = make_recommender(meta=DELETED, deletionPolicy="Delete")
    made = plan(recommender)
    (job,) = made.apply
    arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
    assert arguments[1:4] == ["-m", "shoploop.controller.cleanup", "--store"]
    assert arguments[-1] == "grocery"
    done = job | {"status": {"conditions": [{"type": "Complete", "status": "True"}]}}
    assert not plan(recommender, done).finalizer


def test_a_claim_of_its_own_goes_with_deletion_policy_delete(make_recommender, plan):
    recommender = make_recommender(meta=DELETED, deletionPolicy="Delete", store={"uri": ".shoploop"})
    claim = {
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": "grocery-store",
            "labels": {"shoploop.io/recommender": "grocery", "app.kubernetes.io/managed-by": "shoploop"},
        },
    }
    assert plan(recommender, claim).delete == (("PersistentVolumeClaim", "grocery-store"),)
    assert not plan(recommender).finalizer


def test_a_deletion_that_takes_too_long_no_longer_waits(make_recommender, make_version, make_release, plan, settings):
    recommender = make_recommender(meta=DELETED)
    release = make_release(recommender, make_version(), settings)
    made = plan(recommender, releases=(release,), now=NOW + timedelta(seconds=settings.deletion_seconds))
    assert not made.finalizer
    assert [event.reason for event in made.events] == ["DeletionTimedOut"]


def test_a_store_that_cannot_be_emptied_is_told(make_recommender, plan):
    recommender = make_recommender(meta=DELETED, deletionPolicy="Delete")
    (job,) = plan(recommender).apply
    job["metadata"]["uid"] = "j"
    failed = job | {
        "status": {"conditions": [{"type": "Failed", "status": "True", "reason": "Backoff", "message": "x"}]}
    }
    made = plan(recommender, failed)
    assert made.finalizer
    assert "could not be removed" in message(made, "Ready")


def test_somebody_elses_release_survives(make_recommender, make_version, make_release, plan, settings):
    recommender = make_recommender(meta=DELETED)
    release = make_release(recommender, make_version(), settings)
    foreign = type(release)(**{**release.__dict__, "recommender": ""})
    assert not plan(recommender, releases=(foreign,)).finalizer


def test_a_refused_recommender_leaves_the_store_of_the_older_one_alone(make_recommender, plan):
    made = plan(make_recommender(meta=DELETED, deletionPolicy="Delete"), rival="prod/grocery")
    assert not made.finalizer
    assert not made.apply and not made.delete
    (event,) = made.events
    assert (event.type, event.reason) == ("Warning", "StoreLeft")
    assert "prod/grocery" in event.message and "s3://shop/loop/recommenders/grocery" in event.message


def test_what_the_older_one_left_behind_is_not_removed_by_the_one_that_was_refused(make_recommender, plan):
    """Both go at once: the older first, with deletionPolicy Orphan."""
    refused = plan(make_recommender(), rival="prod/grocery").status
    recommender = make_recommender(meta=DELETED, deletionPolicy="Delete", status=refused)
    made = plan(recommender)
    assert not made.finalizer and not made.apply
    assert [event.reason for event in made.events] == ["StoreLeft"]


def test_one_that_was_refused_once_and_then_kept_its_own_versions_removes_them(make_recommender, plan):
    refused = plan(make_recommender(), rival="prod/grocery").status
    accepted = plan(make_recommender(status=refused)).status
    assert plan(make_recommender(meta=DELETED, deletionPolicy="Delete", status=accepted)).apply


@pytest.fixture
def going(make_recommender):
    """A Recommender whose store goes with it."""

    def make(**more):
        return make_recommender(meta=DELETED, deletionPolicy="Delete", **more)

    return make


def running(name, owner="job"):
    """A pod that has not ended."""
    return {
        "metadata": {"name": name, "ownerReferences": [{"name": owner, "uid": owner}]},
        "status": {"phase": "Running"},
    }


@pytest.mark.parametrize("kind", ["run", "compact", "serve", "TrainJob"])
def test_what_still_writes_into_a_store_ends_before_it_is_emptied(going, plan, kind):
    recommender = going()
    made = {
        "kind": kind if kind == "TrainJob" else "Job",
        "metadata": child_metadata(recommender, "grocery-x", {COMPONENT_LABEL: kind}),
    }
    ended = made | {"status": {"conditions": [{"type": "Complete", "status": "True"}]}}
    foreign = {"kind": "Job", "metadata": {"name": "theirs", "labels": {"shoploop.io/recommender": "grocery"}}}
    first = plan(recommender, made, foreign)
    assert first.delete == ((made["kind"], "grocery-x"),) and not first.apply and first.finalizer
    assert "grocery-x" in message(first, "Ready")
    assert plan(recommender, ended).apply, "it writes no more"


def test_a_store_that_stays_is_no_reason_to_wait_for_jobs_or_pods(make_recommender, make_job, settings, plan):
    recommender = make_recommender(meta=DELETED)
    job, _ = make_job(recommender, "20260302-115000-abcdef", settings)
    made = plan(recommender, job, pods=(running("p", job["metadata"]["name"]),))
    assert not made.finalizer and not made.delete


def test_a_job_that_cannot_be_ended_is_told(going, plan):
    recommender = going()
    job = {"kind": "Job", "metadata": child_metadata(recommender, "grocery-x", {COMPONENT_LABEL: COMPACT_COMPONENT})}
    found = SimpleNamespace(reason="Forbidden", message="The cluster does not allow it: jobs")
    failure = Failure(what="delete:Job/grocery-x", found=found, attempts=1, retry_at=NOW, generation=1)
    made = plan(recommender, job, failures={"delete:Job/grocery-x": failure})
    assert made.finalizer and not made.apply
    assert "The cluster does not allow it: jobs" in message(made, "Ready")


def test_a_store_is_emptied_once_the_last_pod_has_ended(going, plan):
    recommender = going()
    learner, step = running("grocery-learner-0", "rs"), running("grocery-run-0")
    waits = plan(recommender, pods=(learner, step))
    assert waits.finalizer and not waits.apply and waits.requeue_seconds
    assert "grocery-learner-0, grocery-run-0" in message(waits, "Ready")
    learner["status"]["phase"], step["status"]["phase"] = "Succeeded", "Failed"
    assert plan(recommender, pods=(learner, step)).apply


def test_the_pod_that_empties_a_store_is_not_waited_for(going, plan):
    recommender = going()
    (job,) = plan(recommender).apply
    job["metadata"]["uid"] = "j"
    pod = running("cleanup", job["metadata"]["name"])
    assert plan(recommender, pods=(pod,)).apply, "somebody deleted its Job"
    made = plan(recommender, job, pods=(pod, running("late")))
    assert made.finalizer and not made.apply and not made.delete
    assert "is being removed" in message(made, "Ready")


def test_a_pod_on_a_node_that_nobody_reaches_is_not_waited_for_for_ever(going, plan, settings):
    recommender = going()
    stuck = {"pods": (running("lost"),), "now": NOW + timedelta(seconds=settings.deletion_seconds / 2)}
    made = plan(recommender, **stuck)
    (job,) = made.apply
    assert job["metadata"]["name"] == runs.cleanup_job_name(recommender)
    assert [(event.type, event.reason) for event in made.events] == [("Warning", "PodsLeft")]
    assert "lost" in made.events[0].message
    assert plan(recommender, job | {"kind": "Job"}, **stuck).events == (), "it is told once"


def test_a_recommender_that_is_deleted_amid_a_run_leaves_nothing_behind(tmp_path, monkeypatch, settings):
    clock, cache = Clock(), Cache()
    cluster = SmallCluster(cache, clock)
    monkeypatch.setattr(worker_module, "datetime", SimpleNamespace(now=clock.now))
    operator = Worker(settings, cluster, SmallHelm(cluster), cache)

    def look():
        for _ in range(4):
            operator.look((NAMESPACE, "grocery"))
        return sorted(name for kind, name in cluster.objects if kind == "Job")

    cluster.create("grocery", deletionPolicy="Delete")
    (run,) = [name for name in look() if "-run-" in name]
    cluster.pods_of_runs = [running("step", run)]
    cluster.delete(RECOMMENDER, NAMESPACE, "grocery")
    assert look() == [], "its pod ends"
    cluster.pods_of_runs = []
    (cleanup,) = look()
    assert cleanup.startswith("grocery-delete-")
    cluster.end_run("")
    assert look() == [] and ("Recommender", "grocery") not in cluster.objects
