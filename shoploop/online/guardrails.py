"""What must hold before a commit goes out; what does not freezes publishing until somebody, or a rule, resumes it.

Some are judged on what shoppers do, by blocks of examples, each predicted before it is learned: surprise, order (AUC),
calibration, and how many records nothing could be learned from. That is a function of the log alone. The others are judged on
what is about to go out: whether it is finite and of the model's shape, how far it has moved, and what it answers to requests
that are always the same.

Legend: I items, D width.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

import numpy as np

from shoploop.api.online import GuardrailsSpec
from shoploop.features.log import Float32
from shoploop.online.golden import Golden
from shoploop.online.learner import BatchLosses, Bool, Change, Losses

Code = Literal[
    "not_finite",
    "wrong_shape",
    "progressive_loss",
    "progressive_auc",
    "calibration",
    "row_change",
    "change",
    "score_drift",
    "top10_overlap",
    "dead_letters",
]
CODES: tuple[Code, ...] = get_args(Code)

FEWEST_ITEMS = 100
"""Of fewer, golden requests say nothing: each score is a bin of its own, and ten answers are most of the shop."""


@dataclass(frozen=True, kw_only=True)
class GuardConfig:
    """The numbers of ``spec.online.guardrails``, where they are explained."""

    block: int = 200
    """Examples that are judged together."""

    max_loss_excess: float = 0.1
    """Nats by which what is learned may be more surprised than what was trained, on average over a block."""

    max_auc_loss: float = 0.05
    max_calibration_excess: float = 0.2
    errors: float = 3.0
    """Standard errors of the mean that each of these must be above zero, too."""

    max_dead_letter_share: float = 0.9
    max_row_change: float = 2.0
    max_change: float = 0.9
    max_score_drift: float = 1.0
    min_top10_overlap: float = 0.02
    resume_after_minutes: float | None = None

    finite: bool = True
    """NaN and infinity are learned from by nobody, and published by nobody. Off: to measure what that is good for."""

    @classmethod
    def of(cls, spec: GuardrailsSpec) -> "GuardConfig":
        """What a spec asks for."""
        return cls(
            block=spec.block,
            max_loss_excess=spec.max_loss_excess,
            max_auc_loss=spec.max_auc_loss,
            max_calibration_excess=spec.max_calibration_excess,
            max_dead_letter_share=spec.max_dead_letter_share,
            max_row_change=spec.max_row_change,
            max_change=spec.max_change,
            max_score_drift=spec.max_score_drift,
            min_top10_overlap=spec.min_top10_overlap,
            resume_after_minutes=spec.resume_after_minutes,
        )

    def pause(self, stopped: datetime, stops: Iterable[datetime]) -> timedelta | None:
        """After how long it goes on by itself: twice as long for each stop before within a day. None: when somebody says so.

        Args:
            stopped: When it was.
            stops: The times at which it was, this one too.
        """
        after = self.resume_after_minutes
        if after is None:
            return None
        lately = sum(stopped - stop < timedelta(days=1) for stop in stops)
        return timedelta(minutes=max(after, min(after * 2.0 ** max(lately - 1, 0), 24 * 60)))


NO_GUARD = GuardConfig(
    max_loss_excess=float("inf"),
    max_auc_loss=float("inf"),
    max_calibration_excess=float("inf"),
    max_dead_letter_share=1.0,
    max_row_change=float("inf"),
    max_change=float("inf"),
    max_score_drift=float("inf"),
    min_top10_overlap=0.0,
)
"""Only what is not finite, or of another shape, is held back: for who measures what cannot be learned from."""


@dataclass(frozen=True)
class Trip:
    """Why nothing more goes out."""

    code: Code
    message: str


def is_of_guard(reason: str, to: int | None) -> bool:
    """Whether a guardrail froze a chain: it names the commit that serves again, which nobody else's freeze does."""
    return to is not None and reason.partition(":")[0] in CODES


