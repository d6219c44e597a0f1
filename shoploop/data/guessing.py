"""What the columns of somebody's table most likely mean, by their names and by what they hold: proposals, never decisions.

Each proposal says why it was made and whether there is a doubt, so that a person can be asked where there is one. What a
proposal becomes is read by the loading of any run; here nothing is read in another way.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import polars as pl

from shoploop.api.v1alpha1 import InteractionsSource, TableSource
from shoploop.data import lists, sources, tables, times
from shoploop.data.column import (
    HELD,
    LIKELY,
    MOST_CODES,
    SAMPLE_ROWS,
    TOKEN,
    Column,
    may_be,
    worth_of_content,
    worth_of_name,
)
from shoploop.data.column_names import (
    CODES,
    CURRENCIES,
    ENDINGS_OF_IDS,
    FLAGS,
    FOREIGN_WORDS,
    LINE_NUMBERS,
    NAMES,
    NOT_WANTED,
    PARTS_OF_KINDS,
    TAKEN_BACK,
)
from shoploop.data.decimals import read_table
from shoploop.data.dependence import follows
from shoploop.data.ids import are_empty, text_of
from shoploop.data.kinds import PURCHASE, RETURN, meaning
from shoploop.data.overlaps import OVERLAPS, known_share, most_shared
from shoploop.errors import SchemaMismatch

EVENT_COLUMNS = ("user", "item", "time", "kind", "rating", "quantity", "price", "shop", "basket", "title", "category",
                 "brand", "image")  # fmt: skip
ITEM_COLUMNS = ("item", "title", "category", "brand", "price", "image")
SEARCH_COLUMNS = ("query", "item", "time", "user")
DESCRIBING = tables.ITEM_COLUMNS
"""Columns of a log that describe its items; a table of items says it instead, where there is one."""

OF_ENTRIES = ("item", "quantity", "price", "title", "category", "brand", "image")
"""Of a list in a row: what is said of each of its entries."""

NEEDED = {"interactions": ("user", "item", "time"), "items": ("item",), "searches": ("query", "item", "time")}


STARS = (3, 10)
"""Different numbers that a scale of stars or marks has, fewest and most; the last is also its end."""

GAPS = 0.05
"""When something was done is known of all but this share of rows."""

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
    price_is: str | None = None
    price_sure: bool = True
    rating_aside: Proposal | None = None
    """Ratings beside a column of kinds, which says more; they count again where that is taken for something else."""

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
            if column.word in CURRENCIES:
                continue
            if any(worth_of_name(role, column) >= LIKELY for role in EVENT_COLUMNS if role != "kind"):
                continue  # a price in several currencies
            said = {meaning(word) or CODES.get(word) or FOREIGN_WORDS.get(word) for word in column.words}
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


def guess_events(uri: str, given: Mapping[str, str] | None = None, *, items_uri: str | None = None) -> Guess:
    """Looks at a log.

    Args:
        uri: As in the spec.
        given: Canonical column to the table's, where somebody knows it.
        items_uri: The table of items: what it lists tells which column of the log is the item, where no name does. What
            the log itself says of its items is then not read.

    Raises:
        DataUnreadable, TableEmpty: as reading it in a run.
        SchemaMismatch: a given column is not there.
    """
    guess = Guess(table=pl.DataFrame())
    guess.table, guess.header = _read(uri)
    parted = _parted(guess, uri, given or {})
    columns = _columns(guess.table)
    known = parted | _given(given or {}, columns, uri)
    guess.found = _of_log(columns, known, headerless=bool(guess.header))
    if guess.explode is not None:  # what stands beside the list is the order's, and no entry's
        guess.found = {role: one for role, one in guess.found.items() if role in known or role not in OF_ENTRIES}
    item = guess.found.get("item")
    if items_uri is not None and "item" not in known and not (item and item.sure):
        known |= _listed_in(_read(items_uri)[0], columns, item)
        guess.found = _of_log(columns, known, headerless=bool(guess.header))
    if items_uri is not None:  # dropped only now: a title is not taken for a user because it is not read
        guess.found = {role: one for role, one in guess.found.items() if role not in DESCRIBING}
    read_meanings(guess, columns)
    return guess


def _parted(guess: Guess, uri: str, given: Mapping[str, str]) -> dict[str, Proposal]:
    """Gives each entry of a row's list a row of its own, where the entries are items; what is known of them then."""
    named: dict[str, tuple[float, pl.DataFrame, dict[str, Proposal]]] = {}
    for column in lists.of_objects(guess.table):
        if not given.get("item", f"{column}.").startswith(f"{column}."):
            continue
        table, _ = lists.exploded(guess.table, InteractionsSource(uri=uri, explode=column))
        inner = table.select(name for name in table.columns if name.startswith(f"{column}."))
        bare = inner.rename({name: name.removeprefix(f"{column}.") for name in inner.columns})
        found = _proposals(_columns(bare), OF_ENTRIES, {}, headerless=False)
        worth = worth_of_name("item", Column(bare[found["item"].columns[0]])) if "item" in found else 0.0
        if worth >= LIKELY:  # else they are taxes, parameters or whatever else a row may have several of
            named[column] = worth, table, found
    if named:
        column = max(named, key=lambda name: named[name][0])
        _, guess.table, found = named[column]
        guess.explode = column
        return {
            role: replace(one, columns=tuple(f"{column}.{name}" for name in one.columns)) for role, one in found.items()
        }
    for text in map(Column, guess.table):
        called = Column(pl.Series(text.name.rstrip("sS"), [], dtype=pl.String))
        if text.name != given.get("item", text.name) or not (
            worth_of_name("item", text) or worth_of_name("item", called)
        ):
            continue
        separator = lists.divided_by(text.values)
        if separator is None:
            continue
        source = InteractionsSource(uri=uri, explode=text.name, explode_separator=separator or None)
        with suppress(SchemaMismatch):  # [red] looks like JSON and is none
            guess.table, _ = lists.exploded(guess.table, source)
            guess.explode, guess.explode_separator = source.explode, source.explode_separator
            return {"item": Proposal(columns=(text.name,), sure=False, why="each row holds a list of them")}
    return {}


