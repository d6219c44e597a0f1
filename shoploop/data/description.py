"""What is in somebody's data, in numbers: the log, its people and habits, what is missing, and what loading did to rows.

The tables come from the very functions that a run loads them with, so no rule stands here a second time. It must not know
what a model needs: whether there is enough is :mod:`shoploop.runs.forecast`'s to say.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from shoploop import schemas
from shoploop.data import canonical
from shoploop.data.kinds import PURCHASE
from shoploop.data.moments import in_sessions
from shoploop.data.rules import Loaded

SESSION_GAP_MINUTES = 30
"""A longer pause between two events of a user begins a new session, as web analytics counts them."""

REPEATS_MANY, REPEATS_FEW = 0.1, 0.02
"""Shares of purchases that repeat an earlier one of the same user: from the first on people come back for the same things,
below the second hardly anybody does."""

STRANGERS = 0.8
"""From this share of users with purchases on a single day, the log is one of strangers."""

SEVERAL_SESSIONS = 1.3
"""From so many sessions a user's day on, a day is more than one visit."""

LOST = {
    ("interactions", "kind"): "every row counts as a purchase",
    ("interactions", "quantity"): "a row counts as one piece",
    ("interactions", "price"): "no feature knows what things cost",
    ("interactions", "shop"): "best sellers are those of all shops together",
    ("interactions", "basket"): "nothing is lost: a visit is what a user bought on one day",
    ("items", "title"): "people see ids",
    ("items", "category"): "only who buys them says which items are alike",
    ("items", "brand"): "no feature knows makers",
    ("items", "price"): "prices come from the interactions alone",
    ("items", "image"): "answers name no picture",
    ("shops", "title"): "people see ids",
}
"""What it costs that a column is not there."""


def describe(loaded: Loaded) -> tuple[dict[str, Any], dict[str, pl.DataFrame]]:
    """The data in numbers, and the canonical tables that they are of; nothing is written.

    Args:
        loaded: What :func:`shoploop.data.step.read_raw` gives.

    Returns:
        ``log`` (rows, span, users, items, density), ``kinds``, ``words`` (those found, and what each was read as),
        ``tables``, ``offers`` where there are any, ``missing``, ``rules`` and ``remarks`` as in ``load.json``, ``habits`` and
        ``task``.

    Raises:
        TableEmpty, SchemaMismatch: as loading itself.
    """
    given = {name: _columns(getattr(loaded, name)) for name in schemas.READABLE}
    read = loaded.interactions.height
    tables = canonical.complete(loaded)
    events = tables["interactions"]
    coded = with_codes(events)
    habits = _habits(coded)
    description = {
        "log": _log(events, coded, read),
        "kinds": _kinds(events),
        "words": loaded.kinds,
        "tables": {name: _table(table, given[name]) for name, table in tables.items() if name != "interactions"},
        **({"offers": _offers(tables["offers"])} if "offers" in tables else {}),
        "missing": _missing(loaded, tables, given),
        "rules": loaded.report(),
        "remarks": loaded.remarks,
        "habits": habits,
        "task": _task(habits),
    }
    return description, tables


def _columns(table: pl.DataFrame | None) -> list[str] | None:
    return None if table is None else table.columns


def with_codes(events: pl.DataFrame) -> pl.DataFrame:
    """``user`` and ``item`` as numbers, by which counting takes a third of the time; ``time``, ``day`` and ``kind``."""
    codes = (pl.col(name).cast(pl.Categorical).to_physical() for name in ("user", "item"))
    return events.select(*codes, "time", "kind", day=pl.col("time").dt.epoch("d").cast(pl.Int32))


