"""Where each id lies first in a log that has no index of its own: 24 bytes an id, where a dict takes 125.

Ids are known by 128 bits of a hash, in two columns, sorted by the first, and a third that holds the offsets. What is new lies
in a dict; once that is full it goes into sorted columns that are young, and these, once they are an eighth of the old ones,
into the old: so a column is seldom written anew.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from shoploop.events.log import BEGINNING

NEW = 65_536
"""Ids in the dict; some 8 MB."""

YOUNG = 8
"""The old columns hold as many times what the young ones do, at least."""

UInt64 = npt.NDArray[np.uint64]


class FirstOffsets:
    """Of ids; offsets are told in their order."""

    def __init__(self, *, new: int = NEW):
        """
        Args:
            new: See :data:`NEW`.
        """
        self._at_once = new
        self._new: dict[bytes, int] = {}
        self._young = _Sorted.none()
        self._old = _Sorted.none()
        self._forgotten = BEGINNING

    def __len__(self) -> int:
        """How many ids are held; one whose second entry lies far behind the first may count twice for a while."""
        return len(self._new) + len(self._young) + len(self._old)

    def add(self, id: str, offset: int) -> None:
        """Knows that an entry has that id; the offset is beyond all before. The first that an id had stays."""
        self._new.setdefault(_hash(id), offset)
        if len(self._new) >= self._at_once:
            self._settle()

    def of(self, ids: Sequence[str]) -> list[int]:
        """The first offset of each; BEGINNING where it is not known."""
        if not ids:
            return []
        hashes = [_hash(id) for id in ids]
        columns_N2 = np.frombuffer(b"".join(hashes), np.uint64).reshape(-1, 2)
        old_N, young_N = self._old.of(columns_N2), self._young.of(columns_N2)
        found_N = np.where(old_N > 0, old_N, young_N).tolist()
        return [at or self._new.get(hash, BEGINNING) for at, hash in zip(found_N, hashes, strict=True)]

    def forget(self, before: int) -> None:
        """Knows nothing any more of entries whose offset is below ``before``."""
        if before <= self._forgotten:
            return
        self._forgotten = before
        self._new = {hash: offset for hash, offset in self._new.items() if offset >= before}
        self._young.forget(before)
        self._old.forget(before)

    def _settle(self) -> None:
        """Sorts what is new in; what was known before is passed over."""
        columns_N2 = np.frombuffer(b"".join(self._new), np.uint64).reshape(-1, 2)
        offsets_N = np.fromiter(self._new.values(), np.uint64, len(self._new))
        known_N = (self._old.of(columns_N2) > 0) | (self._young.of(columns_N2) > 0)
        self._young.insert(columns_N2[~known_N], offsets_N[~known_N])
        self._new = {}
        if YOUNG * len(self._young) > len(self._old):
            self._old.insert(np.stack([self._young.first, self._young.second], axis=1), self._young.offset)
            self._young = _Sorted.none()


class _Sorted:
    """Three columns: both halves of a hash and an offset, sorted by the first half."""

    def __init__(self, first: UInt64, second: UInt64, offset: UInt64):
        self.first, self.second, self.offset = first, second, offset

    @classmethod
    def none(cls) -> "_Sorted":
        return cls(*(np.empty(0, np.uint64) for _ in range(3)))

    def __len__(self) -> int:
        return len(self.first)

    def of(self, columns_N2: UInt64) -> UInt64:
        """The offsets of hashes; 0 where there is none."""
        found_N = np.zeros(len(columns_N2), np.uint64)
        if not len(self):
            return found_N
        place_N = np.searchsorted(self.first, columns_N2[:, 0])
        inside = place_N < len(self)
        while inside.any():  # mostly once: there are as many rounds as hashes that share a first half
            number = np.flatnonzero(inside)
            place = place_N[number]
            alike = self.first[place] == columns_N2[number, 0]
            same = alike & (self.second[place] == columns_N2[number, 1])
            found_N[number[same]] = self.offset[place[same]]
            place_N[number] += 1
            inside[number] = alike & ~same & (place + 1 < len(self))
        return found_N

    def insert(self, columns_N2: UInt64, offsets_N: UInt64) -> None:
        """Sorts in what it does not hold."""
        order_N = np.argsort(columns_N2[:, 0], kind="stable")
        first_N = columns_N2[order_N, 0]
        place_N = np.searchsorted(self.first, first_N)
        # one column after the other, so that no more than one lies in memory twice
        self.first = np.insert(self.first, place_N, first_N)
        self.second = np.insert(self.second, place_N, columns_N2[order_N, 1])
        self.offset = np.insert(self.offset, place_N, offsets_N[order_N])

    def forget(self, before: int) -> None:
        kept = self.offset >= before
        if not kept.all():
            self.first, self.second, self.offset = self.first[kept], self.second[kept], self.offset[kept]


def _hash(id: str) -> bytes:
    return blake2b(id.encode(), digest_size=16).digest()
