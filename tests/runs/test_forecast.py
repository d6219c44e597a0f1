"""What a run of some data would be, in the words of the steps that would refuse it."""

from functools import partial

import polars as pl
import pytest
from minimal_logs import bought, carry, write

from shoploop.api.v1alpha1 import DataSpec, RecommenderSpec
from shoploop.data.description import describe
from shoploop.data.step import read_raw
from shoploop.errors import TooFewEvents
from shoploop.features.log import choose_vocabulary
from shoploop.runs.forecast import LOG_VISIT_SECONDS, RATES, forecast
from shoploop.steps import STEPS


@pytest.fixture
def foretold(tmp_path):
    def of(table: pl.DataFrame, source: dict | None = None, **spec):
        data = write(tmp_path / "shop", table, **(source or {}))
        description, tables = describe(read_raw(DataSpec.model_validate(data)))
        whole = RecommenderSpec.model_validate({"data": data} | spec)
        return forecast(whole, description, tables["interactions"]), data

    return of


def states(found) -> dict[str, str]:
    return {line["step"]: line["state"] for line in found["enough"]}


def why(found, step: str) -> str:
    return next(line["why"] for line in found["enough"] if line["step"] == step)


def test_every_step_is_told_of_and_has_a_measured_rate(foretold):
    found, _ = foretold(bought(users=60, days=90, every=6))
    assert list(states(found)) == list(STEPS) == list(RATES)
    assert list(found["estimate"]["steps"]) == list(STEPS)


def test_what_the_transformer_learns_from_the_log_counts_in_the_estimate(foretold):
    shop = bought(users=60, days=90, every=6)
    (without, _), (read, _) = foretold(shop), foretold(shop, training={"task": {"logEpochs": 3}})
    visits = read["estimate"]["sizes"]["log_visits"]
    assert without["estimate"]["sizes"]["log_visits"] == 0 < visits and visits % 3 == 0
    longer = [found["estimate"]["steps"]["train_fused"]["seconds"] for found in (without, read)]
    assert longer[1] - longer[0] == pytest.approx(LOG_VISIT_SECONDS * visits, abs=0.11)


def test_a_small_shop_is_enough_to_train_on_and_little_to_prove_anything(foretold):
    found, _ = foretold(bought(users=60, days=90, every=6))
    told = states(found)
    assert told["build_samples"] == told["train_fused"] == "enough"
    assert told["augment_samples"] == "little" and "500 are needed" in why(found, "augment_samples")
    assert told["evaluate_model"] == "little" and "fewer than 300" in why(found, "evaluate_model")


def test_a_shop_of_more_items_than_are_known_is_told_that_the_rarer_ones_are_not_recommended(foretold, monkeypatch):
    shop = bought(users=60, days=90, every=6)
    found, _ = foretold(shop)
    assert "rarer" not in why(found, "materialize_features")
    most = shop["item"].n_unique() - 2
    monkeypatch.setattr("shoploop.features.windows.choose_vocabulary", partial(choose_vocabulary, common=0, limit=most))
    found, _ = foretold(shop)
    assert f"{most} items, " in why(found, "materialize_features")
    assert "2 rarer ones are recommended by no model" in why(found, "materialize_features")


def test_requests_and_windows_are_those_of_the_steps(foretold, tmp_path):
    found, data = foretold(bought(users=60, days=90, every=6))
    reports = carry(tmp_path / "run", data, until="build_samples")
    splits = reports["build_samples"]["splits"]
    assert found["requests"] == {name: splits[name]["requests"] for name in splits}
    assert found["windows"] == reports["materialize_features"]["windows"]


def test_what_is_too_little_is_told_in_the_words_of_the_step_that_refuses_it(foretold, tmp_path):
    found, data = foretold(bought(users=5, days=20, every=5))
    with pytest.raises(TooFewEvents) as refused:
        carry(tmp_path / "run", data, until="materialize_features")
    assert states(found)["materialize_features"] == "too little"
    assert why(found, "materialize_features") == str(refused.value)
    assert states(found)["train_fused"] == "not reached"
    assert found["estimate"] is None


def test_shops_that_a_run_would_refuse_are_foretold_in_the_same_words(foretold, tmp_path):
    """All in one shop; and in two, of which hardly a row says so."""
    shop, both = bought(users=60, days=90, every=6), {"training": {"surfaces": ["Items", "Shops"]}}
    day, user = pl.col("time").dt.date(), pl.col("user")
    of_two = pl.when(user > "3").then(pl.lit("b")).otherwise(pl.lit("a"))
    early = pl.when(day <= day.min() + pl.duration(days=1)).then(of_two)
    for where, step in ((pl.lit("a"), "materialize_features"), (early, "build_samples")):
        found, data = foretold(shop.with_columns(shop=where), **both)
        with pytest.raises(TooFewEvents) as refused:
            carry(tmp_path / step, data, settings=both, until=step)
        assert states(found)[step] == "too little" and why(found, step) == str(refused.value)
        assert states(found)["train_fused"] == "not reached"


