"""Whether a log is of sessions: people who come once, and whose wishes show within the visit or nowhere.

A visit is what a user did on one day, and a request of that day sees the days before it. Where most users never come back,
nothing lies before: what the first clicks say of the next ones is all there is. There a request is made in the middle of a
visit, behind some of its moments, as a predictor is asked while somebody looks around.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

from shoploop.api.v1alpha1 import TaskSpec

FIRST_VISITS = 0.5
"""Share of visits by somebody who was never there before, from which on a log is of sessions."""

SEVERAL_MOMENTS = 0.5
"""Share of visits with several moments that it takes as well: a till writes all of a basket at one time."""

FEWEST_VISITS = 100
"""Of fewer nobody can say."""


def in_sessions(bought: pl.DataFrame, task: TaskSpec | None = None) -> bool:
    """Whether these rows (``user``, ``day`` and ``time``) are a log of sessions, unless ``task`` says it."""
    if "time" not in bought.columns:
        return False
    if task is not None and task.sessions is not None:
        return task.sessions
    visits = bought.lazy().group_by("user", "day").agg(moments=pl.col("time").n_unique())
    found = visits.select(
        visits=pl.len(), users=pl.col("user").n_unique(), several=(pl.col("moments") > 1).mean().fill_null(0.0)
    ).collect()
    count, users, several = found.row(0)
    return bool(count >= FEWEST_VISITS and users / count >= FIRST_VISITS and several >= SEVERAL_MOMENTS)


def first_moments(rows: pl.DataFrame) -> "npt.NDArray[np.int32]":
    """Of each row of ``user``, ``day`` and the ``time`` of the first event with its item: how many different such times of
    the same user and day are earlier, (R,). What happened at one time has no order."""
    earlier = pl.col("time").rank("dense").over("user", "day") - 1
    return rows.select(earlier.cast(pl.Int32)).to_series().to_numpy().astype(np.int32)
