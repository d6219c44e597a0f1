"""Sentences on what somebody should know of their log, beside the columns: rows without a user, prices in several currencies."""

from shoploop.data.outliers import lost_without_user
from shoploop.data.proposals import Guess

MOST_TOLD = 4
"""Columns that may say what a row is and are told of."""


def nameless(log: Guess) -> str:
    """What is lost by rows without a user, where they are many."""
    rows = log.without_user
    lost = lost_without_user(rows, log.table.height)
    return f"{rows.height:,} rows are left out.{lost}" if lost else ""


def of_money(column: str, rows: dict[str, int]) -> str:
    """What to do about prices in several currencies."""
    shown = ", ".join(f"{word} ({count:,} rows)" for word, count in list(rows.items())[:MOST_TOLD])
    more = f" and {len(rows) - MOST_TOLD} more" if len(rows) > MOST_TOLD else ""
    return (
        f"{column} says {shown}{more}: prices are compared as numbers, so 10 of one is 10 of another. Convert them into one "
        "currency before, or leave price out."
    )
