"""Your own tables: columns found by their mapping, read as the canonical types, with every odd value counted.

Interactions alone are enough. Where there is no items table, columns ``title``, ``category``, ``brand`` and ``image``
of the interactions describe the items.
"""

import difflib
from dataclasses import dataclass

import polars as pl

from shoploop import schemas
from shoploop.api.v1alpha1 import InteractionsSource, TableSource, TablesSpec
from shoploop.data import encodings, sources, times
from shoploop.data.decimals import Numbers, read_table
from shoploop.data.ends import without_never
from shoploop.data.formats import Remarks
from shoploop.data.ids import NO_NAME, canonical_ids, safe_name, text_of
from shoploop.data.kinds import with_kinds
from shoploop.data.lists import exploded
from shoploop.data.outliers import NOBODY_KNOWN
from shoploop.data.rules import Loaded
from shoploop.data.zeros import join_without_zeros
from shoploop.errors import SchemaMismatch, SpecInvalid, TableEmpty

ITEM_COLUMNS = ("title", "category", "brand", "image")
"""Columns by which interactions may describe their item."""

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
_RECBOLE = ("token", "token_seq", "float", "float_seq")
_IDS = ("user", "item", "shop", "basket")


@dataclass(frozen=True, kw_only=True)
class _Raw:
    """One table as its files hold it, and where each canonical column lies in it."""

    name: str
    source: TableSource
    table: pl.DataFrame
    found: dict[str, list[str]]
    remarks: Remarks

    @property
    def field(self) -> str:
        """Where it stands in the spec."""
        return f"spec.data.tables.{self.name}"

    def values(self, column: str) -> pl.Series:
        """A column of the files, under a name that is no pattern."""
        return self.table[column].alias(safe_name(column))


def load(spec: TablesSpec) -> Loaded:
    """Reads the files and gives each canonical column its type.

    Raises:
        SpecInvalid, DataUnreadable, SchemaMismatch, TableEmpty: see :func:`shoploop.data.load_data`.
    """
    described = ITEM_COLUMNS if spec.items is None else ()
    raw = _open("interactions", spec.interactions, also=described)
    loaded = Loaded(interactions=pl.DataFrame(), max_events_per_user=spec.interactions.max_events_per_user)
    events = _kinds(raw, spec.interactions, _typed(raw, loaded), loaded)
    _note_ignored(raw, loaded)
    if spec.interactions.price_is == "unit" and "price" in events.columns:
        pieces = pl.col("quantity").fill_null(1.0) if "quantity" in events.columns else pl.lit(1.0)
        one = pl.col("price")
        # of two signs one is enough: money that went back stays below 0, whichever of the two says it
        back = pl.when((one < 0) | (pieces < 0)).then(-1.0).otherwise(1.0)
        events = events.with_columns(price=one.abs() * pieces.abs() * back)
    kept = (*schemas.INTERACTIONS.schema.names, schemas.RATING)
    loaded.interactions = events.select(c for c in events.columns if c in kept)
    if any(column in raw.found for column in described):
        loaded.items = _described_items(events)
    for name in ("items", "users", "shops"):
        source = getattr(spec, name)
        if source is not None:
            setattr(loaded, name, _typed(_open(name, source), loaded, further=True))
    if spec.searches is not None:
        loaded.searches = _typed(_open("searches", spec.searches), loaded)
        loaded.searches_named = True
    join_without_zeros(loaded)
    return loaded


def check(name: str, spec: TablesSpec) -> None:
    """Holds one table's columns against the spec, and no more.

    Raises:
        SpecInvalid, DataUnreadable, SchemaMismatch, TableEmpty: as :func:`load`.
    """
    described = ITEM_COLUMNS if spec.items is None and name == "interactions" else ()
    raw = _open(name, getattr(spec, name), also=described)
    for column, names in raw.found.items():
        _refuse_nested(raw, column, names)


