"""A large CSV piece by piece: memory grows with its table, and not with several copies of the file beside it.

What is read is what :mod:`shoploop.data.csv_text` reads of the whole. Where a quote stands in the file a line may end within
it, so that nobody knows where to cut: such a file is left to that.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import polars as pl

from shoploop.data.csv_text import (
    Csv,
    by_arrow,
    decoded,
    divided,
    refuse_ragged,
    stood_in,
    without_above,
)
from shoploop.data.encodings import Recoding

PIECE_BYTES = 1 << 22
"""Of a piece; a file that is smaller is read as a whole."""


def read_pieces(path: Path, *, shown: str, separator: str | None, header: list[str]) -> Csv | None:
    """Reads a CSV as :func:`shoploop.data.csv_text.read_csv` does, piece by piece; None where it must be read as a whole.

    Args:
        path: The file, not compressed.
        shown: The file, for messages.
        separator: As there.
        header: As there.

    Raises:
        TableEmpty, DataUnreadable, SpecInvalid: as there.
    """
    with path.open("rb") as file:
        if not _can_be_cut(file):
            return None
        recoding = Recoding(lambda: _rest(file))
        text = decoded(_lines(file), recoding, shown=shown)
        if not text.strip():
            return None
        text, above = (text, []) if header else without_above(text, separator)
        text, sign, spelt = divided(text, shown=shown, separator=separator, header=header)
        whole = by_arrow(text, sign, header, shown, "quotes")
        if whole is None:
            return None
        whole.recoding, whole.above = recoding, above
        bodies, mended = [_body(whole)], [_mended(whole)]
        while raw := _lines(file):
            piece = by_arrow(stood_in(recoding.text(raw), spelt)[0], sign, whole.names, shown, "quotes")
            if piece is None:
                return None
            bodies.append(_body(piece))
            mended.append(_mended(piece))
            whole.mended += piece.mended
            whole.headers += piece.headers
            whole.ragged += piece.ragged
            whole.example = whole.example or piece.example
    whole.table = pl.concat([*bodies, *mended], rechunk=False)
    refuse_ragged(whole, shown)
    return whole


def _can_be_cut(file: BinaryIO) -> bool:
    """Whether every line ends where it seems to; the file is at its beginning again."""
    ends = False
    while raw := file.read(PIECE_BYTES):
        if b'"' in raw or b"\0" in raw:  # a quote, or an encoding of two bytes a sign
            return False
        ends = ends or b"\n" in raw
    file.seek(0)
    return ends


def _lines(file: BinaryIO) -> bytes:
    return file.read(PIECE_BYTES) + file.readline()


def _rest(file: BinaryIO) -> Iterator[bytes]:
    """Pieces that are still to come; the file is where it was again."""
    at = file.tell()
    while raw := _lines(file):
        yield raw
    file.seek(at)


def _body(piece: Csv) -> pl.DataFrame:
    """The lines that are as wide as the header; the others come after those of all pieces."""
    return piece.table.head(len(piece.table) - piece.mended)


def _mended(piece: Csv) -> pl.DataFrame:
    return piece.table.tail(piece.mended)
