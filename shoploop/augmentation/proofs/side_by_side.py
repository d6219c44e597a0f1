"""Real and virtual shoppers beside each other, as curves and as baskets with product names, for people to look at.

Nothing is judged here: the gates are in ``fidelity`` and ``privacy``. Of real shoppers as many last visits are counted as a
virtual one has, and none is named.
"""

from typing import Any

import numpy as np
import polars as pl

from shoploop.augmentation.generator.records import RECORD_BASKETS
from shoploop.features.log import day_of

SHOWN_SHOPPERS, SHOWN_VISITS = 3, 4
_CATEGORIES = 12
_LARGEST_BASKET, _LONGEST_GAP = 30, 28

Curve = list[tuple[float, float]]


def compare(real: pl.DataFrame, made: pl.DataFrame, items: pl.DataFrame, *, seed: int) -> dict[str, Any]:
    """What a page shows of two tables of interactions.

    Args:
        real: Canonical interactions, of the days before evaluation.
        made: The same of virtual shoppers.
        items: Canonical items.

    Returns:
        ``curves``: by name and side, points (value, share); ``categories``: share of rows by side, largest first;
        ``numbers``: means by side; ``shoppers``: by side, of each its visits with titles.
    """
    sides = {"real": _visits(real), "virtual": _visits(made)}
    return {
        "curves": {
            name: {side: measure(rows) for side, rows in sides.items()}
            for name, measure in (
                ("basket_size", _basket_sizes),
                ("gap", _gaps),
                ("hour", _hours),
                ("popularity", _popularity),
            )
        },
        "numbers": {
            "products in a basket": {side: _mean_size(rows) for side, rows in sides.items()},
            "share bought before": {side: _repeat_rate(rows) for side, rows in sides.items()},
        },
        "categories": _categories(sides, items),
        "shoppers": {side: _shoppers(rows, items, seed) for side, rows in sides.items()},
        "counted": {side: {"shoppers": rows["user"].n_unique(), "rows": rows.height} for side, rows in sides.items()},
    }


def _visits(interactions: pl.DataFrame) -> pl.DataFrame:
    """Each item of a visit once, of the last visits of everyone with two or more."""
    rows = interactions.with_columns(day=day_of("time")).unique(
        ["user", "day", "item"], keep="first", maintain_order=True
    )
    back = pl.col("day").rank("dense", descending=True).over("user") - 1
    rows = rows.with_columns(back=back.cast(pl.Int32)).filter(pl.col("back") < RECORD_BASKETS)
    return rows.filter(pl.col("day").n_unique().over("user") > 1).sort("user", "day", "item")


def _shares(values: pl.Series, largest: int) -> Curve:
    """Share of each whole number up to ``largest``; what lies above counts, but is not shown."""
    counts = np.bincount(values.clip(0, largest + 1).cast(pl.Int64).to_numpy(), minlength=largest + 2)
    total = max(int(counts.sum()), 1)
    return [(float(value), float(count / total)) for value, count in enumerate(counts[:-1])]


def _basket_sizes(rows: pl.DataFrame) -> Curve:
    return _shares(rows.group_by("user", "day").len()["len"], _LARGEST_BASKET)[1:]


def _gaps(rows: pl.DataFrame) -> Curve:
    days = rows.select("user", "day").unique().sort("user", "day")
    return _shares(days.select(pl.col("day").diff().over("user")).to_series().drop_nulls(), _LONGEST_GAP)[1:]


def _hours(rows: pl.DataFrame) -> Curve:
    return _shares(rows.group_by("user", "day").agg(pl.col("time").min().dt.hour())["time"], 23)


def _popularity(rows: pl.DataFrame) -> Curve:
    """Share of rows that the most bought items make up, by how many items."""
    counts = np.sort(rows["item"].value_counts()["count"].to_numpy())[::-1]
    share = np.cumsum(counts) / max(counts.sum(), 1)
    places = np.unique(np.geomspace(1, len(share), 20).astype(int)) if len(share) else np.zeros(0, int)
    return [(float(np.log10(place)), float(share[place - 1])) for place in places]


def _mean_size(rows: pl.DataFrame) -> float:
    visits = rows.select("user", "day").n_unique() if rows.height else 1
    return rows.height / max(visits, 1)


def _repeat_rate(rows: pl.DataFrame) -> float:
    """Share of rows after a shopper's first visit whose item the shopper had in an earlier one of these visits."""
    later = rows.with_columns(first=pl.col("day").min().over("user", "item"), begin=pl.col("day").min().over("user"))
    later = later.filter(pl.col("day") > pl.col("begin"))
    return float(later.select((pl.col("first") < pl.col("day")).mean()).item() or 0.0)


def _categories(sides: dict[str, pl.DataFrame], items: pl.DataFrame) -> list[dict[str, Any]]:
    if not isinstance(items.schema.get("category"), pl.List):
        return []
    named = items.select("item", category=pl.col("category").list.first()).unique("item", keep="first")
    share = {
        side: dict(
            rows.join(named, on="item", how="left")["category"]
            .fill_null("without")
            .value_counts(normalize=True)
            .iter_rows()
        )
        for side, rows in sides.items()
    }
    known = sorted(set(share["real"]) | set(share["virtual"]), key=lambda name: (-share["real"].get(name, 0.0), name))
    return [{"category": name} | {side: share[side].get(name, 0.0) for side in sides} for name in known[:_CATEGORIES]]


def _shoppers(rows: pl.DataFrame, items: pl.DataFrame, seed: int) -> list[list[dict[str, Any]]]:
    """A few shoppers drawn at random; of each the last visits, the first of them on day 0."""
    users = rows["user"].unique().sort()
    drawn = users.gather(np.sort(np.random.default_rng(seed).permutation(len(users))[:SHOWN_SHOPPERS]))
    columns = ["item", "title"] if "title" in items.columns else ["item"]
    titles = items.select(columns).unique("item", keep="first")
    shown = rows.filter(pl.col("user").is_in(drawn.implode()) & (pl.col("back") < SHOWN_VISITS))
    shown = shown.join(titles, on="item", how="left", maintain_order="left")
    title = pl.coalesce("title", "item") if "title" in shown.columns else pl.col("item")
    found = []
    for user in drawn:
        visits = shown.filter(pl.col("user") == user).group_by("day", maintain_order=True).agg(titles=title)
        first = visits["day"].min() or 0
        found.append([{"day": int(day - first), "titles": list(names)} for day, names in visits.iter_rows()])
    return found
