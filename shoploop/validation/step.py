"""The step that asks whether the canonical tables can be trusted, by Great Expectations.

The rules are in ``expectations``; this module runs them and says what came out. It changes no data. Great
Expectations' own Data Docs pages load scripts from the web, so the report renders ``validation.json`` itself.
"""

import functools
import json
import time
import warnings
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from shoploop import progress, schemas
from shoploop.api.v1alpha1 import ValidationSpec
from shoploop.data.rules import dropped_rows
from shoploop.errors import DataUnreadable, ValidationFailed
from shoploop.validation.expectations import DERIVED, Expectation, configured, derived_interactions, weeks

EXAMPLES = 5

BY_COLUMN = 200_000
"""Rows above which columns are checked one after the other: Great Expectations copies and hashes all it is given at each
check. Below, its second for each frame would cost more."""


def validate_data(*, data: Path, out: Path, validation_spec: ValidationSpec) -> dict[str, Any]:
    """Checks the tables and writes ``validation.json``, also when it then raises.

    Args:
        data: Folder of ``load_data``.
        out: Folder to write.
        validation_spec: Severities, tolerances, and whether a failure stops.

    Returns:
        ``verdict`` (passed, warned or failed), ``expectations`` (name, table, column, rule, severity, tolerance, rows,
        unexpected, share, passed, up to five example rows) and ``seconds``. With ``onFailure: Warn`` nothing fails:
        what would have is a warning.

    Raises:
        ValidationFailed: an expectation of severity Stop is broken and ``onFailure`` is Stop, or a table lacks its
        columns. SpecInvalid: the spec names an unknown expectation. DataUnreadable: the folder lacks a table.
    """
    began = time.monotonic()
    expectations = configured(validation_spec.expectations)
    told = _Told(len(expectations))
    tables = {name: _read(data / f"{name}.parquet") for name in schemas.TABLES}
    results = _schemas([e for e in expectations if e.name.endswith(".schema")], tables, told)
    broken_schema = [result for result in results if not result["passed"]]
    if not broken_schema:
        others = [e for e in expectations if not e.name.endswith(".schema")]
        results += _contents(others, tables, _dropped(data / "load.json"), told)
    order = {expectation.name: position for position, expectation in enumerate(expectations)}
    results.sort(key=lambda result: order[result["name"]])
    stops = broken_schema or [r for r in results if not r["passed"] and r["severity"] == "Stop"]
    stopped = bool(broken_schema) or (bool(stops) and validation_spec.on_failure == "Stop")
    warned = any(not r["passed"] and r["severity"] != "Ignore" for r in results)
    report = {
        "verdict": "failed" if stopped else "warned" if warned else "passed",
        "expectations": results,
        "seconds": round(time.monotonic() - began, 2),
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "validation.json").write_text(json.dumps(report, indent=1) + "\n")
    for result in results:
        if not result["passed"] and result["severity"] != "Ignore" and not (stopped and result in stops):
            progress.warn(f"{result['name']} does not hold: {result['rule']} ({_broken(result)}).")
    if stopped:
        raise ValidationFailed(_failure(stops))
    return report


def expectation_names() -> list[str]:
    """Every key that ``spec.validation.expectations`` may have."""
    return [expectation.name for expectation in configured({})]


