"""What stands in the cells of a table, in whatever form it comes: numbers, dates, spans of time, words, or nothing.

Legend: N rows.
"""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.importance.estimators.errors import ColumnsUnclear
from shoploop.importance.estimators.table import Float64

Objects = npt.NDArray[np.object_]

DATES, SPANS = (date, np.datetime64), (timedelta, np.timedelta64)
"""A datetime and a pandas Timestamp are dates, too."""

NUMBERS = (int, float, Decimal, np.number, np.bool_)
KINDS = (SPANS, DATES, NUMBERS)  # numpy's spans are among its numbers

SECONDS_OF_DAY = 86_400


def is_frame(x: Any) -> bool:
    """Whether it is a table with named columns, of pandas or polars."""
    return hasattr(x, "columns") and hasattr(x, "dtypes") and hasattr(x, "__getitem__")


def columns_of(x: Any) -> list[tuple[str, Any]]:
    """Names and cells of each column of a frame, or of an array (N, K).

    Raises:
        ColumnsUnclear: a frame has no column, or two of one name.
    """
    if is_frame(x):
        counted = Counter(str(name) for name in x.columns)
        if not counted:
            raise ColumnsUnclear("The table has no columns, so no row can be told from another. Bring at least one.")
        if twice := [name for name, count in counted.items() if count > 1]:
            raise ColumnsUnclear(
                f"More than one column of the table is called {', '.join(twice[:5])}{' ...' if twice[5:] else ''}. Give "
                "each a name of its own, or leave the others out."
            )
        return [(str(name), x[name]) for name in x.columns]
    values = np.asarray(x)
    return [(f"x{k}", values[:, k]) for k in range(values.shape[1])]


def plain(cells: Any) -> npt.NDArray[Any]:
    """The cells as numpy knows them: numbers, or times of UTC, where all of them are; else objects or strings."""
    dtype = getattr(cells, "dtype", None)
    if getattr(dtype, "tz", None) is not None:  # pandas makes objects of them, polars does not
        return np.asarray(cells, f"datetime64[{getattr(dtype, 'unit', 'ns')}]")
    values = np.asarray(cells)
    if values.dtype.kind != "O":
        return values
    known = [value for value in values if not missing(value)]
    kind = next((kind for kind in KINDS if all(isinstance(value, kind) for value in known)), None)
    if kind is NUMBERS:
        return np.array([np.nan if missing(value) else float(value) for value in values], np.float64)
    if kind is DATES:
        return np.array([np.datetime64("NaT") if missing(v) else _in_utc(v) for v in values], "datetime64[us]")
    if kind is SPANS:
        return np.array([np.timedelta64("NaT") if missing(value) else value for value in values], "timedelta64[us]")
    return values


def _in_utc(value: Any) -> Any:
    aware = isinstance(value, datetime) and value.tzinfo is not None
    return value.astimezone(UTC).replace(tzinfo=None) if aware else value


def is_number(values: npt.NDArray[Any]) -> bool:
    """Of what :func:`plain` gives; times are numbers of days."""
    return values.dtype.kind in "biufMm"


def as_floats(values: npt.NDArray[Any]) -> Float64:
    """(N,); missing ones are NaN, times and spans are days.

    Raises:
        ValueError: a cell is no number.
    """
    if values.dtype.kind in "Mm":
        seconds = values.astype("datetime64[s]" if values.dtype.kind == "M" else "timedelta64[s]")
        return np.where(np.isnat(seconds), np.nan, seconds.astype(np.int64) / SECONDS_OF_DAY)
    if values.dtype.kind == "O":
        return np.array([np.nan if missing(value) else float(value) for value in values], np.float64)
    return values.astype(np.float64)


def as_words(cells: Any) -> Objects:
    """Strings; a missing value is the empty one."""
    return np.array(["" if missing(value) else str(value) for value in np.asarray(cells, object)], object)


def missing(value: Any) -> bool:
    if value is None:
        return True
    try:
        return bool(value != value)  # NaN and NaT differ from themselves
    except TypeError:  # pandas.NA
        return True
    except ValueError:  # several values in one cell
        return False
