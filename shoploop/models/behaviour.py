"""The behaviour module: a DNN over the dense features of a user and a candidate gives r_dnn.

Legend: B requests, N candidates, K dense features.
"""

from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn

from shoploop.models.pieces import Pieces, PiecewiseLinear


class RequestDropout(nn.Dropout):
    """Drops the same hidden units for all candidates of a request: they are compared with each other, not with those of
    another network, and a hundredth of the random numbers is drawn, which are a fifth of a training's time on a CPU.

    What is not by element but by row of a request is Gal and Ghahramani's (2016, "A theoretically grounded application of
    dropout in recurrent neural networks").
    """

    def forward(self, hidden_BNH: Tensor) -> Tensor:
        """(B, N, H) or, of one request, (N, H)."""
        if not self.training or self.p == 0:
            return hidden_BNH
        return hidden_BNH * super().forward(torch.ones_like(hidden_BNH[..., :1, :]))


class Behaviour(nn.Module):
    """Scores each candidate on its own features: standardised by the training samples' mean and deviation, and in pieces."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        features: int
        """K, the number of pair features of the contract."""

        pieces: int = 0
        """P, into which all features together are cut; 0 leaves them whole (:mod:`shoploop.models.pieces`)."""

        hidden: tuple[int, ...] = (128, 64)
        dropout: float = 0.1

        def __post_init__(self) -> None:
            if self.pieces and not self.hidden:
                raise ValueError("pieces are of the first hidden layer, and there is none")

    mean_K: Tensor
    scale_K: Tensor

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.register_buffer("mean_K", torch.zeros(config.features))
        self.register_buffer("scale_K", torch.ones(config.features))
        layers: list[nn.Module] = []
        width = config.features
        for hidden in config.hidden:
            layers += [nn.Linear(width, hidden), nn.SiLU(), RequestDropout(config.dropout)]
            width = hidden
        self.layers = nn.Sequential(*layers, nn.Linear(width, 1))
        self.pieces = PiecewiseLinear(config.pieces, config.hidden[0]) if config.pieces else None

    def standardise(self, mean_K: Tensor, deviation_K: Tensor) -> None:
        """Sets the features' mean and deviation; a constant feature is switched off."""
        self.mean_K.copy_(mean_K)
        constant_K = deviation_K < 1e-6
        self.scale_K.copy_(torch.where(constant_K, torch.zeros_like(deviation_K), 1 / deviation_K.clamp_min(1e-6)))

    def cut(self, pieces: Pieces) -> None:
        """Sets where the features' pieces lie; nothing to do where they are whole."""
        if self.pieces is not None:
            self.pieces.set(pieces)

    def multiply_scores(self, factor: float) -> None:
        """Makes each score ``factor`` times what it was."""
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        last.weight.mul_(factor)
        last.bias.mul_(factor)

    def sums(self, features_BNK: Tensor) -> Tensor:
        """What the first layer makes of the features, before anything bends, (B, N, H): a sum with a term of each."""
        # far outliers of a new day must not throw a score off the scale
        standard_BNK = ((features_BNK - self.mean_K) * self.scale_K).clamp(-5.0, 5.0)
        first_BNH: Tensor = self.layers[0](standard_BNK)
        return first_BNH if self.pieces is None else first_BNH + self.pieces(features_BNK)

    def term(self, feature: int, values_R: Tensor) -> Tensor:
        """What one feature adds to :meth:`sums`, (R, H)."""
        first = self.layers[0]
        assert isinstance(first, nn.Linear)
        standard_R = ((values_R - self.mean_K[feature]) * self.scale_K[feature]).clamp(-5.0, 5.0)
        term_RH = standard_R[:, None] * first.weight[:, feature]
        return term_RH if self.pieces is None else term_RH + self.pieces.term(feature, values_R)

    def of_sums(self, first_BNH: Tensor) -> Tensor:
        """r_dnn, (B, N), of what the first layer gave."""
        made = first_BNH
        answers = torch.is_inference_mode_enabled() and not self.training
        for layer in islice(self.layers, 1, None):  # a slice of them would be a new module each time
            if answers and isinstance(layer, nn.SiLU):
                # over what this function made itself; there is nothing to go back through
                made = nn.functional.silu(made, inplace=made is not first_BNH)
            elif not (answers and isinstance(layer, RequestDropout)):
                made = layer(made)
        return made.squeeze(-1)

    def of(self, features_BNK: Tensor, first_BNH: Tensor | None = None) -> Tensor:
        """r_dnn, (B, N), of the features, or of what the first layer gave where that is known."""
        scores_BN: Tensor = self(features_BNK) if first_BNH is None else self.of_sums(first_BNH)
        return scores_BN

    def embed(self, features_BNK: Tensor) -> Tensor:
        """The last hidden units, (B, N, H): what the score is a linear function of."""
        if len(self.layers) == 1:
            return ((features_BNK - self.mean_K) * self.scale_K).clamp(-5.0, 5.0)
        hidden_BNH: Tensor = self.layers[1:-1](self.sums(features_BNK))
        return hidden_BNH

    def forward(self, features_BNK: Tensor) -> Tensor:
        """r_dnn, (B, N)."""
        return self.of_sums(self.sums(features_BNK))
