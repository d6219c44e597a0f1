"""Further columns of a table of items whose words a search finds: who made it, what it is made of, its colour."""

import polars as pl

from shoploop import schemas
from shoploop.api.v1alpha1 import ItemsSource
from shoploop.data.column_mapping import Mapped, column_named, listed, nearest
from shoploop.data.column_names import FLAGS
from shoploop.data.ids import text_of
from shoploop.errors import SchemaMismatch

LOOKED_AT = 10_000
"""Rows."""

MOST_WORDS = 6.0
"""On average; what is longer describes, and makes names weigh less."""

FILLED, IN_WORDS = 0.3, 0.9
"""Shares: of the rows that have a value, and of the values that hold a word and nothing that only a machine reads."""

LEAST_WORD = r"\p{L}{3}|[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]"
"""Letters in a row; of scripts that need few of them, one."""

OF_MACHINES = r"(?i)://|^www\.|^[/.~]|@\S+\.|\.(?:jpe?g|png|webp|gif|html?|pdf)$|^\{|<\w+|\p{L}[0-9]|[0-9]\p{L}|_|\d{4}-\d\d|\d:\d\d"
"""Addresses, paths, files, markup, times, and codes, whose letters and digits stand together or are joined by a line."""

MANY = 200
"""From so many values on, of which nearly each is another, they name one item each: a second title, or a code in letters."""

NEARLY_EACH = 0.9


def words_of(raw: Mapped, source: ItemsSource) -> list[pl.Series]:
    """The columns that the spec names, as texts.

    Raises:
        SchemaMismatch: one is not there, or holds neither texts nor lists of texts.
    """
    found = []
    for number, word in enumerate(source.searchable):
        own = column_named(word, raw.table.columns)
        if own is None:
            raise SchemaMismatch(
                f"{source.uri} has no column {word!r}, which {raw.field}.searchable names"
                f"{nearest(word, raw.table.columns)} It has {listed(raw.table.columns)}."
            )
        values = raw.table[own].alias(str(number))
        if isinstance(values.dtype, pl.List) and not values.dtype.inner.is_nested():
            values = values.list.eval(pl.element().cast(pl.String)).list.join(" ", ignore_nulls=True)
        elif values.dtype.is_nested():
            raise SchemaMismatch(
                f"{source.uri}: column {own!r}, which {raw.field}.searchable names, holds neither texts nor lists of texts."
            )
        found.append(text_of(values))
    return found


def with_words(table: pl.DataFrame, raw: Mapped, source: ItemsSource) -> pl.DataFrame:
    """The items with what a search finds beside their names, where the spec names columns of that."""
    if not (words := words_of(raw, source)):
        return table
    together = pl.DataFrame(words).select(
        pl.concat_str(pl.all(), separator=" ", ignore_nulls=True).alias(schemas.WORDS)
    )
    return table.with_columns(text_of(together[schemas.WORDS]))


def columns_with_words(items: pl.DataFrame) -> list[str]:
    """The columns whose words a search should find.

    Args:
        items: As their file holds them, without the columns that say something else already.
    """
    return [name for name in items.columns if _in_words(items[name].head(LOOKED_AT))]


def _in_words(column: pl.Series) -> bool:
    dtype = column.dtype
    if isinstance(dtype, pl.List) and dtype.inner == pl.String:
        column = column.list.join(" ", ignore_nulls=True)
    elif dtype not in (pl.String, pl.Categorical, pl.Enum):
        return False
    values = text_of(column).drop_nulls()
    if values.len() < max(FILLED * column.len(), 1) or values.n_unique() < 2:
        return False
    if values.n_unique() > max(MANY, NEARLY_EACH * values.len()):
        return False
    if values.str.to_lowercase().is_in(list(FLAGS)).all():
        return False
    if float(values.str.count_matches(r"\S+").mean() or 0) > MOST_WORDS:  # type: ignore[arg-type]
        return False
    words = values.str.contains(LEAST_WORD) & ~values.str.contains(OF_MACHINES)
    return float(words.mean() or 0) >= IN_WORDS  # type: ignore[arg-type]
