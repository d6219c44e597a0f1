"""What every backend promises, on a folder and on a real S3."""

import os
import re
import threading
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest
from lost_answers import lose_answers

from shoploop.errors import AlreadyExists, NotFound, StoreUnavailable
from shoploop.store import Log, Store
from shoploop.store.errors import named_errors


def test_what_was_put_is_read_again(make_store):
    make_store().put("a/b.json", b'{"x": 1}')

    assert make_store().get("a/b.json") == b'{"x": 1}'
    assert make_store().get_json("a/b.json") == {"x": 1}


def test_put_replaces(make_store):
    store = make_store()
    store.put("key", b"old")
    store.put("key", b"new")

    assert store.get("key") == b"new"


def test_put_if_absent_keeps_the_first(make_store):
    store = make_store()
    store.put_if_absent("key", b"first")

    with pytest.raises(AlreadyExists, match="another writer was first"):
        store.put_if_absent("key", b"second")
    assert store.get("key") == b"first"


def test_of_many_writers_exactly_one_wins(make_store):
    writers, keys = 8, 2
    won: dict[str, list[int]] = {f"race/{n}": [] for n in range(keys)}
    start = threading.Barrier(writers)

    def write(writer: int) -> None:
        store = make_store()
        for key in won:
            start.wait(60)
            try:
                store.put_if_absent(key, b"writer %d" % writer)
            except AlreadyExists:
                continue
            won[key].append(writer)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for key, winners in won.items():
        assert len(winners) == 1, f"{key} was won by {winners}"
        assert make_store().get(key) == b"writer %d" % winners[0]


def test_a_missing_object_is_named(make_store):
    store = make_store()

    with pytest.raises(NotFound, match="no-such-key does not exist"):
        store.get("no-such-key")
    assert not store.exists("no-such-key")
    store.delete("no-such-key")


def test_keys_are_listed_in_order_and_by_folder(make_store):
    store = make_store()
    for key in ("runs/2/a", "runs/1/b", "runs/1/a", "other"):
        store.put(key, b"")

    assert list(store.list("runs/")) == ["runs/1/a", "runs/1/b", "runs/2/a"]
    assert list(store.list("nothing/")) == []


def test_a_deleted_object_is_gone(make_store):
    store = make_store()
    store.put("key", b"")
    store.delete("key")

    assert not store.exists("key")


def test_a_folder_travels_there_and_back(make_store, tmp_path):
    (tmp_path / "from" / "sub").mkdir(parents=True)
    (tmp_path / "from" / "one").write_bytes(b"1")
    (tmp_path / "from" / "sub" / "two").write_bytes(b"2" * 100_000)
    store = make_store()

    store.put_folder("copy", tmp_path / "from")
    store.get_folder("copy", tmp_path / "to")

    assert (tmp_path / "to" / "one").read_bytes() == b"1"
    assert (tmp_path / "to" / "sub" / "two").read_bytes() == b"2" * 100_000
    with pytest.raises(NotFound, match="Nothing lies below"):
        store.get_folder("nothing", tmp_path / "to")


def test_a_file_larger_than_one_upload_chunk_arrives_whole(make_store, tmp_path):
    (tmp_path / "big").write_bytes(b"0123456789abcdef" * 2**20)
    store = make_store()

    store.put_file("big", tmp_path / "big")
    store.get_file("big", tmp_path / "again")

    assert (tmp_path / "again").read_bytes() == (tmp_path / "big").read_bytes()


def test_many_objects_come_in_the_order_of_their_keys_and_one_that_is_missing_is_named_at_its_turn(make_store):
    store = make_store()
    for number in range(40):
        store.put(f"many/{number}", str(number).encode())

    found = store.get_each(f"many/{number}" for number in (*range(39, -1, -1), 40, 0))

    assert [int(next(found)) for _ in range(40)] == list(range(39, -1, -1))
    with pytest.raises(NotFound, match="many/40"):
        next(found)


def test_of_a_store_that_is_no_folder_the_next_object_is_asked_for_before_the_first_has_come(monkeypatch):
    store, get, asked = Store("memory:///"), Store.get, threading.Event()
    store.put("first", b"1")
    store.put("next", b"2")

    def slow(self, key):
        if key == "next":
            asked.set()
        elif not asked.wait(30):
            raise AssertionError("nobody asks for the next one")
        return get(self, key)

    monkeypatch.setattr(Store, "get", slow)
    assert list(store.get_each(["first", "next"])) == [b"1", b"2"]


def test_a_log_counts_from_one_and_refuses_a_taken_number(make_store):
    log = Log(make_store(), "promotions")

    assert log.entries() == []
    assert log.append({"version": "a"}, after=0) == 1
    assert log.append({"version": "b"}, after=1) == 2
    with pytest.raises(AlreadyExists):
        log.append({"version": "late"}, after=1)
    assert log.entries() == [{"number": 1, "version": "a"}, {"number": 2, "version": "b"}]


def test_an_entry_whose_answer_got_lost_is_ones_own(make_store, monkeypatch):
    log = Log(make_store(), "promotions")
    lose_answers(monkeypatch)

    assert log.append({"version": "a"}, after=0) == 1
    with pytest.raises(AlreadyExists):
        log.append({"version": "late"}, after=0)
    assert log.entries() == [{"number": 1, "version": "a"}]


