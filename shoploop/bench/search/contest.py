"""All methods on one search problem: the model of both surfaces, the same for search alone, and what needs no model.

Twice over: *frozen*, where nothing after the first judged day is known of queries and items, and *renewed*, where each day's
memory, sales and histories are up to the day before, as a shop that runs every night has them. Weights are the same.

Legend: T judged queries.
"""

import copy
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.bench.search.problems import SearchProblem
from shoploop.evaluation.intervals import Bootstrap, mean
from shoploop.evaluation.scoring import comparison, model_scores, request_metrics, summary
from shoploop.evaluation.searching import simple_scores
from shoploop.features.catalog import CatalogConfig
from shoploop.features.catalogs import fit_catalogs
from shoploop.features.item import ItemStatistics
from shoploop.features.repeats import is_of_repeats
from shoploop.features.shop import ShopStatistics
from shoploop.features.user import user_rows, user_stats
from shoploop.models.fusion import FusedModel
from shoploop.samples.sample_set import Request, SampleSet, Sources, assemble
from shoploop.samples.searching import SearchSources, assemble_searches, search_columns
from shoploop.samples.step import TRAINING_NEGATIVES, allocate
from shoploop.surfaces.search.asked import Asked
from shoploop.surfaces.search.memory import QueryMemory
from shoploop.surfaces.search.names import Names
from shoploop.training.trees import LambdaMart

LEARNED, VISITS, JUDGED_VISITS, NEGATIVES = 10_000, 3_000, 1_500, 100
"""Queries and visits that are learned from, drawn; visits that recommendations are judged on; and candidates
beside what was taken."""

METRICS = ("ndcg@10", "recall@10", "hit@10")
COUNTED = ("search_bm25", "search_letters", "search_same", "search_near", "item_rate_7", "item_rate_28", "own_days")
"""What LambdaMART reads where it is to stand for the published kind: names, memory, sales and the user's own."""

Say = Callable[[str], None]
Array = npt.NDArray[np.float64]


class _Made:
    """The samples of a problem."""

    def __init__(self, problem: SearchProblem, say: Say):
        self.problem, self._say = problem, say
        log = problem.log
        self.columns = search_columns(problem.contract.pair_features)
        self.catalogs = fit_catalogs(
            log,
            problem.items.select("item", "category"),
            training_first=problem.first,
            evaluation_first=problem.test,
            last=log.last_day,
            config=CatalogConfig(),
        )
        self._stats = user_stats(log)
        self._names, self._memory = Names(problem.texts), QueryMemory(problem.searches, len(log.vocabulary))
        self.sources = Sources(
            log=log,
            contract=problem.contract,
            catalogs=self.catalogs,
            items=ItemStatistics(log).on,
            shops=ShopStatistics(log).rows_on,
        )

    def queries(
        self, asked: Sequence[Asked], *, frozen: bool = False, learn: bool = False, hiding: bool = False
    ) -> SampleSet:
        """Samples of queries; of those to ``learn`` from some candidates, and with ``hiding`` some items as if new."""
        test, log = self.problem.test, self.problem.log
        if frozen:  # what somebody did within the judged days is not known either
            past = log.where(log.day_R < test)
            sources = replace(self.sources, log=past)
        else:
            sources = self.sources
        known = SearchSources(
            names=self._names,
            memory=self._memory,
            pairs=sources,
            day_of_memory=(lambda day: min(day, test)) if frozen else int,
        )
        days = [min(each.day, test) if frozen else each.day for each in asked]
        rows = user_rows(self._stats, [log.users[each.user] if each.user >= 0 else "" for each in asked], days)
        parts = assemble_searches(
            asked,
            rows,
            known,
            negatives=NEGATIVES if learn else None,
            hiding=hiding,
            progress=lambda done, total: self._say(f"samples: {done} of {total} queries"),
        )
        return SampleSet.concat(list(parts))

    def visits(self, seed: int) -> tuple[SampleSet, SampleSet]:
        """To learn from, and of the judged days."""
        log, problem = self.problem.log, self.problem
        _, first_row = log.baskets()
        user_V, day_V = log.user_R[first_row], log.day_R[first_row]
        random = np.random.default_rng(seed)
        learn = random.permutation(np.flatnonzero((day_V >= problem.first) & (day_V < problem.test)))[:VISITS]
        judge = random.permutation(np.flatnonzero(day_V >= problem.test))[:JUDGED_VISITS]
        requests = [[Request(user=int(user_V[v]), day=int(day_V[v])) for v in part] for part in (learn, judge)]
        config = allocate(requests[0], self.sources, seed=seed)
        made = []
        for part, negatives in zip(requests, (TRAINING_NEGATIVES, None), strict=True):
            rows = user_rows(self._stats, [log.users[r.user] for r in part], [r.day for r in part])
            found = assemble(part, rows, self.sources, candidates=config, negatives=negatives, seed=seed)
            made.append(SampleSet.concat(list(found)))
        return made[0], made[1]


