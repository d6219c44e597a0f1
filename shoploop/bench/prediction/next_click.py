"""The next-click benchmark: each click of a session but the first, predicted from the clicks before it.

The protocol: sessions of the last day are the test, what was clicked before them is learned from; items that were not are
left out of the test, and sessions of one click with them (Hidasi et al. 2016, "Session-based recommendations with recurrent
neural networks", section 4.1). Clicks on what was clicked before count, as they do there.

Statistics of the model are made by day, and here everything happens in a session of minutes. So half an hour, after which a
session is over by custom, is told as a day: a week then has about as many of them as a year has days, and one session's
clicks lie half an hour apart, in their order. A session's later clicks are thereby told later than they were, never earlier;
nothing of the last day is counted for anybody but the session itself.
"""

from pathlib import Path

import numpy as np
import polars as pl

from shoploop.bench.prediction.problem import (
    NOBODY,
    Problem,
    bare_items,
    bare_purchases,
    latest_labels,
    read_compressed,
)
from shoploop.features.contract import resolve
from shoploop.features.log import PurchaseLog, Vocabulary, purchases
from shoploop.samples.sample_set import Request

COUNTS = {"yoochoose": {"sessions": 3416, "items": 2933, "clicks": 10152}}
"""What the protocol must find."""

UNIT_SECONDS = 1800
"""That are told as a day."""

LABELS, TARGETS = 12_000, 6_000
"""Clicks to learn from, the latest; clicks that are judged, those of whole sessions, drawn."""

FIRST_DAY = 10_000
"""Of the first click; any day would do."""


def read_clicks(folder: Path) -> pl.DataFrame:
    """Columns ``user`` (the session), ``item``, ``seconds`` and ``part`` (train or test), as the files have them.

    Raises:
        NotFound: a file is not there.
    """
    parts = []
    for part, name in (("train", "train_full"), ("test", "test")):
        schema = {"SessionId": pl.String, "ItemId": pl.String, "Time": pl.Float64}
        text = read_compressed(folder / f"{name}.tsv.gz")
        rows = pl.read_csv(text, separator="\t", schema=schema).with_columns(part=pl.lit(part))
        # the two files number their sessions each for itself
        rows = rows.with_columns(user=pl.concat_str(pl.lit(part), "SessionId", separator="-"))
        parts.append(rows)
    return pl.concat(parts).select("user", "part", item="ItemId", seconds="Time")


def of_clicks(clicks: pl.DataFrame, dataset: str, *, seed: int = 0) -> Problem:
    """Applies the protocol.

    Args:
        clicks: As of :func:`read_clicks`.
        dataset: Its name.
        seed: Of the draw of sessions that are judged.
    """
    known = clicks.filter(pl.col("part") == "train")["item"].unique()
    kept = clicks.filter(pl.col("item").is_in(known.implode())).with_columns(clicks=pl.len().over("user"))
    kept = kept.filter(pl.col("clicks") > 1).sort("user", "seconds", maintain_order=True)
    began = pl.col("seconds").min().over("user") - pl.col("seconds").min()
    told = kept.with_columns(
        time=(pl.lit(FIRST_DAY) + began // UNIT_SECONDS + pl.int_range(pl.len()).over("user"))
        .cast(pl.Int32)
        .cast(pl.Date)
        .cast(pl.Datetime("us", "UTC"))
    )
    rows = bare_purchases(told)
    bought = purchases(rows)
    log = PurchaseLog.of(bought, Vocabulary(tuple(sorted(known))))
    code = {user: place for place, user in enumerate(log.users)}
    test_U = np.array([user.startswith("test-") for user in log.users])
    past = log.where(~test_U[log.user_R])
    asked = bought.filter((pl.col("part") == "test") & (pl.col("day") > pl.col("day").min().over("user"))).sort(
        "user", "day"
    )
    targets = [Request(user=code[user], day=day) for user, day in asked.select("user", "day").iter_rows()]
    labels, first = latest_labels(past, LABELS)
    items = bare_items(log.vocabulary)
    judged = _sessions(targets, seed)
    return Problem(
        dataset=dataset,
        log=log,
        past=past,
        before_labels=past.where(past.day_R < first),
        targets=judged,
        labels=labels,
        contract=resolve(interactions=rows, items=items, users=NOBODY),
        items=items,
        counts={
            "sessions": len({request.user for request in targets}),
            "items": len(log.vocabulary),
            "clicks": len(targets),
            "judged": len(judged),
        },
        rivals=("markov", "sasrec"),
    )


def _sessions(targets: list[Request], seed: int) -> list[Request]:
    """The targets of so many sessions, drawn, that there are at most ``TARGETS``."""
    users, counts = np.unique([request.user for request in targets], return_counts=True)
    order = np.random.default_rng(seed).permutation(len(users))
    drawn = set(users[order[np.cumsum(counts[order]) <= TARGETS]].tolist())
    return [request for request in targets if request.user in drawn]
