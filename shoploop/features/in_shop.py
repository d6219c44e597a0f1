"""What sells in the shop that a request names, beside what sells everywhere.

Counts are as of a day, made of the purchases before it by one class for training, evaluation and a package; a predictor reads
those of the serving day. It must not know who asks.

Legend: I items of the vocabulary, P shops, N candidates, R rows of purchases.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from shoploop.errors import SchemaMismatch, TooFewEvents
from shoploop.features.contract import OF_IN_SHOP, Contract
from shoploop.features.ends import read_interactions
from shoploop.features.log import Float32, Int32, PurchaseLog, Vocabulary, purchases

FILE = "in_shop.parquet"
"""In a package, where its contract knows of the shop that a request names."""

WINDOWS_DAYS = (28, 91)

FEW = 2.0
"""Purchases that are added to what was bought in a shop, and to what would have been were it like all: of few there is
little to say."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Here:
    """What sells in one shop."""

    counts: "InShops"
    place: int
    """The shop's position."""

    def features(self, candidates_N: Int32) -> dict[str, Array]:
        """:data:`~shoploop.features.contract.OF_IN_SHOP`, (N,) each."""
        counts = self.counts
        found: dict[str, Array] = {}
        for days, counts_PI in counts.windows.items():
            here_N, all_I = _of_row(counts_PI, self.place, candidates_N), counts.all[days]
            share = float(_row(counts_PI, self.place).sum()) / max(float(all_I.sum()), 1.0)
            found[f"here_{days}"] = np.log1p(here_N)
            found[f"here_over_{days}"] = np.log((here_N + FEW) / (all_I[candidates_N] * share + FEW))
        found["here_ever"] = np.log1p(_of_row(counts.ever_PI, self.place, candidates_N))
        found["here_named"] = np.ones(len(candidates_N))
        return found


def nowhere(candidates_N: Int32) -> dict[str, Array]:
    """The features of a request that names no shop, or one where nobody has bought."""
    none_N = np.zeros(len(candidates_N))
    return dict.fromkeys(OF_IN_SHOP, none_N)


class InShops:
    """Purchases by shop and item before a day."""

    def __init__(self, shops: tuple[str, ...], windows: Mapping[int, sparse.csr_matrix], ever_PI: sparse.csr_matrix):
        """
        Args:
            shops: Their ids.
            windows: Purchases of the last so many days, (P, I).
            ever_PI: Of all days.
        """
        self.shops, self.windows, self.ever_PI = shops, windows, ever_PI
        for counts_PI in (*windows.values(), ever_PI):
            counts_PI.sort_indices()  # items are looked up in a shop's row
        self.all = {days: np.asarray(counts_PI.sum(axis=0)).ravel() for days, counts_PI in windows.items()}
        """Purchases of each item in all shops, (I,), by the window."""

        self._place = {shop: place for place, shop in enumerate(shops)}

    def at(self, shop: str | None) -> Here | None:
        """What sells in a shop, by its id; None where nobody names one, or nobody has bought there."""
        return self.of(self._place.get(shop, -1) if shop is not None else -1)

    def of(self, code: int) -> Here | None:
        """The same by the shop's position; None below 0."""
        return Here(counts=self, place=code) if code >= 0 and len(_row(self.ever_PI, code)) else None

    def write(self, folder: Path, vocabulary: Vocabulary) -> None:
        """Writes :data:`FILE`: a row for each shop and item that was ever bought there."""
        ever = self.ever_PI.tocoo()
        columns = {f"purchases_{days}": _at(counts, ever) for days, counts in self.windows.items()}
        pl.DataFrame(
            {
                "shop": np.array(self.shops, object)[ever.row].tolist(),
                "item": np.array(vocabulary.items, object)[ever.col].tolist(),
                **columns,
                "purchases": ever.data.astype(np.int32),
            },
            schema={"shop": pl.String, "item": pl.String} | dict.fromkeys([*columns, "purchases"], pl.Int32),
        ).write_parquet(folder / FILE, compression="zstd")

    @classmethod
    def of_package(cls, folder: Path, contract: Contract, vocabulary: Vocabulary) -> "InShops | None":
        """What :meth:`write` has written; None where the contract has no such features.

        Raises:
            SchemaMismatch: the contract has them, and the file is not there.
        """
        if not OF_IN_SHOP & set(contract.pair_features):
            return None
        if not (folder / FILE).is_file():
            raise SchemaMismatch(
                f"The features know of the shop that a request names, and {folder / FILE} is not there. Package it again."
            )
        table = pl.read_parquet(folder / FILE).join(vocabulary.frame(), on="item", maintain_order="left")
        shops = tuple(sorted(table["shop"].unique().to_list()))
        place = {shop: code for code, shop in enumerate(shops)}
        where = np.array([place[shop] for shop in table["shop"]], np.int32), table["code"].to_numpy()
        shape = (len(shops), len(vocabulary))

        def counts(column: str) -> sparse.csr_matrix:
            return sparse.csr_matrix((table[column].to_numpy().astype(np.float32), where), shape=shape)

        return cls(shops, {days: counts(f"purchases_{days}") for days in WINDOWS_DAYS}, counts("purchases"))


