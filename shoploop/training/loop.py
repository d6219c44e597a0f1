"""The training loop: list-wise loss, early stopping, the same bytes under the same seed.

First each module learns alone, so that either can serve alone; then α and both modules learn together. It computes where
the model lies, and together with the other processes of :func:`shoploop.compute.parallel.joined`, if there are any.

Legend: B requests, N candidates.
"""

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shoploop.compute.cores import one_thread
from shoploop.compute.parallel import Group, group
from shoploop.models.fusion import FusedModel, Scores, Surface
from shoploop.models.inputs import Batch, ModelInput, collate
from shoploop.samples.sample_set import SampleSet
from shoploop.training.adversarial import perturbed
from shoploop.training.checkpoint import Checkpoint, Progressed

Progress = Callable[[float, float, str], None]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    epochs: int = 4
    """Passes in which each module learns alone."""

    joint_epochs: int = 1
    """Passes after that in which α and both modules learn together."""

    learning_rate: float = 1e-3
    joint_learning_rate: float = 3e-4
    behaviour_rate: float = 2.0
    """The DNN's learning rate in those of the rest, while it learns alone: it has no attention that could come apart."""

    sequence_rate: float = 1.0
    """The Transformer's, likewise: one that knows the log already would else forget it."""

    alpha_learning_rate: float = 3e-2
    weight_decay: float = 1e-2
    batch_requests: int = 32
    own_loss_share: float = 0.5
    """Weight of each module's own loss while they learn together; at 0 the modules would no longer serve alone."""

    taught_share: float = 0.6
    """Weight of what a teacher says in what the DNN is to answer, where samples have one; at 0 there is none
    (:mod:`shoploop.training.teaching`)."""

    micro_requests: int | None = None
    """Requests whose gradients a process computes at a time; the steps are the same, and less memory is taken. Unset: its
    whole share of a batch."""

    adversarial_radius: float = 0.0
    """Step of the fast gradient on the items' embeddings, as a share of their length; 0 trains without, more takes
    twice the time."""

    seed: int = 0


@dataclass
class Curves:
    """What a training went through, per epoch."""

    epochs: list[dict[str, Any]] = field(default_factory=list)


def listwise_loss(
    scores_BN: Tensor,
    labels_BN: Tensor,
    mask_BN: Tensor,
    weights_BN: Tensor,
    *,
    taught_BN: Tensor | None = None,
    taught_share: float = 0.0,
) -> Tensor:
    """Cross-entropy between the softmax over a request's candidates and its bought items, each counting alike.

    Args:
        scores_BN: Logits.
        labels_BN: 1 where bought.
        mask_BN: False pads.
        weights_BN: What each sample counts, 1 by default: a positive in its request's loss and in what the request
            counts, a negative by its share in the softmax's sum. A positive is in that sum once at most: it counts more
            as what is wanted, not as a rival of itself (docs/decisions/0051). A sample of weight 0 is as if it were not
            there.
        taught_BN: What a teacher says, as chances.
        taught_share: Its weight beside what was bought.

    Returns:
        The mean over requests with a positive. Listwise softmax as in Cao et al. 2007 (ListNet), top one.
    """
    mask_BN = mask_BN & (weights_BN > 0)
    # a weight w on a rival is the same as having it w times in the list
    share_BN = torch.where(labels_BN > 0, weights_BN.clamp(max=1.0), weights_BN)
    logits_BN = scores_BN + torch.log(share_BN.masked_fill(~mask_BN, 1.0))
    some_B = (labels_BN * mask_BN).sum(dim=1) > 0
    # a list of nothing has no softmax: its sum would make the gradient of all others NaN
    logits_BN = logits_BN.masked_fill(~mask_BN & some_B[:, None], -torch.inf)
    log_chance_BN = scores_BN - torch.logsumexp(logits_BN, dim=1, keepdim=True)
    wanted_BN = labels_BN * weights_BN * mask_BN
    totals_B = wanted_BN.sum(dim=1)
    log_chance_BN = log_chance_BN.masked_fill(~mask_BN, 0.0)
    loss_B = -(wanted_BN * log_chance_BN).sum(dim=1) / totals_B.clamp_min(1e-6)
    if taught_BN is not None and taught_share:
        taught_BN = taught_BN * mask_BN
        surprise_B = -(taught_BN * log_chance_BN).sum(dim=1) / taught_BN.sum(dim=1).clamp_min(1e-6)
        loss_B = (1 - taught_share) * loss_B + taught_share * surprise_B
    count_B = _counts(totals_B, some_B)
    return (loss_B * count_B).sum() / count_B.sum().clamp_min(1e-6)


