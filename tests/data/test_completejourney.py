import json
from datetime import UTC, date, datetime

import polars as pl
import pytest

from shoploop.api.v1alpha1 import DataSpec
from shoploop.data import completejourney, load_data, source_digest
from shoploop.data.product_names import package_size, spell_out


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("completejourney")
    load_data(out=out, data_spec=DataSpec(dataset="completejourney"))
    return out


@pytest.fixture(scope="module")
def report(folder):
    return json.loads((folder / "load.json").read_text())


@pytest.fixture(scope="module")
def rules(report):
    return {(rule["table"], rule["name"]): rule for rule in report["rules"]}


def test_no_purchase_is_lost(report):
    rows = {name: table["rows"] for name, table in report["tables"].items()}
    assert rows == {"interactions": 1_469_307, "items": 92_331 + 17, "users": 2_469, "shops": 457}


def test_every_oddity_is_counted_under_its_rule(rules):
    assert rules["items", "unlisted"]["rows"] == 17
    assert "4,836 interactions" in rules["items", "unlisted"]["why"]
    assert rules["interactions", "quantity_zero"]["rows"] == 8_869
    assert rules["interactions", "gasoline_is_one_filling"]["rows"] == 13_520
    assert "89,638" in rules["interactions", "gasoline_is_one_filling"]["why"]
    assert rules["interactions", "time_is_utc"]["action"] == "kept"
    assert rules["users", "users_without_survey"]["rows"] == 2_469 - 801


def test_gasoline_is_the_only_quantity_that_was_changed(folder):
    quantity = pl.read_parquet(folder / "interactions.parquet", columns=["quantity"])["quantity"]
    assert quantity.max() == 144  # ears of corn
    assert (quantity == 0).sum() == 8_869


def test_offers_are_read_where_they_are_asked_for_and_weeks_that_follow_each_other_are_one_span(tmp_path, monkeypatch):
    for file in completejourney.files():
        (tmp_path / file.name).symlink_to(file)
    weeks = [  # the first item was sold, the second never
        ("995242", "323", 1, "A", "0"), ("995242", "323", 2, "C", "0"), ("995242", "323", 4, "A", "7"),
        ("0", "323", 2, "A", "0"),
    ]  # fmt: skip
    names = ["product_id", "store_id", "week", "mailer_location", "display_location"]
    ids = {"product_id": pl.Int64, "store_id": pl.Int64}
    pl.DataFrame(weeks, names, orient="row").cast(ids).write_parquet(tmp_path / "promotions.parquet")
    monkeypatch.setattr(completejourney, "folder", lambda: tmp_path)
    assert completejourney.load().offers is None
    found = completejourney.load(offers=True)
    assert found.offers.sort("kind", "from").rows() == [
        ("995242", date(2017, 1, 16), date(2017, 1, 22), "323", "display"),
        ("995242", date(2016, 12, 26), date(2017, 1, 8), "323", "mailer"),
        ("995242", date(2017, 1, 16), date(2017, 1, 22), "323", "mailer"),
    ]
    assert {rule["name"]: rule["rows"] for rule in found.report()}["offers_of_unsold_items"] == 1


def test_an_inputs_digest_knows_whether_offers_are_read():
    asked, not_asked = (DataSpec(dataset="completejourney", offers=offers) for offers in (True, False))
    assert source_digest(asked) != source_digest(not_asked)


def test_purchases_are_sorted_by_time_user_and_item(folder):
    events = pl.read_parquet(folder / "interactions.parquet", columns=["time", "user", "item"])
    assert events.equals(events.sort("time", "user", "item"))
    assert events["time"][0] == datetime(2017, 1, 1, 11, 53, 26, tzinfo=UTC)


def test_the_protocol_of_the_next_basket_counts_as_known(folder):
    events = pl.read_parquet(folder / "interactions.parquet", columns=["user", "item", "time"])
    days = events.select("user", "item", pl.col("time").dt.date().alias("day")).unique()
    last = days.group_by("user").agg(pl.col("day").n_unique().alias("days"), pl.col("day").max().alias("last"))
    days = days.join(last.filter(pl.col("days") >= 3), on="user")
    before = pl.col("day") < pl.col("last")
    kept = days.filter(before).group_by("item").len().filter(pl.col("len") >= 17)
    days = days.join(kept, on="item", how="semi")
    target = days.filter(~before).group_by("user").len()
    history = days.filter(before).group_by("user").agg(pl.col("day").n_unique()).filter(pl.col("day") >= 3)
    users = target.join(history, on="user", how="semi")
    assert (users.height, kept.height, round(users["len"].mean(), 1)) == (2_226, 14_512, 10.7)


def test_every_title_can_be_read(folder):
    titles = pl.read_parquet(folder / "items.parquet")["title"]
    assert titles.null_count() == 0
    assert titles.str.contains(r"^[A-Z0-9]").all()
    assert not titles.str.contains(r"\b(FRZN|SFT|DRNK|[A-Z]{6,})\b").any()


@pytest.mark.parametrize(
    ("category", "kind", "name"),
    [
        ("YOGURT", "YOGURT MULTI-PACKS", "Yogurt multi-packs"),
        ("SOFT DRINKS", "SFT DRNK 2 LITER BTL CARB INCL", "Soft drink, 2 liter bottle"),
        ("BREAD", "BREAD:ITALIAN/FRENCH", "Bread: Italian/French"),
        ("PASTA SAUCE", "PREMIUM", "Pasta sauce, premium"),
        ("TROPICAL FRUIT", "BANANAS", "Bananas"),
        ("APPLES", "APPLES RED DELICIOUS (BULK&BAG", "Apples red delicious"),
        (None, None, None),
    ],
)
def test_types_are_spelled_out(category, kind, name):
    assert spell_out([(category, kind)]) == {(category, kind): name}


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("159608 7 OZ", "7 oz"),
        (".64 OZ", "0.64 oz"),
        ("1 GA", "1 gal"),
        ("974246  PK", None),
        ("525345 CTN", None),
        (None, None),
    ],
)
def test_sizes_lose_order_numbers(text, size):
    assert package_size(text) == size


def test_the_digest_is_stable():
    spec = DataSpec(dataset="completejourney")
    assert source_digest(spec) == source_digest(spec)
