"""Who may ask: whoever presents an API key, or a JSON Web Token of the issuer that the shop names.

Keys and an issuer's public keys are files, which are exchanged while a predictor runs. Of a token (RFC 7519, PyJWT) issuer,
audience, expiry and signature are checked, the latter by an algorithm of the key that its header names: one that asks for
another, for none, or for a shared secret is refused. It must not know which questions there are.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import jwt
from pydantic import ValidationError

from shoploop.api.access import TokenRules
from shoploop.api.loading import problems_of
from shoploop.errors import KeyUnusable, SpecInvalid
from shoploop.events.keyring import Keyring
from shoploop.events.watched import Watched
from shoploop.predictor import metrics
from shoploop.predictor.access_settings import ENVIRONMENT, KEY_SET, AccessSettings
from shoploop.predictor.shop_keys import ShopKeys, Unauthorized, bearer

EVENTS_SCOPE = "shoploop:events"
"""A token with this among its scopes sends events as the shop's own server does."""

LONGEST_TOKEN = 8192
"""Letters."""

SMALLEST_RSA = 2048
"""Bits (NIST SP 800-57)."""

RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
"""What any RSA key can sign by; a key of a curve, one algorithm alone."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks."""

    name: str
    by: Literal["key", "token", "server", "publishable"]
    sends_events: bool = False
    """As the shop's own server does."""


