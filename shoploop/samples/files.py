"""Samples and catalog as Parquet files, written in pieces and read back by split.

Legend: as in ``sample_set`` and ``features.catalog``.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shoploop.features.baskets import BASKETS
from shoploop.features.catalog import Catalog
from shoploop.features.catalogs import Catalogs
from shoploop.features.contract import Contract
from shoploop.features.log import Float32, Int32, Vocabulary
from shoploop.samples.sample_set import SampleSet
from shoploop.schemas import RATING

if TYPE_CHECKING:
    from shoploop.compute.parallel import Group

Split = Literal["train", "validation", "evaluation"]

REQUESTS, CANDIDATES, HISTORIES = "requests.parquet", "candidates.parquet", "histories.parquet"
ITEMS, CATALOG = "items.parquet", "catalog-{first}-{of}.parquet"


QUERY, SEEN = "query", "seen"
"""Columns of requests: what was asked for, where it was in words; and, in a log of sessions, how many moments of the day lay
behind them."""

SHOPS = "shops"
"""Column of histories: codes of the shops where the baskets were bought, where a shop is asked for."""

Columns = Contract | Sequence[str]
"""Whose pair features, or the names of features themselves, in their order."""


def feature_names(columns: Columns) -> tuple[str, ...]:
    """The names of a sample's features."""
    return tuple(columns.pair_features if isinstance(columns, Contract) else columns)


class Names(Protocol):
    """What codes stand for; a log of purchases says it of its own."""

    @property
    def users(self) -> tuple[str, ...]: ...

    @property
    def vocabulary(self) -> Vocabulary: ...

    @property
    def sessions(self) -> bool: ...


class SampleWriter:
    """Appends sample sets to the three files of a samples folder; requests are numbered in the order of writing."""

    def __init__(self, folder: Path, columns: Columns, names: Names):
        self._folder, self._columns, self._names = folder, feature_names(columns), names
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._requests = 0

    def __enter__(self) -> "SampleWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._writers.values():
            writer.close()

    def write(self, part: SampleSet, split: str, ratings_R: Float32 | None = None) -> None:
        """Appends one part; ``ratings_R`` is the rating of each row where ratings weigh, NaN where there is none."""
        numbers_Q = np.arange(self._requests, self._requests + len(part), dtype=np.int32)
        self._requests += len(part)
        items = pa.array(self._names.vocabulary.items)
        self._append(
            REQUESTS,
            {
                "request": numbers_Q,
                "user": pa.array([self._names.users[u] if u >= 0 else None for u in part.users_Q], pa.string()),
                "user_code": part.users_Q,
                "day": part.days_Q,
                "split": pa.array([split] * len(part), pa.string()),
                "truth": _lists(part.truth_offsets_Q1, part.truth_T),
            }
            | ({} if part.queries is None else {QUERY: pa.array(part.queries, pa.string())})
            | ({SEEN: _seen(part)} if self._names.sessions else {}),
        )
        self._append(
            CANDIDATES,
            {
                "request": np.repeat(numbers_Q, np.diff(part.offsets_Q1)),
                "item": items.take(pa.array(part.items_R)),
                "code": part.items_R,
                "label": part.labels_R,
                "sources": part.sources_R,
            }
            | ({} if ratings_R is None else {RATING: pa.array(ratings_R, from_pandas=True)})
            | {name: part.features_RK[:, k] for k, name in enumerate(self._columns)},
        )
        self._append(
            HISTORIES,
            {
                "request": numbers_Q,
                "items": _lists(part.event_offsets_Q1, part.event_items_E),
                "baskets": _lists(part.event_offsets_Q1, part.event_baskets_E),
                "ages": _lists(np.arange(len(part) + 1) * part.ages_QL.shape[1], part.ages_QL.ravel()),
            }
            | (
                {}
                if part.shops_QL is None
                else {SHOPS: _lists(np.arange(len(part) + 1) * part.shops_QL.shape[1], part.shops_QL.ravel())}
            ),
        )

    def _append(self, name: str, columns: dict[str, Any]) -> None:
        table = pa.table(columns)
        if name not in self._writers:
            self._writers[name] = pq.ParquetWriter(
                self._folder / name, table.schema, compression="lz4", use_dictionary=["item"]
            )
        self._writers[name].write_table(table, row_group_size=max(len(table), 1))


def _seen(part: SampleSet) -> Int32:
    return np.zeros(len(part), np.int32) if part.seen_Q is None else part.seen_Q


def _lists(offsets: npt.NDArray[np.integer], values: npt.NDArray[Any]) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values))


