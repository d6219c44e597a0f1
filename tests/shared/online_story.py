"""Records of a shop, and learners that learn from them."""

import random
from datetime import UTC, datetime, timedelta

import numpy as np

from shoploop.events.log import Entry
from shoploop.events.messages import Kept, Shown, to_json
from shoploop.online.chain import Chain, State
from shoploop.online.limits import LimitConfig
from shoploop.online.loop import OnlineLoop

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
PEOPLE = ("ann", "bob", "cid", "somebody new")
ITEMS = ("milk", "tea", "salt", "honey", "apples")
SHARE = 20
OPEN = LimitConfig(
    of_user=SHARE, of_user_a_day=None, of_user_and_item=None, of_item=None, least_choices=None
)  # fmt: skip
"""Of one user, in a row; four people and five items would soon have taught all they may."""


def shown(number: int, user: str, *items: str) -> Entry:
    message = Shown(
        request_id=f"r{number}", user=user, version="v123", surface="items", method="fused", as_of="2026-01-05",
        time=NOON + timedelta(seconds=number), items=list(items), scores=[None] * len(items),
        propensities=[1.0] * len(items),
    )  # fmt: skip
    return Entry(f"i{number}", to_json(message))


def did(number: int, user: str, item: str, *, kind: str = "purchase", request: int | None = None) -> Entry:
    time = NOON + timedelta(seconds=number)
    message = Kept(
        source="organic" if request is None else "attributed", kind=kind, user=user, item=item, time=time, received=time,
        request_id=None if request is None else f"r{request}",
    )  # fmt: skip
    return Entry(f"e{number}", to_json(message))


def story(count: int, *, ahead: range = range(0)) -> list[Entry]:
    """Answers and clicks on them, purchases of one's own, and now and then what is no event, drawn by a fixed seed.

    Args:
        count: So many.
        ahead: Those of a clock that is a month ahead.
    """
    chance, entries = random.Random(5), []
    for number in range(count):
        user, second = chance.choice(PEOPLE), number + 30 * 86_400 * (number in ahead)
        if chance.random() < 0.5:
            entries.append(shown(second, user, *chance.sample(ITEMS, 3)))
        elif chance.random() < 0.5:
            entries.append(did(second, user, chance.choice(ITEMS), kind="click", request=chance.randrange(number + 1)))
        else:
            entries.append(did(second, user, chance.choice([*ITEMS, "an item of tomorrow"])))
    return [*entries, Entry("junk", b"{")]


def begun(ranker, log, store, *, start: int = 0, **settings) -> OnlineLoop:
    chain = Chain(store, "grocery", "v123", start=start)
    loop = OnlineLoop(ranker=ranker, log=log, chain=chain, start=start, limits=OPEN, **settings)
    loop.catch_up()
    return loop


def chain_of(store) -> Chain:
    chain = Chain(store, "grocery", "v123")
    chain.refresh()
    return chain


def learned(ranker, log, store, **settings) -> OnlineLoop:
    loop = begun(ranker, log, store, **settings)
    while loop.step():
        pass
    loop.publish()
    return loop


def hold_same_rows(one: State, other: State) -> None:
    """Holds that two states are the same to the byte."""
    for name in ("codes_N", "vectors_ND", "bias_N", "slots_NE"):
        assert np.array_equal(getattr(one.rows, name), getattr(other.rows, name)), name
