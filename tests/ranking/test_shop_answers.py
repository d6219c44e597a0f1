"""Which shop is next: answered by a model that chooses shops, and by one that does not."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import numpy as np
import pytest
from scipy import sparse
from shop import FIRST, Shop
from shop.serving import make_ranker

from shoploop.events.fresh import Done
from shoploop.features.log import Int32
from shoploop.ranking.answer import ShopsRequest
from shoploop.ranking.explaining import Shown, ShownItem, explain
from shoploop.ranking.shop_reasons import shop_reason
from shoploop.ranking.visiting import ShopsUnknown, Visiting
from shoploop.surfaces.shops.memory import ShopRecall
from shoploop.surfaces.shops.visits import VisitHistory
from shoploop.versions.artifact import load_version
from shoploop.versions.trained import TrainedModel

SHOP = Shop()
NOON = datetime.combine(SHOP.serving_day, time(12), UTC)
TODAY = FIRST + SHOP.days


@pytest.fixture(scope="module")
def trained(searching_shop):
    return TrainedModel.of_version(load_version(searching_shop / "model"))


@pytest.fixture(scope="module")
def ranker(trained, tmp_path_factory):
    return make_ranker(tmp_path_factory.mktemp("ranker"), trained=trained)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Of a model that chooses no shops: habits answer."""
    return make_ranker(tmp_path_factory.mktemp("plain"))


@pytest.fixture(params=["ranker", "plain"])
def either(request):
    return request.getfixturevalue(request.param)


def shops(ranker, user, *, now=NOON, until=None, fresh=(), **asked):
    return ranker.shops(ShopsRequest(user=user, **asked), now=now, until=until, fresh=fresh)


def names(answer):
    return [each.shop for each in answer.shops]


def bought_in(shop, *, day=TODAY, kind="purchase", item="tea"):
    return Done(item=item, kind=kind, day=day, quantity=1.0, shop=shop)


@pytest.mark.parametrize("number", range(4))
def test_everybody_is_told_their_own_shop_first(either, number):
    own, other = ("south", "north") if number % 2 == 0 else ("north", "south")
    assert names(shops(either, SHOP.people[number])) == [own, other]


def test_an_answer_says_who_answered_how_and_for_which_day(ranker, plain):
    answer = shops(ranker, "ann")
    assert (answer.version, answer.method, answer.as_of) == ("v123", "fused", SHOP.serving_day.isoformat())
    assert shops(plain, "ann").method == "frequency"
    assert answer.shops[0].title == "South" and answer.shops[0].score > answer.shops[1].score


def test_a_stranger_gets_what_is_visited_most(either):
    answer = shops(either, "zoe")
    assert (answer.method, names(answer)) == ("popularity", ["south", "north"])
    assert {each.reason for each in answer.shops} == {"visited by many this month"}


def test_where_a_stranger_says_to_be_counts_as_a_visit(either):
    assert names(shops(either, "zoe", shop="north"))[0] == "north"
    assert shops(either, "zoe", shop="north").shops[0].reason == "you were here last, today"
    assert names(shops(either, "zoe", shop="atlantis"))[0] == "south", "nobody has been there"
    assert names(shops(either, "ann", shop="north"))[0] == "south", "of ann more is known"


def test_what_was_just_bought_somewhere_is_a_visit_and_tomorrow_is_answered_for(either):
    answer = shops(either, "zoe", fresh=[bought_in("north")])
    assert answer.as_of == (SHOP.serving_day + timedelta(days=1)).isoformat()
    assert names(answer)[0] == "north" and answer.shops[0].reason == "you were here last, today"


def test_where_somebody_was_yesterday_is_said_to_be_yesterday_although_they_did_something_today(either):
    done = [bought_in("north", day=TODAY - 1), bought_in("south")]
    told = {each.shop: each.reason for each in shops(either, "zoe", fresh=done).shops}
    assert told == {"north": "you were here once, last yesterday", "south": "you were here last, today"}


@pytest.mark.parametrize("done", [bought_in("north", kind="click"), bought_in(None), bought_in("atlantis")])
def test_what_is_no_purchase_at_a_known_shop_is_no_visit(plain, done):
    answer = shops(plain, "zoe", fresh=[done])
    assert (answer.method, answer.as_of) == ("popularity", SHOP.serving_day.isoformat())


def test_of_a_day_in_two_shops_that_one_counts_where_most_was_bought(plain):
    done = [bought_in("south"), bought_in("north"), bought_in("north", item="nuts")]
    assert names(shops(plain, "zoe", fresh=done))[0] == "north"


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
    [((0.01, 0.01, 0.01), "fused"), ((0.2,), "frequency"), ((0.0, 0.2), "dnn")],
    ids=["in time", "late at once", "late before the Transformer"],
)
def test_past_its_deadline_it_answers_with_less(trained, tmp_path, passes, method):
    ranker = make_ranker(tmp_path, trained=trained, deadline_milliseconds=100, clock=Clock(*passes))
    answer = shops(ranker, "ann")
    assert (answer.method, names(answer)) == (method, ["south", "north"])


def test_a_shop_that_the_model_has_not_learned_comes_after_those_that_it_has(trained, tmp_path):
    ranker = make_ranker(tmp_path, trained=replace(trained, shops=("north",)))
    answer = shops(ranker, "ann")
    assert (answer.method, names(answer)) == ("fused", ["north", "south"])
    assert answer.shops[0].score > answer.shops[1].score
    assert shops(ranker, "ann", only=["south"]).method == "frequency"


