"""Which variants of augmentation may enter training: those that reveal no shopper and are shown to pay.

A variant is admitted when privacy passes (for what a generator made), its paired bootstrap on the cold slice lies above 0,
and overall it loses nothing. The decision is about numbers only; it must not know how they came about.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Metric = npt.NDArray[np.float64]

CONFIDENCE = 0.95
LOSS_MARGIN = 0.005
"""Overall, a fraction of the unaugmented: a loss whose interval lies above minus this is none. Seeds differ by as much."""

_DRAWS = 2000


@dataclass(frozen=True, kw_only=True)
class Gain:
    """NDCG@10 with a variant over that without, less 1, on one slice."""

    gain: float
    interval: tuple[float, float]
    """95 %, paired bootstrap over shoppers."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One variant's numbers and what follows."""

    variant: str
    cold: Gain
    overall: Gain
    admitted: bool
    reason: str

    def to_json(self) -> dict[str, Any]:
        return {
            "ndcg@10_gain": self.cold.gain,
            "interval": list(self.cold.interval),
            "admitted": self.admitted,
            "reason": self.reason,
            "overall": asdict(self.overall),
        }


def judge(
    variant: str,
    with_it: dict[str, list[Metric]],
    without: dict[str, list[Metric]],
    *,
    leaks: list[str],
    variants: int = 1,
    seed: int,
) -> Verdict:
    """Decides on one variant.

    Args:
        with_it: Metric per shopper of ``cold`` and ``overall``, one array per seed of training.
        without: The same of the unaugmented, of the same seeds and shoppers.
        leaks: Reasons of privacy against it; empty for none.
        variants: How many are judged in the run: the bound that admits is that of CONFIDENCE shared among them
            (Bonferroni), or one of ten useless ones would pass by luck.
    """
    gains = {name: relative_gain(with_it[name], without[name], seed=seed) for name in ("cold", "overall")}
    strict = relative_gain(with_it["cold"], without["cold"], seed=seed, confidence=1 - (1 - CONFIDENCE) / variants)
    cold, overall = gains["cold"], gains["overall"]
    if leaks:
        admitted, reason = False, _of_leaks(leaks)
    elif strict.interval[0] <= 0:
        admitted = False
        reason = f"no gain is shown on the cold slice: {_percent(cold)}"
        if cold.interval[0] > 0:
            reason += f", which of {variants} variants one may show by luck"
    elif overall.interval[0] < -LOSS_MARGIN:
        admitted, reason = (
            False,
            f"it gains on the cold slice ({_percent(cold)}) but may lose overall: {_percent(overall)}",
        )
    else:
        admitted, reason = (
            True,
            f"it gains {_percent(cold)} on the cold slice and loses nothing overall: {_percent(overall)}",
        )
    return Verdict(variant=variant, cold=cold, overall=overall, admitted=admitted, reason=reason)


def refused(verdicts: list[Verdict], leaks: list[str], made: list[str]) -> list[Verdict]:
    """The verdicts where a leak is found after they were passed: none of ``made`` is admitted."""
    return [
        replace(verdict, admitted=False, reason=_of_leaks(leaks)) if verdict.variant in made else verdict
        for verdict in verdicts
    ]


def _of_leaks(leaks: list[str]) -> str:
    return "refused for privacy: " + "; ".join(leaks)


def relative_gain(with_it: list[Metric], without: list[Metric], *, seed: int, confidence: float = CONFIDENCE) -> Gain:
    """Gain as a fraction of the unaugmented mean; a shopper's metric is the mean over seeds, shoppers are drawn."""
    new, old = np.mean(with_it, axis=0), np.mean(without, axis=0)
    known = ~(np.isnan(new) | np.isnan(old))
    new, old = new[known], old[known]
    if not len(new) or old.mean() == 0:
        return Gain(gain=0.0, interval=(0.0, 0.0))
    random = np.random.default_rng(seed)
    draws = random.integers(len(new), size=(_DRAWS, len(new)))
    ratios = new[draws].mean(1) / np.maximum(old[draws].mean(1), 1e-12) - 1
    tail = (1 - confidence) / 2
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return Gain(gain=float(new.mean() / old.mean() - 1), interval=(float(low), float(high)))


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What came of trying."""

    variant: str | None
    """That enters training."""

    reason: str
    """A sentence that says why, or why none."""


def choose(verdicts: list[Verdict], mode: Literal["Auto", "Never", "Always"], made: list[str]) -> Choice:
    """The variant that enters training, and why.

    Args:
        mode: Auto takes the admitted variant with the greatest gain; Always takes the best that withstands the attacks.
        made: Variants whose verdict began with a leak; no mode admits them.
    """
    safe = [v for v in verdicts if v.variant not in made]
    best = max(safe, key=lambda v: v.cold.gain, default=None)
    if mode == "Never" or best is None:
        never = "Nothing was tried: spec.augmentation.mode is Never."
        return Choice(variant=None, reason=never if mode == "Never" else "No variant is safe.")
    if mode == "Always":
        always = f"{best.variant} enters training because spec.augmentation.mode is Always; {best.reason}."
        return Choice(variant=best.variant, reason=always)
    admitted = max((v for v in safe if v.admitted), key=lambda v: v.cold.gain, default=None)
    if admitted is None:
        none = f"No variant pays, so training goes on without; the best tried is {best.variant}: {best.reason}."
        return Choice(variant=None, reason=none)
    return Choice(variant=admitted.variant, reason=f"{admitted.variant} enters training: {admitted.reason}.")


def _percent(gain: Gain) -> str:
    low, high = gain.interval
    return f"{gain.gain:+.1%} [{low:+.1%}, {high:+.1%}]"
