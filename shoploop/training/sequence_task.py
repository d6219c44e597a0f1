"""What the Transformer learns before it is mixed, seen from the log itself: each rule has its reason beside it.

Whoever buys what they have bought is told by the repeat term and by candidates, and these are learned from the run's
visits. Where everybody goes on to what is new to them, the order of items is what a Transformer can know, and all of the log
tells it.
"""

from dataclasses import dataclass

import numpy as np

from shoploop.features.log import PurchaseLog

MOST_REPEATS = 0.2
"""Share of purchases that are of an item that its user has bought before, from which on the log is one of repeats: a
Transformer over all items would spend itself on telling them anew."""

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

    epochs: int
    """Passes over the log; 0 where the Transformer begins with candidates."""

    learned_items: bool
    """Whether each item has an embedding of its own."""

    first_day: int
    """Visits before it are read, and not asked."""

    why: str
    """A sentence for the report."""


def sequence_task(log: PurchaseLog) -> SequenceTask:
    """The rules.

    Args:
        log: The purchases before those that labels are made of.
    """
    first_V = log.baskets()[1]
    user_V, day_V = log.user_R[first_V], log.day_R[first_V]
    asked_V = np.concatenate([[False], user_V[1:] == user_V[:-1]]) if len(user_V) else np.zeros(0, bool)
    visits, repeats = int(asked_V.sum()), repeat_share(log)

    def none(why: str) -> SequenceTask:
        return SequenceTask(epochs=0, learned_items=False, first_day=0, why=why)

    if visits < FEWEST_VISITS:
        return none(
            f"{visits:,} visits before the days to learn from follow another: too few for a Transformer of its own."
        )
    if repeats >= MOST_REPEATS:
        return none(f"{repeats:.0%} of what is bought was bought before: repeats are learned from candidates.")
    days_V = np.sort(day_V[asked_V])[::-1]
    read = min(visits, VISITS_READ)
    bought = len(log) / max(len(np.unique(log.item_R)), 1)
    epochs = int(np.clip(VISITS_READ // read, 1, MOST_EPOCHS))
    return SequenceTask(
        epochs=epochs,
        learned_items=bought >= FEWEST_PURCHASES,
        first_day=int(days_V[read - 1]),
        why=f"{repeats:.0%} of what is bought was bought before: the Transformer learns from {read:,} visits, "
        f"{epochs} times.",
    )


def repeat_share(log: PurchaseLog) -> float:
    """Share of the purchases that are of an item that their user has bought on an earlier day."""
    if not len(log):
        return 0.0
    pairs = log.user_R.astype(np.int64) * len(log.vocabulary) + log.item_R
    return 1.0 - len(np.unique(pairs)) / len(log)
