"""What a spec says about who may ask the predictor: API keys, and tokens of an issuer that the shop names."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from shoploop.api.fields import Rule, Spec, Text, Url, rules
from shoploop.api.kubernetes import SecretReference

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Of signatures with two keys: who can check a token cannot make one."""


class TokenRules(Spec):
    """Which JSON Web Tokens are believed."""

    issuer: Url
    """What a token's iss must be, letter for letter."""

    audience: Text
    """What a token's aud must be, or hold."""

    algorithms: Annotated[list[Algorithm], Field(min_length=1, max_length=10)] = ["RS256"]
    """By which a token may be signed. What a token says of itself is not believed."""

    skew_seconds: Annotated[int, Field(ge=0, le=300)] = 60
    """How far the issuer's clock may be from ours."""


class KeySetReference(Spec):
    """An issuer's public keys, in a Secret of the recommender's own namespace."""

    name: Text
    """The Secret's name."""

    key: Text = "jwks.json"
    """The key in it: a JSON Web Key Set (RFC 7517). Replaced in the Secret, it holds without a restart."""


class TokensSpec(TokenRules):
    """JSON Web Tokens of one issuer."""

    jwks: KeySetReference
    """The issuer's public keys."""


KEYS_OR_TOKENS = Rule(
    cel="has(self.keys) || has(self.tokens)", message="access needs keys, tokens, or both: else nobody could ask"
)


class AccessSpec(Spec):
    """Who may ask. Without it, everybody who reaches the predictor."""

    model_config = rules(KEYS_OR_TOKENS)

    keys: SecretReference | None = None
    """Secret with API keys, as NAME.key: 32 random bytes in base64, sent as authorization: Bearer. Exchanged without a
    restart. The keys of online.keys.server, and within their origins those of online.keys.publishable, may ask, too."""

    tokens: TokensSpec | None = None
    """JSON Web Tokens that may ask, too. One with the scope shoploop:events may send organic events as the shop's own
    server does."""

    @model_validator(mode="after")
    def _somebody_may_ask(self) -> "AccessSpec":
        if self.keys is None and self.tokens is None:
            raise ValueError(KEYS_OR_TOKENS.message)
        return self
