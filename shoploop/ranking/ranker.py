"""Answers one request: candidates, the model as far as the deadline allows, the shop's rules, and a reason for each item.

It must not know of HTTP.

Legend: N candidates.
"""

import copy
import logging
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import polars as pl

from shoploop.api.list_rules import NO_RULES, ListRulesSpec
from shoploop.candidates.fetching import Candidates
from shoploop.events.fresh import Done
from shoploop.features.distinct import distinct
from shoploop.features.history import History
from shoploop.features.log import Float32, Int32
from shoploop.features.online import OnlineFeatures, OnlineUser
from shoploop.features.user import UserRow
from shoploop.models.fusion import Part
from shoploop.ranking.answer import (
    A,
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
from shoploop.ranking.budget import Budget, Costs
from shoploop.ranking.drift import FILE, Drift, Reference
from shoploop.ranking.exploration import Design, explore
from shoploop.ranking.gone import Gone
from shoploop.ranking.known import Known, Visitor, iso, today
from shoploop.ranking.lists import FURTHER, Found, Lists, placed
from shoploop.ranking.popularity import Popular, read_popularity
from shoploop.ranking.rules import Hides, Placed, RuleName, Scored, rerank
from shoploop.ranking.search_list import search_list
from shoploop.ranking.searching import Searched
from shoploop.ranking.settings import RankerSettings
from shoploop.ranking.shop_list import shop_list
from shoploop.ranking.simple import ANSWERED_AS, Simple, simple_scores
from shoploop.ranking.states import UserStates
from shoploop.ranking.visits import PackagedVisits, read_visits
from shoploop.schemas import POSITIVE_KINDS
from shoploop.versions.artifact import check_contract, load_version
from shoploop.versions.trained import TrainedModel

FOREVER = 1_000_000
"""Days."""

MEASURED_ITEMS = 10
"""Of a short answer, when its cost is measured."""


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
            version=version, trained=trained, features=features, items=items, settings=settings, visits=visits,
            popular=popular,
        )  # fmt: skip
        self.drift = Drift(trained.contract.pair_features, reference)
        self._popular = popular
        self._clock = clock
        self._simple = cast(Simple | None, settings.falls_back.get("items"))

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
            out_of_stock: Items that cannot be bought now; those that have ended by the table of items are known.
        """
        budget = self._budget(until)
        visitor = self.known.visitor_in_time(request.user, fresh, now, patience=budget.patience)
        gone = self.known.gone(out_of_stock, now)
        answer = self._recommended(request, visitor, budget, gone, fresh=fresh, now=now)
        return _degraded(answer, visitor.is_missed)

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
        budget = self._budget(until)
        asked = list(dict.fromkeys(request.items))
        vocabulary = self.known.trained.vocabulary
        codes_N = self.known.codes(asked)
        visitor = self.known.visitor_in_time(request.user, fresh, now, patience=budget.patience)
        method: Method
        scores_N: npt.NDArray[np.floating]
        if visitor.user is None:
            method, scores_N = "popularity", self.known.matrix["rate_28"][codes_N]
        elif not budget.allows_a_model():
            method, scores_N = "frequency", self._lists.frequencies(visitor.user.history, codes_N)
        else:
            method, scores_N = self._scores(visitor.user, codes_N, visitor.day, budget)
        found = Found(
            method=method,
            scored=self._lists.in_order(codes_N, scores_N, len(codes_N)),
            by_model=len(codes_N) if method in ("fused", "dnn") else 0,
            history=visitor.user.history if visitor.user else History.empty(),
        )
        unknown = [Placed(item=item, score=None) for item in asked if item not in vocabulary]
        answer = self._answer(found, [*placed(found.scored), *unknown], visitor)
        return _degraded(answer, visitor.is_missed)

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
        budget = self._budget(until)
        visitor = self.known.nobody(now)
        if request.user:
            visitor = self.known.visitor_in_time(request.user, fresh, now, patience=budget.patience)
        listed = search_list(self._lists, request, visitor, budget, self.known.gone(out_of_stock, now))
        answer = self._answer(listed.found, listed.shown, visitor, searched=listed.searched)
        return _degraded(answer, visitor.is_missed)

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
        listed = shop_list(self.known, request, fresh=fresh, now=now, budget=self._budget(until))
        choosing, visited = self.known.choosing, listed.visited
        packaged = choosing.packaged
        answer = ShopsAnswer(
            request_id=uuid.uuid4().hex,
            version=self.version,
            commit=self.commit,
            as_of=iso(visited.day),
            method=listed.method,
            shops=[
                RankedShop(
                    shop=packaged.shops[code],
                    title=packaged.titles[code],
                    score=score,
                    reason=choosing.why(code, visited),
                )
                for code, score in listed.scored
            ],
        ).came_by(Origin(modelled=place < listed.by_model) for place in range(len(listed.scored)))
        return _degraded(answer, listed.is_missed)

    def data_age_days(self, now: datetime | None = None) -> int:
        """Days from the last day of the data to today."""
        return self.known.data_age_days(now)

    def warm_up(self) -> None:
        """Answers for the packaged users, so that no shopper has to wait, and measures what each part costs."""
        if stale := self.known.staleness():
            logging.getLogger(__name__).warning(stale)
        self.known.warm_up()
        measured = []
        for user in self.settings.warm_up_users:
            visitor = self.known.visitor_in_time(user, (), None, patience=None)
            if visitor.is_missed:  # what the parts cost has to be known before the store is back
                visitor = self.known.somebody()
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
        budget: Budget,
        gone: Gone,
        *,
        fresh: Sequence[Done] = (),
        now: datetime | None = None,
    ) -> Answer:
        rules = self.settings.list_rules.overlaid(request.rules)
        ruled = rules != NO_RULES or request.only is not None or bool(gone)
        exploration = self.settings.exploration
        # what is pinned has a place that chance must not take, and gives way to none
        pool = max(request.k, exploration.pool) if exploration and not rules.pins else request.k
        found = self._found(visitor, request, rules, pool + FURTHER if ruled else pool, budget)
        if not ruled:
            return self._drawn(found, placed(found.scored), visitor, request.k)
        shown = rerank(
            found.scored,
            k=pool,
            rules=rules,
            more=self._lists.others(found.scored, request, gone),
            about=self.known.about,
            hides=self._hides(request, rules, visitor, fresh, gone, now),
            log_odds=found.method in ("fused", "dnn"),
        )
        effects = [RuleEffect(rule=name, items=count) for name, count in shown.effects.items()]
        return self._drawn(found, shown.items, visitor, request.k, effects)

    def _drawn(
        self, found: Found, pool: Sequence[Placed], visitor: Visitor, k: int, effects: Sequence[RuleEffect] = ()
    ) -> Answer:
        """The first ``k`` of the pool; where the spec asks for exploration, chance may have exchanged two."""
        exploration = self.settings.exploration
        if exploration is None or len(pool) <= k or k <= exploration.keep:
            return self._answer(found, pool[:k], visitor, effects)
        design = Design(share=exploration.share, keep=exploration.keep, shown=k, pool=len(pool))
        request_id = uuid.uuid4().hex
        names = [placed.item for placed in pool]
        shown, explored = explore(pool, names, design=design, seed=exploration.seed, request_id=request_id)
        return self._answer(found, shown, visitor, effects, request_id=request_id).drawn_as(explored)

    def _found(
        self, visitor: Visitor, request: RecommendRequest, rules: ListRulesSpec, wanted: int, budget: Budget
    ) -> Found:
        """What to recommend, best first: up to ``wanted`` items, and those that the shop pins."""
        if visitor.user is not None:
            method, scored = self._best(visitor.user, request, rules, wanted, visitor.day, budget)
            if scored:
                return Found(
                    method=method,
                    scored=self._lists.filled(scored, request, wanted),
                    by_model=len(scored) if method in ("fused", "dnn") else 0,
                    history=History.empty() if method == "popularity" else visitor.user.history,
                )
        scored = self._lists.best_sellers(request, request.exclude, wanted)
        return Found(method="popularity", scored=scored, history=History.empty())

    def _hides(
        self,
        request: RecommendRequest,
        rules: ListRulesSpec,
        visitor: Visitor,
        fresh: Sequence[Done],
        gone: Gone,
        now: datetime | None,
    ) -> Hides:
        """By rule, whether an item must not be shown to this user now."""
        excluded, only = {*request.exclude, *(one.item for one in rules.exclude)}, frozenset(request.only or ())
        categories = {one.category for one in rules.exclude if one.category is not None}

        def is_excluded(item: str) -> bool:
            return item in excluded or not categories.isdisjoint(self.known.about(item).category)

        hides: Hides = {
            "exclude": is_excluded if categories else excluded.__contains__,
            "only": lambda item: request.only is not None and item not in only,
            "out_of_stock": gone.__contains__,
        }
        if not (rules.hide_owned or rules.hide_purchased_days):
            return hides
        history = visitor.stored.history if visitor.stored else History.empty()
        since = FOREVER if rules.hide_owned else rules.hide_purchased_days or 0
        names = self.known.trained.vocabulary.items
        bought = {names[code] for code in history.items_H[history.days_H >= self.known.request_day(now) - since]}
        # what is bought now counts by its own day, also where answers are as of an earlier one
        bought |= {done.item for done in fresh if done.kind in POSITIVE_KINDS and done.day >= today(now) - since}
        rule: RuleName = "hide_owned" if rules.hide_owned else "hide_purchased_days"
        return {**hides, rule: bought.__contains__}

    def _best(
        self,
        user: OnlineUser,
        request: RecommendRequest,
        rules: ListRulesSpec,
        wanted: int,
        day: int,
        budget: Budget,
    ) -> tuple[Method, Scored]:
        """The best candidates of a known user: those that the request names, or what is fetched and what is pinned."""
        known = self.known
        if not budget.allows_a_model():
            return "frequency", self._lists.short(user.history, request, wanted)
        candidates = None
        if request.only is None:
            candidates = known.candidates(user, day)
            codes_N = candidates.items_N
        else:
            codes_N = known.codes(request.only)
        pinned = known.codes([pin.item for pin in rules.pins])
        codes_N = self._lists.without(distinct(np.concatenate([codes_N, pinned])), request.exclude)
        if not len(codes_N):
            return "fused" if self._simple is None else ANSWERED_AS[self._simple], []
        method, scores_N = self._scores(user, codes_N, day, budget, candidates, shop=request.shop)
        return method, self._lists.in_order(codes_N, scores_N, wanted, also=pinned)

    def _scores(
        self,
        user: OnlineUser,
        codes_N: Int32,
        day: int,
        budget: Budget,
        candidates: Candidates | None = None,
        *,
        shop: str | None = None,
    ) -> tuple[Method, npt.NDArray[np.floating]]:
        """Scores of the best method that the gate and the rest of the deadline allow."""
        # those of a shopper, and not what somebody chose to ask about
        observed = self._simple is None and candidates is not None and self.drift.is_due()
        whole = observed or self._simple is not None
        request = self.known.input(user, codes_N, day, candidates, whole=whole, shop=shop)
        if self._simple is not None:
            counted_N = simple_scores(self._simple, request.features_NK, self.known.trained.contract.pair_features)
            # as counts are, never negative: a shop's boosts multiply them
            return ANSWERED_AS[self._simple], counted_N - min(float(counted_N.min(initial=0.0)), 0.0)
        if not budget.allows(self.costs.dnn):
            return "frequency", self._lists.frequencies(user.history, codes_N)
        part = budget.part()
        scores_N = self.known.trained.model.score(request, part=part)
        if observed and part == "fused":
            self.drift.observe(request.features_NK, scores_N)
        elif observed:
            self.drift.put_off()
        return part, scores_N

    def _budget(self, until: float | None) -> Budget:
        if until is None:
            until = self._clock() + self.settings.deadline_milliseconds / 1000
        return Budget(clock=self._clock, until=until, costs=self.costs)

    @property
    def _lists(self) -> Lists:
        return Lists(known=self.known, popular=self._popular)

    def _answer(
        self,
        found: Found,
        placed: Iterable[Placed],
        visitor: Visitor,
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
                    visitor=visitor,
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
            as_of=iso(visitor.day),
            method=found.method,
            understood=searched.asked.fit.understood if searched else None,
            items=items,
            rules=list(effects),
        )

    def _measure(self, name: str, visitor: Visitor, user: OnlineUser) -> Costs:
        codes_N = self.known.matrix.by_popularity[: self.known.trained.candidates.popular]
        codes_N = np.union1d(codes_N, user.history.items_H).astype(np.int32)
        times = [self._clock()]
        late = self._budget(float("-inf"))
        self._recommended(RecommendRequest(user=name, k=MEASURED_ITEMS), visitor, late, self.known.gone((), None))
        times.append(self._clock())
        request = self.known.input(user, codes_N, visitor.day)
        times.append(self._clock())
        for part in cast(tuple[Part, ...], ("dnn", "fused")):
            self.known.trained.model.score(request, part=part)
            times.append(self._clock())
        short, features, dnn, fused = np.diff(times)
        transformer = max(float(fused - dnn), 0.0)
        return Costs(features=float(features), dnn=float(dnn), transformer=transformer, short=float(short))


def _degraded(answer: A, is_missed: bool) -> A:
    """The answer, which says so where what is stored of its user is missing."""
    return answer.model_copy(update={"degraded": "feature_store_unavailable"}) if is_missed else answer
