"""What exports of other trades taught: a library, a dealer in spare parts, a restaurant, a spreadsheet."""

import json
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from shoploop.cli.init import init_recommender
from shoploop.data.decimals import read_numbers, read_table
from shoploop.data.guessing import guess_events
from shoploop.errors import SchemaMismatch


def test_points_part_thousands_where_the_prices_beside_them_have_commas(tables):
    lines = "\n".join(f'ann,p{n},2024-05-01,{pieces},"{n},50"' for n, pieces in enumerate(["50", "1.200", "500"]))
    uri = tables.csv("log.csv", "user,item,time,quantity,price\n" + lines)
    loaded = tables.load(interactions={"uri": uri, "priceIs": "unit"})["interactions"].sort("item")
    assert loaded["quantity"].to_list() == [50.0, 1200.0, 500.0]
    assert loaded["price"].to_list() == [25.0, 1800.0, 1250.0]


def test_pieces_with_three_digits_behind_a_point_among_whole_ones_are_told(tables):
    uri = tables.csv("log.csv", "user,item,time,quantity\nann,a,2024-05-01,50\nann,b,2024-05-01,1.200")
    assert tables.events(uri)["quantity"].to_list() == [50.0, 1.2]
    assert "A quantity such as '1.200' among whole ones is read as 1.2." in tables.told()


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["1.200.000", "-1.200", "5"], [1_200_000.0, -1200.0, 5.0]),
        (["0.350", "1.200", "2"], [0.35, 1.2, 2.0]),  # kilogrammes
        (["1.200", "2.50"], [1.2, 2.5]),
    ],
)
def test_a_point_parts_thousands_only_where_nothing_else_is_possible(texts, numbers):
    read = read_numbers(pl.Series(texts), pieces=True)
    assert (read.numbers.to_list(), read.with_doubt) == (numbers, 0)


def test_beside_decimal_commas_a_number_that_starts_with_nothing_keeps_its_point():
    read = read_table({"quantity": pl.Series(["0.350", "1.200"]), "price": pl.Series(["4,16", "0,50"])})
    assert read["quantity"].numbers.to_list() == [0.35, 1.2]


def test_what_stands_around_a_number_does_not_change_how_its_point_is_read():
    prices = pl.Series(["4,16", "5,00", "6,10", "7,00"])
    pieces = read_table({"quantity": pl.Series(["50", "1.200", "NULL", "1.200-"]), "price": prices})["quantity"]
    assert pieces.numbers.to_list() == [50.0, 1200.0, None, -1200.0]


def test_commas_that_only_pieces_may_have_say_nothing_of_the_points_of_prices():
    read = read_table({"quantity": pl.Series(["3,000", "24,000"]), "price": pl.Series(["1.250", "12.500"])})
    assert (read["quantity"].numbers.to_list(), read["price"].numbers.to_list()) == ([3.0, 24.0], [1.25, 12.5])


@pytest.mark.parametrize(
    ("pieces", "money"),
    [
        (["10", "1.000", "2.500"], ["1.234,50", "7,00", "9,90"]),
        (["10", "1,000", "2,500"], ["1,234.50", "7.00", "9.90"]),
        (["10", "1,000", "2,500"], ["12.50", "7.00", "9.90"]),
        (["10", "1'000", "2'500"], ["1'234.50", "7.00", "9.90"]),
    ],
)
def test_thousands_are_parted_as_a_column_beside_them_says_though_nothing_else_reads_it(tables, pieces, money):
    lines = "\n".join(
        f"ann;p{n};2024-05-01;{one};{two}" for n, (one, two) in enumerate(zip(pieces, money, strict=True))
    )
    events = tables.events(tables.csv("log.csv", "user;item;time;quantity;netto\n" + lines)).sort("item")
    assert events["quantity"].to_list() == [10.0, 1000.0, 2500.0]
    assert tables.rule("quantity_with_signs")["rows"] == 2


