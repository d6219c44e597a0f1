"""Ids compare the same way in all tables and in requests; tables that do not fit each other are told at once."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from own_tables import log
from pydantic import ValidationError

from shoploop.data.ids import canonical_id, canonical_ids
from shoploop.errors import SchemaMismatch
from shoploop.ranking.answer import RecommendRequest


def numbered(written: str) -> pl.DataFrame:
    """A log of twenty items, whose ids are 1001 to 1020 written in this way."""
    return log(60, item=[written.format(1001 + n % 20) for n in range(60)])


def products(written: str) -> str:
    return "item,title\n" + "\n".join(f"{written.format(n)},Product {n}" for n in range(1001, 1021))


def fitted(tables, events: str, listed: str):
    return tables.load(
        interactions={"uri": tables.csv("events.csv", numbered(events).write_csv())},
        items={"uri": tables.csv("items.csv", products(listed))},
    )


@pytest.mark.parametrize(("events", "listed"), [("{}.0", "{}"), ("{}", "{}.0"), ("{}.00", "{}.0"), ("  {} ", "{}")])
def test_whole_numbers_match_whether_written_with_a_point_or_padded(tables, events, listed):
    assert set(fitted(tables, events, listed)["items"]["item"]) == {str(n) for n in range(1001, 1021)}
    assert "unlisted" not in tables.rules()


@pytest.mark.parametrize(
    ("events", "listed", "cause"),
    [
        ("00{}", "0{}", "leading zeros"),
        ("sku{}", "SKU{}", "upper and lower case"),
        ("A-{}", "A{}", "signs around or within the id"),
        ("'{}'", "{}", "signs around or within the id"),
        ("p{}", "product-{}", "a prefix"),
        ("x{}.0", "x{}", "a decimal point"),
    ],
)
def test_ids_that_match_nothing_stop_the_run_with_the_likely_cause(tables, events, listed, cause):
    with pytest.raises(SchemaMismatch, match="Tables do not fit each other: 100% of the interactions") as caught:
        fitted(tables, events, listed)
    assert f"They differ in {cause}" in str(caught.value)


@pytest.mark.parametrize(("events", "listed"), [("{}", "0{}"), ("00{}", "{}")])
def test_where_one_table_lost_the_leading_zeros_ids_are_read_as_the_items_have_them(tables, events, listed):
    loaded = fitted(tables, events, listed)
    assert set(loaded["interactions"]["item"]) == {listed.format(n) for n in range(1001, 1021)}
    assert loaded["items"].height == 20 and tables.rules()["item_without_zeros"] == 60
    assert f"{events.format(1001)!r} is read as {listed.format(1001)!r}" in tables.told()


def test_lost_zeros_are_not_mended_where_two_products_would_become_one(tables):
    """The log has 01001 and 0001001, which may be two; the items have 1001."""
    frame = numbered("0{}").with_columns(item=pl.col("item").replace("01002", "0001001"))
    with pytest.raises(SchemaMismatch, match="They differ in leading zeros"):
        tables.load(
            interactions={"uri": tables.csv("events.csv", frame.write_csv())},
            items={"uri": tables.csv("items.csv", products("{}"))},
        )


def test_lost_zeros_of_shops_and_of_searches_are_mended_too(tables):
    frame = numbered("0{}").with_columns(shop=pl.lit("007"))
    loaded = tables.load(
        interactions={"uri": tables.csv("events.csv", frame.write_csv())},
        items={"uri": tables.csv("items.csv", products("{}"))},
        shops={"uri": tables.csv("shops.csv", "shop,title\n7,Seven\n8,Eight")},
        searches={"uri": tables.csv("searches.csv", f"query,item,time\ntea,01003,{frame['time'][3].isoformat()}")},
    )
    assert loaded["searches"]["item"].to_list() == ["1003"]
    assert set(loaded["interactions"]["shop"]) == {"7"} and loaded["shops"].height == 2


def test_a_table_of_other_things_stops_the_run(tables):
    with pytest.raises(SchemaMismatch, match="name items by the same id"):
        tables.load(
            interactions={"uri": tables.parquet("events.parquet", log())},
            items={"uri": tables.csv("items.csv", "item\nalpha\nbeta")},
        )


def test_some_items_without_a_row_are_told_and_stop_nothing(tables):
    tables.load(
        interactions={"uri": tables.parquet("events.parquet", log())},
        items={"uri": tables.csv("items.csv", "item\ni0\ni1\ni2\ni3")},
    )
    assert "40% of the interactions" in tables.told()
    assert tables.rule("unlisted")["rows"] == 3


@pytest.mark.parametrize(
    "users",
    [
        [1e18 + n * 1000 for n in range(60)],
        ["123456789012345680.0"] * 60,
        ["1.23457E+17"] * 60,
        [float(2**53)] * 60,
    ],
    ids=["float-column", "printed-by-pandas", "rounded-by-a-spreadsheet", "the-first-inexact"],
)
def test_ids_that_have_lost_their_last_digits_are_refused(tables, users):
    frame = log(60).with_columns(user=pl.Series(users))
    with pytest.raises(SchemaMismatch, match=r"column 'user' holds .*digits are lost"):
        tables.events(tables.parquet("events.parquet", frame))


def test_long_whole_numbers_are_ids(tables):
    users = [10**17 + n % 12 for n in range(60)]
    assert tables.events(tables.parquet("events.parquet", log(60, user=users)))["user"].n_unique() == 12


@pytest.mark.parametrize(("asked", "user"), [(14527, "14527"), (14527.0, "14527"), (" u1 ", "u1"), ("007", "007")])
def test_a_request_names_a_user_as_data_do(asked, user):
    assert RecommendRequest(user=asked).user == user


@pytest.mark.parametrize("asked", [1.5, 1e300, float("nan"), True, None, ["u1"], ""])
def test_what_is_no_id_is_refused_in_a_request(asked):
    with pytest.raises(ValidationError):
        RecommendRequest(user=asked)


@given(st.lists(st.one_of(st.integers(-(2**52), 2**52)), min_size=1))
def test_whole_numbers_are_the_same_ids_in_every_type(numbers):
    ids = [canonical_id(number) for number in numbers]
    for values in (
        pl.Series(numbers, dtype=pl.Int64),
        pl.Series(numbers, dtype=pl.Float64),
        pl.Series([str(n) for n in numbers]),
        pl.Series([f"{n}.0" for n in numbers]),
    ):
        assert canonical_ids(values, where="here")[0].to_list() == ids


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), min_size=1))
def test_text_stays_what_it_is_but_for_space_around_it(words):
    from shoploop.data.ids import NOTHING

    words = [word for word in words if canonical_id(word) and canonical_id(word).lower() not in NOTHING]
    words.append("a letter")  # so that the column is none of numbers
    ids, _ = canonical_ids(pl.Series(words), where="here")
    assert ids.to_list() == [canonical_id(word) for word in words]
