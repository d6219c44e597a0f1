"""A user is erased while a compaction is under way: whichever of them is quicker, nothing of the user is left, and what
others did counts once. Over every kind of log."""

import io
import threading
from contextlib import contextmanager
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest
from lost_answers import lose_answers

from shoploop.errors import AlreadyExists
from shoploop.events import compaction, erasing_collected
from shoploop.events.compaction import compact, trim
from shoploop.events.cuts import LogReplaced, cuts, erased, fetch_collected, last_cut
from shoploop.events.erasing import erase_user
from shoploop.events.log import BEGINNING, Entry, LogUnavailable
from shoploop.events.messages import Kept, Shown, to_json
from shoploop.events.sqlite_log import SqliteLog
from shoploop.store import Log, layout

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
NAME, ME = "grocery", "me"


def bought(user: str, item: str) -> Entry:
    kept = Kept(source="organic", kind="purchase", user=user, item=item, time=NOON, received=NOON)
    return Entry(f"{user} {item}", to_json(kept))


def searched(user: str) -> Entry:
    answer = Shown(
        request_id=f"r {user}", user=user, version="v1", surface="search", method="fused", as_of="2026-01-05", time=NOON,
        items=["tea"], scores=[1.0], propensities=[1.0], query="green tea",
    )  # fmt: skip
    return Entry(f"i:{user}", to_json(answer))


BOTH = [bought("bob", "tea"), bought("ann", "tea"), bought("bob", "salt"), searched("ann"), bought("ann", "milk")]


@pytest.fixture
def store(make_store):
    return make_store()


@pytest.fixture
def log(open_one):
    opened = open_one()
    opened.append(BOTH)
    return opened


class Halting:
    """A log of which somebody is halted once: at the end of what they read, or behind what they erased."""

    def __init__(self, log, *, read=None, erased=None):
        self._log, self._read, self._erased = log, read, erased

    def __getattr__(self, name):
        return getattr(self._log, name)

    def read(self, after, **more):
        found = self._log.read(after, **more)
        if not found and self._read:
            halt, self._read = self._read, None
            halt()
        return found

    def erase(self, offsets):
        self._log.erase(offsets)
        if self._erased:
            halt, self._erased = self._erased, None
            halt()


@contextmanager
def halted_compaction(log, store):
    """A compaction that has read the log, and does nothing more until the block calls what it is given."""
    has_read, go_on = threading.Event(), threading.Event()
    errors: list[Exception] = []

    def halt():
        has_read.set()
        assert go_on.wait(60)

    def work():
        try:
            compact(Halting(log, read=halt), store, NAME)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()

    def finish():
        go_on.set()
        thread.join(60)
        assert not thread.is_alive() and not errors, errors

    assert has_read.wait(60)
    try:
        yield finish
    finally:
        finish()


def once_before_naming(monkeypatch, do):
    """Has ``do`` done just before a cut is named for the next time."""
    append = Log.append

    def later(self, entry, *, after):
        if self.key != layout.collected_cuts(NAME):
            return append(self, entry, after=after)
        monkeypatch.setattr(Log, "append", append)
        do()
        return append(self, entry, after=after)

    monkeypatch.setattr(Log, "append", later)


def check_gone(log, store, folder, bobs=("salt", "tea")):
    """Nobody finds anything of ann, in no file, named or not; bob's are there once."""
    assert b"ann" not in b"".join(record.body for record in log.read(BEGINNING))
    for key in store.list(f"{layout.collected(NAME)}/"):
        if key.endswith(".parquet"):
            assert "ann" not in pq.read_table(io.BytesIO(store.get(key)))["user"].to_pylist(), key
    log.append([bought("bob", "later")])
    compact(log, store, NAME)
    assert compact(log, store, NAME) is None
    fetched = fetch_collected(store, NAME, last_cut(store, NAME), folder)
    rows = [row for file in fetched.glob("date=*/*.parquet") for row in pq.ParquetFile(file).read().to_pylist()]
    assert sorted((row["user"], row["item"]) for row in rows) == sorted(("bob", item) for item in (*bobs, "later"))


@pytest.mark.parametrize("earlier", [False, True])
def test_who_is_erased_between_the_reading_and_the_writing_of_a_compaction_does_not_come_back(
    log, store, tmp_path, earlier
):
    if earlier:
        compact(log, store, NAME)
        log.append([bought("ann", "bread"), bought("bob", "bread")])
    with halted_compaction(log, store):
        erased = erase_user(log, store, NAME, "ann", by=ME)
        assert erased.records == (4 if earlier else 3)
    check_gone(log, store, tmp_path / "work", ("bread", "salt", "tea") if earlier else ("salt", "tea"))


def test_who_is_erased_between_the_writing_and_the_naming_of_files_does_not_come_back(
    log, store, tmp_path, monkeypatch
):
    once_before_naming(monkeypatch, lambda: erase_user(log, store, NAME, "ann", by=ME))
    assert compact(log, store, NAME).events == 2
    check_gone(log, store, tmp_path / "work")


def test_who_is_erased_between_two_cuts_of_one_compaction_does_not_come_back(log, store, tmp_path, monkeypatch):
    monkeypatch.setattr(compaction, "ROWS_AT_ONCE", 2)
    append, named = Log.append, []

    def second_is_outrun(self, entry, *, after):
        if self.key == layout.collected_cuts(NAME):
            named.append(after)
            if len(named) == 2:
                erase_user(log, store, NAME, "ann", by=ME)
        return append(self, entry, after=after)

    monkeypatch.setattr(Log, "append", second_is_outrun)
    compact(log, store, NAME)
    assert len(cuts(store, NAME)) == 3  # bob and ann, what takes ann out again, bob
    check_gone(log, store, tmp_path / "work")


