"""A picture's bytes as a small square of colours, whatever somebody has put in the file.

It must not know where the bytes come from. A file that claims to be larger than any picture is refused by its header, before
a pixel of it is computed; formats that draw, embed or run something are not opened at all.

Legend: S side, M pictures.
"""

import io
import warnings
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from shoploop.errors import PictureUnreadable, first_line

if TYPE_CHECKING:
    from PIL import Image

Pixels = npt.NDArray[np.uint8]
"""(..., S, S, 3), red, green and blue."""

SIDE = 96
"""Pixels on a side that are kept of a picture."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
"""Of a moving picture the first frame."""

MOST_BYTES = 20 * 2**20
MOST_PIXELS = 50_000_000
"""Above what cameras of shops make (50 megapixels); decoded it is 150 MB."""


HEAD = 12
"""Bytes that say which format a file is of."""


def is_picture(head: bytes) -> bool:
    """Whether a file with these first :data:`HEAD` bytes begins as one of :data:`FORMATS` does."""
    return head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM")) or (
        head.startswith(b"RIFF") and head[8:12] == b"WEBP"
    )


def read_picture(data: bytes, *, name: str, side: int = SIDE) -> Pixels:
    """The picture, whole, in the middle of a white square.

    Args:
        data: The file's bytes.
        name: What it is called in errors.
        side: S.

    Returns:
        (S, S, 3).

    Raises:
        PictureUnreadable: it is no picture of these formats, is cut off or damaged, or is larger than the limits.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    if len(data) > MOST_BYTES:
        raise PictureUnreadable(
            f"Picture {name} has {len(data):,} bytes; up to {MOST_BYTES:,} are read. Store a smaller one: {side} pixels "
            "on a side are looked at."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow's own limit, which lies above ours, and of odd metadata
            with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
                width, height = opened.size
                if width * height > MOST_PIXELS:
                    raise PictureUnreadable(
                        f"Picture {name} claims to be {width:,} × {height:,} pixels; up to {MOST_PIXELS:,} are decoded. "
                        f"Store a smaller one: {side} pixels on a side are looked at."
                    )
                opened.draft("RGB", (2 * side, 2 * side))  # a JPEG is decoded no larger than it has to be
                picture = ImageOps.exif_transpose(opened)
                if picture.mode.startswith("I"):
                    picture = _in_eight_bits(picture)
                see_through = picture.has_transparency_data
                picture = picture.convert("RGBA" if see_through else "RGB")
                size = [max(1, round(length / max(picture.size) * side)) for length in picture.size]
                picture = picture.resize(size, Image.Resampling.LANCZOS)
    except PictureUnreadable:
        raise
    except UnidentifiedImageError as error:  # its own words hold an address, which no two runs share
        raise PictureUnreadable(
            f"Picture {name} cannot be read: it begins as none of {', '.join(FORMATS)} does. Save it as one of them."
        ) from error
    except Exception as error:  # a decoder meets damaged bytes with errors of any kind
        raise PictureUnreadable(
            f"Picture {name} cannot be read: {first_line(error)}. Formats: {', '.join(FORMATS)}; is it whole?"
        ) from error
    square = Image.new("RGB", (side, side), "white")
    left, top = ((side - length) // 2 for length in picture.size)
    square.paste(picture, (left, top), picture if see_through else None)
    return np.asarray(square)


def _in_eight_bits(picture: "Image.Image") -> "Image.Image":
    """Of a grey picture of 16 bits, which Pillow's own conversion would make white wherever it is not almost black."""
    from PIL import Image

    values = np.asarray(picture)
    grey = Image.fromarray(np.round(values / 257).astype(np.uint8))
    if (unseen := picture.info.get("transparency")) is not None:
        grey.putalpha(Image.fromarray(np.where(values == unseen, 0, 255).astype(np.uint8)))
    return grey
