"""Each surface is judged against rivals of its own; one that passes lets the version serve, and the others fall back."""

from itertools import product

import pytest

from shoploop.api.v1alpha1 import GateSpec
from shoploop.evaluation.gate import decide

GOOD, BAD = (0.02, 0.01), (0.02, -0.01)
FALLBACKS = {"items": "followers", "search": "text", "shops": "frequency"}


def against(than, bounds):
    difference, low = bounds
    return {"than": than, "difference": difference, "interval": [low, 2 * difference - low]}


def surface(metric, than, bounds, falls_back, behind=()):
    rivals = [against(rival, (-0.02, -0.03)) for rival in behind]
    return {"metric": metric, "baseline": against(than, bounds), "rivals": rivals, "falls_back": falls_back}


def bounds(items, search, shops=None, *, serving=None, beats_it=GOOD, behind=()):
    """Each surface as (difference, lower bound); ``serving`` is what the serving version does not answer by its model."""
    found = surface("ndcg@10", "ease", items, "followers") | {"confidence": 0.95, "incumbent": None}
    found["surfaces"] = {"search": surface("ndcg@10", "memory", search, "text", behind)}
    if shops:
        found["surfaces"]["shops"] = surface("hit@1", "last", shops, "frequency")
    if serving is not None:
        known = {"version": "v0123456789ab", "compared": True, "why_not": None, "falls_back": serving}
        found["incumbent"] = known | against("incumbent", beats_it)
    return found


@pytest.mark.parametrize("passing", list(product([True, False], repeat=3)))
def test_a_first_version_serves_what_passed_and_the_rest_falls_back_and_nothing_serves_where_nothing_passed(passing):
    names = ("items", "search", "shops")
    verdict = decide(bounds(*(GOOD if passes else BAD for passes in passing)), GateSpec())
    failed = {name: FALLBACKS[name] for name, passes in zip(names, passing, strict=True) if not passes}
    assert verdict["passed"] is any(passing)
    assert verdict.get("falls_back", {}) == (failed if any(passing) else {})
    assert [verdict["surfaces"][name]["passed"] for name in names] == list(passing)


def test_the_reason_says_first_what_passed_and_what_answers_in_the_place_of_the_rest():
    reason = decide(bounds(BAD, GOOD), GateSpec())["reason"]
    assert reason.startswith(
        "Search passed and answers by the model. Recommendations did not pass: it answers recommendations by what others "
        "bought next (followers)."
    )
    assert "Recommendations: ndcg@10 differs from the baseline ease by +0.0200" in reason
    assert "Search: ndcg@10 differs from the baseline memory by +0.0200" in reason
    assert "does not serve" not in reason


def test_where_nothing_passed_the_reason_says_so_of_each():
    reason = decide(bounds(BAD, BAD), GateSpec())["reason"]
    assert reason.startswith("Recommendations and search did not pass, so it does not serve.")


@pytest.mark.parametrize(("beats_it", "passes"), [(GOOD, True), (BAD, False)])
@pytest.mark.parametrize("search", [GOOD, BAD])
def test_recommendations_that_serve_by_the_model_give_way_to_nothing_that_did_not_pass(beats_it, passes, search):
    verdict = decide(bounds(BAD, search, serving={}, beats_it=beats_it), GateSpec())
    assert verdict["passed"] is passes
    assert ("answers recommendations by its model, so this one does not serve" in verdict["reason"]) is (
        not passes and search is GOOD
    )


@pytest.mark.parametrize("items", [GOOD, BAD])
@pytest.mark.parametrize("search", [GOOD, BAD])
def test_beside_a_version_whose_recommendations_fall_back_they_are_judged_as_of_a_first_one(items, search):
    # its own scores were refused, so to be as good as they are is not enough
    verdict = decide(bounds(items, search, serving={"items": "decay"}), GateSpec())
    assert verdict["against"] == "ease"
    assert verdict["surfaces"]["items"]["passed"] is (items is GOOD)
    assert verdict["passed"] is (GOOD in (items, search))


def test_that_the_version_that_serves_recommends_by_a_simple_method_stands_in_the_reason():
    reason = decide(bounds(BAD, GOOD, serving={"items": "decay"}), GateSpec())["reason"]
    assert "The version that serves recommends what each has bought lately, so the model must be better" in reason


def test_where_the_files_of_what_serves_are_gone_search_alone_is_enough():
    found = bounds(BAD, GOOD)
    found["incumbent"] = {
        "version": "v0123456789ab", "compared": False, "why_not": "Its files are gone.", "falls_back": None
    }  # fmt: skip
    assert decide(found, GateSpec())["falls_back"] == {"items": "followers"}


