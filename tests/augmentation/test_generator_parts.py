"""The parts of the generator that bring what it makes near the real: each on data whose answer is plain."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from shop import two_tastes
from tiny_effort import TINY

from shoploop.augmentation import study
from shoploop.augmentation.generator.calibration import Aim, Strides, calibrate
from shoploop.augmentation.generator.company import Company
from shoploop.augmentation.generator.conditions import fit_conditions
from shoploop.augmentation.generator.decoding import initial_decoder
from shoploop.augmentation.generator.embeddings import MANNERS, POPULARITY, embed_items
from shoploop.augmentation.generator.encoding import NUMBERS, fit_encoding, focus, weekend
from shoploop.augmentation.generator.extremes import reached
from shoploop.augmentation.generator.fitting import BehaviourGenerator, fit_generator
from shoploop.augmentation.generator.foundations import lay_foundations
from shoploop.augmentation.generator.habits import _another, fit_habits, unknown_habits
from shoploop.augmentation.generator.marginals import Marginals
from shoploop.augmentation.generator.prices import _how_dear, _quantiles
from shoploop.augmentation.generator.pseudonyms import pseudonymise
from shoploop.augmentation.generator.records import (
    Behaviour,
    Vocabulary,
    build_vocabulary,
    concatenate,
    read_behaviour,
)
from shoploop.augmentation.generator.selection import ceiling, fit_selection
from shoploop.augmentation.study import _with_history
from shoploop.errors import TooFewEvents


@pytest.fixture(scope="module")
def shop():
    """Behaviour of a hundred shoppers of two tastes, each taste a category, and the vocabulary."""
    tastes = two_tastes(100)
    rows = tastes.interactions()
    vocabulary = build_vocabulary(rows, tastes.described(), min_buyers=2)
    return read_behaviour(rows, vocabulary), vocabulary


def test_focus_is_one_in_a_basket_of_one_category_and_none_in_a_basket_of_two_or_of_one_row(shop):
    category = np.array([0, 0, 1])
    made = baskets([[0, 1], [0, 2], [0], [0, 1, 2]])
    assert focus(made, category).tolist() == [1, 0, 0, pytest.approx(1 / 3)]


def test_the_first_days_of_1970_fell_on_a_weekend_from_the_third():
    assert weekend(np.arange(7)).tolist() == [False, False, True, True, False, False, False]


def test_a_popular_item_says_so_in_its_embedding(shop):
    behaviour, vocabulary = shop
    popular = behaviour.item.copy()
    popular[::2] = 7
    shares = shares_of(replace(behaviour, item=popular), vocabulary)
    vectors = embed_items(replace(behaviour, item=popular), vocabulary, shares, dims=4, seed=0)
    assert vectors[:, -1].argmax() == 7
    assert vectors[:, -1].std() == pytest.approx(POPULARITY, rel=1e-3)
    assert np.linalg.norm(vectors[:, :-MANNERS], axis=1) == pytest.approx(1, rel=1e-3)


def test_numbers_of_a_basket_survive_the_way_to_vectors_and_back(shop):
    behaviour, vocabulary = shop
    encoding = fit_encoding(
        behaviour, vocabulary, embed_items(behaviour, vocabulary, shares_of(behaviour, vocabulary), dims=4, seed=0)
    )
    vectors, mask = encoding.encode(behaviour, np.random.default_rng(0))
    place = (behaviour.record, behaviour.position)
    assert mask[place].all()
    assert encoding.number(vectors, "size")[place].tolist() == behaviour.sizes.tolist()
    assert encoding.number(vectors, "focus")[place] == pytest.approx(focus(behaviour, vocabulary.category))
    assert (encoding.number(vectors, "weekend")[place] > 0.5).tolist() == weekend(behaviour.day).tolist()


def test_marginals_bring_a_shifted_and_narrowed_column_back():
    random = np.random.default_rng(0)
    real = random.normal(size=(2000, 1, 1)).astype(np.float32)
    made = (3 + 0.5 * random.normal(size=(2000, 1, 1))).astype(np.float32)
    mask = np.ones((2000, 1), np.float32)
    back = Marginals.fit(made, mask, real, mask).apply(made)
    assert back.mean() == pytest.approx(0, abs=0.05)
    assert back.std() == pytest.approx(1, abs=0.05)


def test_calibrating_makes_an_item_that_is_made_too_seldom_likelier(shop):
    behaviour, vocabulary = shop
    popular = embed_items(behaviour, vocabulary, shares_of(behaviour, vocabulary), dims=4, seed=0)
    shares = shares_of(behaviour, vocabulary)
    decoder = initial_decoder(vocabulary, popular, shares)
    never = replace(behaviour, item=np.where(behaviour.item == 3, 4, behaviour.item))
    asked = focus(never, vocabulary.category).astype(np.float32)
    moved = calibrate(decoder, never, asked, Aim.of(behaviour, vocabulary, popular[:, -1:], shares), strength=0.5)
    change = moved.log_popularity - decoder.log_popularity
    assert change.argmax() == 3
    assert change.argmin() == 4


def test_calibrating_pulls_together_what_was_asked_to_be_of_one_category_and_was_not(shop):
    behaviour, vocabulary = shop
    popular = embed_items(behaviour, vocabulary, shares_of(behaviour, vocabulary), dims=4, seed=0)
    shares = shares_of(behaviour, vocabulary)
    decoder = initial_decoder(vocabulary, popular, shares)
    mixed = replace(behaviour, item=np.tile([0, 39], len(behaviour.item))[: len(behaviour.item)])
    asked = np.ones(len(mixed.record), np.float32)
    moved = calibrate(decoder, mixed, asked, Aim.of(behaviour, vocabulary, popular[:, -1:], shares), strength=0.5)
    assert moved.pull.max() > 0
    assert moved.pull.min() == 0


def test_two_items_that_always_come_together_are_told_so_where_enough_shoppers_had_both_and_are_pulled_together():
    """Of four items the first two are always bought together, the others each alone."""
    real = baskets([[0, 1], [2], [0, 1], [3]] * 20)
    four = np.arange(4)
    told = Company.of(replace(real, record=np.arange(80), user=np.arange(80)), four, min_users=20)
    assert told.lift[0, 1] == told.lift[1, 0] > 1.5
    assert told.lift[0, 2] < 1
    of_few = Company.of(replace(real, record=np.arange(80), user=np.arange(80) % 10), four, min_users=20)
    assert of_few.lift[0, 1] == of_few.lift[0, 2], "no ten shoppers are told of"
    mixed = baskets([[0, 2], [1, 3], [0, 3], [1, 2]] * 20)
    assert told.missing(mixed)[0, 1] > 0.5 > 0 > told.missing(mixed)[0, 2]


def test_what_is_drawn_together_comes_together(shop):
    """Items 0 and 1 in one basket of three from one taste: oftener with a pull than without."""
    behaviour, vocabulary = shop
    shares = shares_of(behaviour, vocabulary)
    embeddings = embed_items(behaviour, vocabulary, shares, dims=4, seed=0)
    encoding = fit_encoding(behaviour, vocabulary, embeddings)
    vectors, mask = encoding.encode(behaviour, np.random.default_rng(0))
    plain = initial_decoder(vocabulary, embeddings, shares, np.arange(2), MANNERS)
    pulled = replace(plain, together=np.array([[0, 4], [4, 0]], np.float32))
    condition, day = np.zeros(len(vectors), np.int64), np.zeros(len(vectors), np.int64)
    both = []
    for decoder in (plain, pulled):
        made, _ = decoder.decode(encoding, vectors, mask, condition, day, 0)
        held = [np.isin(np.arange(len(made.record)), made.basket[made.item == item]) for item in (0, 1)]
        both.append((held[0] & held[1]).sum() / max((held[0] | held[1]).sum(), 1))
    assert both[1] > 1.3 * both[0]


def test_in_a_shop_where_each_item_is_a_group_of_its_own_baskets_are_as_large_as_asked(shop):
    behaviour, vocabulary = shop
    shares = shares_of(behaviour, vocabulary)
    embeddings = embed_items(behaviour, vocabulary, shares, dims=4, seed=0)
    encoding = fit_encoding(behaviour, vocabulary, embeddings)
    vectors, mask = encoding.encode(behaviour, np.random.default_rng(0))
    decoder = initial_decoder(vocabulary, embeddings, shares, np.arange(len(vocabulary)), MANNERS)
    none = np.zeros(len(vectors), np.int64)
    made, _ = decoder.decode(encoding, vectors, mask, none, none, 0)
    assert made.sizes.tolist() == np.minimum(behaviour.sizes, len(vocabulary) // 2).tolist()


def test_first_days_are_those_of_all_records_that_last_as_long_or_of_the_nearest():
    days = np.random.default_rng(0).integers(1, 366, 3000)
    generator = BehaviourGenerator.__new__(BehaviourGenerator)
    generator.days, generator.spans = days, np.repeat([1, 8], [1000, 2000])
    generator.encoding = SimpleNamespace(number=lambda vectors, name: vectors)
    for span, alike in ((1, days[:1000]), (8, days[1000:]), (0, days[:200]), (99, days[-200:])):
        gaps = np.tile([0.0, span], (4000, 1))
        mask = np.tile([1, span > 0], (4000, 1))
        drawn = generator._first_days(gaps, mask, np.random.default_rng(1))
        assert np.quantile(drawn, [0.25, 0.5, 0.75]) == pytest.approx(np.quantile(alike, [0.25, 0.5, 0.75]), abs=25)
        assert len(np.unique(drawn)) > 100


def test_records_of_one_span_lie_in_no_order_of_their_first_days(shop):
    behaviour, vocabulary = shop
    whole = replace(behaviour, day=1000 + behaviour.record * 7 + behaviour.position)
    known = lay_foundations(whole, whole, vocabulary, dims=4, min_users=5, seed=0)
    alike = known.days[known.spans == np.bincount(known.spans).argmax()]
    assert len(alike) > 20
    assert not (np.diff(alike) >= 0).all()


def test_a_condition_of_three_shoppers_is_neither_named_nor_made_however_many_records_they_have(shop):
    """Twenty buy of one category, three of the other: these have ten records each."""
    _, vocabulary = shop
    one, other = (np.flatnonzero(vocabulary.category == which) for which in (0, 1))
    people = [replace(baskets([one[:4].tolist()] * 2), user=np.array([user])) for user in range(20)]
    people += [replace(baskets([other[:4].tolist()] * 2), user=np.array([20 + record % 3])) for record in range(30)]
    conditions, assigned = fit_conditions(concatenate(people), vocabulary, segments=2, min_users=20, seed=0)
    common, rare = (conditions.names[assigned.condition[record]] for record in (0, 20))
    assert conditions.told == (common,)
    assert set(conditions.choose([common], 3, np.random.default_rng(0))) == {assigned.condition[0]}
    refusals = []
    for name in (rare, "billionaires"):
        with pytest.raises(TooFewEvents, match="is none that 20 shoppers or more have") as refused:
            conditions.choose([name], 3, np.random.default_rng(0))
        refusals.append(str(refused.value).replace(name, "it"))
    assert refusals[0] == refusals[1], "whether anybody has it is not said"
    assert common in refusals[0]


def one_from_afar(alone: int) -> Behaviour:
    """Of sixty shoppers so many come in 1999, by night, 37 days apart, for 29 things; the others in 2020, by day, for two."""
    people = []
    for user in range(60):
        far = user < alone
        one = baskets([list(range(29 if far else 2))] * 3)
        day = (10_600 if far else 18_400 + user % 7) + (37 if far else 7) * np.arange(3)
        people.append(replace(one, day=day, minute=np.full(3, 197 if far else 600 + user), user=np.array([user])))
    return concatenate(people)


@pytest.mark.parametrize(("alone", "first"), [(1, 18_402), (19, 18_400), (20, 10_600)])
def test_sizes_pauses_hours_and_days_of_fewer_than_twenty_shoppers_are_not_told(shop, alone, first):
    _, vocabulary = shop
    real = one_from_afar(alone)
    known = lay_foundations(real, real, vocabulary, dims=4, min_users=20, seed=0)
    vectors, mask = known.encoding.encode(real, np.random.default_rng(0))
    said = {name: known.encoding.number(vectors, name)[mask > 0] for name in ("size", "minute")}
    said["gap"] = known.encoding.number(vectors, "gap")[:, 1:]
    far = {"size": 29, "gap": 37, "minute": 197}
    for name, value in far.items():
        assert (value in known.encoding.quantiles[4 + MANNERS + NUMBERS.index(name)]) == (alone >= 20), name
        assert (said[name] == value).any() == (alone >= 20), name
    assert known.first_day == known.days.min() == first, "by which the twentieth has come"


def test_of_shoppers_hardly_more_than_k_the_range_is_no_empty_one():
    day, user = np.array([0, 1, 10, 11, 20, 21]), np.repeat([0, 1, 2], 2)
    assert reached(day, user, min_users=1) == (0, 21)
    assert reached(day, user, min_users=2) == (10, 11)
    assert reached(day, user, min_users=3) == reached(day, user, min_users=9) == (1, 20)


def test_of_two_shops_the_usual_one_has_the_share_of_visits_that_was_measured(shop):
    _, vocabulary = shop
    habits = replace(
        unknown_habits(vocabulary),
        shops=("one", "two"),
        shop_share=np.ones(2, np.float32),
        usual=np.full(1, 0.75, np.float32),
        second=0.5,
    )
    visits = baskets([[0]] * 80)
    made = replace(visits, record=np.repeat(np.arange(20), 4), user=np.arange(20), condition=np.zeros(20, np.int64))
    said = habits.draw(made, vocabulary, np.random.default_rng(0))["shop"].to_numpy().reshape(20, 4)
    assert sorted(set((said == "one").sum(1).tolist())) == [1, 3]


def test_a_third_shop_is_drawn_by_the_shares_of_those_that_are_not_the_usual():
    share, random = np.array([0.5, 0.3, 0.2]), np.random.default_rng(0)
    for than, wanted in ((0, [0, 0.6, 0.4]), (1, [5 / 7, 0, 2 / 7]), (2, [5 / 8, 3 / 8, 0])):
        drawn = _another(share, np.full(20_000, than), random)
        assert np.bincount(drawn, minlength=3) / 20_000 == pytest.approx(wanted, abs=0.02)
    assert _another(np.ones(1), np.zeros(2, np.int64), random).tolist() == [0, 0]


def test_a_category_that_is_fetched_alone_is_pulled_into_small_baskets_and_out_of_large_ones(shop):
    """Sixty shoppers fetch an item of category 1 alone, and four of category 0 at once."""
    _, vocabulary = shop
    one, other = (np.flatnonzero(vocabulary.category == which) for which in (0, 1))
    record = baskets([[other[0]], one[:4].tolist()])
    real = concatenate([replace(record, user=np.array([user])) for user in range(60)])
    made = concatenate([baskets([[one[0]], [*one[:2], *other[:2]]])] * 60)
    shares = shares_of(real, vocabulary)
    vectors = embed_items(real, vocabulary, shares, dims=4, seed=0)
    aim = Aim.of(real, vocabulary, vectors[:, -MANNERS:], shares)
    decoder = initial_decoder(vocabulary, vectors, shares, manners=MANNERS)
    strides = Strides()
    once = calibrate(decoder, made, np.zeros(120), aim, strength=0.5, strides=strides)
    assert once.fit[0, 1] > 0.5 > -0.2 > once.fit[0, 0]
    assert once.fit[2, 0] > 0.1 > -0.2 > once.fit[2, 1], "of three rows or four"
    twice = calibrate(once, made, np.zeros(120), aim, strength=0.5, strides=strides)
    assert twice.fit[0, 1] > 2.3 * once.fit[0, 1], "what did not suffice is done at a longer stride"
    few = Aim.of(real.take(np.arange(19)), vocabulary, vectors[:, -MANNERS:], shares)
    assert few.fit is not None
    assert few.fit == pytest.approx(
        np.tile(few.rows / few.rows.sum(), (len(few.fit), 1)) * (few.fit.sum(1) > 0)[:, None]
    )


def test_where_prices_of_fewer_than_k_payers_are_known_none_is_drawn(shop):
    behaviour, vocabulary = shop
    rows = two_tastes(100).interactions().with_columns(quantity=pl.lit(1.0), shop=pl.lit(None, pl.String))
    price = pl.when(pl.int_range(pl.len()) < 15).then(1.99)
    habits = fit_habits(rows.with_columns(price=price), vocabulary, min_users=20)
    assert habits.draw(behaviour, vocabulary, np.random.default_rng(0))["price"].null_count() == len(behaviour.item)
    assert habits.as_before == 0, "of one piece each"


def test_a_gross_is_taken_where_k_shoppers_took_one_and_a_number_of_fewer_is_not_told(shop):
    behaviour, vocabulary = shop
    people = two_tastes(100).people
    taken = pl.when(pl.col("user").is_in(people[:40])).then(144.0).when(pl.col("user").is_in(people[40:50])).then(300.0)
    rows = two_tastes(100).interactions().with_columns(quantity=taken.otherwise(1.0))
    habits = fit_habits(
        rows.with_columns(price=None, shop=None).cast({"price": pl.Float64, "shop": pl.String}),
        vocabulary,
        min_users=20,
    )
    assert habits.numbers.tolist() == [1, 144]
    quantity = habits.draw(behaviour, vocabulary, np.random.default_rng(0))["quantity"].to_numpy()
    assert set(quantity.tolist()) == {1.0, 144.0}
    assert (quantity > 1).mean() == pytest.approx(0.5, abs=0.15)


def test_a_small_number_of_pieces_that_few_take_is_not_told_either(shop):
    behaviour, vocabulary = shop
    people = two_tastes(100).people
    taken = pl.when(pl.col("user").is_in(people[:40])).then(2.0).when(pl.col("user") == people[50]).then(7.0)
    rows = two_tastes(100).interactions().with_columns(quantity=taken.otherwise(1.0))
    bare = rows.with_columns(price=None, shop=None).cast({"price": pl.Float64, "shop": pl.String})
    habits = fit_habits(bare, vocabulary, min_users=20)
    assert habits.numbers.tolist() == [1, 2]
    assert set(habits.draw(behaviour, vocabulary, np.random.default_rng(0))["quantity"].to_list()) == {1.0, 2.0}
    single = fit_habits(bare.with_columns(quantity=1.0), vocabulary, min_users=20)
    assert set(single.draw(behaviour, vocabulary, np.random.default_rng(0))["quantity"].to_list()) == {1.0}


def test_rows_that_do_not_occur_are_counted_of_all_rows():
    """Of a seventeenth visit back no record is made: what all bought then and never again is bought in no record."""
    bought = two_tastes(100).interactions()
    first = bought.sort("time").group_by("user", maintain_order=True).first().select(bought.columns)
    once = first.with_columns(pl.col("time") - pl.duration(days=1), item=pl.lit("once"))
    rows = pl.concat([once, bought]).sort("time")
    items = pl.DataFrame({"item": rows["item"].unique().sort()})
    vocabulary, _ = study._anonymous(rows, items)
    assert "once" not in vocabulary.items
    assert vocabulary.outside == pytest.approx(100 / rows.height)


def test_what_is_measured_of_prices_pieces_and_shops_does_not_depend_on_the_key_of_the_pseudonyms(shop):
    """Users who paid alike are told apart by their order, and pseudonyms sort at random."""
    behaviour, vocabulary = shop
    random = np.random.default_rng(0)
    rows = two_tastes(100).interactions()
    rows = rows.with_columns(
        quantity=pl.Series(random.integers(1, 4, rows.height).astype(np.float64)),
        price=pl.Series(random.choice([1.0, 1.5, 2.0, 4.0], rows.height)),
        shop=pl.Series(random.choice(["north", "south"], rows.height)),
    )
    drawn = []
    for key in (b"a key", b"another", b"a third one"):
        habits = fit_habits(pseudonymise(rows, key), vocabulary, min_users=20)
        drawn.append(
            [habits.prices.level, *habits.draw(behaviour, vocabulary, np.random.default_rng(0)).to_dict().values()]
        )
    for other in drawn[1:]:
        for one, same in zip(drawn[0], other, strict=True):
            np.testing.assert_array_equal(np.asarray(one), np.asarray(same))


def test_in_a_shop_of_six_items_that_are_bought_again_and_again_baskets_are_filled():
    """Eight baskets of three of six items: a category has more rows than there are items."""
    items, records = 6, 20
    random = np.random.default_rng(0)
    baskets = 8 * records
    real = Behaviour(
        item=np.concatenate([np.sort(random.choice(items, 3, replace=False)) for _ in range(baskets)]),
        kind=np.zeros(3 * baskets, np.int64),
        basket=np.repeat(np.arange(baskets), 3),
        record=np.repeat(np.arange(records), 8),
        day=18_000 + np.tile(np.arange(8), records),
        minute=np.full(baskets, 600),
        user=np.arange(records),
        condition=np.zeros(records, np.int64),
    )
    vocabulary = Vocabulary(
        items=tuple("abcdef"), category=np.zeros(items, np.int64), categories=("all",), kinds=("purchase",),
        dear=np.zeros(items, np.float32), outside=0.0,
    )  # fmt: skip
    embeddings = random.normal(size=(items, 4)).astype(np.float32)
    encoding = fit_encoding(real, vocabulary, embeddings)
    vectors, mask = encoding.encode(real, random)
    decoder = initial_decoder(vocabulary, embeddings, np.full(items, 1 / items, np.float32))
    made, _ = decoder.decode(encoding, vectors, mask, real.condition, np.full(records, 18_000), 1)
    assert made.records == records
    assert len(made.item) > 16 * records


def test_who_came_once_is_nobody_to_learn_from_and_is_not_sampled():
    rows = two_tastes(100).interactions()
    once = rows.unique("user", keep="first").with_columns(user="once " + pl.col("user"))
    assert set(_with_history(pl.concat([once, rows]))["user"]) == set(rows["user"])


def test_how_dear_is_told_by_users_that_count_once_and_of_too_few_as_one_piece_less():
    """A hundred rows of one user are no hundred users."""
    user = pl.Series([*"abcdefgh", *["z"] * 100])
    values = np.concatenate([np.arange(8.0), np.full(100, 99.0)])
    assert _quantiles(values, user, 10) is None
    assert _quantiles(values, user, 5) == pytest.approx(np.full(101, (28 + 99) / 9))
    even = [f"u{i:02}" for i in range(40)]
    paid = pl.DataFrame({"user": even, "code": 0, "each": np.arange(1.0, 41), "pieces": [1] * 36 + [2] * 4})
    level, _, _ = _how_dear(paid, 5)
    assert level[1].tolist() == level[2].tolist() == level[0].tolist()
    assert level[0][0] < 0.2 < 0.7 < level[0][-1]


def test_selection_keeps_what_is_like_the_real_and_drops_what_is_not(shop):
    behaviour, vocabulary = shop
    popularity = (np.bincount(behaviour.item, minlength=len(vocabulary)) / len(behaviour.item)).astype(np.float32)
    random = np.random.default_rng(0)
    noise = replace(behaviour, item=random.integers(len(vocabulary), size=len(behaviour.item)))
    users = np.arange(behaviour.records)
    proposed = joined(behaviour, noise)
    selection = fit_selection(behaviour, proposed, proposed, vocabulary, popularity, rounds=100, proposals=4, seed=0)
    kept = selection.keep(proposed, np.random.default_rng(1))
    assert (kept < len(users)).mean() > 0.9
    assert 0.1 < len(kept) / proposed.records < 0.4
    again = fit_selection(behaviour, proposed, proposed, vocabulary, popularity, rounds=100, proposals=4, seed=0)
    assert again.model == selection.model


def test_the_ceiling_keeps_the_share_that_is_asked_for():
    ratio = np.random.default_rng(0).normal(size=1000)
    for share in (0.1, 0.5, 0.9):
        assert np.exp(np.minimum(ratio - ceiling(ratio, share), 0)).mean() == pytest.approx(share, rel=1e-3)


def test_the_same_seed_makes_the_same_records_and_as_many_as_are_asked_for(shop):
    behaviour, vocabulary = shop
    conditions, behaviour = fit_conditions(behaviour, vocabulary, segments=2, min_users=20, seed=0)
    one, other = (fit_generator(behaviour, vocabulary, conditions, TINY.generator, seed=0) for _ in range(2))
    assert one.selection is not None
    made, again = one.sample(40, seed=1), other.sample(40, seed=1)
    assert made.records == 40
    assert made.item.tolist() == again.item.tolist()
    assert made.day.max() <= behaviour.day.max()
    assert len(one.sample_rows(500, seed=2).item) >= 500


def shares_of(behaviour, vocabulary):
    return ((np.bincount(behaviour.item, minlength=len(vocabulary)) + 0.5) / len(behaviour.item)).astype(np.float32)


def baskets(rows: list[list[int]]) -> Behaviour:
    """One record of these baskets."""
    none = np.zeros(len(rows), np.int64)
    item = np.concatenate(rows)
    return Behaviour(
        item=item,
        kind=0 * item,
        basket=np.repeat(np.arange(len(rows)), [len(r) for r in rows]),
        record=none,
        day=np.arange(len(rows)),
        minute=none,
        user=np.zeros(1, np.int64),
        condition=np.zeros(1, np.int64),
    )


def joined(first: Behaviour, second: Behaviour) -> Behaviour:
    return concatenate([first, replace(second, user=second.user + first.records)])
