"""``shoploop doctor``: looks at a cluster and says what is missing, and the command that mends it.

Every check is a function from a :class:`Cluster` to findings. A thing that only some Recommenders need is missing only
when one of them asks for it.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from shoploop.cli.kubectl import Kubectl
from shoploop.errors import NotFound

State = Literal["ok", "missing", "unused", "waiting"]
OLDEST_KUBERNETES = (1, 30)
INSTALL = "helm install shoploop charts/shoploop -n shoploop-system --create-namespace"
UPGRADE = "helm upgrade shoploop charts/shoploop -n shoploop-system"
TRAINER = "https://github.com/kubeflow/trainer.git/manifests/overlays"
STORE_KEYS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    about: str
    state: State
    """missing: something that is needed is not there. unused: it is not there, and nobody needs it. waiting: it is on
    its way, and nobody has to do anything."""

    detail: str
    remedy: str | None = None
    """The command that mends it."""


@dataclass(frozen=True)
class Cluster:
    """What the checks look at, read once."""

    kubectl: Kubectl
    namespace: str = field(default="default")

    @cached_property
    def recommenders(self) -> list[dict[str, Any]]:
        return self.kubectl.items("recommenders.shoploop.io", "--all-namespaces")

    @cached_property
    def definitions(self) -> dict[str, dict[str, Any]]:
        return {found["metadata"]["name"]: found for found in self.kubectl.items("customresourcedefinitions")}

    @cached_property
    def services(self) -> dict[tuple[str, str], dict[str, Any]]:
        found = self.kubectl.items("services", "--all-namespaces")
        return {(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in found}

    def wanting(self, *path: str) -> list[tuple[str, Any]]:
        """The Recommenders whose spec sets the field at ``path``: name with namespace, and the value."""
        found = []
        for one in self.recommenders:
            value: Any = one["spec"]
            for key in path:
                value = value.get(key) if isinstance(value, dict) else None
            if value:
                found.append((full_name(one), value))
        return found


def full_name(one: dict[str, Any]) -> str:
    return f"{one['metadata']['namespace']}/{one['metadata']['name']}"


def examine(kubectl: Kubectl) -> list[Finding]:
    """Everything that was looked at, in order.

    Raises:
        ClusterUnavailable: there is no cluster to look at.
    """
    version = json.loads(kubectl.run("get", "--raw", "/version"))
    cluster = Cluster(kubectl, kubectl.namespace or "default")
    checks = (
        check_definitions, check_operator, check_permissions, check_storage, check_gpus, check_trainer, check_queues,
        check_autoscaling, check_pipelines, check_stores, check_redis, check_recommenders,
    )  # fmt: skip
    return [check_version(version), *(finding for check in checks for finding in check(cluster))]


def check_version(version: dict[str, Any]) -> Finding:
    major, minor = (int(re.sub(r"\D.*", "", version[key])) for key in ("major", "minor"))
    oldest = ".".join(map(str, OLDEST_KUBERNETES))
    if (major, minor) >= OLDEST_KUBERNETES:
        return Finding(about="Kubernetes", state="ok", detail=f"{version['gitVersion']} (needs {oldest} or later)")
    return Finding(
        about="Kubernetes",
        state="missing",
        detail=f"{version['gitVersion']} is too old: no request fails when a predictor ends only from {oldest} on",
        remedy=f"upgrade the cluster to Kubernetes {oldest} or later",
    )


def check_definitions(cluster: Cluster) -> Iterator[Finding]:
    """The CRDs are there, and know every field that this shoploop writes."""
    from shoploop.api.crd import definitions

    for wanted in definitions().values():
        name = wanted["metadata"]["name"]
        found = cluster.definitions.get(name)
        if found is None:
            yield Finding(about=name, state="missing", detail="the CRD is not installed", remedy=INSTALL)
            continue
        here = {version["name"]: version for version in found["spec"]["versions"]}
        lacking = [
            path
            for version in wanted["spec"]["versions"]
            for path in missing_fields(
                version["schema"]["openAPIV3Schema"],
                here.get(version["name"], {}).get("schema", {}).get("openAPIV3Schema", {}),
            )
        ]
        if lacking:
            some = ", ".join(lacking[:5]) + (f" and {len(lacking) - 5} more" if len(lacking) > 5 else "")
            yield Finding(
                about=name,
                state="missing",
                detail=f"the CRD is older than this shoploop and lacks {some}",
                remedy=UPGRADE,
            )
        else:
            yield Finding(about=name, state="ok", detail="the CRD has every field")


def missing_fields(wanted: dict[str, Any], found: dict[str, Any], path: str = "") -> Iterator[str]:
    """Paths of the fields of one schema that another lacks."""
    for key, inner in wanted.get("properties", {}).items():
        if key not in found.get("properties", {}):
            yield f"{path}.{key}".lstrip(".")
        else:
            yield from missing_fields(inner, found["properties"][key], f"{path}.{key}")
    if "items" in wanted:
        yield from missing_fields(wanted["items"], found.get("items", {}), f"{path}[]")


def check_operator(cluster: Cluster) -> Iterator[Finding]:
    selector = "app.kubernetes.io/part-of=shoploop,app.kubernetes.io/component=operator"
    operators = cluster.kubectl.items("deployments", "--all-namespaces", "-l", selector)
    if not operators:
        yield Finding(about="operator", state="missing", detail="no operator is installed", remedy=INSTALL)
    for one in operators:
        namespace, name = one["metadata"]["namespace"], one["metadata"]["name"]
        if one.get("status", {}).get("availableReplicas", 0):
            image = one["spec"]["template"]["spec"]["containers"][0]["image"]
            yield Finding(about="operator", state="ok", detail=f"{full_name(one)} runs {image}")
        else:
            yield Finding(
                about="operator",
                state="missing",
                detail=f"{full_name(one)} is not available",
                remedy=f"kubectl -n {namespace} describe deployment {name}   # and: logs deployment/{name}",
            )


def check_permissions(cluster: Cluster) -> Iterator[Finding]:
    wanted = [
        ("create", "recommenders.shoploop.io"), ("get", "modelversions.shoploop.io"), ("get", "pods/log"),
        ("create", "pods/portforward"),
    ]  # fmt: skip
    lacking = [
        f"{verb} {what}"
        for verb, what in wanted
        if not cluster.kubectl.allowed(verb, what, namespace=cluster.namespace)
    ]
    where = f"in namespace {cluster.namespace}"
    if lacking:
        yield Finding(
            about="permissions",
            state="missing",
            detail=f"you may not {', '.join(lacking)} {where}",
            remedy=f"kubectl -n {cluster.namespace} create rolebinding YOU-edit --clusterrole=edit --user=YOU",
        )
    else:
        yield Finding(about="permissions", state="ok", detail=f"you may make and watch Recommenders {where}")


def check_storage(cluster: Cluster) -> Iterator[Finding]:
    mark = "storageclass.kubernetes.io/is-default-class"
    classes = cluster.kubectl.items("storageclasses")
    default = [one["metadata"]["name"] for one in classes if one["metadata"].get("annotations", {}).get(mark) == "true"]
    local = [name for name, uri in cluster.wanting("store", "uri") if "://" not in uri or uri.startswith("file://")]
    if default:
        yield Finding(about="storage", state="ok", detail=f"default storage class {', '.join(default)}")
        return
    names = ", ".join(one["metadata"]["name"] for one in classes) or "none"
    yield Finding(
        about="storage",
        state="missing" if local else "unused",
        detail=f"no default storage class (known: {names}); a folder as a store needs a ReadWriteMany claim",
        remedy=f"kubectl annotate storageclass NAME {mark}=true   # or use an s3:// store",
    )


def optional(
    about: str, *, there: str | None, wanted_by: list[str], why: str, remedy: str
) -> Finding:  # fmt: skip
    """A part that only those Recommenders need which ask for it."""
    if there:
        return Finding(about=about, state="ok", detail=there)
    if wanted_by:
        return Finding(about=about, state="missing", detail=f"{', '.join(wanted_by)} need it: {why}", remedy=remedy)
    return Finding(about=about, state="unused", detail=f"not there; {why} needs it", remedy=remedy)


def check_gpus(cluster: Cluster) -> Iterator[Finding]:
    nodes = cluster.kubectl.items("nodes")
    gpus = sum(int(node.get("status", {}).get("allocatable", {}).get("nvidia.com/gpu", 0)) for node in nodes)
    yield optional(
        "GPU",
        there=f"{gpus} nvidia.com/gpu on {len(nodes)} nodes" if gpus else None,
        wanted_by=[name for name, _ in cluster.wanting("training", "resources", "gpu")],
        why="training.resources.gpu above 0",
        remedy="helm install nvidia-device-plugin nvdp/nvidia-device-plugin -n kube-system",
    )


def check_trainer(cluster: Cluster) -> Iterator[Finding]:
    there = None
    if "trainjobs.trainer.kubeflow.org" in cluster.definitions:
        runtimes = {
            r["metadata"]["name"] for r in cluster.kubectl.items("clustertrainingruntimes.trainer.kubeflow.org")
        }
        there = "the runtime torch-distributed is there" if "torch-distributed" in runtimes else None
    yield optional(
        "Kubeflow Trainer",
        there=there,
        wanted_by=[name for name, nodes in cluster.wanting("training", "nodes") if nodes > 1],
        why="training.nodes above 1",
        remedy=f"kubectl apply --server-side -k '{TRAINER}/manager?ref=v2.1.0' && "
        f"kubectl apply --server-side -k '{TRAINER}/runtimes?ref=v2.1.0'",
    )


def check_queues(cluster: Cluster) -> Iterator[Finding]:
    yield optional(
        "Kueue",
        there="LocalQueues can be used" if "localqueues.kueue.x-k8s.io" in cluster.definitions else None,
        wanted_by=[name for name, _ in cluster.wanting("training", "placement", "queue")],
        why="training.placement.queue",
        remedy="helm install kueue oci://registry.k8s.io/kueue/charts/kueue -n kueue-system --create-namespace",
    )


def check_autoscaling(cluster: Cluster) -> Iterator[Finding]:
    yield optional(
        "KEDA",
        there="predictors can be scaled by load" if "scaledobjects.keda.sh" in cluster.definitions else None,
        wanted_by=[name for name, _ in cluster.wanting("serving", "autoscaling")],
        why="serving.autoscaling",
        remedy="helm install keda kedacore/keda -n keda --create-namespace",
    )


def check_pipelines(cluster: Cluster) -> Iterator[Finding]:
    found = [f"{namespace}/{name}" for namespace, name in cluster.services if name == "ml-pipeline"]
    yield optional(
        "Kubeflow Pipelines",
        there=f"its API is the service {', '.join(found)}" if found else None,
        wanted_by=[name for name, kind in cluster.wanting("runner", "type") if kind == "KubeflowPipelines"],
        why="runner.type KubeflowPipelines",
        remedy="kubectl apply -k 'https://github.com/kubeflow/pipelines.git/manifests/kustomize/env/platform-agnostic'"
        "   # or set runner.type: Job",
    )


def check_stores(cluster: Cluster) -> Iterator[Finding]:
    """The Secret of every store has its keys, and an endpoint within the cluster answers to its name."""
    for one in cluster.recommenders:
        namespace, name = one["metadata"]["namespace"], full_name(one)
        store = one["spec"].get("store", {})
        if secret := store.get("secretRef", {}).get("name"):
            yield check_secret(cluster, namespace, name, secret)
        if endpoint := store.get("endpoint"):
            host = re.sub(r"^https?://|[:/].*$", "", endpoint)
            yield from check_service(cluster, namespace, f"S3 of {name}", host)


def check_secret(cluster: Cluster, namespace: str, recommender: str, secret: str) -> Finding:
    about = f"store of {recommender}"
    remedy = (
        f"kubectl -n {namespace} create secret generic {secret} --from-literal=AWS_ACCESS_KEY_ID=... "
        "--from-literal=AWS_SECRET_ACCESS_KEY=..."
    )
    try:
        keys = cluster.kubectl.get("secret", secret, f"--namespace={namespace}").get("data", {}).keys()
    except NotFound:
        return Finding(about=about, state="missing", detail=f"Secret {secret} does not exist", remedy=remedy)
    if lacking := STORE_KEYS - keys:
        detail = f"Secret {secret} lacks {', '.join(sorted(lacking))}"
        return Finding(about=about, state="missing", detail=detail, remedy=remedy)
    return Finding(about=about, state="ok", detail=f"Secret {secret} has both keys")


def check_redis(cluster: Cluster) -> Iterator[Finding]:
    for path in (("features", "onlineStore", "connection"), ("online", "log", "connection")):
        for name, connection in cluster.wanting(*path):
            host = str(connection).rsplit("@", 1)[-1].split(":", 1)[0]
            yield from check_service(cluster, name.split("/")[0], f"{'.'.join(path)} of {name}", host)


def check_service(cluster: Cluster, namespace: str, about: str, host: str) -> Iterator[Finding]:
    """A name within the cluster has a Service; a name of the outside can only be asked from inside."""
    service, _, rest = host.partition(".")
    if rest and not re.fullmatch(r"[a-z0-9-]+(\.svc(\..*)?)?", rest):
        yield Finding(about=about, state="ok", detail=f"{host} is outside the cluster; not asked from here")
        return
    where = rest.split(".")[0] if rest else namespace
    if (where, service) in cluster.services:
        yield Finding(about=about, state="ok", detail=f"service {where}/{service}")
    else:
        yield Finding(
            about=about, state="missing", detail=f"there is no service {service} in namespace {where}",
            remedy=f"kubectl -n {where} get services   # and correct the address in the spec",
        )  # fmt: skip


def holds(conditions: dict[str, dict[str, Any]], type_: str) -> bool:
    return bool(conditions.get(type_, {}).get("status") == "True")


def check_recommenders(cluster: Cluster) -> Iterator[Finding]:
    """What the Recommenders say about themselves."""
    for one in cluster.recommenders:
        conditions = {c["type"]: c for c in one.get("status", {}).get("conditions", [])}
        ready = conditions.get("Ready")
        name, namespace = one["metadata"]["name"], one["metadata"]["namespace"]
        if ready and ready["status"] == "True":
            yield Finding(about=f"recommender {full_name(one)}", state="ok", detail=ready["message"])
        elif ready and holds(conditions, "Progressing") and not holds(conditions, "Degraded"):
            yield Finding(about=f"recommender {full_name(one)}", state="waiting", detail=ready["message"])
        else:
            said = f"{ready['reason']}: {ready['message']}" if ready else "the operator has not looked at it"
            remedy = f"shoploop status {name} -n {namespace}"
            yield Finding(about=f"recommender {full_name(one)}", state="missing", detail=said, remedy=remedy)
