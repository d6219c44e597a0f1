"""Explains one item of an answer: from what is remembered of it, else computed anew from what a signed impression proves.

What was not answered by the model is not explained by it, and what is not known of an answer is null: no reason is
invented.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import cast

import numpy as np

from shoploop.candidates.fetching import SOURCES, Candidates
from shoploop.events.fresh import Done
from shoploop.features.history import History
from shoploop.models.fusion import Surface
from shoploop.models.inputs import ModelInput
from shoploop.ranking.answer import Method, Origin, RankedItem, RuleEffect
from shoploop.ranking.explanation import (
    Explanation,
    FeatureEffect,
    ScoreParts,
    Source,
    feature_effects,
    named_as_looks,
    search_effects,
    shop_effects,
)
from shoploop.ranking.known import NOBODY, Known, Visitor, iso


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownItem:
    """What has to be known of one item of an answer."""

    item: str
    score: float | None = None
    origin: Origin | None = None
    """None where only an impression tells of it."""

    @classmethod
    def of(cls, ranked: RankedItem) -> "ShownItem":
        return cls(item=ranked.item, score=ranked.score, origin=ranked.origin)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """What has to be known of an answer to explain it."""

    request_id: str
    user: str
    now: datetime
    """When it was answered."""

    items: tuple[ShownItem, ...]
    """By place."""

    fresh: tuple[Done, ...] = ()
    """What the user had done since the stored history was made."""

    method: Method | None = None
    """None where it is not known."""

    commit: int | None = None
    """What was learned online before it."""

    effects: tuple[RuleEffect, ...] = ()
    asked_for: bool = False
    """The request named the items, and nothing was fetched."""

    query: str | None = None
    """What was searched for, where it answers that."""

    shops: bool = False
    """What was answered are shops, in the place of items."""

    shop: str | None = None
    """Where the user said they were."""

    exact: bool = True
    """It is remembered as it was answered with all that is known of the user, and the model has not changed."""


def explain(known: Known, shown: Shown, place: int) -> Explanation:
    """Why an item was at its place.

    Args:
        known: The version that answered.
        shown: The answer.
        place: Of the item; 1 is the first.
    """
    if shown.query is not None:
        return _explain_search(known, shown, place, shown.query)
    if shown.shops:
        return _explain_shop(known, shown, place)
    here = shown.items[place - 1]
    item, origin = here.item, here.origin
    visitor = known.visitor(shown.user, shown.fresh, shown.now)
    code = known.trained.vocabulary.code(item)
    modelled = code >= 0 and (origin is None or origin.modelled)
    candidates = None
    if visitor.user is not None and modelled and not shown.asked_for:
        candidates = known.candidates(visitor.user, visitor.day)
    parts: ScoreParts | None = None
    features: list[FeatureEffect] = []
    if modelled and visitor.user is not None and known.lets("items"):
        request = known.input(visitor.user, np.array([code], np.int32), visitor.day, candidates, shop=shown.shop)
        parts = _halves(known, request, 0, "items", shown.method)
        features = feature_effects(
            known.trained.model, request.features_NK[0], known.trained.contract, alpha=parts.alpha
        )
    if visitor.only_looked:
        features = named_as_looks(features)
    score = _score(here, parts)
    history = visitor.user.history if visitor.user and shown.method != "popularity" else History.empty()
    pinned = origin is not None and origin.pinned
    return _told(
        known,
        shown,
        place,
        day=visitor.day,
        reason=known.why(item, history=history, visitor=visitor, score=score, pinned=pinned),
        parts=parts,
        sources=_sources(shown, origin, visitor, code, candidates),
        features=features,
    )


def _explain_search(known: Known, shown: Shown, place: int, query: str) -> Explanation:
    """Why an item was found: by its name, by what was taken after such words, by what the user buys."""
    here = shown.items[place - 1]
    visitor = known.visitor(shown.user, shown.fresh, shown.now) if shown.user else known.nobody(shown.now)
    user, code = visitor.user or NOBODY, known.trained.vocabulary.code(here.item)
    search = partial(known.searching.search, query, items=known.matrix, history=user.history, day=visitor.day)
    searched = search()
    if code >= 0 and code not in searched.items_N:  # others that fit better were not to be shown then
        searched = search(may_I=np.arange(len(known.trained.vocabulary)) == code)
    at = np.flatnonzero(searched.items_N == code)
    sources: list[Source] = []
    parts: ScoreParts | None = None
    features: list[FeatureEffect] = []
    if len(at):
        fit, remembered = searched.asked.fit, searched.asked.remembered
        named: list[tuple[Source, bool]] = [
            ("name", bool(fit.words_I[code] > 0 or fit.letters_I[code] > 0)),
            ("searches", bool(remembered.near_I[code] > 0)),
            ("history", bool(code in user.history.items_H)),
        ]
        sources = [source for source, holds in named if holds]
        learned = known.lets("search") and known.trained.model.search is not None
        if learned and shown.method in ("fused", "dnn", None):
            row = int(at[0])
            request = known.search_input(user, searched, visitor.day, query)
            parts = _halves(known, request, row, "search", shown.method)
            features = search_effects(
                known.trained.model, request.features_NK[row], known.trained.contract, alpha=parts.alpha
            )
            if visitor.only_looked:
                features = named_as_looks(features)
    elif shown.method == "popularity":
        sources = ["best_sellers"]
    elif code < 0:
        sources = ["name"]
    found = shown.method != "popularity"
    return _told(
        known,
        shown,
        place,
        day=visitor.day,
        reason=known.why(
            here.item,
            history=user.history if found else History.empty(),
            visitor=visitor,
            score=_score(here, parts),
            asked=searched.asked if found else None,
        ),
        parts=parts,
        sources=sources,
        features=features,
    )


def _explain_shop(known: Known, shown: Shown, place: int) -> Explanation:
    """Why a shop was answered: by the user's visits, by what others visit who share their shops."""
    here = shown.items[place - 1]
    choosing = known.choosing
    visited = known.visited(shown.user, shown.fresh, shown.now, shop=shown.shop)
    user = known.visitor(shown.user, shown.fresh, shown.now).user
    code = choosing.packaged.code(here.item)
    sources: list[Source] = []
    parts: ScoreParts | None = None
    features: list[FeatureEffect] = []
    if code >= 0:
        own = bool(code in visited.history.shops_H)
        sources = ["visits"] if own else ["near"] if choosing.is_near(code, visited) else ["popular"]
        choice = choosing.of_model(choosing.choice(visited, np.array([code], np.int32)))
        answered = (here.origin is None or here.origin.modelled) and (user is not None or len(visited.history) > 0)
        learned = known.lets("shops") and choosing.learned and len(choice.shops_N)
        if answered and learned and shown.method in ("fused", "dnn", None):
            request = choosing.input(choice, visited, user.history if user else History.empty())
            parts = _halves(known, request, 0, "shops", shown.method)
            features = shop_effects(known.trained.model, request.features_NK[0], alpha=parts.alpha)
    reason = choosing.why(code, visited) if code >= 0 else None
    return _told(known, shown, place, day=visited.day, reason=reason, parts=parts, sources=sources, features=features)


