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


def come(waiting):
    """A request all of which is there."""
    visit = waiting.arrive()
    waiting.let_in(visit)
    return visit


def answered(waiting, visit):
    visit.began = True
    waiting.leave(visit)


def test_one_that_is_alone_has_the_whole_deadline():
    clock = Clock()
    alone = waiting(clock)
    come(alone)

    with alone.turn() as until:
        assert until == 0.1


def test_one_with_others_behind_it_leaves_them_time_for_short_answers():
    clock = Clock()
    crowd = waiting(clock)
    for _ in range(5):
        come(crowd)

    with crowd.turn() as until:
        assert round(until, 6) == 0.06  # four wait, 10 ms each


def test_those_that_came_later_leave_more_time():
    clock = Clock()
    crowd = waiting(clock)
    come(crowd)
    clock.now = 0.05
    come(crowd)

    with crowd.turn() as until:
        assert until == 0.14  # the newest of them has until .15, and needs 10 ms


def test_more_than_can_be_answered_in_time_are_refused_and_one_is_always_let_in():
    full, slow = waiting(), waiting(short_seconds=5.0)
    while full.has_room:
        come(full)

    assert full.in_flight == 7  # of ten that would be done just in time
    assert full.retry_after_seconds == 1
    assert slow.has_room
    come(slow)
    assert not slow.has_room
    assert slow.retry_after_seconds == 6


def test_the_pace_follows_what_is_seen_while_requests_wait():
    clock = Clock()
    crowd = waiting(clock)
    came = [come(crowd) for _ in range(40)]
    for visit in came[1:]:
        clock.now += 0.002
        answered(crowd, visit)

    assert 0.002 <= crowd.pace_seconds < 0.003


def test_a_pause_without_requests_is_no_pace():
    clock = Clock()
    calm = waiting(clock)
    for _ in range(5):
        visit = come(calm)
        clock.now += 1.0
        answered(calm, visit)

    assert round(calm.pace_seconds, 6) == 0.01


def test_one_that_hangs_while_hardly_anybody_asks_keeps_nobody_out():
    clock = Clock()
    calm = waiting(clock)
    come(calm)
    for _ in range(10):
        assert calm.has_room
        visit = come(calm)
        clock.now += 0.01
        answered(calm, visit)
        clock.now += 1.0


def test_a_pace_that_was_too_slow_for_two_at_once_is_corrected_by_those_that_come_alone():
    clock = Clock()
    slow = waiting(clock, short_seconds=0.5)  # as after a pause of the whole machine
    for _ in range(50):
        visit = come(slow)
        clock.now += 0.01
        answered(slow, visit)
    come(slow)

    assert slow.has_room


def test_what_is_sent_back_before_work_on_it_begins_says_nothing_of_the_pace():
    clock = Clock()
    flood = waiting(clock)
    came = [come(flood) for _ in range(5)]
    for visit in came:
        clock.now += 0.0001
        flood.leave(visit)

    assert (flood.in_flight, round(flood.pace_seconds, 6)) == (0, 0.01)


def test_who_sends_a_body_slowly_takes_no_place_of_others():
    """Ten of them, more than have a place: one who comes with a whole request is answered, and then they are."""
    calm = waiting()
    admission = Admission(reads_all, routes=["/recommend"], waiting=calm)

    async def all_of_them():
        rest = asyncio.Event()

        async def slowly():
            await rest.wait()
            return WHOLE

        slow = [asyncio.create_task(asked(admission, slowly)) for _ in range(10)]
        await asyncio.sleep(0)
        quick = await asked(admission, at_once)
        rest.set()
        return quick, await asyncio.gather(*slow)

    quick, slow = asyncio.run(all_of_them())
    assert quick[0]["status"] == 200
    assert sorted(sent[0]["status"] for sent in slow) == [200] * 7 + [503] * 3  # there is room for so many at once
    assert calm.in_flight == 0


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


WHOLE = {"type": "http.request", "body": b"{}", "more_body": False}


async def at_once():
    return WHOLE


async def asked(app, receive, path="/recommend"):
    sent = []

    async def send(message):
        sent.append(message)

    await app({"type": "http", "path": path, "method": "POST", "headers": []}, receive, send)
    return sent


def ask(app, path):
    return asyncio.run(asked(app, at_once, path))


async def reads_all(scope, receive, send):
    await receive()
    await asyncio.sleep(0)  # all that are there take their places
    await answers(scope, receive, send)


async def answers(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})


def test_a_refusal_is_a_503_that_says_when_to_ask_again():
    full = waiting()
    while full.has_room:
        come(full)

    start, body = ask(Admission(answers, routes=["/recommend"], waiting=full), "/recommend")

    assert start["status"] == 503
    assert (b"retry-after", b"1") in start["headers"]
    assert "Ask again in 1 s" in json.loads(body["body"])["detail"]
    assert full.in_flight == 7  # of ten that would be done just in time


def test_probes_are_let_in_however_many_wait():
    full = waiting()
    while full.has_room:
        come(full)

    [start] = ask(Admission(answers, routes=["/recommend"], waiting=full), "/readyz")

    assert start["status"] == 200


def test_a_request_that_breaks_is_no_longer_in_flight():
    calm = waiting()

    async def breaks(scope, receive, send):
        await receive()
        assert calm.in_flight == 1
        raise RuntimeError

    try:
        ask(Admission(breaks, routes=["/recommend"], waiting=calm), "/recommend")
    except RuntimeError:
        pass
    assert calm.in_flight == 0
