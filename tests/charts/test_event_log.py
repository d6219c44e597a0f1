"""What charts/recommender makes of an event log and its keys."""

import pytest
from test_helm_charts import named

from shoploop.predictor.feedback_settings import ENVIRONMENT, FeedbackSettings


def deployment(objects):
    return named(objects, "Deployment", "predictor")["spec"]


def server(objects):
    (found,) = deployment(objects)["template"]["spec"]["containers"]
    return found


def settings(objects) -> FeedbackSettings:
    """As the predictor reads them."""
    (value,) = (one["value"] for one in server(objects)["env"] if one["name"] == ENVIRONMENT)
    return FeedbackSettings.model_validate_json(value)


def mounts(objects):
    return {one["mountPath"]: one for one in server(objects)["volumeMounts"]}


def volumes(objects):
    return {one["name"]: one for one in deployment(objects)["template"]["spec"]["volumes"]}


def test_without_a_log_the_predictor_hears_of_none(render):
    objects = render("recommender", scenario="own-store")
    assert ENVIRONMENT not in str(server(objects))
    assert set(volumes(objects)) == {"bento", "tmp", "store"}


def test_the_predictor_is_told_of_its_log_and_of_nothing_secret(render):
    objects = render("recommender", scenario="events")
    told = settings(objects)
    assert (told.log.type, told.log.connection, told.log.secret_ref.name) == ("Redis", "redis.data.svc:6380", "redis")
    assert (told.log.tls.ca_ref.name, told.log.tls.ca_ref.key) == ("redis-ca", "ca.crt")
    assert told.recommender == "loop"


def test_keys_and_passwords_are_mounted_where_the_predictor_looks_for_them(render):
    objects = render("recommender", scenario="events")
    told, found, there = settings(objects), mounts(objects), volumes(objects)
    for kind, secret in {"impressions": "impressions", "server": "server-keys", "publishable": "page-keys"}.items():
        mount = found[str(told.keys / kind)]
        assert mount["readOnly"] and there[mount["name"]]["secret"] == {"secretName": secret, "defaultMode": 0o440}
    mount = found[str(told.access)]
    assert mount["readOnly"]
    assert [one["secret"]["name"] for one in there[mount["name"]]["projected"]["sources"]] == ["redis", "redis-ca"]


def test_only_the_server_holds_them(render):
    (fetch,) = deployment(render("recommender", scenario="events"))["template"]["spec"]["initContainers"]
    assert not [one for one in fetch["volumeMounts"] if one["name"].startswith(("keys", "log"))]
    assert ENVIRONMENT not in str(fetch.get("env"))


def test_a_file_lies_on_its_claim_and_has_one_pod_at_a_time(render):
    objects = render("recommender", scenario="one-pod")
    mount = mounts(objects)[str(settings(objects).folder)]
    assert not mount.get("readOnly")
    assert volumes(objects)[mount["name"]]["persistentVolumeClaim"] == {"claimName": "grocery-events"}
    assert deployment(objects)["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize(
    ("log", "ports"),
    [
        ({"type": "Redis", "connection": "redis:6380"}, [6380]),
        ({"type": "Redis", "connection": "redis"}, [6379]),
        ({"type": "Redis", "connection": "rediss://redis:6390/0"}, [6390]),
        ({"type": "Kafka", "connection": "a:9093,b:9093,c:9094"}, [9093, 9094]),
        ({"type": "Kafka", "connection": "kafka"}, [9092]),
    ],
    ids=lambda it: str(it.get("connection")) if isinstance(it, dict) else "",
)
def test_egress_that_is_closed_lets_the_predictor_reach_its_log(render, log, ports):
    rules = named(render("recommender", {"online": {"log": log}}, scenario="events"), "NetworkPolicy")["spec"]["egress"]
    assert [[port["port"] for port in rule["ports"]] for rule in rules] == [[53, 53], ports]
    assert rules[1]["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "data"}}}]


def test_egress_that_is_open_stays_open(render):
    objects = render("recommender", {"networkPolicy": {"egress": []}}, scenario="events")
    assert named(objects, "NetworkPolicy")["spec"]["policyTypes"] == ["Ingress"]


@pytest.mark.parametrize(
    "online",
    [
        {"log": {"type": "Redis", "connection": "redis:6379"}},
        {
            "log": {
                "type": "Kafka",
                "connection": "k:1",
                "secretRef": {"name": "s"},
                "tls": {},
                "saslMechanism": "Plain",
            },
            "keys": {"server": {"name": "server"}},
        },
        {"log": {"type": "Kafka", "connection": "k:1", "tls": {"caRef": {"name": "ca", "key": "root.pem"}}}},
        {"log": {"type": "Sqlite", "claim": "mine"}},
        {"log": {"type": "Sqlite"}},
    ],
    ids=str,
)
def test_what_the_operator_tells_of_the_log_reaches_the_predictor(render, online):
    from shoploop.api.v1alpha1 import RecommenderSpec
    from shoploop.controller.decide import feedback, releases

    online = online | {"keys": {"impressions": {"name": "impressions"}} | online.get("keys", {})}
    spec = RecommenderSpec.model_validate({"data": {"dataset": "completejourney"}, "online": online})
    recommender = {"metadata": {"name": "grocery"}}
    values = {"online": feedback.values(recommender, spec), "replicas": releases.replicas(spec)}
    objects = render("recommender", values, scenario="own-store")
    told = settings(objects).log
    asked = spec.online.log
    assert (told.type, told.connection, told.secret_ref, told.tls) == (
        asked.type,
        asked.connection,
        asked.secret_ref,
        asked.tls,
    )
    if told.type == "Kafka":
        assert told.sasl_mechanism == asked.sasl_mechanism
    else:
        assert deployment(objects)["replicas"] == (1 if told.type == "Sqlite" else 2)
