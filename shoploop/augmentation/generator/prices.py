"""What a row of a virtual visit costs: a price of the item, such as many paid, and an amount such as the shop asks.

An item's *points* are prices a piece at which at least k users bought it, and where they are rarer the mean over as many
users who paid about the same. A mean ends on any cent and lies at no end, and prices do both: so what is drawn at a mean
strays as far as the users of that mean did, and lands on an amount that at least k users paid for
something, the likelier the more paid it in that category. How dear a shopper buys is partly the shopper's own, partly the
shopper's for that item, and it depends on how many pieces are taken: many are taken where they are cheap.

All of it are aggregates over at least k users. None is learned by the adversary, and it must not know who judges it.

Shapes: R rows, V items, C categories, A amounts, Q quantiles.
"""

from dataclasses import dataclass
from math import fsum

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import ndtr, ndtri

from shoploop.augmentation.generator.counts import trust
from shoploop.augmentation.generator.records import Behaviour, Floats, Ints, Vocabulary

_QUANTILES = 101
_NEAR = 8
"""Amounts on either side of what was drawn that it may land on."""

_WIDE = 0.04
"""Deviation of the logarithm within which it lands."""

_FAR = 0.15
"""Farther off no amount of so many pieces is known, and what was drawn is asked as it is."""

_CLASSES = 3
"""Of pieces: one, two, more."""

_ENDS = 4
"""What a mean is to its item: the only one, the least, one between, the greatest."""

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Prices:
    each: Floats
    """(points,) money a piece; the points of each item lie together, ascending."""

    to: Ints
    """(V + 1,) where the points of each item begin; of an item without there is no price."""

    below: Floats
    """(points,) share of the item's rows at this point and those before it."""

    end: Ints
    """(points,) -1 for a price that k users paid, else what the mean is to its item."""

    spread: Floats
    """(points,) deviation of the logarithm of what the users of a mean paid; 0 of a price that k users paid."""

    stray: Floats
    """(4, Q) quantiles of how far, in such deviations, users lie from such a mean."""

    level: Floats
    """(3, Q) quantiles of how dear, among an item's prices from 0 to 1, one piece is, each of two, and of more."""

    own: float
    """Share of the variance of how dear is bought that is the shopper's."""

    own_of_item: float
    """And that is the shopper's for the item."""

    free: Floats
    """(C,) share of rows that cost nothing."""

    amounts: tuple[Floats, ...]
    """Of one piece, of two and so on, ascending: amounts of money that k users paid for so many of something."""

    paid: tuple[Floats, ...]
    """(C, A) each: share of the category's rows of so many pieces that cost so much."""

    def draw(self, made: Behaviour, vocabulary: Vocabulary, pieces: Ints, random: np.random.Generator) -> Numbers:
        """(R,) money of the row; NaN where unknown."""
        item, category = made.item, vocabulary.category[made.item]
        each, point = self._each(self._how_dear(made, pieces, random), item)
        mean = np.maximum(self.end[point], 0)
        strayed = self.stray[mean, random.integers(self.stray.shape[1], size=len(item))] * self.spread[point]
        exact = (self.end[point] < 0) & (pieces == 1)
        asked = each * np.where(self.end[point] < 0, 1.0, np.exp(strayed)) * pieces
        out = np.round(np.where(exact, asked, self._landed(asked, category, pieces, random)), 2).astype(np.float64)
        out[np.isfinite(out) & (random.random(len(out)) < self.free[category])] = 0.0
        return out

    def _how_dear(self, made: Behaviour, pieces: Ints, random: np.random.Generator) -> Numbers:
        """(R,) from 0 to 1."""
        record = made.row_record
        _, pair = np.unique(record * (int(made.item.max(initial=0)) + 1) + made.item, return_inverse=True)
        shared = np.sqrt(self.own) * random.normal(size=made.records)[record]
        of_item = np.sqrt(self.own_of_item) * random.normal(size=int(pair.max(initial=-1)) + 1)[pair]
        alone = np.sqrt(max(1 - self.own - self.own_of_item, 0)) * random.normal(size=len(record))
        at = np.minimum((ndtr(shared + of_item + alone) * self.level.shape[1]).astype(int), self.level.shape[1] - 1)
        return np.asarray(self.level[np.minimum(pieces, _CLASSES) - 1, at], np.float64)

    def _each(self, dear: Numbers, item: Ints) -> tuple[Numbers, Ints]:
        """(R,) money a piece, NaN where unknown, and at which point."""
        first, stop = self.to[item], self.to[item + 1]
        if not len(self.each):
            return np.full(len(item), np.nan), np.zeros(len(item), np.int64)
        # levels of all items on one line, each item's between its own whole number and the next
        line = np.repeat(np.arange(len(self.to) - 1), np.diff(self.to)) + np.minimum(self.below, 1.0)
        at = np.searchsorted(line, item + np.clip(dear, 0, 0.999))
        point = np.clip(np.clip(at, first, stop - 1), 0, len(self.each) - 1)
        return np.where(stop > first, self.each[point], np.nan), point

    def _landed(self, asked: Numbers, category: Ints, pieces: Ints, random: np.random.Generator) -> Numbers:
        """(R,) amounts near what was asked, the likelier the commoner."""
        out = asked.copy()
        for count, (amounts, paid) in enumerate(zip(self.amounts, self.paid, strict=True), start=1):
            rows = np.flatnonzero((pieces == count) & (asked > 0))
            if not len(amounts) or not len(rows):
                continue
            logs, wanted = np.log(amounts), np.log(asked[rows])
            near = np.searchsorted(logs, wanted)[:, None] + np.arange(-_NEAR, _NEAR)
            there = (near >= 0) & (near < len(amounts))
            near = np.clip(near, 0, len(amounts) - 1)
            off = np.abs(logs[near] - wanted[:, None])
            chance = np.log(paid[category[rows, None], near] + 1e-12) - (off / _WIDE) ** 2 / 2
            noisy = np.where(there, chance + random.gumbel(size=near.shape), -np.inf)
            best = noisy.argmax(1)
            row = np.arange(len(rows))
            known = np.where(there, off, np.inf).min(1) < _FAR
            out[rows[known]] = amounts[near[row, best]][known]
        return out


