"""Times as people write them, read as UTC microseconds.

Without a pattern a column may hold times, dates, ISO 8601 text in every common shape, or numbers that are plausible as
unix times or as 20240501; which of them it was is counted, shape by shape. What could be read in two ways is refused.
Which patterns would read what is left is :mod:`shoploop.data.time_patterns`'s to say.
"""

import difflib
import re
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import polars as pl

from shoploop.data import ids
from shoploop.data.ids import text_of
from shoploop.data.month_names import in_english, pattern_in_english
from shoploop.errors import SchemaMismatch, SpecInvalid, first_line

_DAY = 86_400_000_000
UNIX = {"unix-seconds": 1_000_000, "unix-milliseconds": 1_000, "unix-microseconds": 1, "unix-days": _DAY}
"""Format to microseconds per unit."""

EXCEL, EXCEL_ZERO = "excel-days", 25_569
"""Days as a spreadsheet counts them, the time as a fraction, on the clock of the zone; and the number of 1970's first."""

UNITS = (*UNIX, EXCEL)
DAYS = {"unix-days": (10_957, 25_568), EXCEL: (32_874, 54_788)}
"""What numbers of days may be: those of 2000 to 2039, and of 1990 to 2049. Never seen by sight: they may be anything."""

EPOCHS = UNIX | {"unix-nanoseconds": 0}
PLAUSIBLE_SECONDS = (631_152_000, 4_102_444_800)
"""1990 to 2100: a number outside is no unix time that somebody meant, in any unit; the units' ranges do not overlap."""

COMPACT = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
"""Digits to what such a number means where it is a plausible date."""

NOTHING = (*ids.NOTHING, "na", "unknown", "never", "0", "0000-00-00", "0000-00-00 00:00:00")
"""How programs write that there is no time, in lower case."""

_TIME = pl.Datetime("us", "UTC")
_ISO = (
    r"(?i)^\s*(?<year>\d{4})(?:-(?<month>\d{1,2})-(?<day>\d{1,2})|/(?<month2>\d{1,2})/(?<day2>\d{1,2})"
    r"|\.(?<month3>\d{1,2})\.(?<day3>\d{1,2})|(?<month4>\d{2})(?<day4>\d{2}))"
    r"(?:(?:\s*T\s*|\s+|:)(?<hour>\d{1,2})(?::?(?<minute>\d{2})(?::?(?<second>\d{2})(?:[.,](?<fraction>\d{1,12}))?)?)?)?"
    r"\s*(?<zone>Z|UTC|GMT|(?:UTC|GMT)?[+\-\x{2212}]\d{2}(?::?\d{2})?(?::?00)?)?\s*(?:\[[^\]]*\])?\s*$"
)
_NONE = pl.Series([None], dtype=_TIME)
_PLAIN = {
    "9999-99-99": "%Y-%m-%d",
    "9999-99-99 99:99": "%Y-%m-%d %H:%M",
    "9999-99-99 99:99:99": "%Y-%m-%d %H:%M:%S",
    "9999-99-99T99:99:99": "%Y-%m-%dT%H:%M:%S",
    "9999-99-99T99:99:99Z": "%Y-%m-%dT%H:%M:%SZ",
    "9999-99-99 99:99:99 UTC": "%Y-%m-%d %H:%M:%S UTC",
} | {
    f"9999-99-99{between}99:99:99.{'9' * digits}{zone}": f"%Y-%m-%d{between}%H:%M:%S%.f{zone}"
    for between in "T "
    for digits in (3, 6, 9)
    for zone in ("", "Z")
}
"""Shapes of whole columns, a 9 for each digit, and the pattern of each."""


@dataclass(kw_only=True)
class Parsed:
    """What became of a column of times."""

    times: pl.Series
    """UTC, null where a value is no time."""

    moved: int = 0
    """Wall-clock times that the zone skipped in spring; read as one hour later."""

    shapes: dict[str, int] = field(default_factory=dict)
    """Values by the shape that they were read as, where nobody said it: unix-seconds, %Y%m%d and the like."""

    nothing: int = 0
    """Words such as NULL that say that there is no time."""


