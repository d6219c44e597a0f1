"""What was shown to whom, signed: feedback presents it, and what was not shown cannot be claimed.

A JSON Web Token (RFC 7519) with HMAC-SHA-256, its key named in the header. It holds the request's id, a pseudonym of the user
in place of the id, the version, the items in the order of their positions and the propensities with which they came there. It
is valid at one recommender for a limited time. The algorithm is fixed: what a token says of it is not believed.
"""

import hmac
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal

import jwt

from shoploop.errors import ShoploopError
from shoploop.events.keyring import Keyring, SecretKey

ALGORITHM = "HS256"
VALID_SECONDS = 7 * 86_400
"""How long feedback on an answer may take."""

SKEW_SECONDS = 60
"""Between the clocks of two predictors."""

Code = Literal[
    "impression_altered",
    "impression_expired",
    "impression_foreign",
    "impression_in_future",
    "impression_key_unknown",
    "impression_of_another",
]


class ImpressionRefused(ShoploopError):
    """A token that shows nothing; ``code`` says why."""

    def __init__(self, code: Code, message: str):
        super().__init__(message)
        self.code: Code = code


@dataclass(frozen=True, kw_only=True)
class Impression:
    """What one answer showed."""

    request_id: str
    pseudonym: str
    version: str
    issued: int
    """Seconds since 1970-01-01 (UTC)."""

    items: tuple[str, ...]
    """By position, first is best."""

    propensities: tuple[float, ...]
    """Probability that the item came to its position; 1 where chance had no part."""

    query: str | None = None
    """What was searched for, where it answers that."""

    shops: bool = False
    """What was shown are shops, in the place of items."""

    def position(self, item: str) -> int | None:
        """From 0; None where the item was not shown."""
        return self.items.index(item) if item in self.items else None


class Signatures:
    """Signs and reads the impressions of one recommender."""

    def __init__(
        self,
        keys: Keyring,
        *,
        recommender: str,
        valid_seconds: int = VALID_SECONDS,
        clock: Callable[[], float] = time.time,
    ):
        self._keys = keys
        self._recommender = recommender
        self._valid_seconds = valid_seconds
        self._clock = clock

    def sign(
        self,
        *,
        request_id: str,
        user: str,
        version: str,
        items: Sequence[str],
        propensities: Sequence[float] | None = None,
        query: str | None = None,
        shops: bool = False,
    ) -> str:
        """The token that goes out with an answer."""
        key = self._keys.signing
        now = int(self._clock())
        claims: dict[str, Any] = {
            "aud": self._recommender,
            "jti": request_id,
            "sub": _pseudonym(key, self._recommender, user),
            "ver": version,
            "iat": now,
            "exp": now + self._valid_seconds,
            "items": list(items),
        }
        if propensities is not None:
            claims["p"] = [round(p, 6) for p in propensities]
        if query is not None:
            claims["q"] = query
        if shops:
            claims["shops"] = True
        return jwt.encode(claims, key.secret, algorithm=ALGORITHM, headers={"kid": key.id})

    def read(self, token: str) -> Impression:
        """What a token shows.

        Raises:
            ImpressionRefused: it is not whole, not ours, of another recommender, too old, or of a key that is gone.
        """
        key = self._key_of(token)
        try:
            claims = jwt.decode(
                token,
                key.secret,
                algorithms=[ALGORITHM],
                audience=self._recommender,
                # times are judged below, by a clock that can be told
                options={"require": ["aud", "jti", "sub", "iat", "exp"], "verify_exp": False, "verify_iat": False},
            )
            items = tuple(str(item) for item in claims["items"])
            found = Impression(
                request_id=str(claims["jti"]),
                pseudonym=str(claims["sub"]),
                version=str(claims["ver"]),
                issued=int(claims["iat"]),
                items=items,
                propensities=tuple(float(p) for p in claims.get("p", [1.0] * len(items))),
                query=None if claims.get("q") is None else str(claims["q"]),
                shops=bool(claims.get("shops", False)),
            )
            expires = int(claims["exp"])
        except (jwt.InvalidAudienceError, jwt.MissingRequiredClaimError) as error:
            raise ImpressionRefused("impression_foreign", "The impression is another recommender's.") from error
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError) as error:
            raise ImpressionRefused("impression_altered", "The impression is not as it was answered.") from error
        now = self._clock()
        if now > expires + SKEW_SECONDS:
            raise ImpressionRefused(
                "impression_expired", "The impression is too old: ask again, and show what is answered."
            )
        if now < found.issued - SKEW_SECONDS:
            raise ImpressionRefused(
                "impression_in_future",
                f"The impression was signed at {_iso(found.issued)}, {found.issued - now:.0f} s later than it is here, "
                f"{_iso(now)}: the clock of the predictor that signed it is ahead, or this one's is behind. Set both by NTP.",
            )
        return found

    def is_of(self, token: str, impression: Impression, user: str) -> bool:
        """Whether the impression was answered to this user."""
        key = self._key_of(token)
        return hmac.compare_digest(_pseudonym(key, self._recommender, user), impression.pseudonym)

    def _key_of(self, token: str) -> SecretKey:
        try:
            id = str(jwt.get_unverified_header(token).get("kid", ""))
        except jwt.InvalidTokenError as error:
            raise ImpressionRefused("impression_altered", "The impression is not as it was answered.") from error
        key = self._keys.get(id)
        if key is None:
            raise ImpressionRefused(
                "impression_key_unknown", "The impression was signed by a key that is not used here."
            )
        return key


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _pseudonym(key: SecretKey, recommender: str, user: str) -> str:
    digest = hmac.digest(key.secret, f"user\0{recommender}\0{user}".encode(), sha256)
    return urlsafe_b64encode(digest[:15]).decode()
