"""Rows that hold several things each, such as an order and its lines: one row for each of them.

A list is one of Parquet's or JSON's, JSON within a text, or a text that something divides: "A12, B7".
"""

import polars as pl

from shoploop.api.data import InteractionsSource
from shoploop.data.ids import safe_name
from shoploop.data.json_text import flattened
from shoploop.errors import SchemaMismatch, first_line

SEPARATORS = (",", ";", "|")
"""That are looked for where nobody names one."""

PARTED_ROWS = 0.2
"""Share of a column's texts that hold a separator from which on they are lists, if their parts come again."""

LOOKED_AT = 20_000
"""Rows."""


def exploded(table: pl.DataFrame, source: InteractionsSource) -> tuple[pl.DataFrame, int]:
    """The table with a row for each entry of the lists of ``source.explode``; objects become columns with a point in their
    names.

    Returns:
        The table, and how many rows had an empty list and are gone.

    Raises:
        SchemaMismatch: there is no such column, or it holds no lists.
    """
    name = source.explode
    assert name is not None
    if name not in table.columns:
        raise SchemaMismatch(
            f"{source.uri} has no column {name!r}, which spec.data.tables.interactions.explode names. It has "
            f"{', '.join(table.columns)}."
        )
    lists = _as_lists(table[name].alias(safe_name(name)), source)
    filled = (lists.list.len() > 0).fill_null(False)
    parted = table.drop(name).with_columns(lists).filter(filled).explode(lists.name)
    if parted.schema[lists.name] == pl.String:
        parted = parted.with_columns(pl.col(lists.name).str.strip_chars())
        parted = parted.filter(pl.col(lists.name).str.len_chars() > 0)
    return flattened(parted.rename({lists.name: name})), int((~filled).sum())


def _as_lists(values: pl.Series, source: InteractionsSource) -> pl.Series:
    dtype = values.dtype
    if isinstance(dtype, pl.Array):
        return values.arr.to_list()
    if isinstance(dtype, pl.List):
        return values
    if dtype == pl.String and source.explode_separator is not None:
        return values.str.split(source.explode_separator)
    found = f"{source.uri}: column {source.explode!r}, which spec.data.tables.interactions.explode names, holds"
    if dtype != pl.String:
        raise SchemaMismatch(f"{found} {dtype} and no lists.")
    why = "there are none in any row"
    try:
        lists = values.replace("", "[]").str.json_decode(infer_schema_length=None)
        if isinstance(lists.dtype, pl.List):
            return lists
    except pl.exceptions.PolarsError as error:
        why = first_line(error)
    raise SchemaMismatch(f"{found} texts that are no JSON lists: {why}. Say what divides them: explodeSeparator.")


def of_objects(table: pl.DataFrame) -> list[str]:
    """The columns that hold a list of objects in each row, as an order its lines."""
    return [
        name
        for name, dtype in table.schema.items()
        if isinstance(dtype, pl.List | pl.Array) and isinstance(dtype.inner, pl.Struct)
    ]


def divided_by(values: pl.Series) -> str | None:
    """What divides texts that are lists; empty where they are JSON's, or lists already; None where they are no lists."""
    if isinstance(values.dtype, pl.List | pl.Array):
        return "" if not isinstance(values.dtype.inner, pl.Struct) else None
    if values.dtype != pl.String:
        return None
    some = values.drop_nulls().head(LOOKED_AT).str.strip_chars()
    if not len(some):
        return None
    if (some.str.starts_with("[") & some.str.ends_with("]")).all():
        return ""
    for sign in SEPARATORS:
        if some.str.contains(sign, literal=True).mean() < PARTED_ROWS:  # type: ignore[operator]
            continue
        lists = some.str.contains(sign, literal=True)
        parts = some.filter(lists).str.split(sign).explode().str.strip_chars()
        alone = some.filter(~lists)
        # of lists the parts come again and again, also alone, where one was bought; TSHIRT|RED|M is one thing's id
        again = parts.n_unique() < 0.8 * some.n_unique() and alone.is_in(parts.unique().implode()).sum() > 0.5 * len(
            alone
        )
        if len(alone) and again and parts.str.len_chars().min() > 0:  # type: ignore[operator]
            return sign
    return None
