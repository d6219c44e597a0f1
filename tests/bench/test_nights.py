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
    found = nights.train_nights(folder / "data", MORNINGS, folder / "made", training=TRAINING, settings=settings)
    return {morning: nights.load(path) for morning, path in found.items()}


@pytest.fixture(scope="module")
def replayed(made):
    """Two days of the shop, beside a version of each morning."""
    rows = SHOP.interactions().filter(SHOP.interactions()["time"].dt.date().is_in(MORNINGS)).sort("time", "user")
    bought = list(zip(rows["user"], rows["item"], rows["time"], strict=True))
    mornings = {morning: partial(made.get, morning) for morning in made}
    return replay.replayed(made[MORNINGS[0]], bought, mornings=mornings, speed=1e9, period_seconds=0.1)


def test_a_morning_knows_what_was_bought_until_the_night_and_answers_for_its_day(made):
    bob = [int(made[morning].known.stored("bob").history.days_H.max()) for morning in MORNINGS]
    assert bob == [FIRST + 55, FIRST + 58], "he comes every third day, on the first of the two"
    assert [made[morning].known.day(day(59)) for morning in MORNINGS] == [FIRST + 59, FIRST + 59]
    assert made[MORNINGS[0]].version != made[MORNINGS[1]].version


def test_what_was_done_before_the_morning_is_not_learned_a_second_time(made, tmp_path):
    with SqliteLog(tmp_path / "log") as log:
        kept = Kept(source="organic", kind="purchase", user="bob", item="soap", time=day(58), received=day(58))
        log.append([Entry(str(number), to_json(kept)) for number in range(3)])
        side = replay._Side(made[MORNINGS[1]], log, tmp_path, start=log.end(), learner=None, period_seconds=0.1)
        side.loop.catch_up()
        assert side.loop.offset == log.end() > 0


def test_each_day_is_answered_by_the_version_of_its_night_alone_and_with_what_it_has_learned(replayed):
    assert [one["day"] for one in replayed["days"]] == [morning.isoformat() for morning in MORNINGS]
    first, second = replayed["days"]
    assert first["nightly"] == first["frozen"], "the frozen version is that of the first night"
    assert all(0 < one[side] <= 1 for one in (first, second) for side in replay.SIDES)
    nightly = replayed["nightly"]
    found = nightly["recall@10"]
    assert found["difference"] == pytest.approx(found["online"] - found["frozen"])
    assert nightly["gained"]["difference"] == pytest.approx(found["frozen"] - replayed["recall@10"]["frozen"])


def test_the_page_draws_all_four_and_says_that_no_version_knows_what_was_done_later(replayed, tmp_path):
    from shoploop.report import replay_page

    replay_page.write(tmp_path / "page.html", {"recommender": "shop", "version": "v1"} | replayed)
    text = (tmp_path / "page.html").read_text()
    assert "trained every night, learning online" in text
    assert "No version knows what was done after the night that it was trained" in text
