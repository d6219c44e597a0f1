"""Collected events become interactions, each in one partition, once; what a version was trained on may be forgotten."""

import polars as pl
import pytest
from collected_events import MONDAY, at, did, read, shown, two_cuts

from shoploop.data.collected import add_collected, add_searches
from shoploop.data.rules import Loaded, dropped_rows
from shoploop.errors import AlreadyExists
from shoploop.events import compaction
from shoploop.events.compaction import compact, trim
from shoploop.events.cuts import cuts, fetch_collected
from shoploop.events.log import BEGINNING, Entry
from shoploop.events.messages import Kept, Shown, to_json
from shoploop.events.sqlite_log import SqliteLog
from shoploop.store import Log, layout


@pytest.fixture
def log(tmp_path):
    with SqliteLog(tmp_path / "events.sqlite") as log:
        yield log


def test_a_file_a_day_holds_what_was_done_that_day(log, make_store, tmp_path):
    store = make_store()
    log.append([did(1, "ann", "tea", quantity=2, price=3.5), did(2, "bob", "milk", days=1, kind="view"), shown()])

    cut = compact(log, store, "grocery")

    assert (cut.number, cut.after, cut.through, cut.events) == (1, 0, 3, 2)
    folder = fetch_collected(store, "grocery", 1, tmp_path / "here")
    assert sorted(path.parent.name for path in folder.rglob("*.parquet")) == ["date=2026-01-05", "date=2026-01-06"]
    assert read(folder).select("user", "item", "kind", "quantity", "price").rows() == [
        ("ann", "tea", "purchase", 2.0, 3.5),
        ("bob", "milk", "view", None, None),
    ]


def test_what_was_taken_after_a_query_is_a_search_of_the_next_version(log, make_store, tmp_path):
    store = make_store()
    answer = Shown(
        request_id="q", user="ann", version="v", surface="search", method="fused", as_of="2026-01-05", time=MONDAY,
        items=["tea", "milk"], scores=[1.0, 0.5], propensities=[1.0, 1.0], query="Earl Grey",
    )  # fmt: skip
    of_it = {"source": "attributed", "request_id": "q", "user": "ann", "time": MONDAY, "received": MONDAY}
    events = [Kept(kind=kind, item=item, **of_it) for kind, item in (("view", "milk"), ("click", "tea"))]
    elsewhere = did(9, "bob", "milk")
    log.append([Entry("i:q", to_json(answer)), *(Entry(e.kind, to_json(e)) for e in events), elsewhere])
    compact(log, store, "grocery")

    loaded = Loaded(interactions=pl.DataFrame({"user": ["ann"], "item": ["tea"], "time": [MONDAY]}))
    add_searches(loaded, fetch_collected(store, "grocery", 1, tmp_path / "here"))

    assert loaded.searches.select("user", "query", "item", "kind").rows() == [("ann", "Earl Grey", "tea", "click")]


def test_each_event_is_in_one_cut_and_nothing_new_is_no_cut(log, make_store, tmp_path):
    store = make_store()
    assert compact(log, store, "grocery") is None
    log.append([did(n, "ann", f"i{n}") for n in range(5)])
    assert compact(log, store, "grocery").events == 5
    assert compact(log, store, "grocery") is None
    log.append([did(n, "ann", f"i{n}") for n in range(3, 8)])  # two of them again
    assert compact(log, store, "grocery").events == 3
    items = read(fetch_collected(store, "grocery", 2, tmp_path / "here"))["item"].to_list()
    assert sorted(items) == [f"i{n}" for n in range(8)]
    first = read(fetch_collected(store, "grocery", 1, tmp_path / "there"))["item"].to_list()
    assert first == [f"i{n}" for n in range(5)]  # what a run of then has read stays as it was


def test_what_does_not_fit_into_memory_at_once_becomes_several_cuts(log, make_store, tmp_path, monkeypatch):
    store = make_store()
    monkeypatch.setattr(compaction, "ROWS_AT_ONCE", 2)
    log.append([did(n, "ann", f"i{n}") for n in range(5)])

    together = compact(log, store, "grocery")

    assert [(cut.number, cut.after, cut.through, cut.events) for cut in cuts(store, "grocery")] == [
        (1, 0, 2, 2),
        (2, 2, 4, 2),
        (3, 4, 5, 1),
    ]
    assert (together.number, together.after, together.through, together.events) == (3, 0, 5, 5)
    assert compact(log, store, "grocery") is None
    items = read(fetch_collected(store, "grocery", 3, tmp_path / "here"))["item"].to_list()
    assert sorted(items) == [f"i{n}" for n in range(5)]


def test_long_lists_of_names_fill_a_cut_sooner(log, make_store, monkeypatch):
    store = make_store()
    monkeypatch.setattr(compaction, "ROWS_AT_ONCE", 5)
    names = [f"i{n}" for n in range(16)]
    drawn = {"ranking": names, "share": 0.1, "keep": 1}
    answers = [
        Shown(
            request_id=f"r{n}", user="ann", version="v", surface="items", method="fused", as_of="2026-01-05", time=MONDAY,
            items=names, scores=[1.0] * 16, propensities=[1.0] * 16, exploration=drawn,
        )
        for n in range(2)
    ]  # fmt: skip
    log.append([Entry(f"i:{n}", to_json(answer)) for n, answer in enumerate(answers)])

    compact(log, store, "grocery")

    assert [cut.through for cut in cuts(store, "grocery")] == [1, 2]


