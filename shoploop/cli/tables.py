"""Runs, versions and reports as tables for a terminal."""

import webbrowser

from rich.table import Table

from shoploop.cli.output import console, one_line, print_table
from shoploop.errors import NotFound
from shoploop.hints import command
from shoploop.store import Store, layout


def print_runs(store: Store, name: str) -> None:
    from shoploop.runs import Unreadable, is_broken_off, list_runs

    table = Table(box=None)
    for title in ("run", "where", "started", "state", "done / reused", "wall", "memory", "version", "gate"):
        table.add_column(title, no_wrap=title != "state")
    links = []
    for record in list_runs(store, name):
        if isinstance(record, Unreadable):
            table.add_row(one_line(record.run), "-", "-", one_line(f"unreadable ({record.why})"))
            continue
        states = [step.state for step in record.steps]
        if record.link:
            links.append((record.run, record.link))
        table.add_row(
            one_line(record.run),
            one_line(record.launcher),
            f"{record.started:%Y-%m-%d %H:%M:%S}",
            "broken off" if is_broken_off(store, record) else record.state,
            f"{states.count('done')} / {states.count('reused')}",
            f"{record.wall_seconds:.0f} s",
            f"{record.peak_rss_bytes / 2**30:.2f} GiB",
            one_line(record.version or "-"),
            {True: "passed", False: "refused", None: "not reached"}[record.passed],
        )
    print_table(console(), table)
    for run, link in links:
        print(one_line(f"{run} in Kubeflow: {link}"))


def print_log(store: Store, name: str, run: str) -> None:
    from shoploop.runs.step_log import read_logs

    for line in read_logs(store, name, run):
        print(one_line(line))


def print_versions(store: Store, name: str) -> None:
    from shoploop.versions import promotions
    from shoploop.versions.signing import Trust
    from shoploop.versions.stored import signed_by
    from shoploop.versions.verdicts import answers, latest_verdict

    table = Table(box=None)
    for title in ("version", "serves", "since", "parent", "gate", "signed by", "metrics"):
        table.add_column(title, no_wrap=title != "metrics")
    trust = Trust.configured()
    for version in promotions.versions(store, name):
        judged = latest_verdict(store, name, version.id)
        numbers = {key: value for key, value in version.metrics.items() if isinstance(value, float)}
        table.add_row(
            version.id,
            "yes" if version.serving else "",
            version.promoted or "-",
            one_line(version.lineage.get("parent") or "-"),
            "-" if judged is None else one_line(_said(judged.passed, answers(judged))),
            one_line(signed_by(store, name, version.id, trust)),
            one_line(", ".join(f"{key} {value:.4f}" for key, value in numbers.items())),
        )
    print_table(console(), table)


def _said(passed: bool, answers: str | None) -> str:
    return f"{'passed' if passed else 'refused'}: {answers}" if answers else "passed" if passed else "refused"


def print_report(store: Store, name: str, *, run: str | None, show: bool) -> None:
    from shoploop.runs import list_runs

    records = [record for record in list_runs(store, name) if run in (None, record.run)]
    if not records:
        raise NotFound(f"Recommender {name!r} has no run {run!r}. `{command(store, f'runs {name}')}` lists them.")
    key = layout.run_report(layout.run(name, records[0].run))
    if not store.exists(key):
        raise NotFound(f"Run {records[0].run} has no report: it did not reach its end. Run it again.")
    path = store.path(key)
    print(path or store.url(key))
    if show:
        webbrowser.open(store.url(key))