def unknown_prices(vocabulary: Vocabulary) -> Prices:
    """Of no item."""
    categories = len(vocabulary.categories)
    return Prices(
        each=np.zeros(0, np.float32),
        to=np.zeros(len(vocabulary) + 1, np.int64),
        below=np.zeros(0, np.float32),
        end=np.zeros(1, np.int64),
        spread=np.zeros(1, np.float32),
        stray=np.zeros((_ENDS, 1), np.float32),
        level=np.full((_CLASSES, 1), 0.5, np.float32),
        own=0.0,
        own_of_item=0.0,
        free=np.zeros(categories, np.float32),
        amounts=(),
        paid=(),
    )


def fit_prices(rows: pl.DataFrame, vocabulary: Vocabulary, *, min_users: int, most_pieces: int) -> Prices:
    """Measures what was paid.

    Args:
        rows: Of a user, day and item each ``user``, ``code`` of the item, its ``category``, ``pieces`` from 1 to
            ``most_pieces``, ``quantity``, and ``price``, which is null where unknown.
        min_users: k.
    """
    known = rows.filter(pl.col("price").is_not_null() & (pl.col("price") >= 0))
    paid = known.filter(pl.col("price") > 0).with_columns(each=(pl.col("price") / pl.col("quantity")).round(2))
    paid = paid.filter(pl.col("each") > 0)
    if not paid.height:
        return unknown_prices(vocabulary)
    points, alike = _points(paid, min_users)
    if not points.height:
        return unknown_prices(vocabulary)
    level, own, own_of_item = _how_dear(paid, min_users)
    amounts, shares = _amounts(paid, len(vocabulary.categories), min_users, most_pieces)
    each_item = np.bincount(points["code"].to_numpy(), minlength=len(vocabulary))
    free = _of_category(
        known.select("user", "category", value=(pl.col("price") == 0)), len(vocabulary.categories), min_users
    )
    return Prices(
        each=points["each"].to_numpy().astype(np.float32),
        to=np.concatenate([[0], np.cumsum(each_item)]).astype(np.int64),
        below=points["below"].to_numpy().astype(np.float32),
        end=points["end"].to_numpy().astype(np.int64),
        spread=points["spread"].to_numpy().astype(np.float32),
        stray=_strays(alike, min_users),
        level=level,
        own=own,
        own_of_item=own_of_item,
        free=np.asarray(free, np.float32),
        amounts=amounts,
        paid=shares,
    )


