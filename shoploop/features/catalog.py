"""What purchases before a day say of items: kinds, what goes with and after what, factors, how soon a kind is bought again.

It is as fresh as the day that it is fitted for (see :mod:`shoploop.features.catalogs`), stored in a model version, and the
same object in training and in the predictor.

Legend: I items, M neighbours, P followers, D factors, C kinds, B buckets of elapsed days, G wider groups.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from shoploop.features.ease import ease
from shoploop.features.factors import aligned, factors
from shoploop.features.history import bought_on, history_of
from shoploop.features.item_pairs import Followers, PairsAfter, pairs_together
from shoploop.features.log import Float32, Int32, PurchaseLog, Vocabulary

ELAPSED_EDGES = np.array([1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 17, 21, 28, 35, 49, 70, 100, 150, 250])
"""Days; bucket b covers elapsed days from edge b up to the next."""

LATELY_DAYS, EVER_DAYS = 30.0, 365.0
"""Days after which a pair of purchases counts 1/e: once for what follows now, once for what belongs together."""

FACTORS_KNOW, LATEST_DAYS = 0.98, 28
"""Share of the latest purchases that are of items with factors from which on a catalog's factors are not fitted anew."""


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """The vocabulary's items as features and models see them."""

    kind_I: Int32
    """Code of the narrowest category; the last code stands for items without one."""

    group_I: Int32
    """Code of the category one level up, same rule."""

    neighbours_IM: Int32
    """Items whose purchase speaks most for (or against) this one, strongest first; padded with 0 at weight 0."""

    neighbour_weights_IM: Float32
    """EASE weights; 0 pads."""

    after_IP: Int32
    """Items that are bought at a later visit than this one, the likeliest first; padded with 0 at weight 0."""

    after_weights_IP: Float32
    """The chance that one of its later pairs is with that item; 0 pads."""

    lately_IP: Int32
    """The same where the last weeks count most."""

    lately_weights_IP: Float32

    factors_ID: Float32
    """Unit rows; 0 where an item was never bought with another."""

    log_odds_CB: Float32
    """Log odds that, of a kind bought so many days ago, the same item is bought again at a visit."""

    def __len__(self) -> int:
        return len(self.kind_I)

    @property
    def kinds(self) -> int:
        return len(self.log_odds_CB)

    def with_followers(self, following: "LatestFollowers") -> "Catalog":
        """This catalog with what follows what as of another day; all else is as it was."""
        return replace(
            self,
            after_IP=following.ever.items_IP,
            after_weights_IP=following.ever.weights_IP,
            lately_IP=following.lately.items_IP,
            lately_weights_IP=following.lately.weights_IP,
        )


@dataclass(frozen=True, kw_only=True)
class LatestFollowers:
    """What follows what as of a day."""

    ever: Followers
    """As long as anyone remembers."""

    lately: Followers
    """In the last weeks above all."""


@dataclass(frozen=True, kw_only=True)
class CatalogConfig:
    """How a catalog is fitted."""

    factors: int = 64
    neighbours: int = 100
    followers: int = 50
    follower_shrinkage: float = 2.0
    """Pairs with nobody that each item starts with: a rare item's few pairs say little."""

    ease_items: int = 4000
    """Only the most purchased items have neighbours: the fit takes time with the cube of their number."""

    ease_penalty: float = 300.0
    """L2 penalty; larger trusts rare pairs less."""

    hazard_requests: int = 6000
    """Visits that the chance of buying again is counted on."""

    hazard_shrinkage: float = 100.0
    """Observations of all kinds together that each kind starts with."""

    seed: int = 0


def fit_catalog(log: PurchaseLog, items: pl.DataFrame, config: CatalogConfig | None = None) -> Catalog:
    """Fits the catalog, but for what follows what: that is counted by day, see :mod:`shoploop.features.catalogs`.

    Args:
        log: The purchases to learn from: none that a later sample has as its label.
        items: Columns ``item`` and ``category`` (path, widest first); further rows and missing items are fine.
        config: Defaults suit a shop of 1,000 to 100,000 items.
    """
    config = config or CatalogConfig()
    kind_I, group_I = _kinds(items, log.vocabulary)
    neighbours_IM, weights_IM = ease(log, items=config.ease_items, penalty=config.ease_penalty, kept=config.neighbours)
    nothing_IP, no_chance_IP = (
        np.zeros((len(log.vocabulary), 1), np.int32),
        np.zeros((len(log.vocabulary), 1), np.float32),
    )
    return Catalog(
        kind_I=kind_I,
        group_I=group_I,
        neighbours_IM=neighbours_IM,
        neighbour_weights_IM=weights_IM,
        after_IP=nothing_IP,
        after_weights_IP=no_chance_IP,
        lately_IP=nothing_IP,
        lately_weights_IP=no_chance_IP,
        factors_ID=factors(pairs_together(log), width=config.factors, seed=config.seed),
        log_odds_CB=_log_odds(log, kind_I, config),
    )


def pairs_after(log: PurchaseLog) -> PairsAfter:
    """The counts that :func:`followers` reads."""
    return PairsAfter(log, day_decays=(EVER_DAYS, LATELY_DAYS))