def test_a_compaction_that_ends_while_somebody_is_being_erased_keeps_nothing_of_them(log, store, tmp_path):
    with halted_compaction(log, store) as finish:
        erased = erase_user(Halting(log, erased=finish), store, NAME, "ann", by=ME)
    assert (erased.records, erased.interactions, erased.first_cut) == (3, 3, 1)
    check_gone(log, store, tmp_path / "work")


def test_a_compaction_that_is_quicker_than_the_last_step_of_an_erasure_keeps_nothing_of_them(
    log, store, tmp_path, monkeypatch
):
    with halted_compaction(log, store) as finish:
        once_before_naming(monkeypatch, finish)
        erased = erase_user(log, store, NAME, "ann", by=ME)
    assert (erased.records, erased.interactions) == (3, 3)
    check_gone(log, store, tmp_path / "work")


def test_an_erasure_that_was_killed_and_done_again_wins_over_a_compaction_that_is_older_than_both(log, store, tmp_path):
    def killed():
        raise LogUnavailable("killed")

    with halted_compaction(log, store):
        with pytest.raises(LogUnavailable):
            erase_user(Halting(log, erased=killed), store, NAME, "ann", by=ME)
        assert erase_user(log, store, NAME, "ann", by=ME).records == 0
    check_gone(log, store, tmp_path / "work")


def test_files_of_a_compaction_that_was_killed_go_with_who_is_erased(log, store, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Log, "append", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            compact(log, store, NAME)
    erase_user(log, store, NAME, "ann", by=ME)
    assert [key for key in store.list(f"{layout.collected(NAME)}/") if key.endswith(".parquet")] == []
    check_gone(log, store, tmp_path / "work")


def test_an_erasure_gives_a_run_nothing_new_where_nothing_was_collected_of_the_user(log, store):
    erase_user(log, store, NAME, "ann", by=ME)
    assert [(cut.number, cut.through, cut.files) for cut in cuts(store, NAME)] == [(1, BEGINNING, ())]
    assert last_cut(store, NAME) == 0
    assert trim(log, store, NAME, built_on=1, days=14, now=datetime(2030, 1, 1, tzinfo=UTC)) is None
    assert compact(log, store, NAME).missed == 0


def test_a_compaction_that_is_outrun_by_erasures_again_and_again_says_so(log, store, monkeypatch):
    monkeypatch.setattr(compaction, "ATTEMPTS", 2)
    append = Log.append

    def outrun(self, entry, *, after):
        if self.key == layout.collected_cuts(NAME) and entry["through"] > entry["after"]:
            erase_user(log, store, NAME, "cid", by=ME)
        return append(self, entry, after=after)

    monkeypatch.setattr(Log, "append", outrun)
    with pytest.raises(AlreadyExists, match="erased at the same time"):
        compact(log, store, NAME)
    monkeypatch.setattr(Log, "append", append)
    assert compact(log, store, NAME).events == 4


def test_a_cut_whose_answer_got_lost_and_that_was_asked_for_again_counts_with_its_files(
    log, store, tmp_path, monkeypatch
):
    lose_answers(monkeypatch)
    cut = compact(log, store, NAME)
    assert cuts(store, NAME) == [cut] and cut.events == 4
    folder = fetch_collected(store, NAME, cut.number, tmp_path)
    assert all((folder / file).exists() for file in cut.files)


def test_a_record_that_is_erased_while_a_compaction_asks_for_it_makes_no_other_log_of_this_one(
    log, store, tmp_path, monkeypatch
):
    compact(log, store, NAME)
    known = [False]

    def erased_late(store, name):
        before = erased(store, name)
        if not known[0]:
            known[0] = True
            erase_user(log, store, NAME, "ann", by=ME)
        return before

    monkeypatch.setattr("shoploop.events.cuts.erased", erased_late)
    log.append([bought("bob", "bread")])
    assert compact(log, store, NAME).events == 1
    check_gone(log, store, tmp_path / "work", ("bread", "salt", "tea"))


def test_nothing_is_erased_of_a_log_that_is_another_than_the_one_that_was_compacted(log, store, tmp_path):
    compact(log, store, NAME)
    with SqliteLog(tmp_path / "other") as other:
        other.append([bought("ann", f"i{number}") for number in range(9)])
        with pytest.raises(LogReplaced, match="--log"):
            erase_user(other, store, NAME, "ann", by=ME)
        assert len(other.read(BEGINNING)) == 9
    assert list(store.list(f"{layout.erased(NAME)}/")) == []


@pytest.mark.parametrize("again", ["compaction", "erasure"])
def test_files_that_an_erasure_left_which_was_killed_behind_its_cut_go_with_the_next(
    log, store, tmp_path, monkeypatch, again
):
    compact(log, store, NAME)
    with monkeypatch.context() as patch:
        patch.setattr(erasing_collected, "remove_unnamed", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            erase_user(log, store, NAME, "ann", by=ME)
    if again == "compaction":
        compact(log, store, NAME)
    else:
        assert erase_user(log, store, NAME, "ann", by=ME).records == 0
    check_gone(log, store, tmp_path / "work")
