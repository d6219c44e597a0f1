"""A user who wants to be forgotten: their records leave the log, what was compacted of it, and every later replay."""

import io
import json
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from shoploop.cli.main import app
from shoploop.data.collected import CollectedThrough
from shoploop.errors import NotFound
from shoploop.events.compaction import compact, trim
from shoploop.events.cuts import cuts, fetch_collected, last_cut
from shoploop.events.erasing import erase_user
from shoploop.events.log import BEGINNING, Entry, LogUnavailable
from shoploop.events.messages import Again, Kept, Shown, to_json
from shoploop.events.sqlite_log import SqliteLog
from shoploop.online.chain import Chain, Totals
from shoploop.online.dead_letters import dead_letters
from shoploop.packaging.affected import affected
from shoploop.store import Store, layout

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
NAME, ME = "grocery", "me"


def bought(user: str, item: str) -> Kept:
    return Kept(source="organic", kind="purchase", user=user, item=item, time=NOON, received=NOON)


def shown(user: str, query: str | None = None) -> Shown:
    return Shown(
        request_id=f"r {user}", user=user, version="v1", surface="search" if query else "items", method="fused",
        as_of="2026-01-05", time=NOON, items=["tea"], scores=[None], propensities=[1.0], query=query,
    )  # fmt: skip


def entry(message) -> Entry:
    body = to_json(message)
    return Entry(f"id {hash(body)}", body)


@pytest.fixture
def place(tmp_path):
    return tmp_path / layout.events(NAME)


@pytest.fixture
def log(place):
    with SqliteLog(place / "events.sqlite") as opened:
        yield opened


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path))


def said(log):
    return b"".join(record.body for record in log.read(BEGINNING))


def test_all_that_a_user_did_and_was_shown_leaves_the_log_and_nobody_elses(log, store):
    log.append([entry(each) for each in (bought("secretive ann", "tea"), shown("secretive ann"), bought("bob", "tea"))])
    again = Again(of=1, event=bought("secretive ann", "tea"), items=["tea"])
    log.append([entry(again), Entry("junk", b"{secret")])
    erased = erase_user(log, store, NAME, "secretive ann", by=ME)
    assert (erased.records, erased.first, erased.last, erased.unread) == (3, 1, 4, 1)
    assert b"secretive" not in said(log)
    assert [record.id for record in log.read(BEGINNING) if not record.id.startswith("forgotten:")][1:] == ["junk"]
    again = erase_user(log, store, NAME, "secretive ann", by=ME)
    assert (again.records, again.first, again.interactions) == (0, None, 0)


def test_no_byte_of_it_stays_in_the_file_or_its_journal_though_others_have_it_open(log, store, place):
    with SqliteLog(place / "events.sqlite") as other:
        log.append([entry(bought("secretive ann", f"tea {number}")) for number in range(300)])
        log.append([entry(bought("bob", f"tea {number}")) for number in range(300)])
        other.read(BEGINNING)
        erase_user(log, store, NAME, "secretive ann", by=ME)
        for file in place.iterdir():
            assert b"secretive" not in file.read_bytes(), file
        assert sum(b'"user":"bob"' in record.body for record in other.read(BEGINNING)) == 300


def test_what_was_compacted_is_written_anew_without_them_and_the_next_run_does_not_go_on_from_former_copies(
    log, store, tmp_path
):
    log.append([entry(each) for each in (bought("ann", "tea"), bought("bob", "tea"), shown("ann", "green tea"))])
    compact(log, store, NAME)
    before = last_cut(store, NAME)
    fetch_collected(store, NAME, before, tmp_path / "work")
    erased = erase_user(log, store, NAME, "ann", by=ME)
    assert (erased.records, erased.interactions, erased.first_cut) == (2, 2, 1)
    assert last_cut(store, NAME) > before
    folder = fetch_collected(store, NAME, last_cut(store, NAME), tmp_path / "work")
    users = [user for file in folder.rglob("*.parquet") for user in pq.read_table(file)["user"].to_pylist()]
    assert users == ["bob"]
    for key in store.list(f"{layout.collected(NAME)}/"):
        if key.endswith(".parquet"):
            assert "ann" not in pq.read_table(io.BytesIO(store.get(key)))["user"].to_pylist()


def test_a_log_whose_last_compacted_record_was_erased_is_still_known_to_be_the_same(log, store):
    log.append([entry(bought("bob", "tea")), entry(bought("ann", "tea"))])
    compact(log, store, NAME)
    erase_user(log, store, NAME, "ann", by=ME)
    log.append([entry(bought("cid", "salt"))])
    assert compact(log, store, NAME).events == 1
    assert trim(log, store, NAME, built_on=len(cuts(store, NAME)), days=1, now=datetime(2027, 1, 5, tzinfo=UTC)) == 4


