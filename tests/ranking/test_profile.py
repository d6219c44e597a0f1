"""What a version says of a user to a person."""

from datetime import UTC, datetime, time, timedelta

import pytest
from shop import Shop
from shop.serving import make_ranker

from shoploop.ranking.profile import profile

SERVING_DAY = Shop().serving_day
NOON = datetime.combine(SERVING_DAY, time(12), UTC)


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    return make_ranker(tmp_path_factory.mktemp("ranker")).known


def test_what_is_bought_most_often_comes_first_with_its_rhythm(known):
    ann = profile(known, "ann", now=NOON)
    assert [(habit.item, habit.times) for habit in ann.habits[:2]] == [("milk", 20), ("apples", 10)]
    milk = ann.habits[0]
    assert milk.every_days * (milk.times - 1) + milk.last_days_ago <= 400
    assert ann.visits >= 20
    assert ann.first < ann.last < ann.as_of


def test_an_item_is_due_when_its_rhythm_says_so(known):
    def milk(days):
        return profile(known, "ann", now=NOON + timedelta(days=days)).habits[0]

    today, later = milk(0), milk(1)
    assert today.due_in_days - later.due_in_days == pytest.approx(1.0)
    soon = profile(known, "ann", now=NOON + timedelta(days=round(today.due_in_days) + 1))
    assert "milk" in {habit.item for habit in soon.due}


def test_on_the_last_day_of_the_data_what_was_bought_on_it_was_bought_no_day_ago(known):
    oda = profile(known, "oda", now=NOON - timedelta(days=1))
    assert (oda.habits[0].item, oda.habits[0].last_days_ago) == ("honey", 0)


def test_shares_of_kinds_add_up(known):
    kinds = profile(known, "ann", now=NOON).kinds
    assert sum(kind.share for kind in kinds) == pytest.approx(1.0)
    assert [kind.share for kind in kinds] == sorted((kind.share for kind in kinds), reverse=True)


def test_of_a_stranger_nothing_is_known(known):
    stranger = profile(known, "nobody", now=NOON)
    assert not stranger.known
    assert stranger.visits == 0 and stranger.habits == stranger.due == stranger.kinds == ()
