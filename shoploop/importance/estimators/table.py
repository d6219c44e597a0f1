"""Samples as the estimators see them: standardised features and label codes.

It knows nothing of shops: requests and candidates become a table before they come here.

Legend: N samples, K features.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from shoploop.importance.estimators.errors import FeaturesNotFinite, OneClassOnly, SamplesEqual, TooFewSamples

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

KNOTS = 512
"""Points of a column's distribution that are kept; between them it is interpolated."""

FITTED_ROWS = 100_000
THREADS = 2
"""That standardise columns; numpy's interpolation lets go of the interpreter's lock."""

FEWEST = 4


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Each column to normal scores by its ranks, and back: neither units nor outliers decide what is near.

    Columns whose ranks are tied get the mean rank, so a 0/1 column keeps two values.
    """

    values: tuple[Float64, ...]
    """Per column its knots, ascending."""

    scores: tuple[Float64, ...]
    """Per column the normal score of each knot, mean 0 and deviation 1 over the fitted rows."""

    @classmethod
    def fit(cls, x_NK: npt.NDArray[Any], *, seed: int) -> "Scale":
        rows = x_NK
        if len(rows) > FITTED_ROWS:
            chosen = np.random.default_rng(seed).choice(len(rows), FITTED_ROWS, replace=False)
            rows = rows[np.sort(chosen)]
        values, scores = [], []
        for column in rows.T:
            knots, counts = np.unique(column.astype(np.float64), return_counts=True)
            if len(knots) == 1:
                values.append(knots)
                scores.append(np.zeros(1))
                continue
            middle = (np.cumsum(counts) - counts / 2) / len(column)
            score = ndtri(middle)
            centre = np.average(score, weights=counts)
            spread = np.sqrt(np.average((score - centre) ** 2, weights=counts))
            kept = np.unique(np.linspace(0, len(knots) - 1, KNOTS).round().astype(int))
            values.append(knots[kept])
            scores.append((score[kept] - centre) / spread)
        return cls(values=tuple(values), scores=tuple(scores))

    def forward(self, x_NK: npt.NDArray[Any]) -> Float32:
        """Features to scores."""
        return _interpolated(x_NK, self.values, self.scores)

    def backward(self, scores_NK: npt.NDArray[Any]) -> Float32:
        """Scores to features, in the table's own units."""
        return _interpolated(scores_NK, self.scores, self.values)


def _interpolated(x_NK: npt.NDArray[Any], at: Sequence[Float64], values: Sequence[Float64]) -> Float32:
    """Each column by the line through its own points."""
    out = np.empty(x_NK.shape, np.float32)

    def column(k: int) -> None:
        out[:, k] = np.interp(x_NK[:, k], at[k], values[k])

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(column, range(len(at))))
    return out


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """What an estimator is given."""

    x_NK: Float32
    """Normal scores of the features."""

    y_N: Int64
    """Codes 0 to classes - 1."""

    classes: npt.NDArray[Any]
    scale: Scale
    names: tuple[str, ...]
    """Of the features."""

    def __len__(self) -> int:
        return len(self.y_N)

    def some(self, most: int, *, seed: int) -> "Table":
        """At most so many samples, drawn; two of each label at least, where there are as many."""
        if len(self) <= most:
            return self
        order = np.random.default_rng(seed).permutation(len(self))
        first = [order[self.y_N[order] == label][:2] for label in range(len(self.classes))]
        rows = np.unique(np.concatenate([order[:most], *first]))
        return replace(self, x_NK=self.x_NK[rows], y_N=self.y_N[rows])

    @classmethod
    def of(
        cls, x_NK: npt.NDArray[Any], labels_N: npt.NDArray[Any], *, names: Sequence[str] | None = None, seed: int = 0
    ) -> "Table":
        """Checks and standardises a table.

        Args:
            x_NK: Numbers.
            labels_N: Anything that can be sorted; at least two different ones.
            names: Of the features, for messages and pages.
            seed: Of the draw of rows that the scale is fitted on, where there are more than 100,000.

        Raises:
            TooFewSamples: fewer than 4 samples.
            FeaturesNotFinite: a feature is NaN or infinite; the message counts them by feature.
            OneClassOnly: all labels are equal.
            SamplesEqual: all rows are equal.
        """
        named = tuple(names) if names is not None else tuple(f"x{k}" for k in range(x_NK.shape[1]))
        if len(x_NK) < FEWEST:
            raise TooFewSamples(
                f"n_samples={len(x_NK)}: 1 sample cannot be judged by itself, and {FEWEST} are the fewest of which some "
                "can be held out. Bring more samples."
            )
        check_finite(x_NK, named)
        classes, y_N = np.unique(labels_N, return_inverse=True)
        if len(classes) < 2:
            raise OneClassOnly(
                f"All {len(y_N)} samples carry the label {classes[0]!s}; with one class no label can be doubted. Bring "
                "samples of another label, or use the uniform weights of method='uniform'."
            )
        if (x_NK == x_NK[:1]).all():
            raise SamplesEqual(
                f"All {len(y_N)} samples have the same features ({', '.join(named[:5])}{' ...' if named[5:] else ''}), so "
                "none can be told from another. Bring features that vary."
            )
        scale = Scale.fit(x_NK, seed=seed)
        return cls(
            x_NK=scale.forward(x_NK), y_N=y_N.astype(np.int64).reshape(-1), classes=classes, scale=scale, names=named
        )


def check_finite(x_NK: npt.NDArray[Any], names: Sequence[str]) -> None:
    """Raises FeaturesNotFinite where a feature is NaN or infinite."""
    bad_K = np.array([int((~np.isfinite(x_NK[:, k])).sum()) for k in range(x_NK.shape[1])])
    if bad_K.any():
        worst = [f"{names[k]} ({bad_K[k]} of {len(x_NK)})" for k in np.argsort(-bad_K, kind="stable") if bad_K[k]]
        kinds = "NaN" if np.isnan(x_NK).any() else "inf"
        raise FeaturesNotFinite(
            f"Features hold {kinds} values: {', '.join(worst[:5])}{' ...' if worst[5:] else ''}. Fill or drop them before "
            "weighing: a guess for a missing value is not the samples' own doubt."
        )
