"""From the event log to the chain: reads, has learned, commits, and goes back where something trips.

What is learned depends on the records and their order alone; the clock decides only when a commit is written. What is
committed amid a batch is what its examples so far would make of it, and they are learned again together with the rest. Who
starts again reads the rows as they were where the batch of the last commit began, and what was remembered of the records at
some batch before that, and the records in between once more; these teach nothing a second time. So each event counts once,
whenever the learner is killed.
"""

import logging
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from shoploop.compute.garbage import collecting_nothing
from shoploop.errors import AlreadyExists, ArtifactError, NotFound, ShoploopError, StoreError
from shoploop.events.log import EventLog, LogUnavailable, Record
from shoploop.events.messages import Forgotten
from shoploop.online.chain import FAILED_KEPT, SNAPSHOT_EVERY, Chain, Commit, Standing, Totals, hold_alone, mark
from shoploop.online.guarded_learner import GuardedLearner, Model
from shoploop.online.guardrails import GuardConfig, Trip, is_of_guard
from shoploop.online.intake import Intake
from shoploop.online.learner import LearnerConfig
from shoploop.online.limits import LimitConfig, Limits
from shoploop.online.weighing import Weigh, alike
from shoploop.online.window import EVERY, SHARE, behind, to_bytes

READ = 2_048
"""Records that are read at once."""

MOST_UNPUBLISHED = 50_000
"""Examples; with as many a commit does not wait for its time."""


class LogGap(ShoploopError):
    """Events that should have been learned from are no longer in the log."""


