"""All methods on which item of a slate is clicked, and what the places have to do with it.

Legend: Q slates, R rows (a slate and an item), P places.
"""

import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.bench.shops.network import fit_network, network_scores
from shoploop.bench.slates.features import AROUND, COLUMNS, ITEM, PLACES, assemble_slates
from shoploop.bench.slates.network import bias, fit_two_towers, seen
from shoploop.bench.slates.problems import SlateProblem
from shoploop.compute.cores import one_thread
from shoploop.evaluation.intervals import Bootstrap
from shoploop.evaluation.position_bias import PositionBias, fit_position_bias
from shoploop.evaluation.scoring import comparison, summary
from shoploop.evaluation.shopping import visit_metrics
from shoploop.samples.sample_set import SampleSet
from shoploop.training.trees import LambdaMart

METRICS = ("mrr", "hit@1", "ndcg@10")
TEN = (
    "place",
    "price",
    "price_rank",
    "price_to_mean",
    "touched",
    "touched_recency",
    "touched_click",
    "last",
    "others_clicks",
    "others_over_expected",
)
"""What LambdaMART reads where it is to stand for the published kind."""

ROUNDS, LEAVES = 100, 15
"""Of the trees."""

LEARNED = ("dnn", "two_towers")
ABLATION = (
    ("dnn", "dnn_place_held"),
    ("dnn", "dnn_never_told"),
    ("two_towers", "two_towers_wanted"),
    ("two_towers", "dnn_never_told"),
    ("dnn_never_told", "two_towers_wanted"),
)
"""With and without places."""

Say = Callable[[str], None]
Array = npt.NDArray[np.float64]


