"""Columns that `init` took for something else: copies and their books, dates of what is sold, numbers of lines, flags."""

import datetime

import pytest
import yaml

from shoploop.cli.init import init_recommender
from shoploop.data.guessing import guess_events, guess_items
from shoploop.errors import SchemaMismatch

COUNT = 60


def csv(**columns):
    """A log of sixty rows; each column is a rule from the row's number to what stands there."""
    rows = [",".join(str(rule(n)) for rule in columns.values()) for n in range(COUNT)]
    return "\n".join([",".join(columns), *rows]) + "\n"


def day(n):
    return f"2024-{1 + n // 28:02}-{1 + n % 28:02}"


def who(n):
    return f"u{n % 7}"


def what(n):
    return f"i{n % 11}"


def found(tables, given=None, *, items_uri=None, **columns):
    guess = guess_events(tables.csv("log.csv", csv(**columns)), given, items_uri=items_uri)
    return {role: one.columns[0] for role, one in guess.found.items()}


@pytest.fixture
def init(tables, capsys):
    """What init prints and writes of a log."""

    def of(*columns, **rules):
        uri, out = tables.csv("log.csv", csv(**rules)), tables.folder / "r.yaml"
        init_recommender(uri, items=None, out=out, columns=columns, yes=True, force=True)
        return capsys.readouterr().out, out.read_text()

    return of


@pytest.mark.parametrize(
    "name",
    ["borrowernumber", "username", "e-mail", "patient", "Patron Barcode", "Loyalty No.", "customer #", "Kunden-Nr."],
)
def test_whose_number_it_is_says_what_stands_before_the_number(tables, name):
    roles = found(tables, **{"desk": lambda n: f"d{n % 9}", name: who, "sku": what, "date": day})
    assert (roles["user"], roles["item"]) == (name, "sku")


@pytest.mark.parametrize("name", ["spotify_episode_uri", "Materialnr", "biblionumber", "track_uri", "lot", "product #"])
def test_what_was_sold_is_known_by_more_names_and_however_its_id_is_called(tables, name):
    roles = found(tables, shelf=lambda n: f"s{n % 9}", customer=who, **{name: what}, date=day)
    assert (roles["user"], roles["item"]) == ("customer", name)


def test_of_two_parts_of_names_the_one_that_ends_as_ids_do_is_the_item(tables):
    roles = found(tables, user=who, my_episode_text=lambda n: f"Show {n % 11}", my_episode_uri=what, ts=day)
    assert roles["item"] == "my_episode_uri"


def test_a_user_id_comes_before_a_name_and_a_mail_address_without_a_doubt(tables):
    log = csv(username=who, email=who, user_id=who, sku=what, date=day)
    user = guess_events(tables.csv("log.csv", log)).found["user"]
    assert user.columns == ("user_id",) and user.sure


def test_three_values_in_many_rows_are_no_items(tables):
    lines = "".join(f"u{n % 7},{('ios', 'web', 'tv')[n % 3]},x{n % 40},{day(n % 50)}\n" for n in range(300))
    roles = guess_events(tables.csv("log.csv", "customer,platform,x,date\n" + lines)).found
    assert roles["item"].columns == ("x",)


def test_three_devices_are_nobody_whatever_their_name(tables):
    lines = "".join(f"{('phone', 'tablet', 'tv')[n % 3]},u{n % 7},i{n % 11},{day(n % 50)}\n" for n in range(300))
    assert guess_events(tables.csv("log.csv", "device,email,sku,date\n" + lines)).found["user"].columns == ("email",)


