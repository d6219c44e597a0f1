"""Statistics of shoppers with noise, each written down: what was told, how a shopper's part was clipped, by how much noise.

All of them together are one Gaussian mechanism: shares of its variance are given out, and no more than there are.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.augmentation.generator.keyed import Release

SHARES = {
    "buyers of items": 0.5,
    "categories of one shopper": 0.15,
    "mean of a basket": 0.05,
    "spread of a basket": 0.05,
    "numbers of a basket": 0.15,
    "lengths of histories": 0.05,
    "weeks": 0.05,
}
"""Of each statistic, its share of what all may tell: 1 over the squares of noise multipliers add up."""

Numbers = npt.NDArray[np.float64]


class Ledger:
    """Gives out sums over shoppers with Gaussian noise, each once.

    Args:
        noise: Multiplier of all statistics together.
        release: By which noise is drawn.
    """

    def __init__(self, noise: float, *, release: Release):
        self.noise, self.release = noise, release
        self.told: list[dict[str, Any]] = []

    def multiplier(self, what: str) -> float:
        return self.noise / float(np.sqrt(SHARES[what]))

    def sum(self, what: str, parts: npt.NDArray[Any], *, norm: float) -> Numbers:
        """(D,) sum over the first axis of (U, D), each shopper's part clipped to ``norm`` in length, plus noise."""
        length = np.linalg.norm(parts.reshape(len(parts), -1), axis=1)
        scale = np.minimum(1, norm / np.maximum(length, 1e-12))
        return self.noisy(what, np.tensordot(scale, parts.astype(np.float64), 1), norm=norm)

    def noisy(self, what: str, total: Numbers, *, norm: float) -> Numbers:
        """A sum whose every shopper's part has a length of at most ``norm``, plus noise."""
        if any(one["what"] == what for one in self.told):
            raise ValueError(f"{what!r} has been told already; its budget is spent")
        multiplier = self.multiplier(what)
        random = np.random.default_rng(self.release.seed(f"{what} {norm!r} {multiplier!r} {total.shape}"))
        self.told.append({"what": what, "norm": norm, "noise_multiplier": multiplier})
        return total + random.normal(0, norm * multiplier, total.shape)