def test_a_replay_after_it_knows_nothing_of_them(log, store):
    late = Kept(
        source="attributed", kind="click", user="ann", item="tea", time=NOON, received=NOON, request_id="never shown"
    )
    after = [
        bought("bob", f"tea {number}").model_copy(update={"received": NOON.replace(hour=13)}) for number in range(120)
    ]
    log.append([entry(late), *map(entry, after)])
    assert [letter.offset for letter in dead_letters(log, after=BEGINNING)] == [1]
    erase_user(log, store, NAME, "ann", by=ME)
    assert dead_letters(log, after=BEGINNING) == []


class Away(SqliteLog):
    """Its disk fails at the first try to erase, after the entries are gone or before."""

    def __init__(self, path, *, after: bool):
        super().__init__(path)
        self.after, self.failures = after, 1

    def erase(self, offsets):
        if self.failures:
            self.failures -= 1
            if self.after:
                super().erase(offsets)
            raise LogUnavailable("the disk is away")
        super().erase(offsets)


@pytest.mark.parametrize("after", [False, True])
def test_one_that_was_broken_off_is_done_again(log, store, place, after):
    log.append([entry(bought("bob", "tea")), entry(bought("ann", "tea"))])
    compact(log, store, NAME)
    with Away(place / "events.sqlite", after=after) as broken:
        with pytest.raises(LogUnavailable):
            erase_user(broken, store, NAME, "ann", by=ME)
        erase_user(broken, store, NAME, "ann", by=ME)
    assert b"ann" not in said(log)
    assert compact(log, store, NAME).events == 0  # it has seen what tells of the erasure
    assert compact(log, store, NAME) is None


@pytest.fixture
def versions(store, monkeypatch):
    """``v00000000000a`` was trained on the first cut; ``v00000000000b`` on nothing collected, and learned up to record 5."""
    collected = {"v00000000000a": CollectedThrough(cut=1, offset=2), "v00000000000b": CollectedThrough()}
    for version in (*collected, "v00000000000c"):
        store.put(f"{layout.version(NAME, version)}/manifest.json", b"{}")

    def collected_of(store, name, version):
        if version not in collected:
            raise NotFound(version)
        return collected[version]

    monkeypatch.setattr("shoploop.packaging.affected.collected_of", collected_of)
    chain = Chain(store, NAME, "v00000000000b")
    for offset in (1, 3, 5):
        chain.append("learn", by=ME, reason="", offset=offset, totals=Totals())


def test_versions_and_commits_that_may_have_learned_of_it_are_listed(log, store, versions):
    log.append([entry(bought("bob", "tea")), entry(bought("ann", "tea"))])
    compact(log, store, NAME)
    erased = erase_user(log, store, NAME, "ann", by=ME)
    found = affected(store, NAME, erased)
    assert found.versions == ("v00000000000a",)
    assert found.commits == {"v00000000000b": (2, 3)}


def test_the_command_says_what_went_what_is_affected_and_what_remains(log, store, versions, tmp_path):
    log.append(
        [
            entry(bought(user, item))
            for user, item in (("bob", "tea"), ("7", "tea"), *(("bob", f"i{n}") for n in range(3)))
        ]
    )
    command = ["events", "delete-user", NAME, "--user", "7", "--store", str(tmp_path)]
    found = CliRunner().invoke(app, command, catch_exceptions=False)
    assert found.output.startswith(
        "1 records of user 7 left the event log of grocery, and 0 rows what was compacted of it"
    )
    assert "trained on some of them: v00000000000a." in found.output
    assert "read some of them: 2 to 3 of v00000000000b." in found.output
    assert "stays in weights" in found.output
    told = json.loads(CliRunner().invoke(app, [*command, "--json", "-"], catch_exceptions=False).output)
    assert (told["user"], told["records"], told["versions"], told["commits"]) == ("7", 0, [], {})
    assert "holds nothing of user 7" in CliRunner().invoke(app, command, catch_exceptions=False).output


def test_whose_record_it_is_goes_by_how_ids_are_compared_whoever_wrote_it(log, store):
    of_a_number = to_json(bought("7", "tea")).replace(b'"user":"7"', b'"user":7')
    spaced = to_json(bought("7", "milk")).replace(b'"user":"7"', b'"user":" 7 "')
    log.append([Entry("number", of_a_number), Entry("spaced", spaced), entry(bought("70", "tea"))])
    assert erase_user(log, store, NAME, "7", by=ME).records == 2
    assert sum(b'"user":' in record.body for record in log.read(BEGINNING)) == 1
