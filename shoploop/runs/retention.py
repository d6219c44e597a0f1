"""What of the past may go: runs, outputs of steps, versions, kept work. One rule, for a laptop, a pod and ``shoploop gc``.

A run stays while it is one of the newest, goes on, or made a version that serves or is pinned, or whose weights such a one
has. It goes on while anything of it changes: who was killed, in a pod or on a machine that is gone, says no end. Outputs of
steps stay while a young run, or one that goes on, has made or reused them, and for a week where a search of settings or a run
up to a step has: such a run is in no list. Of versions :mod:`shoploop.versions.retention` decides. Kept work stays for a week
after it was touched last (:mod:`shoploop.runs.leftovers`). What nobody here knows (a file that somebody put there) is left
alone, and a folder that holds nothing else is no run.
"""

import shutil
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shoploop.api.v1alpha1 import RetentionSpec
from shoploop.errors import NotFound
from shoploop.runs import leftovers
from shoploop.runs.planning import RUN_ID, read_plan
from shoploop.runs.record import Record, Unreadable, read_record
from shoploop.steps import STEPS, Workspace
from shoploop.store import layout
from shoploop.versions import promotions
from shoploop.versions.removal import choose_versions, remove_left, remove_version, weights_of

KEPT_WORK = 4
"""Runs whose outputs stay, so that going back to an earlier spec finds its steps done."""

KEPT_DAYS = 7
"""Days that kept work stays after it was touched last."""

ABANDONED_DAYS = 30
"""Days without a change after which a run, or one that never began, goes on no more; the steps of a run may take a
day each, and wait for a place in between."""

UNPLANNED_DAYS = 1
"""Days without a change after which outputs of a run that nobody knows go: a search of settings says whose it looks at once
these are made."""

LEFT_OF_A_RUN = ("result.json", "lineage.jsonl", "kubeflow.json")
"""What earlier versions left when a run went; the last is also the first that a run of Kubeflow has."""

OF_A_RUN = (
    *(step.output for step in STEPS.values()),
    "logs",
    *("plan.json", "report.html", "report.json", "log.txt", "events.jsonl", "pipeline.json"),
    *LEFT_OF_A_RUN,
    "run.json",
)
"""What lies in a run's folder, in the order in which it goes; the rest is somebody else's."""


@dataclass(frozen=True, kw_only=True)
class Past:
    """What would go, or has gone, and what stays for a reason that is not its age."""

    runs: tuple[str, ...] = ()
    """Oldest first."""

    outputs: tuple[str, ...] = ()
    """Runs whose steps' outputs go."""

    versions: tuple[str, ...] = ()
    """Oldest first."""

    left: tuple[str, ...] = ()
    """Versions of which only files without a manifest are there."""

    work: tuple[str, ...] = ()
    """Keys of kept work, sorted."""

    kept: Mapping[str, str]
    """Version or run to the reason why it stays."""


def choose(
    workspace: Workspace, retention: RetentionSpec, *, named: Mapping[str, str], now: datetime | None = None
) -> Past:
    """Applies the rule. Nothing is changed.

    Args:
        named: Versions that must stay whatever the promotions say, each with the reason.
        now: What kept work, and a run that goes on, is old or young by; the wall clock's where not given.
    """
    now = now or datetime.now(UTC)
    store, name = workspace.store, workspace.name
    versions = choose_versions(store, name, newest=retention.versions, named=named, now=now)
    serving = promotions.serving_version(store, name)
    wanted = {version for version in (serving, *named) if version}
    wanted |= {weights_of(store, name, version) for version in wanted}
    records = {run: _record(workspace, run) for run in _known(store.folders(layout.runs(name)))}
    runs = [run for run, record in records.items() if record or store.exists(layout.run_plan(layout.run(name, run)))]
    # renewals are many: they do not push out what they are made of
    renewals = [run for run in runs if _is_renewal(records[run])]
    trainings = [run for run in runs if run not in renewals]
    newest = [*trainings[-retention.runs :], *renewals[-retention.runs :]]
    abandoned = (now - timedelta(days=ABANDONED_DAYS)).timestamp()
    going = {run for run in runs if _goes_on(workspace, run, records[run], abandoned)}
    kept = {run: "goes on" for run in runs if run in going}
    for run in reversed(runs):
        record = records[run]
        if isinstance(record, Record) and record.version in wanted:
            wanted.discard(record.version)
            kept.setdefault(run, f"made {record.version}, which {versions.kept.get(record.version, 'is asked for')}")
    left = {run for run in records if run not in runs and _is_left(workspace, run, abandoned)}
    gone = tuple(run for run in records if run in left or (run in runs and run not in newest and run not in kept))
    youngest = (*trainings[-min(retention.runs, KEPT_WORK) :], *renewals[-min(retention.runs, KEPT_WORK) :])
    week_ago = (now - timedelta(days=KEPT_DAYS)).timestamp()
    work = leftovers.untouched(workspace, week_ago)
    plans = [layout.run(name, run) for run in going.union(youngest)] + _unlisted(workspace, work, week_ago)
    needed = going.union(youngest, *(_lent_to(workspace, key) for key in plans))
    day_ago = (now - timedelta(days=UNPLANNED_DAYS)).timestamp()
    outputs = [
        run
        for run in _known(store.folders(layout.all_outputs(name)))
        if run not in needed and (run in records or _touched(workspace, run) < day_ago)
    ]
    return Past(
        runs=gone,
        outputs=tuple(outputs),
        versions=versions.removed,
        left=versions.left,
        work=work,
        kept=versions.kept | kept,
    )