def test_an_entry_that_was_taken_and_is_gone_again_is_not_ones_own(make_store, monkeypatch):
    store = make_store()

    def taken(self, key, data):
        raise AlreadyExists(key)

    monkeypatch.setattr(Store, "put_if_absent", taken)
    with pytest.raises(AlreadyExists):
        Log(store, "promotions").append({"version": "a"}, after=0)


def test_what_is_found_whole_is_durable_before_it_is_taken_for_written(tmp_path, synced):
    store = Store(str(tmp_path / "store"))
    store.put("key", b"first")
    synced.clear()

    assert not store.holds("key", b"second") and not store.holds("other", b"") and synced == []
    assert store.holds("key", b"first") and synced == [str(tmp_path / "store" / "key"), str(tmp_path / "store")]


@pytest.fixture
def synced(monkeypatch):
    """Paths that were fsynced, in order."""
    paths, fsync = [], os.fsync
    monkeypatch.setattr("os.fsync", lambda fd: (paths.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd)))
    return paths


@pytest.mark.parametrize("write", [Store.put, Store.put_if_absent])
def test_a_local_write_syncs_the_file_and_every_folder_up_to_the_stores(tmp_path, synced, write):
    store = Store(str(tmp_path / "store"))

    write(store, "a/b/key", b"durable")

    root = tmp_path / "store"
    assert synced == [str(path) for path in (root / "a/b/key", root / "a/b", root / "a", root)]


def test_an_uploaded_file_is_synced_too(tmp_path, synced):
    (tmp_path / "source").write_bytes(b"durable")

    Store(str(tmp_path / "store")).put_file("key", tmp_path / "source")

    assert synced == [str(tmp_path / "store" / "key"), str(tmp_path / "store")]


def test_a_lost_put_if_absent_syncs_nothing(tmp_path, synced):
    store = Store(str(tmp_path / "store"))
    store.put_if_absent("key", b"first")
    synced.clear()

    with pytest.raises(AlreadyExists):
        store.put_if_absent("key", b"second")

    assert synced == []


def test_a_failed_download_leaves_nothing_behind(tmp_path):
    with pytest.raises(NotFound):
        Store(str(tmp_path / "store")).get_file("nothing", tmp_path / "to" / "file")

    assert list((tmp_path / "to").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named_with_what_to_do(tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StoreUnavailable, match=r"file/store cannot be written.*--store"):
        Store(str(tmp_path / "file" / "store"))


def test_an_unknown_scheme_is_named_with_the_known_ones():
    with pytest.raises(StoreUnavailable, match=r"ftp://shop/data cannot be opened.*Known schemes: file, s3, gs, az"):
        Store("ftp://shop/data")


def test_a_store_that_does_not_answer_is_named():
    store = Store(
        "s3://shop/data",
        options={
            "endpoint": "http://127.0.0.1:9",
            "region": "us-east-1",
            "skip_signature": True,
            "client_options": {"allow_http": True},
            "retry_config": {"max_retries": 0},
        },
    )

    with pytest.raises(StoreUnavailable, match="s3://shop/data/key"):
        store.get("key")


@pytest.mark.parametrize(
    "bucket, options, says",
    [
        ("nobodys", {}, "s3://nobodys/shoploop/x/: the bucket does not exist. Create it"),
        ("shop", {"access_key_id": "zz"}, "does not know the access key. Check AWS_ACCESS_KEY_ID"),
        ("shop", {"secret_access_key": "zz"}, "the secret key is not the access key's. Check AWS_ACCESS_KEY_ID"),
    ],
    ids=["no-bucket", "unknown-key", "wrong-secret"],
)
def test_what_an_s3_refuses_is_told_with_what_to_do(s3_options, bucket, options, says):
    store = Store(f"s3://{bucket}/shoploop", options=s3_options | options)
    with pytest.raises(StoreUnavailable, match=re.escape(says)):
        list(store.list("x/"))


@pytest.mark.parametrize("ahead", [3600, -3600])
def test_a_clock_that_is_off_is_said_in_the_place_of_missing_rights(s3_options, monkeypatch, ahead):
    """What the server answers to who signs an hour off: no test can set the clock that obstore signs with."""
    from obstore.exceptions import PermissionDeniedError

    url = f"{s3_options['endpoint']}/shop/key"
    when = datetime.now(UTC) + timedelta(seconds=ahead)
    scope = f"shoploop/{when:%Y%m%d}/us-east-1/s3/aws4_request"
    signed = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
    asked = urllib.request.Request(url, headers={"x-amz-date": f"{when:%Y%m%dT%H%M%SZ}", "authorization": signed})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(asked)
    answer = refused.value.read().decode()
    monkeypatch.setattr("shoploop.store.errors.time.time", lambda: when.timestamp())
    way = "ahead of" if ahead > 0 else "behind"
    with (
        pytest.raises(StoreUnavailable, match=rf"clock is (3599|3600|3601) s {way} the server's.*timedatectl"),
        named_errors("s3://shop/key"),
    ):
        raise PermissionDeniedError(f"Error performing GET {url} in 1ms - 403 Forbidden: {answer}")