class ShopItems:
    """Counts a log's purchases by shop and item as of any day."""

    def __init__(self, log: PurchaseLog):
        self._log, self._index = log, log.by_day()

    def on(self, day: int) -> InShops:
        """Of the purchases before ``day``."""
        log = self._log
        return InShops(
            log.shops,
            {days: self._counts(day - days, day) for days in WINDOWS_DAYS},
            self._counts(min(int(log.day_R.min(initial=day)), day), day),
        )

    def _counts(self, first: int, before: int) -> sparse.csr_matrix:
        log = self._log
        rows = self._index.window(first, before)
        rows = rows[log.shop_R[rows] >= 0]
        shape = (len(log.shops), len(log.vocabulary))
        ones = np.ones(len(rows), np.float32)
        return sparse.csr_matrix((ones, (log.shop_R[rows], log.item_R[rows])), shape=shape)


def stage_in_shop(out: Path, *, data: Path, features: Path) -> None:
    """Writes :data:`FILE` into the features of a package, as of their serving day, where their contract asks for it.

    Args:
        out: The package's features.
        data: Folder of ``load_data``.
        features: Folder of ``materialize_features``.
    """
    contract = Contract.from_json(json.loads((features / "contract.json").read_text()))
    if not OF_IN_SHOP & set(contract.pair_features):
        return
    materialized = json.loads((features / "features.json").read_text())
    vocabulary = Vocabulary.of_features(features)
    log = PurchaseLog.of(purchases(read_interactions(data)[0]), vocabulary, sessions=materialized["sessions"])
    ShopItems(log).on(materialized["serving_day"]).write(out, vocabulary)


def refuse_unnamed(interactions: pl.DataFrame) -> None:
    """Makes sure that features of the shop that requests name can be made.

    Args:
        interactions: Canonical ones, with the column ``shop``.

    Raises:
        TooFewEvents: none names its shop.
    """
    if interactions["shop"].null_count() == len(interactions):
        raise TooFewEvents(
            "spec.training.task.inShop says that requests name the shop that a shopper is in, and no purchase names its "
            "shop. Map a column of your interactions to shop, or leave inShop out."
        )


def _row(counts_PI: sparse.csr_matrix, place: int) -> Float32:
    """A shop's numbers that are not 0."""
    found: Float32 = counts_PI.data[counts_PI.indptr[place] : counts_PI.indptr[place + 1]]
    return found


def _of_row(counts_PI: sparse.csr_matrix, place: int, candidates_N: Int32) -> Array:
    """A shop's numbers of these items, (N,)."""
    sold = counts_PI.indices[counts_PI.indptr[place] : counts_PI.indptr[place + 1]]
    if not len(sold):
        return np.zeros(len(candidates_N))
    at_N = np.minimum(np.searchsorted(sold, candidates_N), len(sold) - 1)
    return np.where(sold[at_N] == candidates_N, _row(counts_PI, place)[at_N], 0.0).astype(np.float64)


def _at(counts_PI: sparse.csr_matrix, ever: sparse.coo_matrix) -> Int32:
    found: Int32 = np.asarray(counts_PI.tocsr()[ever.row, ever.col]).ravel().astype(np.int32)
    return found
