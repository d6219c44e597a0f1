"""Answers one request: candidates, the model as far as the deadline allows, the shop's rules, and a reason for each item.

It must not know of HTTP.

Legend: N candidates.
"""

import copy
import logging
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Literal, cast

import numpy as np
import polars as pl

from shoploop.api.list_rules import NO_RULES, ListRulesSpec
from shoploop.candidates.fetching import Candidates
from shoploop.events.fresh import Done
from shoploop.features.history import History
from shoploop.features.log import Float32, Int32
from shoploop.features.online import OnlineFeatures, OnlineUser
from shoploop.features.user import UserRow
from shoploop.models.fusion import Part
from shoploop.ranking.answer import (
    Answer,
    Method,
    Origin,
    RankedItem,
    RankedShop,
    RankRequest,
    RecommendRequest,
    RuleEffect,
    SearchRequest,
    ShopsAnswer,
    ShopsRequest,
)
from shoploop.ranking.drift import FILE, Drift, Reference
from shoploop.ranking.exploration import Design, explore
from shoploop.ranking.known import NOBODY, Known, Visitor, iso, today
from shoploop.ranking.popularity import EVERYWHERE, Popular, read_popularity
from shoploop.ranking.rules import Hides, Placed, RuleName, Scored, rerank
from shoploop.ranking.searching import Searched
from shoploop.ranking.settings import RankerSettings
from shoploop.ranking.states import UserStates
from shoploop.ranking.visiting import ShopChoice, ShopsUnknown, Visited
from shoploop.ranking.visits import PackagedVisits, read_visits
from shoploop.schemas import POSITIVE_KINDS
from shoploop.surfaces.search.features import ALL_WORDS
from shoploop.versions.artifact import check_contract, load_version
from shoploop.versions.trained import TrainedModel

FURTHER = 1000
"""Items beyond those asked for that rules may look at, of what was found and again of what was not: a list may have to go far
down, but no request goes over all that a shop sells."""

ANYBODY = "?"
"""Asks for best sellers where nobody is named."""

FOREVER = 1_000_000
"""Days."""

MEASURED_ITEMS = 10
"""Of a short answer, when its cost is measured."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Seconds that the parts of an answer took at warm-up: what has to be left of the deadline to begin one."""

    features: float = 0.0
    """Candidates and pair features."""

    dnn: float = 0.0
    transformer: float = 0.0
    short: float = 0.0
    """The whole of an answer without a model, with the rules of the spec."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What may be recommended."""

    method: Method
    scored: Scored
    by_model: int = 0
    """So many of them, from the first, have their score from the model."""

    history: History
    """Which tells why."""


