"""One column of somebody's table: what its name and its values say of its meaning.

It must not know the other columns; what is proposed for a table is :mod:`shoploop.data.schema_matching`'s to say.
"""

import re
import unicodedata
from functools import cached_property

import polars as pl

from shoploop.data import time_patterns, times
from shoploop.data.column_names import CODES, ENDINGS_OF_IDS, FLAGS, MONEY, NAMES, NOT_WHEN, foreign_kind, plain_word
from shoploop.data.decimals import read_numbers
from shoploop.data.ids import safe_name, text_of
from shoploop.data.kinds import meaning
from shoploop.errors import SchemaMismatch

EXACT, LIKELY, TOKEN, HELD = 3.0, 2.5, 2.0, 1.0
"""How much a proposal is worth: the very name, a name with another meaning too, a part of the name, the content alone."""

STEM, STEM_LIKELY = 2.75, 2.25
"""The very name, or one with another meaning too, but for a number, code or id at its end, or a path before it."""

ROWS_OF_ONE = 50
"""Few different values stand in more rows each than this."""

SAMPLE_ROWS = 50_000
MOST_KINDS = 50
"""A column of more different words says something else than what people did."""

LONGEST_DATE = 50
"""Letters and signs of Mittwoch, 25. September 2024 um 10:30:00 Uhr, and some more."""

MOST_CODES = 12
"""The same of numbers."""

_TYPED = re.compile(r":(token|token_seq|float|float_seq)$")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_a-zA-Z]+")
_ACCENT = re.compile("[\u0300-\u036f]")


def _words_of_path(name: str) -> tuple[str, ...]:
    """Of items.item_name its end, and of items.name what the end is of: itemname.

    An end of a single word says too little by itself: the name of a seller is none of what is sold.
    """
    *parts, end = ([word.lower() for word in _WORD.findall(part)] for part in name.split("."))
    if not parts or not parts[-1] or not end:
        return ()
    whole = parts[-1][-1].removesuffix("s") + "".join(end)
    return (whole, "".join(end)) if len(end) > 1 else (whole,)


