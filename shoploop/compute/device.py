"""Which device trains: a GPU where one was asked for and is there, otherwise the CPU.

Whoever starts a step asks, by ``SHOPLOOP_DEVICE``; a run asks for a GPU where spec.training.resources.gpu is above 0. Under
one seed a device gives the same bytes again; CPU and GPU differ in the last digits.
"""

import logging
import os
from typing import TYPE_CHECKING

from shoploop.compute.eager import spare_compiler
from shoploop.errors import SpecInvalid

if TYPE_CHECKING:
    from torch import device

VARIABLE = "SHOPLOOP_DEVICE"
CPU, GPU = "cpu", "gpu"


def training_device() -> "device":
    """The device that SHOPLOOP_DEVICE asks for; of several GPUs the one of torchrun's LOCAL_RANK. Whoever asks is about to
    train, so optimisers do without torch's compiler from here on.

    Raises:
        SpecInvalid: the variable says neither ``cpu`` nor ``gpu``.
    """
    import torch

    spare_compiler()
    asked = os.environ.get(VARIABLE, CPU)
    if asked not in (CPU, GPU):
        raise SpecInvalid(f"{VARIABLE} is {asked!r}; it may be {CPU!r} or {GPU!r}.")
    if asked == CPU:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        why = "it is a build for CPUs" if torch.version.cuda is None else "no GPU is in sight"
        logging.getLogger(__name__).warning("A GPU was asked for, but torch finds none: %s. The CPU computes.", why)
        return torch.device("cpu")
    # cuBLAS sums in one order only with a workspace of fixed size; it reads this when it is first used
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))


def asks_for(gpus: int) -> str:
    """What the variable is set to for a step that may hold so many GPUs."""
    return GPU if gpus else CPU
