"""A Bento is code: where signatures are asked for, nothing of one is unpacked before it is known who made it."""

import os

import pytest
from signed_things import flip, make_key, no_keys, publish, require, write_small_bento

from shoploop.errors import ArtifactCorrupt, ArtifactForeign, ArtifactUnsigned, KeyUntrusted, SignatureInvalid
from shoploop.packaging.archive import pack
from shoploop.packaging.bento import REPORT, fetch_bento, publish_bento, sign_bento
from shoploop.packaging.fetch import RANKER, fetch, main
from shoploop.packaging.local_setup import cache_folder
from shoploop.ranking.settings import RankerSettings
from shoploop.store import Store, layout
from shoploop.store.disk import digest_of
from shoploop.versions.keys import TRUSTED_KEYS
from shoploop.versions.signing import POLICY, Trust

__all__ = ["make_key", "no_keys"]

WHOSE = {"recommender": "grocery"}


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


@pytest.fixture
def content(tmp_path):
    return tmp_path / "pod" / "content"


def archive(store, version, sha256, name="grocery") -> str:
    return store.url(layout.bento_archive(name, version, sha256))


def nothing_left(content) -> bool:
    return not content.parent.exists() or list(content.parent.iterdir()) == []


# --- in a predictor's pod


def test_a_signed_bento_is_unpacked(store, make_key, tmp_path, content):
    key = make_key()
    version, sha256 = publish(store, tmp_path / "run", signer=key)

    fetch(archive(store, version, sha256), sha256, content, version=version, trust=require(key), **WHOSE)

    assert RankerSettings.read(content / RANKER).version == version


def test_an_unsigned_bento_is_refused(store, make_key, tmp_path, content):
    key = make_key()
    version, sha256 = publish(store, tmp_path / "run", signer=None)

    with pytest.raises(ArtifactUnsigned, match=key.id):
        fetch(archive(store, version, sha256), sha256, content, version=version, trust=require(key), **WHOSE)
    assert nothing_left(content)


def test_a_strangers_bento_is_refused(store, make_key, tmp_path, content):
    key, stranger = make_key("shop"), make_key("stranger")
    version, sha256 = publish(store, tmp_path / "run", signer=stranger)

    with pytest.raises(KeyUntrusted, match=f"{stranger.id}, which is not trusted; trusted are {key.id}"):
        fetch(archive(store, version, sha256), sha256, content, version=version, trust=require(key), **WHOSE)
    assert nothing_left(content)


@pytest.mark.parametrize("position", [0, 100, -1])
def test_one_flipped_bit_of_the_archive_is_refused(store, make_key, tmp_path, content, position):
    key = make_key()
    version, sha256 = publish(store, tmp_path / "run", signer=key)
    flip(store, layout.bento_archive("grocery", version, sha256), position)

    with pytest.raises(ArtifactCorrupt, match=f"and {sha256} was asked for"):
        fetch(archive(store, version, sha256), sha256, content, version=version, trust=require(key), **WHOSE)
    assert nothing_left(content)


def test_an_altered_archive_with_its_own_digest_asked_for_is_refused(store, make_key, tmp_path, content):
    """Who writes the store and the release's values, but has no key, gets nothing to run."""
    key = make_key()
    version, sha256 = publish(store, tmp_path / "run", signer=key)
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "code.py").write_text("evil")
    pack(tmp_path / "evil", tmp_path / "evil.bento")
    store.put_file(layout.bento_archive("grocery", version, sha256), tmp_path / "evil.bento")
    asked = digest_of(tmp_path / "evil.bento")

    with pytest.raises(ArtifactCorrupt, match=f"has sha256 {asked[:16]}, and key {key.id} signed {sha256[:16]}"):
        fetch(archive(store, version, sha256), asked, content, version=version, trust=require(key), **WHOSE)
    assert nothing_left(content)


def test_the_bento_of_another_version_in_its_place_is_refused(store, make_key, tmp_path, content):
    key = make_key()
    _, old = publish(store, tmp_path / "old", signer=key, alpha=0.1)
    version, _ = publish(store, tmp_path / "new", signer=key, alpha=0.2)
    bento = next(key for key in store.list() if key.endswith(f"{old[:16]}.bento"))
    for file in (layout.bento_file(old), layout.signature_file(layout.bento_file(old))):
        store.put(f"{layout.bento('grocery', version)}/{file}", store.get(f"{bento.rpartition('/')[0]}/{file}"))

    with pytest.raises(ArtifactForeign, match=f"and bento {version} of 'grocery' was asked for"):
        fetch(archive(store, version, old), old, content, version=version, trust=require(key), **WHOSE)
    assert nothing_left(content)


def test_another_recommenders_bento_is_refused(store, make_key, tmp_path, content):
    key = make_key()
    version, sha256 = publish(store, tmp_path / "run", signer=key, name="wine")

    with pytest.raises(ArtifactForeign, match="of recommender 'wine'"):
        fetch(archive(store, version, sha256, "wine"), sha256, content, version=version, trust=require(key), **WHOSE)
    assert nothing_left(content)


def test_a_flipped_bit_of_the_signature_is_refused(store, make_key, tmp_path, content):
    key = make_key()
    version, sha256 = publish(store, tmp_path / "run", signer=key)
    where = layout.bento_signature("grocery", version, sha256)
    envelope = store.get(where)
    flip(store, where, envelope.index(b'"sig": "') + 9)

    with pytest.raises(SignatureInvalid):
        fetch(archive(store, version, sha256), sha256, content, version=version, trust=require(key), **WHOSE)


