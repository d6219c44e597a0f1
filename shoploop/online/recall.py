"""Answers from before the records that are learned from, read for what comes of them: a version's data end amid visits, and
what was shown before is clicked, put into carts and bought after.

Nothing else of these records counts: what was done in them is what the version was trained on.
"""

from collections.abc import Callable

from shoploop.events.log import EventLog
from shoploop.events.messages import Shown, from_json, is_impression
from shoploop.online.joiner import Joiner

RECORDS = 1_000_000
"""Read before the first that is learned from, at most: a week of one or two a second. Ten seconds of a learner's start."""

READ = 2_048


def recall(log: EventLog, joiner: Joiner, *, start: int, beat: Callable[[], None] = lambda: None) -> None:
    """Lets a joiner know the answers among the records up to ``start`` that the log still holds.

    Args:
        log: What shoppers did.
        joiner: One that has taken no record yet.
        start: Offset of the last record before those that it takes.
        beat: Called again and again.

    Raises:
        LogUnavailable: the log does not answer.
    """
    at = max(log.begin(), start - RECORDS)
    while at < start:
        beat()
        records = log.read(at, limit=min(READ, start - at))
        for record in records:
            if record.offset <= start and is_impression(record.body):
                _recall(joiner, record.body)
        at = records[-1].offset if records else start


def _recall(joiner: Joiner, body: bytes) -> None:
    try:
        message = from_json(body)
    except ValueError:  # not learned from, and so no dead letter
        return
    if isinstance(message, Shown):
        joiner.recall(message)