def read_meanings(guess: Guess, columns: Sequence[Column] | None = None) -> None:
    """What follows from the columns of a log: how times are written, what the words of kinds mean, what a price is of.

    It forgets what was said of other columns: call it again where one was changed.

    Args:
        guess: The log.
        columns: All of its columns, where they were looked at already.
    """
    by_name = {column.name: column for column in columns or _columns(guess.table)}
    guess.time_format, guess.time_doubt, guess.time_advice, guess.zoned = None, "", "", True
    guess.kinds, guess.words, guess.kinds_sure = {}, {}, True
    guess.price_is, guess.price_sure = None, True
    if "time" in guess.found:
        _time(guess, by_name[guess.found["time"].columns[0]])
    if "kind" in guess.found:
        guess.rating_aside = guess.found.pop("rating", guess.rating_aside)
        _kinds(guess, by_name[guess.found["kind"].columns[0]])
    elif guess.rating_aside and set(guess.rating_aside.columns) <= set(guess.unread):
        guess.found.setdefault("rating", guess.rating_aside)
    if "price" in guess.found:
        _price(guess)


def guess_items(uri: str, events: Guess, given: Mapping[str, str] | None = None) -> Guess:
    """Looks at a table of items; its ids are those that the log names.

    Raises:
        DataUnreadable, TableEmpty, SchemaMismatch: as :func:`guess_events`.
    """
    guess = Guess(table=pl.DataFrame())
    guess.table, guess.header = _read(uri)
    columns = _columns(guess.table)
    known = _given(given or {}, columns, uri)
    if "item" in events.found and "item" not in known:
        ids = text_of(events.table[events.found["item"].columns[0]]).drop_nulls().unique()
        for overlap, but in OVERLAPS:
            shares = {c.name: overlap(c, ids) for c in columns if not c.nested}
            if best := most_shared(shares):
                why = f"it holds {shares[best]:.0%} of the log's items{but}"
                known["item"] = Proposal(columns=(best,), sure=True, why=why)
                break
    guess.found = _proposals(columns, ITEM_COLUMNS, known, headerless=bool(guess.header))
    _path(guess, columns, settled="category" in (given or {}))
    return guess


