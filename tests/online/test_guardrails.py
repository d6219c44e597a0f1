"""What freezes publishing."""

import numpy as np
import pytest

from shoploop.api.online import GuardrailsSpec
from shoploop.errors import SpecInvalid
from shoploop.online.golden import Golden, golden_requests
from shoploop.online.guardrails import NO_GUARD, Guard, GuardConfig, is_of_guard
from shoploop.online.learner import BatchLosses, Change, ItemLearner, Losses
from shoploop.online.learner_process import guardrails_of
from shoploop.online.limits import LimitConfig

CONFIG = GuardConfig(block=10, max_loss_excess=0.1, max_dead_letter_share=0.5)


def trips(*excesses: float) -> list[bool]:
    guard = Guard(CONFIG)
    return [guard.take(Losses(online=1.0 + excess, frozen=1.0)) is not None for excess in excesses]


def test_a_block_that_is_clearly_worse_than_what_was_trained_trips():
    assert trips(*[0.5] * 10) == [False] * 9 + [True]


def test_a_block_that_is_better_or_hardly_worse_does_not():
    assert not any(trips(*[-0.5] * 10, *[0.09] * 10))


def test_a_block_that_may_be_worse_by_chance_does_not():
    assert not any(trips(*[3.0, -2.0] * 5))


def test_a_trip_says_by_how_much():
    guard = Guard(CONFIG)
    [trip] = [found for _ in range(10) if (found := guard.take(Losses(online=2.0, frozen=1.0)))]
    assert trip.code == "progressive_loss"
    assert "by 1.000 nats" in trip.message


def code_after(count: int = 10, dead: int = 0, **one) -> str | None:
    """What trips, if anything does, after as many examples that are all the same."""
    guard = Guard(CONFIG)
    trips = [guard.take(Losses(**{"online": 1.0, "frozen": 1.0} | one)) for _ in range(count)]
    guard.take_dead(dead)
    found = [trip for trip in (*trips, guard.judge_letters()) if trip]
    return found[0].code if found else None


def test_examples_of_a_batch_are_judged_as_if_one_came_after_the_other():
    """To the last digit: what a block comes to is in the chain."""
    columns = np.random.default_rng(0).normal(size=(7, 25)).astype(np.float32)
    columns[0] += 1.0
    losses, learned_B = BatchLosses(*columns), np.arange(25) != 3
    config = GuardConfig(block=10, max_loss_excess=0.1, errors=0.0)
    together, alone = Guard(config), Guard(config)
    trips = [trip for number in np.flatnonzero(learned_B) if (trip := alone.take(losses.of(int(number))))]
    assert len(trips) == 2
    assert together.take_many(losses, learned_B) == trips
    assert (together.block, together.numbers) == (alone.block, alone.numbers)


def test_who_puts_what_is_chosen_behind_the_rest_where_the_trained_model_did_not_trips():
    assert code_after(online_auc=0.5, frozen_auc=0.9) == "progressive_auc"
    assert code_after(online_auc=0.9, frozen_auc=0.5) is None


def test_who_is_much_surer_or_much_less_sure_than_is_right_trips_where_the_trained_model_is_not():
    assert code_after(online_sureness=0.5, frozen_sureness=0.1) == "calibration"
    assert code_after(online_sureness=-0.5, frozen_sureness=0.1) == "calibration"
    assert code_after(online_sureness=0.5, frozen_sureness=-0.5) is None


def test_dead_letters_trip_where_they_are_more_of_what_should_be_learned_from_than_is_allowed():
    assert code_after(count=9, dead=10) == "dead_letters"
    assert code_after(count=10, dead=9) is None
    assert code_after(count=1, dead=3) is None  # too few to say


def test_what_was_held_back_by_a_limit_is_no_dead_letter_and_was_no_rarity_either():
    guard = Guard(CONFIG)
    guard.take_capped(30)
    guard.take_dead(10)
    assert guard.judge_letters() is None
    assert guard.numbers["dead_letters"] == 0.25


LARGE, WIDTH = 200, 4
RANDOM = np.random.default_rng(3)
VECTORS, BIAS = RANDOM.standard_normal((LARGE, WIDTH)).astype(np.float32), np.zeros(LARGE, np.float32)
GOLDEN = Golden(RANDOM.standard_normal((16, WIDTH)).astype(np.float32), VECTORS, BIAS)
STILL = Change(row=0.0, all=0.0, fits=True)


