"""That importance leaves nothing behind on the CPU where a GPU computes.

On ``meta``, torch's device of shapes alone, most operations refuse tensors of the CPU, as a GPU's do.
"""

import numpy as np
import torch

from shoploop.importance.estimators import gan
from shoploop.importance.estimators.attention import PrototypeAttention, View
from shoploop.importance.estimators.gan import Discriminator, GanConfig, Generator, train_gan
from shoploop.importance.estimators.gan_attention import make_prototypes
from shoploop.importance.estimators.table import Table

NETS, ROWS, FEATURES, CLASSES = 2, 6, 3, 2


def networks():
    draws = torch.Generator().manual_seed(0)
    return (
        Discriminator(NETS, FEATURES, CLASSES, 4, draws).to("meta"),
        Generator(NETS, FEATURES, CLASSES, 5, 4, draws).to("meta"),
        draws,
    )


def test_the_generator_makes_its_noise_where_it_computes():
    judge, forger, draws = networks()
    anchors = torch.zeros(NETS, ROWS, FEATURES, device="meta")
    labels = torch.zeros(NETS, ROWS, CLASSES, device="meta")
    made = forger(anchors, labels, draws)
    assert made.device.type == judge(made).device.type == "meta"


def test_attention_lies_where_the_discriminator_does():
    judge, *_ = networks()
    told = gan.TrainedGan(folds=None, discriminator=judge, generator=None, history=[])
    rows = torch.zeros(NETS, ROWS, FEATURES, device="meta")
    view = View(told, rows, 0.2)
    attention = PrototypeAttention(view, torch.zeros(NETS, CLASSES, 4, FEATURES, device="meta"), 8.0)
    assert attention(view(rows)).device.type == told.device.type == "meta"
    assert attention.one(0, 1, view.one(0, rows[0])).shape == (ROWS, 4)


def test_prototypes_are_made_where_the_networks_are():
    rng = np.random.default_rng(0)
    table = Table.of(rng.normal(size=(20, FEATURES)), np.arange(20) % CLASSES)
    trained = train_gan(table, GanConfig(folds=2, steps=2), seed=0)
    trained.discriminator.to("meta")
    trained.generator.to("meta")
    prototypes, scores = make_prototypes(table, trained, 4, source="Generated", seed=0)
    assert prototypes.device.type == scores.device.type == "meta"
