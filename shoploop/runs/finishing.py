"""What is kept of a run: its outputs in one folder, the version in the store, the report; and what is no longer needed."""

import shutil
from pathlib import Path
from typing import Any

from shoploop.runs.record import Run, write_record
from shoploop.steps import STEPS
from shoploop.store import Store, disk
from shoploop.versions.signing import Trust, signer_for
from shoploop.versions.verdicts import read_verdict

KEPT_WORK = 4
"""Pipelines whose outputs stay, so that going back to an earlier spec finds its steps done."""


def finish(run: Run) -> None:
    """Collects the outputs in the run's folder, publishes the version, promotes it if the gate let it, and reports."""
    from shoploop.versions import promotions

    name = run.recommender.metadata.name
    collect(run)
    trust = Trust.configured(run.recommender.spec.signing)
    verdict = publish(run.store, name, run.folder, trust)
    run.passed, run.version = verdict["passed"], verdict["version"]
    if verdict["passed"] and promotions.serving_version(run.store, name) != run.version:
        promotions.promote(
            run.store, name, verdict["version"], reason=verdict["reason"], by=f"run {run.id}", trust=trust
        )
    write_record(run)
    write_report(run.store, run.key, run.folder)
    prune(run)


def collect(run: Run) -> None:
    """Brings into the run's folder what its steps have written; of a failed step what it left, such as failing rows."""
    for name, step in run.steps.items():
        if step.out is not None:
            # links: a run keeps its files when the work is pruned, at no cost in space
            disk.link_tree(Path(step.out), run.folder / STEPS[name].output)


def publish(store: Store, name: str, folder: Path, trust: Trust) -> dict[str, Any]:
    """Puts the version, its Bento and its verdict of the run in ``folder`` into the store, the verdict last.

    A refused version is published too, so that it can be looked at and promoted by hand; it does not serve. Both are
    signed where a key is configured.

    Raises:
        KeyUnusable, KeyUntrusted: signatures are required, and nobody here can give one; nothing was written.

    Returns:
        The gate's verdict with ``version`` and ``bento`` (sha256).
    """
    from shoploop.packaging.bento import publish_bento
    from shoploop.versions import promotions
    from shoploop.versions.verdicts import record_verdict

    signer = signer_for(trust)
    version = promotions.publish_version(store, name, folder / "model", signer=signer)
    digest = publish_bento(store, name, version, folder / "bento", signer=signer)
    gate = folder / "gate" / "gate.json"
    verdict = read_verdict(gate.read_bytes(), gate)
    record_verdict(store, name, version, verdict)
    return verdict.model_dump() | {"version": version, "bento": digest}


def write_report(store: Store, key: str, folder: Path) -> None:
    """Writes the report of the run in ``folder``, and brings what people look at into a remote store."""
    from shoploop import report

    report.build(folder)
    if store.folder is None:
        for path in sorted(folder.rglob("*")):
            if path.suffix in {".json", ".html", ".txt"} and path.is_file():
                store.put_file(f"{key}/{path.relative_to(folder).as_posix()}", path)


def prune(run: Run) -> None:
    """Removes runs beyond ``retention.runs``, oldest first, and all but the latest work that this run does not need."""
    runs = sorted((run.folder.parent).iterdir())
    for old in runs[: -run.recommender.spec.retention.runs]:
        shutil.rmtree(old)
    needed = {Path(step.out).parents[1].name for step in run.steps.values() if step.out}
    outputs = run.work / "outputs"
    folders = sorted(outputs.iterdir(), key=lambda folder: folder.stat().st_mtime) if outputs.exists() else []
    for folder in folders[:-KEPT_WORK]:
        if folder.name not in needed:
            shutil.rmtree(folder)
