"""HTTP surface of a recommender: `bentoml serve` in an unpacked Bento, whose folder ranker/ it is loaded from."""

import os
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import bentoml
from bentoml._internal.server.http import instruments

from shoploop.compute.cores import use_one_thread
from shoploop.compute.garbage import collecting_nothing
from shoploop.events.fresh import Done
from shoploop.events.messages import MAX_EVENTS_BYTES, EventsRequest
from shoploop.online.following import Followings
from shoploop.predictor import metrics
from shoploop.predictor.access import Access, caller_of
from shoploop.predictor.access_log import AccessLog, lines
from shoploop.predictor.admin import ANSWERED, Admin, Administered, with_security
from shoploop.predictor.admission import Admission, Waiting
from shoploop.predictor.callers import Callers
from shoploop.predictor.counted_paths import CountedPaths
from shoploop.predictor.direct import Answers, Direct
from shoploop.predictor.explanations import Explanations, NotExplained
from shoploop.predictor.feedback import Feedback, answer_events
from shoploop.predictor.headers import SafeHeaders
from shoploop.predictor.held import Held
from shoploop.predictor.home import Home
from shoploop.predictor.http import App, CheckedJson, Message, Receive, Refused, Send, problem_response
from shoploop.predictor.lineup import Packaged
from shoploop.predictor.origins import CrossOrigin, Origins
from shoploop.predictor.stock import OutOfStock
from shoploop.predictor.storefront import PATH as STOREFRONT
from shoploop.predictor.storefront import Storefront
from shoploop.predictor.switching import Versions
from shoploop.predictor.tracing import tracing
from shoploop.ranking.answer import (
    A,
    Answer,
    AnyRequest,
    RankRequest,
    RecommendRequest,
    SearchRequest,
    ShopsAnswer,
    ShopsRequest,
)
from shoploop.ranking.explanation import ExplainRequest, Explanation
from shoploop.ranking.ranker import Ranker
from shoploop.ranking.visiting import ShopsUnknown

FOLDER = "SHOPLOOP_RANKER"
"""Environment variable: serve the ranker in another folder than the Bento's own."""

DRIFT_SECONDS = 15.0
ORIGINS = Origins()
WAITING = Waiting()
CALLERS = Callers.configured()
THREADS = 2
ANSWERS = Answers(threads=THREADS)
ADMIN = Admin.configured(waiting=WAITING)


