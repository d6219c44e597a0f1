"""The chain of commits in a store."""

import json

import numpy as np
import pytest
from lost_answers import lose_answers

from shoploop.errors import AlreadyExists, ArtifactCorrupt, ArtifactForeign, NotFound, StoreUnavailable
from shoploop.online.chain import Chain, ChainTaken, Totals, hold_alone
from shoploop.online.rows import Rows
from shoploop.store import layout


def rows(*items: tuple[int, float]) -> Rows:
    codes = np.array([code for code, _ in items], np.int32)
    values = np.array([value for _, value in items], np.float32)
    return Rows(codes_N=codes, vectors_ND=values[:, None], bias_N=values, slots_NE=np.stack([values, values], axis=1))


def learned(chain: Chain, offset: int, *items: tuple[int, float], full: bool = False):
    return chain.append(
        "learn", by="me", reason="", offset=offset, totals=Totals(examples=offset), rows=rows(*items),
        full=full,
    )  # fmt: skip


def values(chain: Chain, number: int | None = None) -> dict[int, float]:
    state = chain.state(number)
    return dict(zip(state.rows.codes_N.tolist(), state.rows.bias_N.tolist(), strict=True))


@pytest.fixture
def chain(store):
    return Chain(store, "grocery", "v1", start=7)


def test_a_chain_that_begins_is_the_version_as_it_was_trained(chain):
    chain.refresh()
    assert (chain.head, chain.served, chain.state().offset, len(chain.state().rows)) == (0, 0, 7, 0)


def test_a_state_is_the_last_of_each_row_up_to_its_commit(store, chain):
    learned(chain, 10, (1, 1.0), (2, 2.0))
    learned(chain, 20, (2, 5.0))
    other = Chain(store, "grocery", "v1")
    other.refresh()
    assert values(other) == {1: 1.0, 2: 5.0}
    assert values(other, 1) == {1: 1.0, 2: 2.0}
    assert other.state().offset == 20
    with pytest.raises(NotFound, match="its commits are 0 to 2"):
        other.state(3)


def test_reading_begins_at_a_full_commit(store, chain):
    learned(chain, 10, (1, 1.0))
    learned(chain, 20, (2, 2.0), full=True)
    learned(chain, 30, (3, 3.0))
    for file in store.path(layout.online("grocery", "v1")).glob("objects/*"):
        if file.name == chain.commits[0].digest:
            file.unlink()
    assert values(chain) == {2: 2.0, 3: 3.0}


def test_of_two_learners_one_wins_and_the_other_is_told(store, chain):
    other = Chain(store, "grocery", "v1")
    learned(chain, 10, (1, 1.0))
    with pytest.raises(AlreadyExists):
        learned(other, 10, (1, 9.0))
    with pytest.raises(ChainTaken, match="another learner is at work"):
        hold_alone(other.refresh())
    assert values(other) == {1: 1.0}


def test_a_commit_whose_answer_got_lost_is_ones_own(store, chain, monkeypatch):
    lose_answers(monkeypatch)
    learned(chain, 10, (1, 1.0))
    learned(chain, 20, (1, 2.0))
    assert [commit.offset for commit in Chain(store, "grocery", "v1").refresh()] == [10, 20]


@pytest.mark.parametrize("left", [b"", b"half"], ids=["empty", "torn"])
def test_what_a_power_cut_left_of_an_object_is_written_anew_by_the_commit_that_names_it(chain, store, left):
    learned(chain, 10, (1, 1.0))
    key = layout.online_object("grocery", "v1", chain.commits[-1].digest)
    store.put(key, left)
    learned(chain, 20, (1, 1.0))
    assert chain.commits[-1].digest == key.rpartition("/")[2]
    assert values(chain) == {1: 1.0}


def test_going_back_is_a_commit_that_holds_the_old_state_and_keeps_the_place_in_the_log(chain):
    learned(chain, 10, (1, 1.0))
    learned(chain, 20, (1, 2.0), (2, 2.0))
    commit = chain.decide("rollback", by="me", reason="", to=1)
    assert (commit.number, commit.full, values(chain), chain.state().offset) == (3, True, {1: 1.0}, 20)
    learned(chain, 30, (3, 3.0))
    assert values(chain) == {1: 1.0, 3: 3.0}


def test_a_pinned_commit_serves_until_it_is_unpinned_or_gone_back_from(chain):
    learned(chain, 10, (1, 1.0))
    learned(chain, 20, (1, 2.0))
    chain.decide("pin", by="me", reason="", to=1)
    learned(chain, 30, (1, 3.0))
    assert (chain.served, values(chain)) == (1, {1: 3.0})
    chain.decide("unpin", by="me", reason="")
    assert chain.served == chain.head
    chain.decide("pin", by="me", reason="", to=2)
    chain.decide("rollback", by="me", reason="", to=0)
    assert (chain.served, values(chain)) == (chain.head, {})


