"""The fused model: r = α·r_dnn + (1 − α)·r_transformer, α learned by gradient, one per surface.

Legend: B requests, N candidates, K dense features, I items, D width.
"""

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from shoploop.features.log import Float32
from shoploop.models.behaviour import Behaviour
from shoploop.models.inputs import Batch, ModelInput, collate
from shoploop.models.one_request import OneSequence
from shoploop.models.search import SearchModule, padded_pieces
from shoploop.models.sequence import SequenceModel
from shoploop.models.shops import ShopModule
from shoploop.surfaces.search.words import AS_WRITTEN

Part = Literal["fused", "fixed_alpha", "dnn", "transformer"]
PARTS: tuple[Part, ...] = ("fused", "fixed_alpha", "dnn", "transformer")

Surface = Literal["items", "search", "shops"]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Logits of one batch, (B, N) each."""

    dnn_BN: Tensor
    transformer_BN: Tensor
    fused_BN: Tensor

    def part(self, part: Part) -> Tensor:
        """The logits of one part, (B, N)."""
        if part == "fused":
            return self.fused_BN
        if part == "dnn":
            return self.dnn_BN
        if part == "transformer":
            return self.transformer_BN
        return 0.5 * self.dnn_BN + 0.5 * self.transformer_BN


class FusedModel(nn.Module):
    """Two modules that share no weight, and the α that mixes their scores."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        behaviour: Behaviour.Config
        sequence: SequenceModel.Config
        surfaces: tuple[Surface, ...] = ("items",)
        """Each has an α of its own."""

        search: SearchModule.Config | None = None
        """Set where search is one of the surfaces."""

        shops: ShopModule.Config | None = None
        """Set where shops are one of the surfaces."""

        def to_json(self) -> dict[str, Any]:
            return asdict(self)

        @classmethod
        def from_json(cls, data: dict[str, Any]) -> "FusedModel.Config":
            behaviour = data["behaviour"]
            return cls(
                behaviour=Behaviour.Config(**behaviour | {"hidden": tuple(behaviour["hidden"])}),
                sequence=SequenceModel.Config(**data["sequence"]),
                surfaces=tuple(data["surfaces"]),
                search=SearchModule.Config(**{"reading": AS_WRITTEN} | data["search"]) if data.get("search") else None,
                shops=ShopModule.Config(**data["shops"]) if data.get("shops") else None,
            )

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.behaviour = Behaviour(config.behaviour)
        self.sequence = SequenceModel(config.sequence)
        self.alpha_logits = nn.Parameter(torch.zeros(len(config.surfaces)))
        self.search = (
            None
            if config.search is None
            else SearchModule(config.search, config.behaviour, items=config.sequence.items, width=config.sequence.width)
        )
        # last: what is drawn for the others is the same with and without shops
        self.shops = (
            None if config.shops is None else ShopModule(config.shops, config.behaviour, width=config.sequence.width)
        )
        self._vectors_ID: Tensor | None = None
        self._bias_I: Tensor | None = None
        self._names_ID: Tensor | None = None
        self._one: OneSequence | None = None
        self._share: dict[str, float] = {}

    @property
    def alpha(self) -> dict[str, float]:
        """The DNN's share per surface."""
        values = torch.sigmoid(self.alpha_logits).tolist()
        return dict(zip(self.config.surfaces, values, strict=True))

    @property
    def device(self) -> torch.device:
        """Where it computes, and where its batches must lie."""
        return self.alpha_logits.device

    def forward(self, batch: Batch, surface: Surface = "items", *, alone: ModelInput | None = None) -> Scores:
        """Logits of a batch.

        Args:
            batch: The requests.
            surface: What they ask for.
            alone: The request of a batch of one, where the model is prepared.
        """
        if surface == "search":
            dnn_BN, transformer_BN = self._search(batch, alone)
        elif surface == "shops":
            dnn_BN, transformer_BN = self._shops(batch, alone)
        else:
            dnn_BN = self.dnn(surface)(batch.features_BNK, batch.first_BNH)
            transformer_BN = self._taste(batch, alone)
        alpha = torch.sigmoid(self.alpha_logits[self.config.surfaces.index(surface)])
        return Scores(
            dnn_BN=dnn_BN,
            transformer_BN=transformer_BN,
            fused_BN=alpha * dnn_BN + (1 - alpha) * transformer_BN,
        )

    def _taste(self, batch: Batch, alone: ModelInput | None) -> Tensor:
        """r_transformer of recommendations, (B, N)."""
        if alone is None or self._one is None:
            scores_BN: Tensor = self.sequence(batch, self._vectors_ID, self._bias_I)
            return scores_BN
        return torch.from_numpy(self._one.scores(alone.items_N, alone.sequence, *self.items()))[None]

    def _search(self, batch: Batch, alone: ModelInput | None) -> tuple[Tensor, Tensor]:
        """Both modules' logits of queries; a pair's features come first, those of its query behind them."""
        search = self.searching()
        assert batch.queries is not None, "a search has a query"
        dnn_BN = self.behave(batch.features_BNK, batch.first_BNH)
        taste_BN = self._taste(batch, alone)
        pieces_BP = torch.from_numpy(padded_pieces(batch.queries, search.config.reading)).to(self.device)
        wanted_BND = self.sequence.wanted(batch.items_BN, self._vectors_ID)
        new = search.config.new
        new_BN = None if new is None else batch.features_BNK[..., self.config.behaviour.features + new]
        return dnn_BN, search.attend(taste_BN, wanted_BND, batch.items_BN, pieces_BP, self._names_ID, new_BN)

    def _shops(self, batch: Batch, alone: ModelInput | None) -> tuple[Tensor, Tensor]:
        """Both modules' logits of shops. The Transformer is the recommendations' own and learns nothing of them here."""
        shops = self.shopping()
        assert batch.visited_BL is not None, "a choice of shops knows where the last baskets were bought"
        if alone is None or self._one is None:
            with torch.no_grad():
                user_BD, baskets_BLD = self.sequence.encode(batch)
            visited_BL = batch.visited_BL
        else:
            user_BD, baskets_BLD = (torch.from_numpy(found)[None] for found in self._one.encode(alone.sequence))
            visited_BL = batch.visited_BL[:, : baskets_BLD.shape[1]]
        attended_BN = shops.attend(user_BD, baskets_BLD, batch.items_BN, visited_BL)
        return shops.behaviour(batch.features_BNK), attended_BN

    def behave(self, features_BNF: Tensor, first_BNH: Tensor | None = None) -> Tensor:
        """r_dnn of queries, (B, N), of a pair's features and those of its query behind them.

        Args:
            features_BNF: The features.
            first_BNH: What the DNN's first layer makes of the pair's, where it is known.
        """
        pairs = self.config.behaviour.features
        first_BNH = self.behaviour.sums(features_BNF[..., :pairs]) if first_BNH is None else first_BNH
        search = self.searching()  # a version that learned of fewer features does not look at what stands behind them
        return search.behave(first_BNH, features_BNF[..., pairs : pairs + search.config.features])

    def dnn(self, surface: Surface) -> "Callable[[Tensor, Tensor | None], Tensor]":
        """What makes r_dnn, (B, N), of a surface's features, or of what the first layer makes of them."""
        if surface == "search":
            return self.behave
        return self.shopping().behaviour.of if surface == "shops" else self.behaviour.of

    def searching(self) -> SearchModule:
        """Search's own weights; there are some where the configuration has them."""
        assert self.search is not None, "this model was not trained to search"
        return self.search

    def shopping(self) -> ShopModule:
        """The own weights of the choice of a shop; there are some where the configuration has them."""
        assert self.shops is not None, "this model was not trained to choose shops"
        return self.shops

    def prepare(self) -> "FusedModel":
        """Readies the model for :meth:`score`: no dropout, item vectors computed once. Undone by :meth:`train`."""
        self.eval()
        self._share = self.alpha
        with torch.inference_mode():
            self._vectors_ID = self.sequence.item_vectors()
            self._names_ID = None if self.search is None else self.search.names()
        if self.device.type == "cpu":
            self._one = OneSequence(self.sequence)
        return self

    def items(self) -> tuple[Float32, Float32]:
        """What is known of the items: w_i, (I, D), and b_i, (I,), of which r_transformer is made; not to be written to."""
        with torch.inference_mode():
            vectors_ID = self.sequence.item_vectors() if self._vectors_ID is None else self._vectors_ID
            bias_I = self.sequence.item_bias_I if self._bias_I is None else self._bias_I
            return vectors_ID.numpy(), bias_I.numpy()

    def with_items(self, vectors_ID: Float32, bias_I: Float32) -> "FusedModel":
        """This prepared model with other w_i and b_i; all other weights are shared with it, and it stays as it is."""
        other = copy.copy(self)
        other._vectors_ID, other._bias_I = torch.from_numpy(vectors_ID), torch.from_numpy(bias_I)
        return other

    def user_state(self, request: ModelInput) -> Float32:
        """h_u of one request, (D,): what the items' w_i are compared with."""
        if self._one is not None:
            return self._one.encode(request.sequence)[0]
        with torch.inference_mode():
            state_D: Float32 = self.sequence.encode(collate([request]))[0][0].numpy()
            return state_D

    def train(self, mode: bool = True) -> "FusedModel":
        self._vectors_ID = self._bias_I = self._names_ID = self._one = None
        self._share = {}
        super().train(mode)
        return self

    def score(self, request: ModelInput, *, part: Part = "fused", surface: Surface = "items") -> Float32:
        """Logits of one request's candidates, (N,), without gradients.

        Args:
            request: Candidates, features and history.
            part: ``dnn`` alone is the path of a predictor that is short of time; it never touches the Transformer.
            surface: Whose α.
        """
        if self._one is not None and surface == "items":
            return self._recommended(request, part, self._one)
        with torch.inference_mode():
            if part == "dnn":
                return self._dnn(request, surface)
            scores = self(collate([request]), surface, alone=request)
            chosen_N: Float32 = scores.part(part)[0].numpy().astype(np.float32, copy=False)
            return chosen_N

    def _recommended(self, request: ModelInput, part: Part, sequence: OneSequence) -> Float32:
        """The same of the items' surface, without a batch."""
        if part == "dnn":
            return self._dnn(request, "items")
        transformer_N = sequence.scores(request.items_N, request.sequence, *self.items())
        if part == "transformer":
            return transformer_N
        alpha = np.float32(0.5 if part == "fixed_alpha" else self._share["items"])
        fused_N: Float32 = alpha * self._dnn(request, "items") + (1 - alpha) * transformer_N
        return fused_N

    def _dnn(self, request: ModelInput, surface: Surface) -> Float32:
        """r_dnn, (N,)."""
        with torch.inference_mode():
            # they may be read-only, which torch warns of
            features_NK = torch.from_numpy(np.require(request.features_NK, np.float32, "W"))
            first_NH = None if request.first_NH is None else torch.from_numpy(request.first_NH)
            scores_N: Float32 = self.dnn(surface)(features_NK, first_NH).numpy()
            return scores_N
