"""Your own tables: columns found by their mapping, read as the canonical types, with every odd value counted.

Interactions alone are enough. Where there is no items table, columns ``title``, ``category``, ``brand`` and ``image``
of the interactions describe the items.
"""

import polars as pl

from shoploop import schemas
from shoploop.api.v1alpha1 import InteractionsSource, ItemsSource, TablesSpec
from shoploop.data import fitting
from shoploop.data.casting import cast
from shoploop.data.column_mapping import ITEM_COLUMNS, Mapped, note_ignored, open_table, refuse_nested
from shoploop.data.ids import text_of
from shoploop.data.kinds import with_kinds, with_takes
from shoploop.data.rules import Loaded
from shoploop.data.searchable import with_words, words_of
from shoploop.data.zeros import join_without_zeros


def load(spec: TablesSpec) -> Loaded:
    """Reads the files and gives each canonical column its type.

    Raises:
        SpecInvalid, DataUnreadable, SchemaMismatch, TableEmpty: see :func:`shoploop.data.load_data`.
    """
    described = ITEM_COLUMNS if spec.items is None else ()
    raw = log = open_table("interactions", spec.interactions, also=described)
    loaded = Loaded(interactions=pl.DataFrame(), max_events_per_user=spec.interactions.max_events_per_user)
    events = _kinds(raw, spec.interactions, cast(raw, loaded), loaded)
    note_ignored(raw, loaded)
    if spec.interactions.price_is == "unit" and "price" in events.columns:
        pieces = pl.col("quantity").fill_null(1.0) if "quantity" in events.columns else pl.lit(1.0)
        one = pl.col("price")
        # of two signs one is enough: money that went back stays below 0, whichever of the two says it
        back = pl.when((one < 0) | (pieces < 0)).then(-1.0).otherwise(1.0)
        events = events.with_columns(price=one.abs() * pieces.abs() * back)
    kept = (*schemas.INTERACTIONS.schema.names, schemas.RATING)
    loaded.interactions = events.select(c for c in events.columns if c in kept)
    if any(column in raw.found for column in described):
        loaded.items = _described_items(events)
    for name in ("items", "users", "shops"):
        source = getattr(spec, name)
        if source is not None:
            raw = open_table(name, source)
            table = cast(raw, loaded, further=True)
            setattr(loaded, name, with_words(table, raw, source) if isinstance(source, ItemsSource) else table)
    if spec.searches is not None:
        loaded.searches = with_takes(cast(open_table("searches", spec.searches), loaded), loaded)
        loaded.searches_named = True
    if spec.offers is not None:
        loaded.offers = cast(open_table("offers", spec.offers), loaded)
    join_without_zeros(loaded)
    _look_for_what_fits(log, loaded)
    return loaded


def check(name: str, spec: TablesSpec) -> None:
    """Holds one table's columns against the spec, and no more.

    Raises:
        SpecInvalid, DataUnreadable, SchemaMismatch, TableEmpty: as :func:`load`.
    """
    described = ITEM_COLUMNS if spec.items is None and name == "interactions" else ()
    raw = open_table(name, getattr(spec, name), also=described)
    for column, names in raw.found.items():
        refuse_nested(raw, column, names)
    if isinstance(raw.source, ItemsSource):
        words_of(raw, raw.source)


def _look_for_what_fits(log: Mapped, loaded: Loaded) -> None:
    """Where a table lists little of what the log names, the column of the log that it does list."""
    for name in ("items", "users", "shops"):
        (key,) = schemas.TABLES[name].key
        table = getattr(loaded, name)
        if table is None or key not in log.found or key not in table.columns:
            continue
        ids = loaded.interactions[key].drop_nulls()
        if int(ids.is_in(table[key].drop_nulls().unique().implode()).sum()) >= 0.5 * ids.len():
            continue
        elsewhere = (key, "quantity", "price", "rating", "time", "kind")
        taken = {column for role in elsewhere for column in log.found.get(role, ())}
        others = [c for c in log.table.columns if c not in taken and not log.table[c].dtype.is_nested()]
        found = fitting.fitting_column({c: text_of(log.values(c)) for c in others}, table[key])
        if found is not None:
            loaded.fits_instead[name] = found


def _kinds(raw: Mapped, source: InteractionsSource, events: pl.DataFrame, loaded: Loaded) -> pl.DataFrame:
    mapped = raw.found.get("kind", [None])[0]
    without = raw.remarks.files_without.get(mapped, 0) if mapped else 0
    return with_kinds(events, source, rows_without=without, mapped=mapped, loaded=loaded)


def _described_items(events: pl.DataFrame) -> pl.DataFrame:
    """Each item as the latest interactions describe it."""
    present = [c for c in ITEM_COLUMNS if c in events.columns]
    said = {c: pl.col(c).list.len() > 0 if c == "category" else pl.col(c).is_not_null() for c in present}
    return (
        events.filter(pl.col("item").is_not_null())
        .sort("time", maintain_order=True)
        .group_by("item", maintain_order=True)
        .agg(pl.col(c).filter(said[c].fill_null(False)).last() for c in present)
    )