def _told(
    known: Known,
    shown: Shown,
    place: int,
    *,
    day: int,
    reason: str | None,
    parts: ScoreParts | None,
    sources: list[Source],
    features: list[FeatureEffect],
) -> Explanation:
    """The explanation of an item or a shop of an answer, as of ``day``."""
    here = shown.items[place - 1]
    return Explanation(
        request_id=shown.request_id,
        item=here.item,
        place=place,
        version=known.version,
        as_of=iso(day),
        method=shown.method,
        exact=shown.exact,
        reason=reason,
        score=_score(here, parts),
        boost=here.origin.boost if here.origin else None,
        pinned=here.origin.pinned if here.origin else None,
        parts=parts,
        sources=sources,
        features=features,
        rules=list(shown.effects),
    )


def _score(here: ShownItem, parts: ScoreParts | None) -> float | None:
    """What was answered; where only an impression tells of it, what the model's halves come to."""
    if parts is None or here.origin is not None:
        return here.score
    return parts.alpha * parts.dnn + (1 - parts.alpha) * (parts.transformer or 0.0)


def _halves(known: Known, request: ModelInput, row: int, surface: Surface, method: Method | None) -> ScoreParts:
    """What the model's halves say of one item, or shop, of a request."""
    model = known.trained.model
    dnn = float(model.score(request, part="dnn", surface=surface)[row])
    if method == "dnn":
        return ScoreParts(dnn=dnn, transformer=None, alpha=1.0)
    transformer = float(model.score(request, part="transformer", surface=surface)[row])
    return ScoreParts(dnn=dnn, transformer=transformer, alpha=model.alpha[surface])


def _sources(
    shown: Shown, origin: Origin | None, visitor: Visitor, code: int, candidates: Candidates | None
) -> list[Source]:
    """What named the item; nothing where only an impression tells of it, and it is no candidate."""
    found: list[Source] = ["shop"] if origin and origin.pinned else []
    if shown.asked_for:
        return [*found, "request"]
    if candidates is not None:
        at = int(np.searchsorted(candidates.items_N, code))
        if at < len(candidates.items_N) and candidates.items_N[at] == code:
            bits = int(candidates.sources_N[at])
            found += [cast(Source, source) for bit, source in enumerate(SOURCES) if bits >> bit & 1]
    elif shown.method in ("frequency", "decay") and visitor.user is not None and code in visitor.user.history.items_H:
        found.append("history")
    return found if found or origin is None else ["best_sellers"]
