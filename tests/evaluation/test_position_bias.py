"""How much a place alone draws clicks."""

import numpy as np
import pytest

from shoploop.errors import TooFewEvents
from shoploop.evaluation.position_bias import fit_position_bias

PLACES = 8
EXAMINED = 1 / np.arange(1, PLACES + 1)
"""θ: the second place is looked at half as often as the top, the eighth an eighth."""


def drawn_lists(*, lists: int = 8_000, knowing: float, seed: int = 0):
    """Lists ordered by who knows what is wanted so well, 0 to 1; each item clicked by itself with θ · q."""
    random = np.random.default_rng(seed)
    wanted_QP = random.normal(size=(lists, PLACES))
    order_QP = np.argsort(-(knowing * wanted_QP + (1 - knowing) * random.normal(size=wanted_QP.shape)), axis=1)
    wanted_QP = np.take_along_axis(wanted_QP, order_QP, axis=1)
    chance_QP = 0.2 * np.minimum(np.exp(wanted_QP), 5) * EXAMINED
    clicked_QP = random.random(wanted_QP.shape) < chance_QP
    return {
        "scores_R": np.minimum(wanted_QP, np.log(5)).ravel(),
        "places_R": np.tile(np.arange(PLACES), lists),
        "clicked_R": clicked_QP.ravel(),
        "offsets_Q1": np.arange(lists + 1) * PLACES,
    }


@pytest.mark.parametrize("knowing", [0.0, 0.6], ids=["order-by-chance", "order-by-taste"])
def test_a_known_curve_is_found_within_a_tenth_of_a_log_and_within_its_own_error(knowing):
    found = fit_position_bias(**drawn_lists(knowing=knowing))
    away_P = found.bias_P - np.log(EXAMINED)
    assert np.abs(away_P).max() < 0.15
    assert np.abs(away_P[1:] / found.error_P[1:]).max() < 3
    assert found.score_times == pytest.approx(1, abs=0.05)


def test_who_does_not_know_what_is_wanted_takes_a_good_order_for_the_places_doing():
    lists = drawn_lists(knowing=0.6)
    blind = fit_position_bias(**lists | {"scores_R": np.zeros_like(lists["scores_R"])})
    assert blind.bias_P[-1] < np.log(EXAMINED[-1]) - 0.5


def test_the_errors_are_those_of_other_draws():
    found = [fit_position_bias(**drawn_lists(lists=1_000, knowing=0.6, seed=seed)) for seed in range(40)]
    spread_P = np.std([each.bias_P for each in found], axis=0)[1:]
    told_P = np.mean([each.error_P for each in found], axis=0)[1:]
    assert np.mean(told_P / spread_P) == pytest.approx(1, abs=0.15)


def test_a_user_who_comes_twice_is_no_second_witness():
    lists = drawn_lists(lists=500, knowing=0.0)
    twice = {name: np.concatenate([values, values]) for name, values in lists.items() if name != "offsets_Q1"}
    twice["offsets_Q1"] = np.arange(1_001) * PLACES
    once = fit_position_bias(**lists)
    same = fit_position_bias(**twice, users_Q=np.tile(np.arange(500), 2))
    np.testing.assert_allclose(same.error_P, once.error_P, rtol=0.01)
    np.testing.assert_allclose(same.bias_P, once.bias_P, atol=0.01)


def test_lists_without_a_click_change_nothing_and_a_place_without_one_is_far_down():
    lists = {
        "scores_R": np.zeros(6),
        "places_R": np.array([0, 1, 2, 0, 1, 2]),
        "clicked_R": np.array([True, True, False, False, False, False]),
    }
    both = fit_position_bias(**lists, offsets_Q1=np.array([0, 3, 6]))
    first = fit_position_bias(**{name: values[:3] for name, values in lists.items()}, offsets_Q1=np.array([0, 3]))
    np.testing.assert_allclose(both.bias_P, first.bias_P)
    assert both.bias_P[2] < -3 and np.isfinite(both.bias_P).all()
    assert both.clicks == 2


def test_where_nothing_was_clicked_nothing_is_told():
    with pytest.raises(TooFewEvents, match="Wait for clicks"):
        fit_position_bias(np.zeros(2), np.arange(2), np.zeros(2, bool), np.array([0, 2]))
