"""The step that turns visits into samples: who, when, which candidates, what was bought, and what was known then.

Statistics come from Feast's point-in-time join, pair features from the function that the predictor calls. Everything is
written as Parquet.

Legend: Q requests, U users.
"""

import json
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shoploop import progress
from shoploop.api.v1alpha1 import TrainingSpec
from shoploop.candidates.allocation import PLACES, Allocation
from shoploop.candidates.fetching import BY_PICTURES, SOURCES, CandidateConfig
from shoploop.data.picture_files import FILE as PICTURED
from shoploop.data.splits import FEWEST_EVALUATION, FEWEST_TRAINING, TimeSplit, too_little
from shoploop.errors import TooFewEvents
from shoploop.features.catalog import CatalogConfig
from shoploop.features.catalogs import fit_catalogs
from shoploop.features.contract import OF_IN_SHOP, Contract
from shoploop.features.ends import read_interactions
from shoploop.features.history import bought_on, history_of
from shoploop.features.in_shop import ShopItems
from shoploop.features.joins import Joins
from shoploop.features.log import Float32, Int32, PurchaseLog, Vocabulary, purchases
from shoploop.features.repeats import is_of_repeats
from shoploop.features.resemblance import with_resemblance
from shoploop.features.sold_before import COARSER, sold_before, sold_once
from shoploop.samples.by_day import ByDay
from shoploop.samples.files import SampleWriter, write_catalogs
from shoploop.samples.named_shops import with_shops
from shoploop.samples.ratings import read_ratings
from shoploop.samples.sample_set import Request, SampleSet, Sources, assemble
from shoploop.samples.search_step import write_searches
from shoploop.samples.shop_step import write_shops

MAX_TRAINING_REQUESTS, MAX_VALIDATION_REQUESTS, MAX_EVALUATION_USERS = 2_800, 600, 1_500
MAX_SESSION_REQUESTS = 6_000
"""Of a log of sessions, where a visit is asked for several times and little lies behind each request."""

MOMENTS_A_VISIT = 10
"""Of a visit that is learned from or validated on, drawn where it has more: somebody who clicks all day is one witness."""

VALIDATION_SHARE = 0.06
ALLOCATION_REQUESTS = 500
"""Users on whose latest visit to learn from the budget of each source of candidates is found."""

TRAINING_NEGATIVES = 120

UNSOLD = 20
"""Places for items that nobody has bought, where pictures say what they are like."""

PICTURES = "pictures"
"""Folder of the encoder of pictures, where there are pictures."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The requests of each split."""

    train: list[Request]
    validation: list[Request]
    evaluation: list[Request]


