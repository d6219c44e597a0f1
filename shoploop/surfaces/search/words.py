"""Text as search reads it: words without case, accents and plural, and pieces of letters that forgive spelling.

Legend: T texts, G hashed pieces.
"""

import re
import unicodedata
import zlib
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse

MOST_LETTERS = 200
"""Of a query that are read; nobody types more to find an item."""

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

_SPELT_OUT = re.compile("([aou])e")


def words(text: str) -> list[str]:
    """The words of a text in their order, without endings: letters and digits apart, so that "mw3" is "mw 3"."""
    return [stem(word) for word in plain(text)]


def plain(text: str) -> list[str]:
    """The words of a text in their order, without case and accents."""
    # first apart, then without case: what is taken apart may have capitals, as the sign of a trade mark has
    folded = unicodedata.normalize("NFKD", text[:MOST_LETTERS]).casefold()
    bare = "".join(sign for sign in folded if sign in VOICED or not unicodedata.combining(sign))
    return _WORD.findall(bare.replace("'", "").replace("’", ""))


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
    return "".join(words(text))


def grams(word: str) -> list[int]:
    """Places of its pieces of three letters, borders included; of nothing there are none."""
    if not word:
        return []
    bounded = f"^{word}$"
    return [zlib.crc32(bounded[at : at + 3].encode()) % GRAMS for at in range(len(bounded) - 2)]


def text_pieces(text: str, places: int = 1 << 14) -> list[int]:
    """Places of its words and of their pieces of letters, sorted, each once; words and pieces are kept apart."""
    found = set()
    for word in words(text):
        found.add(zlib.crc32(f"word {word}".encode()) % places)
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
