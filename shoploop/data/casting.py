"""Columns of one's own as the canonical types, with every odd value counted; a column of another type is refused."""

import polars as pl

from shoploop import schemas
from shoploop.data import time_patterns, times
from shoploop.data.column_mapping import ITEM_COLUMNS, Mapped, note_remarks, refuse_nested
from shoploop.data.decimals import Numbers, read_table
from shoploop.data.ends import without_never
from shoploop.data.ids import NO_NAME, canonical_ids, safe_name, text_of
from shoploop.data.outliers import NOBODY_KNOWN
from shoploop.data.rules import Loaded
from shoploop.errors import SchemaMismatch, TableEmpty

ENDS = "ends"
"""Column of the items that only a mapping names: the last day on which one can be bought."""

SEEN_FIRST = 1_000
"""Rows that are looked at before all are, where one that is filled says enough."""

UNREADABLE_SHARE = 0.05
"""Above this share of unreadable values a column is of another type; below it they are counted and become null."""

ALL_BUT_TOTALS = 0.95
"""Share of the ids that are written so; a spreadsheet's line of totals is not."""

_PARTED = r"^\d{1,3}(,\d{3})+$"

_NUMBERS = ("quantity", "price", "rating")

_DAYS = ("from", "until")
"""Of offers."""

_IDS = ("user", "item", "shop", "basket")


def cast(raw: Mapped, loaded: Loaded, *, further: bool = False) -> pl.DataFrame:
    """The found columns under their canonical names and types; with ``further``, the others as text too."""
    note_remarks(raw, loaded)
    columns = {}
    single = {role: raw.values(names[0]) for role, names in raw.found.items() if role in _NUMBERS}
    looked_at = {name for names in raw.found.values() for name in names}
    beside = (raw.table[name] for name in raw.table.columns if name not in looked_at)
    numbers = read_table({role: values for role, values in single.items() if not values.dtype.is_nested()}, beside)
    for column, (name, *rest) in raw.found.items():
        values = raw.values(name)
        refuse_nested(raw, column, [name, *rest])
        _refuse_empty(raw, column, values)
        if column == "time":
            columns[column] = _time(raw, values, loaded)
        elif column in _DAYS and raw.name == "offers":
            columns[column] = _day(raw, values, loaded)
        elif column == ENDS and raw.name == "items":
            columns[schemas.ENDS] = _time(raw, without_never(values), loaded).dt.date()
            continue
        elif column in _NUMBERS:
            columns[column] = _number(raw, column, values, numbers[column], loaded)
        elif column == "category":
            levels = [values, *(raw.values(other) for other in rest)]
            levels = [_named(raw, column, level, loaded) for level in levels]
            columns[column] = _path(levels, raw.source.category_separator)
        elif column in _IDS:
            columns[column] = _id(raw, column, values, loaded)
        elif column in ITEM_COLUMNS:
            columns[column] = text_of(_named(raw, column, values, loaded))
        else:
            columns[column] = text_of(values)
        if column in raw.source.columns and column not in schemas.READABLE[raw.name].required:
            _tell_empty(raw, column, columns[column], loaded)
    if further:
        # a day that says when an item ends is an attribute, too, which answers may carry
        used = {name for column, names in raw.found.items() for name in names if column != ENDS}
        for name in raw.table.columns:
            if name not in used and name not in columns and not raw.table[name].dtype.is_nested():
                columns[safe_name(name)] = text_of(raw.table[name])
    return pl.DataFrame(columns)


def _id(raw: Mapped, column: str, values: pl.Series, loaded: Loaded) -> pl.Series:
    ids, counts = canonical_ids(values, where=f"{raw.source.uri}: column {values.name!r}")
    loaded.note(
        f"{column}_padded", raw.name, counts["padded"], "changed",
        f"Space around the id of the {column}, as of columns of fixed width; it was taken away.",
    )  # fmt: skip
    loaded.note(
        f"{column}_with_point", raw.name, counts["pointed"], "changed",
        f"Every {column} is a whole number, and some are written with a point, as in 1001.0: read as 1001.", tell=True,
    )  # fmt: skip
    loaded.note(
        f"{column}_rounded", raw.name, counts["rounded"], "changed",
        f"An id of the {column} that a spreadsheet has rounded, such as 4.00638E+12: its last digits are lost, and ids that "
        "differ would become one. It became null. Export the ids as text.", tell=True,
    )  # fmt: skip
    _tell_parted(raw, column, ids, loaded)
    if column in ("shop", "basket"):
        loaded.note(
            f"{column}_nothing", raw.name, counts["nothing"], "changed", "A word such as NULL or nan; it became null."
        )
    return ids


