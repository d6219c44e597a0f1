"""Who is let in and how long an answer may take, by a clock that only the test moves."""

import asyncio
import json

from shoploop.predictor.admission import Admission, Refusals, Waiting


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def waiting(clock=None, *, short_seconds=0.009):
    """A deadline of 100 ms; a short answer takes 10 ms with what HTTP takes."""
    made = Waiting(clock=clock or Clock())
    made.expect(deadline_seconds=0.1, short_seconds=short_seconds)
    return made


def test_one_that_is_alone_has_the_whole_deadline():
    clock = Clock()
    alone = waiting(clock)
    alone.arrive()

    with alone.turn() as until:
        assert until == 0.1


def test_one_with_others_behind_it_leaves_them_time_for_short_answers():
    clock = Clock()
    crowd = waiting(clock)
    for _ in range(5):
        crowd.arrive()

    with crowd.turn() as until:
        assert round(until, 6) == 0.06  # four wait, 10 ms each


def test_those_that_came_later_leave_more_time():
    clock = Clock()
    crowd = waiting(clock)
    crowd.arrive()
    clock.now = 0.05
    crowd.arrive()

    with crowd.turn() as until:
        assert until == 0.14  # the newest of them has until .15, and needs 10 ms


def test_more_than_can_be_answered_in_time_are_refused_and_one_is_always_let_in():
    full, slow = waiting(), waiting(short_seconds=5.0)
    while full.has_room:
        full.arrive()

    assert full.in_flight == 7  # of ten that would be done just in time
    assert full.retry_after_seconds == 1
    assert slow.has_room
    slow.arrive()
    assert not slow.has_room
    assert slow.retry_after_seconds == 6


def test_the_pace_follows_what_is_seen_while_requests_wait():
    clock = Clock()
    crowd = waiting(clock)
    for _ in range(40):
        crowd.arrive()
    for _ in range(39):
        clock.now += 0.002
        crowd.leave()

    assert 0.002 <= crowd.pace_seconds < 0.003


def test_a_pause_without_requests_is_no_pace():
    clock = Clock()
    calm = waiting(clock)
    for _ in range(5):
        calm.arrive()
        clock.now += 1.0
        calm.leave()

    assert round(calm.pace_seconds, 6) == 0.01


def test_a_flood_of_refusals_is_spaced_and_none_is_held_for_more_than_a_second():
    refusals = Refusals(clock=Clock())
    held = [refusals.hold_seconds() for _ in range(300)]

    assert [round(seconds, 6) for seconds in held[:20]] == [0.0] * 20
    assert [round(seconds, 6) for seconds in held[20:23]] == [0.01, 0.02, 0.03]
    assert round(max(held), 6) == 1.0


def test_refusals_are_told_at_once_again_after_a_flood():
    clock = Clock()
    refusals = Refusals(clock=clock)
    for _ in range(300):
        refusals.hold_seconds()
    clock.now = 2.0

    assert [refusals.hold_seconds() for _ in range(20)] == [0.0] * 20


def ask(app, path):
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(app({"type": "http", "path": path, "method": "POST", "headers": []}, None, send))
    return sent


async def answers(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})


def test_a_refusal_is_a_503_that_says_when_to_ask_again():
    full = waiting()
    while full.has_room:
        full.arrive()

    start, body = ask(Admission(answers, routes=["/recommend"], waiting=full), "/recommend")

    assert start["status"] == 503
    assert (b"retry-after", b"1") in start["headers"]
    assert "Ask again in 1 s" in json.loads(body["body"])["detail"]
    assert full.in_flight == 7  # of ten that would be done just in time


def test_probes_are_let_in_however_many_wait():
    full = waiting()
    while full.has_room:
        full.arrive()

    [start] = ask(Admission(answers, routes=["/recommend"], waiting=full), "/readyz")

    assert start["status"] == 200


def test_a_request_that_breaks_is_no_longer_in_flight():
    calm = waiting()

    async def breaks(scope, receive, send):
        raise RuntimeError

    try:
        ask(Admission(breaks, routes=["/recommend"], waiting=calm), "/recommend")
    except RuntimeError:
        pass
    assert calm.in_flight == 0
