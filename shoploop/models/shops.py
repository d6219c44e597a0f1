"""What the choice of a shop adds to the two modules: a DNN of its own over what visits tell, and vectors of shops.

What is known of a user and a shop has nothing in common with what is known of a user and an item, so the DNN is another. The
Transformer is that of the recommendations: its user state is compared with a vector of each shop, and each of the last
baskets says how much the shop where it was bought is wanted again, as :mod:`shoploop.models.sequence` does for items.

Legend: B requests, N candidates, S features of a user and a shop, P shops, L baskets, D width, H repeat heads.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from shoploop.models.behaviour import Behaviour


class ShopModule(nn.Module):
    """The surface's own weights."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        shops: int
        """P."""

        features: int
        """S."""

        pieces: int
        """Into which these are cut, see :mod:`shoploop.models.pieces`."""

        repeat_heads: int = 8
        dropout: float = 0.1
        """Of a user's state."""

    def __init__(self, config: Config, behaviour: Behaviour.Config, *, width: int):
        super().__init__()
        self.config = config
        self.behaviour = Behaviour(
            Behaviour.Config(
                features=config.features,
                pieces=config.pieces,
                hidden=behaviour.hidden,
                dropout=behaviour.dropout,
            )
        )
        self.dropout = nn.Dropout(config.dropout)
        self.shop = nn.Embedding(config.shops, width)
        nn.init.normal_(self.shop.weight, std=0.02)
        self.bias_P = nn.Parameter(torch.zeros(config.shops))
        self.repeat_strength = nn.Linear(width, config.repeat_heads)
        self.repeat_mix = nn.Linear(width, config.repeat_heads)
        self.repeat_first = nn.Linear(width, 1)
        nn.init.constant_(self.repeat_mix.bias, 0.5)

    def attend(self, user_BD: Tensor, baskets_BLD: Tensor, shops_BN: Tensor, visited_BL: Tensor) -> Tensor:
        """r_transformer, (B, N).

        Args:
            user_BD: h_u.
            baskets_BLD: What the Transformer makes of each basket.
            shops_BN: Codes of the candidates.
            visited_BL: Place among the candidates of the shop of each basket; N where it is none of them.
        """
        requests, candidates = shops_BN.shape
        user_BD = self.dropout(user_BD)
        scores_BN = torch.einsum("bd,bnd->bn", user_BD, self.shop(shops_BN)) + self.bias_P[shops_BN]
        strength_BLH = nn.functional.softplus(self.repeat_strength(baskets_BLD))
        place_BLH = visited_BL.unsqueeze(-1).expand_as(strength_BLH)
        sums_BNH = torch.zeros(requests, candidates + 1, self.config.repeat_heads, device=shops_BN.device).scatter_add(
            1, place_BLH, strength_BLH
        )[:, :candidates]
        been_BN = (sums_BNH.sum(dim=-1) > 0).float()
        repeat_BN: Tensor = torch.einsum("bnh,bh->bn", torch.log1p(sums_BNH), self.repeat_mix(user_BD))
        attended_BN: Tensor = scores_BN + repeat_BN + been_BN * self.repeat_first(user_BD)
        return attended_BN

    def multiply_scores(self, *, dnn: float, transformer: float) -> None:
        """Makes each score so many times what it was."""
        self.behaviour.multiply_scores(dnn)
        for parameter in (
            self.shop.weight,
            self.bias_P,
            *self.repeat_mix.parameters(),
            *self.repeat_first.parameters(),
        ):
            parameter.mul_(transformer)
