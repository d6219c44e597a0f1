"""What changed between two commits of a chain.

Legend: I items, D width, N items that changed.
"""

from dataclasses import dataclass

import numpy as np

from shoploop.features.log import Float32, Int32
from shoploop.online.chain import Chain
from shoploop.online.rows import Rows


@dataclass(frozen=True, kw_only=True, eq=False)
class Difference:
    """From one commit to another, which may be the older one."""

    examples: int
    """Learned between them; negative where the way is back."""

    offsets: tuple[int, int]
    """Of the last record that was read for each."""

    codes_N: Int32
    """Items that changed, the one that went farthest first."""

    vectors_N: Float32
    """Norm of the change of each w_i."""

    bias_N: Float32
    """Change of each b_i, log-odds."""


def difference(chain: Chain, one: int, other: int, *, trained: tuple[Float32, Float32]) -> Difference:
    """What is other in the commit ``other`` than in ``one``; 0 is the version as it was trained.

    Args:
        chain: As it was last read.
        one: Number of a commit.
        other: Number of a commit.
        trained: w_i, (I, D), and b_i, (I,), as they were trained.

    Raises:
        NotFound: there is no such commit.
        ArtifactCorrupt: what a commit names is not there, or was altered.
    """
    before, after = chain.state(one), chain.state(other)
    codes_N = np.union1d(before.rows.codes_N, after.rows.codes_N).astype(np.int32)
    vectors_ND, bias_N = (
        now - was
        for was, now in zip(_at(before.rows, codes_N, trained), _at(after.rows, codes_N, trained), strict=True)
    )
    norms_N = np.sqrt(np.square(vectors_ND).sum(axis=1))
    changed_N = (norms_N > 0) | (bias_N != 0)
    codes_N, norms_N, bias_N = codes_N[changed_N], norms_N[changed_N], bias_N[changed_N]
    order_N = np.lexsort((codes_N, -np.hypot(norms_N, bias_N)))
    return Difference(
        examples=after.totals.examples - before.totals.examples,
        offsets=(before.offset, after.offset),
        codes_N=codes_N[order_N],
        vectors_N=norms_N[order_N],
        bias_N=bias_N[order_N],
    )


def _at(rows: Rows, codes_N: Int32, trained: tuple[Float32, Float32]) -> tuple[Float32, Float32]:
    """w_i and b_i of these items: as they were trained where the rows say nothing."""
    vectors_ID, bias_I = trained
    vectors_ND, bias_N = vectors_ID[codes_N].copy(), bias_I[codes_N].copy()
    places = np.searchsorted(codes_N, rows.codes_N)
    if len(rows):
        vectors_ND[places], bias_N[places] = rows.vectors_ND, rows.bias_N
    return vectors_ND, bias_N
