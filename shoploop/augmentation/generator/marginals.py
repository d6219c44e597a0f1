"""Quantiles of what the adversary makes, mapped to those of what it learned from, place by place.

A GAN's columns drift: a share that grows from basket to basket, or a spread that is a little narrow. The map is
monotone and one column at a time, so what the adversary learned of how columns go together stays.

Shapes: N records, T baskets, F columns, Q quantiles.
"""

from dataclasses import dataclass

import numpy as np

from shoploop.augmentation.generator.records import Floats

_QUANTILES = 201


@dataclass(frozen=True, kw_only=True)
class Marginals:
    made: Floats
    """(T, F, Q)"""

    real: Floats
    """(T, F, Q)"""

    @classmethod
    def fit(cls, made: Floats, made_mask: Floats, real: Floats, real_mask: Floats) -> "Marginals":
        """Quantiles of (N, T, F) vectors; of a place that hardly any record has, nothing is changed."""
        return cls(made=_quantiles(made, made_mask), real=_quantiles(real, real_mask))

    def apply(self, vectors: Floats) -> Floats:
        """(N, T, F) mapped."""
        out = np.empty_like(vectors)
        for t, (made_FQ, real_FQ) in enumerate(zip(self.made, self.real, strict=True)):
            for f, (made_Q, real_Q) in enumerate(zip(made_FQ, real_FQ, strict=True)):
                out[:, t, f] = np.interp(vectors[:, t, f], made_Q, real_Q)
        return out


def _quantiles(vectors: Floats, mask: Floats) -> Floats:
    levels = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    flat = np.linspace(-3, 3, _QUANTILES)[:, None] * np.ones(vectors.shape[2])
    places = [
        np.quantile(vectors[mask[:, t] > 0, t], levels, axis=0) if mask[:, t].sum() >= _QUANTILES else flat
        for t in range(vectors.shape[1])
    ]
    return np.stack(places).transpose(0, 2, 1).astype(np.float32)
