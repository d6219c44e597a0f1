"""The way back from shoppers over HTTP: what is shown is signed, what comes back is checked, kept and counts at once."""

import json
import os
import time
from datetime import UTC, datetime, timedelta

import pytest

from shoploop.events import keyring
from shoploop.events.keyring import Keyring, add_key
from shoploop.events.log import BEGINNING
from shoploop.events.messages import EventsRequest, from_json
from shoploop.events.sqlite_log import SqliteLog
from shoploop.predictor.feedback import answer_events

pytestmark = pytest.mark.filterwarnings("ignore:Accessing the 'model_fields'")  # BentoML does, at every request


def shown(client, user, k=3):
    answer = client.post("/recommend", json={"user": user, "k": k}).json()
    return answer, [item["item"] for item in answer["items"]]


def send(client, *events, key=None, origin=None):
    headers = {"authorization": f"Bearer {key}"} if key else {}
    headers |= {"origin": origin} if origin else {}
    return client.post("/events", json={"events": list(events)}, headers=headers)


def kept(place):
    with SqliteLog(place / "events.sqlite") as log:
        return [from_json(record.body) for record in log.read(BEGINNING, limit=100_000)]


def until(condition):
    for _ in range(200):
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come")


def test_what_was_shown_lies_in_the_log_with_its_positions(client, place):
    answer, items = shown(client, "ann")
    assert answer["impression"].count(".") == 2

    def found():
        return [m for m in kept(place) if m.type == "impression" and m.request_id == answer["request_id"]]

    [impression] = until(found)
    assert (impression.user, impression.version, impression.items) == ("ann", "v123", items)
    assert impression.propensities == [1.0] * len(items)


def test_feedback_on_what_was_shown_is_kept_with_its_position(client, place):
    answer, items = shown(client, "ann")
    event = {"id": "c1", "kind": "click", "user": "ann", "item": items[1], "impression": answer["impression"]}

    said = send(client, event)

    assert (said.status_code, said.json()) == (202, {"accepted": 1, "known": 0, "refused": []})
    [click] = [m for m in kept(place) if m.type == "event" and m.request_id == answer["request_id"]]
    assert (click.source, click.position, click.version, click.propensity) == ("attributed", 1, "v123", 1.0)


def test_an_event_that_is_sent_again_or_under_another_id_counts_once(client, place):
    answer, items = shown(client, "ann")
    event = {"id": "c2", "kind": "click", "user": "ann", "item": items[0], "impression": answer["impression"]}
    assert send(client, event).json()["known"] == 0
    assert send(client, event).json() == {"accepted": 1, "known": 1, "refused": []}
    assert send(client, event | {"id": "another"}).json()["known"] == 1
    assert len([m for m in kept(place) if m.type == "event" and m.request_id == answer["request_id"]]) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"item": "never-shown"}, "item_not_shown"),
        ({"user": "bob"}, "impression_of_another"),
        ({"impression": "x.y.z"}, "impression_altered"),
        ({"impression": None, "kind": "view"}, "key_missing"),
        ({"time": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}, "time_in_future"),
        ({"time": (datetime.now(UTC) - timedelta(days=31)).isoformat()}, "time_too_old"),
    ],
)
def test_feedback_that_claims_what_was_not_is_refused_by_a_code(client, place, change, code):
    answer, items = shown(client, "ann")
    event = {"id": "c3", "kind": "click", "user": "ann", "item": items[0], "impression": answer["impression"]}
    before = len([m for m in kept(place) if m.type == "event"])

    said = send(client, event | change)

    assert (said.status_code, said.json()["code"]) == (400, code)
    assert said.headers["content-type"].startswith("application/problem+json")
    assert len([m for m in kept(place) if m.type == "event"]) == before


def test_every_changed_letter_of_an_impression_is_seen(client):
    answer, items = shown(client, "ann")
    token = answer["impression"]
    for place in range(0, len(token), 7):
        other = "A" if token[place] != "A" else "B"
        changed = token[:place] + other + token[place + 1 :]
        event = {"id": f"c{place}", "kind": "click", "user": "ann", "item": items[0], "impression": changed}
        said = send(client, event)
        assert said.status_code == 400, (place, said.text)
        assert said.json()["code"] in ("impression_altered", "impression_key_unknown")


def test_good_events_are_kept_beside_bad_ones(client):
    answer, items = shown(client, "ann")
    good = {"id": "g", "kind": "cart", "user": "ann", "item": items[0], "impression": answer["impression"]}
    said = send(client, good | {"item": "never-shown"}, good)
    assert said.status_code == 202
    assert said.json()["accepted"] == 1
    assert [(refused["index"], refused["code"]) for refused in said.json()["refused"]] == [(0, "item_not_shown")]


