"""What the page shows of real and virtual shoppers, on tables whose numbers can be counted by eye; and the page itself."""

import json
import re

import polars as pl
import pytest
from markupsafe import Markup
from shop import FIRST, two_tastes

from shoploop.augmentation.proofs.side_by_side import compare
from shoploop.report import augmentation_page, drawing

SHOP = two_tastes(90)


def table(*rows):
    """Rows of (user, day, item)."""
    frame = pl.DataFrame(rows, schema={"user": pl.String, "day": pl.Int32, "item": pl.String}, orient="row")
    return frame.select("user", "item", time=(pl.col("day") + FIRST).cast(pl.Date).cast(pl.Datetime("us", "UTC")))


def test_baskets_pauses_and_repeats_are_counted():
    real = table(("a", 0, "apples"), ("a", 0, "bread"), ("a", 3, "apples"), ("b", 0, "cake"), ("b", 1, "honey"))
    found = compare(real, real, SHOP.described(), seed=0)
    assert dict(found["curves"]["basket_size"]["real"])[1.0] == pytest.approx(3 / 4)
    assert dict(found["curves"]["basket_size"]["real"])[2.0] == pytest.approx(1 / 4)
    assert dict(found["curves"]["gap"]["virtual"])[3.0] == pytest.approx(1 / 2)
    assert found["numbers"]["products in a basket"]["real"] == pytest.approx(5 / 4)
    assert found["numbers"]["share bought before"]["real"] == pytest.approx(1 / 2)
    assert found["counted"]["real"] == {"shoppers": 2, "rows": 5}


def test_of_a_long_history_the_last_eight_visits_count():
    real = table(*[("a", day, "apples") for day in range(20)], ("b", 0, "bread"), ("b", 2, "bread"))
    assert compare(real, real, SHOP.described(), seed=0)["counted"]["real"]["rows"] == 8 + 2


def test_shoppers_are_shown_by_the_titles_of_what_they_bought_and_unnamed():
    real = table(("ann", 0, "apples"), ("ann", 3, "bread"))
    found = compare(real, real, SHOP.described(), seed=0)
    assert found["shoppers"]["real"] == [[{"day": 0, "titles": ["Apples"]}, {"day": 3, "titles": ["Bread"]}]]
    assert "ann" not in json.dumps(found)


def test_items_without_titles_or_categories_are_shown_by_their_ids():
    real = table(("a", 0, "apples"), ("a", 3, "bread"))
    found = compare(real, real, SHOP.described().select("item"), seed=0)
    assert found["shoppers"]["virtual"][0][0]["titles"] == ["apples"]
    assert found["categories"] == []


def test_the_page_is_self_contained_and_shows_both_sides(always, tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "svg", lambda spec, label: Markup("<svg></svg>"))
    out, report = always
    comparison = compare(SHOP.interactions(), pl.read_parquet(out / "synthetic.parquet"), SHOP.described(), seed=0)
    augmentation_page.write(tmp_path / "page.html", "<b>shop</b>", report, comparison)
    page = (tmp_path / "page.html").read_text()
    assert "A virtual shopper" in page
    assert "Muffin 1" in page
    assert "Fidelity and privacy" in page
    assert re.search(r"That these found nothing says little: .*item counts reaches 0\.", page), (
        "all buy all of its items"
    )
    assert "<b>shop</b>" not in page
    assert not re.findall(r"(?:src|href)=\"(?:http|//)", page)
    assert "<script" not in page


def test_a_refusal_makes_a_page_too(tmp_path):
    augmentation_page.write(tmp_path / "page.html", "shop", {"variant": None, "reason": "only 9 users"}, None)
    assert "only 9 users" in (tmp_path / "page.html").read_text()
