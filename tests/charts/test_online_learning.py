"""What charts/recommender makes of learning between two runs: an updater beside each server, and one learner."""

import json

import pytest
from test_helm_charts import named

from shoploop.api.learner_state import PORT
from shoploop.api.online import EventLogSpec
from shoploop.controller.decide.names import learner_name
from shoploop.online.pointer import ENVIRONMENT


def pod(objects, ending="predictor"):
    return named(objects, "Deployment", ending)["spec"]["template"]["spec"]


def container(spec, name):
    (found,) = (one for one in (*spec.get("initContainers", []), *spec["containers"]) if one["name"] == name)
    return found


def mounts(found):
    return {one["mountPath"]: one.get("readOnly", False) for one in found["volumeMounts"]}


def told(found, option):
    (value,) = (arg.partition("=")[2] for arg in found["args"] if arg.startswith(f"--{option}="))
    return value


def test_without_it_there_is_neither_updater_nor_learner(render):
    objects = render("recommender", scenario="events")
    assert [one["name"] for one in pod(objects)["initContainers"]] == ["fetch"]
    assert ENVIRONMENT not in str(objects)
    assert not [found for found in objects if found["metadata"]["name"].endswith("-learner")]


def test_every_predictor_pod_has_an_updater_that_starts_before_the_server_and_outlives_it(render):
    spec = pod(render("recommender", scenario="online"))
    fetch, updater = spec["initContainers"]
    assert (fetch["name"], updater["name"], updater["restartPolicy"]) == ("fetch", "updater", "Always")
    assert updater["args"][:3] == ["python", "-m", "shoploop.online.updater_process"]
    assert (told(updater, "recommender"), told(updater, "version")) == ("grocery", "v0123456789ab")
    assert "readinessProbe" not in updater, "a store that is away would take the pod out of service"


def test_the_updater_writes_where_the_server_only_reads(render):
    spec = pod(render("recommender", scenario="online"))
    server, updater = container(spec, "server"), container(spec, "updater")
    (folder,) = (one["value"] for one in server["env"] if one["name"] == ENVIRONMENT)
    assert told(updater, "into") == folder
    assert mounts(server)[folder] is True and mounts(updater)[folder] is False
    assert mounts(updater)["/store"] is True
    assert {"name": "updates", "emptyDir": {}} in spec["volumes"]


def test_the_server_still_holds_no_key_of_the_store(render):
    spec = pod(render("recommender", scenario="online-one-pod"))
    holders = {one["name"] for one in (*spec["initContainers"], *spec["containers"]) if "AWS_" in str(one.get("env"))}
    assert holders == {"fetch", "updater", "learner"}


def test_there_is_one_learner_and_an_upgrade_ends_it_before_it_begins_another(render):
    spec = named(render("recommender", scenario="online"), "Deployment", "learner")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_the_learner_reads_the_verified_version_and_the_log_and_writes_the_store(render):
    spec = pod(render("recommender", scenario="online"), "learner")
    found, fetch = container(spec, "learner"), container(spec, "fetch")
    assert told(found, "ranker").startswith(told(fetch, "into")) and mounts(found)["/bento"] is True
    assert told(found, "store") == "file:///store" and mounts(found)["/store"] is False
    log = EventLogSpec.model_validate(json.loads(told(found, "log")))
    assert (log.type, log.connection, log.secret_ref.name) == ("Redis", "redis.data.svc:6379", "redis")
    assert mounts(found)[told(found, "access")] is True
    assert not [path for path in mounts(found) if path.startswith("/etc/shoploop/keys")]
    (store,) = (one["persistentVolumeClaim"] for one in spec["volumes"] if one["name"] == "store")
    assert store == {"claimName": "shoploop", "readOnly": False}


def test_a_log_in_a_file_is_learned_from_in_the_one_pod_that_serves(render):
    objects = render("recommender", scenario="online-one-pod")
    assert [found["metadata"]["name"] for found in objects if found["kind"] == "Deployment"] == [
        "loop-recommender-predictor"
    ]
    spec = pod(objects)
    assert [one["name"] for one in spec["initContainers"]] == ["fetch", "updater", "learner"]
    learner, server = container(spec, "learner"), container(spec, "server")
    assert learner["restartPolicy"] == "Always"
    assert "readinessProbe" not in learner and "startupProbe" not in learner, "the server waits for no learner"
    assert mounts(learner)[told(learner, "log-folder")] == mounts(server)["/var/lib/shoploop-events"] is False


