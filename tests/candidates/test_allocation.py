"""Sources that are asked here name 500 items each; how many of them each may bring is what is found out."""

import numpy as np
import pytest

from shoploop.candidates import allocation
from shoploop.candidates.allocation import DEEPEST, GIVEN, PLACES, POPULAR_AT_LEAST, STEP, Allocation
from shoploop.candidates.fetching import CandidateConfig

FOLLOWERS, ALIKE = GIVEN.index("followers"), GIVEN.index("alike")


def ranked(**ranks):
    """Bought items by the place at which each source names them; sources that are not told name none."""
    size = len(next(iter(ranks.values())))
    table = np.full((size, len(GIVEN)), DEEPEST, np.int64)
    for source, places in ranks.items():
        table[:, GIVEN.index(source)] = places
    found = Allocation()
    found._ranks.append(table)
    found._weights.append(np.ones(size))
    return found


def given(config):
    return {source: getattr(config, source) for source in GIVEN}


def test_places_go_to_the_source_that_reaches_what_was_bought():
    config = ranked(followers=np.arange(200)).config(places=320)
    assert config.followers == 200 and config.alike == config.neighbours == 0


def test_what_one_source_has_reached_is_no_reason_to_ask_another():
    config = ranked(followers=np.arange(200), alike=np.arange(200) // 2).config()
    assert config.alike == 100 and config.followers == 0


def test_a_source_that_reaches_something_only_far_down_is_not_overlooked():
    deep, first = np.full(150, 390), np.full(150, DEEPEST)
    deep[0], first[0] = DEEPEST, 0
    config = ranked(kinds=deep, followers=first).config()
    assert config.kinds == 400 and config.followers == STEP


@pytest.mark.parametrize("places", [PLACES, 200, 130])
def test_never_more_places_are_given_than_there_are(places):
    rng = np.random.default_rng(0)
    config = ranked(**{source: rng.integers(0, DEEPEST + 1, 400) for source in GIVEN}).config(places)
    assert sum(given(config).values()) <= places
    assert config.popular >= POPULAR_AT_LEAST, "a new visitor has nothing else"


def test_too_little_that_was_bought_leaves_the_defaults():
    assert ranked(alike=np.zeros(allocation.TELLING - 1, np.int64)).config() == CandidateConfig()
    assert Allocation().config() == CandidateConfig()
