"""What was learned of some items, as arrays and as bytes.

Legend: N items, D width.
"""

from dataclasses import dataclass

import numpy as np

from shoploop.errors import ArtifactCorrupt
from shoploop.features.log import Float32, Int32

REMEDY = "Bring it back, or begin anew: promote a version again."


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """What is known of some items: what a commit holds."""

    codes_N: Int32
    """Sorted, each once."""

    vectors_ND: Float32
    bias_N: Float32
    squares_ND: Float32
    """AdaGrad's sums of squared gradients, those of the bias last: (N, D + 1)."""

    def __len__(self) -> int:
        return len(self.codes_N)

    @classmethod
    def none(cls, width: int) -> "Rows":
        """Of no item."""
        return cls(
            codes_N=np.zeros(0, np.int32),
            vectors_ND=np.zeros((0, width), np.float32),
            bias_N=np.zeros(0, np.float32),
            squares_ND=np.zeros((0, width + 1), np.float32),
        )

    def updated(self, newer: "Rows") -> "Rows":
        """These rows, and those of ``newer`` in their place."""
        if not len(newer) or not len(self):  # which may be of another width: who wrote them knew none
            return newer if len(newer) else self
        kept_N = ~np.isin(self.codes_N, newer.codes_N)
        codes_N = np.concatenate([self.codes_N[kept_N], newer.codes_N])
        order_N = np.argsort(codes_N, kind="stable")
        return Rows(
            codes_N=codes_N[order_N],
            vectors_ND=np.concatenate([self.vectors_ND[kept_N], newer.vectors_ND])[order_N],
            bias_N=np.concatenate([self.bias_N[kept_N], newer.bias_N])[order_N],
            squares_ND=np.concatenate([self.squares_ND[kept_N], newer.squares_ND])[order_N],
        )


def to_bytes(rows: Rows) -> bytes:
    """As they lie in a file; :func:`from_bytes` reads them."""
    from safetensors.numpy import save

    return save({"codes": rows.codes_N, "vectors": rows.vectors_ND, "bias": rows.bias_N, "squares": rows.squares_ND})


def from_bytes(body: bytes, *, width: int | None, what: str) -> Rows:
    """Reads rows and checks their shapes.

    Raises:
        ArtifactCorrupt: they are none, or of another width.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        found = load(body)
        rows = Rows(
            codes_N=found["codes"], vectors_ND=found["vectors"], bias_N=found["bias"], squares_ND=found["squares"]
        )
    except (SafetensorError, KeyError, ValueError) as error:
        raise ArtifactCorrupt(f"{what} cannot be read: {error}. {REMEDY}") from error
    count = len(rows.codes_N)
    if (width is None or not count) and rows.vectors_ND.ndim == 2:
        width = rows.vectors_ND.shape[1]
    shapes = (rows.codes_N.shape, rows.vectors_ND.shape, rows.bias_N.shape, rows.squares_ND.shape)
    if shapes != ((count,), (count, width), (count,), (count, (width or 0) + 1)):
        raise ArtifactCorrupt(f"{what} holds rows of shapes {shapes}; vectors of width {width} were expected. {REMEDY}")
    return rows
