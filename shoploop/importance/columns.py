"""A table as people have it, to numbers: categories, text, dates and missing values get columns of their own.

It is learned on the rows that are weighed and remembered, so that new rows become the same columns. No label is looked at: an
encoding that knows labels would tell the estimators what they are to judge.

Legend: N rows, K columns of numbers.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.importance.cells import Objects, as_floats, as_words, columns_of, is_number, plain
from shoploop.importance.estimators.errors import ColumnsDiffer, FeaturesNotFinite
from shoploop.importance.estimators.table import Float64

MOST_CATEGORIES = 20
"""Of a column that get a number of their own; the rest share one."""

TEXT_PARTS = 8
"""Directions that a column of text is reduced to (latent semantic analysis, Deerwester et al. 1990)."""

WORDS_OF_TEXT = 2.0
"""Mean words a cell from which on a column of many different strings is text."""


@dataclass(frozen=True, kw_only=True)
class _Number:
    name: str
    middle: float
    flagged: bool
    """Whether a column says where the value is missing."""

    def names(self) -> list[str]:
        return [self.name, f"{self.name} is missing"] if self.flagged else [self.name]

    def numbers(self, cells: Any) -> Float64:
        values_N = _floats(self.name, plain(cells))
        missing_N = np.isnan(values_N)
        filled_N = np.where(missing_N, self.middle, values_N)
        return np.column_stack([filled_N, missing_N]) if self.flagged else filled_N[:, None]


@dataclass(frozen=True, kw_only=True)
class _Category:
    name: str
    known: tuple[str, ...]
    """The commonest, in order of their names; what is not among them shares the last column, if there is one."""

    others: bool

    def names(self) -> list[str]:
        return [f"{self.name}={value}" for value in self.known] + ([f"{self.name}=other"] if self.others else [])

    def numbers(self, cells: Any) -> Float64:
        words_N = as_words(cells)
        found = np.array([words_N == value for value in self.known]).T.reshape(len(words_N), len(self.known))
        rest_N = ~found.any(1)
        return np.column_stack([found, rest_N] if self.others else [found]).astype(np.float64)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Text:
    name: str
    words: Any
    parts: Any
    """scikit-learn's TfidfVectorizer and TruncatedSVD."""

    def names(self) -> list[str]:
        return [f"{self.name} part {part}" for part in range(self.parts.n_components)]

    def numbers(self, cells: Any) -> Float64:
        found: Float64 = self.parts.transform(self.words.transform(as_words(cells)))
        return found


Column = _Number | _Category | _Text


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """How each column of a table becomes numbers."""

    columns: tuple[Column, ...]

    @classmethod
    def fit(cls, x: Any, *, seed: int = 0) -> "Columns":
        """Looks at a frame of pandas or polars, or at an array of numbers or objects (N, K).

        Raises:
            FeaturesNotFinite: a number is infinite.
        """
        return cls(columns=tuple(_learned(name, cells, seed) for name, cells in columns_of(x)))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns of numbers."""
        return tuple(name for column in self.columns for name in column.names())

    def of(self, x: Any) -> dict[str, Any]:
        """The cells of a table's columns by name.

        Raises:
            ColumnsDiffer: one that was learned from is not there.
        """
        given = dict(columns_of(x))
        wanted = [column.name for column in self.columns]
        if missing := [name for name in wanted if name not in given]:
            raise ColumnsDiffer(
                f"The rows lack {', '.join(missing[:5])}{' ...' if missing[5:] else ''}, which the weights were learned "
                f"with. Bring the columns {', '.join(wanted[:8])}{' ...' if wanted[8:] else ''}."
            )
        return given

    def numbers(self, x: Any) -> Float64:
        """(N, K) of a table with the same columns.

        Raises:
            ColumnsDiffer: it lacks a column, or there are words where numbers were.
            FeaturesNotFinite: a number is infinite.
        """
        given = self.of(x)
        return np.concatenate([column.numbers(given[column.name]) for column in self.columns], axis=1)


def _learned(name: str, cells: Any, seed: int) -> Column:
    values = plain(cells)
    if is_number(values):
        values_N = _floats(name, values)
        missing_N = np.isnan(values_N)
        known = values_N[~missing_N]
        return _Number(name=name, middle=float(np.median(known)) if len(known) else 0.0, flagged=bool(missing_N.any()))
    words_N = as_words(values)
    counted = Counter(words_N)  # numpy's own count makes every cell as wide as the longest
    kinds = sorted(counted)
    if len(kinds) > MOST_CATEGORIES and np.mean([len(word.split()) for word in words_N]) >= WORDS_OF_TEXT:
        return _text(name, words_N, seed)
    common = sorted(sorted(kinds, key=lambda kind: -counted[kind])[:MOST_CATEGORIES])
    kept = tuple(kind for kind in common if counted[kind] > 1 or len(kinds) <= MOST_CATEGORIES)
    return _Category(name=name, known=kept, others=len(kept) < len(kinds))


def _text(name: str, words_N: Objects, seed: int) -> Column:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(max_features=5_000, sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    try:
        found = words.fit_transform(words_N)
    except ValueError:  # no letter and no digit in any cell
        return _Category(name=name, known=(), others=True)
    count = min(TEXT_PARTS, found.shape[1] - 1, found.shape[0] - 1)
    if count < 1:
        return _Category(name=name, known=(), others=True)
    return _Text(name=name, words=words, parts=TruncatedSVD(count, random_state=seed).fit(found))


def _floats(name: str, values: npt.NDArray[Any]) -> Float64:
    try:
        floats_N = as_floats(values)
    except (TypeError, ValueError) as error:
        raise ColumnsDiffer(
            f"Feature {name} held numbers or dates where the weights were learned, and now {_first_other(values)!r} too. "
            "Leave such cells empty, or fit again."
        ) from error
    if infinite := int(np.isinf(floats_N).sum()):
        raise FeaturesNotFinite(
            f"Feature {name} holds {infinite} infinite values of {len(floats_N)}. Leave them empty, or give a number."
        )
    return floats_N


def _first_other(values: npt.NDArray[Any]) -> str:
    for value in values:
        try:
            as_floats(np.array([value], values.dtype))
        except (TypeError, ValueError):
            return str(value)[:40]
    return ""
