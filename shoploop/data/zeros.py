"""Ids that a spreadsheet or a number column took the leading zeros from, read as the other table writes them.

Only where nothing is guessed: one of the two tables writes no id with a zero in front, and no two ids of either become one.
What is doubtful stays as it is, and :mod:`shoploop.data.fitting` tells or refuses it.
"""

import polars as pl

from shoploop import schemas
from shoploop.data.fitting import FEWEST_ROWS, MENDS, TOLD
from shoploop.data.rules import Loaded

_PADDED = r"^0."


def join_without_zeros(loaded: Loaded) -> None:
    """Gives interactions, searches and offers the ids of the tables of items, users and shops, where zeros in front are all
    that differs."""
    for name in ("items", "users", "shops"):
        (key,) = schemas.TABLES[name].key
        table = getattr(loaded, name)
        if table is None or key not in loaded.interactions.columns:
            continue
        same = _same(loaded.interactions[key], table[key])
        if same.is_empty():
            continue
        old, new = same["id"], same["listed"]
        first = same.sort("id").row(0, named=True)
        loaded.note(
            f"{key}_without_zeros", "interactions", int(same["rows"].sum()), "changed",
            f"Their {key} differs from the table of {name} in leading zeros alone, and no two become one by it: "
            f"{first['id']!r} is read as {first['listed']!r}, as the table has it. Requests and events have to name it so.",
            tell=True,
        )  # fmt: skip
        loaded.interactions = loaded.interactions.with_columns(pl.col(key).replace(old, new))
        for other in ("searches", "offers"):
            beside = getattr(loaded, other)
            if beside is not None and key in beside.columns:
                setattr(loaded, other, beside.with_columns(pl.col(key).replace(old, new)))


def _same(given: pl.Series, listed: pl.Series) -> pl.DataFrame:
    """``id`` of the interactions, the one that is ``listed`` for it, and ``rows``; empty where it is not sure."""
    bare = pl.col("id").str.strip_chars_start("0").alias("bare")
    log = given.alias("id").drop_nulls().to_frame().group_by("id").len("rows").with_columns(bare)
    table = listed.alias("id").drop_nulls().unique().to_frame().with_columns(bare)
    lacking = log.join(table, on="id", how="anti")
    meet = log.filter(pl.col("bare") != "").join(table.rename({"id": "listed"}), on="bare")
    same = meet.filter(pl.col("id") != pl.col("listed"))
    lost, total = int(lacking["rows"].sum()), int(log["rows"].sum())
    worth_it = total >= FEWEST_ROWS and lost > TOLD * total and same["rows"].sum() > MENDS * lost
    one_lost_them = any(not ids["id"].str.contains(_PADDED).any() for ids in (log, table))
    unambiguous = meet["bare"].n_unique() == meet.height
    return same if worth_it and one_lost_them and unambiguous else same.clear()
