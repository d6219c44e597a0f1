"""Rows that are wrong must not steer the rest: each is left out or mended by a rule that is counted and told."""

from datetime import datetime

import polars as pl
import pytest
from own_tables import log

from shoploop.errors import SchemaMismatch, TableEmpty

DAY = 86_400_000_000


def at(day: int) -> pl.Series:
    return pl.Series([day * DAY]).cast(pl.Datetime("us"))


def dated(frame: pl.DataFrame, *days: int) -> pl.DataFrame:
    """The frame with further rows on these days."""
    more = [frame.head(1).with_columns(at(day).alias("time")) for day in days]
    return pl.concat([frame, *more])


@pytest.mark.parametrize(
    "days",
    [[20_119], [47_120], [0], [16_000], [20_110, 20_111, 20_113, 20_140], [0, 47_120]],
    ids=["a-month-later", "in-2099", "in-1970", "years-before", "a-few", "at-both-ends"],
)
def test_a_few_misdated_rows_move_no_end_of_time(tables, days):
    log_of_days = pl.concat([log(90) for _ in range(15)])
    events = tables.events(tables.parquet("events.parquet", dated(log_of_days, *days)))
    assert events["time"].min().date() == datetime(2024, 10, 4).date()
    assert events["time"].max().date() == datetime(2025, 1, 1).date()
    assert tables.rule("outside_the_span") == tables.rule("outside_the_span") | {"rows": len(days), "action": "dropped"}
    assert "user 'u0', item 'i0'" in tables.told()


@pytest.mark.parametrize("nothing", ["NULL", "nan", "None", "", "null", "<NA>", "N/A", "0", "-1", "guest", "Anonymous"])
def test_a_name_for_guests_is_no_shopper(tables, nothing):
    users = [nothing if n % 4 == 0 else f"u{n % 9}" for n in range(60)]
    events = tables.events(tables.csv("events.csv", log(60, user=users).write_csv()))
    assert nothing not in events["user"].to_list()
    assert events.height == 45
    assert tables.rule("rows_without_user")["rows"] == 15
    assert "without an account" in tables.told()


@pytest.mark.parametrize("nobody", ["", "guest"])
def test_many_rows_without_a_user_are_told_as_a_share_with_what_is_lost_and_what_to_do(tables, nobody):
    users = [nobody if n % 4 == 0 else f"u{n % 9}" for n in range(60)]
    baskets = [f"b{n // 2}" for n in range(60)]
    tables.events(tables.csv("events.csv", log(60, user=users, basket=baskets).write_csv()))
    why = tables.rule("rows_without_user")["why"]
    assert "They are 25% of all rows, of 15 baskets, and nothing is learned from them" in why
    assert "write the id of the basket where the user is missing" in why
    assert why in tables.told()


def test_where_no_column_is_the_basket_the_number_of_an_order_is_named_for_rows_without_a_user(tables):
    users = ["" if n % 4 == 0 else f"u{n % 9}" for n in range(60)]
    tables.events(tables.csv("events.csv", log(60, user=users).write_csv()))
    assert "what tells orders apart, such as a number, where the user is missing" in tables.told()


def test_of_a_few_rows_without_a_user_no_more_is_told_than_that(tables):
    users = ["" if n == 7 else f"u{n % 9}" for n in range(60)]
    tables.events(tables.csv("events.csv", log(60, user=users).write_csv()))
    assert tables.rule("rows_without_user")["rows"] == 1
    assert "of all rows" not in tables.told()


def test_a_log_in_which_nobody_has_an_account_says_what_may_stand_for_the_user(tables):
    uri = tables.csv("events.csv", log(60, user=[""] * 60, receipt=[f"r{n // 2}" for n in range(60)]).write_csv())
    with pytest.raises(TableEmpty, match=r"empty in all 60 rows.* let columns\.user name what tells orders apart"):
        tables.events(uri)
    assert tables.events(uri, columns={"user": "receipt"})["user"].n_unique() == 30


