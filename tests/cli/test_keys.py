"""``shoploop keys`` and the column of ``shoploop versions`` that says who signed."""

import stat

import pytest
from signed_things import make_key, no_keys, publish, require
from typer.testing import CliRunner

from shoploop.cli.main import app
from shoploop.errors import AlreadyThere, ArtifactUnsigned, KeyUnusable
from shoploop.store import Store
from shoploop.versions.keys import SIGNING_KEY, TRUSTED_KEYS
from shoploop.versions.stored import check_version

__all__ = ["make_key", "no_keys"]


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


def shoploop(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_new_pair_is_told_with_what_to_do_with_it(tmp_path):
    told = shoploop("keys", "new", tmp_path / "shop-2026")

    assert stat.S_IMODE((tmp_path / "shop-2026.key").stat().st_mode) == 0o600
    assert f"export SHOPLOOP_SIGNING_KEY={tmp_path / 'shop-2026.key'}" in told
    assert f"export SHOPLOOP_TRUSTED_KEYS={tmp_path / 'shop-2026.pub'}" in told
    assert "PRIVATE" not in told
    with pytest.raises(AlreadyThere):
        shoploop("keys", "new", tmp_path / "shop-2026")


def test_both_halves_of_a_pair_have_one_id(make_key, tmp_path):
    key = make_key("shop")

    told = shoploop("keys", "show", tmp_path / "shop.key", tmp_path / "shop.pub")

    assert [line.split()[:2] for line in told.splitlines()] == [[key.id, "private"], [key.id, "public"]]
    with pytest.raises(KeyUnusable, match=r"nothing\.pub cannot be read"):
        shoploop("keys", "show", tmp_path / "nothing.pub")


def test_a_stored_version_gets_the_new_keys_signature_when_the_old_one_vouches_for_it(
    store, make_key, tmp_path, monkeypatch
):
    old, new = make_key("old"), make_key("new")
    version, _ = publish(store, tmp_path / "run", signer=old)
    monkeypatch.setenv(TRUSTED_KEYS, str(tmp_path / "old.pub"))
    monkeypatch.setenv(SIGNING_KEY, str(tmp_path / "new.key"))

    told = shoploop("keys", "sign", "grocery", version, "--store", store.folder)

    assert f"are signed by key {new.id}" in told
    for key in (old, new):
        check_version(store, "grocery", version, require(key))
    monkeypatch.setenv(TRUSTED_KEYS, str(tmp_path / "new.pub"))
    assert new.id in shoploop("versions", "grocery", "--store", store.folder)


def test_what_nobody_vouches_for_is_signed_only_by_who_says_so(store, make_key, tmp_path, monkeypatch):
    key = make_key("shop")
    version, _ = publish(store, tmp_path / "run", signer=None)
    monkeypatch.setenv(SIGNING_KEY, str(tmp_path / "shop.key"))

    with pytest.raises(ArtifactUnsigned, match="--unverified"):
        shoploop("keys", "sign", "grocery", version, "--store", store.folder)
    shoploop("keys", "sign", "grocery", version, "--store", store.folder, "--unverified")

    check_version(store, "grocery", version, require(key))


def test_signing_needs_a_key(store, no_keys, tmp_path):
    version, _ = publish(store, tmp_path / "run", signer=None)

    with pytest.raises(KeyUnusable, match="No key is at hand to sign with"):
        shoploop("keys", "sign", "grocery", version, "--store", store.folder)
