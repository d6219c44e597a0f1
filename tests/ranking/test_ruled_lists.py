"""Rules of a list in whole answers: which come from the spec, which from a request, and what they know of a shopper."""

from collections import Counter
from datetime import UTC, datetime, time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shop import SALTY, SWEET, Shop
from shop.serving import make_ranker

from shoploop.api.list_rules import ListRulesSpec
from shoploop.candidates import fetching
from shoploop.events.fresh import Done
from shoploop.features import pairs
from shoploop.features.pairs import follower_scores
from shoploop.ranking import lists as lists_module
from shoploop.ranking import ranker as ranker_module
from shoploop.ranking.answer import RecommendRequest, SearchRequest

DAY = (Shop().serving_day - datetime(1970, 1, 1).date()).days
NOON = datetime.combine(Shop().serving_day, time(12), UTC)


@pytest.fixture(scope="module")
def ranker(tmp_path_factory):
    return make_ranker(tmp_path_factory.mktemp("ranker"))


def recommend(ranker, user="ann", *, fresh=(), out_of_stock=(), **request):
    asked = RecommendRequest.model_validate({"user": user} | request)
    return ranker.recommend(asked, now=NOON, fresh=fresh, out_of_stock=out_of_stock)


def names(answer):
    return [ranked.item for ranked in answer.items]


def effects(answer):
    return {effect.rule: effect.items for effect in answer.rules}


@settings(max_examples=30)
@given(
    user=st.sampled_from(["ann", "bob", "nobody"]),
    k=st.integers(1, 30),
    exclude=st.lists(st.sampled_from([*SWEET, *SALTY]), max_size=12),
)
def test_rules_that_change_nothing_give_the_bytes_of_an_answer_without_rules(ranker, user, k, exclude):
    plain = recommend(ranker, user, k=k, exclude=exclude)
    ruled = recommend(ranker, user, k=k, exclude=exclude, rules={"maxPerCategory": 500})
    same = {"request_id": "", "rules": []}
    # rules look further for a list that is too short
    assert ruled.model_copy(update={"items": ruled.items[: len(plain.items)]} | same).model_dump_json() == (
        plain.model_copy(update=same).model_dump_json()
    )


def test_a_list_of_both_tastes_where_a_category_may_have_two(ranker):
    answer = recommend(ranker, k=4, rules={"maxPerCategory": 2})
    assert names(answer)[:2] == ["milk", "apples"]
    assert set(names(answer)[2:]) <= set(SALTY)
    assert effects(answer)["max_per_category"] > 0


def test_what_the_shop_excludes_is_in_no_list_whoever_asks(tmp_path):
    for name in ("plain", "ruled"):
        (tmp_path / name).mkdir()
    plain = make_ranker(tmp_path / "plain")
    best = names(recommend(plain, k=1))[0]
    kind = plain.known.about(names(recommend(plain, k=2))[1]).category[-1]
    rules = {"exclude": [{"item": best}, {"category": kind}]}
    ranker = make_ranker(tmp_path / "ruled", list_rules=ListRulesSpec.model_validate(rules))
    for user in ("ann", "bob", "nobody"):
        answer = recommend(ranker, user, k=30)
        assert answer.items
        assert best not in names(answer)
        assert all(kind not in ranker.known.about(item).category for item in names(answer))
    assert effects(recommend(ranker, k=30))["exclude"] > 0
    assert best in names(recommend(ranker, k=1, rules={"exclude": []}))


def test_the_spec_has_the_rules_where_a_request_has_none(tmp_path):
    ranker = make_ranker(tmp_path, list_rules=ListRulesSpec(max_per_category=1))
    assert len(set(names(recommend(ranker, k=2))) & set(SALTY)) == 1
    assert names(recommend(ranker, k=2, rules={"maxPerCategory": None})) == ["milk", "apples"]
    assert len(names(recommend(ranker, k=5))) == 2  # one sweet, one salty


@pytest.mark.parametrize("user", ["ann", "nobody"])
def test_only_the_items_that_are_asked_for_are_recommended(ranker, user):
    answer = recommend(ranker, user, k=10, only=["soap", "apples", "nonsense", "milk"])
    assert set(names(answer)) == {"soap", "apples", "milk"}
    assert names(answer)[0] == ("milk" if user == "ann" else "apples")
    assert names(recommend(ranker, user, only=["nonsense"])) == []


