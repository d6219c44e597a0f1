"""Are reasons true: a score without what its reason names, beside the score without something else of the same kind.

Deleting is done where the model looks: the named item's rows leave the history, so that features and baskets are made
without them. What sells is named as numbers of the item, so these are put to their mean among the training samples.

Legend: N candidates, K features, A answers, B inputs.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from shoploop.bench.prediction.contest import Samples, parted, trained
from shoploop.bench.prediction.problem import Problem, Say
from shoploop.candidates.fetching import CandidateConfig, fetch_candidates
from shoploop.errors import NotFound
from shoploop.evaluation.intervals import Bootstrap
from shoploop.features.baskets import BasketSequence
from shoploop.features.catalog import Catalog
from shoploop.features.contract import Contract
from shoploop.features.history import History, history_of
from shoploop.features.item import ItemMatrix
from shoploop.features.joins import Joins
from shoploop.features.log import Int32, Vocabulary
from shoploop.features.offers import OnOffer
from shoploop.features.pairs import pair_parts
from shoploop.features.shop import ShopRow
from shoploop.features.user import UserRow, user_rows, user_stats
from shoploop.models.fusion import FusedModel
from shoploop.models.inputs import ModelInput, collate
from shoploop.ranking.reasons import Kind, Reason, find_reason, recently_bought
from shoploop.runs.record import folder_of
from shoploop.samples.files import read_catalog, read_samples
from shoploop.samples.sample_set import Request
from shoploop.samples.step import read_log
from shoploop.store import Store
from shoploop.versions import promotions
from shoploop.versions.artifact import load_version
from shoploop.versions.trained import TrainedModel

SHOWN = 10
"""Items of an answer that are looked at."""

BAR = 3.0
"""So many times as much as something else."""

LEAST_MOVE = 1e-6
"""Log odds below which a score has not moved."""

SELLING = (
    *(f"item_rate_{days}" for days in (1, 3, 7, 28, 91)),
    "item_trend",
    "item_buyers_28",
    "kind_rank",
)
"""Features that tell how well an item sells."""

LISTS = ("all", "not_bought")
"""What is recommended, and the best of what the user never bought, as a shop that hides the bought would show it."""


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One request, and all that its features are made of."""

    contract: Contract
    user: UserRow
    shop: ShopRow | None
    day: int
    history: History
    items: ItemMatrix
    catalog: Catalog
    offers: OnOffer | None = None

    def input(self, codes_N: Int32, history: History | None = None) -> ModelInput:
        """What the model reads of the items, sorted by code; of another history where one is given."""
        seen = self.history if history is None else history
        features_NK = pair_parts(
            history=seen,
            candidates_N=codes_N,
            day=self.day,
            items=self.items,
            catalog=self.catalog,
            user=self.user,
            shop=self.shop,
            habits=self.contract.habits,
            offers=self.offers,
        ).whole(self.contract)
        return ModelInput(items_N=codes_N, features_NK=features_NK, sequence=BasketSequence.of(seen, day=self.day))


@dataclass(frozen=True, kw_only=True)
class Deletions:
    """One answered item as it would be read without what its reason names, and without others."""

    whole: ModelInput
    without_named: ModelInput
    without_others: tuple[ModelInput, ...]

    def inputs(self) -> list[ModelInput]:
        return [self.whole, self.without_named, *self.without_others]


class Looked(NamedTuple):
    """One answer: by how much its score fell."""

    user: int
    kind: Kind
    named: float
    """NaN where nothing could be deleted."""

    others: tuple[float, ...]


def reasons(
    problem: Problem,
    *,
    users: int = 300,
    visits: int = 4000,
    others: int = 3,
    seed: int = 0,
    say: Say = lambda what: None,
) -> dict[str, Any]:
    """Trains a model as a run does, and deletes what its reasons name.

    Args:
        problem: Whose targets are asked for.
        users: Targets that are looked at, drawn.
        visits: The model learns from so many at most, drawn.
        others: Draws of something else for each answer.
        seed: Of every draw and of the training.
        say: Told what begins.

    Returns:
        As :func:`look`, with what the model is.
    """
    rng = np.random.default_rng(seed)
    made = Samples(replace(problem, labels=_drawn(problem.labels, visits, rng)), seed, say)
    train, validation = parted(made, made.labels(), seed)
    model = trained(made, train, validation, seed, say)
    model.sequence.factors_IF.copy_(torch.from_numpy(made.fresh.factors_ID))
    asked = sorted(_drawn(problem.targets, users, rng), key=lambda each: (each.day, each.user))
    titles = _titles(problem.items, problem.log.vocabulary)
    found = look(model, visits_of(made, asked), titles, candidates=made.candidates, others=others, seed=seed, say=say)
    return {"dataset": problem.dataset, "learned_from": len(train)} | found


