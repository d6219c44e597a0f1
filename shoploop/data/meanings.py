"""What stands in the columns of a table means: how times are written, what the words of kinds say, what a price is of.

Which column is which is known by then.
"""

import re
from collections.abc import Sequence

import polars as pl

from shoploop.data import ends, time_patterns
from shoploop.data.column import Column, columns_of
from shoploop.data.column_names import (
    AT_LAST,
    CODES,
    DROPPED,
    FLAGS,
    IN_DOUBT,
    NOT_WANTED,
    OUTCOMES,
    PARTS_OF_KINDS,
    TAKEN_BACK,
    foreign_kind,
    plain_word,
)
from shoploop.data.decimals import read_table
from shoploop.data.ids import text_of
from shoploop.data.kinds import PURCHASE, RETURN, meaning
from shoploop.data.proposals import Guess, Proposal
from shoploop.data.times import EXCEL, parse


def read_meanings(guess: Guess, columns: Sequence[Column] | None = None) -> None:
    """What follows from the columns of a log: how times are written, what the words of kinds mean, what a price is of.

    It forgets what was said of other columns: call it again where one was changed.

    Args:
        guess: The log.
        columns: All of its columns, where they were looked at already.
    """
    by_name = {column.name: column for column in columns or columns_of(guess.table)}
    guess.time_format, guess.time_doubt, guess.time_advice, guess.zoned = None, "", "", True
    guess.kinds, guess.words, guess.kinds_sure = {}, {}, True
    guess.kinds_open, guess.outcomes = [], {}
    guess.price_is, guess.price_sure = None, True
    if "time" in guess.found:
        read_times(guess, by_name[guess.found["time"].columns[0]])
    if "kind" in guess.found:
        guess.rating_aside = guess.found.pop("rating", guess.rating_aside)
        _kinds(guess, by_name[guess.found["kind"].columns[0]])
    elif guess.rating_aside and set(guess.rating_aside.columns) <= set(guess.unread):
        guess.found.setdefault("rating", guess.rating_aside)
    if "price" in guess.found:
        _price(guess)


def read_times(guess: Guess, column: Column) -> None:
    """The pattern, where one is needed, and whether another fits as well."""
    if column.clock:
        text = text_of(column.sample)
        zone = r"(?i)(Z|UTC|GMT|[+\-\x{2212}]\d{2}(:?\d{2})?)\s*(\[[^\]]*\])?$"
        dtype = column.values.dtype
        guess.zoned = column.clock == "number" or (
            dtype.time_zone is not None
            if isinstance(dtype, pl.Datetime)
            else bool(text.str.contains(r"\d:\d.*" + zone).all())
        )
        return
    if column.sheet_days:
        guess.time_format, guess.zoned = EXCEL, False
        return
    if not column.patterns:
        guess.time_advice = time_patterns.advice(text_of(column.sample), field="timeFormat")
        return
    readings = time_patterns.readings(column.sample, column.patterns)
    # people write logs in the order of time: the reading that jumps least is the likeliest
    ordered = sorted(readings, key=lambda pattern: _jumps(readings[pattern]))
    guess.time_format = ordered[0]
    guess.zoned = "%z" in ordered[0]
    if len(ordered) > 1 and _jumps(readings[ordered[0]]) * 2 > _jumps(readings[ordered[1]]):
        guess.time_doubt = ordered[1]
        doubt = "; its days and months can be read in two ways"
        why = guess.found["time"].why.removesuffix(doubt) + doubt
        guess.found["time"] = Proposal(columns=guess.found["time"].columns, sure=False, why=why)


def read_ends(guess: Guess) -> None:
    """How the days up to which items can be bought are written; it forgets what was said of another column."""
    guess.time_format, guess.time_doubt, guess.time_advice = None, "", ""
    if "ends" not in guess.found:
        return
    held = Column(ends.without_never(guess.table[guess.found["ends"].columns[0]]))
    if held.clock:
        return
    if not held.patterns:
        guess.time_advice = time_patterns.advice(text_of(held.sample), field="timeFormat")
        return
    guess.time_format, *others = time_patterns.readings(held.sample, held.patterns)
    guess.time_doubt = next(iter(others), "")


def _jumps(read: pl.Series) -> float:
    """Seconds by which a log goes back in time, if it is read so; a little more than 0, to be compared."""
    back = read.diff().dt.total_seconds().drop_nulls()
    return 1.0 + float(-(back.filter(back < 0).sum() or 0))


