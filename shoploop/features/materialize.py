"""The step that computes the statistics and puts them where training and serving find them: Parquet and Feast.

What a statistic means is decided by the pure functions of this room; here they are only run, written and registered.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from shoploop import progress
from shoploop.api.v1alpha1 import FeaturesSpec, TrainingSpec
from shoploop.data.collected import SHOWN_FILE
from shoploop.data.splits import TimeSplit
from shoploop.features import feast_store
from shoploop.features.chosen import choose_days
from shoploop.features.contract import Contract, resolve
from shoploop.features.habits import habits, tells
from shoploop.features.history import midnight
from shoploop.features.in_shop import refuse_unnamed
from shoploop.features.item import item_stats_pieces
from shoploop.features.log import PurchaseLog, Vocabulary, day_of
from shoploop.features.offers import FILE as OFFERS
from shoploop.features.offers import offered, write_offers
from shoploop.features.packing import pack
from shoploop.features.searched import SEARCHES
from shoploop.features.shop import shop_stats
from shoploop.features.user import user_stats
from shoploop.features.windows import unknown_share

REGISTERED = "registered with Feast"
"""A part of the step, for who watches."""


def materialize_features(
    *, data: Path, out: Path, training_spec: TrainingSpec, features_spec: FeaturesSpec | None = None
) -> dict[str, Any]:
    """Computes every statistic, registers them with Feast and fills the online store for the day after the data's last.

    Args:
        data: Folder of ``load_data``.
        out: Folder to write: ``contract.json``, ``vocabulary.parquet`` (item, code), ``user_stats.parquet``,
            ``item_stats.parquet`` and ``shop_stats.parquet`` (each with ``event_timestamp``), ``user_history.parquet``,
            ``user_profile.parquet`` where users have attributes, ``offers.parquet`` where there are offers, ``feast/`` and
            ``features.json``.
        training_spec: Its days, or those chosen from the log where it names none, decide for which days items and shops
            have rows: those with a visit to learn from or to evaluate on, those on which somebody searched or was shown what
            chance had a part in, and the serving day.
        features_spec: The online store: SQLite inside ``out`` unless it says Redis.

    Returns:
        ``features.json``: contract hash, rows per table, first, evaluation and serving day (days since 1970-01-01), the
        split and what was chosen of it, rows left out beyond the log's ends, seconds per part.

    Raises:
        TooFewEvents: no purchase, or too few on the days to learn from or to evaluate on; or shops are asked for, and no two
            are named, or requests are to name one, and none is.
        SpecInvalid: the online store is incomplete.
    """
    seconds = _Stopwatch()
    online_store = (features_spec or FeaturesSpec()).online_store
    days = choose_days(data, training_spec)
    interactions, outside, bought, sessions = days.interactions, days.outside, days.bought, days.sessions
    chosen = days.windows
    users = pl.read_parquet(data / "users.parquet")
    items = pl.read_parquet(data / "items.parquet", columns=["item", "category"])
    split, vocabulary = chosen.split, chosen.vocabulary
    log = PurchaseLog.of(bought, vocabulary, sessions=sessions)
    found = habits(log, before=split.evaluation_first)
    on_offer = offered(data / OFFERS, first=split.training_first, before=split.evaluation_first)
    if in_shop := training_spec.task.in_shop:
        refuse_unnamed(interactions)
    contract = resolve(
        interactions=interactions, items=items, users=users, habits=tells(found), in_shop=in_shop, **on_offer
    )
    others = [_other_days(data / SHOWN_FILE)]
    if "Search" in training_spec.surfaces:
        others.append(_other_days(data / SEARCHES))
    days_asked = request_days(np.concatenate([log.day_R, *others]), split)
    unknown = unknown_share(bought, chosen)
    del interactions, bought, days
    seconds.lap("read")

    out.mkdir(parents=True, exist_ok=True)
    (out / "contract.json").write_text(json.dumps(contract.to_json(), indent=1) + "\n")
    vocabulary.frame().write_parquet(out / "vocabulary.parquet")
    tables: list[tuple[str, Callable[[], pl.DataFrame]]] = [
        ("user_stats", lambda: user_stats(log, visited_shops="visited_shops" in contract.user_stats)),
        ("shop_stats", lambda: shop_stats(log, days_asked)),
        ("user_history", lambda: _histories(log, before=split.serving)),
    ]
    if contract.user_attributes:
        tables.append(("user_profile", lambda: _profiles(users, contract, log.first_day)))
    offers = write_offers(data, out, vocabulary) if contract.offer_kinds else 0
    names = ["item_stats", *(name for name, _ in tables)]
    parts = progress.Parts(*names, REGISTERED, *(f"{name}, online" for name in names))
    parts.begin("item_stats")
    pieces = _counted(item_stats_pieces(log, days_asked), len(days_asked), len(vocabulary))
    rows = {"item_stats": _write_pieces(pieces, out / "item_stats.parquet")}
    for name, compute in tables:
        parts.begin(name)
        table = compute()
        table.write_parquet(out / f"{name}.parquet", compression="zstd")
        rows[name] = table.height
    seconds.lap("compute")
    parts.begin(REGISTERED)

    feast_store.write_repository(out, project=_project(data, contract, vocabulary), online_store=online_store)
    store = feast_store.apply(out)
    seconds.lap("apply")
    serving = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=split.serving)
    begin = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=log.first_day)
    for name, height in rows.items():
        parts.begin(f"{name}, online")
        if height:
            # of items and shops only the serving day's own rows may answer online
            start = serving - timedelta(hours=1) if name in ("item_stats", "shop_stats") else begin
            feast_store.write_online(out, store, view=name, start=start, end=serving + timedelta(seconds=1))
    parts.end()
    seconds.lap("online")

    report = {
        "contract": contract.hash,
        "features": len(contract.pair_features),
        "habits": {partition: numbers | {"told": partition in contract.habits} for partition, numbers in found.items()},
        "rows": rows,
        **({"offers": offers} if contract.offer_kinds else {}),
        "items": len(vocabulary),
        "unknown_share": unknown,
        "users": len(log.users),
        "first_day": log.first_day,
        "evaluation_day": split.evaluation_first,
        "serving_day": split.serving,
        "sessions": sessions,
        "split": split.to_json(),
        "windows": split.report(),
        "left_out": outside.report(),
        "online_store": online_store.type,
        "seconds": seconds.laps,
    }
    (out / "features.json").write_text(json.dumps(report, indent=1) + "\n")
    return report


def request_days(days: npt.NDArray[np.integer[Any]], split: TimeSplit) -> list[int]:
    """Of these days each on which samples or the predictor ask for statistics: days without a visit have no request."""
    days = np.unique(days)
    return [int(day) for day in days[(days >= split.training_first) & (days <= split.last)]] + [split.serving]


def _other_days(file: Path) -> npt.NDArray[np.integer[Any]]:
    """Days of which a table holds what was asked without being a visit: on some of them nothing may have been bought."""
    if not file.exists():
        return np.empty(0, np.int32)
    return pl.read_parquet(file, columns=["time"]).select(day_of("time")).to_series().unique().to_numpy()


def _counted(pieces: Iterable[pl.DataFrame], days: int, items: int) -> Iterator[pl.DataFrame]:
    """The pieces of a table of items by day, told as days."""
    told, rows = progress.Count("days of items' statistics"), 0
    for piece in pieces:
        yield piece
        rows += piece.height
        told(rows // max(items, 1), days)


def _write_pieces(pieces: Iterable[pl.DataFrame], path: Path) -> int:
    """Writes a table of many days piece by piece, so that memory does not grow with the days; returns its rows."""
    rows = 0
    writer = None
    try:
        for piece in pieces:
            table = piece.to_arrow().cast(_plain(piece.to_arrow().schema))
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
            rows += len(table)
    finally:
        if writer is not None:
            writer.close()
    return rows


def _plain(schema: pa.Schema) -> pa.Schema:
    """Strings as other readers of Parquet name them."""
    return pa.schema([(f.name, pa.string() if pa.types.is_large_string(f.type) else f.type) for f in schema])


def _project(data: Path, contract: Contract, vocabulary: Vocabulary) -> str:
    """Feast's name for this data under this contract: in a shared Redis, no shop or run reads another's rows, and none has
    its rows overwritten by those of other codes."""
    digest = hashlib.sha256(contract.hash.encode())
    for name in ("interactions", "users"):
        digest.update((data / f"{name}.parquet").read_bytes())
    digest.update("\0".join(vocabulary.items).encode())
    return f"shoploop_{digest.hexdigest()[:12]}"


def _histories(log: PurchaseLog, *, before: int) -> pl.DataFrame:
    """Every user's purchases before a day as one packed value, stamped at that day's midnight."""
    packed = []
    for low, high in zip(log.offsets_U1, log.offsets_U1[1:], strict=False):
        end = low + int((log.day_R[low:high] < before).sum())
        packed.append(pack(log.item_R[low:end], log.day_R[low:end], log.quantity_R[low:end]))
    return pl.DataFrame(
        {"user": list(log.users), "packed": packed}, schema={"user": pl.String, "packed": pl.Binary}
    ).with_columns(event_timestamp=midnight(before))


def _profiles(users: pl.DataFrame, contract: Contract, first_day: int) -> pl.DataFrame:
    """Attributes do not change in the canonical tables, so they hold from the first day on."""
    return users.select("user", *(a.name for a in contract.user_attributes), event_timestamp=midnight(first_day))


class _Stopwatch:
    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.laps[name] = round(now - self._last, 2)
        self._last = now
