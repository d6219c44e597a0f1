"""The version that serves is compared on the same visits, and where that cannot be, it is said why."""

import json
import shutil
from functools import partial

import numpy as np
import pytest
from shop import FIRST, Shop
from shop.serving import MemoryJoins

from shoploop.evaluation import incumbent
from shoploop.evaluation.incumbent import Incumbent, compare, opened
from shoploop.evaluation.metrics import NAMES
from shoploop.evaluation.scoring import model_scores, request_metrics
from shoploop.features.contract import Contract
from shoploop.samples.by_day import ByDay
from shoploop.samples.files import read_samples
from shoploop.versions import artifact
from shoploop.versions.artifact import load_version, write_version
from shoploop.versions.trained import TrainedModel

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def serving(trained_shop, tmp_path):
    """The folder of a version that serves, named by its id, which a test may damage."""
    version = load_version(trained_shop / "model").id
    return shutil.copytree(trained_shop / "model", tmp_path / version)


@pytest.fixture
def compared(trained_shop):
    """What comes of comparing the version in a folder with the one just trained, which has the same weights."""
    log = Shop().log()
    visits = read_samples(trained_shop / "samples", Contract(), "evaluation")
    model = TrainedModel.of_version(load_version(trained_shop / "model"))
    ours = request_metrics(visits, model_scores(model.model, visits)["fused"])

    def compare_with(folder, visits=visits, ours=ours):
        return compare(opened(folder, visits, log, MemoryJoins(log)), visits, ours)

    return compare_with


def rewritten(folder, **changes):
    """The version in ``folder`` written anew with other parts, under its new id."""
    version = load_version(folder)
    parts = {name: getattr(version, name) for name in ("tensors", "config", "contract", "items", "lineage")}
    new = write_version(folder.parent / "new", metrics={}, **parts | changes)
    return (folder.parent / "new").rename(folder.parent / new.id)


def test_the_same_version_is_compared_and_measures_the_same(serving, compared, trained_shop):
    record, metrics = compared(serving)
    assert record == Incumbent(version=serving.name, compared=True)
    visits = read_samples(trained_shop / "samples", Contract(), "evaluation")
    again = TrainedModel.of_version(load_version(serving))
    ours = request_metrics(visits, model_scores(again.model, visits)["fused"])
    np.testing.assert_allclose(metrics["ndcg@10"], ours["ndcg@10"])


def test_what_serves_says_which_surfaces_it_does_not_answer_by_its_model(serving, compared):
    (serving / "falls_back.json").write_text('{"items": "decay"}')
    assert compared(serving)[0].falls_back == {"items": "decay"}
    (serving / "weights.safetensors").write_bytes(b"no")
    assert (compared(serving)[0].compared, compared(serving)[0].falls_back) == (False, {"items": "decay"})
    shutil.rmtree(serving)
    assert compared(serving)[0].falls_back is None


def test_statistics_of_many_days_are_not_read_at_once(serving, trained_shop, monkeypatch):
    log, visits = Shop().log(), read_samples(trained_shop / "samples", Contract(), "evaluation")
    ours = request_metrics(visits, model_scores(TrainedModel.of_version(load_version(serving)).model, visits)["fused"])
    found, days = [], []
    for at_once in (10**6, len(log.vocabulary)):
        monkeypatch.setattr(incumbent, "ByDay", partial(ByDay, rows_at_once=at_once, rows_kept=at_once))
        joins = MemoryJoins(log)
        found.append(compare(opened(serving, visits, log, joins), visits, ours)[1])
        days.append(joins.days_at_once)
    (all_days,) = days[0]
    assert days[1] == [1] * all_days and all_days > 1
    for name, values in found[0].items():
        np.testing.assert_array_equal(values, found[1][name])


def damaged(folder):
    (folder / "weights.safetensors").write_bytes(b"abc")
    return folder


def foreign(folder):
    manifest = json.loads((folder / "manifest.json").read_bytes())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"format": "else"}))
    return folder


def without_manifest(folder):
    (folder / "manifest.json").unlink()
    return folder


def gone(folder):
    shutil.rmtree(folder)
    return folder


