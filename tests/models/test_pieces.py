import numpy as np
import pytest
import torch

from shoploop.models import pieces
from shoploop.models.behaviour import Behaviour
from shoploop.models.pieces import Pieces, PiecewiseLinear, quantile_pieces


def made(*features, most=4, bought=None):
    table = np.stack([np.asarray(feature, np.float32) for feature in features], axis=1)
    return quantile_pieces(table, np.ones(len(table), bool) if bought is None else bought, most=most)


def of(found, column):
    at = found.column_P == column
    return [(low, low + width) for low, width in zip(found.low_P[at].tolist(), found.width_P[at].tolist(), strict=True)]


def test_pieces_lie_between_the_quantiles():
    assert of(made(np.arange(9)), 0) == [(0, 2), (2, 4), (4, 6), (6, 8)]


def test_a_feature_of_two_values_is_one_piece_and_a_constant_one_none():
    found = made([0, 1, 1, 0, 1, 0], [7, 7, 7, 7, 7, 7])
    assert of(found, 0) == [(0, 1)] and of(found, 1) == []


def test_knots_lie_where_what_is_bought_lies_however_rare_it_is():
    values = np.concatenate([np.zeros(10_000), np.linspace(5, 6, 9)])
    found = made(values, most=8, bought=values > 0)
    assert sum(low >= 5 for low, _ in of(found, 0)) >= 2


def test_all_features_together_have_no_more_pieces_than_a_predictor_has_time_for(monkeypatch):
    monkeypatch.setattr(pieces, "ALL_PIECES", 20)
    rng = np.random.default_rng(0)
    found = made(*rng.standard_normal((8, 200)), most=16)
    assert len(found) == 16, "two of each feature"


def test_nothing_to_learn_from_is_no_pieces():
    assert len(quantile_pieces(np.empty((0, 3), np.float32), np.empty(0, bool))) == 0


@pytest.fixture
def tent():
    """Rises by 1 from 0 to 1, and falls by 2 from 1 to 3."""
    layer = PiecewiseLinear(2, 1)
    layer.set(Pieces(column_P=np.zeros(2, np.int64), low_P=np.float32([0, 1]), width_P=np.float32([1, 2])))
    with torch.no_grad():
        layer.layer.weight.copy_(torch.tensor([[1.0, -2.0]]))
    return layer


@pytest.mark.parametrize(("x", "y"), [(-9.0, 0), (0, 0), (0.5, 0.5), (1, 1), (2, 0), (3, -1), (99.0, -1)])
def test_between_knots_it_is_linear_and_beyond_them_constant(tent, x, y):
    assert tent(torch.tensor([[float(x)]])).item() == pytest.approx(y)


def test_any_leading_dimensions_will_do(tent):
    x = torch.linspace(-1, 4, 24).reshape(2, 3, 4, 1)
    np.testing.assert_allclose(tent(x).detach().reshape(24), tent(x.reshape(24, 1)).detach()[:, 0])


def test_a_feature_in_pieces_can_be_wanted_in_the_middle_alone():
    """No linear layer of the number itself can tell the middle from both ends; the pieces' own can."""
    x = np.linspace(-1, 1, 201, dtype=np.float32)[:, None]
    middle = np.abs(x[:, 0]) < 0.3
    found = quantile_pieces(x, middle, most=8)
    network = Behaviour(Behaviour.Config(features=1, pieces=len(found), hidden=(2,), dropout=0.0))
    network.cut(found)
    knots = torch.from_numpy(found.low_P + found.width_P / 2)
    with torch.no_grad():
        network.layers[0].weight.zero_()
        network.layers[0].bias.zero_()
        network.pieces.layer.weight[0] = torch.where(knots < 0, 1.0, -1.0)
    hidden = network.embed(torch.from_numpy(x))[:, 0].detach().numpy()
    assert hidden[middle].min() > hidden[np.abs(x[:, 0]) > 0.9].max()


def test_pieces_without_a_hidden_layer_are_refused():
    with pytest.raises(ValueError, match="hidden"):
        Behaviour.Config(features=3, pieces=2, hidden=())


@pytest.mark.parametrize("cut", [True, False])
def test_the_first_layer_is_a_sum_with_a_term_of_each_feature(cut):
    x = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    found = quantile_pieces(x, x[:, 0] > 0, most=4)
    network = Behaviour(Behaviour.Config(features=3, pieces=len(found) if cut else 0, hidden=(5,), dropout=0.0))
    network.standardise(torch.from_numpy(x.mean(axis=0)), torch.from_numpy(x.std(axis=0)))
    network.cut(found)
    rows = torch.from_numpy(x)
    terms = sum(network.term(k, rows[:, k]) for k in range(3))
    whole = network.sums(rows) - network.layers[0].bias
    np.testing.assert_allclose(terms.detach(), whole.detach(), atol=1e-5)


def test_a_batch_in_which_nobody_has_a_candidate_is_an_empty_answer(tent):
    assert tent(torch.empty(64, 0, 1)).shape == (64, 0, 1)
