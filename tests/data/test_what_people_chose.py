"""What logs of other trades say in words of their own: apps, bookings, courses, loans, listens, tickets, searches."""

from datetime import UTC, datetime, timedelta

import pytest

from shoploop.cli.init import init_recommender
from shoploop.data.guessing import guess_events, guess_items

START = datetime(2024, 1, 1)


def log(words, *, name="event", rows=120):
    """Users and items of every pairing, a row every ten hours, the words in turn."""
    lines = [
        f"u{n * 7 % 23},i{n * 5 % 17},{START + timedelta(hours=10 * n)},{words[n % len(words)]}" for n in range(rows)
    ]
    return "\n".join([f"user,item,time,{name}", *lines])


def kinds_of(tables, *words, name="event"):
    return guess_events(tables.csv("log.csv", log(words, name=name)))


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        ("page_open page_open page_open install update uninstall",
         {"page_open": "view", "install": "purchase", "update": "other", "uninstall": "other"}),
        ("cancelled subscription one-off", {"cancelled": "other", "subscription": "purchase", "one-off": "purchase"}),
        ("browse login subscribed unsubscribed",
         {"browse": "view", "login": "other", "subscribed": "purchase", "unsubscribed": "other"}),
        ("preview signup", {"preview": "view", "signup": "purchase"}),
        ("signup booked", {"signup": "other", "booked": "purchase"}),
        ("play booked", {"play": "view", "booked": "purchase"}),
        ("hover rent", {"hover": "view", "rent": "purchase"}),
        ("visita instalado desinstalado", {"visita": "view", "instalado": "purchase", "desinstalado": "other"}),
        ("浏览 取消 预订", {"浏览": "view", "取消": "other", "预订": "purchase"}),
        ("Vorschau Ausleihe", {"vorschau": "view", "ausleihe": "purchase"}),
        ("NO_SHOW CANCELLED CHECKED_OUT CONFIRMED",
         {"no_show": "purchase", "cancelled": "other", "checked_out": "purchase", "confirmed": "purchase"}),
        ("rejected shipped in-transit delivered failed",
         {"rejected": "other", "shipped": "purchase", "in-transit": "purchase", "delivered": "purchase", "failed": "other"}),
    ],
)  # fmt: skip
def test_what_people_want_is_known_by_its_word_and_not_by_how_often_it_comes(tables, words, kinds):
    guess = kinds_of(tables, *words.split())
    assert guess.kinds == kinds and not guess.kinds_open


def test_an_order_that_is_not_paid_yet_is_a_purchase_in_doubt(tables):
    guess = kinds_of(tables, "paid", "pending_payment")
    assert guess.kinds == {"paid": "purchase", "pending_payment": "purchase"} and not guess.kinds_sure


def test_where_nobody_knows_the_words_none_is_mapped_and_the_run_asks_for_one(tables, tmp_path, capsys):
    uri, out = tables.csv("log.csv", log(["alpha", "alpha", "beta"])), tmp_path / "recommender.yaml"
    init_recommender(uri, items=None, out=out, columns=(), yes=True, force=False)
    for told in (out.read_text(), capsys.readouterr().out):
        assert "nobody here knows alpha (80 rows), beta (40 rows)" in told and "kinds: {alpha: purchase}" in told
    assert "kinds:\n" not in out.read_text()
    tables.events(uri, columns={"user": "user", "item": "item", "time": "time", "kind": "event"})
    assert "no row is a purchase" in tables.told()


def test_a_person_is_asked_for_words_that_nobody_knows(tables, tmp_path):
    uri, out = tables.csv("log.csv", log(["alpha", "alpha", "beta"])), tmp_path / "recommender.yaml"

    def ask(question, default):
        return "purchase" if "'beta'" in question else default

    init_recommender(uri, items=None, out=out, columns=(), yes=False, force=False, ask=ask)
    assert "beta: purchase" in out.read_text() and "alpha: other" in out.read_text()


@pytest.mark.parametrize("words", ["page_open install uninstall update", "view purchase foo bar"])
def test_a_column_of_kinds_is_told_by_its_words_where_its_name_says_nothing(tables, words):
    guess = kinds_of(tables, *words.split(), name="ev")
    assert guess.found["kind"].columns == ("ev",)


def test_of_a_choice_and_what_became_of_it_the_choice_alone_is_wanted(tables, tmp_path):
    lines = ["user,item,time,event"]
    for n in range(60):
        day = START + timedelta(days=n)
        lines += [f"u{n},i{n % 7},{day:%Y-%m-%d},enrolled"]
        lines += [f"u{n},i{n % 7},{day + timedelta(days=30):%Y-%m-%d},{'dropped' if n % 4 == 0 else 'completed'}"]
    uri, out = tables.csv("log.csv", "\n".join(lines)), tmp_path / "recommender.yaml"
    assert guess_events(uri).kinds == {"enrolled": "purchase", "completed": "other", "dropped": "return"}
    init_recommender(uri, items=None, out=out, columns=(), yes=True, force=False)
    assert (
        "completed: other # 45 rows; 100% of its rows come after the choice of the same user and item"
        in out.read_text()
    )


