"""Factors for items that nobody has bought with others: those of the items that they are like.

Gantner et al. (2010, "Learning attribute-to-feature mappings for cold-start recommendations", section 4.2) map attributes to
factors by the nearest items, among other ways; it needs no training, and what an item was taken for can be told.

Legend: I items, D factors, V width of what describes items, K nearest.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from shoploop.features.catalog import Catalog
from shoploop.features.catalogs import Catalogs
from shoploop.features.log import Float32

NEAREST = 10
SHARPNESS = 10.0
"""Of what a cosine counts: one of .1 less counts e times less."""

AT_ONCE = 1000


def with_resemblance(catalogs: Catalogs, likeness_IV: Float32) -> Catalogs:
    """The same catalogs, where items without factors have those of what they are like.

    Args:
        catalogs: By day.
        likeness_IV: Unit rows; 0 where nothing is known of an item, which then stays without.
    """
    made: dict[int, Catalog] = {}
    factors: dict[int, Float32] = {}  # most days share their factors
    for catalog in catalogs.catalogs:
        key = id(catalog.factors_ID)
        if key not in factors:
            factors[key] = filled(catalog.factors_ID, likeness_IV)
        made[id(catalog)] = replace(catalog, factors_ID=factors[key])
    return replace(catalogs, catalogs=tuple(made[id(catalog)] for catalog in catalogs.catalogs))


def filled(factors_ID: Float32, likeness_IV: Float32) -> Float32:
    """Unit rows; those of items that have factors are as they were."""
    described_I = (likeness_IV != 0).any(axis=1)
    known_I = (factors_ID != 0).any(axis=1)
    teachers, without = np.flatnonzero(known_I & described_I), np.flatnonzero(~known_I & described_I)
    if not len(teachers) or not len(without):
        return factors_ID
    found_ID = factors_ID.copy()
    nearest = min(NEAREST, len(teachers))
    for start in range(0, len(without), AT_ONCE):
        some = without[start : start + AT_ONCE]
        close: npt.NDArray[np.float64] = likeness_IV[some].astype(np.float64) @ likeness_IV[teachers].T
        # ties by code, so that the same catalog comes of the same data
        best_K = np.argsort(-close, axis=1, kind="stable")[:, :nearest]
        weight_K = np.exp(SHARPNESS * (np.take_along_axis(close, best_K, axis=1) - close.max(axis=1, keepdims=True)))
        sums = np.einsum("nk,nkd->nd", weight_K, factors_ID[teachers][best_K].astype(np.float64))
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        found_ID[some] = np.divide(sums, length, out=np.zeros_like(sums), where=length > 1e-9)
    return found_ID
