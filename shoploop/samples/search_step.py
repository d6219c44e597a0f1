"""The search part of the samples' step: which queries are learned from, their samples, and what is remembered of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shoploop import progress
from shoploop.data.splits import FEWEST_EVALUATION, FEWEST_TRAINING, TimeSplit
from shoploop.errors import TooFewEvents
from shoploop.features.catalogs import Catalogs
from shoploop.features.contract import Contract
from shoploop.features.joins import Joins
from shoploop.features.log import Float32, PurchaseLog
from shoploop.features.repeats import is_of_repeats
from shoploop.samples.by_day import ByDay
from shoploop.samples.files import SampleWriter
from shoploop.samples.sample_set import SampleSet, Sources
from shoploop.samples.searching import SearchSources, assemble_searches, search_columns
from shoploop.surfaces.search.asked import (
    Asked,
    Bought,
    bought_after,
    item_texts,
    made_searches,
    requests_of,
    searches_of,
)
from shoploop.surfaces.search.memory import QueryMemory, Searches
from shoploop.surfaces.search.names import Names
from shoploop.surfaces.search.words import spelling

SEARCH = "search"
"""Folder of search's part below that of the samples."""

SEARCHES = "searches.parquet"
"""In it, what was searched for and taken, with all that the predictor is to remember."""

MAX_TRAINING, MAX_VALIDATION, MAX_EVALUATION = 4_000, 400, 2_000
VALIDATION_SHARE = 0.06
NEGATIVES = 100

CLICKED = 0.3
"""What a click teaches beside a purchase, where a shop's searches say which is which: that somebody looked says less of what
they had in mind."""

ENOUGH_OF_EACH = 100
"""Searches after which something was bought, and after which it was not, from which on they are told apart."""

ENOUGH_TYPED = 100
"""Searches in the days to learn from, below which queries that are made of names are learned from beside them."""


def write_searches(
    data: Path,
    out: Path,
    *,
    windows: TimeSplit,
    joins: Joins,
    log: PurchaseLog,
    contract: Contract,
    catalogs: Catalogs,
    seed: int,
) -> dict[str, Any]:
    """Builds the search samples of a run into ``out / SEARCH``.

    Args:
        data: Folder of ``load_data``: its ``searches.parquet``; without one queries are made of names.
        out: The samples' folder.
        windows: Days to learn from and of evaluation.
        joins: Statistics as of a day.
        log: Purchases.
        contract: Names the pair features.
        catalogs: What purchases say of items, by day.
        seed: Of all draws.

    Returns:
        Where queries come from, queries and rows by split, and how much of what was taken the candidates reach; ``bought``,
        how often something was bought, where that teaches more than what was clicked.

    Raises:
        TooFewEvents: there are too few queries to learn from or to evaluate on.
    """
    items = pl.read_parquet(data / "items.parquet")
    texts = item_texts(items, log.vocabulary.items)
    searches, come_from = searches_of_run(data / "searches.parquet", log, texts, windows, seed=seed)
    known = log.day_R < windows.evaluation_first
    latest = not is_of_repeats(log.user_R[known], log.item_R[known])
    chosen = choose_searches(requests_of(searches), windows, seed=seed, latest=latest)
    days = sorted({each.day for part in chosen.values() for each in part})
    matrices = ByDay(lambda some: joins.items(log.vocabulary, some), days, rows_a_day=len(log.vocabulary))
    shops = ByDay(lambda some: joins.shops(log.shops, some), days, rows_a_day=len(log.shops))
    sources = SearchSources(
        names=Names(texts),
        memory=QueryMemory(searches, len(log.vocabulary)),
        pairs=Sources(
            log=log,
            contract=contract,
            catalogs=catalogs,
            items=matrices,
            shops=shops,
            offers=joins.offers(log.vocabulary, contract),
        ),
    )
    folder = out / SEARCH
    folder.mkdir(parents=True, exist_ok=True)
    remembered(searches, log).write_parquet(folder / SEARCHES, compression="zstd")
    report: dict[str, Any] = {"queries": come_from, "splits": {}}
    bought = _bought(data / "searches.parquet", log) if come_from == "typed" else None
    if bought is not None:
        report["bought"] = len(bought)
    with SampleWriter(folder, search_columns(contract.pair_features), log) as writer:
        for split, asked in chosen.items():
            users = joins.users([log.users[a.user] if a.user >= 0 else "" for a in asked], [a.day for a in asked])
            negatives = None if split == "evaluation" else NEGATIVES
            requests = rows = found = taken = 0
            for part in assemble_searches(
                asked,
                users,
                sources,
                negatives=negatives,
                hiding=split == "train",
                seed=seed,
                progress=lambda done, total: progress.report(done, total, "queries"),
            ):
                if split != "evaluation":
                    part = part.with_candidates()
                    if not len(part):
                        continue
                writer.write(part, split, None if bought is None else graded(part, bought))
                requests += len(part)
                rows += len(part.items_R)
                found += int(part.labels_R.sum())
                taken += len(part.truth_T)
            report["splits"][split] = {
                "requests": requests,
                "rows": rows,
                "candidate_recall": found / max(taken, 1),
            }
    return report


