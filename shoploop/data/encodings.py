"""Text of bytes that are not UTF-8: in the encoding that somebody named, or that the bytes look like.

An encoding of one byte a sign makes some text of any bytes, so only what that text looks like tells them apart. Files are in
UTF-8, line by line, and old ones mostly in Windows-1252: another encoding is taken only where charset-normalizer finds its
words clearly likelier than those.
"""

import codecs
import re
from collections.abc import Callable, Iterable
from itertools import chain

from shoploop.errors import DataUnreadable, SpecInvalid

USUAL = "cp1252"

OTHERS = (
    "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "koi8_r", "cp866", "cp874",
    "cp932", "gb18030", "big5", "cp949",
)  # fmt: skip
"""Of Central Europe, Cyrillic, Greek, Turkish, Hebrew, Arabic, the Baltics, Russian twice more, Thai; of Japan, China, Taiwan
and Korea. Polish or Turkish in its own encoding is often as likely to be Windows-1252: then a person has to say it."""

NAMES = {
    "cp1252": "Windows-1252 (Latin-1)",
    "cp932": "Shift-JIS",
    "cp874": "Thai (TIS-620)",
    "cp949": "Korean (EUC-KR)",
}

SEVERAL_BYTES = frozenset({"cp932", "gb18030", "big5", "cp949"})

FEWEST_SIGNS = 24
"""Bytes beyond ASCII in different words, below which nothing is told apart: Windows-1252 it is."""

MOST_SIGNS = 50_000
"""Bytes of different words that are looked at."""

AS_LIKELY = 0.05
"""Shares of odd signs that differ by less say nothing; charset-normalizer calls them chaos."""

AS_COHERENT = 0.05
"""Likewise how far letters are as frequent as in some language."""

_ASCII = re.compile(rb"[\0-\x3f]+")
"""What stands between words; beyond it stand bytes that are half of a sign in East Asia."""


class Recoding:
    """Lines of one file as text. What is found of its encoding holds for all of its lines."""

    def __init__(self, rest: Callable[[], Iterable[bytes]] = tuple) -> None:
        """
        Args:
            rest: Whole lines of the file that come after those that :meth:`text` was given, in pieces; asked for once, where
                an encoding has to be found, so that the first few words do not decide for all.
        """
        self._rest = rest
        self.encoding: str | None = None
        """Of lines that are not UTF-8; None as long as there is none."""

        self.lines = 0
        """That are not UTF-8."""

    def text(self, raw: bytes) -> str:
        """Whole lines as text.

        Args:
            raw: Each ends with a line feed, but for the last.
        """
        try:
            return raw.decode()
        except UnicodeDecodeError:
            lines = raw.split(b"\n")
        if self.encoding is None:
            self.encoding = _encoding_of(_words(lines, (line for raw in self._rest() for line in _split(raw))))
        return "\n".join(map(self._line, lines))

    def _line(self, line: bytes) -> str:
        if line.isascii():
            return line.decode()
        assert self.encoding is not None
        in_utf8 = _is_utf8(line)
        # two bytes of another encoding may be one sign of UTF-8 by chance; three never are, again and again
        by_chance = in_utf8 and self.encoding in SEVERAL_BYTES and max(line.decode()) < "\u0800"
        if in_utf8 and not by_chance:
            return line.decode()
        for encoding in (self.encoding, USUAL):
            try:
                text = line.decode(encoding)
            except UnicodeDecodeError:
                continue
            self.lines += 1
            return text
        self.lines += 1
        return line.decode("latin-1")


def encoding_of(lines: list[bytes]) -> str:
    """The encoding that lines which are not UTF-8 are in, most likely.

    Args:
        lines: Some of a file.
    """
    return _encoding_of(_words(lines))


def _split(raw: bytes) -> list[bytes]:
    """The lines of a piece; none where all are UTF-8, so that most of a file costs little."""
    return [] if _is_utf8(raw) else raw.split(b"\n")


def _words(*several: Iterable[bytes]) -> list[bytes]:
    """Different words of lines that are not UTF-8, sorted: the first as far as they are looked at, however many there are."""
    found: set[bytes] = set()
    for line in chain(*several):
        if _is_utf8(line):
            continue
        found.update(word for word in _ASCII.split(line) if not word.isascii())
        if len(found) > 2 * MOST_SIGNS:
            found = set(sorted(found)[:MOST_SIGNS])  # each has a sign at least
    return sorted(found)


def _encoding_of(words: list[bytes]) -> str:
    sample = b"\n".join(words)[:MOST_SIGNS]
    if sum(byte > 127 for byte in sample) < FEWEST_SIGNS:
        return USUAL
    from charset_normalizer import from_bytes

    matches = list(from_bytes(sample, cp_isolation=[USUAL, *OTHERS]))
    if not matches:
        return USUAL
    least = min(match.chaos for match in matches)
    likely = [match for match in matches if match.chaos <= least + AS_LIKELY]
    most = max(match.coherence for match in likely)
    if any(USUAL in match.could_be_from_charset and match.coherence >= most - AS_COHERENT for match in likely):
        return USUAL
    return str(max(likely, key=lambda match: match.coherence).encoding)


def said(encoding: str) -> str:
    """Its name for people."""
    return NAMES.get(encoding, encoding.replace("cp125", "Windows-125"))


def in_utf8(raw: bytes, encoding: str, *, shown: str) -> bytes:
    """The same text in UTF-8, of bytes in an encoding that somebody named.

    Args:
        raw: Of a file.
        encoding: A name that Python knows.
        shown: The file, for messages.

    Raises:
        SpecInvalid: there is no such encoding of text.
        DataUnreadable: the file is in another one.
    """
    try:
        return raw.decode(encoding).removeprefix("\ufeff").encode()
    except LookupError as error:  # also one that is known and holds no text, such as base64
        raise SpecInvalid(
            f"{shown}: encoding {encoding!r} is not known. Write a name of Python's, such as cp1251, shift_jis or gb18030."
        ) from error
    except UnicodeError as error:
        at = f" at byte {error.start:,}" if isinstance(error, UnicodeDecodeError) else ""
        raise DataUnreadable(
            f"{shown} cannot be read as {codecs.lookup(encoding).name}{at}. Check encoding, or leave it out."
        ) from error


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
