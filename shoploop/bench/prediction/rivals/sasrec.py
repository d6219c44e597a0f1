"""SASRec (Kang, McAuley 2018, "Self-attentive sequential recommendation") with cross-entropy over all items.

The paper's architecture: item and place embeddings, blocks of causal attention and point-wise layers, normalised before each,
scores by the item embeddings. Its loss against one drawn item is left for the softmax over all, under which it is far
stronger (Klenitskiy, Vasilev 2023, "Turning dross into gold loss"); 2,048 drawn items stand for all, in a third
of the time.

Legend: B sequences, L places, D width, I items, T targets, S drawn items.
"""

import copy
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from shoploop.bench.prediction.problem import Problem, Say
from shoploop.bench.prediction.rivals.interface import Sequences, judged, practice
from shoploop.compute.cores import one_thread
from shoploop.features.log import Float32, Int32
from shoploop.samples.sample_set import Request
from shoploop.training.pretraining import Drawing, PretrainingConfig


@dataclass(frozen=True, kw_only=True)
class SasrecConfig:
    """As published for sparse logs; how long it learns, practice visits say (record 0085)."""

    width: int = 64
    length: int = 50
    blocks: int = 2
    heads: int = 1
    dropout: float = 0.5
    batch: int = 128
    learning_rate: float = 1e-3
    drawn_items: int = 2_048
    """Items of a batch's softmax beside the targets, drawn by popularity and weighed by how many each stands for."""

    epochs: int = 120
    """At most."""

    look: int = 4
    """Epochs between looks at practice visits."""

    patience: int = 12
    """Epochs without a better one on practice visits after which it ends."""

    practice: int = 12_000
    """Practice visits, at most: of 2,000 the best epoch is a matter of luck."""


PIECE = 512
"""Targets whose logits are there at a time."""


class _Block(nn.Module):
    def __init__(self, config: SasrecConfig):
        super().__init__()
        width = config.width
        self.heads, self.dropout = config.heads, config.dropout
        self.attended, self.normed = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.inner, self.outer = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x_BLD: Tensor, seen_BLL: Tensor) -> Tensor:
        def split(y_BLD: Tensor) -> Tensor:
            return y_BLD.view(*y_BLD.shape[:2], self.heads, -1).transpose(1, 2)

        query_BLD = self.attended(x_BLD)
        mixed = functional.scaled_dot_product_attention(
            split(self.query(query_BLD)), split(self.key(x_BLD)), split(self.value(x_BLD)), attn_mask=seen_BLL[:, None]
        )
        x_BLD = query_BLD + self._dropped(mixed.transpose(1, 2).flatten(-2))
        inner_BLD = self.normed(x_BLD)
        out_BLD: Tensor = inner_BLD + self._dropped(self.outer(self._dropped(torch.relu(self.inner(inner_BLD)))))
        return out_BLD

    def _dropped(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training)


class Network(nn.Module):
    """What is learned."""

    def __init__(self, items: int, config: SasrecConfig):
        super().__init__()
        self.config, self.absent = config, items
        self.items = nn.Embedding(items + 1, config.width, padding_idx=items)
        self.places = nn.Embedding(config.length, config.width)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.width)
        for table in (self.items, self.places):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, items_BL: Tensor) -> Tensor:
        """What each place leads to, (B, L, D); sequences end at the right, ``absent`` fills the left."""
        longest = items_BL.shape[1]
        x_BLD = self.items(items_BL) * self.config.width**0.5 + self.places.weight[-longest:]
        x_BLD = functional.dropout(x_BLD, self.config.dropout, self.training)
        there_BL = items_BL != self.absent
        causal_LL = torch.ones(longest, longest, dtype=torch.bool).tril()
        # a place without an item sees itself, for a softmax over nothing is no number
        seen_BLL = (causal_LL & there_BL[:, None, :]) | torch.eye(longest, dtype=torch.bool)
        for block in self.blocks:
            x_BLD = block(x_BLD * there_BL[..., None], seen_BLL)
        out_BLD: Tensor = self.norm(x_BLD)
        return out_BLD

    def logits(self, out_TD: Tensor) -> Tensor:
        """(T, I)."""
        return out_TD @ self.items.weight[:-1].T


