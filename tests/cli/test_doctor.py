"""What the doctor says about clusters that lack one thing each."""

import copy
import json
import shlex
from dataclasses import dataclass, field
from typing import Any

import pytest

from shoploop.api.crd import definitions
from shoploop.api.unbuilt import LIMITS, unbuilt
from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.cli.doctor import examine
from shoploop.cli.doctor.installation import missing_fields
from shoploop.cli.doctor.parts import PARTS
from shoploop.cli.kubectl import ClusterUnavailable, Kubectl
from shoploop.errors import NotFound

DEFAULT_CLASS = {
    "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
}
OPERATOR = {
    "metadata": {"namespace": "system", "name": "shoploop-operator"},
    "spec": {"template": {"spec": {"containers": [{"image": "shoploop/operator:1"}]}}},
    "status": {"availableReplicas": 1},
}


@dataclass(frozen=True, kw_only=True)
class PaperCluster(Kubectl):
    """A cluster written down: lists by kind, and what may be done."""

    lists: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    minor: str = "34"
    forbidden: tuple[str, ...] = ()

    def run(self, *args: str) -> str:
        assert args == ("get", "--raw", "/version")
        return f'{{"major": "1", "minor": "{self.minor}", "gitVersion": "v1.{self.minor}.0"}}'

    def get(self, *args: str) -> dict[str, Any]:
        if args[0] == "secret":
            if args[1] not in self.secrets:
                raise NotFound(args[1])
            return {"data": self.secrets[args[1]]}
        if args[0] not in self.lists:
            raise NotFound(args[0])
        return {"items": self.lists[args[0]]}

    def allowed(self, verb: str, resource: str, *, namespace: str | None = None) -> bool:
        return resource not in self.forbidden


def recommender(**spec):
    ready = {"type": "Ready", "status": "True", "reason": "Serving", "message": "serves v1"}
    return {
        "metadata": {"namespace": "shop", "name": "grocery"},
        "spec": {"data": {"dataset": "completejourney"}} | spec,
        "status": {"conditions": [ready]},
    }


@pytest.fixture
def make_cluster():
    """A cluster that lacks nothing; a test names only what differs."""

    def make(*recommenders, secrets=None, minor="34", forbidden=(), **lists):
        whole = {
            "recommenders.shoploop.io": list(recommenders),
            "customresourcedefinitions": list(definitions().values()),
            "deployments": [OPERATOR],
            "storageclasses": [DEFAULT_CLASS],
            "nodes": [{"status": {"allocatable": {"cpu": "2"}}}],
            "services": [],
        }
        return PaperCluster(lists=whole | lists, secrets=secrets or {}, minor=minor, forbidden=forbidden)

    return make


def state_of(cluster, about):
    (found,) = (finding for finding in examine(cluster) if finding.about == about)
    return found


def test_a_whole_cluster_lacks_nothing(make_cluster):
    assert [f for f in examine(make_cluster(recommender())) if f.state == "missing"] == []


def test_everything_that_is_missing_comes_with_what_mends_it(make_cluster):
    bare = make_cluster(customresourcedefinitions=[], deployments=[], minor="29", forbidden=("pods/log",))
    missing = [finding for finding in examine(bare) if finding.state == "missing"]
    assert [f.about for f in missing] == [
        "Kubernetes", "recommenders.shoploop.io", "modelversions.shoploop.io", "operator", "permissions",
    ]  # fmt: skip
    assert all(finding.remedy for finding in missing)


