"""A search of settings by pods that share nothing but the store: ``python -m shoploop.runs tune ...``.

Each pod carries out one trial, or gathers what all came to. The first that comes makes the samples, as the steps of a run
do, and says in the store which they are; all others look at the same, also where the data have grown meanwhile. It must not
know who begins the pods, Katib or an indexed Job.
"""

import argparse
import json
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from shoploop.errors import AlreadyExists, NotFound, ShoploopError, SpecInvalid
from shoploop.runs.planning import Plan, Run, make_plan, new_run
from shoploop.runs.pod import inputs_of, settings_in
from shoploop.steps import STEPS, Workspace, run_step
from shoploop.store import layout

VERB = "tune"
INDEX_VARIABLE = "JOB_COMPLETION_INDEX"
"""Number of an indexed Job's pod."""

LAST = "build_samples"
"""The step that makes what a study looks at."""

KIND = "study"
"""Of the line that tells what a study came to."""

Say = Callable[[str], None]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}")


def say_at_once(line: str) -> None:
    """Katib's collector reads along, and may end a trial that falls behind."""
    print(line, flush=True)


class StudyOutdated(ShoploopError):
    """What a study began with is not there any more: its samples would be made of other data or by other code, or somebody
    goes on with it by another seed."""

    exit_code = 2


def add_options(parser: argparse.ArgumentParser) -> None:
    """What ``tune`` takes beside a spec, a store and where the data lie."""
    parser.add_argument("--study", required=True, help="id of the study")
    parser.add_argument("--seed", type=int, default=0, help="of the search")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--trial", help="carry out the trial of this name, with --set")
    what.add_argument("--drawn", action="store_true", help=f"carry out trial number {INDEX_VARIABLE}")
    what.add_argument("--conclude", action="store_true", help="gather what the trials came to")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=NUMBER", help="a setting of the trial")


def carry_out(asked: argparse.Namespace, workspace: Workspace, recommender: Any, say: Say = say_at_once) -> None:
    """Does what the options say.

    Args:
        say: Given each line of the pod's log.

    Raises:
        SpecInvalid: the settings are none.
        StudyOutdated: see there.
        TooFewEvents: too few visits to search by.
        NotFound: there is nothing to gather.
    """
    from shoploop.tuning import katib
    from shoploop.tuning.search import SeparateTrials

    name, study = recommender.metadata.name, asked.study
    for word in (study, asked.trial or study):
        if not _NAME.fullmatch(word):
            raise SpecInvalid(f"{word!r} is no name of a study or a trial: letters, digits, dots and dashes are.")
    _begun(workspace, name, study, asked.seed)
    trials = _kept(workspace, name, study) if asked.conclude else []
    number = _number() if asked.drawn else 0
    trial = f"{number:05}" if asked.drawn else asked.trial
    if trial is not None and workspace.store.exists(key := layout.study_trial(name, study, trial)):
        say(katib.told(workspace.store.get_json(key)["value"]))
        return
    given = None if asked.drawn or asked.conclude else settings_of_words(asked.set)
    plan = samples_of(workspace, recommender, study, say, seed=asked.seed)
    separate = SeparateTrials(
        features=workspace.output(plan.found["materialize_features"]),
        samples=workspace.output(plan.found[LAST]),
        folder=workspace.path(layout.temporary(name)) / f"study-{study}-{trial or 'found'}",
        training_spec=recommender.spec.training,
        seed=asked.seed,
    )
    if asked.conclude:
        found = separate.conclude(trials)
        workspace.store.put(layout.study_found(name, study), json.dumps(found).encode())
        say(json.dumps({"kind": KIND, **found}))
        return
    done = separate.trial(separate.drawn(number) if given is None else given, lambda value: say(katib.told(value)))
    try:
        workspace.store.put_if_absent(layout.study_trial(name, study, trial), json.dumps(done).encode())
    except AlreadyExists:
        say(f"Trial {trial} was carried out by another pod, too, and that one counts.")
    say(katib.told(done["value"]))


