"""Who keeps choosing what the model thinks least of loses their say, and gets it back."""

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from online_story import hold_same_rows

from shoploop.events.log import Entry
from shoploop.events.messages import Kept, Shown, to_json
from shoploop.events.sqlite_log import SqliteLog
from shoploop.online.chain import Chain
from shoploop.online.credit import Credit
from shoploop.online.limits import LimitConfig
from shoploop.online.loop import OnlineLoop
from shoploop.ranking.asked import Asked
from shoploop.store import Store

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
LIMITS = LimitConfig(of_user=None, of_user_a_day=None, of_user_and_item=None, of_item=None)


def counted(*excesses: float, least: int | None = 5) -> bool:
    credit = Credit(least=least, errors=2.0)
    for excess in excesses:
        credit.count(["ann"], np.array([1.0 + excess], np.float32), np.ones(1, np.float32))
    return bool(credit.has_say(["ann"])[0])


@pytest.mark.parametrize(
    "excesses, has_say",
    [
        ((), True),
        ((2.0, 2.1, 1.9, 2.0), True),  # too few to say so
        ((2.0, 2.1, 1.9, 2.0, 2.0), False),
        ((-0.5,) * 9, True),
        ((2.0, -1.9, 2.0, -1.9, 0.5), True),  # as well as chance
        ((2.0, 2.0, 2.0, 2.0, 2.0, *[-1.0] * 20), True),
        ((2.0, 2.0, 2.0, 2.0, 2.0, float("nan")), False),
    ],
)
def test_a_say_is_lost_where_choices_are_shown_to_be_worse_than_chance(excesses, has_say):
    assert counted(*excesses) == has_say
    assert counted(*excesses, least=None)


class Shop:
    """Everybody wants what stands first in the catalog: item 0 most of all, item 9 least."""

    known_items = tuple(f"i{code}" for code in range(10))

    def items(self):
        return np.zeros((10, 2), np.float32), np.linspace(3.0, -3.0, 10).astype(np.float32)

    def shares(self):
        return np.full(10, 0.1, np.float32)

    def user_states(self):
        return self

    def of(self, asked: list[Asked]):
        return np.ones((len(asked), 2), np.float32)


def visits(count: int, chance: random.Random) -> list[Entry]:
    """Of good users, who take what they want most of three that are shown, and of bad ones, who take the rest."""
    entries = []
    for number in range(count):
        user = chance.choice(["good", "kind", "bad"])
        shown = sorted(chance.sample(range(10), 3))
        when = NOON + timedelta(seconds=2 * number)
        answer = Shown(
            request_id=f"r{number}", user=user, version="v1", surface="items", method="fused", as_of="2026-01-05", time=when,
            items=[f"i{code}" for code in shown], scores=[None] * 3, propensities=[1.0] * 3,
        )  # fmt: skip
        took = f"i{shown[-1] if user == 'bad' else shown[0]}"
        click = Kept(
            source="attributed", kind="click", user=user, item=took, time=when, received=when, request_id=f"r{number}"
        )
        entries += [Entry(f"i{number}", to_json(answer)), Entry(f"c{number}", to_json(click))]
    return entries


def learned(log, store) -> Chain:
    chain = Chain(store, "shop", "v1")
    loop = OnlineLoop(ranker=Shop(), log=log, chain=chain, limits=LIMITS)
    while loop.step():
        pass
    loop.publish()
    chain.refresh()
    return chain


def test_who_takes_what_is_wanted_least_teaches_a_little_and_then_nothing(tmp_path):
    with SqliteLog(tmp_path / "log") as log:
        log.append(visits(120, random.Random(1)))
        totals = learned(log, Store(str(tmp_path / "store"))).state().totals
    bad = sum(b'"user":"bad"' in entry.body for entry in visits(120, random.Random(1))) // 2
    assert bad > 20
    assert totals.capped == bad - 5
    assert totals.examples == 120 - totals.capped


def test_a_learner_that_begins_anew_knows_whose_say_was_lost_and_comes_to_the_same_bytes(tmp_path):
    entries, chance = visits(120, random.Random(1)), random.Random(2)
    with SqliteLog(tmp_path / "whole") as log:
        log.append(entries)
        one = learned(log, Store(str(tmp_path / "one"))).state()
    with SqliteLog(tmp_path / "parts") as log:
        done = 0
        while done < len(entries):
            count = chance.randrange(1, 60)
            log.append(entries[done : done + count])
            done += count
            other = learned(log, Store(str(tmp_path / "other"))).state()
    assert one.totals == other.totals
    hold_same_rows(one, other)


def test_who_chose_nothing_for_the_longest_is_forgotten_where_there_are_too_many():
    credit = Credit(least=2, errors=2.0, users=50)
    worse = np.array([3.0], np.float32), np.ones(1, np.float32)
    for number in range(2_000):
        for user in ("ann", f"user {number}"):
            credit.count([user], *worse)
            credit.count([user], *worse)
    assert len(credit._sums) == 50
    assert credit.has_say(["ann", "user 1999", "user 1"]).tolist() == [False, False, True]
