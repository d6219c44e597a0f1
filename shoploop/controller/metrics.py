"""What the operator tells Prometheus about itself."""

from prometheus_client import Counter, Gauge, Histogram

RECONCILES = Counter("shoploop_operator_reconciles", "Looks at a Recommender.", ["result"])
RECONCILE_SECONDS = Histogram(
    "shoploop_operator_reconcile_seconds",
    "Seconds that a look at a Recommender took, helm included.",
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 30, 120),
)
QUEUE = Gauge("shoploop_operator_queue_length", "Recommenders that wait to be looked at.")
HELM = Counter("shoploop_operator_helm_runs", "Runs of the helm program.", ["action", "result"])
REPAIRS = Counter("shoploop_operator_repairs", "Objects of a release that were put back.")
RECOMMENDERS = Gauge("shoploop_operator_recommenders", "Recommenders by the state of their condition Ready.", ["ready"])
DEGRADED = Gauge("shoploop_operator_recommenders_degraded", "Recommenders whose condition Degraded holds.")
DEAF = Counter("shoploop_operator_watch_missed", "Changes that a watch should have told and did not.", ["resource"])
