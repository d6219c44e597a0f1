"""``shoploop tune`` refuses by name, before anything is searched, what could not be written afterwards."""

import pytest

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
