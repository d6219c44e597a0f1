"""Differentially private training of the adversary: DP-SGD on the discriminator, by Opacus (Yousefpour et al. 2021).

Only the discriminator meets real shoppers, so only its steps are clipped and blurred; the generator learns from the
discriminator and is private by post-processing (Xie et al. 2018, DPGAN). One unit is one shopper: a step draws each with
the same chance, and of one that is drawn a single record. With noise on every gradient the gradient penalty cannot be had,
and is not needed, because clipping bounds what a step can do; the loss is that of a plain GAN (Bie et al. 2023).

What else is told of shoppers (:mod:`~.private`) is measured with noise out of the same budget, and accounted together.

Shape suffixes: as in ``adversary``; U shoppers.
"""

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from shoploop.augmentation.generator.adversary import Adversary, GeneratorDiverged
from shoploop.augmentation.generator.keyed import Release
from shoploop.errors import SpecInvalid

COVERS = (
    "all that is learned of shoppers: the weights of generator and discriminator, which items there are and how often they "
    "are bought, what categories go together, sizes, pauses, hours and lengths of histories"
)
OUTSIDE = (
    "how many shoppers there are, the catalogue with its categories, the kinds of interaction, and the first and last day "
    "of the data, which are taken to be known; and the numbers of this sheet, which are measured on real shoppers: keep it"
)
RELEASES = (
    "one release; each training on other data, with other settings, another version of the code or another key is one more, "
    "with other noise, and for a shopper who is in several, what they spend adds up"
)
COUNTS_SHARE = 0.5
"""Of ε, what statistics may cost alone; the training has what is left by the accountant."""

LARGEST_EPSILON = 100.0
_MOST_NOISE = 1e5
_ORDERS = [1 + tenth / 10 for tenth in range(1, 10)] + list(range(2, 64))
"""Of the Rényi divergences; any of them bounds, and those between whole numbers take long."""

