"""Statistics as requests saw them, from Feast's point-in-time join, in the form that pair features take.

Nothing here computes a statistic; the benchmark gets the same objects from the pure functions.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from shoploop.features import feast_store
from shoploop.features.contract import Contract
from shoploop.features.item import ItemMatrix
from shoploop.features.log import Vocabulary
from shoploop.features.offers import Offers
from shoploop.features.shop import NAMES as SHOP_NAMES
from shoploop.features.shop import ShopRow, shop_rows
from shoploop.features.user import UserRow

_EPOCH = date(1970, 1, 1)


class Joins:
    """Reads one features folder. Days are days since 1970-01-01 (UTC)."""

    def __init__(self, features: Path):
        self._folder = features
        self._store: Any = feast_store.open_store(features)

    def users(self, users: Sequence[str], days: Sequence[int]) -> list[UserRow]:
        """Statistics of these users on these days, one per request."""
        wanted = pl.DataFrame([pl.Series("user", list(users), pl.String), _midnights(days)])
        found = feast_store.historical_features(self._folder, "user_stats", wanted, store=self._store)
        return [UserRow.of(row) for row in found.iter_rows(named=True)]

    def items(self, vocabulary: Vocabulary, days: Sequence[int]) -> dict[int, ItemMatrix]:
        """Every vocabulary item's statistics, by day."""
        wanted = pl.DataFrame({"item": list(vocabulary.items)}).join(pl.DataFrame(_midnights(days)), how="cross")
        found = feast_store.historical_features(self._folder, "item_stats", wanted, store=self._store)
        return {
            day: ItemMatrix.from_frame(rows.drop_nulls("purchases_total"), vocabulary, day)
            for day, rows in _by_day(found)
        }

    def shops(self, shops: Sequence[str], days: Sequence[int]) -> dict[int, dict[str, ShopRow]]:
        """Every shop's statistics, by day and id; empty where the data names no shop."""
        if not shops:
            return {day: {} for day in days}
        wanted = pl.DataFrame({"shop": list(shops)}).join(pl.DataFrame(_midnights(days)), how="cross")
        found = feast_store.historical_features(self._folder, "shop_stats", wanted, store=self._store)
        return {
            day: shop_rows(rows["shop"], rows.select(pl.col(SHOP_NAMES).cast(pl.Float32).fill_null(0)).to_numpy())
            for day, rows in _by_day(found)
        }

    def offers(self, vocabulary: Vocabulary, contract: Contract) -> Offers | None:
        """All offers of the kinds that a contract names; None where it names none."""
        return Offers.of_features(self._folder, contract, vocabulary)


def _midnights(days: Sequence[int]) -> pl.Series:
    return pl.Series("event_timestamp", days, pl.Int32).cast(pl.Date).cast(pl.Datetime("us", "UTC"))


def _by_day(found: pl.DataFrame) -> list[tuple[int, pl.DataFrame]]:
    parts = found.partition_by("event_timestamp", as_dict=True)
    return [((stamp.date() - _EPOCH).days, rows) for (stamp,), rows in parts.items()]
