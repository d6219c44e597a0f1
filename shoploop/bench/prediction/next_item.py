"""The next-item benchmark: each user's last item, predicted from all but the last two of everybody.

The protocol ("strict"): the log without each user's last two items is what statistics, catalog and models are fitted on; a
user's own history is all but the last item. The next-to-last items are for validation, where no item of the past has the
same time. All items are ranked, the user's own masked. In Amazon's reviews two in five
users have their last two items at one time, sorted by item id, and their order leaks: items of one time are a set here, no
id is a feature, and the slice ``distinct_times`` holds the users whose last two times differ.
"""

from pathlib import Path

import numpy as np
import polars as pl

from shoploop.bench.prediction.problem import (
    NOBODY,
    Known,
    Problem,
    bare_items,
    bare_purchases,
    latest_labels,
    read_compressed,
)
from shoploop.features.contract import resolve
from shoploop.features.log import PurchaseLog, Vocabulary, purchases
from shoploop.samples.sample_set import Request

COUNTS = {"amazon-beauty": {"users": 22363, "items": 12101, "distinct_times": 12644}}
"""What the protocol must find."""

LABELS, TARGETS = 12_000, 6_000
"""Visits to learn from, the latest of the log; users who are judged, drawn: with all of them the samples take six GiB."""


KNOWN = {
    "amazon-beauty": tuple(
        Known(rival=rival, metric=metric, value=value, slice="distinct_times")
        for rival, metric, value in (
            ("sasrec", "hit@10", 0.0588),
            ("sasrec", "ndcg@10", 0.0320),
            ("markov", "hit@10", 0.0484),
            ("markov", "ndcg@10", 0.0268),
        )
    )
}
"""Fitted in the same way, of the users whose last two times differ: the others' numbers depend on the order of a tie."""


def read_reviews(folder: Path) -> pl.DataFrame:
    """Columns ``user``, ``item``, ``time`` and ``part`` (train, valid or test), as the files have them.

    Raises:
        NotFound: a file is not there.
    """
    parts = []
    for part in ("train", "valid", "test"):
        schema = {"user": pl.String, "item": pl.String, "seconds": pl.Int64}
        text = read_compressed(folder / f"{part}.txt.gz")
        rows = pl.read_csv(text, separator="\t", has_header=False, schema=schema)
        parts.append(rows.with_columns(part=pl.lit(part)))
    return pl.concat(parts).select(
        "user", "item", pl.from_epoch("seconds", time_unit="s").dt.replace_time_zone("UTC").alias("time"), "part"
    )


def leave_last_out(reviews: pl.DataFrame, dataset: str, *, seed: int = 0) -> Problem:
    """Applies the protocol.

    Args:
        reviews: As of :func:`read_reviews`: one row ``test`` and one ``valid`` a user.
        dataset: Its name.
        seed: Of the draw of users who are judged.
    """
    last = reviews.filter(pl.col("part") == "test").select("user", last="time")
    before = reviews.filter(pl.col("part") == "valid").select("user", before="time")
    ends = last.join(before, on="user")
    # items of one time are a set: the one that is asked for is moved a day on, and the others are what is known
    tied = pl.col("part").eq("test") & (pl.col("last").dt.date() == pl.col("before").dt.date())
    moved = pl.when(tied).then(pl.col("time") + pl.duration(days=1)).otherwise("time")
    rows = bare_purchases(reviews.join(ends, on="user").with_columns(time=moved))
    bought = purchases(rows)
    log = PurchaseLog.of(bought, Vocabulary(tuple(sorted(rows["item"].unique()))))
    code = {user: place for place, user in enumerate(log.users)}
    test = bought.filter(pl.col("part") == "test").sort("user")
    targets = [Request(user=code[user], day=day) for user, day in test.select("user", "day").iter_rows()]
    train = bought.filter(pl.col("part") == "train")
    past = log.where(_of(log, train))
    # as on the slice: what stands in one set with items of the past is no question
    until = train.group_by("user").agg(until=pl.col("day").max())
    valid = bought.filter(pl.col("part") == "valid").join(until, on="user").filter(pl.col("day") > pl.col("until"))
    labels, first = latest_labels(past, LABELS)
    items = bare_items(log.vocabulary)
    distinct = test.select(pl.col("last") != pl.col("before")).to_series().to_numpy()
    judged = np.sort(np.random.default_rng(seed).permutation(len(targets))[:TARGETS])
    return Problem(
        dataset=dataset,
        log=log,
        past=past,
        before_labels=past.where(past.day_R < first),
        targets=[targets[place] for place in judged],
        labels=labels,
        contract=resolve(interactions=rows, items=items, users=NOBODY),
        items=items,
        counts={
            "users": len(targets),
            "items": len(log.vocabulary),
            "distinct_times": int(distinct.sum()),
            "judged": len(judged),
        },
        new_only=True,
        validation=[
            Request(user=code[user], day=day) for user, day in valid.sort("user").select("user", "day").iter_rows()
        ],
        slices={"distinct_times": distinct[judged]},
        rivals=("markov", "sasrec"),
        known=KNOWN.get(dataset, ()),
        everyone=targets,
        everyones_slices={"distinct_times": distinct},
    )


def _of(log: PurchaseLog, rows: pl.DataFrame) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Which rows of the log are among these."""
    wanted = set(rows.select("user", "item", "day").iter_rows())
    names = log.vocabulary.items
    return np.fromiter(
        (
            (log.users[user], names[item], int(day)) in wanted
            for user, item, day in zip(log.user_R, log.item_R, log.day_R, strict=True)
        ),
        bool,
        len(log),
    )
