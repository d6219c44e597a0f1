"""A predictor whose event log is away when it starts: it answers, refuses events by a code, and connects by itself."""

import time

import pytest
from event_logs import redis_server
from mounts import fill, small_disk

from shoploop.api.online import EventLogSpec
from shoploop.events.fresh import WAIT_SECONDS
from shoploop.events.keyring import add_key
from shoploop.events.log import BEGINNING, Entry, LogFull, LogUnavailable
from shoploop.events.messages import EventsRequest, Kept, to_json
from shoploop.events.redis_log import RedisLog
from shoploop.events.sqlite_log import SqliteLog
from shoploop.predictor import metrics
from shoploop.predictor.feedback import Feedback, answer_events
from shoploop.predictor.feedback_settings import FeedbackSettings
from shoploop.ranking.answer import Answer, RankedItem

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


def send(feedback, folder, **event):
    [key] = (folder / "keys" / "server").iterdir()
    headers = {"authorization": f"Bearer {key.read_text().strip()}"}
    return answer_events(feedback, EventsRequest.model_validate({"events": [EVENT | event]}), headers, "127.0.0.1")


def up():
    """The gauge belongs to the process: a service that another test started tells its own log there too."""
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
            assert not feedback.is_up
            until(lambda: not up())
            server.start()
            until(lambda: feedback.is_up)
            until(up)
            until(lambda: feedback.done("eve"))
            assert until(lambda: (said := send(feedback, folder)).status == 202 and said).body["accepted"] == 1
            until(lambda: [done.item for done in feedback.done(now.user)] == ["soap"])
            server.kill()
            assert send(feedback, folder).body["code"] == "log_unavailable"
            assert not feedback.is_up
            until(lambda: not up())
            server.start()
            assert until(lambda: (said := send(feedback, folder)).status == 202 and said).body["known"] == 1
        finally:
            feedback.close()


def test_a_redis_that_would_lose_events_takes_none_and_keeps_nobody_from_an_answer(folder, caplog):
    with redis_server(folder / "redis", "--appendfsync", "everysec") as server:
        feedback = Feedback(settings_of(folder, type="Redis", connection=server.url))
        try:
            said = send(feedback, folder)
            assert (said.status, said.body["code"]) == (503, "log_unavailable")
            assert "appendfsync always" in caplog.text
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


class Counting(SqliteLog):
    """Counts the appends of events, and may be told what to answer."""

    def __init__(self, path):
        super().__init__(path)
        self.appends, self.appending, self.reading = 0, None, None

    def append(self, entries):
        self.appends += entries[0].id.startswith("o:")
        if self.appending:
            raise self.appending
        return super().append(entries)

    def read(self, after, **how):
        if self.reading:
            raise self.reading
        return super().read(after, **how)


@pytest.fixture
def watched(folder, monkeypatch):
    """A predictor, and the log that it uses."""
    log = Counting(folder / "log")
    monkeypatch.setattr("shoploop.predictor.feedback.open_log", lambda *_, **__: log)
    feedback = Feedback(settings_of(folder))
    yield feedback, log
    log.appending = log.reading = None
    feedback.close()


def test_a_disk_that_is_full_while_events_come_in_loses_none_that_was_accepted_and_takes_them_again(folder, caplog):
    with small_disk(folder / "here", "256k"):
        feedback = Feedback(settings_of(folder))
        try:
            assert send(feedback, folder).status == 202
            others = fill(folder / "here")
            accepted = {"1"}
            for number in range(2, 200):
                said = send(feedback, folder, id=str(number))
                if said.status != 202:
                    break
                accepted.add(str(number))
            assert (said.status, said.body["code"], said.headers["retry-after"]) == (503, "log_unavailable", "1")
            assert "Free some room" in caplog.text and not feedback.is_up
            others.unlink()
            assert send(feedback, folder, id=str(number)).body["known"] == 0
            assert feedback.is_up
            assert len(feedback.log.read(BEGINNING)) == len(accepted) + 1
        finally:
            feedback.close()


def test_while_the_log_does_not_answer_no_request_waits_for_it(watched, folder, caplog):
    feedback, log = watched
    log.reading = LogUnavailable("Redis hangs.")
    until(lambda: not feedback.is_up)
    refused = count("log_unavailable")
    said = send(feedback, folder)
    assert said.body["code"] == "log_unavailable"
    assert caplog.text.count("Redis hangs.") == 1 and "Redis" not in said.body["detail"]  # which shoppers may read
    assert log.appends == 0 and count("log_unavailable") == refused + 1
    log.reading = None
    until(lambda: feedback.is_up)
    assert send(feedback, folder).status == 202


def test_a_log_that_can_be_read_and_takes_nothing_is_not_up_and_that_is_told_once(watched, folder, caplog):
    feedback, log = watched
    log.appending = LogFull("There is no room.")
    refused = count("log_full")
    assert send(feedback, folder).status == 503
    assert send(feedback, folder).status == 503
    assert caplog.text.count("There is no room.") == 1
    assert not feedback.is_up and count("log_full") == refused + 2
    time.sleep(2 * WAIT_SECONDS)
    assert feedback.fresh.trouble is None and not feedback.is_up  # it was read since
    log.appending = None
    assert send(feedback, folder).status == 202
    assert feedback.is_up


def test_an_answer_that_no_log_takes_is_dropped_and_the_next_one_is_written(watched):
    feedback, log = watched
    long = [RankedItem(item=f"{n:03}" + "ü" * 197, score=0.0, known=False, reason=None, fields={}) for n in range(700)]
    dropped = metrics.IMPRESSIONS.labels(outcome="dropped")._value.get()
    answer = Answer(request_id="r1", version="v1", as_of="2026-01-05", method="fused", items=long)
    assert feedback.shown(answer, user="ann", surface="items").impression
    assert metrics.IMPRESSIONS.labels(outcome="dropped")._value.get() == dropped + 1
    short = answer.model_copy(update={"request_id": "r2", "items": long[:2]})
    feedback.shown(short, user="ann", surface="items")
    assert until(lambda: [record.id for record in log.read(BEGINNING)]) == ["i:r2"]


def test_a_defect_keeps_no_later_impression_from_the_log(watched):
    feedback, log = watched
    answer = Answer(request_id="r1", version="v1", as_of="2026-01-05", method="fused", items=[])
    log.appending = RuntimeError("a defect")
    dropped = metrics.IMPRESSIONS.labels(outcome="dropped")._value.get()
    feedback.shown(answer, user="ann", surface="items")
    until(lambda: metrics.IMPRESSIONS.labels(outcome="dropped")._value.get() > dropped)
    log.appending = None
    feedback.shown(answer.model_copy(update={"request_id": "r2"}), user="ann", surface="items")
    assert until(lambda: [record.id for record in log.read(BEGINNING)]) == ["i:r2"]


def count(code):
    return metrics.EVENTS.labels(code=code)._value.get()
