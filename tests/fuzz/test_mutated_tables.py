"""Whatever a file of events looks like, it is loaded whole or refused by name: CSV, JSON Lines, Parquet and Feather."""

import contextlib
import io
import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from fuzzing import share
from hypothesis import given
from hypothesis import strategies as st
from mutations import NAMES, ROWS, csv_files, json_files, parquet_files, sources
from pydantic import ValidationError

from shoploop.api.v1alpha1 import DataSpec, RecommenderSpec
from shoploop.cli.init import init_recommender
from shoploop.data.step import load_data
from shoploop.errors import SpecInvalid

GOOD = "\n".join(",".join(row) for row in [NAMES, *ROWS]).encode()
ITEMS = b"item,title,category\n" + b"".join(b"i%d,Thing %d,Food > Tea\n" % (n, n) for n in range(7))
TABLES = ["interactions.parquet", "items.parquet", "load.json", "shops.parquet", "users.parquet"]

pytestmark = pytest.mark.timeout(3600)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "shop"


def put_to_all(tally, folder: Path, content: bytes, source: dict, other: tuple[str, bytes] | None = None) -> None:
    """Loads the file, looks at it as ``init`` does, and describes it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "events").write_bytes(content)
    named = {"interactions": {"uri": str(folder / "events"), **source}}
    if other:
        (folder / "other").write_bytes(other[1])
        named[other[0]] = {"uri": str(folder / "other")}
    try:
        spec = DataSpec.model_validate({"tables": named})
    except ValidationError:
        return
    tally.counts["inputs"] += 1
    before = {path.name for path in folder.iterdir()}
    try:
        load_data(out=folder / "out", data_spec=spec)
    except BaseException as error:
        tally.refused_or(error, "load", content)
        tally.half_written({path.name for path in folder.iterdir()} - before, content)
    else:
        tally.counts["loaded"] += 1
        tally.half_written(set(TABLES) ^ {path.name for path in (folder / "out").iterdir()}, content)
        try:
            is_canonical(folder / "out")
        except AssertionError as error:
            tally.failed(f"not canonical: {error}", "", content)
        if tally.counts["loaded"] % 3 == 1:
            describe(tally, spec, content)
    if tally.counts["inputs"] % 16 == 1:  # it tries a hundred patterns of times on every column
        initialised(tally, folder, content)


def is_canonical(out: Path) -> None:
    """What every later step takes for granted."""
    events = pl.read_parquet(out / "interactions.parquet")
    assert events.height
    assert not any(events[name].null_count() for name in ("user", "item", "time", "kind", "quantity"))
    for name in ("quantity", "price"):
        given = events[name].drop_nulls()
        assert (given >= 0).all() and (given <= 1e12).all(), name
    assert events["time"].dt.year().is_between(1, 9998).all()
    for name in ("item", "user", "shop"):
        table = pl.read_parquet(out / f"{name}s.parquet")
        assert table[name].is_unique().all() and table[name].null_count() == 0
        assert set(events[name].drop_nulls()) <= set(table[name])
    assert json.loads((out / "load.json").read_text())["tables"]["interactions"]["rows"] == events.height


def describe(tally, spec: DataSpec, content: bytes) -> None:
    from shoploop.data.description import describe as described
    from shoploop.data.step import read_raw
    from shoploop.runs.forecast import forecast

    try:
        description, tables = described(read_raw(spec))
        whole = description | forecast(RecommenderSpec(data=spec), description, tables["interactions"])
        json.dumps(whole)
    except BaseException as error:
        tally.refused_or(error, "describe", content)


def initialised(tally, folder: Path, content: bytes) -> None:
    """``shoploop init`` writes a spec that can be read, or says why not, and writes nothing; every other time beside a
    table of items."""
    items = None
    if tally.counts["initialised"] % 2:
        items = str(folder / "items.csv")
        Path(items).write_bytes(ITEMS)
    tally.counts["initialised"] += 1
    written = folder / "recommender.yaml"
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            init_recommender(str(folder / "events"), items=items, out=written, columns=[], yes=True, force=False)
    except SpecInvalid as error:  # nobody wrote a spec but init itself
        tally.failed("init: a spec of its own is refused", str(error), content)
    except BaseException as error:
        tally.refused_or(error, "init", content)
        tally.half_written([written.name] if written.exists() else [], content)


@share(0.3)
@given(content=csv_files(), source=sources)
def test_csv(tally, folder, content, source):
    put_to_all(tally, folder, content, source)


@share(0.15)
@given(content=json_files(), source=sources)
def test_json_lines(tally, folder, content, source):
    put_to_all(tally, folder, content, source)


@share(0.2)
@given(content=parquet_files(), source=sources)
def test_parquet_and_feather(tally, folder, content, source):
    put_to_all(tally, folder, content, source)


@share(0.05)
@given(name=st.sampled_from(["items", "users", "shops"]), content=csv_files() | parquet_files() | json_files())
def test_tables_beside_the_interactions(tally, folder, name, content):
    put_to_all(tally, folder, GOOD, {}, (name, content))