def _kinds(guess: Guess, column: Column) -> None:
    counts = text_of(column.values).str.to_lowercase().value_counts(sort=True).drop_nulls()
    guess.words = {str(word): int(rows) for word, rows in counts.iter_rows()}
    strange = [word for word in guess.words if meaning(word) is None]
    guess.kinds = {word: kind for word in strange if (kind := foreign_kind(word))}
    unknown = [word for word in strange if word not in guess.kinds]
    read = {word: meaning(word) or guess.kinds.get(word) for word in guess.words}
    guess.kinds_sure = not [word for word in unknown if plain_word(word) not in CODES]
    likely = {word: kind for word in unknown if (kind := _kind_of_code(word) or _kind_by_parts(word))}
    likely |= {word: "other" for word in unknown if word not in likely and NOT_WANTED & set(re.split(r"[\W_]+", word))}
    read |= likely
    if set(guess.words) <= set(FLAGS) and len(guess.words) > 1:
        yes, no = PURCHASE, "view"
        if NOT_WANTED & set(column.tokens):  # skipped, returned: it was wanted where that is not so
            yes, no = RETURN if TAKEN_BACK & set(column.tokens) else "other", PURCHASE
        guess.kinds = {word: yes if FLAGS[word] else no for word in guess.words}
        guess.kinds_sure = False
        return
    if all(word.isdecimal() for word in guess.words):
        unknown.reverse()  # of codes the rarest: people look more often than they buy
    guess.kinds |= likely
    strange = [word for word in unknown if word not in likely]
    if PURCHASE not in read.values() and guess.words:
        # somebody has to want something: what is wanted where there is nothing better, what alone nobody knows, what goes
        # into a cart, what is seen. How often a word comes says nothing: people look more often than they want
        carts = [word for word, kind in read.items() if kind == "cart"]
        seen = [word for word, kind in read.items() if kind != "other"]  # what was skipped nobody wanted
        last = [word for some in AT_LAST for word in guess.words if plain_word(word) in some.split()]
        codes = all(word.isdecimal() for word in guess.words)
        wanted = (strange if codes or len(strange) == 1 else []) or last or ([] if strange else carts or seen)
        if not wanted and len(guess.words) == 1:
            wanted = list(guess.words)
        guess.kinds_sure = False
        if not wanted:
            guess.kinds_open = strange
            return
        guess.kinds[wanted[0]] = PURCHASE
    for word in strange:
        guess.kinds.setdefault(word, "other")
    _part_outcomes(guess)


LATER = 0.8
"""Of the rows of an outcome at least this share comes after the choice of the same user and item."""


def _part_outcomes(guess: Guess) -> None:
    """Where the same user and item go through a choice and what became of it, the first alone is what was wanted."""
    read = {word: guess.kinds.get(word) or meaning(word) for word in guess.words}
    after = [w for w, kind in read.items() if plain_word(w) in OUTCOMES | DROPPED and kind in (PURCHASE, "other")]
    if not after or len(read) < 2 or not {"user", "item", "time"} <= guess.found.keys() or guess.time_advice:
        return
    user, item, time, kind = (guess.table[guess.found[r].columns[0]] for r in ("user", "item", "time", "kind"))
    rows = pl.DataFrame(
        {
            "user": text_of(user), "item": text_of(item), "word": text_of(kind).str.to_lowercase(),
            "time": parse(time, time_format=guess.time_format, zone="UTC", where=time.name).times,
        }
    )  # fmt: skip
    chosen = [word for word, kind in read.items() if kind == PURCHASE]
    rows = rows.filter(pl.col("word").is_in([*chosen, *after])).drop_nulls().sort("time", maintain_order=True)
    rows = rows.with_columns(first=pl.col("word").first().over("user", "item")).filter(pl.col("word").is_in(after))
    comes_after = (pl.col("first") != pl.col("word")) & pl.col("first").is_in(chosen)
    for word, share in rows.group_by("word").agg(share=comes_after.mean()).sort("word").iter_rows():
        if share >= LATER and set(chosen) - {word}:
            guess.kinds[word] = RETURN if plain_word(word) in DROPPED else "other"
            guess.outcomes[word] = share


def _kind_of_code(word: str) -> str | None:
    plain = plain_word(word)
    return PURCHASE if plain in IN_DOUBT else CODES.get(plain)


def _kind_by_parts(word: str) -> str | None:
    """What the parts of a word say, as in ``order completed`` or ``product_view``; None where they say nothing."""
    parts = set(re.split(r"[\W_]+", word))
    return next((kind for kind, said in PARTS_OF_KINDS if parts & set(said.split())), None) if len(parts) > 1 else None


def _price(guess: Guess) -> None:
    """Whether a price is of a piece or of the row: of the same item, how prices grow with pieces."""
    (price,) = guess.found["price"].columns
    word = Column(guess.table[price]).word
    if "unit" in word or word in ("preis", "einzelpreis", "stueckpreis"):
        guess.price_is = "unit"
        return
    if "quantity" not in guess.found or "item" not in guess.found:
        guess.price_is = "total"
        return
    names = {"item": guess.found["item"], "price": guess.found["price"], "quantity": guess.found["quantity"]}
    some = {role: guess.table[one.columns[0]].head(500_000) for role, one in names.items()}
    beside = (guess.table[name].head(500_000) for name in guess.unread)
    read = read_table({role: some[role] for role in ("price", "quantity")}, beside)
    numbers = {role: one.numbers for role, one in read.items()}
    rows = pl.DataFrame({"item": text_of(some["item"]), **numbers})
    rows = rows.filter((pl.col("price") > 0) & (pl.col("quantity") > 0))
    single = rows.filter(pl.col("quantity") == 1).group_by("item").agg(one=pl.col("price").median())
    many = rows.filter(pl.col("quantity") > 1).join(single, on="item")
    if many.height < 5:
        guess.price_is, guess.price_sure = "total", False
        return
    growth = float(many.select((pl.col("price") / pl.col("one")).log().median()).item())
    pieces = float(many.select(pl.col("quantity").log().median()).item())
    guess.price_is = "unit" if abs(growth) < abs(growth - pieces) else "total"
