"""What a learner says of itself while it works, waits and is kept from going on."""

import json
import math
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from shoploop.api.learner_state import LearnerState
from shoploop.events.log import Entry, LogUnavailable
from shoploop.events.messages import Kept, to_json
from shoploop.online.chain import Chain, Totals
from shoploop.online.learner_process import run
from shoploop.online.loop import OnlineLoop
from shoploop.online.pulse import SILENT_SECONDS, Pulse
from shoploop.online.telling import GAUGES, Telling


class Learner:
    """One that a test drives by hand."""

    def __init__(self, ranker, log, store):
        self.chain = Chain(store, "grocery", "v123")
        self.pulse = Pulse()
        self.loop = OnlineLoop(ranker=ranker, log=log, chain=self.chain, beat=self.pulse.beat)
        self.telling = Telling(
            loop=self.loop, chain=self.chain, log=log, name="grocery", version="v123", pulse=self.pulse
        )

    def learn(self):
        while self.loop.step():
            pass
        self.loop.publish()

    def get(self, path: str):
        status, _, body = self.telling.answer(path)
        return status, body.decode()

    @property
    def state(self) -> LearnerState:
        """As it comes over HTTP."""
        return LearnerState.model_validate_json(self.get("/status")[1])


@pytest.fixture
def learner(ranker, log, store):
    return Learner(ranker, log, store)


def bought(number: int, *, seconds_ago: float = 0.0) -> Entry:
    then = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    message = Kept(source="organic", kind="purchase", user=f"u{number}", item="tea", time=then, received=then)
    return Entry(f"e{number}", to_json(message))


def test_a_learner_that_has_not_taken_up_where_the_chain_is_is_not_ready(learner):
    assert (learner.get("/livez")[0], learner.get("/readyz")[0]) == (200, 503)
    assert learner.state == LearnerState(version="v123", commit=0, served=0)


def test_the_lag_is_the_age_of_the_oldest_event_that_is_in_no_commit(learner, log):
    log.append([bought(1, seconds_ago=90)])
    learner.learn()
    assert learner.get("/readyz")[0] == 200
    assert (learner.state.commit, learner.state.behind, learner.state.lag_seconds) == (1, 0, 0.0)
    log.append([bought(2, seconds_ago=50), bought(3)])
    assert learner.state.behind == 2
    assert 50 <= learner.state.lag_seconds < 80
    learner.learn()
    assert (learner.state.behind, learner.state.lag_seconds) == (0, 0.0)


def test_what_teaches_nothing_and_makes_no_commit_is_no_lag(learner, log):
    learner.learn()
    log.append([Entry("junk of a newer predictor", b'{"type": "tick"}')])
    assert learner.state.behind == 1
    learner.learn()
    assert (learner.state.commit, learner.state.behind, learner.state.lag_seconds) == (0, 0, 0.0)


def test_a_trip_and_a_pin_are_told(learner, log):
    log.append([bought(1)])
    learner.learn()
    learner.chain.append(
        "freeze", by="me", reason="not_finite: What was learned holds NaN.", offset=1, totals=Totals(), to=0
    )
    assert learner.state.frozen == "not_finite: What was learned holds NaN."
    learner.chain.decide("resume", by="me", reason="looked at it")
    learner.chain.decide("pin", by="me", reason="to compare", to=1)
    assert (learner.state.frozen, learner.state.served, learner.state.commit) == (None, 1, 4)


def test_what_prometheus_is_told_has_every_gauge_and_names_the_recommender(learner, log):
    log.append([bought(1)])
    learner.learn()
    samples = dict(line.rsplit(" ", 1) for line in learner.get("/metrics")[1].splitlines() if line[0] != "#")
    assert {name.partition("{")[0] for name in samples} == {f"shoploop_online_{name}" for name in GAUGES}
    of = '{recommender="grocery",version="v123"}'
    assert float(samples[f"shoploop_online_learning{of}"]) == 1.0
    assert float(samples[f"shoploop_online_examples{of}"]) == 1.0
    assert 0 < float(samples[f"shoploop_online_guard_change{of}"]) < 0.5
    assert math.isnan(float(samples[f"shoploop_online_guard_calibration{of}"]))  # no block is whole yet


def test_a_log_that_is_away_is_waited_for_and_named(learner, log, monkeypatch):
    learner.learn()

    def away(*_, **__):
        raise LogUnavailable("The log is away.")

    monkeypatch.setattr(log, "end", away)
    state = learner.state
    assert (state.lag_seconds, state.waits_for) == (None, "The log is away.")
    assert 'shoploop_online_learning{recommender="grocery",version="v123"} 0.0' in learner.get("/metrics")[1]


def until(wanted, *, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_learner_beside_another_says_so_rests_and_goes_on_when_that_is_gone(store, learner):
    stop = threading.Event()
    arguments = {"period_seconds": 0.01, "until": stop.is_set, "rest_seconds": 0.3}
    thread = threading.Thread(target=run, args=(learner.loop, learner.telling), kwargs=arguments)
    thread.start()
    try:
        until(lambda: learner.get("/readyz")[0] == 200)
        other = Chain(store, "grocery", "v123")
        other.append("learn", by="another", reason="", offset=0, totals=Totals())
        until(lambda: learner.state.halt is not None)
        assert learner.state.halt.code == "ChainTaken"
        assert learner.get("/readyz")[0] == 503
        until(lambda: learner.get("/readyz")[0] == 200)
        assert learner.state.halt is None
    finally:
        stop.set()
        thread.join()


def test_a_process_that_does_not_get_on_is_started_anew():
    now = [0.0]
    pulse = Pulse(clock=lambda: now[0])
    now[0] = SILENT_SECONDS - 1
    assert pulse.reply()[0] == 200
    now[0] = SILENT_SECONDS + 1
    assert pulse.reply()[0] == 503
    pulse.beat()
    assert pulse.reply()[0] == 200


def test_other_paths_are_nothing(learner):
    assert learner.telling.answer("/") is None
    assert json.loads(learner.get("/status?x=1")[1])["version"] == "v123"
