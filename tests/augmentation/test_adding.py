"""The folder that training reads: what is not of visits is in it as it was."""

import shutil

import numpy as np
import polars as pl
import pytest
from shop import two_tastes

from shoploop.augmentation.adding import add_samples
from shoploop.augmentation.trials.episodes import crop, episodes_of
from shoploop.augmentation.trials.splitting import prepare_trials
from shoploop.features.contract import Contract
from shoploop.features.log import purchases
from shoploop.samples.search_step import SEARCH

pytestmark = pytest.mark.usefixtures("one_thread", "narrow_network")

SHOP = two_tastes(90)
EVALUATION_FIRST = SHOP.split.evaluation_first


@pytest.fixture(scope="module")
def trials():
    bought = purchases(SHOP.interactions()).filter(pl.col("day") < EVALUATION_FIRST)
    return prepare_trials(
        bought,
        SHOP.described(),
        SHOP.vocabulary,
        Contract(),
        cut_training=False,
        most_labels=20,
        most_judged=20,
        seed=0,
    )


def test_the_samples_of_search_are_kept_as_they_are(ninety, trials, tmp_path):
    """Virtual shoppers visit; they ask nothing."""
    samples = shutil.copytree(ninety / "samples", tmp_path / "samples")
    (samples / SEARCH).mkdir()
    for name in ("requests.parquet", "searches.parquet"):
        (samples / SEARCH / name).write_bytes(name.encode())
    rows = crop(episodes_of(trials.bought, trials.labels, baskets=2), np.random.default_rng(0))

    assert add_samples(samples, tmp_path / "out", rows, trials, first_hidden=EVALUATION_FIRST) > 0

    kept = {path.name: path.read_bytes() for path in (tmp_path / "out" / SEARCH).iterdir()}
    assert kept == {name: name.encode() for name in ("requests.parquet", "searches.parquet")}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {path.name for path in samples.iterdir()}
