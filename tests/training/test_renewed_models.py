"""A version with what is known by now: of the shop three days later, where ann and gus have bought the first waffles."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from shop import FIRST, Shop, day
from shop.later import LATER, events, made
from shop.searches import typed

from shoploop.errors import ContractMismatch
from shoploop.features.contract import Contract
from shoploop.training.renewal import DataOlder, NothingToRenew, keep_contract, renew_model
from shoploop.versions.artifact import load_version
from shoploop.versions.trained import TrainedModel

pytestmark = pytest.mark.usefixtures("one_thread")


def renewed(folder, parent):
    return renew_model(
        data=folder / "data", features=folder / "features", parent=parent / "model", out=folder / "model"
    )


@pytest.fixture(scope="module")
def later(tmp_path_factory):
    """Not to be written to but by who renews."""
    return made(tmp_path_factory.mktemp("later") / "run", events())


@pytest.fixture(scope="module")
def found(later, trained_shop):
    """What a renewal tells, and the model before and after."""
    told = renewed(later, trained_shop)
    before, after = (TrainedModel.of_version(load_version(root / "model")) for root in (trained_shop, later))
    return told, before, after


def test_it_has_the_weights_of_its_parent_and_knows_the_days_since(found, later, trained_shop):
    told, before, after = found
    parent, version = (load_version(root / "model") for root in (trained_shop, later))
    assert (told.version, told.parent) == (version.id, parent.id)
    assert version.lineage["parent"] == version.lineage["weights_of"] == told.weights_of == parent.id
    assert version.lineage["last_training_day"] == parent.lineage["last_training_day"]
    assert version.lineage["last_day"] == FIRST + 62 == parent.lineage["last_day"] + 3
    assert (told.before, told.through) == (day(59).date().isoformat(), day(62).date().isoformat())
    assert told.learned == day(52).date().isoformat()
    old = before.model.state_dict()
    learned = {name for name in old if not name.endswith(("_ID", "_IF", "_I", "_IP"))}
    assert "behaviour.layers.0.weight" in learned
    new = after.model.state_dict()
    assert all((new[name] == old[name]).all() for name in learned)


def test_an_item_that_came_since_is_known_with_its_kind_and_what_it_follows(found):
    told, before, after = found
    assert (told.items, told.new_items) == (13, 1)
    waffle, bread, milk = (after.vocabulary.code(name) for name in ("waffle", "bread", "milk"))
    assert before.vocabulary.code("waffle") < 0
    assert after.catalog.kind_I[waffle] == after.catalog.kind_I[bread]
    assert after.catalog.group_I[waffle] == after.catalog.group_I[bread]
    assert waffle in after.catalog.after_IP[milk][after.catalog.after_weights_IP[milk] > 0]


def test_a_category_that_is_new_is_a_kind_of_its_own_which_is_bought_again_as_kinds_are_on_average(
    trained_shop, tmp_path
):
    folder = made(tmp_path / "run", events(), waffles_are=["breakfast", "waffles"])
    renewed(folder, trained_shop)
    after = TrainedModel.of_version(load_version(folder / "model"))
    kinds, waffle = after.catalog.kind_I.tolist(), after.vocabulary.code("waffle")
    assert kinds.count(kinds[waffle]) == 1
    assert len(after.catalog.log_odds_CB) == max(kinds) + 1
    before = TrainedModel.of_version(load_version(trained_shop / "model")).catalog.log_odds_CB
    np.testing.assert_allclose(after.catalog.log_odds_CB[kinds[waffle]], before.mean(axis=0), rtol=1e-5)
    again = made(tmp_path / "again", events(Shop(days=65)), waffles_are=["breakfast", "waffles"])
    renewed(again, folder)
    kept = TrainedModel.of_version(load_version(again / "model")).catalog
    assert len(kept.log_odds_CB) == len(after.catalog.log_odds_CB), "no kind comes with each renewal"


def test_the_same_data_renew_to_the_same_version(later, trained_shop, tmp_path, found):
    again = shutil.copytree(later, tmp_path / "again", ignore=shutil.ignore_patterns("model"))
    assert renewed(again, trained_shop).version == found[0].version


def test_a_renewal_is_renewed_as_its_parent_was(later, found, tmp_path):
    two_days_on = made(tmp_path / "run", events(Shop(days=65)))
    told = renewed(two_days_on, later)
    assert (told.parent, told.new_items) == (found[0].version, 0)
    lineage = load_version(two_days_on / "model").lineage
    assert lineage["last_training_day"] == FIRST + 52
    assert lineage["weights_of"] == told.weights_of == found[0].parent
    assert lineage["renewals"] == [found[0].version]


def test_features_keep_the_contract_that_the_weights_have_learned_from(later, trained_shop, found):
    contract = json.loads((later / "features" / "contract.json").read_text())
    assert contract == load_version(trained_shop / "model").contract, "the tables name users' tiers, too"


@pytest.mark.parametrize(
    "days, error, why",
    [(63, NothingToRenew, "made of these very tables"), (50, DataOlder, "Look whether the tables are whole")],
)
def test_without_anything_new_nothing_is_renewed(days, error, why, later, found, tmp_path):
    folder = tmp_path / "run"
    if days == LATER.days:
        shutil.copytree(later, folder, ignore=shutil.ignore_patterns("model"))
    else:
        made(folder, events(Shop(days=days)))
    with pytest.raises(error, match=why):
        renewed(folder, later)
    assert not (folder / "model").exists()


def test_whoever_has_compacted_is_told_what_loading_left_out_of_it(later, tmp_path):
    folder = shutil.copytree(later, tmp_path / "run", ignore=shutil.ignore_patterns("model"))
    report = json.loads((folder / "data" / "load.json").read_text())
    rule = {"name": "rows_without_user", "table": "interactions", "rows": 2, "action": "dropped", "why": ""}
    (folder / "data" / "load.json").write_text(json.dumps(report | {"rules": [rule]}))
    with pytest.raises(NothingToRenew, match="of the interactions it dropped 2 by rows_without_user"):
        renewed(folder, later)


def test_tables_that_say_less_than_the_weights_have_learned_from_are_refused_by_name(trained_shop, tmp_path):
    poorer = made(tmp_path / "run", events(), without=["price"])
    with pytest.raises(ContractMismatch, match=r"price.*which these tables do not say any more"):
        renewed(poorer, trained_shop)
    assert not (poorer / "model").exists()


def test_a_kind_of_offers_that_is_gone_is_in_no_offer_but_without_offers_a_version_of_them_is_refused(tmp_path):
    both = Contract(pair_features=("own_days", "item_offer", "item_offer_2"), offer_kinds=("mailer", "display"))
    version, file = SimpleNamespace(id="v1", contract=both.to_json()), tmp_path / "contract.json"
    for at_hand in (replace(both, pair_features=("own_days", "item_offer"), offer_kinds=("display",)), both):
        file.write_text(json.dumps(at_hand.to_json()))
        keep_contract(version, tmp_path)
        assert Contract.from_json(json.loads(file.read_text())) == both
    file.write_text(json.dumps(both.without_offers().to_json()))
    with pytest.raises(ContractMismatch, match="has learned from what is on offer, which these tables do not say"):
        keep_contract(version, tmp_path)


def test_a_version_that_searches_finds_new_names_and_remembers_new_queries(searching_shop, tmp_path):
    asked = typed(LATER)
    new = asked.tail(1).with_columns(query=pl.lit("belgian breakfast"), item=pl.lit("waffle"))
    later = made(tmp_path / "run", events(), searched=pl.concat([asked, new]))
    renewed(later, searching_shop)
    after = TrainedModel.of_version(load_version(later / "model"))
    assert after.searches is not None
    assert "belgian breakfast" in after.searches["query"].to_list()
    waffle = after.vocabulary.code("waffle")
    assert after.texts[waffle].startswith("Waffle")
    assert (after.model.searching().names_IP[waffle] > 0).any()
    assert after.shops == TrainedModel.of_version(load_version(searching_shop / "model")).shops
