"""Answers one request: a user's features, candidates, the model, and a reason for each item.

It must not know of HTTP. Features come from where training took them, through the same functions, so that an answer has
the scores that an offline run computes.

Legend: N candidates.
"""

import logging
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import polars as pl

from shoploop.candidates.fetching import fetch_candidates
from shoploop.events.fresh import Done
from shoploop.features.baskets import BasketSequence
from shoploop.features.history import History
from shoploop.features.log import Float32, Int32
from shoploop.features.online import OnlineFeatures, OnlineUser
from shoploop.features.pairs import pair_features
from shoploop.features.user import UserRow
from shoploop.models.fusion import Part
from shoploop.models.inputs import ModelInput
from shoploop.ranking.answer import Answer, RankedItem, RankRequest, RecommendRequest
from shoploop.ranking.popularity import EVERYWHERE, Popular, read_popularity
from shoploop.ranking.reasons import reason
from shoploop.ranking.settings import RankerSettings
from shoploop.schemas import POSITIVE_KINDS
from shoploop.versions.artifact import check_contract, load_version
from shoploop.versions.trained import TrainedModel

EPOCH = date(1970, 1, 1)
Method = Literal["fused", "dnn", "frequency", "popularity"]
Scored = list[tuple[str, float]]
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
            items: ``item``, ``title`` and the item fields.
            settings: The packaged part of the spec.
            clock: Seconds; the deadline is measured with it.
        """
        self.version = version
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

    def recommend(
        self,
        request: RecommendRequest,
        *,
        now: datetime | None = None,
        until: float | None = None,
        fresh: Sequence[Done] = (),
    ) -> Answer:
        """The k best items for the user; for one of whom nothing is known, what sells.

        Args:
            request: Who asks.
            now: The time of the request, UTC; the wall clock's where not given.
            until: When the answer has to be there, on this ranker's clock; unset, the deadline begins now.
            fresh: What the user did since the stored history was made.
        """
        until = self._until(until)
        excluded = set(request.exclude)
        user, day = self._user(request.user, fresh, now)
        if user is not None:
            method, scored = self._best(user, excluded, request.k, day, until)
            if scored:
                return self._answer(method, self._filled(scored, request, excluded), user.history, day)
        scored = self._best_sellers(request.shop, excluded, request.k)
        return self._answer("popularity", scored, History.empty(), day)

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
        answer = self._answer(method, self._in_order(codes_N, scores_N, len(codes_N)), history, day)
        last = [
            RankedItem(item=item, score=None, known=False, reason=None, fields=self._fields_of(item))
            for item in unknown
        ]
        return answer.model_copy(update={"items": answer.items + last})

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

    def _best(self, user: OnlineUser, excluded: set[str], k: int, day: int, until: float) -> tuple[Method, Scored]:
        """The k best candidates of a known user."""
        trained = self._trained
        if not self._has_time_for_a_model(until):
            return "frequency", self._short(user.history, excluded, k)
        candidates = fetch_candidates(
            user.history, day=day, items=self._matrix, catalog=trained.catalog, config=trained.candidates
        )
        codes_N = candidates.items_N
        if excluded:
            codes_N = codes_N[~np.isin(codes_N, trained.vocabulary.encode(sorted(excluded)))]
        method, scores_N = self._scores(user, codes_N, day, until)
        return method, self._in_order(codes_N, scores_N, k)

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

    def _filled(self, scored: Scored, request: RecommendRequest, excluded: set[str]) -> Scored:
        """The candidates, and where they are too few what sells, below the last of them in its own order."""
        missing = request.k - len(scored)
        if missing <= 0:
            return scored
        more = self._best_sellers(request.shop, excluded | {item for item, _ in scored}, missing)
        lowest = scored[-1][1]
        return [*scored, *((item, lowest - 1.0 + rate) for item, rate in more)]

    def _answer(self, method: Method, scored: Scored, history: History, day: int) -> Answer:
        vocabulary = self._trained.vocabulary
        items = []
        for item, score in scored:
            code = vocabulary.code(item)
            items.append(
                RankedItem(
                    item=item,
                    score=score,
                    known=code >= 0,
                    reason=self._reason(code, history, day) if code >= 0 else _outside_reason(score),
                    fields=self._fields_of(item),
                )
            )
        return Answer(
            request_id=uuid.uuid4().hex,
            version=self.version,
            as_of=_iso(day),
            method=method,
            items=items,
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
        self._answer("frequency", self._short(user.history, set(), MEASURED_ITEMS), user.history, day)
        times.append(self._clock())
        request = self._input(user, codes_N, day)
        times.append(self._clock())
        for part in cast(tuple[Part, ...], ("dnn", "fused")):
            self._trained.model.score(request, part=part)
            times.append(self._clock())
        short, features, dnn, fused = np.diff(times)
        transformer = max(float(fused - dnn), 0.0)
        return Costs(features=float(features), dnn=float(dnn), transformer=transformer, short=float(short))


def _outside_reason(rate: float) -> str:
    """Of an item that the model does not know: whether it sold in the last 28 days, or before."""
    return "popular this month" if rate > 0 else "sold well before"


def _today(now: datetime | None) -> int:
    return ((now or datetime.now(UTC)).date() - EPOCH).days


def _iso(day: int) -> str:
    return (EPOCH + timedelta(days=day)).isoformat()
