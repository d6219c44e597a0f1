"""One query answered: what it may mean, the model as far as the deadline allows, and what is called so but was never bought.

Legend: N items that the query may mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from shoploop.features.history import History
from shoploop.features.log import Float32, Vocabulary
from shoploop.features.online import OnlineUser
from shoploop.ranking.answer import Method, RecommendRequest, SearchRequest
from shoploop.ranking.budget import Budget
from shoploop.ranking.gone import Gone, without
from shoploop.ranking.known import NOBODY, Known, Visitor
from shoploop.ranking.lists import Found, Lists, placed
from shoploop.ranking.rules import Placed
from shoploop.ranking.searching import Searched, Unsold
from shoploop.surfaces.search.features import ALL_WORDS

SEEN = 3
"""Places before that of the one item which nobody has bought and which has all the words; where there are more, each has
its chance once the one before it is bought."""

ANYBODY = "?"
"""Asks for best sellers where nobody is named."""


@dataclass(frozen=True, kw_only=True)
class SearchList:
    """The items that a query most likely means, in the order in which they are shown."""

    found: Found
    shown: list[Placed]
    searched: Searched | None
    """How the query was understood; None where nothing that may be shown is called so, and what sells is."""


class May:
    """Tells what one request may be shown."""

    def __init__(self, request: SearchRequest, gone: Gone):
        self._exclude = frozenset(request.exclude)
        self._only = None if request.only is None else frozenset(request.only)
        self._gone = gone

    def show(self, item: str) -> bool:
        """Whether this item."""
        named = self._only is None or item in self._only
        return named and item not in self._exclude and item not in self._gone

    def of(self, vocabulary: Vocabulary, left: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_] | None:
        """Which items of a vocabulary, of which these can be bought; None where all may be shown."""
        if not self._gone and not self._exclude and self._only is None:
            return None
        may = left.copy()
        if self._only is not None:
            may &= ~without(vocabulary, self._only)
        if self._exclude:
            may &= without(vocabulary, self._exclude)
        return may


def search_list(lists: Lists, request: SearchRequest, visitor: Visitor, budget: Budget, gone: Gone) -> SearchList:
    """The k items that a query most likely means, first of them the one whose id it is; where nothing that may be
    shown is called so, what sells."""
    known, user = lists.known, visitor.user or NOBODY
    matrix, history, day = known.matrix, user.history, visitor.day
    may = May(request, gone)
    may_I = may.of(known.trained.vocabulary, gone.left_I)
    searched = known.searching.search(
        request.query, items=matrix, history=history, day=day, may_I=may_I, least=request.k
    )
    unsold = known.searching.unsold(
        request.query,
        may.of(known.searching.unknown, gone.left_U),
        least=request.k,
        weights=searched.asked.fit.weights,
        shoppers=searched.asked.fit.shoppers,
    )
    typed = known.searching.numbered(request.query)
    numbered = typed if typed is not None and may.show(typed) else None
    if not len(searched.items_N) and not unsold and numbered is None:
        wanted = RecommendRequest(user=request.user or ANYBODY, k=request.k, only=request.only, exclude=request.exclude)
        sold = lists.best_sellers(wanted, request.exclude, request.k, gone)
        if may_I is not None:  # else what sells lacks nothing
            sold += islice(lists.others(sold, wanted, gone), request.k - len(sold))
        found = Found(method="popularity", scored=sold, history=History.empty())
        return SearchList(found=found, shown=placed(sold), searched=None)
    method, scores_N = _scores(known, user, searched, day, request.query, budget)
    scored = lists.in_order(searched.items_N, scores_N, request.k)
    found = Found(method=method, scored=scored, by_model=0 if method == "text" else len(scored), history=history)
    shown = with_unsold(placed(scored), unsold, searched)
    if numbered is not None:  # who types a number wants that
        shown = [Placed(item=numbered, score=None), *(each for each in shown if each.item != numbered)]
    return SearchList(found=found, shown=shown[: request.k], searched=searched)


def with_unsold(bought: Sequence[Placed], unsold: Sequence[Unsold], searched: Searched) -> list[Placed]:
    """What is bought, as the model orders it, and what nobody has bought yet: first where the query says its name better; of
    the others that have all the words the best has a place that is seen, or nobody could ever take it, and the rest come
    behind."""
    wanted = [each.wanted(searched.asked, searched.items_N) for each in unsold]
    ahead = [Placed(item=each.item, score=None) for each, first in zip(unsold, wanted, strict=True) if first]
    others = [
        Placed(item=each.item, score=None)
        for each, first in zip(unsold, wanted, strict=True)
        if not first and each.words >= ALL_WORDS
    ]
    chance = 0 if ahead else 1
    return [*ahead, *bought[:SEEN], *others[:chance], *bought[SEEN:], *others[chance:]]


def _scores(
    known: Known, user: OnlineUser, searched: Searched, day: int, query: str, budget: Budget
) -> tuple[Method, Float32]:
    """Scores of the best method that the version has and the gate and the deadline allow."""
    learned = known.lets("search") and known.trained.model.search is not None and len(searched.items_N) > 0
    if not learned or not budget.allows_a_model():
        return "text", searched.fit_N(known.matrix, user.history)
    asked = known.search_input(user, searched, day, query)
    part = budget.part()
    return part, known.trained.model.score(asked, part=part, surface="search")
