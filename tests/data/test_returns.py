"""What is sent back whole was not wanted."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoploop.data.returns import without_sent_back
from shoploop.data.rules import Loaded

DAYS = {"sun": "2024-05-05", "mon": "2024-05-06", "tue": "2024-05-07", "wed": "2024-05-08", "thu": "2024-05-09"}


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
        (["sun returns 1", "mon buys 1", "wed buys 1", "thu returns 1"], "return purchase other return"),
        (
            ["sun buys 10", "mon returns 2", "tue buys 2", "wed buys 1", "thu returns 1"],
            "purchase return purchase other return",
        ),
        (
            ["sun buys 1", "mon buys 1", "tue returns 1", "wed buys 1", "thu returns 1"],
            "purchase other return other return",
        ),
        (
            ["sun buys 1", "mon returns 5", "tue buys 1", "wed buys 1", "thu returns 1"],
            "other return purchase other return",
        ),
        (["mon buys 1", "mon returns 1"], "other return"),
        (["mon buys 0", "wed returns 1"], "purchase return"),
        (["mon buys 0.1", "tue buys 0.2", "thu returns 0.3"], "other other return"),
    ],
    ids=[
        "all of it",
        "in two parts",
        "a part",
        "the latest",
        "before it was bought",
        "bought again",
        "something else",
        "of before the log",
        "a part of what was bought before",
        "each its own",
        "more than was open",
        "on one day",
        "no piece",
        "by weight",
    ],
)
def test_a_purchase_that_is_sent_back_whole_is_none(rows, kinds, tables):
    assert kinds_of(tables, *rows) == kinds


def test_without_quantities_a_return_undoes_one_purchase(tables):
    assert kinds_of(tables, "mon buys 1", "tue buys 1", "wed returns 1", quantities=False) == "purchase other return"
    assert "1 row changed (purchases_sent_back)" in tables.told()


ROWS = st.lists(
    st.tuples(
        st.sampled_from("ab"), st.sampled_from("xy"), st.integers(0, 9), st.sampled_from(["purchase", "return", "view"]),
        st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0, None]),
    ), max_size=40,
)  # fmt: skip


def walked(rows):
    """Numbers of the purchases that returns undo, row by row as the docstring tells it."""
    order = sorted(range(len(rows)), key=lambda n: (rows[n][2], rows[n][3] == "return", n))
    still, undone = {}, set()
    for n in order:
        user, item, _, kind, pieces = rows[n]
        left = 1.0 if pieces is None else pieces
        stack = still.setdefault((user, item), [])
        if kind == "purchase" and left:
            stack.append([n, left])
        while kind == "return" and left and stack:
            taken = min(left, stack[-1][1])
            left, stack[-1][1] = left - taken, stack[-1][1] - taken
            if not stack[-1][1]:
                undone.add(stack.pop()[0])
    return undone


@given(ROWS)
@settings(max_examples=150, deadline=None)
def test_no_more_pieces_are_undone_than_came_back_after_them(rows):
    events = pl.DataFrame(
        rows, orient="row",
        schema={"user": pl.String, "item": pl.String, "time": pl.Int64, "kind": pl.String, "quantity": pl.Float64},
    ).with_columns(pl.from_epoch("time", time_unit="s").dt.replace_time_zone("UTC"))  # fmt: skip
    after = without_sent_back(events, Loaded(interactions=events))
    assert after.drop("kind").equals(events.drop("kind"))
    undone = {n for n, kind in enumerate(after["kind"]) if kind != rows[n][3]}
    for user, item, since, *_ in rows:
        own = [n for n, row in enumerate(rows) if row[:2] == (user, item) and row[2] >= since]
        pieces = {n: 1.0 if rows[n][4] is None else rows[n][4] for n in own}
        back = sum(pieces[n] for n in own if rows[n][3] == "return")
        assert sum(pieces[n] for n in own if n in undone) <= back
    assert {rows[n][3] for n in undone} <= {"purchase"}
    assert undone == walked(rows)


def kinds_by_price(tables, header, *lines):
    """The kinds of the rows of Ann's hats, as they are written."""
    text = f"user,item,time,{header}\n" + "\n".join(f"ann,hat,2024-05-{line}" for line in lines)
    events = tables.events(tables.csv("log.csv", text + f"\nbob,hat,2024-05-06,{'1,' * header.count(',')}1"))
    return " ".join(events.filter(user="ann").sort("time", "price", descending=[False, True])["kind"].to_list())


@pytest.mark.parametrize(
    ("header", "lines", "kinds"),
    [
        ("quantity,price,basket", ["06T10:00,1,10,b1", "06T10:00,1,-2,b1"], "purchase other"),
        ("quantity,price,basket", ["06T10:00,1,10,b1", "06T10:05,1,-10,b1"], "purchase other"),
        ("quantity,price", ["06T10:00,1,10", "06T10:00,1,-2"], "purchase other"),
        ("quantity,price", ["06T10:00,1,10", "08T10:00,1,-2"], "purchase other"),
        ("quantity,price", ["06T10:00,1,10", "07T10:00,1,-10", "08T10:00,1,10", "09T10:00,-1,-10"],
         "purchase other other return"),
        ("quantity,price", ["06T10:00,2,20", "08T10:00,0,-20"], "purchase other"),
    ],
    ids=["a line of the receipt", "the whole price", "at one time", "a part, later", "where pieces have signs", "no piece"],
)  # fmt: skip
def test_a_negative_price_alone_that_is_a_discount_undoes_no_purchase(header, lines, kinds, tables):
    assert kinds_by_price(tables, header, *lines) == kinds
    assert "(discounts)" in tables.told()


@pytest.mark.parametrize(
    ("header", "lines"),
    [
        ("price", ["06T10:00,10", "08T10:00,-10"]),
        ("quantity,price", ["06T10:00,2,20", "08T10:00,2,-20"]),
        ("quantity,price", ["06T10:00,1,10", "08T10:00,-1,-10"]),
        ("quantity,price", ["06T10:00,1,10", "06T10:00,-1,-2"]),
    ],
    ids=["no quantity", "no signs at pieces", "both", "pieces with less money"],
)
def test_goods_that_went_back_undo_their_purchase_by_either_sign(header, lines, tables):
    assert kinds_by_price(tables, header, *lines) == "other return"


@pytest.mark.parametrize(("brought_back", "kind"), [(54, "purchase"), (30, "other")])
def test_where_nearly_all_comes_back_it_was_lent_and_counts_as_wanted(brought_back, kind):
    taken = [(f"u{n}", f"book {n % 7}", n, "purchase") for n in range(60)]
    back = [(f"u{n}", f"book {n % 7}", 100 + n, "return") for n in range(brought_back)]
    events = pl.DataFrame([*taken, *back], schema=["user", "item", "time", "kind"], orient="row")
    loaded = Loaded(interactions=events)
    left = without_sent_back(events, loaded)
    assert set(left["kind"].to_list()[:brought_back]) == {kind}
    assert any("as what is lent is" in rule.why for rule in loaded.rules) == (kind == "purchase")
