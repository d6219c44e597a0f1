"""Values that cannot work are refused before anything is installed, by a message that names the value."""

import json
from pathlib import Path

import pytest
import yaml
from conftest import RenderingRefused

CHARTS = Path(__file__).resolve().parents[2] / "charts"

HEX = "0123456789abcdef" * 4
KEYS = {"impressionsSecretName": "impressions"}
PEM = f"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA{'A' * 43}=\n-----END PUBLIC KEY-----\n"
RECOMMENDER = {
    "unknown-value": ({"replica": 2}, "additional properties 'replica' not allowed"),
    "unknown-inner-value": ({"image": {"name": "x"}}, "'/image': additional properties 'name' not allowed"),
    "negative-replicas": ({"replicas": -1}, "'/replicas': minimum: got -1, want 0"),
    "replicas-in-words": ({"replicas": "two"}, "'/replicas': got string, want"),
    "half-a-replica": ({"replicas": 1.5}, "'/replicas': got number, want"),
    "unknown-pull-policy": ({"image": {"pullPolicy": "Sometimes"}}, "one of 'Always', 'IfNotPresent', 'Never'"),
    "short-digest": ({"version": {"digest": "abc"}}, "'/version/digest': 'abc' does not match pattern"),
    "unknown-scheme": ({"version": {"bento": "ftp://x/y"}}, "'/version/bento': 'ftp://x/y' does not match pattern"),
    "no-version": ({"version": {"id": ""}}, "version.id is required"),
    "no-digest": ({"version": {"digest": ""}}, "version.digest is required"),
    "file-store-without-claim": ({"store": {"claimName": ""}}, "store.claimName is required for a file:// store"),
    "bento-outside-its-store": ({"store": {"uri": "file:///other"}}, "does not lie in store.uri file:///other"),
    "replicas-and-autoscaling": ({"autoscaling": {"enabled": True}}, "replicas and autoscaling exclude each other"),
    "autoscaling-upside-down": ({"autoscaling": {"min": 5, "max": 2}}, "autoscaling.min 5 must not exceed"),
    "no-target-load": ({"autoscaling": {"targetInFlight": 0}}, "'/autoscaling/targetInFlight': exclusiveMinimum"),
    "learning-from-no-log": ({"online": {"enabled": True}}, "online.enabled learns from the event log: set online.log"),
    "learning-in-two-pods-of-a-file": (
        {"online": {"enabled": True, "log": {"type": "Sqlite", "claimName": "events"}, "keys": KEYS}},
        "online.log.type Sqlite serves one pod",
    ),
    "learning-where-signatures-are-asked-for": (
        {
            "online": {"enabled": True, "log": {"type": "Redis", "connection": "redis"}, "keys": KEYS},
            "signing": {"publicKeys": [PEM]},
        },
        "online.enabled and signing.policy Require need signing.privateKey",
    ),
    "unknown-optimizer": (
        {"online": {"optimizer": "Adam"}},
        "'/online/optimizer': value must be one of 'Sgd', 'AdaGrad'",
    ),
    "no-time-between-commits": (
        {"online": {"publishPeriodSeconds": 0}},
        "'/online/publishPeriodSeconds': minimum: got 0",
    ),
    "redis-for-another-log": (
        {"redis": {"enabled": True}, "online": {"log": {"type": "Kafka", "connection": "kafka:9092"}, "keys": KEYS}},
        "redis.enabled brings a Redis for the event log",
    ),
    "two-redis": (
        {"redis": {"enabled": True}, "online": {"log": {"type": "Redis", "connection": "redis:6379"}, "keys": KEYS}},
        "exclude each other",
    ),
    "no-store-to-follow": ({"promotions": {"follow": True}, "store": {"uri": ""}}, "set store.uri"),
    "unknown-log": ({"online": {"log": {"type": "Mysql"}}}, "'/online/log/type': value must be one of '', 'Sqlite'"),
    "log-without-address": ({"online": {"log": {"type": "Redis"}, "keys": KEYS}}, "online.log.connection is empty"),
    "log-file-of-two-pods": (
        {"online": {"log": {"type": "Sqlite", "claimName": "events"}, "keys": KEYS}},
        "online.log.type Sqlite serves one pod",
    ),
    "log-file-without-claim": (
        {"replicas": 1, "online": {"log": {"type": "Sqlite"}, "keys": KEYS}},
        "online.log.claimName is empty",
    ),
    "log-without-keys": (
        {"online": {"log": {"type": "Redis", "connection": "redis:6379"}}},
        "online.keys.impressionsSecretName is empty",
    ),
    "address-with-a-blank": (
        {"online": {"log": {"connection": "redis 6379"}}},
        "'/online/log/connection': 'redis 6379'",
    ),
    "memory-without-unit": ({"resources": {"limits": {"memory": "lots"}}}, "'/resources/limits/memory': 'lots'"),
    "root": ({"user": 0}, "'/user': minimum: got 0, want 1"),
    "pull-secrets-as-words": ({"imagePullSecrets": ["regcred"]}, "'/imagePullSecrets/0': got string, want object"),
    "no-deadline": ({"deadlineMilliseconds": 0}, "'/deadlineMilliseconds': minimum: got 0, want 1"),
    "port-out-of-range": ({"service": {"port": 70000}}, "'/service/port': maximum: got 70,000, want 65,535"),
    "ingress-without-host": ({"ingress": {"enabled": True}}, "ingress.hosts is empty"),
    "route-without-gateway": ({"httpRoute": {"enabled": True}}, "httpRoute.parentRefs is empty"),
    "name-too-long": ({"recommender": {"name": "n" * 41}}, "'/recommender/name': maxLength: got 41, want 40"),
    "name-in-capitals": ({"fullnameOverride": "Grocery"}, "'/fullnameOverride': 'Grocery' does not match pattern"),
    "unknown-spread": ({"topologySpread": {"whenUnsatisfiable": "Never"}}, "'ScheduleAnyway', 'DoNotSchedule'"),
    "unknown-anti-affinity": ({"antiAffinity": "Soft"}, "one of 'Preferred', 'Required', 'None'"),
    "unknown-signing-policy": ({"signing": {"policy": "Off"}}, "'/signing/policy': value must be one of"),
    "signatures-of-nobody": ({"signing": {"policy": "Require"}}, "signing.publicKeys is empty"),
    "no-public-key": ({"signing": {"publicKeys": ["x"]}}, "'/signing/publicKeys/0': 'x' does not match pattern"),
    "label-of-a-number": ({"podLabels": {"tier": 1}}, "'/podLabels/tier': got number, want string"),
}
SHOPLOOP = {
    "unknown-value": ({"replicas": 2}, "additional properties 'replicas' not allowed"),
    "namespaces-in-a-string": ({"watch": {"namespaces": "shop"}}, "'/watch/namespaces': got string, want array"),
    "namespace-twice": ({"watch": {"namespaces": ["shop", "shop"]}}, "items at 0 and 1 are equal"),
    "namespace-in-capitals": ({"watch": {"namespaces": ["Shop"]}}, "'/watch/namespaces/0': 'Shop' does not match"),
    "unknown-log-level": ({"logLevel": "loud"}, "one of 'debug', 'info', 'warning', 'error'"),
    "low-port": ({"metrics": {"port": 80}}, "'/metrics/port': minimum: got 80, want 1,024"),
    "crds-in-words": ({"crds": {"install": "yes please"}}, "'/crds/install': got string, want boolean"),
    "interval-without-unit": ({"metrics": {"serviceMonitor": {"interval": "30"}}}, "'30' does not match pattern"),
    "root": ({"user": 0}, "'/user': minimum: got 0, want 1"),
    "unknown-signing-policy": ({"signing": {"policy": "Off"}}, "'/signing/policy': value must be one of"),
    "empty-repository": ({"servingImage": {"repository": ""}}, "'/servingImage/repository': minLength: got 0, want 1"),
}


