"""HTTP surface of a recommender: `bentoml serve` in an unpacked Bento, whose folder ranker/ it is loaded from."""

import os
from pathlib import Path

import bentoml

from shoploop.predictor import metrics
from shoploop.predictor.admission import Admission, Waiting
from shoploop.predictor.home import Home
from shoploop.predictor.http import CheckedJson
from shoploop.ranking.answer import Answer, RankRequest, RecommendRequest
from shoploop.ranking.ranker import Ranker

FOLDER = "SHOPLOOP_RANKER"
"""Environment variable: serve the ranker in another folder than the Bento's own."""


WAITING = Waiting()


@bentoml.service(name="recommender", workers=1, threads=2, traffic={"timeout": 10})
class Recommender:
    """Recommendations of one shop, with a reason for each."""

    def __init__(self) -> None:
        self.ranker = Ranker.load(Path(os.environ.get(FOLDER) or Path(__file__).parents[1] / "ranker"))
        self.ranker.warm_up()
        settings = self.ranker.settings
        WAITING.expect(deadline_seconds=settings.deadline_milliseconds / 1000, short_seconds=self.ranker.costs.short)
        metrics.DATA_AGE_DAYS.set(self.ranker.data_age_days())

    @bentoml.api(input_spec=RecommendRequest)
    def recommend(self, **request: object) -> Answer:
        """The k items that the user is most likely to want, best first."""
        with WAITING.turn() as until:
            answer = self.ranker.recommend(RecommendRequest.model_validate(request), until=until)
        return metrics.count("/recommend", self.ranker, answer)

    @bentoml.api(input_spec=RankRequest)
    def rank(self, **request: object) -> Answer:
        """The given items in the order in which the user is likely to want them."""
        with WAITING.turn() as until:
            answer = self.ranker.rank(RankRequest.model_validate(request), until=until)
        return metrics.count("/rank", self.ranker, answer)


REQUESTS = {"/recommend": RecommendRequest, "/rank": RankRequest}
EXAMPLES = {
    "/recommend": ("The items that a shopper is most likely to want, best first.", '{"user": "1", "k": 5}'),
    "/rank": (
        "The given items, those first that a shopper is likely to want.",
        '{"user": "1", "items": ["a", "b"]}',
    ),
}

Recommender.add_asgi_middleware(Admission, routes=REQUESTS.keys(), waiting=WAITING)
Recommender.add_asgi_middleware(CheckedJson, requests=REQUESTS)
Recommender.add_asgi_middleware(Home, examples=EXAMPLES)
