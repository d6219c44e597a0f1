"""The importance benchmark over many real tables: who finds wrong labels, what each part adds, and what weights do to models.

A task is a table, a seed and a kind of noise. In it the default's parts are made once, and mixed anew for each ablation.

Legend: N samples, K features, C classes.
"""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from shoploop.bench.importance.tables import CHOOSING, REPORTED, TABLES, RealTable, describe
from shoploop.compute.cores import cores
from shoploop.errors import NotFound
from shoploop.evaluation.intervals import Bootstrap
from shoploop.importance.checks.detection import Flags, flip_labels, mean_interval, near_boundary, within_label_auc
from shoploop.importance.columns import Columns
from shoploop.importance.estimators.attention import AttentionConfig, train_attention
from shoploop.importance.estimators.ensemble import mixed
from shoploop.importance.estimators.gan import GanConfig, scored
from shoploop.importance.estimators.gan_attention import GanAttention, GanAttentionConfig, GanAttentionParts
from shoploop.importance.estimators.interface import make_estimator
from shoploop.importance.estimators.stacked import Folds
from shoploop.importance.estimators.table import Float64, Int64, Table
from shoploop.importance.estimators.weights import Scores, WeightConfig
from shoploop.importance.sample_importance import SHARPNESS, believed

SHARE = 0.2
"""Of the labels that are flipped."""

FOLDS = 5
ABLATED_SEEDS = 2
"""Of which the default is trained again without its generator."""

Noise = Literal["clean", "uniform", "class", "instance"]
NOISES: tuple[Noise, ...] = ("clean", "uniform", "class", "instance")
DEFAULT = "ensemble"
WHOLE = "gan_attention"
DOWNSTREAM: dict[str, Noise] = {"clean": "clean", "noisy": "uniform"}

Progress = Callable[[str], None]
Values = dict[str, float]


def run(tables: str = "all", seeds: int = 5, progress: Progress = lambda what: None) -> dict[str, Any]:
    """Runs the benchmark.

    Args:
        tables: ``all`` that chose nothing, ``choosing`` those on which settings were chosen, or names with commas between.
        seeds: Draws of rows, flips and folds for each table.
        progress: Told what is done.

    Returns:
        ``detection`` (table -> method -> AUC within the observed label, mean over kinds of noise and seeds, and its interval
        over these), ``over_tables`` (rival -> the default less the rival, interval over tables) and the same ``by_noise``,
        ``ablation`` (part -> AUC with less without it, alone and in the default), ``downstream`` (model -> clean, noisy ->
        AUC and log loss with weights less without), ``tables`` and ``seconds``.

    Raises:
        NotFound: a table is not known.
        PackageMissing: what brings a table is not installed.
    """
    began = time.perf_counter()
    loaded = {name: TABLES[name]() for name in chosen(tables)}
    tasks = [(table, seed, noise) for seed in range(seeds) for table in loaded.values() for noise in NOISES]
    found = _all_of(tasks, progress)
    detection = {
        name: _summary([v["auc"] for (t, _, noise), v in found.items() if t == name and noise != "clean"])
        for name in loaded
    }
    return {
        "detection": detection,
        "over_tables": _over_tables(found, loaded, NOISES[1:]),
        "by_noise": {noise: _over_tables(found, loaded, (noise,)) for noise in NOISES[1:]},
        "ablation": _ablation(found, loaded),
        "downstream": _downstream(found, loaded),
        "tables": {
            name: describe(table) | {"chose": name in CHOOSING, "rows_learned": len(table.drawn(0)[0].y_N)}
            for name, table in loaded.items()
        },
        "rivals": {"cleanlab": _cleanlab_version(), "boosted": "LightGBM, its defaults", "noise": SHARE},
        "seeds": seeds,
        "seconds": round(time.perf_counter() - began, 1),
    }


