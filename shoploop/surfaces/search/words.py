"""Text as search reads it: words without case, accents and plural, and pieces of letters that forgive spelling.

Chinese, Japanese, Thai, Lao, Khmer and Burmese have no blanks between words. A run of their letters is read as all pairs of
neighbours in it, as search engines do that have no dictionary (Lucene's CJKBigramFilter): most words there have two letters,
and one in the middle of a title is found. Korean has blanks, and each of its signs is two or three letters once it is taken
apart, so that pieces of letters find a word within another there as in German.

Legend: T texts, G hashed pieces.
"""

import re
import unicodedata
import zlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import sparse

MOST_LETTERS, MOST_OF_NAME = 200, 1_000
"""Of a query that are read, as nobody types more to find an item; and of what is known of an item in words."""

AS_WRITTEN, READING = 1, 2
"""How the text was cut that weights have learned from: letters such as ø and digits of other scripts as they are and runs
without blanks whole, or as now. A version that does not say it has the first."""

GRAMS = 1 << 15
"""Places into which pieces of letters are hashed."""

VOICED = "\u3099\u309a"
"""Marks that make another letter of a Japanese one, not an accent."""

_VOWELS = "".join(
    sign
    for sign in map(chr, range(0x300, 0xFE00))
    if unicodedata.category(sign) in ("Mn", "Mc") and not unicodedata.combining(sign)
)
"""Marks that are a word's vowels, as in Hindi and Thai: a word is not cut at them."""

_WORD = re.compile(rf"[^\W\d_](?:[^\W\d_]|[{_VOWELS}{VOICED}])*|\d+")

# Thai and Lao, Burmese, Khmer, Han with its signs of repetition, Japanese, Burmese again, more of Japanese and Han
_BLANKLESS = (
    "\u0e01-\u0edf\u1000-\u109f\u1780-\u17dd\u3005-\u3007\u3021-\u3029\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\ua9e0-\ua9fe\uaa60-\uaa7f\uf900-\ufaff\U0001aff0-\U0001b16f\U00020000-\U0003ffff"
)
_LETTER = rf"(?![{_VOWELS}{VOICED}])[{_BLANKLESS}][{_VOWELS}{VOICED}]*"
"""One of a script without blanks, with the marks that belong to it."""

_HAS_BLANKLESS = re.compile(f"[{_BLANKLESS}]")
_LETTERS = re.compile(_LETTER)
_RUN = re.compile(rf"(?:{_LETTER})+|(?:(?!{_LETTER}).)+")

_PLAIN = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "ı": "i", "ȷ": "j", "æ": "ae", "œ": "oe", "þ": "th"}
)
"""Letters that people type otherwise where a keyboard lacks them, and that Unicode does not take apart; small ones."""

_FOREIGN_DIGIT = re.compile("(?![0-9])\\d")

_SPELT_OUT = re.compile("([aou])e")


def words(text: str) -> list[str]:
    """The words of a text in their order, without endings: letters and digits apart, so that "mw3" is "mw 3"."""
    return [stem(word) for word in plain(text)]


def plain(text: str) -> list[str]:
    """The words of a text in their order, without case and accents; of a script without blanks all pairs of letters."""
    return [word for run in runs(text) for word in pairs(run)]


def runs(text: str, reading: int = READING) -> list[str]:
    """The words of a text in their order, without case and accents; of a script without blanks whole runs of letters.

    Args:
        text: Of a very long one the beginning is read.
        reading: See :data:`READING`.
    """
    # first apart, then without case: what is taken apart may have capitals, as the sign of a trade mark has
    folded = unicodedata.normalize("NFKD", text[:MOST_OF_NAME]).casefold()
    bare = folded
    if not folded.isascii():
        bare = "".join(sign for sign in folded if sign in VOICED or not unicodedata.combining(sign))
    bare = bare.replace("'", "").replace("’", "")
    if reading == AS_WRITTEN or bare.isascii():
        return _WORD.findall(bare)
    bare = _FOREIGN_DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), bare.translate(_PLAIN))
    return [run for word in _WORD.findall(bare) for run in _apart(word)]


def _apart(word: str) -> list[str]:
    """A word of two scripts as its runs, if one of them has no blanks."""
    return _RUN.findall(word) if _HAS_BLANKLESS.search(word) else [word]


def blankless(run: str) -> list[str]:
    """The letters of a run, with their marks, if it is of a script without blanks; of any other none."""
    return _LETTERS.findall(run) if _HAS_BLANKLESS.match(run) else []


