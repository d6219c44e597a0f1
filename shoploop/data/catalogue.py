"""What the table of items says of what is sold that a shop should act on: titles that many share, items that have ended.

It only tells: which of two sizes is shown, and what can be bought today, is the shop's to say.
"""

from datetime import date

import polars as pl

from shoploop import schemas
from shoploop.data import times
from shoploop.data.column import Column
from shoploop.data.rules import Loaded
from shoploop.errors import SchemaMismatch

SHARED = 0.2
"""From this share of the titled items on, titles that several have are told."""

AFTER_THE_END = 0.2
"""Where more of what people did than this came after the end that a column names, it is an end of something else."""

ENDS = frozenset(
    "until end ends ended ending enddate deadline closing closes expiry bis ende enddatum fin fine limite echeance hasta "
    "termino tot einddatum slutdatum do validto validade".split()
)
"""Parts of names of the day up to which something is sold, holds or takes place."""

ENDINGS = ("expir", "ablauf", "auslauf", "caduc", "vencim", "scaden", "verval", "discontinu")
"""The same of words that go on in several ways."""

PAIRS = ("validto", "validthru", "validthrough", "availableto", "activeto", "onlineto")

OF_PRICES = frozenset("sale discount promo promotion price special offerprice rabatt preis aktion prix promocion".split())
"""What ends by such a name is a price, and the item is sold on."""


def look(items: pl.DataFrame, events: pl.DataFrame, loaded: Loaded) -> None:
    """Notes what is worth acting on.

    Args:
        items: As the shop lists them, each once, with further columns as text.
        events: Canonical interactions.
    """
    _tell_shared_titles(items, loaded)
    _tell_ended(items, events, loaded)


def _tell_shared_titles(items: pl.DataFrame, loaded: Loaded) -> None:
    if "title" not in items.columns:
        return
    plain = pl.col("title").str.normalize("NFKD").str.replace_all(r"\p{M}", "").str.to_lowercase()
    plain = plain.str.replace_all(r"[^\p{L}\p{N}]+", " ").str.strip_chars()
    titled = items.with_columns(plain.alias("title")).filter(pl.col("title") != "")
    shared = titled.filter(pl.len().over("title") > 1)
    if shared.height < max(2, SHARED * titled.height):
        return
    group = next((name for name in _further(items) if _are_one(titled[name], titled["title"])), None)
    coarser = (
        f"the column {group!r} names the same groups: where the log has it, too, make it the item of both tables"
        if group is not None
        else "name what they have in common, such as the product of several sizes, as the item of both tables"
    )
    example = items.filter(pl.col("item") == shared["item"][0])["title"][0]
    loaded.note(
        "same_title", "items", shared.height, "kept",
        f"{shared.height / titled.height:.0%} of the titled items share their title with another, {shared['title'].n_unique():,} "
        f"titles in all, e.g. {example!r}: a list may show it twice. If it is one thing to a customer, set "
        f"spec.serving.listRules.nearDuplicates: SameTitle, which shows it once; or {coarser}, which also learns from all of "
        "them together.", tell=True,
    )  # fmt: skip


def _tell_ended(items: pl.DataFrame, events: pl.DataFrame, loaded: Loaded) -> None:
    last_day = events.select(pl.col("time").max().dt.date()).item()
    for name in _further(items):
        ends = _ends(items[name])
        if ends is None:
            continue
        days = items.select("item", end=ends.dt.date())
        ended = days.filter(pl.col("end") < last_day).height
        done = events.select("item", "time").join(days.drop_nulls(), on="item")
        late = done.filter(pl.col("time").dt.date() > pl.col("end")).height
        if late <= AFTER_THE_END * done.height:
            loaded.note("ended", "items", ended, "kept", _advice(name, ended, items.height, last_day), tell=True)


def _advice(name: str, ended: int, listed: int, last_day: date) -> str:
    return (
        f"By their {name!r} {ended / listed:.0%} of the items have ended before the log's last day, {last_day}. They teach what "
        "people like, and are recommended and found as any other. What nobody can buy any more belongs in a file of ids, one "
        "a line, which the shop writes anew each day: shoploop serve --out-of-stock FILE leaves it out of lists and searches."
    )


def _further(items: pl.DataFrame) -> list[str]:
    """The shop's own columns."""
    return [name for name in items.columns if name not in schemas.ITEMS.schema.names and name != schemas.LISTED]


def _are_one(groups: pl.Series, titles: pl.Series) -> bool:
    """Whether each group has one title, and each title one group."""
    if groups.null_count():
        return False
    pairs = pl.DataFrame({"group": groups, "title": titles}).unique()
    return pairs["group"].n_unique() == pairs["title"].n_unique() == pairs.height


def _ends(values: pl.Series) -> pl.Series | None:
    """The column as times, where its name says an end and it holds times that are read in one way only."""
    column = Column(values)
    tokens = set(column.tokens)
    named = tokens & ENDS or column.word.endswith(PAIRS) or any(token.startswith(ENDINGS) for token in tokens)
    if not named or tokens & OF_PRICES:
        return None
    text = values.set(values.str.to_lowercase().is_in(times.NOTHING).fill_null(False), None)
    held = Column(text)
    try:
        read = [
            times.parse(text, time_format=pattern, zone="UTC", where=column.name).times
            for pattern in ([None] if held.clock else held.patterns)
        ]
    except SchemaMismatch:  # dates such as 01/02/2025 among those that say which is the day
        return None
    return read[0] if read and all(other.equals(read[0]) for other in read) else None
