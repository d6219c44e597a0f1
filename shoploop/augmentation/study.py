"""A generator learned from one shop's shoppers, with a sheet about its fidelity and its privacy."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from torch import Tensor

from shoploop.augmentation.generator.adversary import Adversary
from shoploop.augmentation.generator.choices import Choices, drawn_by_key, split_by_key, steady_share
from shoploop.augmentation.generator.conditions import Conditions, fit_conditions
from shoploop.augmentation.generator.dp_sgd import Budget, Spent, plan, shortened, train_privately
from shoploop.augmentation.generator.fitting import BehaviourGenerator, Privately, fit_generator
from shoploop.augmentation.generator.habits import Habits, fit_habits, unknown_habits
from shoploop.augmentation.generator.keyed import Release
from shoploop.augmentation.generator.ledger import Ledger
from shoploop.augmentation.generator.private import lay_private_foundations, private_conditions, private_vocabulary
from shoploop.augmentation.generator.pseudonyms import pseudonym_key, pseudonymise
from shoploop.augmentation.generator.records import (
    RECORD_BASKETS,
    Behaviour,
    Floats,
    Ints,
    Vocabulary,
    build_vocabulary,
    read_behaviour,
    split_users,
)
from shoploop.augmentation.generator.rows import generator_digest, write_rows
from shoploop.augmentation.proofs import fidelity, two_sample, unselected
from shoploop.augmentation.proofs import privacy_attacks as privacy
from shoploop.augmentation.proofs.controls import sample_popularity
from shoploop.code_digest import code_digest
from shoploop.compute.cores import one_thread
from shoploop.features.log import day_of
from shoploop.progress import warn

MIN_BUYERS = 20
"""k: an item, a shop, and a condition, of fewer users is never spoken of: that it is there at all would tell of those few."""

HELD_OUT = 0.3
"""Share of the shoppers that the generator never sees: the other side of every attack."""

SEGMENTS = 8

ROWS_OF_SHARES = 10_000_000
"""As many rows stand for shares: more than any catalogue has items."""

TWO_SAMPLE_AUC = 0.80
CONTROL_AUC = 0.90

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Study:
    """What was learned, and from whom."""

    vocabulary: Vocabulary
    real: Behaviour
    held: Behaviour
    conditions: Conditions
    generator: BehaviourGenerator
    interactions: pl.DataFrame
    """Pseudonymous, of those learned from; for prices and shops, which are aggregates."""

    seed: int
    shoppers: int
    """Those looked at, in and out of the generator's data, with histories long enough or not."""

    digest: str
    hidden: pl.DataFrame
    """The same of the hold-out; for judges alone."""

    spent: Spent | None = None
    """What it cost of the shoppers' privacy, where that was asked to be bounded."""

    @property
    def counted(self) -> dict[str, int]:
        """How many shoppers were looked at, learned from, and held out."""
        sides = {"learned_from": self.real, "held_out": self.held}
        return {"shoppers": self.shoppers} | {name: len(np.unique(side.user)) for name, side in sides.items()}

    @property
    def days(self) -> tuple[date, date]:
        """First and last day that a visit may fall on."""
        first, last = (date(1970, 1, 1) + timedelta(days=day) for day in self.generator.range)
        return first, last

    @cached_property
    def habits(self) -> Habits:
        """Of quantities, prices and shops; none where a budget would have to cover them."""
        if self.spent is not None:
            return unknown_habits(self.vocabulary)
        return fit_habits(self.interactions, self.vocabulary, min_users=MIN_BUYERS)

    def table(self, made: Behaviour, *, seed: int) -> pa.Table:
        """The rows in the canonical schema, marked as virtual; without price and shop where a budget covers neither."""
        return write_rows(
            made,
            self.vocabulary,
            self.habits,
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
    key: bytes | None = None,
    progress: Progress = lambda what: None,
) -> Study:
    """Learns a generator from canonical interactions; users' names are replaced before anything else is done.

    Args:
        most_shoppers: A random sample of users who came on two days or more, where the data has more of these.
        checkpoint: Where the training goes on from, and what it leaves.
        budget: Trains with differential privacy.
        key: Of pseudonyms and noise; unset, see :func:`pseudonym_key`.

    Raises:
        TooFewEvents: fewer than 50 histories, or a single item.
        GeneratorDiverged, ArtifactForeign: see :func:`fit_generator`.
        SpecInvalid: no noise keeps the training within its budget.
    """
    config = config or BehaviourGenerator.Config()
    if budget is not None:
        config = replace(config, adversary=shortened(config.adversary))
        if doubt := budget.doubt(interactions["user"].n_unique()):
            warn(doubt)
    # A coupon's or a bottle bank's row of no pieces is nothing that was bought.
    interactions = interactions.filter(pl.col("quantity") > 0)
    key = pseudonym_key() if key is None else key
    days = interactions.select(first=day_of("time").min(), last=day_of("time").max()).row(0)
    users = _with_history(interactions)
    if most_shoppers is not None and users.height > most_shoppers:
        if budget is None:  # what is made must not depend on the key: the draw is over users in the order of the data
            drawn = np.sort(np.random.default_rng(seed).permutation(users.height)[:most_shoppers])
        else:
            share = steady_share(most_shoppers, users.height)
            drawn = drawn_by_key(users["user"], share=share, key=key, purpose="drawn")
        interactions = interactions.join(users[drawn], on="user", how="semi", maintain_order="left")
    known = pseudonymise(interactions, key)
    if budget is None:
        seen, hidden = split_users(known, share=HELD_OUT, random=np.random.default_rng(seed))
    else:
        seen, hidden = split_by_key(known, share=HELD_OUT, key=key)
    ledger: Ledger | None = None
    if budget is None:
        vocabulary, behaviour = _anonymous(seen, items)
        conditions, real = fit_conditions(behaviour, vocabulary, segments=SEGMENTS, min_users=MIN_BUYERS, seed=seed)
    else:
        learners = seen["user"].n_unique()
        release = _release(key, seen, items, [asdict(config), asdict(budget), seed, [str(day) for day in days]])
        ledger = Ledger(plan(learners, config.adversary, budget).counts_noise, release=release)
        vocabulary, buyers = private_vocabulary(seen, items, ledger, min_buyers=MIN_BUYERS)
        conditions, real = private_conditions(read_behaviour(seen, vocabulary), vocabulary, min_users=MIN_BUYERS)
    held = conditions.assign(read_behaviour(hidden, vocabulary), vocabulary)
    progress(f"a generator learns from {len(np.unique(real.user))} shoppers")
    spent: list[Spent] = []

    def privately(adversary: Adversary, vectors: Tensor, conditions: Tensor, masks: Tensor, users: Ints) -> None:
        assert budget is not None, "only a training with a budget is private"
        once = train_privately(adversary, vectors, conditions, masks, users, budget, release=release, progress=progress)
        spent.append(once)

    privately_ = None
    if ledger is not None:
        choices = Choices.of(seen, key)
        foundations = lay_private_foundations(
            real, vocabulary, buyers, ledger, choices, days=days, dims=config.dims, seed=seed
        )
        privately_ = Privately(foundations=foundations, choices=choices, train=privately)
    generator = fit_generator(
        real,
        vocabulary,
        conditions,
        config,
        seed=seed,
        checkpoint=checkpoint,
        progress=progress,
        privately=privately_,
        tells=_tells(real, held, seed),
    )
    return Study(
        vocabulary=vocabulary,
        real=real,
        held=held,
        conditions=conditions,
        generator=generator,
        interactions=seen,
        hidden=hidden,
        seed=seed,
        shoppers=known["user"].n_unique(),
        digest=generator_digest(generator),
        spent=replace(spent[0], counts=tuple(ledger.told)) if spent and ledger else None,
    )