def chosen(tables: str) -> list[str]:
    """Names of tables.

    Raises:
        NotFound: one is not known.
    """
    groups = {"all": list(REPORTED), "choosing": list(CHOOSING)}
    names = groups.get(tables) or [name.strip() for name in tables.split(",")]
    if unknown := [name for name in names if name not in TABLES]:
        raise NotFound(
            f"There is no table {', '.join(map(repr, unknown))}. Say all, choosing, or names of {', '.join(TABLES)}."
        )
    return names


def _all_of(
    tasks: Sequence[tuple[RealTable, int, Noise]], progress: Progress
) -> dict[tuple[str, int, Noise], dict[str, Values]]:
    from joblib import Parallel, delayed

    found = {}
    parallel = Parallel(n_jobs=min(cores(), len(tasks)), return_as="generator")
    results = parallel(delayed(one_task)(*task) for task in tasks)
    for (table, seed, noise), values in zip(tasks, results, strict=True):
        found[(table.name, seed, noise)] = values
        progress(f"{table.name}, {noise}, seed {seed}")
    return found


def one_task(table: RealTable, seed: int, noise: Noise) -> dict[str, Values]:
    """``auc`` of each method and ``parts`` of ablations; ``linear`` and ``boosted``: what weights change."""
    from shoploop.compute.cores import one_thread

    with warnings.catch_warnings(), one_thread():
        warnings.simplefilter("ignore")  # rivals' models may stop before they have converged
        learned, judged = table.drawn(seed)
        columns = Columns.fit(learned.frame, seed=seed)
        x_NK = columns.numbers(learned.frame)
        observed_N, flipped_N = flipped(x_NK, learned.y_N, noise, seed)
        samples = Table.of(x_NK, observed_N, names=columns.names, seed=seed)
        members = {name: make_estimator(name).score(samples, seed=seed) for name in ("loss", "loss_boosted", WHOLE)}
        default = mixed(members, samples.y_N)
        out: dict[str, Values] = {}
        if noise != "clean":

            def auc(importance_N: Float64) -> float:
                return within_label_auc(importance_N, observed_N, flipped_N)

            said = {DEFAULT: default, **members, "knn_shapley": make_estimator("knn_shapley").score(samples, seed=seed)}
            out["auc"] = {name: auc(one.importance_N) for name, one in said.items()}
            out["auc"] |= {name: auc(importance_N) for name, importance_N in rivals(x_NK, observed_N, seed).items()}
            out["parts"] = {}
            for part, without in _without_parts(samples, members[WHOLE].parts, noise, seed).items():
                out["parts"][f"{part}, alone"] = auc(members[WHOLE].importance_N) - auc(without.importance_N)
                mix = mixed(members | {WHOLE: without}, samples.y_N)
                out["parts"][part] = auc(default.importance_N) - auc(mix.importance_N)
            for name in members:
                others = {key: value for key, value in members.items() if key != name}
                out["parts"][name] = auc(default.importance_N) - auc(mixed(others, samples.y_N).importance_N)
        if noise in DOWNSTREAM.values():
            weights_N, _, _ = believed(default, samples, WeightConfig(sharpness=SHARPNESS), seed=seed)
            x_TK = columns.numbers(judged.frame)
            out |= trained(x_NK, observed_N, weights_N.astype(np.float64), x_TK, judged.y_N)
    return out


def flipped(x_NK: Float64, y_N: Int64, noise: Noise, seed: int) -> tuple[Int64, Flags]:
    """A fifth of the labels changed.

    uniform: every one alike. class: a label's chance is up to three times another's. instance: it falls with the distance
    from the boundary of a logistic regression that has not seen the sample.
    """
    rng = np.random.default_rng([seed, NOISES.index(noise)])
    if noise == "clean":
        return y_N, np.zeros(len(y_N), bool)
    chance_N = None
    if noise == "class":
        classes = int(y_N.max()) + 1
        chance_N = np.linspace(1, 3, classes)[rng.permutation(classes)][y_N]
    elif noise == "instance":
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import cross_val_predict
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
        decision = cross_val_predict(model, x_NK, y_N, cv=3, method="decision_function")
        margin_N = decision if decision.ndim == 1 else np.diff(np.sort(decision, axis=1)[:, -2:], axis=1)[:, 0]
        chance_N = near_boundary(margin_N)
    return flip_labels(y_N, SHARE, rng=rng, chance_N=chance_N)


