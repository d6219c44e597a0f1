"""Missing values, outliers and duplicates of a table as it came: listed beside the weights, never mixed into them.

Legend: N rows, K features.
"""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.importance.cells import as_floats, columns_of, is_number, missing, plain
from shoploop.importance.estimators.table import Float64

OUTLIER_FENCE = 3.0
"""Quartile distances beyond the quartiles (Tukey's outer fence)."""


def describe_quality(
    x: Any, y_N: npt.NDArray[Any] | None = None, *, names: Sequence[str] | None = None
) -> dict[str, Any]:
    """What is odd about a table, whatever its labels are worth.

    Args:
        x: A frame of pandas or polars, or an array (N, K), before anything is filled in or encoded.
        y_N: Labels.
        names: Of the columns, where the table does not name them.

    Returns:
        JSON: missing and outlying values by feature (those without any left out), duplicate rows, and how many of these
        carry different labels.
    """
    gaps: dict[str, int] = {}
    outliers: dict[str, int] = {}
    codes = []
    for k, (own, cells) in enumerate(columns_of(x)):
        name = own if names is None else names[k]
        values = plain(cells)
        if is_number(values):
            numbers_N = as_floats(values)
            lacking, outlying = int((~np.isfinite(numbers_N)).sum()), _outliers(numbers_N)
        else:
            lacking, outlying = sum(missing(value) for value in values), 0
        if lacking:
            gaps[name] = lacking
        if outlying:
            outliers[name] = outlying
        codes.append(_codes(values, cells))
    _, group_N, sizes = np.unique(_row_hashes(codes), return_inverse=True, return_counts=True)
    report: dict[str, Any] = {
        "rows": len(x),
        "missing": gaps,
        "outliers": outliers,
        "duplicates": int(len(x) - len(sizes)),
    }
    if y_N is not None:
        labels, code_N = np.unique(y_N, return_inverse=True)
        pairs = np.unique(group_N.reshape(-1) * len(labels) + code_N.reshape(-1))
        report["duplicates_of_other_label"] = int((np.bincount(pairs // len(labels)) > 1).sum())
    return report


def _outliers(numbers_N: Float64) -> int:
    known = numbers_N[np.isfinite(numbers_N)]
    if not len(known):
        return 0
    low, high = np.quantile(known, [0.25, 0.75])
    reach = (high - low) * OUTLIER_FENCE
    return int(((known < low - reach) | (known > high + reach)).sum()) if reach > 0 else 0


def _codes(values: npt.NDArray[Any], cells: Any) -> npt.NDArray[Any]:
    """Numbers that are equal where cells are."""
    if values.dtype.kind in "Mm":
        return values.view(np.int64)
    raw = np.asarray(cells)  # a long whole number among objects is not equal to all that are near it
    if is_number(raw):
        return raw.astype(np.float64) if raw.dtype.kind == "f" else raw
    seen: dict[Any, int] = {}
    return np.array([seen.setdefault(_key(value), len(seen)) for value in raw], np.int64)


def _key(cell: Any) -> Any:
    if missing(cell):
        return None
    return cell if isinstance(cell, Hashable) else str(cell)


def _row_hashes(codes: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.uint64]:
    import polars as pl

    frame = pl.DataFrame({str(k): np.ascontiguousarray(code_N) for k, code_N in enumerate(codes)})
    return frame.hash_rows(seed=0).to_numpy()
