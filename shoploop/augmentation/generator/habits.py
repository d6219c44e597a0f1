"""What a row of a virtual visit says beside its item: how many pieces, at what price, in which shop.

None is learned by the adversary. Quantities are drawn by a category's share of rows with several pieces, prices are some at
which at least k users bought the item or the mean of what k of them paid, and a shopper has one usual shop and sometimes
goes to another. All of them are aggregates over at least k shoppers, those of small categories drawn towards the shop's.

Shapes: R rows, V items, C categories, P shops, Q quantiles.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from shoploop.augmentation.generator.counts import trust
from shoploop.augmentation.generator.records import Behaviour, Floats, Ints, Vocabulary

_MOST_PIECES = 12
_QUANTILES = 51
_FEWEST_SHOPPERS = 20


@dataclass(frozen=True, kw_only=True)
class Habits:
    pieces: Floats
    """(C, 12) shares of rows with one piece, two, and so on."""

    eager: Floats
    """(Q,) quantiles over shoppers of how much oftener than others they take several pieces, mean 1."""

    price: Floats
    """(points,) money per piece, each of at least k users (:func:`_price_points`); the points of each item lie together."""

    price_to: Ints
    """(V + 1,) where the points of each item begin; of an item without there is no price."""

    price_below: Floats
    """(points,) share of the item's buyers at this point and those before it."""

    shops: tuple[str, ...]
    """Those of at least k users."""

    shop_share: Floats
    """(P,) of visits."""

    usual: float
    """Share of visits that are to the shopper's usual shop."""

    def draw(self, made: Behaviour, vocabulary: Vocabulary, random: np.random.Generator) -> pl.DataFrame:
        """``quantity``, ``price`` (money of the row; null where unknown) and ``shop`` of each row."""
        pieces = self._pieces(made, vocabulary, random)
        price = np.round(self._each(made.item, random) * pieces, 2)
        return pl.DataFrame(
            {
                "quantity": pl.Series(pieces.astype(np.float64)),
                "price": pl.Series(price).fill_nan(None),
                "shop": self._shops(made, random),
            }
        )

    def _each(self, item: Ints, random: np.random.Generator) -> npt.NDArray[np.float64]:
        """(R,) money per piece; NaN where unknown."""
        first, stop = self.price_to[item], self.price_to[item + 1]
        # levels of all items on one line, each item's between its own whole number and the next
        line = np.repeat(np.arange(len(self.price_to) - 1), np.diff(self.price_to)) + np.minimum(self.price_below, 1.0)
        at = np.searchsorted(line, item + random.random(len(item)) * 0.999)
        known = stop > first
        out = np.full(len(item), np.nan)
        out[known] = self.price[np.clip(at[known], first[known], stop[known] - 1)]
        return out

    def _pieces(self, made: Behaviour, vocabulary: Vocabulary, random: np.random.Generator) -> Ints:
        eager = self.eager[random.integers(len(self.eager), size=made.records)][made.row_record]
        category = vocabulary.category[made.item]
        several = np.minimum((1 - self.pieces[:, 0])[category] * eager, 0.98)
        more = self.pieces[:, 1:] / np.maximum(self.pieces[:, 1:].sum(1, keepdims=True), 1e-12)
        level = random.random(len(category))
        which = 2 + (level[:, None] > np.cumsum(more, 1)[category]).sum(1)
        out = np.where(random.random(len(category)) < several, np.minimum(which, _MOST_PIECES), 1)
        return out.astype(np.int64)

    def _shops(self, made: Behaviour, random: np.random.Generator) -> pl.Series:
        if not self.shops:
            return pl.Series([None] * len(made.item), dtype=pl.String)
        usual, other = (
            random.choice(
                len(self.shops), size, p=self.shop_share.astype(np.float64) / self.shop_share.sum(dtype=np.float64)
            )
            for size in (made.records, len(made.record))
        )
        visited = np.where(random.random(len(made.record)) < self.usual, usual[made.record], other)
        return pl.Series(self.shops, dtype=pl.String).gather(visited[made.basket])


def unknown_habits(vocabulary: Vocabulary) -> Habits:
    """One piece, no price, no shop: where no budget covers more."""
    pieces = np.zeros((len(vocabulary.categories), _MOST_PIECES), np.float32)
    pieces[:, 0] = 1
    return Habits(
        pieces=pieces,
        eager=np.ones(1, np.float32),
        price=np.zeros(0, np.float32),
        price_to=np.zeros(len(vocabulary) + 1, np.int64),
        price_below=np.zeros(0, np.float32),
        shops=(),
        shop_share=np.zeros(0, np.float32),
        usual=1.0,
    )


