"""A version that was promoted while another one learns: it catches up beside it, and takes its place when it is level."""

import os
import signal
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from forked import Forked
from shop.serving import make_ranker

from shoploop.api.online import EventLogSpec
from shoploop.data.collected import CollectedThrough
from shoploop.errors import NotFound
from shoploop.events.log import Entry
from shoploop.events.messages import Kept, to_json
from shoploop.events.sqlite_log import SqliteLog
from shoploop.online.chain import Chain, Totals
from shoploop.online.loop import OnlineLoop
from shoploop.online.pointer import Pointer
from shoploop.online.updater import HOLD, Updater
from shoploop.packaging import learning, races
from shoploop.packaging.learning import Learners, level_version
from shoploop.packaging.races import HELD_SECONDS, SETTLED_SECONDS
from shoploop.store import Store
from shoploop.versions.promotions import Promotion

NAME = "grocery"
OLD, NEW = "v00000000000a", "v00000000000b"
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
ITEMS = ("milk", "tea", "salt", "honey", "apples")


def bought(number: int, item: str | None = None) -> Entry:
    """By somebody of their own, a second after the one before."""
    when = NOON + timedelta(seconds=number)
    item = item or ITEMS[number % len(ITEMS)]
    kept = Kept(source="organic", kind="purchase", user=f"u{number}", item=item, time=when, received=when)
    return Entry(f"event {number}", to_json(kept))


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


@pytest.fixture
def packaged(monkeypatch, logs):
    """Offset of the last record that each version was trained on; others were never packaged."""
    found: dict[str, int] = {OLD: 0, NEW: 0}

    def collected_of(store, name, version):
        if version not in found:
            raise NotFound(version)
        return CollectedThrough(cut=0, offset=found[version], log=logs.get(version, 0))

    for room in (races, learning):
        monkeypatch.setattr(room, "collected_of", collected_of)
    return found


@pytest.fixture
def logs():
    """Number of the cut with which the log begins that a version was trained on; of others it is the first log."""
    return dict[str, int]()


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make_learners(store, packaged, tmp_path, clock):
    (tmp_path / "updates").mkdir()

    def make(end=lambda: 10**9, clock=clock):
        return Learners(store, NAME, EventLogSpec(), tmp_path / "updates", end=end, clock=clock)

    return make


def is_level(learners, clock):
    """At the second of two looks: at the first it is found that the other has to stand still for a moment."""
    first = learners.is_level(NEW, OLD)
    clock.now += SETTLED_SECONDS
    return not first and learners.is_level(NEW, OLD)


def committed(store, version, offset):
    chain = Chain(store, NAME, version)
    chain.refresh()
    chain.append("learn", by="me", reason="", offset=offset, totals=Totals(examples=offset))


def brought(store, folder, version):
    """What its updater does; its start is what the version's package says."""
    Updater(Chain(store, NAME, version), folder / "updates" / version, version=version).look()


def test_a_version_is_level_when_its_predictors_would_answer_with_all_that_the_other_has_learned(
    make_learners, store, clock, tmp_path
):
    learners = make_learners()
    committed(store, OLD, 7)
    brought(store, tmp_path, OLD)
    assert not is_level(learners, clock)  # its updater has written nothing yet
    committed(store, NEW, 5)
    brought(store, tmp_path, NEW)
    assert not is_level(learners, clock)
    committed(store, NEW, 7)
    assert not is_level(learners, clock)  # committed, and not brought to predictors
    brought(store, tmp_path, NEW)
    assert is_level(learners, clock)


def test_what_serves_stands_still_for_a_version_that_is_nearly_level_and_not_for_longer_than_a_while(
    make_learners, store, clock, tmp_path
):
    learners = make_learners()
    hold = tmp_path / "updates" / OLD / HOLD
    committed(store, OLD, 70), committed(store, NEW, 5)
    brought(store, tmp_path, OLD), brought(store, tmp_path, NEW)
    assert not is_level(learners, clock) and not hold.exists()  # far behind
    committed(store, OLD, 75), committed(store, NEW, 72)
    brought(store, tmp_path, OLD), brought(store, tmp_path, NEW)
    assert not is_level(learners, clock) and hold.exists()
    committed(store, OLD, 80)
    brought(store, tmp_path, OLD)
    assert Pointer.read(tmp_path / "updates" / OLD).commit == 2
    clock.now += HELD_SECONDS  # the new one's learner has died
    assert not learners.is_level(NEW, OLD) and not hold.exists()
    committed(store, NEW, 80)
    brought(store, tmp_path, OLD), brought(store, tmp_path, NEW)
    assert is_level(learners, clock)