@pytest.mark.parametrize(
    ("scenario", "ending"), [("online", "grocery-learner"), ("online-one-pod", "recommender-learner")]
)
def test_the_learner_is_asked_where_the_operator_asks_it_also_when_it_is_not_ready(render, scenario, ending):
    service = named(render("recommender", scenario=scenario), "Service", ending)
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert [port["port"] for port in service["spec"]["ports"]] == [PORT]
    if scenario == "online":
        assert service["metadata"]["name"] == learner_name("grocery")


def test_who_may_ask_it_and_whom_it_may_reach_are_the_values_to_say(render):
    policy = named(render("recommender", scenario="online"), "NetworkPolicy", "learner")["spec"]
    (rule,) = policy["ingress"]
    assert rule["ports"] == [{"port": "learner", "protocol": "TCP"}]
    assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shoploop-system"}}}]
    assert [[port["port"] for port in one["ports"]] for one in policy["egress"]] == [[53, 53, 8333], [6379]]


def test_what_answers_are_like_is_nothing_to_the_learner(render):
    one, other = (
        pod(
            render("recommender", {"deadlineMilliseconds": deadline, "itemFields": fields}, scenario="online"),
            "learner",
        )
        for deadline, fields in ((100, ["title"]), (50, ["title", "price"]))
    )
    assert one == other, "a change of it would end the learner and begin another"


def test_prometheus_finds_the_learner(render):
    objects = render("recommender", scenario="online")
    monitor, service = named(objects, "ServiceMonitor", "learner"), named(objects, "Service", "learner")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]


def test_without_pods_nobody_learns(render):
    objects = render("recommender", {"replicas": 0}, scenario="online")
    assert named(objects, "Deployment", "learner")["spec"]["replicas"] == 0


def test_what_the_operator_tells_of_learning_is_what_the_chart_takes(render):
    from shoploop.api.online import GuardrailsSpec
    from shoploop.api.v1alpha1 import RecommenderSpec
    from shoploop.controller.decide import feedback

    online = {
        "enabled": True,
        "log": {"type": "Redis", "connection": "redis:6379"},
        "keys": {"impressions": {"name": "impressions"}},
        "publishPeriodSeconds": 2.5,
        "optimizer": "Ftrl",
        "guardrails": {"maxChange": 0.25, "perItemADay": 100_000_000, "resumeAfterMinutes": 30},
    }
    spec = RecommenderSpec.model_validate({"data": {"dataset": "completejourney"}, "online": online})
    values = {"online": feedback.values({"metadata": {"name": "grocery"}}, spec)}
    found = container(pod(render("recommender", values, scenario="own-store"), "learner"), "learner")
    assert (told(found, "period-seconds"), told(found, "optimizer")) == ("2.5", "Ftrl")
    assert GuardrailsSpec.model_validate_json(told(found, "guardrails")) == spec.online.guardrails


@pytest.mark.parametrize(("scenario", "ending"), [("online", "learner"), ("online-one-pod", "predictor")])
def test_the_learner_alone_holds_the_key_that_it_signs_with_and_all_verify(render, scenario, ending):
    pem = f"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA{'A' * 43}=\n-----END PUBLIC KEY-----\n"
    values = {"signing": {"publicKeys": [pem], "privateKey": {"secretName": "shop", "key": "a.key"}}}
    objects = render("recommender", values, scenario=scenario)
    specs = [one["spec"]["template"]["spec"] for one in objects if one["kind"] == "Deployment"]
    everyone = [one for spec in specs for one in (*spec["initContainers"], *spec["containers"])]
    assert {one["name"] for one in everyone if "/etc/shoploop/signing" in mounts(one)} == {"learner"}
    trusting = {one["name"] for one in everyone if "SHOPLOOP_TRUSTED_KEYS" in str(one.get("env"))}
    assert trusting == {"fetch", "updater", "learner"}
    (volume,) = (one["secret"] for one in pod(objects, ending)["volumes"] if one["name"] == "signing-key")
    assert volume["items"] == [{"key": "a.key", "path": "private.pem", "mode": 0o440}]
