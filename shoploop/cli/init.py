"""``shoploop init``: from a log that somebody has to a recommender.yaml, with a question only where there is a doubt."""

import math
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import polars as pl
import yaml

from shoploop.api.fields import API_VERSION, NAME_LENGTH
from shoploop.api.v1alpha1 import CanonicalKind
from shoploop.cli.sheet import Sheet
from shoploop.data import databases, times
from shoploop.data.column import LIKELY, Column, worth_of_name
from shoploop.data.guessing import (
    DESCRIBING,
    EVENT_COLUMNS,
    ITEM_COLUMNS,
    NEEDED,
    SEARCH_COLUMNS,
    Guess,
    Proposal,
    guess_events,
    guess_items,
    guess_searches,
    read_meanings,
)
from shoploop.data.ids import text_of
from shoploop.data.kinds import SCALE_STEPS, WANTED_FROM
from shoploop.data.outliers import lost_without_user
from shoploop.errors import AlreadyThere, SchemaMismatch, SpecInvalid, without_passwords
from shoploop.hints import on_file
from shoploop.store import disk

NOBODY = "-"
"""The answer that no column means this."""

MOST_ASKED = 12
"""Words of a column of kinds that are asked for."""

MOST_TOLD = 4
"""Columns that may say what a row is and are told of."""

SAYS = {
    "user": "who", "item": "which item", "time": "when", "kind": "what people did", "rating": "how much they liked it",
    "quantity": "how many pieces", "price": "the money", "shop": "in which shop", "basket": "which order",
    "query": "what was typed",
    "title": "the item's name", "category": "its category", "brand": "its maker", "image": "its picture",
}  # fmt: skip

ROLES = {"interactions": EVENT_COLUMNS, "items": ITEM_COLUMNS, "searches": SEARCH_COLUMNS}

Ask = Callable[[str, str], str]
"""A question and what is taken for an empty answer; gives the answer."""


def init_recommender(
    events: str,
    *,
    items: str | None,
    out: Path,
    columns: Sequence[str],
    yes: bool,
    force: bool,
    searches: str | None = None,
    ask: Ask | None = None,
) -> None:
    """Looks, asks, writes and says what it took.

    Args:
        events: The log's uri, as a person typed it.
        items: The table of items.
        out: The YAML to write.
        columns: ``name=column`` pairs; those of the tables of items and of searches begin with ``items.`` and ``searches.``.
        yes: Ask nothing.
        force: Overwrite.
        searches: The table of searches.
        ask: Whom to ask; None asks on the terminal, where there is one.

    Raises:
        AlreadyThere: ``out`` exists.
        SpecInvalid: there is no folder for ``out``, ``columns`` name what cannot be, or a table is in a database.
        SchemaMismatch: no column can be what is needed.
        DataUnreadable, TableEmpty: the files cannot be read.
    """
    if out.is_dir():
        raise SpecInvalid(f"{out} is a folder. Name a file in it with -o.")
    if out.exists() and not force:
        raise AlreadyThere(f"{out} is there already and is left as it is. Name another with -o, or give --force.")
    if not out.parent.is_dir():
        raise SpecInvalid(f"There is no folder {out.parent}. Name another file with -o.")
    _refuse_databases(interactions=events, items=items, searches=searches)
    given = _given(columns, has_items=items is not None)
    asking = None if yes else ask or (_prompt if sys.stdin.isatty() and sys.stdout.isatty() else None)
    log = guess_events(_place(events), given["interactions"], items_uri=_place(items) if items is not None else None)
    proposed = dict(log.found)
    _settle(log, "interactions", events, asking)
    if log.found != proposed:
        read_meanings(log)
    _ask_meanings(log, asking)
    listed = None
    if items is not None:
        listed = guess_items(_place(items), log, given["items"])
        _settle(listed, "items", items, asking)
    searched = None
    if searches is not None:
        searched = guess_searches(_place(searches), log, given["searches"])
        _settle(searched, "searches", searches, asking)
    text = recommender_yaml(
        log,
        listed,
        searched,
        events=_relative(events, out),
        items_uri=_relative(items, out),
        searches_uri=_relative(searches, out),
        name=_name(events),
    )
    _check(text, out)
    disk.write_text(out, text)
    _say(log, listed, searched, out, silent=asking is None and not yes)


