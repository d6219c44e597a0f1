"""The benchmark's keys and controls, and a synthetic data set with its sheet, on a shop that a laptop learns in seconds."""

import hashlib
import json
from dataclasses import replace
from datetime import date
from functools import partial

import numpy as np
import polars as pl
import pytest
from shop import two_tastes
from tiny_effort import TINY
from typer import BadParameter

from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.augmentation import synthesize as synthesis
from shoploop.augmentation.proofs import privacy_attacks
from shoploop.augmentation.trials.decision import choose
from shoploop.bench.augmentation import plain_table, transfer
from shoploop.bench.augmentation import run as bench
from shoploop.bench.augmentation import shop as augmentation_shop
from shoploop.cli.options import whole_number
from shoploop.errors import DataUnreadable, NotFound, SpecInvalid, TooFewEvents

pytestmark = pytest.mark.usefixtures("one_thread")

SPEC = RecommenderSpec.model_validate({"data": {"dataset": "completejourney"}})
SHOP = two_tastes(120)


def load(*, out, data_spec):
    """The shop of two tastes, with two shops in it, in the place of a dataset."""
    shop = pl.when(SHOP.numbers() % 6 == 0).then(pl.lit("small")).otherwise(pl.lit("great"))
    SHOP.interactions().with_columns(shop=shop).write_parquet(out / "interactions.parquet")
    SHOP.described().write_parquet(out / "items.parquet")
    users = pl.DataFrame({"user": SHOP.people, "age": ["20", "30"] * (SHOP.users // 2)})
    users.write_parquet(out / "users.parquet")
    return {}


EFFORT = replace(TINY, variants=("crop", "gan"))


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def measured(work):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(augmentation_shop, "load_data", load)
        patch.setattr(transfer, "FEWEST_JUDGED", 5)
        yield bench.run("completejourney", (0, 1), effort=EFFORT, work=work)


def test_the_benchmark_prints_the_keys_that_its_readers_know(measured):
    assert {"two_sample_auc", "marginals"} <= set(measured["fidelity"])
    assert all({"distance", "floor"} <= set(marginal) for marginal in measured["fidelity"]["marginals"].values())
    assert {"membership_auc", "membership_auc_interval", "closest_record_share", "copies"} <= set(measured["privacy"])
    assert measured["use"]["slice"] == "cold"
    for tried in measured["use"]["variants"].values():
        assert {"ndcg@10_gain", "interval", "admitted"} <= set(tried)
    assert measured["seconds"] > 0
    json.dumps(measured, allow_nan=False)


def test_every_attack_is_told_with_its_interval_and_its_control(measured):
    assert {"item counts", "closest record", "likelihood ratio with shadows"} <= set(measured["attacks"])
    for attack in measured["attacks"].values():
        assert attack["interval"][0] <= attack["auc"] <= attack["interval"][1]
        assert len(attack["by_seed"]) == 2


def test_an_attack_that_cannot_succeed_on_its_control_is_told_to_be_blind(measured):
    # Everybody buys nearly all forty items, so that shares of items tell nobody apart even where they are copies' own, and
    # those of pairs hardly. Where items are many the same controls are held to be strong:
    # tests/augmentation/test_count_attack.py.
    controls = {name: attack["control"] for name, attack in measured["attacks"].items()}
    assert abs(controls["item counts"] - 0.5) < 0.15
    weak = {name for name, control in controls.items() if control < 0.8}
    assert {"item counts"} <= weak <= {"item counts", "pair counts"}
    assert {one.split(" reaches ")[0] for one in measured["privacy"]["blind"]} == weak


def test_a_judge_that_nothing_selects_by_stands_beside_the_other_and_zero_steps_beside_it(measured):
    judges = measured["judges"]
    assert all(0 <= judges[name] <= 1 for name in ("selected", "unselected", "zero_steps", "words", "words_zero_steps"))
    assert abs(judges["by_seed"][0]["real"] - 0.5) < 0.25, "real shoppers are like real shoppers"
    assert all(-1 <= value <= 1 for value in (measured["lifts"], *measured["lifts_of"].values()))


def test_likeness_and_attacks_are_told_without_use_from_what_is_kept(measured, work):
    alone = bench.run("completejourney", (0, 1), effort=EFFORT, work=work, use=False)
    assert set(measured) - set(alone) == {"use", "transfer"}
    assert alone["judges"] == measured["judges"]
    assert alone["attacks"] == measured["attacks"]


def test_every_seed_is_told_beside_the_whole(measured):
    assert len(measured["fidelity"]["by_seed"]) == len(measured["privacy"]["by_seed"]) == 2
    assert measured["fidelity"]["two_sample_auc"] == pytest.approx(np.mean(measured["fidelity"]["by_seed"]))
    assert measured["privacy"]["membership_auc"] == max(auc for auc, _, _ in measured["privacy"]["by_seed"])


def test_a_generator_of_noise_is_refused(measured):
    noise = measured["use"]["variants"]["noise"]
    assert noise["admitted"] is False
    assert noise["interval"][0] < 0, "no gain is shown"


def test_a_generator_that_memorises_is_found_out_and_refused(measured):
    assert measured["memoriser"]["membership_auc"] >= 0.8
    assert measured["memoriser"]["refused"]


def test_transfer_is_told_with_its_interval(measured):
    assert measured["transfer"]["shop"]["from"] == "the 1 greatest shops"
    assert len(measured["transfer"]["shop"]["interval"]) == 2


def test_what_cannot_be_transferred_is_told_with_its_reason(measured):
    assert "No second category" in measured["transfer"]["category"]["refused"]


def test_a_dataset_that_there_is_not_is_named():
    with pytest.raises(NotFound, match="iris"):
        bench._table("iris", (0,), print)


def test_a_table_learned_from_virtual_rows_serves_real_ones(monkeypatch):
    sooner = partial(plain_table.train_on_synthetic, steps=200)  # a third of what is reported
    monkeypatch.setattr(plain_table, "train_on_synthetic", sooner)
    found = bench.run("breast_cancer", (0,))
    assert found["auc"]["real"] > 0.95
    assert found["auc"]["real"] - found["auc"]["adversary"] < 0.05
    assert found["tables"][0]["parameters"]["adversary"] > 0


def load_here(patch):
    patch.setattr("shoploop.data.step.load_data", load)


@pytest.fixture
def loaded(monkeypatch):
    load_here(monkeypatch)


def synthesize(out, rows=2000, **settings):
    return synthesis.synthesize(SPEC, rows, out, effort=TINY, **settings)


def be_discreet(patch):
    """A hundred shoppers are too few for an attack's interval to be narrow; what is written is looked at here."""
    patch.setattr(privacy_attacks.Privacy, "reasons", lambda self, *, k: [])
    refusal = privacy_attacks.refusal
    patch.setattr(privacy_attacks, "refusal", lambda name, found: refusal(name, found) if found[1] > 0.55 else None)


@pytest.fixture
def discreet(monkeypatch):
    be_discreet(monkeypatch)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The file of a synthetic data set of 700 rows, and its sheet."""
    out = tmp_path_factory.mktemp("written") / "events.parquet"
    with pytest.MonkeyPatch.context() as patch:
        load_here(patch)
        be_discreet(patch)
        return out, synthesize(out, rows=700)


def test_a_synthetic_data_set_has_its_rows_its_profiles_and_its_sheet(written):
    out, sheet = written
    rows, users = pl.read_parquet(out), pl.read_parquet(out.with_name("events.users.parquet"))
    assert rows.height == sheet["rows"] >= 700
    assert rows["is_synthetic"].all()
    assert set(rows["user"]) == set(users["user"])
    assert set(users["age"]) <= {"20", "30"}
    assert not set(rows["user"]) & set(SHOP.people)
    assert json.loads(out.with_name("events.json").read_text()) == json.loads(json.dumps(sheet))
    assert {"fidelity", "privacy", "generator", "attacks", "judges", "limits"} <= set(sheet)


def test_the_sheet_describes_the_file_that_was_written_and_who_was_learned_from(written):
    out, sheet = written
    rows, about = pl.read_parquet(out), sheet["file"]
    assert (about["rows"], about["shoppers"]) == (rows.height, rows["user"].n_unique())
    assert about["visits"] == rows["basket"].n_unique()
    assert about["first"] == rows["time"].min().isoformat()
    assert about["last"] == rows["time"].max().isoformat()
    assert about["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    learned = sheet["generator"]
    assert learned["learned_from"] + learned["held_out"] <= learned["shoppers"] == 120
    assert learned["learned_from"] < 90
    assert sheet["measured_on"]["of_the_file"] is False, "700 rows say little; 3000 others were looked at"
    real = SHOP.interactions()["time"]
    first, last = (date.fromisoformat(sheet["days"][end]) for end in ("first", "last"))
    assert real.min().date() <= first <= rows["time"].min().date()
    assert rows["time"].max().date() <= last <= real.max().date()
    assert any(f"Visits lie from {first} to {last}" in said for said in sheet["limits"])


def test_a_file_whose_counts_tell_members_is_not_left_behind(loaded, discreet, tmp_path, monkeypatch):
    monkeypatch.setattr("shoploop.augmentation.proofs.privacy_attacks.attack_counts", lambda *_, seed: (0.7, 0.6, 0.8))
    with pytest.raises(synthesis.NotPrivate, match=r"by item counts: AUC 0\.700"):
        synthesize(tmp_path / "events.parquet", rows=500)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("taken", ["events.parquet", "events.users.parquet", "events.json"])
def test_a_folder_in_the_place_of_an_output_is_named_before_any_work(tmp_path, monkeypatch, taken):
    monkeypatch.setattr("shoploop.data.step.load_data", lambda **_: pytest.fail("work was begun"))
    (tmp_path / taken).mkdir()
    with pytest.raises(DataUnreadable, match=f"{taken} is a folder"):
        synthesize(tmp_path / "events.parquet")


@pytest.mark.parametrize(("text", "number"), [("1e7", 10_000_000), ("10_000", 10_000), ("500", 500), ("2.5e3", 2500)])
def test_a_number_of_rows_means_what_it_says(text, number):
    assert whole_number(text) == number


@pytest.mark.parametrize("text", ["1.5", "many", "1e-3", "nan", "inf"])
def test_what_is_no_whole_number_is_refused(text):
    with pytest.raises(BadParameter, match="no whole number"):
        whole_number(text)


def test_the_same_seed_writes_the_same_bytes(written, loaded, discreet, tmp_path):
    synthesize(tmp_path / "again.parquet", rows=700)
    assert (tmp_path / "again.parquet").read_bytes() == written[0].read_bytes()


def test_what_an_attack_finds_out_is_not_written(loaded, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "shoploop.augmentation.proofs.privacy_attacks.Privacy.reasons",
        lambda self, *, k: ["membership can be inferred"],
    )
    with pytest.raises(synthesis.NotPrivate, match="Nothing was written"):
        synthesize(tmp_path / "events.parquet", rows=500)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rows", [0, -5, 10**9])
def test_a_number_of_rows_that_makes_no_sense_is_refused(tmp_path, rows):
    with pytest.raises(SpecInvalid, match="--rows"):
        synthesize(tmp_path / "events.parquet", rows=rows)


def test_a_file_that_its_own_sheet_would_overwrite_is_refused(tmp_path):
    with pytest.raises(SpecInvalid, match=r"ends in \.parquet"):
        synthesize(tmp_path / "events.json")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataUnreadable, match="nowhere"):
        synthesize(tmp_path / "nowhere" / "events.parquet")


SALTY = "2 salty, few"
"""What forty of those learned from have as their condition, and twenty held out."""


def test_a_condition_that_nobody_has_is_refused_and_those_there_are_are_named(loaded, discreet, tmp_path):
    told = f"'billionaires' is none that 20 shoppers or more have.*Those of the data: 1 sweet, few; {SALTY}"
    with pytest.raises(TooFewEvents, match=told):
        synthesize(tmp_path / "events.parquet", rows=500, conditions=["billionaires"])


def test_what_is_made_of_a_condition_is_attacked_itself_among_all_and_among_who_has_it(loaded, discreet, tmp_path):
    sheet = synthesize(tmp_path / "events.parquet", rows=500, conditions=[SALTY])
    assert sheet["conditions"] == [SALTY]
    assert set(sheet["attacks_of_file"]) == {"everybody", "them"}
    assert all("item counts" in found for found in sheet["attacks_of_file"].values())


@pytest.mark.parametrize("few", [False, True], ids=["among all", "among those who have it"])
def test_what_tells_members_of_a_condition_is_not_written(loaded, discreet, tmp_path, monkeypatch, few):
    attack = privacy_attacks.attack

    def finds(made, real, held, *about, **settings):
        found = attack(made, real, held, *about, **settings)
        told = len(np.unique(made.condition)) == 1 and (len(np.unique(real.condition)) == 1) == few
        return replace(found, attacks={"item counts": (0.7, 0.6, 0.8)}) if told else found

    monkeypatch.setattr(privacy_attacks, "attack", finds)
    monkeypatch.setattr(privacy_attacks.Privacy, "reasons", lambda self, *, k: ["members"] * (len(self.attacks) == 1))
    told = "among shoppers of the conditions membership" if few else "members"
    with pytest.raises(synthesis.NotPrivate, match=told):
        synthesize(tmp_path / "events.parquet", rows=500, conditions=[SALTY])
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_is_safe_no_mode_lets_it_in():
    assert choose([], "Always", []).variant is None