def asked_for(workspace: Workspace) -> tuple[RetentionSpec, dict[str, str]]:
    """``spec.retention`` and the pinned version of the newest run whose record can be read.

    Raises:
        NotFound: no recommender of that name has anything in this store.
    """
    name, store = workspace.name, workspace.store
    if name not in promotions.recommenders(store):
        known = ", ".join(promotions.recommenders(store)) or "none"
        raise NotFound(f"No recommender {name!r} in {store.uri}. There is: {known}.")
    for run in reversed(_known(store.folders(layout.runs(name)))):
        record = _record(workspace, run)
        if isinstance(record, Record):
            spec = record.spec.get("spec", {})
            pinned = spec.get("serving", {}).get("pinnedVersion")
            return RetentionSpec.model_validate(spec.get("retention", {})), {pinned: "is pinned"} if pinned else {}
    return RetentionSpec(), {}


def remove(workspace: Workspace, past: Past, *, named: Mapping[str, str]) -> Past:
    """Removes what was chosen; a version that was promoted in between stays.

    Returns:
        What has gone.
    """
    store, name = workspace.store, workspace.name
    for run in past.runs:
        for thing in OF_A_RUN:
            _remove(workspace, f"{layout.run(name, run)}/{thing}")
        _remove_empty(workspace.path(layout.run(name, run)))
    for run in past.outputs:
        _remove(workspace, layout.outputs(name, run))
    versions = tuple(version for version in past.versions if remove_version(store, name, version, named=named))
    left = tuple(version for version in past.left if remove_left(store, name, version))
    leftovers.remove(workspace, past.work)
    return replace(past, versions=versions, left=left)


def _known(folders: tuple[str, ...]) -> list[str]:
    return [folder for folder in folders if RUN_ID.fullmatch(folder)]


def _record(workspace: Workspace, run: str) -> Record | Unreadable | None:
    try:
        return read_record(workspace.store, layout.run(workspace.name, run), run)
    except NotFound:
        return None


def _goes_on(workspace: Workspace, run: str, record: Record | Unreadable | None, abandoned: float) -> bool:
    """A run with a plan and no record has only just begun. What is broken off on this machine is told when it is next
    looked at; a pod, or another machine, may be gone for good.

    Args:
        abandoned: Seconds since 1970; what has not changed since waits for nobody.
    """
    if isinstance(record, Unreadable) or (record is not None and record.state != "running"):
        return False
    return _touched(workspace, run) >= abandoned


def _touched(workspace: Workspace, run: str) -> float:
    """When anything of a run changed last in the store, seconds since 1970."""
    return _changed(workspace, layout.run(workspace.name, run), layout.outputs(workspace.name, run))


def _changed(workspace: Workspace, *folders: str) -> float:
    """When anything in these folders changed last in the store, seconds since 1970; 0 where nothing is there."""
    times = [facts["last_modified"].timestamp() for folder in folders for facts in workspace.store.list_facts(folder)]
    return float(max(times, default=0.0))


def _is_left(workspace: Workspace, run: str, abandoned: float) -> bool:
    """Whether a folder without record and plan holds what once belonged to a run, and none that only begins."""
    key = layout.run(workspace.name, run)
    return any(workspace.store.exists(f"{key}/{file}") for file in LEFT_OF_A_RUN) and (
        _touched(workspace, run) < abandoned
    )


def _is_renewal(record: Record | Unreadable | None) -> bool:
    return isinstance(record, Record) and record.is_renewal


def _unlisted(workspace: Workspace, work: Collection[str], before: float) -> list[str]:
    """Folders with the plans of runs that are in no list: of studies that stay, and of the last runs up to each step.

    Args:
        work: Kept work that goes.
        before: What has not changed since, seconds since 1970, waits for nobody.
    """
    name, store = workspace.name, workspace.store
    studies = [layout.study(name, study) for study in store.folders(layout.studies(name))]
    only = [layout.only(name, step) for step in STEPS]
    return [study for study in studies if study not in work] + [
        key for key in only if _changed(workspace, key) >= before
    ]


def _lent_to(workspace: Workspace, key: str) -> set[str]:
    """Runs whose outputs the one whose plan is in this folder has made or reused."""
    try:
        plan = read_plan(key, workspace)
    except NotFound:
        return set()
    return {plan.run.id, *(entry.run for entry in plan.found.values())}


def _remove(workspace: Workspace, key: str) -> None:
    """One object, or all below a folder, in the store and on this machine."""
    workspace.store.delete(key) if "." in key.rpartition("/")[2] else workspace.store.delete_folder(key)
    path = workspace.path(key)
    path.unlink(missing_ok=True) if path.is_file() else shutil.rmtree(path, ignore_errors=True)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # something is left that is not ours, or there is none
        folder.rmdir()