def _kinds(raw: _Raw, source: InteractionsSource, events: pl.DataFrame, loaded: Loaded) -> pl.DataFrame:
    mapped = raw.found.get("kind", [None])[0]
    without = raw.remarks.files_without.get(mapped, 0) if mapped else 0
    return with_kinds(events, source, rows_without=without, mapped=mapped, loaded=loaded)


def _open(name: str, source: TableSource, *, also: tuple[str, ...] = ()) -> _Raw:
    times.check_zone(source.time_zone, field=f"spec.data.tables.{name}.timeZone")
    canonical = [*schemas.READABLE[name].schema.names, *also, *(["rating"] if name == "interactions" else [])]
    for column in source.columns:
        if name == "interactions" and column not in canonical:
            raise SpecInvalid(
                f"spec.data.tables.{name}.columns: {column!r} is no column of {name}{_nearest(column, canonical)} "
                f"Columns: {', '.join(canonical)}."
            )
    read = sources.read(source, field=f"spec.data.tables.{name}")
    table = read.table
    if isinstance(source, InteractionsSource) and source.explode is not None:
        table, read.remarks.empty_lists = exploded(table, source)
    for taken in (schemas.LISTED, schemas.ENDS):
        if taken in table.columns:
            raise SchemaMismatch(
                f"{source.uri} has a column {taken!r}, a name that shoploop uses itself. Rename it in the file."
            )
    mapped = set(canonical) | set(source.columns)
    found: dict[str, list[str]] = {}
    for column in sorted(mapped):
        named = source.columns.get(column)
        if named is None:
            own = _column_named(column, table.columns)
            if own is not None:
                found[column] = [_single(own, column, name, source, read.remarks)]
            continue
        wanted = [named] if isinstance(named, str) else named
        if not wanted and column not in schemas.READABLE[name].required:
            continue  # left out, whatever is called so
        if len(wanted) != 1 and column != "category":
            raise SpecInvalid(
                f"spec.data.tables.{name}.columns.{column} lists several columns; only category is built from a list. "
                "Name one."
            )
        found[column] = []
        for word in wanted:
            own = _column_named(word, table.columns)
            if own is None:
                raise SchemaMismatch(
                    f"{source.uri} has no column {word!r}, which spec.data.tables.{name}.columns.{column} names"
                    f"{_nearest(word, table.columns)} It has {_listed(table.columns)}.{_headerless(source, table)}"
                )
            found[column].append(_single(own, column, name, source, read.remarks))
    for column in schemas.READABLE[name].required:
        if column not in found:
            left = [own for own in table.columns if [own] not in found.values() and own not in canonical]
            raise SchemaMismatch(
                f"{source.uri} has no column {column!r}{_nearest(column, left)} It has "
                f"{_listed(table.columns)}. Say which one it is: spec.data.tables.{name}.columns: {{{column}: ...}}."
                f"{_headerless(source, table)}"
            )
        _refuse_files_without(found[column][0], column, name, source, read)
    return _Raw(name=name, source=source, table=table, found=found, remarks=read.remarks)


def _refuse_files_without(own: str, column: str, name: str, source: TableSource, read: sources.Raw) -> None:
    """Of many files, one without what every row needs is another table, or names it otherwise."""
    if read.remarks.files_without.get(own, 0) > UNREADABLE_SHARE * read.table.height:
        file, columns = read.remarks.first_without[own]
        lacking = pl.DataFrame({each: [] for each in columns})
        raise SchemaMismatch(
            f"{source.uri}: {file} has no column {own!r}, the {column} of {name}, which other files have"
            f"{_nearest(own, columns)} It has {_listed(columns)}. Name its columns as the others', or let uri name only the "
            f"files that belong together, e.g. by a pattern.{_headerless(source, lacking)}"
        )


def _single(own: str, column: str, name: str, source: TableSource, remarks: Remarks) -> str:
    """Refuses a name that the header holds twice."""
    if own in remarks.repeated:
        raise SchemaMismatch(
            f"{source.uri} has two columns {own!r}, and it is the {column} of {name}. Name them apart in the file, or by "
            "header: [...]."
        )
    return own


