"""Learning to describe pictures from the pictures of a shop's own items, their texts, and photos of them where there are any.

An item is a direction: of its words, and of what is learned of it alone. A view of a picture of it is to point there, by a
softmax over the cosines with all items. An item of which there is no photo is learned from views of its one picture, cut out
and put before others. A photo is never told to be none of the items that have no photo, or they would be found by none.

Legend: I items, M photos, B views, D width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shoploop.compute.cores import one_thread
from shoploop.data.pictures import Pixels
from shoploop.features.log import Float32
from shoploop.images.network import Encoder, PictureNetwork
from shoploop.images.views import Views, as_tensor, calm_views, cut_out
from shoploop.surfaces.search.words import READING, text_pieces

TEXT_PLACES = 1 << 12
"""Into which pieces of texts are hashed."""

AT_ONCE = 256
"""Pictures that are described at a time."""


@dataclass(frozen=True, kw_only=True)
class LearningConfig:
    """How an encoder learns."""

    network: PictureNetwork.Config = field(default_factory=PictureNetwork.Config)
    steps: int = 600
    batch: int = 64
    """Views of a step: half of them of photos, or where there are none of the items' pictures as they are; half cut out."""

    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    sharpness: float = 16.0
    """Multiplies the cosines; a higher value separates near-ties harder."""

    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What came of it."""

    encoder: Encoder
    directions_ID: Float32
    """Of the items that it learned from, unit rows."""

    losses: tuple[float, ...]


@one_thread()
def learn_pictures(
    products: Pixels,
    texts: Sequence[str],
    photos: Pixels | None = None,
    items_M: npt.NDArray[np.integer] | None = None,
    config: LearningConfig | None = None,
    *,
    after_step: Callable[[int, int], None] = lambda step, steps: None,
) -> Learned:
    """Trains an encoder on one thread; the same seed gives the same.

    Args:
        products: The picture of each item, (I, S, S, 3).
        texts: Of each item: its name, what it is, what is said of it.
        photos: Other pictures of some of the items, (M, S, S, 3).
        items_M: Which item each of them shows.
        config: Defaults suit some hundred pictures and some minutes of one core.
        after_step: Told how many steps are done, and of how many.
    """
    config = config or LearningConfig()
    torch.manual_seed(config.seed)
    items, side = len(products), config.network.side
    encoder = Encoder(config.network, places=TEXT_PLACES)
    drawing = torch.Generator().manual_seed(config.seed)
    own_ID = nn.Parameter(torch.randn(items, config.network.width, generator=drawing) * 0.1)
    pieces_IP = padded(texts)
    views, cut = Views(side, config.seed), cut_out(products, side)
    few = photos is None or items_M is None or len(photos) == 0
    shown = products if few else np.asarray(photos)
    shows_M = torch.arange(items) if few else torch.from_numpy(np.asarray(items_M, np.int64))
    never_I = torch.ones(items, dtype=torch.bool)
    never_I[shows_M] = False
    parameters = [*encoder.parameters(), own_ID]
    optimizer = torch.optim.AdamW(parameters, config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=config.steps, pct_start=0.15
    )

    def directions() -> Tensor:
        return F.normalize(own_ID + encoder.of_texts(pieces_IP), dim=-1)

    half, losses = config.batch // 2, []
    for step in range(config.steps):
        seen_B, made_B, behind_B = views.draw(len(shown), half), views.draw(items, half), views.draw(len(shown), half)
        seen_view = views.of_photos(as_tensor(shown[seen_B.numpy()]))
        made_view = views.of_products(cut[made_B].float().div_(255), as_tensor(shown[behind_B.numpy()]))
        scores = config.sharpness * encoder.network(torch.cat([seen_view, made_view])) @ directions().T
        of_seen = scores[:half].masked_fill(never_I, -1e4)
        loss = (F.cross_entropy(of_seen, shows_M[seen_B]) + F.cross_entropy(scores[half:], made_B)) / 2
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        after_step(step + 1, config.steps)
    with torch.inference_mode():
        found: Float32 = directions().numpy().copy()
    return Learned(encoder=encoder.eval(), directions_ID=found, losses=tuple(losses))


@one_thread()
def describe(network: PictureNetwork, pictures: Pixels) -> Float32:
    """Unit rows, (M, D): the mean over some views of each, which is steadier than one."""
    network.eval()
    found = np.empty((len(pictures), network.config.width), np.float32)
    with torch.inference_mode():
        for start in range(0, len(pictures), AT_ONCE):
            some = as_tensor(pictures[start : start + AT_ONCE])
            rows = torch.stack([network(view) for view in calm_views(some, network.config.side)]).sum(0)
            found[start : start + AT_ONCE] = F.normalize(rows, dim=-1).numpy()
    return found


def describe_texts(encoder: Encoder, texts: Sequence[str]) -> Float32:
    """Unit rows, (I, D), of words alone."""
    with torch.inference_mode():
        found: Float32 = F.normalize(encoder.of_texts(padded(texts, encoder.places, encoder.reading)), dim=-1).numpy()
    return found


def described(encoder: Encoder, pictures: Pixels, texts: Sequence[str]) -> Float32:
    """Unit rows, (I, 2 D): the picture's and the text's side by side, so that a cosine is the mean of both."""
    halves = describe(encoder.network, pictures), describe_texts(encoder, texts)
    found: Float32 = np.concatenate(halves, axis=1) / np.float32(np.sqrt(2))
    return found


def padded(texts: Sequence[str], places: int = TEXT_PLACES, reading: int = READING) -> Tensor:
    """The pieces of several texts, (I, P), from 1; 0 pads."""
    lists = [text_pieces(text, places, reading) for text in texts]
    table = torch.zeros(len(lists), max([1, *map(len, lists)]), dtype=torch.int64)
    for row, each in enumerate(lists):
        table[row, : len(each)] = torch.tensor(each, dtype=torch.int64) + 1
    return table
