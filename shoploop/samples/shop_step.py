"""The part of the samples' step on shops: which visits are learned from, their samples, and which shops there are."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from shoploop import progress
from shoploop.data.splits import FEWEST_EVALUATION, FEWEST_TRAINING, TimeSplit
from shoploop.errors import TooFewEvents
from shoploop.features.ends import read_interactions
from shoploop.features.log import PurchaseLog, Vocabulary, purchases
from shoploop.features.shop import refuse_shopless
from shoploop.samples.files import SampleWriter
from shoploop.samples.shops import SHOP_COLUMNS, assemble_shops
from shoploop.surfaces.shops.memory import ShopMemory
from shoploop.surfaces.shops.visits import Visits, visits_of

SHOPS = "shops"
"""Folder of this part below that of the samples."""

SHOP_NAMES = "shops.parquet"
"""In it, the shops that the model knows, in the order of their codes."""

MAX_TRAINING, MAX_VALIDATION, MAX_EVALUATION = 8_000, 600, 4_000
VALIDATION_SHARE = 0.06
AT_ONCE = 1000


@dataclass(frozen=True)
class _Names:
    """What codes stand for in the files."""

    users: tuple[str, ...]
    vocabulary: Vocabulary
    sessions: bool = False
    """A visit to a shop is a day, also where one of items has moments."""


def read_visits(data: Path) -> Visits:
    """The visits of a ``load_data`` folder, between the log's ends.

    Raises:
        TooFewEvents: no purchase names its shop, or all name the same.
    """
    bought = purchases(read_interactions(data, ["user", "item", "time", "kind", "shop"])[0])
    refuse_shopless(bought)
    return visits_of(bought)


def write_shops(data: Path, out: Path, *, windows: TimeSplit, log: PurchaseLog, seed: int) -> dict[str, Any]:
    """Builds the samples of visits of a run into ``out / SHOPS``.

    Args:
        data: Folder of ``load_data``.
        out: The samples' folder.
        windows: Days to learn from and of evaluation.
        log: Purchases, which the Transformer reads.
        seed: Of all draws.

    Returns:
        Shops, visits and rows by split, and how many of the shops that were visited the candidates reach.

    Raises:
        TooFewEvents: there are too few visits to learn from or to evaluate on, or no two shops.
    """
    visits = read_visits(data)
    chosen = choose_shop_visits(visits, windows, seed=seed)
    memory = ShopMemory(visits)
    folder = out / SHOPS
    folder.mkdir(parents=True, exist_ok=True)
    pl.DataFrame({"shop": list(visits.shops)}).write_parquet(folder / SHOP_NAMES, compression="zstd")
    report: dict[str, Any] = {"shops": len(visits.shops), "visits": len(visits), "splits": {}}
    done, total = 0, sum(map(len, chosen.values()))
    names = _Names(users=visits.users, vocabulary=Vocabulary(visits.shops))
    with SampleWriter(folder, SHOP_COLUMNS, names) as writer:
        for split, places in chosen.items():
            places = places[np.lexsort((places, visits.day_V[places]))]
            requests = rows = found = 0
            for start in range(0, len(places), AT_ONCE):
                part = assemble_shops(visits, places[start : start + AT_ONCE], memory, log=log)
                done += len(part)
                if split != "evaluation":
                    part = part.with_candidates()
                if len(part):
                    writer.write(part, split)
                requests += len(part)
                rows += len(part.items_R)
                found += int(part.labels_R.sum())
                progress.report(done, total, "visits")
            report["splits"][split] = {
                "requests": requests,
                "rows": rows,
                "candidate_recall": found / max(requests, 1),
            }
    return report


def choose_shop_visits(visits: Visits, windows: TimeSplit, *, seed: int) -> dict[str, npt.NDArray[np.int64]]:
    """Places of the visits to learn from, to validate on and to be judged on.

    Raises:
        TooFewEvents: fewer than 20 to learn from or 10 to evaluate on.
    """
    random = np.random.default_rng(seed)
    days_V = visits.day_V
    learn = random.permutation(np.flatnonzero((days_V >= windows.training_first) & (days_V < windows.evaluation_first)))
    judge = random.permutation(np.flatnonzero((days_V >= windows.evaluation_first) & (days_V <= windows.last)))
    if len(learn) < FEWEST_TRAINING or len(judge) < FEWEST_EVALUATION:
        said = windows.report()
        raise TooFewEvents(
            f"Of {len(visits):,} visits to shops (a user's purchases of one day that name a shop) {len(learn)} lie in the "
            f"days to learn from ({' to '.join(said['training'])}) and {len(judge)} in those of evaluation "
            f"({' to '.join(said['evaluation'])}); {FEWEST_TRAINING} and {FEWEST_EVALUATION} are needed. Bring more days in "
            "which purchases name their shop, or leave Shops out of spec.training.surfaces."
        )
    learn = learn[: MAX_TRAINING + MAX_VALIDATION]
    held = min(int(len(learn) * VALIDATION_SHARE), MAX_VALIDATION)
    return {"train": learn[held:], "validation": learn[:held], "evaluation": judge[:MAX_EVALUATION]}