@pytest.mark.parametrize(
    "beside", [["1.5", "2.5", "3"], ["a, b", "1,5 litres", "c"], ["7", "8", "9"], ["2,500", "3,100", "7"]]
)
def test_what_settles_nothing_leaves_a_point_as_it_is(tables, beside):
    read = read_table({"quantity": pl.Series(["10", "1.000", "2.500"])}, [pl.Series(beside)])["quantity"]
    assert (read.numbers.to_list(), read.with_doubt) == ([10.0, 1.0, 2.5], 2)


def test_pieces_of_tills_are_thousands_only_where_money_has_both_signs():
    pieces = pl.Series(["3,000", "24,000"])
    assert read_table({"quantity": pieces}, [pl.Series(["4.16", "5.00"])])["quantity"].numbers.to_list() == [3.0, 24.0]
    assert read_table({"quantity": pieces}, [pl.Series(["1,234.16", "5.00"])])["quantity"].numbers.to_list() == [
        3e3,
        24e3,
    ]


def test_one_word_for_nothing_does_not_silence_a_doubt():
    read = read_numbers(pl.Series(["50", "1.200", "NULL"]), pieces=True)
    assert (read.numbers.to_list(), read.with_doubt) == ([50.0, 1.2, None], 1)


def test_days_beside_clocks_are_moments_of_the_zone_like_these(tables):
    lines = "user,item,time\nann,a,01.07.2024\nann,b,01.07.2024 08:30"
    loaded = tables.load(
        interactions={
            "uri": tables.csv("log.csv", lines), "timeZone": "Asia/Tokyo",
            "timeFormat": ["%d.%m.%Y", "%d.%m.%Y %H:%M"],
        }
    )["interactions"].sort("item")  # fmt: skip
    assert [time.isoformat() for time in loaded["time"]] == ["2024-06-30T15:00:00+00:00", "2024-06-30T23:30:00+00:00"]


def test_who_buys_once_each_is_no_number_of_a_row(tables):
    rows = [f"w{n},t{n % 7},{date(2024, 5, 1) + timedelta(days=n)}" for n in range(40)]
    found = guess_events(tables.csv("log.csv", "who,thing,date\n" + "\n".join(rows))).found
    assert (found["user"].columns, found["item"].columns) == (("who",), ("thing",))


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize(
    "days", ["2024-07-01 2024-01-02", "01.07.24 02.01.24", "2024-07-01T00:00:00 2024-01-02T00:00:00"]
)
def test_days_without_a_clock_stay_the_days_that_were_written(tables, zone, days):
    first, second = days.split()
    uri = tables.csv("log.csv", f"user,item,time\nann,tea,{first}\nann,tea,{second}")
    pattern = {"timeFormat": "%d.%m.%y"} if "." in first else {}
    times = tables.events(uri, timeZone=zone, **pattern)["time"]
    assert times.to_list() == [datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 7, 1, tzinfo=UTC)]


def test_days_of_a_parquet_file_stay_the_days_that_were_written(tables):
    frame = pl.DataFrame({"user": ["ann"], "item": ["tea"], "time": [date(2024, 7, 1)]})
    times = tables.events(tables.parquet("log.parquet", frame), timeZone="Asia/Tokyo")["time"]
    assert times.to_list() == [datetime(2024, 7, 1, tzinfo=UTC)]


def test_words_for_nothing_are_no_titles_categories_or_brands(tables):
    lines = "ann,tea,2024-05-01,nan,NULL,None\nann,bread,2024-05-02,Nan,Bakery,Own"
    loaded = tables.load(interactions={"uri": tables.csv("log.csv", "user,item,time,title,category,brand\n" + lines)})
    described = loaded["items"].select("item", "title", "category", "brand").rows()
    assert described == [("bread", "Nan", ["Bakery"], "Own"), ("tea", "Item tea", [], None)]
    assert tables.rules()["title_nothing"] == 1


def test_ids_with_commas_between_thousands_are_kept_and_told(tables):
    uri = tables.csv("log.csv", 'user,item,time\n"1,001",tea,2024-05-01\n"12,345",tea,2024-05-02\n7,tea,2024-05-02')
    assert set(tables.events(uri)["user"]) == {"1,001", "12,345", "7"}
    assert "The ids of this user column are numbers with commas between thousands, such as '1,001'" in tables.told()


