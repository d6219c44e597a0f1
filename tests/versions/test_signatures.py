"""Where signatures are asked for, only what a trusted key signed as this very thing is used."""

import base64
import contextlib
import json
import logging
import stat

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from signed_things import make_key, no_keys, publish, require, write_small_version

from shoploop.api.signing import SigningSpec
from shoploop.errors import (
    AlreadyThere,
    ArtifactCorrupt,
    ArtifactError,
    ArtifactForeign,
    ArtifactUnsigned,
    KeyUntrusted,
    KeyUnusable,
    SignatureInvalid,
)
from shoploop.store import Store, layout
from shoploop.versions import promotions
from shoploop.versions.artifact import load_version
from shoploop.versions.keys import SIGNING_KEY, TRUSTED_KEYS, Signer, key_id, new_pair, public_keys, trusted_keys
from shoploop.versions.signing import POLICY, Statement, Trust, signed, signer_for
from shoploop.versions.stored import check_version, fetch_version, sign_version, signed_by

__all__ = ["make_key", "no_keys"]

FIELDS = st.sampled_from(["payload", "payloadType", "signatures", "keyid", "sig"])
JSON = st.none() | st.integers() | st.text(max_size=8) | st.just("application/vnd.in-toto+json")

NESTED = st.recursive(JSON, lambda inner: st.lists(inner) | st.dictionaries(FIELDS, inner))


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


STATEMENT = Statement(kind="bento", recommender="grocery", version="v1", digests={"a.bento": "0" * 64})


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


def changed(envelope: bytes, **fields) -> bytes:
    return json.dumps(json.loads(envelope) | fields).encode()


# --- one envelope


def test_what_a_trusted_key_signed_is_accepted(make_key):
    key = make_key()

    assert require(key).verified(signed(STATEMENT, key), STATEMENT, "it") == key.id


def test_a_signature_is_an_in_toto_statement_in_a_dsse_envelope_that_others_can_verify(make_key):
    key = make_key()

    envelope = json.loads(signed(STATEMENT, key))

    payload = base64.b64decode(envelope["payload"])
    assert json.loads(payload) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "a.bento", "digest": {"sha256": "0" * 64}}],
        "predicateType": "https://shoploop.io/bento/v1",
        "predicate": {"recommender": "grocery", "version": "v1"},
    }
    (signature,) = envelope["signatures"]
    by_the_standard = b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(payload), payload)
    key.key.public_key().verify(base64.b64decode(signature["sig"]), by_the_standard)
    assert (signature["keyid"], envelope["payloadType"]) == (key.id, "application/vnd.in-toto+json")


def test_what_nobody_signed_is_refused_with_the_keys_that_were_expected(make_key):
    key = make_key()

    with pytest.raises(ArtifactUnsigned, match=f"it is not signed, .*{key.id}.*SHOPLOOP_SIGNING_KEY"):
        require(key).check(None, STATEMENT, "it")


def test_a_strangers_signature_is_refused_with_both_ids(make_key):
    key, stranger = make_key("shop"), make_key("stranger")

    with pytest.raises(KeyUntrusted, match=f"signed by key {stranger.id}, which is not trusted; trusted are {key.id}"):
        require(key).check(signed(STATEMENT, stranger), STATEMENT, "it")


def test_a_strangers_signature_under_a_trusted_keys_name_is_refused(make_key):
    key, stranger = make_key("shop"), make_key("stranger")
    forged = json.loads(signed(STATEMENT, stranger))
    forged["signatures"][0]["keyid"] = key.id

    with pytest.raises(SignatureInvalid, match=f"claims a signature by key {key.id}, which that key never made"):
        require(key).check(json.dumps(forged).encode(), STATEMENT, "it")


def test_another_payload_under_a_true_signature_is_refused(make_key):
    key = make_key()
    other = Statement(kind="bento", recommender="grocery", version="v2", digests={"a.bento": "1" * 64})
    envelope = changed(signed(STATEMENT, key), payload=base64.b64encode(other.encoded()).decode())

    with pytest.raises(SignatureInvalid, match="never made"):
        require(key).check(envelope, other, "it")