class _CrossEntropy(torch.autograd.Function):
    """Loss and gradients in one pass over pieces of the targets: logits kept for the way back would take most of the time."""

    @staticmethod
    def forward(
        ctx: Any, out_TD: Tensor, items_ID: Tensor, targets_T: Tensor, drawn_S: Tensor, log_count_S: Tensor
    ) -> Tensor:
        count, drawn_SD = len(targets_T), items_ID[drawn_S]
        drawn_DS = drawn_SD.T.contiguous()
        place_T = torch.searchsorted(drawn_S, targets_T).clamp_max(len(drawn_S) - 1)
        is_drawn_T = drawn_S[place_T] == targets_T
        out_grad_TD, drawn_grad_SD = torch.empty_like(out_TD), torch.zeros_like(drawn_SD)
        items_grad_ID, total = torch.zeros_like(items_ID), torch.zeros(())
        for start in range(0, count, PIECE):
            piece = slice(start, start + PIECE)
            own_TD, right_TD = out_TD[piece], items_ID[targets_T[piece]]
            right_T1 = (own_TD * right_TD).sum(1, keepdim=True)
            others_TS = torch.addmm(log_count_S, own_TD, drawn_DS)
            twice_T = is_drawn_T[piece].nonzero()[:, 0]
            others_TS[twice_T, place_T[piece][twice_T]] = -torch.inf
            top_T1 = torch.maximum(others_TS.amax(1, keepdim=True), right_T1)
            others_TS.sub_(top_T1).exp_()
            right_part_T1 = (right_T1 - top_T1).exp()
            sum_T1 = others_TS.sum(1, keepdim=True) + right_part_T1
            total += (sum_T1.log() + top_T1 - right_T1).sum()
            share_T1 = 1 / (sum_T1 * count)
            slope_T1 = right_part_T1 * share_T1 - 1 / count
            out_grad_TD[piece] = (others_TS @ drawn_SD) * share_T1 + right_TD * slope_T1
            drawn_grad_SD.addmm_(others_TS.T, own_TD * share_T1)
            items_grad_ID.index_add_(0, targets_T[piece], own_TD * slope_T1)
        ctx.save_for_backward(out_grad_TD, items_grad_ID.index_add_(0, drawn_S, drawn_grad_SD))
        return total / count

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        out_grad_TD, items_grad_ID = ctx.saved_tensors
        return out_grad_TD * grads[0], items_grad_ID * grads[0], None, None, None


def cross_entropy(out_TD: Tensor, items_ID: Tensor, targets_T: Tensor, drawn_S: Tensor, log_count_S: Tensor) -> Tensor:
    """Mean cross-entropy of the targets under a softmax over all items, for which those drawn stand.

    Args:
        out_TD: What each target is to be told by.
        items_ID: Of all items.
        targets_T: Codes.
        drawn_S: Codes, ascending; all of them make it exact.
        log_count_S: The logarithm of how many items each drawn one stands for.
    """
    loss: Tensor = _CrossEntropy.apply(out_TD, items_ID, targets_T, drawn_S, log_count_S)  # type: ignore[no-untyped-call]
    return loss


