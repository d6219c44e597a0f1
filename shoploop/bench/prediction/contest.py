"""All methods on one problem: the same candidates, the same history, one table.

Legend: Q targets, R rows.
"""

import resource
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoploop.bench.prediction.parts import parts_of
from shoploop.bench.prediction.problem import Problem, Say
from shoploop.bench.prediction.rivals.contest import rivals
from shoploop.candidates.allocation import PLACES
from shoploop.candidates.fetching import SOURCES, CandidateConfig, fetch_candidates
from shoploop.features.catalog import Catalog, CatalogConfig, fit_catalog, renewed
from shoploop.features.catalogs import Catalogs, following, moving
from shoploop.features.history import bought_on, history_of
from shoploop.features.in_shop import ShopItems
from shoploop.features.item import ItemStatistics
from shoploop.features.repeats import is_of_repeats
from shoploop.features.shop import ShopStatistics
from shoploop.features.user import user_rows, user_stats
from shoploop.models.fusion import FusedModel
from shoploop.samples.named_shops import with_shops
from shoploop.samples.sample_set import Request, SampleSet, Sources, assemble
from shoploop.samples.step import allocate

TRAINING_NEGATIVES = 150
METRICS = ("recall@10", "ndcg@10", "hit@10")

if TYPE_CHECKING:
    from shoploop.evaluation.intervals import Bootstrap

Array = npt.NDArray[np.float64]


class Samples:
    """The samples of one problem and seed."""

    def __init__(self, problem: Problem, seed: int, say: Say, *, places: int = PLACES):
        self.problem, self._seed, self._say = problem, seed, say
        self.held: list[dict[str, Any]] = []
        """Rivals beside what is known of them, as of :func:`shoploop.bench.prediction.rivals.contest.hold`."""
        config = CatalogConfig(seed=seed)
        say("fitting the catalog")
        self.catalog: Catalog = fit_catalog(problem.before_labels, problem.items, config)
        days = [request.day for request in problem.targets]
        self._labels = self._sources(moving(self.catalog, problem.past, [r.day for r in problem.labels], config))
        # what is known of items when the targets are asked for is what all of the past says
        self.fresh: Catalog = renewed(self.catalog, problem.past, config)
        self.sources = self._sources(following(self.fresh, problem.past, days, config))
        say("sharing out the candidates")
        self.candidates: CandidateConfig = allocate(problem.labels, self._labels, seed=seed, places=places)

    def _sources(self, catalogs: Catalogs) -> Sources:
        past = self.problem.past
        statistics, shops = ItemStatistics(past), ShopStatistics(past)
        return Sources(
            log=self.problem.log,
            contract=self.problem.contract,
            catalogs=catalogs,
            items=statistics.on,
            shops=shops.rows_on,
            offers=self.problem.offers,
            in_shops=ShopItems(past).on if self.problem.in_shop else None,
        )

    def labels(self) -> SampleSet:
        requests = self.problem.labels
        if self.problem.in_shop:
            requests = with_shops(requests, self.problem.log, seed=self._seed)
        return self._make(requests, self._labels, TRAINING_NEGATIVES)

    def targets(self) -> SampleSet:
        """In the order of days and users; what the user has bought is left out where it is no answer."""
        requests = self.problem.targets
        if self.problem.in_shop:
            requests = with_shops(requests, self.problem.log, seed=self._seed, share=1.0)
        return self._make(requests, self.sources, None)

    def _make(self, requests: Sequence[Request], sources: Sources, negatives: int | None) -> SampleSet:
        users = [self.problem.log.users[r.user] for r in requests]
        stats = user_stats(self.problem.past, visited_shops="visited_shops" in self.problem.contract.user_stats)
        rows = user_rows(stats, users, [r.day for r in requests])
        parts = assemble(
            requests,
            rows,
            sources,
            candidates=self.candidates,
            negatives=negatives,
            seed=self._seed,
            progress=lambda done, total: self._say(f"samples: {done} of {total} visits"),
        )
        return SampleSet.concat(list(parts))


