"""A few visits as a person would look at them: bought lately, recommended and why, bought then."""

from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.evaluation.metrics import top
from shoploop.features.catalog import Catalog
from shoploop.features.history import history_of
from shoploop.features.item import ItemMatrix
from shoploop.features.log import PurchaseLog
from shoploop.ranking.reasons import reason
from shoploop.samples.sample_set import SampleSet

USERS, RECENT = 6, 8


def choose_examples(samples: SampleSet, *, seed: int) -> list[int]:
    """Requests of users with a history, at random: not the prettiest."""
    known = np.flatnonzero(samples.ages_QL[:, 0] >= 0)
    return [int(q) for q in np.random.default_rng(seed).permutation(known)[:USERS]]


def example(
    request: int,
    samples: SampleSet,
    scores_R: npt.NDArray[np.float64],
    *,
    log: PurchaseLog,
    items: ItemMatrix,
    catalog: Catalog,
    titles: list[str | None],
) -> dict[str, Any]:
    """One visit, as ``evaluation.json`` holds it."""
    asked = samples.request(request)
    history = history_of(log, asked.user, before=asked.day, seen=asked.seen)
    rows, truth = samples.rows(request), samples.truth(request)
    best = top(samples.items_R[rows], scores_R[rows])
    score_of = dict(zip(samples.items_R[rows].tolist(), scores_R[rows].tolist(), strict=True))

    def title(code: int) -> str:
        return titles[code] or log.vocabulary.items[code]

    return {
        "user": log.users[asked.user],
        "recent": [title(int(code)) for code in history.items_H[::-1][:RECENT]],
        "truth": [title(int(code)) for code in truth],
        "recommended": [
            {
                "item": log.vocabulary.items[int(code)],
                "title": title(int(code)),
                "score": score_of[int(code)],
                "reason": reason(
                    int(code),
                    history=history,
                    day=asked.as_of,
                    items=items,
                    catalog=catalog,
                    titles=titles,
                    today=asked.day,
                ),
                "bought": bool(np.isin(code, truth)),
            }
            for code in best
        ],
    }
