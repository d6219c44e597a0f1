"""The judge that reads rows as words."""

import polars as pl
from shop import two_tastes

from shoploop.augmentation.proofs import unselected
from shoploop.bench.augmentation.words import judge_by_words


def test_it_tells_odd_prices_from_prices_and_real_shoppers_not_from_real_ones():
    rows = unselected.visits(two_tastes(120).interactions())
    one, other = rows.filter(pl.col("user") % 4 < 2), rows.filter(pl.col("user") % 4 >= 2)
    odd = other.with_columns(price=pl.col("price") + pl.int_range(pl.len()) % 97 / 100)
    assert abs(judge_by_words(one, other, seed=0) - 0.5) < 0.2
    assert judge_by_words(one, odd, seed=0) > 0.9
