"""One string of each name."""

from shoploop.events.names import Names


def test_equal_names_are_one_string():
    names = Names()
    tea = names.one("".join(["te", "a"]))
    assert names.one("".join(["t", "ea"])) is tea
    assert [name is tea for name in names.all(["milk", "".join(["te", "a"])])] == [False, True]


def test_an_empty_name_is_a_name():
    assert Names().all(["", "tea"]) == ("", "tea")


def test_beyond_its_most_names_are_gathered_anew_and_stay_equal():
    names = Names(most=2)
    assert names.all(["tea", "milk", "salt", "tea"]) == ("tea", "milk", "salt", "tea")
    assert len(names._held) == 2
