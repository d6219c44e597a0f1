"""Columns of numbers as people write them, with a decimal point or a comma: the one reading of all that look at a column."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import polars as pl

from shoploop.data.ids import NOTHING, text_of

_SHORT = r"kr\.?|zł|kč|lei|ft|円|元|원|руб\.?|р\.|грн\.?|лв\.?"
_MONEY = rf"(?i)^(?:\p{{Sc}}|[a-z]{{0,3}}\p{{Sc}}|[a-z]{{3}}|kr\.?|rs\.?)\s*|\s*(?:\p{{Sc}}|[a-z]{{3}}|{_SHORT})$"
"""A currency before or after a number: its sign, its code of three letters, or one of few short names."""

_MINUS_FIRST = r"(?i)^-\s*((?:[a-z]{0,3}\p{Sc}|[a-z]{3}|kr\.?|rs\.?)\s*)([\d.,])"
"""A minus before the currency, as in -$5.00."""

_SPACES = r"[\s\u{a0}\u{202f}\u{2009}'\u{2019}]"
"""What people part thousands with that is no point and no comma."""


_SIGNS = {"\u2212": "-", "\u066b": ".", "\u066c": ","} | {
    chr(zero + digit): str(digit) for zero in (0x660, 0x6F0) for digit in range(10)
}
"""The typesetters' minus, which spreadsheets of the north write; digits and signs of numbers in Arabic and Persian."""


NEARLY_ALL = 0.95
"""Share of the values of a column of numbers that are some; a line of totals or a word is not."""


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """What became of a column."""

    numbers: pl.Series
    """Null where a value is no finite number."""

    unreadable: pl.Series
    """Whether something stands there that is none."""

    with_comma: int = 0
    """Values whose decimal point was written as a comma."""

    with_signs: int = 0
    """Values with a currency, with signs between thousands, or negative as 2.50- and (2.50) are."""

    with_doubt: int = 0
    """Pieces such as 1.200, read as 1.2, where all others are whole and without a point."""


def read_table(columns: Mapping[str, pl.Series], beside: Iterable[pl.Series] = ()) -> dict[str, Numbers]:
    """Reads the columns of numbers of one table, by what they are. Columns of one table are written alike: where one has a
    comma as its decimal point, the points of the others are none: 1.200 pieces at 4,16 each are twelve hundred; and where one
    has a point, as 1,234.50, the commas of the others part thousands.

    Args:
        columns: Those to read, by their role.
        beside: Others of the table, which are looked at where these leave a doubt.
    """
    read = {role: read_numbers(values, pieces=role == "quantity") for role, values in columns.items()}
    doubtful = {role: sign for role, values in columns.items() if role != "rating" and (sign := _sign_in_doubt(values))}
    if not doubtful:
        return read
    for role, sign in doubtful.items():
        others = (values for other, values in columns.items() if other != role)
        # where each number has three digits behind a comma, pieces are no thousands unless both signs stand elsewhere
        both = sign == "," and read[role].with_comma > 0
        if any(_settles(values, sign, both=both) for some in (others, beside) for values in some):
            pieces = role == "quantity"
            read[role] = read_numbers(
                columns[role], pieces=pieces, beside_commas=sign == ".", beside_points=sign == ","
            )
    return read


def _sign_in_doubt(values: pl.Series) -> str | None:
    """The sign before three digits that may part thousands or be the decimal point, where every number fits."""
    if values.dtype != pl.String:
        return None
    for sign in (".", ","):
        if not values.str.contains(rf"\d\{sign}\d{{3}}").any():
            continue
        if values.str.contains(rf"^[-+]?\d+\{sign}(?:\d{{1,2}}|\d{{4,}})$").any():
            continue  # most often, and seen sooner
        if _is_whole(_bare(text_of(values)), sign):
            return sign
    return None


def _is_whole(text: pl.Series, sign: str) -> bool:
    """Whether all are whole numbers if the sign parts thousands, and some have it."""
    numbers = text.filter(text.str.contains(r"^[-+]?[\d.,]+$").fill_null(False))
    parted = rf"^[-+]?[1-9]\d{{0,2}}(?:\{sign}\d{{3}})+$"
    return bool(numbers.str.contains(parted).any() and numbers.str.contains(rf"{parted}|^[-+]?\d+$").all())


