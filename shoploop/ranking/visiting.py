"""One version's answers to which shop is next: what is asked of the visits of a user, with what they did since.

It must not know of HTTP.

Legend: N candidates, P shops, H visits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shoploop.errors import ShoploopError
from shoploop.events.fresh import Done
from shoploop.features.baskets import BasketSequence
from shoploop.features.history import History
from shoploop.features.log import Float32, Int32
from shoploop.models.inputs import ModelInput
from shoploop.ranking.shop_reasons import shop_reason
from shoploop.ranking.visits import PackagedVisits
from shoploop.schemas import POSITIVE_KINDS
from shoploop.surfaces.shops.features import NAMES, shop_candidates, shop_features
from shoploop.surfaces.shops.memory import row_of
from shoploop.surfaces.shops.visits import VisitHistory
from shoploop.versions.trained import TrainedModel

HABIT = (NAMES.index("decay_30"), NAMES.index("weekday_30"))
"""Without a model: what was visited lately, and what on this weekday."""


class ShopsUnknown(ShoploopError):
    """There is no shop to answer with; ``code`` is for programs."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Visited:
    """A user's visits, and the day that is answered for."""

    history: VisitHistory
    """Before that day."""

    day: int
    today: int
    """On which the answer is read; the one before ``day`` for who was somewhere on it."""

    since: Mapping[int, int]
    """Days since the last visit to a shop, by its code, of those that are new: their days in the history may have moved."""


@dataclass(frozen=True, kw_only=True)
class ShopChoice:
    """What may be answered."""

    shops_N: Int32
    """Codes among the packaged shops, sorted, each once."""

    features_NS: Float32

    def of(self, kept_N: npt.NDArray[np.bool_]) -> "ShopChoice":
        """The same of some of its shops."""
        return ShopChoice(shops_N=self.shops_N[kept_N], features_NS=self.features_NS[kept_N])

    def without(self, shops: Int32) -> "ShopChoice":
        """The same without these."""
        return self.of(~np.isin(self.shops_N, shops))

    def habit_N(self) -> Float32:
        """Scores without a model, (N,)."""
        scores_N: Float32 = self.features_NS[:, HABIT].sum(axis=1)
        return scores_N


class Visiting:
    """What one version knows of shops."""

    def __init__(self, trained: TrainedModel, packaged: PackagedVisits):
        self._trained = trained
        self.packaged = packaged
        known = {shop: code for code, shop in enumerate(trained.shops)}
        self._model_code_P = np.array([known.get(shop, -1) for shop in packaged.shops], np.int32)

    @property
    def learned(self) -> bool:
        """Whether the version's model chooses shops."""
        return self._trained.model.shops is not None

    def visited(
        self,
        user: str,
        fresh: Sequence[Done],
        *,
        day: int,
        today: int,
        shift: int,
        read_on: int,
        shop: str | None = None,
    ) -> Visited:
        """A user's visits with what they did since.

        Purchases since the stored history that name their shop are visits; who made one today is answered for tomorrow. The
        shop that a request names is a visit of the day before, for somebody of whom none is known.

        Args:
            user: Id.
            fresh: What they did since.
            day: That is answered for without it.
            today: Day of the request.
            shift: Days from a time to the day that it is taken for.
            read_on: Day on which the answer is read: later than ``today`` where the data ended a while ago.
            shop: Where they are or were, if that is known.
        """
        history = self.packaged.history(user).before(day)
        counts: dict[int, dict[int, int]] = {}
        since: dict[int, int] = {}
        for done in fresh:
            code = self.packaged.code(done.shop) if done.shop is not None and done.kind in POSITIVE_KINDS else -1
            if code >= 0:
                of_day = counts.setdefault(min(done.day + shift, today), {})
                of_day[code] = of_day.get(code, 0) + 1
                ago = max(today - shift - done.day, 0)
                since[code] = min(since.get(code, ago), ago)
        named = self.packaged.code(shop) if shop is not None else -1
        if not len(history) and not counts and named >= 0:
            counts = {day - 1: {named: 1}}
            read_on = day - 1  # nobody has said that they were there yesterday
        if counts:
            days = sorted(counts)
            # as among purchases: most bought there, of as much the name that is first
            best = [min(counts[each].items(), key=lambda pair: (-pair[1], pair[0])) for each in days]
            history = history.with_visits(
                np.array([code for code, _ in best], np.int32),
                np.array(days, np.int32),
                np.array([size for _, size in best], np.int32),
            )
            day = max(day, days[-1] + 1)
        return Visited(history=history, day=day, today=read_on, since=since)

    def choice(self, visited: Visited, only: Int32 | None = None) -> ShopChoice:
        """What may be answered, with features.

        Features compare a shop with the user's others, so these are there also where they may not be answered.

        Args:
            visited: Whose.
            only: Codes, sorted, to choose from in the place of candidates.
        """
        recall = self.packaged.recall
        shops_N = shop_candidates(visited.history, recall)
        if only is not None:
            shops_N = np.union1d(shops_N, only).astype(np.int32)
        features_NS = shop_features(visited.history, shops_N, day=visited.day, recall=recall)
        choice = ShopChoice(shops_N=shops_N, features_NS=features_NS)
        return choice if only is None else choice.of(np.isin(shops_N, only))

    def of_model(self, choice: ShopChoice) -> ShopChoice:
        """Those that the model knows."""
        return choice.of(self._model_code_P[choice.shops_N] >= 0)

    def input(self, choice: ShopChoice, visited: Visited, bought: History) -> ModelInput:
        """What the model reads; all of the choice are shops that it knows.

        Args:
            choice: Of :meth:`of_model`.
            visited: Whose.
            bought: What they bought.
        """
        if self._trained.sessions:  # a visit to a shop is a day, also where one of items is a moment
            bought = bought.by_days()
        sequence = BasketSequence.of(bought, day=visited.day)
        shops_L = visited.history.of_baskets(sequence.ages_L, day=visited.day)
        codes_L = np.where(shops_L >= 0, self._model_code_P[shops_L], -1).astype(np.int32)
        return ModelInput(
            # both are sorted by the shops' names, so the order of the codes is the same
            items_N=self._model_code_P[choice.shops_N],
            features_NK=choice.features_NS,
            sequence=sequence,
            shops_L=codes_L,
        )

    def popular(self, most: int, *, without: Sequence[int], below: float) -> list[tuple[int, float]]:
        """What is visited most: codes, best first, with scores below a given one in their own order."""
        lately_P = self.packaged.recall.lately_P
        rest = np.setdiff1d(np.arange(len(lately_P)), without)
        order = rest[np.argsort(-lately_P[rest], kind="stable")].tolist()
        return [(code, below - 1.0 + float(lately_P[code])) for code in order[: max(most, 0)]]

    def is_near(self, shop: int, visited: Visited) -> bool:
        """Whether others go there who share the user's shops."""
        near_PP = self.packaged.recall.near_PP
        return any(row_of(near_PP, int(own))[shop] > 0 for own in np.unique(visited.history.shops_H))

    def why(self, shop: int, visited: Visited) -> str:
        """Why a shop is answered, in words for the shopper; the code is among the packaged shops."""
        packaged = self.packaged
        return shop_reason(
            shop,
            history=visited.history,
            day=visited.day,
            recall=packaged.recall,
            titles=packaged.titles,
            names=packaged.shops,
            today=visited.today,
            since=visited.since.get(shop),
        )