def samples_of(workspace: Workspace, recommender: Any, study: str, say: Say, *, seed: int = 0) -> Plan:
    """The plan whose samples the study looks at; they are made where they are not there.

    Args:
        seed: Of the search, by which visits are parted; kept with the plan.

    Raises:
        StudyOutdated: they are gone, and would be made of other data or by other code; or the study has another seed.
    """
    plan = _kept_plan(workspace, recommender, study, seed)
    if plan is not None and not plan.due:
        return plan
    made = _made(make_plan(new_run(recommender, until=LAST), workspace), workspace, say)
    if plan is None:
        try:
            key = layout.study_plan(recommender.metadata.name, study)
            workspace.store.put_if_absent(key, json.dumps(made.as_json() | {"seed": seed}, indent=1).encode())
            return made
        except AlreadyExists:
            plan = _kept_plan(workspace, recommender, study, seed)
    if plan is None or plan.seen_again(workspace).due:
        raise StudyOutdated(
            f"The samples of study {study} are gone, and the data or the code that made them are others now. Begin another "
            "study: leave --study out."
        )
    return plan.seen_again(workspace)


def settings_of_words(words: Iterable[str]) -> dict[str, float | int]:
    """``name=number`` as settings.

    Raises:
        SpecInvalid: a word is none, or a setting is missing.
    """
    from shoploop.tuning.settings import SEARCHED

    given = dict(word.partition("=")[::2] for word in words)
    try:
        found = {name: float(given[name]) for name in SEARCHED}
    except (KeyError, ValueError) as error:
        raise SpecInvalid(f"A trial needs a number for each of {', '.join(SEARCHED)}, by --set NAME=NUMBER.") from error
    return {name: int(value) if name == "epochs" else value for name, value in found.items()}


def _number() -> int:
    text = os.environ.get(INDEX_VARIABLE, "")
    if not text.isdecimal():
        raise SpecInvalid(f"{INDEX_VARIABLE} is {text!r}: --drawn is for the pods of an indexed Job.")
    return int(text)


def _kept(workspace: Workspace, name: str, study: str) -> list[dict[str, Any]]:
    """The trials that ended well, by their names."""
    store, folder = workspace.store, layout.study_trials(name, study)
    keys = sorted(store.list(folder))
    if not keys:
        raise NotFound(f"No trial of study {study} has ended well in the last week. Look into a trial's log for why.")
    return [{"name": Path(key).stem} | store.get_json(key) for key in keys]


def _kept_plan(workspace: Workspace, recommender: Any, study: str, seed: int) -> Plan | None:
    kept = _begun(workspace, recommender.metadata.name, study, seed)
    if kept is None:
        return None
    run = Run(id=kept["run"], recommender=recommender, until=LAST, serving=kept["serving"])
    return Plan(
        run=run, source=kept["source"], incumbent=kept["incumbent"], keys=kept["keys"], collected=kept["collected"]
    ).seen_again(workspace)


def _begun(workspace: Workspace, name: str, study: str, seed: int) -> dict[str, Any] | None:
    """What was kept when the study began; None where it does now.

    Raises:
        StudyOutdated: it began with another seed.
    """
    try:
        kept: dict[str, Any] = workspace.store.get_json(layout.study_plan(name, study))
    except NotFound:
        return None
    if kept.get("seed", seed) != seed:  # what an earlier version kept does not say it
        raise StudyOutdated(
            f"Study {study} was begun with --seed {kept['seed']}, by which visits are parted into those that teach and "
            f"those that judge. Say --seed {kept['seed']}, or leave --study out, which begins another."
        )
    return kept


def _made(plan: Plan, workspace: Workspace, say: Say) -> Plan:
    """Carries out the steps that are due; nobody keeps a record of them, but the index has them."""
    for name in plan.due:
        step = STEPS[name]
        inputs = inputs_of(name, plan, workspace)
        if name == "load_data" and plan.collected:
            inputs["collected"] = workspace.collected(plan.collected)
        say(f"{name}: {step.says}")
        out = workspace.path(layout.outputs(plan.run.name, plan.run.id)) / step.output
        run_step(name, settings=settings_in(name, plan), inputs=inputs, out=out, run=plan.membership(workspace))
        plan = plan.seen_again(workspace)
    return plan
