"""Events of a few users as they lie in a log, cuts of them, and what a run reads of these."""

from datetime import UTC, datetime, timedelta

import polars as pl

from shoploop.events.compaction import compact
from shoploop.events.log import Entry
from shoploop.events.messages import Kept, Shown, to_json

MONDAY = datetime(2026, 1, 5, 12, tzinfo=UTC)


def did(number, user, item, *, kind="purchase", days=0, **more) -> Entry:
    time = MONDAY + timedelta(days=days)
    kept = Kept(source="organic", kind=kind, user=user, item=item, time=time, received=time, **more)
    return Entry(f"e{number}", to_json(kept))


def shown() -> Entry:
    impression = Shown(
        request_id="r", user="ann", version="v", surface="items", method="fused", as_of="2026-01-05", time=MONDAY,
        items=["tea"], scores=[1.0], propensities=[1.0],
    )  # fmt: skip
    return Entry("i:r", to_json(impression))


def at(days):
    """So many days after every cut of a test."""
    return datetime.now(UTC) + timedelta(days=days)


def two_cuts(log, store):
    """Records of two cuts and one that no cut holds; the offset up to which each cut goes."""
    log.append([did(n, "ann", f"i{n}") for n in range(3)])
    first = compact(log, store, "grocery").through
    log.append([did(n, "ann", f"i{n}") for n in range(3, 6)])
    second = compact(log, store, "grocery").through
    log.append([did(9, "ann", "new")])
    return first, second


def read(folder):
    files = sorted(folder.glob("date=*/*.parquet"))
    return pl.concat(pl.read_parquet(file, hive_partitioning=False) for file in files) if files else pl.DataFrame()
