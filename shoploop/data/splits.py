"""Which days are learned from and which are evaluated on: what is evaluated lies after what was learned.

Days that the spec does not name are chosen from the log, so that both hold enough (docs/decisions/0006).
"""

from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic.alias_generators import to_camel

from shoploop.api.v1alpha1 import TrainingSpec
from shoploop.errors import TooFewEvents

EVALUATION_DAYS, TRAINING_DAYS = 14, 42
"""What is chosen where the log allows it: two whole weeks tell every weekday twice, six weeks before them are the shop as it
is now."""

LONGEST_EVALUATION, LONGEST_TRAINING = 365, 3650
"""What the spec allows, too."""

WANTED_USERS = 300
"""Users with a visit in the days of evaluation: with fewer, a gain of a tenth is not told from chance. Half of all users are
enough where that is less."""

WANTED_VISITS = 2_000
"""Visits to learn from: the model needs about so many to be better than what it is compared with."""

SESSION_VISITS = 3_000
"""Visits to learn from in a log of sessions, where nobody has habits: the latest, as many as a run learns from at most, so
that what is known of items is as fresh for them as it is for who is served."""

EVALUATION_SHARE, HISTORY_SHARE = 1 / 4, 1 / 3
"""Of the visits: at most a quarter is evaluated on, and of those before them the first third is never a label, for a visit
without history says nothing about habits. The first day of the log is history whatever it holds: nothing is known before."""

FEWEST_TRAINING, FEWEST_EVALUATION = 20, 10
"""Visits to learn from and users to evaluate on below which nothing is trained."""

Days = npt.NDArray[np.integer]


@dataclass(frozen=True, kw_only=True)
class TimeSplit:
    """Days since 1970-01-01 (UTC)."""

    training_first: int
    evaluation_first: int
    last: int
    """Last day of the data."""

    why: str = ""
    """A sentence on how the days came about."""

    @classmethod
    def of(cls, last_day: int, training: TrainingSpec) -> "TimeSplit":
        """The spec's days, or the usual ones where it names none, whatever the log holds."""
        evaluation_first = last_day - (training.evaluation_days or EVALUATION_DAYS) + 1
        return cls(
            training_first=evaluation_first - (training.training_days or TRAINING_DAYS),
            evaluation_first=evaluation_first,
            last=last_day,
        )

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "TimeSplit":
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def serving(self) -> int:
        """The first day that the data does not cover: a predictor's earliest request."""
        return self.last + 1

    def report(self) -> dict[str, Any]:
        """As reports of steps hold it: days as people write them."""
        return {
            "training_days": self.evaluation_first - self.training_first,
            "training": [_iso(self.training_first), _iso(self.evaluation_first - 1)],
            "evaluation_days": self.last - self.evaluation_first + 1,
            "evaluation": [_iso(self.evaluation_first), _iso(self.last)],
            "why": self.why,
        }


def choose_split(user_V: Days, day_V: Days, *, last: int, training: TrainingSpec, sessions: bool = False) -> TimeSplit:
    """The days to learn from and to evaluate on: the spec's where it names them, others by what the log holds.

    Args:
        user_V: Code of each visit's user; a visit is what a user bought on one day.
        day_V: Its day; none after ``last``.
        last: Last day of the data.
        training: ``evaluation_days`` and ``training_days``; None is chosen.
        sessions: Whether the log is of sessions (:mod:`shoploop.data.moments`).
    """
    order_V = np.argsort(day_V, kind="stable")
    user_V, day_V = user_V[order_V], day_V[order_V]
    days = training.evaluation_days or _evaluation_days(user_V, day_V, last)
    split = _split_at(days, day_V, last, training, sessions)
    if training.evaluation_days is None and training.training_days is not None and not _holds(split, user_V, day_V):
        # days to learn from that are named may lie where nothing was bought: those of evaluation make room
        most = min(_days_of_share(day_V, 2 * EVALUATION_SHARE, last), LONGEST_EVALUATION) if len(day_V) else 0
        others = (
            _split_at(other, day_V, last, training, sessions)
            for other in sorted(range(1, most + 1), key=lambda other: (abs(other - days), other))
        )
        split = next((other for other in others if _holds(other, user_V, day_V)), split)
    return split


