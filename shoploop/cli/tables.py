"""Runs, versions and reports as tables for a terminal."""

import webbrowser

from rich.console import Console
from rich.table import Column, Table

from shoploop.errors import NotFound
from shoploop.store import Store, layout


def print_runs(store: Store, name: str) -> None:
    from shoploop.runs import Unreadable, list_runs

    table = Table(Column("run", no_wrap=True), box=None)
    for title in ("where", "started", "state", "done / reused", "wall", "memory", "version", "gate"):
        table.add_column(title)
    for record in list_runs(store, name):
        if isinstance(record, Unreadable):
            table.add_row(record.run, "-", "-", f"unreadable ({record.why})")
            continue
        states = [step.state for step in record.steps]
        table.add_row(
            record.run,
            record.launcher,
            f"{record.started:%Y-%m-%d %H:%M:%S}",
            record.state,
            f"{states.count('done')} / {states.count('reused')}",
            f"{record.wall_seconds:.0f} s",
            f"{record.peak_rss_bytes / 2**30:.2f} GiB",
            record.version or "-",
            {True: "passed", False: "refused", None: "not reached"}[record.passed],
        )
    Console(highlight=False).print(table)


def print_versions(store: Store, name: str) -> None:
    from shoploop.versions import promotions
    from shoploop.versions.signing import Trust
    from shoploop.versions.stored import signed_by
    from shoploop.versions.verdicts import latest_verdict

    table = Table("version", "serves", "since", "parent", "gate", "signed by", "metrics", box=None)
    trust = Trust.configured()
    for version in promotions.versions(store, name):
        judged = latest_verdict(store, name, version.id)
        numbers = {key: value for key, value in version.metrics.items() if isinstance(value, float)}
        table.add_row(
            version.id,
            "yes" if version.serving else "",
            version.promoted or "-",
            version.lineage.get("parent") or "-",
            "-" if judged is None else "passed" if judged.passed else "refused",
            signed_by(store, name, version.id, trust),
            ", ".join(f"{key} {value:.4f}" for key, value in numbers.items()),
        )
    Console(highlight=False).print(table)


def print_report(store: Store, name: str, *, run: str | None, show: bool) -> None:
    from shoploop.runs import list_runs

    records = [record for record in list_runs(store, name) if run in (None, record.run)]
    if not records:
        raise NotFound(f"Recommender {name!r} has no run {run!r}. `shoploop runs {name}` lists them.")
    key = layout.run_report(layout.run(name, records[0].run))
    if not store.exists(key):
        raise NotFound(f"Run {records[0].run} has no report: it did not reach its end. Run it again.")
    path = store.path(key)
    print(path or store.url(key))
    if show:
        webbrowser.open(store.url(key))
