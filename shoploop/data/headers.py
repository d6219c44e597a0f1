"""Whether a file has a line with the names of its columns: told by what stands where it would be."""

import re

import polars as pl

from shoploop.api.v1alpha1 import TableSource
from shoploop.data import sources, time_patterns, times
from shoploop.data.column import LIKELY, Column, worth_of_name
from shoploop.data.column_names import NAMES


def read_with_names(uri: str) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """A table, and the names that its columns got where the file has none.

    Raises:
        DataUnreadable, TableEmpty: as reading it in a run.
    """
    table = sources.read(TableSource(uri=uri), field="The file").table
    if not looks_headerless(table):
        return table, ()
    names = [f"column{number + 1}" for number in range(table.width)]
    again = sources.read(TableSource(uri=uri, header=names), field="The file").table
    return (again, tuple(names)) if again.columns == names else (table, ())


def looks_headerless(table: pl.DataFrame) -> bool:
    """Whether the names of the columns are most likely the first row's values."""
    names = [re.sub(r"\.\d+$", "", name) if name.count(".") == 2 else name for name in table.columns]
    if [name for name in names if not name.startswith("Unnamed: ")] == [
        str(n) for n in range(sum(not name.startswith("Unnamed: ") for name in names))
    ]:
        return False  # as pandas numbers columns that have no names
    valued = sum(_is_value(name) for name in names)
    named = any(
        worth_of_name(role, Column(pl.Series(name, [], dtype=pl.String))) >= LIKELY for name in names for role in NAMES
    )
    return valued > 0 and not named


def _is_value(name: str) -> bool:
    text = pl.Series("name", [name])
    if re.fullmatch(r"-?\d+(\.\d+)*([eE][+-]?\d+)?", name):
        return True
    return bool(times.parse(text, time_format=None, zone="UTC", where="").times.is_not_null().all()) or bool(
        re.search(r"\d", name) and len(name) >= 8 and time_patterns.fitting(text)
    )
