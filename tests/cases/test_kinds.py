"""Nothing is assumed silently: what kind a row is, is read, mapped, or told."""

import polars as pl
import pytest
from own_tables import log

from shoploop.errors import SchemaMismatch, TableEmpty


def counts(events: pl.DataFrame) -> dict[str, int]:
    return dict(events["kind"].value_counts().sort("kind").iter_rows())


def of_kinds(tables, words, **settings):
    return counts(tables.events(tables.parquet("events.parquet", log(60, kind=words)), **settings))


def test_a_log_without_kinds_is_one_of_purchases_and_that_is_told(tables):
    assert counts(tables.events(tables.parquet("events.parquet", log()))) == {"purchase": 60}
    assert "all 60 rows count as purchases" in tables.told()


def test_who_says_that_rows_without_a_kind_are_purchases_is_told_nothing(tables):
    uri = tables.parquet("events.parquet", log())
    assert counts(tables.events(uri, kinds={"": "purchase"})) == {"purchase": 60}
    assert tables.told() == ""


@pytest.mark.parametrize("nothing", [None, "", "NULL", " "])
def test_rows_without_a_kind_beside_others_are_no_purchases(tables, nothing):
    assert of_kinds(tables, [nothing, "purchase"] * 30) == {"purchase": 30, "unknown": 30}
    assert tables.rule("kind_missing")["rows"] == 30
    assert "no kind" in tables.told()


def test_rows_without_a_kind_are_what_the_spec_says(tables):
    assert of_kinds(tables, [None, "order"] * 30, kinds={"": "view"}) == {"purchase": 30, "view": 30}


def test_a_file_without_the_column_of_kinds_beside_one_with_it_holds_no_purchases(tables):
    tables.csv("month-1.csv", log(30).write_csv())
    tables.csv("month-2.csv", log(30, day=20_030, action=["view", "purchase"] * 15).write_csv())
    events = tables.events(tables.folder / "month-*.csv", columns={"kind": "action"})
    assert counts(events) == {"purchase": 15, "unknown": 30, "view": 15}
    assert "30 of them come from files without the column" in tables.told()


def test_a_column_of_kinds_that_is_empty_is_no_default(tables):
    with pytest.raises(TableEmpty, match="column 'kind', which says what kind a row is, is empty in all 60 rows"):
        of_kinds(tables, pl.Series([None] * 60, dtype=pl.String))


def test_kinds_are_mapped_in_the_spec_whatever_their_case(tables):
    words = ["Page_View", "ORDER", "wish"] * 20
    assert of_kinds(tables, words, kinds={"page_view": "view", "order": "purchase", "wish": "cart"}) == {
        "cart": 20,
        "purchase": 20,
        "view": 20,
    }
    assert {(k["word"], k["kind"], k["rows"]) for k in tables.report["kinds"]} == {
        ("page_view", "view", 20),
        ("order", "purchase", 20),
        ("wish", "cart", 20),
    }


def test_a_kind_without_a_meaning_is_told_with_its_rows(tables):
    assert of_kinds(tables, ["purchase", "wishlist"] * 30) == {"purchase": 30, "wishlist": 30}
    assert "'wishlist' (30)" in tables.told()


def test_a_mapped_kind_that_no_row_has_is_told_with_the_nearest(tables):
    of_kinds(tables, ["order"] * 60, kinds={"ordr": "purchase"})
    assert "'ordr', which no row has; did you mean 'order'?" in tables.told()


def test_a_log_of_views_alone_says_that_nothing_is_bought(tables):
    assert of_kinds(tables, ["view"] * 60) == {"view": 60}
    assert "no row is a purchase" in tables.told()


def test_ratings_are_seen_as_ratings_and_said_so(tables):
    uri = tables.parquet("events.parquet", log(60, rating=[1, 2, 3, 4, 5] * 12))
    assert counts(tables.events(uri)) == {"purchase": 24, "rating": 36}
    assert "Ratings from 1 to 5" in tables.told()
    assert counts(tables.events(uri, ratingFrom=3)) == {"purchase": 36, "rating": 24}
    assert tables.told() == ""


@pytest.mark.parametrize("sign", ["basket", "quantity", "price"])
def test_an_order_that_nobody_rated_is_a_purchase_and_one_rated_low_is_none(tables, sign):
    frame = log(60, rating=[None, None, None, 5, 1] * 12, **{sign: [1.0] * 60})
    assert counts(tables.events(tables.parquet("events.parquet", frame))) == {"purchase": 48, "rating": 12}
    assert tables.rule("rating_missing")["rows"] == 36
    assert f"They count as purchases, since the log has {sign}" in tables.told()


