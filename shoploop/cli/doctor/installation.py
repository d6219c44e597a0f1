"""What every cluster needs: Kubernetes, the CRDs, the operator, permissions, and storage."""

import re
from collections.abc import Iterator
from typing import Any

from shoploop.cli.doctor.facts import Cluster, full_name
from shoploop.cli.doctor.finding import Finding

OLDEST_KUBERNETES = (1, 30)
INSTALL = "helm install shoploop charts/shoploop -n shoploop-system --create-namespace"
UPGRADE = "helm upgrade shoploop charts/shoploop -n shoploop-system"


def check_version(version: dict[str, Any]) -> Finding:
    """Kubernetes is not too old."""
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
    """It is there, and it runs."""
    if not cluster.operators:
        yield Finding(about="operator", state="missing", detail="no operator is installed", remedy=INSTALL)
    for one in cluster.operators:
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
    """What this person may do: make Recommenders, and look at what becomes of them."""
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
    """A folder as a store needs a claim: one that the spec names, or one of the default storage class."""
    mark = "storageclass.kubernetes.io/is-default-class"
    classes = cluster.kubectl.items("storageclasses")
    default = [one["metadata"]["name"] for one in classes if one["metadata"].get("annotations", {}).get(mark) == "true"]
    if default:
        yield Finding(about="storage", state="ok", detail=f"default storage class {', '.join(default)}")
        return
    waiting = [name for name, store in cluster.wanting("store") if _needs_class(store)]
    names = ", ".join(one["metadata"]["name"] for one in classes) or "none"
    needs = f"{', '.join(waiting)} need one" if waiting else "a folder as a store needs one"
    # an s3:// store is no advice here: spec.store.uri cannot be changed
    yield Finding(
        about="storage",
        state="missing" if waiting else "unused",
        detail=f"no default storage class (known: {names}); {needs} for a ReadWriteMany claim",
        remedy=f"kubectl annotate storageclass NAME {mark}=true   # or name a claim that exists in spec.store.claim",
    )


def _needs_class(store: dict[str, Any]) -> bool:
    uri = str(store.get("uri", ""))
    return ("://" not in uri or uri.startswith("file://")) and not store.get("claim")
