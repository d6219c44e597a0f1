"""What one version knows of a user, for a person to read: what they buy and how often, what is due, by which kinds and where.

Everything is counted of the history that an answer would see; no model is asked.

Legend: H rows of the history, V visits.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from shoploop.features.history import History
from shoploop.ranking.known import Known, iso

FEWEST_TIMES = 3
"""Purchases from which on an item has a rhythm."""

DUE, OVERDUE = 0.8, 3.0
"""Days since the last purchase over the days between two, from which an item is due, and beyond which it is given up."""

MOST = 20
"""Items and kinds of each list."""


@dataclass(frozen=True, kw_only=True)
class Habit:
    """An item that somebody buys."""

    item: str
    title: str | None
    times: int
    """Days on which it was bought."""

    last_days_ago: int
    every_days: float | None
    """Between two purchases, mean; None where it was bought less than three times."""

    due_in_days: float | None
    """Until the next is to be expected, below 0 where that is past; None where it has no rhythm or was given up."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A category that somebody buys from."""

    category: tuple[str, ...]
    share: float
    """Of their purchases."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One user."""

    user: str
    version: str
    as_of: str
    known: bool
    """False where nothing was ever bought under this id: everything else is empty."""

    visits: int
    """Days with a purchase."""

    first: str | None
    last: str | None
    """Days, ISO 8601."""

    every_days: float | None
    """Between two visits, mean."""

    items_a_visit: float
    different_items: int
    repeat_share: float
    """Share of purchases that are of items bought before."""

    usual_shop: str | None
    habits: tuple[Habit, ...]
    """What is bought most often first."""

    due: tuple[Habit, ...]
    """Of all items with a rhythm those that are due, most overdue first."""

    kinds: tuple[Kind, ...]
    """Largest share first; empty where items have no category."""


def profile(known: Known, user: str, *, now: datetime | None = None) -> Profile:
    """What is known of a user.

    Args:
        known: The version.
        user: Id as in the data.
        now: UTC; the wall clock's where not given.
    """
    visitor = known.visitor(user, (), now)
    day = visitor.day
    history = (visitor.user.history if visitor.user else History.empty()).before(day)
    if visitor.user is None or not len(history):
        return Profile(
            user=user, version=known.version, as_of=iso(day), known=False, visits=0, first=None, last=None,
            every_days=None, items_a_visit=0.0, different_items=0, repeat_share=0.0, usual_shop=None, habits=(), due=(),
            kinds=(),
        )  # fmt: skip
    days_V = np.unique(history.days_H)
    different = np.unique(history.items_H)
    habits = [_habit(known, int(item), history, visitor.today) for item in different]
    by_times = sorted(habits, key=lambda habit: (-habit.times, habit.last_days_ago, habit.item))
    due = [habit for habit in habits if habit.due_in_days is not None and _is_due(habit)]
    return Profile(
        user=user,
        version=known.version,
        as_of=iso(day),
        known=True,
        visits=len(days_V),
        first=iso(int(days_V[0])),
        last=iso(int(days_V[-1])),
        every_days=float(np.diff(days_V).mean()) if len(days_V) > 1 else None,
        items_a_visit=len(history) / len(days_V),
        different_items=len(different),
        repeat_share=1 - len(different) / len(history),
        usual_shop=visitor.user.stats.usual_shop or None,
        habits=tuple(by_times[:MOST]),
        due=tuple(sorted(due, key=lambda habit: (habit.due_in_days or 0.0, habit.item))[:MOST]),
        kinds=_kinds(known, history),
    )


def _habit(known: Known, item: int, history: History, today: int) -> Habit:
    days = history.days_H[history.items_H == item]
    since = today - int(days[-1])
    every = (int(days[-1]) - int(days[0])) / (len(days) - 1) if len(days) >= FEWEST_TIMES else None
    name = known.trained.vocabulary.items[item]
    given_up = every is None or since > OVERDUE * every
    return Habit(
        item=name,
        title=known.about(name).title,
        times=len(days),
        last_days_ago=since,
        every_days=every,
        due_in_days=None if given_up or every is None else every - since,
    )


def _is_due(habit: Habit) -> bool:
    return habit.every_days is not None and habit.last_days_ago >= DUE * habit.every_days


def _kinds(known: Known, history: History) -> tuple[Kind, ...]:
    counts: dict[tuple[str, ...], int] = {}
    names = known.trained.vocabulary.items
    for item in history.items_H:
        path = known.about(names[item]).category
        if path:
            counts[path] = counts.get(path, 0) + 1
    shares = [Kind(category=path, share=count / len(history)) for path, count in counts.items()]
    return tuple(sorted(shares, key=lambda kind: (-kind.share, kind.category))[:MOST])