class OnlineLoop:
    """One learner of one version."""

    def __init__(
        self,
        *,
        ranker: Model,
        log: EventLog,
        chain: Chain,
        start: int = 0,
        learner: LearnerConfig | None = None,
        guard: GuardConfig | None = None,
        limits: LimitConfig | None = None,
        weigh: Weigh = alike,
        skip_gaps: bool = False,
        by: str | None = None,
        beat: Callable[[], None] = lambda: None,
        beside: Chain | None = None,
        remember_every: int = EVERY,
    ):
        """
        Args:
            ranker: The version, as it was packaged.
            log: What shoppers did.
            chain: Of that version.
            start: Offset of the last record that the version was trained on.
            learner: How fast, and how far.
            guard: What must hold.
            limits: How much one user and one item may teach.
            weigh: How much each event counts; a function of it alone.
            skip_gaps: Go on where the log was trimmed behind what was read, with the oldest that is left.
            by: Who learns, in the chain.
            beat: Called again and again while it gets on, whatever it does.
            beside: Of the version that serves, whose place this one is to take: what that has read is committed here, too,
                where it teaches nothing. So it can be seen in the chain that this version has caught up.
            remember_every: Records, after which what is remembered of them is written down at the end of a batch.
        """
        self.offset = start
        self.settled: int | None = None
        """Offset of the last record whose lesson is in the chain; None until it has taken up where the chain is."""

        self.waits_for: str | None = None
        """What it waits for: a log or a store that does not answer."""

        self._beat = beat
        self._log = log
        self._chain = chain
        self._start = start
        self._guard_config, self._limit_config = guard or GuardConfig(), limits or LimitConfig()
        self._learner = GuardedLearner(
            ranker, learner=learner or LearnerConfig(), guard=self._guard_config, limits=self._limit_config, weigh=weigh
        )
        self.numbers = self._learner.numbers
        """Of each guardrail what it found last, by its code; what was not found yet is missing."""

        self._shares_I = ranker.shares()
        self._codes = {item: code for code, item in enumerate(ranker.known_items)}
        self._skip_gaps = skip_gaps
        self._by = by or f"learner on {socket.gethostname()}"
        self._beside = beside
        self._say = logging.getLogger(__name__)
        self._stands = False
        self._failed: tuple[int, ...] = ()
        """Records of batches that ended which could not be learned from, the last ones."""

        self._record: str | None = None
        """Id of the record at the offset; None where the log has none there, or it was not read."""

        self._remember_every = remember_every
        self._trimmed: int
        """Offset of the last record that the log had forgotten when it was last asked."""

        self._remembered: int
        """Offset of the last record that what was written down knows."""

        self._unwritten: tuple[int, bytes] | None = None
        """What is to be written down with the next commit, and the offset of the last record that it knows."""

        self._forgets = False
        """What is written down may hold something of records that were erased since."""

        self._kept_by = ""
        """Why it could not go, as it was said last."""

        self._was_away = False
        """The log did not answer since it was read last: it may have come back as another."""

        self._published: int
        self._standing: Standing
        """What is in memory is what the chain says, and what was learned on top of it: only then may it be committed."""

    def catch_up(self) -> None:
        """Takes up the chain where it is, and knows again which answers wait for feedback. What was learned and is in no
        commit is forgotten, and learned again from its records.

        Raises:
            LogGap: records are missing that were not learned from.
            ArtifactCorrupt, StoreUnavailable: the chain cannot be read.
            LogUnavailable: the log does not answer.
        """
        self._stands = False
        self._chain.refresh()
        state = self._chain.state()
        begin, end = self._log.begin(), self._log.end()
        if end < state.offset and not self._chain.head:
            self._say.warning(
                "The event log ends at record %d, and the version was trained on those up to %d: it is another log. It is "
                "learned from its beginning.",
                end,
                state.offset,
            )
            state = replace(state, offset=begin)
        elif end < state.offset:
            raise LogGap(
                f"The event log ends at record {end}, and what was learned reaches record {state.offset}: it is another "
                "log, or lost what it held. Bring the former one back, or promote a new version, whose chain begins anew."
            )
        elif self._chain.head and not self._is_there(state.offset, self._chain.commits[-1].record):
            raise LogGap(
                f"Record {state.offset} of the event log is not the one that was learned from: it is another log, or lost "
                "what it held. Bring the former one back, or promote a new version, whose chain begins anew."
            )
        standing, base = state.resumes, state.base
        if standing.offset < min(begin, state.offset):  # what its batch began with was trimmed, and is in the rows
            standing, base = replace(standing, offset=state.offset, totals=state.totals), state.rows
        elif standing.offset > state.offset:  # of a log that took another's place
            standing = replace(standing, offset=state.offset)
        self._learner.reset(base, standing.block)
        self._totals, self._failed = standing.totals, self._chain.failed
        first = self._start if self._start <= state.offset else begin
        self.offset, self._record = min(max(first, begin), standing.offset), None
        first = min(first, standing.offset)
        self._intake = Intake(self._codes, Limits(self._shares_I, self._limit_config), start=first)
        self._trimmed = begin
        self._made_by: dict[str, Any] = {"limits": vars(self._limit_config), "start": first}
        self._take_up_window(standing.offset)
        while self.offset < standing.offset:
            self._beat()
            records = self._log.read(self.offset, limit=READ)
            for record in records:
                if record.offset <= standing.offset:
                    message = self._intake.read(record)
                    self._forgets |= isinstance(message, Forgotten)
                    if self._intake.ends_batch(record.offset, message, last=self.offset):
                        self._learner.judge_again(self._intake.batch)
                        self._intake.begin_batch()
                    self._learner.forget(self._intake.take(record.offset, message, failed=self._failed).forgotten)
                    self._pass_to(record)
            if not records or records[-1].offset >= standing.offset:
                if self.offset != standing.offset:  # a log may have no record of that number
                    self.offset, self._record = standing.offset, None
        self._learner.judge_again(self._intake.batch)
        self._skip_gap(begin)
        self._begin_batch()
        self._stands, self.settled = True, state.offset

    def step(self, *, wait_seconds: float = 0.0) -> int:
        """Takes up what others wrote into the chain, then reads and learns what is new; returns how many records that was.

        Raises:
            ChainTaken: another learner is at work.
            LogGap: the log was trimmed behind what was read.
            LogUnavailable, StoreUnavailable: ask again.
        """
        if self._was_away:
            is_same = self._log.end() >= self.offset and self._is_there(self.offset, self._mark())
            self._stands = self._stands and is_same
            self._was_away = False
        if not self._stands:
            self.catch_up()
        if new := self._chain.refresh():
            hold_alone(new)
            if any(commit.action in ("rollback", "freeze", "resume") for commit in new):
                self.catch_up()
        if self._beside is not None:
            with suppress(ShoploopError):  # it may be damaged, or gone: nobody waits for this version then
                self._beside.refresh()
        if self._chain.frozen is not None and not self._resumes(self._chain.frozen):
            time.sleep(wait_seconds)
            return 0
        records = self._log.read(self.offset, limit=READ, wait_seconds=wait_seconds)
        if self._is_to_remember(len(records)):
            self._trimmed = self._log.begin()
        if records and records[0].offset > self.offset + 1:
            self._skip_gap(self._log.begin())
        for number, record in enumerate(records):
            message = self._intake.read(record)
            if self._intake.ends_batch(record.offset, message, last=self.offset) and (trip := self._end_batch()):
                self._freeze(trip)
                return number
            if isinstance(message, Forgotten):
                self._forgets, self._unwritten = True, None
            capped, dead, forgotten = self._intake.take(record.offset, message, failed=self._failed)
            if forgotten:
                self._learner.forget(forgotten)
            if capped or dead:
                self._totals += Totals(capped=capped, dead_letters=dead)
                self._learner.count(capped=capped, dead=dead)
            self._pass_to(record)
        return len(records)

    def publish(self) -> Commit | None:
        """Commits what was learned since the last commit; None where that was nothing.

        Raises:
            ChainTaken: another learner is at work; what it wrote stands, and this one's is gone.
            StoreUnavailable: ask again; nothing is lost.
        """
        if self._forgets:
            self._forget_windows()
        awaited = self._is_awaited()
        if not self._stands or self._chain.frozen is not None or (self._published == self.offset and not awaited):
            return None
        standing, self._stands = self._standing, False  # until it is written: what was touched is known once
        offer = self._learner.offer(self._intake.batch)
        totals, last = self._totals + offer.totals, self._last_totals()
        if totals == last and self._failed == self._chain.failed and not awaited:
            self._stands = True
            self._published = self.settled = self.offset
            self._learner.take_back(offer)
            return None
        if offer.trip is not None:
            self._totals = totals
            self._freeze(offer.trip)
            return None
        full = self._chain.head % SNAPSHOT_EVERY == SNAPSHOT_EVERY - 1
        window = self._unwritten and self._chain.windows.write(*self._unwritten)
        try:
            commit = self._chain.append(
                "learn",
                by=self._by,
                reason=f"{totals.examples - last.examples} examples",
                offset=self.offset,
                totals=totals,
                resumes=standing,
                rows=self._chain.state().base.updated(offer.rows) if full else offer.rows,
                ahead=offer.ahead,
                full=full,
                failed=self._failed,
                record=self._mark(),
                window=window,
            )
        except AlreadyExists:
            hold_alone(self._chain.refresh())
            return None
        if window is not None:
            self._unwritten = None
            with suppress(StoreError):  # one more lies there until the next time
                self._chain.windows.keep_only(window)
        self._stands = True
        self._published = self.settled = self.offset
        return commit

    def run(self, *, period_seconds: float, until: Callable[[], bool]) -> None:
        """Learns until it is told to end; commits what it has before it does.

        Args:
            period_seconds: Between two commits at least.
            until: Whether to end.

        Raises:
            ChainTaken, LogGap: see :meth:`step`.
        """
        try:
            self._patiently(self.catch_up, until)
            last = time.monotonic()
            while not until():
                self._patiently(lambda: self.step(wait_seconds=min(0.25, period_seconds)), until)
                waiting = self._totals.examples + len(self._intake.batch.examples) - self._last_totals().examples
                if time.monotonic() - last >= period_seconds or waiting >= MOST_UNPUBLISHED or self._is_awaited():
                    self._patiently(self.publish, until)
                    last = time.monotonic()
            self.publish()
        except ShoploopError:
            self.settled = None  # it has to take up again where the chain is
            raise

    def _patiently(self, what: Callable[[], object], until: Callable[[], bool]) -> None:
        """Until it is done: a log or a store that is away comes back."""
        while not until():
            self._beat()
            try:
                what()
                self.waits_for = None
                return
            except (LogUnavailable, StoreError) as error:
                self._was_away |= isinstance(error, LogUnavailable)
                if str(error) != self.waits_for:
                    self.waits_for = str(error)
                    self._say.warning("%s Nothing is learned until it is back.", error)
                time.sleep(1.0)

    def _pass_to(self, record: Record) -> None:
        self.offset, self._record = record.offset, record.id

    def _mark(self) -> str | None:
        """Marks the record at the offset."""
        return None if self._record is None else mark(self._record)

    def _is_there(self, offset: int, record: str | None) -> bool:
        """Whether the log may hold a record that was read, by its mark: it does, or has none there, since it was trimmed or
        erased."""
        if record is None or self._log.begin() >= offset:
            return True
        found = self._log.read(offset - 1, limit=1)
        return not found or found[0].offset != offset or mark(found[0].id) == record

    def _is_awaited(self) -> bool:
        """Whether all was read here that the version beside has learned from, and no commit says so yet."""
        if self._beside is None or not self._beside.head:
            return False
        there = self._beside.offset_of(self._beside.head)
        return self._chain.offset_of(self._chain.head) < there <= self.offset

    def _begin_batch(self) -> None:
        self._intake.begin_batch()
        self._published = -1
        self._standing = Standing(offset=self.offset, totals=self._totals, block=self._learner.block)

    def _is_to_remember(self, more: int) -> bool:
        """Whether enough records were read since something was written down, with so many more."""
        return self.offset + more - self._remembered >= max(self._remember_every, self._intake.held // SHARE)

    def _take_up_window(self, until: int) -> None:
        """Remembers what was written down of records up to that offset, where something was; else what was shown before."""
        window, self._unwritten = self._chain.window, None
        if window is not None and window.offset <= until:
            try:
                tables = self._chain.windows.read(window, made_by=self._made_by)
            except (NotFound, ArtifactError) as error:
                self._say.info("%s The records up to %d are read again.", error, until)
            else:
                with collecting_nothing():  # what is remembered stays
                    self._intake.take_up(tables)
                self._learner.take_up(tables["credit"])
                self.offset = self._remembered = window.offset
                return
        self._remembered = self.offset
        self._intake.recall(self._log, start=self.offset, beat=self._beat)

    def _forget_windows(self) -> None:
        """What was written down goes, since it may name who was erased; where the store does not let it go, the next time."""
        try:
            self._chain.windows.keep_only(None)
            self._forgets, self._kept_by = False, ""
        except StoreError as error:
            if str(error) != self._kept_by:
                self._kept_by = str(error)
                self._say.warning("%s What may name who was erased is still there; it is tried again.", error)

    def _end_batch(self) -> Trip | None:
        """Learns the batch for good."""
        learned = self._learner.learn(self._intake.batch)
        self._totals += learned.totals
        self._failed = (*self._failed, *learned.failed)[-FAILED_KEPT:]
        self._begin_batch()
        if self._is_to_remember(0):
            tables = self._intake.tables() | {"credit": self._learner.table()}
            if self._trimmed > self._made_by["start"]:
                tables = behind(self._trimmed, tables)
            self._unwritten = self.offset, to_bytes(tables, made_by=self._made_by)
            self._remembered = self.offset
        return learned.trip

    def _freeze(self, trip: Trip) -> None:
        """Goes back to what was learned before the block that tripped, and stops."""
        before = self._totals.examples - self._guard_config.block
        # what an earlier freeze or a rollback threw away does not come back: behind those nobody looks
        good = next(
            (
                c.number
                for c in reversed(self._chain.commits)
                if c.totals.examples <= before or (c.action in ("freeze", "rollback") and c.to is not None)
            ),
            0,
        )
        self._stands = False  # whatever becomes of this: what tripped must not be committed
        self._say.warning("%s Publishing stops; commit %d serves again.", trip.message, good)
        try:
            self._chain.append(
                "freeze", by=self._by, reason=f"{trip.code}: {trip.message}", offset=self.offset, totals=self._totals,
                rows=self._chain.state(good).rows, full=True, to=good,
                failed=self._failed, record=self._mark(),
            )  # fmt: skip
        except AlreadyExists:  # it is learned again on top of what was written, and judged again
            hold_alone(self._chain.refresh())

    def _resumes(self, frozen: Commit) -> bool:
        """Goes on by itself, where a rule says so."""
        if not is_of_guard(frozen.reason, frozen.to):
            return False
        stopped = datetime.fromisoformat(frozen.time)
        wait = self._guard_config.pause(stopped, self._chain.stops)
        if wait is None or datetime.now(UTC) - stopped < wait:
            return False
        minutes = wait.total_seconds() / 60
        last, why = self._chain.commits[-1], f"resumed by rule, {minutes:g} minutes after it was stopped"
        try:
            self._chain.append(
                "resume", by=self._by, reason=why, offset=last.offset, totals=last.totals, resumes=last.resumes,
                record=last.record,
            )  # fmt: skip
        except AlreadyExists:  # somebody decided, or learns, at this moment
            hold_alone(self._chain.refresh())
        self.catch_up()
        return self._chain.frozen is None

    def _skip_gap(self, begin: int) -> None:
        if begin <= self.offset:
            return
        lost = begin - self.offset
        if not self._skip_gaps:
            raise LogGap(
                f"The event log was trimmed up to record {begin}, and {lost} of its records were not learned from. To go on "
                "with what is left, and count them as lost: run `shoploop online learn` with --skip-gaps once."
            )
        self._say.warning("%d records of the event log were trimmed before they were learned from.", lost)
        self._totals += Totals(lost=lost)
        self.offset, self._record = begin, None

    def _last_totals(self) -> Totals:
        return self._chain.commits[-1].totals if self._chain.commits else Totals()