def _settles(values: pl.Series, sign: str, *, both: bool = False) -> bool:
    """Whether another column says that the sign parts thousands: its decimal point is the other one.

    Args:
        both: Only numbers with both signs say it.
    """
    if values.dtype != pl.String:
        return False
    other = "," if sign == "." else "."
    if not values.str.contains(rf"\d\{sign}\d{{3}}\{other}\d" if both else rf"\d\{other}\d").any():
        return False
    if sign == ".":
        read = read_numbers(values)
        return bool(read.with_comma) and int(read.unreadable.sum()) <= (1 - NEARLY_ALL) * len(values)
    bare = _bare(text_of(values)).drop_nulls()
    fits = bare.filter(bare.str.contains(r"^[-+]?(?:\d+|\d{1,3}(?:,\d{3})+)(?:\.\d+)?$"))
    return len(fits) >= NEARLY_ALL * len(bare) and fits.str.contains(r"\.\d{1,2}$").any()


def read_numbers(
    values: pl.Series, *, pieces: bool = False, beside_commas: bool = False, beside_points: bool = False
) -> Numbers:
    """Reads a column of single values; words such as NULL are as good as nothing.

    A comma is a decimal point only where every number of the column may be read so: 1,29 and 1.234,5 beside 7, but neither
    1.29 nor 1,234, which may be a thousand, unless 0,250 beside it says that it is none. It parts thousands only where
    another number has a point that it stands before, or stands twice: 1,234.50, and 1,23,456 as India writes it. A point
    parts thousands where it stands twice, 1.234.567, or where the table's other numbers have decimal commas. What is no
    number at all, such as "free", has no say in it. A currency is taken away where all that have one have the same: of two
    nobody knows what they are worth.

    Args:
        values: The column.
        pieces: It says how many pieces there were: where each number has three digits behind a comma, as tills export 3,000
            beside 24,000, they are three and twenty-four. Nobody buys by the thousand each time.
        beside_commas: Another column of the same table has decimal commas.
        beside_points: Another one has decimal points, and this one may have commas between thousands.
    """
    text = text_of(values)
    if values.dtype == pl.String and (beside_commas or text.str.contains(r"\d\.\d{3}\.\d{3}").any()):
        bare = _bare(text)  # 1.200- and € 1.200 are parted as 1.200 is
        if _has_points_of_thousands(bare, beside_commas=beside_commas):
            parted = bare.str.contains(_POINTED).fill_null(False)
            whole = bare.zip_with(~parted, bare.str.replace_all(".", "", literal=True))
            changed = int(((text != whole) & whole.str.contains(r"^[-+]?\d+$")).sum())
            return replace(read_numbers(whole, pieces=pieces), with_signs=changed)
    numbers = text.cast(pl.Float64, strict=False)
    if numbers.null_count() == text.null_count() and numbers.is_finite().all():  # nothing but plain numbers
        doubt = _doubtful(text) if pieces and values.dtype == pl.String else 0
        return Numbers(numbers=numbers, unreadable=pl.repeat(False, len(text), eager=True), with_doubt=doubt)
    places = (text.is_not_null() & ~numbers.is_finite().fill_null(False)).arg_true()
    odd = text.gather(places)  # often a few of millions
    odd = odd.set(odd.str.to_lowercase().is_in(NOTHING).fill_null(False), None)
    written = text.clone().scatter(places, odd)
    if odd.str.contains(r"\d").any():
        odd = _bare(odd)
    text = written.clone().scatter(places, odd)
    with_comma = 0
    if not odd.str.contains(",", literal=True).any():
        pass
    elif beside_points:
        text = text.str.replace_all(",", "", literal=True)
    elif _has_decimal_commas(text, pieces=pieces):
        with_comma = int(text.str.contains(",", literal=True).sum())
        text = text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    elif _has_commas_of_thousands(text):
        text = text.str.replace_all(",", "", literal=True)
    numbers = text.cast(pl.Float64, strict=False)
    numbers = numbers.zip_with(numbers.is_finite(), pl.Series([None], dtype=pl.Float64))
    changed = 0 if with_comma and text.equals(written) else int(((written != text) & numbers.is_not_null()).sum())
    return Numbers(
        numbers=numbers,
        unreadable=text.is_not_null() & numbers.is_null(),
        with_doubt=_doubtful(text) if pieces and values.dtype == pl.String and not with_comma else 0,
        with_comma=with_comma,
        with_signs=max(0, changed - with_comma),
    )


