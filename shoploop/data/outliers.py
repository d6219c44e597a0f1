"""Rows that must not steer the rest: visitors without an account, robots, wrong dates, absurd numbers.

Each rule measures what is usual by where most of the data lies, leaves out or mends what is far from it, and notes it.
"""

from datetime import UTC, date, datetime, timedelta

import polars as pl

from shoploop.data.collected import COLLECTED
from shoploop.data.ids import guests_among
from shoploop.data.kinds import PURCHASE
from shoploop.data.rules import Loaded
from shoploop.data.span import LEAST_DAYS, Span, ends_of

GUEST_SHARE, GUEST_TIMES = 0.02, 2
"""A user called 0, guest or the like is nobody where it has more than this share of all rows and this many times the rows
of nine of ten users."""

MANY_NAMELESS = 0.05
"""Share of rows without a user from which on it is told what is lost by them, and what to do."""

NOBODY_KNOWN = (
    "Where nobody has an account, let columns.user name what tells orders apart, such as their number or a session: each "
    "then counts as a shopper who came once."
)
"""What to do where no row names its user."""

ROBOT_TIMES, ROBOT_LEAST = 100, 500
"""A user with more than this many times the rows of three of four users, and at least so many, is a robot."""

FAR, LARGEST = 1_000, 1e12
"""A price or quantity beyond this many times the one that 99 of 100 rows stay below is no price, nor is one beyond 10**12."""

PLACEHOLDERS = tuple(
    date(*day).toordinal() - date(1970, 1, 1).toordinal()
    for day in (
        (1, 1, 1),
        (1753, 1, 1),
        (1899, 12, 30),
        (1899, 12, 31),
        (1900, 1, 1),
        (1970, 1, 1),
        (2099, 12, 31),
        (2999, 12, 31),
    )
)
"""Days that programs write where there is no date."""

ALONE_DAYS = 365
"""So far from every other row such a day is none of the log, whatever its share."""

WRITTEN_TWICE = 0.02
"""Share of ids from which it is told that some are the same but for their case or a point."""

ALONE_SHARE, ALONE_TIMES = 0.05, 5
"""It is told where one user has more than this share of all rows, and this many times the rows of nine of ten users."""

IN_MOST_VISITS, FEWEST_VISITS = 0.4, 200
"""Share of the visits that have an item, from which on it may be no goods, of so many visits at least."""

LEAST_QUANTITY, LEAST_PRICE = 1e5, 1e6
"""Below these nothing is absurd, however small the rest."""


def without_guests(events: pl.DataFrame, loaded: Loaded) -> pl.DataFrame:
    """Rows without a user left out, and those of a placeholder that stands for many."""
    named = events.drop_nulls("user") if events["user"].null_count() else events
    lost = lost_without_user(events.filter(pl.col("user").is_null()), events.height)
    loaded.note(
        "rows_without_user", "interactions", events.height - named.height, "dropped",
        "Visitors without an account, or a name such as NULL or nan: they are no shopper whose taste could be learned."
        f"{lost}", tell=True,
    )  # fmt: skip
    if named.is_empty():
        return named
    counts = named["user"].value_counts(name="rows")
    for user in guests_among(counts["user"]):
        others = counts.filter(pl.col("user") != user)["rows"]
        rows = int(counts.filter(pl.col("user") == user)["rows"][0])
        usual = float(others.quantile(0.9) or 0.0) if len(others) else 0.0
        if len(others) >= 2 and rows > GUEST_TIMES * usual and rows > GUEST_SHARE * named.height:
            lost = lost_without_user(named.filter(pl.col("user") == user), events.height)
            named = named.filter(pl.col("user") != user)
            loaded.note(
                "rows_without_user", "interactions", rows, "dropped",
                f"User {user!r} has {rows:,} rows, nine of ten users have at most {usual:,.0f}: it stands for visitors "
                f"without an account.{lost}", tell=True,
            )  # fmt: skip
    return named