def test_an_older_definition_is_told_by_the_fields_that_it_lacks(make_cluster):
    older = copy.deepcopy(list(definitions().values()))
    del older[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["gate"]
    found = state_of(make_cluster(customresourcedefinitions=older), "recommenders.shoploop.io")
    assert (found.state, "lacks spec.gate" in found.detail) == ("missing", True)
    assert "helm upgrade" in found.remedy


def test_fields_of_lists_are_compared_too():
    wanted = {"properties": {"a": {"items": {"properties": {"b": {}}}}}}
    assert list(missing_fields(wanted, {"properties": {"a": {"items": {}}}})) == ["a[].b"]
    assert list(missing_fields(wanted, wanted)) == []


@pytest.mark.parametrize(
    ("about", "spec"),
    [
        ("GPU", {"training": {"resources": {"gpu": 1}}}),
        ("Kueue", {"training": {"placement": {"queue": "team"}}}),
        ("KEDA", {"serving": {"autoscaling": {"min": 1, "max": 3}}}),
    ],
)
def test_a_part_is_missing_only_where_a_recommender_needs_it(make_cluster, about, spec):
    assert state_of(make_cluster(recommender()), about).state == "unused"
    found = state_of(make_cluster(recommender(**spec)), about)
    assert found.state == "missing"
    assert "shop/grocery" in found.detail


def test_one_node_needs_no_trainer_and_no_gpu(make_cluster):
    spec = {"training": {"nodes": 1, "resources": {"gpu": 0}}}
    for about in ("GPU", "Kubeflow Trainer"):
        assert state_of(make_cluster(recommender(**spec)), about).state == "unused"


UNBUILT = {
    "store.uri": {"store": {"uri": "ftp://shop"}},
    "training.surfaces": {"training": {"surfaces": ["Shops"]}},
}
"""By field: a spec that the operator refuses."""


def nested(path, value):
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


def merged(spec, patch):
    """JSON Merge Patch (RFC 7386), as ``kubectl patch --type merge`` applies it."""
    if not isinstance(patch, dict):
        return patch
    kept = dict(spec) if isinstance(spec, dict) else {}
    for key, value in patch.items():
        if value is None:
            kept.pop(key, None)
        else:
            kept[key] = merged(kept.get(key), value)
    return kept


def advised(spec, findings):
    """The spec after somebody did everything that was advised; None where it was to be made anew."""
    for remedy in (shlex.split(finding.remedy, comments=True) for finding in findings if finding.remedy):
        if remedy[:1] != ["kubectl"] or "recommender" not in remedy:
            continue
        if "delete" in remedy:
            return None
        if "edit" in remedy:
            continue  # what is written there is the person's own
        spec = merged(spec, json.loads(remedy[remedy.index("-p") + 1])["spec"])
    return spec


def refused(spec):
    """The fields for which the operator refuses a spec."""
    return [limit.field for limit in unbuilt(RecommenderSpec.model_validate(spec, strict=True), place="Cluster")]


def test_there_is_an_example_of_every_field_that_the_operator_refuses():
    assert sorted(UNBUILT) == sorted(limit.field for limit in LIMITS if "Cluster" in limit.places)


@pytest.mark.parametrize("field", UNBUILT)
def test_the_advice_for_a_refused_spec_is_followed_and_it_is_refused_no_more(make_cluster, field):
    asked = recommender(**UNBUILT[field])
    assert refused(asked["spec"]) == [field]
    findings = examine(make_cluster(asked))
    (found,) = (finding for finding in findings if finding.about == "spec of shop/grocery")
    assert found.state == "missing" and f"spec.{field}" in found.detail
    spec = advised(asked["spec"], findings)
    if field == "store.uri":
        assert spec is None  # the API server lets nobody change it
    else:
        assert refused(spec) == []


def test_every_refused_field_is_named_at_once_and_one_that_cannot_change_asks_for_a_new_object(make_cluster):
    asked = recommender(**UNBUILT["training.surfaces"] | UNBUILT["store.uri"])
    assert len(refused(asked["spec"])) == 2
    findings = examine(make_cluster(asked))
    assert advised(asked["spec"], findings) is None
    (found,) = (finding for finding in findings if finding.about == "spec of shop/grocery")
    assert "spec.training.surfaces" in found.detail and "spec.store.uri" in found.detail


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.about)
def test_nothing_is_advised_for_the_sake_of_a_field_that_is_refused(make_cluster, part):
    asked = recommender(**nested(part.field, part.example))
    for cluster in (make_cluster(asked), make_cluster(recommender())):
        found = state_of(cluster, part.about)
        assert bool(found.remedy) == (refused(asked["spec"]) == [])
        assert ("not built yet" in found.detail) == bool(refused(asked["spec"]))


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.about)
def test_a_part_counts_the_example_as_asking_for_it(part):
    assert part.asks(part.example)


