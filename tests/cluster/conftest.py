"""A real cluster for the tests: the one that SHOPLOOP_KUBEBOX brings up, or the one that KUBECONFIG names.

With KUBECONFIG alone, SHOPLOOP_TEST_IMAGE names an image for all roles that the cluster can pull (`make images` with
`python hack/images.py everything` builds one). Without either the tests are skipped.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLATFORM = "shoploop-system"
KUBEBOX_IMAGE = "localhost/shoploop:test"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
POLL_SECONDS = 0.5

Object = dict[str, Any]


class Failed(AssertionError):
    """A command on the cluster failed; holds what it said."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """kubectl and helm, pointed at the cluster."""

    env: dict[str, str]
    image: str
    left: list[str] = field(default_factory=list)
    """Namespaces that are on their way out."""

    def run(self, program: str, *args: object, stdin: str | None = None, timeout: float = 120) -> str:
        command = [shutil.which(program, path=self.env["PATH"]) or program, *map(str, args)]
        done = subprocess.run(command, env=self.env, input=stdin, text=True, capture_output=True, timeout=timeout)
        if done.returncode:
            raise Failed(f"{program} {' '.join(map(str, args))}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def kubectl(self, *args: object, stdin: str | None = None, timeout: float = 120) -> str:
        return self.run("kubectl", *args, stdin=stdin, timeout=timeout)

    def helm(self, *args: object, timeout: float = 300) -> str:
        return self.run("helm", *args, timeout=timeout)

    def apply(self, *objects: Object) -> None:
        """Records come first, with their status, which has a door of its own: who needs them finds them whole."""
        for record in (one for one in objects if one["kind"] == "ModelVersion"):
            self.kubectl("apply", "-f", "-", stdin=json.dumps(record))
            name, namespace = record["metadata"]["name"], record["metadata"]["namespace"]
            patch = json.dumps({"status": record.get("status", {})})
            where = ("modelversion", name, "-n", namespace)
            self.kubectl("patch", *where, "--subresource=status", "--type=merge", "-p", patch)
        rest = [one for one in objects if one["kind"] != "ModelVersion"]
        if rest:
            self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": rest}))

    def get(self, *args: object) -> Object:
        return json.loads(self.kubectl("get", *args, "-o", "json"))

    def find(self, *args: object) -> Object | None:
        """An object, or None where there is none."""
        answer = self.kubectl("get", *args, "-o", "json", "--ignore-not-found")
        return json.loads(answer) if answer.strip() else None

    def items(self, *args: object) -> list[Object]:
        return list(self.get(*args)["items"])

    def wait(self, what: str, ready: Callable[[], Any], *, seconds: float, tell: Callable[[], str] = str) -> Any:
        """The first true answer of ``ready``; after ``seconds`` a failure that says what ``tell`` found."""
        deadline = time.monotonic() + seconds
        while not (answer := ready()):
            if time.monotonic() > deadline:
                raise Failed(f"{what}: not after {seconds:.0f} s\n{tell()}")
            time.sleep(POLL_SECONDS)
        return answer

    @contextmanager
    def namespace(self, name: str) -> Iterator[str]:
        """A namespace that enforces restricted Pod Security; nobody waits for its end, see :meth:`until_gone`."""
        if name in self.left:
            self.until_gone()
        self.free_volumes()
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}})
        self.wait(
            "the namespace's service account",
            lambda: self.find("serviceaccount", "default", "-n", name),
            seconds=30,
        )
        try:
            yield name
        finally:
            self.kubectl("delete", "namespace", name, "--wait=false")
            self.left.append(name)

    def free_volumes(self) -> None:
        """Empties kubebox's volumes whose claims are gone, for others: it has eight, and keeps what was claimed once."""
        if "KUBEBOX" not in self.env:
            return
        for volume in self.items("persistentvolumes"):
            if volume["status"].get("phase") == "Released":
                folder = Path(volume["spec"]["hostPath"]["path"])
                for left in folder.iterdir():
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
                nobody = json.dumps({"spec": {"claimRef": None}})
                self.kubectl("patch", "pv", volume["metadata"]["name"], "--type=merge", "-p", nobody)

    def until_gone(self) -> None:
        """Waits for the end of all namespaces that were left, which takes each of them seconds and nobody's work."""
        while self.left:
            self.kubectl("wait", "--for=delete", f"namespace/{self.left[-1]}", "--timeout=120s", timeout=130)
            self.left.pop()

    def pod(self, namespace: str, name: str, *command: str, volumes: dict[str, Object] | None = None) -> Object:
        """A pod of the image that runs ``command`` once, within restricted Pod Security; ``volumes`` by mount path."""
        mounts = {"/tmp": {"emptyDir": {}}} | (volumes or {})
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "securityContext": {
                    "runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "main",
                        "image": self.image,
                        "imagePullPolicy": "IfNotPresent",
                        "args": list(command),
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "readOnlyRootFilesystem": True,
                            "capabilities": {"drop": ["ALL"]},
                        },
                        "volumeMounts": [
                            {"name": f"v{number}", "mountPath": path} for number, path in enumerate(mounts)
                        ],
                    }
                ],
                "volumes": [{"name": f"v{number}"} | source for number, source in enumerate(mounts.values())],
            },
        }  # fmt: skip

    def run_pod(self, pod: Object, *, seconds: float = 240) -> str:
        """Runs a pod to its end and returns its log."""
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        self.apply(pod)
        phase = self.wait(
            f"pod {name}",
            lambda: {"Succeeded": "ok", "Failed": "bad"}.get(
                self.get("pod", name, "-n", namespace)["status"].get("phase", "")
            ),
            seconds=seconds,
            tell=lambda: self.kubectl("describe", "pod", name, "-n", namespace),
        )
        log = self.kubectl("logs", name, "-n", namespace)
        self.kubectl("delete", "pod", name, "-n", namespace, "--wait=false")
        if phase != "ok":
            raise Failed(f"pod {name} failed:\n{log}")
        return log

    def log(self, pod: str, namespace: str) -> str:
        """A pod's log so far; empty where it has none yet."""
        try:
            return self.kubectl("logs", pod, "-n", namespace)
        except Failed:
            return ""

    def story(self, namespace: str) -> str:
        """What a person would look at when something does not come about."""
        asked = [
            ("get", "recommenders,modelversions,jobs,deployments,pods,pvc", "-o", "wide"),
            ("get", "recommenders", "-o", "jsonpath={.items[*].status.conditions}"),
            ("get", "events", "--sort-by=.lastTimestamp"),
            ("logs", "-l", "shoploop.io/recommender", "--tail=30", "--prefix", "--all-containers"),
        ]
        told = [self._try("kubectl", *args, "-n", namespace) for args in asked]
        told.append(
            self._try("kubectl", "logs", "-n", PLATFORM, "-l", "app.kubernetes.io/component=operator", "--tail=60")
        )
        return "\n\n".join(told)

    def kill(self, component: str) -> None:
        """Kills a part of kubebox, which starts it again, and sees to it that it then runs: a port that the killed one
        still holds for a moment ends the new one at once."""
        kubebox = self.env["KUBEBOX"]

        def runs() -> bool:
            time.sleep(1.5)
            told = subprocess.run([kubebox, "status"], check=True, capture_output=True, text=True).stdout
            if any(line.split()[:2] == [component, "running,"] for line in told.splitlines()):
                return True
            subprocess.run([kubebox, "start", component], check=True)
            return False

        subprocess.run([kubebox, "restart", component], check=True)
        self.wait(f"{component} runs", runs, seconds=60)

    def _try(self, program: str, *args: str) -> str:
        try:
            return self.run(program, *args)
        except Failed as error:
            return str(error)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if kubebox := os.environ.get("SHOPLOOP_KUBEBOX"):
        yield from kubebox_cluster(kubebox)
    elif os.environ.get("KUBECONFIG") and os.environ.get("SHOPLOOP_TEST_IMAGE"):
        yield Cluster(env=dict(os.environ), image=os.environ["SHOPLOOP_TEST_IMAGE"])
    else:
        pytest.skip(
            "no cluster: name the kubebox script in SHOPLOOP_KUBEBOX, or a cluster in KUBECONFIG and an image for all "
            "roles that it can pull in SHOPLOOP_TEST_IMAGE"
        )


