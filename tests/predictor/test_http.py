"""The BentoML service over HTTP, in this process: what it answers, and that bad input never becomes a 5xx."""

import asyncio
import gzip
import json
import re
import time

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shoploop.events.messages import EventsRequest
from shoploop.predictor.admission import Visit
from shoploop.predictor.http import CheckedJson, JsonRefused, check_json
from shoploop.ranking.answer import RecommendRequest
from shoploop.ranking.ranker import Ranker

pytestmark = [
    pytest.mark.filterwarnings("ignore:Accessing the 'model_fields'"),  # BentoML does, at every request
    # OpenTelemetry's threads draw ids from it meanwhile
    pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies"),
]
JSON = {"content-type": "application/json"}


def test_recommend_answers_with_items_scores_reasons_and_fields(client):
    answer = client.post("/recommend", json={"user": "ann", "k": 1})

    assert answer.status_code == 200
    body = answer.json()
    assert body.pop("request_id")
    assert body.pop("as_of")
    assert body.pop("impression")
    [item] = body.pop("items")
    assert body == {
        "version": "v123",
        "commit": None,
        "method": "fused",
        "understood": None,
        "rules": [],
        "degraded": None,
    }
    assert item.pop("score") > 0
    assert item.pop("reason").startswith("you buy this about every 3 days")
    assert item == {"item": "milk", "known": True, "fields": {"title": "Milk"}}


def test_an_error_names_every_wrong_field(client):
    answer = client.post("/recommend", json={"user": "", "k": 501})

    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "title": "Bad Request",
        "status": 400,
        "code": "request_invalid",
        "detail": "user: String should have at least 1 character; k: Input should be less than or equal to 500",
    }


def test_rank_answers_in_order(client):
    answer = client.post("/rank", json={"user": "ann", "items": ["soap", "milk"]})

    assert [item["item"] for item in answer.json()["items"]] == ["milk", "soap"]


