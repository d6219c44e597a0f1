"""What the benchmark of augmentation measures on a shop under one seed: a generator's sheet, and variants in a cold world.

It must not know how seeds become one verdict.
"""

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shoploop.api.v1alpha1 import DataSpec
from shoploop.augmentation.generator.kept import kept_generator
from shoploop.augmentation.generator.records import Behaviour
from shoploop.augmentation.proofs import privacy_attacks as privacy
from shoploop.augmentation.proofs.controls import Memoriser, sample_noise
from shoploop.augmentation.step import MORE_RECORDS
from shoploop.augmentation.study import MIN_BUYERS, Study, judge_rows, learn, sheet, sides_to_judge
from shoploop.augmentation.trials.effort import Effort
from shoploop.augmentation.trials.episodes import virtual
from shoploop.augmentation.trials.splitting import Metric, Trials, prepare_trials
from shoploop.augmentation.trials.trainings import Trainings
from shoploop.augmentation.trials.variants import GENERATED, UNAUGMENTED, Extra, course_of
from shoploop.bench.augmentation.shadows import likelihood_ratio
from shoploop.bench.augmentation.transfer import Domains, category_domains, shop_domains, transferred
from shoploop.bench.augmentation.words import judge_by_words
from shoploop.compute.cores import cores
from shoploop.data.step import load_data
from shoploop.errors import TooFewEvents
from shoploop.features.contract import Contract, resolve
from shoploop.features.log import Vocabulary, purchases
from shoploop.resuming.stages import Stages

RATIO = 0.5
SHADOWS = "likelihood ratio with shadows"
TRANSFERS = ("shop", "category")
_MEMORISED_SHOPPERS = 150

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class World:
    """One dataset, whole and cut to the cold slice."""

    interactions: pl.DataFrame
    items: pl.DataFrame
    bought: pl.DataFrame
    cold: pl.DataFrame
    contract: Contract
    effort: Effort
    stages: Stages
    progress: Progress

    @classmethod
    def load(cls, dataset: str, effort: Effort, stages: Stages, progress: Progress) -> "World":
        progress("loading the data")
        with tempfile.TemporaryDirectory() as folder:
            load_data(out=Path(folder), data_spec=DataSpec(dataset=dataset))
            names = ("interactions", "items", "users")
            tables = {name: pl.read_parquet(Path(folder) / f"{name}.parquet") for name in names}
        bought, cold = _cold_world(tables["interactions"], purchases(tables["interactions"]))
        return cls(
            interactions=tables["interactions"],
            items=tables["items"],
            bought=bought,
            cold=cold,
            contract=resolve(interactions=tables["interactions"], items=tables["items"], users=tables["users"]),
            effort=effort,
            stages=stages,
            progress=progress,
        )


