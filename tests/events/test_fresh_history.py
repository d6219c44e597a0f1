"""What users did last, from the tail of a log."""

import threading
import time
from datetime import UTC, datetime

from shoploop.events.fresh import FreshHistory, Recent
from shoploop.events.log import Entry, LogUnavailable
from shoploop.events.messages import Kept, Shown, from_json, is_impression, to_json
from shoploop.events.sqlite_log import SqliteLog

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
DAY = (NOW.date() - datetime(1970, 1, 1).date()).days


def did(number: int, user: str, item: str, kind: str = "purchase", quantity: float | None = None) -> Entry:
    kept = Kept(source="organic", kind=kind, user=user, item=item, time=NOW, received=NOW, quantity=quantity)
    return Entry(f"e{number}", to_json(kept))


def items(fresh: FreshHistory, user: str) -> list[str]:
    return [done.item for done in fresh.of(user)]


def test_what_was_appended_is_known_after_the_next_reading(tmp_path):
    with SqliteLog(tmp_path / "log") as log:
        fresh = FreshHistory(log)
        log.append([did(1, "ann", "tea", quantity=2), did(2, "bob", "milk", "view")])
        assert fresh.of("ann") == ()
        fresh.catch_up()
        [done] = fresh.of("ann")
        assert (done.item, done.kind, done.day, done.quantity) == ("tea", "purchase", DAY, 2.0)
        assert fresh.of("bob")[0].kind == "view"
        assert fresh.of("cat") == ()


def test_what_was_shown_is_no_history_and_is_passed_over(tmp_path):
    shown = Shown(
        request_id="r", user="ann", version="v", surface="items", method="fused", as_of="2026-01-05", time=NOW,
        items=["tea"], scores=[1.0], propensities=[1.0],
    )  # fmt: skip
    strange = did(1, '{"type":"impression",', "milk")
    assert is_impression(to_json(shown)) and from_json(to_json(shown)) == shown
    assert not is_impression(strange.body)
    with SqliteLog(tmp_path / "log") as log:
        fresh = FreshHistory(log)
        offsets = log.append([Entry("i:r", to_json(shown)), strange, Entry("i:s", to_json(shown))])
        assert fresh.catch_up() == 3
        assert fresh.of("ann") == () and items(fresh, '{"type":"impression",') == ["milk"]
        assert fresh.offset == offsets[-1]


def test_a_predictor_that_starts_again_knows_the_same(tmp_path):
    with SqliteLog(tmp_path / "log") as log:
        log.append([did(n, f"user{n % 7}", f"item{n}") for n in range(100)])
        one, other = FreshHistory(log), FreshHistory(log)
        while one.catch_up(limit=9):
            pass
        other.catch_up()
        assert [one.of(f"user{n}") for n in range(7)] == [other.of(f"user{n}") for n in range(7)]
        assert items(one, "user3") == [f"item{n}" for n in range(100) if n % 7 == 3]


def test_memory_is_bounded_by_users_and_by_events_of_each(tmp_path):
    with SqliteLog(tmp_path / "log") as log:
        fresh = FreshHistory(log, users=2, events_a_user=3)
        log.append([did(n, "ann", f"i{n}") for n in range(5)] + [did(10, "bob", "x"), did(11, "cat", "y")])
        fresh.catch_up()
        assert [items(fresh, user) for user in ("ann", "bob", "cat")] == [[], ["x"], ["y"]]
        log.append([did(20 + n, "cat", f"z{n}") for n in range(4)])
        fresh.catch_up()
        assert items(fresh, "cat") == ["z1", "z2", "z3"]


def test_what_the_stored_history_holds_is_not_read_again(tmp_path):
    with SqliteLog(tmp_path / "log") as log:
        offset, _ = log.append([did(1, "ann", "old"), did(2, "ann", "new")])
        fresh = FreshHistory(log, after=offset)
        fresh.catch_up()
        assert items(fresh, "ann") == ["new"]
        assert fresh.missed == 0


def test_what_was_trimmed_beyond_the_stored_history_is_counted_and_the_rest_is_read(open_one):
    log = open_one()
    offsets = log.append([did(n, "ann", f"i{n}") for n in range(5)])
    log.trim(offsets[3])
    fresh, whole = FreshHistory(log, after=offsets[0]), FreshHistory(log, after=offsets[2])
    for each in (fresh, whole):
        each.catch_up()
        assert items(each, "ann") == ["i3", "i4"]
    assert (fresh.missed, whole.missed) == (offsets[2] - offsets[0], 0)


