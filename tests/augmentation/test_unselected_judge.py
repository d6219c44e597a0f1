"""The judge that nothing selects by, the lifts of pairs, and what rows say beside their items."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from shop import two_tastes

from shoploop.augmentation.generator.fitting import within
from shoploop.augmentation.generator.habits import fit_habits
from shoploop.augmentation.generator.records import build_vocabulary, read_behaviour
from shoploop.augmentation.proofs import unselected

SHOP = two_tastes(120)


@pytest.fixture(scope="module")
def halves():
    rows = unselected.visits(SHOP.interactions())
    return rows.filter(pl.col("user") % 4 < 2), rows.filter(pl.col("user") % 4 >= 2)


def test_real_shoppers_are_not_told_from_real_ones_and_those_who_take_three_of_all_are(halves):
    one, other = halves
    greedy = other.with_columns(quantity=pl.lit(3.0))
    assert abs(unselected.judge(one, other, seed=0).auc - 0.5) < 0.2
    found = unselected.judge(one, greedy, seed=0)
    assert found.auc > 0.95
    assert found.interval[0] <= found.auc <= found.interval[1]


def test_what_the_judge_finds_does_not_depend_on_the_names_of_shoppers(halves):
    named = SHOP.interactions().with_columns(user=pl.col("user").str.reverse() + "x")
    again = unselected.visits(named)
    assert again.equals(unselected.visits(SHOP.interactions()))


def pairs_of(seed: int) -> pl.DataFrame:
    """Ten pairs of items; one item of each comes in three of ten visits, its fellow with it, from never to always."""
    random = np.random.default_rng(seed)
    rows = []
    for visit in range(1500):
        for pair in np.flatnonzero(random.random(10) < 0.3):
            rows.append((visit, 0, f"{pair} first"))
        for pair in range(10):
            had = rows and (visit, 0, f"{pair} first") in rows[-10:]
            if random.random() < (pair / 9 if had else 0.3):
                rows.append((visit, 0, f"{pair} fellow"))
    return pl.DataFrame(rows, schema=["user", "day", "item"], orient="row")


def test_lifts_are_alike_between_two_draws_and_not_where_items_are_shuffled_over_visits():
    one, other = pairs_of(0), pairs_of(1)
    shuffled = one.with_columns(item=pl.Series(np.random.default_rng(0).permutation(one["item"].to_numpy())))
    assert unselected.lifts_alike(one, one) == pytest.approx(1)
    assert unselected.lifts_alike(one, other, pairs=8) > 0.7 > unselected.lifts_alike(shuffled, other, pairs=8)


def test_of_some_visits_all_rows_are_kept_and_of_no_more_than_there_are(halves):
    rows = halves[0]
    some = unselected.some_visits(rows, 30, np.random.default_rng(0))
    assert some.select("user", "day").unique().height == 30
    assert some.equals(rows.join(some.select("user", "day").unique(), on=["user", "day"], how="semi"))
    assert unselected.some_visits(rows, 10**6, np.random.default_rng(0)).equals(rows)


def test_the_judge_sees_which_share_of_visits_was_on_each_weekday():
    """The first days of 1970 were a Thursday, a Friday and so on; two rows of one visit count once."""
    visits = [(0, day, item) for day, item in ((0, "tea"), (0, "milk"), (7, "tea"), (4, "tea"), (3, "milk"))]
    rows = pl.DataFrame(visits, schema=["user", "day", "item"], orient="row").with_columns(
        quantity=1.0, price=1.0, shop=pl.lit("s")
    )
    table, names = unselected._describe(rows, unselected._Lifts.of(rows), (0, 7))
    said = {name: table[0, names.index(name)] for name in unselected._WEEKDAYS}
    assert said == {name: 0.0 for name in said} | {"thursdays": 0.5, "mondays": 0.25, "sundays": 0.25}


def test_a_stretch_is_of_consecutive_visits_and_of_every_shopper_one(halves):
    rows = halves[0]
    stretch = unselected.one_stretch(rows, np.random.default_rng(0), most=3)
    days = stretch.group_by("user").agg(pl.col("day").n_unique())["day"]
    assert (days <= 3).all()
    assert set(stretch["user"]) == set(rows["user"])


def test_quantities_prices_and_shops_are_those_of_the_data():
    events = SHOP.interactions()
    visit = pl.col("time").dt.epoch("d") + pl.col("user").hash(0) % 7
    events = events.with_columns(
        quantity=pl.when(pl.int_range(pl.len()) % 4 == 0).then(2.0).otherwise(1.0),
        shop=pl.when(visit % 5 == 0).then(pl.lit("away")).otherwise(pl.lit("home")),
    ).with_columns(price=pl.col("quantity") * 1.99)
    vocabulary = build_vocabulary(events, SHOP.described(), min_buyers=2)
    made = read_behaviour(events, vocabulary)
    said = fit_habits(events, vocabulary, min_users=5).draw(made, vocabulary, np.random.default_rng(0))
    assert (said["quantity"] > 1).mean() == pytest.approx(0.25, abs=0.05)
    assert (said["price"] / said["quantity"]).round(2).unique().to_list() == [1.99]
    assert said["shop"].value_counts(sort=True)["shop"].to_list() == ["home", "away"]
    shops = said.with_columns(user=pl.Series(made.row_record)).group_by("user").agg(pl.col("shop").n_unique())
    assert shops["shop"].max() == 2, "some go to both"


def test_a_price_that_few_paid_is_not_told():
    events = SHOP.interactions().with_columns(
        price=pl.when(pl.col("user") == SHOP.people[0]).then(77.77).otherwise(1.0)
    )
    vocabulary = build_vocabulary(events, SHOP.described(), min_buyers=2)
    prices = fit_habits(events, vocabulary, min_users=5).prices
    assert 77.77 not in prices.each.round(2)
    assert prices.amounts[0].tolist() == [1.0]


def test_an_item_of_which_every_buyer_paid_another_price_is_told_at_means_of_as_many_as_may_be_told():
    users = [f"u{i}" for i in range(12)]
    rows = pl.DataFrame({"user": users, "item": ["a"] * 12, "price": [1.0 + i for i in range(12)]})
    both = pl.concat(
        [rows, rows.with_columns(item=pl.lit("b"), price=pl.when(pl.col("price") < 6).then(5.0).otherwise(9.0))]
    )
    events = both.with_columns(
        time=pl.lit(datetime(2026, 1, 1, tzinfo=UTC)), kind=pl.lit("purchase"), quantity=1.0, shop=None
    )
    vocabulary = build_vocabulary(events, pl.DataFrame({"item": ["a", "b"]}), min_buyers=2)
    prices = fit_habits(events, vocabulary, min_users=5).prices
    logs = [np.log(np.arange(1.0, 6)).mean(), np.log(np.arange(6.0, 13)).mean()]
    assert prices.each == pytest.approx([*np.exp(logs), 5.0, 9.0]), "of a two means; b's as they are"
    assert prices.end.tolist() == [1, 3, -1, -1]
    assert prices.to.tolist() == [0, 2, 4]
    assert prices.below[:2] == pytest.approx([5 / 12, 1])


def test_what_is_drawn_at_a_mean_strays_from_it_and_lands_on_amounts_that_many_paid():
    """Everyone pays another price for the tea, and most amounts of the shop end on nine."""
    users = [f"u{i:02}" for i in range(60)]
    tea = pl.DataFrame({"user": users, "item": "tea", "price": [1.09 + 0.1 * (i % 30) for i in range(60)]})
    others = [tea.with_columns(item=pl.lit(f"other {i}"), price=pl.lit(1.09 + 0.1 * i)) for i in range(30)]
    events = pl.concat([tea, *others]).with_columns(
        time=pl.lit(datetime(2026, 1, 1, tzinfo=UTC)), kind=pl.lit("purchase"), quantity=1.0, shop=None
    )
    vocabulary = build_vocabulary(events, pl.DataFrame({"item": events["item"].unique().sort()}), min_buyers=2)
    again = pl.concat([events, events.with_columns(pl.col("time") + pl.duration(days=3))])
    made = read_behaviour(again, vocabulary)
    said = fit_habits(events, vocabulary, min_users=20).draw(made, vocabulary, np.random.default_rng(0))
    price = said["price"].filter(pl.Series(made.item == vocabulary.items.index("tea")))
    assert ((price * 100).round() % 10 == 9).all()
    assert price.n_unique() > 15
    assert price.median() == pytest.approx(2.5, abs=0.3)


def test_records_are_moved_into_the_days_of_the_data_and_one_that_is_longer_is_shortened():
    made = read_behaviour(SHOP.interactions(), build_vocabulary(SHOP.interactions(), SHOP.described(), min_buyers=2))
    first, last = int(made.day.min()), int(made.day.max())
    for apart in (1, -40, 40, 700):
        moved = within(replace(made, day=made.day + apart), first, last)
        assert (moved.day >= first).all()
        assert (moved.day <= last).all()
    stretched = within(replace(made, day=first + 5 * (made.day - first)), first, last)
    assert (stretched.day >= first).all()
    assert (stretched.day <= last).all()
    assert within(made, first, last).day.tolist() == made.day.tolist()


@pytest.mark.parametrize("users", [0, 1, 2, 4])
def test_of_hardly_anybody_it_says_little_and_does_not_break(users):
    rows = pl.DataFrame(
        {
            "user": [str(user) for user in range(users) for _ in range(2)],
            "day": [day for _ in range(users) for day in (1, 3)],
            "item": ["tea", "milk"] * users,
            "quantity": [1] * 2 * users,
            "price": [1.5, 2.0] * users,
            "shop": ["s"] * 2 * users,
        },
        schema={
            "user": pl.Int64, "day": pl.Int64, "item": pl.String,
            "quantity": pl.Int64, "price": pl.Float64, "shop": pl.String,
        },
        strict=False,
    )  # fmt: skip
    found = unselected.judge(rows, rows, seed=0)
    assert 0.0 <= found.interval[0] <= found.auc <= found.interval[1] <= 1.0