def test_that_no_purchase_names_the_shop_that_requests_will_name_is_foretold(foretold, tmp_path):
    shopless, asked = (
        bought(users=60, days=90, every=6).with_columns(shop=None),
        {"training": {"task": {"inShop": True}}},
    )
    found, data = foretold(shopless, **asked)
    with pytest.raises(TooFewEvents) as refused:
        carry(tmp_path, data, settings=asked, until="materialize_features")
    assert why(found, "materialize_features") == str(refused.value)
    assert "no purchase names its shop" in str(refused.value)


def test_named_days_in_which_nobody_came_are_foretold_with_a_number_that_would_do(foretold, tmp_path):
    """Daily visits for ninety days, of which the last week has but a few orders of one user."""
    shop = bought(users=60, days=90, every=6)
    late = pl.col("time").dt.date() > pl.col("time").dt.date().max() - pl.duration(days=7)
    quiet = shop.filter(~late | (pl.col("user") == "1"))
    few = {"training": {"evaluationDays": 5}}
    found, data = foretold(quiet, **few)
    told = why(found, "materialize_features")
    assert "1 users bought something in the 5 days of evaluation" in told
    assert "Leave spec.training.evaluationDays out, or set it to " in told
    with pytest.raises(TooFewEvents, match=r"Leave spec\.training\.evaluationDays out"):
        carry(tmp_path / "run", data, settings=few, until="materialize_features")
    number = int(told.rsplit(" ", 1)[1].rstrip("."))
    enough, _ = foretold(quiet, training={"evaluationDays": number})
    assert states(enough)["build_samples"] == "enough"


def test_a_log_of_views_ends_before_anything_is_learned(foretold):
    table = bought(users=60, days=90, every=6).with_columns(kind=pl.lit("view"))
    found, _ = foretold(table)
    told = states(found)
    assert (told["validate_data"], told["materialize_features"]) == ("too little", "too little")
    assert "there is no purchase" in why(found, "validate_data")
    assert found["windows"] is None


def test_rows_that_had_to_be_dropped_are_held_against_the_tolerance(foretold):
    table = bought(users=60, days=90, every=6)
    item = pl.when(pl.int_range(pl.len()) % 10 == 0).then(pl.lit(None)).otherwise(pl.col("item"))
    broken, _ = foretold(table.with_columns(item=item))
    assert states(broken)["validate_data"] == "too little" and "tolerated are 5%" in why(broken, "validate_data")
    allowed = {"expectations": {"interactions.rows_kept": {"tolerance": 0.2}}}
    assert states(foretold(table.with_columns(item=item), validation=allowed)[0])["validate_data"] == "enough"


def test_what_is_not_asked_for_takes_no_time(foretold):
    table = bought(users=60, days=90, every=6)
    off = {"augmentation": {"mode": "Never"}, "importance": {"estimator": "None"}}
    with_, without = (foretold(table, **spec)[0]["estimate"] for spec in ({}, off))
    for step in ("augment_samples", "estimate_importance"):
        assert without["steps"][step]["seconds"] < min(5, with_["steps"][step]["seconds"])
    assert states(foretold(table, **off)[0])["estimate_importance"] == "not asked for"


def test_more_epochs_and_more_rows_take_longer(foretold):
    table = bought(users=60, days=90, every=6)
    few, many = (foretold(table, training={"epochs": epochs})[0]["estimate"]["seconds"] for epochs in (1, 100))
    assert few < many
    larger = foretold(bought(users=120, days=120, every=6))[0]["estimate"]
    assert larger["seconds"] > foretold(table)[0]["estimate"]["seconds"]


def test_of_items_that_are_sold_on_one_day_more_days_are_not_asked_for(foretold, tmp_path):
    """An auction: on each day other lots, and nothing of a day before."""
    shop = bought(users=40, days=40, every=4)
    auction = shop.with_columns(item=pl.col("item") + "-" + pl.col("time").dt.date().cast(pl.String))
    found, data = foretold(auction)
    assert states(found)["build_samples"] == "too little" and found["estimate"] is None
    assert "Of 0.0% of the purchases to learn from the item had been sold on an earlier day" in why(
        found, "build_samples"
    )
    (line,) = (line for line in found["enough"] if line["state"] == "too little")
    assert "name a coarser id" in line["change"]
    with pytest.raises(TooFewEvents, match=r"Of 0\.0% of the purchases .* name a coarser id"):
        carry(tmp_path / "run", data, without=["validate_data"], until="build_samples")


def test_of_a_shop_that_sells_the_same_again_nothing_is_said_of_items_sold_once(foretold):
    found, _ = foretold(bought(users=60, days=90, every=6))
    assert "earlier day" not in why(found, "build_samples")
