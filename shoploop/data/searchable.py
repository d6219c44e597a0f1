"""Which further columns of a table of items hold words that shoppers type: who made it, what it is made of, its colour."""

from collections.abc import Collection

import polars as pl

from shoploop.data.column_names import FLAGS
from shoploop.data.ids import text_of

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


def columns_with_words(items: pl.DataFrame, *, taken: Collection[str]) -> list[str]:
    """The columns whose words a search should find.

    Args:
        items: As their file holds them.
        taken: Columns that say something else already.
    """
    return [name for name in items.columns if name not in taken and _in_words(items[name].head(LOOKED_AT))]


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
