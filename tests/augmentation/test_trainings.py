"""Trainings in processes of their own: the same numbers, nothing left behind, and a broken one told by name."""

import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest
from shop import two_tastes

from shoploop.augmentation.trials.episodes import virtual
from shoploop.augmentation.trials.splitting import prepare_trials, train_and_judge
from shoploop.augmentation.trials.trainings import Trainings
from shoploop.augmentation.trials.variants import Extra
from shoploop.compute.worker import WorkerEnded
from shoploop.features.contract import Contract
from shoploop.features.log import purchases

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def trials():
    shop = two_tastes(60)
    return prepare_trials(
        purchases(shop.interactions()),
        shop.described(),
        shop.vocabulary,
        Contract(),
        cut_training=False,
        most_labels=40,
        most_judged=60,
        seed=0,
    )


def test_a_training_in_a_process_gives_the_numbers_of_one_here(trials, tmp_path):
    course = {"first": trials.unaugmented(0.5), "epochs": 1, "adversarial_radius": 0.1}
    with Trainings(trials, tmp_path / "trainings") as trainings:
        begun = [
            trainings.start("first then real", trials.train, **course),
            trainings.start("b", trials.train, epochs=1),
        ]
        found = [future.result(timeout=120) for future in begun]
    here = train_and_judge(trials, trials.train, **course)
    assert set(found[0]) == set(here) == {"cold", "overall"}
    for name, values in here.items():
        assert np.array_equal(found[0][name], values, equal_nan=True)
    assert not np.array_equal(found[1]["cold"], here["cold"], equal_nan=True)
    assert not (tmp_path / "trainings").exists()


def test_a_training_that_breaks_is_named_with_what_it_said_last_and_the_next_one_goes_on(trials, tmp_path):
    with Trainings(trials, tmp_path / "trainings", processes=1) as trainings:
        cold = tmp_path / "trainings" / "cold.npz"
        whole = cold.read_bytes()
        cold.write_bytes(b"half a file")
        with pytest.raises(WorkerEnded, match=r"process for crop ended with exit 1: .*pickle"):
            trainings.start("crop", trials.train, epochs=1).result(timeout=120)
        cold.write_bytes(whole)
        assert np.isfinite(trainings.start("whole", trials.train, epochs=1).result(timeout=120)["cold"]).any()


def test_leaving_ends_what_is_not_done(trials, tmp_path):
    with Trainings(trials, tmp_path / "trainings", processes=1) as trainings:
        futures = [trainings.start(name, trials.train, epochs=10_000) for name in ("a", "b")]
        while not trainings._workers:
            time.sleep(0.01)
        (worker,) = trainings._workers
    assert not worker.alive()
    assert all(future.cancelled() or future.exception() is not None for future in futures)


def test_a_training_ends_when_the_process_that_asked_for_it_is_killed(trials, tmp_path):
    with Trainings(trials, tmp_path / "trainings", processes=1) as trainings:
        trainings._carry_out = lambda name: {}
        trainings.start("long", trials.train, epochs=10_000).result()
        command = [sys.executable, "-m", "shoploop.augmentation.trials.trainings", str(tmp_path / "trainings")]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
            process.stdin.write(b"long\n")
            process.stdin.close()  # as the end of its parent would
            assert process.wait(timeout=120) == 0


def test_a_variant_of_both_takes_half_of_each_and_no_more_than_the_ratio(trials):
    frame = two_tastes(40).interactions().with_columns(user=pl.format("~virtual-{}", "user"))
    extra = Extra(ratio=0.5, virtual=virtual(frame), seed=0)
    made = extra.rows("gan and substitute", trials)
    by_kind = made.labels["user"].str.extract("~([a-z]+)-").value_counts().sort("user")
    assert by_kind.rows() == [("substitute", 10), ("virtual", 10)]
    assert set(made.labels["user"]) == set(made.rows["user"])


def test_no_training_learns_from_a_row_of_those_it_is_judged_on(trials):
    judged = trials.judged.rename({"day": "judged_day"})
    assert trials.bought.join(judged, on="user").filter(pl.col("day") >= pl.col("judged_day")).is_empty()
