"""The generator of shopping behaviour: encoder, adversary and decoder as one thing that learns, samples and scores."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from shoploop.augmentation.generator.adversary import Adversary
from shoploop.augmentation.generator.calibration import Strides, calibrate
from shoploop.augmentation.generator.choices import Choices
from shoploop.augmentation.generator.conditions import Conditions
from shoploop.augmentation.generator.foundations import Foundations, lay_foundations
from shoploop.augmentation.generator.marginals import Marginals
from shoploop.augmentation.generator.records import RECORD_BASKETS, Behaviour, Floats, Ints, Vocabulary, concatenate
from shoploop.augmentation.generator.selection import Selection, fit_selection
from shoploop.augmentation.generator.weekdays import on_open_days
from shoploop.compute.device import training_device
from shoploop.compute.parallel import group, leave
from shoploop.errors import SpecInvalid
from shoploop.progress import report

_DRAWS_PER_USER = 4
_MOST_PROPOSED = 4096
_OF_PAIRS, _OF_THE_REST = (0.9, 0.7, 0.5), 0.4
"""Strengths of the corrections of pairs, and of all others beside them."""

STEPS = "steps of the generator"
"""What is counted where somebody watches how far it is."""

_ALIKE = 100
"""Records learned from that are about as long as one, on either side of those as long; at an end as many on one side."""

_MOST_KEPT = 4096  # at a time: what bounds the memory


@dataclass(frozen=True, kw_only=True)
class Privately:
    """In the place of what is measured and learned without noise."""

    foundations: Foundations
    choices: Choices
    """Which of a shopper's records are learned from, and where among its like each is."""

    train: Callable[[Adversary, Tensor, Tensor, Tensor, Ints], None]
    """Of vectors, conditions, masks and whose each record is."""