def test_it_is_told_where_purchases_stop_long_before_the_log_does(tables):
    lines = [f"u{n % 9},i{n % 7},{START + timedelta(days=n):%Y-%m-%d},{'buy' if n < 60 else 'view'}" for n in range(90)]
    tables.events(tables.csv("log.csv", "\n".join(["user,item,time,kind", *lines])))
    assert "the last purchase is of 29 February 2024, 30 days before the last row" in tables.told()
    tables.events(tables.csv("other.csv", log(["view", "buy"], name="kind")))
    assert "the last purchase is" not in tables.told()


@pytest.mark.parametrize("name", ["started_at_ms", "epoch", "Uhrzeit", "data_wypożyczenia", "dispensed_on"])
@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000, 1_000_000_000])
def test_numbers_that_count_from_1970_are_times_whatever_they_are_called(tables, name, unit):
    moments = [int((START.replace(tzinfo=UTC) + timedelta(hours=10 * n)).timestamp()) * unit for n in range(80)]
    rows = [f"{n * 7 % 23},{n * 5 % 17},{moment}" for n, moment in enumerate(moments)]
    found = guess_events(tables.csv("log.csv", "\n".join([f"listener,show_id,{name}", *rows]))).found
    assert {role: one.columns[0] for role, one in found.items()} == {
        "user": "listener",
        "item": "show_id",
        "time": name,
    }


def test_days_of_a_spreadsheet_are_times_and_read_so(tables, tmp_path):
    rows = [f"{n * 7 % 23},{n * 5 % 17},{44927 + n},{1 + n % 4},{n}.50" for n in range(80)]
    uri = tables.csv("log.csv", "\n".join(["Patient,PZN,Datum,Packungen,Preis", *rows]))
    out = tmp_path / "recommender.yaml"
    init_recommender(uri, items=None, out=out, columns=(), yes=True, force=False)
    assert "timeFormat: excel-days" in out.read_text() and "quantity: Packungen" in out.read_text()
    assert tables.events(
        uri, columns={"user": "Patient", "item": "PZN", "time": "Datum"}, timeFormat="excel-days"
    )["time"].min() == datetime(2023, 1, 1, tzinfo=UTC)  # fmt: skip


def test_tickets_beside_a_sum_are_pieces_and_a_branch_is_a_shop(tables):
    rows = [f"{n % 9},{n % 7},2024-01-{1 + n % 28:02},{1 + n % 4},{20 * (1 + n % 4)},B{n % 3}" for n in range(80)]
    guess = guess_events(tables.csv("log.csv", "\n".join(["customer,sku,date,tickets,Summe EUR,Zweigstelle", *rows])))
    named = {role: one.columns[0] for role, one in guess.found.items()}
    assert (named["quantity"], named["price"], named["shop"]) == ("tickets", "Summe EUR", "Zweigstelle")
    assert not guess.perhaps_ratings


@pytest.mark.parametrize(
    ("header", "title", "category"),
    [
        ("dish_id,dish_name,cuisine", "dish_name", "cuisine"),
        ("code,hotel_name,Sparte", "hotel_name", "Sparte"),
        ("show_id,show_title,Systematik", "show_title", "Systematik"),
        ("platoid,nombre_plato,genre", "nombre_plato", "genre"),
    ],
)
def test_the_name_of_what_the_id_is_of_is_the_title(tables, header, title, category):
    events = guess_events(tables.csv("log.csv", log(["view", "buy"])))
    items = tables.csv("items.csv", "\n".join([header, *(f"i{n},Thing {n},G{n % 3}" for n in range(17))]))
    found = guess_items(items, events).found
    assert (found["title"].columns, found["category"].columns) == ((title,), (category,))


def test_the_name_of_a_seller_is_no_title(tables):
    events = guess_events(tables.csv("log.csv", log(["view", "buy"])))
    items = tables.csv("items.csv", "\n".join(["code,seller_name", *(f"i{n},Seller {n % 3}" for n in range(17))]))
    assert "title" not in guess_items(items, events).found


def test_the_day_of_an_event_may_be_its_end_and_is_told(tables):
    events = guess_events(tables.csv("log.csv", log(["view", "buy"])))
    rows = [f"i{n},Night {n},2024-06-{1 + n:02}" for n in range(17)]
    items = tables.csv("items.csv", "\n".join(["code,name,Termin", *rows]))
    guess = guess_items(items, events)
    assert "ends" not in guess.found and guess.perhaps_ends and guess.perhaps_ends.columns == ("Termin",)
    assert guess_items(items, events, {"ends": "Termin"}).found["ends"].columns == ("Termin",)


def test_a_log_of_queries_and_clicks_is_said_to_be_a_table_of_searches(tables, tmp_path, capsys):
    rows = [f"s{n % 40},{['lamp', 'table', 'chair'][n % 3]},P{n % 9},{START + timedelta(hours=n)}" for n in range(120)]
    uri = tables.csv("log.csv", "\n".join(["session,query,clicked_product,ts", *rows]))
    out = tmp_path / "recommender.yaml"
    init_recommender(uri, items=None, out=out, columns=(), yes=True, force=False)
    for told in (out.read_text(), capsys.readouterr().out):
        assert "looks like a table of searches" in told and "--searches" in told and "kind=query" not in told
