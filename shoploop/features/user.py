"""User statistics, causal by day: a row stamped t covers the days before t and holds from t on, until the next row."""

import json
import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from shoploop.features.contract import USER_STATS
from shoploop.features.log import PurchaseLog

SHOPS_FADE_DAYS = 30
"""Age at which a visit to a shop counts 1/e of one of today."""

FEWEST_VISITED = 0.001
"""Share of visits from which on a shop is named."""

NUMBERS = tuple(f.name for f in USER_STATS if f.dtype != "string")


@dataclass(frozen=True, kw_only=True)
class UserRow:
    """One user's statistics as a request sees them, from Feast or from :func:`user_stats`."""

    days_active: float = 0.0
    purchases: float = 0.0
    distinct_items: float = 0.0
    mean_basket_size: float = 0.0
    mean_gap_days: float = 0.0
    repeat_share: float = 0.0
    mean_price: float = 0.0
    first_day: int | None = None
    last_day: int | None = None
    usual_shop: str = ""
    visited_shops: tuple[tuple[str, float], ...] = ()
    """Shops and the share of visits to each; only where offers name shops."""

    @classmethod
    def of(cls, row: "dict[str, float | int | str | None]") -> "UserRow":
        """From a row of the table or of Feast's answer; a user without one gets the defaults."""
        if row.get("days_active") is None:
            return cls()
        return cls(
            days_active=float(row["days_active"] or 0),
            purchases=float(row["purchases"] or 0),
            distinct_items=float(row["distinct_items"] or 0),
            mean_basket_size=float(row["mean_basket_size"] or 0),
            mean_gap_days=float(row["mean_gap_days"] or 0),
            repeat_share=float(row["repeat_share"] or 0),
            mean_price=float(row["mean_price"] or 0),
            first_day=int(row["first_day"] or 0),
            last_day=int(row["last_day"] or 0),
            usual_shop=str(row["usual_shop"] or ""),
            visited_shops=tuple(json.loads(str(row.get("visited_shops") or "{}")).items()),
        )


def user_stats(log: PurchaseLog, *, visited_shops: bool = False) -> pl.DataFrame:
    """One row per user and day with a purchase, stamped at the next midnight (UTC).

    Args:
        log: The purchases.
        visited_shops: Whether to which shops they go is counted, too, which contracts of offers in shops ask for.

    Returns:
        ``user``, ``event_timestamp`` (datetime[us, UTC]) and the columns of ``contract.USER_STATS``, by user and time.
    """
    rows = pl.DataFrame(
        {"user": log.user_R, "day": log.day_R, "item": log.item_R, "price": log.price_R, "shop": log.shop_R}
    )
    priced = pl.col("price").is_not_nan()
    per_day = (
        rows.lazy()
        # rows are sorted by user and day, so the first row of (user, item) is the first purchase
        .with_columns(new=pl.struct("user", "item").is_first_distinct())
        .group_by("user", "day", maintain_order=True)
        .agg(
            size=pl.len(),
            new=pl.col("new").sum(),
            paid=pl.col("price").filter(priced).sum(),
            priced=priced.sum(),
            shop=pl.col("shop").max(),
        )
        .with_columns(
            days_active=pl.int_range(1, pl.len() + 1).over("user"),
            purchases=pl.col("size").cum_sum().over("user"),
            distinct_items=pl.col("new").cum_sum().over("user"),
            paid=pl.col("paid").cum_sum().over("user"),
            priced=pl.col("priced").cum_sum().over("user"),
            first_day=pl.col("day").first().over("user"),
            shop_visits=pl.int_range(1, pl.len() + 1).over("user", "shop") * (pl.col("shop") >= 0),
        )
        # the shop that reaches a new maximum of visits is the usual one from that day on
        .with_columns(most=pl.col("shop_visits").cum_max().over("user"))
        .with_columns(
            usual=pl.when((pl.col("shop") >= 0) & (pl.col("shop_visits") == pl.col("most")))
            .then(pl.col("shop"))
            .forward_fill()
            .over("user")
        )
        .collect()
    )
    visits = per_day["days_active"].to_numpy().astype(np.float64)
    bought = per_day["purchases"].to_numpy().astype(np.float64)
    known = per_day["priced"].to_numpy().astype(np.float64)
    span = (per_day["day"] - per_day["first_day"]).to_numpy().astype(np.float64)
    shops = pl.Series([*log.shops, ""], dtype=pl.String)
    table = pl.DataFrame(
        {
            "user": pl.Series(list(log.users), dtype=pl.String).gather(per_day["user"]),
            "event_timestamp": (per_day["day"] + 1).cast(pl.Date).cast(pl.Datetime("us", "UTC")),
            "days_active": visits,
            "purchases": bought,
            "distinct_items": per_day["distinct_items"],
            "mean_basket_size": bought / visits,
            "mean_gap_days": span / np.maximum(visits - 1, 1),
            "repeat_share": 1 - per_day["distinct_items"].to_numpy() / bought,
            "mean_price": per_day["paid"].to_numpy() / np.maximum(known, 1),
            "first_day": per_day["first_day"],
            "last_day": per_day["day"],
            "usual_shop": shops.gather(per_day["usual"].fill_null(len(log.shops))),
        }
    ).cast({f.name: _TYPES[f.dtype] for f in USER_STATS if f.needs is None})
    return table.with_columns(_visited_shops(per_day, log.shops)) if visited_shops else table


def _visited_shops(per_day: pl.DataFrame, shops: tuple[str, ...]) -> pl.Series:
    """After each visit the share of visits to each shop as JSON. All fade alike, so that the shares hold
    until the next visit."""
    found, weights, before = [], dict[int, float](), (-1, 0)
    for user, day, shop in per_day.select("user", "day", "shop").iter_rows():
        fade = math.exp((before[1] - day) / SHOPS_FADE_DAYS)
        weights = {one: weight * fade for one, weight in weights.items()} if user == before[0] else {}
        if shop >= 0:
            weights[shop] = weights.get(shop, 0.0) + 1.0
        before, total = (user, day), sum(weights.values())
        shares = {shops[one]: round(weight / total, 4) for one, weight in sorted(weights.items())}
        found.append(json.dumps({one: share for one, share in shares.items() if share >= FEWEST_VISITED}))
    return pl.Series("visited_shops", found, pl.String)


_TYPES = {"float32": pl.Float32, "int32": pl.Int32, "string": pl.String}


def user_rows(stats: pl.DataFrame, users: list[str], days: list[int]) -> list[UserRow]:
    """The statistics as requests of these users on these days see them: the pure form of Feast's point-in-time join.

    Args:
        stats: From :func:`user_stats`.
        users: One per request.
        days: Days since 1970-01-01 (UTC), one per request.
    """
    requests = pl.DataFrame({"user": users, "day": days}, schema={"user": pl.String, "day": pl.Int32})
    joined = (
        requests.with_row_index("request")
        .with_columns(event_timestamp=pl.col("day").cast(pl.Date).cast(pl.Datetime("us", "UTC")))
        .sort("event_timestamp")
        .join_asof(
            stats.sort("event_timestamp"), on="event_timestamp", by="user", strategy="backward", check_sortedness=False
        )
        .sort("request")
    )
    names = [f.name for f in USER_STATS if f.name in joined.columns]
    return [UserRow.of(row) for row in joined.select(names).iter_rows(named=True)]
