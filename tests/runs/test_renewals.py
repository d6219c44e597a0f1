"""A renewal from a run's first steps to the version that serves; what is packaged is a toy."""

import hashlib
import json
import shutil

import pytest
from shop import TRAINING, Shop
from shop.later import LATER, events, made
from shop.stored import write_files
from typer.testing import CliRunner

from shoploop.api.pod_result import NothingNew, StepsFailed, VersionMade, read
from shoploop.api.v1alpha1 import Recommender
from shoploop.cli import lineage
from shoploop.cli.main import app
from shoploop.errors import ContractMismatch, NotFound
from shoploop.packaging import bento
from shoploop.runs import Run, list_runs, planning, pod_verbs, renewal
from shoploop.runs.launchers.this_machine import Suspended
from shoploop.runs.pod import SERVING_ANNOTATION
from shoploop.runs.record import LAST_SHARED, Journal
from shoploop.steps import STEPS, Workspace
from shoploop.store import Store, layout
from shoploop.training.renewal import NothingToRenew
from shoploop.versions import candidacy, promotions
from shoploop.versions.artifact import load_version
from shoploop.versions.signing import Trust
from shoploop.versions.verdicts import Verdict, falls_back, latest_verdict, record_verdict

pytestmark = pytest.mark.usefixtures("one_thread")

TRUST = Trust.configured()
RECOMMENDER = Recommender.model_validate(
    {
        "apiVersion": "shoploop.io/v1alpha1",
        "kind": "Recommender",
        "metadata": {"name": "shop"},
        "spec": {"data": {"dataset": "completejourney"}},
    }
)


@pytest.fixture(scope="module")
def later(tmp_path_factory):
    """What the first steps of a renewal come to; not to be written to."""
    return made(tmp_path_factory.mktemp("later") / "run", events())


@pytest.fixture
def workspace(trained_shop, tmp_path, monkeypatch):
    """A store whose shop has a version that serves, which the gate let pass; what is packaged is a few bytes."""

    def pack(*, data, features, model, out, **_):
        assert (features / "contract.json").is_file() and (data / "load.json").is_file()
        out.mkdir()
        (out / "toy.bento").write_bytes(b"a toy")
        version, sha256 = load_version(model).id, hashlib.sha256(b"a toy").hexdigest()
        said = {"version": version, "archive": "toy.bento", "sha256": sha256, "bytes": 5, "code": "c" * 64}
        (out / "bento.json").write_text(json.dumps(said))

    monkeypatch.setattr(bento, "build_bento", pack)
    store = Store(str(tmp_path / "store"))
    version = promotions.publish_version(store, "shop", trained_shop / "model")
    record_verdict(store, "shop", version, Verdict(passed=True, rule="NotWorse", reason="it is better"))
    promotions.promote(store, "shop", version, reason="it passed", by="a test", trust=TRUST)
    return Workspace(store, "shop")


@pytest.fixture
def begin(workspace, monkeypatch):
    """Carries out what a renewal has in common with a run, with these folders as what came of it."""

    def do(folder, number=1):
        monkeypatch.setattr("shoploop.data.source_digest", lambda data: f"{number:064}")
        run = Run(id=f"20260101-00000{number}-abcd", recommender=RECOMMENDER, until=LAST_SHARED)
        plan = planning.make_plan(run, workspace)
        planning.keep_plan(plan, workspace)
        journal = Journal.begin(workspace, plan, launcher="this machine")
        for name in plan.due:
            output = STEPS[name].output
            out = workspace.path(f"{layout.outputs('shop', run.id)}/{output}")
            if (folder / output).is_dir():
                shutil.copytree(folder / output, out)
            else:
                out.mkdir(parents=True)
                (out / "validation.json").write_text("{}")
            plan.membership(workspace).record(name, out, 1.0)
            journal.step(name, state="done", seconds=1.0)
        journal.end("done")
        return run

    return do


def serving(workspace):
    return promotions.serving_version(workspace.store, "shop")


def test_the_renewal_serves_in_the_place_of_its_parent_and_a_rollback_brings_that_back(workspace, begin, later):
    parent = serving(workspace)
    done = renewal.renew(workspace, begin(later), renewal.serving_version(workspace, pinned=None), trust=TRUST)
    assert done.promoted and serving(workspace) == done.renewed.version != parent
    assert done.made.parent == parent
    said = latest_verdict(workspace.store, "shop", done.renewed.version)
    assert said.passed and said.reason.endswith("Of the weights the gate said: it is better")
    assert promotions.rollback(workspace.store, "shop", by="a test").version == parent


