"""The Transformer learns from the whole log before it is mixed: at each visit, which items of all are bought, in their order.

The list-wise loss over a request's candidates sees a few thousand visits and of each the items that were fetched. Here every
visit of the log is a question, and all items are answers: a softmax over them, full where they are few and else over drawn
ones, corrected by how likely each is drawn (Bengio, Senécal 2008, "Adaptive importance sampling to accelerate training of a
neural probabilistic language model"; Jean et al. 2015, section 3).

Legend: V visits, B visits of a batch, R rows of the log, E purchases before a visit, L baskets, T bought items, S drawn
items, I items, D width.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional

from shoploop.compute.cores import one_thread
from shoploop.compute.parallel import Group, group
from shoploop.features.baskets import BASKETS, NO_AGE
from shoploop.features.log import PurchaseLog
from shoploop.models.inputs import Batch
from shoploop.models.sequence import SequenceModel
from shoploop.training.checkpoint import Checkpoint, Progressed
from shoploop.training.sequence_task import SequenceTask

Ints = npt.NDArray[np.int64]

CELLS_AT_ONCE = 1_000_000
"""Purchases that are embedded at once, padding included; as numbers they take a quarter of a gigabyte. An ordinary batch
has a tenth of that."""

PRETRAINED_RATE = 0.3
"""Of the learning rate on candidates: what was learned from the log is to be fitted to them, and kept."""


@dataclass(frozen=True, kw_only=True)
class PretrainingConfig:
    """How the Transformer learns alone from the log; how long, :mod:`shoploop.training.sequence_task` decides."""

    epochs: int = 8
    batch_visits: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    drawn_items: int = 1024
    """Items of a batch's softmax beside those that were bought; a vocabulary of no more is read whole."""

    popularity_power: float = 0.5
    """Items are drawn by how often they are bought, to this power."""

    baskets: int = 12
    """Last baskets that are read: those before cost more time than they tell of all items."""

    dropout: float = 0.3
    """Of the user's state, in the place of the encoder's own: short histories are else learned by heart."""

    first_day: int = 0
    """Visits before it are read, and not asked."""

    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Visits:
    """Visits as questions: what was bought before each, its last baskets, and what was bought at it."""

    log: PurchaseLog
    asked_V: Ints
    """Numbers of the visits that are asked, each with one before it by the same user."""

    first_V1: Ints
    """First row of every visit of the log, and the end."""

    back_V: Ints
    """How many visits of the same user lie before, as far as they are read."""

    day_V: Ints

    @classmethod
    def of(cls, log: PurchaseLog, most: int = BASKETS, first_day: int = 0) -> "Visits":
        """The visits from a day on that have others before them, of which the last ``most`` are read."""
        _, first_V = log.baskets()
        user_V = log.user_R[first_V]
        starts_V = np.concatenate([[True], user_V[1:] != user_V[:-1]])
        place_V = np.arange(len(user_V))
        back_V = place_V - np.maximum.accumulate(np.where(starts_V, place_V, 0))
        return cls(
            log=log,
            asked_V=np.flatnonzero((back_V > 0) & (log.day_R[first_V] >= first_day)),
            first_V1=np.append(first_V, len(log)).astype(np.int64),
            back_V=np.minimum(back_V, most).astype(np.int64),
            day_V=log.day_R[first_V].astype(np.int64),
        )

    def __len__(self) -> int:
        return len(self.asked_V)

    def batches(self, size: int, rng: np.random.Generator) -> Iterator[Ints]:
        """The visits in any order, those with as many baskets behind them together: padding would double the work."""
        order = self.asked_V[np.argsort(self.back_V[self.asked_V] + rng.random(len(self)))]
        for start in rng.permutation(np.arange(0, len(order), size)):
            yield order[start : start + size]

    def pieces(self, asked_B: Ints, cells: int) -> list[Ints]:
        """Places in ``asked_B``, so that no piece of several has more purchases behind it, padded, than ``cells``."""
        rows_B = self.first_V1[asked_B] - self.first_V1[asked_B - self.back_V[asked_B]]
        if len(rows_B) * int(rows_B.max()) <= cells:
            return [np.arange(len(rows_B))]
        order = np.argsort(rows_B, kind="stable")  # one long history pads its like alone
        found, start = [], 0
        for end in range(1, len(order) + 1):
            if end == len(order) or (end + 1 - start) * int(rows_B[order[end]]) > cells:
                found.append(order[start:end])
                start = end
        return found

    def history(self, asked_B: Ints) -> Batch:
        """What the model reads of these visits; they have no candidates."""
        back_B = self.back_V[asked_B]
        baskets = int(back_B.max())
        lag_BL = np.arange(1, baskets + 1)[None, :]
        ages_BL = self.day_V[asked_B][:, None] - self.day_V[np.maximum(asked_B[:, None] - lag_BL, 0)]
        ages_BL = np.where(lag_BL <= back_B[:, None], ages_BL, NO_AGE)
        first_B, end_B = self.first_V1[asked_B - back_B], self.first_V1[asked_B]
        row_BE = first_B[:, None] + np.arange(int((end_B - first_B).max()))[None, :]
        there_BE = row_BE < end_B[:, None]
        row_BE = np.where(there_BE, row_BE, 0)
        of_row_BE = np.searchsorted(self.first_V1, row_BE, side="right") - 1
        baskets_BE = np.where(there_BE, asked_B[:, None] - 1 - of_row_BE, baskets)
        nothing = torch.zeros(len(asked_B), 0)
        return Batch(
            items_BN=nothing.long(),
            mask_BN=nothing.bool(),
            features_BNK=nothing[..., None],
            ages_BL=torch.from_numpy(ages_BL),
            events_BE=torch.from_numpy(np.where(there_BE, self.log.item_R[row_BE], 0).astype(np.int64)),
            baskets_BE=torch.from_numpy(baskets_BE),
            places_BE=torch.from_numpy(np.zeros_like(baskets_BE)),
        )

    def bought(self, asked_B: Ints) -> tuple[Tensor, Tensor, Tensor]:
        """What was bought at these visits: each item's visit (a place in ``asked_B``), code, and share of the visit, (T,)."""
        sizes_B = self.first_V1[asked_B + 1] - self.first_V1[asked_B]
        visit_T = np.repeat(np.arange(len(asked_B)), sizes_B)
        row_T = np.arange(len(visit_T)) - np.repeat(np.cumsum(sizes_B) - sizes_B, sizes_B)
        row_T += np.repeat(self.first_V1[asked_B], sizes_B)
        # long baskets say more, though less than in proportion: as in the loss over candidates
        share_T = (1 / np.sqrt(sizes_B))[visit_T]
        return (
            torch.from_numpy(visit_T),
            torch.from_numpy(self.log.item_R[row_T].astype(np.int64)),
            torch.from_numpy(share_T.astype(np.float32)),
        )


