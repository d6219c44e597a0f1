"""What follows from a run's verdict: its version serves, is tried beside the one that serves, or is kept, and why.

A verdict acts once. What somebody decided after the run was planned stands, since the gate did not compare with that, and so
does what was decided after the gate had said the very same in an earlier run: who rolls back is not overruled by the next
run, which finds nothing new. Only a pin is a state and not a moment. This module must not know how a version is made.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from shoploop.api.pod_result import VersionMade
from shoploop.api.serving import CandidateSpec
from shoploop.errors import NotFound
from shoploop.hints import command
from shoploop.runs.planning import Plan
from shoploop.store import Store
from shoploop.versions import candidacy, promotions
from shoploop.versions.candidacy import Candidacy
from shoploop.versions.promotions import Promotion
from shoploop.versions.signing import Trust
from shoploop.versions.verdicts import was_said_before

PINNED = "spec.serving.pinnedVersion names it"
"""Why a pinned version was promoted: once the pin is gone it is no decision that stands."""

SERVES_ALREADY = "it serves already"
"""Why an entry says what is so: nobody decided anything by it."""


def let_serve(store: Store, plan: Plan, made: VersionMade, *, trust: Trust) -> str | None:
    """Lets the version that a run made serve or be tried first, if it passed, or else the pinned one.

    A run that was killed behind its own entry and goes on adds no second one.

    Returns:
        Why a version that passed neither serves nor is tried; None where it does, or did not pass.

    Raises:
        NotFound: the version was removed meanwhile.
        ArtifactCorrupt, ArtifactForeign, ArtifactUnsigned, KeyUntrusted, SignatureInvalid: it must not serve.
    """
    name, by = plan.run.name, f"run {plan.run.id}"
    history = promotions.promotions(store, name)
    serving = history[-1].version if history else None
    pinned = plan.run.recommender.spec.serving.pinned_version
    if pinned:
        if serving != pinned:
            promotions.promote(store, name, pinned, reason=PINNED, by=by, trust=trust)
        return None
    if not made.passed or made.version == serving:
        return None
    tried = candidacy.since(store, name, 0)
    if by in {*(entry.by for entry in history), *(entry.by for entry in tried)}:
        return None
    asked, now = plan.run.recommender.spec.serving.candidate, candidacy.current(store, name)
    tries = serving is not None and asked is not None and (asked.shadow or asked.percent or asked.steps)
    if tries and now is not None and now.version == made.version:
        return None
    by_hand = f"`{command(store, f'promote {name} {made.version}')}` lets it serve all the same."
    if why := overtaken(store, name, history, after=plan.after):
        return f"{why} Run again. {by_hand}"
    known = made.version in {*(entry.version for entry in history), *(entry.version for entry in tried)}
    unpinned = bool(history) and history[-1].reason == PINNED
    if known and not unpinned and was_said_before(store, name, made.version, run=plan.run.id):
        return f"The gate said the very same of it before, and what was decided since stands. {by_hand}"
    if asked is not None and tries:
        return _let_try(store, name, made, asked, now, by=by, trust=trust, by_hand=by_hand)
    last = history[-1].number if history else 0
    done = promotions.promote(store, name, made.version, reason=made.reason, by=by, trust=trust, after=last)
    return None if done.version == made.version else f"{_decided(done)} at that moment. Run again. {by_hand}"


def _let_try(
    store: Store, name: str, made: VersionMade, asked: CandidateSpec, before: Candidacy | None, *, by: str, trust: Trust,
    by_hand: str,
) -> str | None:  # fmt: skip
    """Lets it be the candidate, unless the one before is still on its way: else one that takes longer than the time between
    two runs would never arrive."""
    over = before.steps_over if before is not None else None
    if before is not None and over is not None and datetime.now(UTC) < over:
        end = command(store, f"candidate {name} --end")
        return (
            f"{before.version} is tried until {over:%Y-%m-%d %H:%M} UTC, and a run after that may begin another: `{end}` "
            f"ends it now. {by_hand}"
        )
    steps = tuple((step.percent, step.minutes) for step in asked.steps)
    candidacy.begin(
        store, name, made.version, percent=asked.percent or 0, shadow=asked.shadow, steps=steps, reason=made.reason,
        by=by, trust=trust,
    )  # fmt: skip
    return None


def overtaken(store: Store, name: str, history: Sequence[Promotion], *, after: int | None) -> str | None:
    """Why a version was not compared with what serves now; None where it was. A renewal since is no reason, as by its weights
    it was judged, and a pin that is gone is none.

    Args:
        history: The promotions, oldest first.
        after: Number of the last one when the run was planned, 0 for none; None where nobody knows.
    """
    decided = [entry for entry in history if entry.reason != SERVES_ALREADY]
    since = [entry.version for entry in decided if after is not None and entry.number > after]
    planned = [entry.version for entry in history if entry.number == after]
    if (
        not since
        or history[-1].reason == PINNED
        or (planned and len({_weights(store, name, version) for version in planned + since}) == 1)
    ):
        return None
    return f"{_decided(history[-1])} while it was made, and it was not compared with that."


def _weights(store: Store, name: str, version: str) -> str:
    """The version whose weights a version has."""
    try:
        return str(promotions.lineage_of(store, name, version).get("weights_of") or version)
    except NotFound:
        return version


def _decided(last: Promotion) -> str:
    how = "was rolled back to" if last.action == "rollback" else "was promoted"
    return f"{last.version} {how} by {last.by} ({last.reason})"
