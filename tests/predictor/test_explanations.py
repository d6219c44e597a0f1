"""Why an item was at its place: over HTTP, and from an impression where nobody remembers."""

from datetime import UTC, date, datetime, time
from typing import get_args

import pytest
from shop import Shop
from shop.serving import make_ranker

from shoploop.api.list_rules import ListRulesSpec
from shoploop.candidates.fetching import SOURCES, Candidates
from shoploop.events.fresh import Done
from shoploop.events.impressions import Signatures
from shoploop.events.keyring import Keyring, add_key
from shoploop.events.messages import mark_of_request
from shoploop.predictor.explanations import Explanations, NotExplained
from shoploop.ranking.answer import RankRequest, RecommendRequest, SearchRequest
from shoploop.ranking.explanation import ExplainRequest, Source

pytestmark = pytest.mark.filterwarnings("ignore:Accessing the 'model_fields'")  # BentoML does, at every request


def shown(client, user="ann", **more):
    return client.post("/recommend", json={"user": user, "k": 3} | more).json()


def why(client, answer, item, /, **more):
    return client.post("/explain", json={"request_id": answer["request_id"], "item": item} | more)


def test_an_explanation_can_name_every_source_of_candidates():
    assert set(SOURCES) < set(get_args(Source))


def test_an_explanation_has_the_parts_of_the_score_and_the_features_that_made_it(client):
    answer = shown(client)
    milk = answer["items"][0]

    said = why(client, answer, "milk").json()

    assert {name: said[name] for name in ("item", "place", "version", "method", "exact", "score", "reason")} == {
        "item": "milk",
        "place": 1,
        "version": "v123",
        "method": "fused",
        "exact": True,
        "score": milk["score"],
        "reason": milk["reason"],
    }
    parts = said["parts"]
    mixed = parts["alpha"] * parts["dnn"] + (1 - parts["alpha"]) * parts["transformer"]
    assert mixed == pytest.approx(milk["score"], abs=1e-4)
    assert {"history", "popular"} <= set(said["sources"])
    # the shop's model reads the days on which ann bought the item, and nothing else
    [feature] = said["features"]
    assert feature["feature"] == "own_days"
    assert feature["about"] == "log(1 + days on which the user bought the item)"
    assert feature["effect"] == pytest.approx(feature["value"], abs=1e-4) == pytest.approx(parts["dnn"], abs=1e-4)


def test_what_sells_is_explained_without_a_model(client):
    answer = shown(client, user="nobody")
    said = why(client, answer, "apples").json()
    assert (said["method"], said["parts"], said["features"], said["sources"]) == (
        "popularity",
        None,
        [],
        ["best_sellers"],
    )
    assert said["reason"] == answer["items"][0]["reason"]


def test_pins_and_boosts_are_told(client):
    rules = {"pins": [{"item": "salt", "place": 1}], "boosts": [{"item": "apples", "logOdds": 2}]}
    answer = shown(client, rules=rules)
    salt, apples = (why(client, answer, item).json() for item in ("salt", "apples"))
    assert (salt["pinned"], salt["reason"], salt["sources"][0], salt["place"]) == (
        True,
        "chosen by the shop",
        "shop",
        1,
    )
    assert (apples["pinned"], apples["boost"]) == (False, 2.0)
    assert apples["score"] == pytest.approx(apples["parts"]["dnn"] + 2, abs=1e-3)
    assert {effect["rule"] for effect in apples["rules"]} == {"pins", "boosts"}


