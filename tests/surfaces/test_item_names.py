"""What items are called, and what a query fits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoploop.surfaces.search.names import MOST_WORDS, Names

TEXTS = ("Green Tea", "Black Tea", "Whole Milk 1 l", "Whole Milk 2 l", "Chocolate", "")
NAMES = Names(TEXTS)


def best(query, of="bm25_I"):
    return TEXTS[int(getattr(NAMES.fit(query), of).argmax())]


def fitting(query):
    """The items that have every word."""
    return [text for text, share in zip(TEXTS, NAMES.fit(query).words_I, strict=True) if share > 0.999]


def test_an_item_that_is_called_so_fits_best():
    assert best("chocolate") == "Chocolate"
    assert best("tea green") == "Green Tea"


def test_all_items_with_every_word_fit_and_no_other():
    assert fitting("tea") == ["Green Tea", "Black Tea"]
    assert fitting("MILKS") == ["Whole Milk 1 l", "Whole Milk 2 l"]
    assert fitting("green milk") == []


def test_what_has_a_word_as_it_was_typed_is_told_from_what_has_it_with_another_ending():
    names = Names(["Rose Bowl", "Paper Roses", "Roses and a Rose", "Tea"])
    assert names.fit("roses").words_I.tolist() == pytest.approx([1, 1, 1, 0])
    assert names.fit("roses").typed_I.tolist() == pytest.approx([0, 1, 1, 0])
    assert names.fit("ROSE").typed_I.tolist() == pytest.approx([1, 0, 1, 0])
    half = names.fit("paper rose")
    assert half.typed_I[1] == pytest.approx(1 - half.typed_I[0]) and 0 < half.typed_I[0] < 1


@pytest.mark.parametrize("query", ["rosse", "ros", "qqqq", ""])
def test_what_is_read_as_another_word_is_nowhere_as_it_was_typed(query):
    assert not Names(["Rose Bowl", "Paper Roses"]).fit(query).typed_I.any()


def test_a_rare_word_counts_more_than_one_that_many_have():
    fit = NAMES.fit("green milk tea")
    assert fit.words_I[0] > fit.words_I[1] > 0


@pytest.mark.parametrize(
    "typed, meant", [("choclate", "chocolate"), ("chocolatte", "chocolate"), ("gren tea", "green tea")]
)
def test_a_misspelt_word_is_read_as_the_one_it_is_most_like(typed, meant):
    fit = NAMES.fit(typed)
    assert fit.understood == meant
    np.testing.assert_array_equal(fit.words_I, NAMES.fit(meant).words_I)


def test_a_query_that_is_spelt_right_is_not_said_to_be_understood_otherwise():
    for query in ("Green  TEA", "teas", "milk!", "whole milk 2 l"):
        assert NAMES.fit(query).understood is None


def test_a_number_is_never_corrected_to_another():
    names = Names(["Battery 1500", "Battery 2500"])
    assert names.meant("1501") == []
    assert names.fit("battery 1501").understood is None
    assert (names.fit("battery 1501").words_I < 0.999).all()


def test_a_word_that_nobody_has_keeps_every_item_from_fitting_whole():
    fit = NAMES.fit("tea zzzzzz")
    assert fit.understood is None
    assert 0 < fit.words_I[0] < 0.6


def test_a_word_of_two_letters_is_not_guessed_at():
    assert NAMES.meant("ea") == []


def test_a_word_that_is_typed_by_half_finds_what_begins_with_it():
    names = Names(["Chocolate bar", "Chopping board", "Milk chocolate"])
    assert names.fit("cho").words_I.tolist() == [1.0, 1.0, 1.0]
    assert names.fit("choc").words_I.tolist() == [1.0, 0.0, 1.0]
    assert names.fit("choc").understood is None


def test_pieces_of_letters_find_a_word_within_another():
    fit = Names(["Strawberry", "Milk"]).fit("berry")
    assert fit.letters_I[0] > 0.3 > fit.letters_I[1]


def test_a_name_that_the_query_says_whole_is_said_whole():
    fit = NAMES.fit("chocolate")
    assert fit.named_I[4] == pytest.approx(1) and fit.letters_I[4] == pytest.approx(1)


@pytest.mark.parametrize("query", ["", "  ", "!!!", "🥛"])
def test_a_query_without_words_fits_nothing_not_even_an_item_without_a_name(query):
    fit = NAMES.fit(query)
    for each in (fit.bm25_I, fit.words_I, fit.letters_I, fit.named_I):
        assert not each.any()
    assert fit.understood is None


@pytest.mark.parametrize("texts", [[], [""], ["!", "🥛"]], ids=["no items", "no name", "signs"])
def test_a_shop_of_no_words_answers_nothing_to_any_query(texts):
    names = Names(texts)
    for query in ("", "tea", "1", "🥛"):
        fit = names.fit(query)
        assert len(fit.bm25_I) == len(texts) == len(names)
        assert not any(each.any() for each in (fit.bm25_I, fit.words_I, fit.letters_I, fit.named_I))


@given(st.text(), st.lists(st.text(max_size=12), max_size=6))
def test_any_query_in_any_shop_gives_shares_between_0_and_1(query, texts):
    for names in (NAMES, Names(texts)):
        fit = names.fit(query)
        for each in (fit.words_I, fit.letters_I, fit.named_I):
            assert np.isfinite(each).all() and (each >= 0).all() and (each <= 1 + 1e-5).all()
        assert np.isfinite(fit.bm25_I).all() and (fit.bm25_I >= 0).all()


@given(st.sampled_from([text for text in TEXTS if text]))
def test_every_item_is_found_by_its_own_name(text):
    assert text in fitting(text) and best(text) == text and best(text, "named_I") == text


def test_a_query_of_ten_thousand_letters_is_read_as_its_beginning():
    assert fitting("tea " + "x" * 10_000) == []
    assert best("tea " + "x" * 10_000) in ("Green Tea", "Black Tea")


def test_of_a_query_of_many_words_the_first_are_held_against_names():
    words = [f"w{'abcdefghijklmnopqrst'[place]}x" for place in range(MOST_WORDS + 2)]
    fit = Names([words[0], words[-1]]).fit(" ".join(words))
    assert fit.words_I[0] > 0 == fit.words_I[1]


@pytest.mark.parametrize(("typed", "found"), [("saege", 0), ("Säge", 0), ("giesskanne", 1), ("blaue", 2), ("blue", 3)])
def test_accents_that_a_keyboard_spells_out_are_read_as_accents_and_no_other_word_is_changed(typed, found):
    names = Names(["Bosma Stichsäge", "Gießkanne", "blaue Farbe", "blue paint", "blu player"])
    fit = names.fit(typed)
    assert np.argmax(fit.letters_I) == found and fit.letters_I[found] > 0.3


@pytest.mark.parametrize(
    ("query", "titles", "found"),
    [
        ("牛奶", ["有机全脂牛奶1升", "低脂牛奶500ml", "牛奶巧克力", "进口牛奶饼干", "红茶"], 4),
        ("牛乳", ["明治おいしい牛乳900ml", "紅茶"], 1),
        ("チョコ", ["アーモンドチョコレート", "紅茶"], 1),
        ("หอม", ["ข้าวหอมมะลิ", "น้ำดื่ม"], 1),
    ],
)
def test_a_word_within_a_title_of_a_script_without_blanks_is_found(query, titles, found):
    fit = Names(titles).fit(query)
    assert (
        (fit.words_I > 0.999).tolist() == (fit.letters_I > 0.999).tolist() == [at < found for at in range(len(titles))]
    )


def test_one_letter_of_a_script_without_blanks_is_a_word_and_found_wherever_it_stands():
    fit = Names(["红茶叶", "茶 100g", "绿茶", "牛奶"]).fit("茶")
    assert (fit.words_I > 0.999).tolist() == [True, True, True, False] and fit.understood is None


def test_letters_of_a_script_without_blanks_are_no_misspelling_of_each_other():
    names = Names(["牛奶巧克力", "ดื่มี", "パン"])
    assert 0 < names.fit("牛奶巧克刀").words_I[0] < 0.999
    for query in ("牛奶巧克刀", "ดื่มิ", "パソ"):
        assert names.fit(query).understood is None and not names.fit(query).words_I[1:].any()


def test_beside_a_misspelt_word_a_run_without_blanks_is_shown_whole():
    assert Names(["巧克力 chocolate"]).fit("巧克力 choclate").understood == "巧克力 chocolate"


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("rodlog", "Rødløg"),
        ("roedloeg", "Rødløg"),
        ("ol", "Øl 33 cl"),
        ("smoer", "Smør"),
        ("OEUFS", "Œufs"),
        ("ISITICI", "Isıtıcı"),
    ],
)
def test_letters_that_a_keyboard_lacks_are_found_as_they_are_typed_instead(query, title):
    fit = Names([title, "Mleko"]).fit(query)
    assert fit.words_I[0] > 0.999 and not fit.words_I[1] and fit.understood in (None, query, "rodlog", "smor")


def test_numbers_are_the_same_in_all_digits():
    assert (Names(["شاي ٥٠٠", "شاي ٢٥٠"]).fit("شاي 500").words_I > 0.999).tolist() == [True, False]


def test_what_stands_behind_a_long_title_is_found_and_of_a_query_only_its_beginning_read():
    names = Names(["word " * 46 + "ACME kettle", "Spoon"])
    assert names.fit("acme kettle").words_I.tolist() == [1.0, 0.0]
    np.testing.assert_array_equal(names.fit("spoon" + " " * 200 + "kettle").words_I, names.fit("spoon").words_I)