def guess_searches(uri: str, events: Guess, given: Mapping[str, str] | None = None) -> Guess:
    """Looks at a table of what was typed and what was taken then; its items and users are those that the log names.

    Raises:
        DataUnreadable, TableEmpty, SchemaMismatch: as :func:`guess_events`.
    """
    guess = Guess(table=pl.DataFrame())
    guess.table, guess.header = _read(uri)
    columns = _columns(guess.table)
    known = _given(given or {}, columns, uri)
    for role in ("item", "user"):
        if role not in known and role in events.found:
            listed = Column(events.table[events.found[role].columns[0]])
            taken = {name for one in known.values() for name in one.columns}
            shares = {
                c.name: known_share(c, listed) for c in columns if c.name not in taken and not (c.nested or c.clock)
            }
            if best := most_shared(shares):
                why = f"{shares[best]:.0%} of what it holds are {role}s of the log"
                known[role] = Proposal(columns=(best,), sure=True, why=why)
    found = _proposals(columns, SEARCH_COLUMNS, known, headerless=bool(guess.header))
    # whoever has no column of their own is nobody: what looks like ids is no reason here, for text does as well
    guess.found = {role: one for role, one in found.items() if one.sure or role in ("query", "time") or role in known}
    if "time" in guess.found:
        _time(guess, next(c for c in columns if c.name == guess.found["time"].columns[0]))
    return guess


def _read(uri: str) -> tuple[pl.DataFrame, tuple[str, ...]]:
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
        re.search(r"\d", name) and len(name) >= 8 and times.fitting(text)
    )


def _columns(table: pl.DataFrame) -> list[Column]:
    return [Column(table[name]) for name in table.columns]


def _given(given: Mapping[str, str], columns: Sequence[Column], uri: str) -> dict[str, Proposal]:
    names = [column.name for column in columns]
    for role, name in given.items():
        if name not in names:
            raise SchemaMismatch(
                f"{uri} has no column {name!r}, which --column names as {role}. It has {', '.join(names)}."
            )
        if columns[names.index(name)].nested and role != "category":
            raise SchemaMismatch(
                f"{uri}: column {name!r}, which --column names as {role}, holds {columns[names.index(name)].values.dtype} "
                "where single values are expected. Name another, or unnest it first."
            )
    return {role: Proposal(columns=(name,), sure=True, why="you said so") for role, name in given.items()}


def _of_log(columns: Sequence[Column], given: Mapping[str, Proposal], *, headerless: bool) -> dict[str, Proposal]:
    """Proposals for a log. Words that nobody knows, under a name that leaves a doubt, are no kinds: another column may be."""
    by_name = {column.name: column for column in columns}
    no_kinds: frozenset[str] = frozenset()
    while True:
        found = _proposals(columns, EVENT_COLUMNS, given, headerless=headerless, no_kinds=no_kinds)
        kind = found.get("kind")
        if kind is None or kind.sure or not by_name[kind.columns[0]].strange:
            return found
        # a part of a name is never sure: all of these at once, of which a log may have hundreds
        parts = [c.name for c in columns if worth_of_name("kind", c) == TOKEN and may_be("kind", c) and c.strange]
        no_kinds |= {*kind.columns, *parts}


def _proposals(
    columns: Sequence[Column],
    roles: Iterable[str],
    given: Mapping[str, Proposal],
    *,
    headerless: bool,
    no_kinds: frozenset[str] = frozenset(),
) -> dict[str, Proposal]:
    """The best column for each meaning, the surest first; a column means one thing, and ``no_kinds`` not the kind."""
    found, taken = dict(given), {name for proposal in given.values() for name in proposal.columns}
    roles = list(roles)
    scored = [
        (-score, place, number, role, column, "by its name")
        for place, role in enumerate(roles)
        for number, column in enumerate(columns)
        if (score := 0.0 if headerless else _worth(role, column))
        and may_be(role, column)
        and not (role == "kind" and column.name in no_kinds)
    ]
    scored += [
        # where nothing is named, who and what come before how much it was liked
        (-score, roles.index(role), -number if role == "rating" else number, role, column, "by what it holds")
        for number, column in enumerate(columns)
        for role, score in worth_of_content(column, headerless=headerless)
        if role in roles
    ]
    for worth, _, _, role, column, why in sorted(scored, key=lambda entry: entry[:3]):
        if role in found or column.name in taken:
            continue
        others = [(w, c.name) for w, _, _, r, c, _ in scored if r == role and c is not column and c.name not in taken]
        rivals = sorted({name for w, name in others if w <= worth})
        sure = -worth >= LIKELY and not rivals
        doubt = f"; so may {' and '.join(rivals)}" if rivals else ""
        found[role] = Proposal(columns=(column.name,), sure=sure, why=why + doubt)
        taken.add(column.name)
    _rest(columns, roles, found, taken | no_kinds)
    if "time" in found and "time" not in given:
        elsewhere = {name for role, one in found.items() if role != "time" for name in one.columns}
        dates: dict[str, float] = {}
        for score, _, _, role, column, _ in scored:
            if role == "time" and -score >= HELD and column.name not in elsewhere:
                dates[column.name] = max(-score, dates.get(column.name, 0.0))
        if not found["time"].sure:
            found["time"] = _likeliest_time(columns, found, dates)
        found["time"] = _with_its_clock(columns, found["time"], dates)
    return {role: found[role] for role in roles if role in found}