class Ranker:
    """One version, with the online store's features."""

    def __init__(
        self,
        *,
        version: str,
        trained: TrainedModel,
        features: OnlineFeatures,
        popular: dict[str, Popular],
        items: pl.DataFrame,
        settings: RankerSettings,
        visits: PackagedVisits | None = None,
        reference: Reference | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ):
        """Takes what :meth:`load` reads.

        Args:
            version: The version's id.
            trained: Its model.
            features: Opened with the model's vocabulary.
            popular: Best sellers by shop.
            items: ``item``, ``title``, ``category`` and the item fields.
            settings: The packaged part of the spec.
            visits: Who was in which shop; None where purchases name none.
            reference: What the version saw when it was made.
            clock: Seconds; the deadline is measured with it.
        """
        self.version = version
        self.commit: int | None = None
        self.settings = settings
        self.costs = Costs()
        self.known = Known(
            version=version, trained=trained, features=features, items=items, settings=settings, visits=visits
        )
        self.drift = Drift(trained.contract.pair_features, reference)
        self._popular = popular
        self._clock = clock

    @classmethod
    def load(cls, folder: Path) -> "Ranker":
        """Loads what ``build_bento`` packaged.

        Raises:
            ArtifactCorrupt, ArtifactForeign: the version must not be used.
            ContractMismatch: the packaged features are of another contract than the model's.
        """
        settings = RankerSettings.read(folder)
        version = load_version(folder / "model", expected=settings.version)
        trained = TrainedModel.of_version(version)
        features = OnlineFeatures(folder / "features", vocabulary=trained.vocabulary)
        check_contract(version, features.contract.hash)
        return cls(
            version=version.id,
            trained=trained,
            features=features,
            popular=read_popularity(folder),
            items=pl.read_parquet(folder / "items.parquet"),
            settings=settings,
            visits=read_visits(folder),
            reference=Reference.from_bytes(version.extra_files[FILE]) if FILE in version.extra_files else None,
        )

    @property
    def known_items(self) -> tuple[str, ...]:
        """The model's items, in the order of their codes."""
        return self.known.trained.vocabulary.items

    def items(self) -> tuple[Float32, Float32]:
        """The model's w_i, (I, D), and b_i, (I,); not to be written to."""
        return self.known.trained.model.items()

    def shares(self) -> Float32:
        """Each item's part of what was sold in the last four weeks of the data, (I,)."""
        rates_I = np.maximum(self.known.matrix["rate_28"], 0.0)
        return (rates_I / max(float(rates_I.sum()), 1e-12)).astype(np.float32)

    def with_items(self, vectors_ID: Float32, bias_I: Float32, *, commit: int | None) -> "Ranker":
        """This version with what was learned online since; this ranker stays as it is, and goes on with its requests."""
        other = copy.copy(self)
        other.commit = commit
        other.known = self.known.with_items(vectors_ID, bias_I)
        return other

    def user_state(self, user: str, *, fresh: Sequence[Done] = (), now: datetime | None = None) -> Float32:
        """h_u, (D,), by the history as :meth:`recommend` would see it; it does not change with what is learned online.

        Args: as :meth:`recommend`.
        """
        return self.known.user_state(self.known.visitor(user, fresh, now))

    def user_states(self) -> UserStates:
        """The same for many users at once."""
        return UserStates(self.known)

    def before(self, day: int, stats: Mapping[str, UserRow] | None = None) -> "Ranker":
        """This version with users as they were before ``day``, to replay what came after.

        Args:
            day: Days since 1970-01-01 (UTC).
            stats: Users' statistics on that day, for :meth:`recommend`; :meth:`user_state` needs none.
        """
        other = copy.copy(self)
        other.known = self.known.before(day, stats)
        return other

    def encode(self, items: Sequence[str]) -> Int32:
        """The model's codes of these items, in their order; -1 for one that it does not know."""
        return self.known.trained.vocabulary.encode(list(items))

    def recommend(
        self,
        request: RecommendRequest,
        *,
        now: datetime | None = None,
        until: float | None = None,
        fresh: Sequence[Done] = (),
        out_of_stock: Collection[str] = (),
    ) -> Answer:
        """The k best items for the user; for one of whom nothing is known, what sells.

        Args:
            request: Who asks.
            now: The time of the request, UTC; the wall clock's where not given.
            until: When the answer has to be there, on this ranker's clock; unset, the deadline begins now.
            fresh: What the user did since the stored history was made.
            out_of_stock: Items that cannot be bought now.
        """
        until = self._until(until)
        visitor = self.known.visitor(request.user, fresh, now)
        return self._recommended(request, visitor, until, fresh=fresh, out_of_stock=out_of_stock, now=now)

    def rank(
        self,
        request: RankRequest,
        *,
        now: datetime | None = None,
        until: float | None = None,
        fresh: Sequence[Done] = (),
    ) -> Answer:
        """The given items, best first; those that the model does not know come last, as they were given.

        Args: as :meth:`recommend`.
        """
        until = self._until(until)
        asked = list(dict.fromkeys(request.items))
        vocabulary = self.known.trained.vocabulary
        codes_N = self.known.codes(asked)
        visitor = self.known.visitor(request.user, fresh, now)
        method: Method
        if visitor.user is None:
            method, scores_N = "popularity", self.known.matrix["rate_28"][codes_N]
        elif not self._has_time_for_a_model(until):
            method, scores_N = "frequency", self._frequencies(visitor.user.history, codes_N)
        else:
            method, scores_N = self._scores(visitor.user, codes_N, visitor.day, until)
        found = Found(
            method=method,
            scored=self._in_order(codes_N, scores_N, len(codes_N)),
            by_model=len(codes_N) if method in ("fused", "dnn") else 0,
            history=visitor.user.history if visitor.user else History.empty(),
        )
        unknown = [Placed(item=item, score=None) for item in asked if item not in vocabulary]
        return self._answer(found, [*_placed(found.scored), *unknown], visitor.day)

    def search(
        self,
        request: SearchRequest,
        *,
        now: datetime | None = None,
        until: float | None = None,
        fresh: Sequence[Done] = (),
        out_of_stock: Collection[str] = (),
    ) -> Answer:
        """The k items that a query most likely means; where nothing is called so, what sells.

        Args: as :meth:`recommend`.
        """
        until = self._until(until)
        known = self.known
        visitor = known.visitor(request.user, fresh, now) if request.user else known.nobody(now)
        user = visitor.user or NOBODY
        matrix, history, day = known.matrix, user.history, visitor.day
        searched = known.searching.search(request.query, items=matrix, history=history, day=day)
        searched = searched.of_items(self._findable(searched.items_N, request, out_of_stock))
        left_out = {*request.exclude, *out_of_stock}
        unsold = [
            each
            for each in known.searching.unsold(request.query)
            if each.item not in left_out and (request.only is None or each.item in request.only)
        ]
        if not len(searched.items_N) and not unsold:
            wanted = RecommendRequest(user=request.user or ANYBODY, k=request.k, only=request.only)
            sold = self._best_sellers(wanted, left_out, request.k)
            return self._answer(Found(method="popularity", scored=sold, history=History.empty()), _placed(sold), day)
        method, scores_N = self._search_scores(user, searched, day, request.query, until)
        scored = self._in_order(searched.items_N, scores_N, request.k)
        found = Found(method=method, scored=scored, by_model=0 if method == "text" else len(scored), history=history)
        # what nobody has bought yet comes first where its name alone has the words, and else behind what is bought
        best = float(searched.asked.fit.words_I[searched.items_N].max(initial=0.0))
        ahead = [Placed(item=each.item, score=None) for each in unsold if each.words > best + 1e-3]
        behind = [Placed(item=each.item, score=None) for each in unsold if ALL_WORDS <= each.words <= best + 1e-3]
        return self._answer(found, [*ahead, *_placed(scored), *behind][: request.k], day, searched=searched)

    def shops(
        self,
        request: ShopsRequest,
        *,
        now: datetime | None = None,
        until: float | None = None,
        fresh: Sequence[Done] = (),
    ) -> ShopsAnswer:
        """The k shops that the user is most likely to go to next; for one of whom nothing is known, those visited most.

        Args: as :meth:`recommend`.

        Raises:
            ShopsUnknown: purchases name no shops, or nobody has visited any of those that are asked for.
        """
        until = self._until(until)
        choosing = self.known.choosing
        packaged = choosing.packaged
        visited = self.known.visited(request.user, fresh, now, shop=request.shop)
        only = None if request.only is None else packaged.codes(request.only)
        if only is not None and not len(only):
            raise ShopsUnknown(
                "shop_unknown",
                f"Nobody has visited any of the shops in only: {', '.join(map(repr, (request.only or [])[:5]))}. Ask without "
                "it for those that are known.",
            )
        choice = choosing.choice(visited, only).without(packaged.codes(request.exclude))
        method, choice, scores_N = self._shop_scores(request.user, visited, choice, fresh, now, until)
        order = np.lexsort((choice.shops_N, -scores_N))[: request.k]
        scored = [(int(code), float(score)) for code, score in zip(choice.shops_N[order], scores_N[order], strict=True)]
        by_model = len(scored) if method in ("fused", "dnn") else 0
        if only is None:
            scored += choosing.popular(
                request.k - len(scored),
                without=[*(code for code, _ in scored), *packaged.codes(request.exclude)],
                below=min((score for _, score in scored), default=1.0),
            )
        return ShopsAnswer(
            request_id=uuid.uuid4().hex,
            version=self.version,
            commit=self.commit,
            as_of=iso(visited.day),
            method=method,
            shops=[
                RankedShop(
                    shop=packaged.shops[code],
                    title=packaged.titles[code],
                    score=score,
                    reason=choosing.why(code, visited),
                )
                for code, score in scored
            ],
        ).came_by(Origin(modelled=place < by_model) for place in range(len(scored)))

    def _shop_scores(
        self,
        name: str,
        visited: Visited,
        choice: ShopChoice,
        fresh: Sequence[Done],
        now: datetime | None,
        until: float,
    ) -> tuple[Method, ShopChoice, Float32]:
        """Scores of the best method that the version has and the deadline allows, and the shops that they are of."""
        choosing = self.known.choosing
        user = self.known.visitor(name, fresh, now).user
        known = choosing.of_model(choice)
        asked = choosing.learned and len(known.shops_N) > 0 and self._in_time(until, self.costs.dnn)
        if not len(visited.history) and (user is None or not asked):
            return "popularity", choice, choosing.packaged.recall.lately_P[choice.shops_N]
        if not asked:
            return "frequency", choice, choice.habit_N()
        request = choosing.input(known, visited, user.history if user else History.empty())
        in_time = self._in_time(until, self.costs.dnn + self.costs.transformer)
        part: Literal["fused", "dnn"] = "fused" if in_time else "dnn"
        return part, known, self.known.trained.model.score(request, part=part, surface="shops")

    def _search_scores(
        self, user: OnlineUser, searched: Searched, day: int, query: str, until: float
    ) -> tuple[Method, Float32]:
        """Scores of the best method that the version has and the deadline allows."""
        known = self.known
        learned = known.trained.model.search is not None and len(searched.items_N) > 0
        if not learned or not self._has_time_for_a_model(until):
            return "text", searched.fit_N(known.matrix, user.history)
        asked = known.search_input(user, searched, day, query)
        in_time = self._in_time(until, self.costs.dnn + self.costs.transformer)
        part: Literal["fused", "dnn"] = "fused" if in_time else "dnn"
        return part, known.trained.model.score(asked, part=part, surface="search")

    def _findable(
        self, codes_N: Int32, request: SearchRequest, out_of_stock: Collection[str]
    ) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        """Which of the items may be shown, (N,)."""
        left_out = self.known.codes([*request.exclude, *out_of_stock])
        kept_N = ~np.isin(codes_N, left_out)
        return kept_N if request.only is None else kept_N & np.isin(codes_N, self.known.codes(request.only))

    def data_age_days(self, now: datetime | None = None) -> int:
        """Days from the last day of the data to today."""
        return self.known.data_age_days(now)

    def warm_up(self) -> None:
        """Answers for the packaged users, so that no shopper has to wait, and measures what each part costs."""
        if stale := self.known.staleness():
            logging.getLogger(__name__).warning(stale)
        self.known.searching.warm_up(self.known.day())
        measured = []
        for user in self.settings.warm_up_users:
            visitor = self.known.visitor(user, (), None)
            if visitor.user is not None:
                self.recommend(RecommendRequest(user=user))
                measured.append(self._measure(user, visitor, visitor.user))
        if measured:
            self.costs = Costs(
                features=float(np.median([costs.features for costs in measured])),
                dnn=float(np.median([costs.dnn for costs in measured])),
                transformer=float(np.median([costs.transformer for costs in measured])),
                short=float(np.median([costs.short for costs in measured])),
            )

    def _recommended(
        self,
        request: RecommendRequest,
        visitor: Visitor,
        until: float,
        *,
        fresh: Sequence[Done] = (),
        out_of_stock: Collection[str] = (),
        now: datetime | None = None,
    ) -> Answer:
        rules = self.settings.list_rules.overlaid(request.rules)
        ruled = rules != NO_RULES or request.only is not None or bool(out_of_stock)
        exploration = self.settings.exploration
        # what is pinned has a place that chance must not take, and gives way to none
        pool = max(request.k, exploration.pool) if exploration and not rules.pins else request.k
        found = self._found(visitor, request, rules, pool + FURTHER if ruled else pool, until)
        if not ruled:
            return self._drawn(found, _placed(found.scored), visitor.day, request.k)
        shown = rerank(
            found.scored,
            k=pool,
            rules=rules,
            more=self._others(found.scored, request),
            about=self.known.about,
            hides=self._hides(request, rules, visitor, fresh, out_of_stock, now),
            log_odds=found.method in ("fused", "dnn"),
        )
        effects = [RuleEffect(rule=name, items=count) for name, count in shown.effects.items()]
        return self._drawn(found, shown.items, visitor.day, request.k, effects)

    def _drawn(
        self, found: Found, pool: Sequence[Placed], day: int, k: int, effects: Sequence[RuleEffect] = ()
    ) -> Answer:
        """The first ``k`` of the pool; where the spec asks for exploration, chance may have exchanged two."""
        exploration = self.settings.exploration
        if exploration is None or len(pool) <= k or k <= exploration.keep:
            return self._answer(found, pool[:k], day, effects)
        design = Design(share=exploration.share, keep=exploration.keep, shown=k, pool=len(pool))
        request_id = uuid.uuid4().hex
        names = [placed.item for placed in pool]
        shown, explored = explore(pool, names, design=design, seed=exploration.seed, request_id=request_id)
        return self._answer(found, shown, day, effects, request_id=request_id).drawn_as(explored)

    def _found(
        self, visitor: Visitor, request: RecommendRequest, rules: ListRulesSpec, wanted: int, until: float
    ) -> Found:
        """What to recommend, best first: up to ``wanted`` items, and those that the shop pins."""
        if visitor.user is not None:
            method, scored = self._best(visitor.user, request, rules, wanted, visitor.day, until)
            if scored:
                return Found(
                    method=method,
                    scored=self._filled(scored, request, wanted),
                    by_model=len(scored) if method in ("fused", "dnn") else 0,
                    history=visitor.user.history,
                )
        scored = self._best_sellers(request, request.exclude, wanted)
        return Found(method="popularity", scored=scored, history=History.empty())

    def _hides(
        self,
        request: RecommendRequest,
        rules: ListRulesSpec,
        visitor: Visitor,
        fresh: Sequence[Done],
        out_of_stock: Collection[str],
        now: datetime | None,
    ) -> Hides:
        """By rule, whether an item must not be shown to this user now."""
        excluded, only = frozenset(request.exclude), frozenset(request.only or ())
        hides: Hides = {
            "exclude": excluded.__contains__,
            "only": lambda item: request.only is not None and item not in only,
            "out_of_stock": out_of_stock.__contains__,
        }
        if not (rules.hide_owned or rules.hide_purchased_days):
            return hides
        history = visitor.stored.history if visitor.stored else History.empty()
        since = FOREVER if rules.hide_owned else rules.hide_purchased_days or 0
        names = self.known.trained.vocabulary.items
        bought = {names[code] for code in history.items_H[history.days_H >= self.known.day(now) - since]}
        # what is bought now counts by its own day, also where answers are as of an earlier one
        bought |= {done.item for done in fresh if done.kind in POSITIVE_KINDS and done.day >= today(now) - since}
        rule: RuleName = "hide_owned" if rules.hide_owned else "hide_purchased_days"
        return {**hides, rule: bought.__contains__}

    def _others(self, scored: Scored, request: RecommendRequest) -> Iterator[tuple[str, float]]:
        """What the model knows and was not found, what sells first, below the last that was found: some of it, or all that
        the request names. Nothing is looked up before somebody asks."""
        found = {item for item, _ in scored} | set(request.exclude)
        codes_N = self.known.by_popularity_I
        if request.only is not None:
            codes_N = codes_N[np.isin(codes_N, self.known.codes(request.only))]
        rates, names = self.known.matrix["rate_28"], self.known.trained.vocabulary.items
        lowest = scored[-1][1] if scored else 0.0
        others = ((names[code], min(lowest, float(rates[code]))) for code in codes_N if names[code] not in found)
        yield from islice(others, request.k + FURTHER)

    def _best(
        self,
        user: OnlineUser,
        request: RecommendRequest,
        rules: ListRulesSpec,
        wanted: int,
        day: int,
        until: float,
    ) -> tuple[Method, Scored]:
        """The best candidates of a known user: those that the request names, or what is fetched and what is pinned."""
        known = self.known
        if not self._has_time_for_a_model(until):
            return "frequency", self._short(user.history, request, wanted)
        candidates = None
        if request.only is None:
            candidates = known.candidates(user, day)
            codes_N = candidates.items_N
        else:
            codes_N = known.codes(request.only)
        pinned = known.codes([pin.item for pin in rules.pins])
        codes_N = self._without(np.union1d(codes_N, pinned).astype(np.int32), request.exclude)
        if not len(codes_N):
            return "fused", []
        method, scores_N = self._scores(user, codes_N, day, until, candidates)
        return method, self._in_order(codes_N, scores_N, wanted, also=pinned)

    def _without(self, codes_N: Int32, excluded: Sequence[str]) -> Int32:
        return codes_N[~np.isin(codes_N, self.known.codes(excluded))] if excluded else codes_N

    def _scores(
        self, user: OnlineUser, codes_N: Int32, day: int, until: float, candidates: Candidates | None = None
    ) -> tuple[Method, Float32]:
        """Scores of the best method that the rest of the deadline allows."""
        request = self.known.input(user, codes_N, day, candidates)
        if not self._in_time(until, self.costs.dnn):
            return "frequency", self._frequencies(user.history, codes_N)
        part: Literal["fused", "dnn"] = (
            "fused" if self._in_time(until, self.costs.dnn + self.costs.transformer) else "dnn"
        )
        scores_N = self.known.trained.model.score(request, part=part)
        if part == "fused" and candidates is not None:  # those of a shopper, and not what somebody chose to ask about
            self.drift.observe(request.features_NK, scores_N)
        return part, scores_N

    def _until(self, given: float | None) -> float:
        return self._clock() + self.settings.deadline_milliseconds / 1000 if given is None else given

    def _has_time_for_a_model(self, until: float) -> bool:
        return self._in_time(until, self.costs.features + self.costs.dnn)

    def _in_time(self, until: float, cost: float) -> bool:
        return self._clock() + cost <= until

    def _short(self, history: History, request: RecommendRequest, wanted: int) -> Scored:
        """What the user bought most often, filled up with what sells: no candidates, no model."""
        excluded = request.exclude
        if request.only is not None:
            codes_N = self.known.codes(request.only)
        else:
            codes_N = np.unique(history.items_H).astype(np.int32)
            if len(codes_N) < wanted + len(excluded):
                sold_N = self.known.matrix.by_popularity[: wanted + len(excluded)]
                codes_N = np.union1d(codes_N, sold_N).astype(np.int32)
        codes_N = self._without(codes_N, excluded)
        return self._in_order(codes_N, self._frequencies(history, codes_N), wanted)

    def _frequencies(self, history: History, codes_N: Int32) -> Float32:
        """On how many days the user bought each item; what sells more breaks ties."""
        counts_I = np.bincount(history.items_H, minlength=len(self.known.trained.vocabulary))
        frequencies: Float32 = (counts_I[codes_N] + self.known.matrix["rate_28"][codes_N]).astype(np.float32)
        return frequencies

    def _in_order(self, codes_N: Int32, scores_N: Float32, most: int, *, also: Int32 | None = None) -> Scored:
        """The best of them with their scores, and at the end those of ``also`` that are not among these."""
        order = np.lexsort((codes_N, -scores_N))
        if also is not None and len(order) > most:
            late = order[most:]
            order = np.concatenate([order[:most], late[np.isin(codes_N[late], also)]])
        else:
            order = order[:most]
        names = self.known.trained.vocabulary.items
        return [(names[code], float(score)) for code, score in zip(codes_N[order], scores_N[order], strict=True)]

    def _best_sellers(self, request: RecommendRequest, left_out: Iterable[str], most: int) -> Scored:
        """The shop's best sellers, then those of all shops, whose scores count on below the shop's last."""
        seen = set(left_out)
        only = None if request.only is None else frozenset(request.only)
        found: Scored = []
        ceiling = 1.0
        for popular in (self._popular.get(request.shop or EVERYWHERE), self._popular[EVERYWHERE]):
            if popular is None:
                continue
            for item, rate in zip(popular.items, popular.rates, strict=True):
                if len(found) == most:
                    return found
                if item not in seen and (only is None or item in only):
                    seen.add(item)
                    found.append((item, min(rate, ceiling)))
            ceiling = found[-1][1] if found else ceiling
        return found

    def _filled(self, scored: Scored, request: RecommendRequest, wanted: int) -> Scored:
        """The candidates, and where they are too few what sells, below the last of them in its own order."""
        missing = wanted - len(scored)
        if missing <= 0:
            return scored
        more = self._best_sellers(request, {*request.exclude, *(item for item, _ in scored)}, missing)
        lowest = scored[-1][1]
        return [*scored, *((item, lowest - 1.0 + rate) for item, rate in more)]

    def _answer(
        self,
        found: Found,
        placed: Iterable[Placed],
        day: int,
        effects: Sequence[RuleEffect] = (),
        *,
        request_id: str | None = None,
        searched: Searched | None = None,
    ) -> Answer:
        known, vocabulary = self.known, self.known.trained.vocabulary
        by_model = {item for item, _ in found.scored[: found.by_model]}
        items = [
            RankedItem(
                item=each.item,
                score=each.score,
                known=each.item in vocabulary,
                reason=known.why(
                    each.item,
                    history=found.history,
                    day=day,
                    score=each.score,
                    pinned=each.pinned,
                    asked=searched.asked if searched else None,
                ),
                fields=known.fields(each.item),
            ).came_by(Origin(pinned=each.pinned, boost=each.boost, modelled=each.item in by_model))
            for each in placed
        ]
        return Answer(
            request_id=request_id or uuid.uuid4().hex,
            version=self.version,
            commit=self.commit,
            as_of=iso(day),
            method=found.method,
            understood=searched.asked.fit.understood if searched else None,
            items=items,
            rules=list(effects),
        )

    def _measure(self, name: str, visitor: Visitor, user: OnlineUser) -> Costs:
        codes_N = self.known.matrix.by_popularity[: self.known.trained.candidates.popular]
        codes_N = np.union1d(codes_N, user.history.items_H).astype(np.int32)
        times = [self._clock()]
        late = float("-inf")
        self._recommended(RecommendRequest(user=name, k=MEASURED_ITEMS), visitor, late)
        times.append(self._clock())
        request = self.known.input(user, codes_N, visitor.day)
        times.append(self._clock())
        for part in cast(tuple[Part, ...], ("dnn", "fused")):
            self.known.trained.model.score(request, part=part)
            times.append(self._clock())
        short, features, dnn, fused = np.diff(times)
        transformer = max(float(fused - dnn), 0.0)
        return Costs(features=float(features), dnn=float(dnn), transformer=transformer, short=float(short))


def _placed(scored: Scored) -> list[Placed]:
    """A list as the model made it."""
    return [Placed(item=item, score=score) for item, score in scored]