def test_a_folder_with_a_claim_of_its_own_needs_no_storage_class(make_cluster):
    asks = recommender(store={"uri": "file:///store", "claim": "shared"})
    assert state_of(make_cluster(asks, storageclasses=[]), "storage").state == "unused"


@pytest.mark.parametrize("uri", ["file:///store", ".shoploop"])
def test_nobody_is_told_to_change_the_address_of_a_store(make_cluster, uri):
    found = state_of(make_cluster(recommender(store={"uri": uri}), storageclasses=[]), "storage")
    assert "s3://" not in found.remedy and "spec.store.claim" in found.remedy


def test_the_log_of_online_learning_is_not_looked_for_while_that_is_not_built(make_cluster):
    asks = recommender(online={"log": {"type": "Redis", "connection": "redis:6379"}})
    assert [finding.about for finding in examine(make_cluster(asks)) if finding.state == "missing"] == []


@pytest.mark.parametrize(
    ("secrets", "state", "words"),
    [
        ({}, "missing", "Secret keys does not exist"),
        ({"keys": {"AWS_ACCESS_KEY_ID": "eA=="}}, "missing", "Secret keys lacks AWS_SECRET_ACCESS_KEY"),
        ({"keys": {"AWS_ACCESS_KEY_ID": "eA==", "AWS_SECRET_ACCESS_KEY": "eA=="}}, "ok", "has both keys"),
    ],
)
def test_the_secret_of_a_store_needs_both_keys(make_cluster, secrets, state, words):
    cluster = make_cluster(recommender(store={"secretRef": {"name": "keys"}}), secrets=secrets)
    found = state_of(cluster, "store of shop/grocery")
    assert (found.state, words in found.detail) == (state, True)


def test_a_secret_that_is_there_is_patched_and_not_made_again(make_cluster):
    asks = recommender(store={"secretRef": {"name": "keys"}})
    there = make_cluster(asks, secrets={"keys": {"AWS_ACCESS_KEY_ID": "eA=="}})
    assert "create secret" in state_of(make_cluster(asks), "store of shop/grocery").remedy
    remedy = state_of(there, "store of shop/grocery").remedy
    assert "patch secret keys" in remedy and "AWS_ACCESS_KEY_ID" not in remedy and "AWS_SECRET_ACCESS_KEY" in remedy


@pytest.mark.parametrize(
    ("endpoint", "state"),
    [
        ("http://seaweedfs:8333", "ok"),
        ("http://seaweedfs.shop:8333", "ok"),
        ("http://seaweedfs.shop.svc.cluster.local:8333", "ok"),
        ("http://weed:8333", "missing"),
        ("http://seaweedfs.storage.svc:8333", "missing"),
        ("https://s3.example.com", "ok"),
    ],
)
def test_an_s3_within_the_cluster_must_be_a_service(make_cluster, endpoint, state):
    services = [{"metadata": {"namespace": "shop", "name": "seaweedfs"}}]
    cluster = make_cluster(recommender(store={"endpoint": endpoint}), services=services)
    assert state_of(cluster, "S3 of shop/grocery").state == state


def test_redis_must_be_a_service(make_cluster):
    asks = recommender(features={"onlineStore": {"type": "Redis", "connection": "redis:6379"}})
    about = "features.onlineStore.connection of shop/grocery"
    assert state_of(make_cluster(asks), about).state == "missing"
    services = [{"metadata": {"namespace": "shop", "name": "redis"}}]
    assert state_of(make_cluster(asks, services=services), about).state == "ok"


