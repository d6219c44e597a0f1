"""Trials in pods that share nothing but the store: who makes the samples, what is kept, what is told."""

import json

import polars as pl
import pytest
from shop import Shop
from shop.samples import write_folders

from shoploop.api.v1alpha1 import Recommender
from shoploop.errors import NotFound, SpecInvalid
from shoploop.runs import studies
from shoploop.runs.pod_verbs import main
from shoploop.steps import STEPS, Entry, Workspace, needed_by
from shoploop.steps.workspace import sizes_of
from shoploop.store import Store, layout

pytestmark = pytest.mark.usefixtures("one_thread")
STUDY = "20261128-120000-abcd"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return write_folders(tmp_path_factory.mktemp("shop"), Shop(users=40))


class Pods:
    """A store, a spec and tables; the steps are those that somebody has carried out before."""

    def __init__(self, folder, folders):
        self.folder, self.folders = folder, folders
        self.table = folder / "events.csv"
        self.grow(1)
        self.store = Store(str(folder / "store"))
        document = {
            "apiVersion": "shoploop.io/v1alpha1",
            "kind": "Recommender",
            "metadata": {"name": "corner"},
            "spec": {
                "data": {"tables": {"interactions": {"uri": str(self.table)}}},
                "training": {"epochs": 1, "learningRate": 1e-4},
            },
        }
        self.spec = folder / "recommender.json"
        self.spec.write_text(json.dumps(document))
        self.recommender = Recommender.model_validate(document)
        self.carried_out = []

    def grow(self, rows):
        pl.DataFrame({"user": ["u"] * rows, "item": ["i"] * rows, "time": ["2026-03-01"] * rows}).write_csv(self.table)

    def run_step(self, name, *, settings, inputs, out, run):
        """In the place of a step: what another has written, recorded as a step records it."""
        self.carried_out.append(name)
        kept = {"materialize_features": "features", "build_samples": "samples"}.get(name)
        out.parent.mkdir(parents=True, exist_ok=True)
        if kept:
            out.symlink_to(self.folders / kept)
            run.workspace.index.add(
                Entry(
                    key=run.keys[name],
                    step=name,
                    run=run.run,
                    seconds=1.0,
                    files=sizes_of(self.folders / kept),
                    folder=out.relative_to(run.workspace.home).as_posix(),
                )
            )
        else:
            out.mkdir()
            (out / "made.json").write_text("{}")
            run.record(name, out, 1.0)

    def tune(self, *words):
        options = [
            "--spec",
            str(self.spec),
            "--store",
            self.store.uri,
            "--study",
            STUDY,
            "--work",
            str(self.folder / "w"),
        ]
        return main(["tune", *options, *words])

    def trial(self, name):
        return self.store.get_json(layout.study_trial("corner", STUDY, name))


@pytest.fixture
def pods(tmp_path, folders, monkeypatch):
    made = Pods(tmp_path, folders)
    monkeypatch.setattr(studies, "run_step", made.run_step)
    return made


def settings(**more):
    known = {"learningRate": 1e-4, "epochs": 1, "adversarialRadius": 0.0} | more
    return [word for name, value in known.items() for word in ("--set", f"{name}={value}")]


def test_trials_of_pods_are_kept_gathered_and_told(pods, monkeypatch, capsys):
    monkeypatch.setenv(studies.INDEX_VARIABLE, "0")
    assert pods.tune("--drawn") == 0
    assert pods.carried_out == needed_by("build_samples"), "the first pod makes the samples"
    assert pods.trial("00000")["settings"] == {"learningRate": 1e-4, "epochs": 1, "adversarialRadius": 0.0}
    pods.grow(2)
    assert pods.tune("--trial", "tune-x-7", *settings(learningRate=0.00212345)) == 0
    assert len(pods.carried_out) == len(needed_by("build_samples")), (
        "all look at the same, also when the data have grown"
    )
    assert pods.trial("tune-x-7")["settings"]["learningRate"] == 0.0021, "as a person would write it"
    told = capsys.readouterr().out
    assert told.splitlines()[-1] == f"ndcg_at_10={pods.trial('tune-x-7')['value']:.6f}"
    assert pods.tune("--trial", "tune-x-7", *settings()) == 0
    assert pods.trial("tune-x-7")["settings"]["learningRate"] == 0.0021, "a pod that comes again changes nothing"
    capsys.readouterr()
    assert pods.tune("--conclude") == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found.pop("kind") == studies.KIND
    assert [trial["name"] for trial in found["trials"]] == ["00000", "tune-x-7"] and found["verdict"]
    assert found == pods.store.get_json(layout.study_found("corner", STUDY))


def test_samples_that_are_gone_are_not_made_of_other_data(pods):
    workspace = Workspace(pods.store, "corner", pods.folder / "w")
    plan = studies.samples_of(workspace, pods.recommender, STUDY, print)
    folder = workspace.path(layout.outputs("corner", plan.run.id)) / STEPS["build_samples"].output
    folder.unlink()
    again = studies.samples_of(workspace, pods.recommender, STUDY, print)
    assert again.keys == plan.keys and not again.due, "of the same data they are made again"
    (workspace.path(again.found["build_samples"].folder)).unlink()
    pods.grow(3)
    with pytest.raises(studies.StudyOutdated, match="leave --study out"):
        studies.samples_of(workspace, pods.recommender, STUDY, print)


def test_a_study_that_was_begun_with_another_seed_is_not_gone_on_with(pods, capsys):
    assert pods.tune("--seed", "5", "--trial", "first", *settings()) == 0
    for words in (["--trial", "first", *settings()], ["--trial", "second", *settings()], ["--conclude"]):
        assert pods.tune(*words) == studies.StudyOutdated.exit_code
        assert "was begun with --seed 5" in capsys.readouterr().err
    key = layout.study_plan("corner", STUDY)
    plan = pods.store.get_json(key)
    assert plan.pop("seed") == 5
    pods.store.put(key, json.dumps(plan).encode())
    assert pods.tune("--trial", "first", *settings()) == 0, "one of an earlier version does not say its seed"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--trial", "a", "--set", "epochs=many"], "learningRate, epochs, adversarialRadius"),
        (["--trial", "../a", *settings()], "no name of a study or a trial"),
        (["--drawn"], "indexed Job"),
        (["--conclude"], "No trial of study"),
    ],
)
def test_what_cannot_be_a_trial_is_named(pods, capsys, words, says):
    assert pods.tune(*words) in (SpecInvalid.exit_code, NotFound.exit_code)
    assert says in capsys.readouterr().err and not pods.carried_out
