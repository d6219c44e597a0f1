"""A Wasserstein GAN with gradient penalty on fixed-size vectors (Gulrajani et al. 2017, Improved Training of WGANs).

It knows nothing of shops: records of behaviour and rows of a plain table are learned by the same code. It computes on the
device it is given, and together with the other processes of :func:`shoploop.compute.parallel.joined`, if there are any:
these have nothing but what the first one tells them (:func:`take_part`). Noise is drawn on the CPU, so that a seed draws
the same everywhere, and like dropout for the whole batch, of which each process takes its rows: however many there are, they
take the same steps, to rounding.

Shape suffixes: B batch, N all, X width of a vector, T places, F columns of a place, C width of the condition.
"""

import contextlib
import copy
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shoploop.compute.cores import one_thread
from shoploop.compute.device import training_device
from shoploop.compute.parallel import Group, group
from shoploop.errors import ArtifactForeign, ShoploopError
from shoploop.store import disk

CHECKPOINT_FORMAT = "shoploop.gan/1"


class GeneratorDiverged(ShoploopError):
    """A loss stopped being a number; what was learned until then is not used."""


class Generator(nn.Module):
    """From noise and a condition to a vector: a linear map of as much noise as there are columns, and a network's
    correction to it.

    The linear map starts as the covariance of the real vectors and their mean by condition (:meth:`start_from`); the
    correction starts as nothing. The discriminator's gradient is then about what a Gaussian misses, which a shop's few
    thousand histories can teach; from a random start they did not even teach the covariance. A part of the correction is
    how widely a record spreads about its own mean: some shoppers come at any hour, others at one.
    """

    def __init__(self, width: int, condition: int, config: "Adversary.Config"):
        super().__init__()
        self.places = config.places
        self.linear = nn.Linear(width, width)
        self.shift = nn.Linear(condition, width, bias=False)
        self.body = nn.Sequential(
            nn.Linear(width + condition, config.hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(config.hidden, config.hidden),
            nn.LeakyReLU(0.2),
        )
        self.correction = nn.Linear(config.hidden, width + width // config.places)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)

    def forward(self, noise_BX: Tensor, condition_BC: Tensor) -> Tensor:
        linear_BTF = self.linear(noise_BX).reshape(len(noise_BX), self.places, -1)
        mean_B1F = linear_BTF.mean(1, keepdim=True)
        correction = self.correction(self.body(torch.cat([noise_BX, condition_BC], 1)))
        added_BX, widened_BF = correction.split([noise_BX.shape[1], linear_BTF.shape[2]], 1)
        # One place has no spread about its own mean; several are widened together.
        spread_BTF = (linear_BTF - mean_B1F) * widened_BF.clamp(-2, 2).exp()[:, None]
        out: Tensor = (mean_B1F + spread_BTF).flatten(1) + added_BX + self.shift(condition_BC)
        return out

    @torch.no_grad()
    def start_from(self, real_NX: Tensor, condition_NC: Tensor, mask_NX: Tensor) -> None:
        """Sets the linear part to ridge-regressed means by condition and the shrunk covariance of what they leave."""
        gram_CC = condition_NC.T @ condition_NC + torch.eye(condition_NC.shape[1])
        shift_CX = torch.linalg.solve(gram_CC, condition_NC.T @ real_NX)
        left_NX = (real_NX - condition_NC @ shift_CX) * mask_NX
        pairs_XX = (mask_NX.T @ mask_NX).clamp(min=1)
        covariance_XX = left_NX.T @ left_NX / pairs_XX
        values_X, vectors_XX = torch.linalg.eigh(covariance_XX)
        self.linear.weight.copy_(vectors_XX * values_X.clamp(min=1e-4).sqrt())
        self.linear.bias.zero_()
        self.shift.weight.copy_(shift_CX.T)


class BatchDropout(nn.Module):
    """Dropout that is drawn for the whole batch, of which a process keeps what its own rows are given."""

    def __init__(self, rate: float, batch: int, together: Group):
        super().__init__()
        self.rate, self.batch, self.together = rate, batch, together

    def forward(self, hidden_BH: Tensor) -> Tensor:
        if not self.training or not self.rate:
            return hidden_BH
        rows = len(hidden_BH) if self.together.size == 1 else self.batch
        kept_BH = torch.empty(rows, hidden_BH.shape[1], device=hidden_BH.device).bernoulli_(1 - self.rate)
        return hidden_BH * self.together.share(kept_BH.div_(1 - self.rate))


class Discriminator(nn.Module):
    """From a vector and a condition to a score; higher is more like the real ones.

    Of a vector of several places it also sees each column's mean, spread and product with the next place, which a small
    network would take long to find. No normalisation across a batch: the penalty is on each vector's own gradient.
    """

    def __init__(self, width: int, condition: int, config: "Adversary.Config", together: Group):
        super().__init__()
        self.places = config.places
        summaries = 3 * (width // config.places) if config.places > 1 else 0
        self.body = nn.Sequential(
            nn.Linear(width + summaries + condition, config.hidden),
            nn.LeakyReLU(0.2),
            BatchDropout(config.dropout, config.batch, together),
            nn.Linear(config.hidden, config.hidden),
            nn.LeakyReLU(0.2),
            BatchDropout(config.dropout, config.batch, together),
            nn.Linear(config.hidden, 1),
        )

    def forward(self, vector_BX: Tensor, condition_BC: Tensor) -> Tensor:
        seen = [vector_BX, condition_BC]
        if self.places > 1:
            vector_BTF = vector_BX.reshape(len(vector_BX), self.places, -1)
            # The small constant keeps the root's gradient finite where all places are equal.
            seen += [vector_BTF.mean(1), (vector_BTF.var(1, correction=0) + 0.01).sqrt()]
            seen += [(vector_BTF[:, 1:] * vector_BTF[:, :-1]).mean(1)]
        out: Tensor = self.body(torch.cat(seen, 1))
        return out[:, 0]


class Adversary:
    """Generator, discriminator and their optimisers, as one thing that trains, stops and goes on."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        places: int = 1
        """Steps of a sequence that a vector lays side by side, each of the same columns."""

        hidden: int = 192
        steps: int = 1500
        """Of the generator."""

        discriminator_steps: int = 2
        """Per step of the generator."""

        batch: int = 128
        """Records of a step, of all processes together."""

        penalty: float = 10.0
        """Weight of the squared distance of the gradient's norm from 1."""

        learning_rate: float = 5e-4
        noise: float = 0.5
        """Deviation of the noise on all that the discriminator is shown (Sønderby et al. 2017): it cannot learn by heart
        what it never sees twice."""

        dropout: float = 0.3
        """Of the discriminator's hidden units, for the same end."""

        average: float = 0.99
        """Decay of the generator's running average, which is what samples (Yazici et al. 2019)."""

    def __init__(self, width: int, condition: int, config: Config, *, seed: int, device: torch.device | str = "cpu"):
        self.device = torch.device(device)
        self.width, self.condition, self.config, self.seed = width, condition, config, seed
        self.random = torch.Generator().manual_seed(seed)
        self.dropout: Tensor | None = None
        """State of the draws of dropout at a checkpoint: gone on from there, the bytes are those of an unbroken training."""

        self.group = group()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.generator = Generator(width, condition, config)
            self.discriminator = Discriminator(width, condition, config, self.group)
        self.generator.to(self.device)
        self.discriminator.to(self.device)
        self.averaged = copy.deepcopy(self.generator)
        self.generator_steps, self.discriminator_steps = (
            torch.optim.Adam(part.parameters(), lr=config.learning_rate, betas=(0.5, 0.9))
            for part in (self.generator, self.discriminator)
        )
        self.step = 0
        self.curve: list[dict[str, float]] = []

    def train(
        self,
        real_NX: Tensor,
        condition_NC: Tensor,
        mask_NX: Tensor,
        *,
        checkpoint: Path | None = None,
        every: int = 100,
        progress: Callable[[int], None] | None = None,
        after_step: Callable[[int, float, float], None] | None = None,
    ) -> None:
        """Trains up to ``config.steps``, going on from where :meth:`load` left off; with the others, if there are any, which
        are told all that is here and :func:`take_part`.

        Args:
            mask_NX: 1 where a record has a value; a virtual vector is masked like the real one beside it.
            checkpoint: Written every ``every`` steps, whole or not at all.
            progress: Told every ``every`` steps how many are done.
            after_step: Told of each step its number, the discriminator's distance and the generator's loss.

        Raises:
            GeneratorDiverged: a loss is not finite.
        """
        if not torch.isfinite(real_NX).all():
            raise GeneratorDiverged("What the generator should learn from holds values that are no numbers.")
        if self.step == 0:
            with one_thread():
                for generator in (self.generator, self.averaged):
                    generator.start_from(real_NX, condition_NC, mask_NX)
        if self.step < self.config.steps and self.group.size > 1:
            self.group.told(self._told({"real": real_NX, "condition": condition_NC, "mask": mask_NX}))
        self._go_on(real_NX, condition_NC, mask_NX, checkpoint, every, progress, after_step)

    def _go_on(
        self,
        real_NX: Tensor,
        condition_NC: Tensor,
        mask_NX: Tensor,
        checkpoint: Path | None = None,
        every: int = 100,
        progress: Callable[[int], None] | None = None,
        after_step: Callable[[int, float, float], None] | None = None,
    ) -> None:
        real_NX, condition_NC, mask_NX = (tensor.to(self.device) for tensor in (real_NX, condition_NC, mask_NX))
        with one_thread(), torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            if self.dropout is None:
                torch.manual_seed(self.seed * 1_000_003 + self.step)
            elif self.device.type == "cuda":
                torch.cuda.set_rng_state(self.dropout, self.device)
            else:
                torch.set_rng_state(self.dropout)
            while self.step < self.config.steps:
                for _ in range(self.config.discriminator_steps):
                    at = self._draw(len(real_NX))
                    critic = self._discriminator_step(real_NX[at], condition_NC[at], mask_NX[at])
                at = self._draw(len(real_NX))
                judged = self._generator_step(condition_NC[at], mask_NX[at])
                self.step += 1
                critic, judged = self.group.totals([critic, judged])
                if after_step:
                    after_step(self.step, -critic, judged)
                if self.step % 100 == 0 or self.step == self.config.steps:
                    self.curve.append({"step": self.step, "distance": -critic, "generator": judged})
                    if not (math.isfinite(critic) and math.isfinite(judged)):
                        raise GeneratorDiverged(
                            f"The generator's loss is no number after {self.step} steps. Lower its learning rate "
                            f"({self.config.learning_rate}), or set spec.augmentation.mode to Never."
                        )
                if self.step % every == 0 or self.step == self.config.steps:
                    if checkpoint is not None:
                        self.save(checkpoint)
                    if progress:
                        progress(self.step)

    def sample(self, condition_NC: Tensor, mask_NX: Tensor, *, seed: int) -> Tensor:
        """(N, X) vectors, masked."""
        random = torch.Generator().manual_seed(seed)
        with one_thread(), torch.no_grad():
            noise = torch.randn(len(condition_NC), self.width, generator=random)
            made_NX = self.averaged(noise.to(self.device), condition_NC.to(self.device)).cpu()
            out: Tensor = made_NX * mask_NX
        return out

    def score(self, vector_NX: Tensor, condition_NC: Tensor) -> Tensor:
        """(N,) what the discriminator says; higher is more like the real ones."""
        self.discriminator.eval()
        with one_thread(), torch.no_grad():
            out: Tensor = self.discriminator(vector_NX.to(self.device), condition_NC.to(self.device)).cpu()
        self.discriminator.train()
        return out

    def _draw(self, records: int) -> Tensor:
        """This process's share of a batch."""
        return self.group.share(torch.randint(records, (self.config.batch,), generator=self.random)).to(self.device)

    def _rows(self, own: int) -> int:
        """Of the batch that ``own`` rows are this process's share of."""
        return own if self.group.size == 1 else self.config.batch

    def _noise(self, batch: int) -> Tensor:
        """Drawn for the batches of all processes, so that together they see what one would."""
        drawn = torch.randn(self._rows(batch), self.width, generator=self.random)
        return self.group.share(drawn).to(self.device)

    def _blurred(self, vector_BX: Tensor, mask_BX: Tensor) -> Tensor:
        return vector_BX + self.config.noise * self._noise(len(vector_BX)) * mask_BX

    def _discriminator_step(self, real_BX: Tensor, condition_BC: Tensor, mask_BX: Tensor) -> float:
        with torch.no_grad():
            made_BX = self.generator(self._noise(len(real_BX)), condition_BC) * mask_BX
            made_BX, real_BX = self._blurred(made_BX, mask_BX), self._blurred(real_BX, mask_BX)
        rows = self._rows(len(real_BX))
        drawn = torch.rand(rows, 1, generator=self.random)
        between_B1 = self.group.share(drawn).to(self.device)
        mixed_BX = (between_B1 * real_BX + (1 - between_B1) * made_BX).requires_grad_()
        score_B = self.discriminator(mixed_BX, condition_BC)
        (gradient_BX,) = torch.autograd.grad(score_B.sum(), mixed_BX, create_graph=True)
        # of a share, maybe of no row: what it adds to the means over the batch
        penalty = ((gradient_BX.norm(2, dim=1) - 1) ** 2).sum() / rows
        distance = self.discriminator(made_BX, condition_BC).sum() / rows
        distance = distance - self.discriminator(real_BX, condition_BC).sum() / rows
        self.discriminator_steps.zero_grad()
        torch.autograd.backward(distance + self.config.penalty * penalty)
        self.group.sum_gradients(self.discriminator.parameters())
        self.discriminator_steps.step()
        return float(distance.detach())

    def _generator_step(self, condition_BC: Tensor, mask_BX: Tensor) -> float:
        made_BX = self.generator(self._noise(len(condition_BC)), condition_BC) * mask_BX
        score_B = self.discriminator(self._blurred(made_BX, mask_BX), condition_BC)
        loss = -score_B.sum() / self._rows(len(score_B))
        self.generator_steps.zero_grad()
        torch.autograd.backward(loss)
        self.group.sum_gradients(self.generator.parameters())
        self.generator_steps.step()
        with torch.no_grad():
            for kept, new in zip(self.averaged.parameters(), self.generator.parameters(), strict=True):
                kept.lerp_(new, 1 - self.config.average)
        return float(loss.detach())

    def schema(self) -> dict[str, Any]:
        return {
            "format": CHECKPOINT_FORMAT,
            "width": self.width,
            "condition": self.condition,
            "seed": self.seed,
            "config": asdict(self.config),
        }

    def state(self) -> dict[str, Tensor]:
        """Every tensor that going on needs, by name."""
        on_gpu = self.device.type == "cuda"
        dropout = torch.cuda.get_rng_state(self.device) if on_gpu else torch.get_rng_state()
        out = {"random": self.random.get_state(), f"dropout_{self.device.type}": dropout}
        for name, part in self._parts().items():
            out |= {f"{name}.{key}": value for key, value in part.state_dict().items()}
        for name, optimiser in self._optimisers().items():
            for index, slots in optimiser.state_dict()["state"].items():
                out |= {f"{name}.{index}.{slot}": value for slot, value in slots.items()}
        return {name: value.cpu().contiguous() for name, value in out.items()}

    def save(self, path: Path) -> None:
        """Writes a checkpoint beside ``path`` and renames it into place."""
        from safetensors.torch import save_file

        with disk.whole_path(path) as aside:
            save_file({name: value.clone() for name, value in self.state().items()}, aside, metadata=self._notes())

    def _notes(self) -> dict[str, str]:
        return {"schema": json.dumps(self.schema()), "step": str(self.step), "curve": json.dumps(self.curve)}

    def _told(self, beside: dict[str, Tensor]) -> bytes:
        """What others need to train on with this one: its state, and what it learns from."""
        from safetensors.torch import save

        notes = torch.frombuffer(bytearray(json.dumps(self._notes()).encode()), dtype=torch.uint8)
        told = {name: value for name, value in self.state().items() if not name.startswith("dropout_")}
        if self.dropout is not None:  # else all begin it from the seed
            told[f"dropout_{self.device.type}"] = self.dropout
        return save({name: value.clone().contiguous() for name, value in (told | beside | {"notes": notes}).items()})

    def load(self, path: Path) -> None:
        """Goes on from a checkpoint.

        Raises:
            ArtifactForeign: it is no checkpoint, or one of another schema.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as file:
                notes = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}
        except (SafetensorError, OSError) as error:
            raise ArtifactForeign(
                f"{path} is no checkpoint of a generator: {error}. Delete it to train anew."
            ) from error
        found = json.loads(notes.get("schema", "{}"))
        if found != self.schema():
            differ = sorted(key for key in self.schema() | found if found.get(key) != self.schema().get(key))
            raise ArtifactForeign(
                f"Checkpoint {path} is of another schema ({', '.join(differ)} differ). Delete it to train anew."
            )
        self._restore(tensors, notes)

    def _restore(self, tensors: dict[str, Tensor], notes: dict[str, str]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict({key: tensors[f"{name}.{key}"] for key in part.state_dict()})
        for name, optimiser in self._optimisers().items():
            slots: dict[int, dict[str, Tensor]] = {}
            for key, value in tensors.items():
                if key.startswith(f"{name}."):
                    index, slot = key.removeprefix(f"{name}.").split(".")
                    slots.setdefault(int(index), {})[slot] = value
            optimiser.load_state_dict(optimiser.state_dict() | {"state": slots})
        self.random.set_state(tensors["random"])
        self.dropout = tensors.get(f"dropout_{self.device.type}")  # a GPU's says nothing to a CPU
        self.step = int(notes["step"])
        self.curve = json.loads(notes["curve"])

    def _parts(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator, "averaged": self.averaged}

    def _optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {"generator_steps": self.generator_steps, "discriminator_steps": self.discriminator_steps}


def take_part(together: Group) -> None:
    """Trains on with the first process whatever that one trains, until it has nothing more to train; keeps nothing.

    What ends a training badly, ends it in all processes alike, and is the first one's to tell.
    """
    from safetensors.torch import load

    while (told := together.told(None)) is not None:
        tensors = load(told)
        notes = json.loads(bytes(tensors.pop("notes").numpy().tobytes()))
        schema = json.loads(notes["schema"])
        adversary = Adversary(
            schema["width"],
            schema["condition"],
            Adversary.Config(**schema["config"]),
            seed=schema["seed"],
            device=training_device(),
        )
        adversary._restore(tensors, notes)
        with contextlib.suppress(GeneratorDiverged):
            adversary._go_on(tensors["real"], tensors["condition"], tensors["mask"])
