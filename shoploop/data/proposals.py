"""A table that was looked at: which of its columns is proposed for what, what follows from these, and what is left unread.

Proposals, never decisions: each says why it was made and whether there is a doubt. How they are made is
:mod:`shoploop.data.schema_matching`'s to know.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import polars as pl

from shoploop.data import column_mapping
from shoploop.data.column import LIKELY, MOST_CODES, TOKEN, Column, worth_of_name
from shoploop.data.column_names import CODES, CURRENCIES, LINE_NUMBERS, NOT_WANTED, foreign_kind, plain_word
from shoploop.data.dependence import follows
from shoploop.data.ids import are_empty, text_of
from shoploop.data.kinds import RETURN, SIGNS_OF_ORDERS, meaning, optional_rating
from shoploop.data.searchable import columns_with_words

EVENT_COLUMNS = ("user", "item", "time", "kind", "rating", "quantity", "price", "shop", "basket", "title", "category",
                 "brand", "image")  # fmt: skip
ITEM_COLUMNS = ("item", "title", "category", "brand", "price", "image", "ends")
SEARCH_COLUMNS = ("query", "item", "time", "user", "kind")

DESCRIBING = column_mapping.ITEM_COLUMNS
"""Columns of a log that describe its items; a table of items says it instead, where there is one."""

NEEDED = {"interactions": ("user", "item", "time"), "items": ("item",), "searches": ("query", "item", "time")}

STARS = (3, 10)
"""Different numbers that a scale of stars or marks has, fewest and most; the last is also its end."""

_WHOSE = ("user", "basket")
"""Of a log without users, what may stand for them."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """One canonical column, and which of the table's own it may be."""

    columns: tuple[str, ...]
    sure: bool
    why: str