def pretrain_for(
    task: SequenceTask,
    model: SequenceModel,
    log: PurchaseLog,
    *,
    seed: int,
    progress: Callable[[float, float, str], None] = lambda done, total, what: None,
    checkpoint: Checkpoint | None = None,
) -> list[dict[str, Any]]:
    """Does what the task says, which may be nothing; returns each epoch's ``loss`` and ``seconds``.

    Of several processes the first one learns, and tells the others what it has learned: shares of batches this small would
    cost more in sums than they save.

    Args:
        task: What the log asks for.
        model: As of :func:`pretrain`, in every process.
        log: Likewise.
        seed: Of the order of visits, of the items that are drawn, and of dropout.
        progress: Told the epochs that are over, how many there are, and what they are.
        checkpoint: As of :func:`pretrain`.
    """
    if not task.epochs:
        return []
    rows: list[dict[str, Any]] = []
    together = group()
    if together.rank == 0:
        config = PretrainingConfig(epochs=task.epochs, first_day=task.first_day, seed=seed)

        def told(row: dict[str, Any]) -> bool:
            progress(row["epoch"], task.epochs, "epochs of the log")
            return True

        rows = pretrain(model, log, config, after_epoch=told, checkpoint=checkpoint)
    if together.size > 1:
        learned = {name: value.detach().cpu().contiguous().clone() for name, value in model.state_dict().items()}
        words = together.told(save(learned) if together.rank == 0 else None)
        assert words is not None
        model.load_state_dict(load(words))
    return rows