def kubebox_cluster(kubebox: str) -> Iterator[Cluster]:
    """kubebox, started afresh with the image that `make images` built; `make images` is done where it was not."""
    script = [sys.executable, str(ROOT / "hack" / "cluster.py")]
    if why := subprocess.run([*script, "check"], capture_output=True, text=True).stderr.strip():
        pytest.skip(why)
    subprocess.run([*script, "up"], check=True)
    try:
        lines = subprocess.run([kubebox, "env"], check=True, capture_output=True, text=True).stdout.splitlines()
        told = dict(line.removeprefix("export ").split("=", 1) for line in lines)
        path = told["PATH"].replace("$PATH", os.environ["PATH"])
        yield Cluster(env=os.environ | told | {"PATH": path}, image=KUBEBOX_IMAGE)
    finally:
        subprocess.run([*script, "down"], check=True)


def platform_values(image: str) -> list[str]:
    """Settings of charts/shoploop that make one image play all roles."""
    repository, _, tag = image.rpartition(":")
    return [
        f"--set=image.repository={repository},image.tag={tag}",
        f"--set=pipelineImage.repository={repository},servingImage.repository={repository}",
    ]


@pytest.fixture(scope="session")
def platform(cluster: Cluster) -> Iterator[str]:
    """charts/shoploop, installed for the whole cluster; its namespace."""
    with cluster.namespace(PLATFORM):
        cluster.helm(
            "install", "shoploop", ROOT / "charts" / "shoploop", "-n", PLATFORM, *platform_values(cluster.image),
            "--wait", "--timeout=180s",
        )  # fmt: skip
        yield PLATFORM
        cluster.until_gone()  # the operator lets go of what is in them
        if cluster.helm("list", "-n", PLATFORM, "-q").strip():
            cluster.helm("uninstall", "shoploop", "-n", PLATFORM, "--no-hooks")


