"""Views of a picture, so that a network that sees few of them learns what stays: the thing, not place, light or number.

A photo is turned, cut and lit otherwise. A product's picture shows it alone before a plain ground: it is cut out and put
once, or many times in a heap, before parts of other pictures (Dwibedi, Misra, Hebert 2017, "Cut, paste and learn", ICCV),
which is how a shelf shows it. All is drawn from one generator on one thread, so a seed gives the same views.

Legend: B views, S side of what goes in, V side of a view, M pictures.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from shoploop.data.pictures import Pixels

PLAIN = 0.93
"""From this brightness of the darkest colour on a pixel may be the plain ground of a product's picture."""

LAYERS = 4
"""Of a heap."""


def as_tensor(pixels: Pixels) -> Tensor:
    """(M, S, S, 3) bytes as (M, 3, S, S) of 0 to 1."""
    return torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).float().div_(255)


def cut_out(pixels: Pixels, side: int) -> Tensor:
    """Each thing without the plain ground that reaches the picture's border, filling a square: (M, 4, V, V) bytes, the last
    is how much of the thing is there, by which the colours are multiplied. A picture without such a ground stays whole."""
    from scipy import ndimage

    cut = torch.zeros(len(pixels), 4, side, side, dtype=torch.uint8)
    for m, picture in enumerate(pixels):
        plain = picture.min(axis=2) > PLAIN * 255
        parts, _ = ndimage.label(plain)
        border = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
        thing = ~np.isin(parts, border[border > 0])
        rows, columns = np.flatnonzero(thing.any(axis=1)), np.flatnonzero(thing.any(axis=0))
        if not len(rows):
            thing[:] = True
            rows = columns = np.arange(len(thing))
        there = ndimage.gaussian_filter(thing.astype(np.float32), 0.6)
        whole = np.concatenate([picture / 255 * there[..., None], there[..., None]], axis=2).astype(np.float32)
        whole = whole[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        gap = max(whole.shape[:2]) - np.array(whole.shape[:2])
        whole = np.pad(whole, [(gap[0] // 2, gap[0] - gap[0] // 2), (gap[1] // 2, gap[1] - gap[1] // 2), (0, 0)])
        square = torch.from_numpy(whole).permute(2, 0, 1)[None]
        small = F.interpolate(square, (side, side), mode="bilinear", antialias=True)[0]
        cut[m] = small.clamp(0, 1).mul(255).round().to(torch.uint8)
    return cut


class Views:
    """Draws views of one side."""

    def __init__(self, side: int, seed: int):
        self.side = side
        self.random = torch.Generator().manual_seed(seed)

    def draw(self, high: int, count: int) -> Tensor:
        """Whole numbers below ``high``, (count,)."""
        return torch.randint(high, (count,), generator=self.random)

    def of_photos(self, photos_B: Tensor) -> Tensor:
        """(B, 3, S, S) to (B, 3, V, V): a part of each, turned a little, perhaps mirrored, in another light."""
        count = len(photos_B)
        scale_B = self._between(count, 1.0, 2.0)
        grid = self._grid(scale_B, 0.35 * self._around(count))
        grid = grid + self._around(count, 1, 1, 2) * (1 - 1 / scale_B).view(-1, 1, 1, 1)
        return self._lit(self._mirrored(_sampled(photos_B, grid, "reflection")))

    def of_products(self, cut_B: Tensor, ground_B: Tensor) -> Tensor:
        """Things cut out, (B, 4, V, V), before other pictures, (B, 3, S, S): (B, 3, V, V)."""
        count = len(cut_B)
        view = self._lit(self.of_photos(ground_B), 2.0)
        heap_B = torch.rand(count, generator=self.random) < 0.5
        for layer in range(LAYERS):
            top = layer == LAYERS - 1
            scale_B = torch.where(heap_B, self._between(count, 0.15, 0.6), self._between(count, 0.45, 1.3))
            turn_B = self._around(count) * torch.where(heap_B, math.pi, 0.5)
            grid = self._grid(scale_B, turn_B)
            shift = self._around(count, 1, 1, 2)
            once = grid + shift * 0.35 / scale_B.view(-1, 1, 1, 1)
            often = torch.remainder(grid + shift + 1, 2) - 1
            pasted = _sampled(cut_B, torch.where(heap_B.view(-1, 1, 1, 1), often, once), "zeros")
            if not top:
                pasted = pasted * heap_B.view(-1, 1, 1, 1)
            shade = 1.0 if top else self._between(count, 0.4, 0.9).view(-1, 1, 1, 1)  # what lies below is darker
            view = view * (1 - pasted[:, 3:]) + pasted[:, :3] * shade
        view = self._mirrored(view)
        soft = torch.rand(count, 1, 1, 1, generator=self.random) < 0.5
        view = torch.where(soft, F.avg_pool2d(view, 3, 1, 1), view)
        return self._lit(view * self._between(count, 0.5, 1.0).view(-1, 1, 1, 1))

    def _between(self, count: int, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=self.random)

    def _around(self, *shape: int) -> Tensor:
        """Even between -1 and 1."""
        return torch.rand(shape, generator=self.random) * 2 - 1

    def _grid(self, scale_B: Tensor, turn_B: Tensor) -> Tensor:
        """Where each pixel of a view is looked up, (B, V, V, 2), of a thing so large and so turned."""
        wide_B = torch.exp(0.2 * self._around(len(scale_B)))
        cos_B, sin_B, zero_B = torch.cos(turn_B) / scale_B, torch.sin(turn_B) / scale_B, torch.zeros(len(scale_B))
        upper = torch.stack([cos_B * wide_B, -sin_B * wide_B, zero_B], 1)
        lower = torch.stack([sin_B / wide_B, cos_B / wide_B, zero_B], 1)
        size = [len(scale_B), 3, self.side, self.side]
        return F.affine_grid(torch.stack([upper, lower], 1), size, align_corners=False)

    def _mirrored(self, view: Tensor) -> Tensor:
        mirror = torch.rand(len(view), 1, 1, 1, generator=self.random) < 0.5
        return torch.where(mirror, view.flip(3), view)

    def _lit(self, view: Tensor, strength: float = 1.0) -> Tensor:
        """Brighter or darker, tinted, and with more or less contrast and colour."""
        count = len(view)
        view = view * torch.exp(0.35 * strength * self._around(count, 1, 1, 1))
        view = view * torch.exp(0.12 * strength * self._around(count, 3, 1, 1))
        mean = view.mean((2, 3), keepdim=True)
        view = mean + (view - mean) * torch.exp(0.3 * strength * self._around(count, 1, 1, 1))
        grey = view.mean(1, keepdim=True)
        view = grey + (view - grey) * torch.exp(0.3 * strength * self._around(count, 1, 1, 1))
        return view.clamp(0, 1)


def calm_views(photos: Tensor, side: int) -> list[Tensor]:
    """The views that a picture is described by, (M, 3, V, V) each: whole and five parts, each also mirrored."""
    found = []
    corners = [(1.3, across, down) for down in (-0.2, 0.2) for across in (-0.2, 0.2)]
    for scale, across, down in ((1.0, 0, 0), (1.3, 0, 0), *corners):
        where = torch.tensor([[1 / scale, 0, across], [0, 1 / scale, down]]).expand(len(photos), 2, 3)
        grid = F.affine_grid(where, [len(photos), 3, side, side], align_corners=False)
        view = _sampled(photos, grid, "reflection")
        found += [view, view.flip(3)]
    return found


def _sampled(pictures: Tensor, grid: Tensor, beyond: str) -> Tensor:
    return F.grid_sample(pictures, grid, padding_mode=beyond, align_corners=False)