def followers(after: PairsAfter, config: CatalogConfig) -> "LatestFollowers":
    """What follows what as of the day that ``after`` has come to."""
    ever, lately = (
        after.followers(place, kept=config.followers, shrinkage=config.follower_shrinkage) for place in (0, 1)
    )
    return LatestFollowers(ever=ever, lately=lately)


def renewed(catalog: Catalog, log: PurchaseLog, config: CatalogConfig, *, anew: bool = False) -> Catalog:
    """The catalog with neighbours and factors fitted anew: what a model learned from ``catalog`` holds for it too.

    Kinds, and how soon they are bought again, stay. The factors are turned so that they point where the old ones did; where
    nearly all that is bought lately had some, they stay too, for they move slowly and take seconds to fit.

    Args:
        catalog: That a model was trained with.
        log: All purchases that are known now, in the catalog's vocabulary.
        config: As it was fitted.
        anew: Fits factors whatever they know: those of the catalog know more than ``log``, and must not.
    """
    fresh = with_neighbours(catalog, log, config)
    latest = log.item_R[log.day_R > log.day_R.max(initial=0) - LATEST_DAYS]
    known = (catalog.factors_ID != 0).any(axis=1, keepdims=True)[latest]
    if not anew and len(latest) and known.mean() >= FACTORS_KNOW:
        return fresh
    fresh_ID = factors(pairs_together(log), width=catalog.factors_ID.shape[1], seed=config.seed)
    counts_I = np.bincount(log.item_R, minlength=len(catalog))
    return replace(fresh, factors_ID=aligned(fresh_ID, catalog.factors_ID, counts_I))


def with_neighbours(catalog: Catalog, log: PurchaseLog, config: CatalogConfig) -> Catalog:
    """The catalog with neighbours fitted to these purchases; all else is as it was."""
    neighbours_IM, weights_IM = ease(log, items=config.ease_items, penalty=config.ease_penalty, kept=config.neighbours)
    return replace(catalog, neighbours_IM=neighbours_IM, neighbour_weights_IM=weights_IM)


def _kinds(items: pl.DataFrame, vocabulary: Vocabulary) -> tuple[Int32, Int32]:
    paths = (
        vocabulary.frame()
        .join(items.select("item", "category").unique("item", keep="first", maintain_order=True), on="item", how="left")
        .sort("code")
        .with_columns(depth=pl.col("category").list.len().fill_null(0))
        .with_columns(
            kind=pl.col("category").list.join("\x1f"),
            group=pl.when(pl.col("depth") > 1)
            .then(pl.col("category").list.head(pl.col("depth").cast(pl.Int64) - 1).list.join("\x1f"))
            .otherwise(pl.col("category").list.join("\x1f")),
        )
    )

    def codes(name: str) -> Int32:
        filled = paths[name].replace("", None)
        levels = sorted(filled.drop_nulls().unique().to_list())
        table = pl.DataFrame(
            {name: levels, "level": np.arange(len(levels), dtype=np.int32)}, schema={name: pl.String, "level": pl.Int32}
        )
        joined = filled.to_frame().join(table, on=name, how="left", maintain_order="left")["level"]
        return joined.fill_null(len(levels)).to_numpy().astype(np.int32)

    return codes("kind"), codes("group")


def _log_odds(log: PurchaseLog, kind_I: Int32, config: CatalogConfig) -> Float32:
    kinds, buckets = int(kind_I.max(initial=0)) + 1, len(ELAPSED_EDGES)
    seen_CB, again_CB = np.zeros((kinds, buckets)), np.zeros((kinds, buckets))
    _, first_row = log.baskets()
    visits = np.stack([log.user_R[first_row], log.day_R[first_row]], axis=1)
    # the latest visits have the longest histories behind them
    latest = visits[np.argsort(-visits[:, 1], kind="stable")[: 4 * config.hazard_requests]]
    rng = np.random.default_rng(config.seed)
    chosen = rng.permutation(len(latest))[: config.hazard_requests]
    for user, day in latest[chosen]:
        history = history_of(log, int(user), before=int(day))
        if not len(history):
            continue
        items, back = np.unique(history.items_H[::-1], return_index=True)
        elapsed = elapsed_bucket(day - history.days_H[::-1][back])
        today = bought_on(log, int(user), day=int(day))
        cells = kind_I[items].astype(np.int64) * buckets + elapsed
        seen_CB += np.bincount(cells, minlength=kinds * buckets).reshape(kinds, buckets)
        again = cells[np.isin(items, today)]
        again_CB += np.bincount(again, minlength=kinds * buckets).reshape(kinds, buckets)
    overall_B = (again_CB.sum(axis=0) + 1) / (seen_CB.sum(axis=0) + 20)
    chance_CB = (again_CB + config.hazard_shrinkage * overall_B) / (seen_CB + config.hazard_shrinkage)
    log_odds_CB: Float32 = np.log(chance_CB / (1 - chance_CB)).astype(np.float32)
    return log_odds_CB


def elapsed_bucket(days: npt.NDArray[np.integer]) -> npt.NDArray[np.intp]:
    """The bucket of each number of elapsed days (at least 1)."""
    bucket: npt.NDArray[np.intp] = np.searchsorted(ELAPSED_EDGES, np.maximum(days, 1), side="right") - 1
    return bucket
