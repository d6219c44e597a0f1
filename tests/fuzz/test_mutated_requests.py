"""Whatever is sent to a predictor, it answers at once, and never with a fault of its own."""

import json
from datetime import UTC, datetime

import httpx
import pytest
from fuzzing import share
from hypothesis import given
from hypothesis import strategies as st
from mutations import damaged, values

pytestmark = [
    pytest.mark.filterwarnings("ignore:Accessing the 'model_fields'"),  # BentoML does, at every request
    # OpenTelemetry's threads draw ids from it meanwhile
    pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies"),
    pytest.mark.timeout(3600),
]

ANSWERS_WITHIN_SECONDS = 20
"""It answers in milliseconds; this is to tell a request that hangs from a machine that is busy."""

ODD = [
    "null", "true", "-1", "0", "0.5", "1e3", "1e999", "NaN", "Infinity", "-0", "9" * 30, "9" * 5000, "1" + "0" * 400,
    '""', '" "', '"\\u0000"',
    '"\\ud800"', '"ann"', '"%s"' % ("x" * 201), '"%s"' % ("x" * 5000), "[]", "{}", "[[]]", "[" * 400 + "]" * 400,
    '{"a":' * 300 + "1" + "}" * 300,
    "[" * 20_000, '["milk"]', '["milk", "milk"]', "[null]", "[1, 2.5, true]", '"2026-11-27T10:00:00Z"',
    '"0001-01-01T00:00:00+14:00"',
    '"9999-12-31T23:59:59-14:00"', '"2026-02-30T00:00:00Z"', '"2026-11-27"', '"10:00"', "1764237600", "-62135596800",
    "253402300800",
    '"+262143-01-01T00:00:00Z"', '"1e300"', '"click"', '"purchase"', '"query"', '"items"', '"\u202e"', '"\\uffff"',
    "'ann'", "undefined", "",
]  # fmt: skip
FIELDS = {
    "/recommend": {"user": '"ann"', "k": "3", "surface": '"items"', "shop": '"north"', "exclude": '["milk"]'},
    "/rank": {"user": '"ann"', "items": '["milk", "tea"]'},
    "/events": {"events": None},
}
EVENT = {"id": '"1"', "kind": '"purchase"', "user": '"ann"', "item": '"milk"', "time": None, "impression": '"x.y.z"',
    "query": '"tea"',
         "shop": '"north"', "quantity": "1", "price": "2.5"}  # fmt: skip
KINDS = ["application/json"] * 60 + [
    "application/json; charset=utf-16", "text/plain", "application/xml", "multipart/form-data",
    "application/x-www-form-urlencoded", "", "x",
    "application/vnd.bentoml+pickle", "application/octet-stream", "application/json, text/plain",
]  # fmt: skip


@st.composite
def objects(draw: st.DrawFn, fields: dict[str, str | None]) -> str:
    """An object whose fields may lack, come twice, or hold something else."""
    pairs = []
    for name, value in fields.items():
        change = draw(st.sampled_from(["as is"] * 20 + ["odd", "odd", "lack", "twice", "any", "rename"]))
        value = value or json.dumps(datetime.now(UTC).isoformat())
        if name == "impression" and draw(st.integers(0, 3)):
            continue  # an event without one needs a key, and has one mostly
        if change == "odd":
            value = draw(st.sampled_from(ODD))
        elif change == "any":
            value = json.dumps(draw(values))
        elif change == "rename":
            name = draw(st.text(max_size=6))
        if change != "lack":
            pairs.append(f"{json.dumps(name)}: {value}")
        if change == "twice":
            pairs.append(f"{json.dumps(name)}: {draw(st.sampled_from(ODD))}")
    return "{" + ", ".join(pairs) + "}"


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, bytes, dict[str, str]]:
    """A route, a body and headers."""
    route = draw(st.sampled_from(["/recommend", "/rank", "/events", "/events"]))
    if route == "/events":
        events = draw(st.lists(objects(EVENT) | st.sampled_from(ODD), min_size=1, max_size=3))
        text = '{"events": [' + ", ".join(events) + "]}" if draw(st.integers(0, 9)) else events[0]
    else:
        text = draw(objects(FIELDS[route]) | st.sampled_from(ODD))
    body = text.encode("utf-8", "replace")
    if draw(st.integers(0, 5)) == 0:
        body = draw(damaged(body))
    headers = {"content-type": draw(st.sampled_from(KINDS))}
    if draw(st.integers(0, 9)) == 0:
        name = draw(
            st.sampled_from(
                [
                    "accept",
                    "content-encoding",
                    "origin",
                    "x-forwarded-for",
                    "authorization",
                    "accept-encoding",
                    "traceparent",
                ]
            )
        )
        headers[name] = draw(
            st.sampled_from(["", "gzip", "*/*", "null", "Bearer x", "\u00ff", "x" * 3000, "127.0.0.1, x", "00-0-0-0"])
        )
    return route, body, headers


@share(0.15)
@given(request=requests(), known=st.sampled_from([True, True, False]))
def test_requests(tally, client, server_key, request, known):
    route, body, headers = request
    tally.counts["inputs"] += 1
    if known and "authorization" not in headers:
        headers["authorization"] = f"Bearer {server_key}"
    sent = {name: value.encode("latin-1") for name, value in headers.items()}
    try:
        answer = client.post(route, content=body, headers=sent, timeout=ANSWERS_WITHIN_SECONDS)
    except httpx.HTTPError as error:
        tally.failed(f"{route}: no answer, {type(error).__name__}", str(error), body)
        return
    tally.counts[f"answered {answer.status_code}"] += 1
    if answer.status_code >= 500:
        tally.failed(f"{route}: {answer.status_code}", answer.text, body)
    elif answer.status_code >= 400:
        problem = answer.json()
        if not (problem.get("detail") and problem.get("code")):
            tally.failed(f"{route}: {answer.status_code} without a reason", answer.text, body)