def test_a_sign_for_a_number_is_read_as_its_word(tables):
    roles = found(
        tables, **{"Check #": lambda n: n // 3, "Table": who, "Loyalty No.": who, "Menu Item": what, "date": day}
    )
    assert (roles["basket"], roles["user"], roles["item"]) == ("Check #", "Loyalty No.", "Menu Item")


def test_the_number_of_a_line_and_a_yes_or_no_are_neither_user_nor_item(tables):
    roles = found(tables, pos=lambda n: 10 + n % 13, gift=lambda n: n % 2, who=who, x=what, date=day)
    assert (roles["user"], roles["item"]) == ("who", "x")


def test_a_copy_follows_to_its_book_and_is_no_user(tables):
    """Each copy is of one book, and each book stands on one shelf; readers take all of them."""
    books = {"copy": lambda n: f"c{n % 22}", "sku": lambda n: f"b{n % 11}", "shelf": lambda n: f"s{n % 11 % 9}"}
    assert found(tables, **books, who=who, date=day)["user"] == "who"


def test_numbers_that_may_be_seconds_since_1970_are_ids_where_all_else_follows_from_the_item(tables):
    books = {"copy": lambda n: f"c{n % 22}", "sku": lambda n: f"b{n % 11}", "who": lambda n: 2_000_000_000 + n % 7}
    assert found(tables, **books, date=day)["user"] == "who"


def test_where_nothing_else_is_left_what_follows_from_the_item_is_the_user(tables):
    assert found(tables, owner=lambda n: f"o{n % 11}", sku=what, date=day)["user"] == "owner"


def test_of_two_times_the_one_that_grows_down_the_file_is_when_it_was_bought(tables):
    roles = found(tables, user=who, sku=what, starts=lambda n: day(n * 37 % COUNT), ordered=day)
    assert roles["time"] == "ordered"


def test_of_two_times_the_one_without_gaps_is_when_it_was_bought(tables):
    gaps = {"event_dt": lambda n: day(n) if n % 3 else "", "order_ts": day}
    assert found(tables, user=who, sku=what, **gaps)["time"] == "order_ts"


def test_a_time_that_every_row_of_an_item_shares_is_the_items_own(tables):
    """The file is in no order, so that this says nothing."""
    times = {"show": lambda n: day(n % 11), "sold": lambda n: day(n * 37 % COUNT)}
    time = guess_events(tables.csv("log.csv", csv(user=who, sku=what, **times))).found["time"]
    assert time.columns == ("sold",) and not time.sure and "so may show" in time.why


def test_a_column_called_as_the_key_of_the_items_is_the_item_and_lost_zeros_change_nothing(tables):
    items = tables.csv("items.csv", "ding,title\n" + "".join(f"{n},Thing {n}\n" for n in range(1, 12)))
    log = {"nr": lambda n: f"{n % 5 + 1}", "who": who, "ding": lambda n: f"{n % 11 + 1:06}", "date": day}
    assert found(tables, items_uri=items, **log)["item"] == "ding"  # though 1 to 5 are in the table, too
    del log["nr"]
    guess = guess_events(tables.csv("log.csv", csv(**log)), items_uri=items)
    assert (
        guess.found["item"].columns == ("ding",)
        and "100% of what it holds, leading zeros aside" in guess.found["item"].why
    )
    assert "leading zeros aside" in guess_items(items, guess).found["item"].why


def shows(tables, key="show_id"):
    return tables.csv("items.csv", f"{key},genre\n" + "".join(f"show{n},G{n % 3}\n" for n in range(11)))


EPISODES = {
    "listener": who,
    "show_id": lambda n: f"show{n % 11}",
    "episode_id": lambda n: f"{n % 11}-{n % 3}",
    "date": day,
}


def test_of_two_ids_the_item_is_the_one_that_the_table_of_items_lists(tables):
    item = guess_events(tables.csv("log.csv", csv(**EPISODES)), items_uri=shows(tables)).found["item"]
    assert item.columns == ("show_id",) and "100% of what it holds, and 0% of episode_id" in item.why
    item = guess_events(tables.csv("log.csv", csv(**EPISODES)), items_uri=shows(tables, "code")).found["item"]
    assert item.columns == ("show_id",) and not item.sure  # it is not called so in both


def test_an_item_of_which_the_table_of_items_lists_nothing_is_in_doubt_where_no_column_fits(tables):
    log = tables.csv("log.csv", csv(listener=who, episode_id=EPISODES["episode_id"], date=day))
    item = guess_events(log, items_uri=shows(tables)).found["item"]
    assert item.columns == ("episode_id",) and not item.sure and "lists 0% of what it holds" in item.why


def test_a_row_that_a_table_of_items_holds_twice_lets_its_ids_stay_ids(tables):
    rows = [f"{1000 + n},Lamp {n}\n" for n in range(40)]
    items = tables.csv("items.csv", "sku,title\n" + "".join([*rows, "1003,Lamp of brass\n"]))
    log = {"who": who, "sku": lambda n: 1000 + n % 40, "date": day}
    item = guess_events(tables.csv("log.csv", csv(**log)), items_uri=items).found["item"]
    assert item.columns == ("sku",) and item.sure
    log["nr"] = log.pop("sku")
    item = guess_events(tables.csv("log.csv", csv(**log)), items_uri=items).found["item"]
    assert item.columns == ("nr",) and item.sure and "100%" in item.why


def test_pieces_are_no_items_though_the_table_lists_such_numbers(tables):
    items = tables.csv("items.csv", "sku,title\n" + "".join(f"{n},Thing {n}\n" for n in range(1, 12)))
    log = {"user": who, "item_id": lambda n: f"other{n % 7}x", "quantity": lambda n: n % 3 + 1, "date": day}
    assert found(tables, items_uri=items, **log)["item"] == "item_id"


def test_a_run_names_the_column_that_fits_the_table_of_items(tables):
    columns = {"user": "listener", "item": "episode_id", "time": "date"}
    log = tables.csv("log.csv", csv(**EPISODES))
    with pytest.raises(
        SchemaMismatch, match=r"'show_id' of the interactions fits: the table has 100% .*\{item: show_id\}"
    ):
        items = {"uri": shows(tables), "columns": {"item": "show_id"}}
        tables.load(interactions={"uri": log, "columns": columns}, items=items)


def test_a_key_of_the_same_name_that_lists_nothing_is_in_doubt(tables):
    items = tables.csv("items.csv", "ding,title\n" + "".join(f"x{n},Thing {n}\n" for n in range(11)))
    item = guess_events(tables.csv("log.csv", csv(nr=who, who=who, ding=what, date=day)), items_uri=items).found["item"]
    assert item.columns == ("ding",) and not item.sure


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("skipped", {"true": "other", "false": "purchase"}),
        ("isCancelled", {"true": "other", "false": "purchase"}),
        ("returned", {"true": "return", "false": "purchase"}),
        ("bought", {"true": "purchase", "false": "view"}),
    ],
)
def test_a_flag_whose_name_says_no_is_turned_round(tables, name, kinds):
    log = csv(user=who, sku=what, date=day, **{name: lambda n: ("true", "false")[n % 2]})
    assert guess_events(tables.csv("log.csv", log), {"kind": name}).kinds == kinds


