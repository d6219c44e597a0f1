"""What a version would have earned with the answers that the one that serves gave in the days of evaluation.

Of each such answer the pool is known from which chance drew, and what was taken. The new version puts the pool in its own
order, by what was known before the day; :mod:`~shoploop.evaluation.counterfactual` tells what that order would have earned.
What the new version would have found outside the pool has no part. Renewals of the version that serves have its weights and
each serve for a day, so their answers are its own; those of other weights say nothing of it.

Legend: N answers, K positions, R ranks of the pool.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shoploop.data.collected import SHOWN_FILE
from shoploop.evaluation.counterfactual import NOWHERE, Answers, Int, compare
from shoploop.evaluation.scoring import model_scores
from shoploop.features.catalog import CatalogConfig
from shoploop.features.catalogs import following
from shoploop.features.joins import Joins
from shoploop.features.log import PurchaseLog
from shoploop.ranking.exploration import Design
from shoploop.samples.by_day import ByDay
from shoploop.samples.sample_set import Request, Sources, assemble
from shoploop.versions.trained import TrainedModel

LEAST_ANSWERS, LEAST_USERS, LEAST_TAKEN = 1_000, 100, 200
"""With fewer the interval is not to be believed."""

MOST_ANSWERS = 100_000
"""Of more, those of users by chance are looked at: the interval is narrow enough, and each is scored and held in memory."""

LEAST_SUPPORT = 0.9
LONGEST = 50
"""Positions of a list; longer ones are left out."""

_DAY = pl.col("time").dt.epoch("d").cast(pl.Int64)


def judge(
    data: Path,
    *,
    trained: TrainedModel,
    serving: Sequence[str],
    log: PurchaseLog,
    joins: Joins,
    days: tuple[int, int],
    confidence: float,
    seed: int,
) -> dict[str, Any]:
    """What the answers of the version that serves say of the new one.

    Args:
        data: Folder of ``load_data``.
        trained: The new version, with what was known of items before the days.
        serving: Ids of the versions with the weights that serve; the last one serves.
        log: All purchases.
        joins: Statistics of the run's features.
        days: First and last; the version has not learned from them.
        confidence: Of the one-sided bound.
        seed: Of the choice of users where there are too many answers.

    Returns:
        ``code`` (``too_few_impressions``, ``too_little_support`` or ``measured``) and ``facts``, in words; ``answers``,
        ``users`` and ``taken``, how many were looked at; and where they were enough ``lift``, ``interval`` (whose lower end
        is the one-sided bound), ``snips``, ``value`` and ``support``.
    """
    table = _read(data / SHOWN_FILE, serving, log, days, seed)
    whose = serving[-1] if len(serving) == 1 else f"{serving[-1]} and others of the same weights"
    counts = {
        "answers": table.height,
        "users": table["user"].n_unique(),
        "taken": int(table["taken"].list.len().sum()),
    }
    least = {"answers": LEAST_ANSWERS, "users": LEAST_USERS, "taken": LEAST_TAKEN}
    if any(counts[name] < least[name] for name in least):
        return counts | {
            "code": "too_few_impressions",
            "facts": (
                f"In the days of evaluation {whose} gave {counts['answers']:,} answers with exploration to "
                f"{counts['users']:,} users, who took {counts['taken']:,} items; it takes {LEAST_ANSWERS:,}, "
                f"{LEAST_USERS:,} and {LEAST_TAKEN:,} to judge by. Set serving.exploration, and compact events before a run"
            ),
        }
    answers = _answers(table)
    found = compare(answers, _positions(table, answers, trained, log, joins), ("doubly_robust", "snips"))
    estimate, snips = found["doubly_robust"], found["snips"]
    # the lower end of a two-sided interval at 2c - 1 is the one-sided bound at c
    interval = estimate.interval(2 * confidence - 1)
    told = counts | {
        "lift": estimate.lift,
        "interval": list(interval),
        "snips": {"lift": snips.lift, "interval": list(snips.interval(2 * confidence - 1))},
        "value": estimate.value,
        "support": estimate.support,
    }
    facts = (
        f"On {counts['answers']:,} answers of {whose} what is taken would have changed by {estimate.lift:+.1%}, and with "
        f"{confidence:.0%} confidence by more than {interval[0]:+.1%}"
    )
    if estimate.support < LEAST_SUPPORT:
        return told | {
            "code": "too_little_support",
            "facts": f"{facts}; but exploration could have shown only {estimate.support:.0%} of what it would show, and "
            f"{LEAST_SUPPORT:.0%} are needed: lower serving.exploration.keep",
        }
    return told | {"code": "measured", "facts": facts}


def _read(file: Path, serving: Sequence[str], log: PurchaseLog, days: tuple[int, int], seed: int) -> pl.DataFrame:
    """The answers to judge by: of users that the data know, in the order of their requests."""
    if not file.exists():
        return pl.DataFrame(schema={"user": pl.String, "taken": pl.List(pl.String)})
    known = pl.Series(list(log.users), dtype=pl.String)
    there = (
        pl.scan_parquet(file)
        .with_columns(day=_DAY)
        .filter(
            pl.col("version").is_in(list(serving))
            & (pl.col("surface") == "items")
            & pl.col("day").is_between(*days)
            & (pl.col("items").list.len() <= LONGEST)
            & pl.col("user").is_in(known.implode())
        )
    )
    if (answers := there.group_by("user").len().sort("user").collect())["len"].sum() > MOST_ANSWERS:
        drawn = answers[np.random.default_rng(seed).permutation(len(answers))]
        drawn = drawn.filter(pl.col("len").cum_sum() - pl.col("len") < MOST_ANSWERS)
        there = there.filter(pl.col("user").is_in(drawn["user"].implode()))
    return there.collect().sort("time", "request_id")


def _answers(table: pl.DataFrame) -> Answers:
    designs: dict[Design, int] = {}
    positions = int(table["items"].list.len().max() or 0)  # type: ignore[arg-type]
    ranks_NK = np.full((table.height, positions), NOWHERE)
    taken_NK = np.zeros((table.height, positions), bool)
    design_N = np.zeros(table.height, np.int64)
    columns = table.select("items", "ranking", "taken", "share", "keep").iter_rows()
    for n, (items, ranking, taken, share, keep) in enumerate(columns):
        design = Design(share=share, keep=keep, shown=len(items), pool=len(ranking))
        design_N[n] = designs.setdefault(design, len(designs))
        rank = {item: r for r, item in enumerate(ranking)}
        ranks_NK[n, : len(items)] = [rank[item] for item in items]
        taken_NK[n, : len(items)] = np.isin(items, taken)
    users_N = table["user"].rank("dense").to_numpy().astype(np.int64) - 1
    return Answers(users_N=users_N, designs=list(designs), design_N=design_N, ranks_NK=ranks_NK, taken_NK=taken_NK)


def _positions(table: pl.DataFrame, answers: Answers, trained: TrainedModel, log: PurchaseLog, joins: Joins) -> Int:
    """Where the new version shows the pool's items, (N, R): by its scores, and what it does not score last, as it was.

    All answers of a user's day are put in order at once, so that the scores of one day alone are in memory.
    """
    positions_NR = np.full((table.height, answers.pool), NOWHERE)
    asked: dict[tuple[str, int], list[int]] = {}
    for n, of in enumerate(table.select("user", "day").iter_rows()):
        asked.setdefault(of, []).append(n)
    pools, shown_N = table["ranking"], table["items"].list.len()
    for of, own in _scores(table, trained, log, joins):
        for n in asked[of]:
            codes = trained.vocabulary.encode(pools[n].to_list())
            order = np.argsort([-own.get(int(code), -np.inf) for code in codes], kind="stable")[: shown_N[n]]
            positions_NR[n, order] = np.arange(len(order))
    return positions_NR


def _scores(
    table: pl.DataFrame, trained: TrainedModel, log: PurchaseLog, joins: Joins
) -> Iterator[tuple[tuple[str, int], dict[int, float]]]:
    """The new version's scores of its candidates, for each user and day."""
    codes = {user: code for code, user in enumerate(log.users)}
    asked = table.select("user", "day").unique().sort("day", "user").rows()
    requests = [Request(user=codes[user], day=day) for user, day in asked]
    users = joins.users([user for user, _ in asked], [day for _, day in asked])
    days = sorted({day for _, day in asked})
    sources = Sources(
        log=log,
        contract=trained.contract,
        catalogs=following(trained.catalog, log, days, CatalogConfig()),
        items=ByDay(lambda some: joins.items(log.vocabulary, some), days, rows_a_day=len(log.vocabulary)),
        shops=ByDay(lambda some: joins.shops(log.shops, some), days, rows_a_day=len(log.shops)),
        offers=joins.offers(log.vocabulary, trained.contract),
    )
    for samples in assemble(requests, users, sources, candidates=trained.candidates):
        fused = model_scores(trained.model, samples)["fused"]
        for q in range(len(samples)):
            rows = samples.rows(q)
            own = dict(zip(samples.items_R[rows].tolist(), fused[rows].tolist(), strict=True))
            yield (log.users[samples.users_Q[q]], int(samples.days_Q[q])), own
