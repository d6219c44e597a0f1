"""The way back from shoppers, within a predictor: impressions go out signed and into the log, events come in.

Without a log that is named nothing of it is there: answers carry no impression, and ``/events`` says that none is collected.
"""

import logging
import os
import queue
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from shoploop.api.loading import problems_of
from shoploop.errors import KeyUnusable, SpecInvalid
from shoploop.events.awaited import AwaitedLog
from shoploop.events.fresh import Done, FreshHistory
from shoploop.events.impressions import Impression, ImpressionRefused, Signatures
from shoploop.events.intake import Intake, Sender
from shoploop.events.keyring import Keyring
from shoploop.events.log import BEGINNING, MAX_ENTRY_BYTES, Entry, EventLog, LogFull, LogUnavailable
from shoploop.events.messages import EventsAnswer, EventsRequest, Exploration, Shown, to_json
from shoploop.events.opening import open_log
from shoploop.predictor import metrics
from shoploop.predictor.callers import Caller
from shoploop.predictor.feedback_settings import ENVIRONMENT, IMPRESSION_KEYS, FeedbackSettings
from shoploop.predictor.http import PROBLEM, problem
from shoploop.predictor.shop_keys import ShopKeys, Unauthorized, bearer
from shoploop.ranking.answer import A
from shoploop.surfaces.search.words import MOST_LETTERS

WAITING_IMPRESSIONS = 20_000
WRITTEN_AT_ONCE = 500
RETRY_SECONDS = 1.0
WAIT_SECONDS = 0.25
GATHERED_SECONDS = 0.05
"""Impressions of so long are written together: an append of its own for each costs as much processor as a tenth of an answer,
and takes it while the answer is on its way out."""