@pytest.mark.parametrize(
    "route, body, where",
    [
        ("/recommend", {"user": "ann", "k": 0}, "k"),
        ("/recommend", {"user": "ann", "k": 501}, "k"),
        ("/recommend", {"user": "ann", "k": "many"}, "k"),
        ("/recommend", {"user": ""}, "user"),
        ("/recommend", {"user": 7.5}, "user"),
        ("/recommend", {"user": True}, "user"),
        ("/recommend", {}, "user"),
        ("/recommend", {"user": "ann", "surface": "shops"}, "surface"),
        ("/recommend", {"user": "ann", "exclude": "milk"}, "exclude"),
        ("/recommend", {"user": "ann", "kk": 3}, "kk"),
        ("/recommend", {"user": "ann", "only": []}, "only"),
        ("/recommend", {"user": "ann", "only": ["milk"] * 501}, "only"),
        ("/recommend", {"user": "ann", "rules": {"maxPerCategory": 0}}, "rules"),
        ("/recommend", {"user": "ann", "rules": {"pins": [{"item": "milk", "place": 1}] * 51}}, "rules"),
        ("/explain", {"request_id": "1"}, "item"),
        ("/rank", {"user": "ann"}, "items"),
        ("/rank", {"user": "ann", "items": []}, "items"),
        ("/rank", {"user": "ann", "items": ["milk"] * 501}, "items"),
        ("/rank", {"user": "ann", "items": ["milk", None]}, "items"),
    ],
    ids=lambda value: json.dumps(value)[:40],
)
def test_a_wrong_field_is_a_400_that_names_it(client, route, body, where):
    answer = client.post(route, json=body)

    assert answer.status_code == 400
    assert answer.json()["detail"].split(": ")[0].split(".")[0] == where


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"[]", b'"ann"', b"\xff\xfe", b'{"user": "\\ud800"}', b'{"user": NaN}', b"[" * 100_000],
    ids=["empty", "cut off", "null", "list", "string", "no UTF-8", "half a surrogate", "NaN", "deep"],
)
@pytest.mark.parametrize("route", ["/recommend", "/rank"])
def test_malformed_json_is_a_400_with_a_message(client, route, body):
    answer = client.post(route, content=body, headers=JSON)

    assert answer.status_code == 400
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "json_invalid"),
        (b"\xff\xfe{}", "json_invalid"),
        (b'{"user": "ann", "user": "bob"}', "json_key_twice"),
        (b'{"user": "ann", "rules": {"hideOwned": true, "hideOwned": false}}', "json_key_twice"),
        (b'{"user": "ann", "k": NaN}', "json_not_finite"),
        (b'{"user": "ann", "rules": {"boosts": [{"item": "a", "logOdds": -Infinity}]}}', "json_not_finite"),
        (b'{"user": "ann", "rules": {"boosts": [{"item": "a", "logOdds": 1e999}]}}', "request_invalid"),
        (b'{"user":' * 20_000, "json_too_deep"),
        (b'{"user": "ann", "kk": 1}', "request_invalid"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_json_that_readers_would_disagree_about_is_refused_by_a_code(client, body, code):
    for route in ("/recommend", "/explain"):
        body = body if route == "/recommend" else body.replace(b'"user"', b'"item"')
        answer = client.post(route, content=body, headers=JSON)
        assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_of_many_problems_ten_are_told_and_how_many_there_are(client):
    answer = client.post("/recommend", json={"user": "ann"} | {f"made up {at}": 0 for at in range(2_000)})

    assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")
    told = answer.json()["detail"].split("; ")
    assert told[0] == "made up 0: Extra inputs are not permitted"
    assert told[10:] == ["and 1990 more, 2000 problems in all"]


def test_a_name_that_somebody_made_up_is_not_sent_back_whole(client):
    answer = client.post("/recommend", json={"user": "ann", "x" * 100_000: 0})

    assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")
    assert answer.json()["detail"].startswith("xxx") and len(answer.content) < 1_000


@pytest.mark.parametrize("many", ["[]", "{}", "0", '""', '{"a":0}'])
def test_a_body_with_far_more_in_it_than_any_request_is_refused_before_it_is_read(client, many):
    body = b'{"events": [' + b",".join([many.encode()] * 25_000) + b"]}"
    with pytest.raises(JsonRefused):
        check_json(body)
    answer = client.post("/events", content=body, headers=JSON)

    assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")
    assert len(answer.content) < 1_000


def test_so_is_one_object_with_as_many_names():
    with pytest.raises(JsonRefused):
        check_json(json.dumps({"events": [{str(at): 0 for at in range(25_000)}]}).encode())


def test_the_largest_bodies_that_are_allowed_get_in_whatever_their_texts_are_made_of():
    signs = '{"[],\\'
    event = dict.fromkeys(("id", "user", "item", "shop"), (signs * 20)[:100])
    event |= {
        "kind": "cart",
        "time": "2026-01-01T10:00:00+01:00",
        "query": (signs * 100)[:500],
        "impression": signs * 100,
    }
    body = {"events": [event | {"quantity": "1", "price": "1.5"}] * 500}
    check_json(json.dumps(body).encode())
    assert len(EventsRequest.model_validate(body).events) == 500

    rules = {"exclude": [{"item": signs, "category": None}] * 100, "boosts": [{"item": signs, "logOdds": 1}] * 100}
    rules["pins"] = [{"item": f"{signs}{place}", "place": place} for place in range(1, 51)]
    body = {"user": signs, "k": 500, "exclude": [signs] * 500, "only": [signs] * 500, "rules": rules}
    check_json(json.dumps(body).encode())
    assert RecommendRequest.model_validate(body)


def test_a_bomb_is_not_unpacked(client):
    bomb = gzip.compress(b'{"user": "ann", "exclude": [' + b" " * 50_000_000 + b"]}")
    assert len(bomb) < 100_000
    for encoding in ("gzip", "deflate", "br", "identity, gzip"):
        answer = client.post("/recommend", content=bomb, headers=JSON | {"content-encoding": encoding})
        assert (answer.status_code, answer.json()["code"]) == (415, "body_encoded")
    assert client.post("/recommend", content=bomb, headers=JSON).json()["code"] == "json_invalid"


def test_who_sends_a_body_too_slowly_is_told_so_and_let_go():
    async def app(scope, receive, send):
        raise AssertionError("it must not get here")

    async def receive():
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b" ", "more_body": True}

    sent = []

    async def send(message):
        sent.append(message)

    guard = CheckedJson(app, requests={"/recommend": RecommendRequest}, body_seconds=0.2)
    scope = {"type": "http", "method": "POST", "path": "/recommend", "headers": []}
    asyncio.run(guard(scope, receive, send))
    assert sent[0]["status"] == 408 and json.loads(sent[1]["body"])["code"] == "body_too_slow"


