"""Signatures on a cluster: which policy holds, and what pods are given of which keys; pure.

Every pod that reads a version gets the public keys, as they are in the spec now. The private key is mounted into the pod
that publishes, from its Secret; the operator asks which keys the Secret has, and keeps nothing of it.
"""

from typing import Any

from shoploop.api.signing import SigningPolicy, strictest
from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.controller.decide.conditions import Found, say
from shoploop.controller.decide.names import Object
from shoploop.controller.decide.settings import Settings

KEY_MOUNT, KEY_FILE = "/etc/shoploop/signing", "private.pem"
KEY_MODE = 0o440
"""The pod's group reads it, which is that of its processes; a Secret's files belong to root."""


def policy(spec: RecommenderSpec, settings: Settings) -> SigningPolicy:
    return strictest(settings.signing_policy, spec.signing.asked)


def values(spec: RecommenderSpec, settings: Settings) -> dict[str, Any]:
    """The section ``signing`` of the values of charts/recommender."""
    found: dict[str, Any] = {"policy": policy(spec, settings), "publicKeys": list(spec.signing.public_keys)}
    reference = spec.signing.private_key
    if spec.online.enabled and reference is not None:  # the learner signs what it learned
        found["privateKey"] = {"secretName": reference.name, "key": reference.key}
    return found


def equip(pod: Object, spec: RecommenderSpec, settings: Settings, *, publishes: bool) -> None:
    """Adds to a pod of a run what it needs to verify, and where it ``publishes`` to sign."""
    container, held = pod["containers"][0], policy(spec, settings)
    if spec.signing.public_keys:
        container["env"].append({"name": "SHOPLOOP_TRUSTED_KEYS", "value": "\n".join(spec.signing.public_keys)})
    if held != "Ignore" or spec.signing.public_keys:
        container["env"].append({"name": "SHOPLOOP_SIGNING_POLICY", "value": held})
    reference = spec.signing.private_key
    if publishes and reference is not None:
        container["env"].append({"name": "SHOPLOOP_SIGNING_KEY", "value": f"{KEY_MOUNT}/{KEY_FILE}"})
        container["volumeMounts"].append({"name": "signing-key", "mountPath": KEY_MOUNT, "readOnly": True})
        items = [{"key": reference.key, "path": KEY_FILE, "mode": KEY_MODE}]
        pod["volumes"].append({"name": "signing-key", "secret": {"secretName": reference.name, "items": items}})


def blocker(
    spec: RecommenderSpec, settings: Settings, keys: frozenset[str] | None, namespace: str
) -> Found | None:  # fmt: skip
    """What somebody has to mend before anything can be signed as it is asked for.

    Args:
        spec: Of the Recommender.
        settings: The operator's, with the least that the platform asks for.
        keys: Keys of the Secret that ``spec.signing.privateKey`` names; None where it does not exist.
        namespace: The Recommender's.
    """
    held, reference = policy(spec, settings), spec.signing.private_key
    if held != "Ignore" and not spec.signing.public_keys:
        return say("SigningIncomplete", policy=held, field="spec.signing.publicKeys")
    if held == "Require" and reference is None:
        return say("SigningIncomplete", policy=held, field="spec.signing.privateKey")
    if reference is not None and reference.key not in (keys or ()):
        return say("SigningKeyMissing", secret=reference.name, key=reference.key, namespace=namespace)
    return None
