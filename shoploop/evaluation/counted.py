"""Methods that count the log and learn nothing: what a sceptic would try before any model.

Each sees the purchases before the request's day alone, or, where counting anew for each day would take long, those before
the first day of evaluation; the user's own history is always up to the request.

Legend: Q requests, R rows, I items, U users, H history rows.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.features.history import history_of
from shoploop.features.log import PurchaseLog
from shoploop.samples.sample_set import SampleSet

Array = npt.NDArray[np.float64]

DECAYS = (1.0, 3.0, 7.0, 14.0, 28.0, 91.0, 365.0)
"""Days after which a purchase counts 1/e, to choose from."""

VISIT_DECAY = 0.9
"""What a visit of the user counts less for each one since."""


def decayed_popularity(log: PurchaseLog, samples: SampleSet, decay_days: float) -> Array:
    """How often each candidate was bought before the request's day, (R,), a purchase counting exp(-age / decay)."""
    scores_R = np.zeros(len(samples.items_R))
    by_day, counts_I, counted = log.by_day(), np.zeros(len(log.vocabulary)), None
    for q in np.argsort(samples.days_Q, kind="stable"):
        day = int(samples.days_Q[q])
        if counted != day:
            new = by_day.window(log.first_day if counted is None else counted, day)
            faded = 0.0 if counted is None else np.exp((counted - day) / decay_days)
            weight = np.exp((log.day_R[new] - day) / decay_days)
            counts_I = counts_I * faded + np.bincount(log.item_R[new], weights=weight, minlength=len(counts_I))
            counted = day
        rows = samples.rows(int(q))
        scores_R[rows] = counts_I[samples.items_R[rows]]
    return scores_R


def best_decay(log: PurchaseLog, chosen_on: SampleSet, decays: Sequence[float] = DECAYS) -> float:
    """The decay under which what was bought stands highest: the greatest mean reciprocal rank of the labels.

    Args:
        log: All purchases.
        chosen_on: Requests that nothing is reported of.
        decays: To choose from; the first of equals.
    """
    return max(decays, key=lambda decay: _reciprocal_rank(chosen_on, decayed_popularity(log, chosen_on, decay)))


def _reciprocal_rank(samples: SampleSet, scores_R: Array) -> float:
    total = 0.0
    for q in range(len(samples)):
        rows = samples.rows(q)
        bought = scores_R[rows][samples.labels_R[rows]]
        if len(bought):
            total += 1.0 / (1.0 + float((scores_R[rows] > bought.max()).sum()))
    return total / max(len(samples), 1)


class ItemNeighbours:
    """Cosine item-kNN: items that the same users bought (Sarwar et al. 2001, "Item-based collaborative filtering")."""

    def __init__(self, log: PurchaseLog, *, before: int, histories: PurchaseLog | None = None):
        """
        Args:
            log: The purchases.
            before: Only those of earlier days say which items go together.
            histories: The same users' purchases that are known of themselves, where they are more.
        """
        import scipy.sparse

        self._log = histories or log
        past = log.where(log.day_R < before)
        shape = (len(log.users), len(log.vocabulary))
        bought = scipy.sparse.csr_matrix((np.ones(len(past)), (past.user_R, past.item_R)), shape=shape)
        bought.data[:] = 1.0  # an item counts once a user
        length_I = np.sqrt(np.asarray(bought.sum(axis=0)).ravel())
        self._unit: Any = (bought @ scipy.sparse.diags(1 / np.maximum(length_I, 1.0))).tocsr()
        self._known_I = (length_I > 0).astype(np.float64)

    def scores(self, samples: SampleSet, progress: Callable[[int, int], None] = lambda done, total: None) -> Array:
        """(R,): how near each candidate is to what the user bought, the last visits counting most; its own excepted.
        ``progress`` is told the requests that are begun, and all."""
        scores_R = np.zeros(len(samples.items_R))
        for q in range(len(samples)):
            progress(q, len(samples))
            rows = samples.rows(q)
            request = samples.request(q)
            history = history_of(self._log, request.user, before=request.day, seen=request.seen)
            if not len(history):
                continue
            weight_H = VISIT_DECAY ** history.since_H.astype(np.float64)
            weight_I = np.bincount(history.items_H, weights=weight_H, minlength=self._unit.shape[1])
            wanted = samples.items_R[rows]
            near_I = self._unit.T @ (self._unit @ weight_I)
            # an item's likeness to itself is 1; what speaks for it here are the others
            scores_R[rows] = near_I[wanted] - (weight_I * self._known_I)[wanted]
        return scores_R
