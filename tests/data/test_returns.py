"""What is sent back whole was not wanted."""

import pytest

DAYS = {"mon": "2024-05-06", "tue": "2024-05-07", "wed": "2024-05-08", "thu": "2024-05-09"}


def kinds_of(tables, *rows, quantities=True):
    """The kind of each row, in the order of days: rows such as ``mon buys 2``, ``wed returns 1``."""
    lines = [row.split() for row in rows]
    names = {"buys": "purchase", "returns": "return"}
    text = "".join(
        f"ann,{item[0] if item else 'hat'},{DAYS[day]},{names[what]}" + (f",{pieces}" if quantities else "") + "\n"
        for day, what, pieces, *item in lines
    )
    text += "bob,hat,2024-05-06,purchase" + (",1" if quantities else "") + "\n"
    header = "user,item,time,kind" + (",quantity" if quantities else "") + "\n"
    loaded = tables.load(interactions={"uri": tables.csv("log.csv", header + text)})["interactions"]
    assert loaded.filter(user="bob")["kind"].to_list() == ["purchase"]
    return " ".join(loaded.filter(user="ann").sort("time", "kind")["kind"].to_list())


@pytest.mark.parametrize(
    ("rows", "kinds"),
    [
        (["mon buys 1", "wed returns 1"], "other return"),
        (["mon buys 2", "wed returns 1", "thu returns 1"], "other return return"),
        (["mon buys 10", "wed returns 2"], "purchase return"),
        (["mon buys 1", "tue buys 1", "wed returns 1"], "purchase other return"),
        (["mon returns 1", "wed buys 1"], "return purchase"),
        (["mon buys 1", "wed returns 1", "thu buys 1"], "other return purchase"),
        (["mon buys 1 scarf", "wed returns 1 hat"], "purchase return"),
    ],
    ids=["all of it", "in two parts", "a part", "the latest", "before it was bought", "bought again", "something else"],
)
def test_a_purchase_that_is_sent_back_whole_is_none(rows, kinds, tables):
    assert kinds_of(tables, *rows) == kinds


def test_without_quantities_a_return_undoes_one_purchase(tables):
    assert kinds_of(tables, "mon buys 1", "tue buys 1", "wed returns 1", quantities=False) == "purchase other return"
    assert "1 row changed (purchases_sent_back)" in tables.told()
