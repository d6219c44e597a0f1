"""How much of requests is in memory at once."""

import asyncio
import json

from shoploop.predictor.held import Held

ANSWERED = {"type": "http.response.start", "status": 202, "headers": []}


async def asked(app, receive, path="/events"):
    sent = []

    async def send(message):
        sent.append(message)

    await app({"type": "http", "path": path, "method": "POST", "headers": []}, receive, send)
    return sent


async def reads_all(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send(ANSWERED)


def body(size, *, rest=None):
    """A body in two halves; the second comes when ``rest`` says so."""
    halves = [size // 2, size - size // 2]

    async def receive():
        if rest and len(halves) == 1:
            await rest.wait()
        return {"type": "http.request", "body": b"x" * halves.pop(0), "more_body": bool(halves)}

    return receive


def test_who_sends_more_than_there_is_room_for_is_told_to_wait_and_other_paths_are_not_held_up():
    held = Held(reads_all, routes=["/events", "/recommend"], most_bytes=100)

    async def all_of_them():
        rest = asyncio.Event()
        slow = [asyncio.create_task(asked(held, body(80, rest=rest))) for _ in range(2)]  # each has sent half of it
        await asyncio.sleep(0)
        late, other = await asked(held, body(60)), await asked(held, body(60), "/recommend")
        rest.set()
        return late, other, await asyncio.gather(*slow)

    late, other, slow = asyncio.run(all_of_them())
    assert other == [ANSWERED]
    assert late[0]["status"] == 503 and (b"retry-after", b"1") in late[0]["headers"]
    assert json.loads(late[1]["body"])["code"] == "overloaded"
    assert [sent[0]["status"] for sent in slow] == [503, 202]  # the first would have gone beyond, and made room
    assert set(held.held.values()) == {0}


def test_what_was_answered_makes_room():
    held = Held(reads_all, routes=["/events"], most_bytes=100)
    for _ in range(5):
        assert asyncio.run(asked(held, body(100))) == [ANSWERED]
    assert held.held == {"/events": 0}
