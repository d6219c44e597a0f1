"""What each part of the model gives: each network alone, their mean, α learned, and α by circumstances.

Legend: Q targets, R rows.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.bench.prediction.contest import Once, Samples, contest, measured, networks, parted, scored
from shoploop.bench.prediction.problem import Problem, Say
from shoploop.evaluation.slices import LONG_DAYS, SHORT_DAYS
from shoploop.features.history import history_of


def ablation(problem: Problem, *, seeds: Sequence[int] = (0,), say: Say = lambda what: None) -> dict[str, Any]:
    """Trains once a seed and takes parts away.

    Returns:
        As :func:`shoploop.bench.prediction.contest.contest`, of the methods ``dnn`` and ``transformer`` (as each learned
        alone), ``fixed_alpha`` (α = .5 of these), ``fused`` (α learned) and ``contextual_alpha``; users with short and with
        long histories are slices.
    """
    sliced = replace(problem, slices=dict(problem.slices) | _by_history(problem))
    return contest(sliced, seeds=seeds, say=say, once=_parts)


def _parts(made: Samples, seed: int, say: Say) -> Once:
    import torch

    from shoploop.training.contextual import learn_alpha
    from shoploop.training.loop import batches

    learn, test = made.labels(), made.targets()
    train, validation = parted(made, learn, seed)
    scores, model = networks(made, train, validation, test, seed, say)
    say("learning α by circumstances")
    (held,) = batches(validation, np.arange(len(validation)), len(validation))
    found = learn_alpha(model, made.problem.contract, held)
    by_part = scored(made, model, test)
    with torch.inference_mode():
        alpha_R = found.alpha(torch.from_numpy(test.features_RK)).numpy().astype(np.float64)
    scores["contextual_alpha"] = alpha_R * by_part["dnn"] + (1 - alpha_R) * by_part["transformer"]
    return measured(made, test, scores, model, say)


def _by_history(problem: Problem) -> dict[str, npt.NDArray[np.bool_]]:
    days_Q = np.array(
        [
            len(np.unique(history_of(problem.log, request.user, before=request.day).days_H))
            for request in problem.targets
        ]
    )
    parts = {"short_histories": days_Q < SHORT_DAYS, "long_histories": days_Q >= LONG_DAYS}
    return {name: part_Q for name, part_Q in parts.items() if part_Q.any()}