@pytest.mark.parametrize("user", ["ann", "nobody"])
def test_what_is_out_of_stock_is_not_recommended(ranker, user):
    answer = recommend(ranker, user, k=12, out_of_stock={"apples", "milk"})
    assert set(names(answer)) == {*SWEET, *SALTY} - {"apples", "milk"}
    assert effects(answer) == {"out_of_stock": 2}


def test_what_the_user_owns_or_bought_lately_is_hidden(ranker):
    assert not {"milk", "apples"} & set(names(recommend(ranker, k=12, rules={"hideOwned": True})))
    # ann was last there 3 days ago, and bought milk alone
    assert "milk" in names(recommend(ranker, k=12, rules={"hidePurchasedDays": 2}))
    answer = recommend(ranker, k=12, rules={"hidePurchasedDays": 3})
    assert "milk" not in names(answer) and "apples" in names(answer)
    assert effects(answer) == {"hide_purchased_days": 1}


@pytest.mark.parametrize("user", ["ann", "nobody"])
def test_what_was_bought_a_moment_ago_is_hidden_and_what_was_looked_at_is_not(ranker, user):
    fresh = [Done("soap", "purchase", DAY, 1.0), Done("tea", "view", DAY, 1.0)]
    found = names(recommend(ranker, user, k=12, fresh=fresh, rules={"hidePurchasedDays": 1}))
    assert "soap" not in found and "tea" in found
    assert "tea" in names(recommend(ranker, user, k=12, fresh=fresh[1:], rules={"hideOwned": True}))


@pytest.mark.parametrize("user", ["ann", "nobody"])
def test_a_pinned_item_says_that_the_shop_chose_it(ranker, user):
    answer = recommend(ranker, user, k=3, rules={"pins": [{"item": "salt", "place": 2}, {"item": "news", "place": 1}]})
    first, second, third = answer.items
    assert (first.item, first.known, first.reason, first.score) == ("news", False, "chosen by the shop", None)
    assert (second.item, second.known, second.reason) == ("salt", True, "chosen by the shop")
    assert third.reason != "chosen by the shop" and third.item == ("milk" if user == "ann" else "apples")
    assert effects(answer) == {"pins": 2}


def test_a_boosted_item_keeps_its_own_reason(ranker):
    answer = recommend(ranker, k=1, rules={"boosts": [{"item": "apples", "logOdds": 5}]})
    assert names(answer) == ["apples"]
    assert answer.items[0].reason.startswith("you buy this about every 6 days")
    assert effects(answer) == {"boosts": 1}


def test_a_list_is_full_also_where_candidates_and_best_sellers_do_not_suffice(tmp_path):
    ranker = make_ranker(tmp_path)
    ranker._popular = {"": type(ranker._popular[""])(items=("apples",), rates=(0.5,))}
    assert len(names(recommend(ranker, "nobody", k=12, rules={"maxPerCategory": 500}))) == 12


def few_further(monkeypatch, number):
    """Rules look at so many items beyond those asked for."""
    for module in (ranker_module, lists_module):
        monkeypatch.setattr(module, "FURTHER", number)


@pytest.mark.parametrize("late", [False, True], ids=["with the model", "past the deadline"])
@pytest.mark.parametrize("user", ["ann", "nobody"])
def test_rules_look_at_a_bounded_number_of_items(tmp_path, monkeypatch, user, late):
    """Of a shop of twelve, two that were asked for and three further, found and not found: ten at the most."""
    few_further(monkeypatch, 3)
    ranker = make_ranker(tmp_path)
    looked = Counter()

    class Stock:
        def __len__(self):
            return 12

        def __iter__(self):
            return iter([*SWEET, *SALTY])

        def __contains__(self, item):
            looked[item] += 1
            return True

    request = RecommendRequest(user=user, k=2)
    until = float("-inf") if late else None
    assert ranker.recommend(request, now=NOON, until=until, out_of_stock=Stock()).items == []
    assert 5 <= looked.total() == len(looked) <= 10


