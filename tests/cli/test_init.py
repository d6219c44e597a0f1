"""init as a person meets it: what is asked, what is written, which mistakes have names."""

import io
import re
from pathlib import Path

import polars as pl
import pytest
from command_line import shoploop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shoploop.api import load
from shoploop.cli.init import init_recommender
from shoploop.errors import AlreadyThere, SchemaMismatch, ShoploopError, SpecInvalid

LOG = "customer,sku,when,action\n" + "".join(
    f"c{n % 7},s{n % 5},2024-05-{1 + n % 9:02} 10:00,{['view', 'order'][n % 2]}\n" for n in range(60)
)

HEADERLESS = "".join(f"{n % 7}\t{100 + n % 5}\t{1 + n % 5}\t{1_704_067_200 + 3600 * n}\n" for n in range(60))


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


@pytest.mark.parametrize("column", ["suche", "Suchwort", "busca", "search_term"])
def test_what_was_typed_is_found_by_other_peoples_names_of_it(init, column):
    rows = "".join(f"sahcen {n % 3};s{n % 5};0{1 + n % 9}.02.2024 09:26\n" for n in range(30))
    Path("typed.csv").write_text(f"{column};was;zeitpunkt\n{rows}")
    tables, _, _ = init(LOG, searches="typed.csv", answers={})
    assert tables.searches.columns["query"] == column


@pytest.mark.parametrize(("words", "found"), [(("click", "order"), True), (("mobile", "desktop"), False)])
def test_init_finds_the_column_that_says_how_something_was_taken_and_takes_no_other_for_it(init, words, found):
    rows = "".join(f"sahcen {n % 3},s{n % 5},2024-02-0{1 + n % 9},{words[n % 2]}\n" for n in range(30))
    Path("typed.csv").write_text(f"query,item,time,action\n{rows}")
    tables, _, _ = init(LOG, searches="typed.csv", answers={})
    assert tables.searches.columns.get("kind") == ("action" if found else None)


def test_that_the_next_shop_can_be_learned_is_said_where_a_log_has_several(init):
    for shops, said in ((1, False), (3, True)):
        rows = "".join(f"c{n % 7};s{n % 5};0{1 + n % 9}.02.2024 09:26;Filiale {n % shops}\n" for n in range(30))
        init(f"kunde;artikel;datum;filiale\n{rows}", answers={}, force=True)
        assert ("[Items, Shops] learns, too, which shop" in Path("recommender.yaml").read_text()) is said
    assert load("recommender.yaml").spec.training.surfaces == ["Items"]


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


@pytest.mark.parametrize(
    ("log", "name"),
    [
        ("events.csv", "events"),
        ("acme/events.csv", "acme"),
        ("acme/data/orders.csv", "acme"),
        ("acme/Shoe sales.csv", "shoe-sales"),
        ("2024/events.csv", "events-2024"),
        ("2024.csv", "myshop"),
    ],
)
def test_a_recommender_is_called_after_its_log_or_after_a_folder_where_all_logs_are_called_so(init, log, name):
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    init(LOG, name=log)
    assert load("recommender.yaml").metadata.name == name


def test_two_logs_of_one_name_give_two_recommenders_and_one_log_gives_one(init):
    for folder in ("north", "south"):
        Path(folder).mkdir()
        Path(folder, "shoes.csv").write_text(LOG)
    Path("notes.yaml").write_text("of: nothing here\n")
    names = {}
    for out, log in (("n.yaml", "north/shoes.csv"), ("s.yaml", "south/shoes.csv"), ("again.yaml", "./north/shoes.csv")):
        init_recommender(log, items=None, out=Path(out), columns=[], yes=True, force=False)
        names[out] = load(out).metadata.name
    assert names == {"n.yaml": "shoes", "s.yaml": "shoes-2", "again.yaml": "shoes"}


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


def ending(column, days):
    return f"nr,name,{column}\n" + "".join(f"s{n},Thing {n},{day}\n" for n, day in enumerate(days))


LATE = ["2024-06-01", "2024-06-11", "2024-07-01", "2024-08-01", "never"]
"""After the log's last day, 9 May 2024."""


@pytest.mark.parametrize(
    "column",
    ["expires", "valid_until", "closing_date", "End date", "fecha_fin", "date_fin", "Ablaufdatum", "Gültig bis",
     "data_scadenza", "einddatum", "датаокончания", "结束日期", "終了日", "종료일"],
)  # fmt: skip
def test_the_day_up_to_which_items_can_be_bought_is_proposed_in_any_of_the_languages(init, column):
    Path("items.csv").write_text(ending(column, LATE))
    tables, text, asked = init(LOG, items="items.csv", answers={})
    assert tables.items.columns == {"item": "nr", "title": "name", "ends": column} and asked == []
    assert "100% of the items that the log names were seen before it" in text
    assert shoploop("describe", "-f", "recommender.yaml").exit_code == 0


