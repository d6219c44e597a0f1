"""The recommender.yaml that follows from what was proposed and answered, with a reason beside each line."""

import math

import numpy as np
import yaml

from shoploop.api.fields import API_VERSION
from shoploop.cli.init.questions import ROLES
from shoploop.cli.init.remarks import (
    bought_unrated,
    if_it_ends,
    nameless,
    of_money,
    of_outcome,
    of_searches,
    unknown_kinds,
)
from shoploop.data.column import Column, columns_of
from shoploop.data.kinds import SCALE_STEPS, WANTED_FROM
from shoploop.data.proposals import Guess, Proposal


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
    if lost := nameless(log):
        lines.append(f"        # no user: {lost}")
    if typed := log.perhaps_searches:
        lines.append(f"        # {_plain(of_searches(typed))}")
    lines += _kind_lines(log)
    found = log.found
    if "rating" in found:
        lines += _rating_lines(Column(log.table[found["rating"].columns[0]]))
    if log.price_is:
        doubt = "" if log.price_sure else "; not sure"
        of = "one piece" if log.price_is == "unit" else "the whole row, all pieces together"
        lines.append(f"        priceIs: {log.price_is} # the price is of {of}{doubt}")
    if log.currencies:
        lines.append(f"        # {_plain(of_money(*log.currencies))}")
    lines += _time_lines(log)
    if log.category_separator and items is None:
        lines.append(f"        categorySeparator: {_scalar(log.category_separator)} # what divides a category's levels")
    if items is not None:
        assert items_uri is not None
        lines += _table("items", items, items_uri) + _time_lines(items)
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
    if "shop" in found and Column(log.table[found["shop"].columns[0]]).distinct > 1:
        known = "[Items, Search, Shops]" if searches is not None else "[Items, Shops]"
        lines.append(f"  # training.surfaces {known} learns, too, which shop each comes to next, asked by POST /shops")
    return "\n".join(lines) + "\n"


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
        column = _plain(next(guess.found[role] for role in ("time", "ends") if role in guess.found).columns[0])
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
    columns = {column.name: column for column in columns_of(guess.table)}
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
    elif "ends" in guess.found:  # read where a mapping names it, and nowhere else
        lines.append("        columns: {ends: ends}")
    if perhaps := guess.perhaps_ends:
        (column,) = perhaps.columns
        lines.append(f"        # not taken: {_plain(f'{column}: {perhaps.why}; e.g. {columns[column].shown()}')}")
        lines.append(f"        # {_plain(if_it_ends(guess))}")
    if name == "items" and (searchable := guess.searchable):
        lines.append(f"        searchable: [{', '.join(map(_scalar, searchable))}] # a search finds their words, too")
    if unread := guess.unread:
        use = "kept as attributes" if name == "items" else "not read"
        lines.append(f"        # {use}: {', '.join(map(_plain, unread))}")
    return lines


def _reason(column: Column, proposal: Proposal) -> str:
    doubt = "" if proposal.sure else "not sure; "
    return _plain(f"{doubt}{proposal.why}; {column.distinct:,} different, e.g. {column.shown()}")


def _kind_lines(log: Guess) -> list[str]:
    if "kind" not in log.found:
        if unrated := bought_unrated(log):
            return [f'        kinds: {{"": purchase}} # {_plain(unrated)}']
        if "rating" in log.found:
            return []
        return ['        kinds: {"": purchase} # no column says what people did: every row is a purchase']
    lines = []
    if log.kinds:
        lines.append("        kinds:")
        doubt = "" if log.kinds_sure else "; not sure"
        lines += [
            f"          {_scalar(word)}: {kind} # {_of_word(log, word)}{doubt}" for word, kind in log.kinds.items()
        ]
    if log.kinds_open:
        lines.append(f"        # {_plain(unknown_kinds(log))}")
    known = [
        f"{_plain(word)} ({rows:,} rows)"
        for word, rows in log.words.items()
        if not (word in log.kinds or word in log.kinds_open)
    ]
    if known:
        lines.append(f"        # kinds that are known: {', '.join(known)}")
    return lines


def _of_word(log: Guess, word: str) -> str:
    rows = f"{log.words[word]:,} rows"
    return f"{rows}; {of_outcome(word, log.outcomes[word])}" if word in log.outcomes else rows


def _scalar(value: str) -> str:
    """A text as YAML writes it on one line."""
    return (
        yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6).removesuffix("\n...\n").strip()
    )


def _plain(text: str) -> str:
    """A comment is one line, and shows no sign that a terminal or YAML takes for more."""
    return "".join(sign if sign.isprintable() else "·" for sign in " ".join(text.split()))
