"""What is released, when it is repaired, and when it is left alone."""

import json

import pytest
import yaml
from worlds import NOW, chart_values, condition, helm_secret, message

from shoploop.controller.decide import releases
from shoploop.controller.decide.conditions import say
from shoploop.controller.decide.drift import holds
from shoploop.controller.decide.observed import Failure, Install, Recover, Repair
from shoploop.controller.helm import read_release, why

SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "grocery-predictor", "namespace": "shop", "labels": {"a": "b"}},
    "spec": {"ports": [{"name": "http", "port": 80}], "selector": {"a": "b"}},
}


def live_service(**spec):
    """The Service as the API server and Helm leave it."""
    labels = {"a": "b", "app.kubernetes.io/managed-by": "Helm"}
    notes = {"meta.helm.sh/release-name": "grocery", "meta.helm.sh/release-namespace": "shop"}
    meta = SERVICE["metadata"] | {"labels": labels, "annotations": notes, "uid": "x"}
    ports = [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80}]
    return SERVICE | {
        "metadata": meta,
        "spec": {"ports": ports, "selector": {"a": "b"}, "clusterIP": "10.0.0.1"} | spec,
    }


@pytest.fixture
def served(make_recommender, make_version, make_release, settings):
    """A Recommender whose last run succeeded, its version and its release."""

    def make(*, status=None, meta=None, release=None, **spec):
        recommender = make_recommender(status=status or {"version": "v000000000001"}, meta=meta, suspend=True, **spec)
        version = make_version()
        manifest = yaml.safe_dump(SERVICE)
        return recommender, version, make_release(recommender, version, settings, manifest=manifest, **(release or {}))

    return make


def test_the_newest_version_that_passed_is_released(make_recommender, make_version, plan):
    versions = [
        make_version("v000000000001", day=1),
        make_version("v000000000002", day=2),
        make_version("v000000000003", passed=False, day=3),
    ]
    made = plan(make_recommender(), *versions)
    assert isinstance(made.release, Install)
    assert made.release.values["version"]["id"] == "v000000000002"


def test_a_pinned_version_is_released_whatever_else_there_is(make_recommender, make_version, plan):
    recommender = make_recommender(serving={"pinnedVersion": "v000000000001"})
    made = plan(recommender, make_version("v000000000001", day=1), make_version("v000000000002", day=2))
    assert made.release.values["version"]["id"] == "v000000000001"


def test_a_pinned_version_that_is_not_there_changes_nothing(make_recommender, make_version, plan):
    made = plan(make_recommender(serving={"pinnedVersion": "v9"}), make_version())
    assert made.release is None
    assert condition(made, "Ready") == ("False", "VersionNotFound")
    assert "There are: v000000000001" in message(made, "Ready")


def test_suspended_it_keeps_the_version_that_serves(make_recommender, make_version, plan):
    recommender = make_recommender(suspend=True, status={"version": "v000000000001"})
    made = plan(recommender, make_version("v000000000001", day=1), make_version("v000000000002", day=2))
    assert made.release.values["version"]["id"] == "v000000000001"


def test_values_are_what_the_chart_asks_for(make_recommender, make_version, settings):
    recommender = make_recommender(
        store={"uri": "s3://shop/loop", "endpoint": "http://s3:8333", "secretRef": {"name": "keys"}},
        images={"pullSecrets": ["regcred"]},
    )
    made = chart_values(recommender, make_version(), settings)
    assert made["image"] == {
        "registry": "registry.io", "repository": "shop/serving", "tag": "1", "pullPolicy": "IfNotPresent"
    }  # fmt: skip
    assert made["imagePullSecrets"] == [{"name": "regcred"}]
    assert made["store"]["secretName"] == "keys"
    assert (made["replicas"], made["autoscaling"]) == (2, {"enabled": False})


def test_autoscaling_leaves_the_number_of_pods_open(make_recommender, make_version, settings):
    recommender = make_recommender(serving={"autoscaling": {"min": 1, "max": 4}})
    made = chart_values(recommender, make_version(), settings)
    assert (made["replicas"], made["autoscaling"]) == (None, {"enabled": True, "min": 1, "max": 4})


def test_a_default_that_a_newer_definition_writes_out_is_no_change(make_recommender, make_version, settings):
    """Else an upgrade of the definitions alone would begin the pods of every shop anew."""
    silent = make_recommender(serving={"listRules": {"maxPerCategory": 3}})
    written = make_recommender(
        serving={"listRules": {"maxPerCategory": 3, "exclude": [], "pins": [], "hideOwned": False}}
    )
    before, after = (chart_values(one, make_version(), settings) for one in (silent, written))
    assert before["listRules"] == {"maxPerCategory": 3}
    assert after == before


