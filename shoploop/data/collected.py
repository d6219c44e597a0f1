"""Interactions that this recommender has collected itself, laid beside those of the tables."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from shoploop.data.kinds import meaning
from shoploop.data.rules import Loaded
from shoploop.errors import DataUnreadable

KINDS = ("view", "click", "cart", "purchase")
TAKEN = ("click", "cart", "purchase")
SHOWN_FILE = "shown.parquet"
"""Answers that chance had a part in, with what was taken of them."""

COLLECTED = "_collected"
"""Column of interactions on their way: true for a row of the event log. The tables that are written do not have it."""

CUT_FILE = "cut.json"
"""Beside the collected interactions: up to where they were collected."""


@dataclass(frozen=True)
class CollectedThrough:
    """How much of an event log lies in the tables."""

    cut: int = 0
    """Number of the last cut; 0 where nothing was collected."""

    offset: int = 0
    """Of the log's last record that is in it."""

    log: int = 0
    """Number of the cut that this log begins with, which took another's place; 0 of the first log there was, and where a
    shoploop wrote it that did not say so. Offsets of two logs have nothing to do with each other."""

    def to_json(self) -> dict[str, int]:
        """As it is written: of the first log as earlier versions read it, too."""
        return {"cut": self.cut, "offset": self.offset} | ({"log": self.log} if self.log else {})


def collected_through(folder: Path | None) -> CollectedThrough:
    """What a folder of collected interactions holds; nothing where there is none."""
    file = folder / CUT_FILE if folder else None
    return CollectedThrough(**json.loads(file.read_text())) if file and file.exists() else CollectedThrough()


def collected_in(data: Path) -> CollectedThrough:
    """What of an event log lies in the folder that ``load_data`` wrote."""
    loaded = json.loads((data / "load.json").read_text())
    return CollectedThrough(**loaded.get("collected", {}))


def add_collected(loaded: Loaded, folder: Path, *, zone: str = "UTC") -> None:
    """Adds the events below ``folder``, and notes how many.

    A purchase that the tables name as well, of the same user, item and day, is the same one and is left out: a shop's
    export knows it from the checkout. Where the tables hold days without a clock, these are the shop's own: an evening in
    New York is the next day in UTC.

    Args:
        loaded: Canonical tables on their way; its interactions grow.
        folder: What :func:`shoploop.events.cuts.fetch_collected` brought.
        zone: Of the tables' times that carry none of their own.

    Raises:
        DataUnreadable: a file is damaged.
    """
    files = sorted(folder.glob("date=*/*.parquet"))
    if not files:
        return
    events = (
        _read(files)
        .filter(pl.col("kind").is_in(KINDS))
        .with_columns(
            pl.col("kind").replace({kind: meaning(kind) or kind for kind in KINDS}),
            pl.col("time").cast(pl.Datetime("us", "UTC")),
            price=pl.col("price") * pl.col("quantity").fill_null(1.0),  # of the whole row
        )
    )
    known = loaded.interactions
    same = ["user", "item", "_day"]
    bought = known if "kind" not in known.columns else known.filter(pl.col("kind") == "purchase")
    bought = bought.select("user", "item", _day=pl.col("time").dt.date()).unique()
    days = known["time"].drop_nulls()
    of_days = bool((days.dt.truncate("1d") == days).all())
    new = events.with_columns(_day=pl.col("time").dt.convert_time_zone(zone if of_days else "UTC").dt.date())
    twice = new.filter(pl.col("kind") == "purchase").join(bought, on=same, how="semi").height
    purchases = new.filter(pl.col("kind") == "purchase").join(bought, on=same, how="anti")
    new = pl.concat([new.filter(pl.col("kind") != "purchase"), purchases]).drop("_day", "request_id")
    loaded.note(
        "collected_twice", "interactions", twice, "dropped",
        "A collected purchase that the tables name as well, of the same user, item and day.",
    )  # fmt: skip
    loaded.note("collected", "interactions", new.height, "kept", "They came from the event log of this recommender.")
    loaded.interactions = pl.concat([known, new.with_columns(pl.lit(True).alias(COLLECTED))], how="diagonal_relaxed")


def add_searches(loaded: Loaded, folder: Path) -> None:
    """Adds the queries below ``folder`` after which something was taken, and notes how many.

    Args:
        loaded: Canonical tables on their way; its searches grow, or begin.
        folder: As of :func:`add_collected`.

    Raises:
        DataUnreadable: a file is damaged.
    """
    files, events = sorted(folder.glob("searched/date=*/*.parquet")), sorted(folder.glob("date=*/*.parquet"))
    if not files or not events:
        return
    asked = _read(files).unique("request_id", keep="first", maintain_order=True).select("request_id", "user", "query")
    taken = (
        _read(events)
        .filter(pl.col("kind").is_in(TAKEN) & pl.col("request_id").is_not_null())
        .sort("time")
        .unique(["request_id", "item"], keep="first", maintain_order=True)
        .select("request_id", "item", pl.col("time").cast(pl.Datetime("us", "UTC")), "kind")
    )
    found = taken.join(asked, on="request_id", maintain_order="left").drop("request_id")
    loaded.note("collected", "searches", found.height, "kept", "They came from the event log of this recommender.")
    if found.height:
        loaded.searches = found if loaded.searches is None else pl.concat([loaded.searches, found], how="diagonal")


def write_shown(folder: Path, out: Path) -> None:
    """Joins the answers below ``folder`` with what came of them, as ``out``/:data:`SHOWN_FILE`; nothing where there is none.

    An item is ``taken`` where an attributed event of it is a click, a cart or a purchase.

    Raises:
        DataUnreadable: a file is damaged.
    """
    files = sorted(folder.glob("shown/date=*/*.parquet"))
    if not files:
        return
    shown = _read(files).unique("request_id", keep="first", maintain_order=True)
    taken = pl.DataFrame(schema={"request_id": pl.String, "taken": pl.List(pl.String)})
    if events := sorted(folder.glob("date=*/*.parquet")):
        wanted = _read(events).filter(pl.col("kind").is_in(TAKEN) & pl.col("request_id").is_not_null())
        taken = wanted.group_by("request_id").agg(taken=pl.col("item").unique().sort())
    shown = shown.join(taken, on="request_id", how="left", maintain_order="left")
    shown.with_columns(pl.col("taken").fill_null([])).write_parquet(out / SHOWN_FILE)


def _read(files: Sequence[Path]) -> pl.DataFrame:
    try:
        return pl.concat(pl.read_parquet(file, hive_partitioning=False) for file in files)
    except (pl.exceptions.PolarsError, OSError) as error:
        folder = files[0].parent.parent
        raise DataUnreadable(
            f"What was collected in {folder} cannot be read: {error}. Compact the event log anew."
        ) from error