@pytest.mark.parametrize(
    "envelope",
    [b"", b"\xff\xfe", b"[]", b"{}", b'{"payloadType": "x", "payload": "", "signatures": []}', b"null"],
    ids=["empty", "no-text", "list", "object", "other-type", "null"],
)
def test_what_is_no_envelope_is_refused(make_key, envelope):
    with pytest.raises(SignatureInvalid, match="cannot be read"):
        require(make_key()).check(envelope, STATEMENT, "it")


KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SIGNER = Signer(id=key_id(KEY.public_key()), key=KEY)
ENVELOPE = signed(STATEMENT, SIGNER)


@given(st.integers(0, len(ENVELOPE) * 8 - 1))
def test_no_flipped_bit_of_an_envelope_makes_it_say_anything_else(bit):
    """Where the bit does not matter, such as in white space, what was signed is still what was signed."""
    data = bytearray(ENVELOPE)
    data[bit // 8] ^= 1 << bit % 8
    other = Statement(kind="bento", recommender="grocery", version="v1", digests={"a.bento": "1" * 64})
    with pytest.raises(ArtifactError):
        require(SIGNER).check(bytes(data), other, "it")
    with contextlib.suppress(ArtifactError):
        assert require(SIGNER).verified(bytes(data), STATEMENT, "it") == SIGNER.id


@given(
    st.binary(max_size=300)
    | st.recursive(JSON, lambda inner: st.lists(inner) | st.dictionaries(FIELDS, inner)).map(encoded)
)
def test_whatever_lies_in_a_signatures_place_is_refused_by_name(envelope):
    with pytest.raises(ArtifactError):
        require(SIGNER).check(envelope, STATEMENT, "it")


def test_an_endless_nesting_is_refused(make_key):
    with pytest.raises(SignatureInvalid):
        require(make_key()).check(b"[" * 100_000, STATEMENT, "it")


def test_an_envelope_without_signatures_is_nobodys(make_key):
    key = make_key()

    with pytest.raises(KeyUntrusted, match="signed by key nobody"):
        require(key).check(changed(signed(STATEMENT, key), signatures=[]), STATEMENT, "it")


@pytest.mark.parametrize(
    "other",
    [{"recommender": "wine"}, {"version": "v2"}, {"kind": "version"}],
    ids=["another-recommender", "another-version", "another-kind"],
)
def test_what_was_signed_as_something_else_is_refused(make_key, other):
    key = make_key()
    facts = {"kind": "bento", "recommender": "grocery", "version": "v1", "digests": STATEMENT.digests} | other

    with pytest.raises(ArtifactForeign, match=f"signed by key {key.id} as .* and bento v1 of 'grocery' was asked for"):
        require(key).check(signed(Statement(**facts), key), STATEMENT, "it")


@pytest.mark.parametrize("digests", [{"a.bento": "1" * 64}, {"b.bento": "0" * 64}], ids=["other-bytes", "other-file"])
def test_other_bytes_than_the_signed_ones_are_refused(make_key, digests):
    key = make_key()
    other = Statement(kind="bento", recommender="grocery", version="v1", digests=digests)

    with pytest.raises(ArtifactCorrupt, match=r"a\.bento has sha256 0{16}, and key"):
        require(key).check(signed(other, key), STATEMENT, "it")


def test_a_signed_file_that_shoploop_does_not_know_is_refused(make_key):
    """A key that signs other things too must not make them Bentos."""
    key = make_key()

    class Other(Statement):
        def encoded(self):
            return b'{"hello": "world"}'

    other = Other(kind="bento", recommender="grocery", version="v1", digests={})
    with pytest.raises(ArtifactForeign, match="something that shoploop does not know"):
        require(key).check(signed(other, key), STATEMENT, "it")


def test_warn_uses_what_is_unsigned_and_says_so(make_key, caplog):
    key = make_key()

    with caplog.at_level(logging.WARNING):
        Trust(policy="Warn", keys=require(key).keys).check(None, STATEMENT, "it")

    assert "ArtifactUnsigned: it is not signed" in caplog.text
    assert "the signing policy is Warn" in caplog.text


def test_ignore_does_not_look(make_key):
    Trust(policy="Ignore", keys=require(make_key()).keys).check(b"nonsense", STATEMENT, "it")


# --- rotation


def test_while_keys_rotate_both_are_trusted_and_afterwards_only_the_new_one(make_key):
    old, new = make_key("old"), make_key("new")
    by_old, by_new = signed(STATEMENT, old), signed(STATEMENT, new)

    for envelope in (by_old, by_new):
        require(old, new).check(envelope, STATEMENT, "it")
    require(new).check(by_new, STATEMENT, "it")
    with pytest.raises(KeyUntrusted, match=f"signed by key {old.id}"):
        require(new).check(by_old, STATEMENT, "it")


def test_a_new_signature_beside_the_old_one_satisfies_who_trusts_either(make_key):
    old, new = make_key("old"), make_key("new")

    both = signed(STATEMENT, new, before=signed(STATEMENT, old))

    for key in (old, new):
        require(key).check(both, STATEMENT, "it")


def test_a_signature_of_something_else_is_not_carried_along(make_key):
    old, new = make_key("old"), make_key("new")
    other = Statement(kind="bento", recommender="grocery", version="v1", digests={"a.bento": "1" * 64})

    envelope = signed(STATEMENT, new, before=signed(other, old))

    assert [one["keyid"] for one in json.loads(envelope)["signatures"]] == [new.id]
    assert signed(STATEMENT, new, before=b"nonsense") == envelope


def test_signing_twice_with_one_key_changes_nothing(make_key):
    key = make_key()
    once = signed(STATEMENT, key)

    assert signed(STATEMENT, key, before=once) == once


# --- what is configured


def test_without_keys_nothing_is_asked_for(no_keys):
    assert Trust.configured() == Trust(policy="Ignore", keys={})
    assert signer_for(Trust.configured()) is None


def test_a_public_key_makes_signatures_required(make_key, tmp_path, monkeypatch):
    key = make_key("shop")
    monkeypatch.setenv(TRUSTED_KEYS, str(tmp_path / "shop.pub"))

    assert Trust.configured().policy == "Require"
    assert list(Trust.configured().keys) == [key.id]


def test_keys_of_spec_and_environment_are_all_trusted_and_the_stricter_policy_holds(make_key, tmp_path, monkeypatch):
    mine, theirs = make_key("mine"), make_key("theirs")
    monkeypatch.setenv(TRUSTED_KEYS, str(tmp_path / "mine.pub"))
    monkeypatch.setenv(POLICY, "Warn")
    spec = SigningSpec(public_keys=[(tmp_path / "theirs.pub").read_text()])

    assert Trust.configured().policy == "Warn"
    assert Trust.configured(spec).policy == "Require"
    assert set(Trust.configured(spec).keys) == {mine.id, theirs.id}
    assert Trust.configured(spec.model_copy(update={"policy": "Ignore"})).policy == "Warn"


def test_signatures_cannot_be_required_of_nobody(no_keys, monkeypatch):
    monkeypatch.setenv(POLICY, "Require")

    with pytest.raises(KeyUnusable, match="no public key is configured"):
        Trust.configured()


def test_a_policy_that_nobody_knows_is_named(no_keys, monkeypatch):
    monkeypatch.setenv(POLICY, "off")

    with pytest.raises(KeyUnusable, match=r"SHOPLOOP_SIGNING_POLICY is 'off'\. Set it to Require, Warn, Ignore"):
        Trust.configured()


def test_keys_may_be_a_folder_several_files_or_the_text_itself(make_key, tmp_path, monkeypatch):
    old, new = make_key("old"), make_key("new")
    texts = "".join((tmp_path / f"{name}.pub").read_text() for name in ("old", "new"))

    for value in (str(tmp_path), f"{tmp_path / 'old.pub'}:{tmp_path / 'new.pub'}", texts):
        monkeypatch.setenv(TRUSTED_KEYS, value)
        assert set(trusted_keys()) == {old.id, new.id}


def private_pem(key) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


OTHER_KIND = generate_private_key(SECP256R1())
OTHER_PUBLIC = OTHER_KIND.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("/nowhere/key.pem", "names /nowhere/key.pem, which cannot be read"),
        ("-----BEGIN NOTHING-----", "holds no public key"),
        (OTHER_PUBLIC, "of another kind than Ed25519"),
        (private_pem(OTHER_KIND), "holds a private key where a public one belongs"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "cannot be read"),
    ],
    ids=["missing", "malformed", "other-kind", "private", "damaged"],
)
def test_an_unusable_trusted_key_stops_everything(no_keys, monkeypatch, value, why):
    monkeypatch.setenv(TRUSTED_KEYS, value)

    with pytest.raises(KeyUnusable, match=why):
        Trust.configured()


