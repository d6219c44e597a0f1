"""The client examples, against a predictor that answers."""

import asyncio
import gc
import json
import re
import shutil
import subprocess
import warnings
from pathlib import Path

import pytest

from shoploop.events.log import BEGINNING
from shoploop.events.messages import from_json
from shoploop.events.sqlite_log import SqliteLog

CLIENTS = Path(__file__).parents[2] / "examples" / "clients"
pytestmark = [
    pytest.mark.filterwarnings("ignore:Accessing the 'model_fields'"),  # BentoML does, at every request
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Implicitly cleaning up"),  # a collector may come before the fixture below
]


@pytest.fixture
def url(client):
    return str(client.base_url).rstrip("/")


@pytest.fixture
def clients(monkeypatch):
    monkeypatch.syspath_prepend(CLIENTS)
    yield
    with warnings.catch_warnings(action="ignore"):  # BentoML's clients leave a temporary folder to the collector
        gc.collect()


def clicks(place, user):
    with SqliteLog(place / "events.sqlite") as log:
        messages = [from_json(record.body) for record in log.read(BEGINNING, limit=100_000)]
    return [message.item for message in messages if message.type == "event" and message.user == user]


def test_the_python_client_asks_explains_searches_and_tells_of_a_click(url, place, clients, capsys):
    from sync_client import main

    answer = main(url, "ida")

    assert answer["items"][0]["item"] in clicks(place, "ida")
    said = capsys.readouterr().out
    assert "days on which the user bought the item" in said
    assert re.search(rf"{answer['items'][0]['item']}  found: .* what you searched for", said)


def test_the_asynchronous_client_asks_for_many(url, clients):
    from async_client import recommend_all

    found = asyncio.run(recommend_all(url, ["ann", "bob", "nobody"]))

    assert {user: items[0] for user, items in found.items()} == {"ann": "milk", "bob": "tea", "nobody": "apples"}


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_asks_explains_searches_and_tells_of_a_click(url, place):
    done = subprocess.run(
        ["sh", CLIENTS / "curl.sh", url, "jon"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answer, why, found, kept = map(json.loads, done.stdout.strip().splitlines())
    assert [item["item"] for item in found["items"]] == ["milk"]
    assert why["item"] == answer["items"][0]["item"] and why["place"] == 1
    assert kept == {"accepted": 1, "known": 0, "refused": []}
    assert clicks(place, "jon") == [why["item"]]
