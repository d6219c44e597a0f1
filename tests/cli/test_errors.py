"""What a person sees: one line and an exit code, no traceback."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import typer
from forked import Forked

from shoploop.cli.main import app
from shoploop.cli.output import write_json
from shoploop.errors import StoreUnavailable
from shoploop.runs import check_space


def shoploop(*arguments, cwd):
    with (cwd / "stdout").open("w+b") as output, (cwd / "stderr").open("w+b") as errors:
        process = Forked("real_shoploop", list(arguments), env=os.environ, cwd=cwd, output=output, errors=errors)
        code = process.wait(60)
    return SimpleNamespace(returncode=code, stdout=(cwd / "stdout").read_text(), stderr=(cwd / "stderr").read_text())


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["run", "-f", "missing.yaml"], "missing.yaml"),
        (["runs", "nobody"], "has no runs"),
        (["versions", "nobody"], "No recommender 'nobody'"),
        (["report", "nobody"], "has no runs"),
        (["promote", "nobody", "v1"], "has no version v1"),
        (["rollback", "nobody"], "no earlier version"),
        (["serve", "nobody"], "nobody"),
        (["serve", "nobody", "--out-of-stock", "mistyped.txt"], "mistyped.txt"),
        (["explain", "recommender.spec.trainin"], "training"),
        (
            ["bench", "next-basket", "--dataset", "tafeng", "--offers"],
            "Nothing is known of what was on offer in tafeng",
        ),
    ],
    ids=lambda value: " ".join(value[:1]) if isinstance(value, list) else "",
)
def test_a_users_mistake_is_one_line_and_exit_code_2(tmp_path, arguments, says):
    done = shoploop(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "text, says",
    [
        ("- a list\n", "mapping"),
        ("spec: {data: {dataset: completejourney}, traning: {}}\n", "training"),
        ("spec: {data: {dataset: completjourney}}\n", "completejourney"),
        ("spec: {data: {dataset: completejourney}, training: {epochs: 0}}\n", "spec.training.epochs"),
        ("spec: {data: {tables: {interactions: {uri: no.csv}}}}\n", "no.csv"),
        ("spec: {data: {dataset: completejourney}, training: {surfaces: [Shops]}}\n", "spec.training.surfaces"),
        ("spec: [unclosed\n", "YAML"),
        (
            "spec: {data: {dataset: completejourney}, validation: {expectations: {interactions.usr_filled: {}}}}\n",
            "did you mean 'interactions.user_filled'",
        ),
        (
            "spec: {data: {dataset: completejourney}, features: {onlineStore: {type: Redis}}}\n",
            "type Redis needs connection",
        ),
    ],
    ids=[
        "no mapping",
        "misspelt section",
        "misspelt dataset",
        "out of bounds",
        "missing file",
        "not built yet",
        "broken YAML",
        "misspelt expectation",
        "online store without an address",
    ],
)
def test_a_wrong_recommender_is_refused_before_anything_is_written(tmp_path, text, says):
    (tmp_path / "recommender.yaml").write_text(text)
    done = shoploop("run", "-f", "recommender.yaml", "--store", str(tmp_path / "store"), cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("store/recommenders/*"))


def json_options():
    """Each command that can write JSON to a file, with that option."""

    def walk(command, words):
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, (*words, name))
        for option in command.params:
            if "--json" in option.opts and not option.is_flag:
                yield pytest.param(command, option, id=" ".join(words))

    return walk(typer.main.get_command(app), ())


@pytest.mark.parametrize(("command", "option"), list(json_options()))
def test_a_file_for_json_that_cannot_be_written_is_refused_before_the_command_begins(tmp_path, command, option):
    with typer.Context(command) as context:
        for wrong in (tmp_path / "mistyped" / "numbers.json", tmp_path):
            with pytest.raises(typer.BadParameter, match="folder"):
                option.process_value(context, str(wrong))
        for right in (str(tmp_path / "numbers.json"), "-", None):
            assert option.process_value(context, right) == right


def test_numbers_that_cannot_be_written_any_more_are_on_stdout(tmp_path, capsys):
    with pytest.raises(OSError):
        write_json({"ndcg": 0.25}, str(tmp_path / "gone" / "numbers.json"))
    assert json.loads(capsys.readouterr().out) == {"ndcg": 0.25}


def test_a_store_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "recommender.yaml").write_text("spec: {data: {dataset: completejourney}}\n")
    (tmp_path / "file").touch()
    done = shoploop("run", "-f", "recommender.yaml", "--store", str(tmp_path / "file" / "store"), cwd=tmp_path)
    assert done.returncode == 2
    assert "cannot be written" in done.stderr


def test_the_work_of_a_remote_store_needs_a_folder_that_may_be_written(tmp_path, monkeypatch):
    class Remote:
        folder = None

    monkeypatch.chdir(tmp_path)
    check_space(Remote())
    assert (tmp_path / ".shoploop").is_dir()
    (tmp_path / ".shoploop").rmdir()
    (tmp_path / ".shoploop").touch()
    with pytest.raises(StoreUnavailable, match="Start it where you may write"):
        check_space(Remote())


def test_a_traceback_is_shown_when_asked_for(tmp_path):
    command = [sys.executable, "-m", "shoploop", "--debug", "runs", "nobody"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Traceback" in done.stderr


def test_help_starts_no_heavy_library(tmp_path):
    heavy = ("torch", "feast", "kfp", "polars", "pydantic")
    code = f"import sys, shoploop.cli.main; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
