"""``shoploop tune --on cluster`` against a kubectl that keeps what it is given, and lets it end well or badly."""

import json
import sys

import pytest
import yaml
from typer.testing import CliRunner

from shoploop.api import load
from shoploop.cli import tune_on_cluster
from shoploop.cli.kubectl import ClusterUnavailable
from shoploop.cli.main import app
from shoploop.cli.tune import tune_on_cluster as tune
from shoploop.cli.tune_on_cluster import OnCluster, StudyFailed
from shoploop.errors import SpecInvalid

PROGRAM = """#!{python}
import json, pathlib, sys
words = [word for word in sys.argv[1:] if not word.startswith("--")]
kept = pathlib.Path({folder!r})
world = json.loads((kept / "world.json").read_text())
def path(kind, name):
    return kept / (kind.split(".")[0].rstrip("s").lower() + "_" + name)
def ended(live):
    asked = path("asked", live["metadata"]["name"])
    asked.write_text(asked.read_text() + "x" if asked.exists() else "x")
    if len(asked.read_text()) == 1:
        return {{}}
    state = world["ends"]
    if live["kind"] == "Job":
        ends = {{"type": state, "status": "True", "message": "It did."}}
        return {{"conditions": [ends], "completedIndexes": world["done"]}}
    ends = {{"type": {{"Complete": "Succeeded"}}.get(state, state), "status": "True", "message": "It did."}}
    return {{"conditions": [ends], "succeededTrialList": ["t-1"]}}
if words[0] == "api-resources":
    print(chr(10).join(world["serves"]))
elif words[0] == "apply":
    if "forbidden" in world:
        sys.exit("Error from server (Forbidden): experiments.kubeflow.org is forbidden")
    for item in json.loads(pathlib.Path(words[words.index("-f") + 1]).read_text())["items"]:
        path(item["kind"], item["metadata"]["name"]).write_text(json.dumps(item))
elif words[0] == "get" and words[1] == "pods":
    print(json.dumps({{"items": []}}))
elif words[0] == "get":
    live = json.loads(path(words[1], words[2]).read_text())
    live["metadata"]["uid"] = "u"
    print(json.dumps(live | {{"status": ended(live)}}))
elif words[0] == "logs":
    print("build_samples: makes samples")
    print(json.dumps(world["found"]))
"""
FOUND = {
    "kind": "study",
    "trials": [
        {"number": 0, "settings": {"epochs": 4}, "state": "done", "value": 0.4, "losses": [1.0], "seconds": 1.0}
    ],
    "better": True,
    "proposal": {"epochs": 7},
    "verdict": "Told as it is.",
    "timed_out": False,
    "visits": {part: {"visits": 30, "users": 9} for part in ("learned_from", "choosing", "proving")},
}
SPEC = """apiVersion: shoploop.io/v1alpha1
kind: Recommender
metadata: {name: corner}
spec:
  data: {tables: {interactions: {uri: s3://shop/events.csv}}}
  store: {uri: s3://shop/loop}
  training: {epochs: 4}  # nights
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "recommender.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Returns what was handed over, by kind, or by kind and name."""
    folder = tmp_path / "kept"
    folder.mkdir()
    (program := tmp_path / "kubectl").write_text(PROGRAM.format(python=sys.executable, folder=str(folder)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tune_on_cluster, "POLL_SECONDS", 0.0)

    def make(**world):
        whole = {"serves": [], "ends": "Complete", "done": "0-3", "found": FOUND} | world
        (folder / "world.json").write_text(json.dumps(whole))

        def handed(named=False):
            live = [
                json.loads(path.read_text())
                for path in folder.iterdir()
                if not path.name.startswith(("asked", "world"))
            ]
            return {(one["kind"], one["metadata"]["name"]) if named else one["kind"]: one for one in live}

        return handed

    return make


def ask(file, *, out=None, timeout_seconds=None, seed=0, json_=None, **more):
    tune(file, OnCluster(**more), trials=4, seed=seed, timeout_seconds=timeout_seconds, out=out, json_=json_)


@pytest.mark.parametrize(("serves", "kind"), [(["experiments.kubeflow.org"], "Experiment"), ([], "Job")])
def test_katib_carries_the_trials_out_where_it_is_and_jobs_where_it_is_not(cluster, file, serves, kind, capsys):
    handed = cluster(serves=serves)
    out = file.parent / "proposed.yaml"
    ask(file, out=out)
    assert set(handed()) == {"ConfigMap", "Job", kind}
    told = capsys.readouterr().out
    assert "Told as it is." in told and "epochs: 7" in told
    assert load(out).spec.training.epochs == 7 and "# nights" in out.read_text()


def test_trials_that_all_failed_are_told_with_their_reason(cluster, file):
    cluster(ends="Failed", done="")
    with pytest.raises(StudyFailed, match=r"No trial of study .* ended well: .*It did"):
        ask(file)


def test_where_the_time_is_over_the_trials_go_on(cluster, file, capsys):
    handed = cluster()
    ask(file, timeout_seconds=0, study="20261128-120000-abcd")
    assert set(handed()) == {"ConfigMap", "Job"}
    assert "--study 20261128-120000-abcd" in " ".join(capsys.readouterr().out.split())


def test_a_script_reads_that_the_study_has_not_ended(cluster, file, capsys):
    cluster()
    ask(file, timeout_seconds=0, study="20261128-120000-abcd", json_="-")
    assert json.loads(capsys.readouterr().out) == {"study": "20261128-120000-abcd", "ended": False}


def test_the_command_that_gathers_makes_the_objects_that_were_begun(cluster, file, capsys):
    """Read as the command line reads it: as Katib would refuse a changed object, and other seeds part other visits."""
    handed = cluster(serves=["experiments.kubeflow.org"])
    ask(
        file, timeout_seconds=0, seed=5, by="jobs", image="pipeline:7", parallel=3, namespace="shop", context="night",
        resume_policy="LongRunning",
    )  # fmt: skip
    begun = handed(named=True)
    (said,) = [line for line in capsys.readouterr().out.splitlines() if "Gather them by" in line]
    words = said.split("`")[1].replace("FILE", str(file)).split()[1:]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert "Told as it is." in done.output
    after = handed(named=True)
    assert {name: after[name] for name in begun} == begun
    assert "Experiment" not in handed()


def test_a_person_who_may_not_is_told_so(cluster, file):
    cluster(forbidden=True)
    with pytest.raises(ClusterUnavailable, match="forbidden"):
        ask(file)


def test_the_objects_can_be_written_for_somebody_else_to_begin(file, capsys):
    ask(file, manifests=file.parent / "study.yaml")
    made = list(yaml.safe_load_all((file.parent / "study.yaml").read_text()))
    assert [one["kind"] for one in made] == ["ConfigMap", "Experiment"]
    assert "--study" in capsys.readouterr().out


def test_a_study_that_is_none_is_refused(file):
    with pytest.raises(SpecInvalid, match="--study mine is none"):
        ask(file, study="mine")