def test_one_that_is_killed_between_two_cuts_goes_on_behind_the_first(log, make_store, tmp_path, monkeypatch):
    store = make_store()
    log.append([did(n, "ann", f"i{n}") for n in range(5)])
    with SqliteLog(tmp_path / "former") as former:
        two_cuts(former, store)
    monkeypatch.setattr(compaction, "ROWS_AT_ONCE", 2)
    append = Log.append

    def killed_at_the_second(self, entry, *, after):
        if after == 3:
            raise KeyboardInterrupt
        return append(self, entry, after=after)

    with monkeypatch.context() as patch:
        patch.setattr(Log, "append", killed_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            compact(log, store, "grocery", anew=True)
    assert compact(log, store, "grocery", anew=True).events == 3  # who was told to begin anew says so again
    assert [(cut.after, cut.through) for cut in cuts(store, "grocery")][2:] == [(0, 2), (2, 4), (4, 5)]


def test_a_compaction_that_was_killed_leaves_nothing_that_counts(log, make_store, tmp_path, monkeypatch):
    store = make_store()
    log.append([did(1, "ann", "tea")])
    with monkeypatch.context() as patch:
        patch.setattr(Log, "append", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            compact(log, store, "grocery")
    assert cuts(store, "grocery") == []
    log.append([did(2, "ann", "milk")])
    assert compact(log, store, "grocery").events == 2
    assert sorted(read(fetch_collected(store, "grocery", 1, tmp_path / "here"))["item"]) == ["milk", "tea"]


def test_of_two_compactions_at_once_one_wins_and_no_event_counts_twice(log, make_store, tmp_path, monkeypatch):
    store = make_store()
    log.append([did(1, "ann", "tea")])
    append = Log.append

    def later(self, entry, *, after):
        monkeypatch.setattr(Log, "append", append)
        compact(log, store, "grocery")  # another one, in between
        return append(self, entry, after=after)

    monkeypatch.setattr(Log, "append", later)
    with pytest.raises(AlreadyExists, match="Another compaction of grocery was faster"):
        compact(log, store, "grocery")
    assert [cut.number for cut in cuts(store, "grocery")] == [1]
    assert read(fetch_collected(store, "grocery", 1, tmp_path / "here"))["item"].to_list() == ["tea"]
    assert store.exists(f"{layout.collected('grocery')}/{cuts(store, 'grocery')[0].files[0]}")


def test_what_cannot_be_read_is_counted_and_what_a_newer_predictor_adds_is_no_harm(log, make_store, tmp_path):
    store = make_store()
    newer = did(1, "ann", "tea")
    log.append([Entry("a", b"[1]"), Entry(newer.id, newer.body[:-1] + b',"mood":"good"}')])
    cut = compact(log, store, "grocery")
    assert (cut.events, cut.unread) == (1, 1)
    fetch_collected(store, "grocery", 1, tmp_path / "here")
    log.append([did(2, "bob", "tea")])
    compact(log, store, "grocery")
    fetch_collected(store, "grocery", 2, tmp_path / "here")
    assert [path.name for path in (tmp_path / "here").iterdir()] == [f"{2:012}"]


def test_a_purchase_that_the_tables_know_is_not_added_again(log, make_store, tmp_path):
    store = make_store()
    log.append([did(1, "ann", "tea"), did(2, "ann", "milk", quantity=2, price=1.5), did(3, "ann", "tea", kind="click")])
    compact(log, store, "grocery")
    table = pl.DataFrame({"user": ["ann"], "item": ["tea"], "time": [MONDAY], "kind": ["purchase"]}).with_columns(
        pl.col("time").cast(pl.Datetime("us", "UTC"))
    )
    loaded = Loaded(interactions=table)

    add_collected(loaded, fetch_collected(store, "grocery", 1, tmp_path / "here"))

    found = loaded.interactions.select("item", "kind", "price").rows()
    assert sorted(found) == [("milk", "purchase", 3.0), ("tea", "purchase", None), ("tea", "view", None)]
    assert {rule.name: rule.rows for rule in loaded.rules} == {"collected_twice": 1, "collected": 2}
    assert dropped_rows(loaded.report()) == {}  # a shop that exports what we collect has no wrong mapping


def kept_ids(log):
    return [record.id for record in log.read(BEGINNING)]


def test_what_the_serving_version_was_trained_on_is_forgotten_and_nothing_else(open_one, make_store):
    log, store = open_one(), make_store()
    first, second = two_cuts(log, store)
    everything = kept_ids(log)
    assert trim(log, store, "grocery", built_on=0, days=14, now=at(100)) is None
    assert kept_ids(log) == everything
    assert trim(log, store, "grocery", built_on=1, days=14, now=at(100)) == first
    assert kept_ids(log) == everything[3:]
    assert trim(log, store, "grocery", built_on=1, days=14, now=at(100)) is None
    assert trim(log, store, "grocery", built_on=2, days=14, now=at(100)) == second
    assert kept_ids(log) == everything[6:]
    assert compact(log, store, "grocery").events == 1  # it goes on where it was


def test_what_is_not_old_enough_stays(open_one, make_store):
    log, store = open_one(), make_store()
    _, second = two_cuts(log, store)
    everything = kept_ids(log)
    assert trim(log, store, "grocery", built_on=2, days=14, now=at(13)) is None
    assert trim(log, store, "grocery", built_on=2, days=1, now=at(7)) is None  # so late an event may still come
    assert kept_ids(log) == everything
    assert trim(log, store, "grocery", built_on=2, days=1, now=at(9)) == second


def test_records_that_were_gone_before_they_were_compacted_are_counted(open_one, make_store):
    log, store = open_one(), make_store()
    log.append([did(n, "ann", f"i{n}") for n in range(3)])
    assert compact(log, store, "grocery").missed == 0
    offsets = log.append([did(n, "ann", f"i{n}") for n in range(3, 6)])
    log.trim(offsets[2])  # as a topic does whose retention is short
    cut = compact(log, store, "grocery")
    assert (cut.missed, cut.events) == (2, 1)
