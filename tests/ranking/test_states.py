"""h_u of many users at once."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shop.serving import SHOP, make_ranker

from shoploop.events.fresh import Done
from shoploop.ranking.asked import Asked
from shoploop.ranking.states import order

SERVING = SHOP.split.serving
NOON = datetime(1970, 1, 1, 12, tzinfo=UTC) + timedelta(days=SERVING)
DONE = st.builds(
    Done,
    item=st.sampled_from(["milk", "tea", "salt", "an item of tomorrow"]),
    kind=st.sampled_from(["purchase", "view", "click"]),
    day=st.integers(SERVING - 3, SERVING + 1),
    quantity=st.just(1.0),
)
ASKED = st.builds(
    Asked,
    user=st.sampled_from(["ann", "bob", "cid", "somebody new", "somebody else"]),
    fresh=st.lists(DONE, max_size=5).map(tuple),
    time=st.integers(-2, 400).map(lambda days: NOON + timedelta(days=days)),
)


@pytest.fixture(scope="module")
def ranker(tmp_path_factory):
    return make_ranker(tmp_path_factory.mktemp("ranker"))


@settings(max_examples=60, deadline=None)
@given(asked=st.lists(ASKED, min_size=1, max_size=8))
def test_all_at_once_are_what_each_is_alone(ranker, asked):
    together = ranker.user_states().of(asked)
    alone = [ranker.user_state(each.user, fresh=each.fresh, now=each.time) for each in asked]
    assert np.allclose(together, alone, atol=1e-5)


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(-2, 2), st.integers(0, 2)), max_size=20),
    far=st.sampled_from([1, 2**62]),
)
def test_rows_are_ordered_by_one_key_after_the_other_whatever_their_range(rows, far):
    keys = np.array(rows, np.int64).reshape(-1, 3).T * np.array([[1], [1], [far // 4 or 1]])
    assert order(*keys).tolist() == sorted(range(len(rows)), key=lambda row: tuple(keys[:, row]))
