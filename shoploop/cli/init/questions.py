"""What a person is asked about columns and what stands in them: only where a proposal leaves a doubt."""

from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import polars as pl

from shoploop.api.v1alpha1 import CanonicalKind
from shoploop.data import time_patterns
from shoploop.data.column import LIKELY, Column, columns_of, worth_of_name
from shoploop.data.ids import text_of
from shoploop.data.proposals import EVENT_COLUMNS, ITEM_COLUMNS, NEEDED, SEARCH_COLUMNS, Guess, Proposal
from shoploop.errors import SchemaMismatch

NOBODY = "-"
"""The answer that no column means this."""

MOST_ASKED = 12
"""Words of a column of kinds that are asked for."""

SAYS = {
    "user": "who", "item": "which item", "time": "when", "kind": "what people did", "rating": "how much they liked it",
    "quantity": "how many pieces", "price": "the money", "shop": "in which shop", "basket": "which order",
    "query": "what was typed",
    "title": "the item's name", "category": "its category", "brand": "its maker", "image": "its picture",
    "ends": "the last day on which it can be bought",
}  # fmt: skip

ROLES = {"interactions": EVENT_COLUMNS, "items": ITEM_COLUMNS, "searches": SEARCH_COLUMNS}

Ask = Callable[[str, str], str]
"""A question and what is taken for an empty answer; gives the answer."""


def settle_columns(guess: Guess, table: str, uri: str, ask: Ask | None) -> None:
    """Asks where there is a doubt, and refuses where nothing can be what is needed."""
    names = guess.table.columns
    if ask is not None and guess.perhaps_ends is not None:
        guess.found["ends"], guess.perhaps_ends = guess.perhaps_ends, None
    for role in NEEDED[table] if ask is None else ROLES[table]:
        proposal = guess.found.get(role)
        needed = role in NEEDED[table]
        if ask is not None and ((proposal is not None and not proposal.sure) or (proposal is None and needed)):
            _ask_column(guess, role, needed, ask)
        if needed and role not in guess.found:
            raise SchemaMismatch(
                f"{uri}: no column looks like {role} ({SAYS[role]}). It has {_listed(guess)}."
                f"{_called_so(guess, role) or _of_many(guess)} "
                f"Name it: --column {'' if table == 'interactions' else f'{table}.'}{role}=COLUMN."
            )
    assert all(name in names for one in guess.found.values() for name in one.columns)


def _called_so(guess: Guess, role: str) -> str:
    """Why a column is not taken whose name says what is looked for."""
    for column in columns_of(guess.table):
        if guess.header or worth_of_name(role, column) < LIKELY:
            continue
        if column.nested:
            return f" Column {column.name!r} is called so, and holds lists or objects: write single values."
        if column.sample.is_empty():
            return f" Column {column.name!r} is called so, and is empty in every row."
        if role == "time":
            told = time_patterns.advice(text_of(column.sample), field="timeFormat")
            return f" Column {column.name!r} is called so, and what it holds is no time by itself: {column.shown()}. {told}"
        return f" Column {column.name!r} is called so, and holds what no id is: {column.shown()}."
    return ""


def _of_many(guess: Guess) -> str:
    """Where it may lie, where a row holds several."""
    rows = [c.name for c in columns_of(guess.table) if isinstance(c.values.dtype, pl.List | pl.Array)]
    return (
        f" {' and '.join(map(repr, rows))} hold lists: name one in explode, and each of its entries is a row."
        if rows
        else ""
    )


def _ask_column(guess: Guess, role: str, needed: bool, ask: Ask) -> None:
    proposal = guess.found.get(role)
    names = guess.table.columns
    default = ", ".join(proposal.columns) if proposal else ("" if needed else NOBODY)
    why = f" Proposed {proposal.why}." if proposal else ""
    while True:
        answer = ask(
            f"Which column is {role} ({SAYS[role]})?{why} Columns: {', '.join(names)}; {NOBODY} for none", default
        )
        answer = answer.strip()
        if answer == default and proposal:
            return
        chosen = [part.strip() for part in answer.split(",")] if role == "category" else [answer]
        if answer == NOBODY and not needed:
            guess.found.pop(role, None)
            return
        if all(name in names for name in chosen):
            for other in [
                other for other, one in guess.found.items() if set(one.columns) & set(chosen) and other != role
            ]:
                del guess.found[other]
            guess.found[role] = Proposal(columns=tuple(chosen), sure=True, why="you said so")
            return


def ask_meanings(guess: Guess, ask: Ask | None) -> None:
    """Which of two readings a time has, what a word means, and what a price is of."""
    if ask is None:
        return
    ask_time_format(guess, "time", ask)
    if "kind" in guess.found and not guess.kinds_sure:
        kinds = get_args(CanonicalKind)
        asked = [word for word in guess.words if word in guess.kinds or word in guess.kinds_open]
        for word in asked[:MOST_ASKED]:
            answer = ""
            while answer not in kinds:
                question = f"What is {word!r} ({guess.words[word]:,} rows)? One of {', '.join(kinds)}"
                answer = ask(question, guess.kinds.get(word, "other")).strip()
            guess.kinds[word] = answer
        guess.kinds_open = []
        guess.kinds_sure = True
    if guess.price_is and not guess.price_sure:
        answer = ""
        while answer not in ("unit", "total"):
            answer = ask("Is the price of one piece (unit) or of the whole row (total)?", guess.price_is).strip()
        guess.price_is, guess.price_sure = answer, True


def ask_time_format(guess: Guess, role: str, ask: Ask | None) -> None:
    """Which of two patterns the times of a column have, where both read all of them."""
    if ask is None or not guess.time_doubt:
        return
    both = f"{guess.time_format!r} or {guess.time_doubt!r}"
    example = Column(guess.table[guess.found[role].columns[0]]).shown()
    if ask(f"Times such as {example}: {both}?", str(guess.time_format)).strip() == guess.time_doubt:
        guess.time_format = guess.time_doubt
    guess.time_doubt = ""
    guess.found[role] = replace(guess.found[role], sure=True)


def _listed(guess: Guess) -> str:
    return ", ".join(f"{c.name} ({c.shown()})" if guess.header else c.name for c in columns_of(guess.table))
