"""What a predictor knows: one version's model, its users and items, the day that it answers for, and why it names an item.

Features come from where training took them, through the same functions, so that an answer has the scores that an offline
run computes. It must not know of requests and answers.

Legend: N candidates, I items of the vocabulary, D dimensions.
"""

import copy
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from shoploop.candidates.fetching import Candidates, fetch_candidates
from shoploop.events.fresh import Done
from shoploop.features.baskets import BasketSequence
from shoploop.features.bounded_reads import FeatureStoreUnavailable
from shoploop.features.history import History, moments_of
from shoploop.features.log import Float32, Int32
from shoploop.features.online import OnlineFeatures, OnlineUser
from shoploop.features.pairs import PairParts, pair_parts
from shoploop.features.user import UserRow
from shoploop.models.fusion import Surface
from shoploop.models.inputs import ModelInput
from shoploop.models.shared_sums import MOST_ITEMS, SharedSums
from shoploop.ranking.gone import Ending, Gone
from shoploop.ranking.item_table import ItemTable
from shoploop.ranking.popularity import Popular
from shoploop.ranking.reasons import CHOSEN_BY_SHOP, outside_reason, reason
from shoploop.ranking.rules import About
from shoploop.ranking.searching import Searched, Searching
from shoploop.ranking.settings import RankerSettings
from shoploop.ranking.visiting import ShopsUnknown, Visited, Visiting
from shoploop.ranking.visits import PackagedVisits
from shoploop.schemas import POSITIVE_KINDS
from shoploop.surfaces.search.features import Read, search_features
from shoploop.versions.trained import TrainedModel

EPOCH = date(1970, 1, 1)


WORTH_SHARING = 64
"""Candidates from which on it is less work to compute once what they share."""

AT_A_TIME = 4_096
"""Items whose features are made at once, where those of all are wanted."""

OF_SOMEBODY = 30
"""Items that are made up to have been bought, where costs are measured and nobody's history can be read."""

LONG_AGO_DAYS = 365
"""Age of data from which on no shop can still sell by it. A version cannot be asked what it is for: a shop whose exports
stand still trains on old data as the replay of a public data set does, and only the years tell them apart."""

NOBODY = OnlineUser(stats=UserRow(), history=History.empty())
"""Of whom nothing is known."""


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """Who is answered, read once for the whole request."""

    stored: OnlineUser | None
    """As the online store has them."""

    user: OnlineUser | None
    """The same with what they did since; None where nothing is known of them."""

    day: int
    """That is answered for, days since 1970-01-01 (UTC)."""

    today: int
    """Of the request; the one before ``day`` for who did something on it."""

    only_looked: bool = False
    """The history of ``user`` is what they looked at, who never bought anything."""

    read_on: int | None = None
    """Day on which the answer is read, where it is later than ``today``: the data ended a while ago."""

    since: Mapping[int, int] = field(default_factory=dict)
    """Days since they last did something with an item, by its code, of what is new: its days in the history have moved."""

    is_missed: bool = False
    """The online store did not say in time what it has of them."""