def _tells(real: Behaviour, held: Behaviour, seed: int) -> Callable[[Floats], float]:
    """AUC at which shares of items tell whom they were counted of, by half of those who were not: the sheet asks all."""
    users = np.unique(held.user)
    half = np.random.default_rng((seed, 5)).permutation(users)[: (len(users) + 1) // 2]
    others = held.take(np.flatnonzero(np.isin(held.user, half)))

    def tells(shares: Floats) -> float:
        rows = np.round(shares.astype(np.float64) * ROWS_OF_SHARES).astype(np.int64)
        return privacy.count_auc(rows, real, others, seed=seed)

    return tells


def _release(key: bytes, seen: pl.DataFrame, items: pl.DataFrame, settings: list[Any]) -> Release:
    """What is learned privately from these. Another version of the code may measure otherwise, so that it draws otherwise."""
    return Release.of(key, [seen, items], json.dumps([*settings, code_digest(__name__)]))


def _with_history(interactions: pl.DataFrame) -> pl.DataFrame:
    """``user`` of those who came on two days, by first appearance: where nearly all came once, a sample of all holds nobody
    to learn from."""
    days = interactions.group_by("user", maintain_order=True).agg(days=day_of("time").n_unique())
    return days.filter(pl.col("days") > 1).select("user")


def _anonymous(seen: pl.DataFrame, items: pl.DataFrame) -> tuple[Vocabulary, Behaviour]:
    """A vocabulary of which every item was bought by k shoppers of the records themselves, and the records.

    A history's first, single basket belongs to no record; without it an item may fall below k, and without that item
    another basket may be gone: hence in turns.
    """
    all_rows = seen.height
    while True:
        vocabulary = build_vocabulary(seen, items, min_buyers=MIN_BUYERS)
        behaviour = read_behaviour(seen, vocabulary)
        rare = np.flatnonzero(privacy.buyers_of(behaviour, len(vocabulary)) < MIN_BUYERS)
        if not len(rare):
            inside = (1 - vocabulary.outside) * seen.height
            return replace(vocabulary, outside=1 - inside / all_rows), behaviour
        seen = seen.filter(~pl.col("item").is_in([vocabulary.items[i] for i in rare]))


@one_thread()
def sheet(
    study: Study, made: Behaviour, *, between_real: bool = False, progress: Progress = lambda what: None
) -> dict[str, Any]:
    """Fidelity and privacy of records, as they stand in reports beside what was made.

    Args:
        between_real: Spends several times the time on what a benchmark asks beside: see :func:`judge_rows`.

    Returns:
        ``fidelity`` (``two_sample_auc``, ``control_auc`` of a popularity sampler in the same run, ``real_auc``: the same
        test between real shoppers, ``telling``, ``curve``, ``marginals`` with distance, floor, passed, ``coverage``,
        ``novelty``, ``passed``), ``judges`` (AUC of the ``selected`` and of the ``unselected``), ``unselected`` (see
        :func:`judge_rows`), ``days`` (``first`` and ``last`` that a visit may fall on), ``attacks`` by name with ``auc``,
        ``interval`` by shopper and ``control``, ``privacy`` (see :class:`Privacy`, with ``reasons`` and ``passed``).
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
    progress("a judge that nothing selects by")
    judged = judge_rows(study, made, between_real=between_real, as_many_visits=between_real)
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
            "curve": tests["made"].curve,
            "marginals": {name: asdict(m) | {"passed": m.passed} for name, m in marginals.items()},
            **fidelity.coverage_and_novelty(made, real, held, vocabulary),
            "passed": auc <= TWO_SAMPLE_AUC
            and tests["control"].auc >= CONTROL_AUC
            and all(m.passed for m in marginals.values()),
        },
        "attacks": attacked.told(),
        "judges": {"selected": auc, "unselected": judged["auc"]},
        "unselected": judged,
        "days": {name: day.isoformat() for name, day in zip(("first", "last"), study.days, strict=True)},
        "privacy": attacked.to_json()
        | {"k_asked": MIN_BUYERS, "allowed": privacy.ALLOWED, "reasons": reasons, "passed": not reasons}
        | {"differential_privacy": study.spent.to_json() if study.spent else None},
    }


def judge_rows(
    study: Study, made: Behaviour, *, between_real: bool = False, as_many_visits: bool = False
) -> dict[str, Any]:
    """What written rows look like to who sees nothing that the generator selects by.

    Args:
        between_real: Whether real shoppers are told from each other too, which takes as long again.
        as_many_visits: Whether lifts are of a draw with as many visits as the hold-out has, several times ``made``: of few
            visits a pair is counted a handful of times, and even real ones agree with real ones no better.

    Returns:
        ``auc`` of virtual against hold-out and ``real_auc`` between real shoppers, of a stretch of visits each, ``features``,
        ``telling``; ``lifts`` and ``lifts_real``, Spearman's correlation with the hold-out's, ``lifts_visits``, of how many
        visits the former are, ``lifts_real_of_as_many``, what as many of real shoppers come to; and medians of both sides of
        ``visits`` a shopper and of the share of rows with several ``pieces``.
    """
    rows, held, stretch = sides_to_judge(study, made)
    seen = unselected.visits(study.interactions, study.vocabulary.items)
    found = unselected.judge(rows, stretch, seed=study.seed)
    both = {"made": rows, "real": held}
    many = rows
    if as_many_visits:
        wanted = len(made.item) * (_visits(held) - _visits(rows)) // max(_visits(rows), 1)
        if wanted > 0:  # beside what was made already
            more = study.generator.sample_rows(wanted, seed=study.seed + 1)
            added = unselected.visits(pl.DataFrame(study.table(more, seed=study.seed + 1)))
            many = pl.concat([rows, added.with_columns(pl.col("user") + made.records)])
    few = unselected.some_visits(seen, _visits(many), np.random.default_rng(study.seed))
    return {
        "auc": found.auc,
        "interval": list(found.interval),
        "features": found.features,
        "telling": [list(pair) for pair in found.telling],
        **({"real_auc": unselected.judge(_stretch(seen, study), stretch, seed=study.seed).auc} if between_real else {}),
        "lifts": unselected.lifts_alike(many, held),
        "lifts_visits": _visits(many),
        "lifts_real_of_as_many": unselected.lifts_alike(few, held),
        "lifts_real": unselected.lifts_alike(seen, held),
        "visits": {name: _visits_each(side) for name, side in both.items()},
        "pieces": {
            name: float(side.select((pl.col("quantity") > 1).mean()).item() or 0) for name, side in both.items()
        },
    }


def sides_to_judge(study: Study, made: Behaviour) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Virtual rows, those of the hold-out, and of each shopper of the latter a stretch that is no longer than a record."""
    rows = unselected.visits(pl.DataFrame(study.table(made, seed=study.seed)))
    held = unselected.visits(study.hidden, study.vocabulary.items)
    return rows, held, _stretch(held, study)


def _stretch(rows: pl.DataFrame, study: Study) -> pl.DataFrame:
    return unselected.one_stretch(rows, np.random.default_rng((study.seed, 3)), most=RECORD_BASKETS)


def _visits(rows: pl.DataFrame) -> int:
    return rows.select("user", "day").unique().height


def _visits_each(rows: pl.DataFrame) -> float:
    return float(np.median(rows.group_by("user").agg(pl.col("day").n_unique())["day"].to_numpy()))


def profiles(made: Behaviour, users: pl.DataFrame, study: Study, names: list[str], *, seed: int) -> pl.DataFrame:
    """A users table for virtual shoppers: each attribute drawn on its own from values that at least k users have.

    Drawn alone, no combination of attributes can be a real user's except by chance. With differential privacy there are no
    attributes: no budget was spent on them.
    """
    random = np.random.default_rng(seed)
    columns: dict[str, Any] = {"user": names}
    for name in users.columns:
        if study.spent is not None or name == "user" or users.schema[name] != pl.String:
            continue
        counts = users[name].drop_nulls().value_counts().filter(pl.col("count") >= MIN_BUYERS).sort(name)
        if counts.height:
            share = counts["count"].to_numpy() / counts["count"].sum()
            columns[name] = random.choice(counts[name].to_numpy(), len(names), p=share)
    return pl.DataFrame(columns).with_columns(is_synthetic=True, generator=pl.lit(study.digest), seed=seed)