def test_the_number_of_a_row_is_no_user_and_a_due_date_is_not_when(tables):
    rows = [(f"{n:05}", f"p{n % 7}", f"c{n % 5}", date(2024, 1, 1) + timedelta(days=n)) for n in range(40)]
    lines = [f"{no},{person},{copy},{day},{day + timedelta(days=28)}" for no, person, copy, day in rows]
    uri = tables.csv("loans.csv", "\n".join(["no_of_loan,whom,isbn,loaned,due_date", *lines]))
    found = guess_events(uri).found
    assert {role: one.columns[0] for role, one in found.items()} == {"user": "whom", "item": "isbn", "time": "loaned"}
    assert found["time"].sure and not found["user"].sure


def test_where_a_row_is_an_order_with_a_list_of_lines_it_says_so(tables, tmp_path):
    orders = [{"customer": f"p{n % 5}", "ordered": f"2024-01-{n + 1:02}", "lines": [n]} for n in range(20)]
    uri = tables.bytes("orders.jsonl", "\n".join(map(json.dumps, orders)).encode())
    with pytest.raises(SchemaMismatch, match="'lines' hold lists: name one in explode"):
        init_recommender(uri, items=None, out=tmp_path / "recommender.yaml", columns=(), yes=True, force=False)


def test_prices_in_several_currencies_are_told_and_of_one_are_not(tables, tmp_path, capsys):
    def guessed(name, money):
        rows = "".join(f"ann{n},p{n % 3},2024-05-01,{n},{money[n % len(money)]}\n" for n in range(6))
        uri = tables.csv(name, "user,item,time,price,Currency Code\n" + rows)
        out = tmp_path / f"{name}.yaml"
        init_recommender(uri, items=None, out=out, columns=(), yes=True, force=False)
        return out.read_text(), capsys.readouterr().out

    written, said = guessed("several.csv", ["EUR", "USD", "EUR"])
    for text in (written, said):
        assert "Currency Code says EUR (4 rows), USD (2 rows): prices are compared as numbers" in text
    for text in guessed("one.csv", ["EUR", "eur"]):
        assert "compared as numbers" not in text


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        ("play skip", {"play": "purchase", "skip": "other"}),
        ("consultation candidature", {"consultation": "view", "candidature": "purchase"}),
        ("view uninstall install", {"install": "purchase", "uninstall": "other"}),
    ],
)
def test_what_people_turn_away_from_is_never_what_they_want(words, kinds, tables):
    said = words.split()
    rows = "".join(f"u{n % 5},i{n % 7},2024-05-{1 + n % 28:02},{said[n % len(said)]}\n" for n in range(60))
    guess = guess_events(tables.csv("log.csv", "user,item,time,event\n" + rows))
    assert guess.kinds == kinds


def test_stars_under_a_name_that_nobody_knows_and_items_without_a_name_are_told(tables, tmp_path, capsys):
    rows = "".join(f"u{n % 5},i{n % 7},2024-05-{1 + n % 28:02},{1 + n % 5},{n}\n" for n in range(40))
    log = tables.csv("log.csv", "user,item,time,Smak,points\n" + rows)
    items = tables.csv("items.csv", "item,Smaknamn\n" + "".join(f"i{n},Soppa {n}\n" for n in range(7)))
    init_recommender(log, items=items, out=tmp_path / "r.yaml", columns=(), yes=True, force=False)
    said = capsys.readouterr().out
    assert "Smak: 1 to 5; if it says how much they liked it, give --column rating=Smak" in said
    assert "points:" not in said
    assert "no column looks like a name, so lists show ids; left are Smaknamn" in said


def test_where_there_is_nobody_to_ask_it_says_that_doubts_were_taken_as_proposed(tables, tmp_path, capsys):
    uri = tables.csv("log.csv", "a,b,date\n" + "".join(f"{n % 5},x{n % 7},2024-05-0{1 + n % 9}\n" for n in range(40)))
    for yes in (True, False):
        init_recommender(uri, items=None, out=tmp_path / "r.yaml", columns=(), yes=yes, force=True)
        assert ("There is no terminal to ask on" in capsys.readouterr().out) is not yes
