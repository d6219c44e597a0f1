"""The canonical tables, as Arrow schemas: what every other room may rely on.

Ids are strings, times are UTC microseconds. A table may carry further columns: in ``users``, ``items`` and ``shops``
every further string column is a categorical attribute that features may use by its name.
"""

from dataclasses import dataclass

import pyarrow as pa

TIME = pa.timestamp("us", tz="UTC")

POSITIVE_KINDS = ("purchase",)
"""Kinds of interaction that a recommender is trained to bring about; the others are context."""


LISTED = "_listed"
"""Further column of items, users and shops: false for an id that only interactions name, where the source has such a
table. Named so that no shop's own column is called the same."""

ENDS = "_ends"
"""Further column of items, where ``columns`` says when they end: the last day on which one can be bought; null of what
stays."""

WORDS = "_words"
"""Further column of items, where ``searchable`` names columns: what a search finds beside names; null where there is none."""

UNLISTED = "Unlisted "
"""Begins the title that an id gets which only interactions name: something to read, and no name."""

RATING = "rating"
"""Further column of interactions where ratings weigh: how much somebody liked what they bought, above 0; null where they
did not say."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """One canonical table: its columns, and which of them must be there and filled."""

    name: str
    schema: pa.Schema
    required: tuple[str, ...]
    key: tuple[str, ...] = ()
    """Columns that together name a row; empty where rows may repeat."""


INTERACTIONS = Table(
    name="interactions",
    schema=pa.schema(
        [
            ("user", pa.string()),
            ("item", pa.string()),
            ("time", TIME),
            ("kind", pa.string()),  # purchase where the source has no such column; never null
            ("quantity", pa.float64()),  # pieces; 1 where the source names none
            ("price", pa.float64()),  # money paid for the row, all pieces together; null where unknown
            ("shop", pa.string()),  # null where unknown
            ("basket", pa.string()),  # one visit or order; null where unknown
        ]
    ),
    required=("user", "item", "time"),
)

ITEMS = Table(
    name="items",
    schema=pa.schema(
        [
            ("item", pa.string()),
            ("title", pa.string()),
            ("category", pa.list_(pa.string())),  # path, widest first; empty where unknown
            ("brand", pa.string()),
            ("price", pa.float64()),
            ("image", pa.string()),  # URL
        ]
    ),
    required=("item",),
    key=("item",),
)

USERS = Table(name="users", schema=pa.schema([("user", pa.string())]), required=("user",), key=("user",))

SHOPS = Table(
    name="shops",
    schema=pa.schema([("shop", pa.string()), ("title", pa.string())]),
    required=("shop",),
    key=("shop",),
)

TABLES = {table.name: table for table in (INTERACTIONS, ITEMS, USERS, SHOPS)}

SEARCHES = Table(
    name="searches",
    schema=pa.schema(
        [
            ("user", pa.string()),  # null where unknown
            ("query", pa.string()),  # as typed
            ("item", pa.string()),  # what was taken after it
            ("time", TIME),
            ("kind", pa.string()),  # how it was taken: click, cart, purchase; null where the source does not say
        ]
    ),
    required=("query", "item", "time"),
)
"""What was searched for and taken. A shop need not have it."""

OFFERS = Table(
    name="offers",
    schema=pa.schema(
        [
            ("item", pa.string()),
            ("from", pa.date32()),  # first day
            ("until", pa.date32()),  # last day
            ("shop", pa.string()),  # null: in all of them
            ("kind", pa.string()),  # mailer, display; null where the source does not say
        ]
    ),
    required=("item", "from", "until"),
)
"""What is on offer, how, where and when; also of days that are to come. A shop need not have it."""

READABLE = TABLES | {SEARCHES.name: SEARCHES, OFFERS.name: OFFERS}
"""All that a spec may name."""
