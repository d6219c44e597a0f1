"""The step in a run: what may enter training, what never may, and that the run goes on whatever happens."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file
from script import two_that_meet
from shop import TRAINING, two_tastes
from shop.samples import write_folders
from tiny_effort import TINY

from shoploop.api.v1alpha1 import AugmentationSpec
from shoploop.augmentation.proofs import privacy_attacks as privacy
from shoploop.augmentation.step import augment_samples
from shoploop.features.log import day_of
from shoploop.training.step import train_fused
from shoploop.versions.artifact import load_version

pytestmark = pytest.mark.usefixtures("one_thread", "narrow_network")

SHOP = two_tastes(90)
EVALUATION_FIRST = SHOP.split.evaluation_first


def augment(run, out, mode="Always", effort=TINY, **settings):
    asked = AugmentationSpec(mode=mode, ratio=settings.pop("ratio", 0.5))
    folders = {name: run / name for name in ("data", "features", "samples")}
    return augment_samples(**folders, out=out, augmentation_spec=asked, seed=0, effort=effort, **settings)


def requests(folder):
    return pl.read_parquet(folder / "requests.parquet")


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_virtual_samples_come_after_the_real_ones_and_only_in_training(ninety, always):
    out, report = always
    assert report["variant"] == "crop" or report["variant"] == "gan"
    real, both = requests(ninety / "samples"), requests(out / "samples")
    assert both[: real.height].equals(real)
    for name in ("candidates.parquet", "histories.parquet"):
        before, after = (pl.read_parquet(folder / name) for folder in (ninety / "samples", out / "samples"))
        assert after[: before.height].equals(before)
        assert after.height > before.height
    added = both[real.height :]
    assert added.height == report["samples_added"] > 0
    assert added["split"].unique().to_list() == ["train"]
    assert added["user"].str.starts_with("~").all()
    assert not set(added["user_code"]) & set(real["user_code"])
    assert added["day"].max() < EVALUATION_FIRST


def test_the_files_of_the_real_samples_are_not_touched(ninety, always, tmp_path):
    write_folders(tmp_path, SHOP)
    assert bytes_of(tmp_path / "samples") == bytes_of(ninety / "samples")


@pytest.mark.parametrize("ratio", [0.1, 1.0])
def test_no_more_samples_are_added_than_the_ratio_allows(ninety, tmp_path, ratio):
    report = augment(ninety, tmp_path, ratio=ratio, effort=replace(TINY, variants=("crop",)))
    learned = requests(ninety / "samples").filter(pl.col("split") == "train").height
    assert 0 < report["samples_added"] <= ratio * learned


def test_never_means_the_real_samples_and_no_generator(ninety, tmp_path):
    report = augment(ninety, tmp_path, mode="Never")
    assert report["reason"] == "Nothing was tried: spec.augmentation.mode is Never."
    assert bytes_of(tmp_path / "samples") == bytes_of(ninety / "samples")
    assert not (tmp_path / "generator.safetensors").exists()
    assert pl.read_parquet(tmp_path / "synthetic.parquet").is_empty()


def test_a_shop_too_small_to_show_anything_is_refused_with_its_reason_and_the_run_goes_on(ninety, tmp_path):
    report = augment(ninety, tmp_path, mode="Auto")
    assert report["variant"] is None
    assert "only 90 users have 3 visits or more" in report["reason"]
    assert "fewer than 500" in report["reason"]
    assert bytes_of(tmp_path / "samples") == bytes_of(ninety / "samples")


def test_fewer_than_fifty_histories_are_refused_whatever_the_mode(tmp_path):
    write_folders(tmp_path, two_tastes(40))
    report = augment(tmp_path, tmp_path / "out")
    assert report["variant"] is None
    assert "only 40 users" in report["reason"]
    assert "fewer than 50" in report["reason"]


def test_a_generator_that_diverges_is_a_refusal_and_the_rivals_are_tried(ninety, tmp_path):
    wild = replace(TINY.generator.adversary, learning_rate=1e30)
    report = augment(ninety, tmp_path, effort=replace(TINY, generator=replace(TINY.generator, adversary=wild)))
    assert "loss is no number" in report["generator"]["refused"]
    assert list(report["variants"]) == ["crop"]
    assert report["variant"] == "crop"


def test_the_same_seed_gives_the_same_bytes(ninety, always, tmp_path):
    out, _ = always
    augment(ninety, tmp_path)
    first, second = bytes_of(out), bytes_of(tmp_path)
    assert bytes_of(out / "samples") == bytes_of(tmp_path / "samples")
    assert first["synthetic.parquet"] == second["synthetic.parquet"]
    reports = [json.loads(made["augmentation.json"]) | {"seconds": 0} for made in (first, second)]
    assert reports[0] == reports[1]


def test_two_processes_come_to_the_decision_of_one_and_the_second_writes_nothing(ninety, always, tmp_path):
    """They train the generator together; its weights are those of one, to rounding."""
    script = Path(__file__).with_name("step_of_two.py")
    processes = two_that_meet(script, str(ninety), str(tmp_path / "out"), logs=tmp_path)
    for rank, process in enumerate(processes):
        assert process.wait(240) == 0, (tmp_path / f"{rank}.log").read_text()[-2000:]
    out, report = always
    told = json.loads((tmp_path / "out" / "augmentation.json").read_text())
    assert (told["variant"], told["samples_added"]) == (report["variant"], report["samples_added"])
    assert told["generator"]["steps"] == report["generator"]["steps"] == TINY.generator.adversary.steps
    for mine, other in zip(told["generator"]["curve"], report["generator"]["curve"], strict=True):
        assert mine == pytest.approx(other, abs=1e-4)
    alone, together = (load_file(folder / "generator.safetensors") for folder in (out, tmp_path / "out"))
    assert alone.keys() == together.keys()
    for name in (name for name in alone if name.startswith("averaged.")):
        np.testing.assert_allclose(together[name], alone[name], rtol=1e-3, atol=1e-4, err_msg=name)
    names = [{path.relative_to(folder) for path in folder.rglob("*")} for folder in (out, tmp_path / "out")]
    assert names[0] == names[1]


def test_virtual_rows_are_marked_and_speak_of_no_day_of_evaluation(always):
    out, report = always
    rows = pl.read_parquet(out / "synthetic.parquet")
    assert rows.height == report["synthetic_rows"] > 0
    assert rows["is_synthetic"].all()
    assert rows["generator"].unique().to_list() == [report["generator"]["digest"]]
    assert rows.select(day_of("time")).to_series().max() < EVALUATION_FIRST
    assert rows["user"].str.starts_with("~virtual-").all()


@pytest.mark.parametrize("attack", ["attack_counts", "attack_pairs"])
def test_rows_of_a_generator_are_attacked_before_they_enter_training(ninety, cache, tmp_path, monkeypatch, attack):
    counted = []

    def innocent(rows, *_, **__):
        counted.append(int(rows.sum()))
        return 0.5, 0.45, 0.55

    monkeypatch.setattr(privacy.Privacy, "reasons", lambda *_, **__: [])
    monkeypatch.setattr(privacy, "attack_counts", innocent)
    monkeypatch.setattr(privacy, "attack_pairs", innocent)
    alone = replace(TINY, variants=("gan",))
    enters = augment(ninety, tmp_path / "enters", effort=alone, cache=cache)
    rows = pl.read_parquet(tmp_path / "enters" / "synthetic.parquet")
    assert enters["variant"] == "gan"
    assert counted[0] == rows.height == enters["synthetic_rows"]
    assert rows["user"].n_unique() == enters["samples_added"]
    monkeypatch.setattr(privacy, attack, lambda *_, **__: (0.7, 0.65, 0.75))
    leaks = augment(ninety, tmp_path / "leaks", effort=alone, cache=cache)
    assert leaks["variant"] is None
    assert leaks["samples_added"] == 0
    assert not leaks["privacy"]["passed"]
    assert "membership can be inferred" in leaks["variants"]["gan"]["reason"]
    assert bytes_of(tmp_path / "leaks" / "samples") == bytes_of(ninety / "samples")


def test_a_kept_generator_is_not_learned_again(ninety, always, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "shoploop.augmentation.generator.adversary.Adversary._discriminator_step",
        lambda *_: pytest.fail("a generator was trained"),
    )
    again = augment(ninety, tmp_path / "again", cache=cache)
    assert again["generator"]["digest"] == always[1]["generator"]["digest"]


def test_a_broken_file_among_the_kept_generators_is_learned_anew(ninety, always, cache, tmp_path):
    (kept,) = (cache / "generators").iterdir()
    kept.unlink()
    kept.write_bytes(b"half a checkpoint")
    again = augment(ninety, tmp_path / "again", cache=cache)
    assert again["generator"]["digest"] == always[1]["generator"]["digest"]


def test_a_version_says_in_its_lineage_what_became_of_augmentation(ninety, always, tmp_path):
    out, report = always
    train_fused(
        data=ninety / "data",
        features=ninety / "features",
        samples=out / "samples",
        augmentation=out,
        out=tmp_path / "model",
        training_spec=TRAINING,
    )
    lineage = load_version(tmp_path / "model").manifest["lineage"]["augmentation"]
    assert lineage["variant"] == report["variant"]
    assert lineage["samples_added"] == report["samples_added"]
    assert set(lineage["variants"]) == {"crop", "gan"}
    assert lineage["privacy"]["membership_auc"] == pytest.approx(report["privacy"]["membership_auc"], abs=1e-4)