def test_what_is_as_wanted_is_left_alone(served, make_deployment, plan):
    recommender, version, release = served()
    made = plan(recommender, version, live_service(), make_deployment(), releases=(release,))
    assert made.release is None
    assert condition(made, "Ready") == ("True", "Serving")
    assert made.requeue_seconds is None


def test_a_deleted_child_is_put_back_without_a_revision(served, make_deployment, plan):
    recommender, version, release = served()
    made = plan(recommender, version, make_deployment(), releases=(release,))
    assert isinstance(made.release, Repair)
    assert [thing["kind"] for thing in made.release.objects] == ["Service"]
    assert "Repaired" in [event.reason for event in made.events]


def test_an_edited_child_is_put_back(served, make_deployment, plan):
    recommender, version, release = served()
    made = plan(recommender, version, live_service(selector={"a": "c"}), make_deployment(), releases=(release,))
    assert isinstance(made.release, Repair)


def test_a_new_revision_is_given_time_to_be_seen(served, plan):
    recommender, version, release = served(release={"age_seconds": 1})
    made = plan(recommender, version, releases=(release,))
    assert made.release is None
    assert made.requeue_seconds <= releases.SETTLE_SECONDS, "a Deployment that is gone waits no longer to be repaired"


def test_a_changed_spec_makes_a_revision(served, plan, make_recommender):
    _, version, release = served()
    changed = make_recommender(status={"version": "v000000000001"}, serving={"replicas": 5}, suspend=True)
    made = plan(changed, version, live_service(), releases=(release,))
    assert isinstance(made.release, Install)
    assert condition(made, "Ready") == ("False", "Releasing")


def test_a_persons_rollback_holds_the_release(served, make_deployment, plan):
    recommender, version, release = served(release={"description": "Rollback to 1", "revision": 3})
    made = plan(recommender, version, make_deployment(), releases=(release,))
    assert made.release is None, "nothing is repaired"
    assert condition(made, "ReleaseHeld") == ("True", "ReleaseHeld")
    assert made.status["release"]["heldSinceGeneration"] == 1
    assert "shoploop.io/resume=3" in message(made, "ReleaseHeld")


def test_a_held_release_goes_on_when_the_spec_changes(served, plan):
    status = {"version": "v000000000001", "release": {"name": "grocery", "revision": 3, "heldSinceGeneration": 1}}
    recommender, version, release = served(
        status=status, meta={"generation": 2}, release={"description": "Rollback to 1", "revision": 3}
    )
    made = plan(recommender, version, releases=(release,))
    assert isinstance(made.release, Install)
    assert "ReleaseResumed" in [event.reason for event in made.events]


@pytest.mark.parametrize(("value", "resumed"), [("3", True), ("2", False)], ids=["this revision", "an older one"])
def test_a_held_release_goes_on_when_a_person_lets_go(served, plan, value, resumed):
    status = {"version": "v000000000001", "release": {"name": "grocery", "revision": 3, "heldSinceGeneration": 1}}
    meta = {"annotations": {"shoploop.io/resume": value}}
    recommender, version, release = served(
        status=status, meta=meta, release={"description": "Rollback to 1", "revision": 3}
    )
    assert isinstance(plan(recommender, version, releases=(release,)).release, Install) is resumed


def test_a_revision_left_half_made_is_recovered(served, plan):
    recommender, version, release = served(release={"status": "pending-upgrade", "revision": 2, "age_seconds": 60})
    made = plan(recommender, version, releases=(release,))
    assert made.release == Recover(name="grocery", revision=2)


def test_a_helm_that_may_still_run_is_waited_for(served, plan):
    recommender, version, release = served(release={"status": "pending-upgrade", "revision": 2, "age_seconds": 5})
    made = plan(recommender, version, releases=(release,))
    assert made.release is None
    assert made.requeue_seconds == pytest.approx(26)


def test_somebody_elses_release_is_not_touched(served, plan):
    recommender, version, release = served(release={"chart": "nginx"})
    made = plan(recommender, version, releases=(release,))
    assert made.release is None
    assert condition(made, "Ready") == ("False", "ForeignObject")


