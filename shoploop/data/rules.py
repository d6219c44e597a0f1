"""What was done to rows on their way in: one record per rule, for load.json and the report."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import polars as pl

Action = Literal["kept", "changed", "dropped", "warned"]


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
    rules: list[Rule] = field(default_factory=list)

    def note(self, name: str, table: str, rows: int, action: Action, why: str) -> None:
        """Records a rule; one that met no row is not worth a line."""
        if rows:
            self.rules.append(Rule(name=name, table=table, rows=rows, action=action, why=why))

    def report(self) -> list[dict[str, Any]]:
        return [asdict(rule) for rule in self.rules]
