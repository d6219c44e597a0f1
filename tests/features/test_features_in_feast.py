import json
import runpy
import shutil

import numpy as np
import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from shop import TRAINING, Shop, day
from shop.stored import materialize

from shoploop.api.v1alpha1 import OnlineStoreSpec
from shoploop.errors import ArtifactCorrupt, NotFound, SpecInvalid, TooFewEvents
from shoploop.features import feast_store
from shoploop.features.contract import ITEM_STATS, SHOP_STATS, USER_STATS, Contract
from shoploop.features.history import history_of
from shoploop.features.item import ItemStatistics
from shoploop.features.log import PurchaseLog, Vocabulary, purchases
from shoploop.features.materialize import materialize_features
from shoploop.features.online import OnlineFeatures
from shoploop.features.packing import pack, unpack
from shoploop.features.user import UserRow, user_rows, user_stats
from shoploop.shells import shells_folder

SHOP = Shop()
EVALUATION_DAY, SERVING_DAY = SHOP.split.evaluation_first, SHOP.split.serving


@pytest.fixture(scope="module")
def features(stored_shop):
    return stored_shop / "features"


@pytest.fixture(scope="module")
def online(features):
    return OnlineFeatures(features)


@pytest.fixture(scope="module")
def log(features):
    events = pl.read_parquet(features.parent / "data" / "interactions.parquet")
    vocabulary = Vocabulary(tuple(pl.read_parquet(features / "vocabulary.parquet")["item"]))
    return PurchaseLog.of(purchases(events), vocabulary)


def requests(key, names, days):
    """Every name on every day, at midnight."""
    moments = pl.Series("event_timestamp", list(days), pl.Int32).cast(pl.Date).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame({key: list(names)}).join(pl.DataFrame([moments]), how="cross")


def test_the_folder_says_what_it_holds(features):
    report = json.loads((features / "features.json").read_text())
    contract = Contract.from_json(json.loads((features / "contract.json").read_text()))
    assert report["contract"] == contract.hash
    assert (report["evaluation_day"], report["serving_day"]) == (EVALUATION_DAY, SERVING_DAY)
    assert report["rows"]["item_stats"] == 12 * (
        21 + 7 + 1
    )  # items, and days to learn from, of evaluation, to serve on
    assert report["rows"]["user_history"] == 15


def test_online_and_offline_give_a_user_the_same_statistics(features, online, log):
    rows = feast_store.historical_features(features, "user_stats", requests("user", log.users, [SERVING_DAY]))
    assert rows["days_active"].null_count() == 0
    for row in rows.iter_rows(named=True):
        assert online.user(row["user"]).stats == UserRow.of(row)


def test_online_and_offline_give_items_and_shops_the_same_statistics(features, online, log):
    items = feast_store.historical_features(
        features, "item_stats", requests("item", log.vocabulary.items, [SERVING_DAY])
    )
    names = [feature.name for feature in ITEM_STATS]
    np.testing.assert_array_equal(online.items().values_IS, items.select(names).to_numpy())
    assert online.items().day == SERVING_DAY
    shops = feast_store.historical_features(features, "shop_stats", requests("shop", log.shops, [SERVING_DAY]))
    assert {name: shop.visits_28 for name, shop in online.shops().items()} == dict(
        shops.select("shop", "visits_28").rows()
    )


def test_online_history_is_the_logs(online, log):
    for code, user in enumerate(log.users):
        mine, theirs = online.user(user).history, history_of(log, code, before=SERVING_DAY)
        for field in ("items_H", "days_H", "sizes_H", "quantities_H"):
            np.testing.assert_array_equal(getattr(mine, field), getattr(theirs, field))


def test_attributes_come_with_the_user(online):
    assert online.user("ann").attributes == {"tier": "gold"}
    assert online.user("fay").attributes == {"tier": None}


def test_a_users_row_is_read_as_feast_answers_it(online):
    for user in ("ann", "dora", "nobody"):
        asked = {name: values[0] for name, values in online._read(online._features, "user", [user]).items()}
        assert online._row is not None and online._user_row(user) == {name: asked[name] for name in online._row(user)}


