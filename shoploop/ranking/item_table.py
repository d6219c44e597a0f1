"""What the table of items says of each item, as answers need it: its title, what rules know of it, its fields.

It is made where it is first asked for, since who learns from events never asks; a predictor asks before it is ready.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import polars as pl

from shoploop.ranking.rules import About


class ItemTable:
    """Of one version."""

    def __init__(self, items: pl.DataFrame, known: Sequence[str], fields: Sequence[str]):
        """
        Args:
            items: ``item``, ``title``, ``category`` and the fields.
            known: The model's items, in the order of their codes.
            fields: What answers carry of each.
        """
        self._items = items.select(*dict.fromkeys(("item", "title", "category", *fields)))
        self._known, self._names = known, tuple(fields)

    def warm_up(self) -> None:
        """Makes all of it, so that no shopper has to wait."""
        _ = self.titles, self._about, self._fields

    @cached_property
    def titles(self) -> tuple[str | None, ...]:
        """Of the model's items by their codes."""
        titles = dict(zip(self._items["item"], self._items["title"], strict=True))
        return tuple(titles.get(item) for item in self._known)

    def about(self, item: str) -> About:
        """What rules know of the item."""
        return self._about.get(item) or About()

    def fields(self, item: str) -> dict[str, Any]:
        """What answers carry of the item; null where unknown."""
        return self._fields.get(item) or dict.fromkeys(self._names)

    @cached_property
    def _about(self) -> dict[str, About]:
        rows = zip(self._items["item"], self._items["title"], self._items["category"].to_list(), strict=True)
        return {item: About(title=title, category=tuple(path or ())) for item, title, path in rows}

    @cached_property
    def _fields(self) -> dict[str, dict[str, Any]]:
        columns = {name: self._items[name].to_list() for name in self._names}
        return {
            item: {name: column[row] for name, column in columns.items()}
            for row, item in enumerate(self._items["item"])
        }
