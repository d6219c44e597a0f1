"""Queries with their candidates, labels and features: what the search surface is trained and evaluated on.

A sample has the pair features of a recommendation, so that the same network reads both, and behind them those of the query.
Everything is as of the query's day: what was taken after it before, what sells, what the user had bought.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shoploop.features.baskets import BasketSequence
from shoploop.features.catalog import Catalog
from shoploop.features.history import History, history_of
from shoploop.features.item import ItemMatrix
from shoploop.features.log import Float32, Int32
from shoploop.features.offers import OnOffer
from shoploop.features.pairs import OF_WHAT_GOES_WITH_IT, pair_parts
from shoploop.features.shop import ShopRow
from shoploop.features.user import UserRow
from shoploop.samples.sample_set import Request, SampleSet, Sources, drawn
from shoploop.surfaces.search.asked import NOBODY, Asked
from shoploop.surfaces.search.features import NEW, SEARCH_FEATURES, read, search_candidates, search_features
from shoploop.surfaces.search.memory import QueryMemory, Recall
from shoploop.surfaces.search.names import Names


def search_columns(pair_columns: Sequence[str]) -> tuple[str, ...]:
    """Names of a search sample's features: those of a pair, then those of the query."""
    return (*pair_columns, *(f"search_{name}" for name, _ in SEARCH_FEATURES))


HIDING, HIDDEN = 0.25, 0.3
"""Share of the queries to learn from that are shown once more with some items as if they were new, and share of the items.

Most queries are for what has long been taken, so that a model learns to trust memory and sales, and what has neither to be
what nobody wants. What is new has neither for another reason, and a log holds little of it. Any item might be new, taken or
not, so that nothing is learned of the words alone but how far they are to be trusted without the rest (dropout of what is
known by content against what is known by use: Volkovs, Yu, Poutanen 2017, "DropoutNet").
"""

NONE = np.empty(0, np.int32)


@dataclass(frozen=True, kw_only=True)
class SearchSources:
    """Where a query's features come from."""

    names: Names
    memory: QueryMemory
    pairs: Sources
    day_of_memory: Callable[[int], int] = int
    """The day whose memory a query of a day sees; another than its own where a model is to be judged that is not renewed."""


def assemble_searches(
    asked: Sequence[Asked],
    users: Sequence[UserRow],
    sources: SearchSources,
    *,
    negatives: int | None = None,
    hiding: bool = False,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[SampleSet]:
    """Makes the samples, a thousand queries at a time, in the order given, which must be that of days.

    Args:
        asked: Queries.
        users: Statistics of who asks, one per query; what :class:`UserRow` says of nobody where they are not known.
        sources: Everything else that features are made of.
        negatives: Candidates kept per query beside those that were taken, drawn at random of those that somebody has taken
            before; None keeps all.
        hiding: For queries to learn from: whether some come once more, behind themselves, with items as if they were new.
        seed: Of these draws.
        progress: Told queries done and in all.
    """
    day, items, catalog, recall = None, None, None, None
    shops: dict[str, ShopRow] = {}
    on_offer = sources.pairs.on_offer(shops)
    for start in range(0, len(asked), 1000):
        made = []
        for place in range(start, min(start + 1000, len(asked))):
            each = asked[place]
            if items is None or catalog is None or recall is None or each.day != day:
                day = each.day
                seen = sources.day_of_memory(day)
                items, catalog = sources.pairs.items(seen), sources.pairs.catalogs(seen)
                recall, shops = sources.memory.as_of(seen), dict(sources.pairs.shops(seen))
                on_offer = sources.pairs.on_offer(shops)
            rng = np.random.default_rng([seed, place])
            shop = shops.get(users[place].usual_shop)
            for hidden in (False, True) if hiding and rng.random() < HIDING else (False,):
                offers = on_offer(each.day)
                made.append(
                    _one(each, users[place], shop, sources, items, catalog, recall, offers, negatives, hidden, rng)
                )
        yield SampleSet.concat(made)
        progress(min(start + 1000, len(asked)), len(asked))


def query_features(
    query: str,
    *,
    history: History,
    day: int,
    user: UserRow,
    shop: ShopRow | None,
    sources: SearchSources,
    items: ItemMatrix,
    catalog: Catalog,
    recall: Recall,
    offers: OnOffer | None = None,
    hidden: Int32 = NONE,
) -> tuple[Int32, Float32]:
    """The candidates of one query, (N,), and their features, (N, K + S): the same in training and in the predictor.

    ``hidden`` are items that are shown as they will be when they are new, with all that others did with them left out.
    """
    read_query = read(query, sources.names, recall)
    if len(hidden):
        items, read_query = items.as_if_new(hidden), read_query.as_if_new(hidden)
    candidates_N = search_candidates(read_query, items, np.unique(history.items_H).astype(np.int32))
    pairs_NK = pair_parts(
        history=history,
        candidates_N=candidates_N,
        day=day,
        items=items,
        catalog=catalog,
        user=user,
        shop=shop,
        habits=sources.pairs.contract.habits,
        offers=offers,
    ).whole(sources.pairs.contract)
    if len(hidden):
        hidden_N, names = np.isin(candidates_N, hidden), sources.pairs.contract.pair_features
        for name, value in OF_WHAT_GOES_WITH_IT.items():
            pairs_NK[hidden_N, names.index(name)] = value
    return candidates_N, np.hstack([pairs_NK, search_features(read_query, candidates_N, items)])


def as_if_new(items: int, own: npt.NDArray[np.integer], rng: np.random.Generator) -> Int32:
    """Which items a query is to be learned from as if nobody had taken them yet, drawn; those that the user has bought are
    never among them."""
    hidden_I = rng.random(items) < HIDDEN
    hidden_I[own] = False
    return np.flatnonzero(hidden_I).astype(np.int32)


def _one(
    asked: Asked,
    user: UserRow,
    shop: ShopRow | None,
    sources: SearchSources,
    items: ItemMatrix,
    catalog: Catalog,
    recall: Recall,
    offers: OnOffer | None,
    negatives: int | None,
    hiding: bool,
    rng: np.random.Generator,
) -> SampleSet:
    log = sources.pairs.log
    history = History.empty() if asked.user == NOBODY else history_of(log, asked.user, before=asked.day)
    hidden = as_if_new(len(log.vocabulary), np.unique(history.items_H), rng) if hiding else NONE
    items_N, features_NF = query_features(
        asked.query,
        history=history,
        day=asked.day,
        user=user,
        shop=shop,
        sources=sources,
        items=items,
        catalog=catalog,
        recall=recall,
        offers=offers,
        hidden=hidden,
    )
    truth = np.array(asked.items, np.int32)
    labels_N = np.isin(items_N, truth)
    if negatives is not None:
        # a log does not say since when an item is there: that nobody has taken it yet says nothing against it
        new_N = features_NF[:, len(sources.pairs.contract.pair_features) + NEW] > 0
        known = np.flatnonzero(labels_N | ~new_N | np.isin(items_N, hidden))
        kept = known[drawn(labels_N[known], negatives, rng)]
        items_N, labels_N, features_NF = items_N[kept], labels_N[kept], features_NF[kept]
    return SampleSet.of_request(
        Request(user=asked.user, day=asked.day),
        items_N=items_N,
        labels_N=labels_N,
        sources_N=np.zeros(len(items_N), np.uint8),
        features_NK=features_NF,
        truth=truth,
        sequence=BasketSequence.of(history, day=asked.day),
        query=asked.query,
    )
