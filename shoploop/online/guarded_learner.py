"""A learner that is watched: whose choices may teach, what a batch teaches, and what must hold before that goes out.

It reads no log and writes no chain: who asks it says where a batch ends, and what becomes of what tripped.

Legend: B examples of a batch, G golden requests, N items that were touched, D width.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from shoploop.events.fresh import Table
from shoploop.features.log import Float32, Int32
from shoploop.online.chain import Totals
from shoploop.online.credit import Credit
from shoploop.online.encoding import States, encoded
from shoploop.online.golden import Golden, golden_requests
from shoploop.online.guardrails import Block, Guard, GuardConfig, Trip
from shoploop.online.intake import Batch
from shoploop.online.learner import BatchLosses, Bool, ItemLearner, LearnerConfig
from shoploop.online.limits import LimitConfig
from shoploop.online.rows import Rows, hold_same_optimizer
from shoploop.online.weighing import Weigh


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


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What a batch came to."""

    totals: Totals = field(default_factory=Totals)
    """Of its examples alone."""

    failed: tuple[int, ...] = ()
    """Offsets of those whose users could not be encoded."""

    trip: Trip | None = None


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What may go out, unless something tripped."""

    rows: Rows
    """Those that changed since the last offer, as they were when the open batch began."""

    ahead: Rows
    """Those that the open batch's examples would change."""

    totals: Totals
    """Of these examples alone."""

    trip: Trip | None


@dataclass(frozen=True, kw_only=True)
class _Predicted:
    """A batch, before it was learned."""

    users: list[str]
    """Of the B examples whose users could be encoded."""

    failed: tuple[int, ...]
    """Offsets of the others."""

    has_say_B: Bool
    losses: BatchLosses