@one_thread()
def contest(problem: SlateProblem, *, seeds: Sequence[int] = (0,), say: Say = lambda what: None) -> dict[str, Any]:
    """Runs every method.

    Args:
        problem: What to answer.
        seeds: Of initial weights, batches and trees; each is a training of its own.
        say: Told what begins.

    Returns:
        ``methods``: MRR, hit@1 and NDCG@10, means over seeds with 95 % intervals, users drawn whole; ``slices``: the same of
        the last slate of each session, of slates before which the session touched something or nothing, and of lists in the
        order of prices; ``comparisons`` of what learns with everything else; ``position_bias``: the curve, and what it is
        worth to know places and to take them out; ``learned``, ``judged``, ``seeds``, ``seconds``, ``peak_rss_bytes``.
    """
    started = time.perf_counter()
    samples = assemble_slates(problem, say)
    learn, judged = samples.select(problem.learn), samples.select(problem.judged)
    totals: dict[str, dict[str, Array]] = {}
    curves = []
    for seed in seeds:
        scores = simple_scores(judged)
        learned, curve_P = _learned(learn, judged, seed, say)
        curves.append(curve_P)
        for name, values in (scores | learned).items():
            mine = totals.setdefault(name, {metric: np.zeros(len(judged)) for metric in METRICS})
            for metric, found_Q in slate_metrics(judged, values).items():
                mine[metric] += found_Q / len(seeds)
    say("the curve of places, with its error")
    conditional = _conditional(learn, seeds[0])
    report = _compared(totals, judged.users_Q, np.arange(len(judged)), seed=seeds[0])
    return {
        "dataset": problem.dataset,
        "learned": len(learn),
        "judged": len(judged),
        "users": len(np.unique(judged.users_Q)),
        "seeds": list(seeds),
        **report,
        "slices": {
            name: {"slates": int(part_Q.sum())}
            | _compared(totals, judged.users_Q, np.flatnonzero(part_Q), seed=seeds[0])
            for name, part_Q in _slices(problem, judged).items()
            if part_Q.any()
        },
        "position_bias": _position_bias(learn, judged, totals, curves, conditional, seed=seeds[0]),
        "seconds": round(time.perf_counter() - started, 1),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def simple_scores(samples: SampleSet) -> dict[str, Array]:
    """What needs no training, (R,) each; of equals the higher place is first."""
    higher_R = -1e-5 * _column(samples, "place")
    return {
        "as_shown": higher_R,
        "cheapest": -_column(samples, "price_rank") + higher_R,
        "popularity": _column(samples, "others_clicks") + higher_R,
        "last_touched": _column(samples, "touched_recency") + higher_R,
    }


def slate_metrics(samples: SampleSet, scores_R: npt.NDArray[np.floating]) -> dict[str, Array]:
    """Each slate's reciprocal rank, hit@1 and NDCG@10, (Q,), of the one item that was clicked."""
    found = visit_metrics(samples, scores_R)
    rank_Q = 1 / found["mrr"]
    return {**found, "ndcg@10": np.where(rank_Q < 10.5, 1 / np.log2(1 + rank_Q), 0.0)}


def _learned(learn: SampleSet, judged: SampleSet, seed: int, say: Say) -> tuple[dict[str, Array], Array]:
    """Scores of everything that learns, and the curve of the two towers."""
    wanted, place = _places_of(ITEM + AROUND), COLUMNS.index("place")
    say("training LambdaMART")
    ten = _places_of(TEN)
    trees = {"lambdamart_ten": seen(learn, ten), "lambdamart": learn}
    judged_by = {"lambdamart_ten": seen(judged, ten), "lambdamart": judged}
    scores = {
        name: LambdaMart(rounds=ROUNDS, leaves=LEAVES, seed=seed).fit(train).scores(judged_by[name])
        for name, train in trees.items()
    }
    say("training the DNN")
    network = fit_network(learn, seed=seed)
    scores["dnn"] = network_scores(network, judged)
    held = replace(judged, features_RK=judged.features_RK.copy())
    held.features_RK[:, list(_places_of(PLACES))] = 0.0
    scores["dnn_place_held"] = network_scores(network, held)
    say("training the DNN that is never told of places")
    scores["dnn_never_told"] = network_scores(fit_network(seen(learn, wanted), seed=seed), seen(judged, wanted))
    say("training the two towers")
    towers = fit_two_towers(learn, place=place, columns=wanted, seed=seed)
    scores["two_towers"] = network_scores(towers, seen(judged, (place, *wanted)))
    scores["two_towers_wanted"] = network_scores(towers.wanted, seen(judged, wanted))
    return scores, bias(towers)


def _conditional(learn: SampleSet, seed: int) -> PositionBias:
    """The curve beside what the first tower says of users that it has not learned from."""
    wanted, place = _places_of(ITEM + AROUND), COLUMNS.index("place")
    half_Q = np.random.default_rng(seed).permutation(int(learn.users_Q.max()) + 1)[learn.users_Q] % 2
    scores_R = np.empty(len(learn.items_R))
    half_R = np.repeat(half_Q, np.diff(learn.offsets_Q1))
    for half in (0, 1):
        own, other = (learn.select(np.flatnonzero(part)) for part in (half_Q == half, half_Q != half))
        towers = fit_two_towers(other, place=place, columns=wanted, seed=seed)
        scores_R[half_R == half] = network_scores(towers.wanted, seen(own, wanted))
    return _bias_of(learn, scores_R)


def _bias_of(samples: SampleSet, scores_R: Array) -> PositionBias:
    places_R = _column(samples, "place").astype(np.int64)
    return fit_position_bias(scores_R, places_R, samples.labels_R, samples.offsets_Q1, users_Q=samples.users_Q)


def _position_bias(
    learn: SampleSet,
    judged: SampleSet,
    totals: Mapping[str, Mapping[str, Array]],
    curves: Sequence[Array],
    conditional: PositionBias,
    *,
    seed: int,
) -> dict[str, Any]:
    clicks = _bias_of(learn, np.zeros(len(learn.items_R)))
    towers_P = np.mean(curves, axis=0)
    bootstrap = Bootstrap(len(judged), seed=seed, of_user=judged.users_Q)
    low_P, high_P = (conditional.bias_P + sign * 1.96 * conditional.error_P for sign in (-1, 1))
    place_Q = _column(judged, "place")[judged.labels_R].astype(np.int64)
    # of a place that nobody saw on the days that are learned from nothing is known but the one above it
    weight_Q = np.exp(-conditional.bias_P[np.minimum(place_Q, len(conditional.bias_P) - 1)])
    return {
        "method": "a number for each place, added to the score while both are learned and left out where an item is judged "
        "by itself (additive two towers: Yan et al. 2022, SIGIR)",
        "curve": [
            {
                "place": place + 1,
                "two_towers": float(np.exp(towers_P[place])),
                "conditional_logit": float(np.exp(conditional.bias_P[place])),
                "interval": [float(np.exp(low_P[place])), float(np.exp(high_P[place]))],
                "clicks_alone": float(np.exp(clicks.bias_P[place])),
            }
            for place in range(len(towers_P))
        ],
        "ablation": [comparison(better, than, "mrr", totals, bootstrap) for better, than in ABLATION],
        "weighed": _weighed(totals, weight_Q, bootstrap),
    }


def _weighed(totals: Mapping[str, Mapping[str, Array]], weight_Q: Array, bootstrap: Bootstrap) -> dict[str, Any]:
    """MRR as if every place were looked at alike: each slate counts by one over what its clicked place is looked at, divided
    by the mean of that (Swaminathan, Joachims 2015, of Joachims, Swaminathan, Schnabel 2017)."""

    def of(values_Q: Array) -> dict[str, Any]:
        draws_S = bootstrap.means(values_Q * weight_Q) / bootstrap.means(weight_Q)
        low, high = np.quantile(draws_S, [0.025, 0.975])
        return {"mrr": float((values_Q * weight_Q).sum() / weight_Q.sum()), "interval": [float(low), float(high)]}

    found = {name: of(values["mrr"]) for name, values in totals.items()}
    differences = []
    for better, than in ABLATION:
        row = of(totals[better]["mrr"] - totals[than]["mrr"])
        differences.append({"better": better, "than": than, "difference": row["mrr"], "interval": row["interval"]})
    return {
        "methods": found,
        "comparisons": differences,
        "slates_worth": float(weight_Q.sum() ** 2 / (weight_Q**2).sum()),
    }


def _slices(problem: SlateProblem, judged: SampleSet) -> dict[str, npt.NDArray[np.bool_]]:
    """Parts of the judged slates, (Q,) each."""
    session_Q, step_Q = problem.slates.session_Q[problem.judged], problem.slates.step_Q[problem.judged]
    last = {int(session): int(step) for session, step in sorted(zip(session_Q, step_Q, strict=True))}
    first_Q = judged.offsets_Q1[:-1]
    touched_Q = _column(judged, "touched_items")[first_Q] > 0
    return {
        "last_of_session": np.array([last[int(s)] == t for s, t in zip(session_Q, step_Q, strict=True)]),
        "touched_before": touched_Q,
        "nothing_touched": ~touched_Q,
        "in_order_of_prices": _column(judged, "by_price")[first_Q] > 0,
    }


def _compared(
    totals: Mapping[str, Mapping[str, Array]],
    users_Q: npt.NDArray[np.integer],
    chosen: npt.NDArray[np.integer],
    *,
    seed: int,
) -> dict[str, Any]:
    bootstrap = Bootstrap(len(chosen), seed=seed, of_user=users_Q[chosen])
    own = {name: {metric: values[metric][chosen] for metric in METRICS} for name, values in totals.items()}
    return {
        "methods": {name: summary(values, bootstrap, METRICS) for name, values in own.items()},
        "comparisons": [
            comparison(each, than, "mrr", own, bootstrap) for each in LEARNED for than in own if than != each
        ],
    }


def _places_of(names: Sequence[str]) -> tuple[int, ...]:
    return tuple(COLUMNS.index(name) for name in names)


def _column(samples: SampleSet, name: str) -> Array:
    return samples.features_RK[:, COLUMNS.index(name)].astype(np.float64)