@pytest.mark.parametrize(
    "word", ["GS", "GU", "credit", "Void", "Storno", "Gutschrift", "credit note", "Storno Kasse 3"]
)
def test_credit_notes_and_voids_are_returns(tables, word):
    log = csv(user=who, sku=what, date=day, x=lambda n: ("RE", "RE", word)[n % 3])
    assert guess_events(tables.csv("log.csv", log), {"kind": "x"}).kinds == {"re": "purchase", word.lower(): "return"}


def test_countries_and_means_of_payment_are_no_kinds(tables):
    payment = {"paid_by": lambda n: ("credit", "debit")[n % 2], "land": lambda n: ("GS", "RE")[n % 2]}
    assert "kind" not in found(tables, user=who, sku=what, date=day, **payment)


def test_init_tells_of_words_that_it_does_not_read_and_how_to_have_them_read(init):
    line = {"Line Type": lambda n: "GS" if n % 5 == 0 else "RE", "sold": lambda n: ("true", "false")[n % 2]}
    told, _ = init(user=who, sku=what, date=day, **line)
    assert "Line Type: RE (48), GS (12); if it says what a row is, give --column 'kind=Line Type'" in told
    assert "sold" not in told
    told, written = init("kind=Line Type", user=who, sku=what, date=day, **line)
    assert "not read  " not in told and "gs: return # 12 rows; not sure" in written


def test_init_does_not_tell_of_what_describes_the_item_or_of_money(init):
    words = {"taste": lambda n: ("sweet", "sour")[n % 11 % 2], "price": lambda n: ("£1", "$2")[n % 2]}
    assert "kind=" not in init(user=who, sku=what, date=day, **words)[0]


def test_init_counts_ratings_on_their_own_scale(init):
    """Stars from 1 to 5; a thousandth of a second each, of which 120 are different and one is of an hour."""
    _, stars = init(user=who, sku=what, date=day, stars=lambda n: 1 + n % 5)
    assert "# ratingFrom: 4 #" in stars and "rated 5 teaches more than one rated 3;" in stars
    _, tens = init("rating=x", user=who, sku=what, date=day, x=lambda n: n % 11)
    assert "# ratingFrom: 7 #" in tens and "rated 10 teaches more than one rated 5;" in tens


