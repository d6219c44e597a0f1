"""The step in a run: which rows are weighed, that a killed step goes on, and what training makes of it."""

import json
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from markupsafe import Markup
from shop.samples import OFFERED_FEATURES, offered, offered_splits, write_folders

from shoploop.api.v1alpha1 import ImportanceSpec, TrainingSpec
from shoploop.bench.importance.shop import with_noise
from shoploop.importance import step as steps
from shoploop.importance.checks import check as checks
from shoploop.importance.checks.check import CheckConfig
from shoploop.importance.step import estimate_importance
from shoploop.report import drawing, importance_page
from shoploop.samples.weights import WEIGHTS, event_weights
from shoploop.training.step import train_fused
from shoploop.versions.artifact import load_version

pytestmark = pytest.mark.usefixtures("one_thread")

CHECK = CheckConfig(flipped=80, learned=80, judged=40, fewest=10)
UNCHECKED = CheckConfig(fewest=1_000)
TRAINING = TrainingSpec(epochs=1)
REQUESTS = 160


def write_offers(root, train, others=12):
    """The folders of a run whose samples are offers, with a title that must not become markup."""
    splits, titles = offered_splits(train, others=others), {"apples": "<script>Apples</script>"}
    write_folders(root, splits=splits, contract=OFFERED_FEATURES, titles=titles)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    root = tmp_path_factory.mktemp("shop")
    write_offers(root, offered(REQUESTS))
    return root


def weigh(shop, out, estimator="GanAttention", **settings):
    asked = ImportanceSpec(estimator=estimator)
    settings = {"seed": 0, "check": CHECK} | settings
    return estimate_importance(**folders_of(shop), out=out, importance_spec=asked, **settings)


def folders_of(shop):
    return {name: shop / name for name in ("data", "features", "samples")}


@pytest.fixture(scope="module")
def weighed(shop, tmp_path_factory):
    out = tmp_path_factory.mktemp("weighed")
    return out, weigh(shop, out)


@pytest.fixture(scope="module")
def ranked(shop, tmp_path_factory):
    """What an estimator says that learns no network; its self-check is the same."""
    out = tmp_path_factory.mktemp("ranked")
    return out, weigh(shop, out, "LossRanking")


KILLED = """
import json, os, signal, sys
from pathlib import Path
import torch
from shoploop.api.v1alpha1 import ImportanceSpec
from shoploop.importance import step
from shoploop.importance.checks import check as check_module
torch.set_num_threads(1)
shop, settings = Path(sys.argv[1]), json.loads(sys.argv[2])
out, cache = Path(settings.pop("out")), Path(settings.pop("cache"))
check_module.try_weights = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
folders = {name: shop / name for name in ("data", "features", "samples")}
check, asked = step.CheckConfig(**settings), ImportanceSpec(estimator="LossRanking")
step.estimate_importance(**folders, out=out, importance_spec=asked, seed=0, cache=cache, check=check)
"""


def timeless(report):
    return {key: value for key, value in report.items() if key not in TIMES}


TIMES = ("seconds", "stage_seconds", "samples_per_second", "peak_rss_bytes", "reused")


def test_a_check_beside_the_weighing_finds_what_one_after_it_finds(shop, ranked, tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "cores", lambda: 2)
    monkeypatch.setattr(checks, "check_flips", lambda *_, **__: pytest.fail("the other process has done this"))
    report = weigh(shop, tmp_path / "out", "LossRanking", check=replace(CHECK, beside=0))
    assert timeless(report) == timeless(ranked[1])
    assert report["reused"] == []


