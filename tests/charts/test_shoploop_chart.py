"""What charts/shoploop makes of its values."""

import json
import re

import yaml
from conftest import CHARTS
from prometheus_client import REGISTRY
from test_helm_charts import named

from shoploop.api import learner_state, predictor_state
from shoploop.controller import metrics
from shoploop.controller.decide.settings import Settings

METRIC = re.compile(r"shoploop_(?:operator|online|drift|degraded)_\w+")
CLUSTER_WIDE = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}


def operator(objects):
    return named(objects, "Deployment", "operator")["spec"]


def env_of(objects):
    (container,) = operator(objects)["template"]["spec"]["containers"]
    return {e["name"]: e.get("value", "") for e in container["env"]}


def exported():
    """Names of the samples that the operator exports, whatever it was asked to do."""
    return samples("shoploop_operator_") if metrics.QUEUE else set()


def told_of_learning():
    """Names of the samples of the learner, and of those of a predictor that alerts ask for."""
    from shoploop.online.telling import GAUGES
    from shoploop.predictor import metrics as predictor

    assert predictor.ONLINE_AGE
    of_predictors = [samples(f"shoploop_{what}_") for what in ("online", "drift", "degraded")]
    return {f"shoploop_online_{name}" for name in GAUGES}.union(*of_predictors)


def samples(beginning):
    families = [family for family in REGISTRY.collect() if family.name.startswith(beginning)]
    endings = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}
    assert families
    return {f"{family.name}{ending}" for family in families for ending in endings[family.type]}


def test_one_operator_at_a_time(render):
    assert operator(render("shoploop"))["replicas"] == 1
    assert operator(render("shoploop"))["strategy"] == {"type": "Recreate"}


def test_who_closes_the_operators_egress_is_told_of_every_port_that_it_asks():
    said = [(CHARTS / "shoploop" / file).read_text() for file in ("values.yaml", "README.md")]
    for text in said:
        (about,) = re.findall(r"Where the operator may connect to.*?(?:\|\n|egress:)", text, re.S)
        assert str(learner_state.PORT) in about and str(predictor_state.PORT) in about, about


def test_the_operator_understands_what_the_chart_tells_it(render):
    env = env_of(render("shoploop", {"watch": {"namespaces": ["shop", "lab"]}, "logLevel": "debug"}))
    settings = Settings.from_env({"SHOPLOOP_CHART": "/opt/shoploop/charts/recommender"} | env)
    assert settings.namespaces == ("shop", "lab")
    assert settings.serving_image == "shoploop/serving:0.1.0"
    assert settings.log_level == "debug"
    assert (settings.health_port, settings.metrics_port) == (8080, 9090)


def test_a_platform_can_require_signatures_of_all(render):
    for policy, understood in (("Require", "Require"), ("", None)):
        env = env_of(render("shoploop", {"signing": {"policy": policy}}))
        assert Settings.from_env(env).signing_policy == understood


def test_every_setting_that_the_chart_makes_is_read(render):
    read = re.findall(
        r"SHOPLOOP_\w+", (CHARTS.parent / "shoploop" / "controller" / "decide" / "settings.py").read_text()
    )
    told = {name for name in env_of(render("shoploop", scenario="company")) if name.startswith("SHOPLOOP_")}
    assert told <= set(read)


def test_a_mirror_holds_for_all_three_images(render):
    objects = render("shoploop", scenario="company")
    env = env_of(objects)
    assert env["SHOPLOOP_PIPELINE_IMAGE"] == "mirror.example.com/shoploop/pipeline:1.2.3"
    assert env["SHOPLOOP_SERVING_IMAGE"] == "mirror.example.com/shoploop/serving:1.2.3"
    assert env["SHOPLOOP_IMAGE_PULL_SECRETS"] == "regcred"


def test_definitions_stay_when_the_chart_goes(render):
    found = [o for o in render("shoploop") if o["kind"] == "CustomResourceDefinition"]
    assert {o["metadata"]["name"] for o in found} == {"recommenders.shoploop.io", "modelversions.shoploop.io"}
    assert {o["metadata"]["annotations"]["helm.sh/resource-policy"] for o in found} == {"keep"}


def test_a_platform_for_some_namespaces_asks_for_nothing_of_the_whole_cluster(render):
    objects = render("shoploop", scenario="namespaced")
    assert not CLUSTER_WIDE & {o["kind"] for o in objects}
    roles = {o["metadata"]["namespace"] for o in objects if o["kind"] == "Role"}
    assert roles == {o["metadata"]["namespace"] for o in objects if o["kind"] == "RoleBinding"} == {"shop", "search"}


def test_roles_name_what_they_grant_and_never_everything(render):
    rules = [rule for o in render("shoploop") if o["kind"] in {"ClusterRole", "Role"} for rule in o["rules"]]
    assert rules
    for rule in rules:
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]


def test_uninstalling_asks_first_unless_the_guard_is_off(render):
    job = named(render("shoploop"), "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete"
    off = render("shoploop", {"uninstallGuard": {"enabled": False}})
    assert "Job" not in {o["kind"] for o in off}


def test_alerts_ask_for_metrics_that_somebody_exports(render):
    known = exported() | told_of_learning()
    (group,) = named(render("shoploop", scenario="company"), "PrometheusRule")["spec"]["groups"]
    assert len(group["rules"]) >= 5
    for rule in group["rules"]:
        assert METRIC.findall(rule["expr"]) and set(METRIC.findall(rule["expr"])) <= known, rule["alert"]
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["description"]


def test_alerts_keep_prometheus_own_templates(render):
    (group,) = named(render("shoploop", scenario="company"), "PrometheusRule")["spec"]["groups"]
    assert group["rules"] == yaml.safe_load((CHARTS / "shoploop" / "alerts.yaml").read_text())
    assert any("{{ $labels.resource }}" in rule["annotations"]["summary"] for rule in group["rules"])


def test_the_dashboard_shows_metrics_that_somebody_exports(render):
    config = named(render("shoploop", scenario="company"), "ConfigMap", "dashboard")
    dashboard = json.loads(config["data"]["shoploop.json"])
    asked = {name for panel in dashboard["panels"] for t in panel["targets"] for name in METRIC.findall(t["expr"])}
    assert asked <= exported() | told_of_learning()
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_scores_and_features_that_drift_are_told_of(render):
    (group,) = named(render("shoploop", scenario="company"), "PrometheusRule")["spec"]["groups"]
    asked = [rule["expr"] for rule in group["rules"] if "shoploop_drift_psi" in rule["expr"]]
    assert sorted(what for what in ("score", "feature") for expr in asked if f'what="{what}"' in expr) == [
        "feature",
        "score",
    ]


def test_whoever_learns_is_watched_for_lag_trips_stale_pods_and_dead_letters(render):
    (group,) = named(render("shoploop", scenario="company"), "PrometheusRule")["spec"]["groups"]
    asked = {name for rule in group["rules"] for name in METRIC.findall(rule["expr"])}
    wanted = {"lag_seconds", "frozen", "learning", "updates_age_seconds", "dead_letters"}
    assert {f"shoploop_online_{name}" for name in wanted} <= asked
