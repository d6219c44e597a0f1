"""What the gate said of a stored version: a log of its own, since a model may be judged again under another rule.

A verdict is no part of the version, which never changes, and none of its package. Who packages, publishes or promotes a
version asks here. What does not hold a true or a false boolean is no verdict: it is refused, and never counts as passed.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from shoploop.errors import AlreadyExists, ArtifactForeign
from shoploop.store import Log, Store, layout

BY_RUN = "run"
"""In an entry: the run that came to it first; those of earlier versions have none."""


FALLS_BACK = "falls_back"
"""In a verdict that let a version serve in part: the surfaces that its model must not answer, and what does."""


class Verdict(BaseModel):
    """Whether a version may serve, by which rule, and why; the numbers that it was decided on stand beside."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    passed: bool
    rule: Literal["NotWorse", "Better", "Always"]
    reason: str


def falls_back_by(verdict: Verdict) -> dict[str, str]:
    """The surfaces that a version must not answer by its model by this verdict, and the simple method that does. None of one
    that was refused, as it serves only where somebody decides so by hand, and of one that passed as a whole."""
    found = (verdict.model_extra or {}).get(FALLS_BACK)
    return {str(surface): str(method) for surface, method in found.items()} if isinstance(found, dict) else {}


def answers(verdict: Verdict) -> str | None:
    """By surface what answers, where the gate did not let the model everywhere; None where it did, or refused the version."""
    fallen = falls_back_by(verdict)
    judged = (verdict.model_extra or {}).get("surfaces") or fallen
    return ", ".join(f"{name} by {fallen.get(name, 'model')}" for name in judged) if fallen else None


def falls_back(store: Store, name: str, version: str) -> dict[str, str]:
    """The same by the last verdict that let the version serve: a later refusal takes nothing away from one that serves, and
    gives it nothing."""
    for entry in reversed(Log(store, layout.verdicts(name, version)).entries()):
        if entry.get("passed") is True or entry.get(FALLS_BACK):
            return falls_back_by(Verdict.model_construct(**entry))
    return {}


def read_verdict(body: bytes, where: object) -> Verdict:
    """The verdict that ``body``, the JSON of the file or key ``where``, holds.

    Raises:
        ArtifactForeign: it holds none.
    """
    try:
        return Verdict.model_validate_json(body)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'the whole'}: {p['msg']}" for p in error.errors())
        raise ArtifactForeign(
            f"{where} holds no verdict of the gate ({problems}). Run `shoploop run` again."
        ) from error


def record_verdict(store: Store, name: str, version: str, verdict: Verdict, *, run: str | None = None) -> None:
    """Adds ``verdict`` to the version's log, unless the last entry says the same.

    Args:
        run: The run whose gate said so.
    """
    log = Log(store, layout.verdicts(name, version))
    document = verdict.model_dump(mode="json")
    while True:
        entries = log.entries()
        if entries and _said(entries[-1]) == document:
            return
        try:
            log.append(document | ({BY_RUN: run} if run else {}), after=entries[-1]["number"] if entries else 0)
        except AlreadyExists:
            continue  # another run has judged the same version meanwhile
        return


def was_said_before(store: Store, name: str, version: str, *, run: str) -> bool:
    """Whether the verdict that was recorded for a run is one that an earlier run had come to, word for word."""
    entries = Log(store, layout.verdicts(name, version)).entries()
    own = next((at for at, entry in enumerate(entries) if entry.get(BY_RUN) == run), None)
    return own is None or any(_said(entry) == _said(entries[own]) for entry in entries[:own])


def _said(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in ("number", BY_RUN)}


def latest_verdict(store: Store, name: str, version: str) -> Verdict | None:
    """The last thing the gate said of ``version``; None if it never judged it.

    Raises:
        ArtifactForeign: what is kept is no verdict.
    """
    keys = [key for key in store.list(f"{layout.verdicts(name, version)}/") if key.endswith(".json")]
    return read_verdict(store.get(keys[-1]), store.url(keys[-1])) if keys else None