def _tell_parted(raw: Mapped, column: str, ids: pl.Series, loaded: Loaded) -> None:
    """Says where ids are numbers as spreadsheets show them; they are kept, as 1,001 may be one by itself."""
    different = ids.drop_nulls().unique(maintain_order=True)
    parted = different.filter(different.str.contains(_PARTED))
    small = int(different.str.contains(r"^\d{1,3}$").sum())
    if parted.is_empty() or len(parted) + small < ALL_BUT_TOTALS * len(different):
        return
    loaded.note(
        f"{column}_with_commas", raw.name, int(ids.is_in(parted.implode()).sum()), "kept",
        f"The ids of this {column} column are numbers with commas between thousands, such as {parted[0]!r}, as spreadsheets "
        "show them. They stay so, and requests have to name them so: export the column without commas if they are none.",
        tell=True,
    )  # fmt: skip


def _named(raw: Mapped, column: str, values: pl.Series, loaded: Loaded) -> pl.Series:
    """Without what programs write where there is no name."""
    if values.dtype != pl.String:
        return values
    absent = values.str.strip_chars().is_in(NO_NAME).fill_null(False)
    loaded.note(
        f"{column}_nothing", raw.name, int(absent.sum()), "changed", "A word such as NULL or nan; it became null."
    )
    return values.set(absent, None) if absent.any() else values


def _tell_empty(raw: Mapped, column: str, values: pl.Series, loaded: Loaded) -> None:
    if column == "kind":
        return
    empty = int((values.list.len() == 0).sum()) if column == "category" else values.null_count()
    if empty == values.len():
        loaded.note(
            f"{column}_empty", raw.name, empty, "warned",
            f"{raw.field}.columns.{column} names {' and '.join(raw.found[column])}, which is empty in every row: nothing is "
            "known of it.", tell=True,
        )  # fmt: skip


def _refuse_empty(raw: Mapped, column: str, values: pl.Series) -> None:
    needed = column in schemas.READABLE[raw.name].required
    if needed and _is_empty(values.head(SEEN_FIRST)) and _is_empty(values):
        raise TableEmpty(
            f"{raw.source.uri}: column {values.name!r} is empty in all {values.len():,} rows, and {raw.name} needs "
            f"{column}. Fill it, or name another column in spec.data.tables.{raw.name}.columns."
            + (f" {NOBODY_KNOWN}" if column == "user" else "")
        )


def _is_empty(values: pl.Series) -> bool:
    return text_of(values).null_count() == values.len()


def _time(raw: Mapped, values: pl.Series, loaded: Loaded) -> pl.Series:
    source = raw.source
    field = f"{raw.field}.timeFormat"
    values = text_of(values) if values.dtype == pl.Binary else values
    if values.dtype.is_float():
        values = values.fill_nan(None)  # pandas' way to say that there is none
    parsed = times.parse(values, time_format=source.time_format, zone=source.time_zone, where=source.uri)
    bad = parsed.times.is_null() & values.is_not_null()
    if bad.any() and values.dtype.is_numeric() and not source.time_format:
        bad = bad & (values != 0)  # what programs write where there is none
    elif bad.any():
        text = text_of(values)
        bad = text.is_not_null() & bad & ~text.str.to_lowercase().is_in(times.NOTHING).fill_null(False)
    if _other_type(bad, values):
        if source.time_format:
            names = ", ".join(["iso", *times.UNITS])
            advice = f"They do not fit {field} {source.time_format!r}: mend the pattern, or name one of {names}."
        elif values.dtype.is_numeric():
            advice = time_patterns.advice_for_numbers(values.filter(bad), field=field)
        else:
            advice = time_patterns.advice(text_of(values).filter(bad), field=field)
        _refuse_other_type(raw, values, bad, "times", advice)
    loaded.note("time_unreadable", raw.name, int(bad.sum()), "changed", "No time could be read; it became null.")
    loaded.note(
        "time_missing", raw.name, parsed.nothing, "changed", "A word such as NULL or 0000-00-00; it became null."
    )
    if not source.time_format:
        for shape, rows in parsed.shapes.items():
            loaded.note(
                "time_seen_as", raw.name, rows, "changed",
                f"Nobody said what these numbers are; by their size they are times as {shape} ({field}).", tell=True,
            )  # fmt: skip
    else:
        for shape, rows in parsed.shapes.items():
            loaded.note("time_read_as", raw.name, rows, "kept", f"The times that fit {shape!r} first.")
    loaded.note(
        "time_skipped_by_the_clock",
        raw.name,
        parsed.moved,
        "changed",
        f"A wall-clock time that {source.time_zone} skipped in spring; read as one hour later.",
    )
    return parsed.times


