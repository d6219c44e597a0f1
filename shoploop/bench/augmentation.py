"""Does augmentation pay, is it like the real, does it leak: every bar's number, and its control in the same run.

On ``completejourney`` the use is measured in a cold world: every household's history, in training and in test, is cut to
its last five baskets. On ``breast_cancer`` the adversary alone is measured: train on synthetic, test on real.
"""

import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shoploop.api.v1alpha1 import DataSpec
from shoploop.augmentation import privacy
from shoploop.augmentation.controls import Memoriser, sample_noise
from shoploop.augmentation.decision import judge
from shoploop.augmentation.effort import FULL, Effort
from shoploop.augmentation.episodes import virtual
from shoploop.augmentation.fidelity import WITHIN_FLOORS
from shoploop.augmentation.kept import kept_generator
from shoploop.augmentation.step import MORE_RECORDS
from shoploop.augmentation.study import CONTROL_AUC, MIN_BUYERS, TWO_SAMPLE_AUC, Study, learn, sheet
from shoploop.augmentation.transfer import Domains, category_domains, gain_of, shop_domains, transferred
from shoploop.augmentation.trials import Metric, Trials, prepare_trials, train_and_judge
from shoploop.augmentation.variants import GENERATED, SAYS, Extra, try_variant
from shoploop.bench.pieces import Pieces
from shoploop.data import load_data
from shoploop.errors import NotFound, TooFewEvents
from shoploop.features.contract import Contract, resolve
from shoploop.features.log import Vocabulary, purchases

TABLES = ("breast_cancer",)
RATIO = 0.5
TRANSFERS = ("shop", "category")
_MEMORISED_SHOPPERS = 150

Progress = Callable[[str], None]


