"""Whether a version may serve: decided on the bounds of an evaluation, in one plain sentence.

The first version must be better than the best simple baseline, and not shown to be worse than what the same run has learned
beside it: LambdaMART, or one of its own networks alone. A later one must not be worse than the one that serves; where it is
worse than such a rival, the verdict says so. Where one serves and cannot be compared, the new one is judged as a first
version is, and the verdict says so, too. Where the spec asks for it, a later version must also hold on what shoppers did
with the answers of the one that serves.

Each surface has a verdict of its own: recommendations, search, and the choice of shops where the version was trained for
them. One that passes lets the version serve; what did not pass is answered by a simple method. docs/decisions/0124. What the
version that serves answers by its model gives way to nothing that is shown to answer worse. docs/decisions/0127.
"""

import json
from pathlib import Path
from typing import Any

from shoploop.api.v1alpha1 import GateSpec
from shoploop.errors import SpecInvalid

ITEMS = "items"
SURFACES = {ITEMS: "recommendations", "search": "search", "shops": "the choice of shops"}
"""In words, in the order in which they are told."""

IN_WORDS = {
    "popular": "best sellers",
    "personal": "what each has bought most",
    "decay": "what each has bought lately",
    "followers": "what others bought next",
    "ease": "what goes with what each has bought",
    "text": "words and sales",
    "frequency": "where each was lately",
}
"""What answers in the place of the model, by the name that reports have for it."""

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
            ``why_not``, ``unread`` and ``falls_back`` of :class:`~shoploop.evaluation.incumbent.Incumbent`, and where it
            was compared the same three, and ``visits``, on how many of how many, where that is not all; ``rivals``: the
            same three of each that the run has learned beside it; ``falls_back``: the simple method that answers where
            recommendations do not pass; ``surfaces``: of each further one ``metric``, ``baseline``, ``rivals``,
            ``falls_back`` and ``incumbent``, as above, None where the version that serves does not answer there by its
            model; ``counterfactual``: what :func:`~shoploop.evaluation.judging.judge` says, where the spec asks
            for it and a version serves.
        gate_spec: The rule.

    Returns:
        ``gate.json``: ``passed`` and ``reason`` of the version; of its recommendations what was compared; ``incumbent``
        with ``version``, ``compared`` and ``why_not``, or None where no version serves; ``incumbent_unread``, where it
        could not be read; ``behind``: rivals that are shown to be better. Where there are several ``surfaces``, of each
        ``passed``, ``answers``, which is "model" or the simple method that does in its place, and what was compared; and
        ``falls_back``: by surface the latter, where the version may serve all the same.

    Raises:
        SpecInvalid: the bounds are of another metric or confidence.
    """
    if (bounds["metric"], bounds["confidence"]) != (gate_spec.metric, gate_spec.confidence):
        raise SpecInvalid(
            f"spec.gate asks for {gate_spec.metric} at {gate_spec.confidence}, but the evaluation is of "
            f"{bounds['metric']} at {bounds['confidence']}. Evaluate the version again."
        )
    incumbent = bounds["incumbent"]
    # what the version that serves does not answer by its model; evaluations before surfaces had verdicts do not say
    now = None if incumbent is None else incumbent.get("falls_back", {})
    compared = incumbent is not None and incumbent["compared"] is True
    items = _judged_alone(bounds, gate_spec, incumbent if compared and ITEMS not in (now or {}) else None)
    items |= {"metric": bounds["metric"]}
    if asked := bounds.get("counterfactual") if gate_spec.counterfactual else None:
        items["counterfactual"] = judged(asked, gate_spec)
        if gate_spec.rule != "Always" and not items["counterfactual"]["passed"]:
            items |= {"passed": False, "answers": _fallback(bounds)}
    found = {ITEMS: items} | {
        name: _judged_beside(own, gate_spec, own.get("incumbent")) | {"metric": own["metric"]}
        for name, own in bounds.get("surfaces", {}).items()
    }
    # recommendations that serve by the model give way to nothing that did not pass, all else to nothing that is worse
    held = not items["passed"] and now is not None and ITEMS not in now
    held |= any(one.get("worse", False) for one in found.values())
    passed = any(one["passed"] for one in found.values()) and not held
    verdict = {
        "passed": passed,
        "rule": gate_spec.rule,
        "confidence": gate_spec.confidence,
        "incumbent": incumbent and {key: incumbent[key] for key in ("version", "compared", "why_not")},
    } | {key: value for key, value in items.items() if key not in ("passed", "answers")}
    if incumbent and incumbent.get("unread"):
        verdict["incumbent_unread"] = True
    if len(found) > 1:
        told = "counterfactual", "visits"
        verdict["surfaces"] = {
            name: {key: value for key, value in one.items() if key not in told} for name, one in found.items()
        }
        fallen = {name: one["answers"] for name, one in found.items() if not one["passed"]}
        verdict |= {"falls_back": fallen} if passed and fallen else {}
    return verdict | {"reason": _reason(verdict, found, now)}


def _judged_alone(
    bounds: dict[str, Any],
    gate_spec: GateSpec,
    incumbent: dict[str, Any] | None = None,
    *,
    rivals_refuse: bool = True,
) -> dict[str, Any]:
    """The verdict on one surface, held against ``incumbent``, the same of the version that serves, where it can be; else a
    rival that was learned beside it and is better refuses it, or is only told of."""
    against = incumbent or bounds["baseline"]
    # an unknown bound, as of an evaluation without a single purchase, shows nothing
    low = against["interval"][0] if against["interval"] else float("-inf")
    not_worse = gate_spec.rule == "NotWorse" and incumbent is not None
    allowed = -gate_spec.margin if not_worse else 0.0
    enough = low >= allowed if not_worse else low > allowed  # what is the same on every visit is not worse
    behind = [rival["than"] for rival in bounds.get("rivals", []) if rival["interval"] and rival["interval"][1] < 0]
    passed = gate_spec.rule == "Always" or (enough and (incumbent is not None or not behind or not rivals_refuse))
    return {
        "passed": passed,
        "answers": "model" if passed else _fallback(bounds),
        "against": against["than"],
        "difference": against["difference"],
        "interval": against["interval"],
        "margin": -allowed,
        "behind": behind,
    } | ({"visits": against["visits"]} if against.get("visits") else {})


def _judged_beside(bounds: dict[str, Any], gate_spec: GateSpec, incumbent: dict[str, Any] | None) -> dict[str, Any]:
    """The verdict on search or shops. Held against the version that serves, one that is shown not to be worse passes and one
    that is shown to be ``worse`` does not; between the two, and where there is nothing to hold it against, it is judged as a
    first version's."""
    # a learned rival has nothing to answer with: what would is a simple method, which is further behind it
    first = _judged_alone(bounds, gate_spec, rivals_refuse=False)
    if incumbent is None or not incumbent["compared"] or not incumbent["interval"] or gate_spec.rule == "Always":
        return first | ({"why_not": incumbent["why_not"]} if incumbent and incumbent["why_not"] else {})
    beside = _judged_alone(bounds, gate_spec, incumbent, rivals_refuse=False)
    if incumbent["interval"][1] < -beside["margin"]:
        return beside | {"passed": False, "worse": True, "answers": _fallback(bounds)}
    return beside if beside["passed"] else first


