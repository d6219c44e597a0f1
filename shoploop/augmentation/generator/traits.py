"""What a record looks like, as widely as a table can tell it: for the discriminator of decoded records.

More than the two-sample test's classifier sees (:func:`~.description.describe`): each basket for
itself, every category, and the most popular items. What selects must see more than what judges, or it would only teach
records to please that one judge.
"""

from dataclasses import dataclass

import numpy as np

from shoploop.augmentation.generator.description import describe
from shoploop.augmentation.generator.records import RECORD_BASKETS, Behaviour, Floats, Ints, Vocabulary
from shoploop.features.distinct import distinct

_ITEMS = 100


@dataclass(frozen=True, kw_only=True)
class Traits:
    """The columns, fixed by what a generator learned from."""

    vocabulary: Vocabulary
    popularity: Floats
    """(V,) share of rows."""

    items: Ints
    """The most popular, each with a column of its own."""

    @classmethod
    def choose(cls, real: Behaviour, vocabulary: Vocabulary, popularity: Floats) -> "Traits":
        count = np.bincount(real.item, minlength=len(vocabulary))
        return cls(vocabulary=vocabulary, popularity=popularity, items=np.argsort(-count, kind="stable")[:_ITEMS])

    def of(self, behaviour: Behaviour) -> Floats:
        """(N, columns)."""
        summary = describe(behaviour, self.vocabulary, self.popularity)
        return np.concatenate([summary, _baskets(behaviour, self.vocabulary.category), self._bag(behaviour)], 1)

    def _bag(self, behaviour: Behaviour) -> Floats:
        """Share of each category, and rows of each of the popular items."""
        category, item = self.vocabulary.category, behaviour.item
        shares = _count(behaviour, category[item], len(self.vocabulary.categories))
        shares /= shares.sum(1, keepdims=True)
        code = np.full(len(self.vocabulary), len(self.items))
        code[self.items] = np.arange(len(self.items))
        popular = _count(behaviour, code[item], len(self.items) + 1)[:, :-1]
        return np.concatenate([shares, popular], 1).astype(np.float32)


def _baskets(behaviour: Behaviour, category: Ints) -> Floats:
    """Of each basket: log size, gap, minute, weekday, share bought again, categories per row. NaN where there is none."""
    sizes, position = behaviour.sizes, behaviour.position
    again = np.bincount(behaviour.basket, behaviour.repeated, len(sizes)) / sizes
    wide = int(category.max()) + 1
    different = np.bincount(distinct(behaviour.basket * wide + category[behaviour.item]) // wide, minlength=len(sizes))
    gaps = np.where(position > 0, behaviour.gaps, np.nan)
    columns = [np.log(sizes), gaps, behaviour.minute, (behaviour.day + 3) % 7, again, different / sizes]
    out = np.full((behaviour.records, RECORD_BASKETS, len(columns)), np.nan, np.float32)
    out[behaviour.record, position] = np.stack(columns, 1)
    return out.reshape(behaviour.records, -1)


def _count(behaviour: Behaviour, code: Ints, codes: int) -> Floats:
    flat = np.bincount(behaviour.row_record * codes + code, minlength=behaviour.records * codes)
    return flat.reshape(behaviour.records, codes).astype(np.float32)
