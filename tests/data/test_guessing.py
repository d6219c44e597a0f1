"""What the columns of foreign logs are taken for, each shape after one that people publish."""

import json

import polars as pl
import pytest
from foreign_logs import shop, text
from own_tables import Tables

from shoploop.data.column import Column
from shoploop.data.decimals import read_numbers
from shoploop.data.guessing import guess_events, guess_items
from shoploop.errors import SchemaMismatch

MODE = ("Bestellung", "Bestellung", "Bestellung", "Retoure")
TAOBAO, OWN = ("pv", "pv", "cart", "buy"), ("view", "order")

SHAPES = {
    "u.data": (text(lambda n, u, i, t: f"{u}\t{i}\t{1 + n % 5}\t{t.timestamp():.0f}"),
               {"user": "column1", "item": "column2", "rating": "column3", "time": "column4"}),
    "ratings.dat": (text(lambda n, u, i, t: f"{u}::{i}::{1 + n % 5}::{t.timestamp():.0f}"),
                    {"user": "column1", "item": "column2", "rating": "column3", "time": "column4"}),
    "ml.inter": (text(lambda n, u, i, t: f"{u}\t{i}\t{1 + n % 5}.0\t{t.timestamp()}",
                      header="user_id:token\titem_id:token\trating:float\ttimestamp:float\n"),
                 {"user": "user_id:token", "item": "item_id:token", "rating": "rating:float", "time": "timestamp:float"}),
    "retail.csv": (text(lambda n, u, i, t: f"{n // 3},{i},LANTERN {i},{n % 4},{t:%m/%d/%Y %H:%M},{i % 9}.55,{u}.0,UK",
                        header="InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"),
                   {"user": "CustomerID", "item": "StockCode", "time": "InvoiceDate", "quantity": "Quantity",
                    "price": "UnitPrice", "basket": "InvoiceNo", "title": "Description"}),
    "clicks.dat": (text(lambda n, u, i, t: f"{u},{t.isoformat()}.277Z,{i},0"),
                   {"user": "column1", "time": "column2", "item": "column3"}),
    "sessions.tsv": (text(lambda n, u, i, t: f"{u}\t{i}\t{t.timestamp():.0f}", header="SessionId\tItemId\tTime\n"),
                     {"user": "SessionId", "item": "ItemId", "time": "Time"}),
    "reviews.jsonl": (text(lambda n, u, i, t: json.dumps(
                          {"reviewerID": f"A{u}", "asin": f"B{i}", "overall": 1 + n % 5, "unixReviewTime": int(t.timestamp()),
                           "reviewerName": "Ann"})),
                      {"user": "reviewerID", "item": "asin", "rating": "overall", "time": "unixReviewTime"}),
    "rocket.csv": (text(lambda n, u, i, t: f"{t.timestamp() * 1000:.0f},{u},{shop(n)},{i},",
                        header="timestamp,visitorid,event,itemid,transactionid\n"),
                   {"user": "visitorid", "item": "itemid", "time": "timestamp", "kind": "event"}),
    "taobao.csv": (text(lambda n, u, i, t: f"{u},{i},{i % 3 + 2000},{TAOBAO[n % 4]},{t.timestamp():.0f}"),
                   {"user": "column1", "item": "column2", "kind": "column4", "time": "column5"}),
    "kasse.csv": (text(lambda n, u, i, t: f"{t:%d.%m.%Y};K{u};A{i};{1 + n % 3};{i % 5},50;Nord",
                       header="Datum;Kundennummer;Artikel;Menge;Betrag;Filiale\n"),
                  {"user": "Kundennummer", "item": "Artikel", "time": "Datum", "quantity": "Menge", "price": "Betrag",
                   "shop": "Filiale"}),
    "belege.csv": (text(lambda n, u, i, t: f"{n // 3};{t:%d.%m.%Y};K{u};A{i};{1 + n % 3},000;{i % 5},50",
                        header="Beleg-Nr;Belegdatum;Kunden-Nr;Artikel-Nr;Menge;Einzelpreis\n"),
                   {"basket": "Beleg-Nr", "user": "Kunden-Nr", "item": "Artikel-Nr", "time": "Belegdatum",
                    "quantity": "Menge", "price": "Einzelpreis"}),
    "mode.csv": (text(lambda n, u, i, t: f"B{n};K{u};{i};{1 + n % 2};1.29{i % 5},50;{t:%d.%m.%Y %H:%M};{MODE[n % 4]}",
                      header="Bestellnr;Kundennr;Artikelnr;Menge;Einzelpreis;Bestelldatum;Status\n"),
                 {"user": "Kundennr", "item": "Artikelnr", "time": "Bestelldatum", "quantity": "Menge",
                  "price": "Einzelpreis", "basket": "Bestellnr", "kind": "Status"}),
    "tafeng.csv": (text(lambda n, u, i, t: f"{t:%Y%m%d},{u},{n % 3},{i},{1 + n % 3},{i % 7},{i % 9}",
                        header="TRANSACTION_DT,CUSTOMER_ID,AGE_GROUP,PRODUCT_ID,AMOUNT,ASSET,SALES_PRICE\n"),
                   {"user": "CUSTOMER_ID", "item": "PRODUCT_ID", "time": "TRANSACTION_DT", "price": "SALES_PRICE",
                    "quantity": "AMOUNT"}),
    "own.csv": (text(lambda n, u, i, t: f"{t:%d.%m.%Y %H:%M},C{u},{i},{OWN[n % 2]},{1 + n % 2},{i % 5}.5,Nord,{n}",
                     header="when,customer,sku,action,pieces,amount,store,order\n"),
                {"user": "customer", "item": "sku", "time": "when", "kind": "action", "quantity": "pieces", "price": "amount",
                 "shop": "store", "basket": "order"}),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_columns_of_foreign_logs_are_recognised(tables, name):
    content, expected = SHAPES[name]
    guess = guess_events(tables.bytes(name, content))
    assert {role: proposal.columns[0] for role, proposal in guess.found.items()} == expected


def test_what_only_the_content_says_is_in_doubt(tables):
    guess = guess_events(tables.bytes("u.data", SHAPES["u.data"][0]))
    assert guess.header == ("column1", "column2", "column3", "column4")
    assert not guess.found["user"].sure and not guess.found["item"].sure
    assert guess_events(tables.bytes("rocket.csv", SHAPES["rocket.csv"][0])).found["user"].sure


def test_two_columns_of_one_meaning_are_in_doubt(tables):
    line = "user,item,sku,time\n" + "".join(f"u{n % 7},i{n % 5},s{n % 5},2024-05-{1 + n % 9:02}\n" for n in range(60))
    item = guess_events(tables.bytes("e.csv", line.encode())).found["item"]
    assert item.columns == ("item",) and not item.sure and "sku" in item.why


def test_ratings_stay_where_a_column_of_strange_words_only_looks_like_kinds(tables):
    where = ["web", "app", "store"]
    log = text(lambda n, u, i, t: f"{u},{i},{t.isoformat()},{1 + n % 5},{where[n % 3]}",
               header="customer_id,sku,ts,stars,action_source\n")  # fmt: skip
    guess = guess_events(tables.bytes("e.csv", log))
    assert {role: one.columns[0] for role, one in guess.found.items()} == {
        "user": "customer_id", "item": "sku", "time": "ts", "rating": "stars",
    }  # fmt: skip
    assert (guess.kinds, guess.words, guess.unread) == ({}, {}, ["action_source"])


def test_of_two_columns_of_kinds_the_one_whose_words_are_known_is_taken(tables):
    log = text(lambda n, u, i, t: f"{u},{i},{t.isoformat()},{['alpha', 'beta'][n % 2]},{['show', 'kauf'][n % 2]}",
               header="customer_id,sku,ts,event_type,action\n")  # fmt: skip
    guess = guess_events(tables.bytes("e.csv", log))
    assert guess.found["kind"].columns == ("action",)
    assert guess.kinds == {"show": "view", "kauf": "purchase"} and guess.kinds_sure


def test_strange_words_are_not_taken_for_users_because_they_are_no_kinds(tables):
    log = text(lambda n, u, i, t: f"{['web', 'app'][n % 2]},{u},{i},{t.isoformat()}", header="action_source,x,sku,ts\n")
    found = guess_events(tables.bytes("e.csv", log)).found
    assert found["user"].columns == ("x",) and "kind" not in found


def test_what_a_log_says_of_its_items_is_not_read_beside_a_table_of_items(tables):
    log = text(lambda n, u, i, t: f"Thing {i},{u},{i},{t.isoformat()},Food,Acme,{i}.png",
               header="title,who,sku,ts,category,brand,image\n")  # fmt: skip
    uri, items = tables.bytes("e.csv", log), tables.bytes("i.csv", b"sku,name\n1000,Tea\n1005,Milk\n")
    assert {"title", "category", "brand", "image"} < set(guess_events(uri).found)
    found = guess_events(uri, items_uri=items).found
    assert {role: one.columns[0] for role, one in found.items()} == {"user": "who", "item": "sku", "time": "ts"}


def test_a_column_that_somebody_names_is_taken(tables):
    uri = tables.bytes("u.data", SHAPES["u.data"][0])
    guess = guess_events(uri, {"user": "column2", "item": "column1"})
    assert (guess.found["user"].columns, guess.found["item"].columns) == (("column2",), ("column1",))
    with pytest.raises(SchemaMismatch, match="no column 'cid', which --column names as user"):
        guess_events(uri, {"user": "cid"})


def test_numbered_columns_of_pandas_are_a_header(tables):
    line = "0,1,2\n" + "".join(f"u{n % 7},i{n % 5},2024-05-{1 + n % 9:02}\n" for n in range(60))
    guess = guess_events(tables.bytes("e.csv", line.encode()))
    assert guess.header == ()
    assert {role: one.columns[0] for role, one in guess.found.items()} == {"user": "0", "item": "1", "time": "2"}


def test_items_are_found_by_the_ids_that_the_log_names(tables: Tables):
    log = guess_events(tables.bytes("rocket.csv", SHAPES["rocket.csv"][0]))
    lines = "row,id,name,department,class,price\n" + "".join(
        f"{n},{1000 + n},Thing {n},D{n % 2},C{n % 6},{n}.5\n" for n in range(17)
    )
    items = guess_items(tables.bytes("items.csv", lines.encode()), log)
    assert {role: one.columns for role, one in items.found.items()} == {
        "item": ("id",), "title": ("name",), "category": ("department", "class"), "price": ("price",),
    }  # fmt: skip
    assert items.found["item"].sure and not items.found["category"].sure


def test_the_table_of_items_tells_which_column_of_a_log_without_names_is_the_item(tables):
    """Of a user, an artist, a track and a time; and users and films that are both counted from 1."""
    plays = tables.bytes("plays.tsv", text(lambda n, u, i, t: f"{u}\t{i % 7 + 500}\t{i}\t{t.timestamp():.0f}"))
    tracks = tables.bytes(
        "tracks.tsv", b"track_id\ttrack_name\n" + b"".join(b"%d\tSong\n" % (1000 + n) for n in range(17))
    )
    log = guess_events(plays, items_uri=tracks)
    assert {role: log.found[role].columns for role in ("user", "item", "time")} == {
        "user": ("column1",), "item": ("column3",), "time": ("column4",),
    }  # fmt: skip
    assert log.found["item"].sure and "100%" in log.found["item"].why
    assert guess_items(tracks, log).found["title"].columns == ("track_name",)

    ratings = tables.bytes("r.data", text(lambda n, u, i, t: f"{u}\t{i - 999}\t{1 + n % 5}\t{t.timestamp():.0f}"))
    films = tables.bytes("films.csv", b"film,title\n" + b"".join(b"%d,Film %d\n" % (n, n) for n in range(1, 40)))
    log = guess_events(ratings, items_uri=films)
    assert [log.found[role].columns[0] for role in ("user", "item", "rating", "time")] == [
        "column1", "column2", "column3", "column4",
    ]  # fmt: skip
    again = guess_events(plays, {"item": "column2"}, items_uri=tracks)
    assert again.found["item"].columns == ("column2",)


def test_one_text_of_several_categories_has_its_separator(tables):
    log = guess_events(tables.bytes("rocket.csv", SHAPES["rocket.csv"][0]))
    movies = "movieId,title,genres\n" + "".join(f"{1000 + n},Film {n},Drama|War\n" for n in range(17))
    assert guess_items(tables.bytes("m.csv", movies.encode()), log).category_separator == "|"


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["1.234,50", "7", "0,5"], [1234.5, 7.0, 0.5]),
        (["1.234,50", "7.5", "8.5"], [None, 7.5, 8.5]),  # a point is one of thousands everywhere, or nowhere
        (["1,234", "7.5", "8.5"], [None, 7.5, 8.5]),  # perhaps a thousand
        (["0,250", "1,125", "2,5"], [0.25, 1.125, 2.5]),  # a quarter begins no thousand, so the others are none
        (["1,23,456.50", "12,345.00", "9"], [123456.5, 12345.0, 9.0]),  # India's
        (["\u22125,50", "3,25", "4"], [-5.5, 3.25, 4.0]),
        (["٢٠٥", "١٢٫٥", "4"], [205.0, 12.5, 4.0]),
        (["1 200 руб.", "99 руб.", "5 руб."], [1200.0, 99.0, 5.0]),
        (["NULL", "", "inf", "12", "13", "14"], [None, None, None, 12.0, 13.0, 14.0]),
    ],
)
def test_a_number_is_read_in_one_way_by_all_that_look_at_it(tables, texts, numbers):
    read = read_numbers(pl.Series("price", texts)).numbers
    assert read.to_list() == numbers
    column = Column(pl.Series("price", texts * 20 + ["1"] * 900)).numbers  # few enough of what is none
    assert column is not None and column.max() == (1234.5 if 1234.5 in numbers else max(read.drop_nulls()))
    lines = "".join(f'ann,tea,2024-05-01,"{text}"\n' for text in [*texts, *["1"] * 100])
    loaded = tables.load(interactions={"uri": tables.csv("events.csv", "user,item,time,price\n" + lines)})
    dearest = column.abs().max()  # below 0: given back, for so much
    assert sorted(loaded["interactions"]["price"].drop_nulls())[-1] == dearest


