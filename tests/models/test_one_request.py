"""What the Transformer makes of one request in numpy is what its module makes of it in torch, but for rounding."""

import numpy as np
import pytest
import torch

from shoploop.features.baskets import BASKETS, BasketSequence
from shoploop.features.history import History
from shoploop.models import one_request
from shoploop.models.inputs import ModelInput, collate
from shoploop.models.one_request import OneSequence
from shoploop.models.sequence import SequenceModel

ITEMS, DAY = 30, 200
VISITS = {"nothing": 0, "one visit": 1, "some": 7, "more than it reads": BASKETS + 5}


def sequence_of(visits: int, seed: int = 0) -> BasketSequence:
    """So many visits to the shop, of one to four items, two of three days apart."""
    draw = np.random.default_rng(seed)
    sizes = draw.integers(1, 5, visits)
    items = np.concatenate([np.empty(0, np.int64), *(draw.permutation(ITEMS)[:size] for size in sizes)])
    days = np.repeat(DAY - 3 * np.arange(visits, 0, -1), sizes)
    history = History.of(items.astype(np.int32), days.astype(np.int32), np.ones(len(items), np.float32))
    return BasketSequence.of(history, day=DAY)


@pytest.fixture(params=[False, True], ids=["factors", "learned items"])
def module(request):
    torch.manual_seed(0)
    config = SequenceModel.Config(
        items=ITEMS, factors=5, width=16, heads=2, layers=2, repeat_heads=3, learned_items=request.param
    )
    made = SequenceModel(config).eval()
    made.factors_IF.copy_(torch.randn(ITEMS, 5))
    with torch.no_grad():  # no weight is nothing or one
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
        if request.param:
            made.own_times.mul_(1.7)
    return made


@pytest.mark.parametrize("visits", VISITS.values(), ids=VISITS)
@pytest.mark.parametrize("kept", [True, False], ids=["kept", "too many to keep"])
def test_state_and_scores_are_the_modules(module, visits, kept, monkeypatch):
    if not kept:
        monkeypatch.setattr(one_request, "MOST_ITEMS", ITEMS - 1)
    one = OneSequence(module)
    items = np.arange(0, ITEMS, 2, dtype=np.int32)
    sequence = sequence_of(visits)
    batch = collate([ModelInput(items_N=items, features_NK=np.zeros((len(items), 1), np.float32), sequence=sequence)])
    with torch.no_grad():
        state, baskets = module.encode(batch)
        scores = module(batch)[0].numpy()
        vectors, bias = module.item_vectors().numpy(), module.item_bias_I.numpy()

    found_state, found_baskets = one.encode(sequence)

    np.testing.assert_allclose(found_state, state[0].numpy(), atol=1e-5)
    assert len(found_baskets) == min(visits, BASKETS)
    np.testing.assert_allclose(found_baskets, baskets[0, : len(found_baskets)].numpy(), atol=1e-5)
    np.testing.assert_allclose(one.scores(items, sequence, vectors, bias), scores, atol=1e-5)
    assert len(set(scores.tolist())) == len(items), "they tell candidates apart"


@pytest.mark.parametrize("longest", [1, 3, 4, BASKETS])
def test_of_many_users_the_state_alone_is_the_modules(module, longest):
    torch.manual_seed(1)
    tokens = torch.randn(5, longest, module.config.width)
    absent = torch.arange(longest) >= torch.tensor([longest, longest, 1, 1, 0])[:, None]
    with torch.no_grad():
        whole, alone = module.attend(tokens, absent)[0], module.user_state(tokens, absent)
    np.testing.assert_allclose(alone.numpy(), whole.numpy(), atol=1e-5)
    assert (alone[0] - alone[1]).abs().max() > 1e-3, "it tells users apart"


def test_what_was_bought_among_the_candidates_counts_once_more(module):
    one, sequence = OneSequence(module), sequence_of(7)
    vectors, bias = module.item_vectors().detach().numpy(), np.zeros(ITEMS, np.float32)
    bought = np.unique(sequence.items_E).astype(np.int32)
    state = one.encode(sequence)[0]
    others = np.setdiff1d(np.arange(ITEMS), bought).astype(np.int32)
    np.testing.assert_allclose(one.scores(others, sequence, vectors, bias), vectors[others] @ state, atol=1e-5)
    assert (np.abs(one.scores(bought, sequence, vectors, bias) - vectors[bought] @ state) > 1e-3).all()


def test_other_vectors_and_biases_than_the_trained_ones_count(module):
    one, sequence = OneSequence(module), sequence_of(3)
    items = np.arange(ITEMS, dtype=np.int32)
    vectors, bias = module.item_vectors().detach().numpy(), module.item_bias_I.detach().numpy()
    as_trained = one.scores(items, sequence, vectors, bias)
    np.testing.assert_allclose(one.scores(items, sequence, vectors, bias + 2), as_trained + 2, atol=1e-5)
    assert not np.allclose(one.scores(items, sequence, vectors[::-1], bias), as_trained, atol=1e-3)