def test_a_folder_without_keys_trusts_nobody_by_mistake(no_keys, tmp_path, monkeypatch):
    monkeypatch.setenv(TRUSTED_KEYS, str(tmp_path))

    with pytest.raises(KeyUnusable, match=r"holds no \*\.pub file"):
        Trust.configured()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("/nowhere/key.pem", "names /nowhere/key.pem, which cannot be read"),
        ("-----BEGIN NOTHING-----", "holds no private key"),
        (private_pem(OTHER_KIND), "of another kind than Ed25519"),
        (OTHER_PUBLIC, "holds no private key"),
    ],
    ids=["missing", "malformed", "other-kind", "public"],
)
def test_an_unusable_signing_key_is_named(no_keys, monkeypatch, value, why):
    monkeypatch.setenv(SIGNING_KEY, value)

    with pytest.raises(KeyUnusable, match=why):
        Signer.configured()


def test_who_requires_signatures_must_be_able_to_give_one(make_key, tmp_path, monkeypatch):
    key, other = make_key("shop"), make_key("other")
    with pytest.raises(KeyUnusable, match=f"{key.id}. Name its private half in SHOPLOOP_SIGNING_KEY"):
        signer_for(require(key))

    monkeypatch.setenv(SIGNING_KEY, str(tmp_path / "other.key"))
    with pytest.raises(KeyUntrusted, match=f"holds key {other.id}, which is not trusted; trusted are {key.id}"):
        signer_for(require(key))

    monkeypatch.setenv(SIGNING_KEY, str(tmp_path / "shop.key"))
    assert signer_for(require(key)).id == key.id