class Known:
    """One version, with the online store's features."""

    def __init__(
        self,
        *,
        version: str,
        trained: TrainedModel,
        features: OnlineFeatures,
        items: pl.DataFrame,
        settings: RankerSettings,
        visits: PackagedVisits | None = None,
        popular: Mapping[str, Popular] | None = None,
    ):
        """Reads what is the same for all requests.

        Args:
            version: The version's id.
            trained: Its model.
            features: Opened with the model's vocabulary.
            items: ``item``, ``title``, ``category`` and the item fields.
            settings: The packaged part of the spec.
            visits: Who was in which shop; None where purchases name none.
            popular: Best sellers by shop.
        """
        self.version = version
        self.trained = trained
        self.settings = settings
        self.matrix = features.items()
        self._features = features
        self._shops = features.shops()
        offers = features.offers()
        self._on_offer = None if offers is None else offers.of_shops(self._shops)
        self._in_shops = features.in_shops()
        sold_I = self.matrix.by_popularity
        self.by_popularity_I = np.concatenate([sold_I, np.setdiff1d(np.arange(len(trained.vocabulary)), sold_I)])
        """Codes of all items, what sells first."""

        self._table = ItemTable(items, trained.vocabulary.items, settings.item_fields)
        self.searching = Searching(trained, items)
        self._ending = Ending(trained.vocabulary, self.searching.unknown, items)
        self._visiting = None if visits is None else Visiting(trained, visits)
        self._sums = self._shared_sums()
        self._sold_lately = frozenset(
            item
            for sellers in (popular or {}).values()
            for item, rate in zip(sellers.items, sellers.rates, strict=True)
            if rate > 0 and item not in trained.vocabulary
        )
        """Items that the model does not know and that sold in the last 28 days of the data."""

    def lets(self, surface: Surface) -> bool:
        """Whether the gate let the model answer there."""
        return surface not in self.settings.falls_back

    def warm_up(self) -> None:
        """Makes what only answers need, so that no shopper has to wait for it."""
        self._table.warm_up()
        self.searching.warm_up(self.day())

    def stored(self, user: str, *, patience: Callable[[], float] | None = None) -> OnlineUser | None:
        """The user as the online store has them; None where it has never seen them buy.

        Args and Raises: as :meth:`OnlineFeatures.user`.
        """
        return self._features.user(user, patience=patience)

    def histories(self, users: Sequence[str]) -> dict[str, History]:
        """The stored histories of those of the users whom the online store has seen buy.

        Raises:
            FeatureStoreUnavailable: it cannot be read.
        """
        return self._features.histories(users)

    def visitor_in_time(
        self, user: str, fresh: Sequence[Done], now: datetime | None, *, patience: Callable[[], float] | None
    ) -> Visitor:
        """:meth:`visitor`; where the online store does not say in time what it has of them, who is known by what they did
        since alone."""
        try:
            return self.visitor(user, fresh, now, patience=patience)
        except FeatureStoreUnavailable:
            return replace(self._overlaid(None, fresh, now), is_missed=True)

    def visitor(
        self, user: str, fresh: Sequence[Done], now: datetime | None, *, patience: Callable[[], float] | None = None
    ) -> Visitor:
        """What is known of the user, with what they did since, and the day that is answered for.

        Purchases lie over the stored history. Of one who never bought anything, what they looked at stands for it: it says
        more than what sells. Features of a day see the days before it, so one who did something today is answered for
        tomorrow; where the answer is as of an earlier day than today, what is new moves with it.

        Args:
            user: Who.
            fresh: What they did since the stored history was made.
            now: UTC; the wall clock's where not given.
            patience: How many seconds the online store may take; see :meth:`OnlineFeatures.user`.

        Raises:
            FeatureStoreUnavailable: it cannot be read, or not in time.
        """
        return self._overlaid(self.stored(user, patience=patience), fresh, now)

    def _overlaid(self, stored: OnlineUser | None, fresh: Sequence[Done], now: datetime | None) -> Visitor:
        day, asked, read_on = self.day(now), self.request_day(now), self._selling_day(now)
        bought = [done for done in fresh if done.kind in POSITIVE_KINDS]
        new = bought if bought or (stored and len(stored.history)) else list(fresh)
        codes_N = self.trained.vocabulary.encode([done.item for done in new])
        if not (codes_N >= 0).any():
            return Visitor(stored=stored, user=stored, day=day, today=asked, read_on=read_on)
        shift = asked - today(now)
        days_N = np.fromiter((min(done.day + shift, asked) for done in new), np.int32, len(new))
        since: dict[int, int] = {}
        for code, done in zip(codes_N.tolist(), new, strict=True):
            ago = max(today(now) - done.day, 0)
            since[code] = min(since.get(code, ago), ago)
        quantities_N = np.fromiter((done.quantity for done in new), np.float32, len(new))
        base = stored or OnlineUser(stats=UserRow(), history=History.empty())
        moments_N = moments_of(days_N) if self.trained.sessions else None
        history = base.history.with_events(codes_N, days_N, quantities_N, moments_N)
        day = max(day, int(days_N[codes_N >= 0].max()) + 1)
        user = replace(base, history=history)
        return Visitor(
            stored=stored, user=user, day=day, today=asked, only_looked=new is not bought, read_on=read_on, since=since
        )

    def somebody(self) -> Visitor:
        """A user who bought what sells, the day before: to measure with where no real one is at hand."""
        codes_N = self.matrix.by_popularity[:OF_SOMEBODY].astype(np.int32)
        day = self.day()
        days_N = np.full(len(codes_N), day - 1, np.int32)
        moments_N = moments_of(days_N) if self.trained.sessions else None
        history = History.empty().with_events(codes_N, days_N, np.ones(len(codes_N), np.float32), moments_N)
        user = OnlineUser(stats=UserRow(), history=history)
        return Visitor(stored=None, user=user, day=day, today=day)

    def nobody(self, now: datetime | None) -> Visitor:
        """Somebody of whom not even a name is known."""
        return Visitor(stored=None, user=None, day=self.day(now), today=self.request_day(now))

    def visited(self, user: str, fresh: Sequence[Done], now: datetime | None, *, shop: str | None = None) -> Visited:
        """The user's visits to shops, with what they did since, and the day that is answered for; ``shop`` is where they say
        that they are.

        Raises:
            ShopsUnknown: purchases name no shops.
        """
        asked = self.request_day(now)
        return self.choosing.visited(
            user,
            fresh,
            day=self.day(now),
            today=asked,
            shift=asked - today(now),
            read_on=self._selling_day(now),
            shop=shop,
        )

    @property
    def choosing(self) -> Visiting:
        """What is known of shops.

        Raises:
            ShopsUnknown: that is nothing.
        """
        if self._visiting is None:
            raise ShopsUnknown(
                "shops_not_named",
                f"Version {self.version} knows no shops: none of the purchases that it was made from names one. Map a column "
                "of the interactions to shop, and run again.",
            )
        return self._visiting

    def search_input(self, user: OnlineUser, searched: Searched, day: int, query: str) -> ModelInput:
        """What the model reads of a user, a query and items."""
        pairs = self.input(user, searched.items_N, day)
        # a version reads the features that there were when it learned; others have come behind them since
        learned = self.trained.model.searching().config.features
        features_NS = search_features(searched.asked, searched.items_N, self.matrix)[:, :learned]
        return replace(pairs, features_NK=np.hstack([pairs.features_NK, features_NS]), query=query)

    def candidates(self, user: OnlineUser, day: int) -> Candidates:
        """What is scored for a request that names no items."""
        trained = self.trained
        return fetch_candidates(
            user.history, day=day, items=self.matrix, catalog=trained.catalog, config=trained.candidates
        )

    def input(
        self,
        user: OnlineUser,
        codes_N: Int32,
        day: int,
        candidates: Candidates | None = None,
        *,
        whole: bool = True,
        shop: str | None = None,
    ) -> ModelInput:
        """What the model reads of a user and items; ``codes_N`` sorted, each once.

        Args:
            user: Who.
            codes_N: Which items.
            day: That is answered for.
            candidates: Of the same user and day, where somebody fetched them: what follows what is not counted twice.
            whole: With all features, also where scores need only what the DNN's first layer makes of them; without, an
                input that the model does not read has none.
            shop: That they say they are in.
        """
        trained = self.trained
        parts = self._parts(user, codes_N, day, candidates, shop)
        first_NH = None
        if self._sums is not None and len(codes_N) >= WORTH_SHARING:
            first_NH = self._sums(parts)
        features_NK = np.empty((len(codes_N), 0), np.float32)
        if whole or first_NH is None:
            features_NK = parts.whole(trained.contract)
        sequence = BasketSequence.of(user.history, day=day)
        return ModelInput(items_N=codes_N, features_NK=features_NK, sequence=sequence, first_NH=first_NH)

    def _parts(
        self,
        user: OnlineUser,
        codes_N: Int32,
        day: int,
        candidates: Candidates | None = None,
        shop: str | None = None,
    ) -> PairParts:
        return pair_parts(
            history=user.history,
            candidates_N=codes_N,
            day=day,
            items=self.matrix,
            catalog=self.trained.catalog,
            user=user.stats,
            shop=self._shops.get(user.stats.usual_shop),
            after=candidates.after if candidates else None,
            habits=self.trained.contract.habits,
            offers=self._on_offer(day) if self._on_offer else None,
            here=self._in_shops.at(shop) if self._in_shops else None,
        )

    def _shared_sums(self) -> SharedSums | None:
        trained = self.trained
        if not trained.model.config.behaviour.hidden:
            return None
        few = len(trained.vocabulary) <= MOST_ITEMS
        return SharedSums(trained.model.behaviour, trained.contract.pair_features, self._of_items() if few else None)

    def _of_items(self) -> Iterator[PairParts]:
        """All items for nobody, of whose features those count that are an item's for whoever asks: some at a time, since most
        of the others are not kept."""
        for first in range(0, len(self.trained.vocabulary), AT_A_TIME):
            codes_N = np.arange(first, min(first + AT_A_TIME, len(self.trained.vocabulary)), dtype=np.int32)
            yield self._parts(NOBODY, codes_N, 0)

    def user_state(self, visitor: Visitor) -> Float32:
        """h_u, (D,), by the visitor's history."""
        history = visitor.user.history if visitor.user else History.empty()
        nothing = ModelInput(
            items_N=np.zeros(0, np.int32),
            features_NK=np.zeros((0, len(self.trained.contract.pair_features)), np.float32),
            sequence=BasketSequence.of(history, day=visitor.day),
        )
        return self.trained.model.user_state(nothing)

    def with_items(self, vectors_ID: Float32, bias_I: Float32) -> "Known":
        """The same with other w_i and b_i; this one stays as it is."""
        other = copy.copy(self)
        other.trained = replace(self.trained, model=self.trained.model.with_items(vectors_ID, bias_I))
        return other

    def before(self, day: int, stats: Mapping[str, UserRow] | None = None) -> "Known":
        """The same with users as they were before ``day``; see :meth:`OnlineFeatures.before`."""
        other = copy.copy(self)
        other._features = self._features.before(day, stats)
        return other

    def codes(self, items: Sequence[str]) -> Int32:
        """The codes of those of the items that the model knows, sorted, each once."""
        codes = np.unique(self.trained.vocabulary.encode(list(items)))
        return codes[codes >= 0].astype(np.int32)

    def about(self, item: str) -> About:
        """What rules know of the item."""
        return self._table.about(item)

    def gone(self, out_of_stock: Collection[str], now: datetime | None) -> Gone:
        """What cannot be bought on the day of the request: what is out of stock, and what has ended before."""
        return self._ending.gone(self._selling_day(now), out_of_stock)

    def _selling_day(self, now: datetime | None) -> int:
        """The day by which items have ended: today also where answers are as of an earlier day, since a ticket is not for
        sale again because the nightly run fails. Only with data of long ago, as of a public data set, or of the future,
        where nothing but a replay of that day makes sense, it is that day."""
        serving, now_day = self._features.serving_day, today(now)
        return now_day if serving - 1 <= now_day <= serving + LONG_AGO_DAYS else self.request_day(now)

    def fields(self, item: str) -> dict[str, Any]:
        """What answers carry of the item; null where unknown."""
        return self._table.fields(item)

    def why(
        self,
        item: str,
        *,
        history: History,
        visitor: Visitor,
        score: float | None,
        pinned: bool = False,
        asked: Read | None = None,
    ) -> str | None:
        """Why the item is in an answer, in words for the shopper; ``asked`` is the query that it answers, if any.

        Args:
            item: Id.
            history: What its score has seen: the visitor's, or nothing where popularity answered.
            visitor: Who is told.
            score: As answered; of what the model does not know it says only whether anybody scored it.
            pinned: Whether the shop put it there.
            asked: The query.

        Returns:
            None for an item that nobody chose, scored or knows: somebody asked /rank for it.
        """
        if pinned:
            return CHOSEN_BY_SHOP
        code = self.trained.vocabulary.code(item)
        if code < 0 and asked is not None:
            return "it matches words that you searched for"
        if code < 0:
            return None if score is None else outside_reason(sold_lately=item in self._sold_lately)
        if asked is not None and (of_query := self.searching.reason(asked, code)):
            return of_query
        return reason(
            code,
            history=history,
            day=visitor.day,
            items=self.matrix,
            catalog=self.trained.catalog,
            titles=self._table.titles,
            today=visitor.today if visitor.read_on is None else visitor.read_on,
            only_looked=visitor.only_looked,
            since=visitor.since.get(code),
        )

    def day(self, now: datetime | None = None) -> int:
        """The day that is answered for, days since 1970-01-01 (UTC): that of the request, or the day after the data's last
        where the data holds that one."""
        return max(self.request_day(now), self._features.serving_day)

    def request_day(self, now: datetime | None = None) -> int:
        """The day of the request, days since 1970-01-01 (UTC).

        Today; but where the data ended long ago, or lies in the future, the day after its last: else everything in it
        would look equally old.
        """
        serving = self._features.serving_day
        return today(now) if serving - 1 <= today(now) <= serving + self.settings.max_age_days else serving

    def staleness(self, now: datetime | None = None) -> str | None:
        """What to say where the data ended too long ago to answer for today; None where it is fresh."""
        day, age = self.day(now), self.data_age_days(now)
        if day == today(now):
            return None
        return (
            f"Version {self.version}: the data ends {iso(day - 1)}, {age} days ago, and "
            f"{self.settings.max_age_days} are allowed (spec.gate.maxAgeDays). Answers are as of {iso(day)}."
        )

    def data_age_days(self, now: datetime | None = None) -> int:
        """Days from the last day of the data to today."""
        return today(now) - self._features.serving_day + 1


def today(now: datetime | None) -> int:
    """The day of a time, days since 1970-01-01 (UTC); the wall clock's where not given."""
    return ((now or datetime.now(UTC)).date() - EPOCH).days


def iso(day: int) -> str:
    """A day as ISO 8601 writes it."""
    return (EPOCH + timedelta(days=day)).isoformat()
