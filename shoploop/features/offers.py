"""What is on offer on a day: the one thing that features are made of and that is known before the day.

Offers are no statistics and lie in no feature store. A folder of features holds them as spans of days, a package those that
are not over, and training and the predictor ask the same object about a day. It must not know who asks.

Legend: R rows, I items of the vocabulary, J kinds of offers, P shops that offers name, A rows of a day, N candidates.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from shoploop.errors import SchemaMismatch
from shoploop.features.contract import Contract
from shoploop.features.distinct import distinct
from shoploop.features.log import Float32, Int32, Vocabulary
from shoploop.features.shop import ShopRow
from shoploop.features.user import UserRow

FILE = "offers.parquet"
"""In a folder of ``load_data``, of features and of a package, where there are offers."""

NAMED_KINDS = 2
"""The most frequent kinds have features of their own; all others have one together, as a third kind."""

OTHERS = ""
"""Stands for all kinds that are not named, and for offers without one."""

CHANGE_DAYS = 7
"""Days over which a change counts: flyers run for weeks."""

EVERYWHERE = -1
"""Code of the shop of an offer that names none."""

SUFFIXES = ("", "_2", "_3")
"""Of the features' names, by the kind of offers."""

Array = npt.NDArray[np.float64]


def kinds(offers: pl.DataFrame, *, first: int, before: int) -> tuple[str, ...]:
    """The kinds of offers that features are of, the most frequent first and :data:`OTHERS` last.

    Args:
        offers: Canonical ones.
        first: Day from which on is learned, days since 1970-01-01 (UTC).
        before: Day from which on nothing may be known.

    Returns:
        At most three; none where nothing was on offer on these days, so that nothing can be learned of it.
    """
    known = (pl.col("from").dt.epoch("d") < before) & (pl.col("until").dt.epoch("d") >= first)
    counted = (
        offers.filter(known)
        .group_by(pl.col("kind").fill_null(OTHERS))
        .len()
        .sort(["len", "kind"], descending=[True, False])
    )
    found: list[str] = counted["kind"].to_list()
    named = [kind for kind in found if kind != OTHERS]
    if len(found) > NAMED_KINDS + 1:
        return (*named[:NAMED_KINDS], OTHERS)
    return (*named, OTHERS) if OTHERS in found else tuple(named)


def offered(file: Path, *, first: int, before: int) -> dict[str, Any]:
    """What :func:`shoploop.features.contract.resolve` has to know of a table of offers; nothing where there is none.

    Args:
        file: :data:`FILE` of a folder of ``load_data``.
        first, before: As of :func:`kinds`.
    """
    if not file.exists():
        return {}
    offers = pl.read_parquet(file, columns=["from", "until", "shop", "kind"])
    named = offers["shop"].null_count() < offers.height
    return {"offer_kinds": kinds(offers, first=first, before=before), "offers_name_shops": named}


def write_offers(data: Path, out: Path, vocabulary: Vocabulary) -> int:
    """Writes :data:`FILE` of a features folder: ``code``, ``shop``, ``kind``, and ``from`` and ``until`` as days since
    1970-01-01, by ``from``; of the vocabulary's items alone. Returns its rows."""
    rows = (
        pl.scan_parquet(data / FILE)
        .join(vocabulary.frame().lazy(), on="item")
        .select(
            "code",
            pl.col("shop", "kind").cast(pl.Categorical),
            *(pl.col(name).dt.epoch("d").cast(pl.Int32) for name in ("from", "until")),
        )
        .sort("from", maintain_order=True)
        .collect()
    )
    rows.write_parquet(out / FILE, compression="zstd")
    return rows.height


def stage_offers(features: Path, out: Path) -> None:
    """Writes into a package those offers that were not over when the days of evaluation began, which may be replayed, and
    those that a change is counted from; nothing where the contract knows of none, as that of a renewed version may though
    the tables at hand have some."""
    if not Contract.from_json(json.loads((features / "contract.json").read_text())).offer_kinds:
        return
    first: int = json.loads((features / "features.json").read_text())["evaluation_day"]
    kept = pl.scan_parquet(features / FILE).filter(pl.col("until") >= first - CHANGE_DAYS)
    kept.collect().write_parquet(out / FILE, compression="zstd")


