"""What search adds to the two modules: the query's own features to the DNN, the query's words to the Transformer.

The DNN reads a pair's features as in a recommendation and adds what the query says in its first layer; behind it search has
layers of its own, and beside it a short way for the query's features alone. The Transformer's user state and item vectors
are those of a recommendation, and a query in words is compared with the item's vector and with the words of its name, both
read by one encoder: an embedding of hashed words and pieces of letters (Bojanowski, Grave, Joulin, Mikolov 2017, "Enriching
word vectors with subword information", section 3.2).

Legend: B requests, N candidates, K features of a pair, S features of a query and an item, P pieces of text, I items, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from shoploop.models.behaviour import Behaviour, RequestDropout
from shoploop.surfaces.search.words import MOST_LETTERS, READING, text_pieces

MOST_PIECES = 48
"""Of a text that are read."""


@lru_cache(maxsize=100_000)
def pieces_of(text: str, reading: int = READING) -> npt.NDArray[np.int64]:
    """Places of a text's words and pieces of letters, each once, from 1; shared, so not to be written to."""
    return np.array(text_pieces(text, reading=reading)[:MOST_PIECES], np.int64) + 1


def padded_pieces(texts: Sequence[str], reading: int = READING) -> npt.NDArray[np.int64]:
    """The pieces of several texts, (B, P); 0 pads."""
    lists = [
        pieces_of(text[:MOST_LETTERS], reading) for text in texts
    ]  # what is kept of a long one is what is read of it
    table_BP = np.zeros((len(lists), max((len(each) for each in lists), default=0)), np.int64)
    for row, each in enumerate(lists):
        table_BP[row, : len(each)] = each
    return table_BP


class SearchModule(nn.Module):
    """Search's own weights."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        features: int
        """S."""

        pieces: int
        """Into which these are cut, see :mod:`shoploop.models.pieces`."""

        name_pieces: int
        """P of the items' names."""

        places: int = 1 << 14
        """Into which the pieces of texts are hashed."""

        dropout: float = 0.3
        """Of a query's vector."""

        reading: int = READING
        """How the texts are cut into words that it learns from, see :data:`shoploop.surfaces.search.words.READING`."""

        new: int | None = None
        """Which of its features is 1 where nobody has taken the item yet; None where none says so."""

    names_IP: Tensor
    dnn_times: Tensor
    transformer_times: Tensor

    def __init__(self, config: Config, behaviour: Behaviour.Config, *, items: int, width: int):
        super().__init__()
        self.config = config
        if not behaviour.hidden:
            raise ValueError("search adds to the DNN's first hidden layer, and there is none")
        before, *others = behaviour.hidden
        self.query = Behaviour(
            Behaviour.Config(
                features=config.features, pieces=config.pieces, hidden=(before,), dropout=behaviour.dropout
            )
        )
        layers: list[nn.Module] = [nn.SiLU(), RequestDropout(behaviour.dropout)]
        for hidden in others:
            layers += [nn.Linear(before, hidden), nn.SiLU(), RequestDropout(behaviour.dropout)]
            before = hidden
        self.deep = nn.Sequential(*layers, nn.Linear(before, 1))
        self.text = nn.Embedding(config.places + 1, width, padding_idx=0)
        nn.init.normal_(self.text.weight, std=0.05)
        with torch.no_grad():
            self.text.weight[0].zero_()
        self.dropout = nn.Dropout(config.dropout)
        self.bias_I = nn.Parameter(torch.zeros(items))
        self.new = None if config.new is None else nn.Parameter(torch.zeros(1))
        self.register_buffer("dnn_times", torch.ones(1))
        self.register_buffer("transformer_times", torch.ones(1))
        self.register_buffer("names_IP", torch.zeros(items, config.name_pieces, dtype=torch.int64))

    def set_names(self, texts: Sequence[str]) -> None:
        """Sets what items are called, in the order of their codes; of a name that is longer than any that it was made for
        the first pieces count."""
        table_IP = torch.from_numpy(padded_pieces(texts, self.config.reading))[:, : self.names_IP.shape[1]]
        self.names_IP.zero_()
        self.names_IP[:, : table_IP.shape[1]] = table_IP

    def behave(self, pairs_BNH: Tensor, features_BNS: Tensor) -> Tensor:
        """r_dnn, (B, N), of what the shared first layer makes of the pairs and of the query's features."""
        sums_BNH = self.query.sums(features_BNS)
        deep_BN1: Tensor = self.deep(pairs_BNH + sums_BNH)
        return self.dnn_times * (deep_BN1.squeeze(-1) + self.query.of_sums(sums_BNH))

    def encode(self, pieces: Tensor) -> Tensor:
        """A text's vector, (..., D), of its pieces, (..., P)."""
        some = (pieces > 0).sum(dim=-1, keepdim=True).clamp_min(1)
        vector: Tensor = self.text(pieces).sum(dim=-2) / some.sqrt()
        return vector

    def names(self) -> Tensor:
        """The vector of every item's name, (I, D)."""
        return self.encode(self.names_IP)

    def attend(
        self,
        taste_BN: Tensor,
        wanted_BND: Tensor,
        items_BN: Tensor,
        pieces_BP: Tensor,
        names_ID: Tensor | None,
        new_BN: Tensor | None = None,
    ) -> Tensor:
        """r_transformer, (B, N).

        Args:
            taste_BN: What the Transformer says without a query.
            wanted_BND: w_i of the candidates.
            items_BN: Their codes.
            pieces_BP: Of the queries.
            names_ID: :meth:`names`, where the caller keeps them between requests.
            new_BN: 1 where nobody has taken the item yet: all that was learned of it then is that nobody took it, so
                that its name alone is compared, and one number stands for all that are new.
        """
        names_BND = self.encode(self.names_IP[items_BN]) if names_ID is None else names_ID[items_BN]
        query_BD = self.dropout(self.encode(pieces_BP))
        learned_BN = taste_BN + self.bias_I[items_BN]
        if new_BN is not None and self.new is not None:
            wanted_BND = wanted_BND * (1 - new_BN)[..., None]
            learned_BN = torch.where(new_BN > 0, self.new, learned_BN)
        said_BN = torch.einsum("bd,bnd->bn", query_BD, wanted_BND + names_BND)
        return self.transformer_times * (said_BN + learned_BN)

    def multiply_scores(self, *, dnn: float, transformer: float) -> None:
        """Makes each score so many times what it was."""
        self.dnn_times.mul_(dnn)
        self.transformer_times.mul_(transformer)
