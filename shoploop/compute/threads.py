"""How many threads compute, and where chance comes from: why the same seed gives the same bytes whatever the cores.

A sum of floats depends on the order of its terms, and several threads order them by their number. So everything whose
digits reach a version is computed in an order of its own:

====================  ====================================================================================================
what                  in which order
====================  ====================================================================================================
BLAS and LAPACK       in one thread: :func:`one_blas_thread` around the catalog (EASE, factors), ``cores.one_thread`` around
                      training, the generator, trials and importance, with scikit-learn's models in them
torch                 in one thread on a CPU (``cores.one_thread``); on a GPU by ``use_deterministic_algorithms`` (``device``)
processes             each with one thread, and told what to compute: their number decides when, not what (``trainings``,
                      ``beside``); torchrun's processes sum gradients in the order of their ranks (``parallel``)
polars                counts and sums of whole numbers, sorted by whole keys; floats are summed by numpy over sorted rows
                      (``features.log``) or over one user's rows in the order of days (``features.user``)
LightGBM              in one thread where trees teach the DNN; as a rival, ``deterministic`` and ``force_row_wise``
====================  ====================================================================================================

Chance comes from ``spec.training.seed`` alone: ``numpy.random.default_rng(seed)``, ``torch.manual_seed(seed)``, the
``random_state`` of scikit-learn, LightGBM's ``seed`` and the generator that ARPACK is given. Nothing draws from a generator
that the process shares, but for torch's, which is seeded where training begins. A key of pseudonyms that is drawn anew does
not reach what is made (``augmentation.generator.pseudonyms``).

What is not promised: the same last digits on another kind of processor, whose BLAS has other kernels.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within it BLAS and OpenMP use one thread; nothing here needs torch."""
    with pools().limit(limits=1):
        yield


def pools() -> "ThreadpoolController":
    """The libraries of this process that compute in threads of their own.

    To find them all that is loaded is looked through, which takes longer than many a computation in one thread: it is done
    again where something was imported since, for only then may another one be loaded.
    """
    return _pools(len(sys.modules))


@lru_cache(maxsize=1)
def _pools(_imported: int) -> "ThreadpoolController":
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
