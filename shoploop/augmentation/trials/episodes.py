"""Episodes: what a shopper had bought before a visit, and the visit. Simple augmentations make new ones of real ones.

An episode becomes a training sample by way of rows under a name of its own (``~crop-17``), so that virtual behaviour
reaches a model through the same features as real behaviour. Names of real users sort before the tilde.

Columns of episodes: ``user``, ``day`` (int32), ``item``, ``quantity``, ``price``, ``shop``, and ``back``: baskets counted
from the label, which is 0.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

PREFIX = "~"
CHANGED = 0.25
"""Share of the rows of a history that masking drops and substitution replaces."""


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Rows to put beside the real log, and the visits among them to learn from."""

    rows: pl.DataFrame
    labels: pl.DataFrame
    """``user`` and ``day``."""


def episodes_of(bought: pl.DataFrame, labels: pl.DataFrame, *, baskets: int) -> pl.DataFrame:
    """The last ``baskets`` baskets before each label, and the label's own.

    Args:
        bought: Rows of ``features.log.purchases``.
        labels: ``user`` and ``day`` of visits.
    """
    named = labels.rename({"day": "label"}).with_row_index("episode")
    rows = named.join(bought, on="user").filter(pl.col("day") <= pl.col("label"))
    back = pl.col("day").rank("dense", descending=True).over("episode").cast(pl.Int32) - 1
    rows = rows.with_columns(back=back).filter(pl.col("back") <= baskets)
    return rows.filter(pl.col("back").max().over("episode") >= 1).sort("episode", "day", "item")


def crop(episodes: pl.DataFrame, random: np.random.Generator) -> Labelled:
    """A history that begins later: of each, a random number of its last baskets."""
    kept = pl.col("back") <= (1 + (pl.col("draw") * pl.col("back").max().over("episode")).floor())
    return _labelled(_draw_each(episodes, random).filter(kept), "crop")


def mask(episodes: pl.DataFrame, random: np.random.Generator) -> Labelled:
    """A history with rows missing."""
    drawn = episodes.with_columns(draw=pl.Series(random.random(episodes.height)))
    return _labelled(drawn.filter((pl.col("back") == 0) | (pl.col("draw") >= CHANGED)), "mask")


def reorder(episodes: pl.DataFrame, random: np.random.Generator) -> Labelled:
    """A history whose baskets change places; the label stays."""
    places = episodes.select("episode", "back", "day").unique().sort("episode", "back")
    drawn = places.filter(pl.col("back") > 0).with_columns(draw=pl.lit(0.0))
    drawn = drawn.with_columns(draw=pl.Series(random.random(drawn.height)))
    drawn = drawn.with_columns(place=pl.col("draw").rank("ordinal").over("episode").cast(pl.Int32))
    days = places.rename({"back": "place", "day": "new_day"})
    moved = drawn.select("episode", "back", "place").join(days, on=["episode", "place"])
    rows = episodes.join(moved.select("episode", "back", "new_day"), on=["episode", "back"], how="left")
    return _labelled(rows.with_columns(day=pl.coalesce("new_day", "day")), "reorder")


def substitute(episodes: pl.DataFrame, random: np.random.Generator, alike: dict[str, str]) -> Labelled:
    """A history in which items give way to the item most often bought with them."""
    drawn = episodes.with_columns(draw=pl.Series(random.random(episodes.height)))
    other = pl.col("item").replace_strict(alike, default=pl.col("item"))
    changed = (pl.col("back") > 0) & (pl.col("draw") < CHANGED)
    return _labelled(drawn.with_columns(item=pl.when(changed).then(other).otherwise("item")), "substitute")


def reverse(episodes: pl.DataFrame, random: np.random.Generator) -> Labelled:
    """A history in reverse order, its first basket the label: pre-training of ASReP (Liu et al. 2021)."""
    first, last = pl.col("day").min().over("episode"), pl.col("day").max().over("episode")
    back = pl.col("back").max().over("episode") - pl.col("back")
    return _labelled(episodes.with_columns(day=first + last - pl.col("day"), back=back), "reverse")


SIMPLE: dict[str, Callable[[pl.DataFrame, np.random.Generator], Labelled]] = {
    "crop": crop,
    "mask": mask,
    "reorder": reorder,
}
"""Those that need nothing beside the episodes and go into training as they are."""


def virtual(interactions: pl.DataFrame) -> Labelled:
    """The same of a generator's rows: each virtual shopper's last visit is the label."""
    rows = interactions.with_columns(day=pl.col("time").dt.epoch("d").cast(pl.Int32))
    last = pl.col("day").max().over("user")
    rows = rows.filter(pl.col("day").n_unique().over("user") > 1)
    return Labelled(
        rows=rows.select(_COLUMNS),
        labels=rows.filter(pl.col("day") == last).select("user", "day").unique().sort("user"),
    )


_COLUMNS = ("user", "day", "item", "quantity", "price", "shop")


def _draw_each(episodes: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
    draws = random.random(int(episodes.select(pl.col("episode").max()).item() or 0) + 1)
    return episodes.with_columns(draw=pl.Series(draws).gather(episodes["episode"]))


def _labelled(episodes: pl.DataFrame, name: str) -> Labelled:
    rows = episodes.with_columns(user=pl.format("~" + name + "-{}", pl.col("episode").cast(pl.String)))
    labels = rows.filter(pl.col("back") == 0).select("user", "day").unique().sort("user")
    with_history = rows.filter(pl.col("back") > 0)["user"].unique()
    return Labelled(rows=rows.select(_COLUMNS), labels=labels.filter(pl.col("user").is_in(with_history.implode())))
