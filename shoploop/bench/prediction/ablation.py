"""What each part of the model gives: each network alone, their mean, α learned, and α by circumstances.

Legend: Q targets, R rows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from shoploop.bench.prediction.contest import Once, Samples, contest, measured, networks, parted, scored
from shoploop.bench.prediction.problem import Problem, Say


def ablation(problem: Problem, *, seeds: Sequence[int] = (0,), say: Say = lambda what: None) -> dict[str, Any]:
    """Trains once a seed and takes parts away.

    Returns:
        As :func:`shoploop.bench.prediction.contest.contest`, of the methods ``dnn`` and ``transformer`` (as each learned
        alone), ``fixed_alpha`` (α = .5 of these), ``fused`` (α learned) and ``contextual_alpha``; users with short and with
        long histories are slices.
    """
    return contest(problem, seeds=seeds, say=say, once=_parts)


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
