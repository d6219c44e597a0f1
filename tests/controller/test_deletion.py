"""How a Recommender goes, and what it leaves."""

from datetime import timedelta

from worlds import NOW, condition, message

from shoploop.controller.decide.observed import Uninstall

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
