"""What a list must be: laws over any scored items, and the shop's own examples."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shoploop.api.list_rules import BoostSpec, ListRulesSpec, PinSpec
from shoploop.data.ids import canonical_id
from shoploop.ranking import rules as rules_module
from shoploop.ranking.rules import About, normal, rerank, words

SHELF = {
    "milk": About(title="Milk", category=("dairy", "milk")),
    "milk-2": About(title="MILK!", category=("dairy", "milk")),
    "milk-xl": About(title="Milk 2 l", category=("dairy", "milk")),
    "brie": About(title="Brie", category=("dairy", "cheese")),
    "gouda": About(title="Gouda", category=("dairy", "cheese")),
    "bread": About(title="Bread", category=("bakery", "bread")),
    "nameless": About(),
}
SCORED = [(item, 6.0 - place) for place, item in enumerate(SHELF)]


def about(item):
    return SHELF.get(item) or About()


def listed(k=7, scored=SCORED, hides=None, log_odds=True, **rules):
    return rerank(scored, k=k, rules=ListRulesSpec(**rules), about=about, hides=hides, log_odds=log_odds)


def names(reranked):
    return [placed.item for placed in reranked.items]


def test_without_rules_the_list_is_the_models():
    found = listed(k=4)
    assert [(placed.item, placed.score) for placed in found.items] == SCORED[:4]
    assert found.effects == {}


def test_no_category_has_more_than_the_cap_and_what_has_none_is_not_counted():
    assert names(listed(max_per_category=1)) == ["milk", "brie", "bread", "nameless"]
    found = listed(max_per_category=1, category_level="Widest")
    assert names(found) == ["milk", "bread", "nameless"]
    assert found.effects == {"max_per_category": 4}


def test_the_same_title_in_other_letters_is_a_near_duplicate_and_another_size_is_a_similar_one():
    assert names(listed(k=4, near_duplicates="SameTitle")) == ["milk", "milk-xl", "brie", "gouda"]
    assert names(listed(k=4, near_duplicates="SimilarTitle")) == ["milk", "brie", "gouda", "bread"]


def test_near_duplicates_fill_a_list_that_would_be_too_short_at_its_end():
    found = listed(k=7, near_duplicates="SimilarTitle")
    assert names(found) == ["milk", "brie", "gouda", "bread", "nameless", "milk-2", "milk-xl"]
    assert found.effects == {"near_duplicates": 2}


@pytest.mark.parametrize(
    ("one", "other"),
    [("Crème  brûlée", "CREME BRULEE"), ("Coca-Cola", "coca cola"), ("Straße", "STRASSE"), ("ﬁg", "fig")],
)
def test_titles_are_compared_without_case_accents_and_punctuation(one, other):
    assert normal(one) == normal(other)


def test_numbers_and_sizes_are_not_what_tells_items_apart():
    assert words("T-Shirt blue XL") == words("T-Shirt blue S") != words("T-Shirt red S")
    assert words("Coffee 500 g") == words("Coffee, 2 pack 250g") == {"coffee"}


def test_a_similar_title_of_another_category_is_another_thing():
    shelf = {"a": About(title="Orange 1", category=("fruit",)), "b": About(title="Orange 2", category=("paint",))}
    rules = ListRulesSpec(near_duplicates="SimilarTitle")
    assert names(rerank([("a", 1.0), ("b", 0.0)], k=1, rules=rules, about=shelf.__getitem__)) == ["a"]
    assert rerank([("a", 1.0), ("b", 0.0)], k=2, rules=rules, about=shelf.__getitem__).effects == {}


def test_a_pinned_item_is_at_its_place_also_where_nobody_scored_it():
    found = listed(k=4, pins=[PinSpec(item="bread", place=1), PinSpec(item="brand-new", place=3)])
    assert names(found) == ["bread", "milk", "brand-new", "milk-2"]
    assert [placed.pinned for placed in found.items] == [True, False, True, False]
    assert [placed.score for placed in found.items] == [1.0, 6.0, None, 5.0]


def test_a_pin_below_the_end_of_the_list_is_not_shown_and_one_of_a_short_list_comes_last():
    assert names(listed(k=2, pins=[PinSpec(item="bread", place=3)])) == ["milk", "milk-2"]
    assert names(listed(k=9, scored=SCORED[:1], pins=[PinSpec(item="bread", place=9)])) == ["milk", "bread"]


def test_what_is_left_out_is_not_pinned_either():
    found = listed(k=2, hides={"out_of_stock": {"milk", "bread"}.__contains__}, pins=[PinSpec(item="bread", place=1)])
    assert names(found) == ["milk-2", "milk-xl"]
    assert found.effects == {"out_of_stock": 2}


def test_pins_count_for_the_cap_and_are_not_held_by_it():
    pins = [PinSpec(item="brie", place=2), PinSpec(item="gouda", place=3)]
    assert names(listed(k=5, max_per_category=1, pins=pins)) == ["milk", "brie", "gouda", "bread", "nameless"]


def test_a_boost_of_log_odds_moves_items_and_categories():
    assert names(listed(k=2, boosts=[BoostSpec(item="bread", log_odds=5)])) == ["milk", "bread"]
    assert names(listed(k=2, boosts=[BoostSpec(category="bakery", log_odds=4.5)])) == ["milk", "bread"]
    assert names(listed(k=2, boosts=[BoostSpec(category="dairy", log_odds=-5)])) == ["milk", "bread"]


def test_a_boost_multiplies_what_is_a_share_and_keeps_it_positive():
    found = listed(
        k=2, scored=[("milk", 0.2), ("bread", 0.15)], log_odds=False, boosts=[BoostSpec(item="bread", log_odds=1)]
    )
    assert names(found) == ["bread", "milk"]
    assert found.items[0].score == pytest.approx(0.15 * 2.71828, rel=1e-4)


def test_boosts_of_one_item_together_stay_within_the_bounds():
    boosts = [BoostSpec(item="bread", log_odds=5), BoostSpec(category="bakery", log_odds=5)]
    assert [placed.boost for placed in listed(k=7, boosts=boosts).items if placed.item == "bread"] == [5.0]


def test_a_rule_that_a_request_names_takes_the_place_of_the_specs_and_the_others_stay():
    spec = ListRulesSpec(max_per_category=1, near_duplicates="SameTitle", hide_owned=True)
    given = ListRulesSpec.model_validate({"maxPerCategory": None, "hideOwned": False})
    assert spec.overlaid(given) == ListRulesSpec(near_duplicates="SameTitle")
    assert spec.overlaid(None) is spec


@pytest.mark.parametrize(
    "wrong",
    [
        {"maxPerCategory": 0},
        {"boosts": [{"item": "a", "logOdds": 6}]},
        {"boosts": [{"logOdds": 1}]},
        {"boosts": [{"item": "a", "category": "b", "logOdds": 1}]},
        {"boosts": [{"item": "a", "logOdds": float("nan")}]},
        {"pins": [{"item": "a", "place": 1}, {"item": "b", "place": 1}]},
        {"pins": [{"item": "a", "place": 1}, {"item": "a", "place": 2}]},
        {"pins": [{"item": "a", "place": 0}]},
        {"nearDuplicates": "perhaps"},
    ],
    ids=str,
)
def test_a_rule_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValidationError):
        ListRulesSpec.model_validate(wrong)


def test_rules_are_asked_about_no_more_items_than_it_takes_to_fill_the_list():
    asked = []

    def hides(item):
        asked.append(item)
        return item == "milk"

    def nobody_asks():
        raise AssertionError("the list was full")
        yield

    found = rerank(SCORED, k=2, rules=ListRulesSpec(), more=nobody_asks(), about=about, hides={"out_of_stock": hides})
    assert names(found) == ["milk-2", "milk-xl"]
    assert asked == ["milk", "milk-2", "milk-xl"]


def test_what_was_not_found_fills_a_list_that_is_too_short_below_what_was():
    more = [("bread", 9.0), ("brie", 8.0)]
    found = rerank(
        SCORED[:2], k=4, rules=ListRulesSpec(max_per_category=1, near_duplicates="SameTitle"), more=more, about=about
    )
    assert names(found) == ["milk", "bread", "brie"]


def test_only_what_was_passed_by_before_the_list_was_full_is_counted():
    gone = {"milk", "bread"}.__contains__
    assert listed(k=2, hides={"out_of_stock": gone}).effects == {"out_of_stock": 1}
    assert listed(k=7, hides={"out_of_stock": gone}).effects == {"out_of_stock": 2}


def test_a_boost_that_moves_nothing_is_not_counted_and_one_that_drops_an_item_is():
    assert listed(k=2, boosts=[BoostSpec(item="milk", log_odds=1)]).effects == {}
    assert listed(k=2, boosts=[BoostSpec(item="bread", log_odds=1)]).effects == {}
    assert listed(k=7, boosts=[BoostSpec(category="dairy", log_odds=1)]).effects == {}
    assert listed(k=2, boosts=[BoostSpec(item="bread", log_odds=5)]).effects == {"boosts": 1}
    assert listed(k=2, boosts=[BoostSpec(item="milk", log_odds=-5)]).effects == {"boosts": 1}


def test_space_around_an_id_makes_no_other_item_of_it():
    with pytest.raises(ValidationError, match="pinned to one place"):
        ListRulesSpec.model_validate({"pins": [{"item": " bread", "place": 1}, {"item": "bread", "place": 2}]})
    assert names(listed(k=1, pins=[PinSpec(item="bread\u2003", place=1)])) == ["bread"]
    assert names(listed(k=1, boosts=[BoostSpec(item="\tbread ", log_odds=5)], scored=SCORED[4:])) == ["bread"]
    with pytest.raises(ValidationError):
        PinSpec(item="   ", place=1)


@given(st.text(max_size=12).filter(lambda text: canonical_id(text)))
def test_rules_and_data_take_the_same_for_space(text):
    assert PinSpec(item=text, place=1).item == canonical_id(text)


def test_comparing_titles_has_a_bound_and_the_list_stays_full(monkeypatch):
    compared = []
    monkeypatch.setattr(rules_module, "MOST_COMPARED", 50)
    monkeypatch.setattr(rules_module, "_are_similar", lambda a, b: bool(compared.append((a, b))))
    letters = [chr(97 + n // 26) + chr(97 + n % 26) for n in range(200)]
    shelf = {word: About(title=word, category=("all",)) for word in letters}
    rules = ListRulesSpec(near_duplicates="SimilarTitle")
    scored = [(word, -float(n)) for n, word in enumerate(letters)]
    assert names(rerank(scored, k=100, rules=rules, about=shelf.__getitem__)) == letters[:100]
    assert len(compared) == 50


ITEMS = st.sampled_from([f"i{n}" for n in range(12)])
TITLES = st.none() | st.sampled_from(["Milk", "milk", "Milk 2 l", "Red wine dry old", "red wine dry young", "Tea"])
PATHS = st.lists(st.sampled_from(["a", "b"]), max_size=2).map(tuple)


@st.composite
def shelves(draw):
    items = draw(st.lists(ITEMS, unique=True, max_size=12))
    scores = sorted(draw(st.lists(st.floats(0, 9), min_size=len(items), max_size=len(items))), reverse=True)
    shelf = {f"i{n}": About(title=draw(TITLES), category=draw(PATHS)) for n in range(12)}
    return list(zip(items, scores, strict=True)), shelf


@st.composite
def rule_sets(draw):
    pins = draw(st.dictionaries(st.integers(1, 8), ITEMS, max_size=4))
    by_item = {item: place for place, item in pins.items()}
    kinds = st.fixed_dictionaries({"item": ITEMS}) | st.fixed_dictionaries({"category": st.sampled_from(["a", "b"])})
    boosts = draw(st.lists(st.tuples(kinds, st.floats(-5, 5)), max_size=3))
    return ListRulesSpec(
        max_per_category=draw(st.none() | st.integers(1, 3)),
        category_level=draw(st.sampled_from(["Narrowest", "Widest"])),
        near_duplicates=draw(st.sampled_from(["Keep", "SameTitle", "SimilarTitle"])),
        pins=[PinSpec(item=item, place=place) for item, place in by_item.items()],
        boosts=[BoostSpec(**what, log_odds=by) for what, by in boosts],
    )


def category(about, rules):
    return about.category if rules.category_level == "Narrowest" else about.category[:1]


@given(
    shelf=shelves(), rules=rule_sets(), k=st.integers(1, 10), gone=st.frozensets(ITEMS, max_size=5), odds=st.booleans()
)
def test_whatever_the_rules_a_list_is_as_long_as_it_can_be_and_breaks_none(shelf, rules, k, gone, odds):
    scored, abouts = shelf
    found = rerank(
        scored, k=k, rules=rules, about=abouts.__getitem__, hides={"exclude": gone.__contains__}, log_odds=odds
    )
    items = names(found)

    assert len(items) == len(set(items)) <= k
    assert not gone & set(items)
    pins = {pin.place: pin.item for pin in rules.pins if pin.item not in gone and pin.place <= k}
    assert {placed.item for placed in found.items if placed.pinned} == set(pins.values())
    assert all(items[place - 1] == item for place, item in pins.items() if place <= len(items) - len(pins) + 1)

    counts = Counter(category(abouts[item], rules) for item in items)
    pinned = Counter(category(abouts[item], rules) for item in pins.values())
    cap = rules.max_per_category
    if cap:
        assert all(counts[path] <= max(cap, pinned[path]) for path in counts if path)

    remain = Counter(
        category(abouts[item], rules) for item, _ in scored if item not in gone and item not in pins.values()
    )
    most = sum(n if not path or not cap else min(n, max(cap - pinned[path], 0)) for path, n in remain.items())
    assert len(items) == min(k, len(pins) + most)


@given(shelf=shelves(), k=st.integers(1, 10), cap=st.integers(12, 500))
def test_rules_that_nothing_breaks_leave_the_list_as_it_is(shelf, k, cap):
    scored, abouts = shelf
    for rules in (ListRulesSpec(), ListRulesSpec(max_per_category=cap)):
        found = rerank(scored, k=k, rules=rules, about=abouts.__getitem__, hides={"only": lambda item: False})
        assert [(placed.item, placed.score) for placed in found.items] == scored[:k]
        assert found.effects == {}