def _column_named(word: str, columns: list[str]) -> str | None:
    """The column of that name; RecBole's files add a type to each, as in ``user_id:token``."""
    if word in columns:
        return word
    return next((c for c in columns if c.partition(":")[0] == word and c.partition(":")[2] in _RECBOLE), None)


def _listed(columns: list[str]) -> str:
    return ", ".join(columns[:40]) + (f" and {len(columns) - 40} more" if len(columns) > 40 else "")


def _headerless(source: TableSource, table: pl.DataFrame) -> str:
    """The likely reason, where names of columns look like values."""
    numbers = sum(name.replace(".", "", 1).replace("-", "", 1).isdigit() for name in table.columns)
    if source.header or numbers * 2 < len(table.columns):
        return ""
    return (
        " These look like values: if the file has no header line, name its columns in order, header: [user, item, ...]."
    )


def _typed(raw: _Raw, loaded: Loaded, *, further: bool = False) -> pl.DataFrame:
    """The found columns under their canonical names and types; with ``further``, the others as text too."""
    _note_remarks(raw, loaded)
    columns = {}
    single = {role: raw.values(names[0]) for role, names in raw.found.items() if role in _NUMBERS}
    numbers = read_table({role: values for role, values in single.items() if not values.dtype.is_nested()})
    for column, (name, *rest) in raw.found.items():
        values = raw.values(name)
        _refuse_nested(raw, column, [name, *rest])
        _refuse_empty(raw, column, values)
        if column == "time":
            columns[column] = _time(raw, values, loaded)
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


def _id(raw: _Raw, column: str, values: pl.Series, loaded: Loaded) -> pl.Series:
    ids, counts = canonical_ids(values, where=f"{raw.source.uri}: column {values.name!r}")
    loaded.note(
        f"{column}_padded", raw.name, counts["padded"], "changed",
        f"Space around the id of the {column}, as of columns of fixed width; it was taken away.",
    )  # fmt: skip
    loaded.note(
        f"{column}_with_point", raw.name, counts["pointed"], "changed",
        f"Every {column} is a whole number, and some are written with a point, as in 1001.0: read as 1001.", tell=True,
    )  # fmt: skip
    _tell_parted(raw, column, ids, loaded)
    if column in ("shop", "basket"):
        loaded.note(
            f"{column}_nothing", raw.name, counts["nothing"], "changed", "A word such as NULL or nan; it became null."
        )
    return ids


def _tell_parted(raw: _Raw, column: str, ids: pl.Series, loaded: Loaded) -> None:
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


def _named(raw: _Raw, column: str, values: pl.Series, loaded: Loaded) -> pl.Series:
    """Without what programs write where there is no name."""
    if values.dtype != pl.String:
        return values
    absent = values.str.strip_chars().is_in(NO_NAME).fill_null(False)
    loaded.note(
        f"{column}_nothing", raw.name, int(absent.sum()), "changed", "A word such as NULL or nan; it became null."
    )
    return values.set(absent, None) if absent.any() else values


def _tell_empty(raw: _Raw, column: str, values: pl.Series, loaded: Loaded) -> None:
    if column == "kind":
        return
    empty = int((values.list.len() == 0).sum()) if column == "category" else values.null_count()
    if empty == values.len():
        loaded.note(
            f"{column}_empty", raw.name, empty, "warned",
            f"{raw.field}.columns.{column} names {' and '.join(raw.found[column])}, which is empty in every row: nothing is "
            "known of it.", tell=True,
        )  # fmt: skip