def test_a_search_that_beats_counting_serves_though_the_trees_of_its_run_are_better_and_the_reason_says_so():
    verdict = decide(bounds(GOOD, GOOD, behind=["lambdamart"]), GateSpec())
    assert verdict["passed"] and "falls_back" not in verdict
    assert verdict["surfaces"]["search"]["behind"] == ["lambdamart"]
    assert "Search: " in verdict["reason"] and "lambdamart of the same run is better" in verdict["reason"]


def test_recommendations_that_are_worse_than_the_trees_of_their_run_fall_back():
    found = bounds(GOOD, GOOD) | {"rivals": [against("lambdamart", (-0.02, -0.03))]}
    verdict = decide(found, GateSpec())
    assert verdict["falls_back"] == {"items": "followers"}
    assert "not worse than what its run has learned beside it" in verdict["reason"]


def test_always_lets_the_model_answer_everywhere():
    verdict = decide(bounds(BAD, BAD, BAD), GateSpec(rule="Always"))
    assert verdict["passed"] and "falls_back" not in verdict


def test_a_refusal_by_what_shoppers_did_is_one_of_recommendations():
    refused = {"code": "too_few_impressions", "facts": "Nobody looked", "interval": None}
    found = bounds(GOOD, GOOD, serving={}) | {"counterfactual": refused}
    verdict = decide(found, GateSpec(counterfactual=True))
    assert not verdict["passed"] and not verdict["surfaces"]["items"]["passed"]
    assert verdict["surfaces"]["items"]["answers"] == "followers"


def test_a_verdict_on_recommendations_alone_says_nothing_of_surfaces():
    found = bounds(GOOD, GOOD)
    del found["surfaces"]
    assert not {"surfaces", "falls_back"} & decide(found, GateSpec()).keys()


EQUAL, WORSE = (0.0, -0.001), (-0.02, -0.03)


def beside(search, against_it, *, items=GOOD, fallen=(), **told):
    """Bounds with a version that serves, held against which the new one's search is so."""
    found = bounds(items, search, serving=dict.fromkeys(fallen, "text"))
    measured = {"compared": True, "why_not": None} | against("incumbent", against_it)
    found["surfaces"]["search"]["incumbent"] = None if fallen else measured | told
    return found


def test_a_search_that_is_not_worse_than_the_one_that_serves_passes_as_recommendations_do():
    verdict = decide(beside(BAD, EQUAL), GateSpec())
    assert verdict["passed"] and "falls_back" not in verdict
    assert verdict["surfaces"]["search"]["against"] == "incumbent"
    assert "Search: ndcg@10 differs from the version that serves by +0.0000" in verdict["reason"]
    assert "at least -0.0020 was needed" in verdict["reason"]


@pytest.mark.parametrize("search", [GOOD, BAD])
def test_a_search_that_is_shown_to_be_worse_than_the_one_that_serves_keeps_the_version_from_serving(search):
    verdict = decide(beside(search, WORSE), GateSpec())
    assert not verdict["passed"] and "falls_back" not in verdict
    assert verdict["surfaces"]["items"]["passed"] and verdict["surfaces"]["search"]["worse"]
    assert verdict["reason"].startswith(
        "Search is worse than the version that serves, so this one does not serve, though recommendations passed."
    )
    assert "and less than -0.0100; what serves gives way to nothing that is worse" in verdict["reason"]


@pytest.mark.parametrize(("search", "answers"), [(GOOD, "model"), (BAD, "text")])
def test_a_search_of_which_neither_is_shown_is_judged_as_a_first_one(search, answers):
    verdict = decide(beside(search, (0.0, -0.02)), GateSpec())
    assert verdict["passed"]
    assert (verdict["surfaces"]["search"]["against"], verdict["surfaces"]["search"]["answers"]) == ("memory", answers)


def test_beside_a_version_whose_search_falls_back_it_is_judged_as_of_a_first_one():
    assert decide(beside(GOOD, WORSE, fallen=["search"]), GateSpec())["surfaces"]["search"]["against"] == "memory"


def test_why_a_search_was_not_held_against_the_one_that_serves_stands_in_the_reason():
    found = beside(GOOD, WORSE)
    found["surfaces"]["search"]["incumbent"] = {"compared": False, "why_not": "It has learned from these days."}
    verdict = decide(found, GateSpec())
    assert verdict["passed"]
    assert "It was not held against the version that serves: It has learned from these days." in verdict["reason"]


def test_the_rule_better_lets_a_search_serve_that_is_better_and_always_one_that_is_worse():
    assert decide(beside(BAD, GOOD, items=GOOD), GateSpec(rule="Better"))["surfaces"]["search"]["passed"]
    assert not decide(beside(BAD, EQUAL), GateSpec(rule="Better"))["surfaces"]["search"]["passed"]
    assert decide(beside(BAD, WORSE), GateSpec(rule="Always"))["passed"]
