"""Two hundred who ask at once, of a service that answers one after another, by a clock that only the work moves."""

import asyncio

import pytest

from shoploop.predictor.admission import Admission, Waiting

CLIENTS = 200
DEADLINE_SECONDS = 0.1


class Service:
    """Answers in full in 60 ms where there is time for it, else short in 9 ms; HTTP takes 1 ms."""

    def __init__(self):
        self.now = 0.0
        self.waiting = Waiting(deadline_seconds=DEADLINE_SECONDS, clock=lambda: self.now)
        self.waiting.expect(deadline_seconds=DEADLINE_SECONDS, short_seconds=0.009)
        self.admission = Admission(self.answer, routes=["/recommend"], waiting=self.waiting)
        self.one_after_another = asyncio.Lock()
        self.methods = []

    async def answer(self, scope, receive, send):
        await receive()
        await asyncio.sleep(0)  # all have arrived before the first is answered
        async with self.one_after_another:
            with self.waiting.turn() as until:
                full = self.now + 0.06 <= until
                self.methods.append("full" if full else "short")
                self.now += 0.06 if full else 0.009
            self.now += 0.001
            await send({"type": "http.response.start", "status": 200, "headers": []})

    async def asked(self):
        """Status, headers and seconds of one request."""
        arrived, sent = self.now, []

        async def send(message):
            sent.append((message, self.now - arrived))

        async def receive():
            return {"type": "http.request", "body": b"{}", "more_body": False}

        await self.admission({"type": "http", "path": "/recommend", "method": "POST", "headers": []}, receive, send)
        start, seconds = sent[0]
        return start["status"], dict(start["headers"]), seconds


@pytest.fixture
def answers():
    async def all_at_once():
        service = Service()
        return service, await asyncio.gather(*(service.asked() for _ in range(CLIENTS)))

    return asyncio.run(all_at_once())


def test_of_two_hundred_at_once_each_has_an_answer_in_time_or_is_told_when_to_ask_again(answers):
    _, told = answers
    in_time = [seconds for status, _, seconds in told if status == 200]
    assert len(in_time) == 7  # of 10 ms each, in .7 of the deadline: nobody comes while they are answered
    assert max(in_time) <= DEADLINE_SECONDS + 1e-9
    refused = [headers for status, headers, _ in told if status != 200]
    assert len(in_time) + len(refused) == CLIENTS
    assert {status for status, _, _ in told} == {200, 503}
    assert all(int(headers[b"retry-after"]) >= 1 for headers in refused)


def test_short_of_time_it_answers_with_what_it_has(answers):
    service, _ = answers
    assert set(service.methods[:-1]) == {"short"}


def test_one_alone_has_the_whole_answer():
    async def alone():
        service = Service()
        return service.methods, await service.asked()

    methods, (status, _, _) = asyncio.run(alone())
    assert (status, methods) == (200, ["full"])
