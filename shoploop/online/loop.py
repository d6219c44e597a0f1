"""From the event log to the chain: reads, joins, learns, judges, commits.

What is learned depends on the records and their order alone; the clock decides only when a commit is written. A batch holds
the examples of BATCH offsets, or of BATCH_SECONDS by the log's own time where these come more slowly. What is committed amid
a batch is what its examples so far would make of it, and they are learned again together with the rest. Who starts again
reads the rows as they were where the batch of the last commit began, and the records before that once more to know which
answers wait for feedback; these teach nothing a second time. So each event counts once, whenever the learner is killed.
"""

import logging
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

import numpy as np

from shoploop.errors import AlreadyExists, ShoploopError, StoreError
from shoploop.events.fresh import Recent
from shoploop.events.log import EventLog, LogUnavailable
from shoploop.events.messages import Again, Kept, Message, Shown
from shoploop.features.log import Float32, Int32
from shoploop.online.chain import FAILED_KEPT, SNAPSHOT_EVERY, Chain, Commit, Standing, Totals, hold_alone
from shoploop.online.credit import Credit
from shoploop.online.encoding import States, encoded
from shoploop.online.golden import Golden, golden_requests
from shoploop.online.guardrails import Guard, GuardConfig, Trip, is_of_guard
from shoploop.online.joiner import Example, Joiner
from shoploop.online.learner import ItemLearner, LearnerConfig
from shoploop.online.limits import LimitConfig, Limits
from shoploop.online.rows import hold_same_optimizer
from shoploop.online.weighing import Weigh, alike
from shoploop.ranking.states import Asked

BATCH = 512
"""Offsets whose examples are learned in one step at most."""

BATCH_SECONDS = timedelta(seconds=1)
"""From the first to the last record of a batch at most, as the records have it."""

ENCODED = 512
"""Examples of a batch whose users are encoded together: all of them, since a pass of the encoder costs more than its rows."""

READ = 2_048
"""Records that are read at once."""

MOST_UNPUBLISHED = 50_000
"""Examples; with as many a commit does not wait for its time."""


@dataclass
class _Batch:
    """What can be learned of the records since the last batch ended."""

    examples: list[Example] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    """Of what was chosen."""

    asked: list[Asked] = field(default_factory=list)
    """Who chose each, as they were then."""

    began: datetime | None = None
    """Time of its first record."""

    states: list[Float32] = field(default_factory=list)
    """h_u of whole groups of them, the first ones."""


