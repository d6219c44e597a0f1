"""What was done to rows on their way in: one record per rule, for load.json and the report, and what is told at once."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import polars as pl

from shoploop.data.span import Span

Action = Literal["kept", "changed", "dropped", "warned"]

MEANT = ("rows_without_user", "rows_of_no_item", "outside_the_span", "user_with_too_many_events", "collected_twice",
         "lines_above_the_header", "header_again")  # fmt: skip
"""Rules that leave rows out because of what they are, and not because a mapping is wrong: validation's tolerance for
dropped rows does not count them."""


def dropped_rows(rules: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Rows that were dropped and should not have had to be, by table: what validation holds against the data."""
    dropped: dict[str, int] = {}
    for rule in rules:
        if rule["action"] == "dropped" and rule["name"] not in MEANT:
            dropped[rule["table"]] = dropped.get(rule["table"], 0) + rule["rows"]
    return dropped


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One decision about some rows of one table."""

    name: str
    table: str
    rows: int
    action: Action
    why: str
    """A sentence for the reader of the report: what the rows are, and why this was done to them."""


@dataclass(kw_only=True)
class Loaded:
    """Canonical tables on their way to disk, and the rules that made them."""

    interactions: pl.DataFrame
    items: pl.DataFrame | None = None
    users: pl.DataFrame | None = None
    shops: pl.DataFrame | None = None
    searches: pl.DataFrame | None = None
    searches_named: bool = False
    """Whether the spec names a table of searches; else they are what was collected, which a run can do without."""

    offers: pl.DataFrame | None = None
    rules: list[Rule] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    """Sentences that a person should read at once, on the console."""

    kinds: list[dict[str, Any]] = field(default_factory=list)
    """Words for kinds of interaction that were found, what each was read as, and rows."""

    span: Span | None = None
    """The days that the log spans, where a part of it was collected: only loading knows which rows are a table's, and so
    which could be strays. None where the rows themselves say it."""

    max_events_per_user: int | None = None
    """Of the spec; None for what the data says."""

    fits_instead: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Of a table that lists little of what the log names: the log's column that fits it, and the share that is there."""

    def note(self, name: str, table: str, rows: int, action: Action, why: str, *, tell: bool = False) -> None:
        """Records a rule; one that met no row is not worth a line. With ``tell`` it is said on the console too."""
        if rows:
            self.rules.append(Rule(name=name, table=table, rows=rows, action=action, why=why))
            if tell:
                self.tell(f"{table}, {rows:,} {'row' if rows == 1 else 'rows'} {action} ({name}): {why}")

    def tell(self, sentence: str) -> None:
        """Says a sentence on the console, once."""
        if sentence not in self.remarks:
            self.remarks.append(sentence)

    def report(self) -> list[dict[str, Any]]:
        return [asdict(rule) for rule in self.rules]