def test_what_its_parent_does_not_answer_by_the_model_it_does_not_either(workspace, begin, later, monkeypatch):
    part = Verdict(passed=True, rule="NotWorse", reason="search passed", falls_back={"items": "decay"})
    record_verdict(workspace.store, "shop", serving(workspace), part)
    packed, pack = [], bento.build_bento
    monkeypatch.setattr(
        bento, "build_bento", lambda *, falls_back, **rest: (packed.append(falls_back), pack(**rest))[1]
    )
    done = renewal.renew(workspace, begin(later), renewal.serving_version(workspace, pinned=None), trust=TRUST)
    assert packed == [{"items": "decay"}]
    assert falls_back(workspace.store, "shop", done.renewed.version) == {"items": "decay"}
    assert done.made.answers == "items by decay"


def test_it_is_kept_and_told_as_a_run_is(workspace, begin, later):
    done = renewal.renew(workspace, begin(later), renewal.serving_version(workspace, pinned=None), trust=TRUST)
    (record,) = list_runs(workspace.store, "shop")
    assert (record.run, record.state, record.version) == (done.run, "done", done.renewed.version)
    assert record.is_renewal
    assert [step.name for step in record.steps][-2:] == ["renew_model", "build_bento"]
    assert {step.state for step in record.steps} == {"done"}
    page = workspace.path(f"{layout.run('shop', done.run)}/report.html").read_text()
    assert "It knows what shoppers did since" in page
    assert "has not come to a verdict" not in page


def test_of_somebody_whose_rows_only_the_weights_may_have_seen_nothing_is_claimed(workspace, begin, later):
    renewal.renew(workspace, begin(later), renewal.serving_version(workspace, pinned=None), trust=TRUST)
    (ann,) = lineage.of_user(workspace.store, "shop", "ann")["versions"]
    assert ann["rows"] > 30
    (stranger,) = lineage.of_user(workspace.store, "shop", "stranger")["versions"]
    assert stranger["rows"] is None, "the run that trained the weights is not in the list"


def test_what_the_first_steps_have_written_stays_as_it_was(workspace, begin, later):
    run = begin(later)
    contract = workspace.path(f"{layout.outputs('shop', run.id)}/features/contract.json")
    before = contract.read_text()
    renewal.renew(workspace, run, renewal.serving_version(workspace, pinned=None), trust=TRUST)
    assert contract.read_text() == before == (later / "features" / "contract.json").read_text()


def test_a_renewal_that_finds_nothing_new_leaves_no_trace(workspace, begin, later):
    renewal.renew(workspace, begin(later), renewal.serving_version(workspace, pinned=None), trust=TRUST)
    now = serving(workspace)
    with pytest.raises(NothingToRenew):
        renewal.renew(workspace, begin(later, 2), renewal.serving_version(workspace, pinned=None), trust=TRUST)
    assert serving(workspace) == now
    assert len(list_runs(workspace.store, "shop")) == 1


def test_tables_that_lack_what_was_learned_from_are_refused_and_what_serves_goes_on(workspace, begin, tmp_path):
    poorer = made(tmp_path / "run", events(), without=["price"])
    before = serving(workspace)
    with pytest.raises(ContractMismatch, match="price"):
        renewal.renew(workspace, begin(poorer), renewal.serving_version(workspace, pinned=None), trust=TRUST)
    assert serving(workspace) == before
    (record,) = list_runs(workspace.store, "shop")
    assert (record.state, record.failure.step, record.failure.exit_code) == ("failed", "renew_model", 2)


def test_a_renewal_of_a_renewal_says_what_the_gate_said_of_the_weights_once(workspace, begin, later, tmp_path):
    trained = serving(workspace)
    renewal.renew(workspace, begin(later), renewal.serving_version(workspace, pinned=None), trust=TRUST)
    further = made(tmp_path / "run", events(Shop(days=65)))
    done = renewal.renew(workspace, begin(further, 2), renewal.serving_version(workspace, pinned=None), trust=TRUST)
    assert done.renewed.weights_of == trained != done.renewed.parent
    assert done.made.reason.count("said") == 1
    assert trained in done.made.reason and done.made.reason.endswith("it is better")