def told(change: Change = STILL, vectors=VECTORS, bias=BIAS, **config) -> str | None:
    trip = Guard(GuardConfig(**config)).judge_change(change, GOLDEN, vectors, bias)
    return trip and trip.code


def test_what_goes_out_may_move_so_far_and_no_farther():
    far = Change(row=1.5, all=0.95, fits=True)
    assert told() is None
    assert told(far, max_row_change=1.0) == "row_change"
    assert told(far) == "change"
    assert told(far, max_change=0.96) is None
    assert told(Change(row=0.0, all=0.0, fits=False)) == "wrong_shape"
    assert told(Change(row=float("nan"), all=0.0, fits=True)) == "row_change"


def test_a_model_that_is_turned_round_answers_golden_requests_otherwise_and_one_that_all_items_gain_in_does_not():
    assert GOLDEN.look(VECTORS, BIAS + 3) == pytest.approx((0.0, 1.0), abs=1e-3)
    drift, overlap = GOLDEN.look(-VECTORS, BIAS)
    assert overlap == 0.0
    assert told(vectors=-VECTORS) == "top10_overlap"
    assert told(vectors=-VECTORS, min_top10_overlap=0.0) is None, drift  # turned round, scores lie as they lay
    assert told(vectors=5 * VECTORS) == "score_drift"
    assert told(vectors=5 * VECTORS, max_score_drift=100.0) is None
    assert Guard(NO_GUARD).judge_change(STILL, GOLDEN, -5 * VECTORS, BIAS) is None


def test_golden_requests_say_nothing_of_a_shop_of_few_items():
    few = Golden(np.ones((2, WIDTH), np.float32), VECTORS[:20], BIAS[:20])
    assert Guard().judge_change(STILL, few, -5 * VECTORS[:20], BIAS[:20]) is None


def test_golden_requests_are_about_what_sells_most():
    asked = golden_requests(["a", "b", "c", "d"], np.array([0.1, 0.4, 0.1, 0.4], np.float32))
    assert [done.item for each in asked for done in each.fresh] == ["b", "d", "a", "c"]


def test_change_is_measured_from_the_last_commit_and_from_training_in_lengths_of_trained_vectors():
    learner = ItemLearner(np.array([[3.0, 4.0], [5.0, 0.0]], np.float32), np.zeros(2, np.float32))
    touched = np.array([0], np.int32)
    learner.vectors_ID[0] += [5.0, 0.0]
    change = learner.change(touched)
    assert (change.row, change.all, change.fits) == pytest.approx((1.0, 0.5**0.5, True))
    learner.goes_out(touched)
    assert learner.change(touched).row == 0.0
    assert learner.change(touched).all == pytest.approx(0.5**0.5)


def test_a_learner_of_another_shape_is_told_as_that():
    learner = ItemLearner(np.ones((3, 4), np.float32), np.zeros(3, np.float32))
    learner.vectors_ID = np.ones((3, 2), np.float32)
    assert not learner.change(np.array([0], np.int32)).fits


def test_where_no_golden_request_can_be_made_nothing_goes_out_and_no_number_is_told():
    guard, unknown = Guard(), Golden(np.full((2, WIDTH), np.nan, np.float32), VECTORS, BIAS)
    trip = guard.judge_change(STILL, unknown, VECTORS, BIAS)
    assert trip is not None and trip.code == "score_drift" and "No golden request can be made" in trip.message
    assert "score_drift" not in guard.numbers
    assert Guard(NO_GUARD).judge_change(STILL, unknown, VECTORS, BIAS) is None


def test_the_numbers_of_the_spec_are_those_that_hold_where_nobody_says_anything():
    assert GuardConfig.of(GuardrailsSpec()) == GuardConfig()
    assert LimitConfig.of(GuardrailsSpec()) == LimitConfig()


def test_a_persons_reason_is_not_taken_for_a_guardrails():
    assert is_of_guard("score_drift: Scores of the golden requests have drifted", 0)
    assert not is_of_guard("a flood of clicks", 0)
    assert not is_of_guard("change: new prices", None)


@pytest.mark.parametrize(
    ("told", "says"), [('{"maxChanges": 1}', "maxChanges"), ('{"block": 5}', "block"), ("{", "JSON")]
)
def test_a_guardrail_that_is_none_or_out_of_bounds_is_named(told, says):
    with pytest.raises(SpecInvalid, match=says):
        guardrails_of(told)
    assert guardrails_of("{}") == GuardrailsSpec()