@dataclass
class Block:
    """Sums over the examples of the block that is not whole yet; a commit holds them.

    Sums and sums of squares of each difference between what is learned and what was trained.
    """

    examples: int = 0
    excess: float = 0.0
    squares: float = 0.0
    auc: float = 0.0
    auc_squares: float = 0.0
    sureness: float = 0.0
    """Of what is learned: the chance that it gives to its first choice, less 1 where that was chosen."""

    sureness_squares: float = 0.0
    frozen_sureness: float = 0.0
    letters: int = 0
    """Records that something should have been learned from since such records were judged last."""

    dead: int = 0
    """Of them, those of which nothing could be."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Guard:
    """Holds the online model against the frozen one: on each example before it is learned, and on what is to go out."""

    def __init__(
        self,
        config: GuardConfig = GuardConfig(),
        block: Block | None = None,
        numbers: dict[str, float] | None = None,
    ):
        """
        Args:
            config: What must hold.
            block: What was counted already.
            numbers: Where it is written what each guardrail found last, by its code.
        """
        self.config = config
        self.block = block or Block()
        self.numbers = {} if numbers is None else numbers

    def take(self, losses: Losses) -> Trip | None:
        """Counts one example; where a block is whole, judges it and begins another."""
        return self._take(
            losses.online - losses.frozen,
            losses.frozen_auc - losses.online_auc,
            losses.online_sureness,
            losses.frozen_sureness,
        )

    def take_many(self, losses: BatchLosses, learned_B: Bool) -> list[Trip]:
        """Counts those of a batch that were learned, one after the other as :meth:`take`; whatever trips."""
        online_N, frozen_N, auc_N, frozen_auc_N, sureness_N, frozen_sureness_N = (
            of_B[learned_B].astype(np.float64)
            for of_B in (
                losses.online_B, losses.frozen_B, losses.online_auc_B, losses.frozen_auc_B,
                losses.online_sureness_B, losses.frozen_sureness_B,
            )
        )  # fmt: skip
        columns = online_N - frozen_N, frozen_auc_N - auc_N, sureness_N, frozen_sureness_N
        return [trip for each in zip(*(of_N.tolist() for of_N in columns), strict=True) if (trip := self._take(*each))]

    def take_dead(self, records: int) -> None:
        """Counts records that nothing can be learned from; :meth:`judge_letters` judges them."""
        self.block.letters += records
        self.block.dead += records

    def take_capped(self, records: int) -> None:
        """Counts records that could be learned from and were not, since somebody or something had had its share."""
        self.block.letters += records

    def judge_letters(self) -> Trip | None:
        """Judges how many records nothing could be learned from, where as many as a block were seen."""
        block = self.block
        if block.letters < self.config.block:
            return None
        share = self.numbers["dead_letters"] = block.dead / block.letters
        letters, block.letters, block.dead = block.letters, 0, 0
        if share <= self.config.max_dead_letter_share:
            return None
        return Trip(
            "dead_letters",
            f"Of the last {letters} records that something should be learned from, {share:.0%} are dead letters "
            f"({self.config.max_dead_letter_share:.0%} are allowed); `shoploop online deadletters` shows them.",
        )

    def judge_change(self, change: Change, golden: Golden, vectors_ID: Float32, bias_I: Float32) -> Trip | None:
        """Judges what is about to go out.

        Args:
            change: How far it has moved.
            golden: What it is asked.
            vectors_ID, bias_I: All of it.
        """
        config, found = self.config, self.numbers
        if not change.fits:
            return Trip("wrong_shape", "What was learned is not of the shape of the model that it was learned for.")
        found["row_change"], found["change"] = change.row, change.all
        if not change.row <= config.max_row_change:
            return Trip(
                "row_change",
                f"Since the last commit an item has moved by {change.row:.2f} of the mean length of the trained vectors "
                f"({config.max_row_change:g} are allowed).",
            )
        if not change.all <= config.max_change:
            return Trip(
                "change",
                f"All items together have moved by {change.all:.2f} of the mean length of the trained vectors, as the root "
                f"of the mean square ({config.max_change:g} are allowed).",
            )
        if len(bias_I) < FEWEST_ITEMS or (config.max_score_drift == float("inf") and config.min_top10_overlap <= 0):
            return None
        if golden.is_empty:
            return Trip(
                "score_drift",
                "No golden request can be made, so nobody knows what would be answered; the learner's log says why. Mend "
                "that, or serve another version.",
            )
        drift, overlap = found["score_drift"], found["top10_overlap"] = golden.look(vectors_ID, bias_I)
        if not drift <= config.max_score_drift:
            return Trip(
                "score_drift",
                f"Scores of the golden requests have drifted from those that were trained by a population stability index "
                f"of {drift:.2f} ({config.max_score_drift:g} is allowed).",
            )
        if overlap < config.min_top10_overlap:
            return Trip(
                "top10_overlap",
                f"Of the first ten answers to the golden requests {overlap:.0%} are those of the model as it was trained "
                f"({config.min_top10_overlap:.0%} are needed).",
            )
        return None

    def _take(self, excess: float, auc: float, sureness: float, frozen_sureness: float) -> Trip | None:
        block = self.block
        block.examples += 1
        block.letters += 1
        block.excess += excess
        block.squares += excess * excess
        block.auc += auc
        block.auc_squares += auc * auc
        block.sureness += sureness
        block.sureness_squares += sureness * sureness
        block.frozen_sureness += frozen_sureness
        if block.examples < self.config.block:
            return None
        self.block = Block(letters=block.letters, dead=block.dead)
        return self._judged(block)

    def _judged(self, block: Block) -> Trip | None:
        """What a whole block shows."""
        config, count = self.config, block.examples
        loss, loss_error = _mean(block.excess, block.squares, count)
        auc, auc_error = _mean(block.auc, block.auc_squares, count)
        sure, sure_error = _mean(block.sureness, block.sureness_squares, count)
        calibration = abs(sure) - abs(block.frozen_sureness / count)
        self.numbers |= {"progressive_loss": loss, "progressive_auc": auc, "calibration": calibration}

        def shown(excess: float, error: float, most: float) -> bool:
            return excess > most and excess > config.errors * error

        if shown(loss, loss_error, config.max_loss_excess):
            return Trip(
                "progressive_loss",
                f"On the last {count} examples what was learned is more surprised than what was trained, by {loss:.3f} nats "
                f"(standard error {loss_error:.3f}; {config.max_loss_excess} are allowed).",
            )
        if shown(auc, auc_error, config.max_auc_loss):
            return Trip(
                "progressive_auc",
                f"On the last {count} examples what was learned puts what was chosen before the rest less often than what "
                f"was trained: its AUC is lower by {auc:.3f} (standard error {auc_error:.3f}; {config.max_auc_loss} are "
                "allowed).",
            )
        if shown(calibration, sure_error, config.max_calibration_excess):
            return Trip(
                "calibration",
                f"On the last {count} examples the chance that what was learned gives to its first choice is off by "
                f"{calibration:.3f} more than that of what was trained (standard error {sure_error:.3f}; "
                f"{config.max_calibration_excess} are allowed).",
            )
        return None


def _mean(total: float, squares: float, count: int) -> tuple[float, float]:
    """A mean, and its standard error."""
    mean = total / count
    return mean, float((max(squares / count - mean * mean, 0.0) / count) ** 0.5)