def refuse_too_little(
    user_V: Days, day_V: Days, split: TimeSplit, *, training: TrainingSpec, sessions: bool = False
) -> None:
    """Makes sure that the days hold enough, and says which others would where those that the spec names do not.

    Args: as :func:`choose_split`, which chose ``split``.

    Raises:
        TooFewEvents: fewer than 20 visits to learn from or 10 users to evaluate on.
    """
    if _holds(split, user_V, day_V):
        return
    named = [name for name in ("evaluation_days", "training_days") if getattr(training, name) is not None]
    for left_out in [*([name] for name in named), *([named] if len(named) > 1 else [])]:
        chosen = training.model_copy(update=dict.fromkeys(left_out))
        other = choose_split(user_V, day_V, last=split.last, training=chosen, sessions=sessions)
        if _holds(other, user_V, day_V):
            days = other.report()
            fields = " and ".join(to_camel(name) for name in left_out)
            values = " and ".join(str(days[name]) for name in left_out)
            them = "it" if len(left_out) == 1 else "them"
            raise too_little(
                user_V, day_V, split, change=f"Leave spec.training.{fields} out, or set {them} to {values}."
            )
    raise too_little(user_V, day_V, split, change="Bring more days or users.")


def too_little(user_V: Days, day_V: Days, split: TimeSplit, *, change: str) -> TooFewEvents:
    """What is to be raised of days that hold too little: what was found, what is needed, how the days came about, and what
    to change."""
    days, learned, judged = split.report(), *_held(split, user_V, day_V)
    none_before = len(day_V) and split.training_first <= day_V.min() < split.evaluation_first
    first = " The first day of the log does not count: nothing is known before it." if none_before else ""
    return TooFewEvents(
        f"Of {len(day_V):,} visits (a user's purchases of one day) of {len(np.unique(user_V)):,} users, {learned:,} lie in "
        f"the {_days(days['training_days'])} to learn from ({' to '.join(days['training'])}) and {judged:,} users "
        f"bought something in the {_days(days['evaluation_days'])} of evaluation ({' to '.join(days['evaluation'])}); "
        f"{FEWEST_TRAINING} and {FEWEST_EVALUATION} are needed.{first} The days: {days['why']} {change}"
    )


def _held(split: TimeSplit, user_V: Days, day_V: Days) -> tuple[int, int]:
    """Visits to learn from, before which something is known, and users to evaluate on."""
    learned = (
        (day_V >= split.training_first) & (day_V < split.evaluation_first) & (day_V > day_V.min(initial=split.last))
    )
    judged = (day_V >= split.evaluation_first) & (day_V <= split.last)
    return int(learned.sum()), len(np.unique(user_V[judged]))


def _holds(split: TimeSplit, user_V: Days, day_V: Days) -> bool:
    learned, judged = _held(split, user_V, day_V)
    return learned >= FEWEST_TRAINING and judged >= FEWEST_EVALUATION


def _split_at(evaluation_days: int, day_V: Days, last: int, training: TrainingSpec, sessions: bool) -> TimeSplit:
    """The split with so many days of evaluation; ``day_V`` sorted."""
    evaluation_first = last - evaluation_days + 1
    before_V = day_V[: np.searchsorted(day_V, evaluation_first)]
    training_days = training.training_days or _training_days(before_V, evaluation_first, sessions)
    training_first = evaluation_first - training_days
    if len(before_V):  # history stays history, also where more days are asked for than there are
        training_first = max(training_first, int(before_V[int(HISTORY_SHARE * len(before_V))]))
        if before_V[0] < before_V[-1]:
            training_first = max(training_first, int(before_V[0]) + 1)
    return TimeSplit(
        training_first=min(training_first, evaluation_first),
        evaluation_first=evaluation_first,
        last=last,
        why=_why(training, evaluation_first - training_first, evaluation_days) + (_SESSIONS if sessions else ""),
    )


