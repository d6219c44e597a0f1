"""Corrects a decoder by what it made: aggregates over all shoppers, of items, categories and sizes, never a record.

Every correction is a logarithm of what there should be over what there is, or Newton's step towards it; a few rounds of
making some hundred records and correcting bring all of them near their aim at once.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from shoploop.augmentation.generator.company import Company
from shoploop.augmentation.generator.counts import category_buyers, trust
from shoploop.augmentation.generator.decoding import Decoder, pull_classes
from shoploop.augmentation.generator.encoding import SIZE_CLASSES, focus, size_class
from shoploop.augmentation.generator.records import Behaviour, Floats, Ints, Vocabulary
from shoploop.features.distinct import distinct

_FEW = 5
"""Rows, below which a ratio of counts is noise."""

_LUCK = 10
"""The same of a category's rows in baskets of about a size, which come in clumps."""

_FEWEST_BUYERS = 20
"""Of a category in baskets of about a size: what fewer do is told as chance would have it."""

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What made behaviour should come to."""

    category: Ints
    """(V,)"""

    manners: Floats
    """(V, M) of the embeddings, what tells how popular an item is, how dear, and in how large baskets it lies."""

    count: Numbers
    """(V,) rows of each item, as far as they may be told."""

    rows: Numbers
    """(categories,)"""

    alike: tuple[Numbers, Numbers] | None
    """(categories,) each: see :func:`_alike`. None where it may not be told, and clump and cling stay as they are."""

    by_size: Numbers | None
    """(classes of size, M) mean of ``manners`` over rows. None where it may not be told, and the tilt stays as it is."""

    fit: Numbers | None = None
    """(classes of size, categories) share of each class's rows. None where it may not be told, and the fit stays as it is."""

    company: Company | None = None
    """Of common items. None where it may not be told, and no pair pulls."""

    @classmethod
    def of(
        cls,
        real: Behaviour,
        vocabulary: Vocabulary,
        manners: Floats,
        shares: Floats,
        *,
        company: Company | None = None,
    ) -> "Aim":
        """
        Args:
            manners: (V, M) of the embeddings.
            shares: (V,) of rows, as far as they may be told (:mod:`~.counts`).
            company: Of common items.
        """
        categories = len(vocabulary.categories)
        count = shares.astype(np.float64) * len(real.item)
        rows = np.bincount(vocabulary.category, count, categories).astype(np.float64)
        known = trust(category_buyers(real, vocabulary))
        alike = [
            known * own + (1 - known) * np.average(own, weights=rows)
            for own in _alike(real, vocabulary.category, categories)
        ]
        return cls(
            category=vocabulary.category,
            manners=manners,
            count=count,
            rows=rows,
            alike=(alike[0], alike[1]),
            by_size=_by_size(real, manners),
            fit=_fit(real, vocabulary, rows),
            company=company,
        )


class Strides:
    """How far corrections of one kind go: farther where the last did not suffice, shorter where it was too much.

    What a basket asks for may all but settle what it holds, and then a correction as large as what is missing moves little
    (Riedmiller & Braun 1993, Rprop, whose sign of the slope is the sign of what is missing here).
    """

    def __init__(self) -> None:
        self._length: Numbers | None = None
        self._last: Numbers | None = None

    def step(self, missing: Numbers) -> Numbers:
        """``missing``, each entry so many times."""
        if self._length is None or self._last is None:
            self._length, self._last = np.ones(missing.shape), np.zeros(missing.shape)
        turned = np.sign(missing) * np.sign(self._last)
        self._length = np.clip(np.where(turned > 0, 1.4, np.where(turned < 0, 0.5, 1.0)) * self._length, 0.5, 6.0)
        self._last = missing
        return missing * self._length


def calibrate(
    decoder: Decoder,
    made: Behaviour,
    asked: Floats,
    aim: Aim,
    *,
    strength: float,
    of_pairs: float = 0.0,
    strides: Strides | None = None,
) -> Decoder:
    """The decoder, a little nearer to its aim.

    Args:
        asked: (B,) focus that was asked of each basket of ``made``.
        strength: Power of each correction; below 1, so that what is chance in ``made`` evens out.
        of_pairs: The same of what goes together by name, which takes many more records.
        strides: Of the fit of categories to sizes, from one correction to the next.
    """
    categories = len(decoder.clump)
    count = np.bincount(made.item, minlength=len(aim.count)).astype(float)
    popularity = _corrections(count, aim.count * count.sum() / aim.count.sum(), aim.category)
    clump = cling = np.zeros(categories)
    if aim.alike is not None:
        alike = _alike(made, aim.category, categories)
        rows = np.bincount(aim.category[made.item], minlength=categories)
        sure = strength * rows / (rows + 50)  # of fewer rows the mean company is mostly chance
        clump, cling = (sure * np.log((aim.alike[i] + 0.02) / (alike[i] + 0.02)) for i in (0, 1))
        # What all categories have in common is the pull's part.
        clump -= np.average(clump, weights=aim.rows)
    of_class = np.ravel_multi_index(pull_classes(made.sizes, asked), decoder.pull.shape)
    several = (made.sizes > 1).astype(float)
    wanted, found = (
        np.bincount(of_class, several * values, decoder.pull.size) + 0.2
        for values in (asked, focus(made, aim.category))
    )
    pull = 2 * strength * np.log(wanted / found).reshape(decoder.pull.shape)
    tilt = np.zeros(decoder.tilt.shape)
    if aim.by_size is not None:
        rows = np.bincount(size_class(made.sizes)[made.basket], minlength=SIZE_CLASSES)
        short = aim.by_size - _by_size(made, aim.manners)
        tilt = strength * short / np.maximum(aim.manners.var(0), 1e-6) * (rows / (rows + 50))[:, None]
    fit = np.zeros(decoder.fit.shape)
    if aim.fit is not None:
        fit = strength * (strides or Strides()).step(_unfit(made, aim.category, aim.fit))
    together = decoder.together
    if aim.company is not None and of_pairs:
        together = together + np.float32(of_pairs) * aim.company.missing(made)
    return replace(
        decoder,
        log_popularity=np.asarray(decoder.log_popularity + strength * popularity, np.float32),
        clump=np.clip(decoder.clump + clump, -8, 8).astype(np.float32),
        cling=np.clip(decoder.cling + cling, -8, 8).astype(np.float32),
        pull=np.clip(decoder.pull + pull, -40, 40).astype(np.float32),
        tilt=np.clip(decoder.tilt + tilt, -40, 40).astype(np.float32),
        fit=np.clip(decoder.fit + fit, -20, 20).astype(np.float32),
        together=np.clip(together, -4, 4).astype(np.float32),
    )


