"""A log that is away when somebody begins to use it."""

import time

import pytest

from shoploop.errors import SpecInvalid
from shoploop.events.awaited import AwaitedLog
from shoploop.events.log import BEGINNING, Entry, LogNotDurable, LogUnavailable
from shoploop.events.sqlite_log import SqliteLog

ONE = [Entry("one", b"1")]


class Door:
    """Opens the log at ``path`` once nothing is amiss any more."""

    def __init__(self, path, *amiss):
        self.path, self.amiss, self.opened = path, list(amiss), []

    def __call__(self):
        if self.amiss:
            raise self.amiss[0]
        self.opened.append(SqliteLog(self.path))
        return self.opened[-1]


def opened(log):
    for _ in range(400):
        try:
            return log.end()
        except LogUnavailable:
            time.sleep(0.05)
    raise AssertionError("it was not opened")


@pytest.mark.parametrize(
    "why", [LogUnavailable("Redis is away."), LogNotDurable("Redis evicts."), RuntimeError("a defect")], ids=str
)
def test_a_log_that_is_away_says_so_and_is_opened_when_it_is_there(why, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("shoploop.events.awaited.RETRY_SECONDS", 0.05)
    door = Door(tmp_path / "log", why)
    with AwaitedLog(door) as log:
        assert str(why) in caplog.text
        for use in (lambda: log.append(ONE), lambda: log.read(BEGINNING), log.begin, log.end, lambda: log.trim(1)):
            with pytest.raises(LogUnavailable, match=str(why)):
                use()
        door.amiss.clear()
        assert opened(log) == BEGINNING
        assert log.append(ONE) == [1]
        assert [record.id for record in log.read(BEGINNING)] == ["one"]
    with pytest.raises(LogUnavailable, match="closed"):
        log.end()
    with pytest.raises(LogUnavailable, match="closed"):
        door.opened[0].end()


def test_a_log_that_is_there_is_open_at_once(tmp_path):
    with AwaitedLog(Door(tmp_path / "log")) as log:
        assert log.append(ONE) == [1]


def test_a_log_that_can_never_be_opened_is_refused_at_once(tmp_path):
    with pytest.raises(SpecInvalid, match="no address"):
        AwaitedLog(Door(tmp_path / "log", SpecInvalid("no address")))


def test_one_who_is_slow_to_open_is_not_waited_for(tmp_path):
    def slow():
        time.sleep(0.5)
        return SqliteLog(tmp_path / "log")

    with AwaitedLog(slow, first_seconds=0.01) as log:
        with pytest.raises(LogUnavailable, match="has not answered yet"):
            log.append(ONE)
        assert opened(log) == BEGINNING
