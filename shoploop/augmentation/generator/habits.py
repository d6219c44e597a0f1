"""What a row of a virtual visit says beside its item: how many pieces, at what price, in which shop.

None is learned by the adversary. Quantities are drawn by a category's share of rows with several pieces, prices by
:mod:`~.prices`, and a shopper has one usual shop and sometimes goes to another. All of them are aggregates over at least k
shoppers, those of small categories drawn towards the shop's.

Shapes: R rows, C categories, L numbers of pieces, P shops, Q quantiles.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import ndtr, ndtri

from shoploop.augmentation.generator.counts import trust
from shoploop.augmentation.generator.prices import Prices, fit_prices, shared_variance, unknown_prices
from shoploop.augmentation.generator.pseudonyms import numbered
from shoploop.augmentation.generator.records import RECORD_BASKETS, Behaviour, Floats, Ints, Vocabulary

_MOST_EXACT = 2**53
_MOST_PIECES = 12
"""Up to so many each number of pieces is told; of greater ones those that k users took at once: a dozen, a gross."""

_MOST_NUMBERS = 48
"""Greater ones that are told."""

_QUANTILES = 51
_FEWEST_SHOPPERS = 20


@dataclass(frozen=True, kw_only=True)
class Habits:
    numbers: Ints
    """(L,) of pieces, ascending from 1."""

    dear: Floats
    """(3,) logarithms of price that part a shop's items into quarters: what is cheap is taken by the dozen."""

    pieces: Floats
    """(4 C, L) shares of rows with so many pieces, of a category's cheapest items, the dearer, and so on."""

    own: float
    """Share of the variance of how many, where there are several, that is the shopper's: some buy for a shop of their own."""

    eager: Floats
    """(Q,) quantiles over shoppers of how much oftener than others they take several pieces, mean 1."""

    as_before: float
    """Share of rows of an item bought again that take one piece or several as the shopper does of it, not as chance says."""

    prices: Prices

    shops: tuple[str, ...]
    """Those of at least k users."""

    shop_share: Floats
    """(P,) of visits."""

    usual: Floats
    """(Q,) quantiles over shoppers of the share of a few visits that are to the one shop which has most of them."""

    second: float
    """Share of the other visits that are to the shopper's second shop."""

    def draw(self, made: Behaviour, vocabulary: Vocabulary, random: np.random.Generator) -> pl.DataFrame:
        """``quantity``, ``price`` (money of the row; null where unknown) and ``shop`` of each row."""
        pieces = self._pieces(made, vocabulary, random)
        price = self.prices.draw(made, vocabulary, pieces, random)
        return pl.DataFrame(
            {
                "quantity": pl.Series(pieces.astype(np.float64)),
                "price": pl.Series(price).fill_nan(None),
                "shop": self._shops(made, random),
            }
        )

    def _pieces(self, made: Behaviour, vocabulary: Vocabulary, random: np.random.Generator) -> Ints:
        eager = self.eager[random.integers(len(self.eager), size=made.records)][made.row_record]
        category = _quarters(vocabulary, self.dear)[made.item]
        several = np.minimum((1 - self.pieces[:, 0])[category] * eager, 0.98)
        _, pair = np.unique(made.row_record * len(vocabulary) + made.item, return_inverse=True)
        same = random.random(len(category)) < self.as_before
        own = random.random(int(pair.max(initial=-1)) + 1)[pair]
        takes = np.where(same, own, random.random(len(category)))
        shared = np.sqrt(self.own) * random.normal(size=made.records)[made.row_record]
        alone = np.where(same, random.normal(size=len(pair))[pair], random.normal(size=len(category)))
        level = ndtr(shared + np.sqrt(1 - self.own) * alone)
        # levels of all categories on one line, each category's between its own whole number and the next
        wide = len(self.numbers) - 1
        line = (np.minimum(_below(self.pieces)[:, 1:], 1.0) + np.arange(len(self.pieces))[:, None]).ravel()
        which = np.searchsorted(line, category + np.minimum(level, 0.999999)) - category * wide
        return np.where(takes < several, self.numbers[1 + np.clip(which, 0, wide - 1)], 1).astype(np.int64)

    def _shops(self, made: Behaviour, random: np.random.Generator) -> pl.Series:
        if not self.shops:
            return pl.Series([None] * len(made.item), dtype=pl.String)
        share = self.shop_share.astype(np.float64) / self.shop_share.sum(dtype=np.float64)
        usual = random.choice(len(self.shops), made.records, p=share)
        second, other = (_another(share, than, random) for than in (usual, usual[made.record]))
        other = np.where(random.random(len(other)) < self.second, second[made.record], other)
        # Of each record's visits so many, and which ones by chance, are to the usual shop.
        visits = np.bincount(made.record, minlength=made.records)
        many = np.round(self.usual[random.integers(len(self.usual), size=made.records)] * visits)
        order = np.lexsort((random.random(len(other)), made.record))
        rank = np.empty(len(other), np.int64)
        rank[order] = np.arange(len(other)) - (np.cumsum(visits) - visits)[made.record]
        visited = np.where(rank < np.maximum(many, 1)[made.record], usual[made.record], other)
        return pl.Series(self.shops, dtype=pl.String).gather(visited[made.basket])


