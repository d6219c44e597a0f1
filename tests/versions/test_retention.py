"""Which versions stay: over any history, nothing that serves, is named, is a parent in use or may be rolled back to goes."""

import contextlib
import json
import os
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoploop.errors import NotFound
from shoploop.store import Store, layout
from shoploop.versions import promotions
from shoploop.versions.artifact import version_id
from shoploop.versions.removal import choose_versions, remove_left, remove_version
from shoploop.versions.retention import StoredVersion, kept_versions

NAME = "grocery"


def put(store: Store, number: int, parent: str | None = None) -> str:
    """A version as far as its retention is concerned: a manifest and a file; returns its id."""
    files = {"weights.safetensors": {}}
    body = json.dumps({"lineage": {"parent": parent}, "metrics": {}, "files": files, "number": number}).encode()
    version = version_id(body)
    store.put(f"{layout.version(NAME, version)}/weights.safetensors", b"w")
    key = f"{layout.version(NAME, version)}/manifest.json"
    store.put(key, body)
    os.utime(store.path(key), (number, number))  # a second apart, whatever the machine's clock does
    return version


def promote(store: Store, version: str) -> None:
    promotions.promote(store, NAME, version, reason="better", by="gate")


def collect(store: Store, *, newest: int, named: dict[str, str] | None = None) -> tuple[str, ...]:
    chosen = choose_versions(store, NAME, newest=newest, named=named or {})
    for version in chosen.removed:
        assert remove_version(store, NAME, version, named=named or {})
    return chosen.removed


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path))


def test_the_newest_stay_and_the_rest_goes_with_all_its_files(store):
    old, *new = [put(store, number) for number in range(3)]
    promote(store, new[-1])

    assert collect(store, newest=2) == (old,)
    assert not list(store.list(f"{layout.version(NAME, old)}/"))
    assert promotions.version_ids(store, NAME) == sorted(new)


def test_what_was_learned_on_top_of_a_version_goes_with_it_and_what_is_somebody_elses_stays(store):
    old, new = [put(store, number) for number in range(2)]
    promote(store, new)
    for version in (old, new):
        store.put(f"{layout.online_commits(NAME, version)}/000000000001.json", b"{}")
        store.put(layout.online_object(NAME, version, "a" * 64), b"rows")
    store.put(f"{layout.online(NAME, old)}/notes.txt", b"mine")

    assert collect(store, newest=1) == (old,)
    assert [key.rpartition("/")[2] for key in store.list(f"{layout.online(NAME, old)}/")] == ["notes.txt"]
    assert len(list(store.list(f"{layout.online(NAME, new)}/"))) == 2


def test_what_serves_stays_however_old_it_is(store):
    first = put(store, 0)
    promote(store, first)
    for number in range(1, 6):
        put(store, number)

    collect(store, newest=1)

    assert first in promotions.version_ids(store, NAME)


def test_a_pinned_version_stays_with_its_reason(store):
    pinned = put(store, 0)
    later = [put(store, number) for number in (1, 2)]

    chosen = choose_versions(store, NAME, newest=1, named={pinned: "is pinned"})

    assert chosen.kept[pinned] == "is pinned"
    assert chosen.removed == (later[0],)


def test_the_parent_of_what_serves_stays_because_a_new_verdict_is_reached_against_it(store):
    parent = put(store, 0)
    child = put(store, 1, parent)
    promote(store, child)
    for number in range(2, 6):
        put(store, number)

    assert choose_versions(store, NAME, newest=1, named={}).kept[parent] == f"is what {child} was compared with"


def test_one_step_back_is_always_possible(store):
    for number in range(5):
        promote(store, put(store, number))

    collect(store, newest=1)

    assert promotions.rollback(store, NAME, by="ann").version in promotions.version_ids(store, NAME)


def test_a_step_back_to_what_is_gone_is_refused_and_changes_nothing(store):
    for number in range(5):
        promote(store, put(store, number))
    collect(store, newest=1)
    promotions.rollback(store, NAME, by="ann")
    serving = promotions.serving_version(store, NAME)

    with pytest.raises(NotFound, match=r"went beyond spec\.retention\.versions"):
        promotions.rollback(store, NAME, by="ann")
    assert promotions.serving_version(store, NAME) == serving


def test_a_version_that_is_promoted_in_the_last_moment_stays_whole(store):
    old, new = put(store, 0), put(store, 1)
    promote(store, new)
    chosen = choose_versions(store, NAME, newest=1, named={})
    assert chosen.removed == (old,)
    promote(store, old)

    assert not remove_version(store, NAME, old, named={})
    assert version_id(store.get(f"{layout.version(NAME, old)}/manifest.json")) == old


