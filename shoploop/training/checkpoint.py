"""How far a training is, in one file that is whole or not there: what was killed goes on from it.

The first of several processes writes it, and all go on from what that one reads. It knows the model as tensors by name.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from shoploop.compute.parallel import Group
from shoploop.store import disk

FORMAT = "shoploop.training/2"
EVERY_STEPS = 500
"""Steps between two checkpoints within an epoch; at the end of each there is one anyway."""

Best = tuple[float, dict[str, Tensor]]
"""Validation loss of the best epoch so far, and the model as it was then."""


@dataclass(frozen=True, kw_only=True)
class Progressed:
    """How far a training is."""

    epoch: int
    """Epochs that are over."""

    step: int
    """Steps of the next one that are over."""

    sums: npt.NDArray[np.float64]
    """Of the three losses over these steps, of all processes."""

    curves: list[dict[str, Any]]
    """Rows of the epochs that are over."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)

    def restore(
        self,
        model: nn.Module,
        optimiser: torch.optim.Optimizer | None,
        schedule: torch.optim.lr_scheduler.LRScheduler | None,
        rng: np.random.Generator,
        together: Group,
    ) -> Best | None:
        """Brings everything to where it was; returns the best epoch so far.

        Args:
            optimiser: None where the next epoch begins with a fresh one; ``schedule`` likewise.
            rng: Draws the order of requests.
        """
        model.load_state_dict(self._named("model."))
        if optimiser is not None and schedule is not None:
            slots: dict[int, dict[str, Tensor]] = {}
            for name, value in self._named("optimiser.").items():
                index, slot = name.split(".")
                slots.setdefault(int(index), {})[slot] = value
            schedule.load_state_dict(self.notes["schedule"])
            groups = optimiser.state_dict()["param_groups"]
            for held, rate, betas in zip(groups, self.notes["rates"], self.notes["betas"], strict=True):
                held["lr"], held["betas"] = rate, tuple(betas)  # a schedule may move both
            optimiser.load_state_dict({"state": slots, "param_groups": groups})
        rng.bit_generator.state = self.notes["order"]
        device = next(model.parameters()).device
        dropout = self.tensors.get(f"dropout.{device.type}")  # a GPU's says nothing to a CPU
        if together.rank or dropout is None:
            torch.manual_seed(self.notes["seed"] + 1_000_003 * together.rank + 7919 * (1 + self.epoch) + self.step)
        elif device.type == "cuda":
            torch.cuda.set_rng_state(dropout, device)
        else:
            torch.set_rng_state(dropout)
        best = self._named("best.")
        return (float(self.notes["best"]), best) if best else None

    def _named(self, prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): value for name, value in self.tensors.items() if name.startswith(prefix)}


class Checkpoint:
    """One training's file; without a path nothing is kept."""

    def __init__(self, path: Path | None, key: Mapping[str, Any], *, every_steps: int = EVERY_STEPS):
        """
        Args:
            path: Of the file, in a folder that outlives the process. Of several processes the first one's counts.
            key: Everything that the training depends on; a file with another one is as if it were not there.
            every_steps: Steps between two checkpoints within an epoch; the same in all processes.
        """
        self.path, self.every_steps = path, every_steps
        self.key = json.dumps(key, sort_keys=True)
        self.seed = int(key.get("seed", 0))
        self.kept = path is not None
        """Whether any process keeps it; :meth:`load` finds out."""

    def load(self, together: Group) -> Progressed | None:
        """Where the training was; None where it begins. All processes have to ask at the same time."""
        self.kept = bool(together.totals([float(self.path is not None)])[0])
        if not self.kept:
            return None
        words = together.told(self._read() if together.rank == 0 else None)
        if words is None:
            return None
        tensors = load(words)
        notes = json.loads(bytes(tensors.pop("notes").numpy().tobytes()))
        sums = np.array(notes["sums"])
        return Progressed(
            epoch=notes["epoch"], step=notes["step"], sums=sums, curves=notes["curves"], tensors=tensors, notes=notes
        )

    def is_due(self, step: int) -> bool:
        """Whether a checkpoint is to be made after so many steps of an epoch."""
        return self.kept and step % self.every_steps == 0

    def save(
        self,
        at: Progressed,
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
        order: Mapping[str, Any],
        best: Best | None,
        together: Group,
    ) -> None:
        """Keeps all that going on needs.

        Args:
            order: State of the generator that draws the order of requests, before it draws the next epoch's.
        """
        if self.path is None or together.rank:
            return
        device = next(model.parameters()).device
        dropout = torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()
        tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
        tensors |= {f"dropout.{device.type}": dropout}
        for index, slots in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{slot}": value for slot, value in slots.items()}
        if best is not None:
            tensors |= {f"best.{name}": value for name, value in best[1].items()}
        notes = {
            "format": FORMAT,
            "key": self.key,
            "seed": self.seed,
            "epoch": at.epoch,
            "step": at.step,
            "sums": at.sums.tolist(),
            "curves": at.curves,
            "rates": [group["lr"] for group in optimiser.param_groups],
            "betas": [group["betas"] for group in optimiser.param_groups],
            "schedule": schedule.state_dict(),
            "order": order,
            "best": best[0] if best else None,
        }
        # in a tensor of its own: a header of the file has room for some hundred epochs only
        tensors["notes"] = torch.frombuffer(bytearray(json.dumps(notes).encode()), dtype=torch.uint8)
        whole = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
        disk.write_bytes(self.path, save(whole))

    def clear(self) -> None:
        """The training is over, and what came of it is kept elsewhere."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def _read(self) -> bytes | None:
        """The file, where it is one of this training."""
        try:
            words = self.path.read_bytes() if self.path is not None else b""
            notes = json.loads(bytes(load(words)["notes"].numpy().tobytes()))
        except (OSError, SafetensorError, KeyError, ValueError):
            return None
        return words if (notes.get("format"), notes.get("key")) == (FORMAT, self.key) else None
