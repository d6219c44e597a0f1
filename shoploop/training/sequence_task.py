"""What the Transformer learns before it is mixed, seen from the log itself: each rule has its reason beside it.

Whoever buys what they have bought is told by the repeat term and by candidates, and these are learned from the run's
visits. Where everybody goes on to what is new to them, the order of items is what a Transformer can know, and all of the log
tells it.
"""

from dataclasses import dataclass

import numpy as np

from shoploop.api.v1alpha1 import TaskSpec
from shoploop.features.log import PurchaseLog
from shoploop.features.repeats import MOST_REPEATS, Codes, repeat_share

FEWEST_VISITS = 5_000
"""That have one before them: fewer are learned by heart."""

FEWEST_PURCHASES = 5.0
"""Of an item, on average, for each to be learned by itself; with fewer its factors tell more."""

VISITS_READ = 600_000
"""In all passes together: a core takes a quarter of a millisecond for each."""

MOST_EPOCHS = 8
"""Of more the logs that were tried gained nothing."""


@dataclass(frozen=True, kw_only=True)
class SequenceTask:
    """What is to be done."""

    visits: int
    """That are asked in each pass."""

    epochs: int
    """Passes over the log; 0 where the Transformer begins with candidates."""

    learned_items: bool
    """Whether each item has an embedding of its own."""

    first_day: int
    """Visits before it are read, and not asked."""

    why: str
    """A sentence for the report."""


def sequence_task_of(log: PurchaseLog, asked: TaskSpec | None = None) -> SequenceTask:
    """:func:`sequence_task` of the purchases before those that labels are made of."""
    return sequence_task(log.user_R, log.day_R, log.item_R, asked)


def sequence_task(user_R: Codes, day_R: Codes, item_R: Codes, asked: TaskSpec | None = None) -> SequenceTask:
    """The rules.

    Args:
        user_R: The user of each purchase before those that labels are made of, as a number; sorted.
        day_R: Its day; a user's are sorted.
        item_R: Its item, as a number: once a user and day.
        asked: ``log_epochs`` where somebody knows better.
    """
    wanted = asked.log_epochs if asked else None
    visit_R = np.diff(user_R, prepend=-1).astype(bool) | np.diff(day_R, prepend=-1).astype(bool)
    user_V, day_V = user_R[visit_R], day_R[visit_R]
    asked_V = np.concatenate([[False], user_V[1:] == user_V[:-1]]) if len(user_V) else np.zeros(0, bool)
    visits, repeats = int(asked_V.sum()), repeat_share(user_R, item_R)

    def none(why: str) -> SequenceTask:
        return SequenceTask(visits=0, epochs=0, learned_items=False, first_day=0, why=why)

    if wanted == 0 or not visits:
        return none(
            "spec.training.task.logEpochs is 0: the Transformer begins with candidates."
            if visits
            else "No visit before the days to learn from follows another: the Transformer begins with candidates."
        )
    if wanted is None and visits < FEWEST_VISITS:
        return none(
            f"{visits:,} visits before the days to learn from follow another: too few for a Transformer of its own."
        )
    # a Transformer over all items would spend itself on telling repeats anew
    if wanted is None and repeats >= MOST_REPEATS:
        return none(f"{repeats:.0%} of what is bought was bought before: repeats are learned from candidates.")
    days_V = np.sort(day_V[asked_V])[::-1]
    read = min(visits, VISITS_READ)
    bought = len(item_R) / max(len(np.unique(item_R)), 1)
    epochs = wanted or int(np.clip(VISITS_READ // read, 1, MOST_EPOCHS))
    return SequenceTask(
        visits=read,
        epochs=epochs,
        learned_items=bought >= FEWEST_PURCHASES,
        first_day=int(days_V[read - 1]),
        why=f"{repeats:.0%} of what is bought was bought before: the Transformer learns from {read:,} visits, "
        f"{epochs} times" + (", as spec.training.task.logEpochs says." if wanted else "."),
    )
