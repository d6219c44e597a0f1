"""Which version serves is one append-only log, and of two writers one wins."""

import threading
from datetime import UTC, datetime

import pyarrow as pa
import pytest
import torch
from lost_answers import lose_answers

from shoploop.errors import AlreadyExists, ArtifactCorrupt, NotFound
from shoploop.store import Log, Store, layout
from shoploop.versions import promotions
from shoploop.versions.artifact import load_version, write_version
from shoploop.versions.removal import remove_version


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


@pytest.fixture
def publish(store, tmp_path):
    """Publishes the version whose alpha is the given number; returns its id."""

    def make(alpha: float) -> str:
        folder = tmp_path / f"model-{alpha}"
        write_version(
            folder,
            tensors={"alpha": torch.tensor(alpha)},
            config={},
            contract={},
            items=pa.table({"item": ["a"]}),
            lineage={"code": "1"},
            metrics={"ndcg@10": alpha},
        )
        return promotions.publish_version(store, "grocery", folder)

    return make


class StoppedClock(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime(2026, 1, 5, tzinfo=UTC)


def promote(store, version, **overrides):
    return promotions.promote(store, "grocery", version, **{"reason": "better", "by": "gate"} | overrides)


def test_nothing_serves_before_the_first_promotion(store, publish):
    publish(0.1)

    assert promotions.serving_version(store, "grocery") is None


def test_a_published_version_is_whole_and_loads(store, publish, tmp_path):
    version = publish(0.1)

    store.get_folder(layout.version("grocery", version), tmp_path / "again")

    assert load_version(tmp_path / "again", expected=version).manifest["metrics"] == {"ndcg@10": 0.1}


def test_publishing_again_changes_nothing(store, publish):
    version = publish(0.1)
    before = list(store.list())

    assert publish(0.1) == version
    assert list(store.list()) == before


def test_a_version_whose_manifest_a_power_cut_left_empty_is_published_again(store, publish, tmp_path):
    key = f"{layout.version('grocery', publish(0.1))}/manifest.json"
    whole = store.get(key)
    store.put(key, b"")

    assert promotions.publish_version(store, "grocery", tmp_path / "model-0.1") == key.split("/")[-2]
    assert store.get(key) == whole


def test_a_damaged_version_is_not_published(store, publish, tmp_path):
    publish(0.1)
    weights = tmp_path / "model-0.1" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")

    with pytest.raises(ArtifactCorrupt):
        promotions.publish_version(store, "other", tmp_path / "model-0.1")
    assert promotions.recommenders(store) == ["grocery"]


def test_the_last_promoted_version_serves(store, publish):
    first, second = publish(0.1), publish(0.2)
    promote(store, first)
    promote(store, second, reason="ndcg@10 rose by .1")

    assert promotions.serving_version(store, "grocery") == second
    assert [(entry.number, entry.version) for entry in promotions.promotions(store, "grocery")] == [
        (1, first),
        (2, second),
    ]


def test_promoting_what_serves_already_writes_nothing(store, publish):
    version = publish(0.1)

    assert promote(store, version) == promote(store, version, by="somebody else")
    assert len(promotions.promotions(store, "grocery")) == 1


def test_an_unknown_version_cannot_be_promoted(store, publish):
    known = publish(0.1)

    with pytest.raises(NotFound, match=f"'grocery' has no version v0. Known: {known}"):
        promote(store, "v0")


def test_rolling_back_twice_goes_back_two_versions(store, publish):
    a, b, c = publish(0.1), publish(0.2), publish(0.3)
    for version in (a, b, c):
        promote(store, version)

    assert promotions.rollback(store, "grocery", by="me").version == b
    assert promotions.rollback(store, "grocery", by="me").version == a
    with pytest.raises(NotFound, match="no earlier version to go back to"):
        promotions.rollback(store, "grocery", by="me")
    assert promotions.serving_version(store, "grocery") == a


def test_a_rollback_passes_over_versions_that_are_no_longer_there(store, publish):
    versions = [publish(alpha) for alpha in (0.1, 0.2, 0.3, 0.4, 0.5)]
    for version in versions:
        promote(store, version)
    for gone in versions[1:3]:
        store.delete_folder(layout.version("grocery", gone))
    back = [promotions.rollback(store, "grocery", by="a test").version for _ in range(2)]
    assert back == [versions[3], versions[0]]
    with pytest.raises(NotFound, match="no earlier version"):
        promotions.rollback(store, "grocery", by="a test")
    assert promotions.rollback_stack(promotions.promotions(store, "grocery")) == [versions[0]]


def test_where_none_of_those_that_served_is_there_a_rollback_says_so(store, publish):
    versions = [publish(alpha) for alpha in (0.1, 0.2)]
    for version in versions:
        promote(store, version)
    store.delete_folder(layout.version("grocery", versions[0]))
    with pytest.raises(NotFound, match=f"{versions[0]}.*no longer in the store"):
        promotions.rollback(store, "grocery", by="a test")


@pytest.fixture
def removed_amid(store, monkeypatch):
    """Has a version removed between the look whether it is there and the entry by which it would stay."""
    monkeypatch.setattr(promotions, "LOOK_SECONDS", 0)

    def arrange(version):
        append = Log.append

        def later(log, entry, *, after):
            remove_version(store, "grocery", version, named={})
            return append(log, entry, after=after)

        monkeypatch.setattr(Log, "append", later)

    return arrange


def test_a_version_that_is_removed_while_it_is_promoted_does_not_serve(store, publish, removed_amid):
    serving, gone = publish(0.1), publish(0.2)
    promote(store, serving)
    removed_amid(gone)

    with pytest.raises(NotFound, match=rf"{gone} of 'grocery' was removed .* {serving} serves"):
        promote(store, gone)
    assert promotions.serving_version(store, "grocery") == serving
    assert promotions.rollback_stack(promotions.promotions(store, "grocery")) == [serving]


def test_the_first_version_that_is_removed_while_it_is_promoted_is_named(store, publish, removed_amid):
    version = publish(0.1)
    removed_amid(version)

    with pytest.raises(NotFound, match="Name another one of"):
        promote(store, version)


def test_a_version_whose_manifest_comes_back_serves(store, publish, monkeypatch):
    key = f"{layout.version('grocery', publish(0.1))}/manifest.json"
    manifest, append = store.get(key), Log.append

    def later(log, entry, *, after):
        store.delete(key)
        return append(log, entry, after=after)

    monkeypatch.setattr(Log, "append", later)
    monkeypatch.setattr(promotions.time, "sleep", lambda seconds: store.put(key, manifest))

    assert promote(store, key.split("/")[-2]).number == 1


def test_a_rollback_whose_answer_got_lost_goes_back_one_version(store, publish, monkeypatch):
    a, b, c = publish(0.1), publish(0.2), publish(0.3)
    for version in (a, b, c):
        promote(store, version)
    lose_answers(monkeypatch)

    assert promotions.rollback(store, "grocery", by="me").version == b
    assert [entry.version for entry in promotions.promotions(store, "grocery")] == [a, b, c, b]


def test_two_who_go_back_in_the_same_moment_go_back_two_versions(store, publish, monkeypatch):
    a, b, c = publish(0.1), publish(0.2), publish(0.3)
    for version in (a, b, c):
        promote(store, version)
    monkeypatch.setattr(promotions, "datetime", StoppedClock)
    append, others = Log.append, []

    def outrun(log, entry, *, after):
        if not others:
            others.append("one")
            promotions.rollback(store, "grocery", by="me")
        return append(log, entry, after=after)

    monkeypatch.setattr(Log, "append", outrun)
    assert promotions.rollback(store, "grocery", by="me").version == a
    assert [entry.version for entry in promotions.promotions(store, "grocery")] == [a, b, c, b, a]


def test_what_is_promoted_after_a_rollback_goes_back_to_where_the_rollback_led(store, publish):
    a, b, c = publish(0.1), publish(0.2), publish(0.3)
    promote(store, a)
    promote(store, b)
    promotions.rollback(store, "grocery", by="me")
    promote(store, c)

    assert promotions.rollback(store, "grocery", by="me").version == a


def test_the_list_tells_which_serves_why_and_how_good_each_is(store, publish):
    promoted, refused = publish(0.2), publish(0.1)
    promote(store, promoted, reason="better than popular")

    listed = {info.id: info for info in promotions.versions(store, "grocery")}

    assert listed[promoted].serving and listed[promoted].reason == "better than popular"
    assert not listed[refused].serving and listed[refused].promoted is None
    assert listed[refused].metrics == {"ndcg@10": pytest.approx(0.1)}


def test_an_unknown_recommender_is_answered_with_the_known_ones(store, publish):
    publish(0.1)

    with pytest.raises(NotFound, match=r"No recommender 'grocry' in .*Known: grocery"):
        promotions.versions(store, "grocry")


def test_a_manifest_changed_in_the_store_is_found(store, publish):
    key = f"{layout.version('grocery', publish(0.1))}/manifest.json"
    store.put(key, store.get(key) + b" ")

    with pytest.raises(ArtifactCorrupt, match="was changed after it was written"):
        promotions.versions(store, "grocery")


def test_promotions_at_the_same_time_are_all_kept_in_one_order(store, publish):
    ids = [publish(number / 10) for number in range(6)]
    start = threading.Barrier(len(ids))

    def work(version: str) -> None:
        start.wait(60)
        promote(store, version)

    threads = [threading.Thread(target=work, args=(version,)) for version in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    entries = promotions.promotions(store, "grocery")
    assert sorted(entry.version for entry in entries) == sorted(ids)
    assert [entry.number for entry in entries] == list(range(1, len(ids) + 1))


def test_a_writer_who_always_loses_says_so(store, publish, monkeypatch):
    version = publish(0.1)

    def lose(log, entry, *, after):
        raise AlreadyExists("taken")

    monkeypatch.setattr("shoploop.store.Log.append", lose)
    with pytest.raises(AlreadyExists, match="other writers were first 20 times"):
        promote(store, version)
