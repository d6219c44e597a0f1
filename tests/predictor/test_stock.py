"""The shop's file of what cannot be bought now."""

import os

import pytest

from shoploop.errors import DataUnreadable, NotFound
from shoploop.events.watched import LOOK_SECONDS
from shoploop.predictor.stock import ENVIRONMENT, OutOfStock


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_without_a_file_everything_is_in_stock():
    assert OutOfStock(None).items == frozenset()


def test_a_file_that_is_replaced_counts_within_a_second(tmp_path):
    path, clock = tmp_path / "gone.txt", Clock()
    path.write_text("milk\n\n  tea \r\n")
    stock = OutOfStock(path, clock=clock)
    assert stock.items == {"milk", "tea"}
    (tmp_path / "next").write_text("soap\n")
    os.replace(tmp_path / "next", path)
    assert stock.items == {"milk", "tea"}  # it does not look at every request
    clock.now += LOOK_SECONDS
    assert stock.items == {"soap"}


def test_a_file_that_is_away_or_no_text_changes_nothing_and_is_told_once(tmp_path, caplog):
    path, clock = tmp_path / "gone.txt", Clock()
    path.write_text("milk\n")
    stock = OutOfStock(path, clock=clock)
    assert stock.items == {"milk"}
    path.write_bytes(b"\xff\xfe\xff")
    for _ in range(3):
        clock.now += LOOK_SECONDS
        assert stock.items == {"milk"}
    path.unlink()
    clock.now += LOOK_SECONDS
    assert stock.items == {"milk"}
    assert len(caplog.records) == 1 and "1 items stay left out" in caplog.text
    path.write_text("")
    clock.now += LOOK_SECONDS
    assert stock.items == frozenset()


def test_a_mark_at_the_beginning_of_the_file_is_no_part_of_the_first_id(tmp_path):
    (tmp_path / "gone.txt").write_bytes(b"\xef\xbb\xbfmilk\r\ntea\r\n")
    assert OutOfStock(tmp_path / "gone.txt").items == {"milk", "tea"}


def test_a_file_that_is_not_there_at_the_start_is_an_error_that_names_it(tmp_path, monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "mistyped.txt"))
    with pytest.raises(NotFound, match=r"mistyped\.txt.*no such file"):
        OutOfStock.configured()
    (tmp_path / "mistyped.txt").write_bytes(b"\xff\xfem\x00")
    with pytest.raises(DataUnreadable, match=r"mistyped\.txt.*UTF-8"):
        OutOfStock.configured()
    with pytest.raises(DataUnreadable):
        OutOfStock(tmp_path)


def test_how_many_items_are_out_of_stock_is_told_whenever_the_file_changed(tmp_path):
    path, clock, told = tmp_path / "gone.txt", Clock(), []
    path.write_text("milk\ntea\n")
    stock = OutOfStock(path, tell=told.append, clock=clock)
    for text in ("milk\ntea\n", "milk\n", ""):
        path.write_text(text)
        clock.now += LOOK_SECONDS
        assert stock.items == frozenset(text.split())
    assert told[0] == 2 and told[-2:] == [1, 0]