# BentoML's own line of each request is another's work: AccessLog
@bentoml.service(
    name="recommender",
    workers=1,
    threads=THREADS,
    traffic={"timeout": 10},
    tracing=tracing(),
    logging={"access": {"enabled": False}},
)
class Recommender:
    """Recommendations of one shop, with a reason for each."""

    def __init__(self) -> None:
        use_one_thread()
        with collecting_nothing():
            self.ranker = Ranker.load(Path(os.environ.get(FOLDER) or Path(__file__).parents[1] / "ranker"))
            self.ranker.warm_up()
        self.feedback = Feedback.configured(offset=self.ranker.settings.events_offset)
        CALLERS.shop_keys = self.feedback.shop_keys if self.feedback else None
        self._prepare(self.ranker)
        WAITING.expect(deadline_seconds=WAITING.deadline_seconds, short_seconds=self.ranker.costs.short)
        self.out_of_stock = OutOfStock.configured(tell=metrics.OUT_OF_STOCK_ITEMS.set)
        self.following = Followings.configured(self.ranker)
        self.versions = Versions.configured(
            self.ranker,
            on_load=self._loaded,
            on_stable=self._prepare,
            on_answers=self._answers,
            on_forget=self.following.forget,
        )
        self.versions.start()
        self.following.start(on_look=self._tell_commit)
        self.explanations = Explanations(
            self.ranker, self.feedback, serving=lambda: self._stable, answered=self._answered
        )
        ANSWERS.by_path = {
            "/recommend": self._recommended,
            "/rank": self._ranked,
            "/search": self._found,
            "/shops": self._chosen,
        }
        self._ends = threading.Event()
        threading.Thread(target=self._tell_drift, name="drift", daemon=True).start()
        ADMIN.start()

    # What BentoML calls where Direct has not answered; its paths, and what OpenAPI says of them.

    @bentoml.api(input_spec=RecommendRequest)
    def recommend(self, **request: object) -> Answer:
        """The k items that the user is most likely to want, best first."""
        return self._recommended(RecommendRequest.model_validate(request))

    @bentoml.api(input_spec=RankRequest)
    def rank(self, **request: object) -> Answer:
        """The given items in the order in which the user is likely to want them."""
        return self._ranked(RankRequest.model_validate(request))

    @bentoml.api(input_spec=SearchRequest)
    def search(self, **request: object) -> Answer:
        """The k items that a query most likely means, best first."""
        return self._found(SearchRequest.model_validate(request))

    @bentoml.api(input_spec=ShopsRequest)
    def shops(self, **request: object) -> ShopsAnswer:
        """The k shops that the user is most likely to go to next, best first. 404 where no shop is known."""
        try:
            return self._chosen(ShopsRequest.model_validate(request))
        except Refused as error:
            return problem_response(error.status, str(error), code=error.code)  # type: ignore[return-value]

    @bentoml.api(input_spec=ExplainRequest)
    def explain(self, **request: object) -> Explanation:
        """Why an item was at its place in an answer: scores, features, sources, rules. 404 where the answer is not known."""
        try:
            with WAITING.turn():
                return self.explanations.explain(ExplainRequest.model_validate(request))
        except NotExplained as error:
            return problem_response(error.status, str(error), code=error.code)  # type: ignore[return-value]

    @bentoml.api(input_spec=EventsRequest)
    def events(self, ctx: bentoml.Context, **request: object) -> dict[str, object]:
        """Takes what shoppers did; answers 202 when it is kept for good. It counts in the user's next request."""
        address = ctx.request.client.host if ctx.request.client else ""
        asked, caller = EventsRequest.model_validate(request), caller_of(ctx.request.scope)
        answer = answer_events(self.feedback, asked, ctx.request.headers, address, caller)
        ctx.response.status_code = answer.status
        ctx.response.headers.update(answer.headers)
        return answer.body

    @bentoml.on_shutdown
    def close(self) -> None:
        self._ends.set()
        ANSWERS.close()
        self.versions.stop()
        self.following.stop()
        if self.feedback:
            self.feedback.close()

    def _tell_drift(self) -> None:
        while not self._ends.wait(DRIFT_SECONDS):
            metrics.tell_drift(self.versions.stable)

    def _tell_commit(self) -> None:
        metrics.ONLINE_COMMIT.set(self._stable.commit or 0)
        metrics.ONLINE_REFUSED.set(self.following.refused)
        metrics.ONLINE_AGE.set(self.following.age_seconds(self.versions.stable))

    @property
    def _stable(self) -> Ranker:
        """Who serves, with what was learned online where that is followed."""
        return self.following.of(self.versions.stable)

    def _answered(self, version: str) -> Ranker | None:
        ranker = self.versions.of(version)
        return ranker and self.following.of(ranker)

    def _recommended(self, asked: RecommendRequest) -> Answer:
        gone = self.out_of_stock.items

        def ask(ranker: Ranker, until: float | None, fresh: tuple[Done, ...], now: datetime) -> Answer:
            return ranker.recommend(asked, until=until, fresh=fresh, now=now, out_of_stock=gone)

        return self._answer("/recommend", asked, ask, asked.surface)

    def _ranked(self, asked: RankRequest) -> Answer:
        def ask(ranker: Ranker, until: float | None, fresh: tuple[Done, ...], now: datetime) -> Answer:
            return ranker.rank(asked, until=until, fresh=fresh, now=now)

        return self._answer("/rank", asked, ask, "items")

    def _found(self, asked: SearchRequest) -> Answer:
        gone = self.out_of_stock.items

        def ask(ranker: Ranker, until: float | None, fresh: tuple[Done, ...], now: datetime) -> Answer:
            return ranker.search(asked, until=until, fresh=fresh, now=now, out_of_stock=gone)

        return self._answer("/search", asked, ask, "search")

    def _chosen(self, asked: ShopsRequest) -> ShopsAnswer:
        def ask(ranker: Ranker, until: float | None, fresh: tuple[Done, ...], now: datetime) -> ShopsAnswer:
            return ranker.shops(asked, until=until, fresh=fresh, now=now)

        try:
            return self._answer("/shops", asked, ask, "shops")
        except ShopsUnknown as error:
            raise Refused(404, error.code, str(error)) from error

    def _answer(self, route: str, asked: AnyRequest, ask: Callable[..., A], surface: str) -> A:
        now = self.explanations.now()
        fresh: dict[str, tuple[Done, ...]] = {}
        with WAITING.turn() as until:

            def of(ranker: Ranker, in_time: bool) -> A:
                fresh[ranker.version] = self._done(asked.user, ranker) if asked.user else ()
                return ask(self.following.of(ranker), until if in_time else None, fresh[ranker.version], now)

            answer = self.versions.answer(asked.user or "", of)
        self.explanations.remember(answer, asked, fresh[answer.version], now)
        metrics.count(route, self._stable, answer)
        if self.feedback is None or not asked.user:  # an impression is somebody's
            return answer
        query = asked.query if isinstance(asked, SearchRequest) else None
        return self.feedback.shown(answer, user=asked.user, surface=surface, query=query)

    def _done(self, user: str, ranker: Ranker) -> tuple[Done, ...]:
        return self.feedback.done(user, after=ranker.settings.events_offset) if self.feedback else ()

    def _prepare(self, ranker: Ranker) -> None:
        """What else changes with the version that serves."""
        settings = ranker.settings
        ORIGINS.allow(settings.allowed_origins)
        # the pace is kept as requests have shown it: what a ranker measures beside them is too slow
        WAITING.deadline_seconds = settings.deadline_milliseconds / 1000
        metrics.DATA_AGE_DAYS.set(ranker.data_age_days())

    def _answers(self, ranker: Ranker, packaged: Packaged) -> None:
        self.following.begin(ranker, Path(packaged.updates) if packaged.updates else None)

    def _loaded(self, ranker: Ranker) -> None:
        if self.feedback:
            self.feedback.reach(ranker.settings.events_offset)


