"""Domain transfer: a model that learned in a rich domain and then in a sparse one, against one that knew the sparse only.

A domain is the shoppers of a group of shops, or one category of products. Pre-training on synthetic and fine-tuning on real
behaviour is the variant ``gan then real``; here both domains are real.

Legend: as in ``sample_set``.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from shoploop.augmentation.trials.decision import relative_gain
from shoploop.augmentation.trials.splitting import Metric, Trials, train_and_judge
from shoploop.errors import TooFewEvents
from shoploop.samples.sample_set import SampleSet

RICH_SHARE, SPARSE_SHARE = 0.5, 0.2
"""Of the shoppers, those of the greatest and of the smallest shops."""

FEWEST_JUDGED = 100
SPARSE_LABELS = 400
"""Visits of the sparse domain to learn from, at most: else it were not sparse."""


@dataclass(frozen=True, kw_only=True)
class Domains:
    """A rich one to learn in first, and a sparse one to be judged in."""

    rich_name: str
    sparse_name: str
    rich: SampleSet
    sparse: SampleSet
    judged: SampleSet


def shop_domains(trials: Trials) -> Domains:
    """Shoppers of the greatest shops, and of the smallest, by the shop that each visits most.

    Raises:
        TooFewEvents: the data names too few shops or shoppers.
    """
    visits = trials.bought.drop_nulls("shop").select("user", "day", "shop").unique()
    usual = (
        visits.group_by("user", "shop").len().sort(["user", "len", "shop"], descending=[False, True, False])
        .group_by("user", maintain_order=True).first()
    )  # fmt: skip
    shops = usual.group_by("shop").len().sort(["len", "shop"], descending=[True, False])
    if shops.height < 2:
        raise TooFewEvents(f"The data names {shops.height} shops; transfer from one to another needs two.")
    greater = shops.with_columns(share=(pl.col("len").cum_sum() - pl.col("len")) / shops["len"].sum())
    rich = greater.filter(pl.col("share") < RICH_SHARE)["shop"]
    sparse = greater.filter(pl.col("share") >= 1 - SPARSE_SHARE)["shop"]
    users = {
        name: usual.filter(pl.col("shop").is_in(group.implode()))["user"]
        for name, group in (("rich", rich), ("sparse", sparse))
    }
    learn = {name: _of_users(trials.train, trials.past.users, wanted) for name, wanted in users.items()}
    judged = _of_users(trials.overall, trials.shoppers, users["sparse"])
    return _checked(
        Domains(
            rich_name=f"the {len(rich)} greatest shops",
            sparse_name=f"the {len(sparse)} smallest shops",
            rich=learn["rich"],
            sparse=_at_most(learn["sparse"], SPARSE_LABELS, trials.seed),
            judged=judged,
        )
    )


def category_domains(trials: Trials, items: pl.DataFrame) -> Domains:
    """The category that is bought most, and the smallest of which enough shoppers bought something at the judged visits.

    Raises:
        TooFewEvents: there are fewer than two such categories.
    """
    if not isinstance(items.schema.get("category"), pl.List):
        raise TooFewEvents("The items have no categories; transfer from one to another needs two.")
    named = items.select("item", category=pl.col("category").list.first()).unique("item", keep="first")
    category_I = trials.vocabulary.frame().join(named, on="item", how="left").sort("code")["category"].fill_null("")
    names = category_I.unique().sort()
    code_I = category_I.replace_strict(names, np.arange(len(names)), return_dtype=pl.Int64).to_numpy()
    rows = np.bincount(code_I[trials.train.items_R[trials.train.labels_R]], minlength=len(names))
    rich = int(rows.argmax())
    for sparse in np.argsort(rows, kind="stable"):
        if sparse == rich or not names[int(sparse)]:
            continue
        judged = restrict(trials.overall, code_I == sparse)
        if len(judged) >= FEWEST_JUDGED:
            learn = restrict(trials.train, code_I == sparse)
            return _checked(
                Domains(
                    rich_name=str(names[rich]),
                    sparse_name=str(names[int(sparse)]),
                    rich=restrict(trials.train, code_I == rich),
                    sparse=_at_most(learn, SPARSE_LABELS, trials.seed),
                    judged=judged,
                )
            )
    raise TooFewEvents(f"No second category was bought from by {FEWEST_JUDGED} of the judged shoppers.")


def restrict(samples: SampleSet, known_I: npt.NDArray[np.bool_]) -> SampleSet:
    """The samples with these items alone among candidates and truth; histories stay whole. What has no truth is left out."""
    row_request = np.repeat(np.arange(len(samples)), np.diff(samples.offsets_Q1))
    kept_R, kept_T = known_I[samples.items_R], known_I[samples.truth_T]
    truth_request = np.repeat(np.arange(len(samples)), np.diff(samples.truth_offsets_Q1))
    rows_Q = np.bincount(row_request[kept_R], minlength=len(samples))
    truth_Q = np.bincount(truth_request[kept_T], minlength=len(samples))
    narrowed = replace(
        samples,
        offsets_Q1=_offsets(rows_Q),
        items_R=samples.items_R[kept_R],
        labels_R=samples.labels_R[kept_R],
        sources_R=samples.sources_R[kept_R],
        features_RK=samples.features_RK[kept_R],
        truth_offsets_Q1=_offsets(truth_Q),
        truth_T=samples.truth_T[kept_T],
    )
    return narrowed.select(np.flatnonzero((rows_Q > 0) & (truth_Q > 0)))


def transferred(trials: Trials, domains: Domains, *, epochs: int) -> dict[str, Metric]:
    """NDCG@10 per judged request with the rich domain before and without; both with as many steps of training."""
    random = np.random.default_rng(trials.seed)
    again = domains.sparse.select(np.sort(random.integers(len(domains.sparse), size=len(domains.rich))))
    asked = replace(trials, cold=domains.judged, overall=domains.judged)
    return {
        name: train_and_judge(asked, domains.sparse, first=first, epochs=epochs)["overall"]
        for name, first in (("transferred", domains.rich), ("alone", again))
    }


def gain_of(found: list[dict[str, Metric]], domains: Domains, *, seed: int) -> dict[str, Any]:
    """The gain as reports hold it, over one or several seeds."""
    gain = relative_gain([f["transferred"] for f in found], [f["alone"] for f in found], seed=seed)
    return {
        "from": domains.rich_name,
        "to": domains.sparse_name,
        "learned": {"rich": len(domains.rich), "sparse": len(domains.sparse)},
        "judged": len(domains.judged),
        "ndcg@10_gain": gain.gain,
        "interval": list(gain.interval),
        "pays": gain.interval[0] > 0,
    }


def _of_users(samples: SampleSet, names: tuple[str, ...], wanted: pl.Series) -> SampleSet:
    known = np.isin(np.array(names)[samples.users_Q], wanted.to_numpy())
    return samples.select(np.flatnonzero(known))


def _at_most(samples: SampleSet, most: int, seed: int) -> SampleSet:
    return samples.select(np.sort(np.random.default_rng(seed).permutation(len(samples))[:most]))


def _checked(domains: Domains) -> Domains:
    if min(len(domains.rich), len(domains.sparse)) == 0 or len(domains.judged) < FEWEST_JUDGED:
        raise TooFewEvents(
            f"{domains.sparse_name}: {len(domains.sparse)} visits to learn from and {len(domains.judged)} to judge on; "
            f"{FEWEST_JUDGED} to judge on are needed."
        )
    return domains


def _offsets(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