def _day(raw: Mapped, values: pl.Series, loaded: Loaded) -> pl.Series:
    """The days of a column of times, on the clock of the spec's zone: what ends with the evening of a Sunday there does not
    end on UTC's Monday. Days without a clock, which are read as UTC's midnights, stay the days that they are."""
    read = _time(raw, values, loaded)
    if (read.dt.truncate("1d") == read).all():
        return read.dt.date()
    return read.dt.convert_time_zone(raw.source.time_zone).dt.date()


def _number(raw: Mapped, column: str, values: pl.Series, read: Numbers, loaded: Loaded) -> pl.Series:
    loaded.note(
        f"{column}_with_comma", raw.name, read.with_comma, "changed",
        f"Every {column} is written as 1.234,50 is: the comma is the decimal point, points before three digits are of "
        "thousands.", tell=True,
    )  # fmt: skip
    loaded.note(
        f"{column}_with_signs", raw.name, read.with_signs, "changed",
        f"A {column} with a currency or a unit, with signs between thousands, or with its minus behind it or as brackets; "
        "these were taken away.", tell=True,
    )  # fmt: skip
    if read.with_doubt:
        pointed = text_of(values).str.contains(".", literal=True).fill_null(False)
        example, number = values.filter(pointed)[0], read.numbers.filter(pointed)[0]
        loaded.note(
            f"{column}_with_point", raw.name, read.with_doubt, "kept",
            f"A {column} such as {example!r} among whole ones is read as {number:g}. If the point parts "
            "thousands, write the numbers without it.", tell=True,
        )  # fmt: skip
    bad = read.unreadable
    advice = f"Write numbers as 1234.5, or leave the column out, {raw.field}.columns: {{{column}: []}}."
    if column == "rating":
        advice += ' Words for it can be kinds: columns: {rating: [], kind: ...}, kinds: {"up": purchase}.'
    _refuse_other_type(raw, values, bad, "numbers", advice)
    loaded.note(f"{column}_unreadable", raw.name, int(bad.sum()), "changed", "It is no number; it became null.")
    return read.numbers


def _other_type(bad: pl.Series, values: pl.Series) -> bool:
    filled = values.len() - values.null_count()
    return bool(filled) and int(bad.sum()) / filled > UNREADABLE_SHARE


def _refuse_other_type(raw: Mapped, values: pl.Series, bad: pl.Series, expected: str, advice: str) -> None:
    filled = values.len() - values.null_count()
    if _other_type(bad, values):
        some = values.filter(bad).head(3)
        some = text_of(some) if some.dtype.is_temporal() else some  # Python knows fewer years
        examples = ", ".join(map(repr, some.to_list()))
        raise SchemaMismatch(
            f"{raw.source.uri}: column {values.name!r} holds {examples} where {expected} are expected "
            f"({int(bad.sum()):,} of {filled:,} values). {advice}"
        )


def _path(levels: list[pl.Series], separator: str | None) -> pl.Series:
    """A category path, widest first: of several columns, of a list column, or of one text, divided as the spec says."""
    first = levels[0]
    if len(levels) == 1 and isinstance(first.dtype, pl.List):
        parts = first.cast(pl.List(pl.String))
    elif len(levels) == 1:
        text = text_of(first)
        parts = (
            text.str.split(separator)
            if separator
            else text.to_frame("level").select(pl.concat_list("level")).to_series()
        )
    else:
        frame = pl.DataFrame({str(n): text_of(level) for n, level in enumerate(levels)})
        parts = frame.select(pl.concat_list(pl.all()).alias("category")).to_series()
    parts = parts.list.eval(pl.element().str.strip_chars())
    return parts.list.eval(pl.element().filter(pl.element().is_not_null() & (pl.element() != ""))).fill_null([])