def test_what_serves_moves_on_after_a_promotion_that_was_withdrawn_while_it_stood_still(
    make_learners, store, clock, tmp_path
):
    learners = make_learners()
    hold = tmp_path / "updates" / OLD / HOLD
    committed(store, OLD, 7), committed(store, NEW, 7)
    brought(store, tmp_path, OLD), brought(store, tmp_path, NEW)
    assert not learners.is_level(NEW, OLD) and hold.exists()
    committed(store, OLD, 9)
    brought(store, tmp_path, OLD)
    assert Pointer.read(tmp_path / "updates" / OLD).commit == 1
    then = time.time() - 60  # and nobody asks any more whether the new one is level
    os.utime(hold, (then, then))
    brought(store, tmp_path, OLD)
    assert Pointer.read(tmp_path / "updates" / OLD).commit == 2


def test_a_version_that_was_trained_on_all_that_the_other_has_learned_is_level_before_its_first_commit(
    make_learners, store, packaged, clock, tmp_path
):
    packaged[NEW] = 9
    committed(store, OLD, 7)
    brought(store, tmp_path, OLD), brought(store, tmp_path, NEW)
    assert is_level(make_learners(), clock)


def test_a_version_is_level_at_the_end_of_a_log_that_took_the_place_of_the_one_the_other_learned_from(
    make_learners, store, clock, tmp_path
):
    committed(store, OLD, 700), committed(store, NEW, 4)
    brought(store, tmp_path, OLD), brought(store, tmp_path, NEW)
    assert not is_level(make_learners(end=lambda: 5), clock)
    assert is_level(make_learners(end=lambda: 4), clock)


@pytest.mark.parametrize("begun", [0, 3], ids=["the-same-log", "another-log"])
def test_a_version_of_a_log_that_took_anothers_place_has_nothing_of_that_to_catch_up_with(
    make_learners, packaged, logs, store, clock, tmp_path, begun
):
    """In a pod, where nobody knows where the log ends."""
    packaged[NEW], logs[NEW] = 300, begun
    committed(store, OLD, 1_000_000)
    committed(store, NEW, 301)
    brought(store, tmp_path, OLD), brought(store, tmp_path, NEW)
    assert is_level(make_learners(end=lambda: None), clock) == bool(begun)
    started = level_version(store, NAME, history(("promote", OLD), ("promote", NEW)), None)
    assert started == (NEW if begun else OLD)


def test_a_version_whose_learning_a_guardrail_stopped_says_why(make_learners, store):
    committed(store, NEW, 4)
    assert make_learners().frozen(NEW) is None
    chain = Chain(store, NAME, NEW)
    chain.refresh()
    chain.decide("freeze", by="learner", reason="progressive_loss: it is worse.", to=1)
    assert make_learners().frozen(NEW) == "progressive_loss: it is worse."


def history(*steps):
    return [
        Promotion(number=number, action=action, version=version, reason="", by="me", time="")
        for number, (action, version) in enumerate(steps, 1)
    ]


def test_who_begins_anew_begins_with_the_version_that_has_learned_most_of_the_log(store, packaged):
    promoted = history(("promote", "gone"), ("promote", OLD), ("promote", NEW))
    assert level_version(store, NAME, promoted, 100) == NEW
    committed(store, OLD, 7)
    assert level_version(store, NAME, promoted, 100) == OLD
    committed(store, NEW, 7)
    assert level_version(store, NAME, promoted, 100) == NEW


def test_who_begins_anew_after_a_rollback_begins_with_what_was_rolled_back_to(store, packaged):
    committed(store, NEW, 7)
    went_back = history(("promote", OLD), ("promote", NEW), ("rollback", OLD))
    assert level_version(store, NAME, went_back, 100) == OLD


@pytest.fixture(scope="module")
def ranker(tmp_path_factory):
    return make_ranker(tmp_path_factory.mktemp("ranker"), alpha_logit=-20.0)


def loop_of(ranker, log, store, version, **settings):
    chain = Chain(store, NAME, version)
    loop = OnlineLoop(ranker=ranker, log=log, chain=chain, **settings)
    loop.catch_up()
    return loop


def test_what_teaches_the_new_version_nothing_does_not_keep_it_from_being_level(
    ranker, store, make_learners, clock, tmp_path
):
    with SqliteLog(tmp_path / "log") as log:
        log.append([bought(1), bought(2, "an item that only the old version knows")])
        committed(store, OLD, 2)
        alone = loop_of(ranker, log, store, "v0000000alone")
        while alone.step():
            pass
        alone.publish()
        log.append([bought(3, "another one")])
        committed(store, OLD, 3)
        alone.step()
        assert alone.publish() is None
        beside = loop_of(ranker, log, store, NEW, beside=Chain(store, NAME, OLD))
        while beside.step():
            pass
        assert beside.publish().offset == 3
        assert beside.publish() is None  # it is told once
        log.append([bought(4, "another one")])
        beside.step()
        assert beside.publish() is None  # nobody waits for that
        committed(store, OLD, 4)
        beside.step()
        assert (beside.publish().offset, beside.publish()) == (4, None)
    brought(store, tmp_path, OLD), brought(store, tmp_path, NEW)
    assert is_level(make_learners(), clock)
    state = Chain(store, NAME, NEW)
    state.refresh()
    assert state.state().totals.examples == 1


