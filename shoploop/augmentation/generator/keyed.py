"""What is drawn by a secret key: who has it draws the same again, and nobody else can take it away.

Noise goes by the key and by all that is learned from. Were it the same for other data, two releases would differ by the
truth alone.
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256

import polars as pl


@dataclass(frozen=True, kw_only=True)
class Release:
    """One training with noise: the same key, data and settings are the same release, anything else is another one."""

    key: bytes
    """Secret: anyone who knows it can compute the noise and take it away again."""

    digest: bytes
    """Keyed, of all that the release is made of."""

    @classmethod
    def of(cls, key: bytes, frames: list[pl.DataFrame], settings: str) -> "Release":
        """
        Args:
            frames: All that is learned from, in its order.
            settings: All else that what is told depends on; with more noise of the same draw, two releases would tell the
                truth as well.
        """
        # A row's hash is keyed too: who brings rows of their own cannot look for two that hash alike.
        seeds = [_number(keyed_digest(key, b"rows", bytes([i]))) for i in range(2)]
        rows = [frame.hash_rows(seed=seed).to_numpy().tobytes() for frame in frames for seed in seeds]
        columns = [repr(frame.schema).encode() for frame in frames]
        return cls(key=key, digest=keyed_digest(key, b"release", settings.encode(), *columns, *rows))

    def seed(self, what: str) -> int:
        """Where the noise for ``what`` begins."""
        return _number(keyed_digest(self.key, b"noise", what.encode(), self.digest)) >> 1


def keyed_digest(key: bytes, *parts: bytes) -> bytes:
    """HMAC-SHA256 of parts that cannot run into each other."""
    digest = hmac.new(key, digestmod=sha256)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()


def _number(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "big")