def reach(problem: Problem, made: Samples) -> dict[str, Any]:
    """Share of what was bought that is among the candidates, mean over targets: of all, of each source, and without it.

    Returns:
        ``recall`` of all together; per source ``alone``, and ``marginal``: what no other source names.
    """
    log, sources = problem.log, made.sources
    found: list[list[float]] = []
    sizes = 0
    for request in sorted(problem.targets, key=lambda each: (each.day, each.user)):
        bought = bought_on(log, request.user, day=request.day)
        named = fetch_candidates(
            history_of(log, request.user, before=request.day),
            day=request.day,
            items=sources.items(request.day),
            catalog=sources.catalogs(request.day),
            config=made.candidates,
        )
        sizes += len(named.items_N)
        bits_T = named.sources_N[np.isin(named.items_N, bought)]
        counts = [bits_T > 0, *((bits_T >> bit & 1 == 1) for bit in range(len(SOURCES)))]
        counts += [bits_T == 1 << bit for bit in range(len(SOURCES))]
        found.append([float(each.sum()) / len(bought) for each in counts])
    mean = np.array(found).mean(axis=0)
    alone, marginal = mean[1 : 1 + len(SOURCES)], mean[1 + len(SOURCES) :]
    return {
        "recall": float(mean[0]),
        "candidates": sizes / len(problem.targets),
        "sources": {
            source: {"alone": float(alone[bit]), "marginal": float(marginal[bit])} for bit, source in enumerate(SOURCES)
        },
    }


def candidates(
    problem: Problem, *, seed: int = 0, say: Say = lambda what: None, places: int = PLACES
) -> dict[str, Any]:
    """What the candidates reach on the targets, and what each source adds.

    Args:
        problem: What to predict.
        seed: Of what is drawn.
        say: Told what begins.
        places: Items that the sources may bring together, beside the user's own; a run's where not given.

    Returns:
        ``methods`` as of :func:`reach`, the budget of each source, counts, seconds and peak memory.
    """
    started = time.perf_counter()
    made = Samples(problem, seed, say, places=places)
    say("fetching")
    found = reach(problem, made)
    budget = {source: getattr(made.candidates, source) for source in SOURCES if source != "history"}
    return (
        {"dataset": problem.dataset, "seed": seed, "counts": dict(problem.counts), "budget": budget}
        | found
        | cost(started)
    )


def contest(
    problem: Problem,
    *,
    seeds: Sequence[int] = (0,),
    say: Say = lambda what: None,
    once: "Callable[[Samples, int, Say], Once] | None" = None,
    earlier: Sequence[Problem] = (),
) -> dict[str, Any]:
    """Runs every method.

    Args:
        problem: What to predict.
        earlier: The same of times before: their targets count beside its own, and what is drawn is users with all of theirs.
            Each is learned for by itself.
        seeds: Of negatives, initial weights, order of batches and trees; each is a training of its own.
        say: Told what begins.
        once: What is run with one seed; every method where not given.

    Returns:
        ``methods``: per method the mean over seeds of each metric, and 95 % intervals over users; ``slices`` the same of
        :func:`~shoploop.bench.prediction.parts.parts_of` the targets;
        ``comparisons`` of the fused score with every other, paired; ``held_against``: rivals beside
        what is known of them, by seed; ``counts``, how many ``targets``, ``alpha`` by seed,
        ``candidates`` as of :func:`reach` with the first seed, ``seconds``, ``peak_rss_bytes``.
    """
    from shoploop.evaluation.scoring import comparison, summary

    started = time.perf_counter()
    problems = (problem, *earlier)
    sums: list[dict[str, dict[str, Array]]] = [{} for _ in problems]
    alphas: list[dict[str, float]] = []
    found: dict[str, Any] = {}
    held: list[dict[str, Any]] = []
    orders = [np.arange(0) for _ in problems]
    for number, one in enumerate(problems):
        for seed in seeds:
            made = Samples(one, seed, say)
            metrics, alpha, orders[number] = (once or every_method)(made, seed, say)
            alphas.append(alpha)
            held += [{"seed": seed, **row} for row in made.held]
            found = found or reach(one, made)
            for name, values in metrics.items():
                mine = sums[number].setdefault(name, {metric: np.zeros(len(orders[number])) for metric in METRICS})
                for metric in METRICS:
                    mine[metric] += values[metric] / len(seeds)
    total = {
        name: {metric: np.concatenate([of_one[name][metric] for of_one in sums]) for metric in METRICS}
        for name in sums[0]
    }
    users_Q = _users(problems, orders)
    parts = _parts(problems, orders)
    bootstrap = _bootstrap(users_Q, seeds[0])
    return {
        "dataset": problem.dataset,
        "seeds": list(seeds),
        "counts": dict(problem.counts),
        "targets": len(users_Q),
        "methods": {name: summary(values, bootstrap, METRICS) for name, values in total.items()},
        "slices": {name: _slice(total, part_Q, users_Q, seeds[0]) for name, part_Q in parts.items()},
        "comparisons": [
            comparison("fused", than, metric, total, bootstrap)
            for than in total
            if than != "fused"
            for metric in METRICS
        ],
        "held_against": held,
        "alpha": alphas,
        "candidates": found,
    } | cost(started)


