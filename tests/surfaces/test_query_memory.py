"""What was taken after a query."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shoploop.surfaces.search.features import read
from shoploop.surfaces.search.memory import HALF_LIFE_DAYS, QueryMemory, Remembered, Searches
from shoploop.surfaces.search.names import Names
from shoploop.surfaces.search.words import spelling

TEA, MILK, CAKE, ITEMS = 0, 1, 2, 4


def searches(*rows: tuple[str, int, int]) -> Searches:
    """Of rows of query, item and day."""
    rows = sorted(rows, key=lambda row: row[2])
    queries = sorted({query for query, _, _ in rows})
    return Searches(
        queries=tuple(queries),
        query_E=np.array([queries.index(query) for query, _, _ in rows], np.int32),
        item_E=np.array([item for _, item, _ in rows], np.int32),
        day_E=np.array([day for _, _, day in rows], np.int32),
        user_E=np.full(len(rows), -1, np.int32),
    )


def remembered(query: str, *rows: tuple[str, int, int], day: int = 10) -> Remembered:
    return QueryMemory(searches(*rows), ITEMS).as_of(day).of(query)


def arrays(found: Remembered):
    return {name: getattr(found, name) for name in ("same_I", "lately_I", "near_I", "words_I")}


def test_what_was_taken_after_the_same_query_is_a_share():
    found = remembered("Tea!", ("tea", TEA, 9), ("TEA", TEA, 9), ("teas", TEA, 9), ("tea", CAKE, 9))
    np.testing.assert_allclose(found.same_I, [0.75, 0, 0.25, 0])
    assert found.times == pytest.approx(4 * 0.5 ** (1 / HALF_LIFE_DAYS))


def test_the_day_itself_is_not_remembered():
    rows = [("tea", TEA, 9), ("tea", CAKE, 10), ("tea", CAKE, 11)]
    np.testing.assert_allclose(remembered("tea", *rows, day=10).same_I, [1, 0, 0, 0])
    assert remembered("tea", *rows, day=9).times == 0


def test_memory_fades_and_lately_faster():
    found = remembered("tea", ("tea", MILK, 0), ("tea", TEA, 60), day=60 + int(HALF_LIFE_DAYS))
    np.testing.assert_allclose(found.same_I[[TEA, MILK]], [2 / 3, 1 / 3], rtol=1e-5)
    assert found.lately_I[TEA] > 0.999


def test_near_spellings_count_by_their_nearness():
    found = remembered("choclate cake", ("chocolate cake", CAKE, 9), ("whole milk", MILK, 9))
    assert found.times == 0 and not found.same_I.any()
    assert found.near_I[CAKE] == pytest.approx(1) and found.near_I[MILK] == 0
    assert 0.35 < found.nearest < 1


def test_the_same_spelling_is_near_but_not_its_own_nearest():
    found = remembered("tea", ("tea", TEA, 9))
    assert found.near_I[TEA] == pytest.approx(1) and found.nearest == 0


def test_a_word_of_a_longer_query_says_what_is_meant_by_it():
    found = remembered("cold milk", ("milk", MILK, 9), ("oat milk", MILK, 9), ("tea", TEA, 9), ("cake", CAKE, 9))
    assert found.words_I.argmax() == MILK and found.words_I[MILK] > 0 > found.words_I[TEA]


def test_two_words_are_a_pair_whichever_comes_first():
    rows = [("green tea", TEA, 9), ("green cake", CAKE, 9), ("black tea", MILK, 9)]
    np.testing.assert_allclose(remembered("tea green", *rows).words_I, remembered("green tea", *rows).words_I)


@pytest.mark.parametrize("query", ["tea", "", "🥛", "x" * 10_000])
def test_an_empty_memory_says_nothing(query):
    found = remembered(query)
    assert not any(each.any() for each in arrays(found).values())
    assert (found.times, found.near_times, found.nearest) == (0, 0, 0)
    assert all(len(each) == ITEMS for each in arrays(found).values())


@pytest.mark.parametrize("query", ["", "?", "🥛"])
def test_a_query_without_words_is_not_the_same_as_another_without(query):
    found = remembered(query, ("!!!", TEA, 9), ("🍰", CAKE, 9), ("milk", MILK, 9))
    assert not any(each.any() for each in arrays(found).values())
    assert (found.times, found.near_times, found.nearest) == (0, 0, 0)


def test_before_a_day_are_the_rows_before_it():
    before = searches(("tea", TEA, 8), ("milk", MILK, 9), ("cake", CAKE, 10)).before(9)
    assert before.day_E.tolist() == [8] and before.queries[before.query_E[0]] == "tea"


ROWS = st.lists(
    st.tuples(st.sampled_from(["tea", "teas", "green tea", "black tea", "cake", "choclate", "🥛"]) | st.text(max_size=6),
              st.integers(0, ITEMS - 1), st.integers(0, 9)),
    max_size=12,
)  # fmt: skip


@example([("green tea", TEA, 1)], [("black tea", CAKE, 5)], "greem tea", 5)
@example([("coca cola", TEA, 1)], [("cocacola", CAKE, 5)], "cola", 5)
@given(ROWS, ROWS, st.sampled_from(["tea", "chocolate", "green cake"]) | st.text(max_size=10), st.integers(0, 10))
def test_nothing_of_a_day_or_later_is_known_when_it_begins(rows, others, query, day):
    """The law of point in time: whatever the future holds, memory is the same."""
    past = [row for row in rows if row[2] < day]
    future = [(text, item, max(on, day)) for text, item, on in others]
    alone, followed = remembered(query, *past, day=day), remembered(query, *past, *future, day=day)
    for name, values in arrays(alone).items():
        np.testing.assert_allclose(values, arrays(followed)[name], rtol=1e-4, atol=1e-5, err_msg=name)
    for name in ("times", "near_times", "nearest"):
        assert getattr(alone, name) == pytest.approx(getattr(followed, name), rel=1e-4, abs=1e-5), name


@given(ROWS, st.text(max_size=10))
def test_shares_are_shares_and_all_is_finite(rows, query):
    found = remembered(query, *rows)
    for name in ("same_I", "lately_I", "near_I"):
        total = float(arrays(found)[name].sum())
        assert total == pytest.approx(0, abs=1e-5) or total == pytest.approx(1, abs=1e-4), name
    assert np.isfinite(found.words_I).all() and 0 <= found.nearest <= 1 + 1e-5
    if any(spelling(text) == spelling(query) != "" for text, _, _ in rows):
        assert found.times > 0 and found.same_I.any()


DISKS = Names(["Norix SD 64 card", "Norix solid state drive", "Ulta padlock", "Ulta tablet"])
CARD, DRIVE, PADLOCK, TABLET = range(4)


def read_by(*taken: tuple[str, int], query: str):
    rows = [(typed, item, 9) for typed, item in taken for _ in range(4)]
    return read(query, DISKS, QueryMemory(searches(*rows), len(DISKS)).as_of(10)).fit


@pytest.mark.parametrize(("typed", "read_as", "bought"), [("ssd", CARD, DRIVE), ("pad", PADLOCK, TABLET)])
def test_a_word_after_which_something_else_is_taken_is_no_misspelling_and_no_beginning(typed, read_as, bought):
    assert read_by(query=typed).words_I[read_as] == 1  # nothing is known of it: it is read as what it is like
    found = read_by((typed, bought), query=typed)
    assert found.understood is None and not found.words_I.any()


def test_a_misspelling_that_many_type_is_still_one():
    found = read_by(("padlok", PADLOCK), query="padlok")
    assert found.understood == "padlock" and found.words_I[PADLOCK] == 1


def test_one_search_says_nothing_of_what_a_word_means():
    memory = QueryMemory(searches(("ssd", DRIVE, 9), ("ssd", DRIVE, 9)), len(DISKS)).as_of(10)
    assert read("ssd", DISKS, memory).fit.words_I[CARD] == 1


def test_what_a_word_means_is_known_from_the_day_after():
    rows = [("ssd", DRIVE, 9)] * 4
    assert read("ssd", DISKS, QueryMemory(searches(*rows), len(DISKS)).as_of(9)).fit.words_I[CARD] == 1


def test_other_names_read_the_words_of_shoppers_so_too():
    fit = read_by(("ssd", DRIVE), query="ssd")
    assert Names(["Other SD card"]).fit("ssd").understood == "sd"
    assert Names(["Other SD card"]).fit("ssd", shoppers=fit.shoppers).understood is None
