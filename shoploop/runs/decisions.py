"""What the operator, who reaches no store, has written into the logs of promotions and candidates by a small Job.

Each decision has a word of its own that stands in its entry, so a pod that was killed behind the entry is not followed by a
second one.
"""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from shoploop.errors import NotFound
from shoploop.runs.letting_serve import SERVES_ALREADY, overtaken
from shoploop.store import Store, layout
from shoploop.versions import candidacy, promotions
from shoploop.versions.signing import Trust

VERBS = ("promote", "rollback", "candidate", "end")


def add_options(parser: argparse.ArgumentParser) -> None:
    """What a decision consists of."""
    parser.add_argument("--recommender", required=True)
    parser.add_argument("--store", required=True, help="URL of the store")
    parser.add_argument("--verb", required=True, choices=VERBS, dest="action")
    parser.add_argument("--version", help="which one, to promote or to try")
    parser.add_argument("--serving", help="the version that serves, where no promotion says so yet")
    parser.add_argument("--percent", type=int, default=0, help="share of users of a candidate")
    parser.add_argument("--shadow", action="store_true", help="the candidate answers nobody")
    parser.add_argument("--step", action="append", default=[], help="percent:minutes; may be given again")
    parser.add_argument("--number", type=int, help="of the candidacy that is to end; another one goes on")
    parser.add_argument(
        "--after", type=int, help="number of the last promotion when this was decided: a later one stands"
    )
    parser.add_argument("--run", help="whose verdict it follows: what was decided since that run was planned stands")
    parser.add_argument(
        "--waits", action="store_true", help="with candidate: one whose steps are not over yet goes on instead"
    )
    parser.add_argument("--alone", action="store_true", help="with promote: there is no candidate any more, either")
    parser.add_argument("--reason", required=True)
    parser.add_argument("--by", required=True, help="who decided: one word for a decision, however often it is tried")


def carry_out(wanted: argparse.Namespace) -> str:
    """Writes a decision into the store, unless it is there; returns what is to be told of it.

    Raises:
        NotFound: no such version, none to go back to, or none to be a candidate beside.
        SpecInvalid: the candidate serves already.
        ArtifactCorrupt, ArtifactForeign, ArtifactUnsigned, KeyUntrusted, SignatureInvalid: the version must not serve.
    """
    store, name = Store(wanted.store), wanted.recommender
    about: dict[str, Any] = {"reason": wanted.reason, "by": wanted.by}
    verbs: dict[str, Callable[[], str]] = {
        "promote": lambda: _promote(store, name, wanted, about),
        "rollback": lambda: f"{promotions.rollback(store, name, **about).version} serves again",
        "candidate": lambda: _candidate(store, name, wanted, about),
        "end": lambda: _end(store, name, wanted.number, about),
    }
    writers = {entry.by for entry in promotions.promotions(store, name)}
    writers |= {entry.by for entry in candidacy.since(store, name, 0)}
    if wanted.by in writers and not wanted.alone:
        return "it is in the store already"
    return verbs[wanted.action]()


def _overtaken(store: Store, name: str, run: str | None) -> str | None:
    """Why the version of a run was not compared with what serves now; None where it was, or nobody knows."""
    try:
        after = store.get_json(layout.run_plan(layout.run(name, run))).get("after") if run else None
    except (NotFound, ValueError, AttributeError):
        return None
    return overtaken(store, name, promotions.promotions(store, name), after=after)


def _promote(store: Store, name: str, wanted: argparse.Namespace, about: dict[str, Any]) -> str:
    if why := _overtaken(store, name, wanted.run):
        return f"{wanted.version} is not promoted: {why}"
    done = promotions.promote(store, name, wanted.version, trust=Trust.configured(), after=wanted.after, **about)
    if wanted.alone and (now := candidacy.current(store, name)) is not None:
        _end(store, name, now.number, about)
    return f"promotion {done.number}: {done.version} serves"


def _candidate(store: Store, name: str, wanted: argparse.Namespace, about: dict[str, Any]) -> str:
    if why := _overtaken(store, name, wanted.run):
        return f"{wanted.version} is not tried: {why}"
    if wanted.serving and promotions.serving_version(store, name) is None:
        by = f"{wanted.by}, before its own"  # so that the candidacy itself is still to be written
        promotions.promote(store, name, wanted.serving, reason=SERVES_ALREADY, by=by, trust=Trust.configured())
    now = candidacy.current(store, name)
    if now is not None and now.version == wanted.version:
        return f"{wanted.version} is the candidate already"
    if now is not None and wanted.waits and now.steps_over is not None and datetime.now(UTC) < now.steps_over:
        return f"{wanted.version} is not tried: {now.version} is, until {now.steps_over:%Y-%m-%d %H:%M} UTC"
    steps = tuple((int(percent), int(minutes)) for percent, _, minutes in (step.partition(":") for step in wanted.step))
    begun = candidacy.begin(
        store, name, wanted.version, percent=wanted.percent, shadow=wanted.shadow, steps=steps,
        trust=Trust.configured(), **about,
    )  # fmt: skip
    return f"candidacy {begun.number} of {begun.version} begins"


def _end(store: Store, name: str, number: int | None, about: dict[str, Any]) -> str:
    try:
        ended = candidacy.end(store, name, number=number, **about)
    except NotFound:
        if number is None:
            raise
        return "that candidacy is over already"
    return f"{ended.version} is no candidate any more"
