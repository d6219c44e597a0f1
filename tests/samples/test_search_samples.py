"""Queries as samples: point in time, labelled by what was taken, written and read."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from shop import FIRST, SALTY, SWEET, TRAINING, Shop
from shop.samples import write_folders
from shop.searches import COLUMNS, answers, sources, typed, write_search_folder
from shop.serving import MemoryJoins

from shoploop.data.splits import TimeSplit
from shoploop.errors import TooFewEvents
from shoploop.features.contract import Contract
from shoploop.samples.files import SampleWriter, read_samples
from shoploop.samples.search_step import (
    CLICKED,
    NEGATIVES,
    SEARCH,
    SEARCHES,
    choose_searches,
    graded,
    write_searches,
)
from shoploop.samples.searching import search_columns
from shoploop.samples.step import build_samples
from shoploop.surfaces.search.asked import NOBODY, Asked, requests_of, searches_of

pytestmark = pytest.mark.usefixtures("one_thread")

SHOP = Shop()
ANN, BOB = 0, 1
MILK, APPLES, TEA = SWEET.index("milk"), SWEET.index("apples"), 6 + SALTY.index("tea")
PAIRS = len(Contract().pair_features)


def asks(query, *items, user=ANN, day=54):
    return Asked(user=user, day=FIRST + day, query=query, items=tuple(sorted(items)))


@pytest.fixture(scope="module")
def known():
    return sources(SHOP)


def column(samples, name):
    return samples.features_RK[:, COLUMNS.index(name)]


def test_labels_are_what_was_taken(known):
    samples = answers([asks("sweet", MILK, APPLES), asks("tea", TEA, user=BOB)], known)
    for q, taken in enumerate([{MILK, APPLES}, {TEA}]):
        rows = samples.rows(q)
        assert set(samples.items_R[rows][samples.labels_R[rows]]) == taken == set(samples.truth(q))
    assert samples.queries == ("sweet", "tea")


def test_what_was_taken_and_no_candidate_stays_the_truth(known):
    """Evaluation counts it as missed."""
    samples = answers([asks("tea", TEA, MILK, user=NOBODY)], known)
    narrow = answers([asks("tea", 100)], known)
    assert samples.truth(0).tolist() == [MILK, TEA]
    assert not narrow.labels_R.any() and narrow.truth(0).tolist() == [100]


def test_a_sample_has_the_pairs_features_and_behind_them_the_querys(known):
    samples = answers([asks("milk", MILK)], known)
    assert samples.features_RK.shape[1] == len(COLUMNS) > PAIRS
    assert np.isfinite(samples.features_RK).all()
    milk = samples.items_R == MILK
    assert column(samples, "search_all_words")[milk] == 1 and column(samples, "search_all_words")[~milk].max() == 0
    assert column(samples, "own_days")[milk] > column(samples, "own_days")[~milk].max()


def test_nobody_has_no_history(known):
    samples = answers([asks("milk", MILK, user=NOBODY)], known)
    assert samples.users_Q.tolist() == [NOBODY] and len(samples.event_items_E) == 0
    assert not column(samples, "own_days").any() and np.isfinite(samples.features_RK).all()


def test_drawn_negatives_keep_all_that_was_taken(known):
    asked = [asks("sweet", MILK, APPLES), asks("tea", TEA, user=BOB)]
    whole, drawn = answers(asked, known), answers(asked, known, negatives=2)
    assert drawn.labels_R.sum() == whole.labels_R.sum() and (~drawn.labels_R).sum() == 4
    again, other = answers(asked, known, negatives=2), answers(asked, known, negatives=2, seed=1)
    np.testing.assert_array_equal(drawn.items_R, again.items_R)
    assert drawn.items_R.tolist() != other.items_R.tolist()


@pytest.mark.parametrize("user", [ANN, NOBODY])
def test_moving_the_future_changes_no_sample(known, user):
    """Point in time: purchases and searches of the day and later may be anything."""
    asked = [asks(query, MILK, user=user) for query in ("milk", "bedtime drink", "sweet", "choclate", "ml")]
    log, table = SHOP.log(), typed(SHOP)
    earlier = log.where(log.day_R < FIRST + 54)
    past = table.filter(pl.col("time").dt.epoch("d") < FIRST + 54)
    later = table.filter(pl.col("time").dt.epoch("d") >= FIRST + 54).with_columns(
        query=pl.lit("milk ml drinks bedtimedrink"), item=pl.lit("soap")
    )
    with_them = answers(asked, known)
    for searches in (past, pl.concat([past, later])):
        without = answers(asked, sources(SHOP, log=earlier, searches=searches_of(searches, log)))
        np.testing.assert_array_equal(with_them.items_R, without.items_R)
        np.testing.assert_allclose(with_them.features_RK, without.features_RK, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(with_them.event_items_E, without.event_items_E)
        np.testing.assert_array_equal(with_them.ages_QL, without.ages_QL)


def test_a_memory_may_end_before_the_query_where_a_model_is_judged_that_is_not_renewed(known):
    frozen = replace(known, day_of_memory=lambda day: FIRST + 1)
    fresh, old = (answers([asks("bedtime drink", MILK)], each) for each in (known, frozen))
    assert column(fresh, "search_times").max() > column(old, "search_times").max() > 0


def test_samples_read_back_are_those_that_were_written(known, tmp_path):
    written = answers([asks("milk", MILK), asks("\x00 'ﾐﾙｸ", TEA, user=NOBODY), asks("", TEA, user=BOB)], known)
    with SampleWriter(tmp_path, COLUMNS, SHOP.log()) as writer:
        writer.write(written, "train")
    read = read_samples(tmp_path, COLUMNS, "train")
    for name, value in vars(written).items():
        if name not in ("weights_R", "queries"):
            np.testing.assert_array_equal(value, getattr(read, name), err_msg=name)
    assert read.queries == written.queries and read.weights_R is None
    assert pl.read_parquet(tmp_path / "requests.parquet")["user"].to_list() == ["ann", None, "bob"]
    none = read_samples(tmp_path, COLUMNS, "evaluation")
    assert len(none) == 0 and none.features_RK.shape == (0, len(COLUMNS))


def test_requests_chosen_keep_their_queries(known):
    samples = answers([asks("milk", MILK), asks("tea", TEA), asks("sweet", MILK)], known)
    assert samples.select([2, 0]).queries == ("sweet", "milk")


def test_evaluation_lies_after_what_is_learned_from():
    parts = choose_searches(requests_of(searches_of(typed(SHOP), SHOP.log())), SHOP.split, seed=0)
    learned = [each.day for name in ("train", "validation") for each in parts[name]]
    assert max(learned) < min(each.day for each in parts["evaluation"]) == FIRST + 53
    assert min(learned) >= SHOP.split.training_first
    for part in parts.values():
        assert part and [each.day for each in part] == sorted(each.day for each in part)
    assert not {id(each) for each in parts["train"]} & {id(each) for each in parts["validation"]}


def test_what_is_validated_on_may_be_the_latest_that_could_be_learned_from():
    asked = requests_of(searches_of(typed(SHOP), SHOP.log()))
    between, latest = (choose_searches(asked, SHOP.split, seed=0, latest=latest) for latest in (False, True))
    assert min(each.day for each in latest["validation"]) >= max(each.day for each in latest["train"])
    assert min(each.day for each in between["validation"]) < max(each.day for each in between["train"])
    assert [len(latest[name]) for name in latest] == [len(between[name]) for name in between]


def test_too_few_queries_are_named_and_counted():
    few = [asks("milk", MILK, day=40), asks("milk", MILK, day=55)]
    with pytest.raises(TooFewEvents, match=r"Of 2 queries .* 1 lie in .* and 1 in .*; 20 and 10 are needed"):
        choose_searches(few, SHOP.split, seed=0)
    with pytest.raises(TooFewEvents, match=r"leave Search out of spec\.training\.surfaces"):
        choose_searches([], SHOP.split, seed=0)


def test_the_folder_has_what_training_and_the_predictor_read(searching_shop):
    folder = searching_shop / "samples" / SEARCH
    train, held_out = (read_samples(folder, COLUMNS, split) for split in ("train", "evaluation"))
    assert train.labels_R.any() and len(train.queries) == len(train)
    assert max(np.diff(train.offsets_Q1)) <= NEGATIVES + 3
    assert len(held_out) > 30
    kept = pl.read_parquet(folder / SEARCHES)
    assert kept.columns == ["query", "item", "day"]
    assert kept.height == typed(SHOP).height and kept["day"].is_sorted()


@pytest.fixture
def folders(tmp_path):
    return write_folders(tmp_path / "run")


def written(root, shop=SHOP):
    return write_searches(
        root / "data", root / "samples", windows=shop.split, joins=MemoryJoins(shop.log()), log=shop.log(),
        contract=Contract(), catalogs=shop.catalogs(), seed=0,
    )  # fmt: skip


def test_without_a_table_queries_are_made_of_names_and_it_is_said(folders):
    report = written(folders)
    assert report["queries"] == "made of names"
    assert report["splits"]["evaluation"]["candidate_recall"] == 1
    assert {"milk", "sweet"} <= set(read_samples(folders / "samples" / SEARCH, COLUMNS, "train").queries)


def test_with_a_table_queries_are_those_typed_and_it_is_said(folders):
    report = write_search_folder(folders, SHOP)
    assert report["queries"] == "typed"
    assert "bedtime drink" in read_samples(folders / "samples" / SEARCH, COLUMNS, "train").queries
    json.dumps(report)


@pytest.fixture
def half_bought(folders):
    """The searches' table where every other shopper only clicks."""
    clicks = pl.col("user").is_in(["ann", "cid", "eve", "gus", "ida", "kim", "max", "oda"])
    table = typed(SHOP).with_columns(
        kind=pl.when(clicks | (pl.col("kind") == "click")).then(pl.lit("click")).otherwise("kind")
    )
    table.write_parquet(folders / "data" / "searches.parquet")
    return folders


