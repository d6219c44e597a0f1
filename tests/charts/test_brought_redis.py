"""The Redis that charts/recommender brings for the event log: it loses nothing it accepted, and nobody else reaches it."""

import json
import os
import shutil
import subprocess
from contextlib import closing

import pytest
from ports import free_ports
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry
from test_helm_charts import named
from test_online_learning import container, pod

from shoploop.api.online import EventLogSpec

PASSWORD = "/etc/shoploop/redis"


def redis(objects):
    return named(objects, "StatefulSet", "redis")["spec"]


def log_of(objects):
    (told,) = (one["value"] for one in container(pod(objects), "server")["env"] if one["name"] == "SHOPLOOP_FEEDBACK")
    return EventLogSpec.model_validate(json.loads(told)["log"])


def test_it_writes_before_it_answers_and_never_evicts(render):
    (found,) = redis(render("recommender", scenario="redis"))["template"]["spec"]["containers"]
    script = found["command"][-1]
    for line in ("appendonly yes", "appendfsync always", "maxmemory-policy noeviction", "dir /data"):
        assert f'echo "{line}"' in script
    assert "$(cat /etc/shoploop/redis/password)" in script, "a password among the arguments is anybody's"


@pytest.mark.parametrize("password", ["plain", "a b\"c\\d'e", "#1 $(id) `id`", "one\nmaxmemory 1", "käse"])
def test_whatever_a_password_holds_it_is_the_password_and_no_setting(render, tmp_path, password):
    if shutil.which("redis-server") is None:
        pytest.skip("no Redis to test against: apt-get install redis-server")
    (found,) = redis(render("recommender", scenario="redis"))["template"]["spec"]["containers"]
    (port,) = free_ports(1)
    (tmp_path / "password").write_text(f"{password}\n", encoding="utf-8")
    script = found["command"][-1].replace("/etc/shoploop/redis/", f"{tmp_path}/").replace("/tmp/redis.conf", "$conf")
    script = script.replace("dir /data", f"dir {tmp_path}").replace("port 6379", f"port {port}")
    own = {"PATH": os.environ["PATH"], "conf": str(tmp_path / "redis.conf")}
    with subprocess.Popen([*found["command"][:-1], script], env=own, stdout=subprocess.DEVNULL) as server:
        try:
            retry = Retry(ConstantBackoff(0.1), 300)
            client = Redis(port=port, password=password, retry=retry, retry_on_error=[RedisConnectionError])
            with closing(client):
                assert client.ping()
                assert client.config_get("maxmemory") != {"maxmemory": "1"}
            with closing(Redis(port=port)) as stranger, pytest.raises(AuthenticationError):
                stranger.ping()
        finally:
            server.kill()


def test_predictors_find_it_with_its_password_by_reference(render):
    objects = render("recommender", scenario="redis")
    service, log = named(objects, "Service", "redis"), log_of(objects)
    assert log.connection == f"{service['metadata']['name']}:6379"
    assert log.secret_ref.name == named(objects, "Secret", "redis")["metadata"]["name"]
    (volume,) = (one for one in pod(objects)["volumes"] if one["name"] == "log-access")
    # and no username: this Redis knows none
    password = [{"key": "password", "path": "password"}]
    assert volume["projected"]["sources"] == [{"secret": {"name": log.secret_ref.name, "items": password}}]


def test_a_password_that_is_named_is_taken_and_none_is_made(render):
    values = {
        "online": {"log": {"type": "Redis", "secretName": "mine"}, "keys": {"impressionsSecretName": "impressions"}}
    }
    objects = render("recommender", values, scenario="redis")
    assert not [one for one in objects if one["kind"] == "Secret"]
    (volume,) = (one["secret"] for one in redis(objects)["template"]["spec"]["volumes"] if one["name"] == "password")
    assert volume["secretName"] == log_of(objects).secret_ref.name == "mine"


def test_what_it_holds_and_the_password_outlive_the_release(render):
    objects = render("recommender", scenario="redis")
    assert named(objects, "Secret", "redis")["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    (claim,) = redis(objects)["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["spec"]["resources"] == {"requests": {"storage": "5Gi"}}
    assert redis(objects).get("persistentVolumeClaimRetentionPolicy") is None, "Kubernetes keeps it then"


def test_pods_of_this_recommender_alone_reach_it_and_it_reaches_nobody(render):
    objects = render("recommender", scenario="redis")
    policy = named(objects, "NetworkPolicy", "redis")["spec"]
    assert policy["egress"] == [] and set(policy["policyTypes"]) == {"Ingress", "Egress"}
    (rule,) = policy["ingress"]
    (peer,) = rule["from"]
    labels = named(objects, "Deployment", "predictor")["spec"]["template"]["metadata"]["labels"]
    assert peer["podSelector"]["matchLabels"].items() <= labels.items()
    wanted = policy["podSelector"]["matchLabels"].items()
    assert wanted <= redis(objects)["template"]["metadata"]["labels"].items() and not wanted <= labels.items()


@pytest.mark.parametrize("selected", ["predictor", "learner"])
def test_no_other_service_or_policy_selects_its_pod(render, selected):
    values = {"online": {"enabled": True, "log": {"type": "Redis"}, "keys": {"impressionsSecretName": "impressions"}}}
    objects = render("recommender", values, scenario="redis")
    selector = named(objects, "Service", selected)["spec"]["selector"]
    assert not selector.items() <= redis(objects)["template"]["metadata"]["labels"].items()


def test_without_it_there_is_none(render):
    assert not [one for one in render("recommender", scenario="events") if one["kind"] in ("StatefulSet", "Secret")]
