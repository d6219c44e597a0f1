"""SASRec (Kang, McAuley 2018, "Self-attentive sequential recommendation") with cross-entropy over all items.

The paper's architecture: item and place embeddings, blocks of causal attention and point-wise layers, normalised before each,
scores by the item embeddings. Its loss against one drawn item is left for the softmax over all, under which it is far
stronger (Klenitskiy, Vasilev 2023, "Turning dross into gold loss").

Legend: B sequences, L places, D width, I items, T targets.
"""

import copy
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from shoploop.bench.prediction.problem import Problem, Say
from shoploop.bench.prediction.rivals.interface import Sequences, judged, practice
from shoploop.compute.cores import one_thread
from shoploop.features.log import Float32, Int32
from shoploop.samples.sample_set import Request


@dataclass(frozen=True, kw_only=True)
class SasrecConfig:
    """As published for sparse logs; how long it learns, practice visits say."""

    width: int = 64
    length: int = 50
    blocks: int = 2
    heads: int = 1
    dropout: float = 0.5
    batch: int = 256
    learning_rate: float = 1e-3
    epochs: int = 60
    """At most."""

    patience: int = 4
    """Epochs without a better one on practice visits after which it ends."""


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


class Sasrec:
    """Behind the interface of all rivals."""

    def __init__(self, config: SasrecConfig | None = None):
        self.config = config or SasrecConfig()
        self.epoch_seconds: list[float] = []
        """Of learning alone."""

    @one_thread()
    def fit(self, problem: Problem, *, seed: int, say: Say) -> None:
        config = self.config
        torch.manual_seed(seed)
        rehearsal = practice(problem, seed=seed)
        self._histories = Sequences(problem.log, seed=seed)
        self._network = Network(len(problem.log.vocabulary), config)
        optimiser = torch.optim.Adam(self._network.parameters(), lr=config.learning_rate)
        windows = _windows(Sequences(rehearsal.past, seed=seed), config.length)
        rng = np.random.default_rng(seed)
        best, kept, since = -1.0, self._network.state_dict(), 0
        for epoch in range(config.epochs):
            began = time.perf_counter()
            self._network.train()
            for batch in _batches(windows, config.batch, rng):
                items_BL, targets_BL = _padded(batch, self._network.absent)
                out_BLD = self._network(items_BL)
                there_BL = targets_BL != self._network.absent
                loss = functional.cross_entropy(self._network.logits(out_BLD[there_BL]), targets_BL[there_BL])
                optimiser.zero_grad()
                torch.autograd.backward(loss)
                optimiser.step()
            self.epoch_seconds.append(time.perf_counter() - began)
            value = self._rehearsed(rehearsal, seed)
            say(f"sasrec: epoch {epoch + 1}, NDCG@10 on practice visits {value:.4f}")
            since += 1
            if value > best:
                best, kept, since = value, copy.deepcopy(self._network.state_dict()), 0
            if since >= config.patience:
                break
        self._network.load_state_dict(kept)

    def _rehearsed(self, rehearsal: Problem, seed: int) -> float:
        """How good it is on practice visits, whose histories are of another log."""
        histories, self._histories = self._histories, Sequences(rehearsal.log, seed=seed)
        value = float(judged(self, rehearsal, rehearsal.targets)["ndcg@10"].mean())
        self._histories = histories
        return value

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