def contest(problem: SearchProblem, *, seeds: Sequence[int] = (0,), say: Say = lambda what: None) -> dict[str, Any]:
    """Runs every method.

    Args:
        problem: What to answer.
        seeds: Of draws, initial weights, order of batches and trees; each is a training of its own.
        say: Told what begins.

    Returns:
        ``methods``, ``slices`` and ``comparisons`` of the frozen queries, means over seeds with 95 % intervals, users drawn
        whole; ``renewed`` the same of the renewed; ``items``: NDCG@10 of recommendations before and after search was
        learned, and their difference; ``alpha`` by seed, ``seeds``, ``seconds``, ``peak_rss_bytes``.
    """
    started = time.perf_counter()
    made = _Made(problem, say)
    judged = {"frozen": made.queries(problem.judged, frozen=True), "renewed": made.queries(problem.judged)}
    totals: dict[str, dict[str, dict[str, Array]]] = {name: {} for name in judged}
    items: list[dict[str, Array]] = []
    of_users: list[npt.NDArray[np.integer]] = []
    alphas = []
    for seed in seeds:
        learn, validation = _learned(made, seed)
        say("training LambdaMART")
        whole, counted = LambdaMart(seed=seed).fit(learn), LambdaMart(seed=seed).fit(_counted(learn, made.columns))
        say("training the model of both surfaces, and one for search alone")
        visits, judged_visits = made.visits(seed)
        models, before_after = _models(made, learn, validation, visits, judged_visits, seed)
        items.append(before_after)
        of_users.append(judged_visits.users_Q)
        alphas.append(models["fused"].alpha)
        for name, samples in judged.items():
            scores = simple_scores(samples, made.columns)
            scores["lambdamart_counts"] = counted.scores(_counted(samples, made.columns))
            scores["lambdamart"] = whole.scores(samples)
            alone = _with_catalog(models["search_alone"], made, problem.test)
            scores["search_alone"] = model_scores(alone, samples, surface="search")["fused"]
            both = _with_catalog(models["fused"], made, problem.test)
            scores |= {str(part): values for part, values in model_scores(both, samples, surface="search").items()}
            for method, values in scores.items():
                found = request_metrics(samples, values)
                mine = totals[name].setdefault(method, {metric: np.zeros(len(samples)) for metric in METRICS})
                for metric in METRICS:
                    mine[metric] += found[metric] / len(seeds)
    users = np.array([each.user if each.user >= 0 else -1 - at for at, each in enumerate(problem.judged)])
    reports = {name: _report(total, users, problem.slices, seeds[0]) for name, total in totals.items()}
    return {
        "dataset": problem.dataset,
        "queries": problem.queries,
        "judged": len(problem.judged),
        "seeds": list(seeds),
        **reports["frozen"],
        "renewed": reports["renewed"],
        "items": _items(items, of_users, seeds[0]),
        "alpha": alphas,
        "seconds": round(time.perf_counter() - started, 1),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def _learned(made: _Made, seed: int) -> tuple[SampleSet, SampleSet]:
    """Queries to learn from and to validate on."""
    learn = made.problem.learn
    drawn = np.random.default_rng(seed).permutation(len(learn))[:LEARNED]
    log = made.problem.log
    before = log.day_R < made.problem.test
    if not is_of_repeats(log.user_R[before], log.item_R[before]):  # as a run has it
        days = np.array([each.day for each in learn])[drawn]
        drawn = drawn[np.argsort(-days, kind="stable")]
    held = max(len(drawn) // 20, 1)
    parts = [[learn[place] for place in np.sort(some)] for some in (drawn[held:], drawn[:held])]
    return made.queries(parts[0], learn=True, hiding=True), made.queries(parts[1], learn=True)


def _counted(samples: SampleSet, columns: tuple[str, ...]) -> SampleSet:
    chosen = [columns.index(name) for name in COUNTED]
    return replace(samples, features_RK=np.ascontiguousarray(samples.features_RK[:, chosen]))


def _models(
    made: _Made, learn: SampleSet, validation: SampleSet, visits: SampleSet, judged_visits: SampleSet, seed: int
) -> tuple[dict[str, FusedModel], dict[str, Array]]:
    """The model of both surfaces, one that learns search alone, and NDCG@10 of visits before and after search was learned."""
    from shoploop.training.building import build_model
    from shoploop.training.calibration import calibrate
    from shoploop.training.loop import TrainConfig, fit
    from shoploop.training.searching import SearchTraining, fit_search
    from shoploop.training.teaching import lesson, taught

    problem, catalog = made.problem, made.catalogs.training
    order = np.random.default_rng(seed).permutation(len(visits))
    held = max(len(visits) // 15, 1)
    train, validated = visits.select(np.sort(order[held:])), visits.select(np.sort(order[:held]))
    fresh = build_model(problem.contract, catalog, train, seed=seed, queries=learn, texts=problem.texts)
    alone = copy.deepcopy(fresh)
    fit_search(alone, learn, validation, train, validated, SearchTraining(seed=seed, items_share=0.0))
    calibrate(alone, validation, "search")
    fit(fresh, taught(train, lesson(train, seed=seed)), validated, TrainConfig(seed=seed))
    calibrate(fresh, validated)
    measured = {"before": _visits_ndcg(fresh, made, judged_visits)}
    fit_search(fresh, learn, validation, train, validated, SearchTraining(seed=seed))
    calibrate(fresh, validated)
    calibrate(fresh, validation, "search")
    measured["after"] = _visits_ndcg(fresh, made, judged_visits)
    return {"fused": fresh, "search_alone": alone}, measured


def _visits_ndcg(model: FusedModel, made: _Made, visits: SampleSet) -> Array:
    judged = _with_catalog(model, made, made.problem.test)
    return request_metrics(visits, model_scores(judged, visits)["fused"])["ndcg@10"]


def _with_catalog(model: FusedModel, made: _Made, day: int) -> FusedModel:
    """The model with what is known of items on a day; the given one stays as it is."""
    import torch

    other = copy.deepcopy(model)
    other.sequence.factors_IF.copy_(torch.from_numpy(made.catalogs(day).factors_ID))
    return other


def _report(
    total: Mapping[str, Mapping[str, Array]],
    users: npt.NDArray[np.integer],
    slices: Mapping[str, npt.NDArray[np.bool_]],
    seed: int,
) -> dict[str, Any]:
    def of(chosen: npt.NDArray[np.integer]) -> dict[str, Any]:
        bootstrap = Bootstrap(len(chosen), seed=seed, of_user=users[chosen])
        own = {name: {metric: values[metric][chosen] for metric in METRICS} for name, values in total.items()}
        rivals = [name for name in own if name != "fused"]
        return {
            "methods": {name: summary(values, bootstrap, METRICS) for name, values in own.items()},
            "comparisons": [comparison("fused", than, "ndcg@10", own, bootstrap) for than in rivals],
        }

    parts = {}
    for name, part in slices.items():
        found = of(np.flatnonzero(part))
        parts[name] = {"queries": int(part.sum()), **found["methods"], "comparisons": found["comparisons"]}
    return of(np.arange(len(users))) | {"slices": parts}


def _items(
    measured: Sequence[Mapping[str, Array]], of_users: Sequence[npt.NDArray[np.integer]], seed: int
) -> dict[str, Any]:
    """Every seed judges on visits of its own, of the same users."""
    before, after = (np.concatenate([each[name] for each in measured]) for name in ("before", "after"))
    bootstrap = Bootstrap(len(before), seed=seed, of_user=np.concatenate(of_users))
    interval = bootstrap.interval(after - before)
    return {
        "visits": len(of_users[0]),
        "before_search": mean(before),
        "after_search": mean(after),
        "difference": mean(after - before),
        "interval": list(interval) if interval else None,
    }
