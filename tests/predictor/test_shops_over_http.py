"""POST /shops: what it answers, and that bad input is refused with a code."""

import pytest

pytestmark = pytest.mark.filterwarnings("ignore:Accessing the 'model_fields'")  # BentoML does, at every request


def shops(client, **asked):
    return client.post("/shops", json=asked)


def test_somebody_is_told_their_own_shop_first_with_a_reason(client):
    body = shops(client, user="ann").json()
    assert body["impression"] and body["method"] == "frequency"
    assert [shop["shop"] for shop in body["shops"]] == ["south", "north"]
    assert body["shops"][0]["title"] == "South"
    assert body["shops"][0]["reason"].startswith("you are here about every 3 days, last 3 days ago")


def test_who_is_not_known_gets_what_is_visited_most_and_where_they_are_counts(client):
    assert shops(client, user="nobody").json()["method"] == "popularity"
    assert shops(client, user="nobody", shop="north").json()["shops"][0]["shop"] == "north"


def test_closed_shops_are_left_out_and_unknown_ones_change_nothing(client):
    found = shops(client, user="ann", exclude=["south", "atlantis"]).json()["shops"]
    assert [shop["shop"] for shop in found] == ["north"]
    only = shops(client, user="ann", only=["north", "atlantis"]).json()["shops"]
    assert [shop["shop"] for shop in only] == ["north"]


def test_where_nobody_has_visited_any_of_the_shops_it_is_said_by_a_code(client):
    answer = shops(client, user="ann", only=["atlantis"])
    assert (answer.status_code, answer.json()["code"]) == (404, "shop_unknown")


@pytest.mark.parametrize("asked", [{}, {"user": ""}, {"user": "ann", "k": 0}, {"user": "ann", "shops": ["x"]}])
def test_a_wrong_field_is_a_400(client, asked):
    answer = shops(client, **asked)
    assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")


def test_an_answer_is_explained_and_its_impression_is_none_of_an_item(client):
    body = shops(client, user="ann").json()
    why = client.post("/explain", json={"request_id": body["request_id"], "item": "south"}).json()
    assert (why["sources"], why["parts"]) == (["visits"], None)
    event = {"id": "s1", "kind": "click", "user": "ann", "item": "south", "impression": body["impression"]}
    said = client.post("/events", json={"events": [event]}).json()
    assert said["refused"][0]["code"] == "impression_of_shops"