def test_a_failed_release_is_told_until_it_works(served, plan, make_version, make_recommender):
    failure = Failure(
        what="release", found=say("ReleaseFailed", release="grocery", detail="no."), attempts=2, retry_at=NOW,
        generation=1,
    )  # fmt: skip
    made = plan(make_recommender(suspend=True), make_version(), failures={"release": failure})
    assert condition(made, "Ready") == ("False", "ReleaseFailed")
    assert condition(made, "Degraded") == ("True", "ReleaseFailed")
    assert isinstance(made.release, Install)


def test_pods_that_are_not_ready_are_counted(served, make_deployment, plan):
    recommender, version, release = served()
    made = plan(recommender, version, live_service(), make_deployment(wanted=2, ready=1), releases=(release,))
    assert condition(made, "Ready") == ("False", "PodsNotReady")
    assert message(made, "Ready").startswith("1 of 2 pods")
    assert made.requeue_seconds is not None


def test_no_pods_are_ready_where_none_are_wanted(served, make_deployment, plan):
    recommender, version, release = served(serving={"replicas": 0})
    made = plan(recommender, version, live_service(), make_deployment(wanted=0), releases=(release,))
    assert condition(made, "Ready") == ("True", "ScaledToZero")


def test_a_version_serves_only_once_its_pods_are_out(
    make_recommender, make_version, make_release, make_deployment, plan, settings
):
    recommender = make_recommender(status={"version": "v000000000001"})
    versions = [make_version("v000000000001", day=1), make_version("v000000000002", day=2)]
    release = make_release(recommender, versions[1], settings)
    moving = plan(recommender, *versions, make_deployment(updatedReplicas=1), releases=(release,))
    assert moving.status["version"] == "v000000000001"
    done = plan(recommender, *versions, make_deployment(), releases=(release,))
    assert done.status["version"] == "v000000000002"
    assert {name: status["serving"] for name, status in done.version_status.items()} == {"grocery-v000000000002": True}


def test_a_version_beyond_its_age_is_told(served, make_deployment, plan):
    recommender, version, release = served(gate={"maxAgeDays": 1})
    made = plan(recommender, version, live_service(), make_deployment(), releases=(release,))
    assert condition(made, "Degraded") == ("True", "VersionTooOld")
    assert condition(made, "Ready")[0] == "True"


def test_versions_beyond_retention_go_but_never_the_one_that_serves(make_recommender, make_version, plan):
    versions = [make_version(f"v00000000000{day}", day=day) for day in (1, 2, 3, 4)]
    made = plan(
        make_recommender(status={"version": "v000000000001"}, suspend=True, retention={"versions": 2}), *versions
    )
    assert made.delete == (("ModelVersion", "grocery-v000000000002"),)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"runner": {"type": "KubeflowPipelines"}}, "RunnerEndpointUnset"),
        ({"online": {"enabled": True}, "serving": {"replicas": 1}}, "OnlineLogUnset"),
        ({"store": {"uri": "http://shop"}}, "NotBuilt"),
        ({"store": {"uri": "s3://shop", "secretRef": {"name": "keys"}}}, "SecretMissing"),
    ],
)
def test_what_cannot_be_done_is_refused_by_a_condition(make_recommender, make_version, plan, spec, reason):
    made = plan(make_recommender(**spec), make_version())
    assert condition(made, "Ready") == ("False", reason)
    assert not made.apply and made.release is None
    assert [event.type for event in made.events] == ["Warning"]


def test_a_secret_without_the_key_names_the_key(make_recommender, plan):
    recommender = make_recommender(store={"uri": "s3://shop", "secretRef": {"name": "keys"}})
    made = plan(recommender, secret_keys=frozenset({"AWS_ACCESS_KEY_ID"}))
    assert "lacks AWS_SECRET_ACCESS_KEY" in message(made, "Ready")


def test_an_authority_of_the_store_reaches_every_pod_and_is_missed_by_name(
    make_recommender, make_version, plan, settings
):
    recommender = make_recommender(store={"uri": "s3://shop", "endpoint": "https://s3", "caRef": {"name": "ca"}})
    for keys, reason in ((None, "FeedbackSecretMissing"), (frozenset({"x"}), "FeedbackSecretKeyMissing")):
        made = plan(recommender, make_version(), feedback_secrets={"ca": keys})
        assert condition(made, "Ready") == ("False", reason) and "spec.store.caRef" in message(made, "Ready")
    assert chart_values(recommender, make_version(), settings)["privateCA"] == {"secretName": "ca", "key": "ca.crt"}
    made = plan(recommender, make_version(), feedback_secrets={"ca": frozenset({"ca.crt"})})
    pods = [one["spec"]["template"]["spec"] for one in made.apply if one["kind"] == "Job"]
    assert pods
    for pod in pods:
        env = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
        assert env["SSL_CERT_FILE"] == "/etc/shoploop/ca/ca.crt"
        assert "/etc/shoploop/ca" in {one["mountPath"] for one in pod["containers"][0]["volumeMounts"]}


