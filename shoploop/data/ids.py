"""Ids as text, the same way wherever they come from: a CSV, a Parquet file, a database, a request.

Text stays what it is but for space around it; a whole number is written without a point. Floats beyond 2**53 are
refused: they have lost their last digits, and people who differ would become one.
"""

import math
from typing import Any

import polars as pl

from shoploop.errors import SchemaMismatch

EXACT = 2**53
"""Beyond this a float cannot tell one whole number from the next."""

EXACT_OF: dict[Any, int] = {pl.Float16: 2**11, pl.Float32: 2**24}
"""The same of shorter floats."""

_OF_GOOGLE = ("(not set)", "(none)", "(not provided)")
"""What Google Analytics writes there."""

NOTHING = ("null", "nan", "none", "nil", "n/a", "#n/a", "<na>", "nat", "undefined", "(null)", "\\n", "-", *_OF_GOOGLE)
"""How programs write that there is no value, in lower case."""

NO_NAME = ("nan", "NaN", "NULL", "null", "None", "<NA>", "#N/A", "(null)", "undefined", "\\N", *_OF_GOOGLE)
"""The same in the place of a name, letter for letter: Nan is a bread."""

GUESTS = (
    "0",
    "-1",
    "na",
    "guest",
    "anonymous",
    "anon",
    "unknown",
    "not set",
    "test",
    "guest user",
    "guest_user",
    "visitor",
    "walk-in",
    "nobody",
    "default",
    "gast",
    "invité",
    "invitado",
    "ospite",
)
"""Ids, in lower case, under which shops file visitors without an account; one of them may also be a real user's."""

_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
"""What polars takes for space; Python takes four separators of ASCII for it too."""

_TICKS_A_DAY = {"ms": 86_400_000, "us": 86_400_000_000}
_FIRST_DAY, _LAST_DAY = -719_161, 2_932_895
"""Days since 1970 of the years 1 to 9999, a day of each end aside for zones."""

_NO_TEXT = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
"""Signs that steer machines; tabs and ends of lines stand in text too."""

_PARTS_OF_UUID = "^(.{8})(.{4})(.{4})(.{4})(.{12})$"
_WITH_POINT = r"^-?[0-9]+\.0+$"
_WHOLE = r"^-?[0-9]+(\.0+)?$"
_ROUNDED = r"^-?[0-9]([.,][0-9]+)?[eE]\+[0-9]+$"
_GUID_ZERO = r"^[0-]*0[0-]*$"


def canonical_id(value: Any) -> Any:
    """A single id as data and requests compare it.

    Args:
        value: Text, or a whole number. Anything else is given back unchanged, for the caller to refuse.

    Raises:
        ValueError: a float that is no whole number, or beyond 2**53.
    """
    if isinstance(value, str):
        return value.strip(_SPACE)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value) or value != int(value):
            raise ValueError(f"{value!r} is no id: ids are text or whole numbers")
        if abs(value) >= EXACT:
            raise ValueError(f"{value!r} is a float beyond 2**53 and has lost its last digits: send the id as text")
        return str(int(value))
    return value


def safe_name(name: str) -> str:
    """A column's name as one may give it to polars, which takes ``*`` and ``^...$`` for patterns, in a Series too."""
    return f"'{name}'" if name == "*" or (name.startswith("^") and name.endswith("$")) else name


def text_of(values: pl.Series) -> pl.Series:
    """Any column of single values as trimmed text; empty is null, and a whole number that came as 7.0 is 7."""
    values = values.alias(safe_name(values.name))
    dtype = values.dtype
    if dtype.is_float() or dtype.is_decimal():
        whole = values.cast(pl.Float64, strict=False).drop_nulls().drop_nans()
        if (whole == whole.floor()).all() and whole.is_finite().all() and (whole.abs() < 2**63).all():
            values = values.fill_nan(None).cast(pl.Int64, strict=False) if dtype.is_float() else _whole_decimal(values)
        elif dtype.is_float():
            values = values.fill_nan(None)
    elif dtype == pl.Binary:
        values = _text_of_bytes(values)
    elif dtype == pl.Duration:  # has no cast to text
        values = values.dt.to_string()
    elif dtype == pl.Date or (isinstance(dtype, pl.Datetime) and dtype.time_unit != "ns"):  # 64 bits of them reach 2262
        return _text_of_times(values)
    text = values.cast(pl.String).str.strip_chars()
    empty = text.str.len_bytes() == 0
    return text.set(empty.fill_null(False), None) if empty.any() else text


def _text_of_bytes(values: pl.Series) -> pl.Series:
    """Bytes as the text that they are; of numbers of one width, such as UUIDs, their hexadecimal digits."""
    try:
        text = values.cast(pl.String)
    except pl.exceptions.PolarsError:
        return values.bin.encode("hex")
    one_width = values.drop_nulls().bin.size().n_unique() == 1
    return values.bin.encode("hex") if one_width and text.str.contains(_NO_TEXT).any() else text


