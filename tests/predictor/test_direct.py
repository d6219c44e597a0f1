"""Requests that were read are answered without BentoML's way to a method; each leaves a line of JSON; spans cost only where
somebody collects them."""

import asyncio
import contextvars
import json
import threading

import pytest
from pydantic import BaseModel

from shoploop.predictor.access_log import ENVIRONMENT, AccessLog, lines
from shoploop.predictor.direct import Answers, Direct
from shoploop.predictor.http import ASKED, CheckedJson, Refused
from shoploop.predictor.tracing import ENDPOINT, PROTOCOL, SHARE, tracing

ARRIVED = contextvars.ContextVar("arrived", default="never")


class Request(BaseModel):
    user: str


class Answer(BaseModel):
    request_id: str = "r1"
    version: str = "v1"
    method: str = "fused"
    said: str = ""


def answering(asked: Request) -> Answer:
    if asked.user == "nobody":
        raise Refused(404, "shop_unknown", "No shop is known.")
    if asked.user == "broken":
        raise ZeroDivisionError
    return Answer(said=f"{asked.user} {ARRIVED.get()}")


def ask(body: bytes, *, path: str = "/recommend", write=None, ready: bool = True):
    """Status, headers and JSON of a request; what BentoML would answer is 299."""
    answers = Answers(threads=1)
    if ready:
        answers.by_path = {"/recommend": answering}

    async def bentoml(scope, receive, send):
        assert (await receive())["body"] == body
        await send({"type": "http.response.start", "status": 299, "headers": []})
        await send({"type": "http.response.body", "body": b"null"})

    checked = CheckedJson(Direct(bentoml, answers=answers), requests={"/recommend": Request, "/events": Request})
    app = AccessLog(checked, routes=["/recommend"], write=write)
    sent = []

    async def receive():
        return {"type": "http.request", "body": body}

    async def send(message):
        sent.append(message)

    async def whole():
        ARRIVED.set("in time")
        await app({"type": "http", "method": "POST", "path": path, "headers": []}, receive, send)

    asyncio.run(whole())
    answers.threads.shutdown()
    start, content = sent
    return start["status"], dict(start["headers"]), json.loads(content["body"])


def test_a_request_that_was_read_is_answered_with_what_was_known_when_it_came():
    status, headers, body = ask(b'{"user": "ann"}')
    assert status == 200 and body == {"request_id": "r1", "version": "v1", "method": "fused", "said": "ann in time"}
    assert headers[b"content-type"] == b"application/json"
    assert int(headers[b"content-length"]) == len(Answer(said="ann in time").model_dump_json())


def test_what_is_refused_has_its_own_code_and_a_defect_is_a_500_that_tells_nothing_of_it(caplog):
    status, _, body = ask(b'{"user": "nobody"}')
    assert (status, body["code"], body["detail"]) == (404, "shop_unknown", "No shop is known.")
    status, headers, body = ask(b'{"user": "broken"}')
    assert (status, body["code"]) == (500, "not_answered") and "ZeroDivision" not in json.dumps(body)
    assert headers[b"content-type"] == b"application/problem+json"
    assert "ZeroDivisionError" in caplog.text


def test_other_paths_and_a_service_that_is_not_there_yet_are_left_to_bentoml():
    assert ask(b'{"user": "ann"}', path="/events")[0] == 299
    assert ask(b'{"user": "ann"}', ready=False)[0] == 299


def test_requests_that_hang_and_are_given_up_keep_nobody_else_from_an_answer():
    ends = threading.Event()
    answers, written = Answers(threads=2), []
    answers.by_path = {"/recommend": lambda asked: Answer() if asked.user == "ann" else ends.wait()}
    app = AccessLog(Direct(None, answers=answers), routes=["/recommend"], write=written.append)
    sent = []

    async def send(message):
        sent.append(message)

    def asks(user):
        scope = {"type": "http", "method": "POST", "path": "/recommend", ASKED: Request(user=user)}
        return asyncio.wait_for(app(scope, None, send), 0.2)

    async def whole():
        for user in ("zoe", "zoe", "zoe"):
            with pytest.raises(TimeoutError):
                await asks(user)
        await asks("ann")

    asyncio.run(whole())
    ends.set()
    assert [json.loads(line)["status"] for line in written] == [504, 504, 504, 200]
    assert sent[0]["status"] == 200


def test_each_request_leaves_a_line_that_names_the_answer_and_nobody():
    written = []
    ask(b'{"user": "ann"}', write=written.append)
    ask(b'{"user": "nobody"}', write=written.append)
    ask(b'{"user": ""', write=written.append)
    good, refused, bad = map(json.loads, written)
    assert good.pop("time") and good.pop("milliseconds") >= 0
    assert good == {
        "route": "/recommend",
        "status": 200,
        "request_id": "r1",
        "version": "v1",
        "method": "fused",
    }
    assert refused["status"] == 404 and "request_id" not in refused
    assert bad["status"] == 400 and "ann" not in "".join(written)


def test_lines_are_written_unless_the_environment_says_off(monkeypatch, capsys):
    monkeypatch.setenv(ENVIRONMENT, "off")
    assert lines() is None
    monkeypatch.delenv(ENVIRONMENT)
    assert lines() is not None


def test_nothing_is_traced_before_an_endpoint_is_named():
    assert tracing({}) == tracing({ENDPOINT: " "}) == {"excluded_urls": ".*"}
    told = tracing({ENDPOINT: "http://otel:4318/", SHARE: "0.1"})
    assert told["otlp"]["endpoint"] == "http://otel:4318/v1/traces" and told["sample_rate"] == 0.1
    assert tracing({ENDPOINT: "http://otel/v1/traces"})["otlp"]["endpoint"] == "http://otel/v1/traces"
    assert tracing({ENDPOINT: "http://otel:4318"})["sample_rate"] == 1.0


@pytest.mark.parametrize("share", ["2", "-0.5", "half", "nan"])
def test_a_share_of_requests_that_is_none_costs_the_traces_and_is_named(share, caplog):
    assert tracing({ENDPOINT: "http://otel:4318", SHARE: share}) == tracing({})
    assert f"not traced: {SHARE} is '{share}'" in caplog.text


def test_a_protocol_that_is_not_spoken_costs_the_traces_and_is_named(caplog):
    assert tracing({ENDPOINT: "http://otel:4317", PROTOCOL: "grpc"}) == tracing({})
    assert f"not traced: {PROTOCOL} is 'grpc'. Set it to http/protobuf" in caplog.text
