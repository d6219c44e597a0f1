"""Names of users, replaced by keyed hashes before a generator sees them. The key lies outside the data.

Without the key nobody can tell whose a pseudonym is, not even by hashing every name there is.
"""

import hmac
import os
import secrets
from hashlib import sha256

import polars as pl

from shoploop.errors import UserError

KEY_VARIABLE = "SHOPLOOP_PSEUDONYM_KEY"
"""Environment variable with the key, at least 16 characters. Without it each process draws a key and forgets it."""

_SHORTEST = 16


def pseudonym_key() -> bytes:
    """The key of the environment, or a random one.

    Raises:
        UserError: the key is too short to withstand guessing.
    """
    given = os.environ.get(KEY_VARIABLE)
    if given is None:
        return secrets.token_bytes(32)
    if len(given) < _SHORTEST:
        raise UserError(f"{KEY_VARIABLE} has {len(given)} characters; give it at least {_SHORTEST}, or unset it.")
    return given.encode()


def pseudonymise(frame: pl.DataFrame, key: bytes, *, column: str = "user") -> pl.DataFrame:
    """The frame with HMAC-SHA256 of each name, 24 hexadecimal digits, in place of the name."""
    names = frame[column].unique().drop_nulls().sort()
    hashes = [hmac.new(key, name.encode(), sha256).hexdigest()[:24] for name in names]
    return frame.with_columns(pl.col(column).replace_strict(names, hashes, default=None))


def numbered(frame: pl.DataFrame, *, column: str = "user") -> pl.DataFrame:
    """The frame in its order with whole numbers in place of pseudonyms, by first appearance: pseudonyms sort at random, and
    what is made of them must not depend on their key."""
    names = frame.select(pl.col(column).unique(maintain_order=True)).with_row_index("_number")
    rows = frame.join(names, on=column, maintain_order="left")
    return rows.with_columns(pl.col("_number").cast(pl.Int64).alias(column)).drop("_number")
