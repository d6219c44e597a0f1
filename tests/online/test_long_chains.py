"""A chain of many commits: who begins to read it, or follows it, asks the store for little."""

import json
from collections import Counter
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signed_things import make_key, no_keys, require  # noqa: F401  # fixtures
from test_chain import learned, rows, values

from shoploop.errors import ArtifactCorrupt, NotFound, StoreUnavailable
from shoploop.online import chain as module
from shoploop.online.chain import KEPT, SNAPSHOT_EVERY, Chain, Totals
from shoploop.store import Store, layout, objects
from shoploop.versions.keys import SIGNING_KEY

LONG = 3 * SNAPSHOT_EVERY + 42


class Counting(Store):
    """Counts what it is asked for, by the folder that it lies in."""

    def __init__(self, uri: str):
        super().__init__(uri)
        self.asked: Counter[str] = Counter()

    def get(self, key: str) -> bytes:
        try:
            found = super().get(key)
        except NotFound:
            self.asked["nothing"] += 1
            raise
        self.asked[key.split("/")[-2]] += 1
        return found

    def exists(self, key: str) -> bool:
        raise AssertionError("what is read need not be looked for")

    def told(self) -> dict[str, int]:
        """Since it was asked last."""
        told, self.asked = dict(self.asked), Counter()
        return told


@pytest.fixture
def store(monkeypatch):
    monkeypatch.setattr(objects, "AT_ONCE", 1)  # what is on its way when no more is wanted is not counted here
    return Counting("memory:///")


def of(store, **more) -> Chain:
    return Chain(store, "grocery", "v1", **more)


def grown(chain: Chain, commits: int) -> None:
    for number in range(chain.head + 1, chain.head + commits + 1):
        learned(chain, 10 * number, (number % 5, float(number)), full=number % SNAPSHOT_EVERY == 0)


def begun(store, **more) -> Chain:
    chain = of(store, **more)
    chain.refresh()
    return chain


def as_before(store: Store) -> None:
    """The chain as earlier versions wrote it."""
    for key in store.list(layout.online_commits("grocery", "v1")):
        entry = store.get_json(key)
        store.put(key, json.dumps({name: fact for name, fact in entry.items() if name != "decided"}).encode())


def test_who_begins_reads_from_the_last_full_commit_on_and_what_is_older_when_it_is_asked_for(store):
    grown(of(store), LONG)
    store.told()
    chain = of(store)
    assert len(chain.refresh()) == LONG
    assert store.told() == {"commits": 43}
    assert (chain.head, chain.served, chain.frozen, chain.offset_of(LONG)) == (LONG, LONG, None, 10 * LONG)
    assert store.told() == {}
    assert [commit.number for commit in chain.commits[:3]] == [1, 2, 3]
    assert store.told() == {"commits": 3}


def test_who_follows_reads_each_object_once(store):
    writer = of(store)
    grown(writer, 3 * SNAPSHOT_EVERY + 1)
    chain = begun(store)
    assert len(values(chain)) == 2
    store.told()
    for number in range(chain.head + 1, chain.head + 51):
        grown(writer, 1)
        chain.refresh()
        assert values(chain)[number % 5] == number
    assert store.told() == {"commits": 50, "objects": 50, "nothing": 50}
    assert values(chain, 302) == values(begun(store), 302)
    store.told()
    assert values(chain) == values(begun(store))


def test_a_pin_a_freeze_and_who_decided_are_known_without_reading_as_far_back(store):
    writer = of(store)
    grown(writer, 3)
    writer.decide("pin", by="eve", reason="", to=2)
    writer.append(
        "freeze",
        by="learner",
        reason="progressive_loss: it is worse.",
        offset=40,
        totals=Totals(),
        rows=rows(),
        full=True,
        to=1,
    )
    grown(writer, LONG)
    store.told()
    chain = begun(store)
    assert store.told()["commits"] < SNAPSHOT_EVERY + 2
    assert (chain.served, chain.frozen, chain.stops) == (2, writer.commits[4], writer.stops)
    assert chain.frozen.number == 5 and len(chain.stops) == 1
    assert chain.deciders == ("eve", "learner")
    chain.decide("resume", by="ann", reason="")
    chain.decide("rollback", by="ann", reason="", to=1)
    grown(chain, SNAPSHOT_EVERY)
    assert (begun(store).frozen, begun(store).served, begun(store).deciders[2:]) == (None, chain.head, ("ann", "ann"))


def test_a_chain_of_an_earlier_version_is_read_as_it_was_until_a_full_commit_says_more(store):
    writer = of(store)
    writer.decide("pin", by="me", reason="", to=0)
    grown(writer, LONG)
    as_before(store)
    store.told()
    beats = []
    chain = begun(store, beat=lambda: beats.append(1))
    assert store.told() == {"commits": chain.head} and len(beats) >= chain.head
    assert (chain.head, chain.served, len(chain._known.last)) == (LONG + 1, 0, KEPT)
    grown(chain, SNAPSHOT_EVERY)
    store.told()
    assert begun(store).served == 0
    assert store.told()["commits"] <= SNAPSHOT_EVERY


