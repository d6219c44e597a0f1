"""Answers one request: a user's features, candidates, the model, and a reason for each item.

It must not know of HTTP. Features come from where training took them, through the same functions, so that an answer has
the scores that an offline run computes.

Legend: N candidates.
"""

import copy
import logging
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import polars as pl

from shoploop.api.list_rules import NO_RULES, ListRulesSpec
from shoploop.candidates.fetching import SOURCES, fetch_candidates
from shoploop.data.ids import canonical_id
from shoploop.events.fresh import Done
from shoploop.features.baskets import BasketSequence
from shoploop.features.history import History
from shoploop.features.log import Float32, Int32
from shoploop.features.online import OnlineFeatures, OnlineUser
from shoploop.features.pairs import pair_features
from shoploop.features.user import UserRow
from shoploop.models.fusion import Part
from shoploop.models.inputs import ModelInput
from shoploop.ranking.answer import Answer, RankedItem, RankRequest, RecommendRequest, RuleEffect
from shoploop.ranking.explanation import Explanation, ScoreParts, Source, feature_effects
from shoploop.ranking.popularity import EVERYWHERE, Popular, read_popularity
from shoploop.ranking.reasons import CHOSEN_BY_SHOP, reason
from shoploop.ranking.rules import About, Hides, Placed, Reranked, RuleName, boosts_of, rerank
from shoploop.ranking.settings import RankerSettings
from shoploop.schemas import POSITIVE_KINDS
from shoploop.versions.artifact import check_contract, load_version
from shoploop.versions.trained import TrainedModel

