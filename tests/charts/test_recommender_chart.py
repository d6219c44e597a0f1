"""What charts/recommender makes of its values."""

import pytest
from test_helm_charts import named

from shoploop.predictor import admission
from shoploop.predictor.access_settings import ADMIN

DEPLOYMENT = "predictor"


def predictor(objects):
    return named(objects, "Deployment", DEPLOYMENT)["spec"]


def pod(objects):
    return predictor(objects)["template"]["spec"]


def test_the_server_runs_only_what_the_init_container_verified(render):
    (fetch,), (server,) = (
        pod(render("recommender", scenario="own-store"))[k] for k in ("initContainers", "containers")
    )
    assert fetch["args"][:3] == ["python", "-m", "shoploop.packaging.fetch"]
    assert "--digest=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" in fetch["args"]
    assert server["args"][:3] == ["bentoml", "serve", "/bento/content"]
    mounts = {m["mountPath"]: m.get("readOnly", False) for m in server["volumeMounts"]}
    assert mounts == {"/bento": True, "/tmp": False}


def test_the_claim_of_a_file_store_is_mounted_read_only_where_the_url_says(render):
    (fetch,) = pod(render("recommender", scenario="own-store"))["initContainers"]
    assert {"name": "store", "mountPath": "/store", "readOnly": True} in fetch["volumeMounts"]


def test_only_the_init_container_holds_the_keys_of_the_store(render):
    spec = pod(render("recommender", scenario="object-store"))
    keys = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert keys <= {e["name"] for e in spec["initContainers"][0]["env"]}
    assert not keys & {e["name"] for e in spec["containers"][0]["env"]}


def test_a_server_leaves_the_service_before_it_ends(render):
    spec = pod(render("recommender", {"drainSeconds": 7, "shutdownSeconds": 11}, scenario="own-store"))
    (server,) = spec["containers"]
    assert server["lifecycle"] == {"preStop": {"sleep": {"seconds": 7}}}
    assert spec["terminationGracePeriodSeconds"] >= 7 + 11


