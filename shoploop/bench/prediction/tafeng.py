"""Ta Feng: the next basket where there are baskets in their order and no dates. A basket's place from the end is its week.

Judged are the test users of one of the splits that TIFU-KNN (Hu et al. 2020) is measured on; everybody's baskets but the last
are learned from.
"""

import json
from pathlib import Path
from typing import Any

import polars as pl

from shoploop.bench.prediction.problem import NOBODY, Known, Problem, bare_items, bare_purchases, read_compressed
from shoploop.features.contract import resolve
from shoploop.features.log import PurchaseLog, Vocabulary, purchases
from shoploop.samples.sample_set import Request

LAST_DAY = 11_000
"""Of every user's last basket; any day would do."""

LABELS = 1
"""Last baskets before the target that are learned from: most users have few."""


KNOWN = (Known(rival="tifu_knn", metric="recall@10", value=0.1306),)


def of_folder(folder: Path, keyset: int = 0) -> Problem:
    """The problem of the files in a folder.

    Raises:
        NotFound: a file is not there.
    """

    def read(name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(read_compressed(folder / f"{name}.json.gz"))
        return found

    history, future, keys = read("history"), read("future"), read(f"keyset_{keyset}")
    rows: list[tuple[str, str, int]] = []
    for user, baskets in history.items():
        whole = [*baskets[1:-1], future[user][1]]
        for back, basket in enumerate(reversed(whole)):
            rows += [(user, str(item), LAST_DAY - 7 * back) for item in basket]
    table = pl.DataFrame(rows, schema={"user": pl.String, "item": pl.String, "day": pl.Int32}, orient="row")
    time = pl.col("day").cast(pl.Date).cast(pl.Datetime("us", "UTC"))
    interactions = bare_purchases(table.select("user", "item", time=time))
    log = PurchaseLog.of(purchases(interactions), Vocabulary(tuple(sorted(table["item"].unique()))))
    code = {user: place for place, user in enumerate(log.users)}
    labels = [
        Request(user=code[user], day=LAST_DAY - 7 * back)
        for user in history
        for back in range(1, min(LABELS + 1, len(history[user]) - 2))
    ]
    items = bare_items(log.vocabulary)
    targets = [Request(user=code[str(user)], day=LAST_DAY) for user in keys["test"]]
    return Problem(
        dataset="tafeng",
        log=log,
        past=log.where(log.day_R < LAST_DAY),
        before_labels=log.where(log.day_R < LAST_DAY - 7 * LABELS),
        targets=targets,
        labels=labels,
        contract=resolve(interactions=interactions, items=items, users=NOBODY),
        items=items,
        counts={"users": len(targets), "items": len(log.vocabulary)},
        rivals=("tifu_knn",),
        known=KNOWN,
    )
