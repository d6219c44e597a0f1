"""A pod makes interactions of what a log has collected, each event once however often it is asked."""

from datetime import UTC, datetime

from shoploop.events.cuts import cuts
from shoploop.events.log import Entry
from shoploop.events.messages import Kept, to_json
from shoploop.events.sqlite_log import SqliteLog
from shoploop.runs import pod_verbs
from shoploop.store import Store

MONDAY = datetime(2026, 1, 5, 12, tzinfo=UTC)


def test_what_came_since_the_last_turn_becomes_interactions(tmp_path, capsys):
    store = Store(str(tmp_path / "store"))
    (tmp_path / "events").mkdir()
    kept = Kept(source="organic", kind="purchase", user="ann", item="tea", time=MONDAY, received=MONDAY)
    with SqliteLog(tmp_path / "events" / "events.sqlite") as log:
        log.append([Entry("1", to_json(kept))])
    where = ["--recommender", "grocery", "--store", store.uri, "--log-folder", str(tmp_path / "events")]
    words = ["compact", *where, "--log", '{"type": "Sqlite"}', "--access", str(tmp_path / "none")]
    assert [pod_verbs.main(words) for _ in range(2)] == [0, 0]
    assert capsys.readouterr().out.splitlines() == ["1 events up to record 1 are interactions", "nothing new"]
    (cut,) = cuts(store, "grocery")
    assert (cut.number, cut.events, cut.through) == (1, 1, 1)
