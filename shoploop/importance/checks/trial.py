"""The second half of the self-check: the same model is trained with the weights and without, on a sample, and compared.

Both learn from earlier requests of the split ``train`` and are judged on later ones of it; validation and evaluation are not
looked at. The weights are kept only where they do not lose.

Legend: Q judged requests, R rows.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from shoploop.compute.device import training_device
from shoploop.evaluation.intervals import Bootstrap, mean
from shoploop.evaluation.scoring import model_scores, request_metrics
from shoploop.features.log import Int32
from shoploop.importance.checks.flips import Shop
from shoploop.importance.estimators.table import Float32, Float64
from shoploop.importance.shop_proxy import look, train_shop_proxy
from shoploop.importance.weighing import WeighingConfig, weigh
from shoploop.samples.sample_set import SampleSet
from shoploop.training.building import build_model
from shoploop.training.loop import TrainConfig, fit

METRIC = "ndcg@10"
CONFIDENCE = 0.95
MARGIN = 0.002
"""In NDCG@10: a loss is ruled out where the one-sided bound of the difference lies above minus this, as the gate's default
has it."""

SHORT_DAYS = 10
"""Days with a purchase below which a history is short."""


@dataclass(frozen=True, kw_only=True)
class TrialConfig:
    epochs: int = 2
    joint_epochs: int = 1
    batch_requests: int = 16


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether training uses the weights, and why."""

    used: bool
    reason: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


NOTHING_TO_WEIGH = Verdict(
    used=False, reason="Nothing to weigh: no label is in doubt as far as can be told, so every weight is 1."
)


def try_weights(
    learned: SampleSet,
    judged: SampleSet,
    shop: Shop,
    config: WeighingConfig,
    *,
    seed: int,
    trial: TrialConfig | None = None,
) -> dict[str, Any]:
    """Trains with and without the weights that the estimator gives the learned sample.

    Args:
        learned: Earlier requests; they are weighed by a proxy and an estimator that see nothing else.
        judged: Later requests, unweighted.
        shop: Catalog and contract.
        config: What weighs.
        seed: Of proxy, estimator and both trainings.
        trial: How long is trained.

    Returns:
        ``overall`` and ``slices``: NDCG@10 ``with`` and ``without``, ``difference`` and its paired 95 % ``interval``, users
        drawn whole; overall also ``bound``, the one-sided one; ``nothing`` where all weights are 1, so that one training
        says both.
    """
    view = look(train_shop_proxy(learned, shop.catalog, shop.contract, seed=seed), learned)
    weighed = weigh(learned, view, shop.contract, config, seed=seed)
    without_Q = _quality(learned, None, judged, shop, trial or TrialConfig(), seed)
    nothing = bool((weighed.weights_R == 1).all())
    with_Q = without_Q if nothing else _quality(learned, weighed.weights_R, judged, shop, trial or TrialConfig(), seed)
    return {"nothing": nothing, "learned": len(learned)} | measured(with_Q, without_Q, judged, shop, seed=seed)


def measured(with_Q: Float64, without_Q: Float64, judged: SampleSet, shop: Shop, *, seed: int) -> dict[str, Any]:
    """What :func:`judge` asks, of the quality of each judged request with the weights and without."""
    overall = _compared(with_Q, without_Q, judged.users_Q, seed)
    bound = _interval(with_Q - without_Q, judged.users_Q, seed, 2 * CONFIDENCE - 1)
    return {
        "metric": METRIC,
        "margin": MARGIN,
        "confidence": CONFIDENCE,
        "judged": len(judged),
        "overall": overall | {"bound": bound[0] if bound else None},
        "slices": {
            name: _compared(with_Q[chosen_Q], without_Q[chosen_Q], judged.users_Q[chosen_Q], seed)
            for name, chosen_Q in history_slices(judged, shop).items()
            if chosen_Q.any()
        },
    }


