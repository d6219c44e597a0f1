"""What is doubtful in a log is said: by `init` in what it proposes, by a run in what it tells."""

import polars as pl
import pytest
from own_tables import log

from shoploop.cli.init import init_recommender
from shoploop.data.guessing import guess_events
from shoploop.errors import DataUnreadable, SchemaMismatch


def cycled(*words: str) -> list[str]:
    return [words[n % len(words)] for n in range(60)]


@pytest.mark.parametrize(
    ("column", "words", "kinds"),
    [
        ("evento", ("vista", "carrito", "compra"), {"vista": "view", "carrito": "cart", "compra": "purchase"}),
        ("type", ("vue", "achat", "retour"), {"vue": "view", "achat": "purchase", "retour": "return"}),
        ("liked", ("true", "false"), {"true": "purchase", "false": "view"}),
        ("purchased", ("1", "0"), {"1": "purchase", "0": "view"}),
        ("rating", ("up", "down"), {"up": "purchase", "down": "view"}),
        ("action_type", ("1", "1", "2", "1"), {"2": "purchase", "1": "other"}),
    ],
)
def test_what_people_did_is_seen_in_other_languages_by_flags_and_by_codes(tables, column, words, kinds):
    guess = guess_events(tables.csv("events.csv", log(60, **{column: cycled(*words)}).write_csv()))
    assert guess.found["kind"].columns == (column,)
    assert guess.kinds == kinds


@pytest.mark.parametrize(
    ("user", "item", "time"), [("Cliente", "Artículo", "Fecha"), ("utilisateur", "produit", "purchased_on")]
)
def test_columns_are_recognised_in_other_languages_and_a_birthday_is_no_time_of_a_purchase(tables, user, item, time):
    frame = log(60).rename({"user": user, "item": item, "time": time}).with_columns(birth_date=pl.lit("1980-02-03"))
    guess = guess_events(tables.csv("events.csv", frame.select("birth_date", pl.exclude("birth_date")).write_csv()))
    assert [guess.found[role].columns for role in ("user", "item", "time")] == [(user,), (item,), (time,)]


@pytest.mark.parametrize(("column", "word"), [("price", "gratis"), ("quantity", "a few"), ("rating", "5/5")])
def test_init_leaves_out_what_a_run_would_end_at(tables, column, word):
    out = tables.folder / "recommender.yaml"
    uri = tables.csv("events.csv", log(60, **{column: [word] * 60}).write_csv())
    init_recommender(uri, items=None, out=out, columns=(), yes=True, force=False)
    assert f"{column}: [] # left out: it holds no numbers, e.g. {word}" in out.read_text()
    assert tables.events(uri, columns={column: []}).height == 60


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([str(20_000 + n) for n in range(60)], "unix-days"),
        ([["02/01/2025", "25/02/2025", "01/28/2025"][n % 3] for n in range(60)], "several shapes"),
        ([""] * 60, "is empty in every row"),
    ],
)
def test_init_says_why_a_column_of_that_name_is_not_taken(tables, values, said):
    uri = tables.csv("events.csv", log(60, time=values).write_csv())
    with pytest.raises(SchemaMismatch, match=f"Column 'time' is called so.*{said}"):
        init_recommender(uri, items=None, out=tables.folder / "r.yaml", columns=(), yes=True, force=False)
    assert not (tables.folder / "r.yaml").exists()


@pytest.mark.parametrize(
    "day", ["1970-01-01T00:00:00", "1900-01-01T00:00:00", "0001-01-01T00:00:00", "2999-12-31T00:00:00"]
)
def test_a_date_that_stands_for_none_moves_no_end_however_often_it_stands(tables, day):
    times = [day if n % 5 == 0 else f"2024-05-{n % 28 + 1:02}T10:00:00" for n in range(60)]
    events = tables.events(tables.csv("events.csv", log(60, time=times).write_csv()))
    assert (events.height, tables.rule("outside_the_span")["rows"]) == (48, 12)
    assert day[:10] in tables.told()


def test_a_log_of_1970_is_a_log(tables):
    assert tables.events(tables.parquet("e.parquet", log(60, day=0))).height == 60


def test_ids_that_differ_in_case_or_a_point_alone_are_told_and_stay(tables):
    users = [f"{'Ann' if n % 2 else 'ann'}{n % 9}" for n in range(60)]
    assert tables.events(tables.csv("e.csv", log(60, user=users).write_csv()))["user"].n_unique() == 18
    assert "9 of 18 ids of users are another one in other letters" in tables.told()
    tables.events(tables.csv("e.csv", log(60).write_csv()))
    assert "other letters" not in tables.told()


def test_a_user_with_far_more_rows_than_others_is_told(tables):
    users = ["99999999" if n % 4 == 0 else f"u{n % 31}" for n in range(600)]
    assert tables.events(tables.parquet("e.parquet", log(600, user=users))).height == 600
    assert "User '99999999' has 150 of 600 rows" in tables.told()


def test_letters_that_look_alike_and_are_coded_otherwise_are_a_cause(tables):
    interactions = tables.csv("e.csv", log(60, item=[f"Ka\u0308se{n % 5}" for n in range(60)]).write_csv())
    items = tables.csv("items.csv", "item,title\n" + "".join(f"K\u00e4se{n},a\n" for n in range(5)))
    with pytest.raises(SchemaMismatch, match=r"an item that .* how letters with accents are coded"):
        tables.load(interactions={"uri": interactions}, items={"uri": items})


def test_a_link_to_nothing_and_what_is_no_file_are_named(tables):
    (tables.folder / "link.csv").symlink_to("gone.csv")
    with pytest.raises(DataUnreadable, match=r"is a link to gone.csv, which does not exist"):
        tables.events(tables.folder / "link.csv")
    with pytest.raises(DataUnreadable, match="neither a file nor a folder"):
        tables.events("/dev/null")


def test_dates_that_stand_for_none_do_not_hide_a_stray(tables):
    times = (
        [f"2024-05-{n % 28 + 1:02}T10:00:00" for n in range(720)]
        + ["1970-01-01T00:00:00"] * 80
        + ["2025-05-03T10:00:00"]
    )
    users = [f"u{n % 97}" for n in range(801)]
    events = tables.events(tables.csv("events.csv", log(801, time=times, user=users).write_csv()))
    assert events.height == 720
    assert tables.rule("outside_the_span")["rows"] == 81


def test_a_day_of_year_one_stands_for_none_in_a_shape_of_ones_own_too(tables):
    times = ["01/01/0001" if n % 5 == 0 else f"{n % 28 + 1:02}/05/2024" for n in range(60)]
    uri = tables.csv("events.csv", log(60, time=times).write_csv())
    assert tables.events(uri, timeFormat="%d/%m/%Y").height == 48
