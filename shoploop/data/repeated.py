"""Rows of a log that repeat another in every column: found for who asks, and told where they are many.

They are kept: two pieces of one thing, rung up one after the other, are two rows that are alike, and so is a log that was
put together twice. Only the shop can tell. What is learned counts an item once a user and day, so copies change how many
pieces it was, and not how often it was bought.
"""

import polars as pl

from shoploop import schemas
from shoploop.data.rules import Loaded

MANY = 0.01
"""Above this share of all rows copies are told."""


def repeated(rows: pl.DataFrame) -> pl.Series:
    """Which rows are there twice. Hashes say nearly all of it in a tenth of the memory that comparing takes."""
    perhaps = rows.hash_rows().is_duplicated()
    return perhaps.scatter(perhaps.arg_true(), rows.filter(perhaps).is_duplicated())


def tell_repeated(events: pl.DataFrame, loaded: Loaded) -> None:
    """Notes how many rows are copies of another, where these are many.

    Args:
        events: Canonical interactions.
    """
    read = [name for name in (*schemas.INTERACTIONS.schema.names, schemas.RATING) if name in events.columns]
    rows = events.select(name for name in read if events[name].null_count() < events.height)
    if rows.height - rows.hash_rows().n_unique() <= MANY * rows.height:
        return
    alike = rows.filter(repeated(rows))
    copies = alike.height - alike.n_unique()
    if copies <= MANY * rows.height:
        return
    most = alike.group_by(pl.all()).len().sort("len", "time", "user", "item", descending=[True, False, False, False])
    example = most.row(0, named=True)
    loaded.note(
        "repeated_rows", "interactions", copies, "kept",
        f"{copies / rows.height:.1%} of all rows are exact copies of another, alike in {', '.join(rows.columns)}; e.g. user "
        f"{example['user']!r}, item {example['item']!r}, {example['time']:%Y-%m-%d %H:%M:%S}, {example['len']:,} times. A "
        "purchase with copies is one purchase of more pieces and more money, as it should be where pieces are rung up one "
        "after the other. If the log was put together twice, or joined with a table that has several rows of a key, leave "
        "the copies out of the file.",
        tell=True,
    )  # fmt: skip
