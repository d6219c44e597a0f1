"""The conditional GAN behind ``GanAttention`` and ``DensityRatio``: E of them side by side, each blind to its own fold.

The generator gets an anchor's features, a label and noise, and moves the features to where they pass for that label
(conditional GAN, Mirza and Osindero 2014). The discriminator sees features with a label and knows three kinds: real
pairs, generated pairs, and real features under a label that is not theirs (matching-aware discriminator, Reed et al.
2016, section 4.2). Its score is therefore low both for what is not real and for what is mislabelled.

All draws are the CPU's, whatever computes (docs/decisions/0044).

Legend: E networks, B rows, K features, C classes, Z noise, H hidden units.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shoploop.compute.device import training_device
from shoploop.importance.estimators.judges import Calibration, log_loss
from shoploop.importance.estimators.stacked import Batches, Folds, StackedLinear
from shoploop.importance.estimators.table import Float32, Float64, Int64, Table

SLOPE = 0.2


@dataclass(frozen=True, kw_only=True)
class GanConfig:
    folds: int = 5
    hidden: int = 32
    noise: int = 8
    batch: int = 128
    steps: int = 150
    """At least; more where a pass over the samples takes more."""

    seen: int = 200_000
    """Samples that a pass goes over, at most, however many there are."""

    learning_rate: float = 0.01
    decays: tuple[float, ...] = (0.3, 0.1, 0.03, 0.01)
    """Each step shrinks the networks' weights by this share, so it says how simple they stay. Which of these is chosen by the
    discriminator's own out-of-fold log loss."""

    tuned_on: int = 5_000
    """Samples that the choice is made on, at most."""

    averaged_from: float = 0.5
    """The discriminator is the mean of its states after this share of the steps (Polyak averaging)."""

    last_rate: float = 0.1
    """The learning rate falls to this share along a cosine."""

    jitter: float = 0.3
    """Deviation of the noise on the discriminator's real inputs, in the features' own deviations."""

    mismatched: float = 0.5
    generated: float = 0.5
    """What these two kinds of pairs count beside the real ones, which count 1."""

    nearness: float = 1.0
    """How strongly the generator is held near its anchor."""

    def at(self, decay: float) -> "GanConfig":
        """The same with this decay."""
        return replace(self, decays=(decay,))

    def passes(self, samples: int) -> int:
        """Steps for one pass over the samples, not fewer than ``steps``."""
        return max(self.steps, min(samples, self.seen) // (2 * self.batch))


class Discriminator(nn.Module):
    """Logits of being a genuine pair, one a class: (E, B, K) to (E, B, C)."""

    def __init__(self, nets: int, features: int, classes: int, hidden: int, generator: torch.Generator):
        super().__init__()
        self.first = StackedLinear(nets, features, hidden, generator)
        self.second = StackedLinear(nets, hidden, classes, generator)
        self.direct = StackedLinear(nets, features, classes, generator, gain=0.1)

    def forward(self, x_EBK: Tensor) -> Tensor:
        return self.embed(x_EBK)[0]

    def embed(self, x_EBK: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (E, B, C) and hidden units (E, B, H)."""
        hidden_EBH = F.leaky_relu(self.first(x_EBK), SLOPE)
        return self.second(hidden_EBH) + self.direct(x_EBK), hidden_EBH

    def embed_one(self, net: int, x_BK: Tensor) -> tuple[Tensor, Tensor]:
        hidden_BH = F.leaky_relu(self.first.one(net, x_BK), SLOPE)
        return self.second.one(net, hidden_BH) + self.direct.one(net, x_BK), hidden_BH


class Generator(nn.Module):
    """Anchor, label and noise to features that should pass for the label."""

    def __init__(self, nets: int, features: int, classes: int, noise: int, hidden: int, generator: torch.Generator):
        super().__init__()
        self.noise = noise
        self.first = StackedLinear(nets, features + classes + noise, hidden, generator)
        self.second = StackedLinear(nets, hidden, features, generator, gain=0.1)

    def forward(self, anchor_EBK: Tensor, label_EBC: Tensor, draws: torch.Generator) -> Tensor:
        noise_EBZ = torch.randn(*anchor_EBK.shape[:2], self.noise, generator=draws).to(anchor_EBK.device)
        hidden = F.leaky_relu(self.first(torch.cat([anchor_EBK, label_EBC, noise_EBZ], dim=2)), SLOPE)
        return anchor_EBK + self.second(hidden)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedGan:
    folds: Folds
    discriminator: Discriminator
    generator: Generator
    history: list[dict[str, float]]
    """Losses and the discriminator's mean score of each kind of pair, at ten moments of the training."""

    decay: float = 0.0
    """The one that was chosen."""

    decay_losses: dict[str, float] = field(default_factory=dict)
    """Out-of-fold log loss of each that was on trial."""

    @property
    def device(self) -> torch.device:
        """Where it computes, and where its inputs must lie."""
        return self.discriminator.first.weight.device


def train_gan(table: Table, config: GanConfig, *, seed: int) -> TrainedGan:
    """Trains discriminator and generator against each other, non-saturating loss (Goodfellow et al. 2014).

    A GPU computes where :func:`~shoploop.compute.device.training_device` says so.
    """
    some = table.some(config.tuned_on, seed=seed)
    one = Folds.draw(some.y_N, folds=min(config.folds, len(some)), repeats=1, seed=seed)
    trial = Folds(fold_RN=np.repeat(one.fold_RN, len(config.decays), axis=0), folds=one.folds)
    # all are on trial at once, side by side, on the same folds
    tried = _trained(some, config, trial, np.repeat(config.decays, one.folds), seed=seed)
    losses = [_loss(scored(some, tried, repeats=[repeat]), some.y_N) for repeat, _ in enumerate(config.decays)]
    best = int(np.argmin(losses))
    if len(some) == len(table):
        gan = _only(tried, one, best)
    else:
        folds = Folds.draw(table.y_N, folds=config.folds, repeats=1, seed=seed)
        gan = _trained(table, config, folds, np.full(folds.nets, config.decays[best]), seed=seed)
    named = {str(decay): loss for decay, loss in zip(config.decays, losses, strict=True)}
    return replace(gan, decay=config.decays[best], decay_losses=named)


def _loss(score_NC: Float64, y_N: Int64) -> float:
    """Log loss of what the scores say once they are sharpened: strong decay makes them meek, not wrong."""
    return log_loss(Calibration.fit(score_NC, y_N, blind=True).chance(score_NC), y_N)


def _only(gan: TrainedGan, folds: Folds, repeat: int) -> TrainedGan:
    """The networks of one repeat."""
    nets = slice(repeat * folds.folds, (repeat + 1) * folds.folds)
    for net in (gan.discriminator, gan.generator):
        for parameter in net.parameters():
            parameter.data = parameter.data[nets].clone()
    return replace(gan, folds=folds)


def _trained(table: Table, config: GanConfig, folds: Folds, decay_E: Float64, *, seed: int) -> TrainedGan:
    device = training_device()
    draws = torch.Generator().manual_seed(seed)
    classes, features = len(table.classes), table.x_NK.shape[1]
    judge = Discriminator(folds.nets, features, classes, config.hidden, draws).to(device)
    forger = Generator(folds.nets, features, classes, config.noise, config.hidden, draws).to(device)
    # the decay is done here, since it is each network's own: AdamW knows one for all
    of_judge, of_forger = (
        torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=0.0, betas=(0.5, 0.9))
        for net in (judge, forger)
    )
    decay_E11 = torch.tensor(decay_E, dtype=torch.float32, device=device)[:, None, None]
    x_NK = torch.from_numpy(table.x_NK).to(device)
    steps = config.passes(len(table))
    schedules = [
        torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, eta_min=config.learning_rate * config.last_rate)
        for optimiser in (of_judge, of_forger)
    ]

    def shrink(net: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        share = optimiser.param_groups[0]["lr"] / config.learning_rate
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.mul_(1 - decay_E11 * share)

    averaged = torch.optim.swa_utils.AveragedModel(judge)
    history = []
    for step, (rows_EB, weights_EB) in enumerate(Batches(folds, table.y_N, size=config.batch, seed=seed).draw(steps)):
        weights_EB = weights_EB.to(device)
        x_EBK = x_NK[torch.from_numpy(rows_EB).to(device)]
        real_EBC = F.one_hot(torch.from_numpy(table.y_N[rows_EB]).to(device), classes).float()
        wanted_EBC = F.one_hot(torch.randint(classes, rows_EB.shape, generator=draws).to(device), classes).float()
        forged_EBK = forger(x_EBK, wanted_EBC, draws)
        logits_EBC = judge(x_EBK + config.jitter * torch.randn(x_EBK.shape, generator=draws).to(device))
        forged_EB = (judge(forged_EBK.detach()) * wanted_EBC).sum(2)
        matched_EB = (logits_EBC * real_EBC).sum(2)
        mismatch_EB = (F.softplus(logits_EBC) * (1 - real_EBC)).sum(2) / (classes - 1)
        loss = (
            F.softplus(-matched_EB) + config.mismatched * mismatch_EB + config.generated * F.softplus(forged_EB)
        ) * weights_EB
        of_judge.zero_grad()
        loss.sum().backward()
        shrink(judge, of_judge)
        of_judge.step()
        passed_EB = (judge(forged_EBK) * wanted_EBC).sum(2)
        moved_EB = (forged_EBK - x_EBK).square().mean(2)
        forger_loss = (F.softplus(-passed_EB) + config.nearness * moved_EB) * weights_EB
        # the judge's own gradients would be thrown away
        forger_loss.sum().backward(inputs=list(forger.parameters()))
        shrink(forger, of_forger)
        of_forger.step()
        of_forger.zero_grad()
        for schedule in schedules:
            schedule.step()
        if step >= config.averaged_from * steps:
            averaged.update_parameters(judge)
        if step % max(steps // 10, 1) == 0 or step == steps - 1:
            history.append(
                {
                    "step": step + 1,
                    "discriminator_loss": loss.sum().item() / folds.nets,
                    "generator_loss": forger_loss.sum().item() / folds.nets,
                    "real": torch.sigmoid(matched_EB).mean().item(),
                    "generated": torch.sigmoid(forged_EB).mean().item(),
                    "moved": moved_EB.mean().sqrt().item(),
                }
            )
    return TrainedGan(folds=folds, discriminator=averaged.module, generator=forger, history=history)


def scored(table: Table, gan: TrainedGan, *, repeats: Sequence[int] | None = None, chunk: int = 65_536) -> Float64:
    """The discriminator's score of each sample under every label, (N, C), by networks that did not see it."""
    asked = range(len(gan.folds.fold_RN)) if repeats is None else repeats
    score_NC = np.zeros((len(table), len(table.classes)))
    with torch.inference_mode():
        for net in (repeat * gan.folds.folds + fold for repeat in asked for fold in range(gan.folds.folds)):
            rows = gan.folds.held_out(net)
            for start in range(0, len(rows), chunk):
                part = rows[start : start + chunk]
                logits, _ = gan.discriminator.embed_one(net, torch.from_numpy(table.x_NK[part]).to(gan.device))
                score_NC[part] += torch.sigmoid(logits).cpu().double().numpy()
    return score_NC / len(asked)


def scored_new(x_MK: Float32, gan: TrainedGan) -> Float64:
    """The discriminator's score of rows that no network saw, under every label, (M, C): the mean of all."""
    with torch.inference_mode():
        x_MK_device = torch.from_numpy(np.asarray(x_MK, np.float32)).to(gan.device)
        nets = range(gan.folds.nets)
        found = [torch.sigmoid(gan.discriminator.embed_one(net, x_MK_device)[0]).cpu().double().numpy() for net in nets]
    return np.mean(found, axis=0)
