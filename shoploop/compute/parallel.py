"""Data-parallel training: every process holds all parameters, learns from its share of each batch, and adds up gradients.

torchrun starts the processes and tells each RANK, WORLD_SIZE and where they meet. All draw the same batches under the same
seed, so that together they take the steps that one process would take. It knows no model: the model's loop and the
generator's both train through a :class:`Group`.
"""

import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, distributed
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from shoploop.compute.device import training_device
from shoploop.errors import PeerLost

STEP_PATIENCE = timedelta(minutes=30)
"""How long a process waits for the others' part of a step before they count as lost."""

WORD_PATIENCE = timedelta(hours=12)
"""How long the others wait for what the first one tells: before it has something to tell, it prepares that alone. If it ends
instead, they hear of that at once."""

_TRANSPORT = re.compile(r"\b(gloo|nccl)\b|Connection (closed|reset|refused)", re.IGNORECASE)
"""In the words of errors of sums over several processes, which have no class of their own."""

Rows = TypeVar("Rows", Tensor, npt.NDArray[np.int64])


@dataclass(frozen=True, kw_only=True)
class Group:
    """The processes that train together; alone, everything here does nothing."""

    rank: int = 0
    size: int = 1

    def share(self, batch: Rows) -> Rows:
        """This process's rows of a batch that all have drawn; none where there are fewer rows than processes."""
        return batch[self.rank :: self.size]

    def owned(self, batch: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Of the rows that a batch names by their numbers among all rows, those that this process holds, by their numbers
        among its own: of all rows it holds every ``size``-th, beginning with number ``rank``."""
        own: npt.NDArray[np.int64] = batch[batch % self.size == self.rank] // self.size
        return own

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.size == 1:
            return values
        total = values.clone()
        distributed.all_reduce(total)
        return total

    def totals(self, values: Sequence[float]) -> list[float]:
        """The sum of each number over all processes."""
        if self.size == 1:
            return list(values)
        return [float(x) for x in self.sum(torch.tensor(values, dtype=torch.float64, device=training_device()))]

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replaces each gradient by the sum over all processes: each must have scaled its loss by its part of the whole."""
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        total = self.sum(torch.cat([g.flatten() for g in gradients]))
        at = 0
        for gradient in gradients:
            gradient.copy_(total[at : at + gradient.numel()].view_as(gradient))
            at += gradient.numel()

    def told(self, words: bytes | None) -> bytes | None:
        """What the first process says; what the others bring counts for nothing. None is no word."""
        if self.size == 1:
            return words
        length = torch.tensor([-1 if words is None else len(words)])
        distributed.broadcast(length, src=0, group=_words)
        if (count := int(length)) < 0:
            return None
        if words is not None and self.rank == 0:
            distributed.broadcast(torch.frombuffer(bytearray(words), dtype=torch.uint8), src=0, group=_words)
            return words
        said = torch.empty(count, dtype=torch.uint8)
        distributed.broadcast(said, src=0, group=_words)
        heard: bytes = said.numpy().tobytes()
        return heard


_words: distributed.ProcessGroup | None = None
"""The processes that are together, for words: on the CPU, and patient."""


def group() -> Group:
    """The processes that :func:`joined` has brought together, or this one alone."""
    if not _by_itself and distributed.is_available() and distributed.is_initialized():
        return Group(rank=distributed.get_rank(), size=distributed.get_world_size())
    return Group()


_by_itself = False


@contextmanager
def alone() -> Iterator[None]:
    """What is learned within is this process's own, though others are there for something else."""
    global _by_itself
    before, _by_itself = _by_itself, True
    try:
        yield
    finally:
        _by_itself = before


@contextmanager
def joined() -> Iterator[Group]:
    """Waits for the other processes of torchrun, where there are any: over NCCL between GPUs, over Gloo between CPUs and for
    words.

    Raises:
        PeerLost: one of them ended before its time, or cannot be reached.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Group()
        return
    device = training_device()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        _meet("nccl" if device.type == "cuda" else "gloo")
        yield group()
    except RuntimeError as error:
        if _left or (not isinstance(error, distributed.DistError) and not _TRANSPORT.search(str(error))):
            raise
        raise PeerLost(
            f"Another of {os.environ['WORLD_SIZE']} processes has ended, or cannot be reached "
            f"({' '.join(str(error).split())[:300]}). All have to begin again; what is kept of the work is gone on from."
        ) from error
    finally:
        _part()


def leave() -> None:
    """The first process goes on alone: it tells the others, by no word, that there is nothing more to do together."""
    global _left
    if group().size > 1:
        group().told(None)
        _part()
        _left = True


_store: Store | None = None
"""Where these processes find each other; torchrun keeps it for as long as they live."""

_meetings = 0
_left = False
"""Whether this process has gone on alone, so that what fails now is its own."""


def _meet(backend: str) -> None:
    """Brings the processes together, maybe not for the first time: each meeting has keys of its own, or who comes early to
    the second one would find the addresses of the first."""
    global _store, _meetings, _left, _words
    if _store is None:
        _store, _, _ = next(iter(rendezvous("env://", timeout=STEP_PATIENCE)))
    _meetings, _left = _meetings + 1, False
    distributed.init_process_group(
        backend,
        store=PrefixStore(f"meeting {_meetings}", _store),
        rank=int(os.environ["RANK"]),
        world_size=int(os.environ["WORLD_SIZE"]),
        timeout=STEP_PATIENCE,
    )
    _words = distributed.new_group(backend="gloo", timeout=WORD_PATIENCE)


def _part() -> None:
    global _words
    if distributed.is_initialized():
        distributed.destroy_process_group()
    _words = None


@contextmanager
def writing(out: Path) -> Iterator[Path]:
    """Joins the processes for a step that all of them carry out: the first one's files count, the others' are thrown away."""
    with joined() as here, tempfile.TemporaryDirectory() as aside:
        yield out if here.rank == 0 else Path(aside)
