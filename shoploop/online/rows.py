"""What was learned of some items, as arrays and as bytes.

Legend: N items, D width, E what an optimiser remembers of one item.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from shoploop.errors import ArtifactCorrupt, UserError
from shoploop.features.log import Float32, Int32
from shoploop.online.optimizers import OPTIMIZERS, OptimizerName

REMEDY = "Bring it back, or begin anew: promote a version again."
_SLOTS = "slots."
KINDS = ("int32", "float32", "float32", "float32")
"""Of codes, vectors, bias and slots."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """What is known of some items: what a commit holds."""

    codes_N: Int32
    """Sorted, each once."""

    vectors_ND: Float32
    bias_N: Float32
    slots_NE: Float32
    """What the optimiser remembers: so many times D + 1 columns as it has slots, those of the bias last in each."""

    optimizer: OptimizerName = "adagrad"
    """Whose slots these are."""

    def __len__(self) -> int:
        return len(self.codes_N)

    @classmethod
    def none(cls, width: int, optimizer: OptimizerName = "adagrad") -> "Rows":
        """Of no item."""
        return cls(
            codes_N=np.zeros(0, np.int32),
            vectors_ND=np.zeros((0, width), np.float32),
            bias_N=np.zeros(0, np.float32),
            slots_NE=np.zeros((0, OPTIMIZERS[optimizer].slots * (width + 1)), np.float32),
            optimizer=optimizer,
        )

    def updated(self, *newer: "Rows") -> "Rows":
        """These rows, and in their place those of ``newer``, of each item the last one's."""
        parts = [
            rows for rows in (self, *newer) if len(rows)
        ]  # the others may be of another width: who wrote them knew none
        if len(parts) < 2:
            return parts[0] if parts else self
        codes_N = np.concatenate([rows.codes_N for rows in parts])
        known_N, from_the_end_N = np.unique(codes_N[::-1], return_index=True)
        last_N = len(codes_N) - 1 - from_the_end_N
        return Rows(
            codes_N=known_N,
            vectors_ND=np.concatenate([rows.vectors_ND for rows in parts])[last_N],
            bias_N=np.concatenate([rows.bias_N for rows in parts])[last_N],
            slots_NE=np.concatenate([rows.slots_NE for rows in parts])[last_N],
            optimizer=parts[-1].optimizer,
        )


class OptimizerChanged(UserError):
    """What was learned was learned by another rule."""


def hold_same_optimizer(rows: Rows, optimizer: OptimizerName) -> None:
    """Holds that the rule can go on with these rows.

    Raises:
        OptimizerChanged: they were learned by another one.
    """
    if len(rows) and rows.optimizer != optimizer:
        raise OptimizerChanged(
            f"What was learned so far was learned by {rows.optimizer}, and {optimizer} cannot go on with it. Ask for "
            f"{rows.optimizer}, or go back to the version as it was trained: `shoploop online rollback NAME --to 0`."
        )


def to_bytes(rows: Rows, ahead: Rows | None = None) -> bytes:
    """As they lie in a file; :func:`from_bytes` reads them.

    Args:
        rows: What the file holds.
        ahead: Rows that lie over these until they are learned for good; :func:`both_from_bytes` reads them, too.
    """
    from safetensors.numpy import save

    return save(_tensors(rows) | (_tensors(ahead, "ahead.") if ahead is not None and len(ahead) else {}))


def from_bytes(body: bytes, *, width: int | None, what: str) -> Rows:
    """Reads rows and checks their shapes.

    Raises:
        ArtifactCorrupt: they are none, or of another width.
    """
    return _rows(_loaded(body, what), "", width=width, what=what)


def both_from_bytes(body: bytes, *, width: int | None, what: str) -> tuple[Rows, Rows | None]:
    """Reads the rows of a file, and those that lie over them; None where there are none.

    Raises:
        ArtifactCorrupt: as :func:`from_bytes`.
    """
    found = _loaded(body, what)
    ahead = _rows(found, "ahead.", width=width, what=what) if "ahead.codes" in found else None
    return _rows(found, "", width=width, what=what), ahead


def _tensors(rows: Rows, prefix: str = "") -> dict[str, np.ndarray]:
    tensors = {
        f"{prefix}codes": rows.codes_N,
        f"{prefix}vectors": rows.vectors_ND,
        f"{prefix}bias": rows.bias_N,
        f"{prefix}{_SLOTS}{rows.optimizer}": rows.slots_NE,
    }
    return {name: np.ascontiguousarray(array) for name, array in tensors.items()}  # of a view the wrong bytes are saved


def _loaded(body: bytes, what: str) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(body)
    except (SafetensorError, ValueError) as error:
        raise ArtifactCorrupt(f"{what} cannot be read: {error}. {REMEDY}") from error


def _rows(found: Mapping[str, np.ndarray], prefix: str, *, width: int | None, what: str) -> Rows:
    try:
        optimizer = next(name for name in OPTIMIZERS if f"{prefix}{_SLOTS}{name}" in found)
        rows = Rows(
            codes_N=found[f"{prefix}codes"],
            vectors_ND=found[f"{prefix}vectors"],
            bias_N=found[f"{prefix}bias"],
            slots_NE=found[f"{prefix}{_SLOTS}{optimizer}"],
            optimizer=optimizer,
        )
    except StopIteration:
        raise ArtifactCorrupt(f"{what} cannot be read: it names no optimiser that is known here. {REMEDY}") from None
    except KeyError as error:
        raise ArtifactCorrupt(f"{what} cannot be read: {error}. {REMEDY}") from error
    kinds = tuple(str(array.dtype) for array in (rows.codes_N, rows.vectors_ND, rows.bias_N, rows.slots_NE))
    if kinds != KINDS:
        raise ArtifactCorrupt(f"{what} holds rows of types {kinds}; {KINDS} were expected. {REMEDY}")
    count = len(rows.codes_N)
    if (width is None or not count) and rows.vectors_ND.ndim == 2:
        width = rows.vectors_ND.shape[1]
    slots = OPTIMIZERS[optimizer].slots * ((width or 0) + 1)
    shapes = (rows.codes_N.shape, rows.vectors_ND.shape, rows.bias_N.shape, rows.slots_NE.shape)
    if shapes != ((count,), (count, width), (count,), (count, slots)):
        raise ArtifactCorrupt(f"{what} holds rows of shapes {shapes}; vectors of width {width} were expected. {REMEDY}")
    return rows
