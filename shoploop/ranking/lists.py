"""Lists before the shop's rules: codes and scores in order, what sells, and what a user bought most often.

Legend: N candidates.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from shoploop.features.history import History
from shoploop.features.log import Float32, Int32
from shoploop.ranking.answer import Method, RecommendRequest
from shoploop.ranking.gone import Gone
from shoploop.ranking.known import Known
from shoploop.ranking.popularity import EVERYWHERE, Popular
from shoploop.ranking.rules import Placed, Scored

FURTHER = 1000
"""Items beyond those asked for that rules may look at, of what was found and again of what was not: a list may have to go far
down, but no request goes over all that a shop sells."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What may be recommended."""

    method: Method
    scored: Scored
    by_model: int = 0
    """So many of them, from the first, have their score from the model."""

    history: History
    """Which tells why."""


@dataclass(frozen=True, kw_only=True)
class Lists:
    """Of what is known of a version and its users."""

    known: Known
    popular: Mapping[str, Popular]
    """Best sellers by shop."""

    def in_order(
        self, codes_N: Int32, scores_N: npt.NDArray[np.floating], most: int, *, also: Int32 | None = None
    ) -> Scored:
        """The best of them with their scores, and at the end those of ``also`` that are not among these."""
        order = np.lexsort((codes_N, -scores_N))
        if also is not None and len(order) > most:
            late = order[most:]
            order = np.concatenate([order[:most], late[np.isin(codes_N[late], also)]])
        else:
            order = order[:most]
        names = self.known.trained.vocabulary.items
        return [(names[code], float(score)) for code, score in zip(codes_N[order], scores_N[order], strict=True)]

    def without(self, codes_N: Int32, excluded: Sequence[str]) -> Int32:
        """The codes but those of the excluded items."""
        return codes_N[~np.isin(codes_N, self.known.codes(excluded))] if excluded else codes_N

    def best_sellers(
        self, request: RecommendRequest, left_out: Iterable[str], most: int, gone: Container[str] = ()
    ) -> Scored:
        """The shop's best sellers, then those of all shops, whose scores count on below the shop's last."""
        seen = set(left_out)
        only = None if request.only is None else frozenset(request.only)
        found: Scored = []
        ceiling = 1.0
        for popular in (self.popular.get(request.shop or EVERYWHERE), self.popular[EVERYWHERE]):
            if popular is None:
                continue
            for item, rate in zip(popular.items, popular.rates, strict=True):
                if len(found) == most:
                    return found
                if item not in seen and item not in gone and (only is None or item in only):
                    seen.add(item)
                    found.append((item, min(rate, ceiling)))
            ceiling = found[-1][1] if found else ceiling
        return found

    def filled(self, scored: Scored, request: RecommendRequest, wanted: int) -> Scored:
        """The candidates, and where they are too few what sells, below the last of them in its own order."""
        missing = wanted - len(scored)
        if missing <= 0:
            return scored
        more = self.best_sellers(request, {*request.exclude, *(item for item, _ in scored)}, missing)
        lowest = scored[-1][1]
        return [*scored, *((item, lowest - 1.0 + rate) for item, rate in more)]

    def short(self, history: History, request: RecommendRequest, wanted: int) -> Scored:
        """What the user bought most often, filled up with what sells: no candidates, no model."""
        excluded = request.exclude
        if request.only is not None:
            codes_N = self.known.codes(request.only)
        else:
            codes_N = np.unique(history.items_H).astype(np.int32)
            if len(codes_N) < wanted + len(excluded):
                sold_N = self.known.matrix.by_popularity[: wanted + len(excluded)]
                codes_N = np.union1d(codes_N, sold_N).astype(np.int32)
        codes_N = self.without(codes_N, excluded)
        return self.in_order(codes_N, self.frequencies(history, codes_N), wanted)

    def frequencies(self, history: History, codes_N: Int32) -> Float32:
        """On how many days the user bought each item; what sells more breaks ties."""
        counts_I = np.bincount(history.items_H, minlength=len(self.known.trained.vocabulary))
        frequencies: Float32 = (counts_I[codes_N] + self.known.matrix["rate_28"][codes_N]).astype(np.float32)
        return frequencies

    def others(self, scored: Scored, request: RecommendRequest, gone: Gone) -> Iterator[tuple[str, float]]:
        """What the model knows, can be bought and was not found, what sells first, below the last that was found: some of it,
        or all that the request names. Nothing is looked up before somebody asks."""
        found = {item for item, _ in scored} | set(request.exclude)
        codes_N = self.known.by_popularity_I
        if gone:
            codes_N = codes_N[gone.left_I[codes_N]]
        if request.only is not None:
            codes_N = codes_N[np.isin(codes_N, self.known.codes(request.only))]
        rates, names = self.known.matrix["rate_28"], self.known.trained.vocabulary.items
        lowest = scored[-1][1] if scored else 0.0
        others = ((names[code], min(lowest, float(rates[code]))) for code in codes_N if names[code] not in found)
        yield from islice(others, request.k + FURTHER)


def placed(scored: Scored) -> list[Placed]:
    """A list as the model made it."""
    return [Placed(item=item, score=score) for item, score in scored]
