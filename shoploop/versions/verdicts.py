"""What the gate said of a stored version: a log of its own, since a model may be judged again under another rule.

A verdict is no part of the version, which never changes, and none of its package. It must not know how it was reached.
"""

from typing import Any

from shoploop.errors import AlreadyExists
from shoploop.store import Log, Store, layout


def record_verdict(store: Store, name: str, version: str, verdict: dict[str, Any]) -> None:
    """Adds ``verdict`` to the version's log, unless its last entry says the same.

    Args:
        verdict: ``gate.json``, with at least ``passed`` and ``reason``; more about where it came from may be in it.
    """
    log = Log(store, layout.verdicts(name, version))
    while True:
        entries = log.entries()
        last = entries[-1] if entries else {"number": 0}
        if {key: value for key, value in last.items() if key != "number"} == verdict:
            return
        try:
            log.append(verdict, after=last["number"])
        except AlreadyExists:
            continue  # another run has judged the same version meanwhile
        return


def latest_verdict(store: Store, name: str, version: str) -> dict[str, Any] | None:
    """The last thing the gate said of ``version``; None if it never judged it."""
    entries = Log(store, layout.verdicts(name, version)).entries()
    return entries[-1] if entries else None