@dataclass(kw_only=True)
class Guess:
    """A table that was looked at."""

    table: pl.DataFrame
    header: tuple[str, ...] = ()
    """Names that were given to the columns of a file without a header line."""

    found: dict[str, Proposal] = field(default_factory=dict)
    time_format: str | None = None
    time_doubt: str = ""
    """Another pattern that fits every time as well."""

    explode: str | None = None
    """A column whose lists became rows, in ``table``."""

    explode_separator: str | None = None

    time_advice: str = ""
    """What to do where nothing is known that reads every time of a column that somebody named."""

    zoned: bool = True
    """Whether every time carries its zone."""

    kinds: dict[str, str] = field(default_factory=dict)
    """Words that have to be mapped, and to what."""

    words: dict[str, int] = field(default_factory=dict)
    """Every word of the column of kinds, with rows."""

    kinds_sure: bool = True
    kinds_open: list[str] = field(default_factory=list)
    """Words of which nobody knows which one people want: none is mapped, and a run says so."""

    outcomes: dict[str, float] = field(default_factory=dict)
    """Words of what became of a choice that the log tells before, and the share of their rows of which it does."""

    price_is: str | None = None
    price_sure: bool = True
    rating_aside: Proposal | None = None
    """Ratings beside a column of kinds, which says more; they count again where that is taken for something else."""

    perhaps_ends: Proposal | None = None
    """Of a table of items: a column that may say until when each can be bought, which somebody has to say."""

    @property
    def category_separator(self) -> str | None:
        """What divides a category's levels, where they stand in one text."""
        category = self.found.get("category")
        return _separator(self.table[category.columns[0]]) if category and len(category.columns) == 1 else None

    def left_out(self, roles: Iterable[str]) -> dict[str, str]:
        """Roles whose very name a column has that cannot be read as such, and the column: a run would end at it."""
        numbers = [role for role in roles if role in ("quantity", "price", "rating") and role in self.table.columns]
        columns = {role: Column(self.table[role]) for role in numbers if role not in self.found}
        return {
            role: role for role, c in columns.items() if c.nested or (c.numbers is None and not c.sample.is_empty())
        }

    @property
    def without_user(self) -> pl.DataFrame:
        """Rows of a log that name no user, which loading leaves out, with ``basket`` where there is one."""
        if "user" not in self.found:
            return pl.DataFrame()
        rows = self.table.filter(are_empty(self.table[self.found["user"].columns[0]]))
        return rows.select(
            text_of(rows[one.columns[0]]).alias(role) for role, one in self.found.items() if role in _WHOSE
        )

    @property
    def bought_unrated(self) -> tuple[int, list[str]] | None:
        """Of a log of orders with ratings and without kinds: the rows that have none and are purchases all the same, and the
        columns that say that something was bought."""
        if "rating" not in self.found or "kind" in self.found:
            return None
        (column,) = self.found["rating"].columns
        without = int(are_empty(self.table[column]).sum())
        signs = [role for role in SIGNS_OF_ORDERS if role in self.found]
        return (without, signs) if optional_rating(signs, without=without, rows=self.table.height) else None

    @property
    def searchable(self) -> list[str]:
        """Of a table of items: further columns whose words a search should find."""
        return columns_with_words(self.table.select(self.unread))

    @property
    def unread(self) -> list[str]:
        used = {column for proposal in self.found.values() for column in proposal.columns}
        return [name for name in self.table.columns if name not in used]

    @property
    def perhaps_ratings(self) -> dict[str, tuple[int, int]]:
        """Of a log that says neither what people did nor how they liked it: columns that are not read and hold few whole
        numbers, as stars do, and the least and the largest of them."""
        if "kind" in self.found or "rating" in self.found:
            return {}
        columns = [c for c in map(Column, (self.table[name] for name in self.unread)) if c.whole]
        numbers = {
            c.name: c.numbers for c in columns if STARS[0] <= c.distinct <= STARS[1] and c.word not in LINE_NUMBERS
        }
        ends = {name: (int(of.min()), int(of.max())) for name, of in numbers.items() if of is not None}  # type: ignore[arg-type]
        return {name: (low, high) for name, (low, high) in ends.items() if low >= 0 and high <= STARS[1]}

    @property
    def perhaps_searches(self) -> str | None:
        """Of a log: the column of what was typed, where none says what people did; this is then a table of searches."""
        if "kind" in self.found or "rating" in self.found or "price" in self.found:
            return None
        columns = [Column(self.table[name]) for name in self.unread]
        typed = [c.name for c in columns if worth_of_name("query", c) >= LIKELY and not c.nested and c.numbers is None]
        return next((name for name in typed if not Column(self.table[name]).sample.is_empty()), None)

    @property
    def currencies(self) -> tuple[str, dict[str, int]] | None:
        """The column that says in which money the prices are, and what it says with its rows, where that is not one alone."""
        for column in map(Column, (self.table[name] for name in self.unread)):
            if "price" in self.found and column.word in CURRENCIES and len(column.words) > 1:
                return column.name, _rows_of(column)
        return None

    @property
    def perhaps_kinds(self) -> dict[str, dict[str, int]]:
        """Columns of a log that are not read and whose few words may say what a row is, and these with their rows.

        What follows from the item or the user describes these. Where a column of kinds is read, only those are left that
        have a word of returns, which come first anyhow.
        """
        ids = [self.table[self.found[role].columns[0]] for role in ("user", "item") if role in self.found]
        found, back = {}, set[str]()
        for column in map(Column, (self.table[name] for name in self.unread)):
            if column.nested or column.clock or column.numbers is not None or not 2 <= column.distinct <= MOST_CODES:
                continue
            if column.word in CURRENCIES or worth_of_name("query", column) > TOKEN:
                continue
            if any(worth_of_name(role, column) >= LIKELY for role in EVENT_COLUMNS if role != "kind"):
                continue  # a price in several currencies
            said = {meaning(word) or CODES.get(plain_word(word)) or foreign_kind(word) for word in column.words}
            if RETURN not in said and "kind" in self.found:
                continue
            if column.flag and not NOT_WANTED & set(column.tokens):
                continue
            if any(follows(column.values, one) for one in ids):
                continue
            found[column.name] = _rows_of(column)
            if RETURN in said:
                back.add(column.name)
        return {name: found[name] for name in sorted(found, key=lambda name: name not in back)}


def _rows_of(column: Column) -> dict[str, int]:
    """What it says, with the rows that say so, most first."""
    counts = text_of(column.values).drop_nulls().value_counts(sort=True)
    return {str(word): int(rows) for word, rows in counts.iter_rows()}


def _separator(values: pl.Series) -> str | None:
    """What divides one text into levels, where much of the column has it."""
    if values.dtype != pl.String:
        return None
    text = values.drop_nulls()
    for sign in (" > ", ">", "|", "///", "/"):
        if int(text.str.contains(sign, literal=True).sum()) > 0.3 * text.len():
            return sign.strip()
    return None