def _users(problems: Sequence[Problem], orders: Sequence[npt.NDArray[np.intp]]) -> npt.NDArray[np.intp]:
    """Whose each target is, by one number in all problems."""
    names = [
        one.log.users[one.targets[place].user]
        for one, order in zip(problems, orders, strict=True)
        for place in order.tolist()
    ]
    return np.unique(names, return_inverse=True)[1]


def _parts(problems: Sequence[Problem], orders: Sequence[npt.NDArray[np.intp]]) -> dict[str, npt.NDArray[np.bool_]]:
    """Parts of all targets."""
    parts = [parts_of(one) for one in problems]
    return {
        name: np.concatenate(
            [part.get(name, np.zeros(len(order), bool))[order] for part, order in zip(parts, orders, strict=True)]
        )
        for name in dict.fromkeys(name for part in parts for name in part)
    }


def _bootstrap(users_Q: npt.NDArray[np.intp], seed: int) -> "Bootstrap":
    """Draws of targets; those of a user are drawn together."""
    from shoploop.evaluation.intervals import Bootstrap

    several = len(np.unique(users_Q)) < len(users_Q)
    return Bootstrap(len(users_Q), seed=seed, of_user=users_Q if several else None)


def _slice(
    total: Mapping[str, Mapping[str, Array]],
    part_Q: npt.NDArray[np.bool_],
    users_Q: npt.NDArray[np.intp],
    seed: int,
) -> dict[str, Any]:
    from shoploop.evaluation.scoring import comparison, summary

    bootstrap = _bootstrap(users_Q[part_Q], seed)
    own = {name: {metric: values[metric][part_Q] for metric in METRICS} for name, values in total.items()}
    return {name: summary(values, bootstrap, METRICS) for name, values in own.items()} | {
        "users": len(np.unique(users_Q[part_Q])),
        "comparisons": [
            comparison("fused", than, m, own, bootstrap) for than in own if than != "fused" for m in METRICS
        ],
    }


