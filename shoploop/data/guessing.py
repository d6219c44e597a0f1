"""Looks at somebody's tables, a log, items and searches, and proposes what their columns mean.

Each tells of the others: the items are those that the log names. What a proposal becomes is read by the loading of any run;
here nothing is read in another way.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import polars as pl

from shoploop.api.v1alpha1 import InteractionsSource
from shoploop.data import fitting, lists
from shoploop.data.column import LIKELY, TOKEN, Column, columns_of, worth_of_name
from shoploop.data.column_names import ENDINGS_OF_IDS, NAMES
from shoploop.data.ends_column import propose_ends
from shoploop.data.headers import read_with_names
from shoploop.data.ids import text_of
from shoploop.data.kinds import PURCHASE, meaning
from shoploop.data.meanings import read_ends, read_meanings, read_times
from shoploop.data.overlaps import OVERLAPS, known_share, most_shared
from shoploop.data.proposals import DESCRIBING, ITEM_COLUMNS, SEARCH_COLUMNS, Guess, Proposal
from shoploop.data.schema_matching import match_columns, match_log, with_levels
from shoploop.errors import SchemaMismatch

OF_ENTRIES = ("item", "quantity", "price", "title", "category", "brand", "image")
"""Of a list in a row: what is said of each of its entries."""

LISTED_ONCE = 0.95
"""Share of the rows of a table of items that have an id of their own: tables are exported with some rows twice."""


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
    guess.table, guess.header = read_with_names(uri)
    parted = _parted(guess, uri, given or {})
    columns = columns_of(guess.table)
    known = parted | _given(given or {}, columns, uri)
    guess.found = match_log(columns, known, headerless=bool(guess.header))
    if guess.explode is not None:  # what stands beside the list is the order's, and no entry's
        guess.found = {role: one for role, one in guess.found.items() if role in known or role not in OF_ENTRIES}
    item = guess.found.get("item")
    if items_uri is not None and "item" not in known and not (item and item.sure):
        known |= _listed_in(read_with_names(items_uri)[0], columns, item)
        guess.found = match_log(columns, known, headerless=bool(guess.header))
    elif items_uri is not None and item and "item" not in known:
        known |= _fitting(read_with_names(items_uri)[0], columns, guess.found)
        guess.found = match_log(columns, known, headerless=bool(guess.header))
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
        found = match_columns(columns_of(bare), OF_ENTRIES, {}, headerless=False)
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
    for text in columns_of(guess.table):
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


def guess_items(uri: str, events: Guess, given: Mapping[str, str] | None = None) -> Guess:
    """Looks at a table of items; its ids are those that the log names.

    Raises:
        DataUnreadable, TableEmpty, SchemaMismatch: as :func:`guess_events`.
    """
    guess = Guess(table=pl.DataFrame())
    guess.table, guess.header = read_with_names(uri)
    columns = columns_of(guess.table)
    known = _given(given or {}, columns, uri)
    if "item" in events.found and "item" not in known:
        ids = text_of(events.table[events.found["item"].columns[0]]).drop_nulls().unique()
        for overlap, but in OVERLAPS:
            shares = {c.name: overlap(c, ids) for c in columns if not c.nested}
            if best := most_shared(shares):
                why = f"it holds {shares[best]:.0%} of the log's items{but}"
                known["item"] = Proposal(columns=(best,), sure=True, why=why)
                break
    named = [role for role in ITEM_COLUMNS if role != "ends"]
    guess.found = match_columns(columns, named, known, headerless=bool(guess.header))
    if "category" in guess.found and "category" not in known:
        guess.found["category"] = with_levels(columns, guess.found)
    if "ends" in known:
        guess.found["ends"] = known["ends"]
    elif "item" in guess.found:
        propose_ends(guess, columns, events)
    read_ends(guess)
    return guess


def guess_searches(uri: str, events: Guess, given: Mapping[str, str] | None = None) -> Guess:
    """Looks at a table of what was typed and what was taken then; its items and users are those that the log names.

    Raises:
        DataUnreadable, TableEmpty, SchemaMismatch: as :func:`guess_events`.
    """
    guess = Guess(table=pl.DataFrame())
    guess.table, guess.header = read_with_names(uri)
    columns = columns_of(guess.table)
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
    found = match_columns(columns, SEARCH_COLUMNS, known, headerless=bool(guess.header))
    # whoever has no column of their own is nobody: what looks like ids is no reason here, for text does as well
    guess.found = {role: one for role, one in found.items() if one.sure or role in ("query", "time") or role in known}
    if "kind" in guess.found and "kind" not in known and not _says_takes(guess.table[guess.found["kind"].columns[0]]):
        del guess.found["kind"]
    if "time" in guess.found:
        read_times(guess, next(c for c in columns if c.name == guess.found["time"].columns[0]))
    return guess


def _says_takes(column: pl.Series) -> bool:
    """Whether a column says of most rows how something was taken: a device or a page has kinds, too."""
    words = text_of(column).drop_nulls()
    known = [word for word in words.unique().to_list() if meaning(word) in ("view", "cart", PURCHASE)]
    return int(words.is_in(known).sum()) > words.len() / 2


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


def _fitting(items: pl.DataFrame, columns: Sequence[Column], found: Mapping[str, Proposal]) -> dict[str, Proposal]:
    """The item by what the table of items lists, where its name alone said it and that table lists little of it.

    A table of shows tells of shows, though the log names episodes as well.
    """
    named = found["item"]
    keys = _keys(items)
    column_named = next(c for c in columns if c.name == named.columns[0])
    ids = text_of(column_named.values).drop_nulls().unique()
    share = max((known_share(column_named, key) for key in keys), default=0.0)
    if not keys or share >= 0.5 or any(fitting.mended_by(ids, text_of(key.values)) for key in keys):
        return {}
    counted = {name for role in ("quantity", "price", "rating", "time", "kind") if role in found
               for name in found[role].columns}  # fmt: skip
    others = [c for c in columns if c.name not in counted and c.name not in named.columns]
    listed = _listed_in(items, others, None).get("item")
    lists = f"the table of items lists {share:.0%} of what it holds"
    if listed is None or "it is called as" in listed.why:
        return {"item": replace(named, sure=False, why=f"{named.why}, but {lists}")}
    (column,) = listed.columns
    same_name = column in {key.name for key in keys} and column not in ENDINGS_OF_IDS
    why = f"{listed.why}, and {share:.0%} of {named.columns[0]}, which is named so, too"
    return {"item": replace(listed, sure=same_name, why=why)}


def _keys(items: pl.DataFrame) -> list[Column]:
    """The columns that tell one row of a table of items from another."""
    return [c for c in columns_of(items) if not c.nested and c.distinct >= LISTED_ONCE * max(items.height, 1)]


def _listed_in(items: pl.DataFrame, columns: Sequence[Column], proposed: Proposal | None) -> dict[str, Proposal]:
    """The column of a log that names what a table of items lists.

    That is the one called as the table's key. Of others the proposed one comes first, then that of most items.
    """
    keys = _keys(items)
    others = [role for role in ITEM_COLUMNS if role in NAMES and role != "item"]
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