def test_a_check_whose_process_breaks_is_done_by_the_step(shop, ranked, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(steps, "cores", lambda: 2)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    report = weigh(shop, tmp_path / "out", "LossRanking", check=replace(CHECK, beside=0))
    assert "process for self-check ended with exit 1" in caplog.text
    assert timeless(report) == timeless(ranked[1])


def test_an_event_gets_the_weight_of_its_row(shop, weighed):
    out, _ = weighed
    events = pl.from_arrow(event_weights(out / WEIGHTS, shop / "samples"))
    rows = pl.read_parquet(out / WEIGHTS)
    one = rows.filter(pl.col("request") == 7, pl.col("label"))
    asked = pl.read_parquet(shop / "samples" / "requests.parquet").filter(pl.col("request") == 7)
    found = events.filter(
        pl.col("user") == asked["user"].item(),
        pl.col("day") == asked["day"].item(),
        pl.col("item") == one["item"].item(),
    )
    assert found["weight"].to_list() == one["weight"].to_list()
    assert len(events) == len(rows) and events["day"].is_sorted()


def test_every_training_row_is_weighed_and_no_other(shop, weighed):
    out, report = weighed
    weights = pl.read_parquet(out / "importance.parquet")
    requests = pl.read_parquet(shop / "samples" / "requests.parquet")
    rows = pl.read_parquet(shop / "samples" / "candidates.parquet", columns=["request", "item", "label"])
    training = rows.filter(pl.col("request").is_in(requests.filter(split="train")["request"].implode()))
    assert weights.select("request", "item", "label").equals(training)
    assert report["weighed"]["split"] == "train" and report["weighed"]["rows"] == len(training) == 6 * REQUESTS
    for label in (True, False):
        assert weights.filter(label=label)["weight"].mean() == pytest.approx(1, abs=1e-4)
    assert weights["weight"].is_between(0.05 - 1e-6, 5 + 1e-6).all()
    assert (weights.filter(label=False)["weight"] == 1).all()


def test_only_labels_in_doubt_get_weights_that_differ(weighed, tmp_path):
    out, _ = weighed
    trusted = pl.read_parquet(out / "importance.parquet").filter("label")
    assert trusted["weight"].std() < 0.01 < trusted["importance"].std()
    write_offers(tmp_path / "noisy", with_noise(offered(REQUESTS), 0.2, seed=0))
    weigh(tmp_path / "noisy", tmp_path / "out", check=UNCHECKED)
    assert pl.read_parquet(tmp_path / "out" / "importance.parquet").filter("label")["weight"].std() > 0.1


def test_labels_of_validation_and_evaluation_change_nothing(weighed, tmp_path):
    out, _ = weighed
    write_offers(tmp_path / "other", offered(REQUESTS), others=30)
    weigh(tmp_path / "other", tmp_path / "out", check=UNCHECKED)
    one, other = (pl.read_parquet(folder / "importance.parquet") for folder in (out, tmp_path / "out"))
    assert one.equals(other)


def test_the_self_check_finds_flipped_labels_and_tells_everything(weighed):
    _, report = weighed
    check = report["self_check"]
    assert check["detection"]["gan_attention"]["auc"] > 0.7 > 0.6 > check["detection"]["random"]["auc"]
    shown = check["detection"]["gan_attention"]["curve"]
    assert sum(shown["confusion"][1]) == sum(row[1] for row in shown["confusion"]), "as many are called flipped as were"
    assert shown["roc"]["true_positive_rate"][-1] == 1
    assert set(check["detection"]) == {"gan_attention", "loss", "knn_shapley", "random"}
    assert check["removal"]["highest"]["0.3"]["difference"] < 0
    assert -1 <= check["agreement"]["between seeds"] <= 1
    assert check["sample"] == {"learned": 80, "judged": 40, "flipped": 80}
    assert check["training"]["overall"]["requests"] == 40
    assert set(report["verdict"]) == {"used", "reason", "estimator"}


def test_missing_values_outliers_and_duplicates_stand_beside_the_weights(tmp_path, weighed):
    samples = offered(REQUESTS)
    odd = samples.features_RK.copy()
    odd[5, 1] = 1e6
    write_offers(tmp_path, replace(samples, features_RK=odd))
    assert weigh(tmp_path, tmp_path / "out", "LossRanking", check=UNCHECKED)["quality"]["outliers"]["item_rate_28"] >= 1
    assert "weights" not in weighed[1]["quality"]


def test_a_killed_step_goes_on_where_it_was_to_the_same_bytes(shop, ranked, tmp_path, monkeypatch):
    out, report = ranked
    settings = {"out": tmp_path / "killed", "cache": tmp_path / "cache"} | vars(CHECK)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(shop), json.dumps(settings, default=str)], check=False)
    assert killed.returncode == -signal.SIGKILL
    for module, stage in ((steps, "train_shop_proxy"), (steps, "weigh"), (checks, "check_flips")):
        monkeypatch.setattr(module, stage, lambda *_, **__: pytest.fail("done already"))
    again = weigh(shop, tmp_path / "out", "LossRanking", cache=tmp_path / "cache")
    assert again["reused"] == ["proxy", "estimator", "flips"]
    assert timeless(again) == timeless(report)
    assert (tmp_path / "out" / "importance.parquet").read_bytes() == (out / "importance.parquet").read_bytes()
    assert not (tmp_path / "cache" / "importance").exists()


