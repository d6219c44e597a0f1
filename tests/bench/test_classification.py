"""Items whose title or company tells their category, and what the towers make of them."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from shoploop.bench.classification import problem as of_problem
from shoploop.bench.classification.contest import _measured, classification
from shoploop.bench.classification.problem import of_tables
from shoploop.bench.classification.towers import TowersConfig
from shoploop.errors import TooFewEvents

pytestmark = pytest.mark.usefixtures("one_thread")

KINDS, EACH = ("cheese", "soap", "wine"), 12


@pytest.fixture(scope="module")
def tables():
    """Three kinds of twelve items; two items share a title, which names the kind; a shopper buys one kind alone."""
    items = pl.DataFrame(
        [(f"{kind}{n:02}", f"{kind} number {n // 2}", ["food", kind]) for kind in KINDS for n in range(EACH)]
        + [("odd", None, ["food", "wine"]), ("lone", "lone thing", ["food", "things"])],
        schema={"item": pl.String, "title": pl.String, "category": pl.List(pl.String)}, orient="row",
    )  # fmt: skip
    rng, rows = np.random.default_rng(0), []
    for user in range(60):
        for day in range(8):
            for n in rng.permutation(EACH)[:3]:
                rows.append(
                    (f"u{user}", f"{KINDS[user % 3]}{n:02}", datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day))
                )
        rows.append((f"u{user}", ("odd", "lone")[user % 2], datetime(2026, 1, 9, tzinfo=UTC)))
    interactions = pl.DataFrame(rows, schema=["user", "item", "time"], orient="row").with_columns(
        pl.lit("purchase").alias("kind"),
        pl.lit(1.0).alias("quantity"),
        pl.lit(2.0).alias("price"),
        pl.lit(None, pl.String).alias("shop"),
        time=pl.col("time").cast(pl.Datetime("us", "UTC")),
    )
    return interactions, items


@pytest.fixture
def items(tables, monkeypatch):
    monkeypatch.setattr(of_problem, "FEWEST_ITEMS", 10)
    return of_tables(*tables, width=8)


def test_titles_are_held_out_whole_and_rare_kinds_and_nameless_items_are_not_asked_for(items):
    assert items.classes == KINDS and len(items) == 36
    parts = [set(items.title_N[part].tolist()) for part in (items.train_N, items.validation_N, items.test_N)]
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
    assert len(parts[2]) == 4 and items.test_N.sum() == 8, "a quarter of the eighteen titles, two items each"


def test_what_is_told_by_behaviour_and_text_is_found_by_every_tower(items, monkeypatch):
    monkeypatch.setattr(
        "shoploop.bench.classification.towers.TowersConfig",
        lambda: TowersConfig(
            width=16, layers=1, hidden=(32, 16), epochs=15, joint_epochs=1, batch=8, learning_rate=1e-2
        ),
    )
    found = classification(items, "small", seeds=[0])
    assert found["methods"]["fused"]["accuracy"] == 1.0 and found["methods"]["linear"]["accuracy"] == 1.0
    assert found["methods"]["dnn"]["f1"] == found["methods"]["transformer"]["f1"] == 1.0
    assert found["methods"]["most_common"]["accuracy"] < 0.9
    assert found["methods"]["fused"]["interval"]["recall"] == [1.0, 1.0]
    assert {each["than"] for each in found["comparisons"]} == {"dnn", "transformer", "linear", "most_common"}
    assert found["seeds"] == [0] and 0 < found["alpha"][0] < 1 and found["peak_rss_bytes"] > 0


def test_each_category_counts_alike_in_precision_recall_and_f1():
    truth_N, told_N = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    found = {name: float(values[0]) for name, values in _measured(truth_N, told_N, 3, np.ones((1, 4))).items()}
    assert found["accuracy"] == 0.75
    assert found["precision"] == pytest.approx((1 + 1 / 2) / 2)
    assert found["recall"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["f1"] == pytest.approx((0.8 + 2 / 3) / 2)


def test_one_category_is_nothing_to_tell_apart(tables):
    interactions, items = tables
    with pytest.raises(TooFewEvents, match="nothing to tell"):
        of_tables(interactions, items)