def reasons_of_version(
    store: Store,
    name: str,
    *,
    users: int = 300,
    others: int = 3,
    seed: int = 0,
    say: Say = lambda what: None,
) -> dict[str, Any]:
    """The same of the version that serves, or of the last one made here, on visits of the days of its evaluation.

    Raises:
        NotFound: nothing serves, or the run's tables are not on this machine.
    """
    version = promotions.serving_version(store, name)
    folder = None if version is None else folder_of(store, name, version)
    if version is None or folder is None:
        raise NotFound(
            f"No version of {name!r} serves from {store.uri}, or its run's tables are not here. Run it here."
        )
    stored = load_version(folder / "model")
    known = TrainedModel.of_version(stored)
    held_out = read_samples(folder / "samples", known.contract, "evaluation")
    log, joins = (
        read_log(folder / "data", known.vocabulary, sessions=known.sessions),
        Joins(folder / "features"),
    )
    chosen = np.sort(np.random.default_rng(seed).permutation(len(held_out))[:users])
    codes, days = held_out.users_Q[chosen].tolist(), held_out.days_Q[chosen].tolist()
    say("joining features")
    rows = joins.users([log.users[code] for code in codes], days)
    offers = joins.offers(known.vocabulary, known.contract)

    def visits() -> Iterator[Visit]:
        day = None
        for code, on, row in sorted(zip(codes, days, rows, strict=True), key=lambda each: each[:2][::-1]):
            if on != day:
                day = on
                items = joins.items(known.vocabulary, [on])[on]
                shops = joins.shops(log.shops, [on])[on]
                on_offer = None if offers is None else offers.on(on, shops)
                catalog = read_catalog(folder / "samples", on)
            yield Visit(
                contract=known.contract,
                user=row,
                shop=shops.get(row.usual_shop),
                day=on,
                history=history_of(log, code, before=on),
                items=items,
                catalog=catalog,
                offers=on_offer,
            )

    # the version knows all purchases; it is asked with what was known before the days of evaluation
    model = known.with_catalog(read_catalog(folder / "samples", int(held_out.days_Q.min()))).model
    titles = _titles(pl.read_parquet(folder / "data" / "items.parquet"), known.vocabulary)
    found = look(model, visits(), titles, candidates=known.candidates, others=others, seed=seed, say=say)
    return {"recommender": name, "version": stored.id} | found


def look(
    model: FusedModel,
    visits: Iterable[Visit],
    titles: list[str | None],
    *,
    candidates: CandidateConfig,
    others: int,
    seed: int,
    say: Say,
) -> dict[str, Any]:
    """Deletes what the reasons of a model's answers name.

    Returns:
        ``lists``: per list as of :data:`LISTS` ``shares`` of answers by kind of reason; ``measured`` answers; ``named``
        and ``other``, mean drops of the score in log odds with 95 % intervals over users; ``difference`` of the two,
        paired; ``ratio`` of the two, null where deleting something else lowers nothing, and ``ratio_to_moves``, of the
        named drop and of how far something else moves a score up or down; the same for each kind as ``kinds``.
        ``passed`` where ``ratio_to_moves``, the stricter one, of what is recommended is at least :data:`BAR`.
    """
    started, rng = time.perf_counter(), np.random.default_rng([seed, 1])
    model.prepare()
    found: dict[str, list[Looked]] = {name: [] for name in LISTS}
    count = 0
    say("deleting")
    for count, visit in enumerate(visits, 1):
        for name, codes in _answers(model, visit, candidates).items():
            for code in codes:
                why = find_reason(
                    code,
                    history=visit.history,
                    day=visit.day,
                    items=visit.items,
                    catalog=visit.catalog,
                    titles=titles,
                )
                cut = deletions(visit, code, why, model, others=others, rng=rng)
                drops = [] if cut is None else _drops(model, cut)
                found[name].append(Looked(count, why.kind, drops[0] if drops else np.nan, tuple(drops[1:])))
        if count % 20 == 0:
            say(f"deleted: {count} users")
    lists = {name: _told(rows, seed) for name, rows in found.items() if rows}
    ratio = lists.get("all", {}).get("ratio_to_moves")
    return {
        "seed": seed,
        "users": count,
        "alpha": model.alpha,
        "bar": BAR,
        "passed": ratio is not None and ratio >= BAR,
        "lists": lists,
        "seconds": round(time.perf_counter() - started, 1),
    }


def visits_of(made: Samples, asked: Sequence[Request]) -> Iterator[Visit]:
    """The requests with what is known when they are made."""
    log, sources = made.problem.log, made.sources
    names, days = [log.users[request.user] for request in asked], [request.day for request in asked]
    visited = "visited_shops" in made.problem.contract.user_stats
    rows = user_rows(user_stats(made.problem.past, visited_shops=visited), names, days)
    shops: Mapping[str, ShopRow] = {}
    day = None
    for request, row in zip(asked, rows, strict=True):
        if request.day != day:
            day = request.day
            items, catalog, shops = sources.items(day), sources.catalogs(day), sources.shops(day)
            on_offer = sources.on_offer(shops)(day)
        yield Visit(
            contract=made.problem.contract,
            user=row,
            shop=shops.get(row.usual_shop),
            day=request.day,
            history=history_of(log, request.user, before=request.day),
            items=items,
            catalog=catalog,
            offers=on_offer,
        )


