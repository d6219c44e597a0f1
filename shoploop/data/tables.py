"""Your own tables: columns found by their mapping, read as the canonical types, with every odd value counted.

Interactions alone are enough. Where there is no items table, columns ``title``, ``category``, ``brand`` and ``image``
of the interactions describe the items.
"""

import difflib
from dataclasses import dataclass

import polars as pl

from shoploop import schemas
from shoploop.api.v1alpha1 import TableSource, TablesSpec
from shoploop.data import sources, times
from shoploop.data.rules import Loaded
from shoploop.errors import SchemaMismatch, SpecInvalid, TableEmpty

ITEM_COLUMNS = ("title", "category", "brand", "image")
"""Columns by which interactions may describe their item."""

UNREADABLE_SHARE = 0.05
"""Above this share of unreadable values a column is of another type; below it they are counted and become null."""

_KINDS = {
    **dict.fromkeys(("buy", "bought", "order", "ordered", "sale", "transaction", "purchased", "checkout"), "purchase"),
    **dict.fromkeys(("addtocart", "add_to_cart", "add-to-cart", "add to cart", "basket"), "cart"),
    **dict.fromkeys(("click", "detail", "viewed", "visit", "pageview"), "view"),
    **dict.fromkeys(("search",), "query"),
}
"""Other people's words for our kinds of interaction."""

_NUMBERS = ("quantity", "price")


@dataclass(frozen=True, kw_only=True)
class _Raw:
    """One table as its files hold it, and where each canonical column lies in it."""

    name: str
    source: TableSource
    table: pl.DataFrame
    found: dict[str, list[str]]


def load(spec: TablesSpec) -> Loaded:
    """Reads the files and gives each canonical column its type.

    Raises:
        SpecInvalid, DataUnreadable, SchemaMismatch, TableEmpty: see :func:`shoploop.data.load_data`.
    """
    described = ITEM_COLUMNS if spec.items is None else ()
    raw = _open("interactions", spec.interactions, also=described)
    loaded = Loaded(interactions=pl.DataFrame())
    events = _typed(raw, loaded)
    _note_ignored(raw, loaded)
    loaded.interactions = events.select(c for c in events.columns if c in schemas.INTERACTIONS.schema.names)
    if any(column in raw.found for column in described):
        loaded.items = _described_items(events)
    for name in ("items", "users", "shops"):
        source = getattr(spec, name)
        if source is not None:
            setattr(loaded, name, _typed(_open(name, source), loaded, further=True))
    return loaded


def _open(name: str, source: TableSource, *, also: tuple[str, ...] = ()) -> _Raw:
    times.check_zone(source.time_zone, field=f"spec.data.tables.{name}.timeZone")
    canonical = [*schemas.TABLES[name].schema.names, *also]
    for column in source.columns:
        if name == "interactions" and column not in canonical:
            raise SpecInvalid(
                f"spec.data.tables.{name}.columns: {column!r} is no column of {name}{_nearest(column, canonical)} "
                f"Columns: {', '.join(canonical)}."
            )
    table = sources.read(source.uri)
    mapped = set(canonical) | set(source.columns)
    found: dict[str, list[str]] = {}
    for column in sorted(mapped):
        named = source.columns.get(column)
        if named is None:
            if column in table.columns:
                found[column] = [column]
            continue
        found[column] = [named] if isinstance(named, str) else named
        if len(found[column]) != 1 and column != "category":
            raise SpecInvalid(
                f"spec.data.tables.{name}.columns.{column} lists several columns; only category is built from a list. "
                "Name one."
            )
        for wanted in found[column]:
            if wanted not in table.columns:
                raise SchemaMismatch(
                    f"{source.uri} has no column {wanted!r}, which spec.data.tables.{name}.columns.{column} names"
                    f"{_nearest(wanted, table.columns)} It has {', '.join(table.columns)}."
                )
    for column in schemas.TABLES[name].required:
        if column not in found:
            raise SchemaMismatch(
                f"{source.uri} has no column {column!r}{_nearest(column, table.columns)} It has "
                f"{', '.join(table.columns)}. Say which one it is: spec.data.tables.{name}.columns: {{{column}: ...}}."
            )
    return _Raw(name=name, source=source, table=table, found=found)


def _typed(raw: _Raw, loaded: Loaded, *, further: bool = False) -> pl.DataFrame:
    """The found columns under their canonical names and types; with ``further``, the others as text too."""
    columns = {}
    for column, (name, *rest) in raw.found.items():
        values = raw.table[name]
        _refuse_nested(raw, column, [name, *rest])
        _refuse_empty(raw, column, values)
        if column == "time":
            columns[column] = _time(raw, values, loaded)
        elif column in _NUMBERS:
            columns[column] = _number(raw, column, values, loaded)
        elif column == "category":
            columns[column] = _path([values, *(raw.table[other] for other in rest)])
        else:
            columns[column] = _text(values)
    if further:
        used = {name for names in raw.found.values() for name in names}
        for name in raw.table.columns:
            if name not in used and name not in columns and not raw.table[name].dtype.is_nested():
                columns[name] = _text(raw.table[name])
    table = pl.DataFrame(columns)
    if "kind" in table.columns:
        word = pl.col("kind").str.strip_chars().str.to_lowercase()
        table = table.with_columns(kind=word.replace(_KINDS))
    return table


