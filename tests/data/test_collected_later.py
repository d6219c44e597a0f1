"""Events that this recommender has collected long after the shop's own tables end: they are no strays, and a run has days."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from own_tables import log

from shoploop.api.v1alpha1 import DataSpec, TrainingSpec
from shoploop.data.step import load_data
from shoploop.features.ends import read_interactions
from shoploop.features.log import purchases
from shoploop.features.windows import choose_windows
from shoploop.samples.step import choose_visits

LAST = date(2024, 12, 31)
TABLE_ROWS = 400


@pytest.fixture
def loaded(tables):
    """Interactions and report of one purchase a day up to the last of 2024, of a stray where asked for, and of three
    collected events so many days later."""

    def of(days_later: int, *, stray: date | None = None):
        shop = log(TABLE_ROWS, users=40, day=LAST.toordinal() - date(1970, 1, 1).toordinal() - TABLE_ROWS + 1)
        if stray is not None:
            odd = shop.tail(1).with_columns(time=pl.lit(datetime(stray.year, stray.month, stray.day, tzinfo=UTC)))
            shop = pl.concat([shop, odd.cast(shop.schema)])
        moment = datetime(LAST.year, LAST.month, LAST.day, 12, tzinfo=UTC) + timedelta(days=days_later)
        events = pl.DataFrame(
            {"user": ["u1", "u2", "u3"], "item": ["i1", "i2", "i3"], "time": [moment] * 3, "kind": ["purchase"] * 3}
        ).with_columns(
            pl.col("time").cast(pl.Datetime("us", "UTC")),
            price=pl.lit(None, pl.Float64),
            quantity=pl.lit(1.0),
            request_id=pl.lit(None, pl.String),
        )
        folder = tables.folder / "collected" / f"date={moment.date()}"
        folder.mkdir(parents=True)
        events.write_parquet(folder / "1.parquet")
        source = {"uri": tables.parquet("shop.parquet", shop)}
        spec = DataSpec(tables={"interactions": source})
        report = load_data(out=tables.out, data_spec=spec, collected=folder.parent)
        return pl.read_parquet(tables.out / "interactions.parquet"), report

    return of


@pytest.mark.parametrize("days_later", [1, 60, 700, 5000])
def test_what_was_collected_is_kept_however_long_ago_the_tables_end(loaded, tables, days_later):
    rows, report = loaded(days_later)
    assert rows.height == TABLE_ROWS + 3
    assert "outside_the_span" not in {rule["name"] for rule in report["rules"]}
    kept, outside = read_interactions(tables.out, ["user", "time"])
    assert kept.height == rows.height and outside.report()["rows"] == 0
    assert outside.report()["last_day"] == (LAST + timedelta(days=days_later)).isoformat()
    assert "_collected" not in rows.columns


def test_a_long_gap_is_told_in_one_sentence_and_a_short_one_is_not(loaded, tables):
    _, report = loaded(61)
    (sentence,) = (remark for remark in report["remarks"] if "has collected" in remark)
    assert "the tables end on 2024-12-31" in sentence and "begins on 2025-03-02: 60 days lie between" in sentence


def test_a_short_gap_is_not_worth_a_word(loaded):
    _, report = loaded(3)
    assert not [remark for remark in report["remarks"] if "has collected" in remark]


def test_a_stray_of_the_tables_stays_one_beside_what_was_collected(loaded, tables):
    rows, report = loaded(60, stray=date(2025, 2, 1))
    (rule,) = (rule for rule in report["rules"] if rule["name"] == "outside_the_span")
    assert rule["rows"] == 1 and "2025-02-01" in rule["why"]
    assert rows["time"].dt.date().max() == date(2025, 3, 1)


@pytest.mark.parametrize("days_later", [60, 700, 5000])
def test_the_days_of_evaluation_reach_back_over_the_gap(loaded, tables, days_later):
    loaded(days_later)
    kept, outside = read_interactions(tables.out)
    bought = purchases(kept)
    split = choose_windows(bought, last=outside.span.last, training=TrainingSpec()).split
    visits = bought.select(pl.col("user").rank("dense").cast(pl.Int32) - 1, "day").unique().sort("user", "day")
    chosen = choose_visits(visits["user"].to_numpy(), visits["day"].to_numpy(), split, seed=0)
    assert len(chosen.evaluation) >= 20 and len(chosen.train) >= 100


@pytest.mark.parametrize(
    ("written", "purchases"),
    [("2024-05-01", 1), ("2024-05-02", 2), ("2024-05-01T21:00", 1), ("2024-04-30T21:00", 2)],
    ids=["the day there", "the day in UTC", "with a clock", "the day before"],
)
def test_a_purchase_of_an_evening_is_the_one_that_the_tables_name_by_their_own_day(written, purchases, tables):
    evening = datetime(2024, 5, 2, 1, tzinfo=UTC)  # 21:00 on 1 May in New York
    folder = tables.folder / "collected" / f"date={evening.date()}"
    folder.mkdir(parents=True)
    pl.DataFrame(
        {"user": ["u1"], "item": ["i1"], "time": [evening], "kind": ["purchase"], "price": [1.0], "quantity": [1.0],
         "request_id": [None]}, schema_overrides={"request_id": pl.String},
    ).write_parquet(folder / "1.parquet")  # fmt: skip
    table = tables.csv("shop.csv", f"user,item,time,kind\nu1,i1,{written},purchase")
    spec = DataSpec(tables={"interactions": {"uri": table, "timeZone": "America/New_York"}})
    load_data(out=tables.out, data_spec=spec, collected=folder.parent)
    assert pl.read_parquet(tables.out / "interactions.parquet").height == purchases
