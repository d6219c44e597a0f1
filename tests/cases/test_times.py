"""Times as people write them; what can be read in two ways is refused with both."""

import zoneinfo
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from own_tables import log

from shoploop.data import time_patterns
from shoploop.data.span import ends_of
from shoploop.data.times import check_zone, parse
from shoploop.errors import SchemaMismatch, SpecInvalid

MOMENT = datetime(2024, 5, 1, 8, 30, tzinfo=UTC)


def read(*values, time_format=None, zone="UTC"):
    return parse(pl.Series("time", values), time_format=time_format, zone=zone, where="events.csv")


@pytest.mark.parametrize("between", "T ")
@pytest.mark.parametrize("fraction", ["", ".123", ".123456", ".123456789"])
@pytest.mark.parametrize("mark", ["", "Z", " UTC"])
def test_a_whole_column_of_one_shape_is_read_as_among_others(between, fraction, mark):
    text = f"2024-07-01{between}08:30:59{fraction}{mark}"
    alone = read(text, text, zone="Europe/Berlin").times
    among = read(text, "2024-5-1", zone="Europe/Berlin").times
    assert alone[0] == among[0] is not None
    assert alone[0].hour == (8 if mark else 6)


@pytest.mark.parametrize(
    "text",
    [
        "2024-05-01T08:30:00Z", "2024-05-01 08:30:00 UTC", "2024-05-01T10:30:00+02", "2024-05-01T10:30:00+0200",
        "2024-05-01 10:30:00 +02:00", "2024-05-01 10:30+02:00[Europe/Berlin]", "2024-05-01T08:30", "2024-05-01 8:30:00",
        "2024-05-01T08:30:00.000", "2024-05-01T08:30:00,000000000", "20240501T083000Z", "2024/05/01 08:30",
        "2024.05.01 08:30",
        "2024-5-1 08:30", "  2024-05-01t08:30:00z ", "2024-05-01T03:00:00-05:30", "1714552200", "1714552200000",
        "1714552200000000", "1714552200.0", "1.7145522e9", "20240501083000", "202405010830",
    ],
)  # fmt: skip
def test_every_common_shape_is_read(text):
    assert read(text).times.to_list() == [MOMENT]
    assert read(text, "2023-01-01").times[0] == MOMENT


@pytest.mark.parametrize(
    "text", ["2024-13-01", "2024-02-30", "2024-05-01T25:00", "17", "yesterday", "99999999999999999999"]
)
def test_what_is_no_time_is_none(text):
    assert read(text).times.to_list() == [None]


@pytest.mark.parametrize("scale", [1, 10**3, 10**6, 10**9])
@pytest.mark.parametrize("dtype", [pl.Int64, pl.Float64, pl.String])
def test_unix_times_are_seen_by_their_size(scale, dtype):
    values = pl.Series("time", [1714552200 * scale, None, 881250949 * scale], dtype=pl.Int64).cast(dtype)
    parsed = parse(values, time_format=None, zone="Europe/Berlin", where="x")
    assert parsed.times[0] == MOMENT and parsed.times[1] is None and parsed.times[2].year == 1997
    assert list(parsed.shapes.values()) == [2]


@given(st.datetimes(datetime(1990, 1, 2), datetime(2099, 1, 1)), st.sampled_from([1, 10**3, 10**6]))
def test_a_unix_time_reads_back_in_any_unit(moment, scale):
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    assert read(int(moment.timestamp()) * scale).times.to_list() == [moment]


def test_what_numbers_were_taken_for_is_told(tables):
    times = [1714552200 + 86400 * n for n in range(60)]
    tables.events(tables.parquet("events.parquet", log(60, time=times)))
    assert tables.rule("time_seen_as")["rows"] == 60
    assert "unix-seconds" in tables.told()


def test_words_for_no_time_are_counted(tables):
    times = ["NULL" if n % 10 == 0 else f"2024-05-{n % 28 + 1:02}" for n in range(60)]
    events = tables.events(tables.csv("events.csv", log(60, time=times).write_csv()))
    assert (events.height, tables.rule("time_missing")["rows"]) == (54, 6)


def of_times(tables, *times, **settings):
    return tables.events(tables.csv("events.csv", log(len(times), time=list(times)).write_csv()), **settings)


