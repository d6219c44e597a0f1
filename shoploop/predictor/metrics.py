"""What a predictor tells Prometheus beside what BentoML counts (requests, seconds, requests in flight)."""

from prometheus_client import Counter, Gauge, Histogram

from shoploop.events.messages import EventsAnswer
from shoploop.ranking.answer import A
from shoploop.ranking.drift import SCORE
from shoploop.ranking.ranker import Ranker

ANSWERS = Counter(
    "shoploop_answers",
    "Answers by the method that gave them: fused; dnn or frequency past the deadline; popularity for who is unknown; text "
    "for a query that no model answered.",
    ["route", "method"],
)
DEGRADED = Counter(
    "shoploop_degraded_answers",
    "Answers that are less than they could be, by the reason that they tell: feature_store_unavailable where what is stored "
    "of the user could not be read in time.",
    ["route", "reason"],
)
DATA_AGE_DAYS = Gauge(
    "shoploop_data_age_days",
    "Days since the last day of the data that answers are made from.",
    multiprocess_mode="max",
)

IMPRESSIONS = Counter(
    "shoploop_impressions", "Answers by what became of their record: written, dropped, unsigned.", ["outcome"]
)
EVENTS = Counter(
    "shoploop_events",
    "Events by what became of them: accepted, known (sent again), or the code of a refusal.",
    ["code"],
)
CALLERS = Counter(
    "shoploop_callers",
    "Requests, where not everybody may ask, by who was let in (key, token, server, publishable) or the code of a refusal.",
    ["outcome"],
)
EVENT_LOG_UP = Gauge(
    "shoploop_event_log_up",
    "1 while the event log answers; 0 while it does not: then events are refused and answers know stored histories only.",
    multiprocess_mode="mostrecent",
)
FRESH_MISSED = Gauge(
    "shoploop_fresh_history_missed_records",
    "Records of the event log that were trimmed before this predictor read them, though no stored history holds them.",
    multiprocess_mode="mostrecent",
)
ONLINE_COMMIT = Gauge(
    "shoploop_online_commit",
    "Number of the commit of what was learned online that answers are made with; 0 for the version as it was trained.",
    multiprocess_mode="mostrecent",
)
ONLINE_AGE = Gauge(
    "shoploop_online_updates_age_seconds",
    "Seconds since what this predictor serves was last known to be what the chain of online commits serves; it grows where "
    "the store is away, where the updater is, or where what came could not be verified.",
    multiprocess_mode="mostrecent",
)
ONLINE_REFUSED = Gauge(
    "shoploop_online_refused_updates",
    "Online updates that were not served since this predictor started, since they could not be verified.",
    multiprocess_mode="mostrecent",
)
OUT_OF_STOCK_ITEMS = Gauge(
    "shoploop_out_of_stock_items",
    "Items that the shop's file names as what cannot be bought now; 0 without such a file.",
    multiprocess_mode="mostrecent",
)

DRIFT = Gauge(
    "shoploop_drift_psi",
    "Population stability index of what a version is asked about now, beside what it saw when it was made, of its scores "
    "(what=score) or of one feature (what=feature). Below 0.1 nothing changed; from 0.25 on much did.",
    ["version", "what", "feature"],
    multiprocess_mode="mostrecent",
)
SERVING = Gauge(
    "shoploop_version_percent",
    "Share of users, in percent, that a version answers, by its role: stable, candidate, or shadow, which answers nobody.",
    ["role", "version"],
    multiprocess_mode="mostrecent",
)
VERSION_ANSWERS = Counter("shoploop_version_answers", "Answers by the version that gave them.", ["version"])
VERSION_SECONDS = Histogram(
    "shoploop_candidacy_answer_seconds",
    "Seconds that an answer took while there is a candidate, of the stable version and of the candidate.",
    ["role"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
)
SWAPS = Counter(
    "shoploop_versions_loaded", "Versions that were to be loaded beside who serves: loaded, or refused.", ["outcome"]
)
CANDIDATE_FAILURES = Counter(
    "shoploop_candidate_failures", "Answers of a candidate that failed; the stable version answered."
)
CANDIDATES_RETURNED = Counter(
    "shoploop_candidates_returned", "Candidates that answer no more since they failed too often, or took too long."
)
SHADOW_ANSWERS = Counter(
    "shoploop_shadow_answers",
    "Answers that a candidate in the shadow gave, too: same, different, or spared where too many waited.",
    ["outcome"],
)
SHADOW_OVERLAP = Histogram(
    "shoploop_shadow_overlap",
    "Share of the items shown that a candidate in the shadow would have shown, too.",
    buckets=(0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0),
)


def count_events(answer: EventsAnswer) -> None:
    """Counts what became of the events of a request."""
    EVENTS.labels(code="accepted").inc(answer.accepted - answer.known)
    EVENTS.labels(code="known").inc(answer.known)
    for refused in answer.refused:
        EVENTS.labels(code=refused.code).inc()


def tell_drift(ranker: Ranker) -> None:
    """Tells how far what a version is asked about is from what it saw."""
    for name, index in ranker.drift.told().items():
        is_score = name == SCORE
        DRIFT.labels(
            version=ranker.version, what="score" if is_score else "feature", feature="" if is_score else name
        ).set(index)


def count(route: str, ranker: Ranker, answer: A) -> A:
    """Counts an answer on its way out."""
    ANSWERS.labels(route=route, method=answer.method).inc()
    VERSION_ANSWERS.labels(version=answer.version).inc()
    if answer.degraded:
        DEGRADED.labels(route=route, reason=answer.degraded).inc()
    DATA_AGE_DAYS.set(ranker.data_age_days())
    return answer