def _place(uri: str) -> str:
    from shoploop.data import sources

    return sources.absolute(uri, Path.cwd())


def _refuse_databases(**uris: str | None) -> None:
    for table, uri in uris.items():
        if uri is not None and databases.scheme_of(uri):
            raise SpecInvalid(
                f"{without_passwords(uri)} is a database, and init looks at files. Write spec.data.tables.{table} by hand: "
                "its uri, and table: or query: for what to read there."
            )


def _given(columns: Sequence[str], *, has_items: bool) -> dict[str, dict[str, str]]:
    given: dict[str, dict[str, str]] = {table: {} for table in ROLES}
    for pair in columns:
        role, _, column = pair.partition("=")
        table = next((name for name in ("items", "searches") if role.startswith(f"{name}.")), "interactions")
        role = role.removeprefix(f"{table}.")
        known = ROLES[table]
        if role not in known or not column:
            raise SpecInvalid(f"--column {pair!r}: write NAME=COLUMN with a NAME of {', '.join(known)}.")
        if has_items and table == "interactions" and role in DESCRIBING:
            raise SpecInvalid(
                f"--column {pair!r}: with --items, the table of items alone says the {role} of an item. Write "
                f"items.{role}=COLUMN with a column of it, or leave --items out."
            )
        given[table][role] = column
    return given


def _settle(guess: Guess, table: str, uri: str, ask: Ask | None) -> None:
    """Asks where there is a doubt, and refuses where nothing can be what is needed."""
    names = guess.table.columns
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
    for column in map(Column, guess.table):
        if guess.header or worth_of_name(role, column) < LIKELY:
            continue
        if column.nested:
            return f" Column {column.name!r} is called so, and holds lists or objects: write single values."
        if column.sample.is_empty():
            return f" Column {column.name!r} is called so, and is empty in every row."
        if role == "time":
            told = times.advice(text_of(column.sample), field="timeFormat")
            return f" Column {column.name!r} is called so, and what it holds is no time by itself: {column.shown()}. {told}"
        return f" Column {column.name!r} is called so, and holds what no id is: {column.shown()}."
    return ""


def _of_many(guess: Guess) -> str:
    """Where it may lie, where a row holds several."""
    rows = [c.name for c in map(Column, guess.table) if isinstance(c.values.dtype, pl.List | pl.Array)]
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


def _ask_meanings(guess: Guess, ask: Ask | None) -> None:
    """Which of two readings a time has, what a word means, and what a price is of."""
    if ask is None:
        return
    if guess.time_doubt:
        both = f"{guess.time_format!r} or {guess.time_doubt!r}"
        example = Column(guess.table[guess.found["time"].columns[0]]).shown()
        if ask(f"Times such as {example}: {both}?", str(guess.time_format)).strip() == guess.time_doubt:
            guess.time_format = guess.time_doubt
        guess.time_doubt = ""
        guess.found["time"] = replace(guess.found["time"], sure=True)
    if "kind" in guess.found and not guess.kinds_sure:
        kinds = get_args(CanonicalKind)
        for word in [word for word in guess.words if word in guess.kinds][:MOST_ASKED]:
            answer = ""
            while answer not in kinds:
                question = f"What is {word!r} ({guess.words[word]:,} rows)? One of {', '.join(kinds)}"
                answer = ask(question, guess.kinds[word]).strip()
            guess.kinds[word] = answer
        guess.kinds_sure = True
    if guess.price_is and not guess.price_sure:
        answer = ""
        while answer not in ("unit", "total"):
            answer = ask("Is the price of one piece (unit) or of the whole row (total)?", guess.price_is).strip()
        guess.price_is, guess.price_sure = answer, True


