from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from shoploop.evaluation.counted import ItemNeighbours, best_decay, decayed_popularity
from shoploop.features.baskets import BASKETS
from shoploop.features.log import PurchaseLog, Vocabulary
from shoploop.samples.sample_set import SampleSet

DAY_0 = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = (DAY_0 - datetime(1970, 1, 1, tzinfo=UTC)).days


def log_of(*bought):
    """(user, item, days after the first) each."""
    rows = pl.DataFrame(
        [(user, item, FIRST + day, 1.0, None, None) for user, item, day in bought],
        schema=dict(user=pl.String, item=pl.String, day=pl.Int32, quantity=pl.Float64, price=pl.Float64, shop=pl.String),
        orient="row",
    )  # fmt: skip
    return PurchaseLog.of(rows, Vocabulary(tuple(sorted({item for _, item, _ in bought}))))


def asked(log, user, day, candidates, bought=()):
    items = np.array([log.vocabulary.items.index(item) for item in candidates], np.int32)
    return SampleSet(
        users_Q=np.array([log.users.index(user)], np.int32),
        days_Q=np.array([FIRST + day], np.int32),
        offsets_Q1=np.array([0, len(items)]),
        items_R=items,
        labels_R=np.isin(candidates, bought),
        sources_R=np.ones(len(items), np.uint8),
        features_RK=np.zeros((len(items), 0), np.float32),
        truth_offsets_Q1=np.array([0, 0]),
        truth_T=np.empty(0, np.int32),
        event_offsets_Q1=np.zeros(2, np.int64),
        event_items_E=np.empty(0, np.int32),
        event_baskets_E=np.empty(0, np.int32),
        ages_QL=np.full((1, BASKETS), -1, np.int32),
    )


FASHION = log_of(
    ("a", "old", 0), ("b", "old", 0), ("c", "old", 1), ("a", "new", 19), ("b", "new", 19), ("c", "later", 20)
)


def test_what_sold_long_ago_counts_less_the_faster_popularity_fades():
    request = asked(FASHION, "a", 20, ("new", "old"))
    fast, slow = (decayed_popularity(FASHION, request, days) for days in (3.0, 365.0))
    assert fast[0] > fast[1] and slow[1] > slow[0]


def test_what_is_bought_on_the_day_itself_or_later_does_not_count():
    assert decayed_popularity(FASHION, asked(FASHION, "a", 20, ("later",)), 7.0)[0] == 0.0
    assert decayed_popularity(FASHION, asked(FASHION, "a", 21, ("later",)), 7.0)[0] > 0.0


def test_a_purchase_counts_exp_of_minus_its_age_over_the_decay():
    found = decayed_popularity(FASHION, asked(FASHION, "a", 20, ("new", "old")), 10.0)
    np.testing.assert_allclose(found, [2 * np.exp(-0.1), 2 * np.exp(-2.0) + np.exp(-1.9)])


@pytest.mark.parametrize(("bought", "best"), [("new", 3.0), ("old", 365.0)])
def test_the_decay_is_the_one_under_which_what_was_bought_stands_highest(bought, best):
    assert best_decay(FASHION, asked(FASHION, "a", 20, ("new", "old"), (bought,)), (3.0, 365.0)) == best


TASTES = log_of(
    ("a", "tea", 0), ("a", "cup", 0), ("b", "tea", 1), ("b", "cup", 1), ("c", "nail", 0), ("c", "saw", 0),
    ("d", "tea", 2), ("e", "tea", 9), ("e", "saw", 9)
)  # fmt: skip


def test_neighbours_are_what_the_same_people_bought():
    request = asked(TASTES, "d", 5, ("cup", "nail", "saw", "tea"))
    cup, nail, saw, tea = ItemNeighbours(TASTES, before=FIRST + 5).scores(request)
    assert cup > 0 and nail == saw == 0
    assert tea == pytest.approx(0), "an item does not speak for itself"
    assert cup == pytest.approx(2 / np.sqrt(3 * 2))


def test_neighbours_know_nothing_of_later_days():
    request = asked(TASTES, "d", 10, ("saw",))
    assert ItemNeighbours(TASTES, before=FIRST + 9).scores(request)[0] == 0
    assert ItemNeighbours(TASTES, before=FIRST + 10).scores(request)[0] > 0


def test_who_has_bought_nothing_has_no_neighbours():
    assert ItemNeighbours(TASTES, before=FIRST + 5).scores(asked(TASTES, "e", 5, ("saw", "tea"))).tolist() == [0, 0]


def test_purchases_out_of_order_of_days_count_the_same():
    both = [asked(FASHION, "a", day, ("new", "old")) for day in (20, 2)]
    together = decayed_popularity(FASHION, SampleSet.concat(both), 7.0)
    apart = np.concatenate([decayed_popularity(FASHION, one, 7.0) for one in both])
    np.testing.assert_allclose(together, apart)
