"""What exploration costs: the expected quality of lists in which chance exchanges two items, computed and not drawn.

The metric is linear in who stands where, so its expectation is exact.

Legend: Q requests, R ranks of the pool, K positions.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.api.exploration import ExplorationSpec
from shoploop.evaluation.intervals import mean
from shoploop.evaluation.metrics import top
from shoploop.ranking.exploration import Design, propensities
from shoploop.samples.sample_set import SampleSet

SHOWN = 10


def cost(samples: SampleSet, scores_R: npt.NDArray[np.floating], spec: ExplorationSpec | None = None) -> dict[str, Any]:
    """What of nDCG@10 and of the items found in the first 10 exploration costs.

    Args:
        samples: Requests with what was bought.
        scores_R: By which lists are made.
        spec: How it explores; the defaults where not given.

    Returns:
        ``share``, ``keep`` and ``pool``; ``ndcg@10`` and ``hits@10`` as shares of what lists have without it. The cost is
        proportional to ``share``.
    """
    spec = spec or ExplorationSpec()
    discounts_K = 1 / np.log2(np.arange(2, SHOWN + 2))
    plain, drawn, plain_hits, drawn_hits = [], [], [], []
    for q in range(len(samples)):
        truth, rows = samples.truth(q), samples.rows(q)
        ranked = top(samples.items_R[rows], scores_R[rows], max(spec.pool, SHOWN))
        if len(truth) == 0 or len(ranked) <= SHOWN:
            continue
        bought_R = np.isin(ranked, truth).astype(np.float64)
        of_RK = propensities(Design(share=spec.share, keep=spec.keep, shown=SHOWN, pool=len(ranked)))
        expected_K = bought_R @ of_RK
        ideal = discounts_K[: len(truth)].sum()
        plain.append(float(bought_R[:SHOWN] @ discounts_K / ideal))
        drawn.append(float(expected_K @ discounts_K / ideal))
        plain_hits.append(float(bought_R[:SHOWN].sum()))
        drawn_hits.append(float(expected_K.sum()))
    return {
        "share": spec.share,
        "keep": spec.keep,
        "pool": spec.pool,
        "ndcg@10": _lost(plain, drawn),
        "hits@10": _lost(plain_hits, drawn_hits),
    }


def _lost(plain: list[float], drawn: list[float]) -> float | None:
    whole = mean(plain)
    return round(1 - mean(drawn) / whole, 5) if whole else None
