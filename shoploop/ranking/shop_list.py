"""The shops that somebody is most likely to go to next, by the model as far as the deadline allows.

Legend: N shops to choose from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from shoploop.events.fresh import Done
from shoploop.features.history import History
from shoploop.features.log import Float32
from shoploop.features.online import OnlineUser
from shoploop.ranking.answer import Method, ShopsRequest
from shoploop.ranking.budget import Budget
from shoploop.ranking.known import Known
from shoploop.ranking.visiting import ShopChoice, ShopsUnknown, Visited


@dataclass(frozen=True, kw_only=True)
class ShopList:
    method: Method
    visited: Visited
    """Where the user was, which tells why."""

    scored: list[tuple[int, float]]
    """Codes of shops with their scores, best first."""

    by_model: int
    """So many of them, from the first, have their score from the model."""

    is_missed: bool
    """The online store did not say in time what the user bought."""


def shop_list(
    known: Known, request: ShopsRequest, *, fresh: Sequence[Done], now: datetime | None, budget: Budget
) -> ShopList:
    """The k shops that the user is most likely to go to next; for one of whom nothing is known, those visited most.

    Raises:
        ShopsUnknown: purchases name no shops, or nobody has visited any of those that are asked for.
    """
    choosing = known.choosing
    packaged = choosing.packaged
    visited = known.visited(request.user, fresh, now, shop=request.shop)
    only = None if request.only is None else packaged.codes(request.only)
    if only is not None and not len(only):
        raise ShopsUnknown(
            "shop_unknown",
            f"Nobody has visited any of the shops in only: {', '.join(map(repr, (request.only or [])[:5]))}. Ask without "
            "it for those that are known.",
        )
    choice = choosing.choice(visited, only).without(packaged.codes(request.exclude))
    visitor = known.visitor_in_time(request.user, fresh, now, patience=budget.patience)
    method, choice, scores_N = _scores(known, visitor.user, visited, choice, budget)
    order = np.lexsort((choice.shops_N, -scores_N))[: request.k]
    scored = [(int(code), float(score)) for code, score in zip(choice.shops_N[order], scores_N[order], strict=True)]
    by_model = len(scored) if method in ("fused", "dnn") else 0
    if only is None:
        scored += choosing.popular(
            request.k - len(scored),
            without=[*(code for code, _ in scored), *packaged.codes(request.exclude)],
            below=min((score for _, score in scored), default=1.0),
        )
    return ShopList(method=method, visited=visited, scored=scored, by_model=by_model, is_missed=visitor.is_missed)


def _scores(
    known: Known, user: OnlineUser | None, visited: Visited, choice: ShopChoice, budget: Budget
) -> tuple[Method, ShopChoice, Float32]:
    """Scores of the best method that the version has and the gate and the deadline allow, and the shops that they are of."""
    choosing = known.choosing
    of_model = choosing.of_model(choice)
    asked = known.lets("shops") and choosing.learned and len(of_model.shops_N) > 0 and budget.allows(budget.costs.dnn)
    if not len(visited.history) and (user is None or not asked):
        return "popularity", choice, choosing.packaged.recall.lately_P[choice.shops_N]
    if not asked:
        return "frequency", choice, choice.habit_N()
    request = choosing.input(of_model, visited, user.history if user else History.empty())
    part = budget.part()
    return part, of_model, known.trained.model.score(request, part=part, surface="shops")
