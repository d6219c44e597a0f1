"""Does augmentation pay, is it like the real thing, and does it leak: every bar's number, and its control in the same
run.

On ``completejourney`` the use is measured in a cold world: every household's history, in training and in test, is cut
to
its last five baskets. On ``breast_cancer`` the adversary alone is measured: train on synthetic, test on real.
"""

import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
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
from shoploop.augmentation.study import MIN_BUYERS, Study, learn, sheet
from shoploop.augmentation.trials import Metric, Trials, prepare_trials, train_and_judge
from shoploop.augmentation.variants import GENERATED, SAYS, Extra, try_variant
from shoploop.errors import NotFound

TABLES = ("breast_cancer",)
RATIO = 0.5
_MEMORISED_SHOPPERS = 150

Progress = Callable[[str], None]


def run(
    dataset: str,
    seeds: tuple[int, ...] = (0, 1, 2),
    progress: Progress = lambda what: None,
    *,
    effort: Effort = FULL,
) -> dict[str, Any]:
    """Runs the benchmark.

    Returns:
        ``fidelity``, ``privacy`` (of the first seed, with ``by_seed``), ``use`` (``slice``, ``variants`` with
        ``ndcg@10_gain``
        as a fraction, ``interval``, ``admitted``, ``reason``), ``memoriser``, ``speed``, ``seconds``,
        ``peak_rss_bytes``. Of a
        plain table: ``tables`` by seed and the mean ``auc``.

    Raises:
        NotFound: no such dataset.
    """
    started = time.perf_counter()
    report = _table(dataset, seeds, progress) if dataset in TABLES else _shop(dataset, seeds, progress, effort)
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


def _shop(dataset: str, seeds: tuple[int, ...], progress: Progress, effort: Effort) -> dict[str, Any]:
    from shoploop.data import load_data
    from shoploop.features.contract import resolve
    from shoploop.features.log import purchases

    progress("loading the data")
    with tempfile.TemporaryDirectory() as folder:
        load_data(DataSpec(dataset=dataset), Path(folder))
        tables = {
            name: pl.read_parquet(Path(folder) / f"{name}.parquet") for name in ("interactions", "items", "users")
        }
    contract = resolve(**tables)
    items, interactions = tables["items"], tables["interactions"]
    bought, world = _cold_world(interactions, purchases(interactions))
    sheets, speed = [], {}
    gains: dict[str, list[dict[str, Metric]]] = {}
    leaks: list[str] = []
    for seed in seeds:
        said = _prefixed(progress, f"seed {seed}: ")
        began = time.perf_counter()
        study = learn(interactions, items, config=effort.generator, seed=seed, progress=said)
        made = study.generator.sample_rows(effort.rows, seed=seed)
        speed[str(seed)] = {"rows": len(made.item), "seconds": round(time.perf_counter() - began, 1)}
        sheets.append(sheet(study, made, progress=said))
        leaks += sheets[-1]["privacy"]["reasons"]
        if seed == seeds[0]:
            memoriser = _memoriser(study, seed, said)
        trials = prepare_trials(
            bought,
            items,
            _vocabulary(bought),
            contract,
            cut_training=True,
            most_labels=effort.labels,
            most_judged=effort.judged,
            seed=seed,
            progress=said,
        )
        for name, metrics in _use(world, items, trials, effort, seed, said).items():
            gains.setdefault(name, []).append(metrics)
    without = {part: [g[part] for g in gains["unaugmented"]] for part in ("cold", "overall")}
    variants = {}
    for name in (*effort.variants, "noise"):
        verdict = judge(
            name,
            {part: [g[part] for g in gains[name]] for part in ("cold", "overall")},
            without,
            leaks=leaks if name in GENERATED else [],
            variants=len(effort.variants),
            seed=seeds[0],
        )
        variants[name] = verdict.to_json() | {"what": SAYS.get(name, "uniform items: must be refused")}
    return {
        "fidelity": sheets[0]["fidelity"] | {"by_seed": [s["fidelity"]["two_sample_auc"] for s in sheets]},
        "privacy": sheets[0]["privacy"]
        | {"by_seed": [[s["privacy"]["membership_auc"], *s["privacy"]["membership_auc_interval"]] for s in sheets]},
        "memoriser": memoriser,
        "use": {
            "slice": "cold",
            "households": len(gains["unaugmented"][0]["cold"]),
            "ndcg@10": {part: float(np.nanmean(values)) for part, values in without.items()},
            "variants": variants,
        },
        "speed": speed,
    }


def _cold_world(interactions: pl.DataFrame, bought: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Purchases of the households and items of the next-basket protocol, and the interactions of the cold world: the
    five
    baskets before each household's last, and nothing else."""
    from shoploop.bench.next_basket import split_visits

    split = split_visits(interactions)
    users = pl.DataFrame({"user": [split.log.users[request.user] for request in split.targets]})
    kept = bought.join(users, on="user", how="semi", maintain_order="left")
    kept = kept.join(split.log.vocabulary.frame().select("item"), on="item", how="semi", maintain_order="left")
    back = pl.col("day").rank("dense", descending=True).over("user") - 1
    return kept, kept.filter(back.is_between(1, 5)).select(interactions.columns)


def _vocabulary(bought: pl.DataFrame) -> Any:
    from shoploop.features.log import Vocabulary

    return Vocabulary(tuple(bought["item"].unique().sort()))


def _use(
    world: pl.DataFrame, items: pl.DataFrame, trials: Trials, effort: Effort, seed: int, progress: Progress
) -> dict[str, dict[str, Metric]]:
    """Metrics of every variant; the generator of the cold world has seen nothing but the cold world."""
    study = learn(world, items, config=effort.generator, seed=seed, progress=progress)
    samples = int(RATIO * trials.labels.height)
    made = study.generator.sample(int(samples * 1.2), seed=seed)
    extra = Extra(ratio=RATIO, virtual=virtual(pl.DataFrame(study.table(made, seed=seed))), seed=seed)
    noise = sample_noise(study.real, int(samples * 1.2), study.vocabulary, seed=seed)
    noisy = replace(extra, virtual=virtual(pl.DataFrame(study.table(noise, seed=seed))))
    progress("unaugmented")
    found = {"unaugmented": train_and_judge(trials, trials.train, epochs=effort.epochs)}
    for name in effort.variants:
        progress(name)
        found[name] = try_variant(name, trials, extra, epochs=effort.epochs)[0]
    progress("noise")
    found["noise"] = try_variant("gan", trials, noisy, epochs=effort.epochs)[0]
    return found


def _memoriser(study: Study, seed: int, progress: Progress) -> dict[str, Any]:
    """The same attacks on a generator that was trained until it knew its shoppers by heart."""
    progress("a generator that memorises")
    random = np.random.default_rng(seed)
    users = random.permutation(np.unique(study.real.user))[:_MEMORISED_SHOPPERS]
    real = study.real.take(np.flatnonzero(np.isin(study.real.user, users)))
    made = Memoriser(real, study.vocabulary, seed=seed).sample(real.records, seed=seed)
    found = privacy.attack(made, real, study.held, study.vocabulary, seed=seed)
    reasons = found.reasons(k=MIN_BUYERS)
    return found.to_json() | {"reasons": reasons, "refused": bool(reasons)}


def _prefixed(progress: Progress, prefix: str) -> Progress:
    return lambda what: progress(prefix + what)
