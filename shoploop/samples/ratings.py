"""How much somebody liked what they bought, for the rows of samples, where the spec says that ratings weigh.

Legend: R rows (a request and a candidate).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from shoploop.features.ends import read_interactions
from shoploop.features.log import Float32, PurchaseLog, day_of
from shoploop.samples.sample_set import SampleSet
from shoploop.schemas import POSITIVE_KINDS, RATING

_KEY = ("user", "day", "item")


@dataclass(frozen=True, kw_only=True, eq=False)
class Ratings:
    """Of each user, day and item that was bought and rated; of several on one day the mean."""

    table: pl.DataFrame
    """Codes ``user``, ``day`` and ``item``, and ``rating``."""

    def of(self, part: SampleSet) -> Float32:
        """(R,), NaN where nothing was rated."""
        rows_Q = np.diff(part.offsets_Q1)
        rows = pl.DataFrame(
            {
                "user": np.repeat(part.users_Q, rows_Q),
                "day": np.repeat(part.days_Q, rows_Q),
                "item": part.items_R,
            }
        )
        found = rows.join(self.table, on=_KEY, how="left", maintain_order="left")[RATING]
        return found.fill_null(float("nan")).to_numpy().astype(np.float32)


def read_ratings(data: Path, log: PurchaseLog) -> Ratings | None:
    """The ratings of a ``load_data`` folder by the codes of ``log``; None where ratings do not weigh."""
    if RATING not in pq.read_schema(data / "interactions.parquet").names:
        return None
    events = read_interactions(data, ["user", "item", "time", "kind", RATING])[0]
    users = pl.DataFrame({"user": list(log.users), "code": np.arange(len(log.users), dtype=np.int32)})
    rated = (
        events.filter(pl.col("kind").is_in(POSITIVE_KINDS) & pl.col(RATING).is_not_null())
        .with_columns(day=day_of("time"))
        .join(users, on="user")
        .join(log.vocabulary.frame().rename({"code": "item_code"}), on="item")
        .select(pl.col("code").alias("user"), "day", pl.col("item_code").alias("item"), RATING)
    )
    return Ratings(table=rated.group_by(_KEY).agg(pl.col(RATING).sort().mean().cast(pl.Float32)))