def _fallback(bounds: dict[str, Any]) -> str:
    """What answers where the model must not; evaluations before surfaces had verdicts name none."""
    return str(bounds.get("falls_back", "popular"))


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


def _reason(verdict: dict[str, Any], found: dict[str, dict[str, Any]], now: dict[str, str] | None) -> str:
    """The verdict in words: where there are several surfaces what becomes of each first, then what was measured."""
    alone = len(found) == 1
    about = _about_items(verdict, found[ITEMS], now, alone=alone)
    if alone:
        return about
    others = [_about_other(verdict, name, one) for name, one in found.items() if name != ITEMS]
    return " ".join([_becomes(verdict, found), f"Recommendations: {about}", *others])


def _becomes(verdict: dict[str, Any], found: dict[str, dict[str, Any]]) -> str:
    passed = [SURFACES[name] for name, one in found.items() if one["passed"]]
    fallen = {name: one["answers"] for name, one in found.items() if not one["passed"]}
    if not fallen:
        return f"{_listed(passed)} passed."
    failed = _listed([SURFACES[name] for name in fallen])
    if not passed:
        return f"{failed} did not pass, so it does not serve."
    if worse := [SURFACES[name] for name, one in found.items() if one.get("worse")]:
        be = "are" if len(worse) > 1 else "is"
        return (
            f"{_listed(worse)} {be} worse than the version that serves, so this one does not serve, though "
            f"{_small(_listed(passed))} passed."
        )
    if not verdict["passed"]:
        return (
            f"{failed} did not pass, and the version that serves answers recommendations by its model, so this one does not "
            f"serve, though {_small(_listed(passed))} passed."
        )
    instead = _small(_listed([f"{SURFACES[name]} by {IN_WORDS.get(how, how)} ({how})" for name, how in fallen.items()]))
    return (
        f"{_listed(passed)} passed and {'answer' if len(passed) > 1 else 'answers'} by the model. {failed} did not pass: it "
        f"answers {instead}."
    )