class Sasrec:
    """Behind the interface of all rivals."""

    def __init__(self, config: SasrecConfig | None = None):
        self.config = config or SasrecConfig()
        self.epoch_seconds: list[float] = []
        """Of learning alone."""

    @one_thread()
    def fit(self, problem: Problem, *, seed: int, say: Say) -> None:
        rehearsal = practice(problem, seed=seed, users=self.config.practice)
        self._histories = Sequences(rehearsal.log, seed=seed)
        best, kept, epochs = -1.0, {}, 0
        for epoch in self._learned(rehearsal, self.config.epochs, seed):
            if epoch % self.config.look and epoch < self.config.epochs:
                continue
            value = float(judged(self, rehearsal, rehearsal.targets)["ndcg@10"].mean())
            say(f"sasrec: epoch {epoch}, NDCG@10 on practice visits {value:.4f}")
            if value > best:
                best, kept, epochs = value, copy.deepcopy(self._network.state_dict()), epoch
            if epoch - epochs >= self.config.patience:
                break
        if rehearsal.past is problem.past:
            self._network.load_state_dict(kept)
        else:  # practice has held visits of the past back: once more with all of them
            for epoch in self._learned(problem, epochs, seed):
                say(f"sasrec: epoch {epoch} of {epochs} over all of the past")
        self._histories = Sequences(problem.log, seed=seed)

    def _learned(self, problem: Problem, epochs: int, seed: int) -> Iterator[int]:
        """Learns from the past anew; after each epoch its number, from 1."""
        config = self.config
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        self._network = Network(len(problem.log.vocabulary), config)
        optimiser = torch.optim.Adam(self._network.parameters(), lr=config.learning_rate)
        drawing = Drawing(problem.past, PretrainingConfig(drawn_items=config.drawn_items))
        for epoch in range(1, epochs + 1):
            began = time.perf_counter()
            self._network.train()
            # items of one day stand in another order each time: none of them is learned by heart
            windows = _windows(Sequences(problem.past, seed=int(rng.integers(2**32))), config.length)
            for batch in _batches(windows, config.batch, rng):
                items_BL, targets_BL = _padded(batch, self._network.absent)
                out_BLD = self._network(items_BL)
                there_BL = targets_BL != self._network.absent
                loss = cross_entropy(
                    out_BLD[there_BL], self._network.items.weight[:-1], targets_BL[there_BL], *drawing.draw(rng)
                )
                optimiser.zero_grad()
                torch.autograd.backward(loss)
                optimiser.step()
            self.epoch_seconds.append(time.perf_counter() - began)
            yield epoch

    def scores(self, requests: Sequence[Request]) -> Iterator[Float32]:
        self._network.eval()
        for start in range(0, len(requests), self.config.batch):
            histories = [
                self._histories.before(r)[-self.config.length :] for r in requests[start : start + self.config.batch]
            ]
            items_BL = _left_padded(histories, self._network.absent)
            with torch.inference_mode():
                scores_BI = self._network.logits(self._network(items_BL)[:, -1]).numpy()
            yield from scores_BI


def _windows(sequences: Sequences, length: int) -> list[Int32]:
    """Every user's items in pieces of ``length`` steps; the last item of a piece is the first of the next."""
    found = []
    for items in sequences:
        for end in range(len(items), 1, -length):
            found.append(items[max(end - length - 1, 0) : end])
    return found


def _batches(windows: Sequence[Int32], size: int, rng: np.random.Generator) -> Iterator[list[Int32]]:
    """Windows of like length in a batch, in any order."""
    lengths = np.array([len(window) for window in windows]) + rng.random(len(windows))
    order = np.argsort(lengths)
    for start in rng.permutation(np.arange(0, len(order), size)):
        yield [windows[place] for place in order[start : start + size]]


def _padded(windows: Sequence[Int32], absent: int) -> tuple[Tensor, Tensor]:
    return _left_padded([w[:-1] for w in windows], absent), _left_padded([w[1:] for w in windows], absent)


def _left_padded(sequences: Sequence[Int32], absent: int) -> Tensor:
    padded = np.full((len(sequences), max(1, *(len(s) for s in sequences))), absent, np.int64)
    for row, items in enumerate(sequences):
        if len(items):
            padded[row, -len(items) :] = items
    return torch.from_numpy(padded)