def _another(share: npt.NDArray[np.float64], than: Ints, random: np.random.Generator) -> Ints:
    """Shops drawn by their (P,) shares, each another than ``than`` where there is more than one."""
    if len(share) == 1:
        return than
    upper = np.cumsum(share)
    level = random.random(len(than)) * (upper[-1] - share[than])
    level += np.where(level >= upper[than] - share[than], share[than], 0)
    out: Ints = np.minimum(np.searchsorted(upper, level, side="right"), len(share) - 1)
    return out


def unknown_habits(vocabulary: Vocabulary) -> Habits:
    """One piece, no price, no shop: where no budget covers more."""
    pieces = np.zeros((4 * len(vocabulary.categories), _MOST_PIECES), np.float32)
    pieces[:, 0] = 1
    return Habits(
        dear=np.zeros(3, np.float32),
        numbers=np.arange(1, _MOST_PIECES + 1),
        pieces=pieces,
        own=0.0,
        eager=np.ones(1, np.float32),
        prices=unknown_prices(vocabulary),
        shops=(),
        shop_share=np.zeros(0, np.float32),
        as_before=0.0,
        usual=np.ones(1, np.float32),
        second=0.0,
    )


def fit_habits(interactions: pl.DataFrame, vocabulary: Vocabulary, *, min_users: int) -> Habits:
    """Measures rows of a user, day and item together, as records hold them."""
    known = pl.DataFrame(
        {"item": vocabulary.items, "code": np.arange(len(vocabulary)), "category": vocabulary.category}
    )
    day = pl.col("time").dt.epoch("d").alias("day")
    rows = (
        numbered(interactions)
        .filter(pl.col("quantity") > 0)
        .group_by("user", day, "item")
        .agg(
            pl.col("quantity").sum(),
            price=pl.when(pl.col("price").is_not_null().any()).then(pl.col("price").sum()),
            shop=pl.col("shop").first(),
        )
        .join(known, on="item")
        .sort("user", "day", "item")
        .with_columns(pieces=pl.col("quantity").round().clip(1, _MOST_PIECES).cast(pl.Int64))
    )
    shops, shares, usual, second = _shops(rows, min_users)
    numbers = _numbers(rows, min_users)
    # What nobody else took is the nearest number that others did, by ratio.
    between = np.sqrt(numbers[1:] * numbers[:-1])
    rows = rows.with_columns(step=np.searchsorted(between, rows["quantity"].round().clip(1).to_numpy()))
    dear = np.quantile(vocabulary.dear, [0.25, 0.5, 0.75]).astype(np.float32)
    quarters = _quarters(vocabulary, dear)
    pieces = _pieces(rows, quarters, len(vocabulary.categories), len(numbers))
    of_rows = rows.with_columns(category=quarters[rows["code"].to_numpy()])
    return Habits(
        dear=dear,
        numbers=numbers,
        pieces=pieces,
        own=_own(of_rows, pieces),
        eager=_eager(of_rows, pieces),
        prices=fit_prices(rows, vocabulary, min_users=min_users, most_pieces=_MOST_PIECES),
        shops=shops,
        shop_share=shares,
        as_before=_as_before(of_rows, pieces),
        usual=usual,
        second=second,
    )


def _numbers(rows: pl.DataFrame, min_users: int) -> Ints:
    """(L,) of pieces that are told, ascending: one, and what so many shoppers took; of great ones the most usual."""
    number = pl.col("quantity").round().clip(1, _MOST_EXACT).cast(pl.Int64)
    taken = rows.select("user", number=number).group_by("number").agg(users=pl.col("user").n_unique())
    several = taken.filter((pl.col("users") >= min_users) & (pl.col("number") > 1))
    greater = several.filter(pl.col("number") > _MOST_PIECES).sort("users", "number", descending=[True, False])
    told = [several.filter(pl.col("number") <= _MOST_PIECES)["number"], greater["number"].head(_MOST_NUMBERS)]
    return np.sort(np.concatenate([[1], *(each.to_numpy() for each in told)])).astype(np.int64)


def _below(pieces: Floats) -> npt.NDArray[np.float64]:
    """(C, L) share of the rows with several pieces that have so many or fewer; 0 of one."""
    several = np.pad(pieces[:, 1:].astype(np.float64), ((0, 0), (1, 0)))
    out: npt.NDArray[np.float64] = np.cumsum(several, 1) / np.maximum(several.sum(1, keepdims=True), 1e-12)
    return out


