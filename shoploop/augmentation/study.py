"""A generator learned from one shop's shoppers, with a sheet about its fidelity and its privacy."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from torch import Tensor

from shoploop.augmentation.generator.adversary import Adversary
from shoploop.augmentation.generator.conditions import fit_conditions
from shoploop.augmentation.generator.dp_sgd import Budget, Spent, shortened, train_privately
from shoploop.augmentation.generator.fitting import BehaviourGenerator, fit_generator
from shoploop.augmentation.generator.pseudonyms import pseudonym_key, pseudonymise
from shoploop.augmentation.generator.records import (
    Behaviour,
    Ints,
    Vocabulary,
    build_vocabulary,
    read_behaviour,
    split_users,
)
from shoploop.augmentation.generator.rows import generator_digest, item_prices, shop_shares, write_rows
from shoploop.augmentation.proofs import fidelity, two_sample
from shoploop.augmentation.proofs import privacy_attacks as privacy
from shoploop.augmentation.proofs.controls import sample_popularity
from shoploop.compute.cores import one_thread

MIN_BUYERS = 5
"""k: an item, and a shop, of fewer users is never spoken of."""

HELD_OUT = 0.3
"""Share of the shoppers that the generator never sees: the other side of every attack."""

SEGMENTS = 8
TWO_SAMPLE_AUC = 0.80
CONTROL_AUC = 0.90

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Study:
    """What was learned, and from whom."""

    vocabulary: Vocabulary
    real: Behaviour
    held: Behaviour
    generator: BehaviourGenerator
    interactions: pl.DataFrame
    """Pseudonymous, of those learned from; for prices and shops, which are aggregates."""

    seed: int
    shoppers: int
    """Those looked at, in and out of the generator's data."""

    digest: str
    spent: Spent | None = None
    """What it cost of the shoppers' privacy, where that was asked to be bounded."""

    def table(self, made: Behaviour, *, seed: int) -> pa.Table:
        """The rows in the canonical schema, marked as virtual."""
        return write_rows(
            made,
            self.vocabulary,
            item_prices(self.interactions, self.vocabulary),
            shop_shares(self.interactions, min_users=MIN_BUYERS),
            digest=self.digest,
            seed=seed,
            score=self.generator.score(made, seed=seed),
        )


@one_thread()
def learn(
    interactions: pl.DataFrame,
    items: pl.DataFrame,
    *,
    config: BehaviourGenerator.Config | None = None,
    most_shoppers: int | None = None,
    seed: int,
    checkpoint: Path | None = None,
    budget: Budget | None = None,
    progress: Progress = lambda what: None,
) -> Study:
    """Learns a generator from canonical interactions; users' names are replaced before anything else is done.

    Args:
        most_shoppers: A random sample of users, where the data has more.
        checkpoint: Where the training goes on from, and what it leaves.
        budget: Trains with differential privacy.

    Raises:
        TooFewEvents: fewer than 50 histories, or a single item.
        GeneratorDiverged, ArtifactForeign: see :func:`fit_generator`.
        SpecInvalid: no noise keeps the training within its budget.
    """
    config = config or BehaviourGenerator.Config()
    if budget is not None:
        config = replace(config, adversary=shortened(config.adversary))
    # What is made must not depend on the key: the draw is over users in the order of the data.
    users = interactions.select(pl.col("user").unique(maintain_order=True))
    if most_shoppers is not None and users.height > most_shoppers:
        drawn = np.sort(np.random.default_rng(seed).permutation(users.height)[:most_shoppers])
        interactions = interactions.join(users[drawn], on="user", how="semi", maintain_order="left")
    key = pseudonym_key()
    known = pseudonymise(interactions, key)
    seen, hidden = split_users(known, share=HELD_OUT, random=np.random.default_rng(seed))
    vocabulary, behaviour = _anonymous(seen, items)
    conditions, real = fit_conditions(behaviour, vocabulary, segments=SEGMENTS, seed=seed)
    held = conditions.assign(read_behaviour(hidden, vocabulary), vocabulary)
    progress(f"a generator learns from {len(np.unique(real.user))} shoppers")
    spent: list[Spent] = []

    def privately(adversary: Adversary, vectors: Tensor, conditions: Tensor, masks: Tensor, users: Ints) -> None:
        assert budget is not None, "only a training with a budget is private"
        once = train_privately(adversary, vectors, conditions, masks, users, budget, key=key, progress=progress)
        spent.append(once)

    generator = fit_generator(
        real,
        vocabulary,
        conditions,
        config,
        seed=seed,
        checkpoint=checkpoint,
        progress=progress,
        privately=privately if budget else None,
    )
    return Study(
        vocabulary=vocabulary,
        real=real,
        held=held,
        generator=generator,
        interactions=seen,
        seed=seed,
        shoppers=known["user"].n_unique(),
        digest=generator_digest(generator),
        spent=spent[0] if spent else None,
    )