# --- making keys


def test_a_new_pair_is_only_its_owners_and_is_never_overwritten(tmp_path):
    made = new_pair(tmp_path / "shop")

    private, public = tmp_path / "shop.key", tmp_path / "shop.pub"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert list(public_keys(public.read_bytes(), "x")) == [made.id]
    before = private.read_bytes()
    with pytest.raises(AlreadyThere, match=r"shop\.key and .*shop\.pub exist"):
        new_pair(tmp_path / "shop")
    assert private.read_bytes() == before


def test_half_a_pair_is_not_completed(tmp_path):
    (tmp_path / "shop.pub").write_text("mine")

    with pytest.raises(AlreadyThere, match=r"shop\.pub exist"):
        new_pair(tmp_path / "shop")
    assert [path.name for path in tmp_path.iterdir()] == ["shop.pub"]


def test_an_id_is_always_the_same_for_the_same_key():
    """What ``openssl pkey -pubin -outform DER | sha256sum`` says of a key of 32 zeros."""
    assert key_id(Ed25519PublicKey.from_public_bytes(bytes(32))) == "722abd12e99a5367"


# --- versions in a store


def test_a_published_version_is_signed_by_who_publishes_it(store, make_key, tmp_path):
    key = make_key()

    version, _ = publish(store, tmp_path / "run", signer=key)

    check_version(store, "grocery", version, require(key))
    assert signed_by(store, "grocery", version, require(key)) == key.id


def test_a_version_that_was_unsigned_is_signed_when_it_is_published_again(store, make_key, tmp_path):
    key = make_key()
    version, _ = publish(store, tmp_path / "first", signer=None)
    with pytest.raises(ArtifactUnsigned):
        check_version(store, "grocery", version, require(key))

    assert publish(store, tmp_path / "second", signer=key)[0] == version
    check_version(store, "grocery", version, require(key))


def test_nothing_unsigned_strange_or_altered_is_promoted(store, make_key, tmp_path, monkeypatch):
    key, stranger = make_key("shop"), make_key("stranger")
    unsigned, _ = publish(store, tmp_path / "unsigned", signer=None, alpha=0.1)
    strange, _ = publish(store, tmp_path / "strange", signer=stranger, alpha=0.2)
    good, _ = publish(store, tmp_path / "good", signer=key, alpha=0.3)
    monkeypatch.setenv(TRUSTED_KEYS, str(tmp_path / "shop.pub"))

    for version, error in ((unsigned, ArtifactUnsigned), (strange, KeyUntrusted)):
        with pytest.raises(error):
            promotions.promote(store, "grocery", version, reason="r", by="b")
    assert promotions.promotions(store, "grocery") == []

    assert promotions.promote(store, "grocery", good, reason="r", by="b").version == good
    manifest = f"{layout.version('grocery', good)}/manifest.json"
    store.put(manifest, store.get(manifest) + b"\n")
    with pytest.raises(ArtifactCorrupt):
        promotions.promote(store, "grocery", good, reason="r", by="b")


