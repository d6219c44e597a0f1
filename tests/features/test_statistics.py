from dataclasses import replace
from functools import partial

import numpy as np
import polars as pl
import pytest
from own_rows import FIRST, catalog_of, events, items, log_of

from shoploop.api.v1alpha1 import TrainingSpec
from shoploop.data.splits import TimeSplit
from shoploop.errors import SchemaMismatch, TooFewEvents
from shoploop.features.contract import Contract, resolve
from shoploop.features.item import ItemMatrix, ItemStatistics, item_stats
from shoploop.features.log import Vocabulary, choose_vocabulary, purchases
from shoploop.features.searched import taken_after_searches
from shoploop.features.shop import shop_stats
from shoploop.features.user import user_rows, user_stats
from shoploop.features.windows import Windows, choose_windows, unknown_share

WEEK = [("anna", "milk", 0), ("anna", "bread", 0), ("anna", "milk", 10), ("bob", "milk", 10), ("bob", "tea", 11)]


def test_a_user_row_holds_what_happened_before_its_day():
    stats = user_stats(log_of(WEEK))
    before, first, both = user_rows(stats, ["anna"] * 3, [FIRST, FIRST + 1, FIRST + 11])
    assert before.days_active == 0 and before.last_day is None
    assert (first.days_active, first.purchases, first.mean_basket_size, first.last_day) == (1, 2, 2, FIRST)
    assert (both.days_active, both.purchases, both.distinct_items, both.mean_gap_days) == (2, 3, 2, 10)
    assert both.repeat_share == pytest.approx(1 / 3)
    assert both.usual_shop == "s1" and both.mean_price == 2


def test_item_counts_end_before_their_day():
    log = log_of(WEEK)
    milk = log.vocabulary.code("milk")
    early, late = ItemStatistics(log).on(FIRST + 10), ItemStatistics(log).on(FIRST + 12)
    assert early["purchases_28"][milk] == 1 and late["purchases_28"][milk] == 3
    assert early["rate_28"][milk] == 1 and late["rate_28"][milk] == pytest.approx(3 / 4)
    assert late["rate_7"][milk] == pytest.approx(2 / 3)
    assert late["buyers_total"][milk] == 2 and late["mean_gap_days"][milk] == 10
    assert late["days_since_sold"][milk] == 2 and late["days_known"][milk] == 12


def test_days_asked_for_in_any_order_get_the_same_counts():
    log = log_of(WEEK)
    rising, falling = ItemStatistics(log), ItemStatistics(log)
    days = [FIRST + d for d in (0, 3, 11, 12, 200)]
    one = {day: rising.on(day).values_IS for day in days}
    for day in reversed(days):
        np.testing.assert_array_equal(falling.on(day).values_IS, one[day])


def test_a_matrix_made_of_table_rows_is_the_computed_one():
    log = log_of(WEEK)
    table = item_stats(log, [FIRST + 11, FIRST + 12]).filter(pl.col("event_timestamp").dt.epoch("d") == FIRST + 12)
    read = ItemMatrix.from_frame(table.reverse(), log.vocabulary, FIRST + 12)
    np.testing.assert_array_equal(read.values_IS, ItemStatistics(log).on(FIRST + 12).values_IS)
    assert [log.vocabulary.items[code] for code in read.by_popularity] == ["milk", "bread", "tea"]


def test_shops_count_baskets_not_rows():
    (row,) = shop_stats(log_of(WEEK), [FIRST + 12]).iter_rows(named=True)
    assert (row["visits_28"], row["visits_7"], row["visitors_28"], row["items_28"]) == (4, 3, 2, 3)
    assert row["mean_basket_size_28"] == pytest.approx(5 / 4)


def test_the_vocabulary_is_what_sold_before_the_cut():
    bought = purchases(events([*WEEK, ("bob", "cake", 20)]))
    assert choose_vocabulary(bought, before=FIRST + 20).items == ("bread", "milk", "tea")
    assert choose_vocabulary(bought, before=FIRST + 20, limit=1).items == ("milk",)


def test_where_the_commonest_items_are_little_of_what_is_bought_those_have_a_place_that_are_bought_often_enough():
    days = [(f"user{n}", "milk", n) for n in range(7)] + [(f"user{n}", "bread", n) for n in range(5)]
    bought = purchases(events([*days, *[(f"user{n}", "tea", n) for n in range(4)], ("bob", "cake", 3)]))
    assert choose_vocabulary(bought, before=FIRST + 20, common=1).items == ("bread", "milk")
    assert choose_vocabulary(bought, before=FIRST + 20, common=3).items == ("bread", "milk", "tea"), "16 of 17"
    assert choose_vocabulary(bought, before=FIRST + 20, common=0, limit=1).items == ("milk",)


