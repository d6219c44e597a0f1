"""Missing values, outliers and duplicates of a table: listed beside the weights, never mixed into them.

Legend: N rows, K features.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

OUTLIER_FENCE = 3.0
"""Quartile distances beyond the quartiles (Tukey's outer fence)."""


def describe_quality(
    x_NK: npt.NDArray[Any], y_N: npt.NDArray[Any] | None = None, *, names: Sequence[str] | None = None
) -> dict[str, Any]:
    """What is odd about a table, whatever its labels are worth.

    Returns:
        JSON: missing and outlying values by feature (those without any left out), duplicate rows, and how many of these
        carry different labels.
    """
    named = list(names) if names is not None else [f"x{k}" for k in range(x_NK.shape[1])]
    missing, outliers = {}, {}
    for k, name in enumerate(named):
        column = x_NK[:, k].astype(np.float64)
        known = column[np.isfinite(column)]
        if len(known) < len(column):
            missing[name] = int(len(column) - len(known))
        if len(known):
            low, high = np.quantile(known, [0.25, 0.75])
            if (reach := (high - low) * OUTLIER_FENCE) > 0:
                count = int(((known < low - reach) | (known > high + reach)).sum())
                if count:
                    outliers[name] = count
    hashes_N = _row_hashes(x_NK)
    _, group_N, sizes = np.unique(hashes_N, return_inverse=True, return_counts=True)
    report: dict[str, Any] = {
        "rows": len(x_NK),
        "missing": missing,
        "outliers": outliers,
        "duplicates": int(len(x_NK) - len(sizes)),
    }
    if y_N is not None:
        labels, code_N = np.unique(y_N, return_inverse=True)
        pairs = np.unique(group_N.reshape(-1) * len(labels) + code_N.reshape(-1))
        report["duplicates_of_other_label"] = int((np.bincount(pairs // len(labels)) > 1).sum())
    return report


def _row_hashes(x_NK: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    import polars as pl

    frame = pl.DataFrame({str(k): np.ascontiguousarray(x_NK[:, k]) for k in range(x_NK.shape[1])})
    return frame.hash_rows(seed=0).to_numpy()