def _refuse_nested(raw: _Raw, column: str, names: list[str]) -> None:
    """Only a category may come as a list, and then of single values."""
    for name in names:
        dtype = raw.table[name].dtype
        is_path = column == "category" and len(names) == 1
        is_path = is_path and isinstance(dtype, pl.List) and not dtype.inner.is_nested()
        if dtype.is_nested() and not is_path:
            raise SchemaMismatch(
                f"{raw.source.uri}: column {name!r} holds {dtype} where single values are expected. Unnest it first."
            )


def _refuse_empty(raw: _Raw, column: str, values: pl.Series) -> None:
    if column in schemas.TABLES[raw.name].required and _text(values).null_count() == values.len():
        raise TableEmpty(
            f"{raw.source.uri}: column {values.name!r} is empty in all {values.len():,} rows, and {raw.name} needs "
            f"{column}. Fill it, or name another column in spec.data.tables.{raw.name}.columns."
        )


def _time(raw: _Raw, values: pl.Series, loaded: Loaded) -> pl.Series:
    source = raw.source
    parsed, moved = times.parse(values, time_format=source.time_format, zone=source.time_zone, where=source.uri)
    bad = _text(values).is_not_null() & parsed.is_null()
    field = f"spec.data.tables.{raw.name}.timeFormat"
    if source.time_format:
        advice = f"They do not fit {field} {source.time_format!r}: mend the pattern."
    else:
        advice = f"Give their pattern in {field} (strptime, unix-seconds or unix-milliseconds)."
    _refuse_other_type(raw, values, bad, "times", advice)
    loaded.note("time_unreadable", raw.name, int(bad.sum()), "changed", "No time could be read; it became null.")
    loaded.note(
        "time_skipped_by_the_clock",
        raw.name,
        moved,
        "changed",
        f"A wall-clock time that {source.time_zone} skipped in spring; read as one hour later.",
    )
    return parsed


def _number(raw: _Raw, column: str, values: pl.Series, loaded: Loaded) -> pl.Series:
    text = _text(values)
    numbers = text.cast(pl.Float64, strict=False)
    numbers = numbers.zip_with(numbers.is_finite(), pl.Series([None], dtype=pl.Float64))
    bad = text.is_not_null() & numbers.is_null()
    _refuse_other_type(raw, values, bad, "numbers", "Numbers have a decimal point and no currency sign.")
    loaded.note(f"{column}_unreadable", raw.name, int(bad.sum()), "changed", "It is no number; it became null.")
    return numbers


def _refuse_other_type(raw: _Raw, values: pl.Series, bad: pl.Series, expected: str, advice: str) -> None:
    filled = values.len() - values.null_count()
    if filled and int(bad.sum()) / filled > UNREADABLE_SHARE:
        examples = ", ".join(repr(value) for value in values.filter(bad).head(3).to_list())
        raise SchemaMismatch(
            f"{raw.source.uri}: column {values.name!r} holds {examples} where {expected} are expected "
            f"({int(bad.sum()):,} of {filled:,} values). {advice}"
        )


def _text(values: pl.Series) -> pl.Series:
    """Trimmed text; empty is null, and a whole number that came as 7.0 is 7."""
    if values.dtype.is_float():
        whole = values.drop_nulls().drop_nans()
        if (whole == whole.floor()).all():
            values = values.cast(pl.Int64, strict=False)
    if values.dtype in (pl.Binary, pl.Null):
        values = values.cast(pl.String, strict=False)
    return values.cast(pl.String).str.strip_chars().replace("", None)


def _path(levels: list[pl.Series]) -> pl.Series:
    """A category path, widest first: of several columns, of a list column, or of one text divided by ``>``."""
    first = levels[0]
    if len(levels) == 1 and isinstance(first.dtype, pl.List):
        return first.cast(pl.List(pl.String))
    if len(levels) == 1:
        parts = _text(first).str.split(">").list.eval(pl.element().str.strip_chars())
        return parts.list.eval(pl.element().filter(pl.element() != "")).fill_null([])
    frame = pl.DataFrame({str(n): _text(level) for n, level in enumerate(levels)})
    return frame.select(pl.concat_list(pl.all()).list.drop_nulls().alias("category")).to_series()


def _described_items(events: pl.DataFrame) -> pl.DataFrame:
    """Each item as the latest interactions describe it."""
    present = [c for c in ITEM_COLUMNS if c in events.columns]
    return (
        events.filter(pl.col("item").is_not_null())
        .sort("time", maintain_order=True)
        .group_by("item", maintain_order=True)
        .agg(pl.col(c).drop_nulls().last() for c in present)
    )


def _note_ignored(raw: _Raw, loaded: Loaded) -> None:
    used = {name for names in raw.found.values() for name in names}
    ignored = [name for name in raw.table.columns if name not in used]
    if ignored:
        loaded.note(
            "columns_ignored",
            raw.name,
            raw.table.height,
            "kept",
            f"Columns that no canonical column names were not read: {', '.join(ignored)}.",
        )


def _nearest(word: str, choices: list[str]) -> str:
    near = difflib.get_close_matches(word.lower(), [choice.lower() for choice in choices], n=1, cutoff=0.5)
    original = next((choice for choice in choices if near and choice.lower() == near[0]), None)
    return f"; did you mean {original!r}?" if original else "."
