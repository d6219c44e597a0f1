"""Labels, annotations and names of everything that the operator makes."""

import json
from hashlib import sha256
from typing import Any

from shoploop.api.fields import API_VERSION, GROUP

RECOMMENDER_LABEL = f"{GROUP}/recommender"
RUN_LABEL = f"{GROUP}/run"
PART_LABEL = f"{GROUP}/part"
COMPONENT_LABEL = "app.kubernetes.io/component"
RUN_COMPONENT = "run"
"""What pods of a run are; `shoploop logs --part run` looks for it."""

CHECK_COMPONENT = "data-check"
GC_COMPONENT = "gc"
"""What pods are that look whether the data changed."""

DATA_LABEL = f"{GROUP}/data"
"""On the Job of such a pod: a hash of the spec of the data that it looks at."""

RUN_ANNOTATION = f"{GROUP}/run"
"""Somebody asks for a run: each new value starts one."""

RENEW_ANNOTATION = f"{GROUP}/renew"
"""Somebody asks for a renewal of what serves: each new value is carried out once."""

RESUME_ANNOTATION = f"{GROUP}/resume"
"""Somebody lets go of a held release: the revision that was held."""

ONLINE_ANNOTATION = f"{GROUP}/online"
"""Somebody decides about what is learned online: ``pin 12``, ``unpin``, ``rollback 12`` or ``resume``, and why. Each new
value asks once."""

ONLINE_COMPONENT = "online"
"""What pods are that write such a decision into the store."""

SERVE_ANNOTATION = f"{GROUP}/serve"
"""Somebody decides who serves: ``promote VERSION``, ``rollback``, ``candidate VERSION 10``, ``candidate VERSION shadow`` or
``end``, and why. Each new value asks once."""

COMPACT_COMPONENT = "compact"
"""What pods are that make interactions of collected events."""

SERVE_COMPONENT = "serve"
"""What pods are that write such a decision, or one of the operator's, into the store."""

WROTE_ANNOTATION, PROMOTES_ANNOTATION = f"{GROUP}/wrote", f"{GROUP}/promotes"
"""On the Job of a verdict or a pin: what the decision is known by, and the version that it promotes, if it does."""

SERVING_ANNOTATION = f"{GROUP}/serving"
"""On the Recommender that a run is handed: the version that serves, with which it compares its own."""

FINALIZER = f"{GROUP}/release"
FIELD_MANAGER = "shoploop"

Object = dict[str, Any]


def short_hash(*content: Any, digits: int = 8) -> str:
    return sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:digits]


def owner(recommender: Object) -> Object:
    """The owner reference that makes a child go when its Recommender goes."""
    meta = recommender["metadata"]
    return {
        "apiVersion": API_VERSION,
        "kind": "Recommender",
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
    }


def child_metadata(
    recommender: Object, name: str, labels: dict[str, str] | None = None, *, owned: bool = True
) -> Object:
    """metadata of a child object; ``labels`` are added to the operator's own."""
    meta = recommender["metadata"]
    made: Object = {
        "name": name,
        "namespace": meta["namespace"],
        "labels": {
            "app.kubernetes.io/managed-by": "shoploop",
            "app.kubernetes.io/part-of": "shoploop",
            RECOMMENDER_LABEL: meta["name"],
        }
        | (labels or {}),
    }
    return made | ({"ownerReferences": [owner(recommender)]} if owned else {})


def is_ours(live: Object, recommender: Object) -> bool:
    """Whether an object was made for this Recommender, by its owner or, where it must outlive it, by its labels."""
    meta = live["metadata"]
    if any(found.get("uid") == recommender["metadata"]["uid"] for found in meta.get("ownerReferences", [])):
        return True
    labels = meta.get("labels", {})
    return (
        not meta.get("ownerReferences")
        and labels.get(RECOMMENDER_LABEL) == recommender["metadata"]["name"]
        and labels.get("app.kubernetes.io/managed-by") == "shoploop"
    )


def run_object_name(recommender: Object, run: str, part: int | None = None) -> str:
    """Name of a run's ConfigMap, or of the Job of one of its parts; at most 57 letters."""
    name, uid = recommender["metadata"]["name"], recommender["metadata"]["uid"]
    base = f"{name}-run-{short_hash(uid, run)}"
    return base if part is None else f"{base}-{part}"


def train_job_name(recommender: Object, run: str, part: int) -> str:
    """Name of the TrainJob of a run's part, and of its runtime; at most 51 letters: JobSet and Job make hostnames of it,
    which have 63."""
    name, uid = recommender["metadata"]["name"], recommender["metadata"]["uid"]
    return f"{name}-{short_hash(uid, run)}-{part}"


def store_claim_name(recommender: Object) -> str:
    return f"{recommender['metadata']['name']}-store"


def learner_name(name: str) -> str:
    """Of the Deployment and the Service of a Recommender's learner."""
    return f"{name}-learner"


def updater_name(name: str) -> str:
    """Of the Service of the updaters beside a Recommender's predictors."""
    return f"{name}-updater"


def event_claim_name(recommender: Object) -> str:
    return f"{recommender['metadata']['name']}-events"
