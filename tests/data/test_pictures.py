"""What is read of a picture's file: none costs more than a picture, and none is read from elsewhere."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from shoploop.data.picture_files import PictureFolder, pixels_of, read_pictures
from shoploop.data.pictures import MOST_BYTES, read_picture
from shoploop.data.rules import Loaded
from shoploop.errors import NotFound, PictureUnreadable

RED = (220, 20, 20)


def a_file(
    kind: str = "PNG", size: tuple[int, int] = (40, 40), colour: tuple[int, ...] = RED, **options: object
) -> bytes:
    held = io.BytesIO()
    Image.new("RGBA" if len(colour) == 4 else "RGB", size, colour).save(held, kind, **options)
    return held.getvalue()


def a_png_that_claims(width: int, height: int) -> bytes:
    """A whole header, of a picture of which a line of zeros is there, packed a thousandfold."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1_000_000)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_a_picture_of_a_known_format_becomes_a_square_of_its_colours(kind):
    pixels = read_picture(a_file(kind), name="apple")
    assert pixels.shape == (96, 96, 3) and pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - RED).max() < 12


def test_a_long_picture_lies_whole_in_a_white_square():
    pixels = read_picture(a_file(size=(200, 50)), name="cucumber")
    assert pixels[48, 0].tolist() == list(RED) and pixels[48, 95].tolist() == list(RED)
    assert (pixels[:30] == 255).all() and (pixels[-30:] == 255).all()


@pytest.mark.parametrize("size", [(2_000, 5), (5, 2_000)])
def test_a_picture_as_long_as_a_banner_is_a_line_of_its_colour(size):
    pixels = read_picture(a_file(size=size), name="banner")
    line = pixels[47] if size[0] > size[1] else pixels[:, 47]
    assert (line == RED).all()
    assert (pixels != 255).any(axis=2).sum() == 96


@pytest.mark.parametrize("mode", ["grey", "with a value that is seen through"])
def test_a_grey_picture_of_16_bits_has_the_shades_that_it_has_in_8(mode):
    shades = np.linspace(0, 255, 40).round().astype(np.uint8)[None].repeat(40, axis=0)
    unseen = {} if mode == "grey" else {"transparency": 0}

    def read(values: np.ndarray) -> np.ndarray:
        held = io.BytesIO()
        Image.fromarray(values).save(held, "PNG", **unseen)
        return read_picture(held.getvalue(), name="scan").astype(int)

    assert np.abs(read(shades.astype(np.uint16) * 257) - read(shades)).max() <= 1


def test_what_can_be_seen_through_lies_on_white():
    assert (read_picture(a_file(colour=(*RED, 0)), name="glass") == 255).all()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"item,image\n1,a.png\n", id="a table"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", id="a drawing"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", id="a program that draws"),
        pytest.param(a_file("JPEG")[:300], id="cut off"),
        pytest.param(a_file()[:-30], id="cut off at its end"),
        pytest.param(a_file("TIFF"), id="another format"),
    ],
)
def test_a_picture_that_is_none_is_named(data):
    with pytest.raises(PictureUnreadable, match="Picture apple cannot be read"):
        read_picture(data, name="apple")


@pytest.mark.parametrize("side", [8_000, 60_000])
def test_a_picture_bomb_is_refused_by_its_header(side):
    with pytest.raises(PictureUnreadable, match="Picture apple"):
        read_picture(a_png_that_claims(side, side), name="apple")


def test_a_file_larger_than_any_picture_is_not_looked_at():
    with pytest.raises(PictureUnreadable, match="up to 20,971,520 are read"):
        read_picture(bytes(MOST_BYTES + 1), name="apple")


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder of two pictures, with a secret beside it."""
    folder = tmp_path / "pictures"
    (folder / "fruit").mkdir(parents=True)
    (folder / "fruit" / "apple.png").write_bytes(a_file())
    (folder / "note.png").write_text("no picture")
    (tmp_path / "secret.png").write_bytes(a_file())
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    return folder


@pytest.mark.parametrize("named", ["fruit/apple.png", "./fruit/apple.png", "URL/fruit/apple.png"])
def test_a_picture_is_found_below_its_folder(shelf, named):
    folder = PictureFolder(str(shelf))
    assert folder.read(named.replace("URL", shelf.as_uri())) == (shelf / "fruit/apple.png").read_bytes()


@pytest.mark.parametrize(
    "named",
    [
        "../secret.png",
        "fruit/../../secret.png",
        "ABSOLUTE",
        "link.png",
        "file:///etc/hostname",
        "http://169.254.169.254/latest",
        "URL/../secret.png",
        "URL/%2e%2e/secret.png",
        "fruit\\..\\..\\secret.png",
        "apple.png\0.txt",
        ".",
    ],
)
def test_a_path_out_of_the_folder_is_never_read(shelf, named):
    named = named.replace("ABSOLUTE", str(shelf.parent / "secret.png")).replace("URL", shelf.as_uri())
    with pytest.raises(PictureUnreadable, match="lies outside of"):
        PictureFolder(str(shelf)).read(named)


def test_a_folder_of_pictures_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NotFound, match="folder of pictures"):
        PictureFolder(str(tmp_path / "nowhere"))


def test_items_whose_pictures_cannot_be_read_go_on_without_and_are_counted(shelf):
    named = {"apple": "fruit/apple.png", "note": "note.png", "out": "../secret.png", "gone": "gone.png", "bare": None}
    items = pl.DataFrame({"item": list(named), "image": list(named.values())})
    loaded = Loaded(interactions=pl.DataFrame())
    pictures = read_pictures(items, PictureFolder(str(shelf)), loaded)
    assert pictures is not None and pictures["item"].to_list() == ["apple"]
    assert pixels_of(pictures).shape == (1, 96, 96, 3)
    (rule,) = loaded.rules
    assert (rule.name, rule.rows) == ("picture_unreadable", 3)
    assert "gone.png" in rule.why  # the first by the items' ids


def test_where_no_picture_can_be_read_there_are_none(shelf):
    items = pl.DataFrame({"item": ["out"], "image": ["../secret.png"]})
    assert read_pictures(items, PictureFolder(str(shelf)), Loaded(interactions=pl.DataFrame())) is None
