"""A judge kept apart: it reads written rows, not records, and no column of it is one that a part of the generator selects by.

What selects sees sizes, pauses, hours, repeats, rarity, categories and the commonest items
(:mod:`~shoploop.augmentation.generator.traits`); a judge of the same would praise what was chosen to please it. This one
sees quantities, prices, shops, dates, shares of weekdays (what selects has these visit by visit), how items go together and
come again, and items by hash; and it may not import from the generator, which keeps it so. Beside it the lifts of pairs of
items, which need no classifier.
"""

from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import polars as pl

TOP_PAIRS = 1000
_COMMON_ITEMS = 600
_BUCKETS = 64
_LAGS = (2, 3, 4)
_WEEKDAYS = ("mondays", "tuesdays", "wednesdays", "thursdays", "fridays", "saturdays", "sundays")
_FOLDS = 5
_DRAWS = 200

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Unselected:
    auc: float
    """Cross-validated; .5: nobody can tell the sides apart."""

    interval: tuple[float, float]
    """95 % by bootstrap over shoppers."""

    features: int
    telling: tuple[tuple[str, float], ...]


def visits(interactions: pl.DataFrame, items: tuple[str, ...] | None = None) -> pl.DataFrame:
    """Rows of a user, day and item together, with pieces and money added up; of ``items`` alone where they are named."""
    # By first appearance: pseudonyms sort at random, and what is found must not depend on their key.
    names = interactions.select(pl.col("user").unique(maintain_order=True)).with_row_index("code")
    rows = interactions.filter(pl.col("quantity") > 0).join(names, on="user", maintain_order="left")
    rows = rows.with_columns(user=pl.col("code").cast(pl.Int64))
    if items is not None:
        rows = rows.join(pl.DataFrame({"item": items}), on="item", how="semi", maintain_order="left")
    day = pl.col("time").dt.epoch("d").cast(pl.Int64).alias("day")
    return (
        rows.group_by("user", day, "item")
        .agg(
            pl.col("quantity").sum(),
            price=pl.when(pl.col("price").is_not_null().any()).then(pl.col("price").sum()),
            shop=pl.col("shop").first(),
        )
        .sort("user", "day", "item")
    )


