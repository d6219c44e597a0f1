"""An index of ids keeps the laws of a dict, in a fifth of its memory."""

import random

import numpy as np
import pytest

from shoploop.events import first_offsets
from shoploop.events.first_offsets import FirstOffsets
from shoploop.events.log import BEGINNING


@pytest.mark.parametrize("new", [1, 7, 100_000], ids=["sorted-at-once", "now-and-then", "never"])
def test_each_id_is_found_where_it_lay_first_and_no_other_is_found(new):
    chance, index, held = random.Random(3), FirstOffsets(new=new), dict[str, int]()
    for offset in range(1, 3_000):
        id = f"id {chance.randrange(2_000)}"
        index.add(id, offset)
        held.setdefault(id, offset)
        if offset % 500 == 0:
            before = offset - 400
            index.forget(before)
            held = {id: at for id, at in held.items() if at >= before}
    asked = [f"id {number}" for number in range(2_100)]
    assert index.of(asked) == [held.get(id, BEGINNING) for id in asked]
    assert index.of([]) == []


def test_ids_whose_hashes_have_the_same_first_half_are_told_apart(monkeypatch):
    monkeypatch.setattr(first_offsets, "_hash", lambda id: b"the same" + f"{id:>8}".encode())
    index = FirstOffsets(new=3)
    for offset in range(1, 20):
        index.add(str(offset), offset)
    assert index.of([str(number) for number in range(1, 22)]) == [*range(1, 20), BEGINNING, BEGINNING]


def test_a_hundred_thousand_ids_take_24_bytes_each_and_a_dict_of_a_bounded_size():
    index = FirstOffsets(new=1_000)
    for offset in range(1, 100_001):
        index.add(str(offset), offset)
    columns = [column for part in (index._young, index._old) for column in vars(part).values()]
    assert len(index) == 100_000
    assert sum(column.nbytes for column in columns) <= 24 * 100_000
    assert all(column.dtype == np.uint64 for column in columns) and len(index._new) < 1_000
