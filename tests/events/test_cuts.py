"""Cuts tell a run which files to read, and by them a log is known again."""

import json

import pytest
from collected_events import at, did, read, shown, two_cuts

from shoploop.data.collected import CollectedThrough, collected_through
from shoploop.errors import ArtifactForeign, StoreUnavailable
from shoploop.events.compaction import compact, trim
from shoploop.events.cuts import LogReplaced, cuts, fetch_collected, last_cut
from shoploop.events.sqlite_log import SqliteLog
from shoploop.store import Log, layout


@pytest.fixture
def log(tmp_path):
    with SqliteLog(tmp_path / "events.sqlite") as log:
        yield log


def test_a_cut_without_an_interaction_gives_a_run_nothing_new(log, make_store):
    store = make_store()
    log.append([did(1, "ann", "tea")])
    compact(log, store, "grocery")
    log.append([shown()])
    assert compact(log, store, "grocery").events == 0
    assert last_cut(store, "grocery") == 1


def test_the_tables_tell_up_to_where_events_were_collected(log, make_store, tmp_path):
    store = make_store()
    assert collected_through(None) == CollectedThrough(cut=0, offset=0)
    first, _ = two_cuts(log, store)
    assert collected_through(fetch_collected(store, "grocery", 1, tmp_path / "here")) == CollectedThrough(1, first)


def test_another_log_is_neither_compacted_nor_trimmed_until_somebody_says_so(open_one, make_store, tmp_path):
    store = make_store()
    with SqliteLog(tmp_path / "former") as former:
        two_cuts(former, store)
    log = open_one()
    log.append([did(100 + n, "bob", f"b{n}") for n in range(20)])
    for use in (
        lambda: compact(log, store, "grocery"),
        lambda: trim(log, store, "grocery", built_on=2, days=14, now=at(100)),
    ):
        with pytest.raises(LogReplaced, match="--anew"):
            use()
    cut = compact(log, store, "grocery", anew=True)
    assert (cut.number, cut.events) == (3, 20)
    log.append([did(200, "bob", "later")])
    assert compact(log, store, "grocery").events == 1
    # of what the version was trained on nothing lies in this log
    assert trim(log, store, "grocery", built_on=2, days=14, now=at(100)) is None
    found = read(fetch_collected(store, "grocery", 4, tmp_path / "here"))["item"]
    assert sorted(found) == sorted([*(f"i{n}" for n in range(6)), *(f"b{n}" for n in range(20)), "later"])
    through = [collected_through(fetch_collected(store, "grocery", n, tmp_path / f"cut {n}")) for n in range(1, 5)]
    assert [each.log for each in through] == [0, 0, 3, 3]
    assert [set(each.to_json()) for each in through[1:3]] == [{"cut", "offset"}, {"cut", "offset", "log"}]


def test_a_log_that_lost_everything_is_seen(open_one, make_store, tmp_path):
    store = make_store()
    with SqliteLog(tmp_path / "former") as former:
        two_cuts(former, store)
    with pytest.raises(LogReplaced, match="is not the one"):
        compact(open_one(), store, "grocery")


def test_a_cut_that_names_a_file_elsewhere_is_refused_before_anything_is_written(make_store, tmp_path):
    store = make_store()
    store.put("recommenders/victim", b"evil")
    cut = {
        "after": 0,
        "through": 1,
        "events": 1,
        "time": "2026-01-05T00:00:00Z",
        "unread": 0,
        "missed": 0,
        "last_id": "e",
        "files": ["../../victim"],
    }
    Log(store, layout.collected_cuts("grocery")).append(cut, after=0)
    with pytest.raises(StoreUnavailable, match="which is no collected file"):
        fetch_collected(store, "grocery", 1, tmp_path / "a" / "b" / "here")
    assert not (tmp_path / "a").exists()


def test_a_cut_of_a_format_that_is_not_known_here_is_refused_by_name_and_one_without_a_number_is_of_the_first(
    log, make_store
):
    store = make_store()
    log.append([did(1, "ann", "tea")])
    compact(log, store, "grocery")
    [key] = store.list(f"{layout.collected_cuts('grocery')}/")
    written = store.get_json(key)
    assert written.pop("format") == 1
    store.put(key, json.dumps(written).encode())
    assert [cut.events for cut in cuts(store, "grocery")] == [1]
    store.put(key, json.dumps(written | {"format": 2, "what comes": 1}).encode())
    with pytest.raises(ArtifactForeign, match=r"Cut 1 of .*cuts is of format 2; this shoploop reads format 1"):
        compact(log, store, "grocery")
    store.put(key, json.dumps(written | {"what comes": 1}).encode())
    with pytest.raises(StoreUnavailable, match=r"Cut 1 of .* is damaged"):
        cuts(store, "grocery")