def test_a_frozen_chain_is_frozen_until_it_is_resumed(chain):
    learned(chain, 10, (1, 1.0))
    chain.decide("freeze", by="me", reason="why", to=0)
    assert chain.frozen is not None and chain.frozen.reason == "why"
    assert values(chain) == {}
    chain.decide("resume", by="me", reason="")
    assert chain.frozen is None


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(b"x" * 100)])
def test_what_a_commit_names_is_there_and_unaltered_or_it_is_not_read(store, chain, damage):
    learned(chain, 10, (1, 1.0))
    [file] = store.path(layout.online("grocery", "v1")).glob("objects/*")
    damage(file)
    with pytest.raises(ArtifactCorrupt, match="Bring it back"):
        chain.state()


def test_an_entry_that_is_missing_or_damaged_is_named(store, chain):
    learned(chain, 10, (1, 1.0))
    learned(chain, 20, (1, 1.0))
    entry = store.path(layout.online_commits("grocery", "v1")) / "000000000001.json"
    entry.write_text('{"action": "learn"}')
    with pytest.raises(StoreUnavailable, match="entry 1 is damaged"):
        Chain(store, "grocery", "v1").refresh()
    entry.unlink()
    with pytest.raises(StoreUnavailable, match="an entry is missing"):
        Chain(store, "grocery", "v1").refresh()


def test_an_entry_of_a_newer_format_is_named_and_taken_neither_for_damage_nor_for_what_it_is_not(store, chain):
    learned(chain, 10, (1, 1.0))
    entry = store.path(layout.online_commits("grocery", "v1")) / "000000000001.json"
    written = json.loads(entry.read_text())
    before = {key: value for key, value in written.items() if key not in ("format", "failed")}
    entry.write_text(json.dumps(before))  # as earlier versions wrote it
    [commit] = Chain(store, "grocery", "v1").refresh()
    assert (commit.offset, commit.failed) == (10, ())
    entry.write_text(json.dumps(written | {"format": 3, "totals": {"of_another_kind": 1}}))
    with pytest.raises(ArtifactForeign, match="entry 1 is of format 3; this shoploop reads those up to 2"):
        Chain(store, "grocery", "v1").refresh()


def test_rows_of_another_width_are_not_read(store, chain):
    learned(chain, 10, (1, 1.0))
    other = Chain(store, "grocery", "v1", width=64)
    other.refresh()
    with pytest.raises(ArtifactCorrupt, match="width 64"):
        other.state()


def test_what_is_kept_of_a_chain_does_not_grow_with_it_and_what_is_older_is_read_when_it_is_asked_for(store):
    chain = Chain(store, "grocery", "v1", keep=4)
    other = Chain(store, "grocery", "v1", keep=4)
    for number in range(1, 41):
        learned(chain, 10 * number, (number % 3, float(number)), full=number == 20)
        if number % 10 == 0:
            other.refresh()
    first = Chain(store, "grocery", "v1", keep=4)
    assert [commit.offset for commit in first.refresh()] == list(range(10, 410, 10))
    for each in (chain, other, first):
        assert (each.head, len(each.commits), len(each._known.last)) == (40, 40, 4)
        assert [commit.number for commit in each.commits[-6:-2]] == [35, 36, 37, 38]
        assert (each.commits[-1].offset, each.offset_of(3), each.commits[0].number) == (400, 30, 1)
        assert values(each, 25) == {2: 20.0} | {code: float(24 + (code - 24) % 3) for code in (0, 1)} | {2: 23.0}
        assert values(each) == {0: 39.0, 1: 40.0, 2: 38.0}


def test_a_pin_and_a_freeze_hold_however_long_ago_they_were(store):
    chain = Chain(store, "grocery", "v1", keep=2)
    learned(chain, 10, (1, 1.0))
    chain.decide("pin", by="me", reason="", to=1)
    chain.decide("freeze", by="me", reason="why")
    for number in range(20, 60, 10):
        learned(chain, number, (1, float(number)))
    other = Chain(store, "grocery", "v1", keep=2)
    other.refresh()
    for each in (chain, other):
        assert (each.served, each.frozen and each.frozen.reason, values(each, each.served)) == (1, "why", {1: 1.0})
    other.decide("rollback", by="me", reason="", to=1)
    other.decide("resume", by="me", reason="")
    chain.refresh()
    assert (chain.served, chain.frozen, values(chain)) == (chain.head, None, {1: 1.0})


def test_a_commit_that_was_forgotten_and_is_gone_from_the_store_is_named(store):
    chain = Chain(store, "grocery", "v1", keep=1)
    for number in (10, 20):
        learned(chain, number, (1, 1.0))
    (store.path(layout.online_commits("grocery", "v1")) / "000000000001.json").unlink()
    with pytest.raises(StoreUnavailable, match="entry 1 is missing"):
        chain.state()
