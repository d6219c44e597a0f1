"""``shoploop run``: what a person sees of a run while it goes on."""

import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from shoploop.hints import command
from shoploop.steps import STEPS

WIDTH = max(map(len, STEPS))


def run_recommender(file: Path, store_override: str | None) -> None:
    """Runs the loop of one recommender.yaml and prints what became of it."""
    from shoploop import runs

    console = Console(highlight=False)
    run = carry_out(load_with_data(file), store_override, console)
    runs.finish(run)
    _summarize(console, run)


def load_with_data(file: Path) -> Any:
    """The recommender of a file, with its tables' relative paths made those beside the file."""
    from shoploop.api import load
    from shoploop.data import resolve_uris

    recommender = load(file)
    data = resolve_uris(recommender.spec.data, file.absolute().parent)
    return recommender.model_copy(update={"spec": recommender.spec.model_copy(update={"data": data})})


def carry_out(recommender: Any, store_override: str | None, console: Console, *, until: str | None = None) -> Any:
    """Carries out what is due of a run, or of one step and what it needs, and says so on ``console``."""
    from shoploop import runs

    store = runs.open_store(recommender, store_override)
    runs.check_space(store)
    run = runs.plan(recommender, store, until=until)
    console.print(f"[bold]{recommender.metadata.name}[/]  run {run.id}  [dim]store {store.uri}[/]")
    with _Watcher(console) as watch:
        runs.execute(run, watch)
    return run


class _Watcher:
    """Prints a line a step; on a terminal the running step shows its progress below."""

    def __init__(self, console: Console):
        self.console = console
        self.live = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[what]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not sys.stdout.isatty(),
        )
        self.task: TaskID | None = None

    def __enter__(self) -> "_Watcher":
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def __call__(self, event: dict[str, Any]) -> None:
        step = event.get("step", "")
        match event["kind"]:
            case "started":
                self.task = self.live.add_task(f"{step:{WIDTH}}  {STEPS[step].says}", total=None, what="")
                if self.live.disable:
                    self.console.print(f"… {step:{WIDTH}}  {STEPS[step].says}", style="dim")
            case "progress" if self.task is not None:
                what = f"{event['done']:g} of {event['total']:g} {event['what']}"
                self.live.update(self.task, completed=event["done"], total=event["total"], what=what)
                if self.live.disable:
                    self.console.print(f"  {'':{WIDTH}}  {what}", style="dim")
            case "finished":
                self._done(f"[green]✓[/] {step:{WIDTH}}  {event['seconds']:6.1f} s  {_gib(event['peak_rss_bytes'])}")
            case "reused":
                self._done(f"[blue]↺[/] {step:{WIDTH}}  unchanged, reused ({event['seconds']:.1f} s when it ran)")
            case "failed":
                self._done(f"[red]✗[/] {step:{WIDTH}}  {event['error']}")

    def _done(self, line: str) -> None:
        if self.task is not None:
            self.live.remove_task(self.task)
            self.task = None
        self.console.print(line)


def _gib(amount: int) -> str:
    return f"{amount / 2**30:.2f} GiB"


def _summarize(console: Console, run: Any) -> None:
    import json

    verdict = json.loads((run.folder / "gate" / "gate.json").read_bytes())
    name = run.recommender.metadata.name
    mark = "[green]✓ passed[/]" if run.passed else "[yellow]✗ refused[/]"
    console.print()
    console.print(f"Gate      {mark}: {verdict['reason']}")
    console.print(f"Version   {run.version} {'serves' if run.passed else 'is kept, but does not serve'}")
    console.print(f"Time      {run.wall_seconds:.0f} s, peak memory {_gib(run.peak_rss_bytes)}")
    console.print(f"Report    {run.folder / 'report.html'}", soft_wrap=True)
    console.print(
        "Next      " + command(run.store, f"serve {name}" if run.passed else f"report {name} --open"), soft_wrap=True
    )
