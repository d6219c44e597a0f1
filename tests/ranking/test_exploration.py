"""Two items of a list change places by chance, and how probable what is shown was is known exactly."""

from collections import Counter
from datetime import UTC, datetime, time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from shop import Shop
from shop.serving import make_ranker

from shoploop.api.exploration import ExplorationSpec
from shoploop.ranking.answer import RecommendRequest
from shoploop.ranking.exploration import Design, draw, propensities
from shoploop.ranking.settings import RankerSettings

NOON = datetime.combine(Shop().serving_day, time(12), UTC)
ALWAYS = ExplorationSpec(share=1.0, pool=8)


@st.composite
def designs(draw):
    keep, shown = draw(st.integers(0, 4)), draw(st.integers(1, 8))
    pool = draw(st.integers(shown, shown + 8))
    return Design(share=draw(st.floats(0.01, 1)), keep=min(keep, shown), shown=shown, pool=pool)


@given(designs())
def test_at_each_position_something_stands_and_nothing_stands_twice(design):
    found_RK = propensities(design)
    assert (found_RK >= 0).all()
    assert found_RK.sum(axis=0) == pytest.approx(1)
    assert (found_RK.sum(axis=1) <= 1 + 1e-9).all()


@given(designs(), st.integers(0, 100))
def test_at_most_two_places_are_not_as_they_would_be_and_the_head_never(design, number):
    ranks = draw(design, seed=0, request_id=str(number))
    assert len(set(ranks)) == design.shown
    assert sum(rank != position for position, rank in enumerate(ranks)) <= 2
    assert ranks[: design.keep] == list(range(design.keep))


@pytest.mark.parametrize(
    "design", [Design(share=0.6, keep=0, shown=3, pool=5), Design(share=1, keep=1, shown=4, pool=6)]
)
def test_what_is_drawn_is_drawn_as_often_as_is_said(design):
    draws = 30_000
    counts = Counter(
        (rank, position)
        for number in range(draws)
        for position, rank in enumerate(draw(design, seed=7, request_id=str(number)))
    )
    shares_RK = np.array([[counts[r, p] / draws for p in range(design.shown)] for r in range(design.pool)])
    error_RK = np.sqrt(propensities(design) / draws)
    assert (np.abs(shares_RK - propensities(design)) <= 5 * error_RK + 1e-12).all()


def test_a_request_is_drawn_the_same_again_and_otherwise_by_another_seed():
    design = Design(share=1, keep=0, shown=10, pool=20)
    once = [draw(design, seed=0, request_id=str(n)) for n in range(20)]
    assert once == [draw(design, seed=0, request_id=str(n)) for n in range(20)]
    assert once != [draw(design, seed=1, request_id=str(n)) for n in range(20)]


def answers(ranker, n=40, **request):
    asked = RecommendRequest.model_validate({"user": "ann", "k": 3} | request)
    return [ranker.recommend(asked, now=NOON) for _ in range(n)]


def test_a_spec_that_says_nothing_of_it_lets_chance_take_no_part(tmp_path):
    found = answers(make_ranker(tmp_path), n=5)
    assert {tuple(item.item for item in answer.items) for answer in found} == {tuple(i.item for i in found[0].items)}
    assert found[0].explored is None


def test_an_answer_knows_how_it_was_drawn_and_tells_it_to_nobody(tmp_path):
    plain = [item.item for item in answers(make_ranker(tmp_path), n=1)[0].items]
    found = answers(make_ranker(tmp_path, exploration=ALWAYS))
    assert any([item.item for item in answer.items] != plain for answer in found)
    for answer in found:
        shown, explored = [item.item for item in answer.items], answer.explored
        assert len(shown) == 3 and list(explored.ranking[:3]) == plain and len(explored.ranking) == 8
        assert shown == [explored.ranking[rank] for rank in explored.ranks]
        of_RK = propensities(explored.design)
        assert explored.propensities == tuple(of_RK[r, p] for p, r in enumerate(explored.ranks))
        assert "explored" not in answer.model_dump_json()


def test_what_the_shop_pinned_or_left_out_stays_so(tmp_path):
    ranker = make_ranker(tmp_path, exploration=ALWAYS)
    pinned = answers(ranker, rules={"pins": [{"item": "tea", "place": 1}]})
    assert {answer.items[0].item for answer in pinned} == {"tea"} and pinned[0].explored is None
    left_out = answers(ranker, exclude=["milk"], rules={"maxPerCategory": 2})
    assert not any(item.item == "milk" for answer in left_out for item in answer.items)
    assert all("milk" not in answer.explored.ranking for answer in left_out)


def test_a_list_of_all_there_is_has_nothing_to_explore(tmp_path):
    assert answers(make_ranker(tmp_path, exploration=ALWAYS), n=1, k=20)[0].explored is None


def test_a_pool_no_larger_than_what_never_moves_is_refused():
    with pytest.raises(ValidationError, match="pool must be larger than keep"):
        ExplorationSpec(keep=10, pool=11)


def test_a_package_remembers_how_to_explore(tmp_path):
    settings = RankerSettings(version="v1", exploration=ExplorationSpec(share=0.1, keep=2))
    settings.write(tmp_path)
    assert RankerSettings.read(tmp_path) == settings
