"""``shoploop tune``: settings of training found by search, and the change of the YAML that they come to."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from shoploop.cli import output
from shoploop.errors import AlreadyThere, NotFound, SpecInvalid
from shoploop.store import disk

if TYPE_CHECKING:
    from rich.progress import Progress

    from shoploop.cli.tune_on_cluster import OnCluster


def tune_recommender(
    file: Path,
    store_override: str | None,
    *,
    trials: int,
    seed: int,
    timeout_seconds: float | None,
    out: Path | None,
    json_: str | None,
) -> None:
    """Makes the samples where there are none, searches, and prints what to change in the YAML."""
    from shoploop.cli.run import carry_out, load_with_data, output_of
    from shoploop.runs import read_plan
    from shoploop.store import layout
    from shoploop.tuning.search import study_digest, tune

    recommender = load_with_data(file)
    text = _changeable(file, out, recommender)
    training = recommender.spec.training
    console = output.console(stderr=json_ == "-")
    run, workspace = carry_out(recommender, store_override, console, until="build_samples")
    key = read_plan(run.key, workspace).keys["build_samples"]
    folder = workspace.path(layout.tuning(run.name, study_digest(key, training, seed=seed)))
    if "Search" in training.surfaces:
        console.print("Settings are judged by what is recommended; queries are not looked at.", style="dim")
    console.print()
    watch = _Watcher(console)
    with watch.live:
        found = tune(
            features=output_of(run, workspace, "materialize_features"),
            samples=output_of(run, workspace, "build_samples"),
            folder=folder,
            training_spec=training,
            trials=trials,
            seed=seed,
            timeout_seconds=timeout_seconds,
            told=watch.trial,
            epoch=watch.epoch,
        )
    found["study"] = str(folder)
    _propose(console, found, file, text, out, json_)


def tune_on_cluster(
    file: Path,
    asked: "OnCluster",
    *,
    trials: int,
    seed: int,
    timeout_seconds: float | None,
    out: Path | None,
    json_: str | None,
) -> None:
    """The same with pods that carry the trials out; or what they would be made of, for somebody else to begin."""
    from shoploop.api import load
    from shoploop.cli.tune_on_cluster import chosen_output, searched, study_of, write_manifests

    recommender = load(file)
    text = _changeable(file, out, recommender)
    study = study_of(recommender, asked, trials=trials, seed=seed)
    console = chosen_output(json_, asked.manifests)
    if asked.manifests is not None:
        write_manifests(study, asked, console)
        return
    found = searched(study, asked, console, timeout_seconds=timeout_seconds)
    if found is None:
        output.write_json({"study": study.id, "ended": False}, json_)
        return
    watch = _Watcher(console)
    for trial in found["trials"]:
        watch.trial(trial)
    found["study"] = study.id
    _propose(console, found, file, text, out, json_)


def _propose(
    console: Console, found: dict[str, Any], file: Path, text: str, out: Path | None, json_: str | None
) -> None:
    from shoploop.tuning.proposal import difference, proposed

    after = proposed(text, found["proposal"], source=str(file)) if found["better"] else None
    found["diff"] = difference(text, after, name=str(file)) if after is not None else ""
    _summarize(console, found)
    if after is not None and out is not None:
        disk.write_text(out, after)
        console.print(f"Written   {out}; run it: shoploop run -f {out}")
    elif out is not None:
        console.print(f"Written   nothing: {out} would be as {file} is.")
    output.write_json(found, json_)


def _changeable(file: Path, out: Path | None, recommender: Any) -> str:
    """The file's text; what could not be changed or written is told now, and not when all is searched."""
    from shoploop.tuning.proposal import check_changeable

    if out is not None:
        _check_out(file, out, recommender)
    text = file.read_text(encoding="utf-8")
    check_changeable(text, source=str(file))
    return text


def _check_out(file: Path, out: Path, recommender: Any) -> None:
    from shoploop.api import load

    if out.exists():
        raise AlreadyThere(f"{out} exists. Name another file with --out, or remove it.")
    if not out.absolute().parent.is_dir():
        raise NotFound(f"The folder {out.absolute().parent} does not exist. Make it, or name another file with --out.")
    relative = load(file).spec.data != recommender.spec.data
    if relative and out.absolute().parent.resolve() != file.absolute().parent.resolve():
        raise SpecInvalid(
            f"The tables of {file} are named relative to its folder, so a copy elsewhere would name others. "
            f"Name a file in {file.absolute().parent} with --out."
        )


class _Watcher:
    """A line a trial; on a terminal the training at work shows its epochs below."""

    def __init__(self, console: Console):
        self._console, self._best = console, float("-inf")
        self.live = _progress(console)
        self._task = self.live.add_task("", total=None)

    def epoch(self, trial: int, done: int, total: int) -> None:
        self.live.update(
            self._task, description=f"trial {trial}, {done} of {total} epochs", completed=done, total=total
        )

    def trial(self, trial: dict[str, Any]) -> None:
        words = ", ".join(f"{name} {value:g}" for name, value in trial["settings"].items())
        kept = "kept" if trial.get("kept") else f"{trial['seconds']:.1f} s"
        if trial["state"] == "pruned":
            mark, style, how = "✗", "dim", f"ended after {len(trial['losses'])} epochs"
        else:
            better = trial["value"] > self._best
            mark, style = ("✓", "green") if better else ("·", "dim")
            how = f"ndcg@10 {trial['value']:.4f}" + (" (best so far)" if better else "")
            self._best = max(self._best, trial["value"])
        which = f"{trial['number']:3}" + ("  as it is now" if trial["number"] == 0 else "")
        self._console.print(output.marked(mark, style, f" {which}  {words}: {how}  {kept}"))


def _progress(console: Console) -> "Progress":
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    return Progress(
        SpinnerColumn(output.spinner(console)),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not (console.file.isatty() and console.is_interactive),
    )


def _summarize(console: Console, found: dict[str, Any]) -> None:
    mark = output.marked("✓", "green") if found["better"] else output.marked("·", "yellow")
    console.print()
    console.print(Text.assemble("Verdict   ", mark, f" {found['verdict']}"))
    if found["timed_out"]:
        console.print(f"Time      is over after {len(found['trials'])} trials; the same command goes on from there.")
    visits = found["visits"]
    parts = (("learned_from", "learned from"), ("choosing", "chose"), ("proving", "proved"))
    console.print("Visits    " + ", ".join(f"{visits[name]['visits']} {word}" for name, word in parts))
    if found["diff"]:
        console.print("Proposal")
        console.print(found["diff"], end="")
