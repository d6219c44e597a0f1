import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from own_rows import MILK_EVERY_WEEK, catalog_of, features_at, log_of

from shoploop.features.contract import PAIR_FEATURES, Contract
from shoploop.features.history import History
from shoploop.features.log import Vocabulary

NAMES = [feature.name for feature in PAIR_FEATURES]


def test_every_feature_is_finite_for_a_stranger_in_an_empty_shop():
    log = log_of(MILK_EVERY_WEEK)
    catalog = catalog_of(log)
    assert np.isfinite(features_at(log, catalog, "bob", 0)).all()
    assert np.isfinite(features_at(log, catalog, "anna", 5000)).all()


def test_the_contract_picks_and_orders_the_columns():
    log = log_of(MILK_EVERY_WEEK)
    catalog = catalog_of(log)
    whole = features_at(log, catalog, "anna", 28)
    two = features_at(log, catalog, "anna", 28, Contract(pair_features=("item_rate_7", "own_days")))
    assert two[:, 0].tolist() == whole[:, NAMES.index("item_rate_7")].tolist()
    assert two[:, 1].tolist() == whole[:, NAMES.index("own_days")].tolist()


rows = st.lists(
    st.tuples(st.sampled_from(["u0", "u1", "u2"]), st.sampled_from(["a", "b", "c", "d", "e"]), st.integers(0, 40)),
    min_size=3,
    max_size=40,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(past=rows, future=rows, moved=rows, request=st.integers(1, 39))
def test_rows_of_the_request_day_and_later_change_no_feature(past, future, moved, request):
    def shop(later):
        kept = [(u, i, d) for u, i, d in past if d < request] + [("u0", "a", 0)]
        return log_of(kept + [(u, i, d + request) for u, i, d in later], ["a", "b", "c", "d", "e"])

    before = catalog_of(log_of([("u0", "a", 0), ("u0", "b", 0), ("u1", "a", 1)], ["a", "b", "c", "d", "e"]))
    one, other = shop(future), shop(moved)
    np.testing.assert_array_equal(features_at(one, before, "u0", request), features_at(other, before, "u0", request))


@settings(max_examples=40, deadline=None)
@given(rows=rows)
def test_a_history_read_back_from_item_ids_is_the_same_history(rows):
    vocabulary = Vocabulary(("a", "b", "c", "d"))  # e is unknown
    items, days = [i for _, i, _ in rows], [d for _, _, d in rows]
    history = History.from_names(vocabulary, items, days, [1.0] * len(rows))
    again = History.from_names(
        vocabulary,
        [vocabulary.items[code] for code in history.items_H][::-1],
        history.days_H[::-1].tolist(),
        history.quantities_H[::-1].tolist(),
    )
    for name in ("items_H", "days_H", "sizes_H", "quantities_H"):
        np.testing.assert_array_equal(getattr(history, name), getattr(again, name))
    assert sum(history.quantities_H) == sum(item != "e" for item in items)


def test_todays_events_join_a_history():
    history = History.of(np.array([0], np.int32), np.array([1], np.int32), np.array([1.0], np.float32))
    today = history.with_events(np.array([2, 0], np.int32), np.array([5, 5], np.int32), np.ones(2, np.float32))
    assert today.items_H.tolist() == [0, 0, 2]
    assert today.sizes_H.tolist() == [1, 2, 2]
    assert today.before(5).items_H.tolist() == [0]