def test_a_full_commit_of_an_earlier_version_among_newer_ones_is_passed_by(store):
    writer = of(store)
    grown(writer, SNAPSHOT_EVERY + 10)
    writer.decide("pin", by="me", reason="", to=7)
    grown(writer, 5)
    last = f"{layout.online_commits('grocery', 'v1')}/{writer.head + 1:012}.json"
    learned(writer, 9_000, (1, 1.0), full=True)
    store.put(last, json.dumps({k: v for k, v in store.get_json(last).items() if k != "decided"}).encode())
    store.told()
    assert begun(store).served == 7
    assert store.told()["commits"] < 30


def test_a_number_that_is_missing_is_named_however_old_it_is(store):
    grown(of(store), LONG)
    store.delete(f"{layout.online_commits('grocery', 'v1')}/000000000017.json")
    with pytest.raises(StoreUnavailable, match="an entry is missing"):
        begun(store)


@pytest.mark.parametrize(
    "decided",
    [{}, {"pinned": 101, "frozen": None}, {"pinned": None, "frozen": 3}, {"pinned": "x", "frozen": None}, "x"],
    ids=["empty", "pinned-later", "froze-nothing", "no-number", "no-object"],
)
def test_a_full_commit_that_says_what_cannot_be_is_damaged(store, decided):
    grown(of(store), SNAPSHOT_EVERY)
    key = f"{layout.online_commits('grocery', 'v1')}/{SNAPSHOT_EVERY:012}.json"
    told = decided if isinstance(decided, str) else {"stops": [], "by": []} | decided if decided else {}
    store.put(key, json.dumps(store.get_json(key) | {"decided": told}).encode())
    with pytest.raises(StoreUnavailable, match=f"entry {SNAPSHOT_EVERY} is damaged"):
        begun(store)


def test_what_had_been_decided_is_signed_and_what_is_older_is_verified_by_who_asks_for_it(
    store,
    make_key,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    trust = require(make_key("shop"))
    monkeypatch.setenv(SIGNING_KEY, str(tmp_path / "shop.key"))
    grown(of(store, trust=trust), SNAPSHOT_EVERY + 1)
    commits = layout.online_commits("grocery", "v1")
    first, full = (f"{commits}/{number:012}.json" for number in (1, SNAPSHOT_EVERY))
    written = store.get_json(full)
    store.put(full, json.dumps(written | {"decided": written["decided"] | {"pinned": 3}}).encode())
    with pytest.raises(ArtifactCorrupt):
        begun(store, trust=trust)
    store.put(full, json.dumps(written).encode())
    store.put(first, json.dumps(store.get_json(first) | {"offset": 99}).encode())
    chain = begun(store, trust=trust)
    assert chain.served == SNAPSHOT_EVERY + 1
    with pytest.raises(ArtifactCorrupt):
        chain.offset_of(1)


WHAT = st.sampled_from(["learn", "learn", "full", "pin", "unpin", "rollback", "freeze", "guard", "resume", "look"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(WHAT, st.integers(0, 1_000)), min_size=1, max_size=40))
def test_who_began_at_a_full_commit_knows_what_who_read_all_knows(history):
    store = Store("memory:///")
    writer, follower = of(store, keep=3), of(store, keep=2)
    for what, number in history:
        some, to = (number % 5, float(number)), number % (writer.head + 1)
        match what:
            case "look":
                follower.refresh()
                follower.state(number % (follower.head + 1))
            case "learn" | "full":
                writer.append(
                    "learn", by="learner", reason="", offset=10 * writer.head, totals=Totals(examples=number),
                    rows=rows(some), ahead=rows((some[0] + 1, 0.5)), full=what == "full", failed=[number],
                )  # fmt: skip
            case "guard":
                writer.append(
                    "freeze", by="learner", reason="progressive_loss: it is worse.", offset=10 * writer.head, totals=Totals(),
                    rows=writer.state(to).rows, full=True, to=to,
                )  # fmt: skip
            case "pin" | "rollback":
                writer.decide(what, by=f"person {number}", reason="", to=to)
            case _:
                writer.decide(what, by=f"person {number}", reason="")
    began = begun(store)
    with mock.patch.object(module, "DECIDED", "unknown"):
        read_all = begun(store)
    follower.refresh()
    for each in (began, follower, writer):
        for name in ("head", "served", "frozen", "stops", "deciders", "failed"):
            assert getattr(each, name) == getattr(read_all, name), name
        assert list(each.commits) == list(read_all.commits)
        for number in (each.head, each.head // 2, each.served):
            one, other = each.state(number), read_all.state(number)
            assert (one.number, one.offset, one.totals, one.resumes) == (
                other.number, other.offset, other.totals, other.resumes,
            )  # fmt: skip
            for rows_name in ("rows", "base"):
                here, there = getattr(one, rows_name), getattr(other, rows_name)
                for array in ("codes_N", "vectors_ND", "bias_N", "slots_NE"):
                    assert np.array_equal(getattr(here, array), getattr(there, array))