def _counts(totals_B: Tensor, some_B: Tensor) -> Tensor:
    """What each request counts: long baskets say more about their user, though less than in proportion."""
    return torch.sqrt(totals_B) * some_B


def model_input(samples: SampleSet, request: int) -> ModelInput:
    """One request of a set as the models read it."""
    rows = samples.rows(request)
    return ModelInput(
        items_N=samples.items_R[rows],
        features_NK=samples.features_RK[rows],
        sequence=samples.sequence(request),
        query=None if samples.queries is None else samples.queries[request],
        shops_L=None if samples.shops_QL is None else samples.shops_QL[request],
    )


@dataclass(frozen=True, kw_only=True)
class LabelledBatch:
    batch: Batch
    labels_BN: Tensor
    weights_BN: Tensor
    taught_BN: Tensor | None = None

    def to(self, device: torch.device) -> "LabelledBatch":
        return LabelledBatch(
            batch=self.batch.to(device),
            labels_BN=self.labels_BN.to(device),
            weights_BN=self.weights_BN.to(device),
            taught_BN=None if self.taught_BN is None else self.taught_BN.to(device),
        )

    def counts(self) -> Tensor:
        """What all its requests count together in the loss."""
        wanted_BN = self.labels_BN * self.weights_BN * self.batch.mask_BN
        return _counts(wanted_BN.sum(dim=1), wanted_BN.sum(dim=1) > 0).sum()


def batches(
    samples: SampleSet, order: "np.ndarray[Any, np.dtype[np.int64]]", size: int, group: Group | None = None
) -> Iterator[LabelledBatch]:
    """The requests in this order, ``size`` at a time; of each batch a group's process gets its share."""
    group = group or Group()
    for start in range(0, len(order), size):
        yield _labelled(samples, group.share(order[start : start + size]))


def shares(
    samples: SampleSet,
    order: "np.ndarray[Any, np.dtype[np.int64]]",
    config: TrainConfig,
    group: Group,
    *,
    begin: int = 0,
    whole: bool = True,
) -> Iterator[Iterator[LabelledBatch]]:
    """For each step this process's share of its batch, in the pieces that are computed at a time; at least one.

    Args:
        samples: All requests, or those that this process owns.
        order: Numbers among all requests, as every process has drawn them.
        begin: Steps of this order that are over.
        whole: Whether ``samples`` are all requests.
    """
    for start in range(begin * config.batch_requests, len(order), config.batch_requests):
        drawn = order[start : start + config.batch_requests]
        chosen = group.share(drawn) if whole else group.owned(drawn)
        piece = config.micro_requests or max(len(chosen), 1)
        yield (_labelled(samples, chosen[low : low + piece]) for low in range(0, max(len(chosen), 1), piece))


def _labelled(samples: SampleSet, chosen: "np.ndarray[Any, np.dtype[np.int64]]") -> LabelledBatch:
    """A batch of these requests; of none, one that counts nothing: its process must take part in every sum all the same."""
    idle = not len(chosen)
    if idle:
        chosen = np.zeros(1, np.int64)
    batch = collate([model_input(samples, int(q)) for q in chosen])
    labels_BN = torch.zeros(batch.mask_BN.shape)
    weights_BN = torch.ones(batch.mask_BN.shape)
    taught_BN = None if samples.taught_R is None else torch.zeros(batch.mask_BN.shape)
    for b, q in enumerate(chosen):
        low, high = samples.offsets_Q1[q], samples.offsets_Q1[q + 1]
        labels_BN[b, : high - low] = torch.from_numpy(samples.labels_R[low:high].astype(np.float32))
        if samples.weights_R is not None:
            weights_BN[b, : high - low] = torch.from_numpy(samples.weights_R[low:high])
        if taught_BN is not None and samples.taught_R is not None:
            taught_BN[b, : high - low] = torch.from_numpy(samples.taught_R[low:high])
    if idle:
        weights_BN.zero_()
    return LabelledBatch(batch=batch, labels_BN=labels_BN, weights_BN=weights_BN, taught_BN=taught_BN)


