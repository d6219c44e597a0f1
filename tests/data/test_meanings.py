"""What stands in the columns of foreign logs is taken for: times, words of kinds, what a price is of."""

from datetime import datetime, timedelta

import pytest
from foreign_logs import shop, text

from shoploop.data.guessing import guess_events
from shoploop.data.meanings import read_meanings
from shoploop.data.proposals import Proposal


def test_days_and_months_are_told_apart_by_the_whole_column_and_by_the_order_of_time(tables):
    def times(pattern, days):
        moments = [datetime(2024, 1, 1) + timedelta(days=day) for day in days]
        return "user,item,time\n" + "".join(f"u{n % 5},i{n % 3},{t:{pattern}}\n" for n, t in enumerate(moments))

    american = guess_events(tables.bytes("a.csv", times("%m/%d/%Y", range(90)).encode()))
    assert (american.time_format, american.time_doubt) == ("%m/%d/%Y", "")
    first_days = [31 * month + day for month in range(5) for day in range(8)]
    ordered = guess_events(tables.bytes("b.csv", times("%d/%m/%Y", first_days).encode()))
    assert (ordered.time_format, ordered.time_doubt) == ("%d/%m/%Y", "")
    open_ = guess_events(tables.bytes("c.csv", times("%d/%m/%Y", [0, 0, 0]).encode()))
    assert open_.time_doubt == "" and open_.found["time"].sure  # 1 January is 1 January
    doubtful = guess_events(tables.bytes("d.csv", times("%d/%m/%Y", [4, 4, 4]).encode()))
    assert doubtful.time_doubt == "%m/%d/%Y" and not doubtful.found["time"].sure


def test_a_price_is_of_a_piece_where_more_pieces_cost_no_more(tables):
    def prices(each):
        rows = [(i, 1 + n % 3) for n, i in enumerate(list(range(5)) * 12)]
        return "user,item,time,quantity,price\n" + "".join(
            f"u{n % 7},i{i},2024-05-{1 + n % 9:02},{q},{each(2.5 + i, q)}\n" for n, (i, q) in enumerate(rows)
        )

    assert guess_events(tables.bytes("a.csv", prices(lambda p, q: p).encode())).price_is == "unit"
    assert guess_events(tables.bytes("b.csv", prices(lambda p, q: p * q).encode())).price_is == "total"
    alone = guess_events(
        tables.bytes("c.csv", prices(lambda p, q: p).replace(",3,", ",1,").replace(",2,", ",1,").encode())
    )
    assert alone.price_is == "total" and not alone.price_sure


def test_words_for_kinds_are_proposed_and_the_unknown_ones_are_in_doubt(tables):
    def kinds(*words):
        line = "user,item,time,action\n" + "".join(
            f"u{n % 7},i{n % 5},2024-05-{1 + n % 9:02},{words[n % len(words)]}\n" for n in range(60)
        )
        return guess_events(tables.bytes("e.csv", line.encode()))

    known = kinds("view", "buy")
    assert (known.kinds, known.kinds_sure) == ({}, True)
    nobody_buys = kinds("view", "view", "add_to_cart")
    assert (nobody_buys.kinds, nobody_buys.kinds_sure) == ({"add_to_cart": "purchase"}, False)
    foreign = kinds("finish", "finish", "skip")
    assert (foreign.kinds, foreign.kinds_sure) == ({"finish": "purchase", "skip": "other"}, False)
    half = kinds("pv", "buy")
    assert (half.kinds, half.kinds_sure) == ({"pv": "view"}, True)


def test_of_words_for_kinds_that_nobody_knows_the_parts_are_looked_at(tables):
    words = ("Page Visited", "Page Visited", "Gift Added", "Gift Bought", "Product Removed", "Login Completed")
    line = "user,item,time,event\n" + "".join(
        f"u{n % 7},i{n % 5},2024-05-{1 + n % 9:02},{words[n % 6]}\n" for n in range(60)
    )
    guess = guess_events(tables.bytes("e.csv", line.encode()))
    assert guess.kinds == {
        "page visited": "view", "gift added": "cart", "gift bought": "purchase", "product removed": "other",
        "login completed": "other",
    }  # fmt: skip
    assert not guess.kinds_sure


@pytest.mark.parametrize(
    "pattern",
    ["%m/%d/%Y, %I:%M:%S %p", "%d.%m.%Y, %H:%M", "%Y-%m-%d %I:%M:%S %p", "%d.%m.%Y %H.%M"],
)
def test_times_as_browsers_tills_and_other_countries_write_them_need_no_pattern(tables, pattern):
    log = text(lambda n, u, i, t: f"{u};{i};{t.strftime(pattern)}", header="用户ID;товар;날짜\n")
    guess = guess_events(tables.bytes("e.csv", log))
    assert {role: one.columns[0] for role, one in guess.found.items()} == {
        "user": "用户ID", "item": "товар", "time": "날짜"
    }  # fmt: skip
    assert guess.time_format == pattern and not guess.time_doubt


def test_what_follows_from_a_column_is_forgotten_with_it(tables):
    """Another time, no column of kinds, no price: the ratings that kinds made needless count again."""
    log = text(lambda n, u, i, t: f"{u},{i},{t:%d.%m.%Y},{t:%Y-%m-%d},{shop(n)},{1 + n % 5},{i}.5",
               header="customer,sku,created,order_date,type,stars,price\n")  # fmt: skip
    guess = guess_events(tables.bytes("e.csv", log), {"time": "created"})
    assert (guess.time_format, guess.price_is) == ("%d.%m.%Y", "total")
    assert guess.words.keys() == {"view", "addtocart", "transaction"} and "rating" not in guess.found
    guess.found["time"] = Proposal(columns=("order_date",), sure=True, why="you said so")
    del guess.found["kind"], guess.found["price"]
    read_meanings(guess)
    assert (guess.time_format, guess.price_is, guess.words, guess.kinds) == (None, None, {}, {})
    assert guess.found["rating"].columns == ("stars",)


def test_a_time_that_can_be_read_in_two_ways_says_so_once(tables):
    line = "user,item,time\n" + "".join(f"u{n % 5},i{n % 3},05/01/2024\n" for n in range(3))
    guess = guess_events(tables.bytes("e.csv", line.encode()))
    before = guess.found["time"]
    read_meanings(guess)
    assert guess.found["time"] == before and "two ways" in before.why


def test_a_price_with_points_of_thousands_is_told_to_be_of_a_piece(tables):
    lines = [f'ann,i{n % 3},2024-05-{n % 28 + 1:02},{n % 3 + 1},"1.{n % 3}00,50"' for n in range(90) for _ in range(2)]
    lines += [f'bob,i{n % 3},2024-05-01,1,"1.{n % 3}00,50"' for n in range(9)]
    found = guess_events(tables.csv("log.csv", "\n".join(["user,item,time,quantity,price", *lines])))
    assert (found.price_is, found.price_sure) == ("unit", True)
