"""What is on offer on a day, and what it makes of an item and of who goes to which shop.

Two shops: of four baskets three are bought in the north and one in the south. Days are those after the first offer.
"""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from own_rows import MILK_EVERY_WEEK, catalog_of, events, items, log_of
from shop import FIRST

from shoploop.errors import SchemaMismatch
from shoploop.features.contract import OF_OFFERS, Contract, resolve
from shoploop.features.history import history_of
from shoploop.features.item import ItemStatistics
from shoploop.features.log import Vocabulary
from shoploop.features.offers import Offers, kinds, write_offers
from shoploop.features.pairs import pair_parts
from shoploop.features.shop import ShopRow
from shoploop.features.user import UserRow, user_rows, user_stats

ITEMS = ("bread", "milk", "salt")
SHOPS = {"north": ShopRow(visits_28=30), "south": ShopRow(visits_28=10)}
NOBODY = UserRow()


def table(*rows):
    """Canonical offers: item, first and last day, and if they are given shop and kind."""
    full = [(item, *(date(1970, 1, 1) + timedelta(FIRST + day) for day in days), *rest, *[None] * (2 - len(rest)))
            for item, *days, rest in [(*row[:3], row[3:]) for row in rows]]  # fmt: skip
    schema = {"item": pl.String, "from": pl.Date, "until": pl.Date, "shop": pl.String, "kind": pl.String}
    return pl.DataFrame(full, schema=schema, orient="row")


def offers(*rows, of=None):
    """These offers, of the kinds that they have or of others."""
    found = table(*rows)
    coded = found.with_columns(
        code=pl.Series(Vocabulary(ITEMS).encode(found["item"].to_list())),
        **{name: pl.col(name).dt.epoch("d").cast(pl.Int32) for name in ("from", "until")},
    )
    return Offers(coded, of or kinds(found, first=0, before=FIRST + 1000), len(ITEMS))


def on(day, *rows, user=NOBODY, shops=SHOPS, of=None):
    """The features of each item on a day."""
    found = offers(*rows, of=of).on(FIRST + day, shops).features(np.arange(len(ITEMS), dtype=np.int32), user)
    return {name: dict(zip(ITEMS, np.round(values_N, 4).tolist(), strict=True)) for name, values_N in found.items()}


@pytest.mark.parametrize("day, share", [(-1, 0), (0, 1), (6, 1), (7, 0)])
def test_an_offer_holds_on_its_first_and_its_last_day_and_between(day, share):
    assert on(day, ("milk", 0, 6))["item_offer"] == {"bread": 0, "milk": share, "salt": 0}


def test_an_offer_of_one_shop_counts_as_much_as_is_bought_there():
    found = on(0, ("milk", 0, 6, "north"), ("bread", 0, 6, "south"), ("salt", 0, 6, "north"), ("salt", 3, 9, "south"))
    assert found["item_offer"] == {"bread": 0.25, "milk": 0.75, "salt": 0.75}


def test_two_rows_of_an_item_in_one_shop_count_once():
    assert on(3, ("milk", 0, 6, "north"), ("milk", 3, 9, "north"), ("milk", 0, 6))["item_offer"]["milk"] == 1
    assert on(3, ("milk", 0, 6, "north"), ("milk", 3, 9, "north"))["item_offer"]["milk"] == 0.75


def test_where_no_purchase_names_a_shop_all_count_alike():
    assert on(0, ("milk", 0, 6, "a"), ("bread", 0, 6, "b"), shops={})["item_offer"]["milk"] == 0.5


def test_the_change_is_what_was_not_on_offer_a_week_ago():
    rows = ("milk", 0, 6, "north"), ("bread", 0, 13, "north"), ("salt", 7, 13, "south")
    assert on(7, *rows)["item_offer_change"] == {"bread": 0, "milk": -0.75, "salt": 0.25}


def test_a_user_sees_the_offers_of_the_shops_that_they_go_to():
    of_south = UserRow(visited_shops=(("south", 0.8), ("elsewhere", 0.2)))
    found = on(0, ("milk", 0, 6, "north"), ("bread", 0, 6, "south"), ("salt", 0, 6), user=of_south)
    assert found["user_offer"] == {"bread": 0.8, "milk": 0, "salt": 1}
    assert found["user_offer_shops"]["milk"] == 0.8


def test_of_who_goes_nowhere_that_is_known_it_is_what_all_shops_have():
    found = on(0, ("milk", 0, 6, "north"))
    assert found["user_offer"] == found["item_offer"]
    assert found["user_offer_shops"]["milk"] == 0


def test_each_kind_has_a_feature_of_its_own_the_most_frequent_first():
    rows = ("milk", 0, 6, None, "display"), ("bread", 0, 6, None, "mailer"), ("salt", 0, 6, None, "mailer")
    assert kinds(table(*rows), first=0, before=FIRST + 9) == ("mailer", "display")
    found = on(0, *rows)
    assert found["item_offer"] == {"bread": 1, "milk": 0, "salt": 1}
    assert found["item_offer_2"] == {"bread": 0, "milk": 1, "salt": 0}


def test_beside_the_two_most_frequent_kinds_all_others_are_one():
    rows = [("milk", n, n, None, kind) for n, kind in enumerate(["a", "a", "a", "b", "b", "c", "d", None])]
    assert kinds(table(*rows), first=0, before=FIRST + 9) == ("a", "b", "")
    assert [on(day, *rows)["item_offer_3"]["milk"] for day in (4, 5, 6, 7)] == [0, 1, 1, 1]