class GuardedLearner:
    """Of one version; :meth:`reset` says from where it goes on."""

    def __init__(self, model: Model, *, learner: LearnerConfig, guard: GuardConfig, limits: LimitConfig, weigh: Weigh):
        """
        Args:
            model: The version, as it was packaged.
            learner: How fast, and how far.
            guard: What must hold.
            limits: After which choices a user teaches nothing.
            weigh: How much each event counts.
        """
        self.numbers: dict[str, float] = {}
        """Of each guardrail what it found last, by its code; what was not found yet is missing."""

        self._known_items, self._shares_I = model.known_items, model.shares()
        self._learner = ItemLearner(*model.items(), learner)
        self._width = self._learner.vectors_ID.shape[1]
        self._states = model.user_states()
        self._guard_config, self._limit_config = guard, limits
        self._weigh = weigh
        self._golden: Golden | None = None
        self._guard: Guard
        self._credit: Credit
        self._begin(Block())

    def reset(self, rows: Rows, block: Block) -> None:
        """Forgets what was learned, and goes on from here.

        Args:
            rows: Over what was trained.
            block: What guardrails had counted.

        Raises:
            OptimizerChanged: another one has learned the rows.
        """
        hold_same_optimizer(rows, self._learner.config.optimizer)
        self._learner.reset(rows)
        self._begin(block)

    def forget(self, users: Collection[str]) -> None:
        """Remembers nothing of these users any more."""
        self._credit.forget(users)

    def table(self) -> Table:
        """Of each user who is remembered, how good their choices were."""
        return self._credit.table()

    def take_up(self, table: Table) -> None:
        """Remembers what :meth:`table` told, and nothing else of users."""
        self._credit.take_up(table)

    @property
    def block(self) -> Block:
        """What guardrails have counted by now."""
        return replace(self._guard.block)

    def count(self, *, capped: int, dead: int) -> None:
        """Has guardrails count records that teach nothing, since somebody had their share, or since nothing can."""
        self._guard.take_capped(capped)
        self._guard.take_dead(dead)

    def learn(self, batch: Batch) -> Learned:
        """One step of a batch that has ended; whatever trips.

        Raises:
            LogUnavailable, StoreError: nothing was learned; ask again.
        """
        learned = Learned()
        if batch.examples:
            predicted = self._predict(batch, learn=True)
            self._remember(predicted)
            learned = self._judge(predicted)
        return replace(learned, trip=learned.trip or self._guard.judge_letters())

    def judge_again(self, batch: Batch) -> None:
        """Knows again of a batch that was learned before whose choices were worse than chance."""
        if batch.examples and self._limit_config.least_choices is not None:
            self._remember(self._predict(batch, learn=False))

    def offer(self, batch: Batch) -> Offer:
        """What was learned since the last offer, and what the examples of an open batch would make of it: those are learned
        and taken back again.

        Raises:
            LogUnavailable, StoreError: what was touched is no longer known; it has to be reset.
        """
        finite, rows = self._learner.is_finite(), self._learner.touched()
        guard = self._guard
        self._guard = self._guard_from(guard.block)
        with self._learner.tentatively():
            learned = self._judge(self._predict(batch, learn=True)) if batch.examples else Learned()
            trip = learned.trip
            finite = finite and self._learner.is_finite()
            ahead = self._learner.touched()
            touched_N = np.union1d(rows.codes_N, ahead.codes_N).astype(np.int32)
            if finite and trip is None and len(touched_N):
                trip = self._judge_change(touched_N)
            if trip is None:
                self._learner.goes_out(touched_N)
        self._guard = guard
        if not finite and self._guard_config.finite:
            trip = Trip("not_finite", "What was learned holds NaN or infinity.")
        return Offer(rows=rows, ahead=ahead, totals=learned.totals, trip=trip)

    def take_back(self, offer: Offer) -> None:
        """Has the next offer hold these rows again: nobody took them."""
        self._learner.touch(offer.rows.codes_N)

    def _begin(self, block: Block) -> None:
        limits = self._limit_config
        self._guard = self._guard_from(block)
        self._credit = Credit(least=limits.least_choices, errors=limits.chance_errors)

    def _guard_from(self, block: Block) -> Guard:
        return Guard(self._guard_config, replace(block), self.numbers)

    def _predict(self, batch: Batch, *, learn: bool) -> _Predicted:
        """How surprising each example is; then one step of all of them, if they are to be learned."""
        examples = batch.examples
        states_BD = batch.encoded(self._states, width=self._width)
        finite_B = np.isfinite(states_BD).all(axis=1) | (not self._guard_config.finite)
        kept = np.flatnonzero(finite_B).tolist()
        users = [examples[number].user for number in kept]
        has_say_B = self._credit.has_say(users)
        losses = self._learner.learn_many(
            states_BD[kept],
            [batch.codes[number] for number in kept],
            [batch.among[number] for number in kept],
            [examples[number].offset for number in kept],
            [self._weigh(examples[number]) * say for number, say in zip(kept, has_say_B.tolist(), strict=True)],
            learn=learn,
        )
        failed = tuple(examples[number].offset for number in np.flatnonzero(~finite_B))
        return _Predicted(users=users, failed=failed, has_say_B=has_say_B, losses=losses)

    def _remember(self, predicted: _Predicted) -> None:
        """How good the choices of each user were."""
        self._credit.count(predicted.users, predicted.losses.frozen_B, predicted.losses.chance_B)

    def _judge(self, predicted: _Predicted) -> Learned:
        """What shoppers did, against what was learned before they did it."""
        losses, failed = predicted.losses, predicted.failed
        learned_B = np.isfinite(losses.online_B) & predicted.has_say_B
        online_B, frozen_B = losses.online_B[learned_B].tolist(), losses.frozen_B[learned_B].tolist()
        capped = int((~predicted.has_say_B).sum())
        self.count(capped=capped, dead=len(failed))
        trips = self._guard.take_many(losses, learned_B)
        totals = Totals(
            examples=len(online_B),
            online_loss=sum(online_B),
            frozen_loss=sum(frozen_B),
            dead_letters=len(failed),
            capped=capped,
        )
        return Learned(totals=totals, failed=failed, trip=trips[0] if trips else None)

    def _judge_change(self, touched_N: Int32) -> Trip | None:
        """What is to go out, and what it answers to golden requests."""
        if self._golden is None:
            asked = golden_requests(self._known_items, self._shares_I)
            states_GD = encoded(
                self._states, asked, range(len(asked)), width=self._width,
                failed=lambda place: f"Golden request {place} cannot be made.",
            )  # fmt: skip
            self._golden = Golden(states_GD, *self._learner.trained())
        change = self._learner.change(touched_N)
        return self._guard.judge_change(change, self._golden, self._learner.vectors_ID, self._learner.bias_I)
