"""Two users are erased at the same time: whichever erasure is quicker, and wherever one is amid the other, nothing of either
is left, and what others did counts once."""

import io
import threading
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest

from shoploop.events.compaction import compact
from shoploop.events.cuts import cuts, fetch_collected, last_cut
from shoploop.events.erasing import erase_user
from shoploop.events.log import Entry
from shoploop.events.messages import Kept, to_json
from shoploop.events.sqlite_log import SqliteLog
from shoploop.store import Store, layout

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
NAME, ME = "grocery", "me"
CALLS = ("get", "get_json", "put", "put_if_absent", "delete", "list")
WRITES = ("put", "put_if_absent", "delete")


def bought(user: str, item: str, *, days: int = 0) -> Entry:
    when = NOON + timedelta(days=days)
    kept = Kept(source="organic", kind="purchase", user=user, item=item, time=when, received=when)
    return Entry(f"{user} {item}", to_json(kept))


class Interrupted:
    """A store just before whose n-th call of some kinds something else is done."""

    def __init__(self, store, at, do, *, calls=CALLS):
        self._store, self._at, self._do, self._calls = store, at, do, calls
        self.calls = 0

    def __getattr__(self, name):
        found = getattr(self._store, name)
        if name not in self._calls:
            return found

        def call(*args, **more):
            self.calls += 1
            if self.calls == self._at:
                self._do()
            return found(*args, **more)

        return call


@pytest.fixture
def open_shop(tmp_path):
    """A log and a store as they are before anybody is erased; each call makes others."""
    opened = []

    def open_it(store, name):
        log = SqliteLog(tmp_path / name / "events.sqlite")
        opened.append(log)
        log.append([bought("ann", "tea"), bought("bob", "tea"), bought("cid", "tea")])
        compact(log, store, name)
        log.append([bought("ann", "milk", days=1), bought("bob", "milk", days=1), bought("cid", "milk", days=1)])
        compact(log, store, name)
        return log

    yield open_it
    for log in opened:
        log.close()


def check_gone(store, name, folder):
    """Nothing of ann and bob lies in any file, named or not; what cid did is there once."""
    users = set()
    for key in store.list(f"{layout.collected(name)}/"):
        if key.endswith(".parquet"):
            users |= set(pq.read_table(io.BytesIO(store.get(key)))["user"].to_pylist())
    assert users == {"cid"}
    fetched = fetch_collected(store, name, last_cut(store, name), folder)
    rows = [row for file in fetched.glob("date=*/*.parquet") for row in pq.ParquetFile(file).read().to_pylist()]
    assert sorted((row["user"], row["item"]) for row in rows) == [("cid", "milk"), ("cid", "tea")]


def test_an_erasure_amid_another_takes_its_user_out_for_good(open_shop, make_store, tmp_path):
    store, at, interrupted = make_store(), 0, True
    while interrupted:
        at += 1
        name = f"{NAME}-{at}"
        log = open_shop(store, name)
        erase_bob = lambda: erase_user(log, store, name, "bob", by=ME)  # noqa: B023, E731
        amid = Interrupted(store, at, erase_bob)
        erased = erase_user(log, amid, name, "ann", by=ME)
        interrupted = amid.calls >= at
        if not interrupted:
            erase_bob()
        assert (erased.records, erased.interactions, erased.first_cut) == (2, 2, 1)
        check_gone(store, name, tmp_path / "work" / name)
    assert at > 10


@pytest.mark.parametrize("first", range(1, 7))
def test_of_two_erasures_that_overlap_both_hold(open_shop, tmp_path, first):
    """One has come to its ``first``-th write when the other begins, ends when that has come to its second-th, and then it
    goes on."""
    store = Store(str(tmp_path / "store"))
    for second in range(1, 8):
        name = f"{NAME}-{second}"
        log = open_shop(store, name)
        has_come, go_on = threading.Event(), threading.Event()
        errors: list[Exception] = []

        def halt(has_come=has_come, go_on=go_on):
            has_come.set()
            assert go_on.wait(60)

        def work(log=log, name=name, halt=halt, errors=errors):
            try:
                erase_user(log, Interrupted(store, first, halt, calls=WRITES), name, "ann", by=ME)
            except Exception as error:
                errors.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        assert has_come.wait(60)

        def finish(thread=thread, go_on=go_on):
            go_on.set()
            thread.join(60)

        erase_user(log, Interrupted(store, second, finish, calls=WRITES), name, "bob", by=ME)
        finish()
        assert not errors
        check_gone(store, name, tmp_path / "work" / name)


def test_a_run_that_reads_while_somebody_is_erased_reads_what_is_left(open_shop, make_store, tmp_path):
    store = make_store()
    log, planned = open_shop(store, NAME), 2
    amid = Interrupted(store, 1, lambda: erase_user(log, store, NAME, "ann", by=ME), calls=("get_file",))
    folder = fetch_collected(amid, NAME, planned, tmp_path / "work")
    users = [user for file in folder.rglob("*.parquet") for user in pq.ParquetFile(file).read()["user"].to_pylist()]
    assert sorted(users) == ["bob", "bob", "cid", "cid"]


def test_a_run_that_was_planned_before_does_not_go_on_with_what_it_has_of_who_was_erased(
    open_shop, make_store, tmp_path
):
    store = make_store()
    log, planned = open_shop(store, NAME), 2
    fetch_collected(store, NAME, planned, tmp_path / "work")
    erase_user(log, store, NAME, "bob", by=ME)
    erase_user(log, store, NAME, "ann", by=ME)
    folder = fetch_collected(store, NAME, planned, tmp_path / "work")
    users = [user for file in folder.rglob("*.parquet") for user in pq.ParquetFile(file).read()["user"].to_pylist()]
    assert users == ["cid", "cid"]
    assert [cut.number for cut in cuts(store, NAME) if cut.erases] == [3, 4]