def test_pieces_with_three_digits_behind_a_comma_are_no_thousands(tables):
    """As tills export them; of money that may be: in rupiah all prices are."""
    texts = ["3,000", "24,000", "-1,000"]
    assert read_numbers(pl.Series(texts), pieces=True).numbers.to_list() == [3.0, 24.0, -1.0]
    assert read_numbers(pl.Series(texts)).numbers.to_list() == [None] * 3
    assert read_numbers(pl.Series([*texts, "7"]), pieces=True).numbers.to_list() == [None] * 3 + [7.0]
    lines = "".join(f'ann,tea,2024-05-0{day},"{text}"\n' for day, text in enumerate(texts, 1))
    loaded = tables.load(interactions={"uri": tables.csv("events.csv", "user,item,time,quantity\n" + lines)})
    assert sorted(loaded["interactions"]["quantity"]) == [1.0, 3.0, 24.0]
    assert loaded["interactions"]["kind"].to_list().count("return") == 1


@pytest.mark.parametrize("name", ["^u.*$", "^.*$", "*"])
def test_a_column_may_be_named_as_a_pattern_is(tables, name):
    lines = "".join(
        f'{{"item": "i{n % 7}", "time": "2024-05-{n % 28 + 1:02}", "{name}": "u{n % 9}"}}\n' for n in range(40)
    )
    path = tables.folder / "log.jsonl"
    path.write_text(lines)
    found = guess_events(str(path), given={"user": name})
    assert found.found["user"].columns == (name,)
    (tables.folder / "users.csv").write_text(f"user,{name}\nu1,gold\n")
    users = {"uri": str(tables.folder / "users.csv")}
    loaded = tables.load(interactions={"uri": str(path), "columns": {"user": name}}, users=users)
    assert loaded["interactions"]["user"].n_unique() == 9
    assert "gold" in loaded["users"][f"'{name}'"].to_list()


def test_a_list_that_somebody_names_as_what_is_single_is_refused(tables):
    path = tables.folder / "log.jsonl"
    path.write_text('{"user": "ann", "item": "tea", "time": "2024-05-01", "what": [[1]]}\n' * 3)
    with pytest.raises(SchemaMismatch, match=r"'what', which --column names as kind, holds List"):
        guess_events(str(path), given={"kind": "what"})


def test_a_log_of_prices_and_pieces_without_anything_that_may_be_an_item_is_looked_at(tmp_path):
    line = text(lambda n, u, i, t: f"{t.isoformat()},{n % 3},{n % 9}.55", header="time,quantity,price\n")
    found = guess_events(Tables(tmp_path).bytes("e.csv", line)).found
    assert "item" not in found
    assert set(found) >= {"time", "quantity", "price"}