SHOP = "shop"
STORE = "file:///store"
COLUMNS = {
    "interactions": {
        "user": "customer", "item": "sku", "time": "when", "kind": "action", "quantity": "pieces", "price": "amount",
        "shop": "store", "basket": "order",
    },
    "items": {"item": "sku", "title": "name", "category": ["department", "type"]},
}  # fmt: skip


def claim(namespace: str, name: str = "store") -> Object:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
    }


def own_data(name: str, namespace: str, **spec: Any) -> Object:
    """A Recommender of examples/own-data, whose files lie on the claim that also holds the store."""
    return {
        "apiVersion": "shoploop.io/v1alpha1",
        "kind": "Recommender",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "store": {"uri": STORE, "claim": "store"},
            "data": {
                "tables": {
                    "interactions": {
                        "uri": f"{STORE}/data/events.csv",
                        "columns": COLUMNS["interactions"],
                        "timeFormat": "%d.%m.%Y %H:%M",
                        "timeZone": "Europe/Berlin",
                    },
                    "items": {"uri": f"{STORE}/data/products.csv", "columns": COLUMNS["items"]},
                }
            },
            "gate": {"rule": "Always"},
            "training": {"resources": {"cpu": "500m", "memory": "3Gi"}, "epochs": 1},
            "serving": {"replicas": 2, "deadlineMilliseconds": 1000},
        }
        | spec,
    }


def put_data(cluster: Cluster, namespace: str) -> None:
    """Copies the example's files onto the claim, from a ConfigMap: a test's own machine may not reach the volume."""
    folder = ROOT / "examples" / "own-data"
    files = [f"--from-file={folder / name}" for name in ("events.csv", "products.csv")]
    made = cluster.kubectl("create", "configmap", "own-data", "-n", namespace, *files, "--dry-run=client", "-o", "json")
    cluster.apply(claim(namespace))
    cluster.kubectl("create", "-f", "-", stdin=made)
    volumes = {
        "/files": {"configMap": {"name": "own-data"}},
        "/store": {"persistentVolumeClaim": {"claimName": "store"}},
    }
    copy = "import shutil; shutil.copytree('/files', '/store/data', copy_function=shutil.copyfile, dirs_exist_ok=True)"
    cluster.run_pod(cluster.pod(namespace, "put-data", "python", "-c", copy, volumes=volumes))


ASK = """
import json, sys, urllib.request
ask = urllib.request.Request(sys.argv[1] + "/recommend", sys.argv[2].encode(), {"content-type": "application/json"})
print(urllib.request.urlopen(ask, timeout=20).read().decode())
"""