def rivals(x_NK: Float64, y_N: Int64, seed: int) -> dict[str, Float64]:
    """What others say: cleanlab's two scores of labels, by usual models out of fold, and the loss of another kind."""
    from lightgbm import LGBMClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.preprocessing import StandardScaler

    x_NK = StandardScaler().fit_transform(x_NK)
    folds = Folds.draw(y_N, folds=FOLDS, repeats=1, seed=seed)
    models = {
        "linear": LogisticRegression(max_iter=1000),
        "boosted": LGBMClassifier(n_jobs=1, verbose=-1, random_state=seed),
        "neighbours": KNeighborsClassifier(15),
    }
    chances = {name: _out_of_fold(model, x_NK, y_N, folds) for name, model in models.items()}
    chances["averaged"] = (chances["linear"] + chances["boosted"]) / 2
    out = {}
    for name in ("linear", "boosted", "averaged"):
        out[f"cleanlab_{name}"] = label_quality(y_N, chances[name], "self_confidence")
        out[f"cleanlab_margin_{name}"] = label_quality(y_N, chances[name], "normalized_margin")
    out["loss_neighbours"] = label_quality(y_N, chances["neighbours"], "self_confidence")
    return out


def _out_of_fold(model: Any, x_NK: Float64, y_N: Int64, folds: Folds) -> Float64:
    chance_NC = np.zeros((len(y_N), int(y_N.max()) + 1))
    for fold in range(folds.folds):
        seen, held = folds.seen(fold), folds.held_out(fold)
        model.fit(x_NK[seen], y_N[seen])
        chance_NC[np.ix_(held, model.classes_)] = model.predict_proba(x_NK[held])
    return chance_NC


def label_quality(y_N: Int64, chance_NC: Float64, method: str) -> Float64:
    """cleanlab's own score where it is installed, else by its formulas (Northcutt et al. 2021; cleanlab.rank)."""
    try:
        from cleanlab.rank import get_label_quality_scores
    except ImportError:
        own_N = chance_NC[np.arange(len(y_N)), y_N]
        if method == "self_confidence":
            return np.asarray(own_N)
        others_NC = chance_NC.copy()
        others_NC[np.arange(len(y_N)), y_N] = -1
        return np.asarray((own_N - others_NC.max(1) + 1) / 2)
    found: Float64 = get_label_quality_scores(y_N, np.clip(chance_NC, 1e-9, 1), method=method)
    return found


def _cleanlab_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("cleanlab")
    except PackageNotFoundError:
        return "not installed: its formulas"


def _without_parts(table: Table, parts: GanAttentionParts, noise: Noise, seed: int) -> dict[str, Scores]:
    """What is left of the attention on a GAN's prototypes without a part of it."""
    gan, config = parts.gan, GanAttentionConfig()
    untrained = train_attention(
        table,
        gan,
        parts.prototypes_ECMK,
        parts.scores_ECM,
        AttentionConfig(steps=0),
        batch=config.gan.batch,
        jitter=config.gan.jitter,
        seed=seed,
    )
    rows, score_NC = np.arange(len(table)), scored(table, gan)
    under_NC = replace(parts, attention=untrained).under_every_label()
    out = {
        "attention learned": Scores(importance_N=under_NC[rows, table.y_N], under_NC=under_NC, blind=True),
        "attention over the discriminator alone": Scores(
            importance_N=score_NC[rows, table.y_N], under_NC=score_NC, blind=True
        ),
    }
    if noise == "uniform" and seed < ABLATED_SEEDS:
        without = GanAttentionConfig(source="Real", gan=GanConfig(generated=0.0))
        out["generator"] = GanAttention(config=without).score(table, seed=seed)
    return out


