"""A version that serves in part: what the store says of it, and no later verdict lets its model answer where it must not."""

import json

import pytest
from signed_things import write_small_bento, write_small_version
from typer.testing import CliRunner

from shoploop.api.v1alpha1 import Recommender
from shoploop.cli.main import app
from shoploop.packaging.bento import bento_digest
from shoploop.runs.finishing import publish
from shoploop.runs.planning import Plan, Run
from shoploop.store import Store
from shoploop.store.disk import digest_of
from shoploop.versions.signing import Trust
from shoploop.versions.verdicts import Verdict, falls_back, record_verdict

PART = {"passed": True, "falls_back": {"items": "decay"}, "surfaces": {"items": {}, "search": {}}}
WHOLE, REFUSED = {"passed": True}, {"passed": False}


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


@pytest.fixture
def end(store, tmp_path):
    """Publishes what a run has made of the same version, judged so; each package has other bytes."""
    numbers = iter(range(100))

    def run(judged):
        folder = tmp_path / str(number := next(numbers))
        version = write_small_version(folder / "model").id
        write_small_bento(folder / "bento", version)
        report = json.loads((folder / "bento" / "bento.json").read_text())
        archive = folder / "bento" / report["archive"]
        archive.write_bytes(archive.read_bytes() + bytes(number))
        report |= {"sha256": digest_of(archive), "bytes": archive.stat().st_size}
        (folder / "bento" / "bento.json").write_text(json.dumps(report))
        for name, said in (
            ("evaluation", {"methods": {"fused": {}}}), ("gate", judged | {"rule": "NotWorse", "reason": "so it is"}),
        ):  # fmt: skip
            (folder / name).mkdir()
            (folder / name / f"{name}.json").write_text(json.dumps(said))
        document = {"metadata": {"name": "small"}, "spec": {"data": {"dataset": "completejourney"}}}
        begun = Run(id=f"20260101-0000{number:02}-abcd", recommender=Recommender.model_validate(document))
        return publish(store, Plan(run=begun, source="s", incumbent=None, keys={}), folder, Trust.configured())

    return run


def test_what_answers_is_told_of_a_version_that_serves_in_part(end, store):
    made = end(PART)
    assert made.answers == "items by decay, search by model"
    assert falls_back(store, "small", made.version) == {"items": "decay"}
    assert end(WHOLE).answers is None and falls_back(store, "small", made.version) == {}


def test_one_that_serves_in_part_and_is_refused_later_keeps_the_package_that_says_so(end, store):
    part = end(PART)
    refused = end(REFUSED)
    assert refused.digest == part.digest == bento_digest(store, "small", part.version)
    assert falls_back(store, "small", part.version) == {"items": "decay"}


@pytest.mark.parametrize("before", [None, WHOLE, REFUSED])
def test_what_was_refused_as_a_whole_is_packaged_as_it_is(end, store, before):
    if before:
        end(before)
    refused = end(REFUSED)
    assert refused.digest == bento_digest(store, "small", refused.version)
    assert falls_back(store, "small", refused.version) == {}


def test_of_a_renewal_that_takes_over_a_refusal_what_it_says_of_surfaces_counts(store):
    verdict = Verdict(passed=False, rule="NotWorse", reason="renewed", falls_back={"items": "decay"})
    record_verdict(store, "small", "v0123456789ab", verdict)
    assert falls_back(store, "small", "v0123456789ab") == {"items": "decay"}


def test_the_list_of_versions_says_what_answers_where_the_model_does_not(end, store):
    end(PART)
    listed = CliRunner().invoke(app, ["versions", "small", "--store", store.folder], env={"COLUMNS": "200"})
    assert "passed: items by decay, search by model" in listed.output, listed.output
