"""The model looks at the best of what is fetched: by which sources named an item, and how far up."""

from dataclasses import replace

import numpy as np
import pytest
from shop import FIRST, Shop

from shoploop.candidates.fetching import SOURCES, CandidateConfig, fetch_candidates
from shoploop.candidates.first_pass import FIRST_OF_EACH, NOWHERE, TIMES_ASKED, FirstPass, buckets
from shoploop.candidates.worth import TELLING, Worth
from shoploop.features.history import History
from shoploop.features.item import ItemStatistics

DAY = FIRST + 50
NOTHING = {source: np.empty(0, np.int32) for source in SOURCES}


def worth_of(**sources):
    """A first pass in which a source is worth so much wherever it names an item."""
    return tuple((float(sources.get(source, 0.0)),) * NOWHERE for source in SOURCES)


@pytest.fixture(scope="module")
def fetched():
    """All items of a shop, by what sells, with a user's own among them."""
    shop = Shop()
    history = History.of(np.array([30, 31, 30], np.int32), np.array([DAY - 9, DAY - 9, DAY - 2], np.int32), np.ones(3))
    items = ItemStatistics(shop.log()).on(DAY)

    def fetch(first_pass):
        config = CandidateConfig(popular=300, neighbours=0, followers=0, lately=0, first_pass=first_pass)
        return fetch_candidates(history, day=DAY, items=items, catalog=shop.catalog(), config=config)

    return fetch


def test_without_a_first_pass_the_model_looks_at_all(fetched):
    assert fetched(None).passed() is not None and len(fetched(None).passed().items_N) == len(fetched(None).items_N)


def test_what_is_worth_most_passes_and_the_first_of_each_source_beside_it(fetched):
    found = fetched(FirstPass(keep=2, worth=worth_of(history=3.0)))
    passed = found.passed()
    assert {30, 31} <= set(passed.items_N.tolist())
    assert len(passed.items_N) <= 2 + FIRST_OF_EACH < len(found.items_N)
    assert (np.diff(passed.items_N) > 0).all(), "sorted, each once"


def test_more_pass_where_more_are_asked_for(fetched):
    found = fetched(FirstPass(keep=2, worth=worth_of()))
    assert len(found.passed(asked=1).items_N) >= TIMES_ASKED
    assert len(found.passed(asked=1000).items_N) == len(found.items_N)


def test_what_will_be_hidden_takes_no_place_from_what_may_be_shown(fetched):
    found = fetched(FirstPass(keep=10, worth=worth_of(history=3.0)))
    own_N = np.isin(found.items_N, [30, 31])
    before, after = found.passed(), found.passed(hidden_N=own_N)
    assert (~np.isin(after.items_N, [30, 31])).sum() >= 10 > (~np.isin(before.items_N, [30, 31])).sum() - FIRST_OF_EACH
    assert {30, 31} <= set(after.items_N.tolist()), "so that the rule can say what it has hidden"


def test_what_the_shop_raises_passes(fetched):
    found = fetched(FirstPass(keep=2, worth=worth_of(history=3.0)))
    last = found.items_N[~found.always_N][-1]
    raised = np.where(found.items_N == last, 9.0, 0.0)
    assert last not in found.passed().items_N and last in found.passed(raised_N=raised).items_N


def test_what_nobody_has_bought_yet_always_passes(fetched):
    found = fetched(FirstPass(keep=1, worth=worth_of(unsold=-9.0)))
    bits = found.sources_N.copy()
    assert not (bits >> SOURCES.index("unsold") & 1).any(), "a shop without pictures"
    unsold = replace(found, always_N=np.arange(len(bits)) >= len(bits) - 3)
    assert set(found.items_N[-3:].tolist()) <= set(unsold.passed().items_N.tolist())


def test_the_best_places_are_learned_from_visits():
    visits, rng = Worth(), np.random.default_rng(0)
    for _ in range(300):
        popular = rng.permutation(400).astype(np.int32)
        alike = rng.permutation(400)[:100].astype(np.int32)
        visits.add({**NOTHING, "popular": popular, "alike": alike}, np.concatenate([popular[:1], alike[:2]]))
    found = visits.first_pass(50)
    assert found is not None
    popular, alike = (found.worth[SOURCES.index(source)] for source in ("popular", "alike"))
    assert popular[0] > popular[-1] and alike[0] > alike[-1] and max(alike[4:]) < alike[1]
    assert set(found.worth[SOURCES.index("kinds")]) == {0.0}, "a source that names nothing is worth nothing"


def test_where_too_little_was_bought_or_little_is_fetched_all_pass():
    visits = Worth()
    for _ in range(TELLING - 1):
        visits.add({**NOTHING, "popular": np.arange(400, dtype=np.int32)}, np.array([3], np.int32))
    assert visits.first_pass(50) is None
    visits.add({**NOTHING, "popular": np.arange(400, dtype=np.int32)}, np.array([3], np.int32))
    assert visits.first_pass(50) is not None and visits.first_pass(400) is None


def test_the_same_visits_give_the_same_first_pass_in_any_order():
    rng = np.random.default_rng(1)
    made = [
        ({**NOTHING, "popular": rng.permutation(300).astype(np.int32)}, np.arange(3, dtype=np.int32)) for _ in range(60)
    ]
    passes = []
    for order in (made, made[::-1]):
        visits = Worth()
        for named, bought in order:
            visits.add(named, bought)
        passes.append(visits.first_pass(20))
    assert passes[0] == passes[1]


def test_a_budget_is_read_as_it_was_written_also_from_before_there_was_a_first_pass():
    config = CandidateConfig(popular=7, first_pass=FirstPass(keep=9, worth=worth_of(kinds=0.25)))
    assert CandidateConfig.from_json(config.to_json()) == config
    old = CandidateConfig(popular=7)
    assert "first_pass" not in old.to_json() and CandidateConfig.from_json(old.to_json()) == old


def test_places_fall_into_buckets_that_widen():
    assert buckets(np.array([0, 1, 2, 3, 4, 5, 319, 320, 9999])).tolist() == [0, 1, 2, 3, 3, 4, 15, 16, 16]
