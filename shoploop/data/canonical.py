"""The last stretch of loading: complete the canonical tables, put them in order, write them and say what was done.

Every dataset and every table of one's own passes here, so the rules of this file hold for all data.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from shoploop import progress, schemas
from shoploop.data import catalogue, fitting, outliers
from shoploop.data.collected import COLLECTED, CollectedThrough
from shoploop.data.kinds import PURCHASE, UNKNOWN, with_returns
from shoploop.data.offers import complete_offers
from shoploop.data.picture_files import FILE as PICTURES
from shoploop.data.picture_files import PictureFolder, read_pictures
from shoploop.data.repeated import tell_repeated
from shoploop.data.returns import without_sent_back
from shoploop.data.rules import Loaded
from shoploop.data.stopped import tell_stopped
from shoploop.errors import TableEmpty
from shoploop.store import disk

LISTED = schemas.LISTED

PLAUSIBLE_QUANTITY = 1000
"""Pieces in one row above which a quantity is more likely a weight, a volume or a slip of the keyboard."""

READING, PUTTING_IN_ORDER, WRITING = LOADING = ("the files are read", "rows are put in order", "tables are written")
"""The parts of loading, for who watches."""

_COLUMNS = {name: dict(pl.Schema(table.schema)) for name, table in schemas.READABLE.items()}
"""Table to canonical column to polars type."""


def write(
    loaded: Loaded,
    *,
    dataset: str | None,
    digest: str,
    out: Path,
    collected: CollectedThrough | None = None,
    pictures: PictureFolder | None = None,
) -> dict[str, Any]:
    """Completes ``loaded`` and writes the folder that :func:`shoploop.data.load_data` describes.

    Raises:
        TableEmpty: no interaction is left.
    """
    parts = progress.Parts(*LOADING)
    try:
        parts.begin(PUTTING_IN_ORDER)
        tables = complete(loaded)
        pictured = None if pictures is None else read_pictures(tables["items"], pictures, loaded)
    finally:  # what was seen on the way explains an error
        for sentence in loaded.remarks:
            progress.warn(sentence)
    parts.begin(WRITING)
    out.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {"dataset": dataset, "source_sha256": digest, "tables": {}, "rules": loaded.report()}
    report |= {"kinds": loaded.kinds, "remarks": loaded.remarks}
    report["collected"] = (collected or CollectedThrough()).to_json()
    if loaded.span is not None:
        report["span"] = asdict(loaded.span)
    for name, table in tables.items():
        path = out / f"{name}.parquet"
        table.write_parquet(path, compression="zstd", statistics=True, row_group_size=262_144)
        report["tables"][name] = {"rows": table.height, "columns": table.columns, "sha256": disk.digest_of(path)}
    if pictured is not None:
        pictured.write_parquet(out / PICTURES, compression="zstd")
        report["pictures"] = {"rows": pictured.height, "sha256": disk.digest_of(out / PICTURES)}
    (out / "load.json").write_text(json.dumps(report, indent=1) + "\n")
    parts.end()
    return report


def complete(loaded: Loaded) -> dict[str, pl.DataFrame]:
    """All four tables with every canonical column, in canonical order, and searches and offers where there are any; rules are
    noted on ``loaded``."""
    events = _interactions(loaded)
    searches = None if loaded.searches is None else _searches(loaded, loaded.searches, events)
    tables = ({} if searches is None else {"searches": searches}) | {
        "interactions": events,
        "items": _entities(loaded, loaded.items, "items", events),
        "users": _entities(loaded, loaded.users, "users", events),
        "shops": _entities(loaded, loaded.shops, "shops", events),
    }
    if loaded.offers is not None:
        tables["offers"] = complete_offers(loaded, _with_schema(loaded.offers, "offers"), tables)
    return tables


def _of_an_item(events: pl.DataFrame, loaded: Loaded) -> pl.DataFrame:
    """Without what people did with no item and that is no purchase: home pages and searches in a log of events."""
    if not events["item"].null_count():
        return events
    aimless = pl.col("item").is_null() & pl.col("time").is_not_null() & ~pl.col("kind").is_in([PURCHASE, UNKNOWN])
    kept = events.filter(~aimless.fill_null(False))
    loaded.note(
        "rows_of_no_item", "interactions", events.height - kept.height, "dropped",
        "Views, searches and the like that name no item, such as those of a home page: nothing is learned from them.",
    )  # fmt: skip
    return kept


def _interactions(loaded: Loaded) -> pl.DataFrame:
    wanted = (*_COLUMNS["interactions"], schemas.RATING, COLLECTED)
    given = loaded.interactions
    events = _with_schema(given.select(name for name in given.columns if name in wanted), "interactions")
    if COLLECTED in events.columns:
        events = events.with_columns(pl.col(COLLECTED).fill_null(False))
    if events.select(pl.all_horizontal(pl.col(*schemas.INTERACTIONS.required).is_not_null()).any()).item() is False:
        raise TableEmpty(
            "interactions: no row has a user, an item and a time. Check the file and spec.data.tables.interactions."
            + (f" {outliers.NOBODY_KNOWN}" if events["user"].null_count() == events.height else "")
        )
    named = _of_an_item(outliers.without_guests(events, loaded), loaded)
    required = list(schemas.INTERACTIONS.required)
    kept = named.drop_nulls(required) if any(named[column].null_count() for column in required) else named
    loaded.note(
        "incomplete_rows",
        "interactions",
        named.height - kept.height,
        "dropped",
        f"Without an item {named['item'].null_count():,}, without a time {named['time'].null_count():,}: such a row says "
        "nothing about anybody.",
    )
    if kept.height:
        kept = outliers.without_robots(outliers.within_span(kept, loaded), loaded)
    kept = kept.drop(COLLECTED, strict=False)
    if kept.height == 0:
        raise TableEmpty(
            "interactions: no row of a user is left; all are of visitors without an account or of robots. Check the column "
            f"of users, and maxEventsPerUser. {outliers.NOBODY_KNOWN}"
        )
    outliers.tell_doubtful(kept, loaded)
    tell_repeated(kept, loaded)
    kept = with_returns(outliers.without_absurd(kept, "interactions", loaded), loaded)
    tell_stopped(kept, loaded)
    kept = without_sent_back(kept, loaded)
    bought = kept.filter(pl.col("kind") == PURCHASE)
    without = bought["quantity"].null_count()
    if without < bought.height:
        loaded.note(
            "quantity_missing",
            "interactions",
            without,
            "changed",
            "Other purchases have a quantity, these have none: they count as one piece.",
        )
    kept = kept.with_columns(pl.col("kind").fill_null(UNKNOWN), pl.col("quantity").fill_null(1.0))
    loaded.note(
        "quantity_zero",
        "interactions",
        kept.filter(pl.col("quantity") == 0).height,
        "kept",
        "Quantity 0, most often a gift or a voucher. The item went over the counter, so the row stays in history and "
        "counts as bought.",
    )
    loaded.note(
        "quantity_implausible",
        "interactions",
        kept.filter(pl.col("quantity") > PLAUSIBLE_QUANTITY).height,
        "warned",
        f"Quantity above {PLAUSIBLE_QUANTITY:,} pieces in one row, more likely a weight or a volume. Kept as it is.",
    )
    return kept.sort("time", "user", "item", "kind", *kept.columns[4:], maintain_order=True)


def _searches(loaded: Loaded, given: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame | None:
    """What can be learned from; None where nothing is left of what was collected, of which nobody promised any."""
    table = _with_schema(given, "searches")
    query = pl.col("query").str.strip_chars()
    table = table.with_columns(query=pl.when(query != "").then(query))
    kept = table.drop_nulls(list(schemas.SEARCHES.required))
    loaded.note(
        "incomplete_searches",
        "searches",
        table.height - kept.height,
        "dropped",
        "A search without query, time or what was taken after it teaches nothing.",
    )
    days = events["time"].dt.date()
    inside = kept.filter(pl.col("time").dt.date().is_between(days.min(), days.max()))
    loaded.note(
        "searches_outside_interactions",
        "searches",
        kept.height - inside.height,
        "dropped",
        "Of these days no interaction is known, so that nothing can be learned from what was taken on them.",
    )
    kept = inside
    known = kept.join(events.select("item").unique(), on="item", how="semi")
    loaded.note(
        "searches_for_unsold",
        "searches",
        kept.height - known.height,
        "warned",
        "What was taken after these is in no interaction: it is found by its name, and its sales are not known.",
    )
    if kept.is_empty() and not loaded.searches_named:
        return None
    if kept.is_empty():
        raise TableEmpty(
            "searches: no row has a query, an item and a time within the days of the interactions. Check the file and "
            "spec.data.tables.searches."
        )
    return kept.sort("time", "query", "item", "user", "kind", nulls_last=True)


def _entities(loaded: Loaded, table: pl.DataFrame | None, name: str, events: pl.DataFrame) -> pl.DataFrame:
    """The table's rows, once each, and a row for every id that only interactions know."""
    (key,) = schemas.TABLES[name].key
    seen = events.select(pl.col(key)).drop_nulls().unique()
    if table is None:
        return _finished(loaded, seen.with_columns(pl.lit(True).alias(LISTED)), name, key)
    table = outliers.without_absurd(table, name, loaded)
    given = table.filter(pl.col(key).is_not_null())
    once = given.unique(key, keep="last", maintain_order=True)
    loaded.note(
        "rows_without_key", name, table.height - given.height, "dropped", f"A row without {key} belongs to nothing."
    )
    loaded.note(
        "repeated_key", name, given.height - once.height, "dropped", f"The same {key} again; its last row was kept."
    )
    fitting.check_fit(events, once, name=name, key=key, loaded=loaded)
    strangers = seen.join(once, on=key, how="anti")
    rows = events.join(strangers, on=key, how="semi").height
    loaded.note(
        "unlisted",
        name,
        strangers.height,
        "kept",
        f"{rows:,} interactions name one of these, which the source's table of {name} lacks. The interactions are "
        f"kept; each {key} got a row without attributes, marked as not listed.",
    )
    if name == "items":
        catalogue.look(once, events, loaded)
    both = [once.with_columns(pl.lit(True).alias(LISTED)), strangers.with_columns(pl.lit(False).alias(LISTED))]
    return _finished(loaded, pl.concat(both, how="diagonal"), name, key)


