"""From the event log to the chain: each event once, whatever is killed."""

import json
import os
import subprocess
from collections import Counter
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from online_story import OPEN, PEOPLE, SHARE, begun, chain_of, did, learned, shown, story

from shoploop.errors import DiskFull, StoreUnavailable
from shoploop.events.log import Entry
from shoploop.events.sqlite_log import SqliteLog
from shoploop.features.bounded_reads import FeatureStoreUnavailable
from shoploop.online.chain import Chain, ChainTaken
from shoploop.online.dead_letters import dead_letters, replay
from shoploop.online.guardrails import NO_GUARD, GuardConfig
from shoploop.online.loop import LogGap, OnlineLoop
from shoploop.store import Store, layout


def test_what_is_bought_is_wanted_more_by_all_who_ask(ranker, log, store):
    log.append([did(number, "ann", "salt") for number in range(SHARE)])
    learned(ranker, log, store)
    state = chain_of(store).state()
    salt = ranker.encode(["salt"])[0]
    place = state.rows.codes_N.tolist().index(salt)
    _, bias = ranker.items()
    assert state.rows.bias_N[place] > bias[salt]
    assert (state.offset, state.totals.examples) == (SHARE, SHARE)
    assert state.totals.online_loss < state.totals.frozen_loss


def test_nothing_new_is_no_commit(ranker, log, store):
    loop = learned(ranker, log, store)
    log.append([did(1, "ann", "milk", kind="view")])
    assert loop.step() == 1
    assert loop.publish() is None
    assert chain_of(store).head == 0


def test_one_who_buys_all_day_teaches_no_more_than_a_share(ranker, log, store):
    log.append([did(number, "ann", "salt") for number in range(100)] + [did(200, "bob", "tea")])
    learned(ranker, log, store)
    totals = chain_of(store).state().totals
    assert (totals.examples, totals.capped) == (SHARE + 1, 100 - SHARE)


def test_two_learners_are_one_too_many(ranker, log, store):
    log.append([did(1, "ann", "salt")])
    one, other = begun(ranker, log, store), begun(ranker, log, store)
    one.step(), other.step()
    one.publish()
    with pytest.raises(ChainTaken):
        other.publish()
    with pytest.raises(ChainTaken):
        log.append([did(2, "ann", "tea")])
        one.step(), one.publish(), begun(ranker, log, store)
        third = begun(ranker, log, store)
        log.append([did(3, "ann", "tea")])
        one.step(), one.publish()
        third.step()


class Unsure(Chain):
    """Its next append raises StoreUnavailable, whether or not the entry was written."""

    def __init__(self, *arguments, written: bool):
        super().__init__(*arguments)
        self.written, self.failures = written, 0

    def append(self, *arguments, **named):
        if self.failures == 0:
            return super().append(*arguments, **named)
        self.failures -= 1
        if self.written:
            known = self._known
            super().append(*arguments, **named)
            self._known = known
        raise StoreUnavailable("the store is away")


@pytest.mark.parametrize("written", [False, True])
def test_a_commit_of_which_nobody_knows_whether_it_was_written_costs_and_doubles_nothing(
    ranker, log, store, tmp_path, written
):
    log.append(story(200))
    whole = Store(str(tmp_path / "whole"))
    learned(ranker, log, whole)
    chain = Unsure(store, "grocery", "v123", written=written)
    loop = OnlineLoop(ranker=ranker, log=log, chain=chain, limits=OPEN)
    loop.step()
    chain.failures = 1
    with pytest.raises(StoreUnavailable):
        loop.publish()
    assert loop.publish() is None  # what it has in memory is not to be trusted
    while loop.step():
        pass
    loop.publish()
    one, other = chain_of(whole).state(), chain_of(store).state()
    assert one.totals == other.totals
    assert np.array_equal(one.rows.vectors_ND, other.rows.vectors_ND)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 128 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a file system of its own can only be mounted by root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("left", [0, 4096, 8192])
def test_a_disk_that_is_full_amid_a_commit_is_named_and_costs_and_doubles_nothing(ranker, log, store, small_disk, left):
    """There is room for nothing, or for a part of what a commit writes."""
    log.append(story(200))
    learned(ranker, log, store)
    other = Store(str(small_disk))
    loop = begun(ranker, log, other)
    loop.step()
    with open(small_disk / "others", "wb", buffering=0) as others:
        with suppress(OSError):
            while others.write(b"x" * 4096):
                pass
        others.truncate(others.tell() - left)
    with pytest.raises(DiskFull, match="no space left"):
        loop.publish()
    (small_disk / "others").unlink()
    while loop.step():
        pass
    loop.publish()
    one, two = chain_of(store).state(), chain_of(other).state()
    assert (one.number, one.totals) == (two.number, two.totals)
    assert np.array_equal(one.rows.vectors_ND, two.rows.vectors_ND)


