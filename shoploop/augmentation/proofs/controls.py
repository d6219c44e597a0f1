"""Generators that must be refused, and the sampler that must be recognised: they show that the tests can see.

Each makes records from real ones as :class:`~shoploop.augmentation.generator.fitting.BehaviourGenerator` does.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from shoploop.augmentation.generator.records import Behaviour, Vocabulary


def sample_popularity(real: Behaviour, records: int, vocabulary: Vocabulary, *, seed: int) -> Behaviour:
    """Real sizes, days and hours; every item drawn by popularity alone. A classifier that cannot tell it is blind."""
    random = np.random.default_rng(seed)
    frame = real.take(random.integers(real.records, size=records))
    share = np.bincount(real.item, minlength=len(vocabulary)) / len(real.item)
    return _anonymous(replace(frame, item=random.choice(len(share), len(frame.item), p=share)))


def sample_noise(real: Behaviour, records: int, vocabulary: Vocabulary, *, seed: int) -> Behaviour:
    """Uniform items, sizes' and days' order destroyed: behaviour of nobody."""
    random = np.random.default_rng(seed)
    frame = real.take(random.integers(real.records, size=records))
    return _anonymous(replace(frame, item=random.integers(len(vocabulary), size=len(frame.item))))


class Memoriser:
    """A network with a code per real record, trained until it says that record's baskets by heart.

    What an overfitted generator is in the limit: generative latent optimisation (Bojanowski et al. 2018) without any
    regularisation. Shapes: N records, K size of a code, V items.
    """

    def __init__(self, real: Behaviour, vocabulary: Vocabulary, *, seed: int, steps: int = 300, code: int = 64):
        self.real = real
        baskets = len(real.record)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.codes = nn.Embedding(baskets, code)
            self.items = nn.Linear(code, len(vocabulary))
        optimiser = torch.optim.Adam([*self.codes.parameters(), *self.items.parameters()], lr=0.05)
        basket, item = torch.from_numpy(real.basket), torch.from_numpy(real.item)
        random = torch.Generator().manual_seed(seed)
        for _ in range(steps):
            at = torch.randperm(baskets, generator=random)[:512]
            place = torch.full((baskets,), -1).index_put((at,), torch.arange(len(at)))
            rows = place[basket] >= 0
            log_share_BV = torch.log_softmax(self.items(self.codes(at)), 1)
            loss = -log_share_BV[place[basket[rows]], item[rows]].mean()
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()

    @torch.no_grad()
    def sample(self, records: int, *, seed: int) -> Behaviour:
        """Records as the network remembers them: of each basket the items it finds likeliest."""
        random = np.random.default_rng(seed)
        chosen = random.integers(self.real.records, size=records)
        frame = self.real.take(chosen)
        start = np.searchsorted(self.real.record, chosen)
        source = start[frame.record] + frame.position
        sizes = frame.sizes
        items = np.empty(len(frame.item), np.int64)
        for at in range(0, len(source), 512):
            part = slice(at, at + 512)
            logits_BV: Tensor = self.items(self.codes(torch.from_numpy(source[part])))
            best = logits_BV.topk(int(sizes[part].max()), dim=1).indices.numpy()
            kept = np.arange(best.shape[1]) < sizes[part][:, None]
            items[(frame.basket >= at) & (frame.basket < at + 512)] = best[kept]
        return _anonymous(replace(frame, item=items))


def _anonymous(made: Behaviour) -> Behaviour:
    return replace(made, user=np.arange(made.records))
