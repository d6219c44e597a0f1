"""What charts/recommender makes of promotions.follow: an updater beside each server that reads the store's logs."""

import argparse

import pytest
from test_helm_charts import named
from test_online_learning import container, mounts, pod, told

from shoploop.api.predictor_state import PORT
from shoploop.controller.decide.names import updater_name
from shoploop.packaging import pod_learner, pod_updater
from shoploop.predictor.lineup import ENVIRONMENT

FOLLOW = {"promotions": {"follow": True}}


def parsed(module, found, monkeypatch):
    """The arguments as the process reads them."""
    seen = []

    def parse(self, arguments=None):
        seen.append(argparse.ArgumentParser.parse_known_args(self, arguments)[0])
        raise SystemExit(0)

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(argparse.ArgumentParser, "parse_args", parse)
        module.main(found["args"][3:])
    return seen[0]


@pytest.mark.parametrize("scenario", ["own-store", "object-store", "events"])
def test_every_pod_follows_the_store_which_it_only_reads(render, scenario):
    objects = render("recommender", FOLLOW, scenario=scenario)
    spec = pod(objects)
    updater, server = container(spec, "updater"), container(spec, "server")
    assert [one["name"] for one in spec["initContainers"]] == ["fetch", "updater"]
    assert updater["restartPolicy"] == "Always" and "readinessProbe" not in updater
    if "/store" in mounts(updater):
        assert mounts(updater)["/store"] is True
    (folder,) = (one["value"] for one in server["env"] if one["name"] == ENVIRONMENT)
    assert folder == told(updater, "lineup")
    assert mounts(server)[folder] is False, "it says there how a candidate does"
    assert mounts(server)[told(updater, "into")] is True and mounts(updater)[told(updater, "into")] is False
    assert "AWS_ACCESS_KEY_ID" not in str(server.get("env"))


def test_what_answers_are_like_is_the_same_for_what_comes_later(render, monkeypatch):
    values = FOLLOW | {"deadlineMilliseconds": 70, "itemFields": ["title", "price"], "listRules": {"maxPerCategory": 2}}
    spec = pod(render("recommender", values, scenario="own-store"))
    found = parsed(pod_updater, container(spec, "updater"), monkeypatch)
    assert (found.deadline_milliseconds, found.item_fields) == (70, "title,price")
    assert found.list_rules == '{"maxPerCategory":2}' and not found.learns
    fetch = container(spec, "fetch")
    assert set(container(spec, "updater")["args"]) >= {arg for arg in fetch["args"] if "list-rules" in arg}


def test_the_operator_finds_each_pod_also_one_that_is_not_ready(render):
    service = named(
        render("recommender", FOLLOW | {"fullnameOverride": "grocery"}, scenario="own-store"), "Service", "updater"
    )
    assert service["metadata"]["name"] == updater_name("grocery")
    assert service["spec"]["clusterIP"] == "None" and service["spec"]["publishNotReadyAddresses"] is True
    assert [port["port"] for port in service["spec"]["ports"]] == [PORT]


def test_who_may_ask_is_the_values_to_say(render):
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shoploop-system"}}}
    values = {"promotions": {"follow": True, "from": [peer]}}
    policy = named(render("recommender", values, scenario="own-store"), "NetworkPolicy", "predictor")["spec"]
    (rule,) = (one for one in policy["ingress"] if one["ports"][0]["port"] == "updater")
    assert rule["from"] == [peer]


def test_without_it_a_release_by_hand_is_as_it_was(render):
    objects = render("recommender", scenario="own-store")
    assert [one["name"] for one in pod(objects)["initContainers"]] == ["fetch"]
    assert ENVIRONMENT not in str(objects)


@pytest.mark.parametrize(("scenario", "ending"), [("online", "learner"), ("online-one-pod", "predictor")])
def test_who_learns_follows_the_store_too_and_so_learns_what_is_to_serve(render, scenario, ending, monkeypatch):
    objects = render("recommender", FOLLOW, scenario=scenario)
    spec = pod(objects, ending)
    learner = container(spec, "learner")
    found = parsed(pod_learner, learner, monkeypatch)
    assert (found.version, found.recommender) == ("v0123456789ab", "grocery" if scenario == "online" else "loop")
    assert mounts(learner)[str(found.into)] is False and mounts(learner)["/bento"] is True
    assert "--learns" in container(pod(objects), "updater")["args"]


def test_the_signing_policy_holds_for_what_comes_later(render):
    key = f"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA{'A' * 43}=\n-----END PUBLIC KEY-----\n"
    spec = pod(render("recommender", FOLLOW | {"signing": {"publicKeys": [key]}}, scenario="own-store"))
    names = {one["name"] for one in container(spec, "updater")["env"]}
    assert {"SHOPLOOP_TRUSTED_KEYS", "SHOPLOOP_SIGNING_POLICY"} <= names


@pytest.mark.parametrize("scenario", ["object-store", "online"])
def test_an_authority_by_secret_is_trusted_wherever_the_store_is_reached(render, scenario):
    values = FOLLOW | {"privateCA": {"configMapName": "", "secretName": "ca", "key": "tls.pem"}}
    objects = render("recommender", values, scenario=scenario)
    for spec in (one["spec"]["template"]["spec"] for one in objects if one["kind"] == "Deployment"):
        (volume,) = (one for one in spec["volumes"] if one["name"] == "ca")
        assert volume["secret"] == {"secretName": "ca", "items": [{"key": "tls.pem", "path": "ca.crt"}]}
        for found in (*spec["initContainers"], *spec["containers"]):
            env = {one["name"]: one.get("value") for one in found["env"]}
            assert env["SSL_CERT_FILE"] == "/etc/shoploop/ca/ca.crt" and "/etc/shoploop/ca" in mounts(found)
