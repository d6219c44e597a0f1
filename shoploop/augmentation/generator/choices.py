"""What is chosen of each shopper where privacy is bounded: by that shopper and a secret key, whoever else is there.

Were it drawn from one stream for all, one shopper more would change what is chosen of the others, and a sum would change by
more than the part of one.

Lengths: U shoppers, B baskets, F columns.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from shoploop.augmentation.generator.keyed import keyed_digest
from shoploop.augmentation.generator.records import Behaviour, Floats, Ints, divided, histories

_STEPS = 8
"""Shares within a factor of two."""


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Of the shoppers of a behaviour."""

    key: bytes
    names: list[str]
    """(U,) by the behaviour's codes of users."""

    @classmethod
    def of(cls, seen: pl.DataFrame, key: bytes) -> "Choices":
        """For what :func:`~.records.read_behaviour` makes of these rows: it numbers users by first appearance."""
        return cls(key=key, names=seen["user"].unique(maintain_order=True).to_list())

    def one_each(self, behaviour: Behaviour, purpose: str) -> Behaviour:
        """One record of each shopper, as :meth:`Behaviour.one_per_user`."""
        users, counts = np.unique(behaviour.user, return_counts=True)
        place = [chance(self.key, purpose, self.names[user]) for user in users]
        order = np.argsort(behaviour.user, kind="stable")
        start = np.cumsum(counts) - counts
        return behaviour.take(np.sort(order[start + (np.array(place) * counts).astype(np.int64)]))

    def ties(self, behaviour: Behaviour, columns: int) -> Floats:
        """(B, F) numbers from 0 to 1, each shopper's of a stream of its own."""
        user = behaviour.user[behaviour.record]
        order = np.argsort(user, kind="stable")
        out = np.empty((len(user), columns), np.float32)
        for of in np.split(order, np.flatnonzero(np.diff(user[order])) + 1):
            seed = keyed_digest(self.key, b"ties", self.names[user[of[0]]].encode())
            out[of] = np.random.default_rng(int.from_bytes(seed)).random((len(of), columns), np.float32)
        return out


def chance(key: bytes, purpose: str, name: str) -> float:
    """From 0 up to 1, without it."""
    return float((int.from_bytes(keyed_digest(key, purpose.encode(), name.encode())[:8]) >> 11) / 2**53)


def drawn_by_key(users: pl.Series, *, share: float, key: bytes, purpose: str) -> Ints:
    """Places of the users who are drawn, each with a chance of ``share``."""
    return np.flatnonzero([chance(key, purpose, name) < share for name in users]).astype(np.int64)


def steady_share(most: int, of: int) -> float:
    """At most ``most`` of so many on average; in steps, so that it is hardly ever one shopper more who changes it."""
    return float(2 ** (np.floor(_STEPS * np.log2(min(most / of, 1))) / _STEPS))


def split_by_key(interactions: pl.DataFrame, *, share: float, key: bytes) -> tuple[pl.DataFrame, pl.DataFrame]:
    """As :func:`~.records.split_users`, each shopper with a chance of ``share`` to be held out.

    Raises:
        TooFewEvents: fewer than 50 users have two baskets or more.
    """
    users = histories(interactions)
    return divided(interactions, users, drawn_by_key(users["user"], share=share, key=key, purpose="side"))
