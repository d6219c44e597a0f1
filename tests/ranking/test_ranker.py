"""What a shopper is answered."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from shop import FIRST, SALTY, SWEET, Shop
from shop.serving import make_ranker

from shoploop.events.fresh import Done
from shoploop.ranking.answer import RankRequest, RecommendRequest

SERVING_DAY = Shop().serving_day
NOON = datetime.combine(SERVING_DAY, time(12), UTC)


@pytest.fixture(scope="module")
def ranker(tmp_path_factory):
    return make_ranker(tmp_path_factory.mktemp("ranker"))


def recommend(ranker, user, *, now=NOON, **request):
    return ranker.recommend(RecommendRequest(user=user, **request), now=now)


def rank(ranker, user, items, *, now=NOON):
    return ranker.rank(RankRequest(user=user, items=items), now=now)


def names(answer):
    return [ranked.item for ranked in answer.items]


def test_what_the_user_buys_most_comes_first(ranker):
    assert names(recommend(ranker, "ann", k=2)) == ["milk", "apples"]
    assert names(recommend(ranker, "bob", k=2)) == ["tea", "nuts"]


def test_items_come_with_score_reason_and_the_fields_that_the_spec_names(tmp_path):
    ranker = make_ranker(tmp_path, item_fields=("title", "price"))

    first, second = recommend(ranker, "ann", k=2).items

    assert first.score > second.score
    assert first.fields == {"title": "Milk", "price": 3.5}
    assert first.reason == "you buy this about every 3 days, last 3 days ago"
    assert first.known


def test_an_answer_says_who_answered_how_and_for_which_day(ranker):
    answer, another = recommend(ranker, "ann"), recommend(ranker, "ann")

    assert (answer.version, answer.method, answer.as_of) == ("v123", "fused", SERVING_DAY.isoformat())
    assert answer.request_id != another.request_id


def test_excluded_items_are_not_recommended(ranker):
    assert names(recommend(ranker, "ann", k=1, exclude=["milk", "nonsense"])) == ["apples"]


def test_no_item_is_recommended_twice_and_never_more_than_k(ranker):
    for k in (1, 3, 500):
        items = names(recommend(ranker, "ann", k=k))
        assert len(items) == len(set(items)) <= k


def test_an_unknown_user_gets_what_sells(ranker):
    answer = recommend(ranker, "nobody", k=1)

    assert (answer.method, names(answer)) == ("popularity", ["apples"])


def test_an_unknown_user_in_a_known_shop_gets_what_sells_there(ranker):
    north = names(recommend(ranker, "nobody", shop="north"))

    assert north[0] == "nuts" and set(north[:6]) == set(SALTY)
    assert set(names(recommend(ranker, "nobody", shop="south", k=6))) == set(SWEET)


def test_after_a_shops_best_sellers_come_those_of_all_shops_with_lower_scores(ranker):
    answer = recommend(ranker, "nobody", shop="south", k=500)

    assert set(names(answer)) == {*SWEET, *SALTY}
    scores = [ranked.score for ranked in answer.items]
    assert scores == sorted(scores, reverse=True)


def test_an_unknown_shop_is_no_obstacle(ranker):
    assert names(recommend(ranker, "nobody", shop="moon", k=1)) == ["apples"]


def test_a_user_who_excludes_all_candidates_is_answered_with_nothing_excluded(ranker):
    everything = [item for item in (*SWEET, *SALTY) if item != "salt"]

    assert names(recommend(ranker, "ann", exclude=everything)) == ["salt"]


def test_given_items_are_put_in_the_users_order(ranker):
    assert names(rank(ranker, "ann", ["soap", "apples", "milk"])) == ["milk", "apples", "soap"]


def test_items_that_the_model_does_not_know_come_last_and_say_so(ranker):
    answer = rank(ranker, "ann", ["nonsense", "soap", "also nonsense", "milk"])

    assert names(answer) == ["milk", "soap", "nonsense", "also nonsense"]
    assert [ranked.known for ranked in answer.items] == [True, True, False, False]
    assert answer.items[-1].score is None and answer.items[-1].fields == {"title": None}


def test_only_unknown_items_are_an_answer_too(ranker):
    assert names(rank(ranker, "ann", ["x", "y"])) == names(rank(ranker, "nobody", ["x", "y"])) == ["x", "y"]


def test_an_item_that_is_given_twice_is_answered_once(ranker):
    assert names(rank(ranker, "ann", ["milk", "milk", "x", "x"])) == ["milk", "x"]


def test_an_unknown_user_has_items_ordered_by_what_sells(ranker):
    answer = rank(ranker, "nobody", ["bread", "apples"])

    assert (answer.method, names(answer)) == ("popularity", ["apples", "bread"])


def test_ranking_and_recommending_give_an_item_the_same_score(ranker):
    recommended = {ranked.item: ranked.score for ranked in recommend(ranker, "ann").items}

    for ranked in rank(ranker, "ann", list(recommended)).items:
        assert ranked.score == pytest.approx(recommended[ranked.item], abs=1e-5)


@pytest.mark.parametrize("kind", ["view", "click", "cart"])
def test_what_somebody_only_looked_at_is_never_said_to_be_bought(ranker, kind):
    today = (SERVING_DAY - date(1970, 1, 1)).days
    fresh = [Done("tea", kind, day, 1.0) for day in (today - 2, today - 1, today)]
    for looks in (fresh[-1:], fresh):
        for rules in ({}, {"hideOwned": True}):
            request = RecommendRequest.model_validate({"user": "stranger", "k": 3, "rules": rules})
            first, *others = ranker.recommend(request, now=NOON, fresh=looks).items
            assert (first.item, first.reason) == ("tea", "you looked at this today")
            assert not any("bought this" in other.reason or "you buy" in other.reason for other in others)


def test_who_bought_something_is_told_of_that(ranker):
    today = (SERVING_DAY - date(1970, 1, 1)).days
    fresh = [Done("tea", "view", today, 1.0), Done("tea", "purchase", today, 1.0)]
    [first] = ranker.recommend(RecommendRequest(user="stranger", k=1), now=NOON, fresh=fresh).items
    assert (first.item, first.reason) == ("tea", "you bought this once, last today")


def test_today_counts_while_the_data_is_fresh(ranker):
    assert recommend(ranker, "ann", now=NOON + timedelta(days=3)).as_of == str(SERVING_DAY + timedelta(days=3))


@pytest.mark.parametrize("days", [8, 3000, -1], ids=["a week and a day", "years", "before the data's end"])
def test_where_the_data_ended_long_ago_the_day_after_its_last_counts(ranker, days):
    assert recommend(ranker, "ann", now=NOON + timedelta(days=days)).as_of == str(SERVING_DAY)


TODAY = FIRST + Shop().days


def told(ranker, user, *done, now=NOON):
    """The reason of each item, after purchases of (item, day)."""
    fresh = [Done(item, "purchase", day, 1.0) for item, day in done]
    return {
        each.item: each.reason for each in ranker.recommend(RecommendRequest(user=user), now=now, fresh=fresh).items
    }


@pytest.mark.parametrize(
    "day, reason",
    [
        (TODAY, "you bought this once, last today"),
        (TODAY - 1, "you bought this once, last yesterday"),
        (TODAY - 2, "you bought this once, last 2 days ago"),
    ],
)
def test_days_in_reasons_are_counted_from_that_of_the_request(ranker, day, reason):
    assert told(ranker, "ann", ("tea", day))["tea"] == reason


def test_what_is_bought_today_makes_nothing_else_a_day_older_in_words(ranker):
    assert told(ranker, "ann", ("tea", TODAY))["milk"] == "you buy this about every 3 days, last 3 days ago"


def test_on_the_last_day_of_the_data_what_it_holds_of_that_day_was_bought_today(ranker):
    evening = NOON - timedelta(days=1)  # oda came on that day, and has bought tea since it was loaded
    reasons = told(ranker, "oda", ("tea", TODAY - 1), ("nuts", TODAY - 2), now=evening)
    assert reasons["honey"] == "you buy this about every 3 days, last today"
    assert reasons["tea"] == "you bought this once, last today"
    assert reasons["nuts"] == "you bought this once, last yesterday"


def test_where_the_data_ended_long_ago_today_is_the_day_after_its_last(ranker):
    years = timedelta(days=3000)
    reasons = told(ranker, "ann", ("tea", TODAY + years.days), now=NOON + years)
    assert reasons["tea"] == "you bought this once, last today"
    assert reasons["milk"] == "you buy this about every 3 days, last 3 days ago"


def test_where_nightly_runs_have_failed_for_a_while_days_in_words_are_counted_from_today_all_the_same(ranker):
    reasons = told(ranker, "ann", ("tea", TODAY + 10), ("nuts", TODAY + 5), now=NOON + timedelta(days=10))
    assert reasons["tea"] == "you bought this once, last today"
    assert reasons["nuts"] == "you bought this once, last 5 days ago"
    assert reasons["milk"] == "you buy this about every 3 days, last 13 days ago"


def test_data_that_is_too_old_is_said_to_be(ranker):
    assert ranker.known.staleness(NOON) is None
    assert "3001 days ago, and 7 are allowed" in ranker.known.staleness(NOON + timedelta(days=3000))


class Clock:
    """Seconds; what was announced passes at the next looks at it."""

    def __init__(self, *passes):
        self.now, self.passes = 0.0, list(passes)

    def __call__(self):
        now = self.now
        self.now += self.passes.pop(0) if self.passes else 0.0
        return now


@pytest.mark.parametrize(
    "passes, method",
    [
        ((0.01, 0.01, 0.01), "fused"),
        ((0.2,), "frequency"),
        ((0.0, 0.2), "frequency"),
        ((0.0, 0.0, 0.2), "dnn"),
    ],
    ids=["in time", "late at once", "late after the features", "late after the DNN"],
)
def test_past_its_deadline_it_answers_with_less(tmp_path, passes, method):
    ranker = make_ranker(tmp_path, deadline_milliseconds=100, clock=Clock(*passes))

    answer = recommend(ranker, "ann", k=2)

    assert answer.method == method
    assert names(answer) == ["milk", "apples"]


def test_what_takes_longer_than_is_left_is_not_begun(tmp_path):
    ranker = make_ranker(tmp_path, deadline_milliseconds=100, clock=Clock())
    ranker.costs = type(ranker.costs)(features=0.01, dnn=0.01, transformer=0.2)

    assert recommend(ranker, "ann").method == "dnn"


def test_warming_up_measures_what_each_part_costs(tmp_path):
    ranker = make_ranker(tmp_path)

    ranker.warm_up()

    assert ranker.costs.features > 0 and ranker.costs.dnn > 0