def test_a_promotion_amid_a_stream_loses_no_event_though_the_new_learner_is_killed(
    store, make_learners, packaged, tmp_path
):
    """Numbered events come all the time. At the moment of the promotion the new version answers with every one of those that
    the old one answers with; in the end both have learned each of them once."""
    cut, stop = 20, threading.Event()
    packaged[NEW] = cut
    processes: list[Forked] = []
    learners, enough = make_learners(clock=time.monotonic), threading.Event()
    chains = {version: Chain(store, NAME, version, start=packaged[version]) for version in (OLD, NEW)}

    def started(version, until, *beside):
        arguments = [
            str(tmp_path / "store"),
            str(tmp_path / "log"),
            str(until),
            version,
            str(packaged[version]),
            "0.1",
            *beside,
        ]
        processes.append(Forked("online_learner", arguments, env=os.environ, cwd=tmp_path, output=said))
        return processes[-1]

    def wait_for(what):
        until = time.monotonic() + 240
        while not what():
            assert time.monotonic() < until, (tmp_path / "said.txt").read_text()
            time.sleep(0.005)

    def has_learned(version, offset):
        chains[version].refresh()
        return chains[version].offset_of(chains[version].head) > offset

    def shop():
        number = 0
        while not enough.wait(0.02):
            number += 1
            log.append([bought(number)])

    def bring():
        updaters = [
            Updater(Chain(store, NAME, version), tmp_path / "updates" / version, version=version) for version in chains
        ]
        while not stop.wait(0.05):
            for updater in updaters:
                updater.look()

    with SqliteLog(tmp_path / "log") as log, (tmp_path / "said.txt").open("wb") as said:
        threads = [threading.Thread(target=work) for work in (shop, bring)]
        for thread in threads:
            thread.start()
        try:
            started(OLD, 10**9)
            wait_for(lambda: has_learned(OLD, cut))
            killed = started(NEW, 10**9, OLD)
            wait_for(lambda: has_learned(NEW, cut))
            killed.send_signal(signal.SIGKILL)
            killed.wait(60)
            started(NEW, 10**9, OLD)
            wait_for(lambda: learners.is_level(NEW, OLD))
            served = {version: learned(chains[version], tmp_path) for version in (OLD, NEW)}
            enough.set()
            threads[0].join()
            for version in chains:
                wait_for(lambda version=version: has_learned(version, log.end() - 1))
            count = log.end()
        finally:
            enough.set(), stop.set()
            for thread in threads:
                thread.join()
            for process in processes:
                process.send_signal(signal.SIGKILL)
                process.wait(60)
    (old_offset, old_examples), (new_offset, new_examples) = served[OLD], served[NEW]
    assert old_examples == old_offset > cut
    assert new_examples == new_offset - cut
    assert new_offset >= old_offset
    for version, start in packaged.items():
        state = chains[version].state()
        assert (state.offset, state.totals.examples) == (count, count - start)


def learned(chain, folder):
    """Offset and examples of what the predictors of a version answer with."""
    number = Pointer.read(folder / "updates" / chain._version).commit
    chain.refresh()
    return chain.offset_of(number), chain.state(number).totals.examples


def test_a_process_that_ends_is_started_again_also_where_it_could_not_be_for_a_moment(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(learning, "AGAIN_SECONDS", 0.02)
    starts, start = [], subprocess.Popen

    def sometimes(*arguments, **named):
        starts.append(len(starts))
        if len(starts) == 2:
            raise BlockingIOError("Resource temporarily unavailable")
        return start(*arguments, **named)

    monkeypatch.setattr(learning.subprocess, "Popen", sometimes)
    with learning._kept_up(["true"], tmp_path):
        for _ in range(400):
            if len(starts) >= 3:
                break
            time.sleep(0.05)
    assert len(starts) >= 3
    assert "true cannot be started: Resource temporarily unavailable. It is tried again." in caplog.text


def test_a_process_that_is_begun_while_the_block_ends_ends_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(learning, "AGAIN_SECONDS", 0.02)
    begun, leaves, start = [], threading.Event(), subprocess.Popen

    def at_the_end(arguments, **named):
        if begun:
            leaves.set()
            time.sleep(0.5)  # until nobody wants it any more
            arguments = ["sleep", "60"]
        begun.append(start(arguments, **named))
        return begun[-1]

    monkeypatch.setattr(learning.subprocess, "Popen", at_the_end)
    with learning._kept_up(["true"], tmp_path):
        assert leaves.wait(30)
    assert len(begun) == 2
    assert begun[-1].poll() is not None


def test_the_chains_of_versions_that_are_gone_are_forgotten(make_learners, packaged):
    learners = make_learners()
    for number in range(50):
        version = f"v{number:012}"
        packaged[version] = number
        assert learners.frozen(version) is None
        learners.keep(version, OLD)
    assert set(learners._races._chains) == {version}
    assert not any(ending.is_alive() for ending in learners._ending.values()) and len(learners._ending) <= 1
