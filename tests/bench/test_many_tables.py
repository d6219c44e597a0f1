"""The benchmark over many tables, on two small ones: what it flips, whom it compares, what it says."""

import numpy as np
import polars as pl
import pytest
from hurried_estimators import hurry

from shoploop.bench.importance import many
from shoploop.bench.importance.tables import CHOOSING, REPORTED, RealTable
from shoploop.errors import NotFound

pytestmark = pytest.mark.usefixtures("one_thread")


def clouds(name, seed, size=120):
    """Points around -2 and 2, labelled by the cloud, with a colour that says nothing."""
    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1], size // 2)
    frame = pl.DataFrame(
        {"x": rng.normal(size=size) + np.where(y == 0, -2, 2), "colour": ["red", "blue"] * (size // 2)}
    )
    return RealTable(name=name, frame=frame, y_N=y)


def test_no_table_that_chose_is_reported():
    assert not set(CHOOSING) & set(REPORTED)
    assert len(REPORTED) >= 10
    assert many.chosen("all") == list(REPORTED)
    with pytest.raises(NotFound, match=r"'movielens'.*iris"):
        many.chosen("iris, movielens")


def test_rows_that_are_judged_were_not_learned_from():
    table = clouds("a", 0)
    learned, judged = table.drawn(0)
    assert len(learned.y_N) == 84 and len(judged.y_N) == 36
    assert not set(learned.frame["x"]) & set(judged.frame["x"])


@pytest.mark.parametrize("noise", ["uniform", "class", "instance"])
def test_a_fifth_is_flipped_and_of_one_label_or_near_the_boundary_more(noise):
    table = clouds("a", 0, size=600)
    x = table.frame["x"].to_numpy()[:, None]
    observed, flipped = many.flipped(x, table.y_N, noise, 0)
    assert flipped.sum() == 120 and ((observed != table.y_N) == flipped).all()
    by_label = np.bincount(table.y_N[flipped])
    near = np.abs(x[flipped, 0]).mean() < np.abs(x[~flipped, 0]).mean() - 0.2
    assert (by_label.max() > 1.5 * by_label.min()) == (noise == "class")
    assert near == (noise == "instance")


def test_formulas_say_what_cleanlab_says(monkeypatch):
    chance, y = np.array([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1]]), np.array([0, 2])
    monkeypatch.setitem(__import__("sys").modules, "cleanlab.rank", None)
    assert many.label_quality(y, chance, "self_confidence") == pytest.approx([0.7, 0.1])
    assert many.label_quality(y, chance, "normalized_margin") == pytest.approx([0.75, 0.2])


def test_one_table_goes_through_the_whole_benchmark(monkeypatch):
    monkeypatch.setattr(many, "TABLES", {"a": lambda: clouds("a", 0)})
    monkeypatch.setattr(many, "cores", lambda: 1)
    hurry(monkeypatch, steps=40)
    found = many.run("a", seeds=1)
    assert found["detection"]["a"]["ensemble"]["auc"] > 0.85
    assert {"loss", "gan_attention", "knn_shapley", "cleanlab_averaged"} <= set(found["over_tables"])
    assert set(found["over_tables"]["loss"]) == {"auc", "difference", "interval"}
    assert {"attention learned", "generator", "gan_attention", "loss_boosted"} <= set(found["ablation"])
    for model in ("linear", "boosted"):
        assert set(found["downstream"][model]) == {"clean", "noisy"}
        assert set(found["downstream"][model]["noisy"]) == {"auc", "log_loss"}