def losses(scores: Scores, labelled: LabelledBatch, *, taught_share: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """Of the DNN, which may have a teacher, the Transformer and the fused score."""
    rest = (labelled.labels_BN, labelled.batch.mask_BN, labelled.weights_BN)
    return (
        listwise_loss(scores.dnn_BN, *rest, taught_BN=labelled.taught_BN, taught_share=taught_share),
        listwise_loss(scores.transformer_BN, *rest),
        listwise_loss(scores.fused_BN, *rest),
    )


def _objective(
    model: FusedModel, labelled: LabelledBatch, config: TrainConfig, joint: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What a step lowers, and the three losses."""
    dnn, transformer, fused = losses(model(labelled.batch), labelled, taught_share=config.taught_share)
    loss = fused + config.own_loss_share * (dnn + transformer) if joint else dnn + transformer
    return loss, dnn, transformer, fused


@one_thread()
def fit(
    model: FusedModel,
    train: SampleSet,
    validation: SampleSet,
    config: TrainConfig,
    *,
    progress: Progress = lambda done, total, what: None,
    after_alone: Callable[[FusedModel], None] = lambda model: None,
    after_epoch: Callable[[dict[str, Any]], None] = lambda row: None,
    after_step: Callable[[int, float], None] | None = None,
    requests: int | None = None,
    checkpoint: Checkpoint | None = None,
) -> Curves:
    """Trains the model in place and leaves it at its best epoch by the validation loss of the fused score.

    On a CPU in one thread: the digits of a version must not depend on how many cores there are.

    Args:
        model: Fresh, with factors and standardisation set.
        train: Samples to learn from; at least one request with a positive.
        validation: Samples that decide which epoch is kept; may be empty, then it is the last.
        config: Epochs and step sizes. ``batch_requests`` are those of all processes together.
        progress: Called with the epochs done, the total, and "epochs".
        after_alone: Called once between the two phases with the model as it then is.
        after_epoch: Given each epoch's row of the curves; what it raises ends the training.
        after_step: Given the number of each step, from 0, and the loss of its whole batch.
        requests: Of all processes together, where ``train`` holds only those that this one owns (:meth:`Group.owned`).
            Unset: ``train`` holds all.
        checkpoint: Where it is kept how far the training is, so that one that was killed goes on. One process alone comes to
            the bytes of a training that nobody has killed; of several each draws its dropout anew.
    """
    together = group()
    torch.manual_seed(config.seed + 1_000_003 * together.rank)  # of dropout, which is each process's own
    rng = np.random.default_rng(config.seed)
    curves = Curves()
    total = config.epochs + config.joint_epochs
    count, whole = (len(train), True) if requests is None else (requests, False)
    best: tuple[float, dict[str, Tensor]] | None = None
    steps = max(-(-count // config.batch_requests), 1)
    checkpoint = checkpoint or Checkpoint(None, {})
    going_on = checkpoint.load(together)
    for epoch in range(going_on.epoch if going_on else 0, total):
        started = time.perf_counter()
        joint = epoch >= config.epochs
        begins = epoch in (0, config.epochs) and not (going_on and going_on.step)
        if begins or going_on:
            optimiser, schedule = _optimiser(model, config, joint, count)
        sums, step = np.zeros(3), 0
        if going_on:
            best = going_on.restore(model, None if begins else optimiser, None if begins else schedule, rng, together)
            curves.epochs = list(going_on.curves)
            sums, step = going_on.sums if together.rank == 0 else sums, going_on.step
            going_on = None
        if joint and begins:
            after_alone(model)
        drawn_with = rng.bit_generator.state
        model.train()
        factors_IF = model.sequence.factors_IF
        for pieces in shares(train, rng.permutation(count), config, together, begin=step, whole=whole):
            own = [piece.to(model.device) for piece in pieces]
            parts = _parts(own, together)
            optimiser.zero_grad()
            factors_IF.requires_grad_(config.adversarial_radius > 0)
            seen = np.zeros(3)
            for labelled, part in zip(own, parts, strict=True):
                loss, dnn, transformer, fused = _objective(model, labelled, config, joint)
                torch.autograd.backward(part * loss)
                seen += [part * dnn.item(), part * transformer.item(), part * fused.item()]
            if config.adversarial_radius > 0:
                together.sum_gradients([factors_IF])
                with perturbed(factors_IF, config.adversarial_radius):
                    for labelled, part in zip(own, parts, strict=True):
                        torch.autograd.backward(part * _objective(model, labelled, config, joint)[0])
            factors_IF.requires_grad_(False)
            together.sum_gradients(model.parameters())
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            sums += seen
            step += 1
            if after_step is not None:
                after_step(epoch * steps + step - 1, together.totals(seen.tolist())[2])
            if checkpoint.is_due(step):
                at = Progressed(
                    epoch=epoch, step=step, sums=np.array(together.totals(sums.tolist())), curves=curves.epochs
                )
                checkpoint.save(at, model, optimiser, schedule, drawn_with, best, together)
        sums = np.array(together.totals(sums.tolist()))
        row: dict[str, Any] = {"epoch": epoch + 1, "phase": "together" if joint else "alone", "alpha": model.alpha}
        row["train_loss"] = dict(zip(("dnn", "transformer", "fused"), (sums / steps).tolist(), strict=True))
        if len(validation):
            row["validation_loss"] = validation_loss(model, validation)
            if joint and (best is None or row["validation_loss"]["fused"] < best[0]):
                best = row["validation_loss"]["fused"], copy.deepcopy(model.state_dict())
        row["seconds"] = time.perf_counter() - started
        curves.epochs.append(row)
        done = Progressed(epoch=epoch + 1, step=0, sums=np.zeros(3), curves=curves.epochs)
        checkpoint.save(done, model, optimiser, schedule, rng.bit_generator.state, best, together)
        progress(epoch + 1, total, "epochs")  # not before it is kept: what was said to be done is not done again
        after_epoch(row)
    if going_on:  # all of it was done, but for what comes of it
        best, curves.epochs = going_on.restore(model, None, None, rng, together), list(going_on.curves)
    if best is not None:
        model.load_state_dict(best[1])
    return curves


def _parts(own: list[LabelledBatch], together: Group) -> list[float]:
    """How much of the whole batch's loss is each of this process's pieces."""
    if together.size == 1 and len(own) == 1:
        return [1.0]
    counts = [float(piece.counts()) for piece in own]
    whole = max(together.totals([sum(counts)])[0], 1e-6)
    return [count / whole for count in counts]


def _optimiser(
    model: FusedModel, config: TrainConfig, joint: bool, requests: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    rate = config.joint_learning_rate if joint else config.learning_rate
    behaviour_rate = rate if joint else rate * config.behaviour_rate
    sequence_rate = rate if joint else rate * config.sequence_rate
    optimiser = torch.optim.AdamW(
        [
            {"params": list(model.sequence.parameters()), "lr": sequence_rate, "weight_decay": config.weight_decay},
            {"params": list(model.behaviour.parameters()), "lr": behaviour_rate, "weight_decay": config.weight_decay},
            {"params": [model.alpha_logits], "lr": config.alpha_learning_rate, "weight_decay": 0.0},
        ]
    )
    epochs = config.joint_epochs if joint else config.epochs
    steps = max(epochs * -(-requests // config.batch_requests), 1)
    return optimiser, torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, eta_min=rate * 0.05)


def validation_loss(
    model: FusedModel, samples: SampleSet, batch_requests: int = 64, *, surface: Surface = "items"
) -> dict[str, float]:
    """The three losses on these samples, without dropout."""
    model.eval()
    sums, seen = np.zeros(3), 0
    with torch.inference_mode():
        for labelled in batches(samples, np.arange(len(samples)), batch_requests):
            size = len(labelled.labels_BN)
            labelled = labelled.to(model.device)
            sums += [size * loss.item() for loss in losses(model(labelled.batch, surface), labelled)]
            seen += size
    return dict(zip(("dnn", "transformer", "fused"), (sums / max(seen, 1)).tolist(), strict=True))