@pytest.mark.parametrize("user", ["ann", "nobody"])
def test_past_the_deadline_too_a_request_that_names_items_goes_over_them_alone(tmp_path, user):
    ranker = make_ranker(tmp_path)
    request = RecommendRequest(user=user, k=9, only=["soap", "milk", "nonsense"], rules={"hideOwned": True})
    answer = ranker.recommend(request, now=NOON, until=float("-inf"))
    assert names(answer) == (["soap"] if user == "ann" else ["milk", "soap"])


SOLD_MOST = frozenset({*SWEET, *SALTY} - {"jam", "soap"})


@pytest.mark.parametrize("late", [False, True], ids=["with the model", "past the deadline"])
@pytest.mark.parametrize("user", ["ann", "nobody"])
def test_what_can_be_bought_is_recommended_though_more_of_the_best_sellers_are_gone_than_are_looked_at(
    tmp_path, monkeypatch, user, late
):
    few_further(monkeypatch, 3)
    ranker = make_ranker(tmp_path)
    ranker._popular = {"": type(ranker._popular[""])(items=("apples",), rates=(0.5,))}
    request = RecommendRequest(user=user, k=2)
    until = float("-inf") if late else None
    answer = ranker.recommend(request, now=NOON, until=until, out_of_stock=SOLD_MOST)
    assert set(names(answer)) == {"jam", "soap"}


def test_a_search_that_finds_nothing_shows_what_can_be_bought_though_all_best_sellers_are_gone(tmp_path, monkeypatch):
    few_further(monkeypatch, 3)
    ranker = make_ranker(tmp_path)
    ranker._popular = {"": type(ranker._popular[""])(items=("apples", "nuts"), rates=(0.5, 0.4))}
    answer = ranker.search(SearchRequest(query="qqqq", k=2), now=NOON, out_of_stock=SOLD_MOST)
    assert (answer.method, set(names(answer))) == ("popularity", {"jam", "soap"})
    answer = ranker.search(SearchRequest(query="qqqq", k=2, exclude=["jam"]), now=NOON, out_of_stock=SOLD_MOST)
    assert names(answer) == ["soap"]


def test_a_pin_far_down_the_models_order_keeps_its_score(tmp_path, monkeypatch):
    few_further(monkeypatch, 0)
    ranker = make_ranker(tmp_path)
    first, second = recommend(ranker, k=2, rules={"pins": [{"item": "salt", "place": 1}]}).items
    assert (first.item, second.item) == ("salt", "milk") and first.score is not None


@pytest.mark.parametrize("rules", [{}, {"hideOwned": True}], ids=["no rules", "what is owned is hidden"])
def test_a_user_is_read_once_for_a_request_and_what_follows_what_is_counted_once(tmp_path, monkeypatch, rules):
    ranker = make_ranker(tmp_path)
    read, counted = [], []
    stored, count = ranker.known.stored, follower_scores
    monkeypatch.setattr(ranker.known, "stored", lambda user, **how: read.append(user) or stored(user, **how))
    for module in (fetching, pairs):
        monkeypatch.setattr(module, "follower_scores", lambda *asked: counted.append(1) or count(*asked))
    recommend(ranker, k=3, rules=rules)
    assert (read, counted) == (["ann"], [1])


def test_the_cost_of_a_short_answer_is_that_of_one_with_the_specs_rules(tmp_path):
    ranker = make_ranker(tmp_path, list_rules=ListRulesSpec(max_per_category=1), warm_up_users=("ann",))
    asked, about = [], ranker.known.about
    ranker.known.about = lambda item: asked.append(item) or about(item)
    visitor = ranker.known.visitor("ann", (), NOON)
    ranker._measure("ann", visitor, visitor.user)
    assert asked


def test_past_the_deadline_rules_hold_too(tmp_path):
    ranker = make_ranker(tmp_path, deadline_milliseconds=1, clock=iter(range(1000)).__next__)
    answer = recommend(ranker, k=3, rules={"hideOwned": True, "pins": [{"item": "salt", "place": 1}]})
    assert answer.method == "frequency"
    assert names(answer)[0] == "salt" and not {"milk", "apples"} & set(names(answer))
