"""All methods on which shop comes next, replayed day by day.

Legend: Q visits, R rows (a visit and a candidate shop).
"""

import resource
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.bench.shops.network import fit_network, network_scores
from shoploop.bench.shops.problems import ShopProblem
from shoploop.compute.cores import one_thread
from shoploop.evaluation.baselines import LambdaMart
from shoploop.evaluation.intervals import Bootstrap
from shoploop.evaluation.scoring import comparison, summary
from shoploop.samples.sample_set import SampleSet
from shoploop.samples.shops import assemble_shops
from shoploop.surfaces.shops.features import NAMES
from shoploop.surfaces.shops.memory import ShopMemory

LEARNED = 12_000
"""Visits that are learned from, drawn."""

WEEKDAY_TIMES = (0.5, 1.0, 2.0, 4.0)
"""What a visit on the day's weekday may count beside what it counts anyway; the visits to learn from choose."""

ROUNDS, LEAVES = 100, 15
"""Of the trees: a visit has one right shop of few, and of larger ones the visits before the judged days found fewer."""

METRICS = ("hit@1", "mrr")
LEARNING = ("lambdamart", "dnn")
USED_TO = 20
"""Visits from which a user's habits are known."""

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
    found = _compared(totals, judged.users_Q, np.arange(len(judged)), seed=seeds[0])
    slices = {}
    for name, part_Q in _slices(judged).items():
        if part_Q.any():
            chosen = np.flatnonzero(part_Q)
            slices[name] = {"visits": len(chosen)} | _compared(totals, judged.users_Q, chosen, seed=seeds[0])
    return {
        "dataset": problem.dataset,
        "judged": len(judged),
        "users": len(np.unique(judged.users_Q)),
        "candidate_recall": float(judged.labels_R.sum() / len(judged)),
        "weekday_times": weekday_times,
        "seeds": list(seeds),
        **found,
        "slices": slices,
        "seconds": round(time.perf_counter() - started, 1),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def simple_scores(samples: SampleSet, weekday_times: float) -> dict[str, Array]:
    """What needs no training, (R,) each; what was visited lately breaks the ties of all of them."""
    lately = _column(samples, "decay_30")
    return {
        "last": _column(samples, "last") + 1e-3 * lately,
        "most_frequent": _column(samples, "share") + 1e-6 * lately,
        "half_life_30": lately,
        "half_life_weekday": lately + weekday_times * _column(samples, "weekday_30"),
    }


def best_weekday_times(learn: SampleSet) -> float:
    """Which of :data:`WEEKDAY_TIMES` finds the most shops of the visits to learn from."""

    def found(times: float) -> float:
        return float(visit_metrics(learn, simple_scores(learn, times)["half_life_weekday"])["hit@1"].mean())

    return max(WEEKDAY_TIMES, key=found)


def visit_metrics(samples: SampleSet, scores_R: npt.NDArray[np.floating]) -> dict[str, Array]:
    """Each visit's hit@1 and reciprocal rank, (Q,); 0 where its shop is no candidate. Of equal scores the first is first."""
    reciprocal_Q = np.zeros(len(samples))
    for q in range(len(samples)):
        rows = samples.rows(q)
        right = np.flatnonzero(samples.labels_R[rows])
        if len(right):
            mine_N, place = scores_R[rows], int(right[0])
            before = (mine_N > mine_N[place]).sum() + (mine_N[:place] == mine_N[place]).sum()
            reciprocal_Q[q] = 1 / (1 + before)
    return {"hit@1": (reciprocal_Q == 1).astype(np.float64), "mrr": reciprocal_Q}


def _column(samples: SampleSet, name: str) -> Array:
    return samples.features_RK[:, NAMES.index(name)].astype(np.float64)


def _slices(samples: SampleSet) -> dict[str, npt.NDArray[np.bool_]]:
    """Parts of the visits, (Q,) each."""
    first_Q = samples.offsets_Q1[:-1]
    rows_Q = np.diff(samples.offsets_Q1)
    visits_R, right_R = _column(samples, "visits"), samples.labels_R
    right_Q = np.repeat(np.arange(len(samples)), rows_Q)[right_R]
    stayed_Q, known_Q, all_Q = (np.zeros(len(samples), bool), np.zeros(len(samples), bool), np.zeros(len(samples)))
    stayed_Q[right_Q] = _column(samples, "last")[right_R] > 0
    known_Q[right_Q] = visits_R[right_R] > 0
    all_Q[rows_Q > 0] = np.expm1(_column(samples, "all_visits")[first_Q[rows_Q > 0]])
    seen_Q = all_Q > 0.5
    return {
        "changed": seen_Q & ~stayed_Q,
        "new_to_the_user": seen_Q & ~known_Q,
        "habits_known": all_Q > USED_TO - 0.5,
    }


def _compared(
    totals: Mapping[str, Mapping[str, Array]],
    users_Q: npt.NDArray[np.integer],
    chosen: npt.NDArray[np.integer],
    *,
    seed: int,
) -> dict[str, Any]:
    """Means with intervals, and what learns against every other, on some of the visits."""
    bootstrap = Bootstrap(len(chosen), seed=seed, of_user=users_Q[chosen])
    own = {name: {metric: values[metric][chosen] for metric in METRICS} for name, values in totals.items()}
    return {
        "methods": {name: summary(values, bootstrap, METRICS) for name, values in own.items()},
        "comparisons": [
            comparison(better, than, "hit@1", own, bootstrap) for better in LEARNING for than in own if than != better
        ],
    }
