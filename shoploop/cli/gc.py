"""``shoploop gc``: says what spec.retention lets go, and removes it."""

from dataclasses import asdict

from shoploop.cli import output
from shoploop.runs.launchers.this_machine import alone
from shoploop.runs.retention import Past, asked_for, choose, remove
from shoploop.steps import Workspace
from shoploop.store import Store


def collect(
    store: Store, name: str, *, dry_run: bool, runs: int | None, versions: int | None, target: str | None
) -> None:
    """Removes what is beyond the retention that the newest run had, or that is asked for here.

    Raises:
        NotFound: no such recommender.
        AnotherRun: a run of it goes on here, whose work must not be touched.
    """
    workspace = Workspace(store, name)
    retention, named = asked_for(workspace)
    asked = {key: value for key, value in (("runs", runs), ("versions", versions)) if value is not None}
    retention = retention.model_copy(update=asked)
    if dry_run:
        past = choose(workspace, retention, named=named)
    else:
        with alone(workspace):
            past = remove(workspace, choose(workspace, retention, named=named), named=named)
    if target is not None:
        output.write_json(asdict(past) | {"dry_run": dry_run}, target)
    if target != "-":
        _print(past, dry_run=dry_run)


def _print(past: Past, *, dry_run: bool) -> None:
    console = output.console()
    verb = "would go" if dry_run else "is removed"
    work = tuple(key.partition("/work/")[2] for key in past.work)
    gone = [("run", past.runs), ("outputs of run", past.outputs), ("version", past.versions)]
    gone += [("what is left of version", past.left), ("kept work", work)]
    for what, names in gone:
        for name in names:
            console.print(f"{what} {name} {verb}")
    for name, why in past.kept.items():
        console.print(f"{name} stays: it {why}")
    if not any(names for _, names in gone):
        console.print("Nothing is beyond spec.retention.")
