"""What the table of items says of what is sold that a shop should act on: titles that many share, items that have ended.

It only tells: which of two sizes is shown, and what can be bought today, is the shop's to say.
"""

from datetime import date

import polars as pl

from shoploop import schemas
from shoploop.data import ends
from shoploop.data.column import Column
from shoploop.data.rules import Loaded

SHARED = 0.2
"""From this share of the titled items on, titles that several have are told."""


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
        if not ends.is_named_so(Column(items[name])):
            continue
        readings = ends.readings(items[name])
        if len(readings) != 1:
            continue
        ((pattern, read),) = readings.items()
        days = items.select("item", end=read.dt.date())
        ended = days.filter(pl.col("end") < last_day).height
        if ends.share_after(days, events) <= ends.AFTER_THE_END:
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