def test_an_earlier_package_of_a_version_keeps_its_own_signature(store, make_key, tmp_path, content):
    """One rolls back to it by its digest, when bento.json has long named another."""
    key = make_key()
    version, first = publish(store, tmp_path / "run", signer=key)
    again = tmp_path / "again"
    write_small_bento(again, version)
    extra = tmp_path / "again-built" / "note"
    extra.write_text("packed anew")
    pack(tmp_path / "again-built", again / f"{version}.bento")
    report = (again / REPORT).read_text()
    second = digest_of(again / f"{version}.bento")
    (again / REPORT).write_text(report.replace(first, second))
    assert publish_bento(store, "grocery", version, again, signer=key) == second != first

    for sha256 in (first, second):
        into = content.with_name(sha256)
        fetch(archive(store, version, sha256), sha256, into, version=version, trust=require(key), **WHOSE)


def test_the_pod_names_the_reason_and_fails_for_a_person_to_mend(
    store, make_key, tmp_path, content, monkeypatch, capsys
):
    make_key("shop")
    version, sha256 = publish(store, tmp_path / "run", signer=None)
    asked = ["--bento", archive(store, version, sha256), "--digest", sha256, "--into", str(content)]
    asked += ["--recommender", "grocery", "--version", version]

    monkeypatch.setenv(TRUSTED_KEYS, (tmp_path / "shop.pub").read_text())
    assert main(asked) == 2
    assert capsys.readouterr().err.startswith("shoploop: ArtifactUnsigned: file://")

    monkeypatch.setenv(POLICY, "Warn")
    assert main(asked) == 0


def test_a_pod_without_keys_asks_for_no_signature(store, no_keys, tmp_path, content):
    version, sha256 = publish(store, tmp_path / "run", signer=None)

    fetch(archive(store, version, sha256), sha256, content, version=version, **WHOSE)

    assert (content / RANKER).is_dir()


# --- on a laptop


def test_what_serves_on_a_laptop_is_verified_too(store, make_key, tmp_path):
    key, stranger = make_key("shop"), make_key("stranger")
    version, _ = publish(store, tmp_path / "run", signer=key)

    assert (fetch_bento(store, "grocery", version, tmp_path / "cache", require(key)) / RANKER).is_dir()
    with pytest.raises(KeyUntrusted):
        fetch_bento(store, "grocery", version, tmp_path / "cache", require(stranger))


def test_an_altered_description_is_refused(store, make_key, tmp_path):
    key = make_key()
    version, _ = publish(store, tmp_path / "run", signer=key)
    where = f"{layout.bento('grocery', version)}/{REPORT}"
    store.put(where, store.get(where).replace(b'"bytes": ', b'"bytes": 1'))

    with pytest.raises(ArtifactCorrupt, match=r"bento\.json has sha256 .* and key"):
        fetch_bento(store, "grocery", version, tmp_path / "cache", require(key))


def test_a_description_of_an_archive_that_nobody_signed_is_refused(store, make_key, tmp_path):
    key = make_key()
    version, sha256 = publish(store, tmp_path / "run", signer=key)
    where = f"{layout.bento('grocery', version)}/{REPORT}"
    store.put(where, store.get(where).replace(sha256.encode(), b"f" * 64))

    with pytest.raises(ArtifactUnsigned):
        fetch_bento(store, "grocery", version, tmp_path / "cache", require(key))


def test_one_flipped_bit_is_refused_on_a_laptop_too(store, make_key, tmp_path):
    key = make_key()
    version, sha256 = publish(store, tmp_path / "run", signer=key)
    flip(store, layout.bento_archive("grocery", version, sha256))

    with pytest.raises(ArtifactCorrupt, match="was asked for"):
        fetch_bento(store, "grocery", version, tmp_path / "cache", require(key))
    assert list((tmp_path / "cache").iterdir()) == []


def test_unpacked_bentos_lie_outside_a_store_that_is_not_trusted(store, make_key, tmp_path, monkeypatch):
    """Else who may write the store could change what was verified once."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))

    assert store.folder in cache_folder(store, Trust(keys={})).parents
    assert store.folder not in cache_folder(store, require(make_key())).parents


# --- keys that change


def test_a_second_signature_lets_the_old_key_go(store, make_key, tmp_path):
    old, new = make_key("old"), make_key("new")
    version, sha256 = publish(store, tmp_path / "run", signer=old)
    with pytest.raises(KeyUntrusted):
        fetch_bento(store, "grocery", version, tmp_path / "cache", require(new))

    assert sign_bento(store, "grocery", version, new, require(old)) == sha256

    for key in (old, new):
        fetch_bento(store, "grocery", version, tmp_path / "cache", require(key))


def test_a_bento_that_was_altered_gets_no_second_signature(store, make_key, tmp_path):
    old, new = make_key("old"), make_key("new")
    version, sha256 = publish(store, tmp_path / "run", signer=old)
    flip(store, layout.bento_archive("grocery", version, sha256))

    with pytest.raises(ArtifactCorrupt):
        sign_bento(store, "grocery", version, new, require(old))
    with pytest.raises(KeyUntrusted):
        fetch_bento(store, "grocery", version, tmp_path / "cache", require(new))


def test_a_store_that_may_only_be_read_is_enough(store, make_key, tmp_path, content, monkeypatch):
    """root may write everywhere, so the question itself is answered as an unprivileged pod's would be."""
    key = make_key()
    version, sha256 = publish(store, tmp_path / "run", signer=key)
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)

    fetch(archive(store, version, sha256), sha256, content, version=version, trust=require(key), **WHOSE)