def lost_without_user(nameless: pl.DataFrame, of: int) -> str:
    """A sentence on what is lost by rows without a user, and what to do; empty where they are few.

    Args:
        nameless: These rows, with ``basket`` where there is one.
        of: Rows in all.
    """
    if nameless.height < MANY_NAMELESS * max(of, 1):
        return ""
    baskets = nameless["basket"].drop_nulls().n_unique() if "basket" in nameless.columns else 0
    of_baskets = f", of {baskets:,} {'basket' if baskets == 1 else 'baskets'}" if baskets else ""
    stands, each = (
        ("the id of the basket", "basket") if baskets else ("what tells orders apart, such as a number,", "order")
    )
    return (
        f" They are {nameless.height / of:.0%} of all rows{of_baskets}, and nothing is learned from them: neither what sells "
        f"nor what is bought together. To learn that, write {stands} where the user is missing: each {each} then counts as a "
        "shopper who came once, also where a version is judged."
    )


def without_robots(events: pl.DataFrame, loaded: Loaded) -> pl.DataFrame:
    """Users with far more rows than others left out."""
    counts = events["user"].value_counts(name="rows")
    usual = float(counts["rows"].quantile(0.75) or 0.0)
    limit = loaded.max_events_per_user or max(ROBOT_LEAST, int(ROBOT_TIMES * usual))
    if loaded.max_events_per_user is None and counts.height < 4:
        return events
    many = counts.filter(pl.col("rows") > limit).sort(["rows", "user"], descending=[True, False])
    if many.is_empty():
        return events
    some = ", ".join(f"{user!r} ({rows:,})" for user, rows in many.head(5).iter_rows())
    loaded.note(
        "user_with_too_many_events", "interactions", int(many["rows"].sum()), "dropped",
        f"Robots or shared accounts: {many.height:,} users with more than {limit:,} rows, where three of four have at most "
        f"{usual:,.0f}: {some}. They would decide what everybody is shown. Set maxEventsPerUser to keep them.", tell=True,
    )  # fmt: skip
    return events.join(many.select("user"), on="user", how="anti", maintain_order="left")


def within_span(events: pl.DataFrame, loaded: Loaded) -> pl.DataFrame:
    """Rows that lie far before or after all others left out: their dates are wrong.

    Days that stand for none are set aside first: where they are many they would be an end of the log, and hide what lies
    beyond the other. What was collected is never left out: its times are a server's own, and a few events of today would
    otherwise be the strays of tables that end weeks before.
    """
    days = events.select(pl.col("time").dt.epoch("d")).to_series()
    collected = events[COLLECTED] if COLLECTED in events.columns else pl.repeat(False, events.height, eager=True)
    of_tables = days.filter(~collected)
    if of_tables.is_empty():
        return events
    none = _placeholders(of_tables)
    dated = ~days.is_in(none)
    span = ends_of(days.filter(dated & ~collected))
    inside = (days.is_between(span.first, span.last) & dated) | collected
    if collected.any():
        loaded.span = _joined(span, days.filter(collected), loaded)
    strays = events.filter(~inside)
    if strays.is_empty():
        return events
    some = "; ".join(
        f"user {row['user']!r}, item {row['item']!r}, {row['time'].date()}"
        for row in strays.sort("time", descending=True).head(3).iter_rows(named=True)
    )
    written = (
        f" Programs write {', '.join(str(_day(number)) for number in none)} where there is no date." if none else ""
    )
    loaded.note(
        "outside_the_span", "interactions", strays.height, "dropped",
        f"Nearly all rows lie between {_day(span.first)} and {_day(span.last)}; these lie far outside, most likely by a "
        f"wrong date: {some}.{written}", tell=True,
    )  # fmt: skip
    return events.filter(inside)


def _joined(span: Span, collected: pl.Series, loaded: Loaded) -> Span:
    """The days of the tables and of what was collected; what lies between is told where that is long."""
    first, last = int(collected.to_numpy().min()), int(collected.to_numpy().max())
    between = first - span.last - 1
    if between > LEAST_DAYS:
        loaded.tell(
            f"interactions: the tables end on {_day(span.last)} and what this recommender has collected begins on "
            f"{_day(first)}: {between:,} days lie between, of which nothing is known. Bring tables that reach nearer to it."
        )
    return Span(first=min(span.first, first), last=max(span.last, last))


