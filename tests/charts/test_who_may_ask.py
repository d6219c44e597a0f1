"""What charts/recommender makes of who may ask, and of the port for who administers."""

import json

import pytest
from test_helm_charts import named

from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.controller.decide import feedback
from shoploop.predictor.access_settings import ADMIN, ENVIRONMENT, KEY_SET, AccessSettings, AdminSettings

PORTS = [{"port": "http", "protocol": "TCP"}], [{"port": "admin", "protocol": "TCP"}]


def pod(objects):
    return named(objects, "Deployment", "predictor")["spec"]["template"]["spec"]


def told(objects):
    (server,) = pod(objects)["containers"]
    return {one["name"]: one["value"] for one in server["env"]}


def test_the_predictor_is_told_who_may_ask_and_finds_the_keys_where_it_looks(render):
    objects = render("recommender", scenario="events")
    settings = AccessSettings.model_validate_json(told(objects)[ENVIRONMENT])
    assert (settings.tokens.issuer, settings.tokens.algorithms) == ("https://id.shop.example", ["RS256"])
    (server,) = pod(objects)["containers"]
    (mount,) = (one for one in server["volumeMounts"] if one["mountPath"] == str(settings.folder))
    (volume,) = (one for one in pod(objects)["volumes"] if one["name"] == mount["name"])
    keys, tokens = (one["secret"] for one in volume["projected"]["sources"])
    assert mount["readOnly"] and keys == {"name": "callers"}
    assert tokens == {"name": "issuer-keys", "items": [{"key": "jwks.json", "path": KEY_SET}]}


def test_without_it_everybody_may_ask(render):
    assert ENVIRONMENT not in told(render("recommender", scenario="own-store"))


@pytest.mark.parametrize(
    ("access", "problem"),
    [
        ({"enabled": True}, "access.enabled asks for keys or tokens"),
        ({"enabled": True, "tokens": {"issuer": "https://id"}}, "access.tokens needs issuer, audience"),
        ({"tokens": {"algorithms": ["HS256"]}}, "algorithms"),
    ],
)
def test_access_that_would_let_in_nobody_or_anybody_is_refused(render, access, problem):
    with pytest.raises(Exception, match=problem):
        render("recommender", {"access": access}, scenario="own-store")


def test_what_administers_has_a_port_and_a_service_of_its_own(render):
    objects = render("recommender", scenario="events")
    settings = AdminSettings.model_validate_json(told(objects)[ADMIN])
    (server,) = pod(objects)["containers"]
    ports = {one["name"]: one["containerPort"] for one in server["ports"]}
    assert ports == {"http": 3000, "admin": settings.port} and settings.host == "0.0.0.0"
    service = named(objects, "Service", "-admin")["spec"]
    assert (service["type"], [one["targetPort"] for one in service["ports"]]) == ("ClusterIP", ["admin"])
    assert [one["name"] for one in named(objects, "Service", "predictor")["spec"]["ports"]] == ["http"]
    shoppers, admins = named(objects, "NetworkPolicy", "predictor")["spec"]["ingress"]
    assert (shoppers["ports"], admins["ports"]) == PORTS
    assert "from" not in shoppers and admins["from"] == [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    ]


def test_prometheus_and_keda_ask_where_they_are_answered(render):
    for public, port, url in (False, "admin", "-admin.shop.svc:3001"), (True, "http", "predictor.shop.svc:80"):
        objects = render("recommender", {"admin": {"onPublicPort": public}}, scenario="object-store")
        monitor, service = named(objects, "ServiceMonitor"), [o for o in objects if o["kind"] == "Service"]
        assert [one["port"] for one in monitor["spec"]["endpoints"]] == [port]
        assert port in {one["name"] for found in service for one in found["spec"]["ports"]}
        (trigger,) = named(objects, "ScaledObject")["spec"]["triggers"]
        assert trigger["metadata"]["url"].endswith(f"{url}/load")
        assert (ADMIN in told(objects)) != public


def test_probes_stay_where_they_were(render):
    (server,) = pod(render("recommender", scenario="events"))["containers"]
    probes = [server[f"{kind}Probe"]["httpGet"]["port"] for kind in ("startup", "liveness", "readiness")]
    assert probes == ["http"] * 3


@pytest.mark.parametrize(
    "access",
    [
        {"keys": {"name": "callers"}},
        {
            "tokens": {
                "issuer": "https://id",
                "audience": "a",
                "jwks": {"name": "set", "key": "k"},
                "algorithms": ["EdDSA"],
            }
        },
        None,
    ],
    ids=str,
)
def test_what_the_operator_tells_of_access_reaches_the_predictor(render, access):
    spec = RecommenderSpec.model_validate({"data": {"dataset": "completejourney"}, "serving": {"access": access}})
    objects = render("recommender", {"access": feedback.access_values(spec)}, scenario="own-store")
    if access is None:
        assert ENVIRONMENT not in told(objects)
        return
    settings = AccessSettings.model_validate_json(told(objects)[ENVIRONMENT])
    asked = spec.serving.access.tokens
    expected = asked and json.loads(asked.model_dump_json(exclude={"jwks"}))
    assert (settings.tokens and json.loads(settings.tokens.model_dump_json())) == expected