def test_of_what_is_sent_to_where_nothing_is_asked_no_byte_is_read():
    async def unwanted(*_):
        raise AssertionError("it must not get here")

    sent = []

    async def send(message):
        sent.append(message)

    guard = CheckedJson(unwanted, requests={"/recommend": RecommendRequest})
    scope = {"type": "http", "method": "POST", "path": "/nothing", "headers": []}
    asyncio.run(guard(scope, unwanted, send))
    assert sent[0]["status"] == 404 and (b"connection", b"close") in sent[0]["headers"]
    assert json.loads(sent[1]["body"])["code"] == "not_found"


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "application/vnd.bentoml+pickle",
    ],
)
def test_only_json_gets_in(client, kind):
    answer = client.post("/recommend", content=b'{"user": "ann"}', headers={"content-type": kind})

    assert answer.status_code == 415
    assert "application/json" in answer.json()["detail"]


def test_json_with_a_character_set_gets_in(client):
    headers = {"content-type": "Application/JSON; charset=utf-8"}

    assert client.post("/recommend", content=b'{"user": "ann"}', headers=headers).status_code == 200


@pytest.mark.parametrize("route", ["/recommend", "/rank", "/events", "/explain"])
def test_another_method_is_refused_by_a_code_of_its_own(client, route):
    answer = client.get(route)
    assert (answer.status_code, answer.json()["code"], answer.headers["allow"]) == (405, "method_not_allowed", "POST")


def test_a_huge_body_is_refused(client):
    answer = client.post("/recommend", content=b" " * 300_000, headers=JSON)

    assert answer.status_code == 413


def test_the_probes_answer(client):
    assert {client.get(path).status_code for path in ("/livez", "/readyz", "/healthz")} == {200}


def test_load_is_what_is_being_answered_just_now(client, monkeypatch):
    """It asks itself while it answers: then one request is in flight, and before and after it none."""
    answer, seen = Ranker.recommend, []

    def recommend(self, request, **more):
        seen.append(httpx.get(f"{client.base_url}/load").json())
        return answer(self, request, **more)

    monkeypatch.setattr(Ranker, "recommend", recommend)
    assert client.get("/load").json() == {"inFlight": 0}
    assert client.post("/recommend", json={"user": "ann", "k": 1}).status_code == 200
    assert seen == [{"inFlight": 1}]
    assert client.get("/load").json() == {"inFlight": 0}


def test_the_openapi_description_has_the_routes_that_are_there(client):
    paths = client.get("/docs.json").json()["paths"]
    assert {"/recommend", "/search", "/shops", "/rank", "/events", "/explain"} <= paths.keys()


@pytest.mark.parametrize("route", ["/recommend", "/search", "/shops", "/rank", "/events", "/explain"])
def test_the_openapi_description_has_an_example_of_every_request_that_is_valid_itself(client, route):
    from serving.service import REQUESTS

    asked = client.get("/docs.json").json()["paths"][route]["post"]["requestBody"]["content"]["application/json"]
    example = asked["schema"]["example"]
    assert set(asked["schema"]["required"]) <= example.keys()
    REQUESTS[route].model_validate(example)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
