"""Both charts, in every scenario of their ci/ folders."""

import json

import pytest
import yaml
from conftest import CHARTS, scenarios

SCENARIOS = list(scenarios())
IDS = ["-".join(found) for found in SCENARIOS]
WORKLOADS = {"Deployment", "Job", "StatefulSet", "DaemonSet"}


def named(objects, kind, ending=""):
    found, *others = (o for o in objects if o["kind"] == kind and o["metadata"]["name"].endswith(ending))
    assert not others
    return found


def pod_specs(objects):
    """Name of the object, and its pod's spec, for everything that makes pods."""
    for found in objects:
        if found["kind"] == "Pod":
            yield found["metadata"]["name"], found["spec"]
        elif found["kind"] in WORKLOADS:
            yield found["metadata"]["name"], found["spec"]["template"]["spec"]


@pytest.mark.parametrize("chart", ["recommender", "shoploop"])
def test_a_chart_passes_strict_lint_as_it_comes(helm, chart):
    done = helm("lint", "--strict", CHARTS / chart)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("chart", "scenario"), SCENARIOS, ids=IDS)
def test_a_scenario_passes_strict_lint(helm, chart, scenario):
    done = helm("lint", "--strict", CHARTS / chart, "-f", CHARTS / chart / "ci" / f"{scenario}-values.yaml")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("chart", "scenario"), SCENARIOS, ids=IDS)
def test_selectors_equal_the_labels_of_the_pods_they_mean(render, chart, scenario):
    objects = render(chart, scenario=scenario)
    runs_pods = ("Deployment", "StatefulSet")
    templates = [o["spec"]["template"]["metadata"]["labels"] for o in objects if o["kind"] in runs_pods]
    selectors = [
        selector
        for o in objects
        for selector in (
            o["kind"] == "Service" and o["spec"]["selector"],
            o["kind"] in {"Deployment", "PodDisruptionBudget", "ServiceMonitor"}
            and o["spec"]["selector"]["matchLabels"],
            o["kind"] == "NetworkPolicy" and o["spec"]["podSelector"]["matchLabels"],
        )
        if selector
    ]
    assert len(selectors) >= 3
    for selector in selectors:
        assert any(selector.items() <= labels.items() for labels in templates), selector


@pytest.mark.parametrize(("chart", "scenario"), SCENARIOS, ids=IDS)
def test_no_service_selects_a_test_pod_or_a_hook(render, chart, scenario):
    objects = render(chart, scenario=scenario)
    selectors = [found["spec"]["selector"] for found in objects if found["kind"] == "Service"]
    others = [o["metadata"]["labels"] for o in objects if o["kind"] == "Pod"]
    others += [o["spec"]["template"]["metadata"]["labels"] for o in objects if o["kind"] == "Job"]
    assert selectors and others
    assert not [labels for labels in others for selector in selectors if selector.items() <= labels.items()]


@pytest.mark.parametrize(("chart", "scenario"), SCENARIOS, ids=IDS)
def test_selectors_hold_no_version(render, chart, scenario):
    for found in render(chart, scenario=scenario):
        if found["kind"] == "Deployment":
            labels = found["spec"]["selector"]["matchLabels"]
            assert not {"helm.sh/chart", "app.kubernetes.io/version"} & labels.keys()


@pytest.mark.parametrize(("chart", "scenario"), SCENARIOS, ids=IDS)
def test_every_pod_keeps_to_restricted_pod_security(render, chart, scenario):
    for name, pod in pod_specs(render(chart, scenario=scenario)):
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] > 0, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not [v for v in pod.get("volumes", []) if "hostPath" in v], name
        for container in pod.get("initContainers", []) + pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert container["resources"]["limits"]["memory"], name
            assert container["resources"]["requests"]["cpu"], name


@pytest.mark.parametrize("chart", ["recommender", "shoploop"])
@pytest.mark.parametrize("release", ["r" * 53, "a.b", "x", "recommender", "shoploop"])
def test_names_stay_within_63_letters_and_are_unique(render, chart, release):
    scenario = "two-nodes" if chart == "recommender" else "company"
    objects = render(chart, {"nameOverride": "n" * 50}, scenario=scenario, release=release)
    named_once = [(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in objects]
    assert len(named_once) == len(set(named_once))
    custom = "CustomResourceDefinition"
    assert max(len(o["metadata"]["name"]) for o in objects if o["kind"] != custom) <= 63
    for found in objects:
        for label in found["metadata"].get("labels", {}).values():
            assert len(label) <= 63


@pytest.mark.parametrize("chart", ["recommender", "shoploop"])
def test_every_value_has_a_default_and_a_rule(chart):
    """values.yaml and values.schema.json name the same fields, so that a misspelt value is refused."""
    values = yaml.safe_load((CHARTS / chart / "values.yaml").read_text())
    schema = json.loads((CHARTS / chart / "values.schema.json").read_text())

    def compare(value, rule, path):
        if rule.get("additionalProperties") is not False or "properties" not in rule:
            return
        assert rule["type"] == "object", path
        missing = rule["properties"].keys() - (value or {}).keys() - {"global", "claims"}
        assert not missing, f"{path}: no default for {missing}"
        for key, inner in (value or {}).items():
            assert key in rule["properties"], f"{path}.{key} has no rule"
            compare(inner, rule["properties"][key], f"{path}.{key}")

    compare(values, schema, chart)