def test_a_version_that_somebody_has_changed_is_left_to_a_person(store):
    changed = put(store, 0)
    store.put(f"{layout.version(NAME, changed)}/manifest.json", b"not what it was")
    promote(store, put(store, 1))

    assert choose_versions(store, NAME, newest=1, named={}).removed == ()


def test_who_is_killed_while_a_version_goes_leaves_nothing_for_ever(store, monkeypatch):
    old, new = put(store, 0), put(store, 1)
    promote(store, new)
    chain = f"{layout.online_commits(NAME, old)}/000000000001.json"
    kept = f"{layout.version(NAME, old)}/notes.txt"
    for key in (chain, kept, f"{layout.version(NAME, old)}/bento/{'a' * 16}.bento"):
        store.put(key, b"1")
    deleted = store.delete

    def killed(key):
        deleted(key)
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "delete", killed)
    with pytest.raises(KeyboardInterrupt):
        remove_version(store, NAME, old, named={})
    monkeypatch.undo()
    tomorrow = datetime.now(UTC) + timedelta(days=1, minutes=1)

    assert choose_versions(store, NAME, newest=1, named={}).left == (), "it may be on its way into the store"
    assert choose_versions(store, NAME, newest=1, named={}, now=tomorrow).left == (old,)
    assert remove_left(store, NAME, old)
    assert [key for key in store.list() if old in key] == [kept]
    assert choose_versions(store, NAME, newest=1, named={}, now=tomorrow).left == ()


def test_what_is_left_of_a_version_that_serves_or_may_be_rolled_back_to_stays_for_who_brings_its_manifest_back(store):
    versions = [put(store, number) for number in range(3)]
    for version in versions:
        promote(store, version)
        store.delete(f"{layout.version(NAME, version)}/manifest.json")
    tomorrow = datetime.now(UTC) + timedelta(days=1, minutes=1)

    assert choose_versions(store, NAME, newest=1, named={}, now=tomorrow).left == (versions[0],)


def test_a_version_that_has_come_meanwhile_is_not_taken_for_what_is_left_of_one(store):
    version = put(store, 0)

    assert not remove_left(store, NAME, version)
    assert len(list(store.list(layout.version(NAME, version)))) == 2


actions = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(0, 5)),
        st.tuples(st.just("promote"), st.integers(0, 30)),
        st.tuples(st.just("rollback"), st.just(0)),
        st.tuples(st.just("pin"), st.integers(0, 30)),
        st.tuples(st.just("collect"), st.integers(1, 4)),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(actions)
def test_over_any_history_what_is_in_use_is_never_collected(tmp_path_factory, history):
    store = Store(str(tmp_path_factory.mktemp("store")))
    pinned: str | None = None
    for number, (action, at) in enumerate(history):
        there = promotions.version_ids(store, NAME)
        if action == "publish":
            put(store, number, promotions.serving_version(store, NAME))
        elif action == "promote" and there:
            promote(store, there[at % len(there)])
        elif action == "rollback":
            with contextlib.suppress(NotFound):
                promotions.rollback(store, NAME, by="ann")
        elif action == "pin" and there:
            pinned = there[at % len(there)]
        elif action == "collect":
            collect(store, newest=at, named={pinned: "is pinned"} if pinned else {})
        left = set(promotions.version_ids(store, NAME))
        serving = promotions.serving_version(store, NAME)
        assert serving is None or serving in left
        assert pinned is None or pinned in left
        if action == "collect":
            stack = promotions.rollback_stack(promotions.promotions(store, NAME))
            before = set(there)
            assert set(dict.fromkeys(stack[::-1][: max(2, at)])) & before <= left
            assert left <= before


def test_versions_stored_in_the_same_moment_are_told_apart_by_name():
    same = [StoredVersion(id=id_, parent=None, modified=1.0) for id_ in ("b", "a", "c")]

    assert set(kept_versions(same, [], newest=2, named={})) == {"a", "b"}


def test_renewals_of_the_same_weights_count_once_and_what_they_have_their_weights_of_stays():
    nights = [StoredVersion(id=f"n{night}", parent=None, modified=10.0 + night, weights_of="a") for night in range(9)]
    trained = [StoredVersion(id=id_, parent=None, modified=at) for id_, at in (("a", 1.0), ("b", 2.0), ("c", 3.0))]
    served = [
        promotions.Promotion(number=number, action="promote", version=version, reason="", by="", time="")
        for number, version in enumerate(["b", "a", *(night.id for night in nights)], 1)
    ]
    kept = kept_versions([*nights, *trained], served, newest=2, named={})
    assert set(kept) == {"n8", "n7", "a", "b", "c"}
    assert (kept["n8"], kept["b"], kept["a"]) == ("serves", "may be rolled back to", "has the weights of n8")