def judge(trial: Mapping[str, Any]) -> Verdict:
    """What follows from a trial.

    The weights are kept where a loss of the margin is ruled out overall, what is measured is none, and no slice clearly
    loses: weights that are worth nothing are not worth their cost.
    """
    if trial.get("nothing"):
        return NOTHING_TO_WEIGH
    overall, margin = trial["overall"], trial["margin"]
    told = f"NDCG@10 {_signed(overall)} on {trial['judged']} later visits"
    losing = [n for n, s in trial["slices"].items() if s["interval"] and s["interval"][1] < 0]
    if overall["bound"] is None or not overall["bound"] > -margin:
        return Verdict(used=False, reason=f"A loss is not ruled out: {told}, and no more than {margin} may be lost.")
    if overall["difference"] < 0:
        return Verdict(used=False, reason=f"The weights gain nothing, they rather lose: {told}.")
    if losing:
        worst = losing[0]
        return Verdict(
            used=False,
            reason=f"{worst.capitalize()} lose: {_signed(trial['slices'][worst])}, though overall {told}.",
        )
    gains = overall["interval"] and overall["interval"][0] > 0
    return Verdict(used=True, reason=f"The weights {'gain' if gains else 'lose nothing'}: {told}.")


def history_slices(samples: SampleSet, shop: Shop) -> dict[str, "np.ndarray[Any, np.dtype[np.bool_]]"]:
    """Requests by the length of their user's history."""
    days_Q = days_active(samples, shop)
    return {
        "cold users": days_Q == 0,
        "short histories": (days_Q > 0) & (days_Q < SHORT_DAYS),
        "long histories": days_Q >= SHORT_DAYS,
    }


def days_active(samples: SampleSet, shop: Shop) -> Float64:
    """Days with a purchase before each request, from the feature that is its log(1 + x)."""
    if "user_days" not in shop.contract.pair_features or not len(samples.items_R):
        return np.full(len(samples), float(SHORT_DAYS))
    column_R = samples.features_RK[:, shop.contract.pair_features.index("user_days")]
    first_Q = np.minimum(samples.offsets_Q1[:-1], len(column_R) - 1)
    days_Q: Float64 = np.rint(np.expm1(column_R[first_Q].astype(np.float64)))
    return days_Q


def _quality(
    learned: SampleSet, weights_R: Float32 | None, judged: SampleSet, shop: Shop, trial: TrialConfig, seed: int
) -> Float64:
    """NDCG@10 of each judged request; NaN where nothing was bought."""
    model = build_model(shop.contract, shop.catalog, learned, seed=seed).to(training_device())
    config = TrainConfig(
        epochs=trial.epochs, joint_epochs=trial.joint_epochs, batch_requests=trial.batch_requests, seed=seed
    )
    fit(model, replace(learned, weights_R=weights_R), learned.select([]), config)
    return request_metrics(judged, model_scores(model, judged)["fused"])[METRIC]


def _compared(with_Q: Float64, without_Q: Float64, users_Q: Int32, seed: int) -> dict[str, Any]:
    difference_Q = with_Q - without_Q
    interval = _interval(difference_Q, users_Q, seed)
    return {
        "requests": len(difference_Q),
        "with": mean(with_Q),
        "without": mean(without_Q),
        "difference": mean(difference_Q),
        "interval": list(interval) if interval else None,
    }


def _interval(difference_Q: Float64, users_Q: Int32, seed: int, confidence: float = 0.95) -> tuple[float, float] | None:
    """None where a single user has a value: what suits one says nothing of others."""
    if len(np.unique(users_Q[~np.isnan(difference_Q)])) < 2:
        return None
    return Bootstrap(len(difference_Q), seed=seed, of_user=users_Q).interval(difference_Q, confidence)


def _signed(found: Mapping[str, Any]) -> str:
    low, high = found["interval"] or (float("nan"), float("nan"))
    return f"{found['difference']:+.4f} [{low:+.4f}, {high:+.4f}]"
