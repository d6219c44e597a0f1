"""Corrects a decoder by what it made: aggregates over all shoppers, of items, categories and sizes, never a record.

Every correction is a logarithm of what there should be over what there is, or Newton's step towards it; a few rounds of
making some hundred records and correcting bring all of them near their aim at once.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.augmentation.generator.decoding import Decoder, pull_classes
from shoploop.augmentation.generator.encoding import SIZE_CLASSES, focus, size_class
from shoploop.augmentation.generator.records import Behaviour, Floats, Ints, Vocabulary

_FEW = 5
"""Rows, below which a ratio of counts is noise."""

_LUCKY = 3
"""An item of so many buyers is made half as often as it was bought: that it was bought at all by those who were learned
from is partly luck, shoppers never seen buy it less, and naming it says most about its buyers."""

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What made behaviour should come to."""

    category: Ints
    """(V,)"""

    popular: Floats
    """(V,) of the embeddings, what tells how popular an item is."""

    count: Numbers
    """(V,) rows of each item, those of few buyers fewer."""

    rows: Numbers
    """(categories,)"""

    company: tuple[Numbers, Numbers]
    """(categories,) each: see :func:`_company`."""

    popularity: Numbers
    """(classes of size,) mean of ``popular`` over rows."""

    @classmethod
    def of(cls, real: Behaviour, vocabulary: Vocabulary, popular: Floats) -> "Aim":
        items, categories = len(vocabulary), len(vocabulary.categories)
        bought = np.unique(real.item * real.records + _first_codes(real.user)[real.row_record]) // real.records
        buyers = np.bincount(bought, minlength=items)
        trust = buyers / (buyers + _LUCKY)
        return cls(
            category=vocabulary.category,
            popular=popular,
            count=np.bincount(real.item, minlength=items) * trust,
            rows=np.bincount(vocabulary.category[real.item], minlength=categories).astype(float),
            company=_company(real, vocabulary.category, categories),
            popularity=_popularity(real, popular, trust),
        )


def calibrate(decoder: Decoder, made: Behaviour, asked: Floats, aim: Aim, *, strength: float) -> Decoder:
    """The decoder, a little nearer to its aim.

    Args:
        asked: (B,) focus that was asked of each basket of ``made``.
        strength: Power of each correction; below 1, so that what is chance in ``made`` evens out.
    """
    categories = len(decoder.clump)
    count = np.bincount(made.item, minlength=len(aim.count)).astype(float)
    popularity = _corrections(count, aim.count * count.sum() / aim.count.sum(), aim.category)
    company = _company(made, aim.category, categories)
    rows = np.bincount(aim.category[made.item], minlength=categories)
    sure = strength * rows / (rows + 50)  # of fewer rows the mean company is mostly chance
    clump, cling = (sure * np.log((aim.company[i] + 0.02) / (company[i] + 0.02)) for i in (0, 1))
    # What all categories have in common is the pull's part.
    clump -= np.average(clump, weights=aim.rows)
    of_class = np.ravel_multi_index(pull_classes(made.sizes, asked), decoder.pull.shape)
    several = (made.sizes > 1).astype(float)
    wanted, found = (
        np.bincount(of_class, several * values, decoder.pull.size) + 0.2
        for values in (asked, focus(made, aim.category))
    )
    pull = 2 * strength * np.log(wanted / found).reshape(decoder.pull.shape)
    rows = np.bincount(size_class(made.sizes)[made.basket], minlength=SIZE_CLASSES)
    short = aim.popularity - _popularity(made, aim.popular, np.ones(len(count)))
    tilt = strength * short / aim.popular.var() * rows / (rows + 50)
    return replace(
        decoder,
        log_popularity=np.asarray(decoder.log_popularity + strength * popularity, np.float32),
        clump=np.clip(decoder.clump + clump, -8, 8).astype(np.float32),
        cling=np.clip(decoder.cling + cling, -8, 8).astype(np.float32),
        pull=np.clip(decoder.pull + pull, -40, 40).astype(np.float32),
        tilt=np.asarray(decoder.tilt + tilt, np.float32),
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


def _popularity(behaviour: Behaviour, popular: Floats, weight: npt.NDArray[Any]) -> Numbers:
    """(classes of size,) weighted mean of ``popular`` over the rows of baskets of about a size; 0 where there are none."""
    of_size = size_class(behaviour.sizes)[behaviour.basket]
    weights = weight[behaviour.item]
    sums = np.bincount(of_size, weights * popular[behaviour.item], SIZE_CLASSES)
    out: Numbers = sums / np.maximum(np.bincount(of_size, weights, SIZE_CLASSES), 1e-12)
    return out


def _company(behaviour: Behaviour, category: Ints, categories: int) -> tuple[Numbers, Numbers]:
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


def _first_codes(user: Ints) -> Ints:
    """(N,) users numbered from 0."""
    return np.unique(user, return_inverse=True)[1].astype(np.int64)
