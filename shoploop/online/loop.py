"""From the event log to the chain: reads, joins, learns, judges, commits.

What is learned depends on the records and their order alone; the clock decides only when a commit is written. Who starts
again reads the rows of the last commit, and the records before it once more to know which answers wait for feedback; these
teach nothing a second time. So each event counts once, whenever the learner is killed.
"""

import logging
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from shoploop.errors import AlreadyExists, ShoploopError, StoreError
from shoploop.events.fresh import Recent
from shoploop.events.log import EventLog, LogUnavailable, Record
from shoploop.events.messages import Kept
from shoploop.online.chain import SNAPSHOT_EVERY, Chain, Commit, Totals, hold_alone
from shoploop.online.guardrails import Guard, GuardConfig, Trip
from shoploop.online.joiner import Example, Joiner
from shoploop.online.learner import ItemLearner, LearnerConfig
from shoploop.ranking.ranker import Ranker

BATCH = 500
"""Records that are read at once."""

SHARE_OF = 1_000
SHARE = 20
"""Of so many records one user teaches at most so many examples."""


class LogGap(ShoploopError):
    """Events that should have been learned from are no longer in the log."""


class OnlineLoop:
    """One learner of one version."""

    def __init__(
        self,
        *,
        ranker: Ranker,
        log: EventLog,
        chain: Chain,
        start: int = 0,
        learner: LearnerConfig | None = None,
        guard: GuardConfig | None = None,
        skip_gaps: bool = False,
        by: str | None = None,
    ):
        """
        Args:
            ranker: The version, as it was packaged.
            log: What shoppers did.
            chain: Of that version.
            start: Offset of the last record that the version was trained on.
            learner: How fast, and how far.
            guard: What must hold.
            skip_gaps: Go on where the log was trimmed behind what was read, with the oldest that is left.
            by: Who learns, in the chain.
        """
        self.offset = start
        self._ranker = ranker
        self._log = log
        self._chain = chain
        self._start = start
        self._learner = ItemLearner(*ranker.items(), learner or LearnerConfig())
        self._guard_config = guard or GuardConfig()
        self._skip_gaps = skip_gaps
        self._by = by or f"learner on {socket.gethostname()}"
        self._say = logging.getLogger(__name__)
        self._stands = False
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
        self._learner.reset(state.rows)
        self._totals = state.totals
        self._guard = Guard(self._guard_config, replace(state.block))
        self._joiner, self._recent, self._shares = Joiner(), Recent(), Counter[tuple[int, str]]()
        first = self._start if self._start <= state.offset else begin  # of a log that took another's place
        self.offset = min(max(first, begin), state.offset)
        while self.offset < state.offset:
            records = self._log.read(self.offset, limit=BATCH)
            for record in records:
                if record.offset <= state.offset:
                    self._take(record, learn=False)
            if not records or records[-1].offset >= state.offset:
                self.offset = state.offset  # a log may have no record of that number
        self._skip_gap(begin)
        self._stands = True

    def step(self, *, wait_seconds: float = 0.0) -> int:
        """Takes up what others wrote into the chain, then reads and learns what is new; returns how many records that was.

        Raises:
            ChainTaken: another learner is at work.
            LogGap: the log was trimmed behind what was read.
            LogUnavailable, StoreUnavailable: ask again.
        """
        if not self._stands:
            self.catch_up()
        if new := self._chain.refresh():
            hold_alone(new)
            if any(commit.action in ("rollback", "freeze", "resume") for commit in new):
                self.catch_up()
        if self._chain.frozen is not None:
            time.sleep(wait_seconds)
            return 0
        records = self._log.read(self.offset, limit=BATCH, wait_seconds=wait_seconds)
        if records and records[0].offset > self.offset + 1:
            self._skip_gap(self._log.begin())
        for number, record in enumerate(records):
            if trip := self._take(record):
                self._freeze(trip)
                return number + 1
        return len(records)

    def publish(self) -> Commit | None:
        """Commits what was learned since the last commit; None where that was nothing.

        Raises:
            ChainTaken: another learner is at work; what it wrote stands, and this one's is gone.
            StoreUnavailable: ask again; nothing is lost.
        """
        if not self._stands or self._totals == self._last_totals() or self._chain.frozen is not None:
            return None
        if not self._learner.is_finite():
            self._freeze(Trip("not_finite", "What was learned holds NaN or infinity."))
            return None
        learned = self._totals.examples - self._last_totals().examples
        self._stands = False  # until it is written: what was touched is known once
        rows = self._learner.touched()
        full = self._chain.head % SNAPSHOT_EVERY == SNAPSHOT_EVERY - 1
        if full:
            rows = self._chain.state().rows.updated(rows)
        try:
            commit = self._chain.append(
                "learn",
                by=self._by,
                reason=f"{learned} examples",
                offset=self.offset,
                totals=self._totals,
                block=self._guard.block,
                rows=rows,
                full=full,
            )
        except AlreadyExists:
            hold_alone(self._chain.refresh())
            return None
        self._stands = True
        return commit

    def run(self, *, period_seconds: float, until: Callable[[], bool]) -> None:
        """Learns until it is told to end; commits what it has before it does.

        Args:
            period_seconds: Between two commits at least.
            until: Whether to end.

        Raises:
            ChainTaken, LogGap: see :meth:`step`.
        """
        self._patiently(self.catch_up, until)
        last = time.monotonic()
        while not until():
            self._patiently(lambda: self.step(wait_seconds=min(0.25, period_seconds)), until)
            if time.monotonic() - last >= period_seconds:
                self._patiently(self.publish, until)
                last = time.monotonic()
        self.publish()

    def _patiently(self, what: Callable[[], object], until: Callable[[], bool]) -> None:
        """Until it is done: a log or a store that is away comes back."""
        told = ""
        while not until():
            try:
                what()
                return
            except (LogUnavailable, StoreError) as error:
                if str(error) != told:
                    told = str(error)
                    self._say.warning("%s Nothing is learned until it is back.", error)
                time.sleep(1.0)

    def _take(self, record: Record, *, learn: bool = True) -> Trip | None:
        """One record: joined, learned from, remembered."""
        trip = None
        message, examples = self._joiner.read(record)
        for example in examples:
            capped = self._has_had_its_share(record.offset, example.user)
            if not learn:
                continue
            if capped:
                self._totals = replace(self._totals, capped=self._totals.capped + 1)
                continue
            trip = self._learn(example) or trip
        if isinstance(message, Kept):
            self._recent.add(message)
        if learn:
            self._totals = replace(self._totals, dead_letters=self._totals.dead_letters + len(self._joiner.dead))
        self._joiner.dead.clear()
        self.offset = record.offset
        return trip

    def _learn(self, example: Example) -> Trip | None:
        try:
            [chosen] = self._ranker.encode([example.chosen]).tolist()
            among = (
                None if example.among is None else [c for c in self._ranker.encode(example.among).tolist() if c >= 0]
            )
            if chosen < 0:
                return None
            state_D = self._ranker.user_state(example.user, fresh=self._recent.of(example.user), now=example.time)
            losses = self._learner.learn_one(state_D, chosen, among, offset=example.offset)
        except Exception:  # one event must not stop all that come after it
            self._say.exception("Record %d of the event log cannot be learned from.", example.offset)
            self._joiner.bury(example.offset, "failed", "")
            return None
        if losses is None:
            return None
        self._totals = replace(
            self._totals,
            examples=self._totals.examples + 1,
            online_loss=self._totals.online_loss + losses.online,
            frozen_loss=self._totals.frozen_loss + losses.frozen,
        )
        return self._guard.take(losses)

    def _has_had_its_share(self, offset: int, user: str) -> bool:
        period = offset // SHARE_OF
        if self._shares and next(iter(self._shares))[0] != period:
            self._shares.clear()
        self._shares[period, user] += 1
        return self._shares[period, user] > SHARE

    def _freeze(self, trip: Trip) -> None:
        """Goes back to what was learned before the block that tripped, and stops."""
        before = self._totals.examples - self._guard_config.block
        good = next((c.number for c in reversed(self._chain.commits) if c.totals.examples <= before), 0)
        self._stands = False  # whatever becomes of this: what tripped must not be committed
        self._say.warning("%s Publishing stops; commit %d serves again.", trip.message, good)
        try:
            self._chain.append(
                "freeze", by=self._by, reason=f"{trip.code}: {trip.message}", offset=self.offset, totals=self._totals,
                block=Guard(self._guard_config).block, rows=self._chain.state(good).rows, full=True, to=good,
            )  # fmt: skip
        except AlreadyExists:  # it is learned again on top of what was written, and judged again
            hold_alone(self._chain.refresh())

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
        self._totals = replace(self._totals, lost=self._totals.lost + lost)  # and so the next commit begins behind them
        self.offset = begin

    def _last_totals(self) -> Totals:
        return self._chain.commits[-1].totals if self._chain.commits else Totals()
