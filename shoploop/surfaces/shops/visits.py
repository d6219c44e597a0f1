"""Who was in which shop on which day: one visit per user and day, to the shop of which most was bought.

Legend: V visits, U users, P shops, H visits of one user.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from shoploop.features.log import Int32, codes_of
from shoploop.features.shop import refuse_shopless


@dataclass(frozen=True, kw_only=True)
class VisitHistory:
    """One user's visits before a day, in the order of days."""

    shops_H: Int32
    """Codes."""

    days_H: Int32
    """Days since 1970-01-01 (UTC), each once."""

    sizes_H: Int32
    """Items bought."""

    def __len__(self) -> int:
        return len(self.shops_H)

    def before(self, day: int) -> "VisitHistory":
        """What a request on ``day`` may see: the visits of earlier days."""
        end = int(np.searchsorted(self.days_H, day))
        return VisitHistory(shops_H=self.shops_H[:end], days_H=self.days_H[:end], sizes_H=self.sizes_H[:end])

    def at(self, days_N: npt.NDArray[np.integer]) -> Int32:
        """Codes of the shops that were visited on these days, (N,); -1 for a day without a visit."""
        if not len(self):
            return np.full(len(days_N), -1, np.int32)
        place_N = np.minimum(np.searchsorted(self.days_H, days_N), len(self) - 1)
        return np.where(self.days_H[place_N] == days_N, self.shops_H[place_N], -1).astype(np.int32)

    def of_baskets(self, ages_L: Int32, *, day: int) -> Int32:
        """Codes of the shops where the last baskets were bought, (L,); -1 where that is not known.

        Args:
            ages_L: Days from the baskets to the request, as :class:`shoploop.features.baskets.BasketSequence` has them.
            day: Of the request.
        """
        return np.where(ages_L > 0, self.at(day - ages_L), -1).astype(np.int32)

    def with_visits(self, shops_N: Int32, days_N: Int32, sizes_N: Int32) -> "VisitHistory":
        """The history with later visits laid over it; of a day that is in both, the later one holds."""
        kept_H = ~np.isin(self.days_H, days_N)
        days = np.concatenate([self.days_H[kept_H], days_N])
        order = np.argsort(days, kind="stable")
        return VisitHistory(
            shops_H=np.concatenate([self.shops_H[kept_H], shops_N])[order].astype(np.int32),
            days_H=days[order].astype(np.int32),
            sizes_H=np.concatenate([self.sizes_H[kept_H], sizes_N])[order].astype(np.int32),
        )

    @classmethod
    def empty(cls) -> "VisitHistory":
        """Of somebody who has not been seen in a shop."""
        nothing = np.empty(0, np.int32)
        return cls(shops_H=nothing, days_H=nothing, sizes_H=nothing)


@dataclass(frozen=True, kw_only=True)
class Visits:
    """All visits, sorted by user and day; a user's are one slice."""

    users: tuple[str, ...]
    """Sorted; a user's position is its code."""

    shops: tuple[str, ...]
    """Sorted; a shop's position is its code."""

    user_V: Int32
    day_V: Int32
    shop_V: Int32
    size_V: Int32
    offsets_U1: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.user_V)

    def history(self, user: int, *, before: int) -> VisitHistory:
        """What is known of a user when the day ``before`` begins; nothing where the code is below 0."""
        if user < 0:
            return VisitHistory.empty()
        start, end = int(self.offsets_U1[user]), int(self.offsets_U1[user + 1])
        end = start + int(np.searchsorted(self.day_V[start:end], before))
        return VisitHistory(
            shops_H=self.shop_V[start:end], days_H=self.day_V[start:end], sizes_H=self.size_V[start:end]
        )


def visits_of(bought: pl.DataFrame) -> Visits:
    """The visits among purchases.

    Args:
        bought: Rows of :func:`shoploop.features.log.purchases`; those without a shop tell of no visit.

    Raises:
        TooFewEvents: no purchase names its shop.
    """
    named = bought.filter(pl.col("shop").is_not_null())
    if named.is_empty():
        refuse_shopless(bought)
    # where as much was bought in two shops on a day, the name decides: the order of rows is no part of the data
    rows = (
        named.lazy()
        .group_by("user", "day", "shop")
        .agg(size=pl.len().cast(pl.Int32))
        .sort("user", "day", "size", "shop", descending=[False, False, True, False])
        .group_by("user", "day", maintain_order=True)
        .first()
        .collect()
    )
    users, shops = sorted(rows["user"].unique().to_list()), sorted(named["shop"].unique().to_list())
    user_V = codes_of(rows["user"], users)
    return Visits(
        users=tuple(users),
        shops=tuple(shops),
        user_V=user_V,
        day_V=rows["day"].to_numpy().astype(np.int32),
        shop_V=codes_of(rows["shop"], shops),
        size_V=rows["size"].to_numpy().astype(np.int32),
        offsets_U1=np.searchsorted(user_V, np.arange(len(users) + 1)).astype(np.int64),
    )
