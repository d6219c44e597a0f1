"""What was taken for what, on the terminal, once the YAML is written."""

import shlex
from pathlib import Path

from shoploop.cli.init.remarks import (
    MOST_TOLD,
    bought_unrated,
    if_it_ends,
    nameless,
    of_money,
    of_outcome,
    of_searches,
    unknown_kinds,
)
from shoploop.cli.sheet import Sheet
from shoploop.data.column import Column
from shoploop.data.proposals import Guess, Proposal
from shoploop.hints import on_file


def say(log: Guess, items: Guess | None, searches: Guess | None, out: Path, *, silent: bool) -> None:
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
        why = f"; {of_outcome(word, log.outcomes[word])}" if word in log.outcomes else ""
        sheet.line("kind", f"{word!r} is {kind}{why}{'' if log.kinds_sure else '; not sure'}")
    if log.kinds_open:
        sheet.line("kind", unknown_kinds(log))
    if typed := log.perhaps_searches:
        sheet.line("searches", of_searches(typed))
    if unrated := bought_unrated(log):
        sheet.line("kind", unrated)
    if lost := nameless(log):
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
        sheet.line("price", of_money(*log.currencies))
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
        if items.perhaps_ends:
            sheet.line("not read", f"{items.perhaps_ends.why}. {if_it_ends(items)}")
        if searchable := items.searchable:
            sheet.line("searchable", f"{', '.join(searchable)}: a search finds their words, too")
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


def _columns(guess: Guess) -> list[tuple[str, str]]:
    return [(role, f"{', '.join(one.columns)}: {_described(guess, one)}") for role, one in guess.found.items()]


def _described(guess: Guess, proposal: Proposal) -> str:
    shown = Column(guess.table[proposal.columns[0]]).shown()
    return f"{'' if proposal.sure else 'not sure; '}{proposal.why}; e.g. {shown}"
