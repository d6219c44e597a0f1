"""A chain of commits that is signed: nobody else's commit is learned from, served or gone back to."""

import json

import pytest
from signed_things import make_key, no_keys, require  # noqa: F401  # fixtures
from test_chain import learned, values

from shoploop.errors import ArtifactCorrupt, ArtifactForeign, ArtifactUnsigned, KeyUntrusted, KeyUnusable
from shoploop.online.chain import Chain
from shoploop.online.pointer import Pointer
from shoploop.online.updater import Updater
from shoploop.store import Store, layout
from shoploop.versions.keys import SIGNING_KEY
from shoploop.versions.signing import Trust


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


@pytest.fixture
def signs(make_key, tmp_path, monkeypatch):  # noqa: F811
    """Makes a key, and lets this process sign with it."""

    def make(name="shop"):
        signer = make_key(name)
        monkeypatch.setenv(SIGNING_KEY, str(tmp_path / f"{name}.key"))
        return signer

    return make


def entry(store, number, version="v1"):
    return f"{layout.online_commits('grocery', version)}/{number:012}.json"


def altered(store, number, **facts):
    file = store.path(entry(store, number))
    file.write_text(json.dumps(json.loads(file.read_text()) | facts))


def read(store, trust, version="v1"):
    chain = Chain(store, "grocery", version, trust=trust)
    chain.refresh()
    return chain


def test_what_a_trusted_key_signed_is_read_and_what_people_decide_is_signed_too(store, signs):
    trust = require(signs())
    chain = Chain(store, "grocery", "v1", trust=trust)
    learned(chain, 10, (1, 1.0))
    chain.decide("rollback", by="me", reason="a flood", to=0)
    learned(chain, 20, (2, 2.0))
    assert values(read(store, trust)) == {2: 2.0}


def test_what_nobody_signed_is_not_taken_and_what_was_signed_stays(store, signs, monkeypatch, tmp_path):
    trust = require(signs())
    learned(Chain(store, "grocery", "v1", trust=trust), 10, (1, 1.0))
    seen = read(store, trust)
    updater = Updater(seen, tmp_path / "updates", version="v1")
    assert updater.look()
    monkeypatch.delenv(SIGNING_KEY)
    other = read(store, Trust(policy="Ignore", keys={}))
    learned(other, 20, (1, 9.0))
    with pytest.raises(ArtifactUnsigned, match="promote a new version"):
        updater.look()
    assert Pointer.read(tmp_path / "updates").commit == seen.head == 1


@pytest.mark.parametrize(
    ("facts", "error"),
    [({"offset": 99}, ArtifactCorrupt), ({"object": "0" * 64}, ArtifactCorrupt), ({"reason": "x"}, ArtifactCorrupt)],
    ids=["offset", "rows", "reason"],
)
def test_an_entry_that_was_altered_is_refused(store, signs, facts, error):
    trust = require(signs())
    learned(Chain(store, "grocery", "v1", trust=trust), 10, (1, 1.0))
    altered(store, 1, **facts)
    with pytest.raises(error):
        read(store, trust)


def test_an_entry_at_another_place_or_of_another_version_is_refused(store, signs):
    trust = require(signs())
    chain = Chain(store, "grocery", "v1", trust=trust)
    learned(chain, 10, (1, 1.0))
    learned(chain, 20, (1, 2.0))
    first, second = (store.path(entry(store, number)).read_bytes() for number in (1, 2))
    store.put(entry(store, 1, "v2"), first)
    with pytest.raises(ArtifactForeign):
        read(store, trust, "v2")
    store.path(entry(store, 2)).write_bytes(first)
    with pytest.raises(ArtifactCorrupt):
        read(store, trust)
    store.path(entry(store, 2)).write_bytes(second)
    assert read(store, trust).head == 2


def test_a_key_that_is_not_trusted_does_not_count_and_who_has_none_writes_nothing(store, signs, monkeypatch):
    trust = require(signs("shop"))
    signs("mallory")
    with pytest.raises(KeyUntrusted):
        learned(Chain(store, "grocery", "v1", trust=trust), 10, (1, 1.0))
    learned(Chain(store, "grocery", "v1", trust=Trust(policy="Ignore", keys={})), 10, (1, 1.0))
    with pytest.raises(KeyUntrusted):
        read(store, trust)
    monkeypatch.delenv(SIGNING_KEY)
    with pytest.raises(KeyUnusable, match="none is at hand"):
        learned(Chain(store, "other", "v1", trust=trust), 10, (1, 1.0))


def test_where_it_is_only_to_be_told_it_is_read_all_the_same(store, signs, monkeypatch, caplog):
    key = signs()
    monkeypatch.delenv(SIGNING_KEY)
    warns = Trust(policy="Warn", keys=require(key).keys)
    learned(Chain(store, "grocery", "v1", trust=warns), 10, (1, 1.0))
    assert values(read(store, warns)) == {1: 1.0}
    assert "the signing policy is Warn" in caplog.text