def _corrections(count: Numbers, wanted: Numbers, category: Ints) -> Numbers:
    """(V,) logarithms of what items are drawn too rarely by: as a category, as items of about a popularity, and alone.

    Most items are made a handful of times, too few to correct by; with their like they are enough.
    """
    rank = np.argsort(np.argsort(-wanted, kind="stable"), kind="stable")
    out = np.zeros(len(count))
    for group in (category, np.log2(rank + 1).astype(np.int64), np.arange(len(count))):
        found, asked = (np.bincount(group, values) + _FEW for values in (count * np.exp(out), wanted))
        out += np.log(asked / found)[group]
    return out


def _by_size(behaviour: Behaviour, manners: Floats) -> Numbers:
    """(classes of size, M) mean of ``manners`` over the rows of baskets of about a size; 0 where there are none."""
    of_size = size_class(behaviour.sizes)[behaviour.basket]
    sums = [np.bincount(of_size, column[behaviour.item], SIZE_CLASSES) for column in manners.T]
    out: Numbers = np.stack(sums, 1) / np.maximum(np.bincount(of_size, minlength=SIZE_CLASSES), 1)[:, None]
    return out


def _of_class(behaviour: Behaviour, category: Ints, categories: int) -> Numbers:
    """(classes of size, categories) rows."""
    of_row = size_class(behaviour.sizes)[behaviour.basket] * categories + category[behaviour.item]
    return np.bincount(of_row, minlength=SIZE_CLASSES * categories).reshape(-1, categories).astype(np.float64)


def _fit(real: Behaviour, vocabulary: Vocabulary, rows: Numbers) -> Numbers:
    """(classes of size, categories) share of each class's rows, of few buyers drawn towards what chance would have."""
    categories = len(vocabulary.categories)
    table = _of_class(real, vocabulary.category, categories)
    by_chance = np.outer(table.sum(1), rows / rows.sum())
    of_row = size_class(real.sizes)[real.basket] * categories + vocabulary.category[real.item]
    users = int(real.user.max(initial=0)) + 1
    buyers = np.bincount(distinct(of_row * users + real.user[real.row_record]) // users, minlength=table.size)
    # Nearer to what was counted than other aggregates: fuel told as half so much alone would be told elsewhere instead.
    known = (buyers * (buyers >= _FEWEST_BUYERS) / (buyers + _FEWEST_BUYERS)).reshape(table.shape)
    out = known * table + (1 - known) * by_chance
    told: Numbers = out / np.maximum(out.sum(1, keepdims=True), 1e-12)
    return told


def _unfit(made: Behaviour, category: Ints, aim: Numbers) -> Numbers:
    """(classes of size, categories) logarithms of what there should be over what there is, towards 0 where both are few."""
    found = _of_class(made, category, aim.shape[1])
    wanted = aim * found.sum(1, keepdims=True)
    out: Numbers = np.log((wanted + _LUCK) / (found + _LUCK))
    return out


def _alike(behaviour: Behaviour, category: Ints, categories: int) -> tuple[Numbers, Numbers]:
    """Per category, over its rows: other rows of it in the same basket, and rows of it in the record's basket before."""
    key, count = np.unique(behaviour.basket * categories + category[behaviour.item], return_counts=True)
    basket, group = np.divmod(key, categories)
    rows = np.bincount(group, count, categories) + 1
    beside = np.bincount(group, count * (count - 1.0), categories)
    same = (basket > 0) & (behaviour.record[basket] == behaviour.record[basket - 1])
    at = np.minimum(np.searchsorted(key, key - categories), len(key) - 1)
    matched = same & (key[at] == key - categories)
    before = np.bincount(group, count * np.where(matched, count[at], 0), categories)
    return beside / rows, before / rows