def _placeholders(days: pl.Series) -> list[int]:
    """The days among them that programs write for none, and that lie more than a year from every other; of a log that has
    no others, none."""
    different = days.unique()
    suspect = different.is_in(PLACEHOLDERS)
    others = different.filter(~suspect)
    if others.is_empty():
        return []
    return [number for number in different.filter(suspect).sort() if int((others - number).abs().min()) > ALONE_DAYS]


def tell_doubtful(events: pl.DataFrame, loaded: Loaded) -> None:
    """Says what may be wrong with ids and cannot be told from what is right: nothing is changed by it."""
    for column in ("user", "item"):
        ids = events[column].unique()
        alike = ids.str.to_lowercase().str.replace(r"\.0+$", "")
        twice = ids.len() - alike.n_unique()
        if twice > max(2, WRITTEN_TWICE * ids.len()):
            again = (
                pl.DataFrame({"id": ids, "alike": alike}).filter(pl.col("alike").is_duplicated()).sort("alike", "id")
            )
            one, two = again["id"][:2]
            loaded.tell(
                f"{twice:,} of {ids.len():,} ids of {column}s are another one in other letters or with a point, "
                f"e.g. {one!r} and {two!r}. They count as different {column}s: write them alike if they are not."
            )
    _tell_of_fees(events, loaded)
    counts = events["user"].value_counts(name="rows").sort("rows", "user", descending=True)
    first, usual = counts.row(0), float(counts["rows"].quantile(0.9) or 0.0)
    if counts.height >= 10 and first[1] > max(ALONE_SHARE * events.height, ALONE_TIMES * usual):
        loaded.tell(
            f"User {first[0]!r} has {first[1]:,} of {events.height:,} rows, nine of ten users have at most {usual:,.0f}. "
            "If it stands for many people, leave its rows out, or say how many a user may have: maxEventsPerUser."
        )


def _tell_of_fees(events: pl.DataFrame, loaded: Loaded) -> None:
    """Says which items lie in so many visits that they may be fees, freight or bags: a model learns to place them first."""
    bought = events.filter(pl.col("kind") == PURCHASE) if "kind" in events.columns else events
    visit = pl.struct("user", pl.col("time").dt.date()).hash()
    visits = int(bought.select(visit.n_unique()).item())
    if (
        visits < FEWEST_VISITS or bought.height < 2 * visits
    ):  # where a visit is one item, what sells is most of the visits
        return
    often = bought["item"].value_counts(name="rows").filter(pl.col("rows") > IN_MOST_VISITS * visits).sort("item")
    for item in often["item"]:
        share = bought.filter(pl.col("item") == item).select(visit.n_unique()).item() / visits
        if share > IN_MOST_VISITS:
            loaded.tell(
                f"Item {item!r} is in {share:.0%} of all visits. If it is a fee, freight, a bag or the like, name "
                "it in spec.serving.listRules.exclude: it would be recommended to everybody."
            )


def without_absurd(table: pl.DataFrame, name: str, loaded: Loaded) -> pl.DataFrame:
    """Prices and quantities far beyond all others become null."""
    for column, least in (("price", LEAST_PRICE), ("quantity", LEAST_QUANTITY)):
        if column not in table.columns or table[column].dtype != pl.Float64:
            continue
        sizes = table[column].abs()
        usual = float(sizes.quantile(0.99, interpolation="lower") or 0.0)
        if sizes.drop_nulls().len() < 200:  # one row in a hundred would be its own measure
            usual = float(sizes.median() or 0.0)  # type: ignore[arg-type]
        limit = min(LARGEST, max(least, FAR * usual))
        absurd = (sizes > limit).fill_null(False)
        if absurd.any():
            some = ", ".join(f"{value:g}" for value in table[column].filter(absurd).head(3))
            loaded.note(
                f"{column}_absurd", name, int(absurd.sum()), "changed",
                f"A {column} beyond {limit:,.0f}, e.g. {some}: it says nothing and became null.", tell=True,
            )  # fmt: skip
            empty = pl.lit(None, dtype=pl.Float64)
            table = table.with_columns(pl.when(absurd).then(empty).otherwise(pl.col(column)).alias(column))
    return table


def _day(number: int) -> date:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=number)).date()