def test_a_kind_that_came_up_later_is_no_feature_of_another():
    rows = ("milk", 0, 6, None, "mailer"), ("bread", 0, 6, None, "radio")
    assert on(0, *rows, of=("mailer",))["item_offer"] == {"bread": 0, "milk": 1, "salt": 0}


def test_nothing_is_learned_of_offers_that_were_never_seen_at_work():
    assert kinds(table(("milk", 10, 16)), first=FIRST, before=FIRST + 10) == ()
    assert kinds(table(("milk", -9, -1)), first=FIRST, before=FIRST + 10) == ()


def test_visits_to_shops_fade_with_thirty_days():
    log = log_of([("ann", "milk", 0), ("ann", "milk", 30)])
    log.shop_R[:] = [0, 1]
    object.__setattr__(log, "shops", ("north", "south"))
    table = user_stats(log, visited_shops=True)
    [before, after] = user_rows(table, ["ann"] * 2, [FIRST + 30, FIRST + 31])
    assert before.visited_shops == (("north", 1.0),)
    assert dict(after.visited_shops) == {"north": 0.2689, "south": 0.7311}  # 1/e to 1


def test_a_shop_without_offers_has_the_contract_that_it_had_before_there_were_any():
    tables = {"interactions": events(MILK_EVERY_WEEK), "items": items(["milk"]), "users": pl.DataFrame({"user": [""]})}
    plain = resolve(**tables)
    assert plain.hash == "f30cf1bdd8a26ace031561bae720fdd1afc78603364d7fbaead53c50d98cc499"
    assert "offer_kinds" not in plain.to_json() and not OF_OFFERS & {*plain.pair_features}
    assert Contract.from_json(plain.to_json()).hash == plain.hash


def test_a_contract_of_offers_keeps_which_kind_is_which():
    tables = {"interactions": events(MILK_EVERY_WEEK), "items": items(["milk"]), "users": pl.DataFrame({"user": [""]})}
    one, two = (resolve(**tables, offer_kinds=kinds) for kinds in (("mailer",), ("display",)))
    assert one.hash != two.hash
    assert OF_OFFERS & {*one.pair_features} == {"item_offer", "item_offer_change"}
    in_shops = resolve(**tables, offer_kinds=("mailer", "display"), offers_name_shops=True)
    assert {"user_offer", "user_offer_2", "user_offer_shops"} < {*in_shops.pair_features}
    assert "visited_shops" in in_shops.user_stats
    assert Contract.from_json(in_shops.to_json()) == in_shops
    assert in_shops.without_offers().hash == resolve(**tables).hash


rows = st.lists(
    st.tuples(
        st.sampled_from(ITEMS), st.integers(0, 30), st.integers(0, 9), st.sampled_from(["north", "south", None])
    ).map(lambda row: (row[0], row[1], row[1] + row[2], row[3])),
    min_size=1,
    max_size=20,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(past=rows, future=rows, moved=rows, day=st.integers(0, 30))
def test_offers_that_begin_after_a_day_change_no_feature_of_it(past, future, moved, day):
    log = log_of(MILK_EVERY_WEEK, ITEMS)
    catalog, anna = catalog_of(log), UserRow(visited_shops=(("north", 0.5), ("south", 0.5)))
    tables = {"interactions": events(MILK_EVERY_WEEK), "items": items(ITEMS), "users": pl.DataFrame({"user": [""]})}
    contract = resolve(**tables, offer_kinds=("",), offers_name_shops=True)

    def features(later):
        begun = [row for row in past if row[1] <= day]
        known = offers(
            *begun, *((item, first + day + 1, last + day + 1, shop) for item, first, last, shop in later), of=("",)
        )
        return pair_parts(
            history=history_of(log, 0, before=FIRST + day), candidates_N=np.arange(len(ITEMS), dtype=np.int32),
            day=FIRST + day, items=ItemStatistics(log).on(FIRST + day), catalog=catalog, user=anna,
            offers=known.on(FIRST + day, SHOPS),
        ).whole(contract)  # fmt: skip

    one = features(future)
    np.testing.assert_array_equal(one, features(moved))
    assert one.shape[1] == len(contract.pair_features)


def test_a_folder_of_features_holds_them_in_codes_and_days(tmp_path):
    (tmp_path / "data").mkdir()
    table(("milk", 7, 9), ("bread", 0, 6, "north", "mailer"), ("cake", 0, 6)).write_parquet(
        tmp_path / "data/offers.parquet"
    )
    assert write_offers(tmp_path / "data", tmp_path, Vocabulary(ITEMS)) == 2
    Vocabulary(ITEMS).frame().write_parquet(tmp_path / "vocabulary.parquet")
    contract = Contract(offer_kinds=("mailer", ""))
    for vocabulary in (Vocabulary(ITEMS), Vocabulary(("beer", "milk"))):
        found = Offers.of_features(tmp_path, contract, vocabulary).on(FIRST + 8, SHOPS).item_JI
        assert found[1].tolist() == [float(item == "milk") for item in vocabulary.items]
        assert not found[0].any()
    assert Offers.of_features(tmp_path, Contract()) is None


def test_a_folder_that_says_nothing_of_what_a_contract_has_learned_from_is_refused(tmp_path):
    with pytest.raises(SchemaMismatch, match="It has learned from what is on offer"):
        Offers.of_features(tmp_path, Contract(offer_kinds=("mailer",)))