class BehaviourGenerator:
    """Virtual shoppers of a condition, a few consecutive baskets each."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        dims: int = 24
        """Of the frozen item embeddings."""

        adversary: Adversary.Config = field(default_factory=lambda: Adversary.Config(places=RECORD_BASKETS, steps=400))
        calibrations: int = 20
        """Times that the decoder is corrected by what it makes."""

        calibration_records: int = 384
        """Records made for each of them."""

        proposals: int = 5
        """Records made for one that is kept; 1 keeps all."""

        selection_records: int = 4096
        """Made records that the selection learns from."""

        selection_rounds: int = 600
        """Trees of the selection."""

        pair_records: int = 2048
        """Records made for each of three corrections of what goes together: of few, a pair is mostly chance."""

        pair_shoppers: int = 20
        """k of pairs of items: what fewer shoppers had together is not told. And of days: no visit lies before the day by
        which so many had come, or after the last one from which on so many came, or on a weekday on which fewer did."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        conditions: Conditions,
        known: Foundations,
        adversary: Adversary,
    ):
        self.vocabulary, self.conditions, self.encoding = vocabulary, conditions, known.encoding
        self.decoder, self.adversary = known.decoder, adversary
        self.marginals: Marginals | None = None
        self.selection: Selection | None = None
        self.proposals = 1
        self.shapes = (known.condition, known.baskets)
        """Condition and baskets of the records learned from: what a new record is asked to be is drawn from them."""

        self.days, self.spans = known.days, known.spans
        """First days of the records learned from, and how many days these last, by which they are sorted."""

        self.range = known.first_day, known.last_day

    def sample(self, records: int, *, seed: int, conditions: list[str] | None = None) -> Behaviour:
        """Makes records, of the conditions that shoppers have, each shopper counting alike, or evenly over the named.

        Raises:
            TooFewEvents: a named condition is none that k real shoppers have.
        """
        if self.selection is None:
            return self.propose(records, seed=seed, conditions=conditions)[0]
        parts: list[Behaviour] = []
        while (missing := records - sum(part.records for part in parts)) > 0:
            turn = _turn(seed, len(parts))
            proposed, _ = self.propose(
                min(_MOST_PROPOSED, 32 + int(1.1 * missing * self.proposals)), seed=turn, conditions=conditions
            )
            parts.append(proposed.take(self.selection.keep(proposed, np.random.default_rng(turn))[:missing]))
        return replace(concatenate(parts), user=np.arange(records))

    def propose(self, records: int, *, seed: int, conditions: list[str] | None = None) -> tuple[Behaviour, Floats]:
        """Records before any selection, and the focus that was asked of each basket."""
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
        vectors = self._vectors(condition, mask, seed)
        first = self._first_days(vectors, mask, random)
        made, asked = self.decoder.decode(self.encoding, vectors, mask, condition, first, seed)
        return on_open_days(within(made, *self.range), self.decoder.weekdays, *self.range), asked

    def _first_days(self, vectors: Floats, mask: Floats, random: np.random.Generator) -> Ints:
        """(N,) drawn; where it is known, of real records that last about as long."""
        if self.spans is None:
            return np.asarray(random.choice(self.days, len(vectors)), np.int64)
        gaps = np.maximum(self.encoding.number(vectors, "gap"), 1)[:, 1:]
        span = (gaps.astype(np.int64) * (mask[:, 1:] > 0)).sum(1)
        low, high = (np.searchsorted(self.spans, span, side) for side in ("left", "right"))
        start = np.clip(low - _ALIKE, 0, max(len(self.days) - 2 * _ALIKE, 0))
        stop = np.minimum(np.maximum(high + _ALIKE, start + 2 * _ALIKE), len(self.days))
        return np.asarray(self.days[random.integers(start, stop)], np.int64)

    def _vectors(self, condition: Ints, mask: Floats, seed: int) -> Floats:
        """(N, T, F)"""
        given = condition_vectors(condition, mask, len(self.conditions.counts))
        vectors = self.adversary.sample(given, self._wide(mask), seed=seed).numpy().reshape(*mask.shape, -1)
        return self.marginals.apply(vectors) if self.marginals else vectors

    def sample_rows(self, rows: int, *, seed: int, conditions: list[str] | None = None) -> Behaviour:
        """At least ``rows`` rows, as whole records."""
        parts: list[Behaviour] = []
        wanted = 128
        while (missing := rows - sum(len(part.item) for part in parts)) > 0:
            if parts:
                wanted = 16 + int(1.05 * missing * sum(p.records for p in parts) / sum(len(p.item) for p in parts))
            parts.append(
                self.sample(min(wanted, _MOST_KEPT), seed=_turn(seed, 10_000 + len(parts)), conditions=conditions)
            )
        whole = concatenate(parts)
        whole = replace(whole, user=np.arange(whole.records))
        needed = int(np.searchsorted(np.cumsum(np.bincount(whole.row_record)), rows)) + 1
        return whole.take(np.arange(min(needed, whole.records)))

    def score(self, behaviour: Behaviour, *, seed: int = 0) -> Floats:
        """(N,) the discriminator's score of records as they are after decoding; higher is more like the real ones."""
        vectors, mask = self.encoding.encode(behaviour, np.random.default_rng(seed))
        known = np.maximum(behaviour.condition, 0)
        given = condition_vectors(known, mask, len(self.conditions.counts))
        flat = torch.from_numpy(vectors.reshape(len(vectors), -1))
        return np.asarray(self.adversary.score(flat, given).numpy(), np.float32)

    def losses(self) -> dict[str, Callable[[Behaviour], npt.NDArray[Any]]]:
        """By name, how like the real ones records look to each discriminator that was trained on real ones."""
        selection = {"selection": self.selection.log_ratio} if self.selection else {}
        return {"discriminator": self.score, **selection}

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
    privately: Privately | None = None,
    tells: Callable[[Floats], float] | None = None,
) -> BehaviourGenerator:
    """Learns from records that carry their conditions; goes on from ``checkpoint`` where there is one.

    Args:
        tells: How much items' shares tell of who was counted, by shoppers who were not.
        privately: What is known of shoppers, and how the adversary is trained, where both must stay within a budget.

    Raises:
        GeneratorDiverged: a loss is no number.
        ArtifactForeign: the checkpoint is of another schema.
        SpecInvalid: several processes would share what only one can do.
    """

    def trained(steps: int) -> None:
        report(steps, config.adversary.steps, STEPS)
        if progress:
            progress(f"generator {steps} of {config.adversary.steps} steps")

    random = np.random.default_rng(seed)
    # A virtual shopper is to be like a shopper, not like a visit: every shopper counts alike, however many records.
    drawn = concatenate(
        [
            behaviour.one_per_user(random)
            if privately is None
            else privately.choices.one_each(behaviour, f"record {turn}")
            for turn in range(_DRAWS_PER_USER)
        ]
    )
    known = (
        privately.foundations
        if privately is not None
        else lay_foundations(
            behaviour,
            drawn,
            vocabulary,
            dims=config.dims,
            min_users=config.pair_shoppers,
            seed=seed,
            tells=tells,
        )
    )
    behaviour = drawn
    ties = random if privately is None else privately.choices.ties(behaviour, known.encoding.width)
    vectors, mask = known.encoding.encode(behaviour, ties)
    given = condition_vectors(behaviour.condition, mask, len(conditions.counts))
    if privately is not None and group().size > 1:
        raise SpecInvalid(
            "A generator with differential privacy learns in one process: its noise is drawn by one alone."
        )
    # Opacus draws its noise by a generator of the CPU, and where that lies the gradients must lie
    device = training_device() if privately is None else "cpu"
    adversary = Adversary(vectors[0].size, given.shape[1], config.adversary, seed=seed, device=device)
    if checkpoint is not None and checkpoint.exists():
        adversary.load(checkpoint)
        if progress:
            progress(f"generator goes on after {adversary.step} of {config.adversary.steps} steps")
    generator = BehaviourGenerator(vocabulary, conditions, known, adversary)
    learned = (torch.from_numpy(vectors.reshape(len(vectors), -1)), given, generator._wide(mask))
    if privately is not None:
        privately.train(adversary, *learned, behaviour.user)
        if checkpoint is not None:
            adversary.save(checkpoint)
    else:
        adversary.train(*learned, checkpoint=checkpoint, progress=trained)
        leave()  # what comes now is for one process
        # A map of quantiles and a second discriminator learn from shoppers; no budget bounds what these would tell.
        made_vectors = generator._vectors(behaviour.condition, mask, _turn(seed, 1))
        generator.marginals = Marginals.fit(made_vectors, mask, vectors, mask)
    strides = Strides()
    for turn in range(config.calibrations):
        made, asked = generator.propose(config.calibration_records, seed=_turn(seed, 2 + turn))
        strength = 0.9 if turn < config.calibrations // 2 else 0.5
        generator.decoder = calibrate(generator.decoder, made, asked, known.aim, strength=strength, strides=strides)
    if known.aim.company is not None:
        for turn, strength in enumerate(_OF_PAIRS):
            made, asked = generator.propose(config.pair_records, seed=_turn(seed, 500 + turn))
            generator.decoder = calibrate(
                generator.decoder,
                made,
                asked,
                known.aim,
                strength=_OF_THE_REST,
                of_pairs=strength,
                strides=strides,
            )
    if config.proposals > 1 and privately is None:
        generator.proposals = config.proposals
        proposed, fresh = (
            generator.propose(records, seed=_turn(seed, 1000 + i))[0]
            for i, records in enumerate((config.selection_records, config.selection_records // 4))
        )
        generator.selection = fit_selection(
            behaviour,
            proposed,
            fresh,
            vocabulary,
            known.shares,
            rounds=config.selection_rounds,
            proposals=config.proposals,
            seed=seed,
        )
    return generator


def _turn(seed: int, turn: int) -> int:
    """Another seed for each turn."""
    return int(np.random.SeedSequence((seed, turn)).generate_state(1)[0])


def condition_vectors(condition: Ints, mask: Floats, conditions: int) -> Tensor:
    """(N, conditions + T): which condition, and which baskets there are."""
    one_hot = np.zeros((len(condition), conditions), np.float32)
    one_hot[np.arange(len(condition)), condition] = 1
    return torch.from_numpy(np.concatenate([one_hot, mask], 1))


def within(made: Behaviour, first_day: int, last_day: int) -> Behaviour:
    """Moves records by whole weeks until they lie within these days; one that is longer than all of them is shortened."""
    start = np.searchsorted(made.record, np.arange(made.records))
    begin, end = made.day[start], np.maximum.reduceat(made.day, start)
    shift = -7 * -(-np.maximum(end - last_day, 0) // 7)
    shift += 7 * -(-np.maximum(first_day - begin - shift, 0) // 7)
    fits = end + shift <= last_day
    since = (made.day - begin[made.record]).astype(np.float64)
    room = np.minimum((last_day - first_day) / np.maximum(end - begin, 1), 1.0)
    short = first_day + np.floor(since * room[made.record]).astype(np.int64)
    # What whole weeks bring to neither side is moved to the last day at which it fits.
    late = np.minimum(begin + shift, last_day - (end - begin))[made.record] + since.astype(np.int64)
    moved = np.where(fits[made.record], made.day + shift[made.record], late)
    return replace(made, day=np.where((end - begin > last_day - first_day)[made.record], short, moved))