def recommender_yaml(
    log: Guess,
    items: Guess | None,
    searches: Guess | None = None,
    *,
    events: str,
    items_uri: str | None = None,
    searches_uri: str | None = None,
    name: str,
) -> str:
    """A recommender.yaml with a reason beside each line."""
    lines = [
        "# Written by `shoploop init`, from what the files hold. Look it over: what nobody was sure of is marked.",
        f"apiVersion: {API_VERSION}",
        "kind: Recommender",
        f"metadata: {{name: {_scalar(name)}}}",
        "spec:",
        "  data:",
        "    tables:",
        *_table("interactions", log, events),
    ]
    if lost := _nameless(log):
        lines.append(f"        # no user: {lost}")
    lines += _kind_lines(log)
    found = log.found
    if "rating" in found:
        lines += _rating_lines(Column(log.table[found["rating"].columns[0]]))
    if log.price_is:
        doubt = "" if log.price_sure else "; not sure"
        of = "one piece" if log.price_is == "unit" else "the whole row, all pieces together"
        lines.append(f"        priceIs: {log.price_is} # the price is of {of}{doubt}")
    if log.currencies:
        lines.append(f"        # {_plain(_of_money(*log.currencies))}")
    lines += _time_lines(log)
    if log.category_separator and items is None:
        lines.append(f"        categorySeparator: {_scalar(log.category_separator)} # what divides a category's levels")
    if items is not None:
        assert items_uri is not None
        lines += _table("items", items, items_uri)
        if items.category_separator:
            lines.append(
                f"        categorySeparator: {_scalar(items.category_separator)} # what divides a category's levels"
            )
    if searches is not None:
        assert searches_uri is not None
        lines += _table("searches", searches, searches_uri) + _time_lines(searches)
        lines.append("  training:")
        lines.append(
            "    surfaces: [Items, Search] # search learns from what was typed; without Search nothing is searched"
        )
    return "\n".join(lines) + "\n"


def _of_money(column: str, rows: dict[str, int]) -> str:
    """What to do about prices in several currencies."""
    shown = ", ".join(f"{word} ({count:,} rows)" for word, count in list(rows.items())[:MOST_TOLD])
    more = f" and {len(rows) - MOST_TOLD} more" if len(rows) > MOST_TOLD else ""
    return (
        f"{column} says {shown}{more}: prices are compared as numbers, so 10 of one is 10 of another. Convert them into one "
        "currency before, or leave price out."
    )


def _rating_lines(ratings: Column) -> list[str]:
    """What may be set of ratings, with numbers of their own scale."""
    numbers = ratings.numbers
    if numbers is None:
        return []
    low, high = float(numbers.min()), float(numbers.max())  # type: ignore[arg-type]
    start = low + WANTED_FROM * (high - low)
    unset = f"{WANTED_FROM:g} of the scale"
    wanted = float(math.ceil(start)) if ratings.whole else start
    if numbers.n_unique() > SCALE_STEPS:  # as of seconds or euros: a few rows go far beyond all others
        unset = f"{start:,.0f}, as {float((numbers >= start).mean()):.2%} of rows are"  # type: ignore[arg-type]
        wanted = float(numbers.median())  # type: ignore[arg-type]
    lower = low + (high - low) / 2
    shown = [np.format_float_positional(number, 3, fractional=False, trim="-") for number in (wanted, high, lower)]
    return [
        f"        # ratingFrom: {shown[0]} # from this rating on an item was wanted; unset: from {unset} on",
        f"        # ratingsAs: weights # a purchase rated {shown[1]} teaches more than one rated {shown[2]}; unset: alike",
    ]