USERS = st.sampled_from(["ann", "bob", "nobody", "", "\x00", "'; drop table", "a" * 201]) | st.text(max_size=30)
NEARLY_RIGHT = st.fixed_dictionaries(
    {},
    optional={
        "user": USERS | JSON_VALUES,
        "k": st.integers(-5, 505) | JSON_VALUES,
        "shop": st.sampled_from(["north", "moon", None]) | JSON_VALUES,
        "surface": st.just("items") | JSON_VALUES,
        "exclude": st.lists(USERS, max_size=5) | JSON_VALUES,
        "only": st.just(["milk", "tea"]) | JSON_VALUES,
        "rules": st.fixed_dictionaries(
            {}, optional={"maxPerCategory": st.integers(0, 3), "pins": JSON_VALUES, "hideOwned": st.booleans()}
        )
        | JSON_VALUES,
        "items": st.lists(st.sampled_from(["milk", "tea"]) | USERS, max_size=5) | JSON_VALUES,
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(route=st.sampled_from(["/recommend", "/rank", "/shops"]), body=NEARLY_RIGHT | JSON_VALUES)
def test_whatever_json_comes_the_answer_is_a_list_or_a_4xx_with_a_message(client, route, body):
    answer = client.post(route, content=json.dumps(body), headers=JSON)

    assert answer.status_code in ((200, 400, 404) if route == "/shops" else (200, 400)), answer.text
    if answer.status_code == 200:
        assert (
            answer.json()["shops" if route == "/shops" else "items"] or "only" in body
        )  # of which nothing may be known
    else:
        assert answer.json()["detail"]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(route=st.sampled_from(["/recommend", "/rank", "/shops"]), body=st.binary(max_size=200))
def test_whatever_bytes_come_the_answer_is_no_5xx(client, route, body):
    assert client.post(route, content=body, headers=JSON).status_code in (200, 400)


def test_the_front_page_is_our_own_and_loads_nothing_from_elsewhere(client):
    answer = client.get("/")

    assert answer.status_code == 200
    for route in ("/recommend", "/search", "/shops", "/rank", "/events", "/explain"):
        assert f"POST {route}" in answer.text
    assert not set(re.findall(r"https?://[^\s\"'<]+", answer.text))
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_drift_of_what_is_asked_is_told_of_the_version():
    from types import SimpleNamespace

    from shoploop.predictor import metrics

    metrics.tell_drift(
        SimpleNamespace(version="v1", drift=SimpleNamespace(told=lambda: {"score": 0.5, "own_days": 0.1}))
    )
    told = {tuple(s.labels[k] for k in ("what", "feature")): s.value for s in metrics.DRIFT.collect()[0].samples}
    assert told["score", ""] == 0.5 and told["feature", "own_days"] == 0.1


def test_no_answer_is_kept_by_a_cache_or_taken_for_another_type(client):
    for answer in (
        client.post("/recommend", json={"user": "ann"}),
        client.post("/recommend", json={}),
        client.get("/"),
    ):
        assert (answer.headers["cache-control"], answer.headers["referrer-policy"]) == ("no-store", "no-referrer")
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert client.get("/storefront/").headers.get_list("cache-control") == ["no-cache"]


def test_the_deadline_counts_from_the_arrival_of_a_request(client, monkeypatch):
    from serving.service import WAITING

    answer, given = Ranker.recommend, []

    def recommend(self, request, *, until, **more):
        given.append(until - time.perf_counter())
        return answer(self, request, until=until, **more)

    monkeypatch.setattr(WAITING, "deadline_seconds", 5000)
    arrive = WAITING.arrive
    monkeypatch.setattr(WAITING, "arrive", lambda: Visit(arrive().arrived - 2000))  # it has waited that long
    monkeypatch.setattr(Ranker, "recommend", recommend)
    client.post("/recommend", json={"user": "ann", "k": 1})

    assert 2000 < given[0] <= 3000
