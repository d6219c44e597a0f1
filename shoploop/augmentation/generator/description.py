"""A record as a data scientist would tabulate it: sizes, gaps, repeats, popularity, categories, times; no embedding."""

from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.augmentation.generator.records import Behaviour, Floats, Vocabulary
from shoploop.features.distinct import is_among

_WIDEST = 60
"""Categories with a column of their own; the rest are one."""

_SMOOTH = 2e-5
"""Added to an item's share: else a record's own purchases would show in the rarity of its items."""


def describe(
    behaviour: Behaviour,
    vocabulary: Vocabulary,
    popularity: npt.NDArray[Any],
    columns: npt.NDArray[np.int64] | None = None,
) -> Floats:
    """(N, features) of each record: sizes, gaps, repeats, popularity, categories within and between baskets, times."""
    if columns is None:
        _, columns = columns_of(vocabulary)
    records, row_record = behaviour.records, behaviour.row_record
    sizes, gaps, position = behaviour.sizes, behaviour.gaps, behaviour.position
    baskets = np.bincount(behaviour.record, minlength=records)
    later = position > 0

    def spread(values: npt.NDArray[np.float64], groups: npt.NDArray[np.int64]) -> list[npt.NDArray[np.float64]]:
        count = np.maximum(np.bincount(groups, minlength=records), 1)
        mean = np.bincount(groups, values, records) / count
        square = np.bincount(groups, values**2, records) / count
        return [mean, np.sqrt(np.maximum(square - mean**2, 0))]

    rows = np.bincount(row_record, minlength=records)
    distinct = rows - np.bincount(row_record, behaviour.repeated, records)
    rarity = np.log(popularity[behaviour.item] + _SMOOTH)
    mix = np.zeros((records, int(columns.max()) + 1), np.float64)
    group = columns[vocabulary.category[behaviour.item]]
    np.add.at(mix, (row_record, group), 1)
    share = mix / rows[:, None]
    entropy = -(share * np.log(np.maximum(share, 1e-12))).sum(1)
    by_basket = np.zeros((len(sizes), mix.shape[1]))
    np.add.at(by_basket, (behaviour.basket, group), 1)
    norm = by_basket / np.linalg.norm(by_basket, axis=1, keepdims=True)
    focus = ((by_basket**2).sum(1) - sizes) / np.maximum(sizes * (sizes - 1), 1)
    next_alike = (norm[1:] * norm[:-1]).sum(1)[later[1:]]
    item_twins = _shared_with_last(behaviour)
    minute = behaviour.minute.astype(float)
    weekend = ((behaviour.day + 3) % 7 >= 5).astype(float)
    features = [
        baskets.astype(float),
        rows.astype(float),
        distinct.astype(float),
        1 - distinct / rows,
        *spread(np.log(sizes), behaviour.record),
        *spread(np.log(np.maximum(gaps[later], 1)), behaviour.record[later]),
        *spread(((gaps[later] % 7) == 0).astype(float), behaviour.record[later])[:1],
        *spread(rarity, row_record),
        *spread(focus, behaviour.record),
        *spread(next_alike, behaviour.record[later]),
        *spread(item_twins[later], behaviour.record[later]),
        *spread(minute, behaviour.record),
        *spread(weekend, behaviour.record)[:1],
        *spread((behaviour.kind > 0).astype(float), row_record)[:1],
        entropy,
        (mix > 0).sum(1).astype(float),
        *share.T,
    ]
    return np.stack(features, 1).astype(np.float32)


_NAMES = (
    "baskets", "rows", "distinct items", "repeat share", "log size", "log size, spread", "log gap", "log gap, spread",
    "gaps of whole weeks", "rarity", "rarity, spread", "basket focus", "basket focus, spread", "next basket alike",
    "next basket alike, spread", "items of last basket", "items of last basket, spread", "minute", "minute, spread",
    "weekend", "further kinds", "category entropy", "categories",
)  # fmt: skip


def columns_of(vocabulary: Vocabulary) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Feature names, and the column of each category: the widest have their own."""
    count = np.bincount(vocabulary.category, minlength=len(vocabulary.categories))
    top = np.argsort(-count, kind="stable")[:_WIDEST]
    columns = np.full(len(count), len(top))
    columns[top] = np.arange(len(top))
    names = [*_NAMES, *(f"share of {vocabulary.categories[i]}" for i in top)]
    return ([*names, "share of other categories"] if len(count) > len(top) else names), columns


def _shared_with_last(behaviour: Behaviour) -> npt.NDArray[np.float64]:
    """(B,) share of each basket's items that the basket before held too."""
    items = int(behaviour.item.max(initial=0)) + 1
    key = behaviour.basket * items + behaviour.item
    same_record = np.concatenate([[False], behaviour.record[1:] == behaviour.record[:-1]])
    twin = is_among((behaviour.basket - 1) * items + behaviour.item, np.sort(key)) & same_record[behaviour.basket]
    return np.bincount(behaviour.basket, twin, len(behaviour.record)) / behaviour.sizes