def of_features_no_longer_computed(folder):
    contract = load_version(folder).contract
    return rewritten(folder, contract=contract | {"pair_features": ["moon_phase", *contract["pair_features"][1:]]})


def of_offers_that_are_no_longer_told(folder):
    contract = load_version(folder).contract
    named = {"offer_kinds": ["mailer"], "pair_features": ["item_offer", *contract["pair_features"][1:]]}
    return rewritten(folder, contract=contract | named)


def of_another_model(folder):
    config = load_version(folder).config
    return rewritten(folder, config=config | {"model": {"layers": 3}})


def replaced(folder):
    """Another whole version lies under its name."""
    other = rewritten(folder, lineage={"seed": 99})
    shutil.rmtree(folder)
    return other.rename(folder)


@pytest.mark.parametrize(
    ("befell", "why"),
    [
        (damaged, "weights.safetensors has 3 bytes"),
        (foreign, "does not describe a shoploop version"),
        (without_manifest, "manifest.json cannot be read"),
        (gone, "Its files are gone"),
        (of_features_no_longer_computed, "names moon_phase, which this version of shoploop does not compute"),
        (of_offers_that_are_no_longer_told, "has learned from what is on offer, and features does not say what is"),
        (of_another_model, "holds another model than this shoploop builds"),
        (replaced, "where v"),
    ],
)
def test_a_version_that_cannot_be_compared_says_why(serving, compared, befell, why):
    folder = befell(serving)
    record, metrics = compared(folder)
    assert (record.version, record.compared, metrics) == (folder.name, False, None)
    assert why in record.why_not
    was_read = befell in (of_features_no_longer_computed, of_offers_that_are_no_longer_told)
    assert record.unread is not was_read, "no bringing back helps where it was read"


def test_a_version_of_another_key_is_not_compared(serving, compared):
    """Who brings it here leaves the reason in its place."""
    shutil.rmtree(serving)
    serving.mkdir()
    (serving / artifact.REFUSED).write_text("It is not signed with the key that is asked for.")
    record, _ = compared(serving)
    assert (record.compared, record.why_not) == (False, "It is not signed with the key that is asked for.")


def test_without_a_visit_that_both_were_measured_on_nothing_is_compared(serving, compared, trained_shop):
    visits = read_samples(trained_shop / "samples", Contract(), "evaluation")
    unknown = {name: np.full(len(visits), np.nan) for name in (*NAMES, "auc")}
    record, metrics = compared(serving, ours=unknown)
    assert (record.compared, metrics) == (False, None)
    assert "no visit on which both could be measured" in record.why_not


def test_a_damage_of_this_program_is_an_error_and_no_verdict(serving, compared, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr("shoploop.evaluation.incumbent.assemble", broken)
    with pytest.raises(ZeroDivisionError):
        compared(serving)


def having_learned_up_to(folder, day):
    """The version in ``folder`` as if its weights had learned from all days up to this one of the shop."""
    return rewritten(folder, lineage=load_version(folder).lineage | {"last_training_day": FIRST + day})


def test_a_version_is_compared_on_days_alone_that_it_has_not_learned_from(serving, compared, trained_shop):
    visits = read_samples(trained_shop / "samples", Contract(), "evaluation")
    _, all_of_them = compared(serving)
    record, metrics = compared(having_learned_up_to(serving, 53))
    assert record.compared
    later_Q = visits.days_Q > FIRST + 53
    assert 0 < later_Q.sum() < len(visits)
    for name, values in metrics.items():
        assert np.isnan(values[~later_Q]).all()
        np.testing.assert_array_equal(values[later_Q], all_of_them[name][later_Q])


def test_a_version_that_has_learned_from_nearly_all_days_of_the_evaluation_is_not_compared(serving, compared):
    record, metrics = compared(having_learned_up_to(serving, 58))
    assert (record.compared, metrics) == (False, None)
    assert record.why_not.startswith("It has learned from the days up to 2024-12-01, and 3 of the 15 ")
    assert record.why_not.endswith("visits of this evaluation lie later; 10 are needed.")
