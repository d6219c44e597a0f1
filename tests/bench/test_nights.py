"""A version for each morning of a replay, and what the replay tells of them."""

from functools import partial

import pytest
from shop import FIRST, TRAINING, Shop, day
from shop.stored import write_files

from shoploop.api.v1alpha1 import DataSpec
from shoploop.bench import nights, replay
from shoploop.data.step import load_data
from shoploop.events.log import Entry
from shoploop.events.messages import Kept, to_json
from shoploop.events.sqlite_log import SqliteLog
from shoploop.ranking.settings import RankerSettings

SHOP = Shop()
MORNINGS = [day(58).date(), day(59).date()]


@pytest.fixture(scope="module")
def made(tmp_path_factory, narrow_network):
    folder = tmp_path_factory.mktemp("nights")
    load_data(out=folder / "data", data_spec=DataSpec(tables=write_files(folder / "files", SHOP)))
    settings = RankerSettings(version="another")
    asked = {"training": TRAINING, "settings": settings}
    trained = nights.train_nights(folder / "data", MORNINGS, folder / "made", **asked)
    first = trained[MORNINGS[0]]
    later = nights.renew_nights(folder / "data", MORNINGS[1:], folder / "made", first=first, **asked)
    kinds = {"nightly": trained, "renewed": {MORNINGS[0]: first} | later}
    return {kind: {morning: nights.load(path) for morning, path in found.items()} for kind, found in kinds.items()}


@pytest.fixture(scope="module")
def replayed(made):
    """Two days of the shop, beside a version of each morning."""
    rows = SHOP.interactions().filter(SHOP.interactions()["time"].dt.date().is_in(MORNINGS)).sort("time", "user")
    bought = list(zip(rows["user"], rows["item"], rows["time"], strict=True))
    mornings = {kind: {morning: partial(of.get, morning) for morning in of} for kind, of in made.items()}
    return replay.replayed(made["nightly"][MORNINGS[0]], bought, mornings=mornings, speed=1e9, period_seconds=0.1)


@pytest.mark.parametrize("kind", replay.OF_NIGHTS)
def test_a_morning_knows_what_was_bought_until_the_night_and_answers_for_its_day(made, kind):
    versions = made[kind]
    bob = [int(versions[morning].known.stored("bob").history.days_H.max()) for morning in MORNINGS]
    assert bob == [FIRST + 55, FIRST + 58], "he comes every third day, on the first of the two"
    assert [versions[morning].known.day(day(59)) for morning in MORNINGS] == [FIRST + 59, FIRST + 59]
    assert versions[MORNINGS[0]].version != versions[MORNINGS[1]].version


def test_a_renewed_morning_has_the_weights_of_the_first_night(made):
    def weights(kind, morning):
        return made[kind][morning].known.trained.model.state_dict()["behaviour.layers.0.weight"]

    first = weights("nightly", MORNINGS[0])
    assert (weights("renewed", MORNINGS[1]) == first).all()
    assert not (weights("nightly", MORNINGS[1]) == first).all()


def test_what_was_done_before_the_morning_is_not_learned_a_second_time(made, tmp_path):
    with SqliteLog(tmp_path / "log") as log:
        kept = Kept(source="organic", kind="purchase", user="bob", item="soap", time=day(58), received=day(58))
        log.append([Entry(str(number), to_json(kept)) for number in range(3)])
        side = replay._Side(
            made["nightly"][MORNINGS[1]], log, tmp_path, start=log.end(), learner=None, period_seconds=0.1
        )
        side.loop.catch_up()
        assert side.loop.offset == log.end() > 0


def test_each_day_is_answered_by_the_version_of_its_night_alone_and_with_what_it_has_learned(replayed):
    assert [one["day"] for one in replayed["days"]] == [morning.isoformat() for morning in MORNINGS]
    first, second = replayed["days"]
    assert first["nightly"] == first["renewed"] == first["frozen"], "the frozen version is that of the first night"
    assert all(0 < one[side] <= 1 for one in (first, second) for side in replay.SIDES)
    for kind in replay.OF_NIGHTS:
        for metric in replay.METRICS:
            found, gained = replayed[kind][metric], replayed[kind]["gained"][metric]
            assert found["difference"] == pytest.approx(found["online"] - found["frozen"])
            assert gained["difference"] == pytest.approx(found["frozen"] - replayed[metric]["frozen"])


def test_the_page_draws_all_of_them_and_says_that_no_version_knows_what_was_done_later(replayed, tmp_path):
    from shoploop.report import replay_page

    replay_page.write(tmp_path / "page.html", {"recommender": "shop", "version": "v1"} | replayed)
    text = (tmp_path / "page.html").read_text()
    assert "trained every night, learning online" in text
    assert "renewed every night, learning online" in text
    assert "one of a night what was known by then" in text