class Feedback:
    """One predictor's log, keys and fresh histories."""

    def __init__(self, settings: FeedbackSettings, *, offset: int = 0):
        """Opens the log, and follows it. A log that is away, or may not be used as it is, keeps no predictor from its start:
        it answers with stored histories and refuses events until the log is there.

        Args:
            settings: Where everything lies.
            offset: Of the last record that the stored histories hold.

        Raises:
            SpecInvalid: no log can be found by what the settings say.
            KeyUnusable: there is no key to sign impressions with.
        """
        self._signatures = Signatures(Keyring(settings.keys / IMPRESSION_KEYS), recommender=settings.recommender)
        self.log: EventLog = AwaitedLog(
            lambda: open_log(settings.log, name=settings.recommender, folder=settings.folder, access=settings.access)
        )
        self._intake = Intake(self.log, self._signatures)
        self.shop_keys = ShopKeys(settings.keys)
        self.on_forgotten: Callable[[Collection[str], Collection[str]], None] = lambda users, marks: None
        """Told of whom something was erased, and the marks of which answers, once no event of it is held here."""

        self._takes, self._complaint = True, ""
        self.fresh = self._following(offset)
        self.fresh.start(on_look=self._tell)
        self._waiting: queue.Queue[Entry] = queue.Queue(WAITING_IMPRESSIONS)
        self._closing = threading.Event()
        self._writer = threading.Thread(target=self._write, name="impressions", daemon=True)
        self._writer.start()

    @classmethod
    def configured(cls, *, offset: int = 0) -> "Feedback | None":
        """As the environment says; None where it names no log.

        Raises:
            ShoploopError: what it says cannot be done.
        """
        text = os.environ.get(ENVIRONMENT)
        if not text:
            return None
        try:
            settings = FeedbackSettings.model_validate_json(text)
        except ValidationError as error:
            problems = "; ".join(problems_of(error, FeedbackSettings))
            raise SpecInvalid(f"{ENVIRONMENT} cannot be read: {problems}.") from None
        return cls(settings, offset=offset)

    def done(self, user: str, *, after: int = BEGINNING) -> tuple[Done, ...]:
        """What the user did since the stored histories were made.

        Args:
            user: Who.
            after: Offset of the last record that the histories hold, where that is not the one this began with.
        """
        return self.fresh.of(user, after=after)

    def reach(self, offset: int) -> None:
        """Makes sure that what was done after ``offset`` is known, for a version with older histories than those before."""
        if offset >= self.fresh.after:
            return
        before, reaching = self.fresh, self._following(offset)
        reaching.start(on_look=self._tell)
        self.fresh = reaching
        before.stop()

    def _following(self, offset: int) -> FreshHistory:
        return FreshHistory(self.log, after=offset, on_forgotten=lambda users, marks: self.on_forgotten(users, marks))

    def shown(self, answer: A, *, user: str, surface: str, query: str | None = None) -> A:
        """The answer with its signed impression, which is on its way into the log.

        The log is not waited for: an impression that a crash costs is one that no estimate counts, and the answer's own
        token still proves it.
        """
        items = [item.item for item in answer.items]
        query = query and query[:MOST_LETTERS]
        explored = answer.explored
        propensities = list(explored.propensities) if explored else None
        try:
            token = self._signatures.sign(
                request_id=answer.request_id,
                user=user,
                version=answer.version,
                items=items,
                propensities=propensities,
                query=query,
                shops=surface == "shops",
            )
        except KeyUnusable as error:  # a shopper has no use for that
            metrics.IMPRESSIONS.labels(outcome="unsigned").inc()
            logging.getLogger(__name__).warning("%s Answers carry no impression.", error)
            return answer
        shown = Shown(
            request_id=answer.request_id,
            user=user,
            version=answer.version,
            surface=surface,
            method=answer.method,
            as_of=answer.as_of,
            time=datetime.now(UTC),
            items=items,
            scores=[item.score for item in answer.items],
            propensities=propensities or [1.0] * len(items),
            query=query,
            exploration=explored
            and Exploration(share=explored.design.share, keep=explored.design.keep, ranking=list(explored.ranking)),
        )
        body = to_json(shown)
        try:
            if len(body) > MAX_ENTRY_BYTES:  # a ranking of hundreds of long ids: no log takes it
                raise queue.Full
            self._waiting.put_nowait(Entry(f"i:{answer.request_id}", body))
        except queue.Full:
            metrics.IMPRESSIONS.labels(outcome="dropped").inc()
        return answer.model_copy(update={"impression": token})

    def impression(self, token: str, user: str) -> Impression:
        """What an answer's token shows.

        Raises:
            ImpressionRefused: it is none of ours, or was answered to another user.
        """
        found = self._signatures.read(token)
        if not self._signatures.is_of(token, found, user):
            raise ImpressionRefused("impression_of_another", "The impression was answered to another user.")
        return found

    def take(self, request: EventsRequest, sender: Sender) -> EventsAnswer:
        """Keeps the events that may be kept; returns when that is durable.

        Raises:
            LogUnavailable: nothing of it is certain to be kept.
        """
        if trouble := self.fresh.trouble:  # a log that hangs would hold the threads that recommend
            metrics.EVENTS.labels(code="log_unavailable").inc(len(request.events))
            raise LogUnavailable(trouble)
        try:
            answer = self._intake.take(request.events, sender)
        except LogUnavailable as error:
            code = "log_full" if isinstance(error, LogFull) else "log_unavailable"
            metrics.EVENTS.labels(code=code).inc(len(request.events))
            self._refused_by_log(error)
            self._tell()
            raise
        metrics.count_events(answer)
        self._taken_by_log()
        return answer

    def sender(self, headers: Mapping[str, str], address: str, caller: Caller | None = None) -> Sender:
        """Who sends events.

        Args:
            headers: Of the request, lower case; they may hold ``authorization: Bearer <key>``.
            address: Where it came from.
            caller: Who was let in, where not everybody is.

        Raises:
            Unauthorized: 401 for a key that is not known, 403 for one that this origin may not use.
        """
        if caller is not None and caller.by in ("key", "token"):
            if not caller.sends_events:
                return Sender(address=address)
            return Sender(address=address, key=f"{caller.by} {caller.name}", trusted=True)
        key = bearer(headers)
        if key is None:
            return Sender(address=address)
        holder = self.shop_keys.holder(key, headers.get("origin", ""))
        if holder is None:
            raise Unauthorized(401, "This key is not known here.")
        return Sender(address=address, key=holder.id, trusted=holder.is_server)

    def close(self) -> None:
        """Writes what waits, if the log takes it, then lets the log go."""
        self._closing.set()
        self._writer.join()
        self.fresh.stop()
        self.log.close()

    @property
    def is_up(self) -> bool:
        """Whether the log is of use: it can be read, and took what it was given last."""
        return self.fresh.trouble is None and self._takes

    def _refused_by_log(self, error: LogUnavailable) -> None:
        """Tells it once: whoever sent the events is told no more than that they are to send them again."""
        if str(error) != self._complaint:
            logging.getLogger(__name__).warning("%s What cannot be written is refused, or waits.", error)
        self._takes, self._complaint = False, str(error)

    def _taken_by_log(self) -> None:
        self._takes, self._complaint = True, ""

    def _tell(self, records: int | None = None) -> None:
        metrics.EVENT_LOG_UP.set(self.is_up)
        metrics.FRESH_MISSED.set(self.fresh.missed)

    def _write(self) -> None:
        """Until the end, and then until nothing waits."""
        while not (self._closing.is_set() and self._waiting.empty()):
            try:
                batch = [self._waiting.get(timeout=WAIT_SECONDS)]
            except queue.Empty:
                continue
            if self._waiting.qsize() < WRITTEN_AT_ONCE:
                self._closing.wait(GATHERED_SECONDS)
            while len(batch) < WRITTEN_AT_ONCE and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            self._append(batch)

    def _append(self, entries: list[Entry]) -> None:
        """While the log is away impressions wait, and where too many do, the newest are dropped."""
        while True:
            try:
                self.log.append(entries)
            except LogUnavailable as error:
                self._refused_by_log(error)
                if self._closing.wait(RETRY_SECONDS):
                    lost = len(entries)
                    while not self._waiting.empty():  # to wait for each of them would hold up the end
                        self._waiting.get_nowait()
                        lost += 1
                    metrics.IMPRESSIONS.labels(outcome="dropped").inc(lost)
                    logging.getLogger(__name__).warning("%d impressions are lost: %s", lost, error)
                    return
            except Exception:  # a defect, which must not end the thread: nothing would be written any more
                metrics.IMPRESSIONS.labels(outcome="dropped").inc(len(entries))
                logging.getLogger(__name__).exception("%d impressions cannot be written.", len(entries))
                return
            else:
                self._taken_by_log()
                metrics.IMPRESSIONS.labels(outcome="written").inc(len(entries))
                return


