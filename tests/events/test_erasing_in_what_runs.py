"""A user is erased while predictors and learners run: these forget what they hold of them, without being started again, and
nobody is told whose it was. Over every kind of log."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from shoploop.events import erasing
from shoploop.events.erasing import erase_user
from shoploop.events.fresh import FreshHistory, Recent
from shoploop.events.log import BEGINNING, Entry, LogFull, LogUnavailable
from shoploop.events.messages import Forgotten, Kept, Shown, from_json, mark_of_request, to_json
from shoploop.events.sqlite_log import SqliteLog
from shoploop.online.intake import Intake
from shoploop.online.limits import Limits

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
NAME, ME = "grocery", "me"


def bought(user: str, item: str) -> Entry:
    kept = Kept(source="organic", kind="purchase", user=user, item=item, time=NOON, received=NOON)
    return Entry(f"{user} {item}", to_json(kept))


def clicked(user: str, item: str, request: str) -> Entry:
    kept = Kept(
        source="attributed",
        kind="click",
        user=user,
        item=item,
        time=NOON,
        received=NOON,
        request_id=request,
        position=0,
    )
    return Entry(f"{user} {item} {request}", to_json(kept))


def shown(user: str, request: str) -> Entry:
    answer = Shown(
        request_id=request, user=user, version="v1", surface="items", method="fused", as_of="2026-01-05", time=NOON,
        items=["tea"], scores=[1.0], propensities=[1.0],
    )  # fmt: skip
    return Entry(f"i:{request}", to_json(answer))


@pytest.fixture
def store(make_store):
    return make_store()


def items(fresh: FreshHistory, user: str) -> list[str]:
    return [done.item for done in fresh.of(user)]


def test_a_predictor_that_runs_forgets_what_is_erased_as_soon_as_it_reads_on(open_one, store):
    log, told = open_one(), []
    log.append([bought("secretive ann", "tea"), bought("bob", "tea"), shown("secretive ann", "r1"), shown("bob", "r2")])
    fresh = FreshHistory(open_one(), on_forgotten=lambda users, marks: told.append((set(users), set(marks))))
    fresh.catch_up()
    assert items(fresh, "secretive ann") == ["tea"] and not told

    erase_user(log, store, NAME, "secretive ann", by=ME)
    log.append([bought("secretive ann", "milk")])  # who comes back is known by that
    fresh.catch_up()

    assert (items(fresh, "secretive ann"), items(fresh, "bob")) == (["milk"], ["tea"])
    assert told == [({"secretive ann"}, {mark_of_request("r1")})]
    assert fresh._recent._held == 2


def test_what_tells_of_an_erasure_names_nobody_and_one_that_is_broken_off_is_told_all_the_same(tmp_path, store):
    class Broken(SqliteLog):
        def erase(self, offsets):
            raise LogUnavailable("the disk is away")

    with Broken(tmp_path / "events.sqlite") as log:
        log.append([bought("secretive ann", "tea"), bought("bob", "tea")])
        fresh = FreshHistory(log)
        fresh.catch_up()
        with pytest.raises(LogUnavailable):
            erase_user(log, store, NAME, "secretive ann", by=ME)
        fresh.catch_up()
        assert items(fresh, "secretive ann") == []
        *_, last = log.read(BEGINNING)
        assert b"ann" not in last.body and b"ann" not in last.id.encode()
        assert from_json(last.body) == Forgotten(offsets=[1])


def test_what_is_erased_of_who_did_very_much_is_told_in_several_messages_and_forgotten_at_once(
    tmp_path, store, monkeypatch
):
    monkeypatch.setattr(erasing, "TOLD_AT_ONCE", 3)
    told = []
    with SqliteLog(tmp_path / "events.sqlite") as log:
        log.append([bought("ann", f"i{n}") for n in range(8)] + [bought("bob", "tea")])
        fresh = FreshHistory(log, on_forgotten=lambda users, marks: told.append(set(users)))
        fresh.catch_up()
        erase_user(log, store, NAME, "ann", by=ME)
        assert [len(from_json(record.body).offsets) for record in log.read(9)] == [3, 3, 2]
        fresh.catch_up()
        assert (items(fresh, "ann"), items(fresh, "bob"), told) == ([], ["tea"], [{"ann"}])


def test_a_learner_that_runs_forgets_what_is_erased_and_what_waits_for_its_answer(tmp_path, store):
    codes = {"tea": 0, "milk": 1}
    intake = Intake(codes, Limits(np.array([0.5, 0.5], np.float32)))
    with SqliteLog(tmp_path / "events.sqlite") as log:
        last = BEGINNING

        def read_on():
            nonlocal last
            for record in log.read(last):
                message = intake.read(record)
                if intake.ends_batch(record.offset, message, last=last):
                    intake.begin_batch()
                intake.take(record.offset, message, failed=())
                last = record.offset

        log.append([bought("ann", "tea"), clicked("ann", "tea", "r1"), clicked("bob", "tea", "r2")])
        read_on()
        assert intake.batch.examples
        erase_user(log, store, NAME, "ann", by=ME)
        log.append([bought("ann", "milk"), bought("bob", "milk")])
        read_on()

    assert "ann" not in repr(intake._joiner._orphans) and list(intake._joiner._orphans) == ["r2"]
    assert {asked.user: [done.item for done in asked.fresh] for asked in intake.batch.asked} == {
        "ann": [],
        "bob": ["tea"],
    }


def test_of_who_looks_at_much_the_purchases_of_today_stay_known():
    recent = Recent(events_a_user=3)

    def did(kind, item):
        recent.add(
            Kept(source="organic", kind=kind, user="ann", item=item, time=NOON, received=NOON + timedelta(seconds=1))
        )

    for number in range(4):
        did("purchase", f"p{number}")
        for look in range(5):
            did("view", f"v{number}{look}")
    assert [done.item for done in recent.of("ann")] == ["p1", "p2", "p3", "v32", "v33", "v34"]
    assert recent._held == 6


def test_a_log_without_room_for_another_word_is_erased_from_first(tmp_path, store):
    with SqliteLog(tmp_path / "events.sqlite") as log:
        log.append([*(bought("secretive ann", f"{n}" * 50) for n in range(40, 99)), bought("bob", "tea")])
        (pages,) = log._writer.execute("PRAGMA page_count").fetchone()
        log._writer.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own word for a disk of that size
        with pytest.raises(LogFull):
            for number in range(1_000):
                log.append([bought("bob", f"tea {number}")])
        erased = erase_user(log, store, NAME, "secretive ann", by=ME)
        left = [from_json(record.body) for record in log.read(BEGINNING)]
    assert erased.records == 59
    assert [type(message) for message in left].count(Forgotten) == 1 and isinstance(left[-1], Forgotten)
