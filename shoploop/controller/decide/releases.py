"""The Helm release of a Recommender: its values, and what to do about the revision that is there; pure."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from shoploop.api.pods import split_registry, store_uri
from shoploop.api.status import Package
from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.controller.decide import feedback, signing
from shoploop.controller.decide import manifests as runs
from shoploop.controller.decide.drift import holds
from shoploop.controller.decide.names import RESUME_ANNOTATION, short_hash
from shoploop.controller.decide.observed import Install, Recover, Release, ReleaseAction, Repair
from shoploop.controller.decide.situation import Situation
from shoploop.controller.decide.versions import Version

DEFAULT_REPLICAS = 2
MARK = re.compile(r"\[shoploop ([0-9a-f]{12})\]$")
CHART = "recommender"
PENDING_SECONDS = 30
"""A revision that is pending for longer belongs to a helm that is no more."""

SETTLE_SECONDS = 3
"""Children of a new revision may not have been seen yet."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    action: ReleaseAction | None = None
    held_since: int | None = None
    """Generation of the spec since which the release is held; None while it is the operator's."""

    requeue_seconds: float | None = None
    foreign: bool = False
    """Whether somebody else's release has the name."""


def values(situation: Situation, version: Version, package: Package) -> dict[str, Any]:
    """Values of charts/recommender that make ``version`` serve from ``package``."""
    spec, settings = situation.spec, situation.settings
    serving = spec.serving
    registry, rest = split_registry(settings.serving_image)
    repository, _, tag = rest.partition(":")
    scaling = serving.autoscaling
    secrets = (*settings.pull_secrets, *spec.images.pull_secrets)
    authority = spec.store.ca_ref
    private = {"privateCA": {"secretName": authority.name, "key": authority.key}} if authority else {}
    store = {
        "uri": store_uri(spec),
        "endpoint": spec.store.endpoint or "",
        "region": spec.store.region or "",
        "secretName": spec.store.secret_ref.name if spec.store.secret_ref else "",
        "claimName": runs.claim_name(situation.recommender, spec) or "",
    }
    return {
        "fullnameOverride": situation.name,
        "recommender": {"name": situation.name, "uid": situation.uid},
        "image": {
            "registry": spec.images.registry or registry,
            "repository": repository,
            "tag": tag,
            "pullPolicy": settings.pull_policy,
        },
        "imagePullSecrets": [{"name": name} for name in secrets],
        "version": {"id": version.id, "bento": package.bento, "digest": package.digest},
        "store": store,
        "signing": signing.values(spec, settings),
        "replicas": None if scaling else replicas(spec),
        "autoscaling": {"enabled": True, "min": scaling.min, "max": scaling.max} if scaling else {"enabled": False},
        "deadlineMilliseconds": serving.deadline_milliseconds,
        "itemFields": list(serving.item_fields),
        "allowedOrigins": list(serving.allowed_origins),
        "access": feedback.access_values(spec),
        "admin": {"onPublicPort": serving.admin_on_public_port},
        "online": feedback.values(situation.recommender, spec),
        "redis": feedback.redis_values(spec),
        "promotions": {"follow": True},
        # without what is as ever: a definition of the resource that is newer writes its defaults into every Recommender
        "listRules": serving.list_rules.model_dump(mode="json", by_alias=True, exclude_defaults=True),
    } | private


def replicas(spec: RecommenderSpec) -> int:
    if spec.serving.replicas is not None:
        return spec.serving.replicas
    return 1 if feedback.is_file(spec.online.log) else DEFAULT_REPLICAS


def mark(wanted: dict[str, Any], chart_digest: str) -> str:
    """Twelve digits that stand for the chart and its values."""
    return short_hash(wanted, chart_digest, digits=12)


def description(version: str, generation: int, marked: str) -> str:
    return f"Version {version}, generation {generation} of the spec [shoploop {marked}]"


def made_by_operator(release: Release) -> str | None:
    """The mark of a revision that the operator made."""
    match = MARK.search(release.description)
    return match[1] if match else None


def decide(situation: Situation, wanted: dict[str, Any]) -> Decision:
    """What to do so that the release has the values ``wanted``."""
    marked = mark(wanted, situation.chart_digest)
    install = Install(
        name=situation.name,
        values=wanted,
        description=description(wanted["version"]["id"], situation.generation, marked),
    )
    latest = situation.release
    if latest is None:
        return Decision(action=install)
    if latest.chart != CHART or latest.recommender != situation.name:
        return Decision(foreign=True)
    if latest.status.startswith("pending") or latest.status == "uninstalling":
        waited = (situation.now - latest.deployed_at).total_seconds()
        if waited < PENDING_SECONDS:
            return Decision(requeue_seconds=PENDING_SECONDS - waited + 1)
        return Decision(action=Recover(name=situation.name, revision=latest.revision), requeue_seconds=1)
    own = made_by_operator(latest)
    if own is None and latest.status not in ("failed", "uninstalled"):
        return _held(situation, latest, install)
    if own != marked or latest.status != "deployed":
        return Decision(action=install)
    return _repair(situation, latest)


def _held(situation: Situation, latest: Release, install: Install) -> Decision:
    """Somebody else's revision stays until the spec changes or a person lets go of it."""
    since = situation.status.get("release", {}).get("heldSinceGeneration", situation.generation)
    released = situation.annotations.get(RESUME_ANNOTATION) == str(latest.revision)
    if released or since < situation.generation:
        return Decision(action=install)
    return Decision(held_since=since)


def _repair(situation: Situation, latest: Release) -> Decision:
    age = situation.now - latest.deployed_at
    if age < timedelta(seconds=SETTLE_SECONDS):
        return Decision(requeue_seconds=SETTLE_SECONDS)
    differing = tuple(
        wanted
        for wanted in situation.rendered
        if not holds(wanted, situation.child(wanted["kind"], wanted["metadata"]["name"]))
    )
    return Decision(action=Repair(objects=differing) if differing else None)