Transferred = tuple[dict[str, Metric], Domains]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Under one seed."""

    sheet: dict[str, Any]
    zero_steps: dict[str, Any]
    memoriser: dict[str, Any] | None
    metrics: dict[str, dict[str, Metric]]
    """NDCG@10 per household of ``cold`` and ``overall``, by variant, the unaugmented and noise among them."""

    transfers: dict[str, "Transferred | str"]
    """Or why there is none."""


class Seed:
    """What is measured under one seed; every stage is made when it is asked for, and once."""

    def __init__(self, world: World, seed: int):
        self.world, self.seed = world, seed

    def _say(self, what: str) -> None:
        self.world.progress(f"seed {self.seed}: {what}")

    def measured(self, *, memoriser: bool, use: bool = True) -> Measured:
        sheet = self.sheet()
        found = self.world.stages.document("memoriser", self.memoriser) if memoriser else None
        self.__dict__.pop("whole", None)  # and with it its memory
        zero_steps = self.without_steps()
        metrics, transfers = self.tried() if use else ({}, {})
        return Measured(sheet=sheet, zero_steps=zero_steps, memoriser=found, metrics=metrics, transfers=transfers)

    def sheet(self) -> dict[str, Any]:
        return self.world.stages.document(f"seed {self.seed} sheet", self._sheet)

    def _sheet(self) -> dict[str, Any]:
        began = time.perf_counter()
        made = self.whole.generator.sample_rows(self.world.effort.rows, seed=self.seed)
        speed = {"rows": len(made.item), "seconds": round(self._learned_seconds + time.perf_counter() - began, 1)}
        found = sheet(self.whole, made, between_real=True, progress=self._say) | {"speed": speed, "seed": self.seed}
        found["judges"]["words"] = self._by_words(self.whole, made)
        self._say("shadow generators")
        ratio = likelihood_ratio(self.whole, made, self.world.effort.generator, seed=self.seed)
        shadows = (ratio.auc, *ratio.interval)
        found["attacks"][SHADOWS] = {"auc": ratio.auc, "interval": list(ratio.interval), "control": ratio.control}
        if reason := privacy.refusal(SHADOWS, shadows):
            found["privacy"] |= {"reasons": [*found["privacy"]["reasons"], reason], "passed": False}
        return found

    def without_steps(self) -> dict[str, Any]:
        """What the judge that nothing selects by says of a generator whose adversary took no step."""
        return self.world.stages.document(f"seed {self.seed} zero steps", self._without_steps)

    def _without_steps(self) -> dict[str, Any]:
        self._say("a generator of no adversarial steps")
        config = self.world.effort.generator
        config = replace(config, adversary=replace(config.adversary, steps=0))
        study = learn(self.world.interactions, self.world.items, config=config, seed=self.seed, progress=self._say)
        made = study.generator.sample_rows(self.world.effort.rows, seed=self.seed)
        return judge_rows(study, made, as_many_visits=True) | {"words": self._by_words(study, made)}

    def _by_words(self, study: Study, made: Behaviour) -> float:
        rows, _, stretch = sides_to_judge(study, made)
        return judge_by_words(rows, stretch, seed=self.seed)

    @cached_property
    def whole(self) -> Study:
        """The generator that fidelity, privacy and speed are about: of all households and their whole histories."""
        began, world = time.perf_counter(), self.world
        study = learn(
            world.interactions, world.items, config=world.effort.generator, seed=self.seed, progress=self._say
        )
        self._learned_seconds = time.perf_counter() - began
        return study

    @cached_property
    def trials(self) -> Trials:
        world = self.world
        return prepare_trials(
            world.bought,
            world.items,
            Vocabulary(tuple(world.bought["item"].unique().sort())),
            world.contract,
            cut_training=True,
            most_labels=world.effort.labels,
            most_judged=world.effort.judged,
            seed=self.seed,
            progress=self._say,
        )

    @cached_property
    def of_cold_world(self) -> Study:
        """The generator that variants use has seen nothing but the cold world."""
        world = self.world
        settings: dict[str, Any] = {"config": world.effort.generator, "seed": self.seed}
        kept = None
        if world.stages.folder:
            folder = world.stages.folder / "generators"
            kept = kept_generator(folder, world.cold, world.items, most_shoppers=None, **settings)
        return learn(world.cold, world.items, checkpoint=kept, progress=self._say, **settings)

    def tried(self) -> tuple[dict[str, dict[str, Metric]], dict[str, Transferred | str]]:
        """Every variant, and the transfers; as many trainings at a time as there are cores."""
        stages, metrics = self.world.stages, {}
        processes = cores() if self.world.effort.processes is None else self.world.effort.processes
        names = (UNAUGMENTED, *self.world.effort.variants, "noise")
        with tempfile.TemporaryDirectory() as folder:
            with Trainings(self.trials, Path(folder) / "trainings", processes=processes) as trainings:
                begun = {name: self._begin(name, trainings) for name in names if not stages.has(self._stage(name))}
                transfers = {name: self.transferred(name) for name in TRANSFERS}
                for name in names:
                    metrics[name] = stages.arrays(self._stage(name), partial(lambda one: begun[one].result(), name))
                    self._say(f"{name}: {float(np.nanmean(metrics[name]['cold'])):.4f}")
        return metrics, transfers

    def _stage(self, name: str) -> str:
        return f"seed {self.seed} {name}"

    def _begin(self, name: str, trainings: Trainings) -> "Future[dict[str, Metric]]":
        self._say(f"{name} begins")
        trials, virtual_rows = self.trials, None
        if name in (*GENERATED, "noise"):
            study, samples = self.of_cold_world, int(RATIO * trials.labels.height * MORE_RECORDS)
            if name == "noise":
                made = sample_noise(study.real, samples, study.vocabulary, seed=self.seed)
            else:
                made = study.generator.sample(samples, seed=self.seed)
            virtual_rows = virtual(pl.DataFrame(study.table(made, seed=self.seed)))
        extra = Extra(ratio=RATIO, virtual=virtual_rows, seed=self.seed)
        course = course_of("gan" if name == "noise" else name, trials, extra, epochs=self.world.effort.epochs)
        future = trainings.start(name, course.train, **course.settings)
        future.add_done_callback(lambda done: self._keep(name, done))  # whatever becomes of those after it
        return future

    def _keep(self, name: str, done: "Future[dict[str, Metric]]") -> None:
        if not done.cancelled() and done.exception() is None:
            self.world.stages.arrays(self._stage(name), done.result)

    def transferred(self, name: str) -> Transferred | str:
        try:
            domains = self._domains(name)
        except TooFewEvents as error:
            return str(error)
        found = self.world.stages.arrays(
            self._stage(f"transfer {name}"),
            lambda: transferred(self.trials, domains, epochs=self.world.effort.epochs),
        )
        return found, domains

    def _domains(self, name: str) -> Domains:
        return shop_domains(self.trials) if name == "shop" else category_domains(self.trials, self.world.items)

    def memoriser(self) -> dict[str, Any]:
        """The same attacks on a generator that was trained until it knew its shoppers by heart."""
        self._say("a generator that memorises")
        study, random = self.whole, np.random.default_rng(self.seed)
        users = random.permutation(np.unique(study.real.user))[:_MEMORISED_SHOPPERS]
        real = study.real.take(np.flatnonzero(np.isin(study.real.user, users)))
        made = Memoriser(real, study.vocabulary, seed=self.seed).sample(real.records, seed=self.seed)
        found = privacy.attack(made, real, study.held, study.vocabulary, seed=self.seed)
        reasons = found.reasons(k=MIN_BUYERS)
        return found.to_json() | {"reasons": reasons, "refused": bool(reasons)}


def _cold_world(interactions: pl.DataFrame, bought: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Purchases of the households and items of the next-basket protocol, and the interactions of the cold world.

    The latter are the five baskets before each household's last, and nothing else.
    """
    from shoploop.bench.prediction.next_basket import split_visits

    split = split_visits(interactions)
    users = pl.DataFrame({"user": [split.log.users[request.user] for request in split.targets]})
    kept = bought.join(users, on="user", how="semi", maintain_order="left")
    kept = kept.join(split.log.vocabulary.frame().select("item"), on="item", how="semi", maintain_order="left")
    back = pl.col("day").rank("dense", descending=True).over("user") - 1
    return kept, kept.filter(back.is_between(1, 5)).select(interactions.columns)
