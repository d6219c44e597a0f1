"""Whether tables fit each other: ids of the interactions that the table of items, users or shops does not know, and why.

Most often one of the two has lost something on its way: a point gained, leading zeros or the case of letters lost.
"""

from collections.abc import Callable, Mapping

import polars as pl

from shoploop.data.rules import Loaded
from shoploop.errors import SchemaMismatch

STOP_WITH_CAUSE = 0.5
"""The run stops above this share of rows whose id is not listed, where writing ids alike would mend most of them."""

STOP_WITHOUT_CAUSE = {"items": 0.95}
"""The run stops from this share on where no cause is found: a table of other things was named. A table of users or of shops
may describe a few only; there it stops where nothing matches at all."""

TOLD = 0.05
"""Above this share it is told on the console, below only in the report."""

MENDS = 0.8
"""What would mend more than this share of the rows is the cause."""

FEWEST_IDS = 3
"""Another column of so many different values may be what the table lists; a flag of two is not told from chance."""

FEWEST_ROWS = 5
"""Below this nothing is told and nothing stops."""

CAUSES: tuple[tuple[str, Callable[[pl.Expr], pl.Expr], str], ...] = (
    (
        "a decimal point",
        lambda ids: ids.str.replace(r"\.0+$", ""),
        "One of the two was written as a decimal number (pandas does so where a column has gaps): write it as whole "
        'numbers, e.g. astype("Int64"), or as text.',
    ),
    (
        "leading zeros",
        lambda ids: ids.str.replace(r"\.0+$", "").str.strip_chars_start("0"),
        "One of the two has lost its leading zeros, as spreadsheets and number columns do: export it as text.",
    ),
    (
        "how letters with accents are coded",
        lambda ids: ids.str.normalize("NFKC"),
        "They look the same and are not: write both in the same form of Unicode, e.g. NFC.",
    ),
    ("upper and lower case", lambda ids: ids.str.to_lowercase(), "Write ids in the same case in both."),
    (
        "signs around or within the id",
        lambda ids: ids.str.to_lowercase().str.replace_all(r"[^\p{L}\p{N}]", "").str.strip_chars_start("0"),
        "Write ids in the same way in both: they differ in quotes, dashes, spaces or the like.",
    ),
    (
        "a prefix or its type",
        lambda ids: ids.str.extract(r"([0-9]+)\D*$", 1).str.strip_chars_start("0"),
        "The digits are the same, what stands before or after them is not: write ids in the same way in both.",
    ),
)
"""What may differ, how to make it alike, and how to mend it; the likeliest first."""


def check_fit(events: pl.DataFrame, listed: pl.DataFrame, *, name: str, key: str, loaded: Loaded) -> None:
    """Tells where many interactions name an id that the table lacks, with the likely cause.

    Raises:
        SchemaMismatch: too many do.
    """
    rows = events.select(key).drop_nulls().group_by(key).len("rows")
    total = int(rows["rows"].sum())
    lacking = rows.join(listed.select(key), on=key, how="anti")
    lost = int(lacking["rows"].sum())
    if total < FEWEST_ROWS or lost <= TOLD * total:
        return
    share = lost / total
    mine, theirs = (", ".join(map(repr, sorted(ids)[:3])) for ids in (lacking[key].to_list(), listed[key].to_list()))
    what = (
        f"{share:.0%} of the interactions ({lost:,} of {total:,} rows) name {'an' if key == 'item' else 'a'} {key} that the "
        f"table of {name} does not have, e.g. {mine}; it has {theirs}."
    )
    cause = _cause(lacking, listed, key, lost)
    other = loaded.fits_instead.get(name)
    if other is not None and cause is None:
        column, fits = other
        message = (
            f"{what} Column {column!r} of the interactions fits: the table has {fits:.0%} of what it holds. Write columns: "
            f"{{{key}: {column}}} in spec.data.tables.interactions if that is the {key}."
        )
        if share >= STOP_WITHOUT_CAUSE.get(name, 1.0):
            raise SchemaMismatch(f"Tables do not fit each other: {message}")
    elif cause is not None:
        differ, remedy = cause
        message = f"{what} They differ in {differ}. {remedy}"
        if share > STOP_WITH_CAUSE:
            raise SchemaMismatch(f"Tables do not fit each other: {message}")
    else:
        message = f"{what} Check that both tables name {name} by the same id."
        if share >= STOP_WITHOUT_CAUSE.get(name, 1.0) and listed.height > 1:
            raise SchemaMismatch(
                f"Tables do not fit each other: {message} Where they are right, leave spec.data.tables.{name} out."
            )
    loaded.tell(message)


def fitting_column(columns: Mapping[str, pl.Series], listed: pl.Series) -> tuple[str, float] | None:
    """The column of a log that names what a table lists, and the share of its values that are there.

    Args:
        columns: The log's that may be it.
        listed: The table's ids.
    """
    shares = {}
    known = listed.drop_nulls().unique()
    for name, values in columns.items():
        ids = values.drop_nulls().unique()
        there = int(ids.is_in(known.implode()).sum())
        if ids.len() >= min(FEWEST_IDS, known.len()) and there >= MENDS * ids.len():
            shares[name] = (there / ids.len(), there)
    best = max(shares, key=lambda name: shares[name], default=None)
    return None if best is None else (best, shares[best][0])


def mended_by(ids: pl.Series, listed: pl.Series) -> bool:
    """Whether a table lists most of these different ids once both are written alike."""
    lacking = pl.DataFrame({"id": ids, "rows": pl.repeat(1, len(ids), eager=True)})
    return _cause(lacking, pl.DataFrame({"id": listed}), "id", len(ids)) is not None


def _cause(lacking: pl.DataFrame, listed: pl.DataFrame, key: str, lost: int) -> tuple[str, str] | None:
    for differ, alike, remedy in CAUSES:
        same = alike(pl.col(key)).alias("alike")
        left = lacking.select(same, "rows").filter(pl.col("alike").is_not_null() & (pl.col("alike") != ""))
        right = listed.select(same).drop_nulls().unique()
        ids_stay_apart = left["alike"].n_unique() * 2 > left.height
        if ids_stay_apart and left.join(right, on="alike", how="semi")["rows"].sum() > MENDS * lost:
            return differ, remedy
    return None
