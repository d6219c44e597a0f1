"""What another version would have earned is estimated from answers that chance had a small part in."""

import numpy as np
import pytest

from shoploop.bench import counterfactual as bench
from shoploop.evaluation.counterfactual import NOWHERE, Answers, Examination, compare
from shoploop.ranking.exploration import Design, draw, propensities

DESIGN = Design(share=1.0, keep=0, shown=2, pool=3)
METHODS = ("doubly_robust", "snips")


def logged(theta, liked, *, answers=40_000, design=DESIGN, seed=0):
    """Answers to 4,000 users who like the item of each rank so much, and look at each position so often."""
    rng = np.random.default_rng(seed)
    ranks_NK = np.array([draw(design, seed=seed, request_id=str(n)) for n in range(answers)])
    taken_NK = rng.random(ranks_NK.shape) < np.array(theta)[None, : design.shown] * np.array(liked)[ranks_NK]
    return Answers(
        users_N=np.arange(answers) % 4_000,
        designs=(design,),
        design_N=np.zeros(answers, np.int64),
        ranks_NK=ranks_NK,
        taken_NK=taken_NK,
    )


@pytest.fixture(scope="module")
def answers():
    return logged((0.8, 0.4), (0.5, 0.25, 0.5))


def at(answers, *positions):
    return np.tile(np.array(positions), (len(answers), 1))


def test_how_often_a_position_is_looked_at_is_found_from_what_chance_moved(answers):
    examination = Examination(answers)
    theta_K = examination.theta_K(examination.beta_J)
    assert theta_K[1] / theta_K[0] == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_order_earns_the_same_to_the_last_digit(answers, method):
    found = compare(answers, at(answers, 0, 1, NOWHERE), METHODS)[method]
    assert (found.lift, found.error) == (pytest.approx(0, abs=1e-12), pytest.approx(0, abs=1e-9))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("positions", "lift"),
    [
        (
            (0, NOWHERE, 1),
            (0.8 * 0.5 + 0.4 * 0.5) / 0.5 - 1,
        ),  # what is liked more in place of what is liked less: +20 %
        ((1, 0, NOWHERE), (0.8 * 0.25 + 0.4 * 0.5) / 0.5 - 1),  # the better one further down: -20 %
    ],
)
def test_another_order_earns_what_it_would_have(answers, method, positions, lift):
    found = compare(answers, at(answers, *positions), METHODS)[method]
    assert abs(found.lift - lift) < 4 * found.error < 0.1
    assert found.value == pytest.approx(0.5, abs=0.02) and found.support == pytest.approx(1)


def test_a_user_who_comes_often_is_one_user_and_the_interval_is_as_wide(answers):
    """The same answers, as of a tenth of the users each ten times: less is known."""
    twice = Answers(
        users_N=np.arange(len(answers)) % 400,
        designs=answers.designs,
        design_N=answers.design_N,
        ranks_NK=answers.ranks_NK,
        taken_NK=np.repeat(answers.taken_NK[:400], 100, axis=0),
    )
    alone = Answers(
        users_N=np.arange(len(answers)),
        designs=answers.designs,
        design_N=answers.design_N,
        ranks_NK=answers.ranks_NK,
        taken_NK=twice.taken_NK,
    )
    repeated = Answers(
        users_N=np.repeat(np.arange(400), 100),
        designs=answers.designs,
        design_N=answers.design_N,
        ranks_NK=np.repeat(answers.ranks_NK[:400], 100, axis=0),
        taken_NK=twice.taken_NK,
    )
    other = at(answers, 1, 0, NOWHERE)
    assert compare(repeated, other)["doubly_robust"].error > 5 * compare(alone, other)["doubly_robust"].error


def test_what_the_head_never_showed_counts_as_never_taken():
    kept = Design(share=1.0, keep=1, shown=2, pool=4)
    answers = logged((0.8, 0.4), (0.5, 0.25, 0.5, 0.25), design=kept)
    tail = compare(answers, at(answers, 0, NOWHERE, 1, NOWHERE))["doubly_robust"]
    head = compare(answers, at(answers, NOWHERE, 1, 0, NOWHERE))["doubly_robust"]
    assert tail.support == pytest.approx(1) and tail.lift == pytest.approx(0.2, abs=4 * tail.error)
    assert head.support < 0.7 and head.lift < -0.7


def test_lists_of_different_lengths_are_judged_together():
    short, long = Design(share=1, keep=0, shown=1, pool=3), DESIGN
    of_short, of_long = logged((0.8,), (0.5, 0.25, 0.5), design=short), logged((0.8, 0.4), (0.5, 0.25, 0.5))
    padded_NK = np.pad(of_short.ranks_NK, ((0, 0), (0, 1)), constant_values=NOWHERE)
    both = Answers(
        users_N=np.concatenate([of_short.users_N, of_long.users_N]),
        designs=(short, long),
        design_N=np.repeat([0, 1], len(of_long)),
        ranks_NK=np.concatenate([padded_NK, of_long.ranks_NK]),
        taken_NK=np.concatenate([np.pad(of_short.taken_NK, ((0, 0), (0, 1))), of_long.taken_NK]),
    )
    other = np.concatenate([at(of_short, NOWHERE, 0, NOWHERE), at(of_long, 0, NOWHERE, 1)])
    found = compare(both, other)["doubly_robust"]
    truth = (0.8 * 0.25 + 0.6) / (0.4 + 0.5) - 1
    assert abs(found.lift - truth) < 4 * found.error


def test_the_benchmark_draws_as_predictors_do():
    ranks_NK = bench._drawn(100_000, np.random.default_rng(0))
    expected_RK = propensities(bench.DESIGN)
    for rank in (0, 5, 9, 10, 14):
        shares_K = (ranks_NK == rank).mean(axis=0)
        assert (np.abs(shares_K - expected_RK[rank]) < 5 * np.sqrt(expected_RK[rank] / 100_000)).all()


def test_the_benchmark_knows_a_world_in_which_versions_are_as_good_and_as_bad_as_it_says():
    rng = np.random.default_rng(0)
    versions = bench._versions(bench._world(rng), rng)
    assert versions["worse"][0] == pytest.approx(-0.05, abs=1e-3)
    assert versions["equal"][0] == pytest.approx(0, abs=1e-3)


def test_a_few_worlds_give_the_numbers_that_are_asked_for():
    found = bench.run(worlds=3, answers=4_000)
    assert found["worlds"] == 3 and 0 <= found["coverage"] <= 1 and 0 <= found["worse_refused"] <= 1
    assert set(found["methods"]) == {"snips", "doubly_robust"}
