"""What a run's pods have at hand, whoever starts them: where the store and the data lie in a pod, and which image; pure."""

from typing import Any
from urllib.parse import urlsplit

from shoploop.api.kubernetes import STORE_KEYS
from shoploop.api.v1alpha1 import RecommenderSpec

DEADLINE_SECONDS = 24 * 3600
"""After this long a part of a run is ended."""

USER_ERROR_EXIT_CODE = 2
"""shoploop's exit code for what only a person can mend: trying again is of no use."""

USER = 65532
"""Who works in a pod, as in the image."""

DATA_MOUNT = "/var/lib/shoploop-data"
"""Where a pod finds the files of spec.data.claim."""

CA_MOUNT, CA_VARIABLES = "/etc/shoploop/ca", ("SSL_CERT_FILE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
"""Where a pod finds the authority of a store, and the variables that libraries look at."""

OWN_STORE = "file:///var/lib/shoploop"
"""Where a store that the spec names by a relative folder lies in a pod."""


def store_uri(spec: RecommenderSpec) -> str:
    """The store as pods reach it: a relative folder lies on the recommender's own claim."""
    return spec.store.uri.rstrip("/") if "://" in spec.store.uri else OWN_STORE


def needs_claim(spec: RecommenderSpec) -> bool:
    return urlsplit(store_uri(spec)).scheme == "file"


def store_env(spec: RecommenderSpec) -> list[dict[str, Any]]:
    env: list[dict[str, Any]] = []
    if spec.store.endpoint:
        env.append({"name": "AWS_ENDPOINT_URL", "value": spec.store.endpoint})
        if spec.store.endpoint.startswith("http://"):
            env.append({"name": "AWS_ALLOW_HTTP", "value": "true"})
    if spec.store.region:
        env.append({"name": "AWS_REGION", "value": spec.store.region})
    if spec.store.secret_ref:
        for key in STORE_KEYS:
            reference = {"name": spec.store.secret_ref.name, "key": key}
            env.append({"name": key, "valueFrom": {"secretKeyRef": reference}})
    return env


def image(reference: str, spec: RecommenderSpec) -> str:
    """``reference``, from the registry that the spec names, if it names one."""
    if not spec.images.registry:
        return reference
    return f"{spec.images.registry.rstrip('/')}/{split_registry(reference)[1]}"


def split_registry(reference: str) -> tuple[str, str]:
    """Registry and the rest of an image reference; a first part without dot, colon or localhost is no registry."""
    head, slash, rest = reference.partition("/")
    if slash and ("." in head or ":" in head or head == "localhost"):
        return head, rest
    return "", reference


def pod_security() -> dict[str, Any]:
    """Of a pod under restricted Pod Security whose claims are its user's."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> dict[str, Any]:
    """Of a container under restricted Pod Security that writes nowhere but on its volumes."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def pod_failure_policy(container: str) -> dict[str, Any]:
    """Which failures of a pod count, and which end its Job at once."""
    return {
        "rules": [
            # a node that goes away is nobody's fault, and a person's mistake does not mend itself
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {
                "action": "FailJob",
                "onExitCodes": {"containerName": container, "operator": "In", "values": [USER_ERROR_EXIT_CODE]},
            },
        ]
    }


QUEUE_LABEL = "kueue.x-k8s.io/queue-name"


def queued(made: dict[str, Any], spec: RecommenderSpec) -> dict[str, Any]:
    """The same, in the queue that the spec names: Kueue suspends it until there is room."""
    if spec.training.placement.queue:
        made["metadata"]["labels"][QUEUE_LABEL] = spec.training.placement.queue
    return made