class Column:
    """What can be told of a column by looking at it."""

    def __init__(self, values: pl.Series):
        self.name = values.name
        self.values = values.alias(safe_name(values.name))
        plain = unicodedata.normalize("NFKD", _TYPED.sub("", values.name))
        bare = unicodedata.normalize("NFC", _ACCENT.sub("", plain))  # signs of Japan and Korea are put together again
        self.tokens = tuple(word.lower() for word in _WORD.findall(bare)) or (bare.lower(),)
        if bare.rstrip().endswith("#") and self.tokens[-1] != "#":
            self.tokens += ("no",)
        self.word = "".join(self.tokens)
        ending = next((end for end in ENDINGS_OF_IDS if self.word.endswith(end)), "")
        self.stem = self.word.removesuffix(ending)
        """Its name without what all ids are called."""
        self.path_words = _words_of_path(bare)
        """What it is called within its table, where its name says a path of fields."""

    @cached_property
    def sample(self) -> pl.Series:
        filled = self.values.drop_nulls()
        return filled.gather_every(max(1, filled.len() // SAMPLE_ROWS))

    @cached_property
    def nested(self) -> bool:
        return self.values.dtype.is_nested()

    @cached_property
    def distinct(self) -> int:
        return 0 if self.nested else text_of(self.values).drop_nulls().n_unique()

    @cached_property
    def few(self) -> bool:
        """Whether so few different values stand in so many rows that hardly each is a person or a thing."""
        return (
            self.distinct <= MOST_CODES and self.distinct * ROWS_OF_ONE < self.values.len() - self.values.null_count()
        )

    @cached_property
    def flag(self) -> bool:
        """Whether it says yes or no."""
        return not self.nested and self.distinct <= len(FLAGS) and set(self.words) <= set(FLAGS)

    @cached_property
    def words(self) -> list[str]:
        """Its different values in small letters."""
        return [] if self.nested else text_of(self.values).str.to_lowercase().drop_nulls().unique().sort().to_list()

    @cached_property
    def numbers(self) -> pl.Series | None:
        """As numbers, where nearly all values are."""
        if self.nested or self.values.dtype.is_temporal() or self.sample.is_empty() or self.values.dtype == pl.Boolean:
            return None
        read = read_numbers(self.sample, pieces=self.word in NAMES["quantity"][0].split())
        numbers = read.numbers.drop_nulls()
        return numbers if numbers.len() and read.unreadable.sum() <= 0.05 * self.sample.len() else None

    @cached_property
    def whole(self) -> bool:
        return self.numbers is not None and bool((self.numbers == self.numbers.floor()).all())

    @cached_property
    def clock(self) -> str:
        """How it holds times: ``time`` (as such, or ISO 8601), ``number``, or empty."""
        if self.nested or self.sample.is_empty() or self.values.dtype == pl.Boolean:
            return ""
        if self.values.dtype.is_temporal():
            return "time" if self.values.dtype in (pl.Date, pl.Datetime) else ""
        try:
            parsed = times.parse(self.sample, time_format=None, zone="UTC", where=self.name)
        except SchemaMismatch:
            return ""
        given = self.sample.len() - parsed.nothing
        if not given or parsed.times.drop_nulls().len() < 0.95 * given:
            return ""
        return "number" if self.numbers is not None else "time"

    @cached_property
    def patterns(self) -> list[str]:
        """strptime patterns that fit every value, where times are no ISO 8601."""
        if self.values.dtype != pl.String or self.numbers is not None or self.sample.is_empty():
            return []
        text = self.sample.str.strip_chars()
        if not text.str.contains(r"\d").all() or text.str.len_chars().max() > LONGEST_DATE:  # type: ignore[operator]
            return []
        return time_patterns.fitting(text.unique(maintain_order=True))

    @cached_property
    def known_words(self) -> float:
        """Share of its different words that say a kind of interaction."""
        if self.values.dtype not in (pl.String, pl.Categorical, pl.Enum) or not 2 <= self.distinct <= MOST_KINDS:
            return 0.0
        words = [word.lower() for word in text_of(self.values).drop_nulls().unique()]
        return sum(_is_known(word) for word in words) / len(words)

    @cached_property
    def strange(self) -> bool:
        """Whether most of its words are none that is known for a kind of interaction."""
        return self.known_words < 0.5 and not self.some_known and any(not _is_known(word) for word in self.words)

    @cached_property
    def some_known(self) -> bool:
        """Whether a third of few words, and two of them at least, say a kind: the others are their shop's own."""
        if self.distinct > MOST_CODES:
            return False
        known = round(self.known_words * self.distinct)
        also = sum(plain_word(word) in CODES for word in self.words) if known else 0
        return known >= 2 and known + also >= self.distinct / 3

    @cached_property
    def epoch(self) -> bool:
        """Whether its numbers count from 1970, in any unit, over days to years of ours: hardly anything else does."""
        if self.clock != "number" or not self.whole or self.distinct < 2:
            return False
        parsed = times.parse(self.sample, time_format=None, zone="UTC", where=self.name)
        if not set(parsed.shapes) <= set(times.EPOCHS):
            return False
        years, seconds = parsed.times.dt.year(), parsed.times.dt.epoch("s")
        spread = float(seconds.quantile(0.95) or 0) - float(seconds.quantile(0.05) or 0)
        return int(years.is_between(1995, 2040).sum()) >= 0.95 * years.len() and 86_400 < spread < 30 * 366 * 86_400

    @cached_property
    def sheet_days(self) -> bool:
        """Whether its numbers may be days as a spreadsheet counts them: those of 1990 to 2049. Other things are so large."""
        if self.numbers is None or self.clock or self.values.dtype.is_temporal():
            return False
        low, high = times.DAYS[times.EXCEL]
        return bool(self.numbers.is_between(low, high).all())

    def shown(self) -> str:
        """Some of its values, for people."""
        some = text_of(self.sample.head(200)).unique(maintain_order=True).head(3).to_list() if not self.nested else []
        return ", ".join(value if len(value) <= 30 else value[:27] + "..." for value in map(str, some))


def _is_known(word: str) -> bool:
    return foreign_kind(word) is not None or meaning(word) is not None


def columns_of(table: pl.DataFrame) -> list[Column]:
    return [Column(table[name]) for name in table.columns]


OF_IDS = ("user", "item", "shop", "basket")


def worth_of_name(role: str, column: Column) -> float:
    exact, likely, token = (names.split() for names in NAMES[role])
    if column.word in exact:
        return EXACT
    if role == "price" and column.tokens[-1] in MONEY and "".join(column.tokens[:-1]) in exact + likely:
        return EXACT
    if column.word in likely:
        return LIKELY
    if set(column.path_words) & set(exact):
        return STEM
    if role == "time" and NOT_WHEN & set(column.tokens):
        return 0.0
    if role in OF_IDS and column.stem != column.word:
        if column.stem in exact:
            return STEM
        if column.stem in likely and role != "basket":  # the number of a visit counts those of a person
            return STEM_LIKELY
    if role in ("title", "image") or not set(token) & set(column.tokens):
        return 0.0
    # of spotify_episode_uri and episode_show_name the former
    return STEM_LIKELY if role in OF_IDS and column.stem != column.word else TOKEN


def worth_of_content(column: Column, *, headerless: bool) -> list[tuple[str, float]]:
    found = []
    if column.known_words >= 0.5:
        found.append(("kind", EXACT))
    elif column.some_known:
        found.append(("kind", TOKEN))
    if column.clock == "time" or (headerless and column.clock == "number"):
        found.append(("time", HELD / 2 if NOT_WHEN & set(column.tokens) else LIKELY))
    elif column.patterns:
        found.append(("time", HELD / 2 if NOT_WHEN & set(column.tokens) else HELD))
    elif column.epoch:
        found.append(("time", HELD / 4))  # whatever its name, where no other column says when
    if headerless and column.numbers is not None and not column.clock and 3 <= column.distinct <= 11:
        if 0 <= float(column.numbers.min()) and float(column.numbers.max()) <= 10:  # type: ignore[arg-type]
            found.append(("rating", HELD))
    return found


def may_be(role: str, column: Column) -> bool:
    """Whether what a column holds does not speak against it."""
    if column.sample.is_empty() or (column.nested and role != "category"):
        return False
    numbers = column.numbers
    match role:
        case "time":
            return bool(column.clock or column.patterns or column.sheet_days)
        case "user" | "item":
            several = column.distinct >= (1 if worth_of_name(role, column) == EXACT else 2)
            # an id may be two numbers with a point between them, as those that browsers are given
            ids = numbers is None or column.whole or (column.values.dtype == pl.String and "id" in column.tokens)
            return several and ids and column.clock != "time"
        case "shop" | "basket":
            return not (column.clock == "time" or column.patterns)  # order_ts is when it was ordered
        case "kind":
            codes = column.whole and column.distinct <= MOST_CODES and worth_of_name(role, column) == EXACT
            return column.distinct <= MOST_KINDS and (numbers is None or codes)
        case "rating":
            return numbers is not None and column.distinct <= 101
        case "quantity":
            return numbers is not None and column.clock != "time"
        case "price":
            return numbers is not None
        case "title":
            return numbers is None
    return True