def test_one_does_not_roll_back_to_what_is_not_signed(store, make_key, tmp_path, monkeypatch):
    key = make_key("shop")
    unsigned, _ = publish(store, tmp_path / "unsigned", signer=None, alpha=0.1)
    good, _ = publish(store, tmp_path / "good", signer=key, alpha=0.3)
    for version in (unsigned, good):
        promotions.promote(store, "grocery", version, reason="r", by="b")
    monkeypatch.setenv(TRUSTED_KEYS, str(tmp_path / "shop.pub"))

    with pytest.raises(ArtifactUnsigned):
        promotions.rollback(store, "grocery", by="b")
    assert promotions.serving_version(store, "grocery") == good


def test_another_recommenders_version_is_refused(store, make_key, tmp_path):
    key = make_key()
    version, _ = publish(store, tmp_path / "run", signer=key, name="wine")
    for found in list(store.list(f"{layout.version('wine', version)}/")):
        store.put(found.replace("wine", "grocery"), store.get(found))

    with pytest.raises(ArtifactForeign, match="of recommender 'wine'"):
        check_version(store, "grocery", version, require(key))


def test_another_versions_signature_is_refused(store, make_key, tmp_path):
    key = make_key()
    one, _ = publish(store, tmp_path / "one", signer=key, alpha=0.1)
    two, _ = publish(store, tmp_path / "two", signer=key, alpha=0.2)
    store.put(layout.version_signature("grocery", two), store.get(layout.version_signature("grocery", one)))

    with pytest.raises(ArtifactForeign, match=f"as version/v1 {one} of recommender 'grocery'"):
        check_version(store, "grocery", two, require(key))


def test_a_fetched_version_is_a_copy_that_the_store_cannot_change_any_more(store, make_key, tmp_path):
    key = make_key()
    version, _ = publish(store, tmp_path / "run", signer=key)

    folder = fetch_version(store, "grocery", version, tmp_path / "copy" / version, require(key))
    weights = f"{layout.version('grocery', version)}/weights.safetensors"
    store.put(weights, b"other")

    assert load_version(folder, expected=version).id == version
    fetch_version(store, "grocery", version, folder, require(key))
    with pytest.raises(ArtifactCorrupt, match=r"weights\.safetensors"):
        load_version(folder, expected=version)


def test_an_unsigned_version_is_not_fetched(store, make_key, tmp_path):
    version, _ = publish(store, tmp_path / "run", signer=None)

    with pytest.raises(ArtifactUnsigned):
        fetch_version(store, "grocery", version, tmp_path / "copy" / version, require(make_key()))
    assert list((tmp_path / "copy").iterdir()) == []


def test_a_list_says_who_signed(store, make_key, tmp_path):
    key, stranger = make_key("shop"), make_key("stranger")
    unsigned, _ = publish(store, tmp_path / "unsigned", signer=None, alpha=0.1)
    strange, _ = publish(store, tmp_path / "strange", signer=stranger, alpha=0.2)

    assert signed_by(store, "grocery", unsigned, require(key)) == "nobody"
    assert signed_by(store, "grocery", strange, require(key)) == f"{stranger.id} (KeyUntrusted)"
    assert signed_by(store, "grocery", strange, Trust(keys={})) == f"{stranger.id} (not verified)"


def test_a_version_keeps_the_signatures_of_both_keys(store, make_key, tmp_path):
    old, new = make_key("old"), make_key("new")
    version, _ = publish(store, tmp_path / "run", signer=old)

    sign_version(store, "grocery", version, check_version(store, "grocery", version, require(old)), new)

    for key in (old, new):
        check_version(store, "grocery", version, require(key))


def test_a_version_cannot_hold_a_file_under_the_signatures_name(tmp_path):
    from shoploop.versions.artifact import write_version

    version = write_small_version(tmp_path / "model")
    with pytest.raises(ValueError, match="cannot name a file"):
        write_version(
            tmp_path / "other", tensors=version.tensors, config={}, contract={}, items=version.items, lineage={},
            metrics={}, extra_files={"manifest.dsse.json": b""},
        )  # fmt: skip
