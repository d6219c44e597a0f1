"""What has ended by the table of items is in no list and found by no search, from the day after its last one on."""

from datetime import UTC, datetime, time, timedelta

import pytest
from shop import Shop
from shop.serving import make_ranker

from shoploop.ranking.answer import RankRequest, RecommendRequest, SearchRequest

TODAY = Shop().serving_day
NOON = datetime.combine(TODAY, time(12), UTC)
YESTERDAY = TODAY - timedelta(days=1)


def recommended(ranker, *, now=NOON, **request):
    answer = ranker.recommend(RecommendRequest.model_validate({"user": "ann", "k": 12} | request), now=now)
    return [ranked.item for ranked in answer.items]


def found(ranker, query, *, now=NOON, **options):
    return [ranked.item for ranked in ranker.search(SearchRequest(query=query), now=now, **options).items]


@pytest.fixture(scope="module")
def ranker(tmp_path_factory):
    return make_ranker(tmp_path_factory.mktemp("ranker"), ends={"milk": YESTERDAY, "apples": TODAY})


@pytest.mark.parametrize("user", ["ann", "nobody"])
def test_what_ended_yesterday_is_not_recommended_and_what_ends_today_still_is(ranker, user):
    answer = recommended(ranker, user=user)
    assert "milk" not in answer and "apples" in answer


def test_an_item_leaves_the_lists_when_its_last_day_is_over_without_another_run(ranker):
    assert "apples" not in recommended(ranker, now=NOON + timedelta(days=1))


@pytest.mark.parametrize("days", [1, 7, 8, 60, 300])
def test_what_has_ended_does_not_come_back_when_no_run_has_worked_for_long(ranker, days):
    now = NOON + timedelta(days=days)
    for user in ("ann", "nobody"):
        assert not {"milk", "apples"} & set(recommended(ranker, user=user, now=now))
    assert not {"milk", "apples"} & set(found(ranker, "apples", now=now))


def test_what_ends_while_no_run_works_leaves_the_lists_on_its_day(tmp_path):
    ranker = make_ranker(tmp_path, ends={"milk": TODAY + timedelta(days=30)})
    assert "milk" in recommended(ranker, now=NOON + timedelta(days=30))
    assert "milk" not in recommended(ranker, now=NOON + timedelta(days=31))


def test_data_of_years_ago_are_served_as_on_the_day_after_their_last(ranker):
    answer = recommended(ranker, now=NOON + timedelta(days=3 * 365))
    assert "milk" not in answer and "apples" in answer


def test_what_has_ended_is_not_found(ranker):
    assert "milk" not in found(ranker, "milk") and "apples" in found(ranker, "apples")


def test_what_is_out_of_stock_is_left_out_beside_what_has_ended(ranker):
    assert not {"milk", "apples"} & set(found(ranker, "sweet", out_of_stock=["apples"]))


def test_where_all_has_ended_nothing_is_recommended(tmp_path):
    everything = dict.fromkeys(Shop().names, YESTERDAY)
    assert recommended(make_ranker(tmp_path, ends=everything)) == []


def test_what_is_asked_about_by_name_is_still_ranked(ranker):
    answer = ranker.rank(RankRequest(user="ann", items=["tea", "milk"]), now=NOON)
    assert {ranked.item for ranked in answer.items} == {"tea", "milk"}