def check_zone(zone: str, *, field: str) -> None:
    """Raises:
    SpecInvalid: there is no such time zone.
    """
    known = _zones()
    if zone not in known:
        near = difflib.get_close_matches(zone, sorted(known), n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise SpecInvalid(f"{field}: {zone!r} is no time zone{hint} Use a name such as Europe/Berlin or UTC.")


_NO_ZONE_OF_POLARS = {"Factory", "localtime"}
"""Names of files beside the zones that say what this machine's is, or nothing: polars ends at them."""


@cache
def _zones() -> frozenset[str]:
    """Read once: it looks into every file of the system's data base of zones."""
    return frozenset(zoneinfo.available_timezones() - _NO_ZONE_OF_POLARS)


def parse(values: pl.Series, *, time_format: str | Sequence[str] | None, zone: str, where: str) -> Parsed:
    """Reads a column of times.

    Args:
        values: Times, dates, text or numbers.
        time_format: strptime pattern, ``iso``, or a unit of :data:`UNITS`; or several, of which the first that fits a
            value is taken. None for what is seen by the values.
        zone: Of values that carry no zone of their own, unless all are days without a clock. Of an hour that the clock
            showed twice, the first.
        where: The file, for messages.

    Raises:
        SchemaMismatch: the column is of a type that holds no time, or values can be read in two ways.
        SpecInvalid: ``time_format`` is no valid pattern.
    """
    dtype = values.dtype
    if isinstance(dtype, pl.Datetime):
        micro = values.dt.cast_time_unit("us")
        times, moved = (micro.dt.convert_time_zone("UTC"), 0) if dtype.time_zone else _localised(micro, zone)
        return Parsed(times=_possible(times), moved=moved)
    if dtype == pl.Date:
        times, moved = _localised(values.cast(pl.Datetime("us")), zone)
        return Parsed(times=_possible(times), moved=moved)
    if dtype in (pl.Categorical, pl.Enum, pl.Null, pl.Binary):
        values = text_of(values).alias(values.name)
    elif dtype != pl.String and not dtype.is_numeric():
        raise SchemaMismatch(f"{where}: column {values.name!r} holds {dtype} where times are expected.")
    formats = [time_format] if isinstance(time_format, str) else list(time_format or ())
    parsed = Parsed(times=pl.Series(values.name, [None], dtype=_TIME).new_from_index(0, values.len()))
    if values.dtype == pl.String:
        values = values.str.strip_chars()
        quick = None if formats else _plain_iso(values)
        if quick is not None:
            naive, zoned = quick
            times, moved = (naive.dt.replace_time_zone("UTC"), 0) if zoned else _localised(naive, zone)
            return Parsed(times=_possible(times).alias(values.name), moved=moved)
        absent = (values.str.to_lowercase().is_in(NOTHING) | (values == "")).fill_null(False)
        if formats:  # which may count from any time
            absent = absent & (values != "0").fill_null(False)
        parsed.nothing = int(absent.sum())
        values = values.zip_with(~absent, pl.Series([None], dtype=pl.String))
    if formats:
        _by_formats(values, formats, zone, where, parsed)
    else:
        _by_sight(values, zone, parsed)
    parsed.times = _possible(parsed.times).alias(values.name)
    return parsed


def _possible(times: pl.Series) -> pl.Series:
    """Python's own times end with 9999, before other zones are asked for."""
    possible = times.dt.year().is_between(1, 9998)
    return times.zip_with(possible.fill_null(False), _NONE)


def _by_formats(values: pl.Series, formats: list[str], zone: str, where: str, parsed: Parsed) -> None:
    readings: list[tuple[str, pl.Series]] = []
    days = True
    if len(formats) > 1 and zone != "UTC":  # one may read days, and another clocks: all are days, or none
        whole = Parsed(times=parsed.times)
        _by_formats(values, formats, "UTC", where, whole)
        days = bool((whole.times.dt.truncate("1d") == whole.times).all())
    text = values.cast(pl.String)
    worded = text
    if len(formats) > 1:  # what one of them reads as it is needs no other reading
        for pattern in set(formats) - {"iso", *UNITS}:
            worded = worded.set(strptime(text, pattern).is_not_null(), None)
    for pattern in formats:
        if pattern in UNIX:
            times, moved = _unix(values, UNIX[pattern]), 0
        elif pattern == EXCEL:
            since = _unix(values.cast(pl.Float64, strict=False) - EXCEL_ZERO, _DAY)
            # a fraction of a day has a few digits only: to the second
            times, moved = _localised(since.dt.replace_time_zone(None).dt.round("1s"), zone, days=days)
        elif pattern == "iso":
            times, moved = _iso(text, zone, days=days)
        else:
            times, moved = patterned(text, pattern, zone, days=days, worded=worded)
        for other, read in readings:
            unlike = (read != times).fill_null(False)
            if unlike.any():
                value = values.filter(unlike)[0]
                one, two = read.filter(unlike)[0], times.filter(unlike)[0]
                raise SchemaMismatch(
                    f"{where}: column {values.name!r} holds {value!r}, which may be {one:%-d %B %Y %H:%M} ({other!r}) "
                    f"or {two:%-d %B %Y %H:%M} ({pattern!r}). Leave one of the two out of timeFormat, or write the "
                    "dates in one shape."
                )
        readings.append((pattern, times))
        fresh = parsed.times.is_null() & times.is_not_null()
        parsed.times = parsed.times.zip_with(~fresh, times)
        parsed.moved += moved if fresh.any() else 0
        if len(formats) > 1 and fresh.any():
            parsed.shapes[pattern] = int(fresh.sum())


def _by_sight(values: pl.Series, zone: str, parsed: Parsed) -> None:
    """ISO 8601, and numbers by their size; each value on its own."""
    if values.dtype == pl.String:
        parsed.times, parsed.moved = _iso(values, zone)
        compact = values.str.contains(r"^\d{8}$").fill_null(False)  # a date as ISO 8601 allows, but also a number
        parsed.times = parsed.times.zip_with(~compact, _NONE)
        left = values.zip_with(parsed.times.is_null(), pl.Series([None], dtype=pl.String))
        numbers = left.str.extract(r"^([+-]?\d+(?:\.\d*)?(?:[eE]\+?\d+)?)$", 1).cast(pl.Float64, strict=False)
    else:
        numbers = values.cast(pl.Float64, strict=False)
        parsed.nothing += int((numbers == 0).sum())
        numbers = numbers.zip_with(numbers.is_finite().fill_null(False), pl.Series([None], dtype=pl.Float64))
    if numbers.null_count() == numbers.len():
        return
    exact = values.cast(pl.Int64, strict=False) if values.dtype.is_integer() or values.dtype == pl.String else None
    for name, scale in (("unix-seconds", 1), ("unix-milliseconds", 10**3), ("unix-microseconds", 10**6),
                        ("unix-nanoseconds", 10**9)):  # fmt: skip
        low, high = PLAUSIBLE_SECONDS[0] * scale, PLAUSIBLE_SECONDS[1] * scale
        fitting = numbers.is_between(low, high).fill_null(False)
        if not fitting.any():
            continue
        if exact is not None and scale > 1:
            micro = exact * (10**6 // scale) if scale <= 10**6 else exact // 1000
            rounded = (numbers.zip_with(fitting, pl.Series([None], dtype=pl.Float64)) / scale * 1e6).round()
            times = micro.zip_with(exact.is_not_null(), rounded.cast(pl.Int64)).cast(_TIME)
        else:
            within = numbers.zip_with(fitting, pl.Series([None], dtype=pl.Float64))
            times = (within / scale * 1e6).round().cast(pl.Int64).cast(_TIME)
        parsed.times = parsed.times.zip_with(~fitting, times)
        parsed.shapes[name] = int(fitting.sum())
    for digits, pattern in COMPACT.items():
        whole = numbers.is_between(10 ** (digits - 1), 10**digits - 1) & parsed.times.is_null() & (numbers % 1 == 0)
        whole = whole.fill_null(False)
        if whole.any():
            text = numbers.zip_with(whole, pl.Series([None], dtype=pl.Float64)).cast(pl.Int64).cast(pl.String)
            times, moved = _iso(_spaced(text, digits), zone)
            times = times.zip_with(times.dt.year().is_between(1990, 2100).fill_null(False), _NONE)
            fitting = times.is_not_null()
            if fitting.any():
                parsed.times = parsed.times.zip_with(~fitting, times)
                parsed.shapes[pattern] = int(fitting.sum())
                parsed.moved += moved


def _spaced(text: pl.Series, digits: int) -> pl.Series:
    """20240501 or 20240501103000 as ISO 8601 with its signs."""
    date = text.str.slice(0, 4) + "-" + text.str.slice(4, 2) + "-" + text.str.slice(6, 2)
    if digits == 8:
        return date
    clock = text.str.slice(8, 2) + ":" + text.str.slice(10, 2)
    return date + " " + clock + (":" + text.str.slice(12, 2) if digits == 14 else "")


def _unix(values: pl.Series, microseconds: int) -> pl.Series:
    numbers = values.cast(pl.Float64, strict=False) if not values.dtype.is_integer() else values.cast(pl.Int64)
    limit = 253_402_300_800_000_000 // microseconds  # the year 10000
    numbers = numbers.zip_with((numbers.abs() < limit).fill_null(False), pl.Series([None], dtype=numbers.dtype))
    scaled = (numbers * microseconds).round() if numbers.dtype.is_float() else numbers * microseconds
    return scaled.cast(pl.Int64, strict=False).cast(_TIME).alias(values.name)


def patterned(
    values: pl.Series, pattern: str, zone: str, *, days: bool = True, worded: pl.Series | None = None
) -> tuple[pl.Series, int]:
    """What a pattern reads of text as it is and, where that is nothing, of its words as English has them.

    Of ``worded``, where that is given, the latter: the values without those whose words need not be looked at.
    """
    parsed = strptime(values, pattern)
    english, plain = (
        in_english((values if worded is None else worded).set(parsed.is_not_null(), None)),
        pattern_in_english(pattern),
    )
    if plain and english.null_count() < len(english):
        parsed = parsed.zip_with(parsed.is_not_null(), strptime(english, plain))
    if re.search(r"%[#:]*z", pattern):
        return parsed.dt.convert_time_zone("UTC"), 0
    return _localised(parsed, zone, days=days)


def strptime(values: pl.Series, pattern: str) -> pl.Series:
    """What a pattern reads of text as it is, without a zone where it names none."""
    try:
        parsed = values.str.strip_chars().str.to_datetime(pattern, time_unit="us", strict=False)
    except pl.exceptions.PolarsError:
        try:
            parsed = values.str.strip_chars().str.to_date(pattern, strict=False).cast(pl.Datetime("us"))
        except pl.exceptions.PolarsError as error:
            raise SpecInvalid(
                f"timeFormat: {pattern!r} cannot be used: {first_line(error)}. Use strptime's letters, "
                "e.g. %d.%m.%Y %H:%M."
            ) from error
    whole = (parsed.dt.year() >= 100).fill_null(True)  # two digits where four are expected
    if not whole.all():
        written = pl.DataFrame({"text": values, "year": parsed.dt.year().cast(pl.String).str.zfill(4)})
        padded = pl.col("text").str.contains(pl.col("year"), literal=True).fill_null(False)
        whole = whole | written.select(padded).to_series()  # 01/01/0001 is a date, if of nothing
    return parsed.zip_with(whole, pl.Series([None], dtype=parsed.dtype))


def _iso(values: pl.Series, zone: str, *, days: bool = True) -> tuple[pl.Series, int]:
    quick = _plain_iso(values)
    if quick is not None:
        naive, zoned = quick
        return (naive.dt.replace_time_zone("UTC"), 0) if zoned else _localised(naive, zone, days=days)
    parts = _with_signs(values).str.extract_groups(_ISO).struct.unnest()
    number = {name: pl.col(name).fill_null("0").cast(pl.Int64) for name in ("hour", "minute", "second")}
    places = ("month", "month2", "month3", "month4"), ("day", "day2", "day3", "day4")
    month, day = (pl.coalesce(*names).str.zfill(2) for names in places)
    micro = pl.col("fraction").fill_null("0").str.pad_end(6, "0").str.slice(0, 6).cast(pl.Int64)
    read = parts.select(
        **number,
        date=pl.concat_str("year", month, day, separator="-").str.to_date("%Y-%m-%d", strict=False),
        zone=pl.col("zone").str.replace(r"(?i)^(UTC|GMT)", "").str.replace_all(":", "").str.replace("\u2212", "-"),
        zoned=pl.col("zone").is_not_null(),
        since=(number["hour"] * 3600 + number["minute"] * 60 + number["second"]) * 1_000_000 + micro,
    )
    midnight = (pl.col("hour") == 24) & (pl.col("minute") == 0) & (pl.col("second") == 0)
    possible = midnight | (
        (pl.col("hour") < 24) & (pl.col("minute") < 60) & (pl.col("second") <= 60)
    )  # 60: a leap second
    moment = pl.col("date").cast(pl.Datetime("us")) + pl.col("since").cast(pl.Duration("us"))
    naive = read.select(pl.when(possible).then(moment)).to_series().alias(values.name)
    if not read["zoned"].any():
        return _localised(naive, zone, days=days)
    offset = read["zone"].str.replace("(?i)^Z?$", "+0000").str.pad_end(5, "0")
    minutes = offset.str.slice(1, 2).cast(pl.Int64) * 60 + offset.str.slice(3, 2).cast(pl.Int64)
    signed = minutes.zip_with(offset.str.starts_with("+").fill_null(True), -minutes)
    absolute = (naive - (signed * 60_000_000).cast(pl.Duration("us"))).dt.replace_time_zone("UTC")
    local, moved = _localised(naive.zip_with(~read["zoned"], pl.Series([None], dtype=naive.dtype)), zone, days=False)
    return absolute.zip_with(read["zoned"], local), moved


_EAST_ASIAN = (
    (r"[(（][月火水木金土日월화수목금토일][)）]", ""),
    (r"\s*[年년月월]\s*", "-"),
    (r"\s*[日號号일]\s*", " "),
    (r"\s*[時时點点시分분]\s*", ":"),
    (r"[秒초]", ""),
    (r":?\s*$", ""),
)
"""How China, Japan and Korea write 2025年1月5日 9時30分, and the signs of ISO 8601 for it."""


def _with_signs(values: pl.Series) -> pl.Series:
    """ISO 8601's signs between the numbers of dates that are written with words for year, month and day."""
    written = values.str.contains(r"^\d{4}\s*[年년]")
    if not written.any():
        return values
    text = values
    for words, sign in _EAST_ASIAN:
        text = text.str.replace_all(words, sign)
    return text.zip_with(written.fill_null(False), values)


def _plain_iso(values: pl.Series) -> tuple[pl.Series, bool] | None:
    """The same for a column that is all of one of the commonest shapes, many times faster; None where it is not."""
    first = values.drop_nulls().head(1)
    if first.is_empty():
        return None
    shape = re.sub(r"\d", "9", first[0])
    pattern = _PLAIN.get(shape)
    if pattern is None or (values.str.len_bytes() != len(shape)).any():
        return None
    if pattern == "%Y-%m-%d":
        naive = values.str.to_date(pattern, strict=False).cast(pl.Datetime("us"))
    else:
        naive = values.str.to_datetime(pattern, time_unit="us", strict=False)
    return (naive, shape.endswith(("Z", "UTC"))) if naive.null_count() == values.null_count() else None


def _localised(naive: pl.Series, zone: str, *, days: bool = True) -> tuple[pl.Series, int]:
    """Wall-clock times of ``zone`` as UTC; a time in the hour that spring skips is read as one hour later.

    Where all are midnight they are days without a clock, and stay the days that were written: everything that asks for the
    day of a row asks for that of UTC, which at a midnight east of Greenwich is the day before.
    """
    if days and zone != "UTC" and (naive.dt.truncate("1d") == naive).all():
        return naive.dt.replace_time_zone("UTC"), 0
    local = naive.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    skipped = local.is_null() & naive.is_not_null()
    if not skipped.any():
        return local.dt.convert_time_zone("UTC"), 0
    moved = naive.dt.offset_by("1h").dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return local.zip_with(~skipped, moved).dt.convert_time_zone("UTC"), int(skipped.sum())
