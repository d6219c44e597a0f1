"""What the operator has a pod write into the chain of online commits, for somebody who annotated a Recommender."""

import numpy as np
import pytest

from shoploop.data.collected import CollectedThrough
from shoploop.online.chain import Chain, Totals
from shoploop.online.rows import Rows
from shoploop.runs import pod_verbs
from shoploop.store import Store


@pytest.fixture
def store(tmp_path, monkeypatch):
    """The version was trained on the first 50 records."""
    monkeypatch.setattr("shoploop.packaging.races.collected_of", lambda *_: CollectedThrough(cut=1, offset=50))
    return Store(str(tmp_path))


@pytest.fixture
def chain(store):
    """Two commits of one row."""
    chain = Chain(store, "grocery", "v1")
    for number in (51, 52):
        one = np.full((1, 1), number - 50, np.float32)
        rows = Rows(codes_N=np.zeros(1, np.int32), vectors_ND=one, bias_N=one[0], slots_NE=np.zeros((1, 2), np.float32))
        chain.append("learn", by="me", reason="", offset=number, totals=Totals(examples=number - 50), rows=rows)
    return chain


def decide(store, verb, *more, by="kubectl annotate, Job 1") -> int:
    asked = ["online", "--recommender=grocery", "--version=v1", f"--store={store.uri}", f"--verb={verb}", *more]
    return pod_verbs.main([*asked, "--reason=a flood", f"--by={by}"])


def test_what_is_decided_is_in_the_chain_with_who_and_why(store, chain):
    assert decide(store, "rollback", "--to=1") == 0
    chain.refresh()
    last = chain.commits[-1]
    assert (last.action, last.to, last.reason, last.by) == ("rollback", 1, "a flood", "kubectl annotate, Job 1")
    assert chain.state().rows.bias_N.tolist() == [1.0]


def test_a_pod_that_was_killed_behind_its_entry_is_not_followed_by_a_second_one(store, chain):
    assert decide(store, "pin", "--to=1") == decide(store, "pin", "--to=1") == 0
    chain.refresh()
    assert chain.head == 3
    assert decide(store, "unpin", by="kubectl annotate, Job 2") == 0
    chain.refresh()
    assert (chain.head, chain.served) == (4, 4)


@pytest.mark.parametrize("verb", [("pin", "--to=0"), ("rollback", "--to=0"), ("unpin",), ("resume",)], ids=" ".join)
def test_what_is_decided_before_anything_was_learned_lets_learning_begin_behind_what_was_trained_on(store, verb):
    assert decide(store, *verb) == 0
    [decided] = Chain(store, "grocery", "v1").refresh()
    assert (decided.offset, decided.resumes.offset) == (50, 50)


def test_a_commit_that_is_not_there_is_the_persons_to_mend(store, chain, capsys):
    assert decide(store, "rollback", "--to=9") == 2
    assert "grocery v1 has no commit 9: its commits are 0 to 2." in capsys.readouterr().err