def read_samples(
    folder: Path, columns: Columns, split: Split, weights: pa.Table | None = None, *, group: "Group | None" = None
) -> SampleSet:
    """The samples of one split.

    Args:
        folder: Folder of ``build_samples``.
        columns: The feature columns wanted, in their order.
        split: Which requests.
        weights: ``request``, ``item`` (id) and ``weight`` of an artifact that belongs to this folder; rows without a
            weight count 1. Where the samples hold ratings, a bought row counts by both.
        group: Processes that share the requests: each keeps those that it owns (:meth:`Group.owned`) of every piece of the
            files, and never holds more than one piece beside them. All have to read at the same time.
    """
    pieces = iterate_samples(folder, columns, split)
    parts = list(pieces if group is None else _owned(pieces, group))
    if not parts:
        return _empty(columns)
    samples = SampleSet.concat([part for part, _ in parts])
    keys = pa.concat_tables([keys for _, keys in parts])
    if RATING in keys.column_names:
        ratings_R = keys[RATING].to_numpy()
        samples = replace(samples, weights_R=weights_of_ratings(ratings_R, samples.labels_R, group=group))
    if weights is None:
        return samples
    given_R = _joined_weights(keys, weights)
    return replace(samples, weights_R=given_R if samples.weights_R is None else given_R * samples.weights_R)


def count_requests(folder: Path, split: Split) -> int:
    """How many requests a split has, whoever holds them."""
    with pq.ParquetFile(folder / REQUESTS) as requests:
        heads = (requests.read_row_group(group, columns=["split"]) for group in range(requests.num_row_groups))
        return sum(len(head) for head in heads if head["split"][0].as_py() == split)


def read_days(folder: Path, split: Split) -> tuple[int, ...]:
    """The days on which somebody asks in a split, ascending; empty where there is no such folder."""
    if not folder.is_dir():
        return ()
    days = pl.scan_parquet(folder / REQUESTS).filter(pl.col("split") == split).select(pl.col("day").unique().sort())
    return tuple(days.collect()["day"].to_list())


def _owned(pieces: Iterator[tuple[SampleSet, pa.Table]], group: "Group") -> Iterator[tuple[SampleSet, pa.Table]]:
    """Of each piece the requests that this process owns, with their rows' keys."""
    before = 0
    for part, keys in pieces:
        held_Q = (np.arange(len(part)) + before) % group.size == group.rank
        before += len(part)
        yield part.select(np.flatnonzero(held_Q)), keys.filter(pa.array(np.repeat(held_Q, np.diff(part.offsets_Q1))))


def weights_of_ratings(
    ratings_R: npt.NDArray[Any], labels_R: npt.NDArray[np.bool_], *, group: "Group | None" = None
) -> Float32:
    """In proportion to the rating, mean 1 over the bought rows that have one, of all processes; all others count 1."""
    rated_R = labels_R & np.isfinite(ratings_R)
    weights_R = np.ones(len(labels_R), np.float32)
    if group is not None:
        total, count = group.totals([float(ratings_R[rated_R].sum(dtype=np.float64)), float(rated_R.sum())])
        weights_R[rated_R] = ratings_R[rated_R] / (total / max(count, 1.0))
    elif rated_R.any():
        weights_R[rated_R] = ratings_R[rated_R] / ratings_R[rated_R].mean(dtype=np.float64)
    return weights_R


def iterate_samples(folder: Path, columns: Columns, split: Split) -> Iterator[tuple[SampleSet, pa.Table]]:
    """The samples of one split in the pieces they were written in, each with its rows' ``request`` and ``item``, and
    ``rating`` where ratings weigh."""
    with (
        pq.ParquetFile(folder / REQUESTS) as requests,
        pq.ParquetFile(folder / CANDIDATES) as candidates,
        pq.ParquetFile(folder / HISTORIES) as histories,
    ):
        for group in range(requests.num_row_groups):
            head = requests.read_row_group(group)
            if head["split"][0].as_py() != split:
                continue
            rows = candidates.read_row_group(group)
            events = histories.read_row_group(group)
            further = [RATING] if RATING in rows.column_names else []
            yield _sample_set(head, rows, events, columns), rows.select(["request", "item", *further])


def _sample_set(head: pa.Table, rows: pa.Table, events: pa.Table, columns: Columns) -> SampleSet:
    first = head["request"][0].as_py()
    counts_Q = np.bincount(rows["request"].to_numpy() - first, minlength=len(head))
    names = feature_names(columns)
    features_RK = np.empty((len(rows), len(names)), np.float32)
    for k, name in enumerate(names):
        features_RK[:, k] = rows[name].to_numpy()
    truth_offsets, truth = _flat(head["truth"])
    event_offsets, event_items = _flat(events["items"])
    return SampleSet(
        users_Q=head["user_code"].to_numpy(),
        days_Q=head["day"].to_numpy(),
        offsets_Q1=np.concatenate([[0], np.cumsum(counts_Q)]).astype(np.int64),
        items_R=rows["code"].to_numpy(),
        labels_R=rows["label"].to_numpy().astype(bool),
        sources_R=rows["sources"].to_numpy(),
        features_RK=features_RK,
        truth_offsets_Q1=truth_offsets,
        truth_T=truth,
        event_offsets_Q1=event_offsets,
        event_items_E=event_items,
        event_baskets_E=_flat(events["baskets"])[1],
        ages_QL=_flat(events["ages"])[1].reshape(len(head), -1),
        queries=tuple(head[QUERY].to_pylist()) if QUERY in head.column_names else None,
        shops_QL=_flat(events[SHOPS])[1].reshape(len(head), -1) if SHOPS in events.column_names else None,
        seen_Q=head[SEEN].to_numpy() if SEEN in head.column_names else None,
    )


