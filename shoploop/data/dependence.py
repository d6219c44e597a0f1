"""Whether one column of a table follows from another, as a category does from its item."""

import polars as pl

from shoploop.data.ids import text_of

ROWS = 200_000
"""Rows in which it is looked whether one column follows from another."""

FOLLOWS = 0.95
"""One column follows from another that spares so much of the errors of guessing it."""


def follows(values: pl.Series, given: pl.Series) -> bool:
    """Whether a column follows from another, as a category does from its item; known only of what stands in several rows.

    It is Goodman and Kruskal's lambda: how much fewer rows are guessed wrongly by what is most frequent beside each value
    than by what is most frequent at all. Rare words beside rare people do not look like a rule by it.
    """
    rows = pl.DataFrame({"given": text_of(given.head(ROWS)), "value": text_of(values.head(ROWS))})
    rows = rows.drop_nulls().filter(pl.len().over("given") > 1)
    if rows["given"].n_unique() < 5:
        return False
    wrong = rows.height - int(rows["value"].value_counts()["count"].max())  # type: ignore[arg-type]
    most = rows.group_by("given", "value").len().group_by("given").agg(pl.col("len").max())["len"].sum()
    return wrong > 0 and rows.height - int(most) <= (1 - FOLLOWS) * wrong