class Callers:
    """Who may ask one predictor. One instance serves all threads of a process."""

    def __init__(self, settings: AccessSettings | None, *, clock: Callable[[], float] = time.time):
        """Reads the keys.

        Args:
            settings: None: everybody may ask.
            clock: Seconds since 1970-01-01 (UTC).

        Raises:
            KeyUnusable: the folder cannot be read, or the issuer's keys are missing, or cannot be used.
        """
        self.shop_keys: ShopKeys | None = None
        """Whose keys may ask, too; known once the predictor knows where events go."""

        self.settings = settings
        self._clock = clock
        self._keys = Keyring(settings.folder, may_be_empty=True) if settings else None
        self._issuer: Watched[dict[str, IssuerKey]] | None = None
        if settings and (rules := settings.tokens):
            path = settings.folder / KEY_SET
            self._issuer = Watched(
                lambda: read_key_set(path, rules),
                read_key_set(path, rules),
                errors=(KeyUnusable,),
                goes_on=lambda _, error: f"{error} The keys that were read before go on.",
            )

    @classmethod
    def configured(cls) -> "Callers":
        """As the environment says.

        Raises:
            SpecInvalid, KeyUnusable: what it says cannot be done.
        """
        text = os.environ.get(ENVIRONMENT)
        if not text:
            return cls(None)
        try:
            return cls(AccessSettings.model_validate_json(text))
        except ValidationError as error:
            problems = "; ".join(problems_of(error, AccessSettings))
            raise SpecInvalid(f"{ENVIRONMENT} cannot be read: {problems}.") from None

    @property
    def are_asked(self) -> bool:
        """Whether anybody has to say who they are."""
        return self.settings is not None

    def check(self, headers: Mapping[str, str]) -> Caller | None:
        """Who asks; None where nobody has to say so. It is counted.

        Args:
            headers: Of the request, lower case.

        Raises:
            Unauthorized: 401 for who is not known, 403 for a page's key from where it may not be used.
        """
        if self.settings is None:
            return None
        try:
            caller = self._caller(headers)
        except Unauthorized as error:
            metrics.CALLERS.labels(
                outcome=error.code or ("not_allowed" if error.status == 403 else "key_unknown")
            ).inc()
            raise
        metrics.CALLERS.labels(outcome=caller.by).inc()
        return caller

    def _caller(self, headers: Mapping[str, str]) -> Caller:
        presented = bearer(headers)
        if presented is None:
            raise Unauthorized(401, "Say who asks: authorization: Bearer <key or token>.", code="key_missing")
        if presented.count(".") == 2 and self._issuer is not None:
            return self._of_token(presented, self._issuer.now)
        assert self._keys is not None
        if found := self._keys.holds(presented.encode()):
            return Caller(name=found.id, by="key")
        if self.shop_keys and (holder := self.shop_keys.holder(presented, headers.get("origin", ""))):
            by: Literal["server", "publishable"] = "server" if holder.is_server else "publishable"
            return Caller(name=holder.id, by=by, sends_events=holder.is_server)
        raise Unauthorized(401, "This key is not known here.", code="key_unknown")

    def _of_token(self, token: str, keys: dict[str, "IssuerKey"]) -> Caller:
        assert self.settings and self.settings.tokens
        rules = self.settings.tokens
        if len(token) > LONGEST_TOKEN:
            raise _refused("token_invalid", f"The token has more than {LONGEST_TOKEN} letters.")
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError as error:
            raise _refused("token_invalid", f"The token cannot be read: {error}.") from error
        kid = header.get("kid")
        key = keys.get(str(kid)) if kid is not None else (next(iter(keys.values())) if len(keys) == 1 else None)
        if key is None:
            raise _refused("token_key_unknown", "The token is signed by a key that is not known here.")
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.public,
                algorithms=list(key.algorithms),
                issuer=rules.issuer,
                audience=rules.audience,
                options={
                    "require": ["exp", "iss", "aud"],
                    "verify_exp": False,  # times are judged below, by this predictor's clock
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.InvalidAlgorithmError as error:
            raise _refused("token_algorithm", "The token is signed by another algorithm than its key's.") from error
        except (jwt.InvalidIssuerError, jwt.InvalidAudienceError) as error:
            raise _refused("token_foreign", "The token is of another issuer, or for another audience.") from error
        except jwt.InvalidTokenError as error:
            raise _refused("token_invalid", f"The token is not valid: {error}.") from error
        self._check_times(claims, rules.skew_seconds)
        scopes = _scopes(claims)
        return Caller(name=str(claims.get("sub", ""))[:200], by="token", sends_events=EVENTS_SCOPE in scopes)

    def _check_times(self, claims: Mapping[str, Any], skew_seconds: int) -> None:
        now = self._clock()
        try:
            expires, begins = float(claims["exp"]), float(claims.get("nbf", 0))
        except (TypeError, ValueError, OverflowError) as error:  # whole numbers of JSON may be of any size
            raise _refused("token_invalid", "The token's exp or nbf is no number.") from error
        if not now < expires + skew_seconds:  # also of what is no number
            raise _refused(
                "token_expired", f"The token has expired, {now - expires:.0f} s ago by this predictor's clock."
            )
        if not now >= begins - skew_seconds:
            raise _refused(
                "token_not_yet_valid",
                f"The token is not valid yet: it begins in {begins - now:.0f} s by this predictor's clock.",
            )


@dataclass(frozen=True, kw_only=True)
class IssuerKey:
    """A public key of the issuer's."""

    id: str
    type: str
    """RSA, EC or OKP."""

    algorithms: tuple[str, ...]
    """By which it may sign: the one that it names, else those of the rules that a key of its type and curve can."""

    public: Any = field(repr=False)


def read_key_set(path: Path, rules: TokenRules) -> dict[str, IssuerKey]:
    """The public keys of a JSON Web Key Set that may sign, by their ids.

    Keys for other uses and of other algorithms are passed over, as an issuer has them for others.

    Raises:
        KeyUnusable: it is missing, or no key set, holds a secret or no key that may sign, or names one id twice.
    """
    advice = f"It must hold the public keys of {rules.issuer}, as its jwks_uri answers them."
    try:
        documents = json.loads(path.read_text())["keys"]
        found = [_key(document, rules) for document in documents if document.get("use", "sig") == "sig"]
    except FileNotFoundError as error:
        raise KeyUnusable(f"{path} is not there. {advice}") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise KeyUnusable(f"{path} is no JSON Web Key Set. {advice}") from error
    keys = [key for key in found if key is not None and key.algorithms]
    for key in keys:
        if getattr(key.public, "key_size", SMALLEST_RSA) < SMALLEST_RSA and key.type == "RSA":
            raise KeyUnusable(f"{path}: key {key.id} has fewer than {SMALLEST_RSA} bits. {advice}")
        if not hasattr(key.public, "verify"):
            raise KeyUnusable(f"{path}: key {key.id} is a private one, which belongs to the issuer alone. {advice}")
    by_id = {key.id: key for key in keys}
    if not keys or len(by_id) < len(keys):
        what = "names one key id twice" if keys else f"holds no key for {', '.join(rules.algorithms)}"
        raise KeyUnusable(f"{path} {what}. {advice}")
    return by_id


def _key(document: Mapping[str, Any], rules: TokenRules) -> IssuerKey | None:
    if document.get("kty") == "oct":  # a shared secret: who checks with it could sign with it
        return None
    try:
        key = jwt.PyJWK.from_dict(dict(document))
    except jwt.PyJWKError:
        return None
    named = key.algorithm_name  # where the document names none, the first that PyJWT knows for the type and curve
    can = RSA_ALGORITHMS if not document.get("alg") and key.key_type == "RSA" else (named,)
    return IssuerKey(
        id=str(key.key_id),
        type=str(key.key_type),
        algorithms=tuple(each for each in can if each in rules.algorithms),
        public=key.key,
    )


def _scopes(claims: Mapping[str, Any]) -> list[str]:
    """As RFC 9068 writes them, or as Azure and Okta do."""
    found = claims.get("scope", claims.get("scp", ""))
    return found.split() if isinstance(found, str) else [str(each) for each in found] if isinstance(found, list) else []


def _refused(code: str, message: str) -> Unauthorized:
    return Unauthorized(401, message, code=code)