def pretrain(
    model: SequenceModel,
    log: PurchaseLog,
    config: PretrainingConfig | None = None,
    *,
    after_epoch: Callable[[dict[str, Any]], bool] = lambda row: True,
    checkpoint: Checkpoint | None = None,
) -> list[dict[str, Any]]:
    """Teaches the sequence module alone, in place: the user's state, what items mean, and how much each sells.

    In one thread, so that the digits do not depend on how many cores there are. The repeat term is left as it is: it learns
    from candidates.

    Args:
        model: Fresh, with factors set, where it is to compute.
        log: The purchases to learn from: none that a later sample has as its label.
        config: How long, and how.
        after_epoch: Told each epoch's ``epoch`` (from 1), ``loss`` and ``seconds``; False ends the training.
        checkpoint: Where it is kept after each epoch how far the training is, so that one that was killed goes on to the
            same bytes.

    Returns:
        All that ``after_epoch`` was told, and before a kill.
    """
    config = config or PretrainingConfig()
    visits = Visits.of(log, config.baskets, config.first_day)
    if not len(visits):
        return []
    rng = np.random.default_rng(config.seed)
    drawing = Drawing(log, config)
    steps = config.epochs * -(-len(visits) // config.batch_visits)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, total_steps=steps, pct_start=0.1)
    device = model.item_bias_I.device
    alone = Group()  # whoever else there is does not take part
    checkpoint = checkpoint or Checkpoint(None, {})
    rows: list[dict[str, Any]] = []
    with one_thread(), _whole(model):
        torch.manual_seed(config.seed)
        if going_on := checkpoint.load(alone):
            going_on.restore(model, optimiser, schedule, rng, alone)
            rows = list(going_on.curves)
        for epoch in range(len(rows), config.epochs):
            began, total, seen = time.perf_counter(), 0.0, 0
            model.train()
            for asked_B in visits.batches(config.batch_visits, rng):
                visit_T, item_T, share_T = (each.to(device) for each in visits.bought(asked_B))
                drawn_S, log_count_S = (each.to(device) for each in drawing.draw(rng))
                user_BD = functional.dropout(_states(model, visits, asked_B), config.dropout)
                loss = _loss(model, user_BD, visit_T, item_T, share_T, drawn_S, log_count_S)
                optimiser.zero_grad()
                torch.autograd.backward(loss)
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimiser.step()
                schedule.step()
                total, seen = total + len(asked_B) * loss.item(), seen + len(asked_B)
            rows.append({"epoch": epoch + 1, "loss": total / seen, "seconds": time.perf_counter() - began})
            done = Progressed(epoch=epoch + 1, step=0, sums=np.zeros(1), curves=rows)
            checkpoint.save(done, model, optimiser, schedule, rng.bit_generator.state, None, alone)
            if not after_epoch(rows[-1]):
                break
    model.eval()
    return rows


def _states(model: SequenceModel, visits: Visits, asked_B: Ints) -> Tensor:
    """The user's state at each of these visits, (B, D)."""
    device = model.item_bias_I.device
    pieces = visits.pieces(asked_B, CELLS_AT_ONCE)
    states = [model.encode(visits.history(asked_B[piece]).to(device))[0] for piece in pieces]
    if len(states) == 1:
        return states[0]
    return torch.cat(states)[torch.from_numpy(np.argsort(np.concatenate(pieces))).to(device)]


@contextmanager
def _whole(model: SequenceModel) -> Iterator[None]:
    """Within it the encoder drops nothing: random numbers for every token are a fifth of the time."""
    dropped = [module for module in model.encoder.modules() if isinstance(module, nn.Dropout)]
    before = [module.p for module in dropped]
    for module in dropped:
        module.p = 0.0
    try:
        yield
    finally:
        for module, p in zip(dropped, before, strict=True):
            module.p = p


class Drawing:
    """Items of a softmax: all where they are few, or so many drawn by how often they are bought."""

    def __init__(self, log: PurchaseLog, config: PretrainingConfig):
        counts_I = np.bincount(log.item_R, minlength=len(log.vocabulary)).astype(np.float64)
        # an item that nobody bought is a wrong answer now and then, too, or its score would be anything
        self._chance_I = (counts_I + 1) ** config.popularity_power
        self._chance_I /= self._chance_I.sum()
        self._ladder_I = np.cumsum(self._chance_I)
        self._size = config.drawn_items

    def draw(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Items, ascending, and the logarithm of how many each stands for, (S,)."""
        if len(self._chance_I) <= self._size:
            return torch.arange(len(self._chance_I)), torch.zeros(len(self._chance_I))
        drawn = np.minimum(np.searchsorted(self._ladder_I, rng.random(self._size)), len(self._ladder_I) - 1)
        items_S, times_S = np.unique(drawn, return_counts=True)
        log_count_S = np.log(times_S / (self._size * self._chance_I[items_S]))
        return torch.from_numpy(items_S), torch.from_numpy(log_count_S.astype(np.float32))


def _loss(
    model: SequenceModel,
    user_BD: Tensor,
    visit_T: Tensor,
    item_T: Tensor,
    share_T: Tensor,
    drawn_S: Tensor,
    log_count_S: Tensor,
) -> Tensor:
    """Cross-entropy of each bought item against all that was not bought at the visit, of which the drawn ones tell."""
    rivals_BS = user_BD @ model.vectors_of(drawn_S).T + (model.item_bias_I[drawn_S] + log_count_S)
    right_T = (user_BD[visit_T] * model.vectors_of(item_T)).sum(dim=-1) + model.item_bias_I[item_T]
    place_T = torch.searchsorted(drawn_S, item_T).clamp_max(len(drawn_S) - 1)
    drawn_T = drawn_S[place_T] == item_T
    bought_BS = torch.zeros_like(rivals_BS, dtype=torch.bool)
    bought_BS[visit_T[drawn_T], place_T[drawn_T]] = True
    others_B = torch.logsumexp(rivals_BS.masked_fill(bought_BS, -torch.inf), dim=-1)
    surprise_T = torch.logaddexp(others_B[visit_T], right_T) - right_T
    return (share_T * surprise_T).sum() / share_T.sum()
