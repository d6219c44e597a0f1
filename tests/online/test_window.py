"""What a learner remembers of the log's records is written down, and who begins anew goes on from there."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from online_story import OPEN, PEOPLE, begun, chain_of, did, learned, shown, story

from shoploop.errors import ArtifactCorrupt, ArtifactForeign, NotFound, StoreUnavailable
from shoploop.events.erasing import erase_user
from shoploop.events.log import BEGINNING, Entry, Record
from shoploop.events.messages import Forgotten, to_json
from shoploop.online import window
from shoploop.online.credit import Credit
from shoploop.online.intake import Intake
from shoploop.online.limits import LimitConfig, Limits
from shoploop.online.window import Windows
from shoploop.store import Store, layout

CODES = {"milk": 0, "tea": 1, "salt": 2, "honey": 3, "apples": 4}
TIGHT = LimitConfig(of_user=3, of_user_a_day=30, of_user_and_item=5, of_item=40)
MADE_BY = {"limits": "tight", "start": BEGINNING}


def intake() -> Intake:
    return Intake(CODES, Limits(np.full(5, 0.2, np.float32), TIGHT), start=BEGINNING)


def packed(taken: Intake, credit: Credit | None = None) -> bytes:
    tables = taken.tables() | {"credit": (credit or Credit(least=5, errors=2.0)).table()}
    return window.to_bytes(tables, made_by=MADE_BY)


def records(seed: int, count: int = 200) -> list[Record]:
    """A story in another order of its times, in which many wait for their answers."""
    chance, entries = random.Random(seed), story(count)
    for number in range(0, count - 10, 3):
        other = number + chance.randrange(10)
        entries[number], entries[other] = entries[other], entries[number]
    return [Record(offset + 1, entry.id, entry.body) for offset, entry in enumerate(entries)]


def taken(by: Intake, some: list[Record]) -> list[object]:
    """What comes of records, one after the other."""
    found = list[object]()
    for record in some:
        message = by.read(record)
        if by.ends_batch(record.offset, message, last=record.offset - 1):
            found.append((by.batch.examples, by.batch.among, by.batch.asked))
            by.begin_batch()
        found.append(by.take(record.offset, message, failed=()))
    return found


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1_000), cut=st.integers(0, 200))
def test_who_goes_on_from_what_was_written_down_makes_of_all_that_comes_what_the_former_one_would(seed, cut):
    one, other, all_of_them = intake(), intake(), records(seed)
    taken(one, all_of_them[:cut])
    one.begin_batch()
    other.take_up(window.from_bytes(packed(one), made_by=MADE_BY, what="it"))
    assert packed(other) == packed(one)
    assert taken(other, all_of_them[cut:]) == taken(one, all_of_them[cut:])
    one.begin_batch(), other.begin_batch()
    assert packed(other) == packed(one)


def test_how_good_choices_were_is_remembered_in_the_order_in_which_it_is_forgotten():
    one, other = Credit(least=2, errors=2.0, users=2), Credit(least=2, errors=2.0, users=2)
    one.count(["ann", "bob", "ann"], np.float32([3, 1, 3]), np.float32([1, 1, 1]))
    other.take_up(window.from_bytes(packed(intake(), one), made_by=MADE_BY, what="it")["credit"])
    for credit in (one, other):
        credit.count(["cid"], np.float32([1]), np.float32([1]))  # bob has chosen nothing for the longest
    assert one.table() == other.table()
    assert one.table()["user"] == ["ann", "cid"]
    assert one.has_say(["ann"]) == other.has_say(["ann"]) == [False]


def test_who_begins_anew_reads_no_record_from_before_what_was_written_down(ranker, log, store, monkeypatch):
    log.append(story(300))
    learned(ranker, log, store, remember_every=50)
    known = chain_of(store).window
    assert known is not None and known.offset > 200
    asked, read = list[int](), log.read
    monkeypatch.setattr(log, "read", lambda offset, **how: asked.append(offset) or read(offset, **how))
    begun(ranker, log, store)
    assert min(asked) == known.offset


def without(store):
    for key in store.list(f"{layout.online_windows('grocery', 'v123')}/"):
        store.delete(key)


def altered(store):
    for key in store.list(f"{layout.online_windows('grocery', 'v123')}/"):
        store.put(key, store.get(key) + b"more")


@pytest.mark.parametrize("harm", [without, altered])
def test_what_was_written_down_and_is_gone_or_altered_is_read_again_in_the_log(ranker, log, store, tmp_path, harm):
    entries = story(300)
    log.append(entries[:200])
    learned(ranker, log, store, remember_every=50)
    harm(store)
    log.append(entries[200:])
    learned(ranker, log, store)
    whole = Store(str(tmp_path / "whole"))
    learned(ranker, log, whole)
    one, other = chain_of(whole).state(), chain_of(store).state()
    assert one.totals == other.totals
    assert np.array_equal(one.rows.vectors_ND, other.rows.vectors_ND)


def test_what_was_counted_by_other_limits_is_counted_again(ranker, log, store, monkeypatch):
    log.append(story(300))
    learned(ranker, log, store, remember_every=50)
    asked, read = list[int](), log.read
    monkeypatch.setattr(log, "read", lambda offset, **how: asked.append(offset) or read(offset, **how))
    monkeypatch.setattr("online_story.OPEN", LimitConfig(of_user=OPEN.of_user, least_choices=None))
    begun(ranker, log, store)
    assert min(asked) == BEGINNING


def test_the_store_holds_the_last_one_alone(ranker, log, store):
    for _ in range(3):
        log.append([did(log.end() + number, "ann", "salt") for number in range(30)])
        learned(ranker, log, store, remember_every=20)
    known = chain_of(store).window
    assert list(store.list(f"{layout.online_windows('grocery', 'v123')}/")) == [
        f"{layout.online_windows('grocery', 'v123')}/{known.digest}"
    ]


def test_what_people_decide_leaves_it_as_it_is(ranker, log, store):
    log.append(story(100))
    learned(ranker, log, store, remember_every=20)
    chain = chain_of(store)
    before = chain.window
    chain.decide("rollback", by="ann", reason="", to=0)
    chain.decide("pin", by="ann", reason="", to=1)
    assert chain_of(store).window == before is not None


def test_who_is_erased_is_in_nothing_that_is_written_down(ranker, log, store):
    log.append([*(did(number, PEOPLE[number % 3], "salt") for number in range(90)), shown(91, "ann", "tea", "milk")])
    loop = learned(ranker, log, store, remember_every=20)
    (key,) = store.list(f"{layout.online_windows('grocery', 'v123')}/")
    assert names(store, key) >= {"ann", "bob"}
    erase_user(log, store, "grocery", "ann", by="who may")
    assert not [*store.list(f"{layout.online_windows('grocery', 'v123')}/")]
    Windows(store, "grocery", "v123").write(
        90, before := packed(intake())
    )  # as a learner that has not read of it yet would
    while loop.step():  # what it remembers it forgets
        pass
    loop.publish()
    log.append([did(100 + number, PEOPLE[1 + number % 2], "tea") for number in range(40)])
    while loop.step():
        pass
    loop.publish()
    (key,) = store.list(f"{layout.online_windows('grocery', 'v123')}/")
    assert store.get(key) != before
    assert names(store, key) == {"bob", "cid"}


def test_a_store_that_lets_nothing_go_stops_no_learner_and_is_asked_again(ranker, log, store, monkeypatch, caplog):
    log.append([did(number, PEOPLE[number % 3], "salt") for number in range(90)])
    loop, delete, denied = learned(ranker, log, store, remember_every=20), store.delete, [True]

    def denying(key):
        if denied:
            raise StoreUnavailable(f"{key} must not go.")
        delete(key)

    log.append([Entry("told", to_json(Forgotten(offsets=[1])))])
    monkeypatch.setattr(store, "delete", denying)
    for number in range(100, 103):
        log.append([did(number, "bob", "tea")])
        loop.step(), loop.publish()
    assert chain_of(store).offset_of(chain_of(store).head) == log.end()
    assert caplog.text.count("must not go. What may name who was erased is still there") == 1
    denied.clear(), log.append([did(103, "cid", "tea")])
    loop.step(), loop.publish()
    assert not [*store.list(f"{layout.online_windows('grocery', 'v123')}/")]


def names(store, key) -> set[str]:
    """Whom a window names."""
    with pytest.raises(ArtifactForeign) as told:
        window.from_bytes(store.get(key), made_by={}, what="it")
    assert "rule" in str(told.value)
    return {name for name in PEOPLE if name.encode() in unpacked(store.get(key))}


def unpacked(body: bytes) -> bytes:
    from io import BytesIO
    from zipfile import ZipFile

    import polars as pl

    with ZipFile(BytesIO(body)) as archive:
        tables = [pl.read_parquet(BytesIO(archive.read(f"{name}.parquet"))) for name in window.SCHEMAS]
    return "".join(str(table.to_dict(as_series=False)) for table in tables).encode()


def test_of_whom_the_log_has_nothing_left_nothing_is_written_down(ranker, log, store):
    """An erasure could not find them."""
    log.append([did(number, "ann", "salt") for number in range(10)])
    loop = begun(ranker, log, store, remember_every=50)
    loop.step()
    log.trim(11)
    log.append([did(10 + number, "bob", "tea") for number in range(100)])
    loop.step(), loop.publish()
    (key,) = store.list(f"{layout.online_windows('grocery', 'v123')}/")
    assert names(store, key) == {"bob"}


def test_what_is_none_is_named(store):
    windows = Windows(store, "grocery", "v123")
    with pytest.raises(ArtifactCorrupt, match="cannot be read"):
        windows.read(windows.write(3, b"nothing"), made_by=MADE_BY)
    with pytest.raises(ArtifactForeign, match="by another rule"):
        windows.read(windows.write(3, packed(intake())), made_by=MADE_BY | {"start": 7})
    known = windows.write(3, packed(intake()))
    windows.keep_only(None)
    with pytest.raises(NotFound):
        windows.read(known, made_by=MADE_BY)
