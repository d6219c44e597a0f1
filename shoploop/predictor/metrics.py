"""What a predictor tells Prometheus beside what BentoML counts (requests, seconds, requests in flight)."""

from prometheus_client import Counter, Gauge

from shoploop.ranking.answer import Answer
from shoploop.ranking.ranker import Ranker

ANSWERS = Counter(
    "shoploop_answers",
    "Answers by the method that gave them: fused; dnn or frequency past the deadline; popularity for who is unknown.",
    ["route", "method"],
)
DATA_AGE_DAYS = Gauge(
    "shoploop_data_age_days",
    "Days since the last day of the data that answers are made from.",
    multiprocess_mode="max",
)


def count(route: str, ranker: Ranker, answer: Answer) -> Answer:
    """Counts an answer on its way out."""
    ANSWERS.labels(route=route, method=answer.method).inc()
    DATA_AGE_DAYS.set(ranker.data_age_days())
    return answer
