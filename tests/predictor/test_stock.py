"""The shop's file of what cannot be bought now."""

import os

from shoploop.events.watched import LOOK_SECONDS
from shoploop.predictor.stock import OutOfStock


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