def condition(found: Object, type_: str) -> Object:
    conditions = found.get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == type_), {"status": "Unknown", "reason": "", "message": ""})


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A namespace with a Recommender that was trained, released and is served."""

    cluster: Cluster
    namespace: str
    name: str
    seconds_to_ready: float

    def recommender(self) -> Object:
        return self.cluster.get("recommender", self.name, "-n", self.namespace)

    def patch(self, **spec: Any) -> None:
        body = json.dumps({"spec": spec})
        self.cluster.kubectl("patch", "recommender", self.name, "-n", self.namespace, "--type=merge", "-p", body)

    def wait(self, what: str, ready: Callable[[], Any], *, seconds: float = 240) -> Any:
        return self.cluster.wait(what, ready, seconds=seconds, tell=lambda: self.cluster.story(self.namespace))

    def wait_until_ready(self, *, seconds: float = 240) -> Object:
        """The Recommender once it is ready as its spec now is."""

        def ready() -> Object | None:
            found = self.recommender()
            one = condition(found, "Ready")
            current = one.get("observedGeneration") == found["metadata"]["generation"]
            return found if one["status"] == "True" and current else None

        return self.wait(f"Recommender {self.name} is ready", ready, seconds=seconds)

    def pods(self, *, ending: bool = False) -> list[Object]:
        """The predictor's pods; those on their way out only where they are asked for."""
        selector = f"app.kubernetes.io/component=predictor,shoploop.io/recommender={self.name}"
        found = self.cluster.items("pods", "-n", self.namespace, "-l", selector)
        return [pod for pod in found if ending or "deletionTimestamp" not in pod["metadata"]]

    def recommend(self, user: str, k: int) -> Object:
        """What the service answers to a pod of the same namespace."""
        body = json.dumps({"user": user, "k": k})
        url = f"http://{self.name}-predictor"
        answer = self.cluster.run_pod(self.cluster.pod(self.namespace, "ask", "python", "-c", ASK, url, body))
        self.cluster.kubectl("wait", "--for=delete", "pod/ask", "-n", self.namespace, "--timeout=60s")
        return dict(json.loads(answer))

    def rolled_out(self, *, seconds: float = 300) -> None:
        self.cluster.kubectl(
            "rollout", "status", f"deployment/{self.name}-predictor", "-n", self.namespace, f"--timeout={seconds}s",
            timeout=seconds + 10,
        )  # fmt: skip


@pytest.fixture(scope="session")
def begun_shop(cluster: Cluster, platform: str) -> Iterator[str]:
    """The namespace in which the one full training of these tests has begun."""
    with cluster.namespace(SHOP):
        put_data(cluster, SHOP)
        cluster.apply(own_data("grocery", SHOP))
        yield SHOP
        cluster.kubectl("delete", "recommenders", "--all", "-n", SHOP, "--timeout=120s", timeout=130)


@pytest.fixture(scope="session", autouse=True)
def in_time(request: pytest.FixtureRequest) -> None:
    """Has the shop trained beside the first tests, which do without it."""
    if any(of_the_shop(item) for item in request.session.items):
        request.getfixturevalue("begun_shop")


@pytest.fixture(scope="session")
def shop(cluster: Cluster, begun_shop: str) -> Shop:
    """The story up to a served recommender."""
    made = Shop(cluster=cluster, namespace=begun_shop, name="grocery", seconds_to_ready=0)
    found = made.wait_until_ready(seconds=420)
    moments = (found["metadata"]["creationTimestamp"], condition(found, "Ready")["lastTransitionTime"])
    created, ready = map(datetime.fromisoformat, moments)
    return replace(made, seconds_to_ready=(ready - created).total_seconds())


@pytest.fixture(scope="session")
def files_for_many(cluster: Cluster, platform: str) -> Iterator[str]:
    """A namespace with the shop's files, in which trainings on several machines share what comes before these."""
    with cluster.namespace("together") as namespace:
        put_data(cluster, namespace)
        yield namespace


@pytest.fixture
def together(cluster: Cluster, files_for_many: str) -> Iterator[str]:
    """The same for one test, which leaves no Recommender there."""
    yield files_for_many
    cluster.kubectl("delete", "recommenders", "--all", "-n", files_for_many, "--timeout=120s", timeout=130)


def of_the_shop(item: pytest.Item) -> bool:
    """Whether a test on the cluster needs the trained shop."""
    return item.path.parent == Path(__file__).parent and "shop" in getattr(item, "fixturenames", ())


LAST = (
    "test_generator_on_two_nodes.py",
    "test_handed_over_on_cluster.py",
    "test_story.py",
    "test_operator_roles.py",
    "test_reinstalled.py",
    "test_tenants_on_cluster.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """First what does without the shop, which is trained meanwhile. What brings the Kubeflow Trainer comes after the test
    that finds it missing. The story is told last: its end deletes what the other tests look at. Then the roles: all that
    was done is known. Kueue, which everybody would have to ask from then on, comes after all."""
    later = {item.path.name for item in items if of_the_shop(item)} | {"test_training_on_two_nodes.py"}  # as heavy

    def turn(item: pytest.Item) -> int:
        name = item.path.name
        return LAST.index(name) + 2 if name in LAST else int(name in later)

    items.sort(key=turn)