def test_two_pods_prefer_two_nodes_and_an_upgrade_adds_before_it_removes(render):
    objects = render("recommender", scenario="own-store")
    (preferred,) = pod(objects)["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    term = preferred["podAffinityTerm"]
    assert term["topologyKey"] == "kubernetes.io/hostname"
    assert term["labelSelector"]["matchLabels"].items() <= predictor(objects)["template"]["metadata"]["labels"].items()
    assert predictor(objects)["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_two_pods_on_two_nodes_at_most_can_still_be_upgraded(render):
    """With one pod a node at most, a surplus pod on two full nodes would wait for ever."""
    objects = render("recommender", scenario="two-nodes")
    (term,) = pod(objects)["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["labelSelector"]["matchLabels"] == predictor(objects)["selector"]["matchLabels"]
    assert predictor(objects)["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert predictor(objects)["replicas"] == 2


def test_replicas_are_left_to_the_autoscaler_when_there_is_one(render):
    objects = render("recommender", scenario="object-store")
    assert "replicas" not in predictor(objects)
    scaled = named(objects, "ScaledObject")["spec"]
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (2, 20)
    assert scaled["scaleTargetRef"]["name"] == named(objects, "Deployment")["metadata"]["name"]


def test_pods_are_scaled_by_what_one_of_them_says_it_is_answering(render):
    (trigger,) = named(render("recommender", scenario="object-store"), "ScaledObject")["spec"]["triggers"]
    assert trigger["metricType"] == "Value", "the Service asks one pod, so the answer is no sum"
    assert trigger["metadata"]["url"].endswith(f"-admin.shop.svc:3001{admission.PATH}")
    assert trigger["metadata"]["valueLocation"] == "inFlight"
    assert "format" not in trigger["metadata"], "KEDA 2.18 panics on the format prometheus"


def test_zero_replicas_stay_zero(render):
    assert predictor(render("recommender", {"replicas": 0}, scenario="own-store"))["replicas"] == 0


def test_every_object_is_owned_by_its_recommender(render):
    for found in render("recommender", scenario="own-store"):
        (owner,) = found["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"]) == ("Recommender", "grocery")
        assert found["metadata"]["labels"]["shoploop.io/recommender"] == "grocery"


def test_a_mirror_and_its_secret_reach_every_pod(render):
    objects = render("recommender", scenario="object-store")
    (tester,) = (o["spec"] for o in objects if o["kind"] == "Pod")
    for spec in (pod(objects), tester):
        assert spec["imagePullSecrets"] == [{"name": "regcred"}]
        assert {c["image"] for c in spec.get("initContainers", []) + spec["containers"]} == {
            "mirror.example.com/shop/serving:1.2.3"
        }


def test_the_cluster_itself_is_never_asked_through_the_proxy(render):
    (server,) = pod(render("recommender", scenario="object-store"))["containers"]
    env = {e["name"]: e.get("value") for e in server["env"]}
    assert env["HTTPS_PROXY"] == "http://proxy:3128"
    assert {".svc", ".cluster.local", "example.com"} <= set(env["NO_PROXY"].split(","))


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("Ingress", {"ingress": {"enabled": True, "hosts": [{"host": "shop.example.com"}]}}),
        ("HTTPRoute", {"httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]}}),
        ("ServiceMonitor", {"serviceMonitor": {"enabled": True}}),
        ("ScaledObject", {"autoscaling": {"enabled": True}, "replicas": None}),
    ],
)
def test_what_needs_more_than_kubernetes_comes_only_when_asked_for(render, kind, values):
    assert kind not in {o["kind"] for o in render("recommender", scenario="own-store")}
    assert kind in {o["kind"] for o in render("recommender", values, scenario="own-store")}


KEYS = [f"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA{letter * 43}=\n-----END PUBLIC KEY-----\n" for letter in "AE"]


def test_only_the_init_container_gets_the_trusted_keys_and_as_it_reads_them(render, monkeypatch):
    from shoploop.versions.signing import Trust

    objects = render("recommender", {"signing": {"publicKeys": KEYS}}, scenario="own-store")
    (fetch,), (server,) = (pod(objects)[kind] for kind in ("initContainers", "containers"))
    env = {one["name"]: one["value"] for one in fetch["env"]}
    assert not [one for one in server["env"] if one["name"].startswith("SHOPLOOP_") and one["name"] != ADMIN]
    for name in ("SHOPLOOP_TRUSTED_KEYS", "SHOPLOOP_SIGNING_POLICY"):
        monkeypatch.setenv(name, env[name])
    trust = Trust.configured()
    assert (trust.policy, len(trust.keys)) == ("Require", 2)


def test_the_init_container_is_told_whose_bento_it_must_be_and_leaves_its_last_words(render):
    (fetch,) = pod(render("recommender", scenario="own-store"))["initContainers"]
    assert {"--recommender=grocery", "--version=v0123456789ab"} <= set(fetch["args"])
    assert fetch["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_other_trusted_keys_are_other_pods(render):
    one, both = (
        predictor(render("recommender", {"signing": {"publicKeys": keys}}, scenario="own-store"))["template"]
        for keys in (KEYS[:1], KEYS)
    )
    assert one != both


def test_a_policy_can_be_less_than_the_keys_ask_for(render):
    objects = render("recommender", {"signing": {"publicKeys": KEYS, "policy": "Warn"}}, scenario="own-store")
    (fetch,) = pod(objects)["initContainers"]
    assert {"name": "SHOPLOOP_SIGNING_POLICY", "value": "Warn"} in fetch["env"]


def test_without_keys_nothing_is_said_of_signatures(render):
    (fetch,) = pod(render("recommender", scenario="own-store"))["initContainers"]
    assert "SHOPLOOP_" not in str(fetch.get("env"))


def test_what_the_operator_tells_of_signatures_is_what_the_chart_takes(render, tmp_path):
    from shoploop.api.v1alpha1 import RecommenderSpec
    from shoploop.controller.decide import signing
    from shoploop.controller.decide.settings import Settings

    asked = {"publicKeys": KEYS, "privateKey": {"name": "signing"}, "policy": "Warn"}
    spec = RecommenderSpec.model_validate({"data": {"dataset": "completejourney"}, "signing": asked})
    settings = Settings(chart=tmp_path, pipeline_image="p:1", serving_image="s:1", signing_policy="Require")
    (fetch,) = pod(render("recommender", {"signing": signing.values(spec, settings)}, scenario="own-store"))[
        "initContainers"
    ]
    assert {"name": "SHOPLOOP_SIGNING_POLICY", "value": "Require"} in fetch["env"]


@pytest.mark.parametrize("field", ["price: EUR", "size #", "{size}", "'s", "a b"])
def test_columns_of_any_name_reach_the_pods_as_they_are(render, field):
    values = {"itemFields": [field, "title"], "promotions": {"follow": True}}
    found = [
        word
        for one in pod(render("recommender", values, scenario="own-store"))["initContainers"]
        for word in one["args"]
        if not isinstance(word, str) or word.startswith("--item-fields")
    ]
    assert found == [f"--item-fields={field},title"] * 2


def test_a_store_whose_address_looks_like_yaml_reaches_the_pods_as_it_is(render):
    values = {"store": {"uri": "s3://shop/#loop:"}, "promotions": {"follow": True}}
    (updater,) = (
        one
        for one in pod(render("recommender", values, scenario="object-store"))["initContainers"]
        if one["name"] == "updater"
    )
    assert "--store=s3://shop/#loop:" in updater["args"]


def test_names_that_yaml_takes_for_numbers_and_truths_stay_names(render):
    values = {"placement": {"priorityClassName": "1"}, "store": {"secretName": "2"}, "privateCA": {"secretName": "no"}}
    spec = pod(render("recommender", values, scenario="object-store"))
    assert spec["priorityClassName"] == "1"
    held = {one["secret"]["secretName"] for one in spec["volumes"] if "secret" in one}
    keys = [one["valueFrom"]["secretKeyRef"]["name"] for one in spec["initContainers"][0]["env"] if "valueFrom" in one]
    assert "no" in held and set(keys) == {"2"}