def test_a_store_of_features_that_is_away_costs_no_event_and_none_is_learned_without_its_users_history(
    ranker, log, store, tmp_path, monkeypatch
):
    log.append(story(200))
    whole = Store(str(tmp_path / "whole"))
    learned(ranker, log, whole)
    loop, features = begun(ranker, log, store), ranker.known._features
    with monkeypatch.context() as away:
        away.setattr(type(features), "histories", _away)
        with pytest.raises(StoreUnavailable):
            loop.step()
            loop.publish()
    while loop.step():
        pass
    loop.publish()
    one, other = chain_of(whole).state(), chain_of(store).state()
    assert one.totals == other.totals
    assert np.array_equal(one.rows.vectors_ND, other.rows.vectors_ND)


def _away(self, users):
    raise FeatureStoreUnavailable("Redis is away.")


def test_what_tripped_is_not_committed_where_the_freeze_cannot_be_written(ranker, log, store):
    always = GuardConfig(block=3, max_loss_excess=-100.0, errors=-1e9)
    log.append([did(number, PEOPLE[number % 4], "tea") for number in range(5)])
    chain = Unsure(store, "grocery", "v123", written=False)
    loop = OnlineLoop(ranker=ranker, log=log, chain=chain, guard=always, limits=OPEN)
    chain.failures = 1
    with pytest.raises(StoreUnavailable):
        loop.step()
    assert loop.publish() is None
    assert loop.step() == 3
    assert [commit.action for commit in chain_of(store).commits] == ["freeze"]
    assert len(chain_of(store).state().rows) == 0


def test_a_learner_that_is_told_to_end_before_it_began_ends(ranker, log, store):
    OnlineLoop(ranker=ranker, log=log, chain=Chain(store, "grocery", "v123")).run(period_seconds=1, until=lambda: True)
    assert chain_of(store).head == 0


def test_a_record_with_a_time_of_no_zone_is_a_dead_letter_and_the_rest_is_learned(ranker, log, store):
    strange = json.loads(did(1, "ann", "salt").body) | {"received": "2026-01-05T12:00:00"}
    log.append([Entry("strange", json.dumps(strange).encode()), did(2, "ann", "salt")])
    learned(ranker, log, store)
    totals = chain_of(store).state().totals
    assert (totals.examples, totals.dead_letters) == (1, 1)


def test_an_event_that_cannot_be_learned_from_is_named_by_its_record_alone_and_the_rest_is_learned(
    ranker, log, store, monkeypatch, caplog
):
    states = ranker.user_states()

    class Fails:
        def of(self, asked):
            if any(each.user == "bob" for each in asked):
                raise RuntimeError("a defect")
            return states.of(asked)

    monkeypatch.setattr(ranker, "user_states", Fails)
    log.append([did(number, user, "salt") for number, user in enumerate(["ann", "cid", "bob", "somebody new"])])
    learned(ranker, log, store)
    totals = chain_of(store).state().totals
    assert (totals.examples, totals.dead_letters) == (3, 1)
    assert "Record 3 of the event log" in caplog.text
    assert "bob" not in caplog.text


def test_what_the_learner_failed_at_is_a_dead_letter_that_is_learned_when_it_is_replayed(
    ranker, log, store, tmp_path, monkeypatch
):
    states, defect = ranker.user_states(), {"bob", "ann"}

    tried = Counter()

    class Fails:
        def of(self, asked):
            names = {each.user for each in asked}
            if len(asked) == 1:
                tried.update(names)
            if "bob" in names & defect or ("ann" in names and tried["ann"] < 2):  # that one passes by itself
                raise RuntimeError("a defect")
            return states.of(asked)

    monkeypatch.setattr(ranker, "user_states", Fails)
    story = [
        shown(1, "bob", "salt", "tea"), did(2, "ann", "salt"), did(3, "bob", "salt"),
        did(4, "bob", "tea", kind="click", request=1), did(60, "cid", "salt"),
    ]  # fmt: skip
    log.append(story)
    loop = learned(ranker, log, store)
    chain = chain_of(store)
    assert (chain.state().totals.examples, chain.state().totals.dead_letters) == (2, 2)
    found = dead_letters(log, after=0, failed=chain.failed)
    assert [(letter.offset, letter.reason) for letter in found] == [(3, "failed"), (4, "failed")]
    begun(ranker, log, store)
    assert chain_of(store).failed == (3, 4)  # whoever goes on knows it, and tells each once
    defect.clear()
    assert replay(log, found).replayed == (3, 4)
    while loop.step():
        pass
    loop.publish()
    assert chain_of(store).state().totals.examples == 4
    assert dead_letters(log, after=0, failed=chain_of(store).failed) == []
    anew = Store(str(tmp_path / "anew"))
    learned(ranker, log, anew)
    assert chain_of(anew).state().totals.examples == 4, "whoever did not fail learns each where it first lay, and once"


