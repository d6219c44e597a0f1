import gzip

import polars as pl
import pytest

from shoploop.api.v1alpha1 import DataSpec
from shoploop.data import load_data, source_digest
from shoploop.errors import DataUnreadable, SchemaMismatch, SpecInvalid, TableEmpty

GOOD = "user,item,time\nann,tea,2024-05-01"


@pytest.fixture
def refused(tables):
    """Loads and returns the message of the error; the output folder must not have been begun."""

    def check(error, uri, **settings):
        with pytest.raises(error) as caught:
            load_data(out=tables.out, data_spec=DataSpec(tables={"interactions": {"uri": str(uri), **settings}}))
        assert not tables.out.exists()
        return str(caught.value)

    return check


def test_a_missing_file_is_named_with_what_lies_beside_it(tables, refused):
    tables.csv("events.csv", GOOD)
    message = refused(DataUnreadable, tables.folder / "event.csv")
    assert "event.csv does not exist" in message
    assert "events.csv" in message


def test_a_pattern_without_a_match_is_named(tables, refused):
    assert "No file matches" in refused(DataUnreadable, tables.folder / "*.parquet")


def test_a_folder_without_data_is_named(tables, refused):
    (tables.folder / "_SUCCESS").touch()
    assert "is a folder without a file of data" in refused(DataUnreadable, tables.folder)


def test_an_unreadable_file_is_named(tables, refused):
    (tables.folder / "events.parquet").write_bytes(b"PAR1 cut off")
    assert "events.parquet cannot be read" in refused(DataUnreadable, tables.folder / "events.parquet")
    (tables.folder / "events.csv.gz").write_bytes(gzip.compress(GOOD.encode())[:-12])
    assert "damaged or cut off" in refused(DataUnreadable, tables.folder / "events.csv.gz")


def test_a_file_of_unknown_format_is_named_with_the_known_ones(tables, refused):
    (tables.folder / "events.bin").write_bytes(bytes(range(256)) * 4)
    message = refused(DataUnreadable, tables.folder / "events.bin")
    assert "no known format" in message and "Parquet" in message and "CSV" in message


def test_an_unknown_scheme_is_named(refused):
    assert "s4://lake/events.csv cannot be opened" in refused(DataUnreadable, "s4://lake/events.csv")


def test_an_empty_table_is_named(tables, refused):
    (tables.folder / "events.csv").write_bytes(b"")
    assert "empty file" in refused(TableEmpty, tables.folder / "events.csv")
    assert "holds no row" in refused(TableEmpty, tables.csv("events.csv", "user,item,time"))


def test_a_missing_column_is_named_with_what_there_is(tables, refused):
    message = refused(SchemaMismatch, tables.csv("events.csv", "customer,item,time\nann,tea,2024-05-01"))
    assert "no column 'user'" in message
    assert "customer, item, time" in message


def test_a_misspelt_mapping_names_the_nearest_column(tables, refused):
    uri = tables.csv("events.csv", "customer_id,item,time\nann,tea,2024-05-01")
    assert "did you mean 'customer_id'?" in refused(SchemaMismatch, uri, columns={"user": "custmer_id"})


def test_an_unknown_canonical_column_names_the_nearest(tables, refused):
    uri = tables.csv("events.csv", GOOD)
    assert "did you mean 'quantity'?" in refused(SpecInvalid, uri, columns={"quantitiy": "n"})


def test_several_columns_make_only_a_category(tables, refused):
    uri = tables.csv("events.csv", GOOD)
    assert "only category" in refused(SpecInvalid, uri, columns={"user": ["user", "item"]})


def test_text_in_a_number_column_is_named(tables, refused):
    uri = tables.csv("events.csv", "user,item,time,quantity\nann,tea,2024-05-01,three")
    assert "'quantity' holds 'three' where numbers are expected" in refused(SchemaMismatch, uri)


def test_text_in_the_time_column_is_named(tables, refused):
    uri = tables.csv("events.csv", "user,item,time\nann,tea,May Day")
    message = refused(SchemaMismatch, uri)
    assert "'May Day' where times are expected" in message
    assert "timeFormat" in message


def test_numbers_that_are_no_plausible_times_need_a_unit(tables, refused):
    frame = pl.DataFrame({"user": ["ann"], "item": ["tea"], "time": [17]})
    frame.write_parquet(tables.folder / "events.parquet")
    assert "unix-seconds" in refused(SchemaMismatch, tables.folder / "events.parquet")


def test_a_nested_column_is_named(tables, refused):
    frame = pl.DataFrame({"user": ["ann"], "item": [["tea", "milk"]], "time": ["2024-05-01"]})
    frame.write_parquet(tables.folder / "events.parquet")
    assert "'item' holds List(String)" in refused(SchemaMismatch, tables.folder / "events.parquet")


def test_a_time_beyond_the_calendar_is_none(tables, refused):
    uri = tables.csv("events.csv", "user,item,time\nann,tea,9999-12-31T23:59:59-12:00")
    assert "where times are expected" in refused(SchemaMismatch, uri)


@pytest.mark.parametrize("column", ["user", "item", "time"])
def test_a_column_without_any_value_is_named(tables, refused, column):
    values = {"user": "ann", "item": "tea", "time": "2024-05-01"} | {column: ""}
    uri = tables.csv("events.csv", f"user,item,time\n{','.join(values.values())}")
    assert f"column '{column}' is empty in all 1 rows" in refused(TableEmpty, uri)


def test_rows_that_are_never_whole_are_an_empty_table(tables, refused):
    uri = tables.csv("events.csv", "user,item,time\n,tea,2024-05-01\nann,,2024-05-01")
    assert "no row has a user, an item and a time" in refused(TableEmpty, uri)


def test_an_unknown_time_zone_names_the_nearest(tables, refused):
    uri = tables.csv("events.csv", GOOD)
    assert "did you mean 'Europe/Berlin'?" in refused(SpecInvalid, uri, timeZone="Europe/Berln")


def test_a_time_format_that_fits_nothing_is_named(tables, refused):
    uri = tables.csv("events.csv", GOOD)
    assert "timeFormat '%d.%m.%Y'" in refused(SchemaMismatch, uri, timeFormat="%d.%m.%Y")
    assert "timeFormat: '%H' cannot be used" in refused(SpecInvalid, uri, timeFormat="%H")


@pytest.mark.parametrize(
    "call", [lambda spec, out: load_data(out=out, data_spec=spec), lambda spec, _: source_digest(spec)]
)
def test_an_unknown_dataset_names_the_known_ones_and_the_nearest(tmp_path, call):
    with pytest.raises(SpecInvalid, match="did you mean 'completejourney'\\? Known: completejourney"):
        call(DataSpec(dataset="completejourny"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("settings", [{}, {"timeFormat": "unix-seconds"}, {"timeFormat": "excel-days"}])
def test_bytes_that_are_no_times_are_refused_as_times(tables, refused, settings):
    path = tables.folder / "events.parquet"
    pl.DataFrame({"user": ["ann"] * 4, "item": ["tea"] * 4, "time": [b"\xff\xfe", b"a"] * 2}).write_parquet(path)
    assert "where times are expected" in refused(SchemaMismatch, path, **settings)
