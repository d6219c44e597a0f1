"""Does augmentation pay, is it like the real, does it leak: every bar's number, and its control in the same run.

On ``completejourney`` the use is measured in a cold world: every household's history, in training and in test, is cut to
its last five baskets. On ``breast_cancer`` the adversary alone is measured: train on synthetic, test on real.
"""

import json
import resource
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from shoploop.augmentation.proofs.fidelity import WITHIN_FLOORS
from shoploop.augmentation.study import CONTROL_AUC, TWO_SAMPLE_AUC
from shoploop.augmentation.trials.decision import judge, relative_gain
from shoploop.augmentation.trials.effort import FULL, Effort
from shoploop.augmentation.trials.variants import GENERATED, SAYS, UNAUGMENTED
from shoploop.bench.augmentation.shop import TRANSFERS, Measured, Progress, Seed, Transferred, World
from shoploop.bench.augmentation.transfer import gain_of
from shoploop.code_digest import code_digest
from shoploop.errors import NotFound
from shoploop.resuming.stages import Stages

TABLES = ("breast_cancer",)


def run(
    dataset: str,
    seeds: tuple[int, ...] = (0, 1, 2),
    progress: Progress = lambda what: None,
    *,
    effort: Effort = FULL,
    work: Path | None = None,
    use: bool = True,
) -> dict[str, Any]:
    """Runs the benchmark.

    Args:
        work: Folder that keeps what is measured, so that a benchmark that was broken off goes on where it was.
        use: Whether variants and transfers are trained. Without, ``use`` and ``transfer`` are not told, and several seeds
            of the rest are affordable.

    Returns:
        ``fidelity`` (means over seeds, with ``by_seed``), ``privacy`` (of the seed with the greatest membership AUC,
        with ``by_seed``), ``attacks`` by name (``auc``, ``interval``, ``control``, ``by_seed``; of the seed on which it found
        most), ``judges`` (AUC of the ``selected``, of the ``unselected``, of ``words``, and of the latter two with
        ``zero_steps`` and ``words_zero_steps``; 95 % intervals ``by_seed``),
        ``lifts`` (Spearman) and ``lifts_of`` real shoppers and zero steps,
        ``use`` (``slice``, ``variants`` with ``ndcg@10_gain`` as a fraction, ``interval``,
        ``admitted``, ``reason``, ``by_seed``), ``transfer``, ``memoriser``, ``speed``, ``seconds``, ``peak_rss_bytes``.
        Of a plain table: ``tables`` by seed and the mean ``auc``.

    Raises:
        NotFound: no such dataset.
    """
    started = time.perf_counter()
    if dataset in TABLES:
        report = _table(dataset, seeds, progress)
    else:
        report = _shop(dataset, seeds, progress, effort, _kept(work, dataset, effort), use)
    return report | {
        "dataset": dataset,
        "seeds": list(seeds),
        "seconds": round(time.perf_counter() - started, 1),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def _kept(work: Path | None, dataset: str, effort: Effort) -> Stages:
    key = {"dataset": dataset, "effort": repr(effort), "code": code_digest(__name__)}
    name = sha256(json.dumps(key).encode()).hexdigest()[:12]
    return Stages(work / name if work else None, key)


def _table(dataset: str, seeds: tuple[int, ...], progress: Progress) -> dict[str, Any]:
    from sklearn.datasets import load_breast_cancer

    from shoploop.bench.augmentation.plain_table import train_on_synthetic

    if dataset not in TABLES:
        raise NotFound(f"No table {dataset!r}. Known: {', '.join(TABLES)}.")
    table, label = load_breast_cancer(return_X_y=True)
    found = []
    for seed in seeds:
        progress(f"{dataset}, seed {seed}")
        found.append(train_on_synthetic(table, label.astype(np.int64), seed=seed))
    mean = {name: float(np.mean([f["auc"][name] for f in found])) for name in found[0]["auc"]}
    return {"auc": mean, "tables": found}


def _shop(
    dataset: str, seeds: tuple[int, ...], progress: Progress, effort: Effort, stages: Stages, use: bool
) -> dict[str, Any]:
    world = World.load(dataset, effort, stages, progress)
    # one seed after the other: the samples of one take a gigabyte
    every = [Seed(world, seed).measured(memoriser=seed == seeds[0], use=use) for seed in seeds]
    return _likeness(every) | (_use(every, seeds, effort) if use else {})


def _use(every: list[Measured], seeds: tuple[int, ...], effort: Effort) -> dict[str, Any]:
    names = [name for name in every[0].metrics if name != UNAUGMENTED]
    without = {part: [found.metrics[UNAUGMENTED][part] for found in every] for part in ("cold", "overall")}
    leaks = [reason for found in every for reason in found.sheet["privacy"]["reasons"]]
    variants = {}
    for name in names:
        verdict = judge(
            name,
            {part: [found.metrics[name][part] for found in every] for part in ("cold", "overall")},
            without,
            leaks=leaks if name in GENERATED else [],
            variants=len(effort.variants),
            seed=seeds[0],
        )
        of_seeds = zip((found.metrics[name]["cold"] for found in every), without["cold"], strict=True)
        variants[name] = verdict.to_json() | {
            "by_seed": [relative_gain([new], [old], seed=seeds[0]).gain for new, old in of_seeds],
            "what": SAYS.get(name, "uniform items: must be refused"),
        }
    return {
        "use": {
            "slice": "cold",
            "households": len(without["cold"][0]),
            "ndcg@10": {part: float(np.nanmean(values)) for part, values in without.items()},
            "variants": variants,
        },
        "transfer": {name: _transfer([found.transfers[name] for found in every], seeds[0]) for name in TRANSFERS},
    }


def _likeness(every: list[Measured]) -> dict[str, Any]:
    sheets = [found.sheet for found in every]
    worst = max(sheets, key=lambda sheet: float(sheet["privacy"]["membership_auc"]))
    return {
        "fidelity": _mean_fidelity([sheet["fidelity"] for sheet in sheets]),
        "privacy": worst["privacy"]
        | {"by_seed": [[s["privacy"]["membership_auc"], *s["privacy"]["membership_auc_interval"]] for s in sheets]},
        "attacks": _strongest([sheet["attacks"] for sheet in sheets]),
        "judges": {
            "selected": _mean([sheet["judges"]["selected"] for sheet in sheets]),
            "unselected": _mean([sheet["judges"]["unselected"] for sheet in sheets]),
            "zero_steps": _mean([found.zero_steps["auc"] for found in every]),
            "words": _mean([sheet["judges"]["words"] for sheet in sheets]),
            "words_zero_steps": _mean([found.zero_steps["words"] for found in every]),
            "by_seed": [
                {
                    "unselected": [sheet["unselected"]["auc"], *sheet["unselected"]["interval"]],
                    "zero_steps": [found.zero_steps["auc"], *found.zero_steps["interval"]],
                    "real": sheet["unselected"]["real_auc"],
                    "words": sheet["judges"]["words"],
                    "words_zero_steps": found.zero_steps["words"],
                    "lifts": sheet["unselected"]["lifts"],
                    "lifts_zero_steps": found.zero_steps["lifts"],
                }
                for sheet, found in zip(sheets, every, strict=True)
            ],
            "telling": sheets[0]["unselected"]["telling"],
        },
        "lifts": _mean([sheet["unselected"]["lifts"] for sheet in sheets]),
        "lifts_of": {
            "real": _mean([sheet["unselected"]["lifts_real"] for sheet in sheets]),
            "real_of_as_many": _mean([sheet["unselected"]["lifts_real_of_as_many"] for sheet in sheets]),
            "zero_steps": _mean([found.zero_steps["lifts"] for found in every]),
        },
        "memoriser": every[0].memoriser,
        "speed": {str(sheet["seed"]): sheet["speed"] for sheet in sheets},
    }


def _transfer(every: list["Transferred | str"], seed: int) -> dict[str, Any]:
    found = []
    for one in every:
        if isinstance(one, str):
            return {"refused": one}
        found.append(one)
    return gain_of([metrics for metrics, _ in found], found[0][1], seed=seed)


def _mean(values: list[float]) -> float:
    return float(np.mean(values))


def _strongest(every: list[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Of each attack that of the seed on which it found most, and its weakest control; all seeds beside."""
    return {
        name: max((found[name] for found in every), key=lambda attack: float(attack["auc"]))
        | {
            "control": min(found[name]["control"] for found in every),
            "by_seed": [found[name]["auc"] for found in every],
        }
        for name in every[0]
    }


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