def build_samples(*, data: Path, features: Path, out: Path, training_spec: TrainingSpec) -> dict[str, Any]:
    """Builds the samples of a run.

    Args:
        data: Folder of ``load_data``.
        features: Folder of ``materialize_features``.
        out: Folder to write: ``requests.parquet`` (request, user, day, split, truth), ``candidates.parquet`` (request,
            item, label, sources and every pair feature; all candidates of evaluation, a draw of the others),
            ``histories.parquet`` (request and its last baskets), ``items.parquet`` (the vocabulary),
            ``pictures/`` where items have pictures (the encoder of them), ``catalog-*.parquet`` (what purchases say of items,
            by day), ``search/`` where the spec asks for search (the first
            three of queries, and ``searches.parquet``, what is remembered of them), ``shops/`` where it asks for shops (the
            first three of visits, and ``shops.parquet``, the shops' names), and ``samples.json``.
        training_spec: The seed; the days are those that ``materialize_features`` has statistics of.

    Returns:
        ``samples.json``: requests, rows and positives per split, and how many requests to learn from were left out since
        they have no candidates; recall of the candidates by source, the days that were
        chosen and why, how many items each source of candidates may bring, rows left out beyond the log's ends, seconds and
        peak memory.

    Raises:
        TooFewEvents: there is too little to learn from or to evaluate on, or nothing that was bought could have been offered.
    """
    started = time.perf_counter()
    contract = Contract.from_json(json.loads((features / "contract.json").read_text()))
    vocabulary = Vocabulary.of_features(features)
    materialized = json.loads((features / "features.json").read_text())
    log = read_log(data, vocabulary, sessions=materialized["sessions"])
    ratings = read_ratings(data, log)
    items = pl.read_parquet(data / "items.parquet")
    windows = TimeSplit.from_json(materialized["split"])
    chosen = choose_requests(log, windows, seed=training_spec.seed)
    in_shop = bool(OF_IN_SHOP & set(contract.pair_features))
    if in_shop:  # those that are judged name none: what holds without is what is promised
        chosen = replace(
            chosen,
            train=with_shops(chosen.train, log, seed=training_spec.seed),
            validation=with_shops(chosen.validation, log, seed=training_spec.seed),
        )
    seconds = {"choose": time.perf_counter() - started}
    report: dict[str, Any] = {"splits": {}}
    if "Shops" in training_spec.surfaces:  # before what takes long: the days may hold too few visits to shops
        report["shops"] = write_shops(data, out, windows=windows, log=log, seed=training_spec.seed)
        seconds["shops"] = time.perf_counter() - started - sum(seconds.values())

    catalogs = fit_catalogs(
        log,
        items,
        training_first=windows.training_first,
        evaluation_first=windows.evaluation_first,
        last=windows.last,
        config=CatalogConfig(seed=training_spec.seed),
        progress=progress.report,
    )
    pictured = None
    if (data / PICTURED).exists():  # a shop without pictures does not load what learns from them
        from shoploop.images.encoder import encoder_files, likeness

        pictured = likeness(data, items, vocabulary, seed=training_spec.seed, progress=progress.report)
    if pictured is not None:
        catalogs = with_resemblance(catalogs, pictured[0])
    seconds["catalog"] = time.perf_counter() - started - sum(seconds.values())
    requests = [*chosen.train, *chosen.validation, *chosen.evaluation]
    joins = Joins(features)
    rows = joins.users([log.users[r.user] for r in requests], [r.day for r in requests])
    users = dict(zip(requests, rows, strict=True))
    days = sorted({r.day for r in requests})
    matrices = ByDay(lambda some: joins.items(vocabulary, some), days, rows_a_day=len(vocabulary))
    shops = ByDay(lambda some: joins.shops(log.shops, some), days, rows_a_day=len(log.shops))
    offers = joins.offers(vocabulary, contract)
    sources = Sources(
        log=log,
        contract=contract,
        catalogs=catalogs,
        items=matrices,
        shops=shops,
        offers=offers,
        in_shops=ShopItems(log).on if in_shop else None,
    )
    seconds["join"] = time.perf_counter() - started - sum(seconds.values())

    out.mkdir(parents=True, exist_ok=True)
    write_catalogs(out, catalogs, vocabulary, items)
    config = allocate(chosen.train, sources, seed=training_spec.seed)
    if pictured is not None:
        config = replace(config, unsold=UNSOLD)
        (out / PICTURES).mkdir()
        for name, content in encoder_files(pictured[1]).items():
            (out / PICTURES / name).write_bytes(content)
    seconds["allocation"] = time.perf_counter() - started - sum(seconds.values())
    done, told = 0, progress.Count("requests")
    with SampleWriter(out, contract, log) as writer:
        for split, wanted in (
            ("train", chosen.train),
            ("validation", chosen.validation),
            ("evaluation", chosen.evaluation),
        ):
            counts = _Counts(rated=ratings is not None)
            for part in assemble(
                wanted,
                [users[r] for r in wanted],
                sources,
                candidates=config,
                negatives=None if split == "evaluation" else TRAINING_NEGATIVES,
                seed=training_spec.seed,
                progress=partial(_further, told, done, len(requests)),
            ):
                if split != "evaluation":  # there nothing that could be offered is a miss
                    asked = len(part)
                    part = part.with_candidates()
                    counts.without_candidates += asked - len(part)
                    if not len(part):
                        continue
                ratings_R = ratings.of(part) if ratings else None
                writer.write(part, split, ratings_R)
                counts.add(part, ratings_R)
            done += len(wanted)
            report["splits"][split] = counts.report()
            if split == "train" and not counts.positives:  # nothing after this step could mend it
                raise _nothing_to_offer(log, windows, len(wanted))
    seconds["samples"] = time.perf_counter() - started - sum(seconds.values())
    if "Search" in training_spec.surfaces:
        made = write_searches(
            data,
            out,
            windows=windows,
            joins=joins,
            log=log,
            contract=contract,
            catalogs=catalogs,
            seed=training_spec.seed,
        )
        report["search"] = made
        seconds["search"] = time.perf_counter() - started - sum(seconds.values())
    report |= {
        "items": len(vocabulary),
        "features": len(contract.pair_features),
        "training_first": windows.training_first,
        "evaluation_first": windows.evaluation_first,
        "last_day": windows.last,
        "windows": windows.report(),
        "left_out": materialized["left_out"],
        "negatives_per_training_request": TRAINING_NEGATIVES,
        "candidates": config.to_json(),
        "sessions": log.sessions,
        "catalogs": list(catalogs.first_days),
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    (out / "samples.json").write_text(json.dumps(report, indent=1) + "\n")
    return report


def allocate(requests: Sequence[Request], sources: Sources, *, seed: int, places: int = PLACES) -> CandidateConfig:
    """How many items each source may bring, by what it would have found on the latest visit of some of these users.

    Of each user one, as in evaluation: who comes often knows most of what sells.

    Args:
        requests: Visits of the past.
        sources: What is known before each.
        seed: Of the users who are drawn.
        places: Of all sources together.
    """
    latest = {request.user: request for request in sorted(requests, key=lambda request: request.day)}
    chosen = np.random.default_rng(seed).permutation(sorted(latest))[:ALLOCATION_REQUESTS]
    found, told = Allocation(), progress.Count("users to weigh the sources of candidates")
    asked = sorted((latest[int(user)] for user in chosen), key=lambda request: (request.day, request.user))
    for done, request in enumerate(asked, 1):
        found.add(
            history_of(sources.log, request.user, before=request.day, seen=request.seen),
            day=request.as_of,
            items=sources.items(request.day),
            catalog=sources.catalogs(request.day),
            bought=bought_on(sources.log, request.user, day=request.day, seen=request.seen),
        )
        told(done, len(asked))
    return found.config(places)


def _nothing_to_offer(log: PurchaseLog, windows: TimeSplit, requests: int) -> TooFewEvents:
    bought = pl.DataFrame({"user": log.user_R, "item": log.item_R, "day": log.day_R})
    learned = pl.col("day").is_between(windows.training_first, windows.evaluation_first - 1)
    share = sold_before(bought, learned)
    why = f"None of the {requests:,} visits to learn from has a candidate that was bought. {sold_once(share)}"
    if share < 0.5:
        return TooFewEvents(f"{why} {COARSER}")
    return TooFewEvents(f"{why} Shoppers of this data neither repeat nor buy what sells: bring more days or users.")


def _further(told: progress.Count, before: int, total: int, done: int, _: int) -> None:
    """Tells how far a split is, as of all splits together."""
    told(before + done, total)


class _Counts:
    """What a split holds, and how much of what was bought its candidates reach."""

    def __init__(self, *, rated: bool) -> None:
        self.requests = self.rows = self.positives = self.bought = self.without_candidates = 0
        self.rated = 0 if rated else None
        self.found = dict.fromkeys(SOURCES, 0)

    def add(self, part: SampleSet, ratings_R: Float32 | None) -> None:
        if self.rated is not None and ratings_R is not None:
            self.rated += int((part.labels_R & np.isfinite(ratings_R)).sum())
        self.requests += len(part)
        self.rows += len(part.items_R)
        self.positives += int(part.labels_R.sum())
        self.bought += len(part.truth_T)
        for bit, source in enumerate(SOURCES):
            self.found[source] += int((part.labels_R & (part.sources_R >> bit & 1 == 1)).sum())

    def report(self) -> dict[str, Any]:
        bought = max(self.bought, 1)
        return {
            "requests": self.requests,
            **({"without_candidates": self.without_candidates} if self.without_candidates else {}),
            "rows": self.rows,
            "positives": self.positives,
            "bought": self.bought,
            **({} if self.rated is None else {"rated": self.rated}),
            "candidate_recall": self.positives / bought,
            "candidate_recall_by_source": {
                source: found / bought for source, found in self.found.items() if source != BY_PICTURES or found
            },
        }


def read_log(data: Path, vocabulary: Vocabulary, *, sessions: bool) -> PurchaseLog:
    """The purchases of a ``load_data`` folder, between the log's ends.

    Args:
        data: The folder.
        vocabulary: The items that count.
        sessions: Whether it is read as a log of sessions, as ``materialize_features`` has found or was told.
    """
    columns = ["user", "item", "time", "kind", "quantity", "price", "shop"]
    return PurchaseLog.of(purchases(read_interactions(data, columns)[0]), vocabulary, sessions=sessions)


def choose_requests(log: PurchaseLog, split: TimeSplit, *, seed: int) -> Chosen:
    """Which visits are samples: training from the days before evaluation, evaluation from one visit of each user.

    Raises:
        TooFewEvents: fewer than 20 visits to learn from or 10 users to evaluate on.
    """
    _, first_row = log.baskets()
    moments_V = np.maximum.reduceat(log.moment_R, first_row) + 1 if log.sessions else None
    known = log.day_R < split.evaluation_first
    latest = not is_of_repeats(log.user_R[known], log.item_R[known])
    return choose_visits(
        log.user_R[first_row], log.day_R[first_row], split, seed=seed, moments_V=moments_V, latest=latest
    )


def choose_visits(
    user_V: Int32,
    day_V: Int32,
    split: TimeSplit,
    *,
    seed: int,
    moments_V: Int32 | None = None,
    latest: bool = False,
) -> Chosen:
    """As :func:`choose_requests`, of visits (V) by their user's code and their day, sorted by both.

    Args:
        user_V, day_V: A visit each.
        split: The days.
        seed: Of the choice.
        moments_V: Of a log of sessions: how many moments each visit has. Somebody is asked for before each: all are learned
            from, of a longer visit :data:`MOMENTS_A_VISIT` drawn at random, and one of each visit is evaluated on.
        latest: Whether the visits of validation are the latest that could be learned from: as it should be where the log is
            not one of repeats (docs/decisions/0115). Else they lie between those that are learned from.
    """
    rng = np.random.default_rng(seed)
    learn = np.flatnonzero((day_V >= split.training_first) & (day_V < split.evaluation_first))
    judge = np.flatnonzero((day_V >= split.evaluation_first) & (day_V <= split.last))
    most = MAX_TRAINING_REQUESTS if moments_V is None else MAX_SESSION_REQUESTS
    learn = rng.permutation(learn)[:most]
    judge = rng.permutation(judge)
    # of each user the first visit in this random order
    _, one_each = np.unique(user_V[judge], return_index=True)
    judge = judge[np.sort(one_each)][:MAX_EVALUATION_USERS]
    if len(learn) < FEWEST_TRAINING or len(judge) < FEWEST_EVALUATION:
        change = "Bring more days or users, or change spec.training.evaluationDays and trainingDays."
        raise too_little(user_V, day_V, split, change=change)
    held = min(int(len(learn) * VALIDATION_SHARE), MAX_VALIDATION_REQUESTS)
    validation, train = learn[:held], learn[held:]
    if latest:  # else the network that remembers what sold on those days is trusted too much
        order = np.argsort(-day_V[learn], kind="stable")
        validation, train = learn[order[:held]], learn[np.sort(order[held:])]
    if moments_V is not None:
        # where people click what sells moves from day to day, so it is a day of which nothing was learned
        is_last = day_V[learn] == day_V[learn].max()
        if (~is_last).sum() >= FEWEST_TRAINING:
            validation, train = learn[is_last][:held], learn[~is_last]
    count_V = np.ones(len(user_V), np.int64) if moments_V is None else moments_V.astype(np.int64)
    drawn_V = rng.integers(0, count_V)

    def before(v: int, seen: int) -> Request:
        return Request(user=int(user_V[v]), day=int(day_V[v]), seen=seen)

    def asked(v: int) -> list[int]:
        count = int(count_V[v])
        if count <= MOMENTS_A_VISIT:
            return list(range(count))
        return sorted(rng.choice(count, MOMENTS_A_VISIT, replace=False).tolist())

    def each(visits: "np.ndarray[Any, np.dtype[np.int64]]", most: int) -> list[Request]:
        return list(islice((before(int(v), seen) for v in visits for seen in asked(int(v))), most))

    return Chosen(
        train=each(train, most),
        validation=each(validation, MAX_VALIDATION_REQUESTS),
        evaluation=[before(int(v), int(drawn_V[v])) for v in judge],
    )