def deletions(
    visit: Visit, code: int, why: Reason, model: FusedModel, *, others: int, rng: np.random.Generator
) -> Deletions | None:
    """The item without what its reason names, and without each of some others of the same kind.

    Returns:
        None where the reason names nothing, or there is nothing else of its kind.
    """
    codes_N = np.array([code], np.int32)
    whole = visit.input(codes_N)
    if why.named is not None:
        among = visit.history.items_H if why.kind == "own" else recently_bought(visit.history)
        kinds = np.setdiff1d(among, [code, why.named])
        if not len(kinds):
            return None
        drawn = rng.choice(kinds, min(others, len(kinds)), replace=False)
        return Deletions(
            whole=whole,
            without_named=visit.input(codes_N, without(visit.history, why.named)),
            without_others=tuple(visit.input(codes_N, without(visit.history, int(other))) for other in drawn),
        )
    if why.kind == "new":
        return None
    names = visit.contract.pair_features
    selling = np.flatnonzero([name in SELLING for name in names])
    rest = np.setdiff1d(np.arange(len(names)), selling)
    mean_K = model.behaviour.mean_K.numpy()

    def put_to_mean(columns: npt.NDArray[np.intp]) -> ModelInput:
        features_NK = whole.features_NK.copy()
        features_NK[:, columns] = mean_K[columns]
        return replace(whole, features_NK=features_NK)

    return Deletions(
        whole=whole,
        without_named=put_to_mean(selling),
        without_others=tuple(
            put_to_mean(rng.choice(rest, min(len(selling), len(rest)), replace=False)) for _ in range(others)
        ),
    )


def without(history: History, item: int) -> History:
    """The history as if the item had never been bought."""
    kept_H = history.items_H != item
    return History.sorted(history.items_H[kept_H], history.days_H[kept_H], history.quantities_H[kept_H])


def _answers(model: FusedModel, visit: Visit, candidates: CandidateConfig) -> dict[str, list[int]]:
    """The best items of each of the lists, by code."""
    named = fetch_candidates(
        visit.history,
        day=visit.day,
        items=visit.items,
        catalog=visit.catalog,
        config=candidates,
    )
    codes_N = named.items_N
    order = np.lexsort((codes_N, -model.score(visit.input(codes_N))))
    best = codes_N[order]
    new = best[~np.isin(best, visit.history.items_H)]
    return {"all": best[:SHOWN].tolist(), "not_bought": new[:SHOWN].tolist()}


def _drops(model: FusedModel, cut: Deletions) -> list[float]:
    with torch.inference_mode():
        scores_B = model(collate(cut.inputs())).fused_BN[:, 0].numpy()
    return [float(scores_B[0] - score) for score in scores_B[1:]]


def _drawn(requests: Sequence[Request], most: int, rng: np.random.Generator) -> list[Request]:
    chosen = rng.permutation(len(requests))[:most]
    return [requests[at] for at in np.sort(chosen)]


def _titles(items: pl.DataFrame, vocabulary: Vocabulary) -> list[str | None]:
    """By code; an item without a title is called by its id."""
    known: dict[str, str | None] = {}
    if "title" in items.columns:
        known = dict(items.select("item", "title").iter_rows())
    return [known.get(item) or item for item in vocabulary.items]


def _told(rows: Sequence[Looked], seed: int) -> dict[str, Any]:
    kinds = sorted({row.kind for row in rows})
    return _numbers(rows, seed) | {
        "shares": {kind: round(sum(row.kind == kind for row in rows) / len(rows), 4) for kind in kinds},
        "kinds": {kind: _numbers([row for row in rows if row.kind == kind], seed) for kind in kinds},
    }


def _numbers(rows: Sequence[Looked], seed: int) -> dict[str, Any]:
    measured = [row for row in rows if row.others]
    told: dict[str, Any] = {"answers": len(rows), "measured": len(measured)}
    if not measured:
        return told
    bootstrap = Bootstrap(len(measured), seed=seed, of_user=np.array([row.user for row in measured]))
    named_A = np.array([row.named for row in measured])
    other_A = np.array([np.mean(row.others) for row in measured])
    moves_A = np.array([np.mean(np.abs(row.others)) for row in measured])
    named, other, moves = float(named_A.mean()), float(other_A.mean()), float(moves_A.mean())
    named_S, other_S = bootstrap.means(named_A), bootstrap.means(other_A)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio_S = np.where(other_S > 0, named_S / other_S, np.inf)
    limits = [float(limit) for limit in np.quantile(ratio_S, [0.025, 0.975], method="nearest")]
    return told | {
        "named": {"mean": named, "interval": bootstrap.interval(named_A)},
        "other": {"mean": other, "interval": bootstrap.interval(other_A)},
        "difference": {"mean": named - other, "interval": bootstrap.interval(named_A - other_A)},
        "ratio": named / other if other > 0 else None,
        "ratio_interval": [limit if np.isfinite(limit) else None for limit in limits],
        "ratio_to_moves": named / max(moves, LEAST_MOVE),
        "lower_without_named": float((named_A > 0).mean()),
    }
