"""The versions that answer in one process, exchanged without a pause: the new one is loaded aside, then a reference changes.

A request takes the references once and keeps them to its end. The version that served before stays loaded, so that going back
to it costs nothing. A candidate that fails costs no shopper an answer: the version that serves gives it.
"""

import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from shoploop.predictor import metrics
from shoploop.predictor.lineup import ENVIRONMENT, FILE, Lineup, Packaged, Returned, Tally
from shoploop.predictor.watch import CandidateWatch
from shoploop.ranking.answer import A, AnyAnswer
from shoploop.ranking.ranker import Ranker
from shoploop.ranking.visiting import ShopsUnknown

LOOK_SECONDS = 0.1
AGAIN_SECONDS = 30.0
"""Until a version is loaded anew that should serve and could not be loaded: there may have been no room for it."""

TALLY_SECONDS = 1.0
"""Between two tallies of a candidate, at least."""

SHADOWS = 50
"""Answers that wait for a candidate in the shadow; beyond, it is spared them."""

LOADED = 3
"""Rankers that stay in memory: who serves, the candidate, and who served before."""

SWITCH_SECONDS = 0.0005
"""Python's threads take turns this often while a ranker is loaded, so that requests hardly wait for it."""

Ask = Callable[[Ranker, bool], AnyAnswer]
"""Asks a ranker; the second is false where nobody waits for the answer."""


def load(folder: Path) -> Ranker:
    """A ranker, warm."""
    ranker = Ranker.load(folder)
    ranker.warm_up()
    return ranker


@dataclass(frozen=True)
class _Serving:
    """Who answers now."""

    stable: Ranker
    candidate: Ranker | None = None
    lineup: Lineup | None = None
    watch: CandidateWatch = field(default_factory=CandidateWatch)


