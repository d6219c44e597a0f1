"""How much an event counts."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from shoploop.online.joiner import Example
from shoploop.online.weighing import alike, weights_of
from shoploop.samples.weights import samples_digest, write_weights

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
DAY = (NOON - datetime(1970, 1, 1, tzinfo=UTC)).days


def example(user: str, item: str, *, days: int = 0) -> Example:
    return Example(offset=1, user=user, time=NOON + timedelta(days=days), chosen=item, among=None)


@pytest.fixture
def weigh(tmp_path):
    pl.DataFrame({"request": [0], "user": ["ann"], "day": [DAY]}, schema_overrides={"request": pl.Int32}).write_parquet(
        tmp_path / "requests.parquet"
    )
    pl.DataFrame({"request": [0]}).write_parquet(tmp_path / "candidates.parquet")
    rows = {"request": [0, 0], "item": ["tea", "milk"], "label": [True, False]}
    table = pl.DataFrame(rows | {"importance": [0.1, 0.2], "weight": [3.0, 0.5]}).to_arrow()
    write_weights(tmp_path / "importance.parquet", table, method="lissa", samples=samples_digest(tmp_path))
    return weights_of(tmp_path / "importance.parquet", tmp_path)


def test_what_was_wanted_counts_as_much_as_its_training_row(weigh):
    assert weigh(example("ann", "tea")) == 3.0


def test_what_has_no_row_of_its_own_or_was_not_wanted_in_it_counts_once(weigh):
    assert {weigh(one) for one in (example("bob", "tea"), example("ann", "milk"), example("ann", "tea", days=1))} == {
        1.0
    }
    assert alike(example("ann", "tea")) == 1.0
