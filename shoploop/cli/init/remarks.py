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
