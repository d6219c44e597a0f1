"""The self-check: labels flipped on purpose, and trainings with and without the weights, on a sample of the visits.

Legend: R rows (a request and a candidate), Q requests.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from shoploop import progress
from shoploop.features.contract import Contract
from shoploop.importance.checks.effort import CheckConfig, first_judged_day
from shoploop.importance.checks.flips import Shop, check_flips
from shoploop.importance.checks.trial import Verdict, judge, try_weights
from shoploop.importance.description import Names
from shoploop.importance.estimators.errors import TooFewSamples
from shoploop.importance.weighing import WeighingConfig
from shoploop.resuming.stages import Stages
from shoploop.samples.files import REQUESTS, iterate_samples, read_catalog, read_items
from shoploop.samples.sample_set import VIRTUAL_USER_CODES, SampleSet

LEARNED, WEIGHED, DESCRIBED, FLIPPED, TRIED = PARTS = (
    "a proxy learns", "samples are weighed", "weights are described", "are flipped labels found", "does training lose"
)  # fmt: skip
PARTS_OF_STEP = progress.Parts(*PARTS)
"""Of the step, for who watches."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a step reads."""

    samples: SampleSet
    keys: pa.Table
    shop: Shop
    names: Names
    digest: str


def read_inputs(*, data: Path, features: Path, samples: Path, digest: str) -> Inputs:
    """The training samples with what names and models need.

    Raises:
        TooFewSamples: there is none.
    """
    contract = Contract.from_json(json.loads((features / "contract.json").read_text()))
    parts = list(iterate_samples(samples, contract, "train"))
    if not sum(len(keys) for _, keys in parts):
        raise TooFewSamples(
            "No training visit has a candidate, so there is nothing to weigh. Bring more days or users."
        )
    catalog, items = read_catalog(samples), read_items(samples)
    known = dict(pl.read_parquet(data / "items.parquet", columns=["item", "title"]).iter_rows())
    codes = items["item"].to_pylist()
    requests = pl.read_parquet(samples / REQUESTS, columns=["user", "split"]).filter(pl.col("split") == "train")
    return Inputs(
        samples=SampleSet.concat([part for part, _ in parts]),
        keys=pa.concat_tables([keys for _, keys in parts]),
        shop=Shop(catalog=catalog, contract=contract, columns=tuple(WeighingConfig().columns)),
        names=Names(users=requests["user"].to_list(), items=codes, titles=[known.get(i) or i for i in codes]),
        digest=digest,
    )


def check_weights(
    inputs: Inputs, config: WeighingConfig, seed: int, stages: Stages, check: CheckConfig
) -> tuple[Verdict, dict[str, Any]]:
    """The self-check: flips and a trial on a sample, and what follows from them.

    What is tried is the method that finds the most of what was flipped, whichever was asked for.
    """
    learned, judged = _divided(inputs.samples, check, seed)
    sizes = {"learned": len(learned), "judged": len(judged), "flipped": min(check.flipped, len(learned))}
    if min(len(learned), len(judged)) < check.fewest:
        few = (
            f"Whether the weights lose cannot be shown: of the {len(inputs.samples)} training visits, {len(learned)} are "
            f"there to learn from and {len(judged)} later ones to judge on; {check.fewest} of each are needed."
        )
        return Verdict(used=False, reason=few), {"sample": sizes}
    shop = replace(inputs.shop, columns=tuple(config.columns))
    few_learned, few_judged = (s.select(np.arange(min(check.flipped, len(s)))) for s in (learned, judged))
    PARTS_OF_STEP.begin(FLIPPED)
    _, flips = stages("flips", lambda: ({}, check_flips(few_learned, few_judged, shop, config.method, seed=seed)))
    PARTS_OF_STEP.begin(TRIED)
    preferred = replace(config, method=flips["preferred"])
    _, trial = stages("trial", lambda: ({}, try_weights(learned, judged, shop, preferred, seed=seed)))
    return judge(trial), {"sample": sizes} | flips | {"training": trial}


def _divided(samples: SampleSet, check: CheckConfig, seed: int) -> tuple[SampleSet, SampleSet]:
    """Earlier and later requests of the split ``train`` with something bought, in random order; virtual ones judge nobody."""
    rng = np.random.default_rng(seed)
    bought_Q = np.add.reduceat(np.append(samples.labels_R, False).astype(np.int64), samples.offsets_Q1[:-1]) > 0
    bought_Q &= np.diff(samples.offsets_Q1) > 0
    days = np.unique(samples.days_Q[bought_Q])
    cut = first_judged_day(days, check)
    real_Q = samples.users_Q < VIRTUAL_USER_CODES
    earlier, later = (
        rng.permutation(np.flatnonzero(bought_Q & chosen_Q))
        for chosen_Q in (samples.days_Q < cut, real_Q & (samples.days_Q >= cut))
    )
    return samples.select(earlier[: check.learned]), samples.select(later[: check.judged])
