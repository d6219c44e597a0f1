"""With a verify key configured, only what its private half signed is loaded."""

import pyarrow as pa
import pytest
import torch
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from shoploop.errors import SignatureInvalid
from shoploop.versions.artifact import load_version, version_files, write_version
from shoploop.versions.signing import SIGNING_KEY, VERIFY_KEY


def private_pem(key) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem(key) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture
def key():
    return Ed25519PrivateKey.generate()


def write(folder):
    return write_version(
        folder,
        tensors={"alpha": torch.tensor(0.5)},
        config={},
        contract={},
        items=pa.table({"item": ["a"]}),
        lineage={},
        metrics={},
    )


def test_a_signed_version_loads_where_its_public_key_is_configured(tmp_path, key, monkeypatch):
    monkeypatch.setenv(SIGNING_KEY, private_pem(key))
    monkeypatch.setenv(VERIFY_KEY, public_pem(key))

    version = write(tmp_path / "model")

    assert load_version(version.folder).id == version.id
    assert version_files(version.folder)[-2:] == ["manifest.sig", "manifest.json"]


def test_keys_may_lie_in_files(tmp_path, key, monkeypatch):
    (tmp_path / "private.pem").write_text(private_pem(key))
    (tmp_path / "public.pem").write_text(public_pem(key))
    monkeypatch.setenv(SIGNING_KEY, str(tmp_path / "private.pem"))
    monkeypatch.setenv(VERIFY_KEY, str(tmp_path / "public.pem"))

    assert write(tmp_path / "model").id.startswith("v")


def test_an_unsigned_version_is_refused_where_a_signature_is_asked_for(tmp_path, key, monkeypatch):
    write(tmp_path / "model")
    monkeypatch.setenv(VERIFY_KEY, public_pem(key))

    with pytest.raises(SignatureInvalid, match="is not signed"):
        load_version(tmp_path / "model")


def test_anothers_signature_is_refused(tmp_path, key, monkeypatch):
    monkeypatch.setenv(SIGNING_KEY, private_pem(Ed25519PrivateKey.generate()))
    write(tmp_path / "model")
    monkeypatch.setenv(VERIFY_KEY, public_pem(key))

    with pytest.raises(SignatureInvalid, match="was not signed with the key"):
        load_version(tmp_path / "model")


def test_a_manifest_changed_after_signing_is_refused(tmp_path, key, monkeypatch):
    monkeypatch.setenv(SIGNING_KEY, private_pem(key))
    manifest = write(tmp_path / "model").folder / "manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b"\n")
    monkeypatch.setenv(VERIFY_KEY, public_pem(key))

    with pytest.raises(SignatureInvalid, match="changed since"):
        load_version(tmp_path / "model")


@pytest.mark.parametrize("variable", [SIGNING_KEY, VERIFY_KEY])
@pytest.mark.parametrize("value", ["/nowhere/key.pem", "-----BEGIN NOTHING-----"], ids=["missing", "malformed"])
def test_an_unusable_key_is_named(tmp_path, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)

    with pytest.raises(SignatureInvalid, match=variable):
        write(tmp_path / "model")


def test_a_key_of_another_kind_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv(SIGNING_KEY, private_pem(generate_private_key(SECP256R1())))

    with pytest.raises(SignatureInvalid, match="of another kind"):
        write(tmp_path / "model")