MOST_STEPS = 200
"""Of the generator: each step costs privacy, and the noise that pays for many drowns what they would teach."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a shopper's privacy may cost."""

    epsilon: float
    delta: float = 1e-5
    max_norm: float = 1.0
    """To which each shopper's gradient is clipped."""

    def __post_init__(self) -> None:
        if not 0 < self.epsilon <= LARGEST_EPSILON:
            raise SpecInvalid(
                f"ε is {self.epsilon}; differential privacy needs more than 0 and at most {LARGEST_EPSILON:g}."
            )
        if not 0 < self.delta < 1:
            raise SpecInvalid(f"δ is {self.delta}; differential privacy needs it between 0 and 1.")

    def doubt(self, shoppers: int) -> str | None:
        """What δ leaves open for so many shoppers; None where it is small enough."""
        if self.delta * shoppers < 1:
            return None
        return (
            f"δ is {self.delta:g} and there are {shoppers:,} shoppers: by it alone one of them and more could be told whole. "
            f"Set spec.augmentation.differentialPrivacy.delta below {1 / shoppers:.1e}, e.g. to {0.1 / shoppers:.0e}."
        )


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What it did cost, by the accountant."""

    epsilon: float
    delta: float
    noise_multiplier: float
    steps: int
    """Of the discriminator."""

    sample_rate: float
    counts_noise: float
    """Noise multiplier of all statistics together, as one Gaussian mechanism."""

    counts: tuple[dict[str, Any], ...] = ()
    """Each statistic: ``what``, the ``norm`` to which a shopper's part was clipped, and its own ``noise_multiplier``."""

    covers: str = COVERS
    outside: str = OUTSIDE
    releases: str = RELEASES
    """What ε and δ are of."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def shortened(config: Adversary.Config) -> Adversary.Config:
    """The same adversary with no more steps than privacy can pay for."""
    return replace(config, steps=min(config.steps, MOST_STEPS))


@cache
def plan(users: int, config: Adversary.Config, budget: Budget) -> Spent:
    """The noise that keeps statistics and training together within their budget, and what they then spend: the Gaussian
    mechanisms of both are composed by their Rényi divergences (Mironov 2017).

    Raises:
        SpecInvalid: no noise is enough for the budget.
    """
    from opacus.accountants import RDPAccountant
    from opacus.accountants.utils import get_noise_multiplier

    steps = config.steps * config.discriminator_steps
    rate = min(config.batch / users, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that another order might bound a little tighter
        try:
            counts = get_noise_multiplier(
                target_epsilon=COUNTS_SHARE * budget.epsilon,
                target_delta=budget.delta,
                sample_rate=1.0,
                steps=1,
                accountant="rdp",
                epsilon_tolerance=min(0.01, budget.epsilon / 20),
            )
        except ValueError as error:
            raise _impossible(steps, users, budget) from error
        accountant = RDPAccountant()

        def spent(noise: float) -> float:
            accountant.history = [(counts, 1.0, 1), (noise, rate, steps)]
            return float(accountant.get_epsilon(budget.delta, alphas=_ORDERS))

        low, high = 0.0, 1.0
        while spent(high) > budget.epsilon:
            low, high = high, 2 * high
            if high > _MOST_NOISE:
                raise _impossible(steps, users, budget)
        while high - low > 0.01 * high:
            middle = (low + high) / 2
            low, high = (low, middle) if spent(middle) <= budget.epsilon else (middle, high)
        epsilon = spent(high)
    return Spent(
        epsilon=epsilon,
        delta=budget.delta,
        noise_multiplier=high,
        steps=steps,
        sample_rate=rate,
        counts_noise=float(counts),
    )


def _impossible(steps: int, users: int, budget: Budget) -> SpecInvalid:
    return SpecInvalid(
        f"No noise keeps {steps} steps on {users} shoppers within ε {budget.epsilon}, δ {budget.delta}. "
        "Raise ε, or bring more users."
    )


def train_privately(
    adversary: Adversary,
    real_NX: Tensor,
    condition_NC: Tensor,
    mask_NX: Tensor,
    user_N: "np.ndarray[Any, np.dtype[np.int64]]",
    budget: Budget,
    *,
    release: Release,
    progress: Callable[[str], None] | None = None,
) -> Spent:
    """Trains in place; what it starts from knows nothing of the data.

    Args:
        user_N: Whose each record is.
        release: By which noise is drawn.

    Raises:
        GeneratorDiverged: a loss is not finite.
        SpecInvalid: see :func:`plan`.
    """
    from opacus import GradSampleModule
    from opacus.optimizers import DPOptimizer

    if not torch.isfinite(real_NX).all():
        raise GeneratorDiverged("What the generator should learn from holds values that are no numbers.")
    users, index = np.unique(user_N, return_inverse=True)
    spent = plan(len(users), adversary.config, budget)
    secret = torch.Generator().manual_seed(release.seed("noise"))
    if adversary.step == 0:
        _start_from_nothing(adversary)
    records = _Records(index, len(users))
    asked = _Asked(adversary, condition_NC.shape[1])
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # Opacus hooks modules whose inputs need no gradient
        # The blur of a shopper's record and its dropout are choices of it too; unknown, it is all one which row has which.
        torch.manual_seed(release.seed("dropout"))
        adversary.random.manual_seed(release.seed("blur"))
        wrapped = GradSampleModule(adversary.discriminator)
        steps = DPOptimizer(
            adversary.discriminator_steps,
            noise_multiplier=spent.noise_multiplier,
            max_grad_norm=budget.max_norm,
            expected_batch_size=2 * adversary.config.batch,
            generator=secret,
        )
        while adversary.step < adversary.config.steps:
            for _ in range(adversary.config.discriminator_steps):
                at = records.draw(spent.sample_rate, secret)
                critic = _discriminator_step(
                    adversary, wrapped, steps, asked, real_NX[at], condition_NC[at], mask_NX[at]
                )
            wrapped.disable_hooks()
            judged = _generator_step(adversary, asked)
            wrapped.enable_hooks()
            adversary.step += 1
            if adversary.step % 100 == 0 or adversary.step == adversary.config.steps:
                # the distance is of real records, and no noise covers it
                adversary.curve.append({"step": adversary.step, "generator": judged})
                if not np.isfinite([critic, judged]).all():
                    raise GeneratorDiverged(f"The generator's loss is no number after {adversary.step} steps.")
                if progress:
                    progress(f"private generator {adversary.step} of {adversary.config.steps} steps")
        wrapped.to_standard_module()
    adversary.random.manual_seed(adversary.seed)  # its state is written down, and would tell what has been drawn
    return spent


class _Records:
    """Poisson sampling of shoppers; of each that is drawn one record."""

    def __init__(self, index_N: "np.ndarray[Any, np.dtype[np.int64]]", users: int):
        order = np.argsort(index_N, kind="stable")
        self.records = torch.from_numpy(order)
        counts = np.bincount(index_N, minlength=users)
        self.counts_U = torch.from_numpy(counts)
        self.first_U = torch.from_numpy(np.cumsum(counts) - counts)

    def draw(self, rate: float, random: torch.Generator) -> Tensor:
        drawn = torch.nonzero(torch.rand(len(self.counts_U), generator=random) < rate)[:, 0]
        place = (torch.rand(len(drawn), generator=random) * self.counts_U[drawn]).long()
        return self.records[self.first_U[drawn] + place]


class _Asked:
    """What virtual records are asked to be while learning: every condition and length alike, so that it tells nothing."""

    def __init__(self, adversary: Adversary, width: int):
        self.adversary, self.places = adversary, adversary.config.places
        self.conditions = width - (self.places if self.places > 1 else 0)

    def draw(self) -> tuple[Tensor, Tensor]:
        """(B, C) conditions and (B, X) masks."""
        batch, random = self.adversary.config.batch, self.adversary.random
        chosen = torch.randint(self.conditions, (batch,), generator=random)
        one_hot = F.one_hot(chosen, self.conditions).float()
        if self.places == 1:
            return one_hot, torch.ones(batch, self.adversary.width)
        length = torch.randint(2, self.places + 1, (batch,), generator=random)
        mask_BT = (torch.arange(self.places) < length[:, None]).float()
        return torch.cat([one_hot, mask_BT], 1), mask_BT.repeat_interleave(self.adversary.width // self.places, 1)


def _discriminator_step(
    adversary: Adversary,
    wrapped: Any,
    steps: Any,
    asked: _Asked,
    real_BX: Tensor,
    condition_BC: Tensor,
    mask_BX: Tensor,
) -> float:
    """Real and virtual records in one batch, each with a gradient of its own; the number of virtual ones is fixed."""
    fake_condition, fake_mask = asked.draw()
    with torch.no_grad():
        made = adversary.generator(adversary._noise(len(fake_mask)), fake_condition) * fake_mask
        both = torch.cat([adversary._blurred(real_BX, mask_BX), adversary._blurred(made, fake_mask)])
    steps.zero_grad()
    score = wrapped(both, torch.cat([condition_BC, fake_condition]))
    label = torch.cat([torch.ones(len(real_BX)), torch.zeros(len(made))])
    loss = F.binary_cross_entropy_with_logits(score, label)
    torch.autograd.backward(loss)
    steps.step()
    return float(loss.detach())


def _generator_step(adversary: Adversary, asked: _Asked) -> float:
    condition, mask = asked.draw()
    made = adversary.generator(adversary._noise(len(mask)), condition) * mask
    loss = F.softplus(-adversary.discriminator(adversary._blurred(made, mask), condition)).mean()
    adversary.generator_steps.zero_grad()
    torch.autograd.backward(loss)
    adversary.generator_steps.step()
    with torch.no_grad():
        for kept, new in zip(adversary.averaged.parameters(), adversary.generator.parameters(), strict=True):
            kept.lerp_(new, 1 - adversary.config.average)
    return float(loss.detach())


@torch.no_grad()
def _start_from_nothing(adversary: Adversary) -> None:
    """Independent Gaussians, which is what the encoding makes of every column taken alone."""
    for generator in (adversary.generator, adversary.averaged):
        generator.linear.weight.copy_(torch.eye(adversary.width))
        generator.linear.bias.zero_()
        generator.shift.weight.zero_()
