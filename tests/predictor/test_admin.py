"""What is for who administers: at a port of its own, and then nowhere else."""

import asyncio
import socket

import httpx
import pytest

from shoploop.errors import PortInUse, SpecInvalid
from shoploop.predictor.access_settings import ADMIN, AdminSettings
from shoploop.predictor.admin import Admin, Administered
from shoploop.predictor.admission import Waiting
from shoploop.predictor.home import Home


@pytest.fixture
def apart():
    return Admin(AdminSettings(port=0), waiting=Waiting(), described=lambda: {"openapi": "3.0.2"})


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"the service"})


def get(admin, path):
    middleware = Home(Administered(app, admin=admin), examples={}, private=admin.is_private)

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=middleware), base_url="http://here") as client:
            return await client.get(path)

    return asyncio.run(ask())


@pytest.mark.parametrize("path", ["/metrics", "/docs.json", "/load", "/schema.json", "/static_content/swagger-ui.css"])
def test_with_a_port_of_its_own_shoppers_port_has_none_of_it(apart, path):
    answer = get(apart, path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert path not in get(apart, "/").text


def test_probes_stay_at_both_ports(apart):
    assert get(apart, "/readyz").text == "the service"
    assert {apart.answer(path)[0] for path in ("/livez", "/readyz", "/healthz")} == {200}


def test_without_one_it_is_answered_where_shoppers_ask():
    admin = Admin(None, waiting=Waiting(), described=lambda: {"openapi": "3.0.2"})
    assert admin.start() is None
    assert get(admin, "/load").json() == {"inFlight": 0}
    assert get(admin, "/docs.json").json() == {"openapi": "3.0.2"}
    assert get(admin, "/metrics").text == "the service"
    assert "/metrics" in get(admin, "/").text


def test_the_port_of_its_own_has_metrics_load_and_the_description(apart):
    port = apart.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        assert client.get("/load").json() == {"inFlight": 0}
        assert client.get("/docs.json").json() == {"openapi": "3.0.2"}
        assert client.get("/metrics").headers["content-type"].startswith("text/plain")
        assert client.get("/recommend").status_code == 404


def test_a_port_in_use_is_named():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortInUse, match=f"Port {port} on 127.0.0.1, for metrics"):
            Admin(AdminSettings(port=port), waiting=Waiting()).start()


def test_an_environment_that_cannot_be_read_is_named(monkeypatch):
    monkeypatch.setenv(ADMIN, '{"port": "many"}')
    with pytest.raises(SpecInvalid, match=ADMIN):
        Admin.configured(waiting=Waiting())