def _worth(role: str, column: Column) -> float:
    """What a name says; one with another meaning says less where few values fill the table, as types of items do."""
    worth = worth_of_name(role, column)
    doubtful = role in ("user", "item") and 0 < worth <= LIKELY
    return worth - 0.5 if doubtful and column.few else worth


def _likeliest_time(columns: Sequence[Column], found: Mapping[str, Proposal], worth: Mapping[str, float]) -> Proposal:
    """Of several times the one that hardly ever lacks, follows from no item and no user, and grows down the file.

    A date of the item itself, or a birthday, is none of when something was done.
    """
    proposed = found["time"]
    if len(worth) < 2:
        return proposed
    by_name = {column.name: column for column in columns}
    ids = [by_name[found[role].columns[0]].values for role in ("item", "user") if role in found]

    def rank(name: str) -> tuple[bool, float, float]:
        values = by_name[name].values
        strays = values.null_count() > GAPS * values.len() or any(follows(values, one) for one in ids)
        return strays, -worth[name], -_order(by_name[name])

    best = min(worth, key=rank)  # of equals the first
    others = sorted(name for name in worth if name != best and worth[name] >= worth[best])
    if proposed.columns == (best,):
        return proposed
    doubt = f"; so may {' and '.join(others)}" if others else ""
    return Proposal(columns=(best,), sure=False, why=f"by what it holds{doubt}")