class Model(Protocol):
    """What is used of a :class:`shoploop.ranking.ranker.Ranker`."""

    @property
    def known_items(self) -> tuple[str, ...]:
        """In the order of their codes."""

    def items(self) -> tuple[Float32, Float32]:
        """w_i and b_i as they were trained."""

    def shares(self) -> Float32:
        """Of each item, in what was sold."""

    def user_states(self) -> States:
        """Who encodes users."""


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
        self._learner = ItemLearner(*ranker.items(), learner or LearnerConfig())
        self._states = ranker.user_states()
        self._width = self._learner.vectors_ID.shape[1]
        self._guard_config = guard or GuardConfig()
        self.numbers: dict[str, float] = {}
        """Of each guardrail what it found last, by its code; what was not found yet is missing."""

        self._guard = Guard(self._guard_config, numbers=self.numbers)
        self._golden: Golden | None = None
        self._limit_config = limits or LimitConfig()
        self._shares_I = ranker.shares()
        self._code = {item: code for code, item in enumerate(ranker.known_items)}
        self._weigh = weigh
        self._skip_gaps = skip_gaps
        self._by = by or f"learner on {socket.gethostname()}"
        self._beside = beside
        self._say = logging.getLogger(__name__)
        self._stands = False
        self._failed: tuple[int, ...] = ()
        """Records of batches that ended which could not be learned from, the last ones."""

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
        standing, base = state.resumes, state.base
        if standing.offset < min(begin, state.offset):  # what its batch began with was trimmed, and is in the rows
            standing, base = replace(standing, offset=state.offset, totals=state.totals), state.rows
        elif standing.offset > state.offset:  # of a log that took another's place
            standing = replace(standing, offset=state.offset)
        hold_same_optimizer(base, self._learner.config.optimizer)
        self._learner.reset(base)
        self._guard = Guard(self._guard_config, replace(standing.block), self.numbers)
        self._joiner, self._recent, self._limits = Joiner(), Recent(), Limits(self._shares_I, self._limit_config)
        self._credit = Credit(least=self._limit_config.least_choices, errors=self._limit_config.chance_errors)
        self._batch, self._totals, self._failed = _Batch(), standing.totals, self._chain.failed
        first = self._start if self._start <= state.offset else begin
        self.offset = min(max(first, begin), standing.offset)
        while self.offset < standing.offset:
            self._beat()
            records = self._log.read(self.offset, limit=READ)
            for record in records:
                if record.offset <= standing.offset:
                    message = self._joiner.read(record)
                    if self._is_of_another_batch(record.offset, message):
                        self._judge_batch()
                    self._take(record.offset, message, learn=False)
            if not records or records[-1].offset >= standing.offset:
                self.offset = standing.offset  # a log may have no record of that number
        self._judge_batch()
        self._totals = standing.totals
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
            self._stands = self._stands and self._log.end() >= self.offset
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
        if records and records[0].offset > self.offset + 1:
            self._skip_gap(self._log.begin())
        for number, record in enumerate(records):
            message = self._joiner.read(record)
            if self._is_of_another_batch(record.offset, message) and (trip := self._end_batch()):
                self._freeze(trip)
                return number
            self._take(record.offset, message)
        return len(records)

    def publish(self) -> Commit | None:
        """Commits what was learned since the last commit; None where that was nothing.

        Raises:
            ChainTaken: another learner is at work; what it wrote stands, and this one's is gone.
            StoreUnavailable: ask again; nothing is lost.
        """
        awaited = self._is_awaited()
        if not self._stands or self._chain.frozen is not None or (self._published == self.offset and not awaited):
            return None
        finite, rows = self._learner.is_finite(), self._learner.touched()
        standing, self._stands = self._standing, False  # until it is written: what was touched is known once
        before, guard = self._totals, self._guard
        self._guard = Guard(self._guard_config, replace(guard.block), self.numbers)
        with self._learner.tentatively():
            trip = self._learn_batch()
            finite = finite and self._learner.is_finite()
            ahead = self._learner.touched()
            touched = np.union1d(rows.codes_N, ahead.codes_N).astype(np.int32)
            if finite and trip is None and len(touched):
                trip = self._judge_change(touched)
            if trip is None:
                self._learner.goes_out(touched)
        totals, self._totals, self._guard = self._totals, before, guard
        if totals == self._last_totals() and self._failed == self._chain.failed and not awaited:
            self._stands = True
            self._published = self.settled = self.offset
            self._learner.touch(rows.codes_N)
            return None
        if not finite and self._guard_config.finite:
            trip = Trip("not_finite", "What was learned holds NaN or infinity.")
        if trip is not None:
            self._totals = totals
            self._freeze(trip)
            return None
        full = self._chain.head % SNAPSHOT_EVERY == SNAPSHOT_EVERY - 1
        try:
            commit = self._chain.append(
                "learn",
                by=self._by,
                reason=f"{totals.examples - self._last_totals().examples} examples",
                offset=self.offset,
                totals=totals,
                resumes=standing,
                rows=self._chain.state().base.updated(rows) if full else rows,
                ahead=ahead,
                full=full,
                failed=self._failed,
            )
        except AlreadyExists:
            hold_alone(self._chain.refresh())
            return None
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
                waiting = self._totals.examples + len(self._batch.examples) - self._last_totals().examples
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

    def _is_awaited(self) -> bool:
        """Whether all was read here that the version beside has learned from, and no commit says so yet."""
        if self._beside is None or not self._beside.head:
            return False
        there = self._beside.offset_of(self._beside.head)
        return self._chain.offset_of(self._chain.head) < there <= self.offset

    def _is_of_another_batch(self, offset: int, message: Message | None) -> bool:
        """Whether a batch ends before this record: that is for the log alone to say."""
        if offset // BATCH != self.offset // BATCH:
            return True
        if message is None or self._batch.began is None:
            return False
        return _time_of(message) - self._batch.began >= BATCH_SECONDS

    def _take(self, offset: int, message: Message | None, *, learn: bool = True) -> None:
        """One record: joined and remembered, and its examples laid by for the end of the batch."""
        if message is not None and self._batch.began is None:
            self._batch.began = _time_of(message)
        examples = [] if message is None else self._joiner.take(offset, message)
        if isinstance(message, Again) and message.failed and message.of not in self._failed:
            examples = []  # another version's learner failed at it; this one learned it where it first lay
        for example in examples:
            code = self._code.get(example.chosen, -1)
            if code < 0:
                continue
            assert self._joiner.watermark is not None
            allowed = self._limits.allow(example, code, offset=offset, now=self._joiner.watermark)
            if not allowed:
                self._totals = replace(self._totals, capped=self._totals.capped + 1)
                if learn:
                    self._guard.take_capped(1)
                continue
            self._batch.examples.append(example)
            self._batch.codes.append(code)
            self._batch.asked.append(Asked(example.user, self._recent.of(example.user), example.time))
        if isinstance(message, Kept):
            self._recent.add(message)
        if learn and self._joiner.dead:
            self._totals = replace(self._totals, dead_letters=self._totals.dead_letters + len(self._joiner.dead))
            self._guard.take_dead(len(self._joiner.dead))
        self._joiner.dead.clear()
        self.offset = offset

    def _begin_batch(self) -> None:
        self._batch = _Batch()
        self._published = -1
        self._standing = Standing(offset=self.offset, totals=self._totals, block=replace(self._guard.block))

    def _end_batch(self) -> Trip | None:
        """Learns the batch for good."""
        trip = self._learn_batch(for_good=True) or self._guard.judge_letters()
        self._begin_batch()
        return trip

    def _judge_batch(self) -> None:
        """Knows again of a batch that was learned before whose choices were worse than chance."""
        if self._batch.examples and self._limit_config.least_choices is not None:
            self._learn_batch(for_good=True, learn=False)
        self._batch = _Batch()

    def _learn_batch(self, *, for_good: bool = False, learn: bool = True) -> Trip | None:
        """One step of the batch's examples; what tripped on the way, if anything did."""
        examples = self._batch.examples
        if not examples:
            return None
        states_BD = self._encoded()
        finite_B = np.isfinite(states_BD).all(axis=1) | (not self._guard_config.finite)
        kept = np.flatnonzero(finite_B).tolist()
        failed = [examples[number].offset for number in np.flatnonzero(~finite_B)]
        self._totals = replace(self._totals, dead_letters=self._totals.dead_letters + len(failed))
        if learn:
            self._guard.take_dead(len(failed))
        if for_good and learn and failed:
            self._failed = (*self._failed, *failed)[-FAILED_KEPT:]
        users = [examples[number].user for number in kept]
        has_say_B = self._credit.has_say(users)
        losses = self._learner.learn_many(
            states_BD[kept],
            [self._batch.codes[number] for number in kept],
            [self._list(examples[number]) for number in kept],
            [examples[number].offset for number in kept],
            [self._weigh(examples[number]) * say for number, say in zip(kept, has_say_B.tolist(), strict=True)],
            learn=learn,
        )
        if for_good:
            self._credit.count(users, losses.frozen_B, losses.chance_B)
        if not learn:
            return None
        learned_B = np.isfinite(losses.online_B) & has_say_B
        online_B, frozen_B = losses.online_B[learned_B].tolist(), losses.frozen_B[learned_B].tolist()
        self._totals = replace(
            self._totals,
            examples=self._totals.examples + len(online_B),
            capped=self._totals.capped + int((~has_say_B).sum()),
            online_loss=self._totals.online_loss + sum(online_B),
            frozen_loss=self._totals.frozen_loss + sum(frozen_B),
        )
        self._guard.take_capped(int((~has_say_B).sum()))
        trips = self._guard.take_many(losses, learned_B)
        return trips[0] if trips else None

    def _judge_change(self, touched_N: Int32) -> Trip | None:
        """What is to go out, and what it answers to golden requests."""
        if self._golden is None:
            asked = golden_requests(list(self._code), self._shares_I)
            states_GD = encoded(
                self._states, asked, range(len(asked)), width=self._width,
                failed=lambda place: f"Golden request {place} cannot be made.",
            )  # fmt: skip
            self._golden = Golden(states_GD, *self._learner.trained())
        change = self._learner.change(touched_N)
        return self._guard.judge_change(change, self._golden, self._learner.vectors_ID, self._learner.bias_I)

    def _list(self, example: Example) -> list[int] | None:
        if example.among is None:
            return None
        return [code for item in example.among if (code := self._code.get(item, -1)) >= 0]

    def _encoded(self) -> Float32:
        """h_u of the batch's examples; NaN where somebody's cannot be made. Groups that are whole are encoded once."""
        states, asked = self._batch.states, self._batch.asked
        firsts = range(len(states) * ENCODED, len(asked), ENCODED)

        def failed(place: int) -> str:
            # by its offset who may read the log finds whose it is
            return f"Record {self._batch.examples[place].offset} of the event log cannot be learned from."

        groups = (range(first, min(first + ENCODED, len(asked))) for first in firsts)
        found = [encoded(self._states, asked, places, width=self._width, failed=failed) for places in groups]
        states += [states_BD for states_BD in found if len(states_BD) == ENCODED]
        return np.concatenate([*states, *(states_BD for states_BD in found if len(states_BD) < ENCODED)])

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
                failed=self._failed,
            )  # fmt: skip
        except AlreadyExists:  # it is learned again on top of what was written, and judged again
            hold_alone(self._chain.refresh())

    def _resumes(self, frozen: Commit) -> bool:
        """Goes on by itself, where a rule says so: after a while, the longer the more often it was stopped within a day."""
        after = self._guard_config.resume_after_minutes
        if after is None or not is_of_guard(frozen.reason, frozen.to):
            return False
        stopped = datetime.fromisoformat(frozen.time)
        lately = sum(stopped - stop < timedelta(days=1) for stop in self._chain.stops)
        wait = timedelta(minutes=max(after, min(after * 2.0 ** max(lately - 1, 0), 24 * 60)))
        if datetime.now(UTC) - stopped < wait:
            return False
        minutes = wait.total_seconds() / 60
        last, why = self._chain.commits[-1], f"resumed by rule, {minutes:g} minutes after it was stopped"
        try:
            self._chain.append(
                "resume", by=self._by, reason=why, offset=last.offset, totals=last.totals, resumes=last.resumes
            )
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
        self._totals = replace(self._totals, lost=self._totals.lost + lost)
        self.offset = begin

    def _last_totals(self) -> Totals:
        return self._chain.commits[-1].totals if self._chain.commits else Totals()


def _time_of(message: Message) -> datetime:
    if isinstance(message, Shown):
        return message.time
    return (message.event if isinstance(message, Again) else message).received
