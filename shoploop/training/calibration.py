"""Both networks on one scale, and α between them, on visits that neither has learned from.

A network is surer of what it has learned from than it may be, and the one that remembers more is the surer: an α that is
learned beside the weights trusts it too much. So each network's scores are divided by a temperature (Guo, Pleiss, Sun,
Weinberger 2017, "On calibration of modern neural networks", section 4.2), and α is then found anew, both by the loss of
training on the validation visits. As these are few, it is a maximum a posteriori estimate: training's own α is expected. The
temperatures go into the weights: a score is linear in its last layer.

Legend: Q requests, N candidates.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from shoploop.compute.cores import one_thread
from shoploop.models.fusion import FusedModel, Surface
from shoploop.samples.sample_set import SampleSet
from shoploop.training.loop import batches, listwise_loss

FEWEST_REQUESTS = 40
"""Validation visits with a purchase among the candidates from which on one scale and α are found on them."""

PRIOR_LOGIT, PRIOR_TIMES = 0.5, 0.5
"""Standard deviations of what is expected before the validation visits are asked: of α's logit about what training found,
and of the logarithm of a factor about 0. A few hundred visits alone would throw α from end to end."""

MOST_TIMES = 4.0
"""By which a network's scores grow or shrink at most."""

SCORED_AT_ONCE = 32
"""Visits: they are padded to the most purchases behind any of them, which may be tens of thousands."""

MOST_LOGIT = 4.0
"""α stays between .018 and .982: the other network is never lost for the next training."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was found; the model has it in its weights."""

    requests: int
    """With a purchase among the candidates."""

    dnn_times: float
    """What its scores were multiplied by."""

    transformer_times: float
    alpha_before: float
    alpha: float


@dataclass(frozen=True)
class _Logits:
    """All validation requests, padded."""

    dnn_QN: Tensor
    transformer_QN: Tensor
    labels_QN: Tensor
    mask_QN: Tensor
    weights_QN: Tensor

    def surprise(self, scores_QN: Tensor) -> float:
        """The loss of all requests together, in nats."""
        mean = listwise_loss(scores_QN, self.labels_QN, self.mask_QN, self.weights_QN)
        return mean.item() * len(scores_QN)


@one_thread()
def calibrate(model: FusedModel, validation: SampleSet, surface: Surface = "items") -> Calibration | None:
    """Puts the networks on one scale and learns α; the model is changed in place.

    Args:
        model: Trained.
        validation: Visits that it has not learned from, or queries, or choices of a shop.
        surface: Whose scores and α.

    Returns:
        What was found; None where fewer than :data:`FEWEST_REQUESTS` visits could tell: the model stays as it is.
    """
    told = [q for q in range(len(validation)) if validation.labels_R[validation.rows(q)].any()]
    if len(told) < FEWEST_REQUESTS:
        return None
    logits = _logits(model, validation.select(told), surface)
    before, most = model.alpha[surface], float(np.log(MOST_TIMES))

    def times(scores_QN: Tensor) -> float:
        def doubt(value: float) -> float:
            return logits.surprise(np.exp(value) * scores_QN) + (value / PRIOR_TIMES) ** 2 / 2

        return float(np.exp(_lowest(doubt, most)))

    dnn_times, transformer_times = times(logits.dnn_QN), times(logits.transformer_QN)
    dnn_QN, transformer_QN = dnn_times * logits.dnn_QN, transformer_times * logits.transformer_QN

    expected = float(np.clip(np.log(before / (1 - before)), -MOST_LOGIT, MOST_LOGIT))

    def doubt(logit: float) -> float:
        alpha = 1 / (1 + np.exp(-logit))
        found = logits.surprise(alpha * dnn_QN + (1 - alpha) * transformer_QN)
        return found + ((logit - expected) / PRIOR_LOGIT) ** 2 / 2

    logit = _lowest(doubt, MOST_LOGIT)
    with torch.no_grad():
        if surface == "search":
            model.searching().multiply_scores(dnn=dnn_times, transformer=transformer_times)
        elif surface == "shops":
            model.shopping().multiply_scores(dnn=dnn_times, transformer=transformer_times)
        else:
            model.behaviour.multiply_scores(dnn_times)
            model.sequence.multiply_scores(transformer_times)
        model.alpha_logits[model.config.surfaces.index(surface)] = logit
    return Calibration(
        requests=len(told),
        dnn_times=dnn_times,
        transformer_times=transformer_times,
        alpha_before=before,
        alpha=model.alpha[surface],
    )


def _lowest(doubt: Callable[[float], float], most: float) -> float:
    """The number from ``-most`` to ``most`` at which the doubt is lowest, by Brent's method."""
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(doubt, bounds=(-most, most), method="bounded")
    return float(found.x)


def _logits(model: FusedModel, samples: SampleSet, surface: Surface) -> _Logits:
    model.eval()
    parts = []
    with torch.no_grad():
        for labelled in batches(samples, np.arange(len(samples)), SCORED_AT_ONCE):
            scores = model(labelled.batch.to(model.device), surface)
            logits = (each.to(torch.device("cpu")) for each in (scores.dnn_BN, scores.transformer_BN))
            parts.append((*logits, labelled.labels_BN, labelled.batch.mask_BN, labelled.weights_BN))
    most = int(np.diff(samples.offsets_Q1).max())
    return _Logits(
        *(torch.cat([pad(each, (0, most - each.shape[1])) for each in of]) for of in zip(*parts, strict=True))
    )
