"""Sentences on what somebody should know of their log, beside its columns: rows without a user, several currencies."""

import shlex

from shoploop.data.outliers import lost_without_user
from shoploop.data.proposals import Guess

MOST_TOLD = 4
"""Columns that may say what a row is and are told of."""


def nameless(log: Guess) -> str:
    """What is lost by rows without a user, where they are many."""
    rows = log.without_user
    lost = lost_without_user(rows, log.table.height)
    return f"{rows.height:,} rows are left out.{lost}" if lost else ""


def unknown_kinds(log: Guess) -> str:
    """What to write where nobody knows which of a log's words is what people want."""
    some = ", ".join(f"{word} ({log.words[word]:,} rows)" for word in log.kinds_open[:MOST_TOLD])
    return (
        f"nobody here knows {some}, and no other word says what people want, so none is mapped. Say which one it is: "
        f"kinds: {{{log.kinds_open[0]}: purchase}}."
    )


def of_outcome(word: str, share: float) -> str:
    """Why a word is none of a choice."""
    return f"{share:.0%} of its rows come after the choice of the same user and item"


def of_searches(column: str) -> str:
    """What to do with a log of queries and clicks."""
    return (
        f"{column} is what was typed, and no column says what people did: this looks like a table of searches. Give it as "
        "--searches beside the log of what people chose; taken as it is, every row counts as a purchase."
    )


def bought_unrated(log: Guess) -> str:
    """What rows without a rating are, where a log of orders has many."""
    if log.bought_unrated is None:
        return ""
    rows, signs = log.bought_unrated
    return (
        f"{rows:,} of {log.table.height:,} rows have no rating and are orders all the same, as {', '.join(signs)} beside "
        "them says; low ratings are no purchases: rating: [] in columns lets every row be one"
    )


def of_money(column: str, rows: dict[str, int]) -> str:
    """What to do about prices in several currencies."""
    shown = ", ".join(f"{word} ({count:,} rows)" for word, count in list(rows.items())[:MOST_TOLD])
    more = f" and {len(rows) - MOST_TOLD} more" if len(rows) > MOST_TOLD else ""
    return (
        f"{column} says {shown}{more}: prices are compared as numbers, so 10 of one is 10 of another. Convert them into one "
        "currency before, or leave price out."
    )


def if_it_ends(items: Guess) -> str:
    """What to do where a column may say until when items can be bought, and nobody has said whether it does."""
    assert items.perhaps_ends is not None
    (column,) = items.perhaps_ends.columns
    return (
        f"If {column} is the last day on which an item can be bought, give "
        f"--column {shlex.quote(f'items.ends={column}')}: from the day after on an item is in no list and found by no search."
    )
