"""How long the default takes for how many samples."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shoploop.bench.importance.flips import Labelled
from shoploop.importance.estimators.interface import ESTIMATORS, make_estimator
from shoploop.importance.estimators.table import Table

SIZES = (250_000, 500_000, 1_000_000)
JITTER = 0.01
"""Of a column's deviation: a drawn sample is never quite another."""


def measure(
    samples: Labelled, sizes: Sequence[int], *, seed: int, progress: Callable[[str], None] = lambda what: None
) -> dict[str, Any]:
    """Weighs tables of these sizes, drawn from the samples with replacement.

    Returns:
        ``seconds`` by size, the making of the table included; ``samples_per_second`` at the largest; ``growth``: the
        exponent with which the time grows from the smallest to the largest, 1 being linear.
    """
    seconds = {}
    deviation_K = samples.x_NK.std(axis=0).astype(np.float32)
    for size in sizes:
        rng = np.random.default_rng(seed)
        rows = rng.integers(len(samples.y_N), size=size)
        x_NK = samples.x_NK[rows].astype(np.float32)
        x_NK += JITTER * deviation_K * rng.standard_normal(x_NK.shape, np.float32)
        began = time.perf_counter()
        table = Table.of(x_NK, samples.y_N[rows], seed=seed)
        del x_NK
        make_estimator(next(iter(ESTIMATORS))).score(table, seed=seed)
        seconds[size] = time.perf_counter() - began
        progress(f"{size:,} samples weighed in {seconds[size]:.1f} s")
    small, large = min(sizes), max(sizes)
    growth = np.log(seconds[large] / seconds[small]) / np.log(large / small) if large > small else 1.0
    return {
        "seconds": {str(size): round(value, 2) for size, value in seconds.items()},
        "samples_per_second": round(large / seconds[large]),
        "growth": round(float(growth), 3),
    }