def test_what_is_first_bought_on_the_days_of_evaluation_has_a_place_however_rarely(monkeypatch):
    monkeypatch.setattr("shoploop.features.windows.choose_vocabulary", partial(choose_vocabulary, common=2, limit=9))
    monkeypatch.setattr("shoploop.data.splits.FEWEST_TRAINING", 0)  # eight visits of three people are a log here
    monkeypatch.setattr("shoploop.data.splits.FEWEST_EVALUATION", 0)
    rows = [*WEEK, ("bob", "tart", 50), ("ann", "cake", 52), ("ann", "tea", 52), ("ann", "tea", 53), ("bob", "pie", 53)]
    training = TrainingSpec(evaluation_days=5, training_days=5)
    bought = purchases(events(rows))
    known = choose_windows(bought, last=FIRST + 53, training=training).vocabulary.items
    assert known == ("bread", "cake", "milk", "pie", "tart")
    monkeypatch.setattr("shoploop.features.windows.MAX_VOCABULARY", 4)
    known = choose_windows(bought, last=FIRST + 53, training=training).vocabulary.items
    assert known == ("bread", "cake", "milk", "tart"), "the first of the new: a place must not hang on what is to come"


def test_what_is_clicked_after_searches_and_never_bought_has_a_place_behind_what_is_bought(monkeypatch):
    monkeypatch.setattr("shoploop.features.windows.choose_vocabulary", partial(choose_vocabulary, common=1, limit=9))
    monkeypatch.setattr("shoploop.data.splits.FEWEST_TRAINING", 0)
    monkeypatch.setattr("shoploop.data.splits.FEWEST_EVALUATION", 0)
    clicks = [("ann", "drum", 10), ("bob", "drum", 10), (None, "harp", 11), (None, "harp", 11), (None, "harp", 11)]
    searches = events([*clicks, ("bob", "unnamed", 11), ("bob", "lute", 51), (None, "lyre", 52)])
    items = pl.DataFrame({"item": ["drum", "harp", "lute", "lyre", "milk"]})
    searched = taken_after_searches(searches, items)
    assert searched["user"].n_unique() == 2 + 4, "three strangers who took a harp are three, and one took a lyre"
    training = TrainingSpec(evaluation_days=5, training_days=5)
    bought = purchases(events([*WEEK, ("ann", "milk", 53)]))
    choose = partial(choose_windows, bought, last=FIRST + 53, training=training)
    assert choose().vocabulary.items == ("milk",)
    assert choose(searched=searched).vocabulary.items == ("harp", "lute", "lyre", "milk"), "the drum is rarer"
    monkeypatch.setattr("shoploop.features.windows.MAX_VOCABULARY", 3)
    assert choose(searched=searched).vocabulary.items == ("harp", "lute", "milk")


def test_what_was_bought_too_rarely_before_or_never_is_told_as_a_share():
    bought = purchases(
        events([*WEEK, ("bob", "cake", 20), ("bob", "milk", 20), ("ann", "milk", 20), ("ann", "milk", 21)])
    )
    split = TimeSplit(training_first=FIRST, evaluation_first=FIRST + 20, last=FIRST + 21)
    known = Windows(split=split, vocabulary=Vocabulary(("bread", "milk", "tea")))
    assert unknown_share(bought, known) == 1 / 4
    assert unknown_share(bought, replace(known, split=replace(split, evaluation_first=FIRST + 30))) == 0


def test_views_alone_are_too_little_and_the_error_names_them():
    views = events(WEEK).with_columns(kind=pl.lit("view"))
    with pytest.raises(TooFewEvents, match="no event of kind purchase, only view"):
        purchases(views)


def test_a_shop_without_prices_has_no_price_features():
    poor = resolve(
        interactions=events(WEEK, price=None, shop=None),
        items=items(["milk"]).with_columns(category=pl.lit([], pl.List(pl.String))),
        users=pl.DataFrame({"user": ["anna"]}),
    )
    assert not [name for name in poor.pair_features if name.startswith(("item_price", "shop_", "kind_", "group_"))]
    rich = resolve(
        interactions=events(WEEK),
        items=items(["milk", "tea"]),
        users=pl.DataFrame({"user": ["anna", "bob"], "age": ["old", "young"]}),
    )
    assert rich.hash != poor.hash
    assert [a.name for a in rich.user_attributes] == ["age"]
    assert Contract.from_json(rich.to_json()).hash == rich.hash


def test_users_who_bought_nothing_add_no_level_and_are_no_level_too_many():
    buyers = pl.DataFrame({"user": ["anna", "bob"], "tier": ["gold", "silver"]})
    others = pl.DataFrame({"user": [f"stranger {n}" for n in range(60)], "tier": [f"tier {n}" for n in range(60)]})
    alone = resolve(interactions=events(WEEK), items=items(["milk"]), users=buyers)
    among = resolve(interactions=events(WEEK), items=items(["milk"]), users=pl.concat([others, buyers]))
    assert [attribute.levels for attribute in among.user_attributes] == [("gold", "silver")]
    assert among.hash == alone.hash


def test_a_contract_of_unknown_features_is_refused():
    with pytest.raises(SchemaMismatch, match="names moon_phase"):
        Contract(pair_features=("moon_phase",))


def test_items_of_one_basket_become_neighbours():
    rows = [(f"u{u}", item, day) for u in range(8) for day in (0, 5) for item in ("abe" if u % 2 else "cdf")]
    log = log_of(rows)
    catalog = catalog_of(log)
    a, b, c = (log.vocabulary.code(item) for item in "abc")
    assert b in catalog.neighbours_IM[a, :2] and catalog.neighbour_weights_IM[a, 0] > 0
    assert catalog.factors_ID[a] @ catalog.factors_ID[b] > catalog.factors_ID[a] @ catalog.factors_ID[c]
