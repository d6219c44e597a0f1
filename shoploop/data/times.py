"""Times as people write them, read as UTC microseconds."""

import difflib
import re
import zoneinfo

import polars as pl

from shoploop.errors import SchemaMismatch, SpecInvalid, first_line

UNIX = {"unix-seconds": 1_000_000, "unix-milliseconds": 1_000}
"""Format to microseconds per unit."""

_TIME = pl.Datetime("us", "UTC")
_ISO = (
    r"^\s*(?<date>\d{4}-\d{2}-\d{2})"
    r"(?:[T ](?<clock>\d{2}:\d{2})(?::(?<second>\d{2})(?:[.,](?<fraction>\d{1,9}))?)?)?"
    r"\s*(?<zone>Z|z|UTC|[+-]\d{2}:?\d{2})?\s*$"
)


def check_zone(zone: str, *, field: str) -> None:
    """Raises:
    SpecInvalid: there is no such time zone.
    """
    known = zoneinfo.available_timezones()
    if zone not in known:
        near = difflib.get_close_matches(zone, sorted(known), n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise SpecInvalid(f"{field}: {zone!r} is no time zone{hint} Use a name such as Europe/Berlin or UTC.")


def parse(values: pl.Series, *, time_format: str | None, zone: str, where: str) -> tuple[pl.Series, int]:
    """UTC times, null where a value is none, and how many fell into an hour that the zone's clock skipped.

    Args:
        values: Times, dates, ISO 8601 text, text of ``time_format``, or numbers where that is unix-seconds or
            unix-milliseconds.
        time_format: strptime pattern or a unix unit; None for ISO 8601.
        zone: Of values that carry no zone of their own. Of an hour that the clock showed twice, the first.
        where: The file, for messages.

    Raises:
        SchemaMismatch: the column is of a type that holds no time.
        SpecInvalid: ``time_format`` is no valid pattern.
    """
    parsed, moved = _parse(values, time_format, zone, where)
    possible = parsed.dt.year().is_between(
        1, 9998
    )  # Python's own times end with 9999, before other zones are asked for
    return parsed.zip_with(possible.fill_null(False), pl.Series([None], dtype=_TIME)), moved


def _parse(values: pl.Series, time_format: str | None, zone: str, where: str) -> tuple[pl.Series, int]:
    dtype = values.dtype
    if isinstance(dtype, pl.Datetime):
        micro = values.dt.cast_time_unit("us")
        return (micro.dt.convert_time_zone("UTC"), 0) if dtype.time_zone else _localised(micro, zone)
    if dtype == pl.Date:
        return _localised(values.cast(pl.Datetime("us")), zone)
    if time_format in UNIX:
        return _unix(values, UNIX[time_format]), 0
    if dtype != pl.String:
        raise SchemaMismatch(
            f"{where}: column {values.name!r} holds {dtype} where times are expected. Numbers need "
            f"timeFormat: {' or '.join(UNIX)} beside the table's uri."
        )
    return _patterned(values, time_format, zone) if time_format else _iso(values, zone)


def _unix(values: pl.Series, microseconds: int) -> pl.Series:
    numbers = values.cast(pl.Float64, strict=False) if not values.dtype.is_integer() else values.cast(pl.Int64)
    limit = 253_402_300_800_000_000 // microseconds  # the year 10000
    numbers = numbers.zip_with(numbers.abs() < limit, pl.Series([None], dtype=numbers.dtype))
    scaled = (numbers * microseconds).round() if numbers.dtype.is_float() else numbers * microseconds
    return scaled.cast(pl.Int64, strict=False).cast(_TIME).alias(values.name)


def _patterned(values: pl.Series, pattern: str, zone: str) -> tuple[pl.Series, int]:
    aware = re.search(r"%[#:]*z", pattern) is not None
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
    if aware:
        return parsed.dt.convert_time_zone("UTC"), 0
    return _localised(parsed, zone)


def _iso(values: pl.Series, zone: str) -> tuple[pl.Series, int]:
    parts = values.str.extract_groups(_ISO).struct.unnest()
    text = parts["date"] + " " + parts["clock"].fill_null("00:00") + ":" + parts["second"].fill_null("00")
    fraction = parts["fraction"].fill_null("0").str.pad_end(6, "0").str.slice(0, 6).cast(pl.Int64)
    naive = text.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False) + fraction.cast(pl.Duration("us"))
    naive = naive.alias(values.name)
    if parts["zone"].null_count() == values.len():
        return _localised(naive, zone)
    offset = parts["zone"].str.replace(":", "").str.to_uppercase().replace({"Z": "+0000", "UTC": "+0000"})
    minutes = offset.str.slice(1, 2).cast(pl.Int64) * 60 + offset.str.slice(3, 2).cast(pl.Int64)
    signed = minutes.zip_with(offset.str.starts_with("+").fill_null(True), -minutes)
    absolute = (naive - (signed * 60_000_000).cast(pl.Duration("us"))).dt.replace_time_zone("UTC")
    local, moved = _localised(naive.zip_with(parts["zone"].is_null(), pl.Series([None], dtype=naive.dtype)), zone)
    return absolute.zip_with(parts["zone"].is_not_null(), local), moved


def _localised(naive: pl.Series, zone: str) -> tuple[pl.Series, int]:
    """Wall-clock times of ``zone`` as UTC; a time in the hour that spring skips is read as one hour later."""
    local = naive.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    skipped = local.is_null() & naive.is_not_null()
    if not skipped.any():
        return local.dt.convert_time_zone("UTC"), 0
    moved = naive.dt.offset_by("1h").dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return local.zip_with(~skipped, moved).dt.convert_time_zone("UTC"), int(skipped.sum())
