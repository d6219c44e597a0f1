"""``shoploop run``: what a person sees of a run while it goes on."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic.alias_generators import to_camel
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from shoploop.cli import output
from shoploop.hints import command
from shoploop.steps import STEPS

if TYPE_CHECKING:
    from shoploop.runs import Record, Run
    from shoploop.steps import Workspace
    from shoploop.store import Store

WIDTH = max(map(len, STEPS))

QUIET_SECONDS = 15.0
"""Where there is no terminal, a step that goes on is told of no more often."""


def run_recommender(file: Path, store_override: str | None) -> None:
    """Runs the loop of one recommender.yaml and prints what became of it."""
    from shoploop import runs

    console = output.console()
    recommender = load_with_data(file)
    run, workspace = carry_out(recommender, store_override, console)
    record = runs.read_record(workspace.store, run.key, run.id)
    assert isinstance(record, runs.Record)  # it has just been written
    _summarize(console, workspace, run, record)


def load_with_data(file: Path) -> Any:
    """The recommender of a file, with its tables' relative paths made those beside the file."""
    from shoploop.api import load
    from shoploop.data import resolve_uris

    recommender = load(file)
    data = resolve_uris(recommender.spec.data, file.absolute().parent)
    return recommender.model_copy(update={"spec": recommender.spec.model_copy(update={"data": data})})


def carry_out(
    recommender: Any, store_override: str | None, console: Console, *, until: str | None = None
) -> tuple["Run", "Workspace"]:
    """Carries out what is due of a run, or of one step and what it needs, and says so on ``console``."""
    from shoploop import runs
    from shoploop.steps import Workspace

    store = runs.open_store(recommender, store_override)
    runs.check_space(store)
    run, launcher = runs.new_run(recommender, until=until), runs.ThisMachine(store)
    launcher.launch(run)
    console.print(Text.assemble((run.name, "bold"), f"  run {run.id}  ", (f"store {store.uri}", "dim")))
    if idle := _without_effect(recommender):
        console.print(f"Without effect on this machine: {', '.join(idle)}.", style="dim")
    with watching(console) as watch:
        runs.follow(launcher, run, watch)
    return run, Workspace(store, run.name)


def watching(console: Console) -> "_Watcher":
    """What tells, on ``console``, of a run that is followed."""
    return _Watcher(console)


def output_of(run: "Run", workspace: "Workspace", step: str) -> Path:
    """Where a step of a run that is done has written, on this machine."""
    from shoploop.runs import read_plan

    return workspace.output(read_plan(run.key, workspace).found[step])


def _without_effect(recommender: Any) -> list[str]:
    """What the spec asks for that only an operator carries out."""
    spec = recommender.spec
    here = [("spec", spec, name) for name in ("schedule", "renewal", "data_check", "images", "deletion_policy")]
    here += [("spec.serving", spec.serving, name) for name in ("replicas", "autoscaling")]
    return [f"{path}.{to_camel(name)}" for path, section, name in here if name in section.model_fields_set]


class _Watcher:
    """Prints a line a step, when it has ended. Of the running step a terminal shows how far it is below, and elsewhere a
    line says so from time to time."""

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic):
        self.console = console
        self.clock = clock
        self.began = self.said = 0.0
        self.live = Progress(
            SpinnerColumn(output.spinner(console)),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[what]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            # not the console's own opinion: FORCE_COLOR makes a terminal of everything
            disable=not (console.file.isatty() and console.is_interactive),
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
                self.began = self.said = self.clock()
                says = event.get("says") or STEPS[step].says
                self.task = self.live.add_task(f"{step:{WIDTH}}  {says}", total=None, what="")
            case "progress" if self.task is not None:
                what = f"{event['done']:g} of {event['total']:g} {event['what']}"
                self.live.update(self.task, completed=event["done"], total=event["total"], what=what)
                self._tell(step, what)
            case "finished":
                self._done("✓", "green", step, f"{event['seconds']:6.1f} s  {_gib(event['peak_rss_bytes'])}")
            case "warning":
                self.console.print(Text(f"! {'':{WIDTH}}  {event['message']}", style="yellow"), soft_wrap=True)
            case "reused":
                self._done("↺", "blue", step, f"unchanged, reused ({event['seconds']:.1f} s when it ran)")
            case "failed":
                self._done("✗", "red", step, "failed")  # why is said where the command ends
                self.task = self.live.add_task(f"{'':{WIDTH}}  the run's page is written", total=None, what="")
            case "interrupted":
                self.console.print("The running step is asked to end, which may take half a minute.", style="dim")

    def _tell(self, step: str, what: str) -> None:
        now = self.clock()
        if self.live.disable and now - self.said >= QUIET_SECONDS:
            self.said = now
            rest = f" {step:{WIDTH}}  {what}, after {now - self.began:.0f} s"
            self.console.print(output.marked("·", "dim", rest), soft_wrap=True)

    def _done(self, mark: str, colour: str, step: str, how: str) -> None:
        if self.task is not None:
            self.live.remove_task(self.task)
            self.task = None
        self.console.print(output.marked(mark, colour, f" {step:{WIDTH}}  {how}"), soft_wrap=True)


def _gib(amount: int) -> str:
    return f"{amount / 2**30:.2f} GiB"


def _summarize(console: Console, workspace: "Workspace", run: "Run", record: "Record") -> None:
    mark = output.marked("✓ passed", "green") if record.passed else output.marked("✗ refused", "yellow")
    console.print()
    console.print(Text.assemble("Gate      ", mark, f": {record.reason}"))
    becomes, serves = standing(workspace.store, run, record)
    console.print(f"Version   {record.version} {becomes}", soft_wrap=True)
    console.print(f"Time      {record.wall_seconds:.0f} s, peak memory {_gib(record.peak_rss_bytes)}")
    console.print(f"Report    {workspace.path(run.key) / 'report.html'}")
    next_ = f"serve {run.name}" if serves else f"report {run.name} --open"
    console.print("Next      " + command(workspace.store, next_))


def standing(store: "Store", run: "Run", record: "Record") -> tuple[str, bool]:
    """What became of the version, as the store's logs have it; and whether there is anything new to be served."""
    from shoploop.versions import candidacy, promotions

    pinned = run.recommender.spec.serving.pinned_version
    if promotions.serving_version(store, run.name) == record.version:
        return "serves", True
    now = candidacy.current(store, run.name)
    if now is not None and now.version == record.version:
        share = "in the shadow" if now.shadow else f"for {now.percent_at(datetime.now(UTC))} % of users"
        return f"is tried {share}; {promotions.serving_version(store, run.name)} serves", True
    kept = "is kept, but does not serve"
    if pinned:
        return f"{kept}: spec.serving.pinnedVersion names {pinned}", True
    return f"{kept}: {record.waits}" if record.waits else kept, record.passed is True
