"""Made-up paths cost a predictor no memory."""

import re

import pytest

from shoploop.predictor.admin import metrics_reply

pytestmark = pytest.mark.filterwarnings("ignore:Accessing the 'model_fields'")  # BentoML does, at every request


def counted() -> set[str]:
    _, _, body = metrics_reply()
    return set(re.findall(r'endpoint="([^"]*)"', body.decode()))


def test_paths_that_nothing_answers_are_counted_as_one_however_many_somebody_makes_up(client):
    assert client.post("/recommend", json={"user": "ann"}).status_code == 200
    for number in range(60):
        assert client.get(f"/made-up/{number}").status_code == 404
        assert client.post(f"/recommend/{number}", json={}).status_code == 404
        assert client.get(f"/storefront/{number}.js").status_code == 404
    names = counted()
    assert {"/recommend", "/storefront", "other"} <= names
    assert not any(re.search("[0-9]", name) for name in names), names


def test_a_page_of_the_storefront_is_answered_as_before(client):
    assert "text/html" in client.get("/storefront/").headers["content-type"]
