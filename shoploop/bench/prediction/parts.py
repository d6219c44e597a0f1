"""Parts of the targets of which every benchmark tells apart how its methods do: how long their users' histories are, and how
much they bought."""

import numpy as np
import numpy.typing as npt

from shoploop.bench.prediction.problem import Problem
from shoploop.evaluation.slices import LONG_DAYS, SHORT_DAYS
from shoploop.features.history import bought_on, history_of

Bool = npt.NDArray[np.bool_]


def parts_of(problem: Problem) -> dict[str, Bool]:
    """Those of the problem itself and those of all problems, (Q,) each; no part is empty."""
    log = problem.log
    days_Q = np.array(
        [len(np.unique(history_of(log, request.user, before=request.day).days_H)) for request in problem.targets]
    )
    size_Q = np.array([len(bought_on(log, request.user, day=request.day)) for request in problem.targets])
    usual = np.median(size_Q) if len(size_Q) else 0
    parts = {
        "short_histories": days_Q < SHORT_DAYS,
        "long_histories": days_Q >= LONG_DAYS,
        "small_baskets": size_Q < usual,
        "large_baskets": size_Q > usual,
    } | dict(problem.slices)
    return {name: part_Q for name, part_Q in parts.items() if part_Q.any()}
