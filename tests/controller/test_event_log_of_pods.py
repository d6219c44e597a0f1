"""The way back from shoppers on a cluster: what the operator hands on, what it waits for and what it leaves."""

import pytest
from pydantic import ValidationError
from worlds import chart_values, condition, message

from shoploop.api.online import EventLogSpec
from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.controller.decide import feedback

KEYS = {"impressions": {"name": "impressions"}}
REDIS = {"log": {"type": "Redis", "connection": "redis:6379"}, "keys": KEYS}
FILE = {"log": {"type": "Sqlite"}, "keys": KEYS}
IMPRESSIONS = {"impressions": frozenset({"1.key"})}
DELETED = {"deletionTimestamp": "2026-03-02T11:59:50Z", "deletionGracePeriodSeconds": 0}


def claims(plan):
    return [one["metadata"]["name"] for one in plan.apply if one["kind"] == "PersistentVolumeClaim"]


def test_without_a_log_nothing_is_collected(make_recommender, make_version, settings):
    assert chart_values(make_recommender(), make_version(), settings)["online"] == {"enabled": False}


def test_feedback_needs_no_learner(make_recommender, make_version, settings, plan):
    recommender = make_recommender(online=REDIS)
    made = plan(recommender, make_version(), feedback_secrets=IMPRESSIONS)
    assert made.release.values["online"]["log"]["connection"] == "redis:6379"
    assert made.release.values["online"]["keys"]["impressionsSecretName"] == "impressions"
    assert made.release.values["replicas"] == 2


def test_the_file_of_a_log_gets_a_claim_without_an_owner_and_one_pod(make_recommender, make_version, plan):
    recommender = make_recommender(online=FILE)
    made = plan(recommender, make_version(), feedback_secrets=IMPRESSIONS)
    assert "grocery-events" in claims(made)
    (claim,) = (one for one in made.apply if one["metadata"]["name"] == "grocery-events")
    assert "ownerReferences" not in claim["metadata"]
    assert made.release.values["online"]["log"]["claimName"] == "grocery-events"
    assert made.release.values["replicas"] == 1
    assert "grocery-events" not in claims(plan(recommender, make_version(), claim, feedback_secrets=IMPRESSIONS))


def test_a_claim_that_the_spec_names_is_used(make_recommender, make_version, plan):
    log = {"type": "Sqlite", "claim": "mine"}
    made = plan(make_recommender(online=FILE | {"log": log}), make_version(), feedback_secrets=IMPRESSIONS)
    assert "grocery-events" not in claims(made)
    assert made.release.values["online"]["log"]["claimName"] == "mine"


SECURE = {
    "log": {
        "type": "Redis",
        "connection": "redis:6379",
        "secretRef": {"name": "redis"},
        "tls": {"caRef": {"name": "ca", "key": "root.pem"}},
    },
    "keys": KEYS | {"server": {"name": "server"}, "publishable": {"name": "pages"}},
}
ALL = {
    "impressions": frozenset({"1.key"}),
    "server": frozenset({"shop.key"}),
    "pages": frozenset({"front.json"}),
    "redis": frozenset({"password"}),
    "ca": frozenset({"root.pem"}),
}


