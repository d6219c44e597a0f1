"""Which items are scored for a request. A ranker cannot rank what was not fetched: every source is counted on its own.

Legend: N candidates.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from shoploop.features.catalog import Catalog
from shoploop.features.distinct import distinct
from shoploop.features.history import History
from shoploop.features.item import ItemMatrix
from shoploop.features.log import Int32
from shoploop.features.pairs import FOLLOWED_DECAY, FOLLOWED_VISITS, follower_scores

SOURCES = ("history", "popular", "neighbours", "followers", "lately", "alike", "kinds", "unsold")
"""In the order of the bits of :attr:`Candidates.sources_N`."""

BY_PICTURES = "unsold"
"""The source that only a shop with pictures has."""


@dataclass(frozen=True, kw_only=True)
class CandidateConfig:
    """How many items each source may bring."""

    popular: int = 300
    """Most sold items of the last 28 days."""

    neighbours: int = 50
    """Items that go with the user's last baskets. The user's own history always comes whole."""

    neighbour_baskets: int = 5
    """Last baskets that neighbours are looked up for."""

    followers: int = 100
    """Items that are bought after those of the last visits, as long as anyone remembers."""

    lately: int = 100
    """The same, by what was bought in the last weeks."""

    alike: int = 0
    """Items whose factors point where those of the last visits do."""

    kinds: int = 0
    """What sells most among the kinds that the user bought last."""

    unsold: int = 0
    """Items that nobody has bought yet, whose factors are those of what they look like and are called like: the same way."""

    def to_json(self) -> dict[str, int]:
        """Its fields; a shop without pictures has none of the last kind, and no word of it."""
        return {name: value for name, value in asdict(self).items() if name != BY_PICTURES or value}


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """The items to score, sorted by code, each once."""

    items_N: Int32
    named: Mapping[str, Int32]
    """By the names of ``SOURCES`` the items that each names; one that is not there named none."""

    after: Mapping[str, npt.NDArray[np.float64]]
    """Of :func:`shoploop.features.pairs.follower_scores`, for the features of the same request; empty where nobody asked."""

    @cached_property
    def sources_N(self) -> npt.NDArray[np.uint8]:
        """Bit i is set where ``SOURCES[i]`` named the item: for samples and explanations, which few requests ask for."""
        sources_N = np.zeros(len(self.items_N), np.uint8)
        for source, items in self.named.items():
            sources_N[np.searchsorted(self.items_N, items)] |= np.uint8(1 << SOURCES.index(source))
        return sources_N


def fetch_candidates(
    history: History, *, day: int, items: ItemMatrix, catalog: Catalog, config: CandidateConfig | None = None
) -> Candidates:
    """The candidates of one request: the user's own items, recent popularity, and what goes with the last baskets.

    Args:
        history: The user's purchases; rows from ``day`` on are ignored.
        day: Day of the request, days since 1970-01-01 (UTC).
        items: Statistics of all items as of ``day``.
        catalog: Neighbours, followers, factors and kinds, as of the day.
        config: How many of each.
    """
    named, after = by_source(history, day=day, items=items, catalog=catalog, config=config or CandidateConfig())
    items_N = distinct(np.concatenate([named[source] for source in SOURCES])).astype(np.int32)
    return Candidates(items_N=items_N, named=named, after=after)


def by_source(
    history: History, *, day: int, items: ItemMatrix, catalog: Catalog, config: CandidateConfig
) -> tuple[dict[str, Int32], dict[str, npt.NDArray[np.float64]]]:
    """What each of ``SOURCES`` names, the best first, and the scores of what follows; arguments as above."""
    history = history.before(day)
    after = follower_scores(history, catalog) if config.followers or config.lately else {}
    nothing = np.empty(0)
    named = {
        "history": distinct(history.items_H),
        "popular": items.by_popularity[: config.popular],
        "neighbours": _neighbours(history, catalog, config),
        "followers": _likeliest(after.get("after_recent", nothing), config.followers),
        "lately": _likeliest(after.get("lately_recent", nothing), config.lately),
        "alike": nothing.astype(np.int32),
        "kinds": nothing.astype(np.int32),
        "unsold": nothing.astype(np.int32),
    }
    if len(history) and (config.alike or config.kinds or config.unsold):
        weight_H = _last_visits(history)
        named["alike"] = _alike(history, weight_H, items, catalog, config.alike)
        named["kinds"] = _kinds(history, weight_H, items, catalog, config.kinds)
        named["unsold"] = _unsold(history, weight_H, items, catalog, config.unsold)
    return named, after


def _likeliest(scores_I: npt.NDArray[np.float64], most: int) -> Int32:
    """The codes of the highest scores above 0, ties by code."""
    if not most:
        return np.empty(0, np.int32)
    some_I = scores_I > 0
    if len(scores_I) > most:
        least = np.partition(scores_I, len(scores_I) - most)[len(scores_I) - most]
        some_I &= scores_I >= least
    some = np.flatnonzero(some_I)
    order = np.lexsort((some, -scores_I[some]))
    return some[order[:most]].astype(np.int32)


def _neighbours(history: History, catalog: Catalog, config: CandidateConfig) -> Int32:
    if config.neighbours == 0 or len(history) == 0:
        return np.empty(0, np.int32)
    recent = history.last_visits(config.neighbour_baskets)
    weights = np.maximum(catalog.neighbour_weights_IM[recent], 0.0).ravel()
    near = catalog.neighbours_IM[recent].ravel()
    score_I = np.bincount(near, weights=weights, minlength=len(catalog)).astype(np.float64)
    score_I[history.items_H] = 0.0
    return _likeliest(score_I, config.neighbours)


def _last_visits(history: History) -> npt.NDArray[np.float64]:
    """What each row of the history counts, (H,): the less the more visits lie since; 0 for those of long ago."""
    since_H = history.since_H
    weight_H: npt.NDArray[np.float64] = np.where(since_H < FOLLOWED_VISITS, FOLLOWED_DECAY**since_H, 0.0)
    return weight_H


def _alike(
    history: History, weight_H: npt.NDArray[np.float64], items: ItemMatrix, catalog: Catalog, most: int
) -> Int32:
    # in the factors' own precision: a wider one would copy all of them for each request
    direction_D = weight_H.astype(np.float32) @ catalog.factors_ID[history.items_H]
    # of what points the same way, that which is bought: a rare item's factors are mostly chance
    score_I = (catalog.factors_ID @ direction_D) * items.evidence_I
    score_I[history.items_H] = 0.0
    return _likeliest(score_I, most)


def _unsold(
    history: History, weight_H: npt.NDArray[np.float64], items: ItemMatrix, catalog: Catalog, most: int
) -> Int32:
    if not most:
        return np.empty(0, np.int32)
    direction_D = weight_H.astype(np.float32) @ catalog.factors_ID[history.items_H]
    score_I = np.where(items["purchases_total"] > 0, 0.0, catalog.factors_ID @ direction_D)
    return _likeliest(score_I, most)


def _kinds(
    history: History, weight_H: npt.NDArray[np.float64], items: ItemMatrix, catalog: Catalog, most: int
) -> Int32:
    if not catalog.kind_I.max(initial=0):
        return np.empty(0, np.int32)
    wanted_C = np.bincount(catalog.kind_I[history.items_H], weights=weight_H, minlength=catalog.kinds)
    score_I: npt.NDArray[np.float64] = (wanted_C[catalog.kind_I] * items.sold_I).astype(np.float64)
    score_I[history.items_H] = 0.0
    return _likeliest(score_I, most)
