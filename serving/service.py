"""HTTP surface of a recommender: `bentoml serve` in an unpacked Bento, whose folder ranker/ it is loaded from."""

import os
from pathlib import Path

import bentoml

from shoploop.predictor import metrics
from shoploop.predictor.http import CheckedJson
from shoploop.predictor.load import Load
from shoploop.ranking.answer import Answer, RankRequest, RecommendRequest
from shoploop.ranking.ranker import Ranker

FOLDER = "SHOPLOOP_RANKER"
"""Environment variable: serve the ranker in another folder than the Bento's own."""


@bentoml.service(name="recommender", workers=1, threads=2, traffic={"timeout": 10})
class Recommender:
    """Recommendations of one shop, with a reason for each."""

    def __init__(self) -> None:
        self.ranker = Ranker.load(Path(os.environ.get(FOLDER) or Path(__file__).parents[1] / "ranker"))
        self.ranker.warm_up()
        metrics.DATA_AGE_DAYS.set(self.ranker.data_age_days())

    @bentoml.api(input_spec=RecommendRequest)
    def recommend(self, **request: object) -> Answer:
        """The k items that the user is most likely to want, best first."""
        answer = self.ranker.recommend(RecommendRequest.model_validate(request))
        return metrics.count("/recommend", self.ranker, answer)

    @bentoml.api(input_spec=RankRequest)
    def rank(self, **request: object) -> Answer:
        """The given items in the order in which the user is likely to want them."""
        answer = self.ranker.rank(RankRequest.model_validate(request))
        return metrics.count("/rank", self.ranker, answer)


REQUESTS = {"/recommend": RecommendRequest, "/rank": RankRequest}

Recommender.add_asgi_middleware(Load, routes=REQUESTS.keys())
Recommender.add_asgi_middleware(CheckedJson, requests=REQUESTS)