def _time_lines(guess: Guess) -> list[str]:
    lines = []
    if guess.time_format:
        doubt = f"; not sure, {_scalar(guess.time_doubt)} reads them too" if guess.time_doubt else ""
        column = _plain(guess.found["time"].columns[0])
        lines.append(f"        timeFormat: {_scalar(guess.time_format)} # of column {column}{doubt}")
    if guess.time_advice:
        lines.append(f"        # timeFormat: {guess.time_advice}")
    if not guess.zoned:
        lines.append("        timeZone: UTC # of times that carry none: write your own, e.g. Europe/Berlin")
    return lines


def _table(name: str, guess: Guess, uri: str) -> list[str]:
    lines = [f"      {name}:", f"        uri: {_scalar(uri)}"]
    if guess.explode is not None:
        lines.append(
            f"        explode: {_scalar(guess.explode)} # a row holds a list, and each entry becomes a row of its own"
        )
    if guess.explode_separator is not None:
        lines.append(f"        explodeSeparator: {_scalar(guess.explode_separator)} # what divides it")
    columns = {column.name: column for column in map(Column, guess.table)}
    role_of = {one.columns[0]: role for role, one in guess.found.items() if len(one.columns) == 1}
    if guess.header:
        header = [role_of.get(column, column) for column in guess.header]
        lines.append(f"        header: [{', '.join(map(_scalar, header))}] # the file has no header line")
        lines += [f"        # {role}: {_reason(columns[one.columns[0]], one)}" for role, one in guess.found.items()]
    else:
        lines.append("        columns:")
        for role, one in guess.found.items():
            value = f"[{', '.join(map(_scalar, one.columns))}]" if len(one.columns) > 1 else _scalar(one.columns[0])
            lines.append(f"          {role}: {value} # {_reason(columns[one.columns[0]], one)}")
    if not guess.header:
        for role in guess.left_out(ROLES[name]):
            shown = columns[role].shown() or "no single values"
            lines.append(f"          {role}: [] # left out: it holds no numbers, e.g. {_plain(shown)}")
    if unread := guess.unread:
        use = "kept as attributes" if name == "items" else "not read"
        lines.append(f"        # {use}: {', '.join(map(_plain, unread))}")
    return lines


def _reason(column: Column, proposal: Proposal) -> str:
    doubt = "" if proposal.sure else "not sure; "
    return _plain(f"{doubt}{proposal.why}; {column.distinct:,} different, e.g. {column.shown()}")


def _kind_lines(log: Guess) -> list[str]:
    if "kind" not in log.found:
        if "rating" in log.found:
            return []
        return ['        kinds: {"": purchase} # no column says what people did: every row is a purchase']
    lines = []
    if log.kinds:
        lines.append("        kinds:")
        doubt = "" if log.kinds_sure else "; not sure"
        lines += [
            f"          {_scalar(word)}: {kind} # {log.words[word]:,} rows{doubt}" for word, kind in log.kinds.items()
        ]
    known = [f"{_plain(word)} ({rows:,} rows)" for word, rows in log.words.items() if word not in log.kinds]
    if known:
        lines.append(f"        # kinds that are known: {', '.join(known)}")
    return lines


def _scalar(value: str) -> str:
    """A text as YAML writes it on one line."""
    return (
        yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6).removesuffix("\n...\n").strip()
    )


def _plain(text: str) -> str:
    """A comment is one line, and shows no sign that a terminal or YAML takes for more."""
    return "".join(sign if sign.isprintable() else "·" for sign in " ".join(text.split()))


def _relative(uri: str | None, out: Path) -> str:
    """As it stands in the YAML: counted from its folder where it lies below."""
    if uri is None:
        return ""
    if "://" in uri and not Path(uri).exists():
        return uri
    path = os.path.relpath(Path(uri).absolute(), out.absolute().parent)
    return str(Path(uri).absolute()) if path.startswith("..") else path


def _name(events: str) -> str:
    stem = events.rstrip("/").rpartition("/")[2].split(".")[0]
    name = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:NAME_LENGTH].strip("-")
    return name if re.match(r"[a-z]", name) else "myshop"


