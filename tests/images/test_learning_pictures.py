"""Items described by their pictures and texts, learned from few of them."""

import json

import numpy as np
import pytest
import torch
from coloured_pictures import COLOURS, photo, pixels, product
from safetensors.torch import load, save
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from shoploop.data.picture_files import ENCODER_CONFIG, ENCODER_WEIGHTS
from shoploop.errors import ArtifactCorrupt, ArtifactForeign, NotFound
from shoploop.images.encoder import encoder_files, read_encoder
from shoploop.images.learning import LearningConfig, describe, described, learn_pictures
from shoploop.images.network import Encoder, PictureNetwork
from shoploop.images.views import cut_out
from shoploop.surfaces.search.words import AS_WRITTEN, READING

NAMES = tuple(COLOURS)
TINY = LearningConfig(network=PictureNetwork.Config(side=16, channels=(8, 16), width=16), steps=120, batch=16)


@pytest.fixture(scope="module")
def products():
    return pixels([product(name) for name in NAMES])


@pytest.fixture(scope="module")
def learned(products):
    """From photos of all but the blue one."""
    shown = [code for code, name in enumerate(NAMES) if name != "blue" for _ in range(6)]
    photos = pixels([photo(NAMES[code], seed) for seed, code in enumerate(shown)])
    texts = [f"{name} ball" for name in NAMES]
    return learn_pictures(products, texts, photos, np.array(shown), TINY)


def test_an_item_of_which_there_is_no_photo_is_found_by_its_picture_and_text(learned):
    seen = describe(learned.encoder.network, pixels([photo("blue", 100 + n) for n in range(8)]))
    found = (seen @ learned.directions_ID.T).argmax(axis=1)
    assert (found == NAMES.index("blue")).mean() >= 0.75


def test_items_that_were_learned_from_photos_are_found_by_others(learned):
    seen = describe(learned.encoder.network, pixels([photo(name, 200 + n) for n, name in enumerate(NAMES)]))
    assert ((seen @ learned.directions_ID.T).argmax(axis=1) == np.arange(4)).sum() >= 3


def test_what_is_said_of_an_item_is_a_direction_of_picture_and_text(learned, products):
    rows = described(learned.encoder, products, ["red ball", "green ball", "blue ball", "yellow ball"])
    assert rows.shape == (4, 32)
    assert np.allclose((rows**2).sum(axis=1), 1, atol=1e-5)
    bare = described(learned.encoder, products[:1], [""])
    assert (bare[:, 16:] == 0).all()  # no word, no direction


class Largest(TorchDispatchMode):
    """Sees how many numbers the largest tensor has that is made."""

    numbers = 0

    def __torch_dispatch__(self, made, types, args=(), kwargs=None):
        found = made(*args, **(kwargs or {}))
        self.numbers = max(
            [self.numbers, *(one.numel() for one in tree_leaves(found) if isinstance(one, torch.Tensor))]
        )
        return found


def test_one_long_text_does_not_make_the_vectors_of_all_others_as_long():
    encoder = Encoder(PictureNetwork.Config(), places=64)
    pieces_IP = torch.zeros(50, 200, dtype=torch.int64)
    pieces_IP[:, 0], pieces_IP[0] = 3, torch.arange(200) % 64 + 1
    with Largest() as largest:
        vectors = encoder.of_texts(pieces_IP)
        vectors.sum().backward()
    assert largest.numbers <= pieces_IP.numel()
    with torch.inference_mode():
        whole = encoder.text(pieces_IP).sum(1) / torch.tensor([200.0] + 49 * [1.0]).sqrt()[:, None]
    torch.testing.assert_close(vectors, whole)


def test_one_seed_learns_one_encoder_and_another_another(products):
    few = LearningConfig(network=TINY.network, steps=3, batch=8)
    first, again = (learn_pictures(products, NAMES, config=few) for _ in range(2))
    other = learn_pictures(products, NAMES, config=LearningConfig(network=TINY.network, steps=3, batch=8, seed=1))
    assert encoder_files(first.encoder) == encoder_files(again.encoder)
    assert first.losses == again.losses != other.losses


def test_a_thing_is_cut_out_of_its_plain_ground_and_fills_the_square(products):
    cut = cut_out(products, 32).numpy()
    assert (cut[0, 3, 16] > 200).all()  # from border to border
    assert cut[0, 3, 0, 0] == 0 and (cut[0, :3, 0, 0] == 0).all()


def test_a_picture_without_a_plain_ground_stays_whole_and_so_does_an_empty_one():
    whole, empty = np.full((1, 96, 96, 3), 90, np.uint8), np.full((1, 96, 96, 3), 255, np.uint8)
    assert (cut_out(whole, 16)[0, 3, 2:-2, 2:-2] > 250).all()
    assert (cut_out(empty, 16)[0, 3, 2:-2, 2:-2] > 250).all()


@pytest.fixture
def folder(tmp_path, learned):
    for name, content in encoder_files(learned.encoder).items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_an_encoder_of_a_folder_says_what_the_one_that_was_written_says(folder, learned, products):
    read = read_encoder(folder)
    assert np.array_equal(describe(read.network, products), describe(learned.encoder.network, products))


def test_an_encoder_that_does_not_say_how_it_reads_texts_reads_as_it_has_learned(folder, learned):
    assert read_encoder(folder).reading == learned.encoder.reading == READING
    said = json.loads((folder / ENCODER_CONFIG).read_text())
    del said["reading"]
    (folder / ENCODER_CONFIG).write_text(json.dumps(said))
    assert read_encoder(folder).reading == AS_WRITTEN


@pytest.mark.parametrize("name", [ENCODER_CONFIG, ENCODER_WEIGHTS])
def test_an_encoder_without_one_of_its_files_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(NotFound, match=f"has no {name}"):
        read_encoder(folder)


@pytest.mark.parametrize(
    "config",
    [
        "no json",
        "[]",
        "{}",
        '{"format": 2}',
        '{"format": 1, "network": {"side": 48, "channels": [24], "width": 8, "more": 1}, "places": 10}',
        '{"format": 1, "network": {"side": 48, "channels": [1000000, 1000000], "width": 8}, "places": 10}',
        '{"format": 1, "network": {"side": 48, "channels": [8, 16], "width": 8}, "places": 1000000000}',
        '{"format": 1, "network": {"side": -1, "channels": [8, 16], "width": 8}, "places": 10}',
        "[" * 100_000,
    ],
)
def test_an_encoder_that_shoploop_has_not_written_is_refused(folder, config):
    (folder / ENCODER_CONFIG).write_text(config)
    with pytest.raises(ArtifactForeign, match=r"image\.encoder"):
        read_encoder(folder)


def test_an_encoder_whose_weights_are_others_is_refused(folder):
    said = json.loads((folder / ENCODER_CONFIG).read_text())
    said["network"]["width"] = 32
    (folder / ENCODER_CONFIG).write_text(json.dumps(said))
    with pytest.raises(ArtifactCorrupt, match="does not hold the weights"):
        read_encoder(folder)


def test_an_encoder_with_damaged_weights_is_refused(folder):
    weights = (folder / ENCODER_WEIGHTS).read_bytes()
    (folder / ENCODER_WEIGHTS).write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ArtifactCorrupt, match="does not hold the weights"):
        read_encoder(folder)
    tensors = load(weights)
    tensors["network.out.bias"] = torch.full_like(tensors["network.out.bias"], float("nan"))
    (folder / ENCODER_WEIGHTS).write_bytes(save(tensors))
    with pytest.raises(ArtifactCorrupt, match="no numbers"):
        read_encoder(folder)
