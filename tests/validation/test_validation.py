import json
import socket
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from shoploop.api.v1alpha1 import DataSpec, ValidationSpec
from shoploop.data.step import load_data
from shoploop.errors import DataUnreadable, SpecInvalid, ValidationFailed
from shoploop.validation import step
from shoploop.validation.expectations import EXPECTATIONS, weeks
from shoploop.validation.step import expectation_names, validate_data

START = datetime(2024, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Sixty users who buy two of twenty items on each of seventy days: nothing to complain about."""
    folder = tmp_path_factory.mktemp("sound")
    lines = ["user,item,time,price,shop,basket"]
    for day in range(70):
        for user in range(60):
            time = START + timedelta(days=day, minutes=user)
            lines += [f"u{user},i{(user + day + n) % 20},{time.isoformat()},1.5,s1,{day}-{user}" for n in (0, 7)]
    (folder / "events.csv").write_text("\n".join(lines) + "\n")
    tables = {"interactions": {"uri": str(folder / "events.csv")}}
    load_data(out=folder / "data", data_spec=DataSpec(tables=tables))
    return folder / "data"


@pytest.fixture
def make_data(sound, tmp_path):
    """The sound data with one table changed."""

    def make(table="interactions", change=lambda frame: frame):
        folder = tmp_path / "data"
        folder.mkdir()
        for path in sound.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        change(pl.read_parquet(sound / f"{table}.parquet")).write_parquet(folder / f"{table}.parquet")
        return folder

    return make


@pytest.fixture
def check(tmp_path):
    """Validates, and returns what is written: by name, and the message of the error if there was one."""

    def run(folder, **spec):
        said = ""
        try:
            validate_data(data=folder, out=tmp_path / "validation", validation_spec=ValidationSpec(**spec))
        except ValidationFailed as error:
            said = str(error)
        report = json.loads((tmp_path / "validation" / "validation.json").read_text())
        return report["verdict"], {result["name"]: result for result in report["expectations"]}, said

    return run


def first(frame, count, **values):
    """The frame with new values in its first rows."""
    row = pl.int_range(pl.len()) < count
    return frame.with_columns(pl.when(row).then(v).otherwise(pl.col(c)).alias(c) for c, v in values.items())


def test_sound_data_passes_every_expectation_and_nothing_is_sent_anywhere(sound, check, monkeypatch):
    def refuse(*_):
        raise AssertionError("validation opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    verdict, results, _ = check(sound)
    assert [name for name, result in results.items() if not result["passed"]] == []
    assert verdict == "passed"
    assert list(results) == expectation_names()


def test_a_warning_is_shown_and_stops_nothing(make_data, check):
    verdict, results, said = check(make_data(change=lambda f: first(f, 3, quantity=0.0)))
    broken = results["interactions.quantity_positive"]
    assert (verdict, said, broken["unexpected"], broken["rows"]) == ("warned", "", 3, 8400)
    assert broken["examples"][0] == {
        "user": "u0",
        "item": "i0",
        "time": "2024-01-01T12:00:00+00:00",
        "kind": "purchase",
        "quantity": 0.0,
        "price": 1.5,
        "shop": "s1",
        "basket": "0-0",
    }


def test_a_broken_stop_is_named_with_a_row_after_the_report_is_written(make_data, check):
    verdict, results, said = check(make_data(change=lambda f: first(f, 800, quantity=-1.0)))
    assert verdict == "failed"
    assert not results["interactions.quantity_not_negative"]["passed"]
    assert "interactions.quantity_not_negative" in said
    assert '"user": "u0"' in said
    assert "800 of 8,400 rows" in said


def test_rows_within_the_tolerance_pass_and_are_counted(make_data, check):
    _, results, _ = check(make_data(change=lambda f: first(f, 8, quantity=-1.0)))
    result = results["interactions.quantity_not_negative"]
    assert (result["passed"], result["unexpected"]) == (True, 8)


def test_a_long_table_is_checked_column_by_column_and_found_to_be_the_same(make_data, check, monkeypatch):
    folder = make_data(change=lambda frame: pl.concat([frame, first(frame, 3, quantity=-1.0).tail(200)]))
    at_once = check(folder)
    monkeypatch.setattr(step, "BY_COLUMN", 100)
    assert check(folder) == at_once
    broken = [name for name, result in at_once[1].items() if not result["passed"]]
    assert "interactions.row_unique" in broken and "interactions.rows_enough" not in broken


def test_the_spec_sets_severity_and_tolerance(make_data, check):
    folder = make_data(change=lambda f: first(f, 800, quantity=-1.0))
    for given, verdict in [
        ({"severity": "Warn"}, "warned"),
        ({"tolerance": 0.2}, "warned"),  # quantity_positive still warns
        ({"severity": "Stop"}, "failed"),
    ]:
        assert check(folder, expectations={"interactions.quantity_not_negative": given})[0] == verdict
    broken = ("interactions.quantity_not_negative", "interactions.quantity_positive")
    both = {name: {"severity": "Ignore"} for name in broken}
    assert check(folder, expectations=both)[0] == "passed"


def test_on_failure_warn_goes_on(make_data, check):
    verdict, _, said = check(make_data(change=lambda f: first(f, 800, quantity=-1.0)), onFailure="Warn")
    assert (verdict, said) == ("warned", "")


def odd_times(frame):
    """Still in order: rows of another century first, and some of next week last."""
    row = pl.int_range(pl.len())
    past, future = datetime(1970, 1, 20, tzinfo=UTC), datetime.now(UTC) + timedelta(days=9)
    time = pl.when(row < 20).then(past).when(row >= pl.len() - 20).then(future).otherwise("time")
    return frame.with_columns(time=time.cast(frame.schema["time"]))


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (
            lambda f: odd_times(first(first(f, 1, user=None), 5000, price=-2.0)),
            {"user_filled", "price_not_negative", "time_plausible", "time_not_future"},
        ),
        (lambda f: f.reverse().with_columns(kind=pl.lit("view")), {"time_ordered", "purchases_present"}),
    ],
)
def test_what_training_cannot_survive_stops(make_data, check, change, names):
    """Several things at once, for a pass over the tables takes a second; the message names all that stop."""
    verdict, results, said = check(make_data(change=change))
    assert verdict == "failed"
    for name in names:
        assert not results[f"interactions.{name}"]["passed"], name
        assert f"interactions.{name}" in said


def strange(frame):
    """Seven rows that are odd, each in its own way; the last of them is there twice."""
    odd = [
        {"item": "stranger"},
        {"user": "stranger"},
        {"shop": "stranger"},
        {"basket": "0-59"},
        {"quantity": 5000.0},
        {"kind": "gaze"},
    ]
    for row, values in enumerate(odd):
        here = pl.int_range(pl.len()) == 2 * row  # of a visit of two the first
        frame = frame.with_columns(
            pl.when(here).then(pl.lit(v)).otherwise(pl.col(c)).alias(c) for c, v in values.items()
        )
    return pl.concat([frame, frame[40:130]]).sort("time")


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (
            strange,
            {
                "item_listed",
                "user_listed",
                "shop_listed",
                "basket_of_one_user",
                "quantity_plausible",
                "kind_known",
                "row_unique",
            },
        ),
        (lambda f: f.head(500), {"rows_enough", "days_enough"}),
        (lambda f: f.filter(pl.col("user") == "u1"), {"users_enough", "rows_enough"}),
        (lambda f: f.filter(pl.col("item") == "i1"), {"items_enough", "rows_enough"}),
        (
            lambda f: f.filter((pl.col("time") < START + timedelta(days=63)) | (pl.col("user") == "u1")),
            {"volume_steady"},
        ),
    ],
)
def test_what_is_odd_is_warned_about_and_nothing_else(make_data, check, change, names):
    verdict, results, _ = check(make_data(change=change))
    assert verdict == "warned"
    assert {name for name, result in results.items() if not result["passed"]} == {f"interactions.{n}" for n in names}


def test_what_somebody_has_said_is_of_another_kind_is_known(make_data, check):
    other = pl.when(pl.int_range(pl.len()) == 7).then(pl.lit("other")).otherwise(pl.col("kind"))
    _, results, _ = check(make_data(change=lambda frame: frame.with_columns(kind=other)))
    assert results["interactions.kind_known"]["passed"]


def test_rules_of_filled_columns_read_as_sentences():
    rules = {expectation.name: expectation.rule for expectation in EXPECTATIONS}
    assert rules["interactions.item_filled"] == "every row has an item"
    assert rules["interactions.user_filled"] == "every row has a user"


def test_a_repeated_key_stops(make_data, check):
    folder = make_data()
    for table in ("items", "users", "shops"):
        path = folder / f"{table}.parquet"
        frame = pl.read_parquet(path)
        pl.concat([frame, frame.head(1)]).write_parquet(path)
    verdict, results, said = check(folder)
    assert verdict == "failed"
    for name in ("items.item_unique", "users.user_unique", "shops.shop_unique"):
        assert not results[name]["passed"] and name in said


def test_rows_that_loading_dropped_count_against_the_tolerance(make_data, check):
    folder = make_data()
    report = json.loads((folder / "load.json").read_text())
    report["rules"].append({"name": "x", "table": "interactions", "rows": 900, "action": "dropped", "why": "y"})
    (folder / "load.json").write_text(json.dumps(report))
    verdict, results, said = check(folder)
    assert verdict == "failed"
    assert results["interactions.rows_kept"]["unexpected"] == 900
    assert "interactions.rows_kept" in said


@pytest.mark.parametrize(
    "change", [lambda f: f.drop("quantity"), lambda f: f.with_columns(pl.col("quantity").cast(pl.String))]
)
def test_a_table_of_another_schema_stops_whatever_the_spec_says(make_data, check, change):
    verdict, results, said = check(make_data(change=change), onFailure="Warn")
    assert verdict == "failed"
    assert results["interactions.schema"]["examples"][0]["column"] == "quantity"
    assert "interactions.schema" in said


def test_an_unknown_expectation_names_the_nearest(sound, tmp_path):
    spec = ValidationSpec(expectations={"interactions.quantity_postive": {"severity": "Warn"}})
    with pytest.raises(SpecInvalid, match=r"did you mean 'interactions\.quantity_positive'"):
        validate_data(data=sound, out=tmp_path / "validation", validation_spec=spec)
    assert not (tmp_path / "validation").exists()


def test_a_folder_without_tables_is_named(tmp_path):
    with pytest.raises(DataUnreadable, match=r"interactions\.parquet cannot be read"):
        validate_data(data=tmp_path, out=tmp_path / "validation", validation_spec=ValidationSpec())


def test_every_expectation_is_explained_once():
    names = [expectation.name for expectation in EXPECTATIONS]
    assert len(names) == len(set(names))
    assert all(expectation.rule for expectation in EXPECTATIONS)


def test_a_short_log_has_no_usual_week():
    events = pl.DataFrame({"time": [START, START + timedelta(days=20)]})
    assert weeks(events).height == 0