REQUESTS = {
    "/recommend": RecommendRequest,
    "/search": SearchRequest,
    "/shops": ShopsRequest,
    "/rank": RankRequest,
    "/events": EventsRequest,
    "/explain": ExplainRequest,
}
ADMITTED = ("/recommend", "/search", "/shops", "/rank", "/explain")
EXAMPLES = {
    "/recommend": ("The items that a shopper is most likely to want, best first.", '{"user": "1", "k": 5}'),
    "/search": (
        "The items that a query most likely means; of what fits, what this shopper buys comes first.",
        '{"query": "milk", "user": "1", "k": 5}',
    ),
    "/shops": (
        "The shops that a shopper is most likely to go to next.",
        '{"user": "1", "k": 3}',
    ),
    "/rank": (
        "The given items, those first that a shopper is likely to want.",
        '{"user": "1", "items": ["a", "b"]}',
    ),
    "/explain": (
        "Why an item was at its place: send the impression and the user, too, where another predictor may have answered.",
        '{"request_id": "...", "item": "a"}',
    ),
    "/events": (
        "What shoppers did with what they were shown: send the impression of the answer, or a key of the shop's.",
        '{"events": [{"id": "1", "kind": "click", "user": "1", "item": "a", "impression": "..."}]}',
    ),
}


PATHS = CountedPaths(("/", *REQUESTS, *ANSWERED), below=(STOREFRONT,))


class Counted(instruments.RunnerTrafficMetricsMiddleware):
    """BentoML's counts of requests, which it keeps by path: of those that anybody can make up it keeps one."""

    def __init__(self, app: App, **options: object) -> None:
        super().__init__(PATHS.as_asked(app), **options)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        await super().__call__(PATHS.as_counted(scope), receive, send)


instruments.RunnerTrafficMetricsMiddleware = Counted  # it is outside of all that a service may add


def described() -> dict[str, object]:
    """The interface, as OpenAPI."""
    return with_security(Recommender.openapi_spec.asdict(), routes=tuple(REQUESTS), asked=CALLERS.are_asked)


ADMIN.described = described

# The first one added is the outermost: a refusal must be readable for a page, too.
Recommender.add_asgi_middleware(AccessLog, routes=tuple(REQUESTS), write=lines())
Recommender.add_asgi_middleware(SafeHeaders)
Recommender.add_asgi_middleware(CrossOrigin, routes=tuple(REQUESTS), origins=ORIGINS)
Recommender.add_asgi_middleware(Access, routes=tuple(REQUESTS), callers=CALLERS)
Recommender.add_asgi_middleware(Administered, admin=ADMIN)
Recommender.add_asgi_middleware(Admission, routes=ADMITTED, waiting=WAITING)
Recommender.add_asgi_middleware(Held, routes=tuple(REQUESTS))
Recommender.add_asgi_middleware(
    CheckedJson, requests=REQUESTS, larger_bytes={"/events": MAX_EVENTS_BYTES}, read_only=STOREFRONT
)
Recommender.add_asgi_middleware(Home, examples=EXAMPLES, private=ADMIN.is_private)
Recommender.add_asgi_middleware(Storefront)
Recommender.add_asgi_middleware(Direct, answers=ANSWERS)