def test_what_was_left_of_other_samples_is_not_gone_on_from(shop, tmp_path, monkeypatch):
    def killed(*_, **__):
        raise KeyboardInterrupt

    settings = {"estimator": "LossRanking", "check": UNCHECKED, "cache": tmp_path / "cache"}
    monkeypatch.setattr(steps, "describe", killed)
    with pytest.raises(KeyboardInterrupt):
        weigh(shop, tmp_path / "killed", **settings)
    monkeypatch.undo()
    write_offers(tmp_path / "other", offered(REQUESTS, seed=1))
    assert weigh(tmp_path / "other", tmp_path / "out", **settings)["reused"] == []


def test_none_weighs_nothing_and_says_so(shop, tmp_path):
    report = weigh(shop, tmp_path, estimator="None")
    assert report["verdict"]["used"] is False and "None" in report["verdict"]["reason"]
    assert len(pl.read_parquet(tmp_path / "importance.parquet")) == 0


def test_a_small_shop_is_weighed_but_its_weights_are_not_used(tmp_path):
    write_offers(tmp_path, offered(25))
    report = weigh(tmp_path, tmp_path / "out", check=None)
    assert report["verdict"]["used"] is False
    assert "of the 25 training visits" in report["verdict"]["reason"]
    assert len(pl.read_parquet(tmp_path / "out" / "importance.parquet")) == 150


def test_samples_that_cannot_be_weighed_do_not_stop_the_run(tmp_path):
    samples = offered(20)
    write_offers(tmp_path, replace(samples, labels_R=np.zeros_like(samples.labels_R)))
    report = weigh(tmp_path, tmp_path / "out")
    assert report["verdict"]["used"] is False and "label False" in report["verdict"]["reason"]


def test_no_training_visit_at_all_does_not_break_the_step(tmp_path):
    write_offers(tmp_path, offered(1).select([]))
    report = weigh(tmp_path, tmp_path / "out")
    assert report["verdict"]["used"] is False and "nothing to weigh" in report["verdict"]["reason"]


@pytest.fixture(scope="module")
def unweighted(shop, tmp_path_factory):
    """A version that was trained on the same samples without weights, and its report."""
    out = tmp_path_factory.mktemp("unweighted") / "model"
    return out, train_fused(**folders_of(shop), training_spec=TRAINING, out=out)


@pytest.mark.parametrize("used", [True, False])
def test_training_uses_the_weights_where_the_verdict_says_so(shop, weighed, unweighted, tmp_path, used):
    out, report = weighed
    importance = tmp_path / "importance"
    importance.mkdir()
    # where no label is in doubt all weights are 1: here every other row counts half
    table = pq.read_table(out / "importance.parquet")
    halves = pa.array(np.where(np.arange(len(table)) % 2, 1.5, 0.5).astype(np.float32))
    place = table.schema.get_field_index("weight")
    pq.write_table(table.set_column(place, table.schema.field(place), halves), importance / "importance.parquet")
    document = report | {"verdict": report["verdict"] | {"used": used}}
    (importance / "importance.json").write_text(json.dumps(document))
    given = folders_of(shop) | {"training_spec": TRAINING}
    trained = train_fused(**given, importance=importance, out=tmp_path / "model")
    folder, plain = unweighted
    assert trained["weighted"] is used
    lineage = load_version(tmp_path / "model").lineage
    assert lineage["importance"]["used"] is used and lineage["importance"]["estimator"] == "GanAttention"
    same = (tmp_path / "model" / "weights.safetensors").read_bytes() == (folder / "weights.safetensors").read_bytes()
    assert same is not used and plain["weighted"] is False


def test_the_page_names_products_and_lets_no_title_through_as_markup(weighed, tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "svg", lambda spec, label: Markup("<svg></svg>"))
    importance_page.write(tmp_path / "page.html", "corner", weighed[1])
    html = (tmp_path / "page.html").read_text()
    assert "&lt;script&gt;Apples" in html and "<script>" not in html
    for told in ("Honey", "Purchases it doubts most", "Prototype 1", "GAN attention", "The data beside the weights"):
        assert told in html, told


def test_the_page_of_a_refusal_says_why(tmp_path):
    write_offers(tmp_path, offered(20))
    report = weigh(tmp_path, tmp_path / "out", estimator="None")
    importance_page.write(tmp_path / "page.html", "corner", report)
    assert "spec.importance.estimator is None" in (tmp_path / "page.html").read_text()