def test_a_user_called_0_like_others_called_1_and_2_is_a_user(tables):
    users = [str(n % 9) for n in range(60)]
    assert "0" in tables.events(tables.csv("events.csv", log(60, user=users).write_csv()))["user"].to_list()
    assert "rows_without_user" not in tables.rules()


def test_gaps_in_a_column_of_numbers_are_guests(tables):
    users = [None if n % 4 == 0 else float(n % 9) for n in range(60)]
    events = tables.events(tables.parquet("events.parquet", log(60, user=pl.Series(users))))
    assert set(events["user"]) == {str(n) for n in range(9)}
    assert tables.rule("rows_without_user")["rows"] == 15


def test_a_robot_with_a_thousand_times_the_events_of_others_is_left_out(tables):
    robot = log(20, users=1).with_columns(user=pl.lit("crawler"))
    frame = pl.concat([log(400, users=20), *[robot] * 1000])
    events = tables.events(tables.parquet("events.parquet", frame))
    assert set(events["user"]) == {f"u{n}" for n in range(20)}
    assert tables.rule("user_with_too_many_events")["rows"] == 20_000
    assert "'crawler' (20,000)" in tables.told()


def test_the_spec_says_how_many_events_a_user_may_have(tables):
    frame = pl.concat([log(60), log(20).with_columns(user=pl.lit("till"))])
    uri = tables.parquet("events.parquet", frame)
    assert "till" in tables.events(uri)["user"].to_list()
    assert "till" not in tables.events(uri, maxEventsPerUser=15)["user"].to_list()


@pytest.mark.parametrize("column", ["price", "quantity"])
@pytest.mark.parametrize("absurd", [1e300, -1e300, 1e17, 9e9])
def test_an_absurd_number_says_nothing(tables, column, absurd):
    values = [absurd, *[2.0] * 59]
    events = tables.events(tables.parquet("events.parquet", log(60, **{column: values})))
    assert events[column].to_list()[0] == {"price": None, "quantity": 1.0}[column]
    assert events[column].to_list()[1:] == [2.0] * 59
    assert tables.rule(f"{column}_absurd")["rows"] == 1
    assert f"{absurd:g}" in tables.told()


def test_dear_goods_are_not_absurd(tables):
    prices = [5_000_000.0, *[20_000.0] * 59]
    assert tables.events(tables.parquet("events.parquet", log(60, price=prices)))["price"].to_list() == prices


def test_a_fee_that_is_in_most_visits_is_told_and_goods_are_not(tables):
    def visits(*, fee):
        rows = []
        for day in range(30):
            for user in range(10):
                own = [
                    f"i{(user + day) % 7}",
                    f"i{(3 * user + day) % 5}",
                    *(["service fee"] if fee and user % 3 else []),
                ]
                rows += [
                    {"user": f"u{user}", "item": item, "time": datetime(2024, 5, 1 + day % 30, 12)} for item in own
                ]
        return pl.DataFrame(rows)

    tables.events(tables.parquet("events.parquet", visits(fee=True)))
    assert "'service fee' is in 60% of all visits" in tables.told()
    assert "listRules.exclude" in tables.told()
    assert "Item 'i" not in tables.told()


def test_an_absurd_price_of_the_table_of_items_is_none(tables):
    items = tables.csv("items.csv", "item,price\ni0,1e300\ni1,2.5\ni2,3.5\ni3,1\ni4,1\ni5,1\ni6,1")
    loaded = tables.load(interactions={"uri": tables.parquet("e.parquet", log())}, items={"uri": items})
    assert loaded["items"]["price"].to_list()[:2] == [None, 2.5]