def _check(text: str, out: Path) -> None:
    """A run takes it, or nothing is written."""
    from shoploop.api import parse
    from shoploop.data import resolve_uris
    from shoploop.data.inputs import check_columns

    spec = parse(text, source=str(out)).spec
    check_columns(resolve_uris(spec.data, out.absolute().parent))


def _listed(guess: Guess) -> str:
    return ", ".join(f"{c.name} ({c.shown()})" if guess.header else c.name for c in map(Column, guess.table))


def _say(log: Guess, items: Guess | None, searches: Guess | None, out: Path, *, silent: bool) -> None:
    sheet = Sheet()
    sheet.heading("The log")
    if log.explode is not None:
        sheet.line(
            "rows", f"{log.explode} holds a list in each: its entries become rows of their own, {log.table.height:,}"
        )
    sheet.lines(_columns(log))
    if "kind" not in log.found and "rating" not in log.found:
        sheet.line("kind", "no column says it: every row is a purchase")
    for word, kind in log.kinds.items():
        sheet.line("kind", f"{word!r} is {kind}{'' if log.kinds_sure else '; not sure'}")
    if lost := _nameless(log):
        sheet.line("no user", lost)
    for name, rows in list(log.perhaps_kinds.items())[:MOST_TOLD]:
        words = ", ".join(f"{word} ({count:,})" for word, count in rows.items())
        option = shlex.quote(f"kind={name}")
        sheet.line("not read", f"{name}: {words}; if it says what a row is, give --column {option}")
    for name, (low, high) in list(log.perhaps_ratings.items())[:MOST_TOLD]:
        option = shlex.quote(f"rating={name}")
        sheet.line("not read", f"{name}: {low} to {high}; if it says how much they liked it, give --column {option}")
    if log.price_is:
        sheet.line(
            "price",
            f"of {'one piece' if log.price_is == 'unit' else 'the row'}{'' if log.price_sure else '; not sure'}",
        )
    if log.currencies:
        sheet.line("price", _of_money(*log.currencies))
    if log.time_format:
        also = f"; not sure, {log.time_doubt!r} reads them too" if log.time_doubt else ""
        sheet.line("times", f"{log.time_format!r}{also}")
    if log.time_advice:
        sheet.line("times", f"cannot be read yet. {log.time_advice}")
    if not log.zoned:
        sheet.line("times", "carry no zone: set timeZone to yours")
    if items is not None:
        sheet.heading("The items")
        sheet.lines(_columns(items))
        if "title" not in items.found:
            left = ", ".join(items.unread) or "no column"
            sheet.line(
                "title",
                f"no column looks like a name, so lists show ids; left are {left}: give --column items.title=COLUMN",
            )
    if searches is not None:
        sheet.heading("The searches")
        sheet.lines(_columns(searches))
        if not searches.zoned:
            sheet.line("times", "carry no zone: set timeZone to yours")
    if silent and any(not one.sure for guess in (log, items, searches) if guess for one in guess.found.values()):
        sheet.heading("There is no terminal to ask on: what is not sure was taken as it is proposed.")
    sheet.heading(f"{out} is written. Next: {on_file('describe', out)}")


def _nameless(log: Guess) -> str:
    """What is lost by rows without a user, where they are many."""
    rows = log.without_user
    lost = lost_without_user(rows, log.table.height)
    return f"{rows.height:,} rows are left out.{lost}" if lost else ""


def _columns(guess: Guess) -> list[tuple[str, str]]:
    return [(role, f"{', '.join(one.columns)}: {_described(guess, one)}") for role, one in guess.found.items()]


def _described(guess: Guess, proposal: Proposal) -> str:
    shown = Column(guess.table[proposal.columns[0]]).shown()
    return f"{'' if proposal.sure else 'not sure; '}{proposal.why}; e.g. {shown}"


def _prompt(question: str, default: str) -> str:
    import typer

    return str(typer.prompt(question, default=default or None))
