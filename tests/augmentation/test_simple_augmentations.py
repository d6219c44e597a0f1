"""What the rivals make of an episode, and that whatever they are given, they make whole episodes of virtual shoppers."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoploop.augmentation.trials import episodes
from shoploop.augmentation.trials.episodes import PREFIX, episodes_of

COLUMNS = {"user": pl.String, "day": pl.Int32, "item": pl.String}


def bought(*rows):
    frame = pl.DataFrame(rows, schema=COLUMNS, orient="row").unique(maintain_order=True)
    return frame.with_columns(quantity=pl.lit(1.0), price=pl.lit(1.0), shop=pl.lit("s"))


def labels(*rows):
    return pl.DataFrame(rows, schema={"user": pl.String, "day": pl.Int32}, orient="row")


STORY = bought(("ann", 1, "a"), ("ann", 3, "b"), ("ann", 6, "c"), ("ann", 9, "d"), ("ann", 20, "later"))
KNOWN = episodes_of(STORY, labels(("ann", 9)), baskets=5)


def of(made, item):
    return made.rows.filter(pl.col("item") == item)["day"].to_list()


def test_an_episode_ends_with_its_label_and_reaches_back_so_many_baskets():
    assert set(KNOWN["item"]) == {"a", "b", "c", "d"}
    assert set(episodes_of(STORY, labels(("ann", 9)), baskets=2)["item"]) == {"b", "c", "d"}


def test_a_visit_without_a_history_is_no_episode():
    assert episodes_of(STORY, labels(("ann", 1)), baskets=5).is_empty()


def test_reverse_tells_the_same_days_backwards():
    made = episodes.reverse(KNOWN, np.random.default_rng(0))
    assert (of(made, "d"), of(made, "c"), of(made, "b"), of(made, "a")) == ([1], [4], [7], [9])
    assert made.labels["day"].to_list() == [9]


def test_substitute_changes_histories_and_never_the_label():
    everything = {item: item.upper() for item in "abcd"}
    made = [episodes.substitute(KNOWN, np.random.default_rng(seed), everything) for seed in range(40)]
    assert all(of(one, "d") == [9] for one in made)
    assert any(of(one, "A") for one in made)


def test_an_item_that_is_like_no_other_stays():
    made = episodes.substitute(KNOWN, np.random.default_rng(0), {})
    assert set(made.rows["item"]) == {"a", "b", "c", "d"}


def test_reorder_moves_baskets_among_their_own_days_and_leaves_the_label():
    made = [episodes.reorder(KNOWN, np.random.default_rng(seed)) for seed in range(20)]
    assert all(of(one, "d") == [9] for one in made)
    assert all(sorted(set(one.rows["day"])) == [1, 3, 6, 9] for one in made)
    assert {tuple(of(one, "a")) for one in made} > {(1,)}


def test_crop_begins_later_and_never_empties_a_history():
    made = [episodes.crop(KNOWN, np.random.default_rng(seed)) for seed in range(20)]
    assert all(of(one, "d") == [9] and of(one, "c") == [6] for one in made)
    assert {len(one.rows) for one in made} >= {2, 3}


purchases = st.lists(
    st.tuples(st.sampled_from("uvw"), st.integers(0, 6), st.sampled_from("abcde")), min_size=1, max_size=25
)


@settings(max_examples=40, deadline=None)
@given(rows=purchases, seed=st.integers(0, 2**31), baskets=st.integers(1, 4))
@pytest.mark.parametrize("name", ["crop", "mask", "reorder", "reverse", "substitute"])
def test_every_virtual_sample_is_of_a_virtual_shopper_with_a_history_and_a_label(name, rows, seed, baskets):
    table = bought(*rows)
    known = episodes_of(table, table.select("user", "day").unique().sort("user", "day"), baskets=baskets)
    random = np.random.default_rng(seed)
    made = (
        episodes.substitute(known, random, {"a": "b"})
        if name == "substitute"
        else getattr(episodes, name)(known, random)
    )
    assert made.labels["user"].is_unique().all()
    assert made.rows["user"].str.starts_with(PREFIX).all()
    days = made.labels.rename({"day": "label"}).join(made.rows, on="user")
    assert (days["day"] <= days["label"]).all()
    assert set(days.filter(pl.col("day") == pl.col("label"))["user"]) == set(made.labels["user"])
    assert set(days.filter(pl.col("day") < pl.col("label"))["user"]) == set(made.labels["user"])
    if made.rows.height:
        assert table["day"].min() <= made.rows["day"].min() and made.rows["day"].max() <= table["day"].max()