def one_stretch(rows: pl.DataFrame, random: np.random.Generator, *, most: int) -> pl.DataFrame:
    """Of every user the rows of ``most`` consecutive days with a visit, counted back from the last; which ones is drawn."""
    back = pl.col("day").rank("dense", descending=True).over("user").cast(pl.Int64) - 1
    cut = rows.with_columns(cut=back // most).with_columns(days=pl.col("day").n_unique().over("user", "cut"))
    cut = cut.filter(pl.col("days") > 1)
    chosen = cut.select("user", "cut").unique(maintain_order=True)
    chosen = chosen.with_columns(draw=pl.Series(random.random(chosen.height))).sort("draw").unique("user", keep="first")
    return (
        cut.join(chosen.select("user", "cut"), on=["user", "cut"], how="semi")
        .drop("cut", "days")
        .sort("user", "day", "item")
    )


def some_visits(rows: pl.DataFrame, most: int, random: np.random.Generator) -> pl.DataFrame:
    """The rows of ``most`` visits, drawn; all where there are no more."""
    every = rows.select("user", "day").unique(maintain_order=True)
    chosen = every[np.sort(random.permutation(every.height)[:most])]
    return rows.join(chosen, on=["user", "day"], how="semi", maintain_order="left")


def judge(made: pl.DataFrame, real: pl.DataFrame, *, seed: int) -> Unselected:
    """Two sides of as many users each, as :func:`visits` makes them; the folds are of users, who each count once.

    Of fewer than two users a side nothing can be learned and held against others: the AUC is .5, and may be anything.
    """
    import lightgbm
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    random = np.random.default_rng(seed)
    count = min(made["user"].n_unique(), real["user"].n_unique())
    if count < 2:
        return Unselected(auc=0.5, interval=(0.0, 1.0), features=0, telling=())
    sides = []
    for side in (made, real):
        users = side["user"].unique(maintain_order=True)
        sides.append(
            side.filter(pl.col("user").is_in(users.gather(np.sort(random.permutation(len(users))[:count])).implode()))
        )
    lift = _Lifts.of(pl.concat(sides))
    first, last = (int(getattr(pl.concat([s["day"] for s in sides]), edge)()) for edge in ("min", "max"))
    tables = [_describe(side, lift, (first, last)) for side in sides]
    table, names = np.concatenate([t for t, _ in tables]), tables[0][1]
    label = np.repeat([1, 0], [len(t) for t, _ in tables])
    settings = {
        "objective": "binary", "learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": min(20, max(1, count // 5)),
        "feature_fraction": 0.5, "bagging_fraction": 0.8, "bagging_freq": 1, "verbose": -1, "seed": seed,
        "deterministic": True, "num_threads": 1,
    }  # fmt: skip
    score, gain = np.zeros(len(label)), np.zeros(table.shape[1])
    for learn, held in StratifiedKFold(min(_FOLDS, count), shuffle=True, random_state=seed).split(table, label):
        booster = lightgbm.train(settings, lightgbm.Dataset(table[learn], label[learn]), num_boost_round=100)
        score[held] = np.asarray(booster.predict(table[held]))
        gain += booster.feature_importance("gain")
    top = np.argsort(-gain, kind="stable")[:8]
    return Unselected(
        auc=float(roc_auc_score(label, score)),
        interval=_interval(score[label == 1], score[label == 0], random),
        features=table.shape[1],
        telling=tuple((names[i], round(float(gain[i] / max(gain.sum(), 1e-12)), 4)) for i in top),
    )


def _interval(made: Numbers, real: Numbers, random: np.random.Generator) -> tuple[float, float]:
    from shoploop.evaluation.metrics import auc

    label = np.repeat([True, False], [len(made), len(real)])
    draws = [
        auc(np.concatenate([random.choice(side, len(side)) for side in (made, real)]), label) or 0.5
        for _ in range(_DRAWS)
    ]
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def lifts_alike(made: pl.DataFrame, real: pl.DataFrame, *, pairs: int = TOP_PAIRS) -> float:
    """Spearman's rank correlation of the lifts of the pairs of items that ``real`` buys together most; 0 without any.

    A lift is how much oftener two items share a visit than if each came by itself.
    """
    from scipy.stats import spearmanr

    counted = real["item"].value_counts().sort(["count", "item"], descending=[True, False])
    common = counted["item"].head(_COMMON_ITEMS)
    together, single, many = _together(real, common)
    first, second = np.triu_indices(len(common), 1)
    top = np.argsort(-together[first, second], kind="stable")[:pairs]
    top = top[together[first[top], second[top]] > 0]
    if len(top) < 3:
        return 0.0
    at = first[top], second[top]
    found = [_lift(together, single, many, at), _lift(*_together(made, common), at)]
    return float(np.nan_to_num(spearmanr(*found).statistic))


def _together(rows: pl.DataFrame, items: pl.Series) -> tuple[Numbers, Numbers, int]:
    """(I, I) visits with both of two items, (I,) with one, and how many visits there are."""
    from scipy import sparse

    visit = rows.select(pl.struct("user", "day").rank("dense").cast(pl.Int64) - 1).to_series().to_numpy()
    code = rows.select(pl.col("item").replace_strict(items, np.arange(len(items)), default=-1)).to_series().to_numpy()
    many = int(visit.max()) + 1 if len(visit) else 0
    known = code >= 0
    table = sparse.csr_matrix((np.ones(known.sum()), (visit[known], code[known])), shape=(max(many, 1), len(items)))
    both = np.asarray((table.T @ table).todense(), np.float64)
    return both, both.diagonal().copy(), many


def _lift(together: Numbers, single: Numbers, many: int, at: tuple[Any, Any]) -> Numbers:
    first, second = at
    out: Numbers = (together[first, second] + 0.5) * max(many, 1) / ((single[first] + 1) * (single[second] + 1))
    return out


@dataclass(frozen=True, kw_only=True)
class _Lifts:
    """Log lifts of the common items, over both sides together: a side alone would know itself."""

    code: pl.DataFrame
    log_lift: Numbers

    @classmethod
    def of(cls, rows: pl.DataFrame) -> "_Lifts":
        counted = rows["item"].value_counts().sort(["count", "item"], descending=[True, False])
        items = counted["item"].head(_COMMON_ITEMS)
        together, single, many = _together(rows, items)
        every = np.indices(together.shape)
        lift = np.log(_lift(together, single, many, (every[0], every[1])))
        return cls(code=pl.DataFrame({"item": items, "code": np.arange(len(items))}), log_lift=lift)

    def by_user(self, rows: pl.DataFrame) -> pl.DataFrame:
        known = rows.join(self.code, on="item").select("user", "day", "code")
        pairs = known.join(known, on=["user", "day"], suffix="_2").filter(pl.col("code") < pl.col("code_2"))
        lift = pl.Series(self.log_lift[pairs["code"].to_numpy(), pairs["code_2"].to_numpy()], dtype=pl.Float64)
        return (
            pairs.with_columns(lift=lift)
            .group_by("user")
            .agg(
                lift_mean=pl.col("lift").mean(),
                lift_spread=pl.col("lift").std(),
                lift_least=pl.col("lift").min(),
                lift_most=pl.col("lift").max(),
                common_pairs=pl.len().cast(pl.Float64),
            )
        )


def _describe(rows: pl.DataFrame, lift: _Lifts, days: tuple[int, int]) -> tuple[Numbers, list[str]]:
    """(users, columns), users in order of their names, and the names of columns; NaN where there is nothing to tell."""
    each = pl.col("price") / pl.col("quantity")
    by_row = rows.group_by("user").agg(
        pieces_mean=pl.col("quantity").mean(),
        pieces_most=pl.col("quantity").max(),
        pieces_spread=pl.col("quantity").std(),
        several=(pl.col("quantity") > 1).mean(),
        three=(pl.col("quantity") > 2).mean(),
        price_mean=each.log1p().mean(),
        price_spread=each.log1p().std(),
        price_least=each.min(),
        price_most=each.max(),
        cents=((pl.col("price") * 100).round() % 10).mean(),
        shops=pl.col("shop").n_unique().cast(pl.Float64),
    )
    visit = rows.group_by("user", "day").agg(
        money=pl.col("price").sum(), pieces=pl.col("quantity").sum(), size=pl.len(), shop=pl.col("shop").first()
    )
    visit = visit.sort("user", "day").with_columns(place=pl.int_range(pl.len()).over("user"))
    gap = pl.col("day").diff().over("user")
    visit = visit.with_columns(gap=gap, moved=(pl.col("shop") != pl.col("shop").shift(1).over("user")).cast(pl.Float64))
    visit = visit.with_columns(before=pl.col("gap").shift(1).over("user"), smaller=pl.col("size").shift(1).over("user"))
    month_day = pl.from_epoch("day", time_unit="d").dt.day()
    month = pl.from_epoch("day", time_unit="d").dt.month()
    of_week = pl.from_epoch("day", time_unit="d").dt.weekday()
    by_visit = visit.group_by("user").agg(
        money_mean=pl.col("money").log1p().mean(),
        money_spread=pl.col("money").log1p().std(),
        pieces_a_visit=pl.col("pieces").mean(),
        moved=pl.col("moved").mean(),
        begins=(pl.col("day").min() - days[0]).cast(pl.Float64),
        ends=(days[1] - pl.col("day").max()).cast(pl.Float64),
        spans=(pl.col("day").max() - pl.col("day").min()).cast(pl.Float64),
        month_day=month_day.mean(),
        month_day_spread=month_day.std(),
        **{name: (of_week == at).mean() for at, name in enumerate(_WEEKDAYS, start=1)},
        months=month.n_unique().cast(pl.Float64),
        season_first=month.min().cast(pl.Float64),
        season_last=month.max().cast(pl.Float64),
        gap_least=pl.col("gap").min().cast(pl.Float64),
        gap_middle=pl.col("gap").median(),
        gap_most=pl.col("gap").max().cast(pl.Float64),
        gaps_alike=(pl.col("gap") - pl.col("before")).abs().mean(),
        sizes_alike=(pl.col("size").cast(pl.Int64) - pl.col("smaller").cast(pl.Int64)).abs().mean(),
        grows=pl.corr("place", "size"),
        slows=pl.corr("place", "gap"),
        size_after_gap=pl.corr("gap", "size"),
    )
    again = rows.select("user", "item", "day", "quantity").sort("user", "item", "day")
    again = again.with_columns(since=pl.col("day").diff().over("user", "item"))
    by_item = again.group_by("user", "item").agg(
        times=pl.len(), since=pl.col("since").mean(), same=pl.col("quantity").n_unique()
    )
    by_item = by_item.group_by("user").agg(
        twice=(pl.col("times") == 2).mean(),
        thrice=(pl.col("times") == 3).mean(),
        oftener=(pl.col("times") > 3).mean(),
        since=pl.col("since").mean(),
        since_spread=pl.col("since").std(),
        other_pieces=pl.when(pl.col("times") > 1).then(pl.col("same") > 1).mean(),
    )
    placed = rows.join(visit.select("user", "day", "place"), on=["user", "day"]).select("user", "item", "place")
    table = rows.select("user").unique().sort("user")
    for frame in (by_row, by_visit, by_item, lift.by_user(rows)):
        table = table.join(frame, on="user", how="left", maintain_order="left")
    for lag in _LAGS:
        earlier = placed.with_columns(pl.col("place") + lag).with_columns(kept=1.0)
        kept = placed.join(earlier, on=["user", "item", "place"], how="left").filter(pl.col("place") >= lag)
        column = kept.group_by("user").agg(pl.col("kept").fill_null(0.0).mean().alias(f"kept after {lag}"))
        table = table.join(column, on="user", how="left", maintain_order="left")
    names = table.columns[1:]
    numbers = table.select(pl.col(names).cast(pl.Float64)).to_numpy()
    return np.concatenate([numbers, _hashed(rows, table["user"])], 1), [*names, *(f"hash {i}" for i in range(_BUCKETS))]


def _hashed(rows: pl.DataFrame, users: pl.Series) -> Numbers:
    items = rows["item"].unique().sort()
    bucket = rows["item"].replace_strict(
        items, [crc32(item.encode()) % _BUCKETS for item in items], return_dtype=pl.Int64
    )
    code = rows["user"].replace_strict(users, np.arange(len(users)), return_dtype=pl.Int64).to_numpy()
    table = np.bincount(code * _BUCKETS + bucket.to_numpy(), minlength=len(users) * _BUCKETS).reshape(-1, _BUCKETS)
    out: Numbers = table / np.maximum(table.sum(1, keepdims=True), 1)
    return out
