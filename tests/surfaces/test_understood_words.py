"""What is shown as "showing results for": words as the shop's names write them."""

import pytest

from shoploop.surfaces.search.names import Names

NAMES = Names(["Wine glasses", "Red glasses", "One glass", "Boxes of tea", "Box of jam", "Box of cake"])


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("glases", "glasses"),  # not "glasse", as it is compared
        ("bocx", "box"),
        ("vine glasses", "wine glasses"),
        ("vine Glasses, GLASSES", "wine glasses"),
    ],
)
def test_words_are_shown_as_names_write_them_most_often(query, shown):
    assert NAMES.fit(query).understood == shown


def test_a_word_that_was_understood_is_shown_as_it_was_typed():
    assert Names(["Honey pots"]).fit("hony pot").understood == "honey pot"
