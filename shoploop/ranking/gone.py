"""What cannot be bought: what is out of stock, and what has ended by the table of items. Encoded once, not at every request.

Legend: I items of the vocabulary, U items that the model does not know, E items that end.
"""

from collections.abc import Collection
from datetime import date
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from shoploop.features.log import Int32, Vocabulary
from shoploop.schemas import ENDS

EPOCH = date(1970, 1, 1)


class Gone:
    """Of one day and one list of what is out of stock."""

    def __init__(self, ending: "Ending", day: int, out_of_stock: Collection[str]):
        self._ending = ending
        self.day, self.out_of_stock = day, out_of_stock
        self._ended = ending.before(day)

    def __bool__(self) -> bool:
        return bool(self.out_of_stock) or bool(self._ended)

    def __contains__(self, item: object) -> bool:
        return item in self._ended or item in self.out_of_stock

    @property
    def left_I(self) -> npt.NDArray[np.bool_]:
        """Which of the model's items can be bought; not to be written to."""
        return self._left[0]

    @property
    def left_U(self) -> npt.NDArray[np.bool_]:
        """The same of the others."""
        return self._left[1]

    @cached_property
    def _left(self) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        ids = [*self.out_of_stock, *self._ended]
        known, unknown = self._ending.known, self._ending.unknown
        return without(known, ids), without(unknown, ids if len(unknown) else ())


class Ending:
    """When items end; with it, what is gone."""

    def __init__(self, known: Vocabulary, unknown: Vocabulary, items: pl.DataFrame):
        """
        Args:
            known: The model's items.
            unknown: Those that may be sold as well.
            items: ``item`` and, where the table of items has them, the last days.
        """
        self.known, self.unknown = known, unknown
        ending = items.select("item", ENDS).drop_nulls() if ENDS in items.columns else None
        self._items: list[str] = [] if ending is None else ending["item"].to_list()
        self._last_E: Int32 = np.array(
            [(last - EPOCH).days for last in ([] if ending is None else ending[ENDS])], np.int32
        )
        self._ended: tuple[int, frozenset[str]] = (-1, frozenset())
        self._gone: Gone | None = None

    def before(self, day: int) -> frozenset[str]:
        """What has ended before a day, days since 1970-01-01 (UTC)."""
        ended = self._ended
        if ended[0] != day:  # of a day once; two threads may both do it
            places = np.flatnonzero(self._last_E < day)
            ended = self._ended = day, frozenset(self._items[place] for place in places)
        return ended[1]

    def gone(self, day: int, out_of_stock: Collection[str]) -> Gone:
        """What is gone on a day. The last answer is kept, as long as the list is the same one and cannot have changed."""
        gone = self._gone
        if gone is None or gone.day != day or gone.out_of_stock is not out_of_stock:
            gone = Gone(self, day, out_of_stock)
            if isinstance(out_of_stock, frozenset | tuple):
                self._gone = gone
        return gone


def without(vocabulary: Vocabulary, ids: Collection[str]) -> npt.NDArray[np.bool_]:
    """Which items of a vocabulary are none of these, one by one."""
    left = np.ones(len(vocabulary), np.bool_)
    codes = vocabulary.encode(list(ids))
    left[codes[codes >= 0]] = False
    return left