def fit_habits(interactions: pl.DataFrame, vocabulary: Vocabulary, *, min_users: int) -> Habits:
    """Measures rows of a user, day and item together, as records hold them."""
    known = pl.DataFrame(
        {"item": vocabulary.items, "code": np.arange(len(vocabulary)), "category": vocabulary.category}
    )
    day = pl.col("time").dt.epoch("d").alias("day")
    rows = (
        interactions.filter(pl.col("quantity") > 0)
        .group_by("user", day, "item")
        .agg(pl.col("quantity", "price").sum(), pl.col("shop").first())
        .join(known, on="item")
        .sort("user", "day", "item")
        .with_columns(pieces=pl.col("quantity").round().clip(1, _MOST_PIECES).cast(pl.Int64))
    )
    points = _price_points(rows, min_users)
    each_item = np.bincount(points["code"].to_numpy(), minlength=len(vocabulary))
    shops, shares, usual = _shops(rows, min_users)
    pieces = _pieces(rows, len(vocabulary.categories))
    return Habits(
        pieces=pieces,
        eager=_eager(rows, pieces),
        price=points["each"].to_numpy().astype(np.float32),
        price_to=np.concatenate([[0], np.cumsum(each_item)]).astype(np.int64),
        price_below=points["below"].to_numpy().astype(np.float32),
        shops=shops,
        shop_share=shares,
        usual=usual,
    )


def _price_points(rows: pl.DataFrame, min_users: int) -> pl.DataFrame:
    """``code``, ``each``, ``users`` and ``below`` of each point, by item and price: prices of at least ``min_users`` users,
    and where they are rarer the mean over as many users who paid about the same.

    Without the means an item of hardly more buyers than these would have no price at all.
    """
    paid = (
        rows.filter(pl.col("price") > 0)
        .with_columns(each=(pl.col("price") / pl.col("quantity")).round(2))
        .with_columns(users=pl.col("user").n_unique().over("code", "each"))
    )
    usual = paid.filter(pl.col("users") >= min_users).group_by("code", "each").agg(pl.col("users").first())
    alike = (
        paid.filter(pl.col("users") < min_users)
        .group_by("code", "user")
        .agg(pl.col("each").quantile(0.5, "lower"))  # once each, so that as many rows are as many users
        .sort("code", "each", "user")
        .with_columns(rank=pl.int_range(pl.len()).over("code"), groups=pl.len().over("code") // min_users)
        .filter(pl.col("groups") > 0)
        .group_by("code", group=pl.min_horizontal(pl.col("rank") // min_users, pl.col("groups") - 1))
        .agg(pl.col("each").mean().round(2), users=pl.len())
    )
    columns = (pl.col("code"), pl.col("each"), pl.col("users").cast(pl.Int64))
    return (
        pl.concat([side.select(columns) for side in (usual, alike)])
        .sort("code", "each")
        .with_columns(below=pl.col("users").cum_sum().over("code") / pl.col("users").sum().over("code"))
    )


def _pieces(rows: pl.DataFrame, categories: int) -> Floats:
    table = np.zeros((categories, _MOST_PIECES))
    np.add.at(table, (rows["category"].to_numpy(), rows["pieces"].to_numpy() - 1), 1)
    common = table.sum(0) / max(table.sum(), 1)
    buyers = np.zeros(categories)
    counted = rows.group_by("category").agg(users=pl.col("user").n_unique())
    buyers[counted["category"].to_numpy()] = counted["users"].to_numpy()
    known = trust(buyers)[:, None]
    own = table / np.maximum(table.sum(1, keepdims=True), 1)
    out = known * own + (1 - known) * common
    return np.asarray(out if table.sum() else np.eye(1, _MOST_PIECES).repeat(categories, 0), np.float32)


def _eager(rows: pl.DataFrame, pieces: Floats) -> Floats:
    if not rows.height:
        return np.ones(1, np.float32)
    expected = pl.Series(1 - pieces[rows["category"].to_numpy(), 0].astype(np.float64))
    by_user = (
        rows.select("user", several=pl.col("pieces") > 1, expected=expected)
        .group_by("user", maintain_order=True)
        .agg(pl.col("several").sum(), pl.col("expected").sum(), rows=pl.len())
        .filter((pl.col("rows") >= 10) & (pl.col("expected") > 0))
    )
    if by_user.height < _FEWEST_SHOPPERS:
        return np.ones(1, np.float32)
    ratio = _quantiles((by_user["several"] / by_user["expected"]).to_numpy())
    return ratio / max(float(ratio.mean()), 1e-6) if ratio.mean() > 0 else np.ones(1, np.float32)


def _shops(rows: pl.DataFrame, min_users: int) -> tuple[tuple[str, ...], Floats, float]:
    visits = rows.drop_nulls("shop").select("user", "day", "shop").unique(["user", "day"], maintain_order=True)
    counted = (
        visits.group_by("shop")
        .agg(users=pl.col("user").n_unique(), visits=pl.len())
        .filter(pl.col("users") >= min_users)
        .sort("shop")
    )
    most = visits.group_by("user", "shop").len().group_by("user").agg(most=pl.col("len").max(), all=pl.col("len").sum())
    usual = float(most["most"].sum() / max(int(most["all"].sum()), 1)) if most.height else 1.0
    return tuple(counted["shop"]), counted["visits"].to_numpy().astype(np.float32), usual


def _quantiles(values: npt.NDArray[np.floating]) -> Floats:
    levels = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    return np.asarray(np.quantile(values, levels), np.float32)