def test_going_back_by_hand_wins_over_a_learner_at_work(ranker, log, store):
    log.append([did(1, "ann", "salt")])
    loop = learned(ranker, log, store)
    log.append([did(2, "bob", "tea")])
    loop.step()  # learned, not committed
    chain_of(store).decide("rollback", by="me", reason="", to=0)
    assert loop.publish() is None
    while loop.step():
        pass
    loop.publish()
    state, [tea] = chain_of(store).state(), ranker.encode(["tea"])
    assert state.totals.examples == 2
    assert tea in state.rows.codes_N
    commits = chain_of(store).commits
    assert [commit.action for commit in commits] == ["learn", "rollback", "learn"]


def test_a_guardrail_that_trips_goes_back_to_before_and_stops_until_it_is_resumed(ranker, log, store):
    always = GuardConfig(block=5, max_loss_excess=-100.0, errors=-1e9)
    log.append([did(number, PEOPLE[number % 4], "salt") for number in range(1, 4)])
    loop = begun(ranker, log, store, guard=always)
    loop.step(), loop.publish()
    log.append([did(number, PEOPLE[number % 4], "tea") for number in range(10, 13)])
    assert loop.step() == 2
    chain = chain_of(store)
    assert [commit.action for commit in chain.commits] == ["learn", "freeze"]
    assert chain.frozen is not None and chain.frozen.reason.startswith("progressive_loss: On the last 5 examples")
    assert len(chain.state().rows) == 0
    assert (loop.step(), loop.publish()) == (0, None)
    chain.decide("resume", by="me", reason="")
    assert loop.step() == 1
    assert loop.publish() is not None


def test_a_rule_resumes_what_a_guardrail_stopped_after_its_time_and_nothing_that_a_person_stopped(ranker, log, store):
    always = GuardConfig(block=5, max_loss_excess=-100.0, errors=-1e9, resume_after_minutes=60.0)
    log.append([did(number, PEOPLE[number % 4], "salt") for number in range(1, 7)])
    loop = begun(ranker, log, store, guard=always)
    loop.step(), loop.step()
    assert [commit.action for commit in chain_of(store).commits] == ["freeze"]  # an hour has not passed
    at_once = begun(ranker, log, store, guard=replace(always, resume_after_minutes=1e-9))
    at_once.step()
    assert [commit.action for commit in chain_of(store).commits] == ["freeze", "resume"]
    chain_of(store).decide("freeze", by="me", reason="a sale")
    for _ in range(2):
        at_once.step()
    assert [commit.action for commit in chain_of(store).commits] == ["freeze", "resume", "freeze"]


def test_what_is_resumed_by_a_rule_waits_twice_as_long_after_each_further_stop_within_a_day(ranker, log, store):
    chain = chain_of(store)
    for _ in range(3):
        chain.decide("freeze", by="learner", reason="progressive_loss: more surprised", to=0)
    begun(ranker, log, store, guard=GuardConfig(resume_after_minutes=1e-5)).step()
    resumed = chain_of(store).commits[-1]
    assert (resumed.action, resumed.reason) == ("resume", "resumed by rule, 4e-05 minutes after it was stopped")


def test_a_second_stop_brings_nothing_back_that_the_first_threw_away(ranker, log, store):
    """Commits of 2, 4 and 6 examples; the seventh trips, and a block of 3 takes the third commit back, too."""
    steady = replace(NO_GUARD, block=3)
    strict = replace(steady, max_row_change=1e-9)
    loop = begun(ranker, log, store, guard=steady)
    for first in (1, 3, 5):
        log.append([did(number, PEOPLE[number % 4], "salt") for number in (first, first + 1)])
        loop.step(), loop.publish()
    for number in (7, 8):
        log.append([did(number, "ann", "tea")])
        tripped = begun(ranker, log, store, guard=strict)
        tripped.step(), tripped.publish()
        chain_of(store).decide("resume", by="me", reason="")
    freezes = [commit for commit in chain_of(store).commits if commit.action == "freeze"]
    assert [commit.to for commit in freezes] == [2, freezes[0].number]
    first, second = (chain_of(store).state(commit.number).rows for commit in freezes)
    assert np.array_equal(first.bias_N, second.bias_N)