def test_one_that_is_broken_off_when_it_is_to_serve_is_in_the_list(workspace, begin, later, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    asked, run = renewal.serving_version(workspace, pinned=None), begin(later)
    monkeypatch.setattr(promotions, "promote", interrupted)
    with pytest.raises(KeyboardInterrupt):
        renewal.renew(workspace, run, asked, trust=TRUST)
    (record,) = list_runs(workspace.store, "shop")
    assert record.state == "done" and record.version in promotions.version_ids(workspace.store, "shop")


def test_a_candidate_that_somebody_begins_meanwhile_is_not_overrun(workspace, begin, later, trained_shop, tmp_path):
    asked, before = renewal.serving_version(workspace, pinned=None), serving(workspace)
    other = promotions.publish_version(workspace.store, "shop", another(trained_shop / "model", tmp_path / "other"))
    candidacy.begin(workspace.store, "shop", other, percent=10, shadow=False, steps=(), reason="-", by="-", trust=TRUST)
    assert not renewal.renew(workspace, begin(later), asked, trust=TRUST).promoted
    assert serving(workspace) == before


def test_a_shop_that_is_suspended_is_not_renewed(tmp_path):
    written = RECOMMENDER.model_dump(mode="json", by_alias=True, exclude_none=True)
    written["spec"] |= {"suspend": True, "store": {"uri": str(tmp_path / "store")}}
    (tmp_path / "r.yaml").write_text(json.dumps(written))
    said = CliRunner().invoke(app, ["renew", "-f", str(tmp_path / "r.yaml")])
    assert isinstance(said.exception, Suspended)


def test_who_has_decided_otherwise_meanwhile_is_right(workspace, begin, later, trained_shop, tmp_path):
    asked = renewal.serving_version(workspace, pinned=None)
    other = promotions.publish_version(workspace.store, "shop", another(trained_shop / "model", tmp_path / "other"))
    promotions.promote(workspace.store, "shop", other, reason="by hand", by="a test", trust=TRUST)
    done = renewal.renew(workspace, begin(later), asked, trust=TRUST)
    assert not done.promoted
    assert serving(workspace) == other


def test_where_somebody_has_said_what_serves_nothing_is_renewed(workspace, trained_shop, tmp_path):
    with pytest.raises(renewal.Pinned, match="pinnedVersion names v1"):
        renewal.serving_version(workspace, pinned="v1")
    other = promotions.publish_version(workspace.store, "shop", another(trained_shop / "model", tmp_path / "other"))
    candidacy.begin(workspace.store, "shop", other, percent=10, shadow=False, steps=(), reason="-", by="-", trust=TRUST)
    with pytest.raises(renewal.Pinned, match=f"{other} is being tried"):
        renewal.serving_version(workspace, pinned=None)
    with pytest.raises(NotFound, match="No version of 'new' serves yet"):
        renewal.serving_version(Workspace(workspace.store, "new"), pinned=None)


@pytest.fixture
def pod(workspace, tmp_path, monkeypatch):
    """Asks a pod for a renewal, as the operator does; returns its exit code and what it said last."""
    message = tmp_path / "termination-log"
    monkeypatch.setenv(pod_verbs.TERMINATION_LOG, str(message))

    def renew(bought, *, serving, run="20260101-000001-abcd"):
        training = TRAINING.model_dump(mode="json", by_alias=True, exclude_unset=True)
        spec = {"data": {"tables": write_files(tmp_path / "files", LATER, bought)}, "training": training}
        spec["validation"] = {"onFailure": "Warn"}  # so small a shop has odd numbers
        document = RECOMMENDER.model_dump(mode="json", by_alias=True, exclude_none=True) | {"spec": spec}
        document["metadata"]["annotations"] = {SERVING_ANNOTATION: serving}
        (tmp_path / "recommender.json").write_text(json.dumps(document))
        words = ["--spec", str(tmp_path / "recommender.json"), "--run", run, "--store", workspace.store.uri]
        code = pod_verbs.main(["renew", *words, "--work", str(tmp_path / "work")])
        return code, read(message.read_text())

    return renew


def test_a_pod_renews_what_the_operator_says_serves_and_leaves_the_promotion_to_it(workspace, pod, capsys):
    parent = serving(workspace)
    code, made = pod(events(), serving=parent)
    assert code == 0 and isinstance(made, VersionMade)
    assert (made.parent, made.passed, made.code) == (parent, True, "c" * 64)
    assert serving(workspace) == parent
    (record,) = list_runs(workspace.store, "shop")
    assert (record.run, record.state, record.launcher) == ("20260101-000001-abcd", "done", "Jobs")
    capsys.readouterr()

    # one that was killed at its end is followed by another
    assert pod(events(), serving=parent) == (code, made)
    said = capsys.readouterr().out
    assert "materialize_features: unchanged, reused" in said, said
    assert "renew_model: done" in said
    assert len(list_runs(workspace.store, "shop")) == 1

    code, nothing = pod(events(), serving=made.version, run="20260102-000001-abcd")
    assert code == 0 and isinstance(nothing, NothingNew)
    assert nothing.source == made.source and "nothing new" in nothing.reason


def test_a_pod_whose_tables_say_too_little_says_what_is_missing(workspace, pod):
    code, failed = pod(events().drop("price"), serving=serving(workspace))
    assert code == 2 and isinstance(failed, StepsFailed)
    assert failed.error == "ContractMismatch" and "price" in failed.message and failed.source


def another(model, folder):
    """A version with the same tensors and another id."""
    from shoploop.versions.artifact import write_version

    version = load_version(model)
    parts = {name: getattr(version, name) for name in ("tensors", "config", "contract", "items", "extra_files")}
    write_version(folder, metrics={"loss": 1.0}, lineage=version.lineage, **parts)
    return folder
