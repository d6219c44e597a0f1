"""One table of one's own as its files hold it, and where each canonical column lies in it: by the spec's mapping, or by name.

It must not know what stands in the columns; reading that is :mod:`shoploop.data.casting`'s.
"""

import difflib
from dataclasses import dataclass

import polars as pl

from shoploop import schemas
from shoploop.api.v1alpha1 import InteractionsSource, TableSource
from shoploop.data import encodings, sources, times
from shoploop.data.formats import Remarks
from shoploop.data.ids import safe_name
from shoploop.data.lists import exploded
from shoploop.data.rules import Loaded
from shoploop.errors import SchemaMismatch, SpecInvalid

ITEM_COLUMNS = ("title", "category", "brand", "image")
"""Columns by which interactions may describe their item."""

MOST_WITHOUT = 0.05
"""Of many files, those without a column that every row needs may have this share of the rows."""

_RECBOLE = ("token", "token_seq", "float", "float_seq")


@dataclass(frozen=True, kw_only=True)
class Mapped:
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


def open_table(name: str, source: TableSource, *, also: tuple[str, ...] = ()) -> Mapped:
    times.check_zone(source.time_zone, field=f"spec.data.tables.{name}.timeZone")
    canonical = [*schemas.READABLE[name].schema.names, *also, *(["rating"] if name == "interactions" else [])]
    for column in source.columns:
        if name in ("interactions", "offers") and column not in canonical:
            raise SpecInvalid(
                f"spec.data.tables.{name}.columns: {column!r} is no column of {name}{nearest(column, canonical)} "
                f"Columns: {', '.join(canonical)}."
            )
    read = sources.read(source, field=f"spec.data.tables.{name}")
    table = read.table
    if isinstance(source, InteractionsSource) and source.explode is not None:
        table, read.remarks.empty_lists = exploded(table, source)
    for taken in (schemas.LISTED, schemas.ENDS, schemas.WORDS):
        if taken in table.columns:
            raise SchemaMismatch(
                f"{source.uri} has a column {taken!r}, a name that shoploop uses itself. Rename it in the file."
            )
    mapped = set(canonical) | set(source.columns)
    found: dict[str, list[str]] = {}
    for column in sorted(mapped):
        named = source.columns.get(column)
        if named is None:
            own = column_named(column, table.columns)
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
            own = column_named(word, table.columns)
            if own is None:
                raise SchemaMismatch(
                    f"{source.uri} has no column {word!r}, which spec.data.tables.{name}.columns.{column} names"
                    f"{nearest(word, table.columns)} It has {listed(table.columns)}.{_headerless(source, table)}"
                )
            found[column].append(_single(own, column, name, source, read.remarks))
    for column in schemas.READABLE[name].required:
        if column not in found:
            left = [own for own in table.columns if [own] not in found.values() and own not in canonical]
            raise SchemaMismatch(
                f"{source.uri} has no column {column!r}{nearest(column, left)} It has "
                f"{listed(table.columns)}. Say which one it is: spec.data.tables.{name}.columns: {{{column}: ...}}."
                f"{_headerless(source, table)}"
            )
        _refuse_files_without(found[column][0], column, name, source, read)
    return Mapped(name=name, source=source, table=table, found=found, remarks=read.remarks)


def _refuse_files_without(own: str, column: str, name: str, source: TableSource, read: sources.Raw) -> None:
    """Of many files, one without what every row needs is another table, or names it otherwise."""
    if read.remarks.files_without.get(own, 0) > MOST_WITHOUT * read.table.height:
        file, columns = read.remarks.first_without[own]
        lacking = pl.DataFrame({each: [] for each in columns})
        raise SchemaMismatch(
            f"{source.uri}: {file} has no column {own!r}, the {column} of {name}, which other files have"
            f"{nearest(own, columns)} It has {listed(columns)}. Name its columns as the others', or let uri name only the "
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


def column_named(word: str, columns: list[str]) -> str | None:
    """The column of that name; RecBole's files add a type to each, as in ``user_id:token``."""
    if word in columns:
        return word
    return next((c for c in columns if c.partition(":")[0] == word and c.partition(":")[2] in _RECBOLE), None)


def listed(columns: list[str]) -> str:
    return ", ".join(columns[:40]) + (f" and {len(columns) - 40} more" if len(columns) > 40 else "")


def _headerless(source: TableSource, table: pl.DataFrame) -> str:
    """The likely reason, where names of columns look like values."""
    numbers = sum(name.replace(".", "", 1).replace("-", "", 1).isdigit() for name in table.columns)
    if source.header or numbers * 2 < len(table.columns):
        return ""
    return (
        " These look like values: if the file has no header line, name its columns in order, header: [user, item, ...]."
    )


def refuse_nested(raw: Mapped, column: str, names: list[str]) -> None:
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


def note_remarks(raw: Mapped, loaded: Loaded) -> None:
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


def note_ignored(raw: Mapped, loaded: Loaded) -> None:
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


def nearest(word: str, choices: list[str]) -> str:
    near = difflib.get_close_matches(word.lower(), [choice.lower() for choice in choices], n=1, cutoff=0.5)
    original = next((choice for choice in choices if near and choice.lower() == near[0]), None)
    return f"; did you mean {original!r}?" if original else "."