def parted(made: Samples, learn: SampleSet, seed: int) -> tuple[SampleSet, SampleSet]:
    """What is trained on, and a twentieth that says which epoch is kept and what α is: the latest where a run takes these."""
    order = np.random.default_rng(seed).permutation(len(learn))
    log = made.problem.before_labels
    if log.sessions or not is_of_repeats(log.user_R, log.item_R):
        order = order[np.argsort(-learn.days_Q[order], kind="stable")]
    held = max(len(learn) // 20, 1)
    return learn.select(np.sort(order[held:])), learn.select(np.sort(order[:held]))


def trained(
    made: Samples,
    train: SampleSet,
    validation: SampleSet,
    seed: int,
    say: Say,
    *,
    after_alone: Callable[[FusedModel], None] = lambda model: None,
) -> FusedModel:
    """The fused model as a run trains it; ``after_alone`` as of :func:`shoploop.training.loop.fit`."""
    from shoploop.training.building import build_model
    from shoploop.training.calibration import calibrate
    from shoploop.training.loop import TrainConfig, fit
    from shoploop.training.pretraining import PRETRAINED_RATE, pretrain_for
    from shoploop.training.sequence_task import sequence_task_of
    from shoploop.training.teaching import lesson, taught

    say("training the fused model")
    task = sequence_task_of(made.problem.before_labels)
    say(task.why)
    model = build_model(made.problem.contract, made.catalog, train, seed=seed, learned_items=task.learned_items)

    def progress(done: float, total: float, what: str) -> None:
        say(f"{what}: {done:.0f} of {total:.0f}")

    teacher = lesson(train, seed=seed)
    pretrain_for(task, model.sequence, made.problem.before_labels, seed=seed, progress=progress)
    fit(
        model,
        taught(train, teacher),
        validation,
        TrainConfig(seed=seed, sequence_rate=PRETRAINED_RATE if task.epochs else 1.0),
        progress=progress,
        after_alone=after_alone,
    )
    calibrate(model, validation)
    return model


Once = tuple[dict[str, dict[str, Array]], dict[str, float], npt.NDArray[np.intp]]
"""One seed: metrics by method, α, and the place of each target in the problem's list."""


def every_method(made: Samples, seed: int, say: Say) -> Once:
    """Rivals, what is simple, LambdaMART, the networks alone and fused."""
    from shoploop.evaluation.baselines import Decay, Ease, Followers, Personal, Popular
    from shoploop.evaluation.counted import ItemNeighbours, best_decay, decayed_popularity
    from shoploop.training.trees import LambdaMart

    problem, contract = made.problem, made.problem.contract
    others = rivals(problem, seed=seed, say=say)
    made.held += others.held
    learn, test = made.labels(), made.targets()
    say("counting")
    scores = {
        "popular": Popular(contract).scores(test),
        "personal": Personal(contract).scores(test),
        "decay": Decay(contract).scores(test),
        "followers": Followers(contract).scores(test),
        "ease": Ease(contract).scores(test),
    }
    train, validation = parted(made, learn, seed)
    scores["popular_decayed"] = decayed_popularity(problem.past, test, best_decay(problem.past, validation))
    neighbours = ItemNeighbours(problem.past, before=problem.past.last_day + 1, histories=problem.log)
    scores["item_knn"] = neighbours.scores(test)
    say("training LambdaMART")
    scores["lambdamart"] = LambdaMart(seed=seed).fit(learn).scores(test)
    own, model = networks(made, train, validation, test, seed, say)
    metrics, alpha, order = measured(made, test, scores | own, model, say)
    beside = {name: {metric: values[order] for metric, values in each.items()} for name, each in others.metrics.items()}
    return beside | metrics, alpha, order


def networks(
    made: Samples, train: SampleSet, validation: SampleSet, test: SampleSet, seed: int, say: Say
) -> tuple[dict[str, Array], FusedModel]:
    """Scores of the networks that learned alone, of their mean, and of both fused; and the model of the last."""
    alone: dict[str, Array] = {}
    # the networks' own scores are those of networks that learned alone
    model = trained(
        made, train, validation, seed, say, after_alone=lambda fitted: alone.update(scored(made, fitted, test))
    )
    own = {name: alone[name] for name in ("dnn", "transformer", "fixed_alpha")}
    return own | {"fused": scored(made, model, test)["fused"]}, model


def scored(made: Samples, fitted: FusedModel, test: SampleSet) -> dict[str, Array]:
    """Each part's scores with what is known of items by now; the model is then again as it was."""
    import torch

    from shoploop.evaluation.scoring import model_scores

    factors_IF = fitted.sequence.factors_IF.clone()
    fitted.sequence.factors_IF.copy_(torch.from_numpy(made.fresh.factors_ID))
    found = {str(part): values for part, values in model_scores(fitted, test).items()}
    fitted.sequence.factors_IF.copy_(factors_IF)
    return found


def measured(made: Samples, test: SampleSet, scores: Mapping[str, Array], model: FusedModel, say: Say) -> Once:
    """The metrics; what the user has bought is left out where it is no answer."""
    from shoploop.evaluation.scoring import request_metrics

    say("measuring")
    problem = made.problem
    if problem.new_only:
        own_R = test.sources_R >> SOURCES.index("history") & 1 == 1
        scores = {name: np.where(own_R, -np.inf, values) for name, values in scores.items()}
    metrics = {name: request_metrics(test, values) for name, values in scores.items()}
    place = {(request.user, request.day): at for at, request in enumerate(problem.targets)}
    order = np.array([place[(int(u), int(d))] for u, d in zip(test.users_Q, test.days_Q, strict=True)], np.intp)
    return metrics, model.alpha, order


def cost(started: float) -> dict[str, Any]:
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
