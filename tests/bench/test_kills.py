"""Learners and updaters that are killed: what the benchmark counts."""

import pytest
from shop.serving import write_model

from shoploop.bench import kills
from shoploop.packaging.staging import stage_ranker
from shoploop.ranking.settings import RankerSettings
from shoploop.store import Store


@pytest.fixture(scope="module")
def found(stored_shop, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packaged")
    version = write_model(folder / "model")
    settings = RankerSettings(version=version.id, max_age_days=7)
    made_of = {part: stored_shop / part for part in ("data", "features")}
    stage_ranker(folder / "ranker", **made_of, model=folder / "model", settings=settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kills, "packaged_ranker", lambda store, name: folder / "ranker")
        return kills.run(Store(str(folder / "store")), "small", kills=3)


def test_of_three_that_are_killed_two_are_learners_and_one_is_an_updater(found):
    assert (found["kills"], found["killed"]) == (3, {"learner": 2, "updater": 1})


def test_each_accepted_event_is_learned_once_and_a_predictor_has_what_was_learned(found):
    assert found["events"] > 0
    assert (found["lost"], found["doubled"], found["refused"]) == (0, 0, 0)
    assert found["weights_equal"] and found["brought_equal"]
