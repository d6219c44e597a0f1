"""A large CSV is read piece by piece, and is what it would be if it were read as a whole."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shoploop.data import csv_pieces
from shoploop.data.csv_pieces import read_pieces
from shoploop.data.csv_text import read_csv
from shoploop.data.formats import Layout, Remarks, read_file
from shoploop.errors import DataUnreadable

cells = st.text(st.sampled_from("ab1 'é米\\;"), max_size=4) | st.sampled_from(["", "NULL", "2026-01-01T00:00:00Z"])
lines = st.lists(cells, min_size=1, max_size=5).map(",".join)
ends = st.sampled_from(["\n", "\r\n", "\n\n"])


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(csv_pieces, "PIECE_BYTES", 40)


def both(path, raw, **asked):
    """What the pieces, and what the whole, give: a table with what had to be done, or a message."""
    path.write_bytes(raw)
    said = []
    for read in (lambda **more: read_pieces(path, **more), lambda **more: read_csv(raw, **more)):
        try:
            said.append(read(**{"shown": "events.csv", "separator": ",", "header": []} | asked))
        except DataUnreadable as error:
            said.append(str(error))
    return said


@example(rows=["1,2026-01-01T00:00:00Z and on to the next piece", " "], end="\n", encoding="utf-8")
@given(rows=st.lists(lines, min_size=2, max_size=40), end=ends, encoding=st.sampled_from(["utf-8", "cp1252"]))
def test_pieces_give_what_the_whole_gives(tmp_path_factory, rows, end, encoding):
    text = "user,item,time" + end + end.join(rows) + end
    path = tmp_path_factory.getbasetemp() / "events.csv"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_pieces, "PIECE_BYTES", 40)
        pieces, whole = both(path, text.encode(encoding, errors="replace"))
    if isinstance(whole, str):
        assert pieces == whole
        return
    assert pieces.table.equals(whole.table)
    told = [(read.recoding.lines, read.mended, read.ragged, read.example, read.repeated) for read in (pieces, whole)]
    assert told[0] == told[1]


def test_a_line_of_spaces_is_no_line(tmp_path):
    pieces, whole = both(tmp_path / "events.csv", b"user,item,time\n" + b"ann,tea,2026-01-01\n  \n" * 9)
    for read in (pieces, whole):
        assert (read.table.height, read.ragged, read.mended, read.example) == (9, 0, 0, "")


def test_a_separator_of_two_signs_and_names_of_ones_own_hold_for_all_pieces(tmp_path, small_pieces):
    raw = "".join(f"u{n}::i{n}::5\n" for n in range(30)).encode()
    pieces, whole = both(tmp_path / "ratings.dat", raw, separator=None, header=["user", "item", "rating"])
    assert pieces.table.equals(whole.table)
    assert pieces.table.row(29) == ("u29", "i29", "5")


@pytest.mark.parametrize(
    "raw",
    [
        b'user,item\n"ann\nand bob",tea\n' * 9,
        "user,item\nann,tea\n".encode("utf-16"),
        b"user,item\rann,tea\r" * 9,
    ],
    ids=["a quote", "two bytes a sign", "lines that end otherwise"],
)
def test_what_cannot_be_cut_is_read_as_a_whole(tmp_path, small_pieces, raw):
    path = tmp_path / "events.csv"
    path.write_bytes(raw)
    assert read_pieces(path, shown="events.csv", separator=",", header=[]) is None
    read = read_file(path, shown="events.csv", layout=Layout(), remarks=Remarks())
    assert read.columns == ["user", "item"] and read["item"][0] == "tea"


def test_a_large_file_is_read_in_pieces_and_what_was_mended_is_told(tmp_path, small_pieces, monkeypatch):
    monkeypatch.setattr("shoploop.data.formats.read_csv", lambda *_, **__: pytest.fail("it was read as a whole"))
    path, remarks = tmp_path / "events.csv", Remarks()
    path.write_bytes(b"user,item,time\nann,tea\n" + b"bob,milk,2026-01-01\n" * 40 + b"caf\xe9,tea,2026-01-02\n")
    table = read_file(path, shown="events.csv", layout=Layout(), remarks=remarks)
    assert table.height == 42
    assert table.row(-1) == ("ann", "tea", None)
    assert table.row(-2)[0] == "café"
    assert (remarks.mended, remarks.recoded, remarks.ragged) == (1, {"cp1252": 1}, 0)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_columns_that_stand_below_each_other_are_read_alike_in_all_pieces(tmp_path, small_pieces, end):
    raw = "".join(f"{n:>4}  i{n % 7}   t{n % 3}  {end}" for n in range(60))
    raw = (f"user  item time{end}" + raw).encode()
    pieces, whole = both(tmp_path / "events.txt", raw, separator=None)
    assert pieces.table.equals(whole.table)
    assert pieces.table.row(59) == ("59", "i3", "t2")


def test_a_header_again_is_seen_in_every_piece_where_pandas_left_a_name_empty(tmp_path, small_pieces):
    one = ",user,item\n" + "".join(f"{n},u{n},i{n}\n" for n in range(20))
    pieces, whole = both(tmp_path / "events.csv", (one + one).encode())
    assert (pieces.headers, whole.headers) == (1, 1)
    assert pieces.table.equals(whole.table)


@pytest.mark.parametrize("first", ["", "Чай"], ids=["late", "a short word early"])
def test_the_encoding_is_found_by_the_words_of_all_pieces_and_not_by_the_first(tmp_path, monkeypatch, first):
    monkeypatch.setattr(csv_pieces, "PIECE_BYTES", 2000)
    words = "Молоко Хлеб Сыр Масло Яблоко Колбаса Огурец Сахар Соль Творог".split()
    rows = [f"{first if n == 3 else 'tea'} {n},{n}" for n in range(400)] + [
        f"{words[n % 10]} {n},{n}" for n in range(400)
    ]
    raw = "\n".join(["title,price", *rows]).encode("cp1251")
    pieces, whole = both(tmp_path / "items.csv", raw)
    assert (pieces.recoding.encoding, pieces.recoding.lines) == ("cp1251", whole.recoding.lines)
    assert pieces.table.equals(whole.table)
    assert pieces.table.row(-1) == ("Творог 399", "399")