def test_what_was_bought_after_a_query_teaches_more_than_what_was_clicked(half_bought):
    report = written(half_bought)
    assert report["bought"] > 100
    for split in ("train", "evaluation"):
        samples = read_samples(half_bought / "samples" / SEARCH, COLUMNS, split)
        of_R = samples.users_Q[np.repeat(np.arange(len(samples)), np.diff(samples.offsets_Q1))]
        known = samples.labels_R & (of_R != NOBODY)
        clicked = known & (of_R % 2 == 0)
        ratio = samples.weights_R[clicked].max() / samples.weights_R[known & ~clicked].min()
        assert ratio == pytest.approx(CLICKED)
        assert samples.weights_R[samples.labels_R].mean() == pytest.approx(1, rel=1e-5)
        assert (samples.weights_R[~samples.labels_R] == 1).all()


def test_what_was_both_clicked_and_bought_counts_as_bought(known):
    samples = answers([asks("sweet", MILK, APPLES), asks("SWEETS", MILK, user=BOB)], known)
    day = FIRST + 54
    taught_R = graded(samples, frozenset({(ANN, day, "sweet", MILK), (BOB, day, "tea", MILK)}))
    found = [dict(zip(samples.items_R[rows], taught_R[rows], strict=True)) for rows in map(samples.rows, range(2))]
    assert (found[0][MILK], found[0][APPLES], found[1][MILK]) == (1, pytest.approx(CLICKED), pytest.approx(CLICKED))
    assert np.isnan(taught_R[~samples.labels_R]).all()


