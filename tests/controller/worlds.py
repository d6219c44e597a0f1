"""What tests of the operator ask of a plan, and the constants of their world."""

import base64
import gzip
import json
from datetime import UTC, datetime
from typing import Any

from shoploop.api.pod_result import VersionMade, written
from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.controller.decide import releases
from shoploop.controller.decide.observed import Observed
from shoploop.controller.decide.settings import Settings
from shoploop.controller.decide.situation import Situation

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
CHART_DIGEST = "0123456789ab"
UID = "6f1f0e52-0000-4000-8000-000000000001"

Object = dict[str, Any]


def condition(plan: Any, type_: str) -> tuple[str, str]:
    """Status and reason of a condition."""
    found = next(c for c in plan.status["conditions"] if c["type"] == type_)
    return found["status"], found["reason"]


def message(plan: Any, type_: str) -> str:
    return str(next(c for c in plan.status["conditions"] if c["type"] == type_)["message"])


def runs_of(plan: Any) -> list[Object]:
    """What is made for a run, of all that a plan makes."""
    return [one for one in plan.apply if "-serve-" not in one["metadata"]["name"]]


def said(version: str = "v00000000000a", **more: Any) -> str:
    """The termination message of a run that made ``version``."""
    whole = {
        "version": version, "source": "d" * 64, "rule": "NotWorse", "passed": True, "reason": "It is better.",
        "digest": "b" * 64, "metrics": {"ndcg@10": 0.25},
    } | more  # fmt: skip
    return written(VersionMade.model_validate(whole))


def situation(recommender: Object, *objects: Object, settings: Settings, **world: Any) -> Situation:
    """What is decided about: a Recommender among ``objects``."""
    children = {(thing["kind"], thing["metadata"]["name"]): thing for thing in objects}
    return Situation(
        recommender=recommender,
        spec=RecommenderSpec.model_validate(recommender["spec"]),
        observed=Observed(now=NOW, children=children, **world),
        settings=settings,
        chart_digest=CHART_DIGEST,
    )


def chart_values(recommender: Object, version: Object, settings: Settings) -> dict[str, Any]:
    """What the chart is given for a version with one package."""
    about = situation(recommender, version, settings=settings)
    (known,) = about.versions
    return releases.values(about, known, known.packages[0])


def helm_secret(release: dict[str, Any]) -> Object:
    """A Secret as Helm writes it."""
    packed = base64.b64encode(gzip.compress(json.dumps(release).encode()))
    return {
        "metadata": {"name": "s", "namespace": "shop", "resourceVersion": "1", "labels": {}},
        "data": {"release": base64.b64encode(packed).decode()},
    }
