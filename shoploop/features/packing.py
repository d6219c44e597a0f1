"""A user's history as bytes, the form in which the online store holds it.

Feast reads one bytes value in a fraction of the time of three lists of a few hundred entries (docs/decisions). Layout,
little-endian: the number of rows as uint32, then codes, then days as int32, then quantities as float32. Codes are
positions in the vocabulary that lies in the same features folder.
"""

import struct

import numpy as np

from shoploop.errors import ArtifactCorrupt
from shoploop.features.log import Float32, Int32

_COUNT = struct.Struct("<I")
_ROW_BYTES = 12


def pack(items_H: Int32, days_H: Int32, quantities_H: Float32) -> bytes:
    """(H,) codes, days since 1970-01-01 and pieces as one value."""
    return b"".join(
        (
            _COUNT.pack(len(items_H)),
            items_H.astype("<i4").tobytes(),
            days_H.astype("<i4").tobytes(),
            quantities_H.astype("<f4").tobytes(),
        )
    )


def unpack(packed: bytes) -> tuple[Int32, Int32, Float32]:
    """What :func:`pack` was given; read-only arrays.

    Raises:
        ArtifactCorrupt: the value is of another length than it says.
    """
    rows = _COUNT.unpack_from(packed)[0] if len(packed) >= _COUNT.size else -1
    if len(packed) != _COUNT.size + max(rows, 0) * _ROW_BYTES or rows < 0:
        raise ArtifactCorrupt(
            f"A user's history in the online store has {len(packed)} bytes, which is no whole number of purchases. "
            "Materialize the features again."
        )
    start, step = _COUNT.size, rows * 4
    items, days, quantities = (packed[start + n * step : start + (n + 1) * step] for n in range(3))
    return np.frombuffer(items, "<i4"), np.frombuffer(days, "<i4"), np.frombuffer(quantities, "<f4")