def test_many_rows_of_a_view_are_read_as_feast_answers_them(online):
    contract = online.contract
    for view, names, entity, ids in [
        ("item_stats", contract.item_stats, "item", ["milk", "nothing", *online.vocabulary.items]),
        ("shop_stats", contract.shop_stats, "shop", online._shops),
        ("user_history", ("packed",), "user", ["dora", "nobody", "ann"]),
        ("user_profile", ("tier",), "user", ["fay", "ann"]),
    ]:
        asked = online._read([f"{view}:{name}" for name in names], entity, ids)
        assert online._rows is not None
        read = online._rows(view, names, entity, ids)
        assert read == {name: asked[name] for name in names}
        assert any(value is not None for values in read.values() for value in values)


def test_an_unknown_user_is_none(online):
    assert online.user("nobody") is None


def test_rows_later_than_a_request_change_nothing(features, tmp_path, log):
    cut = EVALUATION_DAY + 2
    before = pl.col("time") < day(SHOP.days - 7 + 2)
    moved = SHOP.interactions().with_columns(
        item=pl.when(before).then(pl.col("item")).otherwise(pl.lit("apples")),
        price=pl.when(before).then(pl.col("price")).otherwise(pl.lit(99.0)),
    )
    other = materialize(tmp_path / "moved", moved) / "features"
    for view, key, names in [
        ("user_stats", "user", log.users),
        ("item_stats", "item", log.vocabulary.items),
        ("shop_stats", "shop", log.shops),
    ]:
        wanted = requests(key, names, range(EVALUATION_DAY - 21, cut + 1))
        before = feast_store.historical_features(features, view, wanted)
        assert before.equals(feast_store.historical_features(other, view, wanted)), view
        later = requests(key, names, [SERVING_DAY])
        assert not feast_store.historical_features(features, view, later).equals(
            feast_store.historical_features(other, view, later)
        ), view


def test_a_day_on_which_people_search_and_nobody_buys_has_statistics_of_its_own(features, tmp_path, log):
    data, closed = tmp_path / "data", [EVALUATION_DAY + 2, EVALUATION_DAY + 3]
    shutil.copytree(features.parent / "data", data)
    open_ = SHOP.interactions().filter(~pl.col("time").dt.epoch("d").is_in(closed))
    open_.write_parquet(data / "interactions.parquet")
    asked = pl.DataFrame({"time": pl.Series(closed[1:], dtype=pl.Int32).cast(pl.Date).cast(pl.Datetime("us", "UTC"))})
    somebody = {"user": pl.lit(None, pl.String), "item": pl.lit(log.vocabulary.items[0])}
    asked.with_columns(**somebody).write_parquet(data / "searches.parquet")
    searching = TRAINING.model_copy(update={"surfaces": ("Items", "Search")})
    materialize_features(data=data, out=tmp_path / "features", training_spec=searching)
    found = feast_store.historical_features(
        tmp_path / "features", "item_stats", requests("item", log.vocabulary.items, closed[1:])
    )
    sold = PurchaseLog.of(purchases(open_), log.vocabulary)
    right = ItemStatistics(sold).on(closed[1])
    np.testing.assert_array_equal(found["purchases_28"].to_numpy(), right["purchases_28"])
    assert found["purchases_28"].sum() > 0


def test_a_join_keeps_the_order_and_the_repetitions_of_its_requests(features, log):
    wanted = requests("user", log.users, range(EVALUATION_DAY, SERVING_DAY)).sample(200, seed=1, with_replacement=True)
    found = feast_store.historical_features(features, "user_stats", wanted)
    assert found.select("user", "event_timestamp").equals(wanted)
    assert (found["last_day"] < found["event_timestamp"].dt.epoch("d")).all()


def test_an_old_row_of_an_item_does_not_answer_for_a_later_day(features):
    late = feast_store.historical_features(features, "item_stats", requests("item", ["bread"], [SERVING_DAY + 3]))
    assert late["rate_7"].to_list() == [None]


def test_a_copied_folder_answers_alike(features, online, tmp_path, monkeypatch):
    copy = tmp_path / "elsewhere" / "features"
    shutil.copytree(features, copy)
    monkeypatch.chdir(tmp_path)
    wanted = requests("user", ["dora"], [SERVING_DAY])
    here = feast_store.historical_features(features, "user_stats", wanted)
    assert feast_store.historical_features(copy.relative_to(tmp_path), "user_stats", wanted).equals(here)
    assert OnlineFeatures(copy.relative_to(tmp_path)).user("dora").stats == online.user("dora").stats


