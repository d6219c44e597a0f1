"""Items whose category is known, and others of other names for whom it is held out.

An item's behaviour is what the log says of it: statistics, factors, the baskets that it lay in. Its text is its title. Many
items share a title, so titles are held out, not items: whoever has learned a title by heart knows nothing of the test.

Legend: N items, S statistics, F factors, P pieces of a title, L baskets, I items of the vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from shoploop.errors import TooFewEvents
from shoploop.features.factors import factors
from shoploop.features.item import ItemStatistics
from shoploop.features.item_pairs import pairs_together
from shoploop.features.log import Float32, PurchaseLog, choose_vocabulary, purchases
from shoploop.models.search import padded_pieces

LEVEL = 1
"""Of the category's path: 0 is the department, whose two greatest hold most items."""

FEWEST_ITEMS = 30
"""Of a category that is asked for."""

HELD_OUT, VALIDATION = 0.25, 0.1
"""Shares of the titles."""

BASKETS = 20
"""Latest baskets with an item that tell what lies beside it."""


@dataclass(frozen=True, kw_only=True)
class Items:
    """Items to tell categories of."""

    classes: tuple[str, ...]
    class_N: npt.NDArray[np.int64]
    title_N: npt.NDArray[np.int64]
    """Number of its title, by which items are drawn."""

    behaviour_NS: Float32
    """Statistics and factors, mean 0 and deviation 1 over the items to learn from."""

    pieces_NP: npt.NDArray[np.int64]
    """Words and parts of words of the title, hashed; 0 pads."""

    baskets_NLF: Float32
    """Mean factors of what else was in the latest baskets with it; 0 where there are fewer."""

    train_N: npt.NDArray[np.bool_]
    validation_N: npt.NDArray[np.bool_]
    test_N: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.class_N)


def of_tables(interactions: pl.DataFrame, items: pl.DataFrame, *, seed: int = 0, width: int = 64) -> Items:
    """The items of a log that have a title and are of a category with enough others.

    Args:
        interactions: As a run loads them.
        items: Columns ``item``, ``title`` and ``category`` (path, widest first).
        seed: Of the draw of titles.
        width: F.

    Raises:
        TooFewEvents: fewer than two categories have enough items.
    """
    bought = purchases(interactions)
    log = PurchaseLog.of(bought, choose_vocabulary(bought, before=int(bought["day"].to_numpy().max()) + 1))
    named = (
        log.vocabulary.frame()
        .join(items.unique("item", keep="first", maintain_order=True), on="item")
        .with_columns(wanted=pl.col("category").list.get(LEVEL, null_on_oob=True))
        .filter(pl.col("wanted").is_not_null() & pl.col("title").is_not_null())
        .filter(pl.len().over("wanted") >= FEWEST_ITEMS)
        .sort("code")
    )
    classes = tuple(sorted(named["wanted"].unique().to_list()))
    if len(classes) < 2:
        raise TooFewEvents(
            f"{len(classes)} categories have {FEWEST_ITEMS} items with a title: there is nothing to tell "
            "apart. Bring more items."
        )
    code_N = named["code"].to_numpy()
    title_N = named["title"].rank("dense").to_numpy().astype(np.int64) - 1
    test_N, validation_N = _drawn(title_N, seed)
    factors_IF = factors(pairs_together(log), width=width, seed=seed)
    statistics_IS = ItemStatistics(log).on(log.last_day + 1).values_IS
    behaviour_NS = np.concatenate([np.sign(statistics_IS) * np.log1p(np.abs(statistics_IS)), factors_IF], axis=1)[
        code_N
    ]
    learned_NS = behaviour_NS[~test_N]
    deviation_S = learned_NS.std(axis=0)
    behaviour_NS = (behaviour_NS - learned_NS.mean(axis=0)) / np.where(deviation_S > 1e-6, deviation_S, 1.0)
    place = {name: at for at, name in enumerate(classes)}
    return Items(
        classes=classes,
        class_N=np.array([place[name] for name in named["wanted"]], np.int64),
        title_N=title_N,
        behaviour_NS=np.clip(behaviour_NS, -5, 5).astype(np.float32),
        pieces_NP=_numbered(padded_pieces(named["title"].to_list())),
        baskets_NLF=_baskets(log, code_N, factors_IF),
        train_N=~(test_N | validation_N),
        validation_N=validation_N,
        test_N=test_N,
    )


def _numbered(pieces_NP: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The same pieces, numbered without a gap; 0 still pads."""
    there = np.unique(pieces_NP[pieces_NP > 0])
    return np.where(pieces_NP > 0, np.searchsorted(there, pieces_NP) + 1, 0)


def _drawn(title_N: npt.NDArray[np.int64], seed: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Items of the titles that are held out, and of those that say how long is learned."""
    titles = int(title_N.max()) + 1
    order = np.random.default_rng(seed).permutation(titles)
    held, last = int(titles * HELD_OUT), int(titles * (HELD_OUT + VALIDATION))
    return np.isin(title_N, order[:held]), np.isin(title_N, order[held:last])


def _baskets(log: PurchaseLog, code_N: Sequence[int] | npt.NDArray[np.integer], factors_IF: Float32) -> Float32:
    basket_R, first_B = log.baskets()
    sums_BF = np.add.reduceat(factors_IF[log.item_R], first_B, axis=0)
    sizes_B = np.diff(np.append(first_B, len(log)))
    out_NLF = np.zeros((len(code_N), BASKETS, factors_IF.shape[1]), np.float32)
    # rows of an item, the latest first
    order_R = np.lexsort((-log.day_R, log.item_R))
    starts_I = np.searchsorted(log.item_R[order_R], np.arange(len(factors_IF) + 1))
    for n, code in enumerate(code_N):
        latest = basket_R[order_R[starts_I[code] : starts_I[code + 1]][:BASKETS]]
        others = np.maximum(sizes_B[latest] - 1, 1)[:, None]
        out_NLF[n, : len(latest)] = (sums_BF[latest] - factors_IF[code]) / others
    return out_NLF
