"""Feast's online store where that is a SQLite file: a view's latest rows put into it, as Feast's materialization puts them,
one user's row of all views read, and many entities' rows of one view.

Feast makes objects of all rows at once and sends the file one statement for each feature of each entity, in the order of
times: nearly all that the step took of a shop of many users. Here each value is encoded once, entities come in the order of
their keys, which is that of the file's index, and memory is that of one piece. Keys and values are encoded by Feast.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

ENTITIES = 20_000
"""Whose values are in memory at a time."""

BUSY_SECONDS = 0.02
"""That somebody else's write into the file is waited for: a shopper waits, too."""

TIME = "event_timestamp"


def write_latest(store: Any, file: Path, frame: pl.DataFrame, *, view: str, start: datetime, end: datetime) -> None:
    """Puts each entity's latest row within ``start`` and ``end`` into ``file``: what ``store.materialize`` leaves there.

    Args:
        store: Feast's FeatureStore, applied; its online store is SQLite.
        file: The online store's file.
        frame: The view's rows: its entity, ``event_timestamp`` and its features; no two of an entity at one time.
        view: Its name.
        start: From here on.
        end: Up to here; both count.
    """
    table = store.get_feature_view(view)
    [column] = table.entity_columns
    within = frame.filter(pl.col(TIME).is_between(start, end)).sort(
        pl.col(column.name).str.len_bytes(), column.name, TIME
    )
    latest = within.filter((pl.col(column.name) != pl.col(column.name).shift(-1)).fill_null(True))
    names = [feature.name for feature in table.features]
    quoted = f"{store.project}_{view}".replace('"', "")
    statement = (
        f'INSERT INTO "{quoted}" (entity_key, feature_name, value, value_text, event_ts, created_ts) '
        "VALUES (?, ?, ?, ?, ?, NULL) ON CONFLICT (entity_key, feature_name) DO UPDATE SET value = excluded.value, "
        "value_text = excluded.value_text, event_ts = excluded.event_ts, created_ts = excluded.created_ts"
    )
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        for piece in latest.iter_slices(ENTITIES):
            keys = _keys(piece[column.name], column.name, store.config.entity_key_serialization_version)
            moments = piece[TIME].dt.replace_time_zone(None)
            adapted = {
                moment: sqlite3.adapt(moment, sqlite3.PrepareProtocol) for moment in moments.unique()
            }  # as Feast has registered
            times = [adapted[moment] for moment in moments]
            encoded = [_encoded(piece[feature.name], feature.dtype.to_value_type()) for feature in table.features]
            rows = zip(keys, times, zip(*encoded, strict=True), strict=True)
            connection.executemany(
                statement,
                (
                    (key, name, *value, time)
                    for key, time, values in rows
                    for name, value in zip(names, values, strict=True)
                ),
            )


def row_reader(store: Any, file: Path, views: Mapping[str, Sequence[str]]) -> Callable[[str], dict[str, Any]]:
    """See :func:`shoploop.features.feast_store.row_reader`: one statement for all views."""
    from feast.infra.key_encoding_utils import serialize_entity_key
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    decoded = _decoder()
    version = store.config.entity_key_serialization_version
    read_views = {view: frozenset(names) for view, names in views.items() if names}
    tables = [f"{store.project}_{view}".replace('"', "") for view in read_views]
    statement = " UNION ALL ".join(
        f'SELECT {number}, feature_name, value FROM "{table}" WHERE entity_key = ?'
        for number, table in enumerate(tables)
    )
    wanted = tuple(read_views.values())
    nothing = dict.fromkeys(name for names in wanted for name in names)
    connection = _connection(file)

    def read(user: str) -> dict[str, Any]:
        key = serialize_entity_key(EntityKey(join_keys=["user"], entity_values=[Value(string_val=user)]), version)
        found: dict[str, Any] = dict(nothing)
        for number, name, encoded in connection.execute(statement, [key] * len(wanted)):
            if name in wanted[number]:
                found[name] = decoded(encoded)
        return found

    return read


def rows_reader(store: Any, file: Path) -> Callable[[str, Sequence[str], str, Sequence[str]], dict[str, list[Any]]]:
    """See :func:`shoploop.features.feast_store.rows_reader`: one statement for all entities."""
    decoded = _decoder()
    version = store.config.entity_key_serialization_version
    connection = _connection(file)

    def read(view: str, names: Sequence[str], entity: str, ids: Sequence[str]) -> dict[str, list[Any]]:
        table = f"{store.project}_{view}".replace('"', "")
        keys = _keys(ids, entity, version)
        statement = (
            f'SELECT entity_key, feature_name, value FROM "{table}" WHERE entity_key IN ({",".join("?" * len(keys))})'
        )
        wanted = frozenset(names)
        found: dict[tuple[bytes, str], Any] = {
            (key, name): decoded(encoded)
            for key, name, encoded in connection.execute(statement, keys)
            if name in wanted
        }
        return {name: [found.get((key, name)) for key in keys] for name in names}

    return read


def _connection(file: Path) -> sqlite3.Connection:
    """To read; whoever calls sees to it that one does at a time."""
    return sqlite3.connect(
        f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS, check_same_thread=False
    )


def _decoder() -> Callable[[bytes], Any]:
    """What an encoded value is in Python; None for one that is null."""
    from feast.protos.feast.types.Value_pb2 import Value

    def decoded(encoded: bytes) -> Any:
        value = Value.FromString(encoded)
        kind = value.WhichOneof("val")
        # numbers, strings and bytes: these views have no lists
        return getattr(value, kind) if kind else None

    return decoded


def _keys(entities: Iterable[str], name: str, version: int) -> list[bytes]:
    from feast.infra.key_encoding_utils import serialize_entity_key
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    return [
        serialize_entity_key(EntityKey(join_keys=[name], entity_values=[Value(string_val=entity)]), version)
        for entity in entities
    ]


def _encoded(values: pl.Series, kind: Any) -> Iterator[tuple[bytes, str | None]]:
    """Of each value its bytes, and its text where it has one."""
    from feast.infra.online_stores.helpers import extract_text_and_num
    from feast.type_map import python_values_to_proto_values

    plain = values.to_numpy()
    if plain.dtype == object:
        protos = python_values_to_proto_values(list(plain), kind)
        return ((proto.SerializeToString(), extract_text_and_num(proto, False)[0]) for proto in protos)
    # numbers by their bits: 0 and -0 are two, NaN is one
    bits, place = np.unique(plain.view(f"u{plain.dtype.itemsize}"), return_inverse=True)
    protos = python_values_to_proto_values(list(bits.view(plain.dtype)), kind)
    each = [(proto.SerializeToString(), extract_text_and_num(proto, False)[0]) for proto in protos]
    return (each[at] for at in place.tolist())
