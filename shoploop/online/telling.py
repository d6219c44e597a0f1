"""What a learner at work tells probes, Prometheus and the operator. It asks the log, and the chain as it was last read."""

import threading
from datetime import UTC, datetime

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from shoploop.api.learner_state import Halt, LearnerState
from shoploop.compute.answering import Reply
from shoploop.errors import ShoploopError
from shoploop.events.log import EventLog, LogUnavailable
from shoploop.events.messages import Kept, Shown, from_json
from shoploop.online.chain import Chain, Totals
from shoploop.online.loop import OnlineLoop
from shoploop.online.pulse import Pulse

LOOKED_AT = 100
"""Records that are looked at for the time of the first that is not learned; some have none."""


class Telling:
    """Of one learner. Answers on other threads than the learner's."""

    def __init__(self, *, loop: OnlineLoop, chain: Chain, log: EventLog, name: str, version: str, pulse: Pulse):
        """
        Args:
            loop: That learns.
            chain: That it writes.
            log: That it reads.
            name: Of the recommender.
            version: Its base.
            pulse: Of the process.
        """
        self._stopped_by: Halt | None = None
        self._loop, self._chain, self._log = loop, chain, log
        self._name, self._version, self._pulse = name, version, pulse
        self._lock = threading.Lock()
        self._registry = CollectorRegistry()
        self._gauges = {
            key: Gauge(f"shoploop_online_{key}", says, ["recommender", "version"], registry=self._registry)
            for key, says in GAUGES.items()
        }

    def stopped_by(self, error: ShoploopError) -> None:
        """Tells why nothing is learned, until it learns again."""
        self._stopped_by = Halt(code=type(error).__name__, message=str(error)[:4096])

    def state(self) -> LearnerState:
        """Where it is."""
        frozen, settled = self._chain.frozen, self._loop.settled
        behind, lag_seconds, waits_for = None, None, self._loop.waits_for
        if settled is not None:
            try:
                behind, lag_seconds = self._lag(settled)
            except LogUnavailable as error:
                waits_for = waits_for or str(error)
        return LearnerState(
            version=self._version,
            commit=self._chain.head,
            served=self._chain.served,
            settled=settled,
            behind=behind,
            lag_seconds=lag_seconds,
            examples=self._totals().examples,
            frozen=frozen.reason[:4096] if frozen else None,
            halt=self._halt,
            waits_for=waits_for[:4096] if waits_for else None,
        )

    def answer(self, path: str) -> Reply | None:
        """To ``GET`` of ``/livez``, ``/readyz``, ``/status`` and ``/metrics``."""
        match path.partition("?")[0]:
            case "/livez":
                return self._pulse.reply()
            case "/readyz":
                ready = self._loop.settled is not None and self._halt is None
                return (200, "text/plain", b"ok\n") if ready else (503, "text/plain", b"it does not learn\n")
            case "/status":
                body = self.state().model_dump_json(by_alias=True, exclude_none=True)
                return 200, "application/json", body.encode()
            case "/metrics":
                return 200, CONTENT_TYPE_LATEST, self._metrics()
        return None

    @property
    def _halt(self) -> Halt | None:
        return self._stopped_by if self._loop.settled is None else None

    def _lag(self, settled: int) -> tuple[int, float]:
        """Records that are not learned, and the age of the first."""
        behind = max(self._log.end() - settled, 0)
        for record in self._log.read(settled, limit=LOOKED_AT) if behind else ():
            try:
                message = from_json(record.body)
            except ValueError:
                continue
            if isinstance(message, Kept | Shown):  # what is learned again tells when it first came, long ago
                then = message.received if isinstance(message, Kept) else message.time
                return behind, max((datetime.now(UTC) - then).total_seconds(), 0.0)
        return behind, 0.0

    def _metrics(self) -> bytes:
        state, totals = self.state(), self._totals()
        learns = state.settled is not None and not (state.frozen or state.halt or state.waits_for)
        values = {
            "lag_seconds": float("nan") if state.lag_seconds is None else state.lag_seconds,
            "behind_records": float("nan") if state.behind is None else state.behind,
            "learning": learns,
            "frozen": state.frozen is not None,
            "head_commit": state.commit,
            "served_commit": state.served,
            "examples": totals.examples,
            "dead_letters": totals.dead_letters,
            "capped_examples": totals.capped,
            "lost_records": totals.lost,
            "loss_excess_nats": (totals.online_loss - totals.frozen_loss) / max(totals.examples, 1),
        }
        values |= {f"guard_{code}": self._loop.numbers.get(code, float("nan")) for code in GUARDS}
        with self._lock:
            for key, value in values.items():
                self._gauges[key].labels(recommender=self._name, version=self._version).set(value)
            return generate_latest(self._registry)

    def _totals(self) -> Totals:
        commits = self._chain.commits
        return commits[-1].totals if commits else Totals()


GUARDS = {
    "progressive_loss": "Nats by which what is learned was more surprised than what was trained, over the last whole block.",
    "progressive_auc": "By how much its AUC was lower than that of what was trained, over the last whole block.",
    "calibration": "By how much the chance of its first choice was farther off than that of what was trained, likewise.",
    "dead_letters": "Share of dead letters among the records that something should be learned from, of the last as many.",
    "row_change": "How far the item that moved most has moved by the last commit, in mean lengths of trained vectors.",
    "change": "Root mean square of how far all items are from where they were trained, in the same units.",
    "score_drift": "Population stability index of scores of the golden requests against those that were trained.",
    "top10_overlap": "Share of the first ten answers to the golden requests that are those of the trained model.",
}
"""Of each guardrail with a number what it found last, by its code; NaN before."""

GAUGES = {
    "lag_seconds": "Age of the oldest record of the event log whose lesson is in no commit; 0 where there is none.",
    "behind_records": "Records of the event log whose lesson is in no commit.",
    "learning": "1 while it learns; 0 while it starts, waits for the log or the store, or was stopped.",
    "frozen": "1 after a guardrail, or a person, stopped it, until it is resumed.",
    "head_commit": "Number of the last commit of the chain.",
    "served_commit": "Number of the commit that predictors are to answer with.",
    "examples": "Examples that were learned since the version was trained.",
    "dead_letters": "Records since the version was trained that nothing could be learned from, though something should.",
    "capped_examples": "Examples since the version was trained that went beyond the share of a user or an item.",
    "lost_records": "Records that the log had forgotten before they were learned from.",
    "loss_excess_nats": "Surprise of what was learned less that of the version as it was trained, on average over what was "
    "learned, each before it was.",
    **{f"guard_{code}": says for code, says in GUARDS.items()},
}