def _evaluation_days(user_V: Days, day_V: Days, last: int) -> int:
    """The usual days; more until enough users have a visit in them, and no more than a quarter of the visits. Between the
    first day and those of evaluation the fewest visits to learn from are left, where there are so many."""
    if not len(day_V):
        return EVALUATION_DAYS
    last_visit_U = np.sort(day_V[len(user_V) - 1 - np.unique(user_V[::-1], return_index=True)[1]])[::-1]
    wanted = min(WANTED_USERS, -(-len(last_visit_U) // 2))
    enough = _back_to(last_visit_U, max(wanted, FEWEST_EVALUATION), last)
    share = _days_of_share(day_V, EVALUATION_SHARE, last)
    days = min(max(EVALUATION_DAYS, enough), share)
    if (last_visit_U > last - days).sum() < FEWEST_EVALUATION:
        days = min(_back_to(last_visit_U, FEWEST_EVALUATION, last), _days_of_share(day_V, 2 * EVALUATION_SHARE, last))
    days = _capped(days, LONGEST_EVALUATION, last_visit_U, last, FEWEST_EVALUATION)
    later_V = day_V[np.searchsorted(day_V, day_V[0], side="right") :]
    left = last - int(later_V[FEWEST_TRAINING - 1]) if len(later_V) >= FEWEST_TRAINING else 0
    return min(days, left) if left else days


def _back_to(latest_first: Days, wanted: int, last: int) -> int:
    """Days back from ``last`` that hold as many of these days, or all there are."""
    return last - int(latest_first[min(wanted, len(latest_first)) - 1]) + 1


def _days_of_share(day_V: Days, share: float, last: int) -> int:
    """The most days back from ``last`` that hold no more than this share of the visits; one at least."""
    most = int(share * len(day_V))
    return max(last - int(day_V[len(day_V) - most - 1]), 1) if most < len(day_V) else last - int(day_V[0]) + 1


def _training_days(before_V: Days, evaluation_first: int, sessions: bool) -> int:
    """The usual days; more until they hold enough visits. Of sessions as few as hold enough before the last of them."""
    if not len(before_V):
        return TRAINING_DAYS
    wanted, usual = (SESSION_VISITS, 1) if sessions else (WANTED_VISITS, TRAINING_DAYS)
    if sessions:  # the last day is to validate on
        before_V = before_V[: np.searchsorted(before_V, before_V[-1])] if before_V[0] < before_V[-1] else before_V
    enough = evaluation_first - int(before_V[max(len(before_V) - wanted, 0)])
    return _capped(max(usual, enough), LONGEST_TRAINING, before_V, evaluation_first - 1, FEWEST_TRAINING)


def _capped(days: int, longest: int, day_N: Days, last: int, fewest: int) -> int:
    """At most the longest, unless it holds too little while more would hold enough: tables may end years before what was
    collected begins, and the days between, which hold nothing, cost nothing."""
    capped = min(max(days, 1), longest)
    return capped if (day_N > last - capped).sum() >= fewest else max(days, 1)


_SESSIONS = (
    " Most visits are somebody's first: the latest days that hold enough are learned from, and the last of them is to "
    "validate on."
)


def _why(training: TrainingSpec, training_days: int, evaluation_days: int) -> str:
    sentences = []
    for name, days, named, usual in (
        ("evaluationDays", evaluation_days, training.evaluation_days, EVALUATION_DAYS),
        ("trainingDays", training_days, training.training_days, TRAINING_DAYS),
    ):
        if named is None:
            than = (
                "as usual"
                if days == usual
                else f"{'fewer' if days < usual else 'more'} than the usual {usual}, by what the log holds"
            )
            sentences.append(f"{name} {days}, {than}")
        elif days < named:
            sentences.append(f"{name} {days} of the {named} that the spec names: what lies before is history")
        else:
            sentences.append(f"{name} {days}, as the spec names them")
    return "; ".join(sentences) + "."


def _days(count: int) -> str:
    return "one day" if count == 1 else f"{count:,} days"


def _iso(day: int) -> str:
    found: date = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).date()
    return found.isoformat()