def _own(rows: pl.DataFrame, pieces: Floats) -> float:
    several = rows.filter(pl.col("step") > 0)
    if several["user"].n_unique() < _FEWEST_SHOPPERS:
        return 0.0
    below, category, step = _below(pieces), several["category"].to_numpy(), several["step"].to_numpy()
    middle = (below[category, step - 1] + below[category, step]) / 2
    scores = several.select("user", z=pl.Series(ndtri(np.clip(middle, 0.005, 0.995))))
    total = max(float(np.sort(scores["z"].to_numpy()).var()), 1e-9)  # users come in another order in each run
    return float(np.clip(shared_variance(scores, "user") / total, 0, 0.95))


def _quarters(vocabulary: Vocabulary, dear: Floats) -> Ints:
    """(V,) of each item its category's quarter: four times the category's code, and how dear the item is from 0 to 3."""
    return np.asarray(4 * vocabulary.category + np.searchsorted(dear, vocabulary.dear), np.int64)


def _pieces(rows: pl.DataFrame, quarters: Ints, categories: int, numbers: int) -> Floats:
    if not rows.height:
        return np.eye(1, numbers).repeat(4 * categories, 0).astype(np.float32)
    common = np.full((1, numbers), 1 / numbers)
    whole = np.zeros(rows.height, np.int64)
    # Of few buyers drawn towards the category's, and these towards the shop's.
    for groups, of_row in (
        (1, whole),
        (categories, rows["category"].to_numpy()),
        (4 * categories, quarters[rows["code"].to_numpy()]),
    ):
        table = np.zeros((groups, numbers))
        np.add.at(table, (of_row, rows["step"].to_numpy()), 1)
        counted = rows.select("user", group=of_row).group_by("group").agg(users=pl.col("user").n_unique())
        buyers = np.zeros(groups)
        buyers[counted["group"].to_numpy()] = counted["users"].to_numpy()
        known = trust(buyers)[:, None] if groups > 1 else 1.0
        own = table / np.maximum(table.sum(1, keepdims=True), 1)
        common = known * own + (1 - known) * common.repeat(groups // len(common), 0)
    return np.asarray(common, np.float32)


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


def _as_before(rows: pl.DataFrame, pieces: Floats) -> float:
    """How much oftener than by chance a shopper's next purchase of an item takes several pieces or one as the one before."""
    again = rows.with_columns(
        several=pl.col("pieces") > 1, usual=pl.Series(1 - pieces[rows["category"].to_numpy(), 0].astype(np.float64))
    ).sort("user", "item", "day", maintain_order=True)
    eager = pl.col("several").sum().over("user") / pl.col("usual").sum().over("user")
    again = again.with_columns(chance=(pl.col("usual") * eager).clip(0, 0.98))
    before = pl.col("several").shift(1).over("user", "item")
    pairs = again.select("chance", same=pl.col("several") == before).drop_nulls().drop_nans()
    if pairs.height < _FEWEST_SHOPPERS:
        return 0.0
    several = pairs["chance"].to_numpy()
    chance = float((several**2 + (1 - several) ** 2).mean())
    found = float(pairs["same"].mean())  # type: ignore[arg-type]
    alike = np.sqrt(np.clip((found - chance) / max(1 - chance, 1e-9), 0, 1))  # both of a pair take the shopper's number
    return float(alike)


def _shops(rows: pl.DataFrame, min_users: int) -> tuple[tuple[str, ...], Floats, Floats, float]:
    visits = rows.drop_nulls("shop").select("user", "day", "shop").unique(["user", "day"], maintain_order=True)
    counted = (
        visits.group_by("shop")
        .agg(users=pl.col("user").n_unique(), visits=pl.len())
        .filter(pl.col("users") >= min_users)
        .sort("shop")
    )
    # As few visits as a record has, the last ones of each shopper: over a year everybody goes everywhere.
    last = visits.filter(pl.col("day").rank("dense", descending=True).over("user") <= RECORD_BASKETS)
    each = last.group_by("user", "shop").len().sort("user", "len", "shop", descending=[False, True, False])
    each = each.group_by("user", maintain_order=True).agg(
        all=pl.col("len").sum(), most=pl.col("len").first(), next=pl.col("len").slice(1, 1).sum()
    )
    each = each.filter(pl.col("all") > 1)
    if each.height < _FEWEST_SHOPPERS:
        return tuple(counted["shop"]), counted["visits"].to_numpy().astype(np.float32), np.ones(1, np.float32), 0.0
    usual = _quantiles((each["most"] / each["all"]).to_numpy())
    second = float(each["next"].sum() / max(int((each["all"] - each["most"]).sum()), 1))
    return tuple(counted["shop"]), counted["visits"].to_numpy().astype(np.float32), usual, second


def _quantiles(values: npt.NDArray[np.floating]) -> Floats:
    levels = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    return np.asarray(np.quantile(values, levels), np.float32)