def test_what_is_about_to_go_out_and_moved_too_far_freezes_instead(ranker, log, store):
    log.append([did(number, "ann", "salt") for number in range(1, 4)])
    loop = begun(ranker, log, store, guard=GuardConfig(max_row_change=1e-6))
    loop.step()
    assert loop.publish() is None
    frozen = chain_of(store).frozen
    assert frozen is not None and frozen.reason.startswith("row_change: Since the last commit an item has moved")
    assert loop.numbers["row_change"] > 1e-6


def test_a_log_that_was_trimmed_behind_the_learner_is_named_and_passed_over_only_when_told_to(ranker, log, store):
    log.append([did(number, "ann", "salt") for number in range(1, 11)])
    log.trim(5)
    with pytest.raises(LogGap, match="up to record 4, and 4 of its records were not learned from"):
        begun(ranker, log, store)
    learned(ranker, log, store, skip_gaps=True)
    totals = chain_of(store).state().totals
    assert (totals.examples, totals.lost) == (6, 4)
    begun(ranker, log, store)  # what it has learned since may be gone
    log.trim(11)
    begun(ranker, log, store)


def test_another_log_in_the_place_of_the_former_is_not_learned_from(ranker, log, store, tmp_path):
    log.append([did(number, "ann", "salt") for number in range(1, 11)])
    learned(ranker, log, store)
    with SqliteLog(tmp_path / "other") as other, pytest.raises(LogGap, match="it is another log"):
        other.append([did(1, "ann", "salt")])
        begun(ranker, other, store)


def bought(first: int, count: int) -> list[Entry]:
    return [did(number, "ann", "salt") for number in range(first, first + count)]


@pytest.mark.parametrize("same", [0, 7], ids=["nothing", "the-first-records"])
@pytest.mark.parametrize("decided", [False, True], ids=["learned", "decided-since"])
def test_another_log_is_told_from_the_former_also_where_it_is_longer(ranker, log, store, tmp_path, same, decided):
    log.append(bought(1, 10))
    learned(ranker, log, store)
    if decided:
        chain_of(store).decide("rollback", by="me", reason="", to=0)
    with (
        SqliteLog(tmp_path / "other") as other,
        pytest.raises(LogGap, match="Record 10 of the event log is not the one"),
    ):
        other.append(bought(1, same) + bought(100, 40))  # as after a failover that lost the last three
        begun(ranker, other, store)


def test_the_former_log_in_another_place_is_the_same(ranker, log, store, tmp_path):
    log.append(bought(1, 10))
    learned(ranker, log, store)
    with SqliteLog(tmp_path / "other") as other:
        other.append(bought(1, 12))
        learned(ranker, other, store)
    assert chain_of(store).state().totals.examples == 12


@pytest.mark.parametrize(
    ("gone", "examples"),
    [(lambda log: log.erase([10]), 11), (lambda log: log.trim(11), 12)],
    ids=["erased", "trimmed"],
)  # the batch is open still: what is erased is no longer learned, what is trimmed is in the rows
def test_a_record_that_the_log_gave_up_makes_it_no_other_log(ranker, log, store, gone, examples):
    log.append(bought(1, 10))
    learned(ranker, log, store)
    log.append(bought(11, 2))
    gone(log)
    learned(ranker, log, store)
    assert chain_of(store).state().totals.examples == examples


def test_of_a_commit_of_an_earlier_version_nobody_knows_the_record(ranker, log, store, tmp_path):
    log.append(bought(1, 10))
    learned(ranker, log, store)
    [key] = store.list(layout.online_commits("grocery", "v123"))
    store.put(key, json.dumps({name: fact for name, fact in store.get_json(key).items() if name != "record"}).encode())
    with SqliteLog(tmp_path / "other") as other:
        other.append(bought(100, 12))
        learned(ranker, other, store)
    assert chain_of(store).commits[-1].record is not None


def test_a_log_that_was_away_and_comes_back_as_another_that_is_longer_is_not_learned_from(ranker, log, store):
    log.append(bought(1, 10))
    loop = learned(ranker, log, store)
    for each in log.path.parent.glob(f"{log.path.name}*"):
        each.unlink()
    with SqliteLog(log.path) as other, pytest.raises(LogGap, match="it is another log"):
        other.append(bought(100, 40))
        loop.run(period_seconds=60, until=lambda: False)


def test_a_log_that_was_away_and_comes_back_as_another_is_not_learned_from(ranker, log, store):
    log.append([did(number, "ann", "salt") for number in range(1, 11)])
    loop = learned(ranker, log, store)
    for each in log.path.parent.glob(f"{log.path.name}*"):
        each.unlink()
    with SqliteLog(log.path) as other, pytest.raises(LogGap, match="it is another log"):
        other.append([did(1, "ann", "salt")])
        loop.run(period_seconds=60, until=lambda: False)