def test_dates_that_fit_two_readings_are_refused_with_both(tables):
    with pytest.raises(SchemaMismatch, match=r"3 April 2024 \('%d/%m/%Y'\) or 4 March 2024 \('%m/%d/%Y'\)"):
        of_times(tables, *["03/04/2024", "05/06/2024"] * 10)


def test_dates_that_fit_one_reading_are_refused_with_it(tables):
    with pytest.raises(
        SchemaMismatch, match=r"They fit '%d/%m/%Y': write it into spec.data.tables.interactions.timeFormat"
    ):
        of_times(tables, *["03/04/2024", "25/06/2024"] * 10)


def test_several_shapes_in_one_column_are_read_by_a_list(tables):
    times = ["25.03.2024 10:00", "2024-03-26T10:00:00Z", "1711533600"] * 8
    with pytest.raises(SchemaMismatch, match=r"They come in several shapes|They fit"):
        of_times(tables, *times)
    events = of_times(tables, *times, timeFormat=["%d.%m.%Y %H:%M", "iso", "unix-seconds"])
    assert sorted({str(time.date()) for time in events["time"]}) == ["2024-03-25", "2024-03-26", "2024-03-27"]
    assert events["time"].null_count() == 0


def test_a_list_by_which_a_date_has_two_readings_is_refused_with_both(tables):
    with pytest.raises(SchemaMismatch, match=r"'03/04/2024', which may be 3 April 2024 .* or 4 March 2024"):
        of_times(tables, *["03/04/2024"] * 10, timeFormat=["%d/%m/%Y", "%m/%d/%Y"])


@given(st.lists(st.integers(0, 400), min_size=30, max_size=200), st.lists(st.integers(1_000, 40_000), max_size=1))
def test_one_stray_moves_no_end_however_the_others_lie(days, stray):
    first, last = min(days), max(days)
    span = ends_of(pl.Series([*days, *(last + 12_000 + far for far in stray)]))
    assert span.last <= last
    assert first <= span.first


@given(st.integers(1, 60), st.integers(1, 200))
def test_a_steady_log_is_taken_whole(a_day, days):
    steady = pl.Series([20_000 + n // a_day for n in range(a_day * days)])
    assert (ends_of(steady).first, ends_of(steady).days) == (20_000, days)


def test_text_that_a_common_pattern_writes_is_read_by_it(monkeypatch):
    """With one digit for the first of a month: no pattern is tried on text in which none could read a date."""
    days = [datetime(2024, month, day, 13, 14, 15, tzinfo=UTC) for month in range(1, 13) for day in (1, 12, 29)]
    unread = []
    for pattern in time_patterns.COMMON:
        monkeypatch.setattr(time_patterns, "COMMON", (pattern,))
        written = pl.Series([day.strftime(pattern.replace("%d", "%-d")) for day in days])
        if time_patterns.fitting(written) != [pattern]:
            unread.append(pattern)
    assert unread == []


@pytest.mark.parametrize("text", ["Ann", "may 1st", "24", "1 of 12", "ten.May", "2024 05", "mayor", "route 66"])
def test_no_pattern_is_tried_on_text_that_none_could_read(text, monkeypatch):
    monkeypatch.setattr(time_patterns, "_fits", lambda *_: pytest.fail("patterns were tried"))
    assert time_patterns.fitting(pl.Series(["1. May 2024", text])) == []


def test_order_of_rows_does_not_matter():
    days = pl.Series([*range(5100, 5200), 30_000, 3])
    assert ends_of(days) == ends_of(days.shuffle(seed=1)) == ends_of(days.sort(descending=True))
    assert timedelta(days=ends_of(days).days) == timedelta(days=100)


def test_every_zone_that_is_not_refused_reads_times():
    """The data base of zones of a machine has files that are none, such as localtime."""
    moment = pl.Series("time", ["2024-07-01 12:00"])
    refused = set()
    for zone in zoneinfo.available_timezones():
        try:
            check_zone(zone, field="timeZone")
        except SpecInvalid:
            refused.add(zone)
        else:
            assert parse(moment, time_format=None, zone=zone, where="").times.null_count() == 0, zone
    assert refused <= {"Factory", "localtime"}