def trained(x_NK: Float64, y_N: Int64, weights_N: Float64, x_TK: Float64, judged_T: Int64) -> dict[str, Values]:
    """AUC and log loss on rows whose labels nobody touched, with weights less without."""
    from lightgbm import LGBMClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss, roc_auc_score
    from sklearn.preprocessing import StandardScaler

    scale = StandardScaler().fit(x_NK)
    models = {
        "linear": (LogisticRegression(max_iter=1000), scale.transform(x_NK), scale.transform(x_TK)),
        "boosted": (LGBMClassifier(n_jobs=1, verbose=-1, random_state=0), x_NK, x_TK),
    }
    labels = np.arange(int(y_N.max()) + 1)
    out = {}
    for name, (model, seen_NK, held_TK) in models.items():
        values = []
        for counted_N in (None, weights_N):
            chance_TC = np.clip(model.fit(seen_NK, y_N, sample_weight=counted_N).predict_proba(held_TK), 1e-6, 1)
            chance_TC /= chance_TC.sum(1, keepdims=True)
            ranked = chance_TC[:, 1] if len(labels) == 2 else chance_TC
            auc = roc_auc_score(judged_T, ranked, multi_class="ovr", labels=labels)
            values.append((auc, log_loss(judged_T, chance_TC, labels=labels)))
        without, with_weights = values
        out[name] = {
            "auc": with_weights[0] - without[0],
            "log_loss": with_weights[1] - without[1],
            "auc_unweighted": without[0],
            "log_loss_unweighted": without[1],
        }
    return out


def _summary(values: Sequence[Values]) -> dict[str, Any]:
    return {
        name: {"auc": float(np.mean(auc := [v[name] for v in values])), "interval": list(mean_interval(auc))}
        for name in values[0]
    }


Found = Mapping[tuple[str, int, Noise], dict[str, Values]]


def _by_table(found: Found, table: str, noises: Sequence[Noise], part: str, key: str) -> float:
    """Mean over seeds and kinds of noise; NaN where nothing was measured."""
    values = [
        v[part][key]
        for (name, _, noise), v in found.items()
        if name == table and noise in noises and key in v.get(part, {})
    ]
    return float(np.mean(values)) if values else float("nan")


def _over_tables(found: Found, tables: Mapping[str, Any], noises: Sequence[Noise]) -> dict[str, Any]:
    methods = next(v["auc"] for (_, _, noise), v in found.items() if noise in noises)
    auc_TM = np.array([[_by_table(found, table, noises, "auc", m) for m in methods] for table in tables])
    mean_M = auc_TM.mean(0)
    default_T = auc_TM[:, list(methods).index(DEFAULT)]
    return {
        name: {"auc": float(mean_M[m])} | ({} if name == DEFAULT else _difference(default_T - auc_TM[:, m]))
        for m, name in enumerate(methods)
    }


def _ablation(found: Found, tables: Mapping[str, Any]) -> dict[str, Any]:
    keys: dict[str, None] = {}
    for values in found.values():
        keys |= dict.fromkeys(values.get("parts", {}))
    return {
        part: _difference(np.array([_by_table(found, table, NOISES[1:], "parts", part) for table in tables]))
        for part in keys
    }


def _downstream(found: Found, tables: Mapping[str, Any]) -> dict[str, Any]:
    return {
        model: {
            labels: {
                metric: _difference(np.array([_by_table(found, t, (noise,), model, metric) for t in tables]))
                | {
                    "unweighted": float(
                        np.mean([_by_table(found, t, (noise,), model, f"{metric}_unweighted") for t in tables])
                    )
                }
                for metric in ("auc", "log_loss")
            }
            for labels, noise in DOWNSTREAM.items()
        }
        for model in ("linear", "boosted")
    }


def _difference(values_T: Float64) -> dict[str, Any]:
    """Mean over tables and its 95 % interval, bootstrapped over them."""
    interval = Bootstrap(len(values_T)).interval(values_T)
    return {"difference": float(np.mean(values_T)), "interval": list(interval) if interval else None}