def _with_its_clock(columns: Sequence[Column], proposed: Proposal, worth: Mapping[str, float]) -> Proposal:
    """Of a column of days the one beside it that says the same days and at what time of them, where there is one.

    It may lie in another zone: a day aside is the same.
    """
    by_name = {column.name: column for column in columns}

    def some_times(name: str) -> pl.Series:
        values = by_name[name].values
        return _read_times(by_name[name], values.gather_every(max(1, values.len() // SAMPLE_ROWS)))

    days = some_times(proposed.columns[0])
    if (days.dt.truncate("1d") != days).any():
        return proposed
    for name in sorted((name for name in worth if name not in proposed.columns), key=lambda name: -worth[name]):
        moments = some_times(name)
        apart = (moments.dt.truncate("1d") - days).dt.total_days().abs()
        if (moments.dt.truncate("1d") != moments).any() and (apart <= 1).sum() >= (1 - GAPS) * days.len():
            only = set(worth) <= {name, *proposed.columns}
            why = f"it says at what time of the day in {proposed.columns[0]}"
            return Proposal(columns=(name,), sure=proposed.sure or only, why=why)
    return proposed


def _order(column: Column) -> float:
    """The share of steps down the file that go one way in time, in tenths: 1 of a log as it was written, .5 of any other."""
    steps = _read_times(column, column.sample).drop_nulls().diff().dt.total_seconds().drop_nulls()
    up, down = int((steps > 0).sum()), int((steps < 0).sum())
    return round(max(up, down) / (up + down), 1) if up + down else 0.5


def _read_times(column: Column, values: pl.Series) -> pl.Series:
    """Values of a column that holds times in one way or another."""
    pattern = None if column.clock else column.patterns[0]
    return times.parse(values, time_format=pattern, zone="UTC", where=column.name).times


def _rest(columns: Sequence[Column], roles: Sequence[str], found: dict[str, Proposal], taken: set[str]) -> None:
    """Users and items that no name tells: of what looks like ids the first is the user.

    Neither is what counts lines, says yes or no or has few values, nor what follows from the other of the two or the other
    way round, as a copy and its book do; unless there is nothing else.
    """
    for role in ("user", "item"):
        if role not in roles or role in found:
            continue
        left = [c for c in columns if c.name not in taken and may_be(role, c) and not c.clock]
        if "time" in roles:  # of a log: what is another one in every row numbers its rows
            some = [c for c in left if c.distinct < c.values.len() - c.values.null_count()]
            left = some if len(some) >= sum(r in roles and r not in found for r in ("user", "item")) else left
        other = found.get("item" if role == "user" else "user")
        beside = next((c.values for c in columns if other and c.name == other.columns[0]), None)
        left = [c for c in left if c.word not in LINE_NUMBERS] or left
        left = [c for c in left if not c.flag] or left
        left = [c for c in left if not c.few] or left
        if beside is not None and left:
            # numbers of ten digits may be seconds since 1970, and may be ids where another column says when
            dates = [c for c in columns if c.name not in taken and c.clock == "number" and "time" in found]
            dates = [c for c in dates if may_be(role, c) and c.distinct * 2 < c.values.len()]
            apart = (c for c in left + dates if not (follows(c.values, beside) or follows(beside, c.values)))
            left = [next(apart, left[0])]
        if left:
            found[role] = Proposal(columns=(left[0].name,), sure=False, why="it looks like ids; no name says whose")
            taken.add(left[0].name)


def _time(guess: Guess, column: Column) -> None:
    """The pattern, where one is needed, and whether another fits as well."""
    if column.clock:
        text = text_of(column.sample)
        zone = r"(?i)(Z|UTC|GMT|[+\-\x{2212}]\d{2}(:?\d{2})?)\s*(\[[^\]]*\])?$"
        dtype = column.values.dtype
        guess.zoned = column.clock == "number" or (
            dtype.time_zone is not None
            if isinstance(dtype, pl.Datetime)
            else bool(text.str.contains(r"\d:\d.*" + zone).all())
        )
        return
    if not column.patterns:
        guess.time_advice = times.advice(text_of(column.sample), field="timeFormat")
        return
    readings = times.readings(column.sample, column.patterns)
    # people write logs in the order of time: the reading that jumps least is the likeliest
    ordered = sorted(readings, key=lambda pattern: _jumps(readings[pattern]))
    guess.time_format = ordered[0]
    guess.zoned = "%z" in ordered[0]
    if len(ordered) > 1 and _jumps(readings[ordered[0]]) * 2 > _jumps(readings[ordered[1]]):
        guess.time_doubt = ordered[1]
        doubt = "; its days and months can be read in two ways"
        why = guess.found["time"].why.removesuffix(doubt) + doubt
        guess.found["time"] = Proposal(columns=guess.found["time"].columns, sure=False, why=why)


def _jumps(read: pl.Series) -> float:
    """Seconds by which a log goes back in time, if it is read so; a little more than 0, to be compared."""
    back = read.diff().dt.total_seconds().drop_nulls()
    return 1.0 + float(-(back.filter(back < 0).sum() or 0))


def _kinds(guess: Guess, column: Column) -> None:
    counts = text_of(column.values).str.to_lowercase().value_counts(sort=True).drop_nulls()
    guess.words = {str(word): int(rows) for word, rows in counts.iter_rows()}
    strange = [word for word in guess.words if meaning(word) is None]
    guess.kinds = {word: FOREIGN_WORDS[word] for word in strange if word in FOREIGN_WORDS}
    unknown = [word for word in strange if word not in FOREIGN_WORDS]
    read = {word: meaning(word) or guess.kinds.get(word) for word in guess.words}
    guess.kinds_sure = not unknown
    likely = {word: kind for word in unknown if (kind := CODES.get(word) or _kind_by_parts(word))}
    likely |= {word: "other" for word in unknown if word not in likely and NOT_WANTED & set(re.split(r"[\W_]+", word))}
    read |= likely
    if set(guess.words) <= set(FLAGS) and len(guess.words) > 1:
        yes, no = PURCHASE, "view"
        if NOT_WANTED & set(column.tokens):  # skipped, returned: it was wanted where that is not so
            yes, no = RETURN if TAKEN_BACK & set(column.tokens) else "other", PURCHASE
        guess.kinds = {word: yes if FLAGS[word] else no for word in guess.words}
        guess.kinds_sure = False
        return
    if all(word.isdecimal() for word in guess.words):
        unknown.reverse()  # of codes the rarest: people look more often than they buy
    guess.kinds |= likely
    strange = [word for word in unknown if word not in likely]
    if PURCHASE not in read.values() and guess.words:
        # somebody has to want something: what nobody knows, else what goes into a cart, else what is seen
        carts = [word for word, kind in read.items() if kind == "cart"]
        seen = [word for word, kind in read.items() if kind != "other"]  # what was skipped nobody wanted
        chosen = (strange or carts or seen or list(guess.words))[0]
        guess.kinds[chosen] = PURCHASE
        guess.kinds_sure = False
    for word in strange:
        guess.kinds.setdefault(word, "other")


def _kind_by_parts(word: str) -> str | None:
    """What the parts of a word say, as in ``order completed`` or ``product_view``; None where they say nothing."""
    parts = set(re.split(r"[\W_]+", word))
    return next((kind for kind, said in PARTS_OF_KINDS if parts & set(said.split())), None) if len(parts) > 1 else None


def _price(guess: Guess) -> None:
    """Whether a price is of a piece or of the row: of the same item, how prices grow with pieces."""
    (price,) = guess.found["price"].columns
    word = Column(guess.table[price]).word
    if "unit" in word or word in ("preis", "einzelpreis", "stueckpreis"):
        guess.price_is = "unit"
        return
    if "quantity" not in guess.found or "item" not in guess.found:
        guess.price_is = "total"
        return
    names = {"item": guess.found["item"], "price": guess.found["price"], "quantity": guess.found["quantity"]}
    some = {role: guess.table[one.columns[0]].head(500_000) for role, one in names.items()}
    read = read_table({role: some[role] for role in ("price", "quantity")})
    numbers = {role: one.numbers for role, one in read.items()}
    rows = pl.DataFrame({"item": text_of(some["item"]), **numbers})
    rows = rows.filter((pl.col("price") > 0) & (pl.col("quantity") > 0))
    single = rows.filter(pl.col("quantity") == 1).group_by("item").agg(one=pl.col("price").median())
    many = rows.filter(pl.col("quantity") > 1).join(single, on="item")
    if many.height < 5:
        guess.price_is, guess.price_sure = "total", False
        return
    growth = float(many.select((pl.col("price") / pl.col("one")).log().median()).item())
    pieces = float(many.select(pl.col("quantity").log().median()).item())
    guess.price_is = "unit" if abs(growth) < abs(growth - pieces) else "total"


def _path(guess: Guess, columns: Sequence[Column], *, settled: bool) -> None:
    """The levels of a category, widest first."""
    if settled or "category" not in guess.found:
        return
    taken = {name for role, one in guess.found.items() if role != "category" for name in one.columns}
    levels = [
        c for c in columns if c.name not in taken and not c.nested and c.distinct >= 2 and worth_of_name("category", c)
    ]
    levels = [c for c in levels if c.numbers is None] or levels[:1]
    if len(levels) > 1:
        ordered = sorted(levels, key=lambda c: c.distinct)
        counts = " > ".join(f"{c.distinct:,}" for c in ordered)
        guess.found["category"] = Proposal(
            columns=tuple(c.name for c in ordered), sure=False, why=f"by their names, widest first: {counts} different"
        )


def _separator(values: pl.Series) -> str | None:
    """What divides one text into levels, where much of the column has it."""
    if values.dtype != pl.String:
        return None
    text = values.drop_nulls()
    for sign in (" > ", ">", "|", "///", "/"):
        if int(text.str.contains(sign, literal=True).sum()) > 0.3 * text.len():
            return sign.strip()
    return None


def _listed_in(items: pl.DataFrame, columns: Sequence[Column], proposed: Proposal | None) -> dict[str, Proposal]:
    """The column of a log that names what a table of items lists.

    That is the one called as the table's key. Of others the proposed one comes first, then that of most items.
    """
    keys = [c for c in _columns(items) if not c.nested and c.distinct == items.height]
    others = [role for role in ITEM_COLUMNS if role != "item"]
    # id and name are called alike in any two tables, and a title is no key
    names = {
        c.name
        for c in keys
        if c.stem and c.word not in ENDINGS_OF_IDS and not any(worth_of_name(role, c) > TOKEN for role in others)
    }
    looked_at = [c for c in columns if not (c.nested or c.clock)]
    alike = [c for c in looked_at if c.name in names]
    for some in (alike, looked_at):
        for overlap, but in OVERLAPS:
            worth = {}
            for column in some:
                ids = text_of(column.values).drop_nulls().unique()
                found = max((overlap(key, ids) for key in keys), default=0.0)
                if found >= 0.5:
                    likely = proposed is not None and column.name in proposed.columns
                    worth[column.name] = (round(found, 1), likely, found * ids.len() / items.height, found)
            if worth:
                best = max(worth, key=lambda name: worth[name])
                why = f"the table of items lists {worth[best][-1]:.0%} of what it holds{but}"
                return {"item": Proposal(columns=(best,), sure=True, why=why)}
    if len(alike) == 1:
        why = "it is called as the key of the table of items, which lists little of what it holds"
        return {"item": Proposal(columns=(alike[0].name,), sure=False, why=why)}
    return {}
