"""Which days and which items a run is about: chosen from the purchases before anything is counted."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import polars as pl

from shoploop.api.v1alpha1 import TrainingSpec
from shoploop.data.splits import TimeSplit, choose_split, refuse_too_little
from shoploop.features.log import MAX_VOCABULARY, Vocabulary, choose_vocabulary


@dataclass(frozen=True, kw_only=True)
class Windows:
    split: TimeSplit
    vocabulary: Vocabulary


def choose_windows(
    bought: pl.DataFrame,
    *,
    last: int,
    training: TrainingSpec,
    sessions: bool = False,
    searched: pl.DataFrame | None = None,
    pictured: Collection[str] = (),
) -> Windows:
    """The days to learn from and to evaluate on, and the items that are known.

    These are the items of :func:`~shoploop.features.log.choose_vocabulary` before the days of evaluation, and all that was
    first bought since: a shop shows what is new. How often it was bought since does not decide, or being known would tell of
    what is still to come; nothing is learned of such an item but what counts and catalogs say of it from its first day on.

    Args:
        bought: Rows of :func:`shoploop.features.log.purchases`.
        last: The log's last day, days since 1970-01-01 (UTC).
        training: Days that the spec names.
        sessions: Whether it is a log of sessions.
        searched: Rows of :func:`shoploop.features.searched.taken_after_searches`: what was taken so is known by the same rule
            as what was bought, behind it and as far as there is room.
        pictured: Items that are known by their pictures, whether bought or not: they are among the items as far as there is
            room.

    Raises:
        TooFewEvents: these days hold too few visits to learn from or users to evaluate on. It is said here, before anything
            is computed, and not by the steps that would take them.
    """
    visits = bought.select(pl.col("user").rank("dense").cast(pl.Int64), "day").unique().sort("day", "user")
    user_V, day_V = visits["user"].to_numpy(), visits["day"].to_numpy()
    split = choose_split(user_V, day_V, last=last, training=training, sessions=sessions)
    refuse_too_little(user_V, day_V, split, training=training, sessions=sessions)
    vocabulary = choose_vocabulary(bought, before=split.evaluation_first)
    vocabulary = _joined(vocabulary, _first_taken_since(bought, split.evaluation_first))
    if searched is not None:
        vocabulary = _joined(vocabulary, choose_vocabulary(searched, before=split.evaluation_first).items)
        vocabulary = _joined(vocabulary, _first_taken_since(searched, split.evaluation_first))
    vocabulary = _joined(vocabulary, sorted(pictured))
    return Windows(split=split, vocabulary=vocabulary)


def _joined(vocabulary: Vocabulary, items: Sequence[str]) -> Vocabulary:
    """With those of the others that it has not, the first of them, as far as there is room."""
    known = frozenset(vocabulary.items)
    more = [item for item in items if item not in known][: MAX_VOCABULARY - len(vocabulary)]
    return Vocabulary(tuple(sorted([*vocabulary.items, *more])))


def _first_taken_since(taken: pl.DataFrame, day: int) -> list[str]:
    """Items of which nobody took any before the day, those that came first in front, ties by id."""
    first = taken.lazy().group_by("item").agg(pl.col("day").min()).filter(pl.col("day") >= day)
    found: list[str] = first.sort("day", "item").select("item").collect()["item"].to_list()
    return found


def unknown_share(bought: pl.DataFrame, windows: Windows) -> float:
    """Share of what is bought on the days of evaluation, of each user and day an item once, that is of no item of the
    vocabulary, since it was bought too rarely before. No model can recommend it; 0 where nothing is bought on these days."""
    later = bought.lazy().filter(pl.col("day") >= windows.split.evaluation_first).select("user", "item", "day").unique()
    known = pl.LazyFrame({"item": windows.vocabulary.items}, schema={"item": bought.schema["item"]})
    total, found = pl.collect_all([later.select(pl.len()), later.join(known, on="item", how="semi").select(pl.len())])
    return 1.0 - found.item() / total.item() if total.item() else 0.0
