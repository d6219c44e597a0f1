"""The way back from shoppers on a cluster, and who may ask: what the predictors are given of the event log and of keys; pure.

Secrets are named and mounted; the operator asks which keys they have, and keeps nothing of them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shoploop.api.online import EventLogSpec
from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.controller.decide.conditions import Found, say
from shoploop.controller.decide.manifests import ACCESS_MOUNT, LOG_MOUNT
from shoploop.controller.decide.names import COMPONENT_LABEL, Object, child_metadata, event_claim_name

PASSWORD = "password"


@dataclass(frozen=True)
class _Asked:
    """A Secret that the spec names."""

    field: str
    name: str
    key: str | None = None
    """Which key it must have."""

    suffix: str = ""
    """How the name of one key at least must end, where no key is named."""


def values(recommender: Object, spec: RecommenderSpec) -> dict[str, Any]:
    """The section ``online`` of the values of charts/recommender."""
    log, keys = spec.online.log, spec.online.keys
    if log is None:
        return {"enabled": False}
    authority = log.tls.ca_ref if log.tls else None
    return {
        "enabled": spec.online.enabled,
        "publishPeriodSeconds": spec.online.publish_period_seconds,
        "optimizer": spec.online.optimizer,
        # what is as it is by default is not told, so that a new default is no new pod
        "guardrails": spec.online.guardrails.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        "log": {
            "type": log.type,
            "connection": log.connection or "",
            "prefix": log.prefix or "",
            "secretName": log.secret_ref.name if log.secret_ref else "",
            "tls": {
                "enabled": log.tls is not None,
                "caSecretName": authority.name if authority else "",
                "caKey": authority.key if authority else "",
            },
            "saslMechanism": log.sasl_mechanism,
            "claimName": (log.claim or event_claim_name(recommender)) if log.type == "Sqlite" else "",
        },
        "keys": {
            "impressionsSecretName": keys.impressions.name if keys.impressions else "",
            "serverSecretName": keys.server.name if keys.server else "",
            "publishableSecretName": keys.publishable.name if keys.publishable else "",
        },
    }


def redis_values(spec: RecommenderSpec) -> dict[str, Any]:
    """The section ``redis`` of the values of charts/recommender."""
    bring = spec.online.log.bring if spec.online.log else None
    if bring is None:
        return {"enabled": False}
    storage = {"size": bring.storage, "className": bring.storage_class or ""}
    number, unit = int(bring.max_memory[:-2]), {"kb": "Ki", "mb": "Mi", "gb": "Gi"}[bring.max_memory[-2:]]
    limits = {"memory": f"{2 * number}{unit}"}  # what it takes while it writes its file anew
    requests = {"cpu": "50m", "memory": f"{number}{unit}"}
    resources = {"requests": requests, "limits": limits}
    return {"enabled": True, "maxMemory": bring.max_memory, "storage": storage, "resources": resources}


def reached(name: str, log: EventLogSpec) -> EventLogSpec:
    """The log as pods reach it: the Redis that is brought has an address by then."""
    if log.bring is None:
        return log
    return log.model_copy(update={"connection": f"{name}-redis:6379", "bring": None})


def access_values(spec: RecommenderSpec) -> dict[str, Any]:
    """The section ``access`` of the values of charts/recommender."""
    access = spec.serving.access
    if access is None:
        return {"enabled": False}
    tokens = access.tokens
    return {
        "enabled": True,
        "keysSecretName": access.keys.name if access.keys else "",
        "tokens": {
            "issuer": tokens.issuer if tokens else "",
            "audience": tokens.audience if tokens else "",
            "algorithms": list(tokens.algorithms) if tokens else [],
            "skewSeconds": tokens.skew_seconds if tokens else 60,
            "jwksSecretName": tokens.jwks.name if tokens else "",
            "jwksKey": tokens.jwks.key if tokens else "jwks.json",
        },
    }


def is_file(log: EventLogSpec | None) -> bool:
    """Whether one pod alone can use the log."""
    return log is not None and log.type == "Sqlite"


def claim(recommender: Object, spec: RecommenderSpec) -> Object | None:
    """The claim that keeps the file of a log; None where there is no such file, or the spec names a claim. It has no owner:
    spec.deletionPolicy says what becomes of it."""
    log = spec.online.log
    if log is None or not is_file(log) or log.claim:
        return None
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": child_metadata(recommender, event_claim_name(recommender), owned=False),
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }


def equip(pod: Object, recommender: Object, spec: RecommenderSpec) -> None:
    """Adds to a pod what it needs to read the log: the file, on the node of the pod that serves, or a password and the
    certificates of an authority."""
    log = spec.online.log
    if log is None:
        return
    mounts, name = pod["containers"][0]["volumeMounts"], recommender["metadata"]["name"]
    if is_file(log):
        claimed = log.claim or event_claim_name(recommender)
        mounts.append({"name": "events", "mountPath": LOG_MOUNT})
        pod["volumes"].append({"name": "events", "persistentVolumeClaim": {"claimName": claimed}})
        labels = {COMPONENT_LABEL: "predictor", "app.kubernetes.io/instance": name}
        near = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": labels}}
        pod["affinity"] = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [near]}}
        return
    sources: list[Object] = []
    if log.secret_ref is not None:
        alone = {"items": [{"key": "password", "path": "password"}]}  # the Redis that is brought knows no users
        sources.append({"secret": {"name": log.secret_ref.name} | (alone if log.bring else {})})
    if log.tls is not None and (authority := log.tls.ca_ref) is not None:
        sources.append({"secret": {"name": authority.name, "items": [{"key": authority.key, "path": "ca.crt"}]}})
    if sources:
        mounts.append({"name": "log-access", "mountPath": ACCESS_MOUNT, "readOnly": True})
        pod["volumes"].append({"name": "log-access", "projected": {"defaultMode": 0o440, "sources": sources}})


def secret_names(spec: Mapping[str, Any]) -> set[str]:
    """Names of the Secrets that a spec names for feedback, for who may ask, or for the authority of its store; of one
    that may break every rule."""
    store = found if isinstance(found := spec.get("store"), dict) else {}
    authority = found if isinstance(found := store.get("caRef"), dict) else {}
    trusted = {name} if isinstance(name := authority.get("name"), str) else set()
    online = spec.get("online")
    online = online if isinstance(online, dict) else {}
    log, keys = (found if isinstance(found := online.get(part), dict) else {} for part in ("log", "keys"))
    tls = found if isinstance(found := log.get("tls"), dict) else {}
    references = [log.get("secretRef"), tls.get("caRef"), *keys.values()] if log else []
    serving = found if isinstance(found := spec.get("serving"), dict) else {}
    access = found if isinstance(found := serving.get("access"), dict) else {}
    tokens = found if isinstance(found := access.get("tokens"), dict) else {}
    references += [access.get("keys"), tokens.get("jwks")]
    names = {reference.get("name") for reference in references if isinstance(reference, dict)}
    return trusted | {name for name in names if isinstance(name, str)}


def blocker(spec: RecommenderSpec, secrets: Mapping[str, frozenset[str] | None], namespace: str) -> Found | None:
    """What somebody has to mend before events can be collected, and callers known, as it is asked for.

    Args:
        spec: Of the Recommender.
        secrets: By the name of each Secret that the spec names for feedback, its keys; None where it does not exist.
        namespace: The Recommender's.
    """
    log = spec.online.log
    if log is not None and spec.online.keys.impressions is None:
        return say("FeedbackKeyUnset", namespace=namespace)
    for asked in (*_asked_of_access(spec), *(_asked(spec, log) if log is not None else ())):
        keys = secrets.get(asked.name)
        known = {"secret": asked.name, "field": asked.field, "namespace": namespace}
        if keys is None:
            return say("FeedbackSecretMissing", **known)
        if asked.key is not None and asked.key not in keys:
            return say("FeedbackSecretKeyMissing", **known, key=asked.key)
        if asked.suffix and not any(key.endswith(asked.suffix) for key in keys):
            return say("FeedbackSecretKeyMissing", **known, key=f"NAME{asked.suffix}")
    return None


def _asked(spec: RecommenderSpec, log: EventLogSpec) -> Iterator[_Asked]:
    keys = spec.online.keys
    for name, reference, suffix in (
        ("impressions", keys.impressions, ".key"),
        ("server", keys.server, ".key"),
        ("publishable", keys.publishable, ".json"),
    ):
        if reference is not None:
            yield _Asked(f"spec.online.keys.{name}", reference.name, suffix=suffix)
    if log.secret_ref is not None:
        yield _Asked("spec.online.log.secretRef", log.secret_ref.name, key=PASSWORD)
    if log.tls is not None and log.tls.ca_ref is not None:
        yield _Asked("spec.online.log.tls.caRef", log.tls.ca_ref.name, key=log.tls.ca_ref.key)


def _asked_of_access(spec: RecommenderSpec) -> Iterator[_Asked]:
    access = spec.serving.access
    if access is not None and access.keys is not None:
        yield _Asked("spec.serving.access.keys", access.keys.name, suffix=".key")
    if access is not None and access.tokens is not None:
        jwks = access.tokens.jwks
        yield _Asked("spec.serving.access.tokens.jwks", jwks.name, key=jwks.key)
