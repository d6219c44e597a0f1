"""What is expected of the canonical tables: one list, each line a rule in words and the check that Great Expectations
runs.

Nothing here runs a check. Some rules speak of a column that is derived from the table (``derived``), such as whether a
purchase's item is listed; the functions at the end compute those.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import polars as pl

from shoploop.api.v1alpha1 import ExpectationSpec
from shoploop.data.repeated import repeated
from shoploop.errors import SpecInvalid
from shoploop.schemas import LISTED

Severity = Literal["Stop", "Warn", "Ignore"]

KINDS = ("purchase", "cart", "view", "query", "return", "rating", "other")
"""Kinds of interaction with a meaning, and ``other`` for what somebody has said has none: that and all else is carried along
and never learned from."""

EARLIEST = "1990-01-01"
STEADY = 3.0
"""A week's volume may differ from the usual one by this factor, either way."""


DOMINATES, MANY_USERS = 0.05, 50
"""A user with a larger share of the events of so many users is most often a robot, a till, or a name for many."""


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """One rule about one table."""

    name: str
    """``table.what``; the key in ``spec.validation.expectations``."""

    column: str
    """Canonical or derived column that the check reads; empty for a rule about the whole table."""

    rule: str
    """In plain words, for the report."""

    severity: Severity
    """Stop ends the run, Warn is reported, Ignore is evaluated and shown only."""

    tolerance: float = 0.0
    """Share of rows, 0 to 1, that may break it."""

    check: str
    """Name of the class in great_expectations.expectations."""

    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> str:
        return self.name.split(".", maxsplit=1)[0]


def _filled(table: str, column: str) -> Expectation:
    article = "an" if column == "item" else "a"
    return Expectation(
        name=f"{table}.{column}_filled",
        column=column,
        rule=f"every row has {article} {column}",
        severity="Stop",
        check="ExpectColumnValuesToNotBeNull",
    )


def _unique(table: str, column: str) -> Expectation:
    return Expectation(
        name=f"{table}.{column}_unique",
        column=column,
        rule=f"no two rows have the same {column}",
        severity="Stop",
        check="ExpectColumnValuesToBeUnique",
    )


def _true(name: str, column: str, rule: str, severity: Severity, tolerance: float = 0.0) -> Expectation:
    """A rule whose answer per row is a derived column; null where it does not apply."""
    return Expectation(
        name=name,
        column=column,
        rule=rule,
        severity=severity,
        tolerance=tolerance,
        check="ExpectColumnValuesToBeInSet",
        arguments={"value_set": [True]},
    )


def _between(
    name: str, column: str, rule: str, severity: Severity, tolerance: float = 0.0, **bounds: float | str
) -> Expectation:
    return Expectation(
        name=name,
        column=column,
        rule=rule,
        severity=severity,
        tolerance=tolerance,
        check="ExpectColumnValuesToBeBetween",
        arguments=bounds,
    )


def _distinct(name: str, column: str, rule: str, least: int) -> Expectation:
    return Expectation(
        name=name,
        column=column,
        rule=rule,
        severity="Warn",
        check="ExpectColumnUniqueValueCountToBeBetween",
        arguments={"min_value": least},
    )


def _schema(table: str) -> Expectation:
    """Comes first: where it fails, the table's other rules cannot be asked, and the run stops in any case."""
    return _true(f"{table}.schema", "as_expected", "every canonical column is there and of its type", severity="Stop")


def _rows_kept(table: str) -> Expectation:
    return _true(
        f"{table}.rows_kept",
        "kept",
        "loading dropped no more rows than tolerated (load.json says by which rules)",
        severity="Stop",
        tolerance=0.05,
    )


EXPECTATIONS: tuple[Expectation, ...] = (
    _schema("interactions"),
    _rows_kept("interactions"),
    _filled("interactions", "user"),
    _filled("interactions", "item"),
    _filled("interactions", "time"),
    _true("interactions.time_ordered", "in_order", "rows are sorted by time", severity="Stop"),
    _between(
        "interactions.time_plausible",
        "time",
        f"no event is older than {EARLIEST}; such times are most often a wrong unit",
        severity="Stop",
        tolerance=0.001,
        min_value=EARLIEST,
    ),
    _between(
        "interactions.time_not_future",
        "time",
        "no event is more than a day ahead of the clock of validation",
        severity="Stop",
        tolerance=0.001,
        max_value="tomorrow",
    ),
    _between(
        "interactions.quantity_not_negative",
        "quantity",
        "no quantity is below 0; returns are no purchases",
        severity="Stop",
        tolerance=0.01,
        min_value=0,
    ),
    _between(
        "interactions.quantity_positive",
        "quantity",
        "every quantity is above 0",
        severity="Warn",
        min_value=0,
        strict_min=True,
    ),
    _between(
        "interactions.quantity_plausible",
        "quantity",
        "no row holds more than 1,000 pieces",
        severity="Warn",
        max_value=1000,
    ),
    _between(
        "interactions.price_not_negative",
        "price",
        "no price is below 0, where there is one",
        severity="Stop",
        tolerance=0.01,
        min_value=0,
    ),
    Expectation(
        name="interactions.kind_known",
        column="kind",
        rule=f"every kind is one of {', '.join(KINDS)}",
        severity="Warn",
        check="ExpectColumnValuesToBeInSet",
        arguments={"value_set": list(KINDS)},
    ),
    Expectation(
        name="interactions.purchases_present",
        column="kind",
        rule="there are purchases",
        severity="Stop",
        check="ExpectColumnDistinctValuesToContainSet",
        arguments={"value_set": ["purchase"]},
    ),
    _true("interactions.item_listed", "item_listed", "every item is in the source's table of items", severity="Warn"),
    _true("interactions.user_listed", "user_listed", "every user is in the source's table of users", severity="Warn"),
    _true(
        "interactions.shop_listed",
        "shop_listed",
        "every shop is in the source's table of shops, where a row names one",
        severity="Warn",
    ),
    _true(
        "interactions.basket_of_one_user",
        "basket_of_one_user",
        "a basket belongs to one user, where a row names one",
        severity="Warn",
    ),
    _true(
        "interactions.row_unique",
        "row_unique",
        "no row repeats another in every column",
        severity="Warn",
        tolerance=0.001,
    ),
    _true(
        "interactions.no_user_dominates",
        "of_a_usual_user",
        f"no user has more than {DOMINATES:.0%} of all events, of {MANY_USERS} users or more",
        severity="Warn",
    ),
    Expectation(
        name="interactions.rows_enough",
        column="",
        rule="there are at least 1,000 events; fewer teach little",
        severity="Warn",
        check="ExpectTableRowCountToBeBetween",
        arguments={"min_value": 1000},
    ),
    _distinct("interactions.users_enough", "user", "there are at least 50 users", 50),
    _distinct("interactions.items_enough", "item", "there are at least 20 items", 20),
    _distinct("interactions.days_enough", "day", "events fall on at least 28 days", 28),
    _true(
        "interactions.volume_steady",
        "steady",
        f"each of the last four weeks holds between 1/{STEADY:.0f} and {STEADY:.0f} times the median week's events",
        severity="Warn",
    ),
    _schema("items"),
    _rows_kept("items"),
    _filled("items", "item"),
    _unique("items", "item"),
    replace(_filled("items", "title"), severity="Warn"),
    _between(
        "items.price_not_negative",
        "price",
        "no price is below 0, where there is one",
        severity="Stop",
        tolerance=0.01,
        min_value=0,
    ),
    _schema("users"),
    _rows_kept("users"),
    _filled("users", "user"),
    _unique("users", "user"),
    _schema("shops"),
    _rows_kept("shops"),
    _filled("shops", "shop"),
    _unique("shops", "shop"),
)


