"""All methods on which shop comes next, replayed day by day.

Legend: Q visits, R rows (a visit and a candidate shop).
"""

import resource
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.bench.shops.network import fit_network, network_scores
from shoploop.bench.shops.problems import ShopProblem
from shoploop.compute.cores import one_thread
from shoploop.evaluation.shopping import (
    LEAVES,
    METRICS,
    ROUNDS,
    best_weekday_times,
    compared_visits,
    simple_scores,
    visit_metrics,
)
from shoploop.samples.sample_set import SampleSet
from shoploop.samples.shops import assemble_shops
from shoploop.surfaces.shops.memory import ShopMemory
from shoploop.training.trees import LambdaMart

LEARNED = 12_000
"""Visits that are learned from, drawn."""

LEARNING = ("lambdamart", "dnn")
Say = Callable[[str], None]
Array = npt.NDArray[np.float64]


@one_thread()
def contest(problem: ShopProblem, *, seeds: Sequence[int] = (0,), say: Say = lambda what: None) -> dict[str, Any]:
    """Runs every method.

    Args:
        problem: What to answer.
        seeds: Of draws, initial weights and trees; each is a training of its own.
        say: Told what begins.

    Returns:
        ``methods``: hit@1 and MRR, means over seeds with 95 % intervals, users drawn whole; ``slices``: the same of visits
        where the shop is another than the last (``changed``), or is new to the user, and of users with 20 visits before;
        ``comparisons`` of what learns with everything else; ``judged``, ``candidate_recall``, ``weekday_times``, ``seeds``,
        ``seconds``, ``peak_rss_bytes``.
    """
    started = time.perf_counter()
    memory = ShopMemory(problem.visits)

    def made(chosen_Q: npt.NDArray[np.integer], name: str) -> SampleSet:
        return assemble_shops(
            problem.visits, chosen_Q, memory, progress=lambda done, total: say(f"{name}: {done} of {total} visits")
        )

    judged = made(problem.judged, "judged")
    totals: dict[str, dict[str, Array]] = {}
    weekday_times = []
    for seed in seeds:
        drawn = np.random.default_rng(seed).permutation(problem.learn)[:LEARNED]
        learn = made(drawn, "to learn from")
        weekday_times.append(best_weekday_times(learn))
        scores = simple_scores(judged, weekday_times[-1])
        say("training LambdaMART")
        scores["lambdamart"] = LambdaMart(rounds=ROUNDS, leaves=LEAVES, seed=seed).fit(learn).scores(judged)
        say("training the DNN")
        scores["dnn"] = network_scores(fit_network(learn, seed=seed), judged)
        for name, values in scores.items():
            mine = totals.setdefault(name, {metric: np.zeros(len(judged)) for metric in METRICS})
            for metric, found_Q in visit_metrics(judged, values).items():
                mine[metric] += found_Q / len(seeds)
    return {
        "dataset": problem.dataset,
        "judged": len(judged),
        "users": len(np.unique(judged.users_Q)),
        "candidate_recall": float(judged.labels_R.sum() / len(judged)),
        "weekday_times": weekday_times,
        "seeds": list(seeds),
        **compared_visits(judged, totals, better=LEARNING, seed=seeds[0]),
        "seconds": round(time.perf_counter() - started, 1),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