def test_no_more_than_k_none_that_is_excluded_and_only_those_that_are_named(either):
    assert names(shops(either, "ann", k=1)) == ["south"]
    assert names(shops(either, "ann", exclude=["south", "atlantis"])) == ["north"]
    assert names(shops(either, "ann", only=["north", "atlantis"])) == ["north"]
    assert names(shops(either, "ann", only=["north"], exclude=["north"])) == []


def test_where_nobody_has_been_in_any_of_the_shops_asked_for_it_is_named(either):
    with pytest.raises(ShopsUnknown, match="Nobody has visited any of the shops in only: 'atlantis'") as found:
        shops(either, "ann", only=["atlantis"])
    assert found.value.code == "shop_unknown"


def test_where_purchases_name_no_shop_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("shop.serving.read_visits", lambda folder: None)
    with pytest.raises(ShopsUnknown, match="Map a column of the interactions to shop, and run again") as found:
        shops(make_ranker(tmp_path), "ann")
    assert found.value.code == "shops_not_named"


def test_the_same_shop_scores_the_same_alone_and_among_others(ranker):
    among = {each.shop: each.score for each in shops(ranker, "ann").shops}
    [alone] = shops(ranker, "ann", only=["north"]).shops
    assert alone.score == pytest.approx(among["north"], rel=1e-5)


def test_moments_of_a_day_are_one_visit_also_where_they_are_told_apart_for_items(trained, tmp_path):
    """Shops were learned from whole days."""
    done = [bought_in("south", item=item) for item in ("milk", "cake", "jam")]
    ages = {}
    for sessions in (False, True):
        known = make_ranker(tmp_path, trained=replace(trained, sessions=sessions)).known
        visited, user = known.visited("ann", done, NOON), known.visitor("ann", done, NOON).user
        choosing = known.choosing
        asked = choosing.input(choosing.of_model(choosing.choice(visited)), visited, user.history)
        ages[sessions] = asked.sequence.ages_L.tolist()
        assert set(asked.shops_L[:21]) == {1}, "each of ann's baskets is of the south"
    assert ages[True] == ages[False] and ages[True][:3] == [1, 4, 7]


def explained(ranker, answer, place, **facts):
    items = tuple(ShownItem.of(each) for each in answer.items)
    shown = Shown(
        request_id=answer.request_id, user="ann", now=NOON, items=items, method=answer.method, shops=True, **facts
    )
    return explain(ranker.known, shown, place)


def test_an_explanation_adds_up_to_the_score(ranker):
    answer = shops(ranker, "ann")
    why = explained(ranker, answer, 1)
    parts = why.parts
    assert parts.alpha * parts.dnn + (1 - parts.alpha) * parts.transformer == pytest.approx(why.score, rel=1e-4)
    assert (why.item, why.sources, why.reason) == ("south", ["visits"], answer.shops[0].reason)
    assert why.features and all(each.feature.startswith("shop_") and each.about for each in why.features)


def test_what_no_model_answered_is_explained_without_one(plain):
    why = explained(plain, shops(plain, "ann"), 2)
    assert (why.item, why.sources, why.parts, why.features) == ("north", ["popular"], None, [])


def test_who_shares_the_users_shops_is_named_only_where_somebody_does(plain):
    packaged = plain.known.choosing.packaged
    near_PP = sparse.csr_matrix(np.array([[0, 0], [1, 0]], np.float32))  # who goes to the south goes to the north too
    shared = replace(packaged, recall=replace(packaged.recall, near_PP=near_PP))
    visited = plain.known.visited("ann", (), NOON)
    for told, near in ((packaged, False), (shared, True)):
        assert Visiting(plain.known.trained, told).is_near(0, visited) == near


def codes(*values: int) -> Int32:
    return np.array(values, np.int32)


MONDAY = 18_001


@pytest.mark.parametrize(
    "days, at, shop, reason",
    [
        ((0, 7, 14, 15), (0, 0, 0, 1), 0, "where you mostly are on Mondays"),
        ((0, 10, 20), (0, 0, 0), 0, "you are here about every 10 days, last yesterday"),
        ((20,), (1,), 1, "you were here last, yesterday"),
        ((3, 20), (0, 1), 0, "you were here once, last 18 days ago"),
        ((3, 5, 20), (0, 0, 1), 0, "you were here twice, last 16 days ago"),
        ((20,), (1,), 2, "visited by others who go to Mall"),
        ((20,), (0,), 1, "visited by many this month"),
        ((20,), (0,), 2, "new to you"),
    ],
)
def test_reasons_are_true(days, at, shop, reason):
    near_PP = np.zeros((3, 3), np.float32)
    near_PP[1, 2] = 0.4  # who goes to the mall goes to the west
    recall = ShopRecall(
        lately_P=np.array([0.6, 0.4, 0.0], np.float32),
        next_PP=sparse.csr_matrix((3, 3), dtype=np.float32),
        near_PP=sparse.csr_matrix(near_PP),
    )
    history = VisitHistory(
        shops_H=codes(*at), days_H=codes(*(MONDAY + each for each in days)), sizes_H=codes(*([1] * len(days)))
    )
    told = shop_reason(
        shop, history=history, day=MONDAY + 21, recall=recall, titles=(None, "Mall", None), names=("0", "1", "2")
    )
    assert told == reason