def configured(overrides: Mapping[str, ExpectationSpec]) -> list[Expectation]:
    """The expectations with the spec's severities and tolerances.

    Raises:
        SpecInvalid: a name is not known.
    """
    known = {expectation.name: expectation for expectation in EXPECTATIONS}
    for name in overrides:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
            raise SpecInvalid(
                f"spec.validation.expectations: {name!r} is no expectation; did you mean {near!r}? "
                f"Known: {', '.join(known)}."
            )
        given = overrides[name]
        known[name] = replace(
            known[name],
            severity=given.severity or known[name].severity,
            tolerance=known[name].tolerance if given.tolerance is None else given.tolerance,
        )
    return list(known.values())


DERIVED = (
    *("as_expected", "kept", "steady", "day", "in_order", "item_listed", "user_listed", "shop_listed"),
    *("basket_of_one_user", "row_unique", "of_a_usual_user"),
)
"""Columns that are no part of the data, so no part of an example row."""


def derived_interactions(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """The interactions with the columns that their rules speak of."""
    events = tables["interactions"]
    columns = [
        c for c in ("user", "item", "time", "kind", "quantity", "price", "shop", "basket") if c in events.columns
    ]
    return events.with_columns(
        day=pl.col("time").dt.date(),
        in_order=(pl.col("time") >= pl.col("time").shift(1)).fill_null(True),
        item_listed=_is_listed("item", tables["items"]),
        user_listed=_is_listed("user", tables["users"]),
        shop_listed=_is_listed("shop", tables["shops"]),
        basket_of_one_user=pl.when(pl.col("basket").is_not_null()).then(
            pl.col("user").min().over("basket") == pl.col("user").max().over("basket")
        ),
        row_unique=~repeated(events.select(columns)),
        of_a_usual_user=(pl.len().over("user") <= DOMINATES * pl.len()) | (pl.col("user").n_unique() < MANY_USERS),
    )


def _is_listed(key: str, table: pl.DataFrame) -> pl.Expr:
    listed = table.filter(pl.col(LISTED)) if LISTED in table.columns else table
    return pl.when(pl.col(key).is_not_null()).then(pl.col(key).is_in(listed[key].drop_nulls().implode()))


def weeks(events: pl.DataFrame) -> pl.DataFrame:
    """The last four weeks, counted back from the last event, with what is usual.

    Returns:
        ``week`` (its first day), ``events``, ``usual`` (the median of all whole weeks) and ``steady``; no rows where
        the data spans less than eight weeks.
    """
    days = events.select(pl.col("time").dt.date().alias("day")).drop_nulls()["day"]
    empty = pl.DataFrame(schema={"week": pl.Date, "events": pl.UInt32, "usual": pl.Float64, "steady": pl.Boolean})
    if days.is_empty():
        return empty
    last, first = days.to_frame().select(last=pl.col("day").max(), first=pl.col("day").min()).row(0)
    ago = ((pl.lit(last) - pl.col("day")).dt.total_days() // 7).alias("ago")
    whole = ((last - first).days + 1) // 7
    if whole < 8:
        return empty
    counts = days.to_frame().select(ago).group_by("ago").len("events")
    every = pl.DataFrame({"ago": range(whole)}, schema={"ago": pl.Int64}).join(counts, on="ago", how="left")
    every = every.with_columns(pl.col("events").fill_null(0))
    usual = float(every.select(pl.col("events").median()).item() or 0.0)
    return (
        every.sort("ago")
        .head(4)
        .select(
            week=pl.lit(last) - pl.duration(days=7 * pl.col("ago") + 6),
            events="events",
            usual=pl.lit(usual),
            steady=pl.col("events").is_between(usual / STEADY, usual * STEADY),
        )
    )
