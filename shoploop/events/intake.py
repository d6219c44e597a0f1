"""Which of the events that come in are kept, and why the others are not.

An attributed event presents the signed impression of the answer that it is about; an organic one comes with a key. An entry's
id is made of what the event is about, so that a retry, a replay under another id and a second predictor that gets the same
event all write it once. It must not know of HTTP.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from shoploop.events.day_counts import DayCounts
from shoploop.events.impressions import VALID_SECONDS, ImpressionRefused, Signatures
from shoploop.events.log import Entry, EventLog
from shoploop.events.messages import Event, EventsAnswer, Kept, Refused, to_json
from shoploop.schemas import POSITIVE_KINDS

FUTURE = timedelta(minutes=5)
"""That a clock of a shop's may go ahead of ours."""

PAST = timedelta(seconds=VALID_SECONDS)
"""An event that took longer to come is no feedback: load it as data. So long the log knows what has come already."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much one shopper, one item and one address may say."""

    per_user_and_minute: int = 300
    per_address_and_minute: int = 6000
    per_user_item_and_day: int = 20
    """Of events of one kind: what is said more often counts no more. But for sales that the shop's own server tells: guests
    who buy the same share an id, and each of their purchases is one that the shop's tables will name too."""

    pieces: int = 100
    """Of one event that the shop's own server does not vouch for: what is more counts as so many."""


@dataclass(frozen=True, kw_only=True)
class Sender:
    """Who sends events."""

    address: str
    key: str | None = None
    """Id of the key that was presented; None where there was none, so that only attributed events are taken."""

    trusted: bool = False
    """It is the shop's own server: its addresses and users are not limited, since it speaks for many."""


class Intake:
    """The way into the log."""

    def __init__(
        self,
        log: EventLog,
        signatures: Signatures,
        *,
        limits: Limits | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ):
        self.limits = limits or Limits()
        self.codes: Counter[str] = Counter()
        """What became of the events since the start, by code."""

        self._log = log
        self._signatures = signatures
        self._clock = clock
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._today = DayCounts(clock)

    def take(self, events: Sequence[Event], sender: Sender) -> EventsAnswer:
        """Keeps what may be kept; returns when that is durable.

        Raises:
            LogUnavailable: nothing of it is certain to be kept; the whole may be sent again.
        """
        now = self._clock()
        refused: list[Refused] = []
        entries: list[Entry] = []
        abouts: list[tuple[str, ...] | None] = []
        most = self.limits.per_user_item_and_day
        for index, event in enumerate(events):
            about: tuple[str, ...] = ("i", event.user, event.kind, event.item or event.query or "")
            kept = self._judged(event, sender, now)
            counts = not (sender.trusted and event.kind in POSITIVE_KINDS)
            if counts and not isinstance(kept, _No) and self._today.seen(about) + abouts.count(about) >= most:
                kept = _No("too_often", f"More of one user, item and kind than {most} a day is not counted.")
            if isinstance(kept, _No):
                refused.append(Refused(index=index, code=kept.code, message=kept.message))
            else:
                entries.append(Entry(_entry_id(event, kept, sender), to_json(kept)))
                abouts.append(about if counts else None)
        known = 0
        if entries:
            end, new = self._log.end(), set[int]()
            for counted, offset in zip(abouts, self._log.append(entries), strict=True):
                if offset <= end or offset in new:
                    known += 1
                else:  # only what is kept counts: to send again what a log that was away did not take is no offence
                    if counted is not None:
                        self._today.add(counted)
                    new.add(offset)
        self.codes.update(each.code for each in refused)
        self.codes.update(accepted=len(entries) - known, known=known)
        return EventsAnswer(accepted=len(entries), known=known, refused=refused)

    def _judged(self, event: Event, sender: Sender, now: datetime) -> "Kept | _No":
        time = event.time or now  # in whatever zone: at the calendar's ends there is no other that it could be told in
        if time > now + FUTURE:
            ahead = (time - now).total_seconds()
            return _No(
                "time_in_future",
                f"{time.isoformat()} is {ahead:.0f} s later than it is here, {now.isoformat()}: the sender's clock is ahead, "
                "or this predictor's is behind. Set both by NTP; an event without a time has the predictor's.",
            )
        if time < now - PAST:
            return _No("time_too_old", f"{time.isoformat()} is more than {PAST.days} days ago: load it as data.")
        time = time.astimezone(UTC)
        if not sender.trusted:  # a price would enter what everybody's answers are made of, and anybody may write one
            pieces = event.quantity and min(event.quantity, self.limits.pieces)
            event = event.model_copy(update={"price": None, "quantity": pieces})
        kept = self._attributed(event, time, now) if event.impression else self._organic(event, sender, time, now)
        return kept if isinstance(kept, _No) else self._within_rates(event, sender) or kept

    def _attributed(self, event: Event, time: datetime, now: datetime) -> "Kept | _No":
        assert event.impression
        try:
            shown = self._signatures.read(event.impression)
        except ImpressionRefused as error:
            return _No(error.code, str(error))
        if not self._signatures.is_of(event.impression, shown, event.user):
            return _No("impression_of_another", "The impression was answered to another user.")
        if shown.shops:  # a shop may be called as an item is
            return _No(
                "impression_of_shops",
                "The impression shows shops. What comes of it is told by a purchase that names its shop, without it.",
            )
        position = shown.position(event.item) if event.item else None
        if position is None:
            return _No("item_not_shown", "The impression does not show this item.")
        return _kept(
            event,
            time,
            now,
            source="attributed",
            request_id=shown.request_id,
            version=shown.version,
            position=position,
            propensity=shown.propensities[position],
        )

    def _organic(self, event: Event, sender: Sender, time: datetime, now: datetime) -> "Kept | _No":
        if sender.key is None:
            return _No("key_missing", "Send the impression that showed the item, or a key of the shop's.")
        if event.kind == "click":
            return _No("impression_missing", "A click is on something that was recommended: send its impression.")
        return _kept(event, time, now, source="organic", query=event.query, key=sender.key)

    def _within_rates(self, event: Event, sender: Sender) -> "_No | None":
        if sender.trusted:
            return None
        for most, whose, name in (
            (self.limits.per_address_and_minute, "address", sender.address),
            (self.limits.per_user_and_minute, "user", event.user),
        ):
            if not self._limiter.hit(RateLimitItemPerMinute(most), whose, name):
                return _No("rate_limited", f"More than {most} events a minute of one {whose}. Send it again later.")
        return None


@dataclass(frozen=True)
class _No:
    code: str
    message: str


def _kept(event: Event, time: datetime, now: datetime, **more: Any) -> Kept:
    said = event.model_dump(include={"kind", "user", "item", "shop", "quantity", "price"})
    return Kept(**said, time=time, received=now, **more)


def _entry_id(event: Event, kept: Kept, sender: Sender) -> str:
    """Of an attributed event: one of a kind for an item of an answer. Of an organic one: as its sender says, whose ids cannot
    take the place of another sender's. The shop's own server is one sender, whichever of its keys it uses."""
    if kept.source == "attributed":
        kind, parts = "a", [kept.request_id, kept.kind, kept.item]
    else:
        kind, parts = "o", ["server" if sender.trusted else f"key {sender.key}", kept.user, event.id]
    return f"{kind}:{blake2b(chr(0).join(map(str, parts)).encode(), digest_size=20).hexdigest()}"
