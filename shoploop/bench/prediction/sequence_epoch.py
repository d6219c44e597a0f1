"""How long one epoch of the Transformer takes over a whole log, and how good it is, beside a plain SASRec."""

import time
from typing import Any

from shoploop.bench.prediction.contest import cost
from shoploop.bench.prediction.problem import Problem, Say
from shoploop.bench.prediction.rivals.interface import judged


def sequence_epoch(problem: Problem, *, seed: int = 0, say: Say = lambda what: None) -> dict[str, Any]:
    """Trains both on the problem's past, each as long as it is made to, and ranks all items for its targets.

    Returns:
        ``sequence`` and ``sasrec``: ``seconds`` of an epoch, the median, without judging; ``ndcg@10``, ``hit@10``,
        ``epochs``; of parts of the targets ``slices``. A width of 64 for both; the product's Transformer reads 40 visits in
        batches of 256, SASRec 50 items in batches of 128.
    """
    import numpy as np

    from shoploop.bench.prediction.rivals.sasrec import Sasrec
    from shoploop.bench.prediction.rivals.sequence import SequenceAlone

    started = time.perf_counter()
    found: dict[str, Any] = {}
    for name, model in (("sequence", SequenceAlone()), ("sasrec", Sasrec())):
        model.fit(problem, seed=seed, say=say)
        metrics = judged(model, problem, problem.targets, seed=seed)
        wanted = ("ndcg@10", "hit@10")
        found[name] = {"seconds": round(float(np.median(model.epoch_seconds)), 2), "epochs": len(model.epoch_seconds)}
        found[name] |= {metric: float(metrics[metric].mean()) for metric in wanted}
        found[name]["slices"] = {
            part: {metric: float(metrics[metric][part_Q].mean()) for metric in wanted}
            for part, part_Q in problem.slices.items()
        }
    return {"dataset": problem.dataset, "seed": seed, "counts": dict(problem.counts)} | found | cost(started)