def _bare(text: pl.Series) -> pl.Series:
    """Without a currency, without signs between thousands, and with the minus in front."""
    text = text.str.normalize("NFKC").str.replace_many(_SIGNS)
    negative = text.str.contains(r"^\(.*\d.*\)$|\d\s*-$").fill_null(False)
    inner = text.str.replace(r"^\((.*)\)$", "$1").str.replace(r"\s*-$", "")
    plain = text.zip_with(~negative, inner)
    plain = plain.str.replace(_MINUS_FIRST, "${1}-${2}")
    counted = plain.str.contains(r"\d").fill_null(False)  # the rest is words, whose letters are no currency
    money = plain.filter(counted).str.extract_all(_MONEY).list.join("").str.strip_chars()
    if money.filter(money != "").n_unique() == 1:
        plain = plain.zip_with(~counted, plain.str.replace_all(_MONEY, ""))
    parted = plain.str.contains(rf"^[-+]?\d{{1,3}}(?:{_SPACES}\d{{3}})+(?:[.,]\d+)?$").fill_null(False)
    if parted.any():
        plain = plain.zip_with(~parted, plain.str.replace_all(_SPACES, ""))
    return plain.zip_with(~negative, "-" + plain)


def _has_decimal_commas(text: pl.Series, *, pieces: bool) -> bool:
    numbers = text.filter(text.str.contains(r"^-?[\d.,]+$").fill_null(False))
    # no thousand begins with nothing: 0,250 is a quarter, and then 1,250 is no thousand either
    no_thousands = numbers.str.contains(r"^-?0,\d{3}").any() or (
        pieces and numbers.str.contains(r"^-?\d+,\d{3}$").all()
    )
    digits = r"\d+" if no_thousands else r"\d{1,2}"
    if not numbers.str.contains(rf"\d,{digits}$").any():
        return False
    return bool(numbers.str.contains(rf"^-?(\d+|\d{{1,3}}(\.\d{{3}})+)(,{digits})?$").all())


def _has_commas_of_thousands(text: pl.Series) -> bool:
    """Where nothing else is possible: a point behind a comma, or two commas, and every number fits."""
    numbers = text.filter(text.str.contains(r"^-?[\d.,]+$").fill_null(False))
    if not numbers.str.contains(r",\d{3}\.\d|,\d{2,3},").any():
        return False
    return bool(numbers.str.contains(r"^-?(\d+|\d{1,3}(,\d{3})+|\d{1,2}(,\d{2})*,\d{3})(\.\d*)?$").all())


_POINTED = r"^[-+]?[1-9]\d{0,2}(?:\.\d{3})+$"


def _has_points_of_thousands(text: pl.Series, *, beside_commas: bool) -> bool:
    """Where nothing else is possible: two points, or commas beside them, and every number fits."""
    if not beside_commas and not text.str.contains(r"^[-+]?\d{1,3}\.\d{3}\.\d{3}").any():
        return False
    numbers = text.filter(text.str.contains(r"^[-+]?[\d.,]+$").fill_null(False))
    return bool(numbers.str.contains(_POINTED).any() and numbers.str.contains(rf"{_POINTED}|^[-+]?\d+$").all())


def _doubtful(text: pl.Series) -> int:
    """How many have three digits behind a point, where every other is whole and is written so."""
    pointed = text.str.contains(_POINTED)
    whole = text.str.contains(r"^[-+]?\d+$")
    return int(pointed.sum()) if whole.any() and (pointed | whole).all() else 0