@dataclass(frozen=True)
class HttpAnswer:
    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


def answer_events(
    feedback: Feedback | None,
    request: EventsRequest,
    headers: Mapping[str, str],
    address: str,
    caller: Caller | None = None,
) -> HttpAnswer:
    """What is answered to ``/events``: 202 where something was kept, else problem details with the first reason's code.

    Args:
        feedback: None where no log is named.
        request: The events.
        headers: Of the request, lower case.
        address: Where it came from.
        caller: Who was let in, where not everybody is.
    """
    if feedback is None:
        return _problem(404, "This predictor collects no events: no event log is named.")
    try:
        answer = feedback.take(request, feedback.sender(headers, address, caller))
    except Unauthorized as error:
        return _problem(error.status, str(error), code=error.code)
    except LogUnavailable:  # why is for the predictor's own log: it names servers and folders
        detail = "The events cannot be kept just now. Send them again."
        return _problem(503, detail, code="log_unavailable", headers={"retry-after": "1"})
    if answer.accepted:
        return HttpAnswer(202, answer.model_dump())
    first, codes = answer.refused[0], {refused.code for refused in answer.refused}
    limited = codes == {"rate_limited"}
    found = _problem(
        429 if limited else 400,
        f"None of the events is kept. {first.message}",
        code=first.code,
        headers={"retry-after": "60"} if limited else None,
    )
    found.body.update(answer.model_dump())
    return found


def _problem(status: int, detail: str, *, code: str | None = None, headers: dict[str, str] | None = None) -> HttpAnswer:
    kind = {"content-type": PROBLEM.decode()}
    return HttpAnswer(status, problem(status, detail, code=code), kind | (headers or {}))