def test_an_order_is_explained_too(client):
    answer = client.post("/rank", json={"user": "ann", "items": ["soap", "milk", "nonsense"]}).json()
    assert why(client, answer, "soap").json()["sources"] == ["request"]
    assert why(client, answer, "nonsense").json()["parts"] is None


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"item": "rice"}, 404, "item_not_shown"),
        ({"request_id": "another"}, 404, "request_unknown"),
        ({"user": "bob"}, 400, "impression_of_another"),
        ({"request_id": "another", "impression": "x.y.z"}, 400, "user_missing"),
        ({"request_id": "another", "impression": "x.y.z", "user": "ann"}, 400, "impression_altered"),
        ({"request_id": ""}, 400, "request_invalid"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_explained_is_refused_by_a_code(client, change, status, code):
    said = why(client, shown(client), "milk", **change)
    assert (said.status_code, said.json()["code"]) == (status, code)
    assert said.headers["content-type"].startswith("application/problem+json")


class Reader:
    """The part of the way back from shoppers that explanations need."""

    def __init__(self, folder):
        add_key(folder)
        self.signatures = Signatures(Keyring(folder), recommender="grocery")
        self.events = ()

    def done(self, user, *, after=0):
        return self.events

    def impression(self, token, user):
        return self.signatures.read(token)


@pytest.fixture
def ranker(tmp_path):
    return make_ranker(tmp_path, remembered_items=30)


def remembered(explanations, ranker, request, fresh=()):
    now = explanations.now()
    answer = ranker.recommend(request, now=now, fresh=fresh)
    explanations.remember(answer, request, fresh, now)
    return answer


def test_another_predictor_explains_from_the_impression_and_says_that_it_computed_anew(ranker, tmp_path):
    reader = Reader(tmp_path / "keys")
    here, there = Explanations(ranker, reader), Explanations(ranker, reader)
    answer = remembered(here, ranker, RecommendRequest(user="ann", k=3))
    items = [item.item for item in answer.items]
    token = reader.signatures.sign(request_id=answer.request_id, user="ann", version="v123", items=items)
    asked = ExplainRequest(request_id=answer.request_id, item=items[1], user="ann", impression=token)

    exact, anew = here.explain(asked), there.explain(asked)

    assert (exact.exact, anew.exact, anew.method) == (True, False, None)
    assert anew.parts == exact.parts and anew.features == exact.features and anew.place == exact.place == 2
    assert anew.score == pytest.approx(exact.score, abs=1e-4)

    old = reader.signatures.sign(request_id=answer.request_id, user="ann", version="v122", items=items)
    with pytest.raises(NotExplained) as refused:
        there.explain(asked.model_copy(update={"impression": old}))
    assert (refused.value.status, refused.value.code) == (409, "version_gone")


def test_what_the_user_did_later_does_not_change_why_it_was_answered(ranker):
    explanations = Explanations(ranker, None)
    fresh = (Done("tea", "purchase", (datetime.now(UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days, 1.0),)
    answer = remembered(explanations, ranker, RecommendRequest(user="ann", k=12), fresh)
    [tea] = [item for item in answer.items if item.item == "tea"]
    said = explanations.explain(ExplainRequest(request_id=answer.request_id, item="tea"))
    assert (said.score, said.reason, said.as_of) == (tea.score, tea.reason, answer.as_of)


def test_memory_is_bounded_and_the_oldest_answers_go_first(ranker):
    explanations = Explanations(ranker, None)
    answers = [remembered(explanations, ranker, RecommendRequest(user="ann", k=9)) for _ in range(4)]
    for answer in answers[-3:]:
        assert explanations.explain(ExplainRequest(request_id=answer.request_id, item="milk")).place == 1
    with pytest.raises(NotExplained, match="remembers no answer"):
        explanations.explain(ExplainRequest(request_id=answers[0].request_id, item="milk"))


def test_an_answer_that_is_longer_than_the_memory_is_not_kept(ranker):
    explanations = Explanations(ranker, None)
    request = RankRequest(user="ann", items=[f"i{n}" for n in range(40)])
    answer = ranker.rank(request)
    explanations.remember(answer, request, (), explanations.now())
    with pytest.raises(NotExplained):
        explanations.explain(ExplainRequest(request_id=answer.request_id, item="i1"))


def test_what_a_request_says_takes_no_place_in_memory(ranker):
    explanations = Explanations(ranker, None)
    rules = {
        "pins": [{"item": f"i{n}" + "x" * 190, "place": 500 - n} for n in range(50)],
        "boosts": [{"item": f"i{n}" + "x" * 190, "logOdds": 1} for n in range(100)],
    }
    request = RecommendRequest.model_validate({"user": "ann", "k": 1, "only": ["milk"], "rules": rules})
    remembered(explanations, ranker, request)
    [shown] = explanations._shown.values()
    assert len(repr(shown)) < 2000 < len(request.model_dump_json())


def test_what_sells_and_filled_a_list_up_is_not_said_to_be_scored_by_the_model(tmp_path, monkeypatch):
    ranker = make_ranker(tmp_path)
    milk_1 = ranker.known.codes(["milk"])
    only_milk = Candidates(items_N=milk_1, named={"history": milk_1}, after={})
    monkeypatch.setattr(ranker.known, "candidates", lambda user, day: only_milk)
    explanations = Explanations(ranker, None)
    answer = remembered(explanations, ranker, RecommendRequest(user="ann", k=3))
    milk, filler = (
        explanations.explain(ExplainRequest(request_id=answer.request_id, item=item.item)) for item in answer.items[:2]
    )
    assert milk.parts and milk.features and milk.sources == ["history"]
    assert (filler.parts, filler.features, filler.sources) == (None, [], ["best_sellers"])
    assert filler.score == answer.items[1].score


def test_a_pin_that_a_short_list_ends_with_is_told_as_one(ranker):
    explanations = Explanations(ranker, None)
    rules = {"pins": [{"item": "salt", "place": 9}]}
    request = RecommendRequest.model_validate({"user": "ann", "k": 9, "only": ["milk", "salt"], "rules": rules})
    answer = remembered(explanations, ranker, request)
    assert [item.item for item in answer.items] == ["milk", "salt"]
    said = explanations.explain(ExplainRequest(request_id=answer.request_id, item="salt"))
    assert (said.pinned, said.place, said.reason) == (True, 2, answer.items[1].reason)


def test_from_an_impression_alone_nobody_knows_what_the_shops_rules_did(tmp_path):
    rules = {"pins": [{"item": "soap", "place": 1}], "boosts": [{"item": "soap", "logOdds": 2}]}
    ranker = make_ranker(tmp_path, list_rules=ListRulesSpec.model_validate(rules))
    reader = Reader(tmp_path / "keys")
    answer = ranker.rank(RankRequest(user="ann", items=["milk", "soap"]))
    token = reader.signatures.sign(request_id=answer.request_id, user="ann", version="v123", items=["milk", "soap"])
    asked = ExplainRequest(request_id=answer.request_id, item="soap", user="ann", impression=token)
    said = Explanations(ranker, reader).explain(asked)
    assert (said.pinned, said.boost, said.rules) == (None, None, [])
    assert said.reason != "chosen by the shop"
    assert said.score == pytest.approx(answer.items[1].score, abs=1e-4)


def test_of_an_item_that_nobody_knows_no_reason_is_made_up(ranker):
    explanations = Explanations(ranker, None)
    request = RankRequest(user="ann", items=["nonsense"])
    answer = ranker.rank(request)
    explanations.remember(answer, request, (), explanations.now())
    said = explanations.explain(ExplainRequest(request_id=answer.request_id, item="nonsense"))
    assert said.reason is answer.items[0].reason is None


def test_an_answer_that_the_model_gave_before_it_learned_more_is_not_said_to_be_explained_exactly(ranker):
    serving = [ranker]
    explanations = Explanations(ranker, None, serving=lambda: serving[-1])
    answer = remembered(explanations, ranker, RecommendRequest(user="ann", k=1))
    asked = ExplainRequest(request_id=answer.request_id, item="milk")
    assert explanations.explain(asked).exact
    serving.append(ranker.with_items(*ranker.items(), commit=1))
    said = explanations.explain(asked)
    assert (said.exact, said.score) == (False, answer.items[0].score)


def test_how_an_item_came_to_its_place_is_told_to_no_client(ranker):
    told = ranker.recommend(RecommendRequest(user="ann", k=1)).model_dump(mode="json")["items"][0]
    assert set(told) == {"item", "score", "known", "reason", "fields"}


def test_the_openapi_description_shows_an_example_of_each_message(client):
    schemas = client.get("/docs.json").json()["components"]["schemas"]
    for name in ("RecommendRequest", "RankRequest", "Answer", "ExplainRequest", "Explanation", "EventsRequest"):
        assert schemas[f"{name}IODescriptor"]["example"], name  # as BentoML names them


def test_what_somebody_only_looked_at_is_explained_as_it_was_answered(tmp_path):
    ranker = make_ranker(tmp_path)
    explanations, now = Explanations(ranker, None), datetime.combine(Shop().serving_day, time(12), UTC)
    request, looks = (
        RecommendRequest(user="stranger", k=1),
        [Done("tea", "view", (now.date() - date(1970, 1, 1)).days, 1.0)],
    )
    answer = ranker.recommend(request, now=now, fresh=looks)
    explanations.remember(answer, request, looks, now)
    said = explanations.explain(ExplainRequest(request_id=answer.request_id, item="tea"))
    assert said.reason == answer.items[0].reason == "you looked at this today"
    [feature] = said.features
    assert feature.feature == "own_days" and feature.about.startswith("what was looked at in the place of purchases: ")


def test_of_a_query_no_more_is_remembered_than_search_reads_and_its_letters_count(tmp_path):
    ranker, now = make_ranker(tmp_path, remembered_items=50), datetime.combine(Shop().serving_day, time(12), UTC)
    explanations = Explanations(ranker, None)
    for query in ("milk" + " " * 9_000, "milk " * 40, "milk " * 2_000):
        request = SearchRequest(query=query, k=1)
        answers = [ranker.search(request, now=now) for _ in range(30)]
        for answer in answers:
            explanations.remember(answer, request, (), now)
        kept = [shown.query for _, shown in explanations._shown.values()]
        assert kept and len(kept) < 15 and max(map(len, kept)) <= 200
        said = explanations.explain(ExplainRequest(request_id=answers[-1].request_id, item="milk"))
        assert said.reason == answers[-1].items[0].reason


def test_answers_to_who_is_erased_are_forgotten_and_nobody_elses(ranker, tmp_path):
    reader = Reader(tmp_path / "keys")
    explanations = Explanations(ranker, reader)
    first, second = (remembered(explanations, ranker, RecommendRequest(user="ann", k=1)) for _ in range(2))
    bobs = remembered(explanations, ranker, RecommendRequest(user="bob", k=1))
    nobodys = remembered(explanations, ranker, RecommendRequest(user="cid", k=1))
    reader.on_forgotten({"bob"}, set())
    assert set(explanations._shown) == {first.request_id, second.request_id, nobodys.request_id}
    assert bobs.request_id not in explanations._shown
    reader.on_forgotten(set(), {mark_of_request(second.request_id), mark_of_request("not remembered")})
    assert set(explanations._shown) == {nobodys.request_id}
    assert "ann" not in repr(explanations._shown)
    with pytest.raises(NotExplained, match="remembers no answer"):
        explanations.explain(ExplainRequest(request_id=first.request_id, item="milk"))
