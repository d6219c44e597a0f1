"""What is bought after what: counted by hand on a few visits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from own_rows import FIRST, catalog_of, items, log_of

from shoploop.features import catalogs as catalogs_module
from shoploop.features import item_pairs
from shoploop.features.catalog import CatalogConfig, fit_catalog, renewed
from shoploop.features.catalogs import fit_catalogs, following
from shoploop.features.factors import aligned
from shoploop.features.history import History
from shoploop.features.item_pairs import PairConfig, PairsAfter, pairs_together
from shoploop.features.pairs import follower_scores

FOREVER = 1e12
A, B, C, D = range(4)


def followers(rows, *, until=100, decays=(FOREVER,), kept=5, shrinkage=0.0, config=None):
    log = log_of(rows, ["a", "b", "c", "d"])
    after = PairsAfter(log, day_decays=decays, config=config or PairConfig(visit_decay=0.5))
    after.advance(FIRST + until)
    return [after.followers(place, kept=kept, shrinkage=shrinkage) for place in range(len(decays))]


def table(found):
    """Item to what follows it and how likely, without the padding."""
    return {
        item: {int(j): round(float(w), 4) for j, w in zip(js, ws, strict=True) if w > 0}
        for item, (js, ws) in enumerate(zip(found.items_IP, found.weights_IP, strict=True))
    }


def test_the_chance_of_a_follower_is_its_share_of_the_later_pairs_and_falls_with_the_visits_between():
    (found,) = followers([("u", "a", 0), ("u", "b", 5), ("u", "c", 6)])
    # a is followed by b at the next visit and by c at the one after it, which counts half
    assert table(found) == {A: {B: 0.6667, C: 0.3333}, B: {C: 1.0}, C: {}, D: {}}


def test_what_is_bought_together_follows_nothing_and_nobody_follows_somebody_else():
    (found,) = followers([("u", "a", 0), ("u", "b", 0), ("v", "c", 5)])
    assert table(found) == {A: {}, B: {}, C: {}, D: {}}


def test_a_repeated_purchase_follows_itself():
    (found,) = followers([("u", "a", 0), ("u", "a", 5)])
    assert table(found)[A] == {A: 1.0}


def test_under_a_short_decay_what_followed_lately_wins():
    rows = [("u", "a", 0), ("u", "b", 1), ("v", "a", 0), ("v", "b", 1), ("w", "a", 90), ("w", "c", 91)]
    ever, lately = followers(rows, decays=(FOREVER, 10.0))
    assert table(ever)[A] == {B: 0.6667, C: 0.3333}
    assert list(table(lately)[A]) == [C, B] and table(lately)[A][C] > 0.99


def test_one_pair_of_a_rare_item_says_less_than_many_of_a_common_one():
    (found,) = followers([("u", "a", 0), ("u", "b", 1)], shrinkage=3.0)
    assert table(found)[A] == {B: 0.25}


def test_only_the_likeliest_are_kept_and_ties_go_to_the_first_code():
    rows = [(user, "a", 0) for user in "uvw"] + [("u", "d", 1), ("v", "c", 1), ("w", "b", 1)]
    (found,) = followers(rows, kept=2)
    assert table(found)[A] == {B: 0.3333, C: 0.3333}


def test_of_too_many_pairs_those_of_the_latest_baskets_are_counted():
    rows = [("u", "a", 0), ("u", "b", 1), ("v", "a", 50), ("v", "c", 51)]
    (found,) = followers(rows, config=PairConfig(most_pairs=1))
    assert table(found)[A] == {C: 1.0}


visits = st.lists(
    st.tuples(st.sampled_from("uvw"), st.sampled_from("abcd"), st.integers(0, 30)), min_size=1, max_size=40, unique=True
)


@given(visits, st.integers(0, 31))
def test_counting_on_by_days_gives_what_counting_at_once_gives(rows, stop):
    log, decays = log_of(rows, ["a", "b", "c", "d"]), (FOREVER, 7.0)
    at_once, stepwise = PairsAfter(log, day_decays=decays), PairsAfter(log, day_decays=decays)
    at_once.advance(FIRST + 31)
    for day in (stop, 31):
        stepwise.advance(FIRST + day)
    for place in (0, 1):
        one, other = (after.followers(place, kept=4, shrinkage=1.0) for after in (at_once, stepwise))
        size = len(one.items_IP)
        dense = [np.zeros((size, size)) for _ in range(2)]
        for matrix, found in zip(dense, (one, other), strict=True):
            np.add.at(matrix, (np.arange(size)[:, None], found.items_IP), found.weights_IP)
        np.testing.assert_allclose(*dense, rtol=1e-5, atol=1e-12)


@settings(max_examples=25)
@given(visits, st.integers(1, 31))
def test_what_is_bought_on_a_day_or_later_is_unknown_to_the_catalog_of_that_day(rows, day):
    names = ["a", "b", "c", "d"]
    past = [row for row in rows if row[2] < day]
    if not past:
        return
    # the same past with another future: all of it is d
    moved = past + [("u", "d", later) for later in range(day, 32)]
    made = []
    for some in (rows, moved):
        log = log_of([*some, ("u", "a", 31), ("v", "a", 31), ("w", "a", 31)], names)  # the same users
        catalogs = fit_catalogs(
            log, items(names), training_first=FIRST + 1, evaluation_first=FIRST + day, last=FIRST + 31,
            config=CatalogConfig(factors=2, neighbours=2),
        )  # fmt: skip
        made.append(catalogs(FIRST + day))
    for name, value in vars(made[0]).items():
        np.testing.assert_array_equal(value, getattr(made[1], name), err_msg=name)


def test_a_run_learns_on_catalogs_that_move_with_its_days_and_serves_with_all_that_is_known():
    rows = [("u", "a", 0), ("u", "b", 3), ("v", "a", 30), ("v", "c", 33), ("w", "a", 58), ("w", "d", 59)]
    catalogs = fit_catalogs(
        log_of(rows), items("abcd"), training_first=FIRST + 10, evaluation_first=FIRST + 50, last=FIRST + 59,
        config=CatalogConfig(factors=2, neighbours=2, follower_shrinkage=0.0),
    )  # fmt: skip

    def after_a(day):
        catalog = catalogs(FIRST + day)
        return {int(j) for j, w in zip(catalog.after_IP[A], catalog.after_weights_IP[A], strict=True) if w > 0}

    assert (after_a(10), after_a(49), after_a(50), after_a(60)) == ({B}, {B, C}, {B, C}, {B, C, D})
    assert catalogs.serving is catalogs(FIRST + 60) and catalogs.training is catalogs(FIRST + 10)
    assert catalogs(FIRST) is catalogs.training


def test_what_is_learned_from_has_the_neighbours_of_its_own_days_as_often_as_may_be(monkeypatch):
    rows = [
        ("u", "a", 0),
        ("u", "b", 0),
        ("v", "a", 12),
        ("v", "c", 12),
        ("w", "a", 26),
        ("w", "d", 26),
        ("x", "a", 59),
    ]

    def near_a():
        config = CatalogConfig(factors=2, neighbours=3)
        span = {"training_first": FIRST + 10, "evaluation_first": FIRST + 38, "last": FIRST + 59}
        catalogs = fit_catalogs(log_of(rows), items("abcd"), **span, config=config)
        found = {day: catalogs(FIRST + day) for day in (10, 16, 17, 24, 31, 37)}
        assert all(each.factors_ID is catalogs.training.factors_ID for each in found.values())
        return {
            day: {int(j) for j, w in zip(each.neighbours_IM[A], each.neighbour_weights_IM[A], strict=True) if w > 0}
            for day, each in found.items()
        }

    assert near_a() == {10: {B}, 16: {B}, 17: {B, C}, 24: {B, C}, 31: {B, C, D}, 37: {B, C, D}}
    monkeypatch.setattr("shoploop.features.catalogs.NEIGHBOURS_FITTED", 4)  # once, of four items
    assert near_a() == {10: {B}, 16: {B}, 17: {B}, 24: {B, C}, 31: {B, C}, 37: {B, C}}
    monkeypatch.setattr("shoploop.features.catalogs.LOG_OF_FEWEST", 1)
    assert set(map(frozenset, near_a().values())) == {frozenset({B})}


def test_catalogs_in_which_only_followers_move_keep_all_else():
    log = log_of([("u", "a", 0), ("u", "b", 3), ("u", "c", 20), ("v", "a", 20)])
    catalog = catalog_of(log)
    moving = following(catalog, log, [FIRST + 1, FIRST + 30])
    assert moving.training.neighbours_IM is moving.serving.neighbours_IM is catalog.neighbours_IM
    assert moving.training.after_weights_IP.sum() == 0 < moving.serving.after_weights_IP.sum()


def test_an_item_that_is_never_in_a_basket_with_another_is_known_by_its_neighbours_in_time():
    # nobody has two things in a basket; a and b share shoppers, c and d do
    rows = [(f"u{n}", "a", 2 * n) for n in range(6)] + [(f"u{n}", "b", 2 * n + 1) for n in range(6)]
    rows += [(f"v{n}", "c", 2 * n) for n in range(6)] + [(f"v{n}", "d", 2 * n + 1) for n in range(6)]
    factors_ID = catalog_of(log_of(rows)).factors_ID
    assert (np.linalg.norm(factors_ID, axis=1) > 0.99).all()
    # each taste has directions of its own
    assert np.abs(factors_ID[[A, B]] @ factors_ID[[C, D]].T).max() < 1e-6


def test_where_baskets_alone_are_many_pairs_those_across_visits_are_left_out():
    log = log_of([("u", "a", 0), ("u", "b", 0), ("u", "c", 1)])
    assert pairs_together(log)[A, C] > 0
    assert (
        pairs_together(log, PairConfig(most_pairs=5))[A, C] == 0 < pairs_together(log, PairConfig(most_pairs=5))[A, B]
    )


def test_fresh_factors_are_turned_to_where_the_old_ones_point():
    rng = np.random.default_rng(0)
    old = rng.standard_normal((40, 5)).astype(np.float32)
    turn = np.linalg.qr(rng.standard_normal((5, 5)))[0].astype(np.float32)
    fresh = old @ turn
    old[7] = 0  # a new item
    back = aligned(fresh, old, np.ones(40, int))
    known = np.arange(40) != 7
    np.testing.assert_allclose(back[known], old[known], atol=0.05)
    assert np.linalg.norm(back[7]) == pytest.approx(np.linalg.norm(fresh[7]), rel=1e-5)


def test_a_renewed_catalog_keeps_what_a_model_has_learned_of_kinds():
    early = log_of([("u", "a", 0), ("u", "b", 0), ("v", "c", 0), ("v", "d", 0)])
    late = log_of([("u", "a", 0), ("u", "b", 0), ("v", "c", 0), ("v", "d", 0), ("v", "a", 5), ("w", "a", 6)])
    catalog = fit_catalog(early, items("abcd"), CatalogConfig(factors=3, neighbours=2))
    again = renewed(catalog, late, CatalogConfig(factors=3, neighbours=2))
    assert again.kind_I is catalog.kind_I and again.log_odds_CB is catalog.log_odds_CB
    assert again.factors_ID.shape == catalog.factors_ID.shape


def test_the_followers_of_several_visits_are_averaged_with_the_latest_first():
    log = log_of([("u", "a", 0), ("u", "c", 1), ("v", "b", 0), ("v", "d", 1)])
    catalog = catalog_of(log)
    history = History.of(np.array([A, B], np.int32), np.array([10, 20], np.int32), np.ones(2, np.float32))
    scores = follower_scores(history, catalog)
    assert scores["after_last"][D] > 0 == scores["after_last"][C]
    assert scores["after_recent"][D] > scores["after_recent"][C] > 0
    assert follower_scores(History.empty(), catalog)["after_recent"].sum() == 0


def test_factors_are_fitted_anew_where_something_new_is_bought_lately_and_else_stay():
    config = CatalogConfig(factors=3, neighbours=2)
    early = [(user, item, 0) for user in "uvw" for item in "abc"]
    catalog = fit_catalog(log_of(early, ["a", "b", "c", "d"]), items("abcd"), config)
    again = renewed(catalog, log_of([*early, ("u", "a", 90)], ["a", "b", "c", "d"]), config)
    assert again.factors_ID is catalog.factors_ID
    # one of a hundred purchases ever, but most of what is bought lately
    long = [(f"u{n}", item, 0) for n in range(60) for item in "abc"]
    new = renewed(catalog, log_of([*long, ("u1", "d", 90), ("u1", "a", 90)], ["a", "b", "c", "d"]), config)
    assert not catalog.factors_ID[D].any() and new.factors_ID[D].any()


def test_factors_that_know_later_days_are_fitted_anew_for_those_before():
    config = CatalogConfig(factors=3, neighbours=2)
    before = [(user, item, 0) for user in "uvw" for item in "abc"]
    knows = fit_catalog(log_of([*before, *[(user, "d", 0) for user in "uvw"]]), items("abcd"), config)
    then = log_of(before, ["a", "b", "c", "d"])
    assert renewed(knows, then, config).factors_ID is knows.factors_ID
    again = renewed(knows, then, config, anew=True)
    assert knows.factors_ID[D].any() and not again.factors_ID[D].any()


def test_at_each_step_no_more_pairs_are_counted_than_may_be():
    rows = [("u", "a", 0), ("v", "b", 0)]
    rows += [("u", "c", 10), ("v", "d", 11)]  # one pair each; the second step may count one
    log = log_of(rows, ["a", "b", "c", "d"])
    after = PairsAfter(log, day_decays=(FOREVER,), config=PairConfig(most_pairs=1))
    after.advance(FIRST + 5)
    after.advance(FIRST + 20)
    assert table(after.followers(0, kept=5, shrinkage=0.0)) == {A: {}, B: {D: 1.0}, C: {}, D: {}}


TILL = [("till", f"x{n:02}", day) for day in range(0, 12, 2) for n in range(12)]
"""Twelve different items every second day, 144 pairs with the basket before and more with those before that."""


def shoppers(days):
    """On each of the days twenty others buy a and then b, one pair each."""
    return [(f"u{n:02}", item, day + place) for day in days for n in range(20) for place, item in enumerate("ab")]


def small_pairs(log, *, stops, most=5_000):
    after = PairsAfter(log, day_decays=(FOREVER,), config=PairConfig(most_pairs=most, visits_apart=2))
    for stop in stops:
        after.advance(FIRST + stop)
    return after


@pytest.mark.parametrize("stops", [(20,), (3, 5, 20)])
def test_a_till_that_buys_a_bit_of_everything_takes_no_others_place(stops):
    log = log_of([*shoppers((0,)), *TILL])
    after = small_pairs(log, stops=stops, most=1_000)
    found = table(after.followers(0, kept=5, shrinkage=0.0))
    a, b, first = (log.vocabulary.code(item) for item in ("a", "b", "x00"))
    assert found[a] == {b: 1.0}
    assert found[first] == {}
    assert after.left_out == 5, "all but its first, before which it had bought nothing"


def test_baskets_that_are_no_larger_than_others_may_be_count_to_the_byte_as_if_there_were_no_bound(monkeypatch):
    log, found = log_of([*shoppers((0, 4, 8)), *TILL[:36]]), []
    for share in (item_pairs.LARGEST_SHARE, 1.0):
        monkeypatch.setattr(item_pairs, "LARGEST_SHARE", share)
        after = small_pairs(log, stops=(20,), most=40_000)
        assert after.left_out == 0
        found.append((after.followers(0, kept=5, shrinkage=0.0), pairs_together(log, PairConfig(most_pairs=80_000))))
    (one, together), (other, again) = found
    assert one.items_IP.tobytes() == other.items_IP.tobytes()
    assert one.weights_IP.tobytes() == other.weights_IP.tobytes()
    assert together.data.tobytes() == again.data.tobytes()


def test_where_all_baskets_are_large_they_are_what_the_shop_sells():
    after = small_pairs(log_of(TILL), stops=(20,), most=1_000)
    assert after.left_out == 0
    assert table(after.followers(0, kept=50, shrinkage=0.0))[0]


def test_a_tills_baskets_leave_what_others_buy_on_several_visits_together():
    rows = [*shoppers((0, 4, 8)), *TILL]
    log = log_of(rows)
    config = PairConfig(most_pairs=10_000)
    a, b = (log.vocabulary.code(item) for item in "ab")
    assert pairs_together(log, config)[a, b] > 0
    assert pairs_together(log, config)[log.vocabulary.code("x00"), log.vocabulary.code("x01")] == 0


def test_a_run_says_how_many_baskets_were_left_out_and_of_whom_only_the_latest_items_count(monkeypatch):
    said = []
    monkeypatch.setattr(catalogs_module.told, "warn", said.append)
    monkeypatch.setitem(PairConfig.__init__.__kwdefaults__, "most_pairs", 1_000)
    monkeypatch.setattr("shoploop.features.catalogs.MOST_OF_USER", 10)
    monkeypatch.setattr("shoploop.features.ease.MOST_OF_USER", 10)
    rows = [*shoppers((0, 4, 8)), *TILL]

    def fitted(some):
        names = sorted({item for _, item, _ in rows})
        fit_catalogs(
            log_of(some, names), items(names), training_first=FIRST + 3, evaluation_first=FIRST + 9, last=FIRST + 11,
            config=CatalogConfig(factors=2, neighbours=2),
        )  # fmt: skip

    fitted(rows)
    assert said[0].startswith("5 baskets are so large, after others of the same user, that")
    assert said[1].startswith("One user has bought more than 10 different items ('till'): ")
    said.clear()
    fitted(shoppers((0, 4, 8)))
    assert said == []
