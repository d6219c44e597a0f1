"""Visits, what is remembered of shops, and what they say of a user and a shop."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from shoploop.errors import TooFewEvents
from shoploop.features.log import purchases
from shoploop.surfaces.shops.features import NAMES, shop_candidates, shop_features, weekday
from shoploop.surfaces.shops.memory import ShopMemory, ShopRecall, row_of
from shoploop.surfaces.shops.visits import VisitHistory, Visits, visits_of

MONDAY = 18_001
EAST, MALL, WEST = 0, 1, 2


def visits(*rows: tuple[str, int, str]) -> Visits:
    """Of rows of user, days after a Monday, and shop; one item each."""
    return visits_of(bought(*((user, day, shop, "milk") for user, day, shop in rows)))


def bought(*rows: tuple[str, int, str | None, str]) -> pl.DataFrame:
    start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=MONDAY)
    return purchases(
        pl.DataFrame(
            {
                "user": [row[0] for row in rows],
                "item": [row[3] for row in rows],
                "time": [start + timedelta(days=row[1], hours=9) for row in rows],
                "kind": ["purchase"] * len(rows),
                "shop": [row[2] for row in rows],
            },
            schema_overrides={"shop": pl.String},
        )
    )


def of_user(found: Visits, user: int, day: int, candidates=(EAST, MALL, WEST)) -> dict[str, np.ndarray]:
    """Features of a user's day by their names."""
    history = found.history(user, before=MONDAY + day)
    recall = ShopMemory(found).as_of(MONDAY + day)
    features_NS = shop_features(history, np.array(candidates, np.int32), day=MONDAY + day, recall=recall)
    return dict(zip(NAMES, features_NS.T, strict=True))


def test_a_visit_is_a_day_at_the_shop_where_most_was_bought():
    found = visits_of(
        bought(
            ("ann", 0, "mall", "milk"), ("ann", 0, "east", "milk"), ("ann", 0, "mall", "tea"), ("bob", 1, None, "tea")
        )
    )
    assert (found.users, found.shops) == (("ann",), ("east", "mall"))
    assert (found.shop_V.tolist(), found.size_V.tolist()) == ([MALL], [2])


def test_purchases_that_name_no_shop_are_said_to_tell_of_no_visit():
    with pytest.raises(TooFewEvents, match="No purchase names the shop"):
        visits_of(bought(("ann", 0, None, "milk")))


def test_a_history_ends_before_the_day_that_is_asked_for():
    found = visits(("ann", 0, "east"), ("ann", 3, "mall"), ("bob", 1, "west"))
    assert found.history(0, before=MONDAY + 3).shops_H.tolist() == [EAST]
    assert found.history(0, before=MONDAY + 4).shops_H.tolist() == [EAST, MALL]
    assert len(found.history(-1, before=MONDAY + 9)) == 0


def test_memory_knows_which_shop_follows_which_and_who_shares_them():
    found = visits(
        ("ann", 0, "east"),
        ("ann", 1, "mall"),
        ("ann", 2, "east"),
        ("ann", 3, "mall"),
        ("bob", 0, "east"),
        ("bob", 1, "west"),
    )
    recall = ShopMemory(found).as_of(MONDAY + 9)
    assert recall.next_PP[EAST, MALL] > 0.6 > recall.next_PP[EAST, WEST] > 0.3
    assert row_of(recall.next_PP, WEST).sum() == 0
    assert row_of(recall.near_PP, MALL).tolist() == [1, 0, 0]
    np.testing.assert_allclose(recall.lately_P, [3 / 6, 2 / 6, 1 / 6])


def test_nothing_of_the_day_itself_or_later_is_remembered():
    early = [("ann", 0, "east"), ("ann", 1, "mall"), ("bob", 0, "east"), ("bob", 2, "west")]
    late = [("ann", 5, "west"), ("ann", 6, "west"), ("bob", 5, "mall"), ("cid", 5, "mall")]
    known, all_ = visits(*early), visits(*early, *late)
    for name, now, then in zip(NAMES, of_user(known, 0, 5).values(), of_user(all_, 0, 5).values(), strict=True):
        np.testing.assert_array_equal(now, then, err_msg=name)


def test_features_say_where_a_user_goes_how_often_and_on_which_weekday():
    weeks = [("ann", 7 * week, "east") for week in range(4)] + [("ann", 7 * week + 5, "mall") for week in range(4)]
    found = of_user(visits(*weeks, ("bob", 0, "west")), 0, 28)
    assert found["last"].tolist() == [0, 1, 0]
    np.testing.assert_allclose(found["share"], [0.5, 0.5, 0])
    np.testing.assert_allclose(np.expm1(found["days_since"]), [7, 2, 400], rtol=1e-5)
    assert found["decay_7"][MALL] > found["decay_7"][EAST], "lately the mall"
    assert found["weekday_30"][EAST] > 0 == found["weekday_30"][MALL], "on Mondays the east"
    assert found["own_next"][EAST] > 0.6 > found["own_next"][MALL], "after the mall the east"
    assert found["changes"][0] == 1
    assert found["due"][EAST] == pytest.approx(0, abs=1e-6)


def test_days_have_their_weekdays():
    assert [int(weekday(MONDAY + days)) for days in range(8)] == [0, 1, 2, 3, 4, 5, 6, 0]


def test_candidates_are_the_users_own_shops_those_of_who_shares_them_and_the_most_visited():
    found = visits(("ann", 0, "east"), ("bob", 0, "east"), ("bob", 1, "mall"), ("cid", 0, "west"))
    recall = ShopMemory(found).as_of(MONDAY + 2)
    assert shop_candidates(found.history(0, before=MONDAY + 2), recall).tolist() == [EAST, MALL, WEST]
    nobody = VisitHistory.empty()
    assert shop_candidates(nobody, recall).tolist() == [EAST, MALL, WEST]
    assert shop_candidates(nobody, ShopMemory(found).as_of(MONDAY)).tolist() == []


@given(
    st.dictionaries(st.integers(0, 500), st.tuples(st.integers(0, 2), st.integers(1, 90)), max_size=30),
    st.integers(501, 900),
)
def test_features_are_finite_whatever_was_visited(rows, day):
    days = sorted(rows)
    history = VisitHistory(
        shops_H=np.array([rows[each][0] for each in days], np.int32),
        days_H=np.array(days, np.int32),
        sizes_H=np.array([rows[each][1] for each in days], np.int32),
    )
    nothing = ShopRecall(
        lately_P=np.zeros(3, np.float32),
        next_PP=sparse.csr_matrix((3, 3), dtype=np.float32),
        near_PP=sparse.csr_matrix((3, 3), dtype=np.float32),
    )
    features_NS = shop_features(history, np.arange(3, dtype=np.int32), day=day, recall=nothing)
    assert features_NS.shape == (3, len(NAMES)) and np.isfinite(features_NS).all()