def _log(events: pl.DataFrame, coded: pl.DataFrame, read: int) -> dict[str, Any]:
    users, items = coded["user"].n_unique(), coded["item"].n_unique()
    pairs = coded.select(user_and_item()).n_unique()
    first, last = (events.select(edge).item() for edge in (pl.col("time").min(), pl.col("time").max()))
    return {
        "rows_read": read,
        "rows": events.height,
        "first": _day(first),
        "last": _day(last),
        "days": (last.date() - first.date()).days + 1,
        "days_with_events": coded["day"].n_unique(),
        "users": users,
        "items": items,
        "shops": events["shop"].n_unique() - int(events["shop"].null_count() > 0),
        "density": pairs / (users * items),
    }


def _offers(offers: pl.DataFrame) -> dict[str, Any]:
    kinds = offers["kind"].drop_nulls().value_counts().sort(["count", "kind"], descending=[True, False])["kind"]
    days = {"first": offers["from"].min(), "last": offers["until"].max()}
    return {name: str(day) for name, day in days.items()} | {
        "items": offers["item"].n_unique(),
        "shops": offers["shop"].drop_nulls().n_unique(),
        "kinds": kinds.to_list(),
    }


def _kinds(events: pl.DataFrame) -> list[dict[str, Any]]:
    counts = events["kind"].value_counts(name="rows").sort(["rows", "kind"], descending=[True, False])
    return [{"kind": kind, "rows": rows, "share": rows / events.height} for kind, rows in counts.iter_rows()]


def _table(table: pl.DataFrame, given: list[str] | None) -> dict[str, Any]:
    # searches name nobody and nothing of their own: no row of theirs is there for completeness
    listed = int(table[schemas.LISTED].sum()) if given is not None and schemas.LISTED in table.columns else None
    return {"rows": table.height, "listed": listed, "columns": given}


def _missing(
    loaded: Loaded, tables: Mapping[str, pl.DataFrame], given: Mapping[str, list[str] | None]
) -> list[dict[str, Any]]:
    """Canonical columns that are not there, or not in every row."""
    assumed = {rule.name for rule in loaded.rules}
    missing = []
    for (name, column), lost in LOST.items():
        there, table = given[name], tables[name]
        if name == "shops" and (there is None or table.is_empty()):
            continue
        if column == "kind":
            rows = table.height if "kind_not_told" in assumed else 0
        elif there is None or column not in there:
            rows = table.height
        elif column == "quantity":  # filled by now; the rule counted what was missing
            rows = sum(rule.rows for rule in loaded.rules if rule.name == "quantity_missing")
        elif column == "title":  # the id stands there by now; the rule counted them
            untitled = [rule.rows for rule in loaded.rules if (rule.name, rule.table) == ("untitled", name)]
            rows = sum(untitled) + int((~table[schemas.LISTED]).sum())
        elif column == "category":
            rows = int((table["category"].list.len() == 0).sum())
        else:
            rows = table[column].null_count()
        if rows:
            missing.append({"table": name, "column": column, "rows": rows, "share": rows / table.height, "lost": lost})
    if given["users"] is None or len(given["users"]) == 1:
        rows = tables["users"].height
        lost = "of users only what they did is known"
        missing.append({"table": "users", "column": "attributes", "rows": rows, "share": 1.0, "lost": lost})
    return missing


def user_and_item() -> pl.Expr:
    """A user and an item as one number."""
    return pl.col("user").cast(pl.UInt64) * 2**32 + pl.col("item")


def _habits(events: pl.DataFrame) -> dict[str, Any]:
    """How people come and what they come for, by purchases; sessions are of all events. Users and items are codes."""
    bought = events.filter(pl.col("kind") == PURCHASE).select("user", "day", pair=user_and_item()).unique()
    visits = bought.group_by("user", "day").len("items").sort("user", "day")
    users = visits.group_by("user").agg(days=pl.len())
    between = visits.select(pl.col("day").diff().over("user")).to_series().drop_nulls()
    pairs = bought["pair"].n_unique()
    sessions = in_sessions(events.filter(pl.col("kind") == PURCHASE))
    clock = events.select((pl.col("time").dt.epoch("us") % 86_400_000_000).n_unique() > 2).item()
    return {
        "purchases": bought.height,
        "repeats": 1 - pairs / bought.height if bought.height else 0.0,
        "visits": visits.height,
        "buyers": users.height,
        "visits_a_buyer": _median(users["days"]),
        "buyers_of_one_visit": int((users["days"] == 1).sum()) / max(users.height, 1),
        "days_between_visits": _median(between),
        "items_a_visit": _median(visits["items"]),
        "clock": bool(clock),
        "asked_within_visits": sessions,
    } | (_sessions(events) if clock else {})