def test_two_recommenders_do_not_share_one_place(make_recommender, plan):
    made = plan(make_recommender(), rival="other/grocery")
    assert condition(made, "Ready") == ("False", "StoreTaken")
    assert "s3://shop/loop/recommenders/grocery" in message(made, "Ready")


def test_a_spec_that_only_an_older_api_server_let_pass_is_told(make_recommender, plan):
    recommender = make_recommender()
    recommender["spec"]["data"] = {"tables": {"interactions": {"uri": "x", "columns": {"user": 3}}}}
    made = plan(recommender)
    assert condition(made, "Ready") == ("False", "SpecInvalid")
    assert "spec.data.tables.interactions.columns.user" in message(made, "Ready")


def test_a_second_look_at_the_same_world_changes_nothing(served, make_deployment, plan):
    recommender, version, release = served()
    world = (version | {"status": version["status"] | {"serving": True}}, live_service(), make_deployment())
    first = plan(recommender, *world, releases=(release,))
    again = plan(recommender | {"status": first.status}, *world, releases=(release,))
    assert again.status == first.status
    assert not (again.apply or again.delete or again.release or again.events or again.version_status)


@pytest.mark.parametrize(
    ("wanted", "live", "same"),
    [
        ({"cpu": "1000m"}, {"cpu": "1"}, True),
        ({"memory": "1Gi"}, {"memory": "1024Mi"}, True),
        ({"memory": "1Gi"}, {"memory": "2Gi"}, False),
        ({"a": {}}, {}, True),
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"replicas": 0}, {"replicas": 3}, False),
        ({"on": False}, {}, True),
        ({"c": [{"name": "x", "v": 1}]}, {"c": [{"name": "mesh"}, {"name": "x", "v": 1}]}, True),
        ({"c": [{"name": "x", "v": 1}]}, {"c": [{"name": "x", "v": 2}]}, False),
        ({"args": ["a"]}, {"args": ["a", "b"]}, False),
        ({"a": 1}, None, False),
    ],
)
def test_drift_is_what_was_asked_for_and_is_not_there(wanted, live, same):
    assert holds(wanted, live) is same


def test_a_release_is_read_from_helms_own_secret():
    kept = {
        "name": "grocery", "version": 3, "manifest": "a: 1", "config": {"recommender": {"name": "grocery"}},
        "info": {
            "status": "deployed", "description": "Upgrade complete",
            "last_deployed": "2026-03-02T11:00:00.123456789+01:00",
        },
        "chart": {"metadata": {"name": "recommender"}},
    }  # fmt: skip
    release = read_release(helm_secret(kept))
    assert (release.revision, release.status, release.recommender) == (3, "deployed", "grocery")
    assert (NOW - release.deployed_at).total_seconds() == pytest.approx(7200 - 0.123456)


@pytest.mark.parametrize("config", [None, {}, [], {"recommender": "x", "version": ["v1"]}, {"version": {"id": 7}}])
def test_values_of_a_foreign_chart_may_have_any_shape(config):
    kept = {
        "name": "grocery", "version": 1, "config": config, "info": {"status": "deployed"},
        "chart": {"metadata": {"name": "nginx"}},
    }  # fmt: skip
    release = read_release(helm_secret(kept))
    assert (release.recommender, release.version) == ("", "")


@pytest.mark.parametrize("secret", [{"data": {}}, {"data": {"release": "%%%"}}, {"data": {"release": "YQ=="}}])
def test_a_secret_that_holds_no_release_is_none(secret):
    assert read_release(secret) is None


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        ('Error: Unable to continue with install: Service "x" in namespace "n" exists and cannot be imported into the '
         "current release: invalid ownership metadata", "ForeignObject"),
        ("Error: values don't meet the specifications of the schema(s): - replicas: Invalid type", "ValuesRefused"),
        ('Error: services "x" is forbidden: exceeded quota: none', "QuotaExceeded"),
        ('Error: services is forbidden: User "x" cannot create', "Forbidden"),
        ("Error: timed out", "ReleaseFailed"),
    ],
)  # fmt: skip
def test_helms_words_become_reasons(stderr, reason):
    assert why("grocery", "WARNING: Kubernetes configuration file is group-readable\n" + stderr).reason == reason


def test_every_message_can_be_filled_in():
    assert json.dumps(say("Released", release="a", revision=1, version="v").message)
