"""What the Recommenders ask for, whether the operator will do it, and how they fare."""

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from shoploop.api.kubernetes import STORE_KEYS
from shoploop.api.unbuilt import Limit, described, unbuilt
from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.cli.doctor.facts import Cluster, full_name
from shoploop.cli.doctor.finding import Finding
from shoploop.controller.decide.conditions import spelt_out
from shoploop.errors import NotFound


def check_specs(cluster: Cluster) -> Iterator[Finding]:
    """No spec asks for what the operator refuses."""
    for one in cluster.recommenders:
        try:
            spec = RecommenderSpec.model_validate(one["spec"], strict=True, by_alias=True, by_name=False)
        except ValidationError:
            continue  # only an operator of another version lets such a spec pass; its condition Ready says more
        if beyond := unbuilt(spec, place="Cluster"):
            about, detail = f"spec of {full_name(one)}", described(beyond)
            yield Finding(about=about, state="missing", detail=detail, remedy=_mended(one, beyond))


def _mended(one: dict[str, Any], beyond: list[Limit]) -> str:
    """The command after which the spec asks for nothing that is refused."""
    namespace, name = one["metadata"]["namespace"], one["metadata"]["name"]
    if any(limit.field == "store.uri" for limit in beyond):
        return f"kubectl -n {namespace} delete recommender {name}   # and make it again with another store.uri"
    patch: dict[str, Any] = {}
    for limit in beyond:
        section, field = limit.field.split(".")
        patch.setdefault(section, {})[field] = limit.instead  # null takes a field out
    return f"kubectl -n {namespace} patch recommender {name} --type merge -p {shlex.quote(json.dumps({'spec': patch}))}"


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
    """A store's Secret, with the keys that the operator asks for."""
    about = f"store of {recommender}"
    try:
        keys = cluster.kubectl.get("secret", secret, f"--namespace={namespace}").get("data", {}).keys()
    except NotFound:
        literals = " ".join(f"--from-literal={key}=..." for key in STORE_KEYS)
        return Finding(
            about=about, state="missing", detail=f"Secret {secret} does not exist",
            remedy=f"kubectl -n {namespace} create secret generic {secret} {literals}",
        )  # fmt: skip
    if lacking := [key for key in STORE_KEYS if key not in keys]:
        patch = shlex.quote(json.dumps({"stringData": dict.fromkeys(lacking, "...")}))
        return Finding(
            about=about, state="missing", detail=f"Secret {secret} lacks {', '.join(lacking)}",
            remedy=f"kubectl -n {namespace} patch secret {secret} -p {patch}",
        )  # fmt: skip
    return Finding(about=about, state="ok", detail=f"Secret {secret} has both keys")


def check_redis(cluster: Cluster) -> Iterator[Finding]:
    """Where the features of users are read from."""
    for name, store in cluster.wanting("features.onlineStore"):
        if store.get("type") == "Redis" and (connection := store.get("connection")):
            host = str(connection).rsplit("@", 1)[-1].split(":", 1)[0]
            about = f"features.onlineStore.connection of {name}"
            yield from check_service(cluster, name.split("/")[0], about, host)


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


def check_recommenders(cluster: Cluster) -> Iterator[Finding]:
    """What the Recommenders say about themselves."""
    for one in cluster.recommenders:
        conditions = {c["type"]: c for c in spelt_out(one.get("status", {}).get("conditions", []))}
        about, ready = f"recommender {full_name(one)}", conditions.get("Ready")
        if ready and ready["status"] == "True":
            yield Finding(about=about, state="ok", detail=ready["message"])
        elif ready and holds(conditions, "Progressing") and not holds(conditions, "Degraded"):
            yield Finding(about=about, state="waiting", detail=ready["message"])
        else:
            why = f"{ready['reason']}: {ready['message']}" if ready else "the operator has not looked at it"
            remedy = f"shoploop status {one['metadata']['name']} -n {one['metadata']['namespace']}"
            yield Finding(about=about, state="missing", detail=why, remedy=remedy)


def holds(conditions: dict[str, dict[str, Any]], type_: str) -> bool:
    """Whether the condition of that type is there and true."""
    return bool(conditions.get(type_, {}).get("status") == "True")
