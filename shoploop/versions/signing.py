"""Signatures of what is stored: which bytes are which version or Bento of which recommender, and who says so.

A signature is a DSSE envelope (the dead simple signing envelope of the Secure Systems Lab) around an in-toto statement,
as sigstore and SLSA write theirs: readable JSON, with room for several signatures while keys change. It must not know
where anything is kept.
"""

import base64
import binascii
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from shoploop.api.signing import STRICTEST_FIRST, SigningPolicy, SigningSpec, strictest
from shoploop.errors import (
    ArtifactCorrupt,
    ArtifactError,
    ArtifactForeign,
    ArtifactUnsigned,
    KeyUntrusted,
    KeyUnusable,
    SignatureInvalid,
)
from shoploop.versions.keys import SIGNING_KEY, TRUSTED_KEYS, PublicKeys, Signer, public_keys, trusted_keys

POLICY = "SHOPLOOP_SIGNING_POLICY"
"""Environment variable: Require, Warn or Ignore. Unset: Require where public keys are configured, else Ignore."""

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://shoploop.io/{kind}/v1"

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What a signature vouches for: these bytes are a version of this recommender, its Bento, or a commit on top of it."""

    kind: Literal["version", "bento", "commit"]
    recommender: str
    version: str
    digests: Mapping[str, str]
    """File name to sha256 in hexadecimal."""

    def encoded(self) -> bytes:
        """As in-toto writes it, always in the same bytes."""
        statement = {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": name, "digest": {"sha256": hex_}} for name, hex_ in sorted(self.digests.items())],
            "predicateType": PREDICATE_TYPE.format(kind=self.kind),
            "predicate": {"recommender": self.recommender, "version": self.version},
        }
        return json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def signed(statement: Statement, signer: Signer, *, before: bytes | None = None) -> bytes:
    """The envelope of ``statement``, signed by ``signer``.

    Args:
        before: An envelope that is there already. Of the same statement, its other signatures are kept.
    """
    payload = statement.encoded()
    signatures = {signer.id: signer.sign(_to_be_signed(payload))}
    if before is not None:
        try:
            old_payload, old_signatures = _opened(before)
        except ValueError:
            old_payload, old_signatures = b"", {}
        if old_payload == payload:
            signatures = old_signatures | signatures
    envelope = {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": key, "sig": base64.b64encode(sig).decode()} for key, sig in signatures.items()],
    }
    return json.dumps(envelope, indent=1).encode()


@dataclass(frozen=True, kw_only=True)
class Trust:
    """Whose signatures are trusted, and what becomes of what none of them signed."""

    policy: SigningPolicy = "Ignore"
    keys: PublicKeys

    @classmethod
    def configured(cls, spec: SigningSpec | None = None) -> "Trust":
        """As the environment and, where there is one at hand, the spec say. The keys of both are trusted, and the
        stricter policy holds.

        Raises:
            KeyUnusable: a public key cannot be read, or signatures are asked for and no public key is configured.
        """
        keys = dict(trusted_keys())
        asked = os.environ.get(POLICY) or ("Require" if keys else None)
        if asked not in (None, *STRICTEST_FIRST):
            raise KeyUnusable(f"{POLICY} is {asked!r}. Set it to {', '.join(STRICTEST_FIRST)}, or unset it.")
        policy = strictest(asked, spec.asked if spec else None)
        for pem in spec.public_keys if spec else ():
            keys |= public_keys(pem.encode(), "spec.signing.publicKeys")
        if policy != "Ignore" and not keys:
            raise KeyUnusable(
                f"The signing policy is {policy}, and no public key is configured. Name one in {TRUSTED_KEYS} or "
                "spec.signing.publicKeys; `shoploop keys new NAME` makes a pair."
            )
        return cls(policy=policy, keys=keys)

    def check(self, envelope: bytes | None, statement: Statement, where: str) -> None:
        """Refuses, or with policy Warn complains about, what no trusted key signed as ``statement``.

        Args:
            envelope: As :func:`signed` made it; None where there is none.
            statement: What must have been signed. An envelope may name more files than it does.
            where: How errors name the thing.

        Raises:
            ArtifactUnsigned, KeyUntrusted, SignatureInvalid, ArtifactForeign, ArtifactCorrupt: as :meth:`verified`.
        """
        if self.policy == "Ignore":
            return
        try:
            self.verified(envelope, statement, where)
        except ArtifactError as error:
            if self.policy == "Require":
                raise
            log.warning("%s: %s It is used all the same: the signing policy is Warn.", type(error).__name__, error)

    def verified(self, envelope: bytes | None, statement: Statement, where: str) -> str:
        """The id of a trusted key that signed ``statement``, whatever the policy.

        Raises:
            ArtifactUnsigned: there is no signature.
            KeyUntrusted: only keys that are not trusted have signed.
            SignatureInvalid: it claims a trusted key's signature and is none, or is no envelope at all.
            ArtifactForeign: a trusted key signed it as something else: another recommender's, or another version.
            ArtifactCorrupt: a trusted key signed other bytes.
        """
        trusted = ", ".join(self.keys) or "none"
        if envelope is None:
            remedy = (
                "where it is learned, and promote a new version: its chain begins anew."
                if statement.kind == "commit"
                else "where versions are made and run again, or sign what you trust: "
                f"shoploop keys sign {statement.recommender} {statement.version} --unverified."
            )
            raise ArtifactUnsigned(
                f"{where} is not signed, and a signature by one of these keys is asked for: {trusted}. Set {SIGNING_KEY} "
                f"(on a cluster spec.signing.privateKey) {remedy}"
            )
        try:
            payload, signatures = _opened(envelope)
        except ValueError as error:
            raise SignatureInvalid(f"The signature of {where} cannot be read: {error}. {_ALTERED}") from error
        known = [key for key in signatures if key in self.keys]
        if not known:
            raise KeyUntrusted(
                f"{where} is signed by key {', '.join(signatures) or 'nobody'}, which is not trusted; trusted are "
                f"{trusted}. If that key is yours, add its public half to {TRUSTED_KEYS} or spec.signing.publicKeys; "
                "else do not use it."
            )
        good = next((key for key in known if self._signed_by(key, payload, signatures[key])), None)
        if good is None:
            raise SignatureInvalid(
                f"{where} claims a signature by key {', '.join(known)}, which that key never made. {_ALTERED}"
            )
        _compare(payload, statement, where, good)
        return good

    def _signed_by(self, key: str, payload: bytes, signature: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature

        try:
            self.keys[key].verify(signature, _to_be_signed(payload))
        except InvalidSignature:
            return False
        return True


def signer_for(trust: Trust) -> Signer | None:
    """Who signs what is made here; None where nobody does and nobody asks for it.

    Raises:
        KeyUnusable: signatures are required and no private key is configured, or it cannot be read.
        KeyUntrusted: signatures are required and those of the configured key are not trusted.
    """
    signer = Signer.configured()
    if trust.policy != "Require":
        return signer
    if signer is None:
        raise KeyUnusable(
            f"Signatures by one of these keys are required, and none is at hand to sign with: {', '.join(trust.keys)}. "
            f"Name its private half in {SIGNING_KEY}; on a cluster, in spec.signing.privateKey."
        )
    if signer.id not in trust.keys:
        raise KeyUntrusted(
            f"{SIGNING_KEY} holds key {signer.id}, which is not trusted; trusted are {', '.join(trust.keys)}. Add its "
            f"public half to {TRUSTED_KEYS} or spec.signing.publicKeys first."
        )
    return signer


def claimed_keys(envelope: bytes) -> list[str]:
    """Ids of the keys that an envelope says have signed it. Nothing is verified."""
    try:
        return list(_opened(envelope)[1])
    except ValueError:
        return []


_ALTERED = "It was altered or damaged after it was signed: do not use it, and look who may write the store."


def _compare(payload: bytes, wanted: Statement, where: str, key: str) -> None:
    """Holds what was signed against what is wanted."""
    try:
        claimed = json.loads(payload)
        kind, predicate = claimed["predicateType"], claimed["predicate"]
        recommender, version = predicate["recommender"], predicate["version"]
        digests = {subject["name"]: subject["digest"]["sha256"] for subject in claimed["subject"]}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArtifactForeign(f"Key {key} signed {where} as something that shoploop does not know: {error}.") from error
    if (kind, recommender, version) != (PREDICATE_TYPE.format(kind=wanted.kind), wanted.recommender, wanted.version):
        raise ArtifactForeign(
            f"{where} was signed by key {key} as {str(kind).removeprefix('https://shoploop.io/')} {version} of recommender "
            f"{recommender!r}, and {wanted.kind} {wanted.version} of {wanted.recommender!r} was asked for. Somebody put "
            "it where it does not belong: publish the right one again."
        )
    for name, hex_ in wanted.digests.items():
        if digests.get(name) != hex_:
            raise ArtifactCorrupt(
                f"{where}: {name} has sha256 {hex_[:16]}, and key {key} signed {str(digests.get(name))[:16]}. {_ALTERED}"
            )


def _to_be_signed(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: it leaves no doubt where type and payload begin and end."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _opened(envelope: bytes) -> tuple[bytes, dict[str, bytes]]:
    """Payload, and signatures by the id of their key; a ValueError where it is no envelope."""
    try:
        found: Any = json.loads(envelope)
        if found["payloadType"] != PAYLOAD_TYPE:
            raise ValueError(f"its payload is of type {found['payloadType']!r}")
        payload = base64.b64decode(found["payload"], validate=True)
        signatures = {str(one["keyid"]): base64.b64decode(one["sig"], validate=True) for one in found["signatures"]}
    except (KeyError, TypeError, RecursionError, binascii.Error, UnicodeDecodeError) as error:
        raise ValueError(f"it is no DSSE envelope ({error})") from error
    return payload, signatures
