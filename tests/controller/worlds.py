"""What tests of the operator ask of a plan, and the constants of their world."""

import base64
import gzip
import json
from datetime import UTC, datetime
from typing import Any

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


def helm_secret(release: dict[str, Any]) -> Object:
    """A Secret as Helm writes it."""
    packed = base64.b64encode(gzip.compress(json.dumps(release).encode()))
    return {
        "metadata": {"name": "s", "namespace": "shop", "resourceVersion": "1", "labels": {}},
        "data": {"release": base64.b64encode(packed).decode()},
    }