class Versions:
    """The version that serves and its candidate. One instance serves all threads of a process."""

    def __init__(
        self,
        ranker: Ranker,
        folder: Path | None,
        *,
        load: Callable[[Path], Ranker] = load,
        on_load: Callable[[Ranker], None] = lambda ranker: None,
        on_stable: Callable[[Ranker], None] = lambda ranker: None,
        on_answers: Callable[[Ranker, Packaged], None] = lambda ranker, packaged: None,
        on_forget: Callable[[str], None] = lambda version: None,
        clock: Callable[[], float] = time.perf_counter,
    ):
        """
        Args:
            ranker: The packaged version.
            folder: With the file that says who answers; None: the packaged version answers everybody.
            load: Reads the ranker in a folder.
            on_load: Told of a ranker before it answers anybody.
            on_stable: Told of a ranker before it is who serves.
            on_answers: Told of a ranker whenever the file names it, before it answers anybody by that.
            on_forget: Told of a version that is no longer in memory.
            clock: Seconds.
        """
        self._now = _Serving(ranker)
        self._loaded: dict[str, Ranker] = {ranker.version: ranker}
        self._folder = folder
        self._load = load
        self._on_load = on_load
        self._on_stable = on_stable
        self._on_answers = on_answers
        self._on_forget = on_forget
        self._clock = clock
        self._seen: tuple[int, int] | None = None
        self._again: float | None = None
        """When to look once more, though the file says the same."""

        self._ended = 0
        self._exchange = threading.Lock()
        """Held while it is said who answers: versions are loaded by one thread, and judged by those that answer."""

        self._tallied, self._tally = 0.0, Tally(candidacy=0)
        self._told: set[tuple[str, str]] = set()
        self._shadows: queue.Queue[tuple[_Serving, Ask, AnyAnswer]] = queue.Queue(SHADOWS)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._tell()

    @classmethod
    def configured(
        cls,
        ranker: Ranker,
        *,
        on_load: Callable[[Ranker], None],
        on_stable: Callable[[Ranker], None],
        on_answers: Callable[[Ranker, Packaged], None],
        on_forget: Callable[[str], None],
    ) -> "Versions":
        """As the environment says."""
        folder = os.environ.get(ENVIRONMENT)
        return cls(
            ranker, Path(folder) if folder else None,
            on_load=on_load, on_stable=on_stable, on_answers=on_answers, on_forget=on_forget,
        )  # fmt: skip

    @property
    def stable(self) -> Ranker:
        """Who serves."""
        return self._now.stable

    def of(self, version: str) -> Ranker | None:
        """A version that answers, or did lately; None where it is not in memory."""
        return self._loaded.get(version)

    def answer(self, user: str, ask: Callable[[Ranker, bool], A]) -> A:
        """The answer of who answers this user.

        Args:
            user: Who asks.
            ask: Asks a ranker, or the same version with what was learned since.

        Raises:
            ShopsUnknown: who serves has no shop to answer with.
        """
        now = self._now
        if now.candidate is not None and now.lineup is not None and now.lineup.gives_candidate(user):
            began = self._clock()
            try:
                answer = ask(now.candidate, True)
            except ShopsUnknown:  # the request's fault, where who serves has no shop to answer with either
                answer = ask(now.stable, True)
                self._failed(now)
                return answer
            except Exception:
                self._failed(now)
            else:
                self._answered(now, began, candidate=True)
                return answer
        began = self._clock()
        answer = ask(now.stable, True)
        if now.candidate is not None and now.lineup is not None:
            self._answered(now, began, candidate=False)
            if now.lineup.shadow:
                self._shadow(now, ask, answer)
        return answer

    def look(self) -> bool:
        """Takes up what the file says; returns whether that changed anything. What cannot be loaded changes nothing."""
        if self._folder is None:
            return False
        try:
            facts = (self._folder / FILE).stat()
            seen = (facts.st_mtime_ns, facts.st_ino)
            if seen == self._seen and (self._again is None or self._clock() < self._again):
                return False
            lineup = Lineup.read(self._folder)
        except FileNotFoundError:
            return False
        except (OSError, ValueError) as error:
            logging.getLogger(__name__).warning("Which versions answer cannot be read: %s", error)
            return False
        self._seen = seen
        before = self._now
        stable = self._ranker(lineup.stable) or before.stable
        candidate = None
        if lineup.candidate is not None and lineup.candidacy != self._ended:
            candidate = self._ranker(lineup.candidate)
            if candidate is None:
                self._return(lineup, "it cannot be loaded")
            else:
                self._on_answers(candidate, lineup.candidate)
        self._again = None
        if stable.version == lineup.stable.version:
            self._on_answers(stable, lineup.stable)
        else:
            self._again = self._clock() + AGAIN_SECONDS
        if stable is not before.stable:
            self._on_stable(stable)
        same = before.lineup is not None and before.lineup.candidacy == lineup.candidacy
        with self._exchange:
            returned = lineup.candidacy == self._ended  # it may have failed while others were loaded
            candidate = None if returned else candidate
            self._now = _Serving(stable, candidate, lineup, before.watch if same else CandidateWatch())
        self._forget(before)
        self._tell()
        return True

    def tell_tally(self) -> None:
        """Writes how the candidate has done, where that is another than was written and some time ago."""
        now, clock = self._now, self._clock()
        if self._folder is None or now.lineup is None or not now.lineup.candidacy:
            return
        watch = now.watch
        tally = Tally(
            candidacy=now.lineup.candidacy, given=watch.given, failed=watch.failures, different=watch.different
        )
        if tally == self._tally or clock - self._tallied < TALLY_SECONDS:
            return
        self._tallied, self._tally = clock, tally
        try:
            tally.write(self._folder)
        except OSError as error:
            logging.getLogger(__name__).warning("How the candidate does cannot be told: %s", error)

    def start(self) -> None:
        """Looks once, then again and again in a thread until :meth:`stop`."""
        if self._folder is None:
            return
        self.look()
        for work in (self._follow, self._compare):
            thread = threading.Thread(target=work, name=f"versions-{work.__name__}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def compare_next(self, *, wait_seconds: float = 0.0) -> bool:
        """Lets the candidate in the shadow answer what waits longest; returns whether something waited."""
        try:
            now, ask, answer = self._shadows.get(timeout=wait_seconds) if wait_seconds else self._shadows.get_nowait()
        except queue.Empty:
            return False
        if now.candidate is None or now is not self._now:
            return True
        began = self._clock()
        try:
            other = ask(now.candidate, False)
        except Exception:
            self._failed(now)
            return True
        self._answered(now, began, candidate=True)
        shown, instead = ([item.item for item in each.items] for each in (answer, other))
        metrics.SHADOW_ANSWERS.labels(outcome="same" if shown == instead else "different").inc()
        if shown != instead:
            now.watch.differed()
        if shown:
            metrics.SHADOW_OVERLAP.observe(len(set(shown) & set(instead)) / len(shown))
        return True

    def _follow(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            try:
                self.look()
                self.tell_tally()
            except Exception:  # a defect, which must not end the thread: nobody would be promoted any more
                logging.getLogger(__name__).exception("Versions cannot be exchanged.")

    def _compare(self) -> None:
        while not self._stop.is_set():
            self.compare_next(wait_seconds=LOOK_SECONDS)

    def _ranker(self, packaged: Packaged) -> Ranker | None:
        """Loaded aside, unless it is in memory; None where that cannot be."""
        if packaged.version in self._loaded:
            return self._loaded[packaged.version]
        try:
            with _short_turns():
                ranker = self._load(Path(packaged.folder))
            if ranker.version != packaged.version:
                raise ValueError(f"{packaged.folder} holds {ranker.version}")
            self._on_load(ranker)
        except Exception as error:  # whatever is wrong with it, who serves goes on
            metrics.SWAPS.labels(outcome="refused").inc()
            logging.getLogger(__name__).warning("Version %s is not served: %s", packaged.version, error)
            return None
        self._loaded = self._loaded | {packaged.version: ranker}
        metrics.SWAPS.labels(outcome="loaded").inc()
        return ranker

    def _forget(self, before: _Serving) -> None:
        """Lets those go that nobody needs, the longest loaded first."""
        now = self._now
        used = {ranker.version for ranker in (now.stable, now.candidate, before.stable) if ranker is not None}
        kept = dict(self._loaded)
        for version in self._loaded:
            if len(kept) > LOADED and version not in used:
                del kept[version]
                self._on_forget(version)
        self._loaded = kept

    def _shadow(self, now: _Serving, ask: Ask, answer: AnyAnswer) -> None:
        try:
            self._shadows.put_nowait((now, ask, answer))
        except queue.Full:
            metrics.SHADOW_ANSWERS.labels(outcome="spared").inc()

    def _answered(self, now: _Serving, began: float, *, candidate: bool) -> None:
        seconds = self._clock() - began
        now.watch.answered(seconds, candidate=candidate)
        metrics.VERSION_SECONDS.labels(role="candidate" if candidate else "stable").observe(seconds)
        if candidate:
            self._judge(now)

    def _failed(self, now: _Serving) -> None:
        assert now.candidate is not None
        logging.getLogger(__name__).exception("Candidate %s failed; who serves answers.", now.candidate.version)
        metrics.CANDIDATE_FAILURES.inc()
        now.watch.failed()
        self._judge(now)

    def _judge(self, now: _Serving) -> None:
        if not (reason := now.watch.verdict) or now.lineup is None:
            return
        with self._exchange:
            if now is not self._now:
                return
            self._now = _Serving(now.stable, None, now.lineup, now.watch)
            self._ended = now.lineup.candidacy
        self._return(now.lineup, reason)
        self._tell()

    def _return(self, lineup: Lineup, reason: str) -> None:
        """Answers without the candidate from now on, and writes why."""
        assert lineup.candidate is not None and self._folder is not None
        self._ended = lineup.candidacy
        metrics.CANDIDATES_RETURNED.inc()
        logging.getLogger(__name__).warning("Candidate %s answers no more: %s.", lineup.candidate.version, reason)
        try:
            Returned(candidacy=lineup.candidacy, version=lineup.candidate.version, reason=reason).write(self._folder)
        except OSError as error:
            logging.getLogger(__name__).warning("That cannot be told to other predictors: %s", error)

    def _tell(self) -> None:
        now = self._now
        shares = {("stable", now.stable.version): 100}
        if now.candidate is not None and now.lineup is not None:
            role = "shadow" if now.lineup.shadow else "candidate"
            shares["stable", now.stable.version] -= now.lineup.percent
            shares[role, now.candidate.version] = now.lineup.percent
        # in a service of several processes no series can be taken away: what answers no more has a share of 0
        for role, version in self._told - set(shares):
            metrics.SERVING.labels(role=role, version=version).set(0)
        for (role, version), percent in shares.items():
            metrics.SERVING.labels(role=role, version=version).set(percent)
        self._told |= set(shares)


@contextmanager
def _short_turns() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