def test_a_server_key_brings_what_no_recommendation_showed(client, place, server_key):
    event = {"id": "o1", "kind": "purchase", "user": "dan", "item": "soap"}
    assert send(client, event, key=server_key).status_code == 202
    [bought] = [m for m in kept(place) if m.type == "event" and m.user == "dan"]
    assert (bought.source, bought.propensity, bought.item) == ("organic", None, "soap")
    assert server_key not in bought.model_dump_json()
    assert send(client, event, key="wrong").status_code == 401


def test_a_publishable_key_is_for_its_origins(client):
    event = {"id": "p1", "kind": "view", "user": "eve", "item": "soap"}
    assert send(client, event, key="pk_front", origin="https://shop.example").status_code == 202
    assert send(client, event, key="pk_front", origin="https://evil.example").status_code == 403
    assert send(client, event, key="pk_front").status_code == 403


def test_a_click_needs_its_impression_whatever_key_comes_with_it(client, server_key):
    said = send(client, {"id": "k", "kind": "click", "user": "ann", "item": "milk"}, key=server_key)
    assert said.json()["code"] == "impression_missing"


def test_what_a_new_shopper_looks_at_counts_in_the_next_request(client, server_key):
    _, before = shown(client, "zoe")
    assert before[0] == "apples"  # what sells
    send(client, {"id": "v1", "kind": "view", "user": "zoe", "item": "tea"}, key=server_key)

    def changed():
        answer, _ = shown(client, "zoe")
        return answer if answer["method"] == "fused" else None

    assert until(changed)["items"][0]["item"] == "tea"


def test_a_shopper_cannot_speak_more_than_the_limits_allow(client):
    events = [{"id": f"m{n}", "kind": "view", "user": "gus", "item": f"i{n}"} for n in range(400)]
    said = send(client, *events, key="pk_front", origin="https://shop.example").json()
    assert said["accepted"] == 300
    assert {refused["code"] for refused in said["refused"]} == {"rate_limited"}
    again = send(
        client, {"id": "m", "kind": "view", "user": "gus", "item": "j"}, key="pk_front", origin="https://shop.example"
    )
    assert again.status_code == 429 and int(again.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "event",
    [
        {"id": "x", "kind": "purchase", "user": "ann"},
        {"id": "x", "kind": "query", "user": "ann", "item": "milk"},
        {"id": "", "kind": "view", "user": "ann", "item": "milk"},
        {"id": "x", "kind": "stolen", "user": "ann", "item": "milk"},
        {"id": "x", "kind": "view", "user": "ann", "item": "milk", "time": "2024-01-01T00:00:00"},
        {"id": "x", "kind": "view", "user": "ann", "item": "milk", "price": float("1e400")},
    ],
    ids=str,
)
def test_an_event_that_says_nothing_is_a_400(client, event):
    body = json.dumps({"events": [event]})
    said = client.post("/events", content=body, headers={"content-type": "application/json"})
    assert said.status_code == 400
    assert said.json()["code"] == ("json_not_finite" if "price" in event else "request_invalid")


def test_a_new_key_signs_and_the_old_one_still_counts_until_it_is_removed(client, place, monkeypatch):
    monkeypatch.setattr(keyring, "SETTLED_SECONDS", 0.0)
    answer, items = shown(client, "bob")
    event = {"id": "r1", "kind": "click", "user": "bob", "item": items[0], "impression": answer["impression"]}
    keys = place / "keys" / "impressions"
    [old] = keys.iterdir()
    os.utime(old, (time.time() - 60,) * 2)
    add_key(keys)
    time.sleep(1.1)
    assert send(client, event).status_code == 202
    later, items = shown(client, "bob")
    assert later["impression"].partition(".")[0] != answer["impression"].partition(".")[0]
    old.unlink()
    time.sleep(1.1)
    assert send(client, event | {"kind": "cart"}).json()["code"] == "impression_key_unknown"
    assert Keyring(keys).signing


def test_a_predictor_without_a_log_says_that_it_collects_nothing():
    event = {"id": "1", "kind": "view", "user": "ann", "item": "milk"}
    answer = answer_events(None, EventsRequest.model_validate({"events": [event]}), {}, "127.0.0.1")
    assert (answer.status, answer.body["code"]) == (404, "not_found")
