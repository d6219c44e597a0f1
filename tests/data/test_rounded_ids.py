"""Ids that a spreadsheet rounded are refused, or told where they are few."""

import polars as pl
import pytest
from own_tables import log

from shoploop.errors import SchemaMismatch


def with_rounded(tables, rounded, rows, word):
    ids = [f"SKU-{n % 30}" for n in range(rows - rounded)] + [word] * rounded
    return tables.events(tables.csv("log.csv", log(rows).with_columns(item=pl.Series(ids)).write_csv()))


@pytest.mark.parametrize("word", ["4.00638E+12", "4,00638E+12"])
def test_a_few_rounded_ids_become_no_item_together_and_it_is_told(word, tables):
    events = with_rounded(tables, 4, 100, word)
    assert events.height == 96 and not events["item"].str.contains("E+", literal=True).any()
    assert tables.rule("item_rounded")["rows"] == 4
    assert "Export the ids as text" in tables.told()


def test_many_rounded_ids_are_refused(tables):
    with pytest.raises(SchemaMismatch, match="a spreadsheet has rounded"):
        with_rounded(tables, 10, 100, "4.00638E+12")