def _note_remarks(raw: _Raw, loaded: Loaded) -> None:
    """What had to be done to read the files."""
    remarks = raw.remarks
    read_as = " and ".join(map(encodings.said, sorted(remarks.recoded)))
    loaded.note(
        "lines_not_utf8", raw.name, remarks.recoded.total(), "changed",
        f"These lines are not UTF-8; they were read as {read_as}. If names look wrong, write {raw.field}.encoding, or save "
        "the file as UTF-8.", tell=True,
    )  # fmt: skip
    loaded.note(
        "lines_with_other_columns", raw.name, remarks.ragged, "dropped",
        f"Lines with another number of columns than the first, e.g. {remarks.example!r}. Quote what holds the separator.",
        tell=True,
    )  # fmt: skip
    loaded.note(
        "rows_with_an_empty_list", raw.name, remarks.empty_lists, "dropped",
        f"Rows whose list, which {raw.field}.explode names, holds nothing.", tell=True,
    )  # fmt: skip
    loaded.note(
        "lines_above_the_header", raw.name, len(remarks.above), "dropped",
        f"Lines above the names of the columns, no part of the table, e.g. {(remarks.above or [''])[0][:200]!r}.", tell=True,
    )  # fmt: skip
    loaded.note(
        "header_again", raw.name, remarks.headers, "dropped",
        "Lines that hold the names of the columns once more, as where files were put together.",
    )  # fmt: skip
    loaded.note(
        "lines_filled_up", raw.name, remarks.mended, "changed",
        "Lines with fewer columns than the first; what is missing at their end is null.",
    )  # fmt: skip
    for column, names in raw.found.items():
        without = remarks.files_without.get(names[0], 0)
        if column != "kind":
            loaded.note(
                f"{column}_not_in_every_file", raw.name, without, "changed",
                f"These rows come from files without the column {names[0]!r}, which others have; it is null for them.",
                tell=True,
            )  # fmt: skip


def _refuse_nested(raw: _Raw, column: str, names: list[str]) -> None:
    """Only a category may come as a list, and then of single values."""
    for name in names:
        dtype = raw.table[name].dtype
        is_path = column == "category" and len(names) == 1
        is_path = is_path and isinstance(dtype, pl.List) and not dtype.inner.is_nested()
        if dtype.is_nested() and not is_path:
            raise SchemaMismatch(
                f"{raw.source.uri}: column {name!r} holds {dtype} where single values are expected. Unnest it first, or name "
                "it in spec.data.tables.interactions.explode, where a row holds several items."
            )


def _refuse_empty(raw: _Raw, column: str, values: pl.Series) -> None:
    needed = column in schemas.READABLE[raw.name].required
    if needed and _is_empty(values.head(SEEN_FIRST)) and _is_empty(values):
        raise TableEmpty(
            f"{raw.source.uri}: column {values.name!r} is empty in all {values.len():,} rows, and {raw.name} needs "
            f"{column}. Fill it, or name another column in spec.data.tables.{raw.name}.columns."
            + (f" {NOBODY_KNOWN}" if column == "user" else "")
        )


def _is_empty(values: pl.Series) -> bool:
    return text_of(values).null_count() == values.len()


def _time(raw: _Raw, values: pl.Series, loaded: Loaded) -> pl.Series:
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
            advice = times.advice_for_numbers(values.filter(bad), field=field)
        else:
            advice = times.advice(text_of(values).filter(bad), field=field)
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


def _number(raw: _Raw, column: str, values: pl.Series, read: Numbers, loaded: Loaded) -> pl.Series:
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


def _refuse_other_type(raw: _Raw, values: pl.Series, bad: pl.Series, expected: str, advice: str) -> None:
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
        return first.cast(pl.List(pl.String))
    if len(levels) == 1:
        text = text_of(first)
        parts = (
            text.str.split(separator)
            if separator
            else text.to_frame("level").select(pl.concat_list("level")).to_series()
        )
        parts = parts.list.eval(pl.element().str.strip_chars())
        return parts.list.eval(pl.element().filter(pl.element().is_not_null() & (pl.element() != ""))).fill_null([])
    frame = pl.DataFrame({str(n): text_of(level) for n, level in enumerate(levels)})
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