def _flat(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.int64], Int32]:
    array = column.combine_chunks()
    lengths = np.asarray(pc.list_value_length(array))
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), np.asarray(array.flatten(), np.int32)


def _joined_weights(keys: pa.Table, weights: pa.Table) -> Float32:
    wanted = pl.DataFrame(keys.select(["request", "item"]))
    given = pl.DataFrame(weights.select(["request", "item", "weight"])).cast(
        {"request": wanted.schema["request"], "item": pl.String, "weight": pl.Float32}
    )
    joined = wanted.with_columns(pl.col("item").cast(pl.String)).join(
        given, on=["request", "item"], how="left", maintain_order="left"
    )
    weights_R: Float32 = joined["weight"].fill_null(1.0).to_numpy().astype(np.float32)
    return weights_R


def _empty(columns: Columns) -> SampleSet:
    none, start = np.empty(0, np.int32), np.zeros(1, np.int64)
    return SampleSet(
        users_Q=none,
        days_Q=none,
        offsets_Q1=start,
        items_R=none,
        labels_R=np.empty(0, bool),
        sources_R=np.empty(0, np.uint8),
        features_RK=np.empty((0, len(feature_names(columns))), np.float32),
        truth_offsets_Q1=start,
        truth_T=none,
        event_offsets_Q1=start,
        event_items_E=none,
        event_baskets_E=none,
        ages_QL=np.empty((0, BASKETS), np.int32),
    )


def write_catalogs(folder: Path, catalogs: Catalogs, vocabulary: Vocabulary, items: pl.DataFrame) -> None:
    """Writes ``items.parquet``, the vocabulary in the order of its codes with what the data says of each item, and for each
    first day what purchases say of items and of kinds, where it is not as the day before it."""
    described = items.unique("item", keep="first", maintain_order=True)
    table = vocabulary.frame().join(described, on="item", how="left", maintain_order="left").to_arrow()
    pq.write_table(table, folder / ITEMS, compression="zstd")
    before: Catalog | None = None
    for first, catalog in zip(catalogs.first_days, catalogs.catalogs, strict=True):
        for of, names in _COLUMNS.items():
            new = [name for name in names if getattr(catalog, name) is not getattr(before, name, None)]
            columns = pa.table({name: _fixed(getattr(catalog, name)) for name in new})
            pq.write_table(columns, folder / CATALOG.format(first=first, of=of), compression="zstd")
        before = catalog


_OF_KINDS = "log_odds_CB"
_COLUMNS = {
    "items": tuple(field.name for field in fields(Catalog) if field.name != _OF_KINDS),
    "kinds": (_OF_KINDS,),
}
"""The parts of a catalog by what they have a row for."""


def read_items(folder: Path) -> pa.Table:
    """The vocabulary in the order of its codes, with what the data says of each item."""
    return pq.read_table(folder / ITEMS)


def read_catalogs(folder: Path) -> Catalogs:
    """All catalogs of a samples folder."""
    days = _catalog_days(folder)
    found: dict[str, npt.NDArray[Any]] = {}
    made = []
    for first in days:
        for of in _COLUMNS:
            table = pq.read_table(folder / CATALOG.format(first=first, of=of))
            found |= {name: _array(table[name]) for name in table.column_names}
        made.append(Catalog(**found))
    return Catalogs(first_days=days, catalogs=tuple(made))


def read_catalog(folder: Path, day: int | None = None) -> Catalog:
    """The catalog that requests of ``day`` see; unset, the one that a model is trained with."""
    days = _catalog_days(folder)
    until = 1 if day is None else max(bisect_right(days, day), 1)
    found: dict[str, npt.NDArray[Any]] = {}
    for first in reversed(days[:until]):
        for of, names in _COLUMNS.items():
            path = folder / CATALOG.format(first=first, of=of)
            missing = [name for name in names if name not in found]
            there = [name for name in pq.read_schema(path).names if name in missing]
            if there:
                table = pq.read_table(path, columns=there)
                found |= {name: _array(table[name]) for name in there}
    return Catalog(**found)


def _catalog_days(folder: Path) -> tuple[int, ...]:
    """The first days that the catalogs of a samples folder are for, ascending."""
    begin, end = CATALOG.format(first="*", of="items").split("*")
    return tuple(sorted(int(path.name.removeprefix(begin).removesuffix(end)) for path in folder.glob(f"{begin}*{end}")))


def _fixed(values: npt.NDArray[Any]) -> pa.Array:
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def _array(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    array = column.combine_chunks()
    if pa.types.is_fixed_size_list(array.type):
        return np.array(array.flatten()).reshape(len(array), array.type.list_size)
    return np.array(array)