def _points(paid: pl.DataFrame, min_users: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """``code``, ``each``, ``below``, ``end`` and ``spread`` of each point, by item and price; and of each ``user`` whom means
    are of, once an item, ``end`` and ``off``, by how many deviations the user paid more than the mean.

    Without the means an item of hardly more buyers than k would have no price at all.
    """
    paid = paid.with_columns(users=pl.col("user").n_unique().over("code", "each"))
    usual = (
        paid.filter(pl.col("users") >= min_users)
        .group_by("code", "each")
        .agg(pl.col("users").first(), rows=pl.len())
        .with_columns(end=pl.lit(-1, pl.Int64), spread=pl.lit(0.0))
    )
    alike = (
        paid.filter(pl.col("users") < min_users)
        .group_by("code", "user")
        # once each, so that as many rows are as many users
        .agg(pl.col("each").quantile(0.5, "lower"), rows=pl.len())
        .sort("code", "each", "user")
        .with_columns(rank=pl.int_range(pl.len()).over("code"), groups=pl.len().over("code") // min_users)
        .filter(pl.col("groups") > 0)
        .with_columns(group=pl.min_horizontal(pl.col("rank") // min_users, pl.col("groups") - 1))
        .with_columns(
            mean=pl.col("each").log().mean().exp().over("code", "group"),
            spread=pl.col("each").log().std(ddof=0).over("code", "group"),
        )
        .with_columns(
            off=(pl.col("each") / pl.col("mean")).log() / pl.max_horizontal("spread", 1e-6),
            end=pl.when(pl.col("groups") == 1)
            .then(0)
            .when(pl.col("group") == 0)
            .then(1)
            .when(pl.col("group") == pl.col("groups") - 1)
            .then(3)
            .otherwise(2)
            .cast(pl.Int64),
        )
    )
    means = alike.group_by("code", "group").agg(
        pl.col("mean").first().alias("each"), pl.col("end", "spread").first(), rows=pl.col("rows").sum()
    )
    columns = (pl.col("code"), pl.col("each"), pl.col("rows").cast(pl.Int64), pl.col("end"), pl.col("spread"))
    points = (
        pl.concat([side.select(columns) for side in (usual, means)])
        .sort("code", "each", "end", "rows", "spread")
        .with_columns(below=pl.col("rows").cum_sum().over("code") / pl.col("rows").sum().over("code"))
    )
    return points, alike.select("user", "end", "off")


def _strays(alike: pl.DataFrame, min_users: int) -> Floats:
    """(4, Q)"""
    of_end = [alike.filter(pl.col("end") == which) for which in range(_ENDS)]
    found = [_quantiles(part["off"].to_numpy(), part["user"], min_users) for part in of_end]
    return np.stack([np.zeros(_QUANTILES, np.float32) if part is None else part for part in found])


def _how_dear(paid: pl.DataFrame, min_users: int) -> tuple[Floats, float, float]:
    """(3, Q) quantiles of an item's levels by class of pieces, of a class of too few users those of the class before; the
    shopper's share of their variance, and the share that is the shopper's for the item."""
    many = pl.len().over("code")
    ranked = paid.with_columns(
        # Equal prices lie at all of their levels: else an item of one price would ask for the middle of every other.
        level=(pl.col("each").rank("random", seed=0).over("code") - 0.5) / many,
        middle=(pl.col("each").rank("average").over("code") - 0.5) / many,
    )
    of_class = np.minimum(ranked["pieces"].to_numpy(), _CLASSES) - 1
    level = [np.full(_QUANTILES, 0.5, np.float32)]
    for which in range(_CLASSES):
        part = ranked.filter(of_class == which)
        told = _quantiles(part["level"].to_numpy(), part["user"], min_users)
        level.append(level[-1] if told is None else told)
    middle = ranked["middle"].to_numpy()
    scores = ranked.select("user", "code", z=pl.Series(ndtri(np.clip(middle, 0.005, 0.995))))
    total = max(float(scores["z"].to_numpy().var()), 1e-9)
    within = shared_variance(scores, "user", "code")
    means = scores.group_by("user", "code", maintain_order=True).agg(z=pl.col("z").sum() / pl.len())
    across = shared_variance(means, "user")
    own = float(np.clip(across / total, 0, 0.9))
    return np.stack(level[1:]), own, float(np.clip(within / total - own, 0, 0.95 - own))


def shared_variance(scores: pl.DataFrame, *group: str) -> float:
    """Mean product of two ``z`` of one group."""
    of_groups = scores.group_by(*group, maintain_order=True).agg(
        sum=pl.col("z").sum(), square=(pl.col("z") ** 2).sum(), n=pl.len().cast(pl.Int64)
    )
    # Summed exactly: else the last bits depend on how many threads there are.
    products = fsum((of_groups["sum"] ** 2 - of_groups["square"]).to_list())
    return products / max(float((of_groups["n"] * (of_groups["n"] - 1)).sum()), 1.0)


def _amounts(
    paid: pl.DataFrame, categories: int, min_users: int, most_pieces: int
) -> tuple[tuple[Floats, ...], tuple[Floats, ...]]:
    """By pieces, amounts that k users paid, and (C, A) shares, of small categories drawn towards the shop's."""
    paid = paid.filter(pl.col("quantity").round() == pl.col("pieces"))  # more than the most are asked as they are
    counted = (
        paid.with_columns(amount=pl.col("price").round(2))
        .group_by("pieces", "amount", "category")
        .agg(users=pl.col("user").n_unique(), rows=pl.len())
    )
    shopwide = (
        paid.with_columns(amount=pl.col("price").round(2))
        .group_by("pieces", "amount")
        .agg(users=pl.col("user").n_unique())
        .filter(pl.col("users") >= min_users)
        .sort("pieces", "amount")
    )
    buyers = _buyers(paid, categories)
    amounts, shares = [], []
    for count in range(1, most_pieces + 1):
        ladder = shopwide.filter(pl.col("pieces") == count)["amount"].to_numpy()
        of_count = counted.filter((pl.col("pieces") == count) & pl.col("amount").is_in(ladder))
        table = np.zeros((categories, len(ladder)))
        at = np.searchsorted(ladder, of_count["amount"].to_numpy())
        every = of_count["rows"].to_numpy().astype(np.float64)
        common = np.bincount(at, every, len(ladder)) if len(ladder) else np.zeros(0)
        common = common / max(common.sum(), 1.0)
        many = of_count["users"].to_numpy() >= min_users
        np.add.at(table, (of_count["category"].to_numpy()[many], at[many]), every[many])
        own = table / np.maximum(table.sum(1, keepdims=True), 1e-12)
        told = trust(buyers)[:, None] * (table.sum(1, keepdims=True) > 0)
        amounts.append(ladder.astype(np.float32))
        shares.append(np.asarray(told * own + (1 - told) * common, np.float32))
    return tuple(amounts), tuple(shares)


def _of_category(rows: pl.DataFrame, categories: int, min_users: int) -> Numbers:
    """(C,) mean of ``value``, of small categories drawn towards the mean of all, which those of too few users have."""
    common = float(rows["value"].cast(pl.Float64).mean() or 0.0)  # type: ignore[arg-type]
    by = rows.group_by("category").agg(pl.col("value").cast(pl.Float64).mean(), users=pl.col("user").n_unique())
    out = np.full(categories, common)
    at = by["category"].to_numpy()
    users = by["users"].to_numpy()
    known = trust(users) * (users >= min_users)
    out[at] = known * by["value"].to_numpy() + (1 - known) * common
    return out


def _buyers(rows: pl.DataFrame, categories: int) -> Numbers:
    out = np.zeros(categories)
    counted = rows.group_by("category").agg(users=pl.col("user").n_unique())
    out[counted["category"].to_numpy()] = counted["users"].to_numpy()
    return out


def _quantiles(values: Numbers, user: pl.Series, min_users: int) -> Floats | None:
    """(Q,): each the mean of what lies about it, over as many users as may be told of at the least, each counting once; None
    where there are fewer."""
    users, code = np.unique(user.rank("dense").to_numpy(), return_inverse=True)
    if len(users) < min_users:
        return None
    order = np.lexsort((code, values))
    parts = min(_QUANTILES, len(users) // min_users)
    while True:
        part = (np.arange(len(order)) * parts) // len(order)
        pair, of_pair = np.unique(part * len(users) + code[order], return_inverse=True)
        each = np.bincount(of_pair, values[order]) / np.bincount(of_pair)
        counted = np.bincount(pair // len(users), minlength=parts)
        if counted.min() >= min_users:
            break
        parts -= 1 + parts // 8  # of one part all are counted
    means = np.bincount(pair // len(users), each) / counted
    return np.asarray(means[(np.arange(_QUANTILES) * len(means)) // _QUANTILES], np.float32)
