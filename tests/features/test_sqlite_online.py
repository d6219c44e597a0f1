"""Online rows that are written into a SQLite file without Feast's materialization are those that it would have written."""

import shutil
import sqlite3
from datetime import UTC, datetime

import polars as pl
import pytest

from shoploop.features import feast_store, sqlite_online

START, END = datetime(1990, 1, 1, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC)
VIEWS = ("user_stats", "user_history", "item_stats", "shop_stats", "user_profile")


def rows(folder):
    with sqlite3.connect(folder / "feast" / "online.db") as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: connection.execute(f'SELECT * FROM "{name}" ORDER BY entity_key, feature_name').fetchall()
            for name in names
        }


def applied(features, folder):
    shutil.copytree(features, folder)
    (folder / "feast" / "online.db").unlink()
    return feast_store.apply(folder)


@pytest.fixture(scope="module")
def by_feast(stored_shop, tmp_path_factory):
    folder = tmp_path_factory.mktemp("feast") / "features"
    store = applied(stored_shop / "features", folder)
    with feast_store._offline(folder):
        store.materialize(start_date=START, end_date=END, feature_views=list(VIEWS))
    return rows(folder)


@pytest.mark.parametrize("entities", [4, 20_000])
def test_every_row_is_the_one_that_feast_writes_however_many_go_at_a_time(
    stored_shop, by_feast, tmp_path, monkeypatch, entities
):
    monkeypatch.setattr(sqlite_online, "ENTITIES", entities)
    store = applied(stored_shop / "features", tmp_path / "features")
    for _ in range(2):  # written again, a row is replaced
        for view in VIEWS:
            feast_store.write_online(tmp_path / "features", store, view=view, start=START, end=END)
    written = rows(tmp_path / "features")
    assert written == by_feast
    assert all(written.values()), "every view has rows here"


def test_numbers_are_told_apart_by_their_bits_and_what_is_null_has_no_text():
    from feast import ValueType

    numbers = list(sqlite_online._encoded(pl.Series([0.0, -0.0, 1.5, 0.0], dtype=pl.Float32), ValueType.FLOAT))
    assert numbers[0] == numbers[3] and len(set(numbers)) == 3
    assert [text for _, text in numbers] == ["0.0", "-0.0", "1.5", "0.0"]
    texts = list(sqlite_online._encoded(pl.Series(["a", None]), ValueType.STRING))
    assert [text for _, text in texts] == ["a", None] and texts[1][0] == b""


def test_only_the_latest_row_within_the_bounds_is_written(stored_shop, tmp_path):
    features = tmp_path / "features"
    store = applied(stored_shop / "features", features)
    stats = pl.read_parquet(features / "item_stats.parquet")
    first, second = stats["event_timestamp"].unique().sort()[:2]
    feast_store.write_online(features, store, view="item_stats", start=first, end=second)
    [table] = [found for name, found in rows(features).items() if name.endswith("item_stats")]
    of_second = stats.filter(pl.col("event_timestamp") == second)
    assert len(table) == len(of_second) * (len(stats.columns) - 2)
    assert {row[-2] for row in table} == {int(sqlite3.adapt(second.replace(tzinfo=None), sqlite3.PrepareProtocol))}
