"""Two networks that tell an item's category, and both fused: r = α·r_dnn + (1 − α)·r_transformer, as the product fuses them.

The DNN reads how the item is bought and the mean of its title's words and pieces of words; in the Transformer these attend to
each other and to the baskets that the item lay in.

Legend: B items of a batch, C classes, P pieces, L baskets, T tokens, D width, S statistics.
"""

import copy
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from shoploop.bench.classification.problem import Items
from shoploop.compute.cores import one_thread

Part = Literal["dnn", "transformer", "fused"]
PARTS: tuple[Part, ...] = ("dnn", "transformer", "fused")


@dataclass(frozen=True, kw_only=True)
class TowersConfig:
    width: int = 64
    heads: int = 4
    layers: int = 2
    hidden: tuple[int, int] = (128, 64)
    dropout: float = 0.2
    epochs: int = 12
    """In which each learns alone."""

    joint_epochs: int = 3
    """After that, α with them; each keeps half the weight on its own loss."""

    batch: int = 64
    learning_rate: float = 2e-3
    alpha_learning_rate: float = 3e-2
    weight_decay: float = 1e-2


class Towers(nn.Module):
    """What is learned."""

    def __init__(self, items: Items, config: TowersConfig):
        super().__init__()
        self.config = config
        width, classes = config.width, len(items.classes)
        pieces, wide = int(items.pieces_NP.max()) + 1, items.behaviour_NS.shape[1]
        self.bag = nn.EmbeddingBag(pieces, width, padding_idx=0, mode="mean")
        first, second = config.hidden
        self.layers = nn.Sequential(
            nn.Linear(wide + width, first), nn.SiLU(), nn.Dropout(config.dropout),
            nn.Linear(first, second), nn.SiLU(), nn.Dropout(config.dropout), nn.Linear(second, classes),
        )  # fmt: skip
        self.pieces = nn.Embedding(pieces, width, padding_idx=0)
        self.basket = nn.Linear(items.baskets_NLF.shape[2], width)
        self.whole = nn.Parameter(torch.zeros(1, 1, width))
        layer = nn.TransformerEncoderLayer(
            width, config.heads, 2 * width, config.dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, classes)
        self.alpha_logit = nn.Parameter(torch.zeros(()))

    @property
    def alpha(self) -> float:
        """The DNN's share."""
        return torch.sigmoid(self.alpha_logit).item()

    def forward(self, behaviour_BS: Tensor, pieces_BP: Tensor, baskets_BLF: Tensor) -> dict[Part, Tensor]:
        """Logits of each part, (B, C)."""
        dnn_BC = self.layers(torch.cat([behaviour_BS, self.bag(pieces_BP)], dim=1))
        size = len(pieces_BP)
        tokens_BTD = torch.cat(
            [
                self.whole.expand(size, 1, -1),
                self.pieces(pieces_BP),
                self.basket(baskets_BLF),
            ],
            dim=1,
        )
        there_BT = torch.cat(
            [torch.ones(size, 1, dtype=torch.bool), pieces_BP > 0, (baskets_BLF != 0).any(dim=-1)], dim=1
        )
        out_BD = self.encoder(tokens_BTD, src_key_padding_mask=~there_BT)[:, 0]
        transformer_BC = self.out(self.norm(out_BD))
        alpha = torch.sigmoid(self.alpha_logit)
        return {
            "dnn": dnn_BC,
            "transformer": transformer_BC,
            "fused": alpha * dnn_BC + (1 - alpha) * transformer_BC,
        }


@dataclass(frozen=True)
class Told:
    """Classes of the test items by part, (N,), and α."""

    by_part: dict[Part, npt.NDArray[np.int64]]
    alpha: float


def train_and_tell(items: Items, *, seed: int, config: TowersConfig | None = None) -> Told:
    """Teaches both, alone and then together, and tells the classes of the test items.

    The towers' own answers are those of towers that have learned alone; of each phase the epoch with the lowest loss on
    validation titles is kept, each tower's for itself.
    """
    config = config or TowersConfig()
    with one_thread():
        torch.manual_seed(seed)
        model = Towers(items, config)
        _phase(model, items, config, seed, joint=False)
        told = _tell(model, items)
        _phase(model, items, config, seed + 1, joint=True)
        return Told({**told, "fused": _tell(model, items)["fused"]}, model.alpha)


def _phase(model: Towers, items: Items, config: TowersConfig, seed: int, *, joint: bool) -> None:
    epochs, rate = (config.joint_epochs, config.learning_rate / 4) if joint else (config.epochs, config.learning_rate)
    towers = [p for name, p in model.named_parameters() if name != "alpha_logit"]
    optimiser = torch.optim.AdamW(
        [
            {"params": towers, "lr": rate, "weight_decay": config.weight_decay},
            {"params": [model.alpha_logit], "lr": config.alpha_learning_rate if joint else 0.0, "weight_decay": 0.0},
        ]
    )
    train, rng = np.flatnonzero(items.train_N), np.random.default_rng(seed)
    steps = epochs * -(-len(train) // config.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    best: dict[Part, tuple[float, dict[str, Tensor]]] = {}
    for _ in range(epochs):
        model.train()
        order = rng.permutation(train)
        for start in range(0, len(order), config.batch):
            logits, class_B = _forward(model, items, order[start : start + config.batch])
            own = functional.cross_entropy(logits["dnn"], class_B) + functional.cross_entropy(
                logits["transformer"], class_B
            )
            loss = functional.cross_entropy(logits["fused"], class_B) + 0.5 * own if joint else own
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
        for part, value in _validation(model, items).items():
            if part not in best or value < best[part][0]:
                best[part] = value, copy.deepcopy(model.state_dict())
    if joint:
        model.load_state_dict(best["fused"][1])
        return
    of_dnn = ("bag.", "layers.")
    kept = {name: best["dnn" if name.startswith(of_dnn) else "transformer"][1][name] for name in model.state_dict()}
    model.load_state_dict(kept)


def _forward(model: Towers, items: Items, chosen: npt.NDArray[np.int64]) -> tuple[dict[Part, Tensor], Tensor]:
    logits = model(
        torch.from_numpy(items.behaviour_NS[chosen]),
        torch.from_numpy(items.pieces_NP[chosen]),
        torch.from_numpy(items.baskets_NLF[chosen]),
    )
    return logits, torch.from_numpy(items.class_N[chosen])


def _validation(model: Towers, items: Items) -> dict[Part, float]:
    model.eval()
    with torch.inference_mode():
        logits, class_B = _forward(model, items, np.flatnonzero(items.validation_N))
        return {part: functional.cross_entropy(each, class_B).item() for part, each in logits.items()}


def _tell(model: Towers, items: Items) -> dict[Part, npt.NDArray[np.int64]]:
    model.eval()
    with torch.inference_mode():
        logits, _ = _forward(model, items, np.flatnonzero(items.test_N))
        return {part: each.argmax(dim=1).numpy() for part, each in logits.items()}