def test_a_reader_speaks_the_models_codes(features, online):
    fewer = Vocabulary(("milk", "apples"))
    reader = OnlineFeatures(features, vocabulary=fewer)
    own = online.user("ann").history
    kept = [online.vocabulary.items[code] for code in own.items_H if online.vocabulary.items[code] in fewer]
    assert sorted(kept) == sorted(fewer.items[code] for code in reader.user("ann").history.items_H)
    position = online.vocabulary.code("milk")
    np.testing.assert_array_equal(reader.items().values_IS[0], online.items().values_IS[position])


def test_feast_knows_the_contracts_names_and_no_others(features):
    store = feast_store.open_store(features)
    contract = json.loads((features / "contract.json").read_text())
    for view, known in [("user_stats", USER_STATS), ("item_stats", ITEM_STATS), ("shop_stats", SHOP_STATS)]:
        names = [field.name for field in store.get_feature_view(view).features]
        assert names == [feature.name for feature in known if feature.needs is None] == contract[view]
    (service,) = store.list_feature_services()
    assert service.name == f"request_{Contract.from_json(contract).hash[:12]}"


def test_the_repository_holds_nothing_but_what_feast_reads():
    names = {path.name for path in (shells_folder() / "feature_repo").iterdir()} - {"__pycache__"}
    assert names == {"feature_store.yaml", "definitions.py"}


def test_definitions_without_a_features_folder_say_what_to_set(monkeypatch):
    monkeypatch.delenv("SHOPLOOP_FEATURES", raising=False)
    with pytest.raises(NotFound, match="Set SHOPLOOP_FEATURES"):
        runpy.run_path(str(shells_folder() / "feature_repo" / "definitions.py"))


def test_definitions_follow_the_named_features_folder(features, monkeypatch):
    monkeypatch.setenv("SHOPLOOP_FEATURES", str(features))
    found = runpy.run_path(str(shells_folder() / "feature_repo" / "definitions.py"))
    assert [view.name for view in found["views"]] == [
        "user_stats",
        "user_history",
        "item_stats",
        "shop_stats",
        "user_profile",
    ]


def test_a_folder_without_a_repository_is_named(tmp_path):
    with pytest.raises(NotFound, match="holds no applied Feast repository"):
        OnlineFeatures(tmp_path)


def test_redis_takes_its_address_from_the_spec(tmp_path):
    feast_store.write_repository(
        tmp_path, project="p", online_store=OnlineStoreSpec(type="Redis", connection="redis:6379")
    )
    config = yaml.safe_load((tmp_path / "feast" / "feature_store.yaml").read_text())
    assert config["online_store"] == {"type": "redis", "connection_string": "redis:6379"}
    with pytest.raises(SpecInvalid, match="type Redis needs connection"):
        feast_store.write_repository(tmp_path, project="p", online_store=OnlineStoreSpec(type="Redis"))


def test_data_that_is_all_evaluation_is_too_little(features, tmp_path):
    with pytest.raises(TooFewEvents, match=r"0 lie in .* Leave spec\.training\.evaluationDays out, or"):
        materialize_features(
            data=features.parent / "data",
            out=tmp_path / "out",
            training_spec=TRAINING.model_copy(update={"evaluation_days": 80}),
        )
    assert not (tmp_path / "out").exists()


@given(st.lists(st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 40_000), st.floats(0, 1e6, width=32))))
def test_a_packed_history_unpacks_to_itself(rows):
    arrays = [np.array([row[n] for row in rows], dtype) for n, dtype in enumerate((np.int32, np.int32, np.float32))]
    for mine, theirs in zip(unpack(pack(*arrays)), arrays, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("packed", [b"", b"\x01\0\0\0", b"\0\0\0\0\0"])
def test_a_cut_off_history_is_refused(packed):
    with pytest.raises(ArtifactCorrupt, match="Materialize the features again"):
        unpack(packed)


def test_users_as_they_were_before_a_day_have_no_purchase_and_no_statistic_of_later(online, log):
    then = SERVING_DAY - 40  # ann comes every 3 days, last 3 days before the one that is served on
    stats = dict(zip(["ann", "bob"], user_rows(user_stats(log), ["ann", "bob"], [then] * 2), strict=True))
    before = online.before(then, stats)
    ann = before.user("ann")
    assert (ann.stats.last_day, ann.stats.days_active) == (then - 2, 7.0)
    assert ann.history.days_H.max() == then - 2
    assert before.serving_day == then
    assert before.user("cid").stats == UserRow()  # of whom nobody told the statistics
    assert online.before(0, stats).user("ann") is None  # who had bought nothing by then
    assert online.user("ann").stats.last_day == SERVING_DAY - 3