def test_a_log_that_was_trimmed_to_its_end_begins_with_what_comes(open_one):
    log = open_one()
    last = log.append([did(n, "ann", f"i{n}") for n in range(3)])[-1]
    log.trim(last + 1)
    fresh = FreshHistory(log)
    fresh.catch_up()
    assert fresh.missed == last
    log.append([did(9, "ann", "new")])
    fresh.catch_up()
    assert (items(fresh, "ann"), fresh.missed) == (["new"], last)


def test_a_log_that_took_the_place_of_another_is_read_from_its_beginning(tmp_path, caplog):
    with SqliteLog(tmp_path / "log") as log:
        log.append([did(1, "ann", "tea")])
        fresh = FreshHistory(log, after=1000)
        fresh.catch_up()
        assert (items(fresh, "ann"), fresh.missed) == (["tea"], 0)
        assert "it is another log" in caplog.text


def test_a_record_that_is_none_of_ours_is_passed_over(tmp_path, caplog):
    with SqliteLog(tmp_path / "log") as log:
        log.append([Entry("a", b"\xff not json"), Entry("b", b'{"type":"from the future"}'), did(1, "ann", "tea")])
        fresh = FreshHistory(log)
        fresh.catch_up()
        assert items(fresh, "ann") == ["tea"]
        assert "Record 1" in caplog.text


def test_it_follows_the_log_until_it_is_told_to_stop(tmp_path):
    with SqliteLog(tmp_path / "log") as log:
        fresh = FreshHistory(log)
        came = threading.Event()
        fresh.start(on_look=lambda records: came.set() if records else None)
        try:
            log.append([did(1, "ann", "tea")])
            assert came.wait(30)
            assert items(fresh, "ann") == ["tea"]
        finally:
            fresh.stop()


def test_a_record_that_no_reader_can_take_apart_is_passed_over(tmp_path, caplog):
    with SqliteLog(tmp_path / "log") as log:
        log.append([Entry("deep", b"[" * 100_000), did(1, "ann", "tea")])
        fresh = FreshHistory(log)
        fresh.catch_up()
        assert items(fresh, "ann") == ["tea"] and "none of ours" in caplog.text


def test_a_log_that_comes_back_as_another_is_read_from_its_beginning(tmp_path, monkeypatch):
    class Away(SqliteLog):
        away = False

        def read(self, after, **how):
            if self.away:
                raise LogUnavailable("away")
            return super().read(after, **how)

    monkeypatch.setattr("shoploop.events.fresh.RETRY_SECONDS", 0.05)
    with Away(tmp_path / "first") as log, SqliteLog(tmp_path / "second") as other:
        log.append([did(n, "ann", f"old{n}") for n in range(10)])
        other.append([did(20, "ann", "new")])
        fresh = FreshHistory(log)
        fresh.start()
        try:
            log.away = True
            until(lambda: fresh.trouble == "away")
            fresh._log = other
            until(lambda: items(fresh, "ann")[-1] == "new")
            until(lambda: fresh.trouble is None)  # which it says once it has taken in all that it read
        finally:
            fresh.stop()


def until(condition):
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come")


def test_memory_is_bounded_by_the_events_of_all_users_together_and_holds_what_is_said_again_once():
    recent = Recent(users=1000, events_a_user=10, events=50)
    for number in range(5_000):
        item = "".join(["i", str(number % 3)])  # a string of its own, as each message brings them
        recent.add(Kept(source="organic", kind="view", user=f"u{number // 100}", item=item, time=NOW, received=NOW))
        assert recent._held == sum(map(len, recent._done.values())) <= 50
    assert len(recent.of("u49")) == 10
    assert len({id(done.item) for events in recent._done.values() for done in events}) <= 3
    assert recent.of("u49") is recent.of("u49")


def test_the_one_user_who_did_something_keeps_what_they_did_where_it_is_more_than_all_may_have():
    recent = Recent(events_a_user=10, events=5)
    for number in range(20):
        recent.add(Kept(source="organic", kind="view", user="ann", item=f"i{number}", time=NOW, received=NOW))
    assert [done.item for done in recent.of("ann")] == [f"i{number}" for number in range(10, 20)]
