"""Within a budget one shopper more changes nothing that is chosen of others, so that no sum changes by more than a part."""

from collections import Counter

import numpy as np
import polars as pl
import pytest
from shop import two_tastes
from tiny_effort import TINY

from shoploop.augmentation import study
from shoploop.augmentation.generator.choices import Choices, chance, split_by_key, steady_share
from shoploop.augmentation.generator.dp_sgd import Budget
from shoploop.augmentation.generator.ledger import SHARES, Ledger
from shoploop.augmentation.generator.pseudonyms import pseudonymise
from shoploop.augmentation.generator.records import build_vocabulary, read_behaviour

KEY = b"a key that is kept outside of the data"
SHOP = two_tastes(90)
ALL = SHOP.interactions()
MOST = 88


class Enough(Exception):
    pass


def one_learned_from() -> str:
    """By name, a shopper who is drawn and not held out."""
    share = steady_share(MOST, 90)
    names = ALL["user"].unique(maintain_order=True)
    hidden = pseudonymise(names.to_frame(), KEY)["user"]
    return next(
        name
        for name, pseudonym in zip(names, hidden, strict=True)
        if chance(KEY, "drawn", name) < share and chance(KEY, "side", pseudonym) >= study.HELD_OUT
    )


WITHOUT = ALL.filter(pl.col("user") != one_learned_from())


def chosen(interactions):
    """By user: the side, and of those learned from days of the record and places of ties."""
    seen, hidden = split_by_key(interactions, share=0.3, key=KEY)
    vocabulary = build_vocabulary(ALL, SHOP.described(), min_buyers=2)
    behaviour = read_behaviour(seen, vocabulary, baskets=3)
    choices = Choices.of(seen, KEY)
    one = choices.one_each(behaviour, "record")
    ties = choices.ties(one, 2)
    out = {name: ("held",) for name in hidden["user"].unique()}
    for code, record in zip(one.user, range(one.records), strict=True):
        of = one.record == record
        out[choices.names[code]] = ("seen", one.day[of].tolist(), ties[of].tolist())
    return out, behaviour, one


def test_with_one_shopper_more_everybody_else_has_the_same_side_record_and_places():
    less, (more, behaviour, one) = chosen(WITHOUT)[0], chosen(ALL)
    assert behaviour.records > 1.5 * one.records, "there is a choice"
    assert len(more) == len(less) + 1 == 90
    assert {name: more[name] for name in less} == less


def test_each_shopper_has_one_record_and_any_of_them():
    _, behaviour, one = chosen(ALL)
    assert one.user.tolist() == np.unique(behaviour.user).tolist()
    choices = Choices(key=KEY, names=[str(code) for code in range(90)])
    first = {choices.one_each(behaviour, f"record {turn}").day[0] for turn in range(40)}
    assert len(first) == (behaviour.user == 0).sum()


def test_the_share_of_those_drawn_is_at_most_what_is_asked_for_and_hardly_less():
    for of in (100, 101, 5000, 10**7):
        assert 0.9 * 100 / of < steady_share(100, of) <= 100 / of
    assert steady_share(MOST, 89) == steady_share(MOST, 90)


@pytest.fixture
def told(monkeypatch):
    """What is asked of a ledger, told alike in all trainings, and what the adversary then learns from."""
    answers = {}

    def learned(interactions):
        totals, noises, vectors = {}, {}, []

        def noisy(ledger, what, total, *, norm):
            noises[what] = original(ledger, what, total, norm=norm) - total
            totals[what] = (total, norm)
            return answers.setdefault(what, total)

        def train(adversary, real, *_, **__):
            vectors.extend(row.numpy().tobytes() for row in real)
            raise Enough

        monkeypatch.setattr(Ledger, "noisy", noisy)
        monkeypatch.setattr(study, "train_privately", train)
        with pytest.raises(Enough):
            study.learn(
                interactions,
                SHOP.described(),
                config=TINY.generator,
                most_shoppers=MOST,
                seed=0,
                budget=Budget(epsilon=100),
                key=KEY,
            )
        return totals, noises, Counter(vectors)

    original = Ledger.noisy
    return learned


def test_with_one_shopper_more_sums_differ_by_one_part_and_the_noise_is_another(told):
    (more, noise, records), (less, other, of_others), (_, again, _) = told(ALL), told(WITHOUT), told(ALL)
    assert set(more) == set(SHARES)
    for what, (total, norm) in more.items():
        assert 0 < np.linalg.norm(total - less[what][0]) <= norm + 1e-6, what
        assert np.abs(noise[what] - other[what]).max() > 0.01 * norm, what
        assert noise[what].tolist() == again[what].tolist(), what
    assert not of_others - records, "what the adversary learns of the others is what it was"
    assert (records - of_others).total() == 4