def with_hyphens(digits: pl.Series) -> pl.Series:
    """32 hexadecimal digits as people, databases and programs write a UUID. For columns that are said to hold some: bytes
    that are not may as well be a hash, and one table must not be taken for what the other is not."""
    return digits.str.replace(_PARTS_OF_UUID, "$1-$2-$3-$4-$5")


def texts_of_arrow(column: Any) -> list[str | None]:
    """What Python writes for the values of a column that polars cannot take, or takes for bytes: UUIDs, intervals."""
    return [None if value is None else str(value) for value in column.to_pylist()]


def _text_of_times(values: pl.Series) -> pl.Series:
    """Of a time that no calendar has, which polars ends in a panic at, the number that stands in the file and a word."""
    ticks = values.to_physical()
    a_day = _TICKS_A_DAY[values.dtype.time_unit] if isinstance(values.dtype, pl.Datetime) else 1
    possible = ticks.is_between(_FIRST_DAY * a_day, _LAST_DAY * a_day).fill_null(True)
    text = values.zip_with(possible, pl.Series([None], dtype=values.dtype)).cast(pl.String)
    return text.zip_with(possible, "no time: " + ticks.cast(pl.String))


def _whole_decimal(values: pl.Series) -> pl.Series:
    """Text of decimals that are all whole: through text, since an id may be longer than 64 bits."""
    return values.cast(pl.String).str.replace(r"\.0+$", "")


def canonical_ids(values: pl.Series, *, where: str) -> tuple[pl.Series, dict[str, int]]:
    """A column of ids as text, null where there is none, and how many values were changed in which way.

    Args:
        values: Of any type that holds single values.
        where: The file and the table's column, for messages.

    Returns:
        The ids, and counts: ``padded`` (space around them), ``pointed`` (a whole number with a point), ``nothing``
        (a word such as NULL), ``rounded`` (1.2346E+17, null where few values are so).

    Raises:
        SchemaMismatch: floats beyond 2**53, more than a few numbers that are rounded (1.2346E+17), or no whole numbers at
            all.
    """
    if values.dtype.is_float():
        _refuse_inexact(values, where)
    text = text_of(values)
    padded = 0
    if values.dtype == pl.String:
        padded = int((values != text).sum())
    counts = {"padded": padded, "pointed": 0, "nothing": 0, "rounded": 0}
    different = text.unique()  # an id comes in many rows, and what is asked of all is asked of each once
    if _is_nothing(different).any():
        absent = _is_nothing(text)
        counts["nothing"] = int(absent.sum())
        text = text.zip_with(~absent, pl.Series([None], dtype=pl.String))
    if values.dtype == pl.String and different.str.contains(f"{_ROUNDED}|{_WITH_POINT}").any():
        rounded = text.str.contains(_ROUNDED).fill_null(False)
        if rounded.any() and rounded.sum() * 20 > text.len() - text.null_count():
            raise SchemaMismatch(
                f"{where} holds numbers that a spreadsheet has rounded, e.g. {text.filter(rounded)[0]}: their last "
                "digits are lost. Export the ids as text."
            )
        if rounded.any():
            counts["rounded"] = int(rounded.sum())
            text = text.set(rounded, None)
        pointed = text.str.contains(_WITH_POINT).fill_null(False)
        if pointed.any() and text.drop_nulls().str.contains(_WHOLE).all():
            short = text.str.replace(r"\.0+$", "")
            _refuse_inexact(short.filter(pointed).cast(pl.Float64, strict=False), where)
            counts["pointed"] = int(pointed.sum())
            text = short
    return text, counts


def _is_nothing(text: pl.Series) -> pl.Series:
    return text.str.to_lowercase().is_in(NOTHING).fill_null(False)


def are_empty(values: pl.Series) -> pl.Series:
    """Whether each id of a column is none: empty, or a word such as NULL."""
    text = text_of(values)
    return text.is_null() | _is_nothing(text)


def guests_among(users: pl.Series) -> list[str]:
    """The ids under which shops file visitors without an account, in order."""
    word = pl.col("user").str.to_lowercase()
    found = users.alias("user").to_frame().filter(word.is_in(GUESTS) | word.str.contains(_GUID_ZERO))
    return sorted(found["user"])


def _refuse_inexact(values: pl.Series, where: str) -> None:
    exact = EXACT_OF.get(type(values.dtype), EXACT)
    numbers = values.cast(pl.Float64).drop_nulls().drop_nans()
    if (numbers.abs() >= exact).any():
        seen = numbers.filter(numbers.abs() >= exact)[0]
        raise SchemaMismatch(
            f"{where} holds ids as floats beyond 2**{exact.bit_length() - 1}, e.g. {seen:.0f}: their last digits are lost, "
            "and different ids have become one. Write it as text or as whole numbers; in pandas a gap makes it float, "
            'astype("Int64") keeps it whole.'
        )
    if not (numbers == numbers.floor()).all():
        seen = numbers.filter(numbers != numbers.floor())[0]
        raise SchemaMismatch(
            f"{where} holds numbers with a fraction, e.g. {seen!r}, where ids are expected. Name another column, or "
            "write the ids as text."
        )