def test_a_recommender_that_is_not_ready_says_why(make_cluster):
    waiting = recommender()
    waiting["status"]["conditions"][0] |= {"status": "False", "reason": "GateRefused", "message": "no better"}
    found = state_of(make_cluster(waiting), "recommender shop/grocery")
    assert (found.state, found.detail) == ("missing", "GateRefused: no better")


def test_a_recommender_on_its_way_is_nothing_to_mend(make_cluster):
    running = recommender()
    running["status"]["conditions"][0] |= {"status": "False", "reason": "Running", "message": "at part 1 of 1"}
    running["status"]["conditions"].append({"type": "Progressing", "status": "True"})
    found = state_of(make_cluster(running), "recommender shop/grocery")
    assert (found.state, found.remedy) == ("waiting", None)
    running["status"]["conditions"].append({"type": "Degraded", "status": "True"})
    assert state_of(make_cluster(running), "recommender shop/grocery").state == "missing"


@pytest.mark.parametrize("uri", ["file:///store", ".shoploop"])
def test_a_folder_as_a_store_needs_a_storage_class(make_cluster, uri):
    asks = recommender(store={"uri": uri})
    assert state_of(make_cluster(asks, storageclasses=[]), "storage").state == "missing"
    assert state_of(make_cluster(storageclasses=[]), "storage").state == "unused"


def test_without_kubectl_the_doctor_says_so(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ClusterUnavailable, match="kubectl is not on the PATH") as refused:
        examine(Kubectl())
    assert refused.value.exit_code == 2


PUBLIC = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
-----END PUBLIC KEY-----
"""
SIGNING = {"publicKeys": [PUBLIC], "privateKey": {"name": "signing"}}


def operator_that(policy):
    container = OPERATOR["spec"]["template"]["spec"]["containers"][0]
    env = [{"name": "SHOPLOOP_SIGNING_POLICY", "value": policy}]
    template = {"template": {"spec": {"containers": [container | {"env": env}]}}}
    return OPERATOR | {"spec": template}


def test_that_nobody_asks_for_signatures_is_told_and_is_no_fault(make_cluster):
    found = state_of(make_cluster(recommender()), "signing of shop/grocery")

    assert found.state == "unused"
    assert "nobody looks at signatures" in found.detail


def test_signing_that_is_complete_is_ok(make_cluster):
    cluster = make_cluster(recommender(signing=SIGNING), secrets={"signing": {"private.pem": "x"}})

    found = state_of(cluster, "signing of shop/grocery")

    assert (found.state, found.detail) == ("ok", "Require, 1 trusted key; runs sign with Secret signing")


@pytest.mark.parametrize("secrets", [{}, {"signing": {"other": "x"}}], ids=["no-secret", "other-key"])
def test_a_private_key_that_is_not_there_is_missing(make_cluster, secrets):
    found = state_of(make_cluster(recommender(signing=SIGNING), secrets=secrets), "signing of shop/grocery")

    assert found.state == "missing"
    assert found.remedy == "kubectl -n shop create secret generic signing --from-file=private.pem=NAME.key"


def test_a_platform_that_requires_signatures_misses_the_keys_of_who_names_none(make_cluster):
    cluster = make_cluster(recommender(), deployments=[operator_that("Require")])

    found = state_of(cluster, "signing of shop/grocery")

    assert found.state == "missing"
    assert "the policy is Require, and spec.signing.publicKeys names no key" in found.detail


def test_required_signatures_that_nobody_gives_are_missing(make_cluster):
    found = state_of(make_cluster(recommender(signing={"publicKeys": [PUBLIC]})), "signing of shop/grocery")

    assert found.state == "missing"
    assert "spec.signing.privateKey names no key to sign with" in found.detail
