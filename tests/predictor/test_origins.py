"""Which pages may ask from a browser: as a browser asks, before its request and with it."""

import asyncio

import httpx
import pytest

from shoploop.predictor.origins import CrossOrigin, Origins

pytestmark = pytest.mark.filterwarnings("ignore:Accessing the 'model_fields'")  # BentoML does, at every request
SHOP, OTHER = "https://shop.example", "https://elsewhere.example"
ALLOWED = "access-control-allow-origin"


def preflight(client, path, origin, asks="content-type"):
    headers = {"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": asks}
    return client.options(path, headers=headers)


@pytest.mark.parametrize("path", ["/recommend", "/rank", "/events"])
def test_a_page_of_the_shop_is_told_that_it_may_ask(client, path):
    answer = preflight(client, path, SHOP, asks="authorization,content-type")

    assert (answer.status_code, answer.headers[ALLOWED]) == (200, SHOP)
    assert {"authorization", "content-type"} <= set(answer.headers["access-control-allow-headers"].lower().split(", "))


def test_a_page_of_the_shop_may_read_the_answer(client):
    answer = client.post("/recommend", json={"user": "ann", "k": 1}, headers={"origin": SHOP})

    assert (answer.status_code, answer.headers[ALLOWED]) == (200, SHOP)


def test_a_page_of_the_shop_may_read_why_it_was_refused(client):
    answer = client.post("/recommend", json={"user": ""}, headers={"origin": SHOP})

    assert (answer.status_code, answer.headers[ALLOWED]) == (400, SHOP)


def test_a_page_of_somebody_else_may_not(client):
    refused = preflight(client, "/recommend", OTHER)
    assert refused.status_code == 400
    assert ALLOWED not in refused.headers
    assert ALLOWED not in client.post("/recommend", json={"user": "ann"}, headers={"origin": OTHER}).headers


@pytest.mark.parametrize("path", ["/metrics", "/docs.json", "/load"])
def test_what_is_for_operators_is_for_no_page(client, path):
    assert ALLOWED not in client.get(path, headers={"origin": SHOP}).headers


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 202, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def asked(origins, method="POST"):
    transport = httpx.ASGITransport(app=CrossOrigin(app, routes=("/events",), origins=origins))

    async def ask():
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            headers = {"origin": SHOP, "access-control-request-method": "POST"}
            return await client.request(method, "/events", headers=headers)

    return asyncio.run(ask())


def test_where_no_origin_is_allowed_nothing_is_said_of_any():
    assert not [name for name in asked(Origins()).headers if name.startswith("access-control")]
    assert asked(Origins(), "OPTIONS").status_code == 202  # the app's own answer


def test_a_star_is_every_origin():
    origins = Origins()
    origins.allow(["*"])

    assert asked(origins).headers[ALLOWED] == asked(origins, "OPTIONS").headers[ALLOWED] == "*"
