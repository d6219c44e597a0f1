"""How many cores a computation may use, and how to use one alone."""

from collections.abc import Iterator
from contextlib import contextmanager

from shoploop.compute.eager import spare_compiler
from shoploop.compute.threads import pools


def cores() -> int:
    """Those that this process may use at a time: by its affinity and its container's CPU quota, a part counting as one."""
    from joblib import cpu_count

    return int(cpu_count())


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it torch, BLAS and OpenMP use one thread, and optimisers do without torch's compiler.

    For work so small that a second one gains nothing; the last digits of its sums would depend on how many cores there are.
    """
    import torch

    spare_compiler()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with pools().limit(limits=1):
            yield
    finally:
        torch.set_num_threads(before)


def use_one_thread() -> None:
    """From now on torch, BLAS and OpenMP use one thread in this process, for a service that answers several at a time."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)