def pairs(run: str) -> list[str]:
    """The words of a run: itself, or, of a script without blanks, each letter with the next."""
    letters = blankless(run)
    return [one + other for one, other in pairwise(letters)] if len(letters) > 2 else [run]


def written(words: Iterable[str]) -> str:
    """Words as somebody writes them one behind the other: pairs that overlap are the run that they were read from."""
    text, before = "", [""]
    for word in words:
        letters = blankless(word)
        if len(before) == len(letters) == 2 and before[1] == letters[0]:
            text += letters[1]
        else:
            text += f" {word}" if text else word
        before = letters
    return text


def stem(word: str) -> str:
    """Without what a plural adds, so that "tomatoes", "boxes", "roses" and "berries" are what one of them is. The same is
    done to all texts, so that it need not be a word."""
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    if len(word) > 3 and word.endswith("e"):
        word = word[:-1]
    return word[:-1] + "y" if len(word) > 3 and word.endswith("i") else word


def without_spelt_out(word: str) -> str:
    """A word without the second letter that stands for an accent where a keyboard has none: "saege" is "sage", which is how
    "Säge" is read. Only where the word is unknown as it is: "blue" is no "blu"."""
    return _SPELT_OUT.sub(r"\1", word)


def spelling(text: str) -> str:
    """A query without what people write in many ways: case, accents, blanks, signs and plurals."""
    return "".join(stem(run) for run in runs(text[:MOST_LETTERS]))


def grams(word: str) -> list[int]:
    """Places of its pieces of three letters, borders included, and of two where a script has no blanks; of nothing there are
    none."""
    if not word:
        return []
    if word.isascii() or not _HAS_BLANKLESS.search(word):
        return _bounded(word)
    return [
        place
        for run in _apart(word)
        for place in (map(_gram, pairs(run)) if _HAS_BLANKLESS.match(run) else _bounded(run))
    ]


def _bounded(word: str) -> list[int]:
    bounded = f"^{word}$"
    return [_gram(bounded[at : at + 3]) for at in range(len(bounded) - 2)]


@lru_cache(maxsize=1 << 16)
def _gram(piece: str) -> int:
    return zlib.crc32(piece.encode()) % GRAMS


def text_pieces(text: str, places: int = 1 << 14, reading: int = READING) -> list[int]:
    """Places of its words and of their pieces of letters, sorted, each once; words and pieces are kept apart. A pair of a
    script without blanks is a word, and too short for pieces.

    Args:
        text: Of a long one the beginning is read.
        places: How many there are.
        reading: See :data:`READING`.
    """
    found = set()
    for run in runs(text[:MOST_LETTERS], reading):
        without_blanks = reading != AS_WRITTEN and bool(_HAS_BLANKLESS.match(run))
        for word in map(stem, pairs(run) if without_blanks else [run]):
            found.add(zlib.crc32(f"word {word}".encode()) % places)
            if not without_blanks:
                bounded = f"^{word}$"
                found |= {zlib.crc32(bounded[at : at + 3].encode()) % places for at in range(max(len(bounded) - 2, 1))}
    return sorted(found)


def gram_matrix(texts: Sequence[str]) -> sparse.csr_matrix:
    """Which pieces each text has, (T, G), ones."""
    lists = [sorted(set(grams(text))) for text in texts]
    return indicator(lists, GRAMS)


def indicator(lists: Iterable[Sequence[int]], width: int) -> sparse.csr_matrix:
    """Ones at the columns that each row lists."""
    kept = [np.asarray(each, np.int32) for each in lists]
    offsets = np.concatenate([[0], np.cumsum([len(each) for each in kept])]).astype(np.int64)
    columns = np.concatenate([*kept, np.empty(0, np.int32)])
    return sparse.csr_matrix((np.ones(len(columns), np.float32), columns, offsets), shape=(len(kept), width))


def rarity(matrix_TG: sparse.csr_matrix) -> npt.NDArray[np.float32]:
    """Inverse document frequency of each column, (G,), 0 where no text has it."""
    seen_G = np.bincount(matrix_TG.indices, minlength=matrix_TG.shape[1])
    rare_G = np.log(1 + (matrix_TG.shape[0] - seen_G + 0.5) / (seen_G + 0.5))
    return np.where(seen_G > 0, rare_G, 0.0).astype(np.float32)
