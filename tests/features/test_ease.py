"""Neighbours by EASE: of all items at once, or of each by itself where there are many."""

import numpy as np
import pytest
from own_rows import log_of

from shoploop.features import ease as module
from shoploop.features.ease import ease


def weights(found, item, other):
    """Of an item's neighbour; 0 where it is none."""
    neighbours_IM, weights_IM = found
    return float(weights_IM[item][neighbours_IM[item] == other].sum())


def bought_together(baskets):
    return log_of([(f"u{n:02}", item, 0) for n, items in enumerate(baskets) for item in items])


def test_of_more_items_than_are_fitted_at_once_the_rare_ones_have_neighbours_too():
    log = bought_together([*(["bread", "milk"] for _ in range(20)), *(["comb", "hairpin"] for _ in range(3))])
    code = {item: place for place, item in enumerate(log.vocabulary.items)}
    found = ease(log, items=2, penalty=300.0, kept=10)
    assert weights(found, code["comb"], code["hairpin"]) > 0.1
    assert weights(found, code["comb"], code["milk"]) == 0
    assert weights(found, code["bread"], code["milk"]) > 0.1


def test_fitted_by_themselves_items_have_the_weights_that_they_have_at_once(monkeypatch):
    """Where each is bought with each, so that nothing is left out."""
    random = np.random.default_rng(0)
    log = bought_together([[f"i{n}" for n in random.choice(6, 3, replace=False)] for _ in range(60)])
    one_by_one = ease(log, items=5, penalty=2.0, kept=10)
    at_once = ease(log, items=6, penalty=2.0, kept=10)
    for item in range(6):
        for other in set(range(6)) - {item}:
            assert weights(one_by_one, item, other) == pytest.approx(weights(at_once, item, other), abs=1e-5)


def test_of_many_neighbours_those_that_are_bought_most_alike_are_kept():
    log = bought_together(
        [*(["a", "b"] for _ in range(9)), *(["a", "c"] for _ in range(2)), *(["c", "d"] for _ in range(9))]
    )
    code = {item: place for place, item in enumerate(log.vocabulary.items)}
    found = ease(log, items=3, penalty=1.0, kept=1)
    assert weights(found, code["a"], code["b"]) > 0 and weights(found, code["a"], code["c"]) == 0


def test_where_users_buy_many_items_only_the_most_purchased_have_neighbours(monkeypatch):
    monkeypatch.setattr(module, "MOST_PAIRS", 10)
    log = bought_together([*(["bread", "milk"] for _ in range(20)), *(["comb", "hairpin"] for _ in range(3))])
    code = {item: place for place, item in enumerate(log.vocabulary.items)}
    found = ease(log, items=2, penalty=300.0, kept=10)
    assert weights(found, code["comb"], code["hairpin"]) == 0
    assert weights(found, code["bread"], code["milk"]) > 0


def test_an_account_that_buys_everything_takes_no_items_neighbours(monkeypatch):
    monkeypatch.setattr(module, "MOST_PAIRS", 200)
    monkeypatch.setattr(module, "MOST_OF_USER", 4)
    pairs = [(f"u{n:02}", item, 0) for n in range(20) for item in ("bread", "milk")]
    pairs += [(f"v{n:02}", item, 0) for n in range(3) for item in ("comb", "hairpin")]
    log = log_of([*pairs, *(("till", f"x{n:02}", n) for n in range(30))])
    code = {item: place for place, item in enumerate(log.vocabulary.items)}
    found = ease(log, items=2, penalty=300.0, kept=10)
    assert weights(found, code["comb"], code["hairpin"]) > 0.1
    assert weights(found, code["bread"], code["milk"]) > 0.1
    assert weights(found, code["x29"], code["x26"]) > 0, "the latest of its own items count"
    assert weights(found, code["x29"], code["x00"]) == 0


def test_of_one_day_the_same_items_count_whatever_the_order_of_rows(monkeypatch):
    monkeypatch.setattr(module, "MOST_OF_USER", 3)
    rows = [("till", f"x{n}", 0) for n in range(6)] + [("ann", "x0", 0), ("ann", "x5", 0)]
    one, other = (ease(log_of(some), items=9, penalty=1.0, kept=3) for some in (rows, rows[::-1]))
    for mine, theirs in zip(one, other, strict=True):
        assert mine.tobytes() == theirs.tobytes()
