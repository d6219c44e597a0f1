"""A learner that begins anew comes to what one that went on comes to, to the byte."""

import os
import random
import signal
import time

import numpy as np
import pytest
from forked import Forked
from online_story import ITEMS, PEOPLE, begun, chain_of, did, hold_same_rows, learned, shown, story

from shoploop.events.sqlite_log import SqliteLog
from shoploop.online.chain import Chain
from shoploop.online.loop import OnlineLoop
from shoploop.online.window import EVERY
from shoploop.store import Store


@pytest.mark.parametrize("remember_every", [EVERY, 20], ids=["reads-all-again", "remembers"])
@pytest.mark.parametrize("ahead", [range(0), range(20, 90)], ids=["clocks-that-agree", "a-clock-ahead"])
def test_a_learner_that_is_begun_anew_at_any_moment_comes_to_the_same_bytes(
    ranker, log, store, tmp_path, ahead, remember_every
):
    entries, chance = story(300, ahead=ahead), random.Random(7)
    log.append(entries)
    whole = Store(str(tmp_path / "whole"))
    learned(ranker, log, whole)
    with SqliteLog(tmp_path / "slow") as slow:
        done = 0
        while done < len(entries):
            count = chance.randrange(1, 40)
            slow.append(entries[done : done + count])
            done += count
            loop = begun(
                ranker, slow, store, remember_every=remember_every
            )  # what the former one had learned and not committed is gone
            while loop.step():
                pass
            if chance.random() < 0.6:
                loop.publish()
        learned(ranker, slow, store)
    one, other = chain_of(whole).state(), chain_of(store).state()
    assert chain_of(store).head > 3
    assert one.totals == other.totals
    assert one.totals.examples > 50
    assert one.totals.dead_letters >= 1
    assert (chain_of(store).window is not None) == (remember_every == 20)
    hold_same_rows(one, other)


def test_a_learner_that_is_begun_anew_after_the_log_was_trimmed_comes_to_the_same_bytes(ranker, log, store, tmp_path):
    """Of the records before its version's start, those that are too old for anything to come of them are gone."""
    week = 8 * 86_400
    old = [shown(number, "ann", "salt", "tea") for number in range(20)]
    new = [shown(week + number, "bob", "salt", "tea", "milk") for number in range(20)]
    rest = [did(week + 100, "cid", "salt", request=3)]  # of an old one
    for number in range(100):
        rest.append(did(week + 60 + 3 * number, "bob", "salt", kind="click", request=week + number % 20))
        rest.append(did(week + 61 + 3 * number, PEOPLE[number % 4], "tea", request=week + number % 40))
    log.append([*old, *new, *rest[:50]])
    whole = Store(str(tmp_path / "whole"))
    undisturbed, disturbed = begun(ranker, log, whole, start=40), learned(ranker, log, store, start=40)
    undisturbed.step()
    log.trim(21)
    for first in range(50, len(rest), 25):
        log.append(rest[first : first + 25])
        undisturbed.step()
        disturbed = begun(ranker, log, store, start=40)
        disturbed.step(), disturbed.publish()
    undisturbed.publish()
    one, other = chain_of(whole).state(), chain_of(store).state()
    assert one.totals == other.totals
    assert one.totals.examples > 30
    hold_same_rows(one, other)


def test_a_learner_that_is_killed_again_and_again_learns_each_event_once(ranker, log, store, tmp_path):
    entries, chance = story(2_000), random.Random(11)
    log.append(entries)
    whole = Store(str(tmp_path / "whole"))
    learned(ranker, log, whole)
    arguments = [str(tmp_path / "store"), str(tmp_path / "log"), str(log.end()), "v123", "0", "0.01"]
    for killed in range(4):
        with (tmp_path / "said.txt").open("wb") as said:
            process = Forked("online_learner", arguments, env=os.environ, cwd=tmp_path, output=said)
        if killed < 3:
            before = chain_of(store).head
            while chain_of(store).head < before + 2 and process.poll() is None:  # it is at work
                time.sleep(0.01)
            time.sleep(chance.random() * 0.05)
            process.send_signal(signal.SIGKILL)
        process.wait(120)
    assert process.returncode == 0, (tmp_path / "said.txt").read_text()
    one, other = chain_of(whole).state(), chain_of(store).state()
    assert one.totals == other.totals
    hold_same_rows(one, other)


@pytest.mark.parametrize("kind", ["click", "cart", "purchase"])
def test_what_is_taken_of_an_answer_from_before_the_versions_start_is_learned_as_a_choice_from_it(
    ranker, log, store, tmp_path, kind
):
    answer = shown(1, "ann", "salt", "tea")
    taken = did(10, "ann", "salt", kind=kind, request=1)
    others = [did(number, "bob", "tea", kind="view") for number in range(100, 115)]  # so late that nobody waits for it
    log.append([did(0, "bob", "tea"), answer, taken, *others])
    learned(ranker, log, store, start=2)
    with SqliteLog(tmp_path / "other") as whole:
        whole.append([answer, taken, *others])
        learned(ranker, whole, Store(str(tmp_path / "whole")))
    one, other = chain_of(store).state(), chain_of(Store(str(tmp_path / "whole"))).state()
    assert (one.totals.examples, one.totals.dead_letters) == (1, 0)
    assert one.totals.frozen_loss == other.totals.frozen_loss < np.log(len(ITEMS) - 1)


def test_a_log_that_is_new_where_nothing_was_learned_yet_is_learned_from_its_beginning(ranker, log, store):
    def loop() -> OnlineLoop:
        made = OnlineLoop(ranker=ranker, log=log, chain=Chain(store, "grocery", "v123", start=7), start=7)
        made.catch_up()
        return made

    first = loop()
    log.append([shown(1, "ann", "salt", "tea"), did(2, "ann", "tea", kind="click", request=1)])
    first.step(), first.publish()
    again = loop()
    log.append([did(3, "ann", "salt", kind="click", request=1)])  # whose answer lies before the last commit
    again.step(), again.publish()
    assert chain_of(store).state().totals.examples == 2
    assert chain_of(store).state().offset == 3


def test_a_purchase_that_waits_for_its_answer_is_learned_once_and_from_what_was_done_before_it(
    ranker, log, store, monkeypatch
):
    states, encoded = ranker.user_states(), []

    class Told:
        def of(self, asked):
            encoded.extend(asked)
            return states.of(asked)

    monkeypatch.setattr(ranker, "user_states", Told)
    waits = did(1, "ann", "salt", request=77)
    later = [did(number, "bob", "tea", kind="view") for number in range(100, 115)]
    log.append([waits, *later])
    learned(ranker, log, store)
    assert [(asked.user, asked.fresh) for asked in encoded if asked.user == "ann"] == [("ann", ())]
    learned(ranker, log, store)  # who begins anew reads it again
    assert chain_of(store).state().totals.examples == 1
