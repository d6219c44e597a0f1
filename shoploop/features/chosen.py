"""The days and items of a run, read from what loading wrote: the first thing that the step of features does.

It takes little, so that whoever carries out a run may ask it before anything slow: what is refused here is refused there.
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from shoploop.api.v1alpha1 import TrainingSpec
from shoploop.data.moments import in_sessions
from shoploop.data.picture_files import FILE as PICTURES
from shoploop.features.ends import Outside, read_interactions
from shoploop.features.log import purchases
from shoploop.features.searched import SEARCHES, taken_after_searches
from shoploop.features.shop import refuse_shopless
from shoploop.features.windows import Windows, choose_windows


@dataclass(frozen=True, kw_only=True)
class ChosenDays:
    interactions: pl.DataFrame
    outside: Outside
    bought: pl.DataFrame
    sessions: bool
    windows: Windows


def choose_days(data: Path, training: TrainingSpec) -> ChosenDays:
    """Reads what was bought and chooses days to learn from and to evaluate on.

    Args:
        data: Folder of ``load_data``.

    Raises:
        TooFewEvents: no purchase, or too few on these days; or shops are asked for, and no two are named.
    """
    interactions, outside = read_interactions(data)
    bought = purchases(interactions)
    if "Shops" in training.surfaces:  # the first step that could know: before anything is computed
        refuse_shopless(bought)
    sessions = in_sessions(bought, training.task)
    pictured = pl.read_parquet(data / PICTURES, columns=["item"])["item"] if (data / PICTURES).exists() else ()
    searched = None
    if "Search" in training.surfaces and (data / SEARCHES).exists():
        named = pl.read_parquet(data / "items.parquet", columns=["item"])
        searched = taken_after_searches(pl.read_parquet(data / SEARCHES, columns=["user", "item", "time"]), named)
    windows = choose_windows(
        bought,
        last=outside.span.last,
        training=training,
        sessions=sessions,
        searched=searched,
        pictured=list(pictured),
    )
    return ChosenDays(interactions=interactions, outside=outside, bought=bought, sessions=sessions, windows=windows)