def test_a_negative_quantity_is_a_return_and_never_a_purchase(tables):
    pieces = [-2.0 if n % 10 == 0 else 1.0 for n in range(60)]
    events = tables.events(tables.parquet("events.parquet", log(60, quantity=pieces, price=[p * 3 for p in pieces])))
    assert events.filter(kind="return").select("quantity", "price").unique().rows() == [(2.0, 6.0)]
    assert events.filter(kind="purchase").height == 54
    assert tables.rule("returns")["rows"] == 6


def test_dropped_guests_and_strays_do_not_count_as_rows_that_a_mapping_lost(tables, tmp_path):
    from shoploop.validation.step import _dropped

    users = ["" if n % 4 == 0 else f"u{n % 9}" for n in range(60)]
    tables.events(tables.csv("events.csv", log(60, user=users).write_csv()))
    assert tables.rule("rows_without_user")["rows"] == 15
    assert _dropped(tables.out / "load.json") == {}


def test_prices_with_a_decimal_comma_are_read_and_told(tables):
    prices = ["1,29", "7", "0,5", "1.234,50"] * 15
    events = tables.events(tables.csv("events.csv", log(60, price=prices).write_csv(separator=";")))
    assert sorted(set(events["price"])) == [0.5, 1.29, 7.0, 1234.5]
    assert tables.rule("price_with_comma")["rows"] == 45


@pytest.mark.parametrize(
    ("prices", "read"),
    [
        (["$1.29", "$7"], [1.29, 7.0]),
        (["1.234,50 €", "2,00 €"], [2.0, 1234.5]),
        (["1,234.50", "2.5", "1,000"], [2.5, 1000.0, 1234.5]),
        (["1'234.50", "3"], [3.0, 1234.5]),
        (["(2.50)", "2.50-", "3"], [2.5, 3.0]),
    ],
)
def test_a_currency_signs_of_thousands_and_a_minus_at_the_end_are_read_and_told(tables, prices, read):
    events = tables.events(tables.csv("events.csv", log(60, price=(prices * 60)[:60]).write_csv(separator=";")))
    assert sorted(set(events["price"])) == read
    assert "taken away" in tables.told() or "decimal point" in tables.told()


def test_a_price_that_cannot_be_read_can_be_left_out(tables):
    uri = tables.csv("events.csv", log(60, price=["gratis"] * 60).write_csv())
    assert tables.events(uri, columns={"price": []})["price"].null_count() == 60


@pytest.mark.parametrize("price", ["1,234", "gratis", "12.34,50", "1.5 kg and more"])
def test_prices_that_may_be_read_in_two_ways_or_none_are_refused(tables, price):
    with pytest.raises(SchemaMismatch, match="where numbers are expected"):
        tables.events(tables.csv("events.csv", log(60, price=[price] * 60).write_csv(separator=";")))


def laws() -> pl.DataFrame:
    """A log with ties and gaps in every column."""
    return log(200, kind=[["view", "order"][n % 3 == 0] for n in range(200)], price=[float(n % 5) for n in range(200)])


def test_the_order_of_rows_changes_nothing(tables):
    frame = pl.concat([laws(), laws().with_columns(price=9.0)])
    first = tables.events(tables.parquet("one.parquet", frame))
    assert tables.events(tables.parquet("two.parquet", frame.sample(fraction=1.0, shuffle=True, seed=7))).equals(first)


def test_splitting_a_file_changes_nothing(tables):
    first = tables.events(tables.csv("one.csv", laws().write_csv()))
    for part in range(4):
        tables.bytes(f"parts/part-{part}.csv", laws().slice(part * 50, 50).write_csv().encode())
    assert tables.events(tables.folder / "parts").equals(first)


def test_a_thousandth_of_junk_changes_nothing_for_others(tables):
    frame = pl.concat([laws()] * 10)
    first = tables.events(tables.parquet("one.parquet", frame))
    junk = frame.head(2).with_columns(pl.lit(at(30_000)[0]).alias("time"), user=pl.lit("junk"), price=pl.lit(1e300))
    assert tables.events(tables.parquet("two.parquet", pl.concat([frame, junk]))).equals(first)