@dataclass(frozen=True, kw_only=True)
class OnOffer:
    """What is on offer on one day."""

    item_JI: Float32
    """Share of the shops' baskets in whose shops each item is on offer."""

    change_JI: Float32
    """The same less what it was :data:`CHANGE_DAYS` before."""

    everywhere_JI: npt.NDArray[np.bool_]
    """Whether the item is on offer in all shops."""

    by_shop: tuple[Mapping[str, Int32], ...]
    """Of each kind the items on offer by shop."""

    shops: frozenset[str]
    """That have any offer."""

    def features(self, candidates_N: Int32, user: UserRow) -> dict[str, Array]:
        """Pair features by name, (N,) each; of kinds that there are."""
        found: dict[str, Array] = {}
        visited = dict(user.visited_shops)
        for kind in range(len(self.item_JI)):
            suffix = SUFFIXES[kind]
            share_N = found[f"item_offer{suffix}"] = self.item_JI[kind, candidates_N].astype(np.float64)
            found[f"item_offer_change{suffix}"] = self.change_JI[kind, candidates_N].astype(np.float64)
            # of one whose shops are not known it is what is known of all shops
            found[f"user_offer{suffix}"] = self._of_visits(kind, visited)[candidates_N] if visited else share_N
        any_offer = sum(share for shop, share in visited.items() if shop in self.shops)
        found["user_offer_shops"] = np.full(len(candidates_N), any_offer)
        return found

    def _of_visits(self, kind: int, visited: Mapping[str, float]) -> Array:
        """Share of visits in whose shops each item is on offer, (I,)."""
        share_I = np.zeros(self.item_JI.shape[1])
        for shop, share in visited.items():
            if (items := self.by_shop[kind].get(shop)) is not None:
                share_I[items] += share
        share_I[self.everywhere_JI[kind]] = 1.0
        return share_I


