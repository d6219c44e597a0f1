"""Builders for a test that states its own rows: who bought what on which day."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import polars as pl
from shop import EPOCH, FIRST

from shoploop.features.catalog import Catalog, CatalogConfig, fit_catalog
from shoploop.features.catalogs import following
from shoploop.features.contract import Contract
from shoploop.features.history import history_of
from shoploop.features.item import ItemStatistics
from shoploop.features.log import PurchaseLog, Vocabulary, purchases
from shoploop.features.pairs import pair_parts
from shoploop.features.shop import ShopStatistics
from shoploop.features.user import user_rows, user_stats

Event = tuple[str, str, int]
"""User, item, days after FIRST."""

MILK_EVERY_WEEK: list[Event] = [("anna", "milk", day) for day in (0, 7, 14, 21)] + [
    ("anna", "bread", 21),
    ("bob", "salt", 3),
]


def events(rows: Sequence[Event], *, price: float | None = 2.0, shop: str | None = "s1") -> pl.DataFrame:
    """Canonical interactions: one piece of each, at noon."""
    return pl.DataFrame(
        {
            "user": [user for user, _, _ in rows],
            "item": [item for _, item, _ in rows],
            "time": [EPOCH + timedelta(days=FIRST + day, hours=12) for _, _, day in rows],
            "kind": ["purchase"] * len(rows),
            "quantity": [1.0] * len(rows),
            "price": [price] * len(rows),
            "shop": [shop] * len(rows),
            "basket": [None] * len(rows),
        },
        schema={
            "user": pl.String,
            "item": pl.String,
            "time": pl.Datetime("us", "UTC"),
            "kind": pl.String,
            "quantity": pl.Float64,
            "price": pl.Float64,
            "shop": pl.String,
            "basket": pl.String,
        },
    )


def items(names: Sequence[str]) -> pl.DataFrame:
    """Every second item is of the kind tea, the others of coffee."""
    return pl.DataFrame(
        {"item": list(names), "category": [["drinks", "tea" if n % 2 else "coffee"] for n in range(len(names))]},
        schema={"item": pl.String, "category": pl.List(pl.String)},
    )


def log_of(rows: Sequence[Event], vocabulary: Sequence[str] | None = None) -> PurchaseLog:
    names = vocabulary or sorted({item for _, item, _ in rows})
    return PurchaseLog.of(purchases(events(rows)), Vocabulary(tuple(names)))


def catalog_of(log: PurchaseLog, config: CatalogConfig | None = None) -> Catalog:
    """All that the log says, as of the day after its last."""
    config = config or CatalogConfig(factors=4, neighbours=3)
    return following(fit_catalog(log, items(log.vocabulary.items), config), log, [log.last_day + 1], config).serving


def features_at(
    log: PurchaseLog, catalog: Catalog, user: str, day: int, contract: Contract | None = None
) -> np.ndarray:
    """What a request of this user on FIRST + day would be scored on, for every item of the vocabulary."""
    code = log.users.index(user)
    (row,) = user_rows(user_stats(log), [user], [FIRST + day])
    return pair_parts(
        history=history_of(log, code, before=FIRST + day),
        candidates_N=np.arange(len(log.vocabulary), dtype=np.int32),
        day=FIRST + day,
        items=ItemStatistics(log).on(FIRST + day),
        catalog=catalog,
        user=row,
        shop=ShopStatistics(log).rows_on(FIRST + day).get(row.usual_shop),
    ).whole(contract or Contract())
