"""A predictor whose event log is away when it starts: it answers, refuses events by a code, and connects by itself."""

import time

import pytest
from event_logs import redis_server

from shoploop.api.v1alpha1 import EventLogSpec
from shoploop.events.keyring import add_key
from shoploop.events.log import BEGINNING, Entry
from shoploop.events.messages import EventsRequest, Kept, to_json
from shoploop.events.redis_log import RedisLog
from shoploop.predictor import metrics
from shoploop.predictor.feedback import Feedback, answer_events
from shoploop.predictor.feedback_settings import FeedbackSettings

EVENT = {"id": "1", "kind": "purchase", "user": "dan", "item": "soap"}


def until(condition):
    for _ in range(400):
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come")


@pytest.fixture
def folder(tmp_path):
    for kind in ("impressions", "server"):
        add_key(tmp_path / "keys" / kind)
    return tmp_path


def settings_of(folder, **log):
    return FeedbackSettings(
        recommender="grocery", log=EventLogSpec(**log), folder=folder / "here", keys=folder / "keys"
    )


def send(feedback, folder):
    [key] = (folder / "keys" / "server").iterdir()
    headers = {"authorization": f"Bearer {key.read_text().strip()}"}
    return answer_events(feedback, EventsRequest.model_validate({"events": [EVENT]}), headers, "127.0.0.1")


def up():
    return metrics.EVENT_LOG_UP._value.get()


def test_it_starts_without_its_log_and_takes_events_when_that_is_there(folder, caplog):
    with redis_server(folder / "redis") as server:
        with RedisLog(server.url, name="grocery") as log:
            now = EventsRequest.model_validate({"events": [EVENT]}).events[0]
            before = Kept(
                source="organic", kind="view", user="eve", item="tea", time="2026-01-05T12:00:00Z",
                received="2026-01-05T12:00:00Z",
            )  # fmt: skip
            log.append([Entry("before", to_json(before))])
        server.kill()
        feedback = Feedback(settings_of(folder, type="Redis", connection=server.url))
        try:
            assert "No event is taken until it can be used" in caplog.text
            assert feedback.done("eve") == ()
            said = send(feedback, folder)
            assert (said.status, said.body["code"], said.headers["retry-after"]) == (503, "log_unavailable", "1")
            assert up() == 0
            server.start()
            until(up)
            until(lambda: feedback.done("eve"))
            assert until(lambda: (said := send(feedback, folder)).status == 202 and said).body["accepted"] == 1
            until(lambda: [done.item for done in feedback.done(now.user)] == ["soap"])
            server.kill()
            assert send(feedback, folder).body["code"] == "log_unavailable"
            until(lambda: not up())
            server.start()
            assert until(lambda: (said := send(feedback, folder)).status == 202 and said).body["known"] == 1
        finally:
            feedback.close()


def test_a_redis_that_would_lose_events_takes_none_and_keeps_nobody_from_an_answer(folder):
    with redis_server(folder / "redis", "--appendfsync", "everysec") as server:
        feedback = Feedback(settings_of(folder, type="Redis", connection=server.url))
        try:
            said = send(feedback, folder)
            assert (said.status, said.body["code"]) == (503, "log_unavailable")
            assert "appendfsync always" in said.body["detail"]
        finally:
            feedback.close()


def test_histories_are_overlaid_from_where_the_packaged_ones_end(folder):
    settings = settings_of(folder)
    feedback = Feedback(settings)
    try:
        assert send(feedback, folder).status == 202
        assert until(lambda: feedback.done("dan"))
        [record] = feedback.log.read(BEGINNING)
    finally:
        feedback.close()
    again = Feedback(settings, offset=record.offset)
    try:
        assert again.done("dan") == ()
    finally:
        again.close()