class Offers:
    """All offers that are known, R rows sorted by their first day."""

    def __init__(self, rows: pl.DataFrame, kinds: tuple[str, ...], items: int):
        """
        Args:
            rows: As of :func:`write_offers`, in any order; a code of -1 is no item's.
            kinds: Of the contract. Offers of a kind that is not among them, and not among others, are left out.
            items: Of the vocabulary.
        """
        others = kinds.index(OTHERS) if OTHERS in kinds else None
        kind = pl.col("kind").cast(pl.String).fill_null(OTHERS)
        place = {name: n for n, name in enumerate(kinds)}
        rows = (
            rows.with_columns(kind=kind.replace_strict(place, default=others, return_dtype=pl.Int8))
            .filter(pl.col("kind").is_not_null() & (pl.col("code") >= 0))
            .sort("from")
        )
        shops = rows["shop"].cast(pl.String)
        self.shops: tuple[str, ...] = tuple(shops.drop_nulls().unique().sort().to_list())
        self._kinds, self._items = len(kinds), items
        place = {shop: n for n, shop in enumerate(self.shops)}
        self._shop_R: Int32 = shops.replace_strict(place, default=EVERYWHERE, return_dtype=pl.Int32).to_numpy()
        self._item_R: Int32 = rows["code"].cast(pl.Int32).to_numpy()
        self._kind_R: npt.NDArray[np.int8] = rows["kind"].to_numpy()
        self._first_R: Int32 = rows["from"].to_numpy()
        self._last_R: Int32 = rows["until"].to_numpy()

    @classmethod
    def of_features(cls, folder: Path, contract: Contract, vocabulary: Vocabulary | None = None) -> "Offers | None":
        """Those of a features folder or a package, in codes of its vocabulary or of another; None where the contract knows of
        none.

        Raises:
            SchemaMismatch: the contract knows of offers, and the folder of none.
        """
        if not contract.offer_kinds:
            return None
        if not (folder / FILE).exists():
            raise SchemaMismatch(f"It has learned from what is on offer, and {folder} does not say what is.")
        own, rows = Vocabulary.of_features(folder), pl.read_parquet(folder / FILE)
        if vocabulary is not None and vocabulary.items != own.items:
            codes_I = vocabulary.encode(list(own.items))
            rows = rows.with_columns(code=pl.Series(codes_I[rows["code"].to_numpy()]))
        return cls(rows, contract.offer_kinds, len(vocabulary or own))

    def of_shops(self, shops: Mapping[str, ShopRow]) -> Callable[[int], OnOffer]:
        """:meth:`on` with these statistics of shops; the days that were asked for last are kept."""
        return lru_cache(maxsize=4)(lambda day: self.on(day, shops))

    def on(self, day: int, shops: Mapping[str, ShopRow]) -> OnOffer:
        """What is on offer on a day; no row that begins after it counts.

        Args:
            day: Days since 1970-01-01 (UTC).
            shops: Statistics of shops that are known before the day, which say how much each counts.
        """
        weight_P = self._weights(shops)
        now_3A = self._active(day)
        item_JI, everywhere_JI = self._shares(now_3A, weight_P)
        before_JI, _ = self._shares(self._active(day - CHANGE_DAYS), weight_P)
        kind_A, shop_A, item_A = now_3A
        by_shop: list[dict[str, Int32]] = [{} for _ in range(self._kinds)]
        edges = np.flatnonzero(np.diff(kind_A.astype(np.int64) * (len(self.shops) + 1) + shop_A, prepend=-2))
        for low, high in zip(edges, [*edges[1:], len(item_A)], strict=False):
            if shop_A[low] != EVERYWHERE:
                by_shop[kind_A[low]][self.shops[shop_A[low]]] = item_A[low:high].astype(np.int32)
        return OnOffer(
            item_JI=item_JI,
            change_JI=item_JI - before_JI,
            everywhere_JI=everywhere_JI,
            by_shop=tuple(by_shop),
            shops=frozenset().union(*by_shop),
        )

    def _weights(self, shops: Mapping[str, ShopRow]) -> Array:
        """What each shop counts, (P,): its share of all baskets; alike where nothing is known of any."""
        visits = sum(shop.visits_28 for shop in shops.values())
        if not visits:
            return np.full(len(self.shops), 1 / max(len(self.shops), 1))
        nothing = ShopRow()
        return np.array([shops.get(shop, nothing).visits_28 / visits for shop in self.shops])

    def _active(self, day: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Kind, shop and item of what is on offer, (A,) each, once each, sorted."""
        begun = int(np.searchsorted(self._first_R, day, side="right"))
        rows = np.flatnonzero(self._last_R[:begun] >= day)
        shops = len(self.shops) + 1
        shop = self._kind_R[rows].astype(np.int64) * shops + self._shop_R[rows] + 1
        key, item = np.divmod(distinct(shop * self._items + self._item_R[rows]), max(self._items, 1))
        kind, shop = np.divmod(key, shops)
        return kind, shop - 1, item

    def _shares(
        self, active_3A: tuple[npt.NDArray[np.int64], ...], weight_P: Array
    ) -> tuple[Float32, npt.NDArray[np.bool_]]:
        """Share of baskets in whose shops each item is on offer, and whether that is in all, (J, I)."""
        kind_A, shop_A, item_A = active_3A
        shape, cell_A, all_A = (self._kinds, self._items), kind_A * self._items + item_A, shop_A == EVERYWHERE
        everywhere_JI = np.zeros(shape, bool)
        everywhere_JI.flat[cell_A[all_A]] = True
        weight_A = np.where(all_A, 0.0, np.append(weight_P, 0.0)[shop_A])
        share_JI = np.bincount(cell_A, weights=weight_A, minlength=self._kinds * self._items).reshape(shape)
        share_JI[everywhere_JI] = 1.0
        return share_JI.astype(np.float32), everywhere_JI