def test_orders_of_which_none_is_rated_are_purchases(tables):
    frame = log(60, rating=pl.Series([None] * 60, dtype=pl.Float64), quantity=[1] * 60)
    assert counts(tables.events(tables.parquet("events.parquet", frame))) == {"purchase": 60}
    assert tables.rule("rating_missing")["rows"] == 60


def test_what_nobody_rated_in_a_log_of_ratings_is_no_purchase(tables):
    uri = tables.parquet("events.parquet", log(60, rating=[None, 5, 1] * 20))
    assert counts(tables.events(uri)) == {"purchase": 20, "rating": 20, "unknown": 20}
    assert 'kinds: {"": purchase}' in tables.told()


def test_a_few_orders_without_a_rating_among_many_with_one_are_no_purchases(tables):
    uri = tables.parquet("events.parquet", log(60, rating=[None] * 2 + [5] * 58, price=[1.0] * 60))
    assert counts(tables.events(uri)) == {"purchase": 58, "unknown": 2}


def test_rows_without_a_rating_are_what_the_spec_says(tables):
    uri = tables.parquet("events.parquet", log(60, rating=[None, 5, 1] * 20, quantity=[1] * 60))
    assert counts(tables.events(uri, kinds={"": "view"})) == {"purchase": 20, "rating": 20, "view": 20}
    assert "no rating" not in tables.told()


def test_ratings_weigh_where_the_spec_says_so(tables):
    uri = tables.parquet("events.parquet", log(60, rating=[0, 2, 3, 4, 5] * 12))
    assert "rating" not in tables.events(uri).columns
    events = tables.events(uri, ratingsAs="weights")
    assert dict(events.group_by("kind").agg(pl.col("rating").sum()).iter_rows()) == {
        "purchase": 12 * 14.0,
        "rating": 0.0,
    }
    assert "in proportion to its rating, from 2 to 5, the mean of about 3.5 counting 1" in tables.told()
    assert counts(tables.events(uri, ratingsAs="weights", ratingFrom=3)) == {"purchase": 36, "rating": 24}


def test_ratings_weigh_purchases_that_a_column_of_kinds_names(tables):
    frame = log(60, kind=["order", "view", "order"] * 20, rating=[4, 5, None] * 20)
    events = tables.events(tables.parquet("events.parquet", frame), ratingsAs="weights")
    assert set(events.select("kind", "rating").unique().rows()) == {
        ("purchase", 4.0), ("purchase", None), ("view", None)
    }  # fmt: skip
    assert "The other 20 purchases have none and count as the mean" in tables.told()


def test_ratings_that_cannot_weigh_are_named(tables):
    uri = tables.parquet("events.parquet", log(60, rating=[-3, -2, 0] * 20))
    with pytest.raises(SchemaMismatch, match="needs ratings above 0, and the highest is 0"):
        tables.events(uri, ratingsAs="weights")
    tables.events(tables.parquet("plain.parquet", log(60)), ratingsAs="weights")
    assert "no column is a rating" in tables.told()


def test_ratings_in_the_place_of_kinds_are_ratings(tables):
    stars = ["1", "2", "3", "4", "5.0"] * 12
    uri = tables.csv("events.csv", log(60, stars=stars).write_csv())
    assert counts(tables.events(uri, columns={"kind": "stars"})) == {"purchase": 24, "rating": 36}
    assert "read as a rating" in tables.told()


def test_two_numbers_in_the_place_of_kinds_are_asked_about(tables):
    with pytest.raises(SchemaMismatch, match="kinds are the numbers 0, 1"):
        of_kinds(tables, ["0", "1"] * 30)
    assert of_kinds(tables, ["0", "1"] * 30, kinds={"0": "view", "1": "purchase"}) == {"purchase": 30, "view": 30}


@pytest.mark.parametrize("column", ["quantity", "price", "shop", "basket"])
def test_a_mapped_column_that_is_empty_is_told(tables, column):
    uri = tables.parquet("events.parquet", log(60, x=pl.Series([None] * 60, dtype=pl.String)))
    tables.events(uri, columns={column: "x"})
    assert f"columns.{column} names x, which is empty in every row" in tables.told()


def test_a_price_is_a_rows_total_unless_the_spec_says_that_it_is_of_one_piece(tables):
    uri = tables.parquet("events.parquet", log(60, price=[2.0] * 60, quantity=[3.0] * 60))
    assert tables.events(uri)["price"].unique().to_list() == [2.0]
    assert tables.events(uri, priceIs="unit")["price"].unique().to_list() == [6.0]
