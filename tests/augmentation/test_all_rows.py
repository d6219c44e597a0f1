"""What is kept is what is attacked: all rows of a file and of what enters training, by counts of items and of pairs.

Everybody buys each of sixty items once, two at a time, so that counts of items tell nothing and only pairs can.
"""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from shoploop.augmentation import synthesize as synthesis
from shoploop.augmentation.generator.records import Behaviour, concatenate
from shoploop.augmentation.proofs import privacy_attacks as privacy
from shoploop.augmentation.proofs.all_rows import AllRows, refusals
from shoploop.augmentation.trials.decision import Gain, Verdict, choose, refused

ITEMS, USERS = 60, 600


def couples(seed: int) -> Behaviour:
    random = np.random.default_rng(seed)
    baskets = USERS * ITEMS // 2
    item = np.concatenate([random.permutation(ITEMS) for _ in range(USERS)])
    return Behaviour(
        item=item,
        kind=0 * item,
        basket=np.repeat(np.arange(baskets), 2),
        record=np.repeat(np.arange(USERS), ITEMS // 2),
        day=np.tile(np.arange(ITEMS // 2), USERS),
        minute=np.zeros(baskets, np.int64),
        user=np.arange(USERS),
        condition=np.zeros(USERS, np.int64),
    )


MEMBERS, OTHERS, STRANGERS = couples(1), couples(2), couples(3)
COPIES = concatenate([MEMBERS] * 3)


def test_pairs_tell_who_was_learned_from_where_items_tell_nothing():
    found = AllRows(COPIES, ITEMS, seed=0).attacked(MEMBERS, OTHERS)
    assert found[privacy.COUNTS][0] == pytest.approx(0.5, abs=0.03)
    assert found[privacy.PAIRS][0] > 0.7
    (reason,) = refusals(found)
    assert reason.startswith("membership can be inferred by pair counts")


def test_rows_of_strangers_tell_nothing():
    assert refusals(AllRows(STRANGERS, ITEMS, seed=0).attacked(MEMBERS, OTHERS)) == []


def test_pieces_are_counted_as_the_whole_is():
    whole, pieces = AllRows(concatenate([STRANGERS, COPIES]), ITEMS, seed=0), AllRows(STRANGERS, ITEMS, seed=0)
    pieces.add(COPIES)
    assert pieces.rows.tolist() == whole.rows.tolist()
    assert pieces.pairs.tolist() == whole.pairs.tolist()


def written(out, then: Behaviour):
    """A file whose first piece is of strangers, and whose second is ``then``."""

    def table(made, *, seed):
        user = pl.Series(made.user).gather(made.row_record).cast(pl.String)
        time = pl.Series(made.day).gather(made.basket).cast(pl.Int64) * 86_400_000_000
        return pl.DataFrame({"user": user, "time": time.cast(pl.Datetime("us"))}).to_arrow()

    study = SimpleNamespace(
        vocabulary=range(ITEMS),
        real=MEMBERS,
        held=OTHERS,
        table=table,
        generator=SimpleNamespace(sample_rows=lambda rows, **_: then),
    )
    return synthesis._write(study, STRANGERS, len(STRANGERS.item) + 1, out, None, 0)


def test_a_file_whose_later_rows_betray_by_pairs_is_not_written(tmp_path):
    with pytest.raises(synthesis.NotPrivate, match="inferred by pair counts"):
        written(tmp_path / "leaks.parquet", COPIES)
    assert list(tmp_path.iterdir()) == []


def test_what_counts_of_a_whole_file_tell_is_told(tmp_path):
    told = written(tmp_path / "shop.parquet", couples(4))
    assert told.rows == 2 * len(STRANGERS.item)
    assert set(told.counts) == {privacy.COUNTS, privacy.PAIRS}
    assert (tmp_path / "shop.parquet").exists()


def test_where_the_rows_that_enter_leak_the_next_best_variant_enters():
    gain = Gain(gain=0.1, interval=(0.05, 0.15))
    best, next_best = (
        Verdict(variant=name, cold=replace(gain, gain=height), overall=gain, admitted=True, reason="it gains")
        for name, height in (("gan", 0.2), ("crop", 0.1))
    )
    assert choose([best, next_best], "Auto", []).variant == "gan"
    after = refused([best, next_best], ["pairs tell"], ["gan"])
    assert (after[0].admitted, after[0].reason) == (False, "refused for privacy: pairs tell")
    assert choose(after, "Auto", ["gan"]).variant == "crop"
