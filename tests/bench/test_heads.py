"""Whether learning α, or the DNN's last layer, finds what is there to be found; and nothing where nothing is."""

import numpy as np
import pytest

from shoploop.bench.heads import _Asked, _Head, _prequential

RANDOM = np.random.default_rng(0)
WEIGHTS = np.array([1.0, 0.0])
EVEN = 0.0
"""Log-odds of α = .5."""


def visits(count, *, says):
    """What is bought is the one of eight candidates that ``says`` it: the transformer, or the second hidden unit; all else is
    chance."""
    for number in range(count):
        hidden_NH, transformer_N = RANDOM.normal(size=(8, 2)), RANDOM.normal(size=8)
        told_N = transformer_N if says == "transformer" else hidden_NH[:, 1]
        place = int(np.argmax(told_N))
        yield _Asked(user=f"u{number % 20}", hidden_NH=hidden_NH, transformer_N=transformer_N, places=[place], bought=1)


@pytest.mark.parametrize("learns, says, gains", [
    ("alpha", "transformer", True),
    ("last_layer", "hidden", True),
    ("both", "hidden", True),
    ("alpha", "hidden", False),
])  # fmt: skip
def test_what_learns_gains_where_its_own_part_is_what_was_wrong(learns, says, gains):
    head = _Head(EVEN, WEIGHTS, learns=learns, rate=0.1)
    found = _prequential(list(visits(300, says=says)), head, EVEN, WEIGHTS, seed=0)
    _, high = found["loss"]["interval"]
    assert (high < -0.05) == gains


def test_a_visit_of_nothing_that_was_a_candidate_is_found_by_nobody_and_teaches_nothing():
    missed = _Asked(user="ann", hidden_NH=np.ones((3, 2)), transformer_N=np.ones(3), places=[], bought=2)
    [hit] = visits(1, says="transformer")
    head = _Head(EVEN, WEIGHTS, learns="both", rate=0.1)
    found = _prequential([missed, hit], head, EVEN, WEIGHTS, seed=0)
    assert found["recall@10"]["online"] == pytest.approx(0.5)
    assert found["loss"]["difference"] == 0.0