def _sessions(events: pl.DataFrame) -> dict[str, Any]:
    rows = events.select("user", "time").sort("user", maintain_order=True)  # they are sorted by time
    gap = pl.lit(timedelta(minutes=SESSION_GAP_MINUTES))
    begins = (pl.col("user") != pl.col("user").shift()).fill_null(True) | (pl.col("time").diff() > gap)
    first = rows.select(begins.arg_true().alias("row")).to_series()
    after = first.shift(-1, fill_value=rows.height)
    minutes = (rows["time"].gather(after - 1) - rows["time"].gather(first)).dt.total_seconds() / 60
    days = events.select("user", "day").unique().height
    return {
        "session_gap_minutes": SESSION_GAP_MINUTES,
        "sessions": len(first),
        "events_a_session": _median(after - first),
        "minutes_a_session": _median(minutes),
        "sessions_a_day": len(first) / days,
    }


def _task(habits: Mapping[str, Any]) -> dict[str, Any]:
    """What the data ask for, each with the sentence that says why."""
    repeats, once = habits["repeats"], habits["buyers_of_one_visit"]
    if not habits["purchases"]:
        sentence = "There is no purchase, so nothing says what people want. Map a kind to purchase, in kinds."
        return {"repeats": "none", "people": "unknown", "unit": "day", "why": [sentence]}
    why = []
    if repeats >= REPEATS_MANY:
        again = "many"
        why.append(f"{repeats:.0%} of purchases repeat an earlier one of the same user: seen items come again.")
    elif repeats < REPEATS_FEW:
        again = "few"
        why.append(f"Only {repeats:.1%} of purchases repeat an earlier one: people look for what they do not have yet.")
    else:
        again = "some"
        why.append(f"{repeats:.0%} of purchases repeat an earlier one of the same user; most are of something new.")
    if once >= STRANGERS:
        people = "strangers"
        why.append(
            f"{once:.0%} of the buyers bought on one day only: they are strangers, and few have a history to learn from."
        )
    else:
        people = "regulars"
        rhythm = habits["days_between_visits"]
        why.append(
            f"A buyer comes {habits['visits_a_buyer']:g} times in the median, {rhythm:g} days after the last time."
        )
    unit = "day"
    if habits["asked_within_visits"]:
        unit = "moment"
        why.append(
            "Most visits are somebody's first and go on for a while: a run learns to answer in the middle of a visit, by "
            "what was done in it so far."
        )
    elif not habits["clock"]:
        why.append("Times are dates without a clock, so a visit is a user's day.")
    elif habits["sessions_a_day"] < SEVERAL_SESSIONS:
        why.append("People come about once a day, so a visit is a user's day.")
    else:
        unit = "session"
        why.append(
            f"There are {habits['sessions_a_day']:.1f} sessions a user's day, parted by pauses of "
            f"{SESSION_GAP_MINUTES} minutes. A run learns by days all the same: a day's sessions count as one visit."
        )
    return {"repeats": again, "people": people, "unit": unit, "why": why}


def _median(values: pl.Series) -> float:
    found = values.cast(pl.Float64).median()
    return round(float(found), 2) if isinstance(found, (int, float)) else 0.0


def _day(moment: datetime) -> str:
    found: date = moment.astimezone(UTC).date()
    return found.isoformat()
