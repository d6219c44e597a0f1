"""What freezes publishing."""

from shoploop.online.guardrails import Guard, GuardConfig
from shoploop.online.learner import Losses

CONFIG = GuardConfig(block=10, max_loss_excess=0.1)


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
