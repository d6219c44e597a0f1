"""What is other in one commit than in another."""

import numpy as np
import pytest

from shoploop.errors import NotFound
from shoploop.online.chain import Chain, Totals
from shoploop.online.difference import difference
from shoploop.online.rows import Rows
from shoploop.store import Store

TRAINED = (np.zeros((5, 2), np.float32), np.zeros(5, np.float32))


@pytest.fixture
def chain(tmp_path):
    """Commit 1 moves item 1 and 2, commit 2 moves item 2 further and item 4 a little."""
    chain = Chain(Store(str(tmp_path)), "grocery", "v1")
    for offset, moved in (
        (10, {1: (3.0, 4.0, 0.5), 2: (0.0, 0.0, 1.0)}),
        (30, {2: (0.0, 0.0, 3.0), 4: (0.0, 0.1, 0.0)}),
    ):
        values = np.array(list(moved.values()), np.float32)
        rows = Rows(
            codes_N=np.array(list(moved), np.int32), vectors_ND=values[:, :2], bias_N=values[:, 2],
            slots_NE=np.zeros((len(moved), 3), np.float32),
        )  # fmt: skip
        chain.append("learn", by="me", reason="", offset=offset, totals=Totals(examples=offset), rows=rows)
    return chain


def test_items_that_changed_are_told_with_how_far_they_went_the_farthest_first(chain):
    found = difference(chain, 0, 2, trained=TRAINED)
    assert (found.examples, found.offsets) == (30, (0, 30))
    assert found.codes_N.tolist() == [1, 2, 4]
    assert found.vectors_N.tolist() == pytest.approx([5.0, 0.0, 0.1])
    assert found.bias_N.tolist() == [0.5, 3.0, 0.0]


def test_what_is_the_same_in_both_did_not_change(chain):
    assert difference(chain, 1, 2, trained=TRAINED).codes_N.tolist() == [2, 4]
    assert difference(chain, 2, 2, trained=TRAINED).codes_N.tolist() == []


def test_the_way_back_is_the_same_with_the_other_sign(chain):
    found = difference(chain, 2, 0, trained=TRAINED)
    assert (found.examples, found.bias_N.tolist()) == (-30, [-0.5, -3.0, 0.0])


def test_a_commit_that_is_not_there_is_named(chain):
    with pytest.raises(NotFound, match="has no commit 3"):
        difference(chain, 1, 3, trained=TRAINED)
