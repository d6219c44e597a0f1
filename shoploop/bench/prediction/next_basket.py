"""The next-basket benchmark: a household's last visit, predicted from the visits before it.

The protocol: a basket is a household and a day, items count once a day. Households with at least 3 days; items bought
at least 17 times on days before each household's last; the last day is the target, reduced to kept items; households
whose target is empty, or with fewer than 3 days of kept items before it, are dropped. The date of the visit is known,
the shop is not, unless it is asked for.

Everything is fitted on what lies before: the catalog before the label days, the statistics causal by day and without
any target, the models on the visits 2 to 6 from the end.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from shoploop.api.v1alpha1 import DataSpec
from shoploop.bench.prediction.problem import Problem
from shoploop.errors import TooFewEvents
from shoploop.features.contract import Contract, resolve
from shoploop.features.history import bought_on
from shoploop.features.log import PurchaseLog, Vocabulary, purchases
from shoploop.features.offers import FILE as OFFERS
from shoploop.features.offers import Offers, offered, write_offers
from shoploop.samples.sample_set import Request

MIN_DAYS, MIN_PURCHASES, MIN_HISTORY_DAYS = 3, 17, 3
LABEL_VISITS = range(2, 7)
"""Visits counted from the end, 1 being the target, whose items are training labels."""

COUNTS = {"completejourney": {"users": 2226, "items": 14512, "mean_target": 10.7}}
"""What the protocol must find; other numbers mean other data, and scores that cannot be compared."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """The protocol applied to one dataset."""

    log: PurchaseLog
    """Every purchase of kept items, the targets with them; histories are cut by day."""

    past: PurchaseLog
    """Without the targets: what statistics may count."""

    before_labels: PurchaseLog
    """Without the label visits too: what the catalog is fitted on."""

    targets: list[Request]
    labels: list[Request]


def split_visits(interactions: pl.DataFrame) -> Split:
    """Applies the protocol.

    Raises:
        TooFewEvents: no household is left.
    """
    bought = purchases(interactions).with_columns(
        last=pl.col("day").max().over("user"), days=pl.col("day").n_unique().over("user")
    )
    bought = bought.filter(pl.col("days") >= MIN_DAYS)
    counts = (
        bought.filter(pl.col("day") < pl.col("last"))
        .select("user", "item", "day")
        .unique()
        .group_by("item")
        .len("times")
    )
    kept = counts.filter(pl.col("times") >= MIN_PURCHASES)["item"].sort()
    log = PurchaseLog.of(bought, Vocabulary(tuple(kept)))
    last_days = dict(bought.select("user", "last").unique().iter_rows())
    last_U = np.array([last_days[user] for user in log.users], np.int32)
    past_R = log.day_R < last_U[log.user_R]

    targets, labels = [], []
    first_label_U = last_U.copy()
    for user in range(len(log.users)):
        rows = slice(int(log.offsets_U1[user]), int(log.offsets_U1[user + 1]))
        days = np.unique(log.day_R[rows])
        earlier = days[days < last_U[user]]
        if len(earlier) >= MIN_HISTORY_DAYS and len(days) > len(earlier):
            targets.append(Request(user=user, day=int(last_U[user])))
        # kept visits may be fewer than visits; what is counted from the end is kept visits
        for back in LABEL_VISITS:
            if len(earlier) - (back - 1) >= 1:
                day = int(earlier[-(back - 1)])
                first_label_U[user] = min(first_label_U[user], day)
                labels.append(Request(user=user, day=day))
    if not targets:
        raise TooFewEvents(
            f"The next-basket protocol leaves no user: it needs {MIN_DAYS} days per user and items bought "
            f"{MIN_PURCHASES} times. Use a larger dataset."
        )
    return Split(
        log=log,
        past=log.where(past_R),
        before_labels=log.where(log.day_R < first_label_U[log.user_R]),
        targets=targets,
        labels=labels,
    )


def of_dataset(dataset: str, *, offers: bool = False, in_shop: bool = False, back: int = 0) -> Problem:
    """The problem of a known dataset.

    Args:
        dataset: Its name.
        back: Of each household's last visits so many did not happen yet: the one before is asked for.
        offers: Whether its offers are known, too: nobody else's numbers are with them.
        in_shop: Whether the shop of the visit is known.

    Raises:
        ProtocolViolated: the counts are not the protocol's.
        TooFewEvents: no household is left.
        SpecInvalid: offers are asked for, and it has none.
    """
    with tempfile.TemporaryDirectory() as folder:
        interactions, items, users = _load(dataset, Path(folder), offers=offers)
        interactions = without_last(interactions, back)
        split = split_visits(interactions)
        span = {"first": split.log.first_day, "before": split.log.last_day + 1}
        on_offer = offered(Path(folder) / OFFERS, **span) if offers else {}
        contract = resolve(interactions=interactions, items=items, users=users, in_shop=in_shop, **on_offer)
        known = _offers(Path(folder), split.log.vocabulary, contract)
    bought = [len(bought_on(split.log, request.user, day=request.day)) for request in split.targets]
    # day 0 was a Thursday
    weekend_Q = np.array([(request.day + 3) % 7 >= 5 for request in split.targets])
    return Problem(
        dataset=dataset,
        log=split.log,
        past=split.past,
        before_labels=split.before_labels,
        targets=split.targets,
        labels=split.labels,
        contract=contract,
        offers=known,
        in_shop=in_shop,
        items=items,
        slices={"weekends": weekend_Q, "weekdays": ~weekend_Q},
        counts={
            "users": len(split.targets),
            "items": len(split.log.vocabulary),
            "mean_target": round(sum(bought) / len(bought), 1),
        },
        rivals=("tifu_knn",),
    ).checked({} if back else COUNTS.get(dataset, {}))


def without_last(interactions: pl.DataFrame, visits: int) -> pl.DataFrame:
    """The interactions before each user's last so many days with a purchase."""
    if not visits:
        return interactions
    days = purchases(interactions).select("user", "day").unique()
    last = days.filter(pl.col("day").rank("dense", descending=True).over("user") == visits)
    first = pl.col("time").dt.date() < pl.col("day").cast(pl.Date)
    return interactions.join(last, on="user", maintain_order="left").filter(first).drop("day")


def tables_of(dataset: str) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Interactions, items and users of a known dataset, as a run loads them."""
    with tempfile.TemporaryDirectory() as folder:
        return _load(dataset, Path(folder))


def _load(dataset: str, out: Path, *, offers: bool = False) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    from shoploop.data.step import load_data

    load_data(out=out, data_spec=DataSpec(dataset=dataset, offers=offers))
    interactions = pl.read_parquet(out / "interactions.parquet")
    return interactions, pl.read_parquet(out / "items.parquet"), pl.read_parquet(out / "users.parquet")


def _offers(data: Path, vocabulary: Vocabulary, contract: Contract) -> Offers | None:
    if not contract.offer_kinds:
        return None
    features = data / "features"
    features.mkdir()
    write_offers(data, features, vocabulary)
    vocabulary.frame().write_parquet(features / "vocabulary.parquet")
    return Offers.of_features(features, contract)