def test_where_few_searches_say_what_was_only_clicked_all_that_was_taken_teaches_alike(folders):
    write_search_folder(folders, SHOP)  # with six clicks
    assert read_samples(folders / "samples" / SEARCH, COLUMNS, "train").weights_R is None


def test_the_same_seed_writes_the_same_bytes(searching_shop, folders):
    write_search_folder(folders, SHOP)
    for path in (searching_shop / "samples" / SEARCH).iterdir():
        assert path.read_bytes() == (folders / "samples" / SEARCH / path.name).read_bytes(), path.name


def test_a_run_samples_queries_only_where_its_spec_names_search(stored_shop, tmp_path):
    """From Feast, with queries made of names: the shop's files have no searches."""
    inputs = {name: stored_shop / name for name in ("data", "features")}
    asked = TRAINING.model_copy(update={"surfaces": ["Items", "Search"]})
    report = build_samples(**inputs, out=tmp_path / "search", training_spec=asked)
    assert report["search"]["queries"] == "made of names"
    contract = Contract.from_json(json.loads((stored_shop / "features" / "contract.json").read_text()))
    asked_of = search_columns(contract.pair_features)
    assert len(read_samples(tmp_path / "search" / SEARCH, asked_of, "train").queries) > 20
    assert "search" not in build_samples(**inputs, out=tmp_path / "plain", training_spec=TRAINING)
    assert not (tmp_path / "plain" / SEARCH).exists()


def test_a_window_without_a_search_is_too_little(folders):
    late = TimeSplit.of(FIRST + 500, TRAINING)
    with pytest.raises(TooFewEvents):
        write_searches(
            folders / "data", folders / "samples", windows=late, joins=MemoryJoins(SHOP.log()), log=SHOP.log(),
            contract=Contract(), catalogs=SHOP.catalogs(), seed=0,
        )  # fmt: skip
