"""α by circumstances, on scores of which one sees which network is right where."""

from types import SimpleNamespace

import pytest
import torch

from shoploop.features.contract import PAIR_FEATURES
from shoploop.models.fusion import Scores
from shoploop.training.contextual import CIRCUMSTANCES, learn_alpha

NAMES = tuple(feature.name for feature in PAIR_FEATURES)
OWN = NAMES.index("own_days")


class TwoNetworks:
    """Says what it was told to; α is a half."""

    def __init__(self, dnn_BN, transformer_BN):
        self.alpha = {"items": 0.5}
        self.scores = Scores(dnn_BN=dnn_BN, transformer_BN=transformer_BN, fused_BN=(dnn_BN + transformer_BN) / 2)

    def eval(self):
        return self

    def __call__(self, batch):
        return self.scores


def visits(right_of_dnn):
    """Three hundred requests with two items that the user bought before and two that are new. The wanted item is one of the
    four; each network knows it, and is as sure of a wrong one, but for where it is right."""
    generator = torch.Generator().manual_seed(0)
    wanted_B = torch.randint(0, 4, (300,), generator=generator)
    wrong_B = (wanted_B + torch.randint(1, 4, (300,), generator=generator)) % 4
    labels_BN = torch.nn.functional.one_hot(wanted_B, 4).float()
    noise_BN = torch.nn.functional.one_hot(wrong_B, 4).float()
    features_BNK = torch.zeros(300, 4, len(NAMES))
    features_BNK[:, :2, OWN] = 1.0
    bought_BN = features_BNK[..., OWN] > 0
    of_dnn_BN = torch.ones_like(bought_BN) if right_of_dnn == "everywhere" else bought_BN
    dnn_BN = 3 * torch.where(of_dnn_BN, labels_BN, noise_BN)
    transformer_BN = 3 * torch.where(of_dnn_BN, noise_BN, labels_BN)
    batch = SimpleNamespace(features_BNK=features_BNK, mask_BN=torch.ones(300, 4, dtype=torch.bool))
    held = SimpleNamespace(batch=batch, labels_BN=labels_BN, weights_BN=torch.ones(300, 4))
    return TwoNetworks(dnn_BN, transformer_BN), held


@pytest.fixture
def contract():
    return SimpleNamespace(pair_features=NAMES)


def test_the_network_that_is_right_about_what_was_bought_counts_there_and_the_other_one_elsewhere(contract):
    model, held = visits("bought")
    alpha_BN = learn_alpha(model, contract, held).alpha(held.batch.features_BNK)
    assert alpha_BN[:, :2].mean() > 0.75 and alpha_BN[:, 2:].mean() < 0.25


def test_where_one_network_is_right_about_all_items_alike_so_is_its_share(contract):
    model, held = visits("everywhere")
    alpha_BN = learn_alpha(model, contract, held).alpha(held.batch.features_BNK)
    assert alpha_BN.min() > 0.75
    assert (alpha_BN[:, :2].mean() - alpha_BN[:, 2:].mean()).abs() < 0.1


def test_neither_network_is_ever_lost(contract):
    model, held = visits("bought")
    far_BNK = 1e6 * torch.ones(1, 2, len(NAMES))
    alpha_BN = learn_alpha(model, contract, held).alpha(far_BNK)
    assert ((alpha_BN > 0.01) & (alpha_BN < 0.99)).all()


def test_circumstances_are_features_of_the_contract():
    assert set(CIRCUMSTANCES) <= set(NAMES)
