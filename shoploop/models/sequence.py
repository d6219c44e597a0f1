"""The sequence module: a Transformer over the last baskets gives h_u and r_transformer = w_i·h_u + a repeat term.

A basket is one token: the mean of its items' factors, its size and its age. Where a log tells enough of each item, an item is
also something of its own, learned beside its factors. The repeat term learns from each basket's
output how much its items are wanted again, as copying heads do (Gu et al. 2016, CopyNet; Ren et al. 2019, RepeatNet).

Legend: B requests, N candidates, L baskets, E purchases in them, I items, F factors, D width, H repeat heads, A ages.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from shoploop.features.baskets import BASKETS
from shoploop.models.inputs import Batch

AGE_EDGES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 15, 18, 21, 25, 29, 36, 43, 57, 71, 91, 121, 181, 271)
"""Days; age bucket a covers edge a up to the next, bucket 0 is a place without a basket."""


class SequenceModel(nn.Module):
    """Scores candidates by the user's state and by what was bought before."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        items: int
        """I, the length of the vocabulary."""

        factors: int
        """F, the width of the catalog's frozen item factors."""

        width: int = 64
        heads: int = 4
        layers: int = 2
        repeat_heads: int = 8
        dropout: float = 0.1
        learned_items: bool = False
        """Whether each item has an embedding of its own, which its factors do not tell."""

        def __post_init__(self) -> None:
            if self.width % self.heads:
                raise ValueError(f"width is {self.width} but heads is {self.heads}; the heads share the width evenly")

    factors_IF: Tensor
    age_edges_A: Tensor
    own_times: Tensor

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        width = config.width
        # frozen: free item embeddings overfit on the purchases of a few thousand users
        self.register_buffer("factors_IF", torch.zeros(config.items, config.factors))
        self.register_buffer("age_edges_A", torch.tensor(AGE_EDGES), persistent=False)
        self.item_in = nn.Linear(config.factors, width)
        self.item_out = nn.Linear(config.factors, width, bias=False)
        self.item_bias_I = nn.Parameter(torch.zeros(config.items))
        # begins at nothing: an item that nobody has bought yet is what its factors say
        self.own_ID = nn.Parameter(torch.zeros(config.items, width)) if config.learned_items else None
        if config.learned_items:
            self.register_buffer("own_times", torch.ones(()))  # the same embeddings are read and scored with
        self.age = nn.Embedding(len(AGE_EDGES) + 1, width)
        self.place = nn.Embedding(BASKETS, width)
        self.size = nn.Linear(1, width)
        self.user = nn.Parameter(torch.zeros(1, 1, width))
        layer = nn.TransformerEncoderLayer(
            width, config.heads, 2 * width, config.dropout, activation="gelu", batch_first=True, norm_first=True
        )
        # dropout inside attention takes the slow path and a third of the time, and gains nothing on 40 baskets
        layer.self_attn.dropout = 0.0
        self.encoder = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.repeat_strength = nn.Linear(width, config.repeat_heads)
        self.repeat_mix = nn.Linear(width, config.repeat_heads)
        self.repeat_first = nn.Linear(width, 1)
        for embedding in (self.age, self.place):
            nn.init.normal_(embedding.weight, std=0.02)
        nn.init.constant_(self.repeat_mix.bias, 0.5)

    def encode(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The user's state h_u, (B, D), and the baskets' outputs, (B, L, D)."""
        device = batch.ages_BL.device
        requests, baskets = batch.ages_BL.shape
        sums_BLF = _summed(functional.embedding(batch.events_BE, self.factors_IF), batch.baskets_BE, baskets)
        own_BLD = (
            None
            if self.own_ID is None
            else _summed(functional.embedding(batch.events_BE, self.own_ID), batch.baskets_BE, baskets)
        )
        sizes_BL = torch.zeros(requests, baskets + 1, device=device).scatter_add(
            1, batch.baskets_BE, torch.ones_like(batch.baskets_BE, dtype=torch.float32)
        )[:, :baskets]
        places_L = torch.arange(baskets, device=device)
        tokens_BLD = self.tokens(sums_BLF, own_BLD, sizes_BL, batch.ages_BL, places_L)
        return self.attend(tokens_BLD, batch.ages_BL < 0)

    def tokens(self, sums: Tensor, own: Tensor | None, sizes: Tensor, ages: Tensor, places: Tensor) -> Tensor:
        """What baskets are read as, (..., D).

        Args:
            sums: Of the factors of each one's items, (..., F).
            own: The same of what items are beside them, (..., D); None where they are nothing.
            sizes: Items, float32, (...).
            ages: Days, (...).
            places: From the latest on, 0 for that, (...).
        """
        roots = sizes.clamp_min(1).unsqueeze(-1).sqrt()
        baskets = self.item_in(sums / roots)
        if own is not None:
            baskets = baskets + own / roots
        aged = baskets + self.age(torch.bucketize(ages, self.age_edges_A, right=True))
        tokens: Tensor = aged + self.place(places) + self.size(torch.log1p(sizes).unsqueeze(-1))
        return tokens

    def attend(self, tokens_BLD: Tensor, absent_BL: Tensor) -> tuple[Tensor, Tensor]:
        """:meth:`encode`, of :meth:`tokens` and where there is none."""
        tokens_BLD, absent_BL = self._with_user(tokens_BLD, absent_BL)
        out_BLD = self.norm(self.encoder(tokens_BLD, src_key_padding_mask=absent_BL))
        return out_BLD[:, 0], out_BLD[:, 1:]

    def user_state(self, tokens_BLD: Tensor, absent_BL: Tensor) -> Tensor:
        """h_u of :meth:`attend`, without dropout: of the last layer no more is made than what the user's place comes to, and
        of few and short histories torch's own layer takes twice as long."""
        tokens_BLD, absent_BL = self._with_user(tokens_BLD, absent_BL)
        x_BLD, last = tokens_BLD, len(self.encoder.layers) - 1
        for number, layer in enumerate(self.encoder.layers):
            attention = layer.self_attn
            inner = functional.linear(layer.norm1(x_BLD), attention.in_proj_weight, attention.in_proj_bias)
            query, key, value = inner.view(*inner.shape[:2], 3, self.config.heads, -1).unbind(2)
            if number == last:
                query, x_BLD = query[:, :1], x_BLD[:, :1]
            x_BLD = x_BLD + attention.out_proj(_heard(query, key, value, absent_BL).flatten(2))
            x_BLD = x_BLD + layer.linear2(layer.activation(layer.linear1(layer.norm2(x_BLD))))
        state_BD: Tensor = self.norm(x_BLD[:, 0])
        return state_BD

    def _with_user(self, tokens_BLD: Tensor, absent_BL: Tensor) -> tuple[Tensor, Tensor]:
        """The user's own token before all others."""
        requests, _, width = tokens_BLD.shape
        return (
            torch.cat([self.user.expand(requests, 1, width), tokens_BLD], dim=1),
            torch.cat([torch.zeros_like(absent_BL[:, :1]), absent_BL], dim=1),
        )

    def multiply_scores(self, factor: float) -> None:
        """Makes each score ``factor`` times what it was: all that it is a sum of is linear in one of these."""
        for parameter in (
            self.item_out.weight,
            self.item_bias_I,
            *self.repeat_mix.parameters(),
            *self.repeat_first.parameters(),
        ):
            parameter.mul_(factor)
        if self.own_ID is not None:
            self.own_times.mul_(factor)

    def item_vectors(self) -> Tensor:
        """w_i of every item, (I, D)."""
        vectors_ID: Tensor = self.item_out(self.factors_IF)
        return vectors_ID if self.own_ID is None else vectors_ID + self.own_times * self.own_ID

    def vectors_of(self, items: Tensor) -> Tensor:
        """w_i of these items, (..., D)."""
        vectors: Tensor = self.item_out(self.factors_IF[items])
        return vectors if self.own_ID is None else vectors + self.own_times * functional.embedding(items, self.own_ID)

    def wanted(self, items_BN: Tensor, vectors_ID: Tensor | None = None) -> Tensor:
        """w_i of these items, (B, N, D); ``vectors_ID`` as of :meth:`forward`."""
        if vectors_ID is not None:
            return functional.embedding(items_BN, vectors_ID)
        return self.vectors_of(items_BN)

    def forward(self, batch: Batch, vectors_ID: Tensor | None = None, bias_I: Tensor | None = None) -> Tensor:
        """r_transformer, (B, N).

        Args:
            batch: The requests.
            vectors_ID: :meth:`item_vectors`, where the caller keeps them between requests.
            bias_I: Of the items, where others than the trained ones hold.
        """
        user_BD, baskets_BLD = self.encode(batch)
        wanted_BND = self.wanted(batch.items_BN, vectors_ID)
        biases_I = self.item_bias_I if bias_I is None else bias_I
        scores_BN = torch.einsum("bd,bnd->bn", user_BD, wanted_BND) + biases_I[batch.items_BN]
        return scores_BN + self._repeat(batch, user_BD, baskets_BLD)

    def _repeat(self, batch: Batch, user_BD: Tensor, baskets_BLD: Tensor) -> Tensor:
        requests, candidates = batch.items_BN.shape
        heads, device = self.config.repeat_heads, batch.items_BN.device
        strength_BLH = torch.nn.functional.softplus(self.repeat_strength(baskets_BLD))
        padded_BLH = torch.cat([strength_BLH, torch.zeros(requests, 1, heads, device=device)], dim=1)
        starts_B1 = torch.arange(requests, device=device)[:, None] * padded_BLH.shape[1]
        of_event_BEH = padded_BLH.flatten(0, 1).index_select(0, (starts_B1 + batch.baskets_BE).flatten())
        sums_BNH = _summed(of_event_BEH.view(requests, -1, heads), batch.places_BE, candidates)
        bought_BN = (sums_BNH.sum(dim=-1) > 0).float()
        mixed_BN = torch.einsum("bnh,bh->bn", torch.log1p(sums_BNH), self.repeat_mix(user_BD))
        repeat_BN: Tensor = mixed_BN + bought_BN * self.repeat_first(user_BD)
        return repeat_BN


FEW_QUERIES = 4
"""Of so many attention is faster as sums of products than as products of many small matrices."""


def _heard(query_BQHW: Tensor, key_BLHW: Tensor, value_BLHW: Tensor, absent_BL: Tensor) -> Tensor:
    """What each query hears by head, (B, Q, H, W): attention by scaled products (Vaswani et al. 2017, equation 1)."""
    scale = key_BLHW.shape[3] ** -0.5
    if query_BQHW.shape[1] <= FEW_QUERIES:
        weights_BQLH = (query_BQHW.unsqueeze(2) * key_BLHW.unsqueeze(1)).sum(4) * scale
        weights_BQLH = weights_BQLH.masked_fill(absent_BL[:, None, :, None], float("-inf")).softmax(2)
        heard_BQHW: Tensor = (weights_BQLH.unsqueeze(4) * value_BLHW.unsqueeze(1)).sum(2)
        return heard_BQHW
    weights_BHQL = query_BQHW.transpose(1, 2) @ key_BLHW.permute(0, 2, 3, 1) * scale
    weights_BHQL = weights_BHQL.masked_fill(absent_BL[:, None, None], float("-inf")).softmax(3)
    heard_BHQW: Tensor = weights_BHQL @ value_BLHW.transpose(1, 2)
    return heard_BHQW.transpose(1, 2)


def _summed(of_events_BEF: Tensor, baskets_BE: Tensor, baskets: int) -> Tensor:
    """The sum over each basket's purchases, (B, L, F), or over each candidate's."""
    requests, _, width = of_events_BEF.shape
    starts_B1 = torch.arange(requests, device=of_events_BEF.device)[:, None] * (baskets + 1)
    # by rows: index_put takes ten times as long on a CPU
    sums_BLF = torch.zeros(requests * (baskets + 1), width, device=of_events_BEF.device).index_add(
        0, (starts_B1 + baskets_BE).flatten(), of_events_BEF.flatten(0, 1)
    )
    return sums_BLF.view(requests, baskets + 1, width)[:, :baskets]