def _listed(names: list[str]) -> str:
    text = " and ".join(names)
    return text[:1].upper() + text[1:]


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]


def _about_other(verdict: dict[str, Any], name: str, one: dict[str, Any]) -> str:
    against_it = one["against"] == "incumbent"
    rival = "the version that serves" if against_it else f"the baseline {one['against']}"
    text = f"{_listed([SURFACES[name]])}: {_facts(verdict, one, rival)}"
    if verdict["rule"] == "Always":
        return f"{text}."
    if one.get("worse"):
        return f"{text} and less than {one['interval'][1]:+.4f}; what serves gives way to nothing that is worse."
    unmeasured = f" It was not held against the version that serves: {one['why_not']}" if one.get("why_not") else ""
    return f"{text}; {_needed_of(verdict, one)} was needed.{_better(one)}{unmeasured}"


def _needed_of(verdict: dict[str, Any], one: dict[str, Any]) -> str:
    """From where on the lower end of the interval is enough."""
    least = "at least" if one["against"] == "incumbent" and verdict["rule"] == "NotWorse" else "above"
    return f"{least} 0" if one["margin"] == 0 else f"{least} {-one['margin']:+.4f}"


def _better(one: dict[str, Any]) -> str:
    if not one["behind"]:
        return ""
    return f" {' and '.join(one['behind'])} of the same run {'is' if len(one['behind']) == 1 else 'are'} better."


def _facts(verdict: dict[str, Any], one: dict[str, Any], rival: str) -> str:
    low = one["interval"][0] if one["interval"] else float("-inf")
    where = ", on {:,} of {:,} visits,".format(*one["visits"]) if "visits" in one else ""
    return (
        f"{one['metric']} differs from {rival}{where} by {one['difference']:+.4f}, and with "
        f"{verdict['confidence']:.0%} confidence by more than {low:+.4f}"
    )


def _about_items(verdict: dict[str, Any], one: dict[str, Any], now: dict[str, str] | None, *, alone: bool) -> str:
    incumbent = verdict["incumbent"]
    unmeasured = incumbent is not None and not incumbent["compared"]
    against_it = one["against"] == "incumbent"
    facts = _facts(verdict, one, "the version that serves" if against_it else f"the baseline {one['against']}")
    note = ""
    if unmeasured:
        note = f" Version {incumbent['version']} serves and could not be compared: {incumbent['why_not']}"
    note += _better(one)
    if counterfactual := one.get("counterfactual"):
        note += f" {counterfactual['reason']}"
    if verdict["rule"] == "Always":
        return f"{facts}; the rule Always lets every version serve.{note}"
    needed = _needed_of(verdict, one)
    if against_it:
        asked = "It must not be worse" if verdict["rule"] == "NotWorse" else "It must be better"
    elif unmeasured:
        asked = "It is judged as a first version, which must be better than the best simple baseline"
    elif now is not None:
        by = IN_WORDS.get(now[ITEMS], now[ITEMS])
        asked = f"The version that serves recommends {by}, so the model must be better than the best simple baseline"
    else:
        asked = "The first version must be better than the best simple baseline"
    if one["behind"] and not against_it:
        asked += " and not worse than what its run has learned beside it"
    if one["passed"]:
        return f"{facts}; {needed} was needed.{f' {asked}.' if note else ''}{note}"
    return f"{facts}; {needed} was needed. {asked}{', so it does not serve' if alone else ''}.{note}"
