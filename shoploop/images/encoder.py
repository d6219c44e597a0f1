"""An encoder of pictures and texts on a folder, and what it says of items: where they lie beside what is like them.

Legend: I items, M pictures, D width.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import polars as pl
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from shoploop.data.picture_files import ENCODER, ENCODER_CONFIG, ENCODER_WEIGHTS, FILE, encoder_bytes, pixels_of
from shoploop.errors import ArtifactCorrupt, ArtifactForeign
from shoploop.features.catalogs import Catalogs
from shoploop.features.log import Float32, Vocabulary
from shoploop.features.resemblance import with_resemblance
from shoploop.images.learning import LearningConfig, described, learn_pictures
from shoploop.images.network import Encoder, PictureNetwork
from shoploop.surfaces.search.asked import item_texts
from shoploop.surfaces.search.words import AS_WRITTEN

FORMAT = 1


def likeness(
    data: Path,
    items: pl.DataFrame,
    vocabulary: Vocabulary,
    *,
    seed: int = 0,
    encoder: Encoder | None = None,
    progress: Callable[[int, int, str], None] = lambda done, of, what: None,
) -> tuple[Float32, Encoder] | None:
    """Where items lie by their pictures and texts.

    Args:
        data: Folder of ``load_data``; where an encoder lies in it, none is trained.
        items: Its table of items.
        vocabulary: Whose items are asked for.
        seed: Of its training.
        encoder: One that was trained before, in the place of any other.
        progress: Told how far the training is.

    Returns:
        Unit rows, (I, 2 D), the first half of the picture, the other of the text; 0 for an item without a picture. And the
        encoder. None where no item of the vocabulary has a picture.

    Raises:
        NotFound, ArtifactForeign, ArtifactCorrupt: as :func:`read_encoder`.
    """
    if not (data / FILE).exists():
        return None
    table = pl.read_parquet(data / FILE)
    codes = vocabulary.encode(table["item"].to_list())
    table = table.filter(pl.Series(codes >= 0))
    if not table.height:
        return None
    pixels, texts = pixels_of(table), item_texts(items, table["item"].to_list())
    if encoder is None and (data / ENCODER).is_dir():
        encoder = read_encoder(data / ENCODER)
    if encoder is None:
        learned = learn_pictures(
            pixels,
            texts,
            config=LearningConfig(seed=seed),
            after_step=lambda step, steps: progress(step, steps, "steps of the encoder of pictures"),
        )
        encoder = learned.encoder
    found = np.zeros((len(vocabulary), 2 * encoder.network.config.width), np.float32)
    found[codes[codes >= 0]] = described(encoder, pixels, texts)
    return found, encoder


def as_pictured(catalogs: Catalogs, data: Path, items: pl.DataFrame, vocabulary: Vocabulary, version: Path) -> Catalogs:
    """The catalogs, where items without factors have some of what they look like, by the encoder that a version carries.

    Args:
        catalogs: By day.
        data: Folder of ``load_data``.
        items: Its table of items.
        vocabulary: Whose items the catalogs are of.
        version: The version's folder.

    Raises:
        NotFound, ArtifactForeign, ArtifactCorrupt: as :func:`read_encoder`.
    """
    pictured = likeness(data, items, vocabulary, encoder=read_encoder(version))
    return catalogs if pictured is None else with_resemblance(catalogs, pictured[0])


def encoder_files(encoder: Encoder) -> dict[str, bytes]:
    """The encoder as files by their names, as a version carries them."""
    config = {
        "format": FORMAT,
        "network": encoder.network.config.to_json(),
        "places": encoder.places,
        "reading": encoder.reading,
    }
    weights = {name: value.contiguous() for name, value in encoder.state_dict().items()}
    return {ENCODER_CONFIG: json.dumps(config, indent=1).encode() + b"\n", ENCODER_WEIGHTS: save(weights)}


def read_encoder(folder: Path) -> Encoder:
    """The encoder of a folder.

    Raises:
        NotFound: one of its two files is not there.
        ArtifactForeign: it is none of shoploop's, or one of another format.
        ArtifactCorrupt: its weights are damaged, or others than it says.
    """
    return encoder_of(encoder_bytes(folder), str(folder))


def encoder_of(files: Mapping[str, bytes], name: str) -> Encoder:
    """The encoder of such files; raises as :func:`read_encoder`."""
    try:
        said = json.loads(files[ENCODER_CONFIG])
        if said["format"] != FORMAT:
            raise ArtifactForeign(
                f"The encoder of pictures {name} is of format {said['format']!r}; this shoploop reads {FORMAT}. Leave "
                "image.encoder out to train one."
            )
        network = PictureNetwork.Config.from_json(said["network"])
        encoder = Encoder(network, places=int(said["places"]), reading=int(said.get("reading", AS_WRITTEN)))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ArtifactForeign(
            f"The encoder of pictures {name}: its {ENCODER_CONFIG} is none that shoploop has written. Leave "
            "image.encoder out to train one."
        ) from error
    try:
        encoder.load_state_dict(load(files[ENCODER_WEIGHTS]))
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise ArtifactCorrupt(
            f"The encoder of pictures {name}: its {ENCODER_WEIGHTS} does not hold the weights that its "
            f"{ENCODER_CONFIG} speaks of. Copy the folder again."
        ) from error
    if not all(bool(torch.isfinite(value).all()) for value in encoder.state_dict().values()):
        raise ArtifactCorrupt(f"The encoder of pictures {name} has weights that are no numbers. Copy the folder again.")
    return encoder.eval()
