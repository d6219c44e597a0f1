"""Which days and which items a run is about: chosen from the purchases before anything is counted."""

from collections.abc import Collection
from dataclasses import dataclass

import polars as pl

from shoploop.api.v1alpha1 import TrainingSpec
from shoploop.data.splits import TimeSplit, choose_split
from shoploop.errors import TooFewEvents
from shoploop.features.log import MAX_VOCABULARY, Vocabulary, choose_vocabulary


@dataclass(frozen=True, kw_only=True)
class Windows:
    split: TimeSplit
    vocabulary: Vocabulary


def choose_windows(
    bought: pl.DataFrame, *, last: int, training: TrainingSpec, sessions: bool = False, pictured: Collection[str] = ()
) -> Windows:
    """The days to learn from and to evaluate on, and the items that were bought before the latter.

    Args:
        bought: Rows of :func:`shoploop.features.log.purchases`.
        last: The log's last day, days since 1970-01-01 (UTC).
        training: Days that the spec names.
        sessions: Whether it is a log of sessions.
        pictured: Items that are known by their pictures, whether bought or not: they are among the items as far as there is
            room.

    Raises:
        TooFewEvents: nothing was bought before the days of evaluation.
    """
    visits = bought.select(pl.col("user").rank("dense").cast(pl.Int64), "day").unique().sort("day", "user")
    user_V, day_V = visits["user"].to_numpy(), visits["day"].to_numpy()
    split = choose_split(user_V, day_V, last=last, training=training, sessions=sessions)
    vocabulary = choose_vocabulary(bought, before=split.evaluation_first)
    if not len(vocabulary):
        days = split.last - int(bought.select(pl.col("day").min()).item()) + 1
        windows = split.report()
        raise TooFewEvents(
            f"The data spans {days} days with {visits.height:,} visits (a user's purchases of one day) and ends on "
            f"{windows['evaluation'][1]}; the last {windows['evaluation_days']} days are for evaluation, and nothing was "
            "bought before them to learn from. Bring more days, or lower spec.training.evaluationDays."
        )
    if pictured:
        more = sorted(set(pictured) - set(vocabulary.items))[: MAX_VOCABULARY - len(vocabulary)]
        vocabulary = Vocabulary(tuple(sorted([*vocabulary.items, *more])))
    return Windows(split=split, vocabulary=vocabulary)


def unknown_share(bought: pl.DataFrame, windows: Windows) -> float:
    """Share of what is bought on the days of evaluation, of each user and day an item once, that is of no item of the
    vocabulary: too rare before, or never bought. No model can recommend it; 0 where nothing is bought on these days."""
    later = bought.lazy().filter(pl.col("day") >= windows.split.evaluation_first).select("user", "item", "day").unique()
    known = pl.LazyFrame({"item": windows.vocabulary.items}, schema={"item": bought.schema["item"]})
    total, found = pl.collect_all([later.select(pl.len()), later.join(known, on="item", how="semi").select(pl.len())])
    return 1.0 - found.item() / total.item() if total.item() else 0.0
