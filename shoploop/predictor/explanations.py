"""Answers to "why": from what this predictor remembers, or from the signed impression, which any predictor can read.

Memory is bounded by items, not by answers, so that long lists cost no more than short ones; long texts count as items, too.
The oldest go first, and those of a user of whom something is erased. Of a request nothing is kept but its user, its shop and
what search reads of its query: what its rules did is known of each item.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from shoploop.events.fresh import Done
from shoploop.events.impressions import ImpressionRefused
from shoploop.events.messages import mark_of_request
from shoploop.features.bounded_reads import FeatureStoreUnavailable
from shoploop.predictor.feedback import Feedback
from shoploop.predictor.http import Refused
from shoploop.ranking.answer import (
    AnyAnswer,
    AnyRequest,
    RankRequest,
    RecommendRequest,
    SearchRequest,
    ShopsAnswer,
    ShopsRequest,
)
from shoploop.ranking.explaining import Shown, ShownItem, explain
from shoploop.ranking.explanation import ExplainRequest, Explanation
from shoploop.ranking.ranker import Ranker
from shoploop.surfaces.search.words import MOST_LETTERS

LETTERS_AN_ITEM = 50
"""That take as much memory as an item of an answer does, some 200 bytes, whatever their script."""


class NotExplained(Refused):
    """Why there is no answer."""


class Explanations:
    """What one predictor can say of its answers. One instance serves all threads of a process."""

    def __init__(
        self,
        ranker: Ranker,
        feedback: Feedback | None,
        *,
        serving: Callable[[], Ranker] | None = None,
        answered: Callable[[str], Ranker | None] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ):
        """
        Args:
            ranker: The version that is served.
            feedback: Reads impressions; None where there are none.
            serving: That version with what was learned since, which scores are explained by.
            answered: Another version by its id; None where it is not in memory.
            clock: Tells the time, UTC.
        """
        self._serving = serving or (lambda: ranker)
        self._answered = answered or (lambda version: None)
        self._feedback = feedback
        self._clock = clock
        self._most = ranker.settings.remembered_items
        self._shown: OrderedDict[str, tuple[str, Shown]] = OrderedDict()
        self._items = 0
        self._lock = threading.Lock()
        if feedback is not None:
            feedback.on_forgotten = self.forget

    def now(self) -> datetime:
        """The time to answer at, and to remember."""
        return self._clock()

    def remember(
        self,
        answer: AnyAnswer,
        request: AnyRequest,
        fresh: Sequence[Done],
        now: datetime,
    ) -> None:
        """Keeps what an explanation of the answer needs.

        Args:
            answer: As it goes out.
            request: What was asked.
            fresh: What the ranker was told of the user.
            now: The time that the ranker was told.
        """
        shown = Shown(
            request_id=answer.request_id,
            user=request.user or "",
            now=now,
            items=tuple(ShownItem.of(item) for item in answer.items),
            fresh=tuple(fresh),
            method=answer.method,
            commit=answer.commit,
            effects=tuple(answer.rules),
            asked_for=isinstance(request, RankRequest) or request.only is not None,
            query=request.query[:MOST_LETTERS] if isinstance(request, SearchRequest) else None,
            shops=isinstance(answer, ShopsAnswer),
            shop=request.shop if isinstance(request, ShopsRequest | RecommendRequest) else None,
            exact=answer.degraded is None,  # else what is stored of the user is known by now, and was not then
        )
        with self._lock:
            self._shown[shown.request_id] = (answer.version, shown)
            self._items += _size(shown)
            while self._items > self._most and self._shown:
                _, (_, oldest) = self._shown.popitem(last=False)
                self._items -= _size(oldest)

    def forget(self, users: Collection[str], marks: Collection[str]) -> None:
        """Forgets all answers to these users, and to whom the answers with these marks were given."""
        with self._lock:
            known = list(self._shown)
        marked = [request for request in known if mark_of_request(request) in marks] if marks else []
        with self._lock:
            whose = {*users, *(self._shown[request][1].user for request in marked if request in self._shown)}
            for request in [request for request, (_, shown) in self._shown.items() if shown.user in whose]:
                self._items -= _size(self._shown.pop(request)[1])

    def explain(self, request: ExplainRequest) -> Explanation:
        """Why an item was at its place.

        Raises:
            NotExplained: the answer is not known, or did not show the item; or what is stored of its user cannot be read.
        """
        with self._lock:
            version, shown = self._shown.get(request.request_id, (None, None))
        if shown is not None and request.user not in (None, shown.user):
            raise NotExplained(400, "impression_of_another", "The answer was given to another user.")
        if version is None or shown is None:
            version, shown = self._from_impression(request)
        serving = self._of(version)
        place = next((place for place, one in enumerate(shown.items, 1) if one.item == request.item), None)
        if place is None:
            raise NotExplained(404, "item_not_shown", "The answer did not show this item.")
        if shown.commit != serving.commit:  # the model has learned since: its parts are no longer those of the score
            shown = replace(shown, exact=False)
        try:
            return explain(serving.known, shown, place)
        except FeatureStoreUnavailable as error:  # whose words name servers
            detail = "What is stored of the user cannot be read just now. Ask again."
            raise NotExplained(503, "feature_store_unavailable", detail) from error

    def _of(self, version: str) -> Ranker:
        """Who gave an answer.

        Raises:
            NotExplained: it is no longer in memory.
        """
        serving = self._serving()
        found = serving if version == serving.version else self._answered(version)
        if found is None:
            raise NotExplained(
                409, "version_gone", f"Version {version} answered, and {serving.version} serves now: it cannot say why."
            )
        return found

    def _from_impression(self, request: ExplainRequest) -> tuple[str, Shown]:
        if request.impression is None or self._feedback is None:
            raise NotExplained(
                404,
                "request_unknown",
                "This predictor remembers no answer of that request_id: it is too old, or another one answered. "
                "Send the answer's impression and its user, too.",
            )
        if request.user is None:
            raise NotExplained(400, "user_missing", "Send the user, too: an impression holds no id of a user.")
        try:
            impression = self._feedback.impression(request.impression, request.user)
        except ImpressionRefused as error:
            raise NotExplained(400, error.code, str(error)) from error
        if impression.request_id != request.request_id:
            raise NotExplained(400, "impression_of_another", "The impression is of another request_id.")
        after = self._of(impression.version).settings.events_offset
        return impression.version, Shown(
            request_id=impression.request_id,
            user=request.user,
            now=datetime.fromtimestamp(impression.issued, UTC),
            items=tuple(ShownItem(item=item) for item in impression.items),
            fresh=self._feedback.done(request.user, after=after),
            exact=False,
            query=impression.query,
            shops=impression.shops,
        )


def _size(shown: Shown) -> int:
    letters = len(shown.user) + len(shown.query or "") + len(shown.shop or "")
    return len(shown.items) + len(shown.fresh) + len(shown.effects) + 1 + letters // LETTERS_AN_ITEM
