"""Whether a version may serve: decided on the bounds of an evaluation, in one plain sentence.

The first version must be better than the best simple baseline, and not shown to be worse than what the same run has learned
beside it: LambdaMART, or one of its own networks alone. A later one must not be worse than the one that serves; where it is
worse than such a rival, the verdict says so. Where one serves and cannot be compared, the new one is judged as a first
version is, and the verdict says so, too. Where the spec asks for it, a later version must also hold on what shoppers did
with the answers of the one that serves.
"""

import json
from pathlib import Path
from typing import Any

from shoploop.api.v1alpha1 import GateSpec
from shoploop.errors import SpecInvalid

COUNTERFACTUAL_MARGIN = 0.03
"""How much less of an answer may be taken than of the one that was given and still count as not worse, as a share."""


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
        bounds: ``metric``, ``confidence``, ``baseline`` with ``than``, ``difference`` and ``interval``, whose lower end
            is the one-sided bound; and ``incumbent``: None where no version serves, else ``version``, ``compared``,
            ``why_not`` and ``unread`` of :class:`~shoploop.evaluation.incumbent.Incumbent`, and where it was compared the
            same three, and ``visits``, on how many of how many, where that is not all; ``rivals``: the same three of
            each that the run has learned beside it; ``counterfactual``: what
            :func:`~shoploop.evaluation.judging.judge` says, where the spec asks for it and a version serves.
        gate_spec: The rule.

    Returns:
        ``gate.json``: ``passed`` and ``reason``, what was compared, and ``incumbent`` with ``version``, ``compared`` and
        ``why_not``, or None where no version serves; ``incumbent_unread``, where it could not be read;
        ``behind``: rivals that are shown to be better.

    Raises:
        SpecInvalid: the bounds are of another metric or confidence.
    """
    if (bounds["metric"], bounds["confidence"]) != (gate_spec.metric, gate_spec.confidence):
        raise SpecInvalid(
            f"spec.gate asks for {gate_spec.metric} at {gate_spec.confidence}, but the evaluation is of "
            f"{bounds['metric']} at {bounds['confidence']}. Evaluate the version again."
        )
    incumbent = bounds["incumbent"]
    compared = incumbent is not None and incumbent["compared"] is True
    against = incumbent if compared else bounds["baseline"]
    # an unknown bound, as of an evaluation without a single purchase, shows nothing
    low = against["interval"][0] if against["interval"] else float("-inf")
    not_worse = gate_spec.rule == "NotWorse" and compared
    allowed = -gate_spec.margin if not_worse else 0.0
    enough = low >= allowed if not_worse else low > allowed  # what is the same on every visit is not worse
    behind = [rival for rival in bounds.get("rivals", []) if rival["interval"] and rival["interval"][1] < 0]
    asked = bounds.get("counterfactual") if gate_spec.counterfactual else None
    counterfactual = judged(asked, gate_spec) if asked else None
    holds = counterfactual is None or counterfactual["passed"]
    verdict = {
        "passed": gate_spec.rule == "Always" or (enough and (compared or not behind) and holds),
        "rule": gate_spec.rule,
        "metric": gate_spec.metric,
        "against": against["than"],
        "difference": against["difference"],
        "interval": against["interval"],
        "confidence": gate_spec.confidence,
        "margin": -allowed,
        "incumbent": incumbent and {key: incumbent[key] for key in ("version", "compared", "why_not")},
        "behind": [rival["than"] for rival in behind],
    }
    if incumbent and incumbent.get("unread"):
        verdict["incumbent_unread"] = True
    if counterfactual is not None:
        verdict["counterfactual"] = counterfactual
    if against.get("visits"):
        verdict["visits"] = against["visits"]
    return verdict | {"reason": _reason(verdict, low=low)}


def holds_counterfactually(low: float, gate_spec: GateSpec) -> bool:
    """Whether a one-sided bound of the lift is above what the rule asks for."""
    return low > _needed(gate_spec)


def judged(told: dict[str, Any], gate_spec: GateSpec) -> dict[str, Any]:
    """What :func:`~shoploop.evaluation.judging.judge` tells, with ``passed``, ``reason`` and the ``code`` of the reason:
    where it could be measured ``counterfactual_passed`` or ``counterfactual_worse``."""
    told = dict(told)
    facts = told.pop("facts")
    if told["code"] != "measured":
        return told | {"passed": False, "reason": f"{facts} ({told['code']})."}
    passed = holds_counterfactually(told["interval"][0], gate_spec)
    code = "counterfactual_passed" if passed else "counterfactual_worse"
    reason = f"{facts}; above {_needed(gate_spec):+.1%} was needed ({code})."
    return told | {"passed": passed, "code": code, "margin": -_needed(gate_spec), "reason": reason}


def _needed(gate_spec: GateSpec) -> float:
    return -COUNTERFACTUAL_MARGIN if gate_spec.rule == "NotWorse" else 0.0


def _reason(verdict: dict[str, Any], *, low: float) -> str:
    incumbent = verdict["incumbent"]
    compared = incumbent is not None and incumbent["compared"]
    rival = "the version that serves" if compared else f"the baseline {verdict['against']}"
    where = ", on {:,} of {:,} visits,".format(*verdict["visits"]) if "visits" in verdict else ""
    facts = (
        f"{verdict['metric']} differs from {rival}{where} by {verdict['difference']:+.4f}, and with "
        f"{verdict['confidence']:.0%} confidence by more than {low:+.4f}"
    )
    note = ""
    if incumbent is not None and not compared:
        note = f" Version {incumbent['version']} serves and could not be compared: {incumbent['why_not']}"
    if verdict["behind"]:
        note += f" {' and '.join(verdict['behind'])} of the same run {'is' if len(verdict['behind']) == 1 else 'are'} better."
    if counterfactual := verdict.get("counterfactual"):
        note += f" {counterfactual['reason']}"
    if verdict["rule"] == "Always":
        return f"{facts}; the rule Always lets every version serve.{note}"
    least = "at least" if compared and verdict["rule"] == "NotWorse" else "above"
    needed = f"{least} 0" if verdict["margin"] == 0 else f"{least} {-verdict['margin']:+.4f}"
    if compared:
        asked = "It must not be worse" if verdict["rule"] == "NotWorse" else "It must be better"
    elif incumbent is not None:
        asked = "It is judged as a first version, which must be better than the best simple baseline"
    else:
        asked = "The first version must be better than the best simple baseline"
    if verdict["behind"] and not compared:
        asked += " and not worse than what its run has learned beside it"
    if verdict["passed"]:
        return f"{facts}; {needed} was needed.{f' {asked}.' if note else ''}{note}"
    return f"{facts}; {needed} was needed. {asked}, so it does not serve.{note}"