def test_an_end_brings_the_pattern_that_reads_it(init):
    Path("items.csv").write_text(ending("Ablaufdatum", ["1.06.2024", "13.06.2024", "1.07.2024", "1.08.2024", ""]))
    tables, text, _ = init(LOG, items="items.csv", yes=True)
    assert tables.items.time_format == "%d.%m.%Y" and "timeFormat: '%d.%m.%Y' # of column Ablaufdatum" in text


def test_an_end_before_anybody_saw_the_items_is_an_end_of_something_else(init):
    Path("items.csv").write_text(ending("fin_fabrication", ["2023-06-01"] * 5))
    tables, text, asked = init(LOG, items="items.csv", answers={})
    assert "ends" not in tables.items.columns and asked == [] and "not taken" not in text


@pytest.mark.parametrize(
    ("days", "why"),
    [
        (["2024-05-02", "2024-05-03", "2024-05-05", "2024-05-06", "2024-05-06"], "of what people did came after it"),
        (["2024-05-08"] * 5, "every item has ended before the log's last day"),
        (["05/06/2024", "06/06/2024", "07/07/2024", "08/08/2024", "09/08/2024"], "can be read in two ways"),
    ],
)
def test_a_doubtful_end_is_asked_and_without_anybody_to_ask_only_told(init, days, why):
    """It would take items out of every list."""
    Path("items.csv").write_text(ending("ends_on", days))
    tables, text, _ = init(LOG, items="items.csv", yes=True)
    assert "ends" not in tables.items.columns and tables.items.time_format is None
    (told,) = (line for line in text.split("\n") if "# not taken: ends_on: " in line)
    assert why in told and "give --column items.ends=ends_on" in text
    tables, _, asked = init(LOG, items="items.csv", answers={}, force=True)
    assert tables.items.columns["ends"] == "ends_on"
    assert asked[0].startswith("Which column is ends (the last day on which it can be bought)?") and why in asked[0]
    tables, text, _ = init(LOG, items="items.csv", answers={"is ends": "-"}, force=True)
    assert "ends" not in tables.items.columns and "not taken" not in text


def test_of_two_ways_to_read_an_end_one_is_asked_for(init):
    Path("items.csv").write_text(ending("ends", ["05/06/2024", "06/06/2024", "07/07/2024", "08/08/2024", "09/08/2024"]))
    tables, _, asked = init(LOG, items="items.csv", answers={"Times such as": "%m/%d/%Y"})
    assert len(asked) == 2 and tables.items.time_format == "%m/%d/%Y"


def test_of_two_ends_the_one_is_asked_for(init):
    rows = [f"s{n},Thing {n},{day},{day}" for n, day in enumerate(LATE)]
    Path("items.csv").write_text("\n".join(["nr,name,closes,available_to", *rows]) + "\n")
    tables, _, asked = init(LOG, items="items.csv", answers={"is ends": "available_to"})
    assert "so may available_to" in asked[0] and tables.items.columns["ends"] == "available_to"


def test_an_end_may_be_named_beforehand_whatever_it_is_called_also_of_a_file_without_names(init):
    Path("items.csv").write_text(ending("weg", ["1.06.2024", "13.06.2024", "1.07.2024", "1.08.2024", ""]))
    tables, _, _ = init(LOG, items="items.csv", columns=["items.ends=weg"], yes=True)
    assert (tables.items.columns["ends"], tables.items.time_format) == ("weg", "%d.%m.%Y")
    Path("bare.csv").write_text("".join(f"s{n},{100 + n},2024-06-0{1 + n}\n" for n in range(5)))
    tables, _, _ = init(LOG, items="bare.csv", columns=["items.ends=column3"], yes=True, force=True)
    assert tables.items.header == ["item", "column2", "ends"] and tables.items.columns == {"ends": "ends"}


@pytest.mark.parametrize("column", ["sale_ends", "published", "promotion_until"])
def test_dates_of_prices_and_of_the_beginning_are_no_ends(init, column):
    Path("items.csv").write_text(ending(column, LATE))
    tables, text, asked = init(LOG, items="items.csv", answers={})
    assert "ends" not in tables.items.columns and asked == [] and "not taken" not in text


def test_columns_of_the_items_whose_words_shoppers_type_are_proposed_for_the_search(init):
    rows = "".join(f"s{n},Thing {n},{['The Kinks', 'Nena'][n % 2]},A-{n},{['yes', 'no'][n % 2]}\n" for n in range(5))
    Path("items.csv").write_text(f"sku,title,performer,ean,in_stock\n{rows}")
    tables, text, _ = init(LOG, items="items.csv")
    assert tables.items.searchable == ["performer"]
    assert "searchable: [performer] # a search finds their words, too" in text