def _read(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataUnreadable(f"{path} cannot be read: {error}. Run load_data first.") from error


def _dropped(report: Path) -> dict[str, int]:
    """Rows that loading dropped and should not have had to, by table; empty where no report lies beside the tables."""
    if not report.is_file():
        return {}
    return dropped_rows(json.loads(report.read_text())["rules"])


class _Told:
    """Says how many expectations have been held against the data."""

    def __init__(self, total: int):
        self.done, self.total = 0, total

    def __call__(self, more: int) -> None:
        self.done += more
        progress.report(self.done, self.total, "expectations")


def _schemas(expectations: Sequence[Expectation], tables: dict[str, pl.DataFrame], told: _Told) -> list[dict[str, Any]]:
    results = []
    for expectation in expectations:
        wanted = pl.DataFrame(schemas.TABLES[expectation.table].schema.empty_table()).schema
        found = tables[expectation.table].schema
        frame = pl.DataFrame(
            [
                {
                    "column": name,
                    "expected": str(dtype),
                    "found": str(found.get(name, "missing")),
                    "as_expected": found.get(name) == dtype,
                }
                for name, dtype in wanted.items()
            ]
        )
        results += _run([expectation], frame, told)
    return results


def _contents(
    expectations: Sequence[Expectation], tables: dict[str, pl.DataFrame], dropped: dict[str, int], told: _Told
) -> list[dict[str, Any]]:
    events = derived_interactions(tables)
    by_week = weeks(events)
    results = []
    for name in schemas.TABLES:
        frame = events if name == "interactions" else tables[name]
        loaded = pl.DataFrame({"kept": [True, False]}).select(
            pl.col("kept").repeat_by(pl.Series([frame.height, dropped.get(name, 0)])).explode()
        )
        own: list[Expectation] = []
        for expectation in (e for e in expectations if e.table == name):
            if expectation.column == "kept":
                results += _run([expectation], loaded, told)
            elif expectation.column == "steady":
                results += _run([expectation], by_week, told)
            else:
                own.append(expectation)
        results += _run(own, frame, told)
    return results


def _run(expectations: Sequence[Expectation], frame: pl.DataFrame, told: _Told) -> list[dict[str, Any]]:
    """Validates one frame, with one suite or, where it is long, with one for each column."""
    suites: dict[str, list[Expectation]] = {}
    first = next((e.column for e in expectations if e.column), "")  # a frame of no columns would have no rows
    for expectation in expectations:
        suite = (expectation.column or first) if frame.height > BY_COLUMN else "all"
        suites.setdefault(suite, []).append(expectation)
    found: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own deprecated imports
        for together in suites.values():
            found |= _validate(together, frame)
            told(len(together))
            if frame.height > BY_COLUMN:
                _whole_frame.cache_clear()  # it holds what it has seen
    return [_result(expectation, found[expectation.name], frame) for expectation in expectations]


@functools.cache
def _whole_frame() -> Any:
    """Great Expectations' way to a data frame in memory; making a context takes longer than most checks."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return (
        context.data_sources.add_pandas("tables")
        .add_dataframe_asset("table")
        .add_batch_definition_whole_dataframe("all")
    )


def _validate(expectations: Sequence[Expectation], frame: pl.DataFrame) -> dict[str, Any]:
    """Great Expectations' answer to each expectation, by name."""
    import great_expectations as gx
    from great_expectations import expectations as checks

    columns = sorted({e.column for e in expectations if e.column})
    batch = _whole_frame().get_batch({"dataframe": frame.select(columns).to_pandas()})
    suite = gx.ExpectationSuite(name="shoploop")
    for expectation in expectations:
        arguments = {name: _bound(value) for name, value in expectation.arguments.items()}
        if expectation.column:
            arguments["column"] = expectation.column
        if expectation.check.startswith("ExpectColumnValues"):
            arguments["mostly"] = 1 - expectation.tolerance
        suite.add_expectation(getattr(checks, expectation.check)(**arguments, meta={"name": expectation.name}))
    answer = batch.validate(suite, result_format={"result_format": "BASIC", "partial_unexpected_count": EXAMPLES})
    return {result.expectation_config["meta"]["name"]: result for result in answer.results}


def _bound(value: Any) -> Any:
    """Times are written in words in the rules; the check wants a moment."""
    if value == "tomorrow":
        return datetime.now(UTC) + timedelta(days=1)
    if isinstance(value, str):
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    return value


def _result(expectation: Expectation, answer: Any, frame: pl.DataFrame) -> dict[str, Any]:
    if answer.exception_info.get("raised_exception"):
        raise RuntimeError(f"{expectation.name}: {answer.exception_info.get('exception_message')}")
    details = answer.result
    per_row = "unexpected_count" in details
    unexpected = int(details["unexpected_count"]) if per_row else 0 if answer.success else frame.height
    result: dict[str, Any] = {
        "name": expectation.name,
        "table": expectation.table,
        "column": expectation.column,
        "rule": expectation.rule,
        "severity": expectation.severity,
        "tolerance": expectation.tolerance,
        "rows": frame.height,
        "unexpected": unexpected,
        "share": unexpected / frame.height if frame.height else 0.0,
        "passed": bool(answer.success),
        "examples": _examples(expectation.column, details["partial_unexpected_list"], frame) if per_row else [],
    }
    if details.get("observed_value") is not None:
        result["observed"] = _plain(details["observed_value"])
    return result


def _examples(column: str, values: Sequence[Any], frame: pl.DataFrame) -> list[dict[str, Any]]:
    """The first rows that hold an unexpected value. Great Expectations can name rows too, but takes a minute for it."""
    if not values:
        return []
    if any(value is None for value in values):
        broken = pl.col(column).is_null()
    else:
        broken = pl.col(column).is_in(pl.Series(values, dtype=frame.schema[column]).implode())
    rows = frame.filter(broken).head(EXAMPLES).drop(DERIVED, strict=False)
    if not rows.columns:
        return []
    return [{name: _plain(value) for name, value in row.items()} for row in rows.iter_rows(named=True)]


def _plain(value: Any) -> Any:
    """As JSON holds it."""
    return value.isoformat() if isinstance(value, date | datetime) else value


def _broken(result: dict[str, Any]) -> str:
    if result["unexpected"] == result["rows"] and "observed" in result:
        return f"found: {result['observed']}"
    return f"{result['unexpected']:,} of {result['rows']:,} rows break it"


def _failure(stops: Sequence[dict[str, Any]]) -> str:
    lines = [
        f"{stop['name']}: {stop['rule']}; {_broken(stop)}"
        + (f", tolerated are {stop['tolerance']:.2%}" if stop["tolerance"] else "")
        + (f". E.g. {json.dumps(stop['examples'][0], default=str)}" if stop["examples"] else "")
        for stop in stops
    ]
    return (
        "The data breaks what is expected of it. "
        + "\n".join(lines)
        + "\nMend the data; or set severity or tolerance in spec.validation.expectations, or onFailure: Warn."
    )
