"""Whether a version may serve: decided on the bounds of an evaluation, in one plain sentence.

The first version must be better than the best simple baseline; a later one not worse than the one that serves.
"""

import json
from pathlib import Path
from typing import Any

from shoploop.api.v1alpha1 import GateSpec
from shoploop.errors import SpecInvalid


def gate(*, evaluation: Path, out: Path, gate_spec: GateSpec) -> dict[str, Any]:
    """Decides on the evaluation in ``evaluation`` and writes ``gate.json`` into ``out``.

    Raises:
        SpecInvalid: the evaluation was made for another metric or confidence.
    """
    report = json.loads((evaluation / "evaluation.json").read_text())
    verdict = decide(report["gate"], gate_spec)
    out.mkdir(parents=True, exist_ok=True)
    (out / "gate.json").write_text(json.dumps(verdict, indent=1) + "\n")
    return verdict


def decide(bounds: dict[str, Any], gate_spec: GateSpec) -> dict[str, Any]:
    """The verdict.

    Args:
        bounds: ``metric``, ``confidence``, and for ``baseline`` and, where one serves, ``incumbent``: ``than``,
            ``difference`` and ``interval``, whose lower end is the one-sided bound.
        gate_spec: The rule.

    Raises:
        SpecInvalid: the bounds are of another metric or confidence.
    """
    if (bounds["metric"], bounds["confidence"]) != (gate_spec.metric, gate_spec.confidence):
        raise SpecInvalid(
            f"spec.gate asks for {gate_spec.metric} at {gate_spec.confidence}, but the evaluation is of "
            f"{bounds['metric']} at {bounds['confidence']}. Evaluate the version again."
        )
    against = bounds.get("incumbent") or bounds["baseline"]
    first = "incumbent" not in bounds
    # an unknown bound, as of an evaluation without a single purchase, shows nothing
    low = against["interval"][0] if against["interval"] else float("-inf")
    allowed = -gate_spec.margin if gate_spec.rule == "NotWorse" and not first else 0.0
    passed = gate_spec.rule == "Always" or low > allowed
    verdict = {
        "passed": passed,
        "rule": gate_spec.rule,
        "metric": gate_spec.metric,
        "against": against["than"],
        "difference": against["difference"],
        "interval": against["interval"],
        "confidence": gate_spec.confidence,
        "margin": -allowed,
    }
    return verdict | {"reason": _reason(verdict, first=first, low=low)}


def _reason(verdict: dict[str, Any], *, first: bool, low: float) -> str:
    rival = "the version that serves" if verdict["against"] == "incumbent" else f"the baseline {verdict['against']}"
    facts = (
        f"{verdict['metric']} differs from {rival} by {verdict['difference']:+.4f}, and with "
        f"{verdict['confidence']:.0%} confidence by more than {low:+.4f}"
    )
    if verdict["rule"] == "Always":
        return f"{facts}; the rule Always lets every version serve."
    needed = "above 0" if verdict["margin"] == 0 else f"above {-verdict['margin']:+.4f}"
    if verdict["passed"]:
        return f"{facts}; {needed} was needed."
    asked = "The first version must be better than the best simple baseline" if first else "It must not be worse"
    return f"{facts}; {needed} was needed. {asked}, so it does not serve."
