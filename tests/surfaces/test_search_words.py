"""Text as search reads it."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoploop.surfaces.search.words import (
    AS_WRITTEN,
    MOST_LETTERS,
    MOST_OF_NAME,
    gram_matrix,
    grams,
    plain,
    rarity,
    spelling,
    text_pieces,
    words,
)

SHORT = st.text(max_size=8)
"""Of all of Unicode, half surrogates and all; no longer than what is read once it is folded."""


@pytest.mark.parametrize(
    "text, read",
    [
        ("Whole MILK", ["whol", "milk"]),
        ("Crème Brûlée", ["crem", "brule"]),
        ("STRASSE Straße", ["strass", "strass"]),
        ("ﬁgs", ["fig"]),
        ("Ｍｉｌｋ", ["milk"]),
        ("Nike™ ℝ", ["niketm", "r"]),
        ("mw3", ["mw", "3"]),
        ("7up x2", ["7", "up", "x", "2"]),
        ("men's", ["men"]),
        ("men’s", ["men"]),
        ("half-fat_milk", ["half", "fat", "milk"]),
        ("a\tb\nc", ["a", "b", "c"]),
        ("½", ["1", "2"]),
        ("١٢ ๗ ७", ["12", "7", "7"]),
        ("Rødløg ŁÓDŹ Đường ISITICI ısıtıcı", ["rodlog", "lodz", "duong", "isiticy", "isiticy"]),
        ("Œufs æble Þór Garður", ["oeuf", "aebl", "thor", "gardur"]),
    ],
)
def test_words_are_without_case_accents_and_signs_and_digits_stand_apart(text, read):
    assert words(text) == read


@pytest.mark.parametrize(
    "one, many",
    [
        ("apple", "apples"),
        ("berry", "berries"),
        ("bus", "bus"),
        ("glass", "glass"),
        ("pie", "pies"),
        ("gas", "gas"),
        ("box", "boxes"),
        ("rose", "roses"),
        ("tomato", "tomatoes"),
        ("shoe", "shoes"),
    ],
)
def test_one_thing_and_many_of_it_are_one_word(one, many):
    assert words(one) == words(many)


@pytest.mark.parametrize(
    "text, read",
    [
        ("抹茶 ラテ", ["抹茶", "ラテ"]),
        ("牛奶250ml", ["牛奶", "250", "ml"]),
        ("МОЛОКО", ["молоко"]),
        ("ΓΆΛΑ", ["γαλα"]),
    ],
)
def test_any_alphabet_has_words(text, read):
    assert words(text) == read


@pytest.mark.parametrize(
    "text, read",
    [
        ("低脂牛奶500ml", ["低脂", "脂牛", "牛奶", "500", "ml"]),
        ("VIP牛奶", ["vip", "牛奶"]),
        ("おいしい牛乳", ["おい", "いし", "しい", "い牛", "牛乳"]),
        ("パンケーキ", ["パン", "ンケ", "ケー", "ーキ"]),
        ("ข้าวหอม", ["ขา", "าว", "วห", "หอ", "อม"]),
        ("ดื่ม", ["ดืม"]),
        ("ກາເຟ", ["ກາ", "າເ", "ເຟ"]),
        ("茶", ["茶"]),
    ],
)
def test_scripts_without_blanks_are_read_as_pairs_of_letters_with_their_marks(text, read):
    assert words(text) == [unicodedata.normalize("NFKD", word) for word in read]


def test_a_spelling_of_a_script_without_blanks_is_its_run_and_its_pieces_are_pairs():
    assert spelling("牛奶 巧克力") == spelling("牛奶巧克力") == "牛奶巧克力"
    assert set(grams("牛奶")) < set(grams("低脂牛奶500ml"))


def test_weights_that_learned_from_text_as_it_was_written_read_it_so():
    (before,) = [text_pieces(text, reading=AS_WRITTEN) for text in ["牛奶巧克力"]]
    assert len(before) == len(["牛奶巧克力", "^牛奶", "牛奶巧", "奶巧克", "巧克力", "克力$"])
    assert text_pieces("rødløg", reading=AS_WRITTEN) != text_pieces("rodlog", reading=AS_WRITTEN)
    assert text_pieces("牛奶巧克力") == sorted({*text_pieces("牛奶"), *text_pieces("奶巧"), *text_pieces("巧克力")})


@pytest.mark.parametrize("text", ["Crème Brûlée 2", "МОЛОКО", "ΓΆΛΑ", "دون سكر", "חלב", "우유식빵", "नमकीन", "x" * 300])
def test_of_other_scripts_all_readings_are_the_same(text):
    assert text_pieces(text) == text_pieces(text, reading=AS_WRITTEN)


@pytest.mark.parametrize("word", ["दूध", "चाय", "नमकीन"])
def test_a_word_is_not_cut_at_its_vowels_where_these_are_marks(word):
    assert len(words(word)) == 1


def test_a_mark_that_makes_another_letter_is_kept():
    assert words("パン") == words("ﾊﾟﾝ") != words("バン")


def test_korean_is_read_alike_however_it_is_encoded():
    composed, apart = "우유", "우유"
    assert words(composed) == words(apart) and len(words(composed)) == 1


@pytest.mark.parametrize("text", ["", " ", "\n", "!?", "🥛", "❤️", "1️⃣"[1:], "___", "\ud800", "\x00", "'", "́"])
def test_what_has_neither_letters_nor_digits_has_no_words(text):
    assert words(text) == [] and spelling(text) == "" and text_pieces(text) == []


def test_nothing_has_no_pieces_so_that_two_nothings_are_not_alike():
    assert grams("") == []


def test_of_a_very_long_text_the_beginning_is_read():
    assert words("x" * 10_000) == ["x" * MOST_OF_NAME] and spelling("x" * 10_000) == "x" * MOST_LETTERS
    assert words("milk " * 2_000) == ["milk"] * (MOST_OF_NAME // 5)
    assert text_pieces("x" * MOST_LETTERS + " milk") == text_pieces("x" * MOST_LETTERS)


def test_a_spelling_forgets_blanks_and_signs_but_not_the_order():
    assert spelling("Coca-Cola") == spelling("coca cola") == spelling("cocacola") != spelling("cola coca")


@given(SHORT)
def test_words_of_words_are_the_same_words(text):
    once = plain(text)
    assert plain(" ".join(once)) == once


@given(SHORT)
def test_case_does_not_matter(text):
    if text.upper().lower() == text.lower():  # not so of letters that have no capital of their own
        assert words(text.upper()) == words(text.lower())


@given(st.text(), st.integers(1, 1 << 14))
def test_pieces_are_sorted_places_each_once(text, places):
    found = text_pieces(text, places)
    assert found == sorted(set(found)) and all(0 <= place < places for place in found)


def test_pieces_know_the_borders_of_a_word():
    assert set(grams("tea")) & set(grams("teapot")) and set(grams("tea")) - set(grams("teapot"))
    assert len(grams("a")) == 1


def test_what_few_texts_have_is_rare_and_what_none_has_is_nothing():
    matrix = gram_matrix(["tea", "teapot"])
    rare_G = rarity(matrix)
    begins, ends = grams("tea")[0], grams("tea")[-1]
    assert rare_G[ends] > rare_G[begins] > 0
    assert (rare_G[np.asarray(matrix.sum(axis=0)).ravel() == 0] == 0).all()


def test_no_texts_are_a_matrix_without_rows():
    matrix = gram_matrix([])
    assert matrix.shape[0] == 0 and not rarity(matrix).any()