def test_init_takes_orders_that_nobody_rated_for_purchases(init):
    rated = {"rating": lambda n: n % 5 + 1 if n % 3 == 0 else "", "qty": lambda n: 1}
    told, written = init(user=who, sku=what, date=day, **rated)
    assert 'kinds: {"": purchase} # 40 of 60 rows have no rating' in written and "40 of 60 rows" in told
    assert "kinds:" not in init(user=who, sku=what, date=day, rating=rated["rating"])[1]  # no order: nobody knows


def test_init_proposes_of_numbers_without_a_scale_what_half_of_the_rows_reach(tables):
    lines = "".join(f"u{n % 7},i{n % 11},{day(n % 50)},{n * 1000 if n else 3_240_000}\n" for n in range(201))
    out = tables.folder / "r.yaml"
    log = tables.csv("log.csv", "user,sku,date,ms\n" + lines)
    init_recommender(log, items=None, out=out, columns=("rating=ms",), yes=True, force=False)
    assert (
        "# ratingFrom: 101000 #" in out.read_text() and "unset: from 2,268,300, as 0.50% of rows are" in out.read_text()
    )
    assert yaml.safe_load(out.read_text())["spec"]["data"]["tables"]["interactions"]["columns"]["rating"] == "ms"


def stamp(n, *, hours=10):
    """Microseconds since 1970, on the day of the row and at another minute each."""
    day_of = datetime.datetime.fromisoformat(f"{day(n)}T00:00:00+00:00")
    return int((day_of + datetime.timedelta(hours=hours, minutes=n)).timestamp() * 1_000_000)


@pytest.mark.parametrize(
    "hours", [10, 23, -3], ids=["the same day", "into the next day", "the day before, in another zone"]
)
@pytest.mark.parametrize(
    ("days", "clock"), [("event_date", "event_timestamp"), ("date", "time_micros"), ("date", "ts")]
)
def test_of_two_columns_of_the_same_days_the_one_with_a_clock_says_when(tables, days, clock, hours):
    columns = {days: lambda n: day(n).replace("-", ""), clock: lambda n: stamp(n, hours=hours)}
    guess = guess_events(tables.csv("log.csv", csv(user=who, item=what, **columns)))
    assert guess.found["time"].columns == (clock,) and guess.found["time"].sure
    assert days in guess.found["time"].why


def test_a_clock_of_other_days_is_none_of_these_and_what_was_said_stays(tables):
    other = {"event_date": day, "event_timestamp": lambda n: stamp(n) + 40 * 86_400_000_000}
    assert found(tables, user=who, item=what, **other)["time"] == "event_date"
    same = {"event_date": day, "event_timestamp": stamp}
    assert found(tables, {"time": "event_date"}, user=who, item=what, **same)["time"] == "event_date"


def test_names_of_nested_fields_count_from_the_last_of_them(tables):
    roles = found(
        tables,
        **{
            "user_pseudo_id": who,
            "seller.name": lambda n: f"Shop {n % 3}",
            "items.item_id": what,
            "items.itemName": lambda n: f"Chair {n % 11}",
            "ecommerce.transaction_id": lambda n: f"t{n // 2}",
            "event_date": day,
        },
    )
    assert (roles["item"], roles["title"]) == ("items.item_id", "items.itemName")
    assert roles["basket"] == "ecommerce.transaction_id"
    assert found(tables, user=who, date=day, sku=what, **{"products.name": lambda n: f"Lamp {n % 11}"})["title"]
    assert "title" not in found(tables, user=who, date=day, sku=what, **{"seller.name": lambda n: f"Shop {n % 3}"})


@pytest.mark.parametrize("word", ["(not set)", "(none)", "(not provided)"])
def test_googles_words_for_nothing_are_no_ids_and_no_titles(tables, word):
    rows = [f"{word},i1,Chair", f"u1,{word},{word}", f"u1,i2,{word}", "u2,i1,Chair"]
    log = "user,item,title,time,kind\n" + "".join(f"{row},2024-03-0{n + 1},view\n" for n, row in enumerate(rows))
    loaded = tables.load(interactions={"uri": tables.csv("log.csv", log)})
    assert sorted(loaded["interactions"].select("user", "item").rows()) == [("u1", "i2"), ("u2", "i1")]
    assert sorted(loaded["items"].select("item", "title").rows()) == [("i1", "Chair"), ("i2", "Item i2")]
