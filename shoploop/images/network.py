"""The network that describes a picture by numbers, and texts as the same kind of numbers; it knows no files.

Few pictures, one core: strides of plain convolutions with a residual each (He, Zhang, Ren, Sun 2016), some hundred thousand
weights. A text is the sum of its words and pieces, read as search reads them.

Legend: B views, V side, I items, P pieces of text, D width.
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shoploop.surfaces.search.words import READING

MOST_SIDE, MOST_CHANNELS, MOST_PLACES = 512, 2048, 1 << 16
"""Of an encoder that somebody brings: a file of a few bytes must not ask for all of a machine's memory."""


class Stride(nn.Module):
    """Half the side, another number of channels."""

    def __init__(self, before: int, after: int):
        super().__init__()
        self.down = nn.Conv2d(before, after, 3, 2, 1, bias=False)
        self.down_norm = nn.BatchNorm2d(after)
        self.more = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.more_norm = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.down_norm(self.down(x)))
        return F.silu(x + self.more_norm(self.more(x)))


class PictureNetwork(nn.Module):
    """A view of a picture as a unit vector."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        side: int = 48
        """V."""

        channels: tuple[int, ...] = (24, 48, 96, 192)
        width: int = 128
        """D."""

        def to_json(self) -> dict[str, Any]:
            return asdict(self) | {"channels": list(self.channels)}

        @classmethod
        def from_json(cls, said: dict[str, Any]) -> "PictureNetwork.Config":
            config = cls(**said | {"channels": tuple(said["channels"])})
            sizes = (*config.channels, config.width, config.side)
            if not config.channels or len(sizes) > 10 or not all(type(size) is int and size > 0 for size in sizes):
                raise ValueError("a size of the network is none")
            if config.side > MOST_SIDE or max(sizes) > MOST_CHANNELS:
                raise ValueError("the network is larger than any that is written")
            return config

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        first, *_ = config.channels
        self.stem = nn.Sequential(nn.Conv2d(3, first, 5, 2, 2, bias=False), nn.BatchNorm2d(first), nn.SiLU())
        pairs = zip(config.channels, config.channels[1:], strict=False)
        self.strides = nn.Sequential(*(Stride(before, after) for before, after in pairs))
        self.out = nn.Linear(config.channels[-1], config.width)

    def forward(self, views: Tensor) -> Tensor:
        """(B, 3, V, V) of 0 to 1 as unit rows, (B, D)."""
        return F.normalize(self.out(self.strides(self.stem((views - 0.45) * 4)).mean((2, 3))), dim=-1)


class Encoder(nn.Module):
    """Pictures and texts, each as vectors of the same room."""

    def __init__(self, config: PictureNetwork.Config, *, places: int, reading: int = READING):
        """
        Args:
            config: Of the pictures' network.
            places: Into which pieces of texts are hashed.
            reading: How texts are cut into words, see :data:`shoploop.surfaces.search.words.READING`.
        """
        super().__init__()
        if not 0 < places <= MOST_PLACES:
            raise ValueError("a table of pieces so large is not written")
        self.places, self.reading = places, reading
        self.network = PictureNetwork(config)
        self.text = nn.Embedding(places + 1, config.width, padding_idx=0)
        nn.init.normal_(self.text.weight, std=0.1)
        with torch.no_grad():
            self.text.weight[0].zero_()

    def of_texts(self, pieces_IP: Tensor) -> Tensor:
        """Of words alone, (I, D), not of length 1: places of pieces, from 1, in and 0 where there is none."""
        some = (pieces_IP > 0).sum(dim=1, keepdim=True).clamp_min(1)
        # without the (I, P, D) of all pieces' vectors, which one long text makes as long for every item
        vectors: Tensor = F.embedding_bag(pieces_IP, self.text.weight, mode="sum", padding_idx=0) / some.sqrt()
        return vectors
