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

OF_PRICES = frozenset(
    "sale discount promo promotion price special offerprice rabatt preis aktion prix promocion".split()
)
"""What ends by such a name is a price, and the item is sold on."""


_NEVER = r"\b(?:2999|[3-9]\d{3})\b"
"""A year that stands for no end, as of 31.12.9999."""


def look(items: pl.DataFrame, events: pl.DataFrame, loaded: Loaded) -> None:
    """Notes what is worth acting on.

    Args:
        items: As the shop lists them, each once, with further columns as text.
        events: Canonical interactions.
    """
    _tell_shared_titles(items, loaded)
    _tell_ended(items, events, loaded)


def without_never(ends: pl.Series) -> pl.Series:
    """Ends without the words and the years by which programs say that there is none."""
    if ends.dtype.is_temporal():
        never = ends.dt.year() >= 2999
    elif ends.dtype == pl.String:
        never = ends.str.strip_chars().str.to_lowercase().is_in(times.NOTHING) | ends.str.contains(_NEVER)
    else:
        return ends
    return ends.set(never.fill_null(False), None)


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
        f"{shared.height / titled.height:.0%} of the titled items share their title with another, "
        f"{shared['title'].n_unique():,} titles in all, e.g. {example!r}: a list may show it twice. If it is one thing to a "
        f"customer, set spec.serving.listRules.nearDuplicates: SameTitle, which shows it once; or {coarser}, "
        "which also learns from all of them together.", tell=True,
    )  # fmt: skip


def _tell_ended(items: pl.DataFrame, events: pl.DataFrame, loaded: Loaded) -> None:
    last_day = events.select(pl.col("time").max().dt.date()).item()
    if schemas.ENDS in items.columns:
        ended = items.filter(pl.col(schemas.ENDS) < last_day).height
        loaded.note(
            "ended", "items", ended, "kept",
            f"They ended before the log's last day, {last_day}: they teach what people like, and are in no list and found by "
            "no search.",
        )  # fmt: skip
        return
    for name in _further(items):
        ends, pattern = _ends(items[name])
        if ends is None:
            continue
        days = items.select("item", end=ends.dt.date())
        ended = days.filter(pl.col("end") < last_day).height
        done = events.select("item", "time").join(days.drop_nulls(), on="item")
        late = done.filter(pl.col("time").dt.date() > pl.col("end")).height
        if late <= AFTER_THE_END * done.height:
            loaded.note(
                "ended", "items", ended, "kept", _advice(name, pattern, ended / items.height, last_day), tell=True
            )


def _advice(name: str, pattern: str | None, share: float, last_day: date) -> str:
    read = "" if pattern is None else f", and timeFormat: {pattern!r} beside columns"
    return (
        f"By their {name!r} {share:.0%} of the items have ended before the log's last day, {last_day}, and they are "
        "recommended and found as any other. Where nobody can buy them any more, write "
        f"ends: {name} into spec.data.tables.items.columns{read}: from the day after on they are in no list and found by no "
        "search. What is gone for other reasons belongs in the file of shoploop serve --out-of-stock."
    )


def _further(items: pl.DataFrame) -> list[str]:
    """The shop's own columns."""
    return [name for name in items.columns if items[name].dtype == pl.String and name not in schemas.ITEMS.schema.names]


def _are_one(groups: pl.Series, titles: pl.Series) -> bool:
    """Whether each group has one title, and each title one group."""
    if groups.null_count():
        return False
    pairs = pl.DataFrame({"group": groups, "title": titles}).unique()
    return pairs["group"].n_unique() == pairs["title"].n_unique() == pairs.height


def _ends(values: pl.Series) -> tuple[pl.Series | None, str | None]:
    """The column as times, where its name says an end and it holds times that are read in one way only; and the pattern that
    reads them, where they need one."""
    column = Column(values)
    tokens = set(column.tokens)
    named = tokens & ENDS or column.word.endswith(PAIRS) or any(token.startswith(ENDINGS) for token in tokens)
    if not named or tokens & OF_PRICES:
        return None, None
    text = without_never(values)
    held = Column(text)
    patterns: list[str | None] = [None] if held.clock else [*held.patterns]
    try:
        read = [times.parse(text, time_format=each, zone="UTC", where=column.name).times for each in patterns]
    except SchemaMismatch:  # dates such as 01/02/2025 among those that say which is the day
        return None, None
    if not read or not all(other.equals(read[0]) for other in read):
        return None, None
    return read[0], patterns[0]