def run(
    dataset: str,
    seeds: tuple[int, ...] = (0, 1, 2),
    progress: Progress = lambda what: None,
    *,
    effort: Effort = FULL,
    work: Path | None = None,
) -> dict[str, Any]:
    """Runs the benchmark.

    Args:
        work: Folder that keeps what is measured, so that a benchmark that was broken off goes on where it was.

    Returns:
        ``fidelity`` (means over seeds, with ``by_seed``), ``privacy`` (of the seed with the greatest membership AUC,
        with ``by_seed``), ``use`` (``slice``, ``variants`` with ``ndcg@10_gain`` as a fraction, ``interval``,
        ``admitted``, ``reason``), ``transfer``, ``memoriser``, ``speed``, ``seconds``, ``peak_rss_bytes``. Of a plain
        table: ``tables`` by seed and the mean ``auc``.

    Raises:
        NotFound: no such dataset.
    """
    started = time.perf_counter()
    if dataset in TABLES:
        report = _table(dataset, seeds, progress)
    else:
        report = _shop(dataset, seeds, progress, effort, Pieces(work, "shoploop.bench.augmentation"))
    return report | {
        "dataset": dataset,
        "seeds": list(seeds),
        "seconds": round(time.perf_counter() - started, 1),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def _table(dataset: str, seeds: tuple[int, ...], progress: Progress) -> dict[str, Any]:
    from sklearn.datasets import load_breast_cancer

    from shoploop.augmentation.plain_table import train_on_synthetic

    if dataset not in TABLES:
        raise NotFound(f"No table {dataset!r}. Known: {', '.join(TABLES)}.")
    table, label = load_breast_cancer(return_X_y=True)
    found = []
    for seed in seeds:
        progress(f"{dataset}, seed {seed}")
        found.append(train_on_synthetic(table, label.astype(np.int64), seed=seed))
    mean = {name: float(np.mean([f["auc"][name] for f in found])) for name in found[0]["auc"]}
    return {"auc": mean, "tables": found}


def _shop(dataset: str, seeds: tuple[int, ...], progress: Progress, effort: Effort, pieces: Pieces) -> dict[str, Any]:
    world = _World.load(dataset, effort, pieces, progress)
    every = [_Seed(world, seed) for seed in seeds]
    sheets = [seed.sheet() for seed in every]
    memoriser = pieces.numbers("memoriser", every[0].memoriser)
    names = ("unaugmented", *effort.variants, "noise")
    gains = {name: [seed.tried(name) for seed in every] for name in names}
    without = {part: [found[part] for found in gains["unaugmented"]] for part in ("cold", "overall")}
    leaks = [reason for sheet in sheets for reason in sheet["privacy"]["reasons"]]
    variants = {}
    for name in names[1:]:
        verdict = judge(
            name,
            {part: [found[part] for found in gains[name]] for part in ("cold", "overall")},
            without,
            leaks=leaks if name in GENERATED else [],
            variants=len(effort.variants),
            seed=seeds[0],
        )
        variants[name] = verdict.to_json() | {"what": SAYS.get(name, "uniform items: must be refused")}
    worst = max(sheets, key=lambda sheet: float(sheet["privacy"]["membership_auc"]))
    return {
        "fidelity": _mean_fidelity([sheet["fidelity"] for sheet in sheets]),
        "privacy": worst["privacy"]
        | {"by_seed": [[s["privacy"]["membership_auc"], *s["privacy"]["membership_auc_interval"]] for s in sheets]},
        "memoriser": memoriser,
        "use": {
            "slice": "cold",
            "households": len(without["cold"][0]),
            "ndcg@10": {part: float(np.nanmean(values)) for part, values in without.items()},
            "variants": variants,
        },
        "transfer": {name: _transfer(every, name) for name in TRANSFERS},
        "speed": {str(sheet["seed"]): sheet["speed"] for sheet in sheets},
    }


def _transfer(every: list["_Seed"], name: str) -> dict[str, Any]:
    try:
        found = [seed.transferred(name) for seed in every]
    except TooFewEvents as error:
        return {"refused": str(error)}
    return gain_of([metrics for metrics, _ in found], found[0][1], seed=every[0].seed)


def _mean_fidelity(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the seeds; each seed's own AUC beside."""
    marginals = {}
    for name in found[0]["marginals"]:
        distance, floor = (float(np.mean([f["marginals"][name][key] for f in found])) for key in ("distance", "floor"))
        marginals[name] = {"distance": distance, "floor": floor, "passed": distance <= WITHIN_FLOORS * floor}
    mean = {
        key: float(np.mean([f[key] for f in found]))
        for key in ("two_sample_auc", "control_auc", "real_auc", "coverage", "novelty")
    }
    return mean | {
        "marginals": marginals,
        "by_seed": [f["two_sample_auc"] for f in found],
        "telling": found[0]["telling"],
        "passed": mean["two_sample_auc"] <= TWO_SAMPLE_AUC
        and mean["control_auc"] >= CONTROL_AUC
        and all(marginal["passed"] for marginal in marginals.values()),
    }


@dataclass(frozen=True, kw_only=True)
class _World:
    """One dataset, whole and cut to the cold slice."""

    interactions: pl.DataFrame
    items: pl.DataFrame
    bought: pl.DataFrame
    cold: pl.DataFrame
    contract: Contract
    effort: Effort
    pieces: Pieces
    progress: Progress

    @classmethod
    def load(cls, dataset: str, effort: Effort, pieces: Pieces, progress: Progress) -> "_World":
        progress("loading the data")
        with tempfile.TemporaryDirectory() as folder:
            load_data(DataSpec(dataset=dataset), Path(folder))
            names = ("interactions", "items", "users")
            tables = {name: pl.read_parquet(Path(folder) / f"{name}.parquet") for name in names}
        bought, cold = _cold_world(tables["interactions"], purchases(tables["interactions"]))
        return cls(
            interactions=tables["interactions"],
            items=tables["items"],
            bought=bought,
            cold=cold,
            contract=resolve(**tables),
            effort=effort,
            pieces=pieces,
            progress=progress,
        )


class _Seed:
    """What is measured under one seed; every piece is made when it is asked for, and once."""

    def __init__(self, world: _World, seed: int):
        self.world, self.seed = world, seed

    def _say(self, what: str) -> None:
        self.world.progress(f"seed {self.seed}: {what}")

    def sheet(self) -> dict[str, Any]:
        return self.world.pieces.numbers(f"seed {self.seed} sheet", self._sheet)

    def _sheet(self) -> dict[str, Any]:
        began = time.perf_counter()
        made = self.whole.generator.sample_rows(self.world.effort.rows, seed=self.seed)
        speed = {"rows": len(made.item), "seconds": round(self._learned_seconds + time.perf_counter() - began, 1)}
        return sheet(self.whole, made, progress=self._say) | {"speed": speed, "seed": self.seed}

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
        world, settings = self.world, {"config": self.world.effort.generator, "seed": self.seed}
        kept = None
        if world.pieces.folder:
            folder = world.pieces.folder / "generators"
            kept = kept_generator(folder, world.cold, world.items, most_shoppers=None, **settings)  # type: ignore[arg-type]
        return learn(world.cold, world.items, checkpoint=kept, progress=self._say, **settings)  # type: ignore[arg-type]

    def tried(self, name: str) -> dict[str, Metric]:
        """NDCG@10 per household of ``cold`` and ``overall``."""
        return self.world.pieces.arrays(f"seed {self.seed} {name}", lambda: self._tried(name))

    def _tried(self, name: str) -> dict[str, Metric]:
        self._say(name)
        trials, epochs = self.trials, self.world.effort.epochs
        if name == "unaugmented":
            return train_and_judge(trials, trials.unaugmented(RATIO), epochs=epochs)
        if name not in (*GENERATED, "noise"):
            return try_variant(name, trials, Extra(ratio=RATIO, virtual=None, seed=self.seed), epochs=epochs)[0]
        study, samples = self.of_cold_world, int(RATIO * trials.labels.height * MORE_RECORDS)
        if name == "noise":
            made = sample_noise(study.real, samples, study.vocabulary, seed=self.seed)
        else:
            made = study.generator.sample(samples, seed=self.seed)
        rows = virtual(pl.DataFrame(study.table(made, seed=self.seed)))
        extra = Extra(ratio=RATIO, virtual=rows, seed=self.seed)
        return try_variant("gan" if name == "noise" else name, trials, extra, epochs=epochs)[0]

    def transferred(self, name: str) -> tuple[dict[str, Metric], Domains]:
        domains = self._domains(name)
        found = self.world.pieces.arrays(
            f"seed {self.seed} transfer {name}",
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
    from shoploop.bench.next_basket import split_visits

    split = split_visits(interactions)
    users = pl.DataFrame({"user": [split.log.users[request.user] for request in split.targets]})
    kept = bought.join(users, on="user", how="semi", maintain_order="left")
    kept = kept.join(split.log.vocabulary.frame().select("item"), on="item", how="semi", maintain_order="left")
    back = pl.col("day").rank("dense", descending=True).over("user") - 1
    return kept, kept.filter(back.is_between(1, 5)).select(interactions.columns)