def _finished(loaded: Loaded, table: pl.DataFrame, name: str, key: str) -> pl.DataFrame:
    table = _with_schema(table, name)
    if "title" in _COLUMNS[name]:  # elsewhere a column of that name is the shop's own
        loaded.note(
            "untitled",
            name,
            table.filter(pl.col("title").is_null() & pl.col(LISTED)).height,
            "changed",
            f"The source gives no title; the {key}'s id became one, so that people have something to read.",
        )
        word = pl.when(LISTED).then(pl.lit(f"{key.capitalize()} ")).otherwise(pl.lit(f"{schemas.UNLISTED}{key} "))
        table = table.with_columns(title=pl.coalesce("title", word + pl.col(key)))
    if "category" in _COLUMNS[name]:
        table = table.with_columns(pl.col("category").fill_null([]))
    return table.sort(key)


def _with_schema(table: pl.DataFrame, name: str) -> pl.DataFrame:
    """Canonical columns first, in their order and type, null where the source has none; then the further ones."""
    columns = _COLUMNS[name]
    table = table.with_columns(
        pl.lit(None, dtype=dtype).alias(c) for c, dtype in columns.items() if c not in table.columns
    )
    own = [c for c in table.columns if c not in columns]
    return table.select(*(pl.col(c).cast(dtype) for c, dtype in columns.items()), *own)
