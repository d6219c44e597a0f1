"""What the benchmark concludes, on samples and numbers whose answer is plain."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hurried_estimators import hurry
from shop import Shop as World
from shop.samples import OFFERED_FEATURES, offered

from shoploop.bench.importance import run as importance
from shoploop.bench.importance import shop as importance_shop
from shoploop.bench.importance import speed as importance_speed
from shoploop.bench.importance import table as importance_table
from shoploop.bench.importance.flips import Flipped, Found, Labelled, detect, look_inside
from shoploop.bench.importance.removal import curves, remove
from shoploop.errors import NotFound
from shoploop.features.log import PurchaseLog, Vocabulary, purchases
from shoploop.importance.checks.flips import Shop
from shoploop.importance.estimators.interface import ESTIMATORS

SHOP = Shop(catalog=World().catalog(), contract=OFFERED_FEATURES, columns=("pairs", "proxy"))
TINY = importance_shop.Effort(
    flipped=30, judged_removal=10, learned=20, judged=15, pool=60, compared_seeds=1, noisy_seeds=2
)


def clouds(seed, *, size=60):
    """Points around (-3, -3) and (3, 3), labelled by the cloud."""
    y = np.repeat([0, 1], size // 2)
    x = np.random.default_rng(seed).normal(size=(size, 2)) + np.where(y[:, None] == 0, -3, 3)
    return Labelled(x_NK=x, y_N=y)


def test_the_label_alone_detects_nothing():
    task = Flipped.of(clouds(0), 0.2, seed=0)
    assert task.flipped_N.sum() == 12
    assert task.quality(task.table.y_N.astype(float))[0] == 0.5


def test_who_knows_the_truth_detects_everything():
    samples = clouds(0)
    task = Flipped.of(samples, 0.2, seed=0)
    assert task.quality((task.table.y_N == samples.y_N).astype(float)) == (1.0, 1.0)


def test_every_estimator_is_in_the_table():
    found = detect(clouds, 0.2, [0]).summary()
    assert list(found) == list(ESTIMATORS)
    assert found["uniform"]["auc"] == 0.5 and found["gan_attention"]["auc"] > 0.9


def test_permuted_attention_loses_what_prototypes_of_either_kind_find():
    found = look_inside(clouds, 0.2, [0, 1])
    assert min(found["generated"]["auc"], found["real"]["auc"]) > 0.9
    assert found["permuted"]["auc"] < 0.75


def test_a_difference_is_paired_by_seed():
    found = Found()
    for auc in (0.6, 0.8):
        found.add("better", (auc + 0.1, 0))
        found.add("worse", (auc, 0))
    difference = found.difference("better", "worse")
    assert difference["difference"] == pytest.approx(0.1)
    assert difference["interval"] == pytest.approx([0.1, 0.1])


def test_what_is_wrong_goes_first_with_the_lowest_and_last_with_the_highest():
    y = np.repeat([0, 1], 50)
    right = np.arange(100) % 10 != 0  # 5 of each label are wrong, and importance says so
    kept_right = remove(y, right.astype(float), lambda kept: np.array([right[kept].mean()]), seed=0)
    assert kept_right["lowest"]["0.1"] == 1.0
    assert kept_right["highest"]["0.1"] == pytest.approx(40 / 45 * 90 / 90, abs=0.001)
    assert kept_right["highest"]["0.3"][0] < kept_right["random"]["0.3"][0] < kept_right["lowest"]["0.3"][0]


@pytest.mark.parametrize("share, kept", [("0.1", [18, 72]), ("0.3", [14, 56])])
def test_removal_takes_the_same_share_of_each_label(share, kept):
    y = np.repeat([0, 1], [20, 80])
    found = remove(y, np.linspace(0, 1, 100), lambda kept_N: np.bincount(y[kept_N]).astype(float), seed=0)
    for kind in ("lowest", "highest", "random"):
        assert found[kind][share].tolist() == kept


def test_curves_compare_with_random_removal_in_pairs():
    def values(quality):
        at = {str(share): np.array([0.2, 0.8]) for share in (0.1, 0.2, 0.3)}
        return {"random": at} | {
            kind: {s: v + quality * sign for s, v in at.items()} for kind, sign in (("lowest", 1), ("highest", -1))
        }

    found = curves([values(0.1), values(0.3)], "auc", over_seeds=False)
    assert found["lowest"]["0.2"]["difference"] == pytest.approx(0.2)
    assert found["highest"]["0.2"]["interval"] == pytest.approx([-0.2, -0.2])
    assert found["random"]["0.2"] == {"value": pytest.approx(0.5)}


def test_curves_are_as_unsure_however_often_the_same_users_come():
    def values(times):
        at = {str(share): np.repeat([0.2, 0.4, 0.8], times) for share in (0.1, 0.2, 0.3)}
        return {"random": {s: np.zeros(3 * times) for s in at}, "lowest": at, "highest": at}

    once, eightfold = (
        curves([values(times)], "auc", over_seeds=False, users_U=np.repeat(np.arange(3), times))["lowest"]["0.2"]
        for times in (1, 8)
    )
    assert eightfold["interval"] == pytest.approx(once["interval"])


def test_a_weak_baseline_fails_the_benchmark():
    importance.check_baseline({"0.2": {"loss": {"auc": 0.97}}})
    for auc in (0.969, float("nan")):
        with pytest.raises(importance.BaselineTooWeak, match=r"it must reach 0\.97"):
            importance.check_baseline({"0.2": {"loss": {"auc": auc}}})


def test_an_unknown_dataset_is_named_with_those_that_there_are():
    with pytest.raises(NotFound, match=r"'movielens'.*breast_cancer, completejourney"):
        importance.run("movielens")


def test_noise_flips_a_fifth_of_the_rows_and_leaves_the_truth():
    before = offered(50)
    after = importance_shop.with_noise(before, 0.2, seed=1)
    assert (after.labels_R != before.labels_R).sum() == 60
    assert (after.truth_T == before.truth_T).all()


def test_a_plain_table_goes_through_the_whole_benchmark(monkeypatch):
    hurry(monkeypatch, steps=40)
    report = importance_table.run(clouds(0, size=60), range(1), lambda what: None)
    assert report["detection"]["0.2"]["loss"]["auc"] > 0.9
    assert set(report["training"]) == {"metric", "clean", "noisy"}
    assert report["removal"]["lowest"]["0.1"]["value"] > 0.9


@pytest.fixture(scope="module")
def shop_report(narrow_network):
    material = importance_shop.Material(train=offered(60), judged=offered(15, seed=3), shop=SHOP)
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch, steps=40)
        return importance_shop.run(material, range(1), lambda what: None, TINY)


def test_a_shop_goes_through_the_whole_benchmark(shop_report):
    assert set(shop_report["detection"]) == {"0.1", "0.2", "0.3"}
    assert shop_report["detection"]["0.2"]["gan_attention"]["auc"] > 0.9
    assert shop_report["sample"] == {
        "rows_flipped": 180,
        "bought": pytest.approx(1 / 6),
        "requests_learned": 20,
        "households_judged": 5,
        "requests_judged": 15,
    }
    for labels, seeds in (("clean", 1), ("noisy", 2)):
        assert -1 < shop_report["training"][labels]["difference"] < 1
        assert len(shop_report["training"][labels]["by_seed"]) == seeds
        assert shop_report["training"][labels]["households"] == 5


def test_a_household_counts_once_however_often_it_is_judged():
    found = importance_shop._difference(np.array([0.3, 0.1, 0.4, np.nan, np.nan]), np.array([7, 7, 2, 2, 5]))
    assert found["difference"] == pytest.approx((0.2 + 0.4) / 2)
    assert found["households"] == 2


def test_a_household_is_judged_on_some_of_its_later_days():
    bought = [("a", 1), ("a", 11), ("a", 12), ("a", 13), ("b", 12), ("b", 12), ("c", 3)]
    table = pl.DataFrame(
        {
            "user": [user for user, _ in bought],
            "item": ["milk"] * len(bought),
            "time": [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day) for _, day in bought],
            "kind": ["purchase"] * len(bought),
            "quantity": [1.0] * len(bought),
            "price": [1.0] * len(bought),
            "shop": ["s"] * len(bought),
        }
    )
    log = PurchaseLog.of(purchases(table), Vocabulary(("milk",)))
    asked = importance_shop.later_requests(log, 11, importance_shop.Effort(visits=2), seed=0)
    days = {user: [r.day for r in asked if log.users[r.user] == user] for user in ("a", "b", "c")}
    assert days["b"] == [12] and days["c"] == []
    assert len(days["a"]) == 2 and set(days["a"]) < {11, 12, 13} and days["a"] == sorted(days["a"])


def test_every_bar_is_printed_and_an_interval_that_holds_0_meets_none(shop_report):
    report = shop_report | {"dataset": "completejourney", "speed": {"seconds": {"1000000": 121}}, "peak_rss_bytes": 1}
    open_ended = {"difference": 0.01, "interval": [-0.001, 0.02]}
    report["against_loss"] = {"0.2": open_ended}
    report["training"] = {"clean": open_ended, "noisy": open_ended}
    found = {bar["bar"]: bar["met"] for bar in importance.bars(report)}
    assert len(found) == 11
    assert not found["default above loss ranking at 20 % flips"]
    assert not found["weights gain at 20 % noise"]
    assert found["weights do not lose on clean labels"]
    assert not found["1,000,000 samples in 120 s"] and found["in 4 GiB"]


def test_speed_is_that_of_the_largest_table(monkeypatch):
    hurry(monkeypatch, steps=40)
    speed = importance_speed.measure(clouds(0), (200, 400), seed=0)
    assert speed["samples_per_second"] == pytest.approx(400 / speed["seconds"]["400"], rel=0.1)
