"""Columns of numbers as people write them, with a decimal point or a comma: the one reading of all that look at a column."""

from dataclasses import dataclass

import polars as pl

from shoploop.data.ids import NOTHING, text_of


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """What became of a column."""

    numbers: pl.Series
    """Null where a value is no finite number."""

    unreadable: pl.Series
    """Whether something stands there that is none."""

    with_comma: int
    """Values whose decimal point was written as a comma."""


def read_numbers(values: pl.Series) -> Numbers:
    """Reads a column of single values; words such as NULL are as good as nothing.

    A comma is a decimal point only where every number of the column may be read so: 1,29 and 1.234,5 beside 7, but neither
    1.29 nor 1,234, which may be a thousand. What is no number at all, such as "free", has no say in it.
    """
    text = text_of(values)
    numbers = text.cast(pl.Float64, strict=False)
    if numbers.null_count() == text.null_count() and numbers.is_finite().all():  # nothing but plain numbers
        return Numbers(numbers=numbers, unreadable=pl.repeat(False, len(text), eager=True), with_comma=0)
    text = text.set(text.str.to_lowercase().is_in(NOTHING).fill_null(False), None)
    with_comma = 0
    if _has_decimal_commas(text):
        with_comma = int(text.str.contains(",", literal=True).sum())
        text = text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    numbers = text.cast(pl.Float64, strict=False)
    numbers = numbers.zip_with(numbers.is_finite(), pl.Series([None], dtype=pl.Float64))
    return Numbers(numbers=numbers, unreadable=text.is_not_null() & numbers.is_null(), with_comma=with_comma)


def _has_decimal_commas(text: pl.Series) -> bool:
    if not text.str.contains(r"\d,\d{1,2}$").any():
        return False
    numbers = text.filter(text.str.contains(r"^-?[\d.,]+$").fill_null(False))
    return bool(numbers.str.contains(r"^-?(\d+|\d{1,3}(\.\d{3})+)(,\d{1,2})?$").all())
