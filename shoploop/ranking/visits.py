"""Who was in which shop, as a predictor needs it: written when a version is packaged, from the tables that it was trained on.

A user's visits are one row, found by the user's id in a file that is mapped and not read: memory does not grow with the
users. What is remembered of the shops is that of the day after the data's last. Where no purchase names its shop nothing is
written.

Legend: P shops, H visits of a user.
"""

import io
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import polars as pl
import pyarrow as pa
from scipy import sparse

from shoploop.features.log import Int32, purchases
from shoploop.surfaces.shops.memory import ShopMemory, ShopRecall
from shoploop.surfaces.shops.visits import VisitHistory, visits_of

VISITS, SHOPS, PAIRS = "visits.arrow", "visited_shops.arrow", "visited_pairs.arrow"

MOST_VISITS = 500
"""Of a user, the latest: what lies before them no habit is seen in."""


def write_visits(interactions: pl.DataFrame, out: Path, *, shops: pl.DataFrame | None = None) -> None:
    """Writes the three files, or none where no purchase names its shop.

    Args:
        interactions: The canonical table, between the log's ends.
        out: An existing folder.
        shops: The canonical table of shops, for their titles.
    """
    bought = purchases(interactions)
    if bought["shop"].null_count() == len(bought):
        return
    visits = visits_of(bought)
    recall = ShopMemory(visits).as_of(bought.select(pl.col("day").max()).item() + 1)
    table = (
        pl.DataFrame({"user": visits.user_V, "shops": visits.shop_V, "days": visits.day_V, "sizes": visits.size_V})
        .group_by("user", maintain_order=True)
        .tail(MOST_VISITS)
        .group_by("user", maintain_order=True)
        .agg("shops", "days", "sizes")
    )
    _write(table.with_columns(user=pl.Series(visits.users, dtype=pl.String).gather(table["user"])), out / VISITS)
    named = pl.DataFrame({"shop": list(visits.shops), "lately": recall.lately_P})
    titles = pl.DataFrame(schema={"shop": pl.String, "title": pl.String})
    if shops is not None and "title" in shops.columns:
        titles = shops.select("shop", "title").unique("shop", keep="first", maintain_order=True)
    _write(named.join(titles, on="shop", how="left", maintain_order="left"), out / SHOPS)
    pairs = [
        pl.DataFrame({"from": of.row, "to": of.col, "share": of.data}).with_columns(near=pl.lit(near))
        for near, of in ((False, recall.next_PP.tocoo()), (True, recall.near_PP.tocoo()))
    ]
    _write(pl.concat(pairs), out / PAIRS)


def _write(table: pl.DataFrame, path: Path) -> None:
    table.rechunk().write_ipc(path, compression="uncompressed", compat_level=pl.CompatLevel.oldest())


@dataclass(frozen=True, kw_only=True)
class PackagedVisits:
    """The visits of a packaged version."""

    shops: tuple[str, ...]
    """Sorted; a shop's position is its code."""

    titles: tuple[str | None, ...]
    recall: ShopRecall
    table: pa.Table
    """A row a user, sorted by ``user``: ``shops``, ``days``, ``sizes``."""

    def history(self, user: str) -> VisitHistory:
        """All that is known of a user; empty where that is nothing."""
        column = self.table["user"]
        row = bisect_left(_Texts(column), user)
        if row == len(column) or column[row].as_py() != user:
            return VisitHistory.empty()

        def of(name: str) -> Int32:
            values: Int32 = np.asarray(self.table[name][row].values, np.int32)
            return values

        return VisitHistory(shops_H=of("shops"), days_H=of("days"), sizes_H=of("sizes"))

    def codes(self, shops: Sequence[str]) -> Int32:
        """The codes of those of the shops that anybody has visited, sorted, each once."""
        found = [place for shop in shops if (place := self.code(shop)) >= 0]
        return np.unique(np.array(found, np.int32))

    def code(self, shop: str) -> int:
        """-1 where nobody has visited it."""
        place = bisect_left(self.shops, shop)
        return place if place < len(self.shops) and self.shops[place] == shop else -1


class _Texts(Sequence[str]):
    """A column of texts as what can be searched by halves, without reading all of it."""

    def __init__(self, column: pa.ChunkedArray):
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        if isinstance(place, slice):
            return self._column[place].to_pylist()  # type: ignore[no-any-return]
        return str(self._column[place].as_py())


def read_visits(folder: Path) -> PackagedVisits | None:
    """What :func:`write_visits` wrote; None where that is nothing."""
    if not (folder / SHOPS).is_file():
        return None
    shops = pl.read_ipc(io.BytesIO((folder / SHOPS).read_bytes()))
    pairs = pl.read_ipc(io.BytesIO((folder / PAIRS).read_bytes()))
    count = shops.height

    def matrix(rows: pl.DataFrame) -> sparse.csr_matrix:
        at = (rows["from"].to_numpy(), rows["to"].to_numpy())
        return sparse.csr_matrix((rows["share"].to_numpy(), at), shape=(count, count))

    with pa.memory_map(str(folder / VISITS)) as mapped:
        table = pa.ipc.open_file(mapped).read_all()
    return PackagedVisits(
        shops=tuple(shops["shop"].to_list()),
        titles=tuple(shops["title"].to_list()),
        recall=ShopRecall(
            lately_P=shops["lately"].to_numpy().astype(np.float32),
            next_PP=matrix(pairs.filter(~pl.col("near"))),
            near_PP=matrix(pairs.filter("near")),
        ),
        table=table,
    )