@pytest.mark.parametrize(
    ("online", "secrets", "reason", "told"),
    [
        (REDIS | {"keys": {}}, {}, "FeedbackKeyUnset", "spec.online.keys.impressions is not"),
        (REDIS, {"impressions": None}, "FeedbackSecretMissing", "impressions, named by spec.online.keys.impressions"),
        (REDIS, {"impressions": frozenset({"x"})}, "FeedbackSecretKeyMissing", "lacks the key NAME.key"),
        (SECURE, ALL | {"server": None}, "FeedbackSecretMissing", "spec.online.keys.server"),
        (SECURE, ALL | {"pages": frozenset({"a.key"})}, "FeedbackSecretKeyMissing", "lacks the key NAME.json"),
        (SECURE, ALL | {"redis": frozenset({"username"})}, "FeedbackSecretKeyMissing", "lacks the key password"),
        (SECURE, ALL | {"ca": frozenset({"ca.crt"})}, "FeedbackSecretKeyMissing", "lacks the key root.pem"),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_changed(
    make_recommender, make_version, plan, online, secrets, reason, told
):
    made = plan(make_recommender(online=online), make_version(), feedback_secrets=secrets)
    assert condition(made, "Ready") == ("False", reason)
    assert told in message(made, "Ready")
    assert made.release is None and made.apply == ()
    assert [event.type for event in made.events] == ["Warning"]


def test_with_everything_there_it_is_released(make_recommender, make_version, plan):
    made = plan(make_recommender(online=SECURE), make_version(), feedback_secrets=ALL)
    log = made.release.values["online"]["log"]
    assert (log["secretName"], log["tls"]) == ("redis", {"enabled": True, "caSecretName": "ca", "caKey": "root.pem"})


def test_the_operator_asks_for_the_secrets_that_the_spec_names(make_recommender):
    assert feedback.secret_names(make_recommender(online=SECURE)["spec"]) == set(ALL)
    assert feedback.secret_names(make_recommender()["spec"]) == set()


@pytest.mark.parametrize("online", [None, [], {"log": 1, "keys": []}, {"log": {"secretRef": "x", "tls": [1]}}], ids=str)
def test_a_spec_that_breaks_every_rule_names_none(online):
    assert feedback.secret_names({"online": online}) == set()


@pytest.mark.parametrize(("policy", "goes"), [("Delete", True), ("Orphan", False)])
def test_the_claim_of_the_log_goes_with_the_store_and_stays_with_it(make_recommender, plan, policy, goes):
    recommender = make_recommender(meta=DELETED, online=FILE, deletionPolicy=policy)
    claim = {
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": "grocery-events",
            "labels": {"shoploop.io/recommender": "grocery", "app.kubernetes.io/managed-by": "shoploop"},
        },
    }
    gone = (("PersistentVolumeClaim", "grocery-events"),)
    assert (plan(recommender, claim).delete == gone) is goes


def test_a_redis_that_is_brought_has_a_password_by_reference_and_pods_reach_it(
    make_recommender, make_version, settings
):
    bring = {"storage": "9Gi", "maxMemory": "1gb"}
    log = {"type": "Redis", "bring": bring, "secretRef": {"name": "redis"}}
    recommender = make_recommender(online={"log": log, "keys": {"impressions": {"name": "impressions"}}})
    values = chart_values(recommender, make_version(), settings)
    assert values["online"]["log"]["connection"] == "" and values["online"]["log"]["secretName"] == "redis"
    assert values["redis"]["storage"] == {"size": "9Gi", "className": ""}
    assert values["redis"]["maxMemory"] == "1gb" and values["redis"]["resources"]["limits"] == {"memory": "2Gi"}
    spec = RecommenderSpec.model_validate(recommender["spec"])
    assert feedback.reached("grocery", spec.online.log).connection == "grocery-redis:6379"


@pytest.mark.parametrize(
    "log",
    [
        {"type": "Redis", "bring": {}},
        {"type": "Redis", "bring": {}, "connection": "redis:6379", "secretRef": {"name": "redis"}},
        {"type": "Kafka", "bring": {}, "secretRef": {"name": "redis"}},
        {"type": "Sqlite", "bring": {}},
    ],
    ids=["no password", "two of them", "kafka", "sqlite"],
)
def test_what_cannot_be_brought_is_refused(log):
    with pytest.raises(ValidationError, match="bring"):
        EventLogSpec.model_validate(log)


def test_secrets_of_who_may_ask_are_looked_for_without_a_log(make_recommender, make_version, settings, plan):
    tokens = {"issuer": "https://id", "audience": "shoploop", "jwks": {"name": "issuer"}}
    recommender = make_recommender(serving={"access": {"keys": {"name": "callers"}, "tokens": tokens}})
    assert feedback.secret_names(recommender["spec"]) == {"callers", "issuer"}
    there = {"callers": frozenset({"shop.key"}), "issuer": frozenset({"jwks.json"})}
    for secrets, reason in (
        (there | {"callers": None}, "FeedbackSecretMissing"),
        (there | {"callers": frozenset({"shop"})}, "FeedbackSecretKeyMissing"),
        (there | {"issuer": frozenset({"keys"})}, "FeedbackSecretKeyMissing"),
    ):
        assert reason in str(plan(recommender, make_version(), feedback_secrets=secrets).status)
    assert "FeedbackSecret" not in str(plan(recommender, make_version(), feedback_secrets=there).status)
