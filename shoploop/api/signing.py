"""What a spec says about signatures: who signs, whose signatures are trusted, and what becomes of the rest."""

from typing import Annotated, Literal

from pydantic import Field

from shoploop.api.fields import Spec, Text

SigningPolicy = Literal["Require", "Warn", "Ignore"]
STRICTEST_FIRST: tuple[SigningPolicy, ...] = ("Require", "Warn", "Ignore")

PUBLIC_KEY_PATTERN = (
    r"^\s*-----BEGIN PUBLIC KEY-----\s+"
    r"MCowBQYDK2VwAyEA[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=\s+"
    r"-----END PUBLIC KEY-----\s*$"
)
"""An Ed25519 public key in PEM always has this form: 12 bytes that name the kind of key, then its 32."""

PublicKey = Annotated[str, Field(max_length=200, pattern=PUBLIC_KEY_PATTERN)]


class SecretKeyReference(Spec):
    """One key of a Secret of the recommender's own namespace."""

    name: Text
    """The Secret's name."""

    key: Text = "private.pem"
    """The key in it."""


class SigningSpec(Spec):
    """Who signs what a run makes, and whose signatures are trusted. See docs/signing.md."""

    policy: SigningPolicy | None = None
    """Require refuses versions and Bentos that no trusted key signed; Warn uses them and says so; Ignore does not look.
    Unset: Require where publicKeys names any, else Ignore. What the platform asks for can only be made stricter."""

    public_keys: Annotated[list[PublicKey], Field(max_length=8)] = []
    """Ed25519 public keys in PEM whose signatures are trusted; two while one takes the other's place."""

    private_key: SecretKeyReference | None = None
    """Secret with the Ed25519 private key in PEM. Only the last pod of a run reads it, as a file. On a laptop the
    environment variable SHOPLOOP_SIGNING_KEY names the file."""

    @property
    def asked(self) -> SigningPolicy | None:
        """The policy that this section asks for; None where it says nothing."""
        return self.policy or ("Require" if self.public_keys else None)


def strictest(*asked: SigningPolicy | None) -> SigningPolicy:
    """What holds where several have a say: nobody can ask for less than another does."""
    return next((policy for policy in STRICTEST_FIRST if policy in asked), "Ignore")
