"""``shoploop tune`` refuses by name, before anything is searched, what could not be written afterwards."""

from types import SimpleNamespace

import pytest

from shoploop.api import load
from shoploop.cli.tune import tune_recommender
from shoploop.errors import AlreadyThere, NotFound, SpecInvalid

HEAD = "apiVersion: shoploop.io/v1alpha1\nkind: Recommender\nmetadata: {name: corner}\n"
TABLES = "spec: {data: {tables: {interactions: {uri: events.csv}}}}\n"


def tune(file, out=None):
    tune_recommender(file, None, trials=1, seed=0, timeout_seconds=None, out=out, json_=None)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "recommender.yaml"
    path.write_text(HEAD + TABLES)
    return path


def test_a_proposal_overwrites_nothing(file):
    with pytest.raises(AlreadyThere, match=r"recommender\.yaml exists"):
        tune(file, out=file)


def test_a_proposal_needs_a_folder(file):
    with pytest.raises(NotFound, match="does not exist"):
        tune(file, out=file.parent / "nowhere" / "proposed.yaml")


def test_a_copy_elsewhere_would_name_other_tables(file, tmp_path_factory):
    with pytest.raises(SpecInvalid, match="relative"):
        tune(file, out=tmp_path_factory.mktemp("elsewhere") / "proposed.yaml")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SpecInvalid, match=r"missing\.yaml"):
        tune(tmp_path / "missing.yaml")


@pytest.mark.parametrize("better", [True, False])
def test_a_copy_is_written_where_something_better_was_found_and_only_there(file, monkeypatch, capsys, better):
    """The run and the search are stood in for: what is made of their findings is looked at."""
    trial = {"number": 0, "settings": {"epochs": 4}, "state": "done", "value": 0.4, "losses": [1.0], "seconds": 1.0}
    part = {"visits": 30, "users": 9}
    found = {
        "trials": [trial],
        "better": better,
        "proposal": {"epochs": 7} if better else {},
        "verdict": "Told as it is.",
        "timed_out": False,
        "visits": {"learned_from": part, "choosing": part, "proving": part},
    }
    plan = SimpleNamespace(keys={"build_samples": "k"})
    monkeypatch.setattr(
        "shoploop.cli.run.carry_out", lambda *_, **__: (SimpleNamespace(name="corner", key="k"), Here())
    )
    monkeypatch.setattr("shoploop.cli.run.output_of", lambda *_: file.parent)
    monkeypatch.setattr("shoploop.runs.read_plan", lambda *_: plan)
    monkeypatch.setattr("shoploop.tuning.search.tune", lambda told, **_: told(trial) or found)
    out = file.parent / "proposed.yaml"
    tune(file, out=out)
    printed = capsys.readouterr().out
    assert "Told as it is." in printed and "as it is now" in printed
    assert out.exists() == better == ("+spec: {training: {epochs: 7}" in printed)
    if better:
        assert load(out).spec.training.epochs == 7


class Here:
    """A workspace of which only places are asked."""

    @staticmethod
    def path(key):
        return key
