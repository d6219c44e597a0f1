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
    assert rows.pop("offers") == 12_007_402
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


def test_offers_are_whole_weeks_of_what_was_sold_in_the_mailer_or_on_display(folder, rules):
    offers = pl.scan_parquet(folder / "offers.parquet")
    edges = offers.select(
        first=pl.col("from").min(), last=pl.col("until").max(), begins=pl.col("from").dt.weekday().unique().implode(),
        ends=pl.col("until").dt.weekday().unique().implode(), shops=pl.col("shop").n_unique(),
        kinds=pl.col("kind").unique().sort().implode(),
    ).collect().row(0)  # fmt: skip
    assert edges == (date(2016, 12, 26), date(2017, 12, 31), [1], [7], 112, ["display", "mailer"])
    assert rules["offers", "offers_of_unsold_items"]["rows"] == 4_216_259


def test_a_package_without_promotions_is_read_without_offers(tmp_path, monkeypatch):
    for name in ("transactions", "products", "demographics"):
        (tmp_path / f"{name}.parquet").symlink_to(completejourney.folder() / f"{name}.parquet")
    monkeypatch.setattr(completejourney, "folder", lambda: tmp_path)
    assert completejourney.load().offers is None
    assert [file.stem for file in completejourney.files()] == ["transactions", "products", "demographics"]


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
