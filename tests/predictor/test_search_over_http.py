"""POST /search: what it answers, and that bad input is a 400 with a code."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shoploop.events.log import BEGINNING
from shoploop.events.messages import from_json
from shoploop.events.sqlite_log import SqliteLog

pytestmark = pytest.mark.filterwarnings("ignore:Accessing the 'model_fields'")  # BentoML does, at every request
JSON = {"content-type": "application/json"}


def search(client, query, **more):
    return client.post("/search", json={"query": query} | more)


def test_search_answers_with_items_scores_reasons_and_fields(client):
    answer = search(client, "milk", user="ann", k=1)

    assert answer.status_code == 200
    body = answer.json()
    assert body.pop("request_id") and body.pop("as_of") and body.pop("impression")
    [item] = body.pop("items")
    assert body == {
        "version": "v123",
        "commit": None,
        "method": "text",
        "understood": None,
        "rules": [],
        "degraded": None,
    }
    assert isinstance(item.pop("score"), float) and item.pop("reason")
    assert item == {"item": "milk", "known": True, "fields": {"title": "Milk"}}


def test_a_misspelt_word_is_told_as_it_was_understood(client):
    body = search(client, "honney").json()
    assert body["understood"] == "honey" and body["items"][0]["item"] == "honey"


def test_who_is_not_known_is_answered_too_and_leaves_no_impression(client):
    body = search(client, "tea").json()
    assert body["items"][0]["item"] == "tea" and body["impression"] is None


def test_a_whole_number_is_an_id_of_a_user_as_elsewhere(client):
    assert search(client, "tea", user=7).status_code == 200


def test_where_nothing_is_called_so_what_sells_is_shown(client):
    body = search(client, "qqqq", k=2).json()
    assert (body["method"], [item["item"] for item in body["items"]]) == ("popularity", ["apples", "nuts"])


def test_what_is_bought_from_an_answer_to_a_query_is_attributed_to_it(client, place):
    shown = search(client, "milk", user="kim").json()
    event = {"id": "k1", "kind": "purchase", "user": "kim", "item": "milk", "impression": shown["impression"]}
    said = client.post("/events", json={"events": [event]})
    assert (said.status_code, said.json()) == (202, {"accepted": 1, "known": 0, "refused": []})
    with SqliteLog(place / "events.sqlite") as log:
        messages = [from_json(record.body) for record in log.read(BEGINNING, limit=100_000)]
    [bought] = [m for m in messages if m.type == "event" and m.request_id == shown["request_id"]]
    assert (bought.source, bought.item) == ("attributed", "milk")


@pytest.mark.parametrize(
    "body, where",
    [
        ({}, "query"),
        ({"query": None}, "query"),
        ({"query": 7}, "query"),
        ({"query": ["milk"]}, "query"),
        ({"query": "x" * 10_001}, "query"),
        ({"query": "milk", "user": ""}, "user"),
        ({"query": "milk", "user": 7.5}, "user"),
        ({"query": "milk", "k": 0}, "k"),
        ({"query": "milk", "k": 501}, "k"),
        ({"query": "milk", "exclude": "tea"}, "exclude"),
        ({"query": "milk", "only": []}, "only"),
        ({"query": "milk", "only": ["milk"] * 501}, "only"),
        ({"query": "milk", "shop": "north"}, "shop"),
        ({"query": "milk", "rules": {}}, "rules"),
    ],
    ids=lambda value: json.dumps(value)[:40],
)
def test_a_wrong_field_is_a_400_that_names_it(client, body, where):
    answer = client.post("/search", json=body)

    assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")
    assert answer.json()["detail"].split(": ")[0].split(".")[0] == where


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "json_invalid"),
        (b"\xff\xfe{}", "json_invalid"),
        (b'{"query": "milk", "query": "tea"}', "json_key_twice"),
        (b'{"query": "milk", "k": NaN}', "json_not_finite"),
        (b'{"query":' * 20_000, "json_too_deep"),
        (b"[]", "request_invalid"),
        (b'{"query": "\\ud800"}', "request_invalid"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_malformed_json_is_refused_by_a_code(client, body, code):
    answer = client.post("/search", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_another_method_is_refused_by_a_code_of_its_own(client):
    answer = client.get("/search")
    assert (answer.status_code, answer.json()["code"], answer.headers["allow"]) == (405, "method_not_allowed", "POST")


VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
)
NEARLY_RIGHT = st.fixed_dictionaries(
    {},
    optional={
        "query": st.text(max_size=300) | VALUES,
        "user": st.sampled_from(["ann", "nobody", "", "\x00"]) | VALUES,
        "k": st.integers(-5, 505) | VALUES,
        "exclude": st.lists(st.sampled_from(["milk", "apples"]) | VALUES, max_size=3) | VALUES,
        "only": st.just(["milk", "tea"]) | VALUES,
    },
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=NEARLY_RIGHT)
def test_whatever_json_comes_the_answer_is_a_list_or_a_400_with_a_message(client, body):
    answer = client.post("/search", content=json.dumps(body), headers=JSON)

    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 200:
        assert answer.json()["items"] or "only" in body
    else:
        assert answer.json()["detail"]
