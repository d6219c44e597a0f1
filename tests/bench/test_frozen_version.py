"""The version that a replay holds beside the others: as it was before the days that are replayed."""

import pytest
from shop import FIRST, TRAINING, Shop, day, later

from shoploop.bench import nights
from shoploop.ranking.settings import RankerSettings
from shoploop.samples.files import read_catalog
from shoploop.versions.artifact import load_version
from shoploop.versions.trained import TrainedModel

pytestmark = pytest.mark.usefixtures("one_thread")

SHOP = Shop()


def test_the_frozen_version_has_the_weights_of_its_run_and_knows_nothing_of_the_days_that_are_replayed(
    trained_shop, tmp_path
):
    first, data = day(53).date(), later.made(tmp_path / "later", later.events()) / "data"
    folder = nights.first_night(
        trained_shop, first, tmp_path, data=data, training=TRAINING, settings=RankerSettings(version="another")
    )
    frozen, trained = nights.load(folder), TrainedModel.of_version(load_version(trained_shop / "model"))
    assert max(int(frozen.known.stored(who).history.days_H.max()) for who in SHOP.people) == FIRST + 52
    assert frozen.known.day(day(53)) == FIRST + 53
    assert frozen.known.trained.vocabulary.items == SHOP.names, "nobody has bought a waffle yet"
    weights = frozen.known.trained.model.state_dict()["behaviour.layers.0.weight"]
    assert (weights == trained.model.state_dict()["behaviour.layers.0.weight"]).all()
    judged = read_catalog(trained_shop / "samples", FIRST + 53)
    assert (frozen.known.trained.catalog.after_weights_IP == judged.after_weights_IP).all()
    assert not (judged.after_weights_IP == trained.catalog.after_weights_IP).all()
