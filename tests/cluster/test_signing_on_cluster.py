"""A predictor runs what a trusted key signed, and nothing else, whatever lies in the store."""

import base64
from pathlib import Path

import pytest
from conftest import Cluster, Shop, claim, condition, own_data, put_data
from prepared import version

from shoploop.versions.keys import new_pair

pytestmark = pytest.mark.cluster

NAMESPACE = "signed"
VERSION = "v000000000001"
STORE = "file:///store"

PUBLISH = """
import json, pathlib, sys, tempfile
import pyarrow
from pyarrow import parquet
from shoploop.packaging.archive import pack
from shoploop.packaging.bento import publish_bento
from shoploop.packaging.fetch import RANKER
from shoploop.ranking.settings import RankerSettings
from shoploop.store import Store
from shoploop.store.disk import digest_of
from shoploop.versions.keys import Signer

run = pathlib.Path(tempfile.mkdtemp())
ranker = run / "built" / RANKER
ranker.mkdir(parents=True)
RankerSettings(version=sys.argv[1], item_fields=("title",), deadline_milliseconds=100).write(ranker)
parquet.write_table(pyarrow.table({"item": ["a"], "title": ["Tea"]}), ranker / "items.parquet")
(run / "bento").mkdir()
archive = run / "bento" / "it.bento"
pack(run / "built", archive)
report = {"version": sys.argv[1], "archive": archive.name, "sha256": digest_of(archive), "bytes": archive.stat().st_size}
(run / "bento" / "bento.json").write_text(json.dumps(report))
print(publish_bento(Store("file:///store"), "grocery", sys.argv[1], run / "bento", signer=Signer.configured()))
"""

FLIP = """
import pathlib, sys
(archive,) = pathlib.Path("/store").rglob("*.bento")
data = bytearray(archive.read_bytes())
data[-1] ^= 1
archive.write_bytes(data)
"""


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    new_pair(folder / "shop")
    new_pair(folder / "other")
    return folder


@pytest.fixture
def namespace(cluster: Cluster, platform: str, keys: Path):
    private = {
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "signing", "namespace": NAMESPACE},
        "data": {"private.pem": base64.b64encode((keys / "shop.key").read_bytes()).decode()},
    }  # fmt: skip
    with cluster.namespace(NAMESPACE):
        cluster.apply(claim(NAMESPACE), private)
        yield NAMESPACE
        cluster.kubectl("delete", "recommenders", "--all", "-n", NAMESPACE, "--timeout=90s", timeout=100)


def publish(cluster: Cluster) -> str:
    """A Bento of nothing but settings, signed in a pod by the key of the Secret; its sha256."""
    volumes = {
        "/store": {"persistentVolumeClaim": {"claimName": "store"}},
        "/keys": {"secret": {"secretName": "signing", "defaultMode": 0o440}},
    }
    pod = cluster.pod(NAMESPACE, "publish", "python", "-c", PUBLISH, VERSION, volumes=volumes)
    pod["spec"]["containers"][0]["env"] = [{"name": "SHOPLOOP_SIGNING_KEY", "value": "/keys/private.pem"}]
    return cluster.run_pod(pod).split()[-1]


def recommender(keys: Path, trusted: str) -> dict:
    """Its version lies ready, so nothing is trained."""
    return {
        "apiVersion": "shoploop.io/v1alpha1",
        "kind": "Recommender",
        "metadata": {"name": "grocery", "namespace": NAMESPACE},
        "spec": {
            "data": {"dataset": "completejourney"},
            "store": {"uri": STORE, "claim": "store"},
            "serving": {"replicas": 1},
            "signing": {"publicKeys": [(keys / f"{trusted}.pub").read_text()], "privateKey": {"name": "signing"}},
        },
    }


def model_version(of: dict, digest: str) -> dict:
    """The record of the version whose only package has that digest."""
    made = version(of)
    (package,) = made["status"]["packages"]
    bento = f"{STORE}/recommenders/grocery/versions/{VERSION}/bento/{digest[:16]}.bento"
    package |= {"digest": digest, "bento": bento}
    return made


def fetched(cluster: Cluster) -> bool:
    """Whether the init container of the predictor's pod has ended well: the Bento is unpacked."""
    pods = cluster.items("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=predictor")
    states = [status.get("state", {}) for pod in pods for status in pod["status"].get("initContainerStatuses", [])]
    return any(state.get("terminated", {}).get("exitCode") == 0 for state in states)


def refused(cluster: Cluster, error: str) -> str | None:
    """What the Recommender says of pods that refuse their Bento, once it names the error."""
    ready = condition(cluster.get("recommender", "grocery", "-n", NAMESPACE), "Ready")
    return ready["message"] if ready["reason"] == "PodsStalled" and error in ready["message"] else None


def wait(cluster: Cluster, what: str, ready) -> object:
    return cluster.wait(what, ready, seconds=180, tell=lambda: cluster.story(NAMESPACE))


def test_what_a_trusted_key_signed_is_unpacked_and_an_altered_archive_is_refused_by_name(
    cluster: Cluster, namespace: str, keys: Path
):
    digest = publish(cluster)
    wanted = recommender(keys, "shop")
    cluster.apply(model_version(wanted, digest), wanted)
    wait(cluster, "the signed Bento is unpacked", lambda: fetched(cluster))

    volumes = {"/store": {"persistentVolumeClaim": {"claimName": "store"}}}
    cluster.run_pod(cluster.pod(NAMESPACE, "flip", "python", "-c", FLIP, volumes=volumes))
    predictors = ("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=predictor")
    cluster.kubectl("delete", *predictors, "--timeout=120s", timeout=130)
    assert wait(cluster, "the altered one is refused", lambda: refused(cluster, "ArtifactCorrupt"))
    assert not fetched(cluster)


def test_a_bento_of_a_key_that_is_not_trusted_is_refused_by_name(cluster: Cluster, namespace: str, keys: Path):
    digest = publish(cluster)
    wanted = recommender(keys, "other")
    cluster.apply(model_version(wanted, digest), wanted)

    assert wait(cluster, "it is refused", lambda: refused(cluster, "KeyUntrusted"))
    assert not fetched(cluster)


@pytest.mark.cluster_full
def test_a_signed_version_of_a_run_serves(cluster: Cluster, platform: str, keys: Path):
    """The whole way: trained by Jobs, signed by the last of them, verified by the predictor, asked for an answer."""
    name = "signed-shop"
    private = {
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "signing", "namespace": name},
        "data": {"private.pem": base64.b64encode((keys / "shop.key").read_bytes()).decode()},
    }  # fmt: skip
    signing = {"publicKeys": [(keys / "shop.pub").read_text()], "privateKey": {"name": "signing"}}
    with cluster.namespace(name):
        put_data(cluster, name)
        cluster.apply(private, own_data("grocery", name, signing=signing))
        shop = Shop(cluster=cluster, namespace=name, name="grocery", seconds_to_ready=0)
        shop.wait_until_ready(seconds=420)
        assert len(shop.recommend("1", 3)["items"]) == 3
        cluster.kubectl("delete", "recommenders", "--all", "-n", name, "--timeout=120s", timeout=130)