EPOCH = date(1970, 1, 1)
Method = Literal["fused", "dnn", "frequency", "popularity"]
Scored = list[tuple[str, float]]
ALL = 1_000_000
"""As many as there are: rules may have to go far down a list."""

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
    """The whole of an answer without a model."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What has to be known of an answer to explain it."""

    request_id: str
    user: str
    now: datetime
    """When it was answered."""

    items: tuple[str, ...]
    """By place."""

    fresh: tuple[Done, ...] = ()
    """What the user had done since the stored history was made."""

    scores: dict[str, float | None] = field(default_factory=dict)
    method: Method | None = None
    """None where it is not known."""

    rules: ListRulesSpec = NO_RULES
    effects: tuple[RuleEffect, ...] = ()
    asked_for: bool = False
    """The request named the items, and nothing was fetched."""

    exact: bool = True
    """It is remembered as it was answered."""


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
            clock: Seconds; the deadline is measured with it.
        """
        self.version = version
        self.commit: int | None = None
        self.settings = settings
        self.costs = Costs()
        self._trained = trained
        self._features = features
        self._popular = popular
        self._clock = clock
        self._matrix = features.items()
        self._shops = features.shops()
        vocabulary = trained.vocabulary
        titles = dict(zip(items["item"], items["title"], strict=True))
        self._titles = tuple(titles.get(item) for item in vocabulary.items)
        paths = items["category"].to_list()
        self._about = {
            item: About(title=titles[item], category=tuple(path or ()))
            for item, path in zip(items["item"], paths, strict=True)
        }
        columns = {name: items[name].to_list() for name in settings.item_fields}
        self._fields: dict[str, dict[str, Any]] = {
            item: {name: column[row] for name, column in columns.items()} for row, item in enumerate(items["item"])
        }

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
        )

    @property
    def known_items(self) -> tuple[str, ...]:
        """The model's items, in the order of their codes."""
        return self._trained.vocabulary.items

    def items(self) -> tuple[Float32, Float32]:
        """The model's w_i, (I, D), and b_i, (I,); not to be written to."""
        return self._trained.model.items()

    def with_items(self, vectors_ID: Float32, bias_I: Float32, *, commit: int | None) -> "Ranker":
        """This version with what was learned online since; this ranker stays as it is, and goes on with its requests."""
        other = copy.copy(self)
        other.commit = commit
        other._trained = replace(self._trained, model=self._trained.model.with_items(vectors_ID, bias_I))
        return other

    def user_state(self, user: str, *, fresh: Sequence[Done] = (), now: datetime | None = None) -> Float32:
        """h_u, (D,), by the history as :meth:`recommend` would see it; it does not change with what is learned online.

        Args: as :meth:`recommend`.
        """
        found, day = self._user(user, fresh, now)
        history = found.history if found else History.empty()
        nothing = ModelInput(
            items_N=np.zeros(0, np.int32),
            features_NK=np.zeros((0, len(self._trained.contract.pair_features)), np.float32),
            sequence=BasketSequence.of(history, day=day),
        )
        return self._trained.model.user_state(nothing)

    def before(self, day: int) -> "Ranker":
        """This version with users as they were before ``day``, to replay what came after: for :meth:`user_state`."""
        other = copy.copy(self)
        other._features = self._features.before(day)
        return other

    def encode(self, items: Sequence[str]) -> Int32:
        """The model's codes of these items, in their order; -1 for one that it does not know."""
        return self._trained.vocabulary.encode(list(items))

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
        rules = self.settings.list_rules.overlaid(request.rules)
        ruled = rules != NO_RULES or request.only is not None or bool(out_of_stock)
        wanted = ALL if ruled else request.k
        user, day = self._user(request.user, fresh, now)
        method, scored, history = self._found(user, request, rules, wanted, day, until)
        if not ruled:
            return self._answer(method, _placed(scored), history, day)
        hides = self._hides(request, rules, fresh, out_of_stock, now)
        log_odds = method in ("fused", "dnn")
        shown = self._reranked(scored, request, rules, hides, log_odds=log_odds)
        if len(shown.items) < request.k:
            scored = [*scored, *self._others(scored, request)]
            shown = self._reranked(scored, request, rules, hides, log_odds=log_odds)
        effects = [RuleEffect(rule=name, items=count) for name, count in shown.effects.items()]
        return self._answer(method, shown.items, history, day, effects)

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
        vocabulary = self._trained.vocabulary
        known, unknown = [i for i in asked if i in vocabulary], [i for i in asked if i not in vocabulary]
        codes_N = np.sort(vocabulary.encode(known)).astype(np.int32)
        user, day = self._user(request.user, fresh, now)
        if user is None:
            method: Method = "popularity"
            scores_N = self._matrix["rate_28"][codes_N]
        elif not self._has_time_for_a_model(until):
            method, scores_N = "frequency", self._frequencies(user.history, codes_N)
        else:
            method, scores_N = self._scores(user, codes_N, day, until)
        history = user.history if user else History.empty()
        answer = self._answer(method, _placed(self._in_order(codes_N, scores_N, len(codes_N))), history, day)
        last = [
            RankedItem(item=item, score=None, known=False, reason=None, fields=self._fields_of(item))
            for item in unknown
        ]
        return answer.model_copy(update={"items": answer.items + last})

    def explain(self, shown: "Shown", item: str, place: int) -> Explanation:
        """Why an item was at its place.

        Args:
            shown: The answer.
            item: One of its items.
            place: Of it; 1 is the first.
        """
        user, day = self._user(shown.user, shown.fresh, shown.now)
        code = self._trained.vocabulary.code(item)
        pinned = any(canonical_id(pin.item) == item and pin.place == place for pin in shown.rules.pins)
        boost = boosts_of(shown.rules, [item], self._about_of).get(item, 0.0)
        parts, features = None, []
        if user is not None and code >= 0 and shown.method in (None, "fused", "dnn"):
            codes_N = np.array([code], np.int32)
            request = self._input(user, codes_N, day)
            dnn = float(self._trained.model.score(request, part="dnn")[0])
            transformer, alpha = None, 1.0
            if shown.method != "dnn":
                transformer = float(self._trained.model.score(request, part="transformer")[0])
                alpha = self._trained.model.alpha["items"]
            parts = ScoreParts(dnn=dnn, transformer=transformer, alpha=alpha)
            features = feature_effects(
                self._trained.model.behaviour, request.features_NK[0], self._trained.contract, alpha=alpha
            )
        history = user.history if user and shown.method != "popularity" else History.empty()
        score = shown.scores.get(item)
        if score is None and parts is not None and not shown.exact:
            score = parts.alpha * parts.dnn + (1 - parts.alpha) * (parts.transformer or 0.0) + boost
        if pinned:
            why = CHOSEN_BY_SHOP
        else:
            why = self._reason(code, history, day) if code >= 0 else _outside_reason(score or 0.0)
        return Explanation(
            request_id=shown.request_id,
            item=item,
            place=place,
            version=self.version,
            as_of=_iso(day),
            method=shown.method,
            exact=shown.exact,
            reason=why,
            score=score,
            boost=boost,
            pinned=pinned,
            parts=parts,
            sources=self._sources(shown, user, code, day, pinned=pinned),
            features=features,
            rules=list(shown.effects),
        )

    def _sources(self, shown: "Shown", user: OnlineUser | None, code: int, day: int, *, pinned: bool) -> list[Source]:
        """What named an item."""
        found: list[Source] = ["shop"] if pinned else []
        if shown.asked_for:
            return [*found, "request"]
        if user is not None and code >= 0 and shown.method in (None, "fused", "dnn"):
            trained = self._trained
            candidates = fetch_candidates(
                user.history, day=day, items=self._matrix, catalog=trained.catalog, config=trained.candidates
            )
            at = int(np.searchsorted(candidates.items_N, code))
            if at < len(candidates.items_N) and candidates.items_N[at] == code:
                bits = int(candidates.sources_N[at])
                found += [cast(Source, source) for bit, source in enumerate(SOURCES) if bits >> bit & 1]
        elif user is not None and code >= 0 and code in user.history.items_H:
            found.append("history")
        return found or ["best_sellers"]

    def day(self, now: datetime | None = None) -> int:
        """The day that is answered for, days since 1970-01-01 (UTC).

        Today; but where the data ended long ago, or lies in the future, the day after its last: else everything in it
        would look equally old.
        """
        today = _today(now)
        serving = self._features.serving_day
        return today if serving <= today <= serving + self.settings.max_age_days else serving

    def staleness(self, now: datetime | None = None) -> str | None:
        """What to say where the data ended too long ago to answer for today; None where it is fresh."""
        day, age = self.day(now), self.data_age_days(now)
        if day == _today(now):
            return None
        return (
            f"Version {self.version}: the data ends {_iso(day - 1)}, {age} days ago, and "
            f"{self.settings.max_age_days} are allowed (spec.gate.maxAgeDays). Answers are as of {_iso(day)}."
        )

    def data_age_days(self, now: datetime | None = None) -> int:
        """Days from the last day of the data to today."""
        return _today(now) - self._features.serving_day + 1

    def warm_up(self) -> None:
        """Answers for the packaged users, so that no shopper has to wait, and measures what each part costs."""
        if stale := self.staleness():
            logging.getLogger(__name__).warning(stale)
        day = self.day()
        measured = []
        for user in self.settings.warm_up_users:
            found = self._features.user(user)
            if found is not None:
                self.recommend(RecommendRequest(user=user))
                measured.append(self._measure(found, day))
        if measured:
            self.costs = Costs(
                features=float(np.median([costs.features for costs in measured])),
                dnn=float(np.median([costs.dnn for costs in measured])),
                transformer=float(np.median([costs.transformer for costs in measured])),
                short=float(np.median([costs.short for costs in measured])),
            )

    def score(self, user: OnlineUser, codes_N: Int32, day: int, *, part: Part = "fused") -> Float32:
        """The model's scores of these items, (N,); ``codes_N`` sorted, each once."""
        return self._trained.model.score(self._input(user, codes_N, day), part=part)

    def _user(self, user: str, fresh: Sequence[Done], now: datetime | None) -> tuple[OnlineUser | None, int]:
        """What is known of the user, with what they did since, and the day that is answered for.

        Purchases lie over the stored history. Of one who never bought anything, what they looked at stands for it: it says
        more than what sells. Features of a day see the days before it, so one who did something today is answered for
        tomorrow; where the answer is as of an earlier day than today, what is new moves with it.
        """
        day = self.day(now)
        stored = self._features.user(user)
        bought = [done for done in fresh if done.kind in POSITIVE_KINDS]
        new = bought if bought or (stored and len(stored.history)) else list(fresh)
        codes_N = self._trained.vocabulary.encode([done.item for done in new])
        if not (codes_N >= 0).any():
            return stored, day
        shift = day - _today(now)
        days_N = np.fromiter((min(done.day + shift, day) for done in new), np.int32, len(new))
        quantities_N = np.fromiter((done.quantity for done in new), np.float32, len(new))
        base = stored or OnlineUser(stats=UserRow(), history=History.empty())
        history = base.history.with_events(codes_N, days_N, quantities_N)
        return replace(base, history=history), max(day, int(days_N[codes_N >= 0].max()) + 1)

    def _found(
        self,
        user: OnlineUser | None,
        request: RecommendRequest,
        rules: ListRulesSpec,
        wanted: int,
        day: int,
        until: float,
    ) -> tuple[Method, Scored, History]:
        """What to recommend, best first: up to ``wanted`` items, and whose history tells why."""
        excluded = set(request.exclude)
        if user is not None:
            also = [canonical_id(pin.item) for pin in rules.pins]
            method, scored = self._best(user, excluded, wanted, day, until, only=request.only, also=also)
            if scored:
                return method, self._filled(scored, request, excluded, wanted), user.history
        return "popularity", self._best_sellers(request.shop, excluded, wanted), History.empty()

    def _hides(
        self,
        request: RecommendRequest,
        rules: ListRulesSpec,
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
        stored = self._features.user(request.user)
        history = stored.history if stored else History.empty()
        since = ALL if rules.hide_owned else rules.hide_purchased_days or 0
        names = self._trained.vocabulary.items
        bought = {names[code] for code in history.items_H[history.days_H >= self.day(now) - since]}
        # what is bought now counts by its own day, also where answers are as of an earlier one
        bought |= {done.item for done in fresh if done.kind in POSITIVE_KINDS and done.day >= _today(now) - since}
        rule: RuleName = "hide_owned" if rules.hide_owned else "hide_purchased_days"
        return {**hides, rule: bought.__contains__}

    def _reranked(
        self, scored: Scored, request: RecommendRequest, rules: ListRulesSpec, hides: Hides, *, log_odds: bool
    ) -> Reranked:
        return rerank(scored, k=request.k, rules=rules, about=self._about_of, hides=hides, log_odds=log_odds)

    def _about_of(self, item: str) -> About:
        return self._about.get(item) or About()

    def _others(self, scored: Scored, request: RecommendRequest) -> Scored:
        """All that the model knows and was not found, what sells first, below the last that was found."""
        found = {item for item, _ in scored} | set(request.exclude)
        sold = self._matrix.by_popularity
        codes = [*sold, *np.setdiff1d(np.arange(len(self._trained.vocabulary)), sold)]
        rates, names = self._matrix["rate_28"], self._trained.vocabulary.items
        lowest = scored[-1][1] if scored else 0.0
        return [(names[code], min(lowest, float(rates[code]))) for code in codes if names[code] not in found]

    def _best(
        self,
        user: OnlineUser,
        excluded: set[str],
        k: int,
        day: int,
        until: float,
        *,
        only: Sequence[str] | None = None,
        also: Sequence[str] = (),
    ) -> tuple[Method, Scored]:
        """The k best candidates of a known user.

        Args:
            only: Candidates are these, instead of what is fetched.
            also: Candidates are these, too.
        """
        trained = self._trained
        if not self._has_time_for_a_model(until):
            return "frequency", self._short(user.history, excluded, k)
        if only is None:
            codes_N = fetch_candidates(
                user.history, day=day, items=self._matrix, catalog=trained.catalog, config=trained.candidates
            ).items_N
        else:
            codes_N = self._codes(only)
        if also:
            codes_N = np.union1d(codes_N, self._codes(also)).astype(np.int32)
        if excluded:
            codes_N = codes_N[~np.isin(codes_N, trained.vocabulary.encode(sorted(excluded)))]
        if not len(codes_N):
            return "fused", []
        method, scores_N = self._scores(user, codes_N, day, until)
        return method, self._in_order(codes_N, scores_N, k)

    def _codes(self, items: Sequence[str]) -> Int32:
        """The codes of those of the items that the model knows, sorted, each once."""
        codes = np.unique(self._trained.vocabulary.encode(list(items)))
        return codes[codes >= 0].astype(np.int32)

    def _scores(self, user: OnlineUser, codes_N: Int32, day: int, until: float) -> tuple[Method, Float32]:
        """Scores of the best method that the rest of the deadline allows."""
        request = self._input(user, codes_N, day)
        if not self._in_time(until, self.costs.dnn):
            return "frequency", self._frequencies(user.history, codes_N)
        part: Literal["fused", "dnn"] = (
            "fused" if self._in_time(until, self.costs.dnn + self.costs.transformer) else "dnn"
        )
        return part, self._trained.model.score(request, part=part)

    def _until(self, given: float | None) -> float:
        return self._clock() + self.settings.deadline_milliseconds / 1000 if given is None else given

    def _has_time_for_a_model(self, until: float) -> bool:
        return self._in_time(until, self.costs.features + self.costs.dnn)

    def _in_time(self, until: float, cost: float) -> bool:
        return self._clock() + cost <= until

    def _short(self, history: History, excluded: set[str], k: int) -> Scored:
        """What the user bought most often, filled up with what sells: no candidates, no model."""
        trained = self._trained
        codes_N = np.unique(history.items_H).astype(np.int32)
        if len(codes_N) < k + len(excluded):
            codes_N = np.union1d(codes_N, self._matrix.by_popularity[: k + len(excluded)]).astype(np.int32)
        if excluded:
            codes_N = codes_N[~np.isin(codes_N, trained.vocabulary.encode(sorted(excluded)))]
        return self._in_order(codes_N, self._frequencies(history, codes_N), k)

    def _input(self, user: OnlineUser, codes_N: Int32, day: int) -> ModelInput:
        trained = self._trained
        features_NK = pair_features(
            trained.contract,
            history=user.history,
            candidates_N=codes_N,
            day=day,
            items=self._matrix,
            catalog=trained.catalog,
            user=user.stats,
            shop=self._shops.get(user.stats.usual_shop),
        )
        sequence = BasketSequence.of(user.history, day=day)
        return ModelInput(items_N=codes_N, features_NK=features_NK, sequence=sequence)

    def _frequencies(self, history: History, codes_N: Int32) -> Float32:
        """On how many days the user bought each item; what sells more breaks ties."""
        counts_I = np.bincount(history.items_H, minlength=len(self._trained.vocabulary))
        frequencies: Float32 = (counts_I[codes_N] + self._matrix["rate_28"][codes_N]).astype(np.float32)
        return frequencies

    def _in_order(self, codes_N: Int32, scores_N: Float32, k: int) -> Scored:
        order = np.lexsort((codes_N, -scores_N))[:k]
        names = self._trained.vocabulary.items
        return [(names[code], float(score)) for code, score in zip(codes_N[order], scores_N[order], strict=True)]

    def _best_sellers(self, shop: str | None, excluded: Iterable[str], k: int) -> Scored:
        """The shop's best sellers, then those of all shops, whose scores count on below the shop's last."""
        left_out = set(excluded)
        found: Scored = []
        ceiling = 1.0
        for popular in (self._popular.get(shop or EVERYWHERE), self._popular[EVERYWHERE]):
            if popular is None:
                continue
            for item, rate in zip(popular.items, popular.rates, strict=True):
                if item not in left_out and len(found) < k:
                    left_out.add(item)
                    found.append((item, min(rate, ceiling)))
            ceiling = found[-1][1] if found else ceiling
        return found

    def _filled(self, scored: Scored, request: RecommendRequest, excluded: set[str], wanted: int) -> Scored:
        """The candidates, and where they are too few what sells, below the last of them in its own order."""
        missing = wanted - len(scored)
        if missing <= 0:
            return scored
        more = self._best_sellers(request.shop, excluded | {item for item, _ in scored}, missing)
        lowest = scored[-1][1]
        return [*scored, *((item, lowest - 1.0 + rate) for item, rate in more)]

    def _answer(
        self,
        method: Method,
        placed: Iterable[Placed],
        history: History,
        day: int,
        effects: Sequence[RuleEffect] = (),
    ) -> Answer:
        vocabulary = self._trained.vocabulary
        items = []
        for each in placed:
            code = vocabulary.code(each.item)
            if each.pinned:
                why = CHOSEN_BY_SHOP
            else:
                why = self._reason(code, history, day) if code >= 0 else _outside_reason(each.score or 0.0)
            items.append(
                RankedItem(
                    item=each.item, score=each.score, known=code >= 0, reason=why, fields=self._fields_of(each.item)
                )
            )
        return Answer(
            request_id=uuid.uuid4().hex,
            version=self.version,
            commit=self.commit,
            as_of=_iso(day),
            method=method,
            items=items,
            rules=list(effects),
        )

    def _reason(self, code: int, history: History, day: int) -> str:
        return reason(
            code,
            history=history,
            day=day,
            items=self._matrix,
            catalog=self._trained.catalog,
            titles=self._titles,
        )

    def _fields_of(self, item: str) -> dict[str, Any]:
        return self._fields.get(item) or dict.fromkeys(self.settings.item_fields)

    def _measure(self, user: OnlineUser, day: int) -> Costs:
        codes_N = self._matrix.by_popularity[: self._trained.candidates.popular]
        codes_N = np.union1d(codes_N, user.history.items_H).astype(np.int32)
        times = [self._clock()]
        self._answer("frequency", _placed(self._short(user.history, set(), MEASURED_ITEMS)), user.history, day)
        times.append(self._clock())
        request = self._input(user, codes_N, day)
        times.append(self._clock())
        for part in cast(tuple[Part, ...], ("dnn", "fused")):
            self._trained.model.score(request, part=part)
            times.append(self._clock())
        short, features, dnn, fused = np.diff(times)
        transformer = max(float(fused - dnn), 0.0)
        return Costs(features=float(features), dnn=float(dnn), transformer=transformer, short=float(short))


def _placed(scored: Scored) -> list[Placed]:
    """A list as the model made it."""
    return [Placed(item=item, score=score) for item, score in scored]


def _outside_reason(rate: float) -> str:
    """Of an item that the model does not know: whether it sold in the last 28 days, or before."""
    return "popular this month" if rate > 0 else "sold well before"


def _today(now: datetime | None) -> int:
    return ((now or datetime.now(UTC)).date() - EPOCH).days


def _iso(day: int) -> str:
    return (EPOCH + timedelta(days=day)).isoformat()