@pytest.mark.parametrize(("values", "message"), RECOMMENDER.values(), ids=RECOMMENDER)
def test_a_recommender_with_wrong_values_is_refused(render, values, message):
    with pytest.raises(RenderingRefused) as refused:
        render("recommender", values, scenario="own-store")
    assert message in str(refused.value)


@pytest.mark.parametrize(("values", "message"), SHOPLOOP.values(), ids=SHOPLOOP)
def test_a_platform_with_wrong_values_is_refused(render, values, message):
    with pytest.raises(RenderingRefused) as refused:
        render("shoploop", values)
    assert message in str(refused.value)


def switches(values, schema, path=""):
    """Values that are true or false by default, with the schema's type."""
    for name, value in values.items():
        inner = schema.get("properties", {}).get(name, {})
        if isinstance(value, bool):
            yield f"{path}{name}", inner.get("type")
        elif isinstance(value, dict):
            yield from switches(value, inner, f"{path}{name}.")


@pytest.mark.parametrize("chart", ["shoploop", "recommender"])
def test_no_switch_takes_a_word_for_a_boolean(chart):
    """``--set-string x=false`` is text, which a template takes for true."""
    folder = CHARTS / chart
    values = yaml.safe_load((folder / "values.yaml").read_text())
    found = dict(switches(values, json.loads((folder / "values.schema.json").read_text())))
    assert found and set(found.values()) == {"boolean"}, found
