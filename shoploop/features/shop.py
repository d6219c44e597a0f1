"""Shop statistics, causal by day: a row stamped t covers the days before t.

Legend: P shops, S statistics.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from shoploop.errors import TooFewEvents
from shoploop.features.contract import SHOP_STATS
from shoploop.features.distinct import distinct
from shoploop.features.history import midnight
from shoploop.features.log import Float32, PurchaseLog

NAMES = tuple(f.name for f in SHOP_STATS)


def refuse_shopless(bought: pl.DataFrame) -> None:
    """Makes sure that purchases can tell which shop is next.

    Args:
        bought: With the column ``shop``.

    Raises:
        TooFewEvents: no purchase names its shop, or all name the same.
    """
    shops = bought["shop"].drop_nulls().unique()
    if len(shops) > 1:
        return
    why = (
        f"All purchases that name a shop name {shops[0]!r}, so there is nothing to choose."
        if len(shops)
        else "No purchase names the shop in which it was made, so nothing can say which shop is next."
    )
    raise TooFewEvents(
        f"{why} Map a column of your interactions to shop, or leave Shops out of spec.training.surfaces."
    )


@dataclass(frozen=True, kw_only=True)
class ShopRow:
    """One shop's statistics as a request sees them."""

    visits_28: float = 0.0
    mean_basket_size_28: float = 0.0


class ShopStatistics:
    """Counts the log's shops over the windows that end before a day."""

    def __init__(self, log: PurchaseLog):
        self._log = log
        self._index = log.by_day()

    def on(self, day: int) -> Float32:
        """The statistics as a request on ``day`` sees them, (P, S) in the order of ``contract.SHOP_STATS``."""
        log, shops = self._log, len(self._log.shops)
        rows = self._index.window(day - 28, day)
        rows = rows[log.shop_R[rows] >= 0]
        shop, user, age = log.shop_R[rows].astype(np.int64), log.user_R[rows].astype(np.int64), day - log.day_R[rows]
        users = max(len(log.users), 1)
        baskets = distinct((shop * users + user) * 32 + age)
        basket_shop = baskets // 32 // users
        visits_28 = np.bincount(basket_shop, minlength=shops)
        columns = {
            "visits_7": np.bincount(basket_shop[baskets % 32 <= 7], minlength=shops),
            "visits_28": visits_28,
            "visitors_28": np.bincount(distinct(shop * users + user) // users, minlength=shops),
            "items_28": _distinct(shop, log.item_R[rows], len(log.vocabulary), shops),
            "mean_basket_size_28": np.bincount(shop, minlength=shops) / np.maximum(visits_28, 1),
        }
        return np.stack([columns[name] for name in NAMES], axis=1).astype(np.float32)

    def rows_on(self, day: int) -> dict[str, ShopRow]:
        """The same by shop id."""
        return shop_rows(self._log.shops, self.on(day))


def _distinct(
    shop: np.ndarray[tuple[int], np.dtype[np.int64]],
    item: np.ndarray[tuple[int], np.dtype[np.int32]],
    items: int,
    shops: int,
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.bincount(distinct(shop * max(items, 1) + item) // max(items, 1), minlength=shops)


def shop_rows(shops: Iterable[str], values_PS: Float32) -> dict[str, ShopRow]:
    """Rows of the statistics by shop id."""
    visits, size = NAMES.index("visits_28"), NAMES.index("mean_basket_size_28")
    return {
        shop: ShopRow(visits_28=float(row[visits]), mean_basket_size_28=float(row[size]))
        for shop, row in zip(shops, values_PS, strict=True)
    }


def shop_stats(log: PurchaseLog, days: Iterable[int]) -> pl.DataFrame:
    """One row per day of ``days`` and shop, stamped at that day's midnight (UTC).

    Returns:
        ``shop``, ``event_timestamp`` (datetime[us, UTC]) and the columns of ``contract.SHOP_STATS``; no rows where
        the data names no shop.
    """
    statistics = ShopStatistics(log)
    shop = pl.Series("shop", list(log.shops), pl.String)
    if shop.is_empty():
        numbers: dict[str, pl.DataType] = dict.fromkeys(NAMES, pl.Float32())
        return pl.DataFrame(schema={"shop": pl.String(), "event_timestamp": pl.Datetime("us", "UTC")} | numbers)
    frames = [
        pl.DataFrame(statistics.on(day), schema=dict.fromkeys(NAMES, pl.Float32)).select(
            shop, midnight(day).alias("event_timestamp"), *NAMES
        )
        for day in sorted(set(days))
    ]
    return pl.concat(frames)