def searches_of_run(
    typed: Path, log: PurchaseLog, texts: Sequence[str], windows: TimeSplit, *, seed: int
) -> tuple[Searches, str]:
    """What was searched for, and where that comes from: a shop that begins to collect queries has few at first.

    Args:
        typed: The table of searches; without one queries are made of names.
        log: Purchases.
        texts: What items are called.
        windows: Days to learn from and of evaluation.
        seed: Of the queries that are made.
    """
    if not typed.is_file():
        return made_searches(log, texts, seed=seed), "made of names"
    searches = searches_of(pl.read_parquet(typed), log)
    days = searches.day_E
    learned = int(((days >= windows.training_first) & (days < windows.evaluation_first)).sum())
    judged = int(((days >= windows.evaluation_first) & (days <= windows.last)).sum())
    if learned >= ENOUGH_TYPED and judged >= FEWEST_EVALUATION:
        return searches, "typed"
    return searches.joined(made_searches(log, texts, seed=seed)), "typed and made of names"


def _bought(typed: Path, log: PurchaseLog) -> Bought | None:
    """What was bought after searches, where that is said of enough of them."""
    table = pl.read_parquet(typed)
    purchases = int((table["kind"] == "purchase").sum())
    others = int(table["kind"].is_in(["click", "cart"]).sum())
    return bought_after(table, log) if min(purchases, others) >= ENOUGH_OF_EACH else None


def graded(part: SampleSet, bought: Bought) -> Float32:
    """What each taken row teaches, (R,): 1 where it was bought after the search, :data:`CLICKED` where it was not; NaN where
    nothing was taken. Of two strangers with the same query on one day nobody knows which of them bought."""
    assert part.queries is not None, "a search has a query"
    taken = np.flatnonzero(part.labels_R)
    found_R = np.full(len(part.labels_R), np.nan, np.float32)
    spelt = [spelling(query) for query in part.queries]
    of_taken = np.searchsorted(part.offsets_Q1, taken, side="right") - 1
    for row, q in zip(taken.tolist(), of_taken.tolist(), strict=True):
        key = (int(part.users_Q[q]), int(part.days_Q[q]), spelt[q], int(part.items_R[row]))
        found_R[row] = 1.0 if key in bought else CLICKED
    return found_R


def choose_searches(
    asked: list[Asked], windows: TimeSplit, *, seed: int, latest: bool = False
) -> dict[str, list[Asked]]:
    """Queries to learn from, to validate on and to be judged on, each in the order of days.

    Args:
        asked: All of them.
        windows: The days.
        seed: Of the choice.
        latest: Whether those to validate on are the latest that could be learned from, as it is of visits
            (docs/decisions/0115).

    Raises:
        TooFewEvents: fewer than 20 to learn from or 10 to evaluate on.
    """
    random = np.random.default_rng(seed)
    days = np.array([each.day for each in asked], np.int64)
    learn = random.permutation(np.flatnonzero((days >= windows.training_first) & (days < windows.evaluation_first)))
    judge = random.permutation(np.flatnonzero((days >= windows.evaluation_first) & (days <= windows.last)))
    if len(learn) < FEWEST_TRAINING or len(judge) < FEWEST_EVALUATION:
        said = windows.report()
        raise TooFewEvents(
            f"Of {len(asked):,} queries with what was taken after them {len(learn)} lie in the days to learn from "
            f"({' to '.join(said['training'])}) and {len(judge)} in those of evaluation ({' to '.join(said['evaluation'])}); "
            f"{FEWEST_TRAINING} and {FEWEST_EVALUATION} are needed. Bring more searches, or leave Search out of "
            "spec.training.surfaces."
        )
    learn = learn[: MAX_TRAINING + MAX_VALIDATION]
    held = min(int(len(learn) * VALIDATION_SHARE), MAX_VALIDATION)
    if latest:
        learn = learn[np.argsort(-days[learn], kind="stable")]
    parts = {"train": learn[held:], "validation": learn[:held], "evaluation": judge[:MAX_EVALUATION]}
    return {name: [asked[place] for place in np.sort(places)] for name, places in parts.items()}


def known_searches(
    data: Path, log: PurchaseLog, texts: Sequence[str], windows: TimeSplit, *, seed: int
) -> pl.DataFrame:
    """:func:`remembered` of all searches of a ``load_data`` folder, as :func:`write_searches` finds them."""
    return remembered(searches_of_run(data / "searches.parquet", log, texts, windows, seed=seed)[0], log)


def remembered(searches: Searches, log: PurchaseLog) -> pl.DataFrame:
    """Searches as a table: ``query``, ``item`` and ``day`` (days since 1970-01-01), with the user nowhere."""
    items = np.array(log.vocabulary.items, object)
    return pl.DataFrame(
        {
            "query": [searches.queries[code] for code in searches.query_E],
            "item": items[searches.item_E].tolist(),
            "day": searches.day_E,
        },
        schema={"query": pl.String, "item": pl.String, "day": pl.Int32},
    )
