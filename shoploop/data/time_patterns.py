"""Which patterns read times that nobody has described: those in common use, told by the values, and what to write of them."""

from collections.abc import Sequence

import polars as pl

from shoploop.data.month_names import in_english, pattern_in_english
from shoploop.data.times import DAYS, EXCEL, EXCEL_ZERO, UNITS, patterned, strptime

COMMON = (
    *(
        date + clock
        for date in (
            *("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y"),
            *("%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%a, %d %b %Y", "%d/%b/%Y"),
            *("%d-%b-%y", "%d %b %y", "%b %d %Y", "%d. %B %Y", "%d. %b %Y", "%a %b %d %Y"),
        )
        for clock in ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", " %H:%M:%S %z", ":%H:%M:%S %z")
    ),
    *(  # as JavaScript, Excel and tills write them where no ISO 8601 is left
        date + clock
        for date in ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y")
        for clock in (", %H:%M", ", %H:%M:%S", ", %I:%M %p", ", %I:%M:%S %p", " %H.%M", " %H.%M.%S")
    ),
    *(date + clock for date in ("%Y-%m-%d", "%Y/%m/%d") for clock in (" %I:%M %p", " %I:%M:%S %p")),
    *("%a %b %d %H:%M:%S %Y", "%A, %B %d, %Y", "%A, %d %B %Y"),
)
"""Patterns that are tried for the advice, where times are no ISO 8601."""

_DATED = r"(?i)[./-]|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
"""In what any of these patterns reads: a sign between numbers, or the month's name."""


def advice(values: pl.Series, *, field: str) -> str:
    """What to write into ``field`` so that ``values``, text that is no ISO 8601, can be read."""
    text = values.cast(pl.String).str.strip_chars()
    sample = text.drop_nulls().unique(maintain_order=True).head(2_000)
    if sample.str.contains(r"^\d+(\.\d*)?$").all():
        return advice_for_numbers(sample, field=field)
    fits = _fits(sample)
    whole = readings(sample, [pattern for pattern, read in fits.items() if read.all()])
    if len(whole) > 1:
        two = list(whole.items())[:2]
        unlike = int((two[0][1] != two[1][1]).arg_max() or 0)
        said = " or ".join(f"{read[unlike]:%-d %B %Y} ({pattern!r})" for pattern, read in two)
        return f"{sample[unlike]!r} may be {said}: say which in {field}."
    if whole:
        return f"They fit {next(iter(whole))!r}: write it into {field}."
    chosen: list[str] = []
    left = pl.Series([True]).new_from_index(0, sample.len())
    while left.any():
        best = max(fits, key=lambda pattern: int((fits[pattern] & left).sum()), default=None)
        if best is None or not (fits[best] & left).any():
            break
        chosen.append(best)
        left = left & ~fits[best]
    if chosen and len(chosen) <= 4:
        some = ", ".join(repr(pattern) for pattern in (*chosen, *(["iso"] if left.any() else [])))
        return f"They come in several shapes. Where days and months are meant so, write {field}: [{some}]."
    return f"Give their pattern in {field} (strptime, {', '.join(UNITS)}; a list for several)."


def advice_for_numbers(values: pl.Series, *, field: str) -> str:
    """The same for numbers that are no unix times by their size."""
    numbers = values.cast(pl.Float64, strict=False).drop_nulls()
    for unit, (first, last) in DAYS.items():
        if len(numbers) and numbers.is_between(first, last).all():
            day = numbers[0] - (EXCEL_ZERO if unit == EXCEL else 0)
            what = "a spreadsheet's days" if unit == EXCEL else "days since 1970"
            seen = pl.Series([int(day)]).cast(pl.Date)[0]
            return f"As {what} they would lie in {seen:%Y} and thereabouts: if they are, write {field}: {unit}."
    return f"As unix times they would lie before 1990 or after 2100: say the unit in {field} ({', '.join(UNITS)})."


def fitting(values: pl.Series) -> list[str]:
    """The patterns of :data:`COMMON` that read every one of ``values``, text that is no ISO 8601."""
    # a day and a year are two digits at least; most text is no date, and 150 patterns take a while to say so
    some = values.head(50)
    if not some.str.contains(r"\d.*\d").all():
        return []
    if not (some.str.contains(_DATED) | in_english(some).str.contains(_DATED).fill_null(False)).all():
        return []
    few = [pattern for pattern, read in _fits(some).items() if read.all()]
    return [pattern for pattern in few if patterned(values, pattern, "UTC")[0].is_not_null().all()]


def readings(values: pl.Series, patterns: Sequence[str]) -> dict[str, pl.Series]:
    """What each of the patterns reads, but for those that read the same as one before."""
    found: dict[str, pl.Series] = {}
    for pattern in patterns:
        read = patterned(values, pattern, "UTC")[0]
        if not any(read.equals(other) for other in found.values()):
            found[pattern] = read
    return found


def _fits(values: pl.Series) -> dict[str, pl.Series]:
    """Which of the values each common pattern reads; none that reads nothing.

    Words of other languages count only where no pattern reads all as they are.
    """
    fits = {pattern: strptime(values, pattern).is_not_null() for pattern in COMMON}
    english = in_english(values)
    if english.null_count() < len(english) and not any(read.all() for read in fits.values()):
        fits = {
            pattern: read | strptime(english, pattern_in_english(pattern)).is_not_null()
            for pattern, read in fits.items()
        }
    return {pattern: read for pattern, read in fits.items() if read.any()}
