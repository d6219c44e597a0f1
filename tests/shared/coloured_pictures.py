"""Pictures whose answer is plain: things of one colour on white, and photos of them, many on a shelf."""

import io

import numpy as np
from PIL import Image, ImageDraw

from shoploop.data.pictures import SIDE, Pixels

COLOURS = {"red": (210, 30, 30), "green": (30, 160, 40), "blue": (40, 60, 210), "yellow": (230, 210, 40)}


def product(colour: str, side: int = SIDE) -> Image.Image:
    """One thing on white."""
    picture = Image.new("RGB", (side, side), "white")
    ImageDraw.Draw(picture).ellipse((side // 6, side // 6, 5 * side // 6, 5 * side // 6), fill=COLOURS[colour])
    return picture


def photo(colour: str, seed: int) -> Image.Image:
    """Several of them on a shelf of grey."""
    random = np.random.default_rng(seed)
    picture = Image.new("RGB", (SIDE, SIDE), (int(random.integers(60, 140)),) * 3)
    for x, y, size in random.integers((0, 0, 20), (SIDE - 20, SIDE - 20, 50), (6, 3)):
        ImageDraw.Draw(picture).ellipse((int(x), int(y), int(x + size), int(y + size)), fill=COLOURS[colour])
    return picture


def pixels(pictures: list[Image.Image]) -> Pixels:
    return np.stack([np.asarray(picture) for picture in pictures])


def as_file(picture: Image.Image, kind: str = "PNG") -> bytes:
    held = io.BytesIO()
    picture.save(held, kind)
    return held.getvalue()
