"""The generator of shopping behaviour: encoder, adversary and decoder as one thing that learns, samples and scores."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from shoploop.augmentation.adversary import Adversary
from shoploop.augmentation.behaviour import RECORD_BASKETS, Behaviour, Floats, Ints, Vocabulary, concatenate
from shoploop.augmentation.conditions import Conditions
from shoploop.augmentation.decoding import Decoder, calibrate, initial_decoder
from shoploop.augmentation.embeddings import embed_items
from shoploop.augmentation.encoding import Encoding, fit_encoding

_DRAWS_PER_USER = 4


class BehaviourGenerator:
    """Virtual shoppers of a condition, a few consecutive baskets each."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        dims: int = 24
        """Of the frozen item embeddings."""

        adversary: Adversary.Config = field(default_factory=lambda: Adversary.Config(places=RECORD_BASKETS))
        calibrations: int = 20
        """Times that the decoder is corrected by what it makes."""

        calibration_records: int = 384
        """Records made for each of them."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        conditions: Conditions,
        encoding: Encoding,
        decoder: Decoder,
        adversary: Adversary,
        shapes: tuple[Ints, Ints],
        days: Ints,
    ):
        self.vocabulary, self.conditions, self.encoding = vocabulary, conditions, encoding
        self.decoder, self.adversary = decoder, adversary
        self.shapes = shapes
        """Condition and baskets of the records learned from: what a new record is asked to be is drawn from them."""

        self.days = days
        """First days of the records learned from, sorted."""

        self.last_day = int(days.max())

    def sample(
        self, records: int, *, seed: int, conditions: list[str] | None = None, calibrating: Decoder | None = None
    ) -> Behaviour:
        """Makes records, of the conditions that shoppers have, each shopper counting alike, or evenly over the named.

        Raises:
            TooFewEvents: no real shopper has a named condition.
        """
        random = np.random.default_rng(seed)
        if conditions is None:
            condition = random.choice(self.shapes[0], records)
        else:
            condition = self.conditions.choose(conditions, records, random)
        baskets = np.empty(records, np.int64)
        for value in np.unique(condition):
            known = self.shapes[1][self.shapes[0] == value]
            baskets[condition == value] = random.choice(known, int((condition == value).sum()))
        mask = (np.arange(RECORD_BASKETS) < baskets[:, None]).astype(np.float32)
        vectors = self.adversary.sample(
            condition_vectors(condition, mask, len(self.conditions.counts)), self._wide(mask), seed=seed
        )
        made = (calibrating or self.decoder).decode(
            self.encoding,
            vectors.numpy().reshape(records, RECORD_BASKETS, -1),
            mask,
            condition,
            random.choice(self.days, records),
            seed,
        )
        return _before(made, self.last_day)

    def sample_rows(self, rows: int, *, seed: int, conditions: list[str] | None = None, batch: int = 1024) -> Behaviour:
        """At least ``rows`` rows, as whole records."""
        parts: list[Behaviour] = []
        while sum(len(part.item) for part in parts) < rows:
            part = self.sample(batch, seed=seed + 7919 * len(parts), conditions=conditions)
            parts.append(replace(part, user=part.user + batch * len(parts)))
        whole = concatenate(parts)
        needed = int(np.searchsorted(np.cumsum(np.bincount(whole.row_record)), rows)) + 1
        return whole.take(np.arange(min(needed, whole.records)))

    def score(self, behaviour: Behaviour, *, seed: int = 0) -> Floats:
        """(N,) the discriminator's score of records as they are after decoding; higher is more like the real ones."""
        vectors, mask = self.encoding.encode(behaviour, np.random.default_rng(seed))
        known = np.maximum(behaviour.condition, 0)
        given = condition_vectors(known, mask, len(self.conditions.counts))
        flat = torch.from_numpy(vectors.reshape(len(vectors), -1))
        return np.asarray(self.adversary.score(flat, given).numpy(), np.float32)

    def _wide(self, mask: Floats) -> Tensor:
        return torch.from_numpy(np.repeat(mask, self.encoding.width, axis=1))


def fit_generator(
    behaviour: Behaviour,
    vocabulary: Vocabulary,
    conditions: Conditions,
    config: BehaviourGenerator.Config,
    *,
    seed: int,
    checkpoint: Path | None = None,
    progress: Callable[[str], None] | None = None,
    privately: Callable[[Adversary, Tensor, Tensor, Tensor, Ints], None] | None = None,
) -> BehaviourGenerator:
    """Learns from records that carry their conditions; goes on from ``checkpoint`` where there is one.

    Args:
        privately: Trains the adversary in the place of its own method: vectors, conditions, masks and whose each record is.

    Raises:
        GeneratorDiverged: a loss is no number.
        ArtifactForeign: the checkpoint is of another schema.
    """
    random = np.random.default_rng(seed)
    embeddings = embed_items(behaviour, vocabulary, dims=config.dims, seed=seed)
    last_day = int(behaviour.day.max())
    # A virtual shopper is to be like a shopper, not like a visit: every shopper counts alike, however many records.
    behaviour = concatenate([behaviour.one_per_user(random) for _ in range(_DRAWS_PER_USER)])
    encoding = fit_encoding(behaviour, vocabulary, embeddings)
    vectors, mask = encoding.encode(behaviour, random)
    given = condition_vectors(behaviour.condition, mask, len(conditions.counts))
    adversary = Adversary(vectors[0].size, given.shape[1], config.adversary, seed=seed)
    if checkpoint is not None and checkpoint.exists():
        adversary.load(checkpoint)
        if progress:
            progress(f"generator goes on after {adversary.step} of {config.adversary.steps} steps")
    generator = BehaviourGenerator(
        vocabulary,
        conditions,
        encoding,
        initial_decoder(behaviour, vocabulary, embeddings),
        adversary,
        (behaviour.condition, mask.sum(1).astype(np.int64)),
        np.sort(behaviour.day[behaviour.position == 0]),
    )
    generator.last_day = last_day
    learned = (torch.from_numpy(vectors.reshape(len(vectors), -1)), given, generator._wide(mask))
    if privately is not None:
        privately(adversary, *learned, behaviour.user)
        if checkpoint is not None:
            adversary.save(checkpoint)
    else:
        adversary.train(*learned, checkpoint=checkpoint, progress=progress)
    for turn in range(config.calibrations):
        made = generator.sample(config.calibration_records, seed=seed + 104729 + turn)
        strength = 0.9 if turn < config.calibrations // 2 else 0.5
        generator.decoder = calibrate(generator.decoder, made, behaviour, vocabulary, strength=strength)
    return generator


def condition_vectors(condition: Ints, mask: Floats, conditions: int) -> Tensor:
    """(N, conditions + T): which condition, and which baskets there are."""
    one_hot = np.zeros((len(condition), conditions), np.float32)
    one_hot[np.arange(len(condition)), condition] = 1
    return torch.from_numpy(np.concatenate([one_hot, mask], 1))


def _before(made: Behaviour, last_day: int) -> Behaviour:
    """Moves records that would end after the last day that the generator may speak of back by what they exceed it."""
    last = np.maximum.reduceat(made.day, np.searchsorted(made.record, np.arange(made.records)))
    return replace(made, day=made.day - np.maximum(last - last_day, 0)[made.record])