def _anonymous(seen: pl.DataFrame, items: pl.DataFrame) -> tuple[Vocabulary, Behaviour]:
    """A vocabulary of which every item was bought by k shoppers of the records themselves, and the records.

    A history's first, single basket belongs to no record; without it an item may fall below k, and without that item
    another basket may be gone: hence in turns.
    """
    while True:
        vocabulary = build_vocabulary(seen, items, min_buyers=MIN_BUYERS)
        behaviour = read_behaviour(seen, vocabulary)
        rare = np.flatnonzero(privacy.buyers_of(behaviour, len(vocabulary)) < MIN_BUYERS)
        if not len(rare):
            return vocabulary, behaviour
        seen = seen.filter(~pl.col("item").is_in([vocabulary.items[i] for i in rare]))


@one_thread()
def sheet(study: Study, made: Behaviour, *, progress: Progress = lambda what: None) -> dict[str, Any]:
    """Fidelity and privacy of records, as they stand in reports beside what was made.

    Returns:
        ``fidelity`` (``two_sample_auc``, ``control_auc`` of a popularity sampler in the same run, ``real_auc``: the same
        test between real shoppers, ``telling``, ``marginals`` with distance, floor, passed, ``coverage``, ``novelty``,
        ``passed``), ``privacy`` (see :class:`Privacy`, with ``reasons`` and ``passed``).
    """
    real, held, vocabulary = study.real, study.held, study.vocabulary
    popularity = np.bincount(real.item, minlength=len(vocabulary)).astype(np.float32) / len(real.item)
    random = np.random.default_rng(study.seed)
    judge_by = held.one_per_user(random)
    other = real.one_per_user(random, judge_by.records)
    control = sample_popularity(other, judge_by.records, vocabulary, seed=study.seed)
    progress("can a classifier tell it from real behaviour")
    tests = {
        name: two_sample.compare(side, judge_by, vocabulary, popularity, seed=study.seed)
        for name, side in (("made", made), ("control", control), ("real", other))
    }
    progress("statistics against the hold-out")
    marginals = fidelity.measure(made, real, held, vocabulary, seed=study.seed)
    progress("attacks on privacy")
    attacked = privacy.attack(made, real, held, vocabulary, seed=study.seed, losses=study.generator.losses())
    reasons = attacked.reasons(k=MIN_BUYERS)
    auc = tests["made"].auc
    return {
        "fidelity": {
            "two_sample_auc": auc,
            "control_auc": tests["control"].auc,
            "real_auc": tests["real"].auc,
            "telling": [list(pair) for pair in tests["made"].telling],
            "marginals": {name: asdict(m) | {"passed": m.passed} for name, m in marginals.items()},
            **fidelity.coverage_and_novelty(made, real, held, vocabulary),
            "passed": auc <= TWO_SAMPLE_AUC
            and tests["control"].auc >= CONTROL_AUC
            and all(m.passed for m in marginals.values()),
        },
        "privacy": attacked.to_json()
        | {"k_asked": MIN_BUYERS, "allowed": privacy.ALLOWED, "reasons": reasons, "passed": not reasons}
        | {"differential_privacy": study.spent.to_json() if study.spent else None},
    }


def profiles(made: Behaviour, users: pl.DataFrame, study: Study, names: list[str], *, seed: int) -> pl.DataFrame:
    """A users table for virtual shoppers: each attribute drawn on its own from values that at least k users have.

    Drawn alone, no combination of attributes can be a real user's except by chance.
    """
    random = np.random.default_rng(seed)
    columns: dict[str, Any] = {"user": names}
    for name in users.columns:
        if name == "user" or users.schema[name] != pl.String:
            continue
        counts = users[name].drop_nulls().value_counts().filter(pl.col("count") >= MIN_BUYERS).sort(name)
        if counts.height:
            share = counts["count"].to_numpy() / counts["count"].sum()
            columns[name] = random.choice(counts[name].to_numpy(), len(names), p=share)
    return pl.DataFrame(columns).with_columns(is_synthetic=True, generator=pl.lit(study.digest), seed=seed)
