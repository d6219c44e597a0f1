"""Simple methods that score candidates by their features: what a model is held against, and what answers in its place.

They learn nothing: each orders by one feature, and what sells breaks its ties. An evaluation and a predictor call the same
function, so that what answers is what was measured.

Legend: R rows, K features.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from shoploop.ranking.answer import Method

Simple = Literal["popular", "personal", "decay", "followers", "ease"]
SIMPLE: tuple[Simple, ...] = get_args(Simple)

ANSWERED_AS: dict[Simple, Method] = {
    "popular": "popularity",
    "personal": "frequency",
    "decay": "decay",
    "followers": "followers",
    "ease": "ease",
}
"""What an answer calls them."""


def simple_scores(
    method: Simple, features_RK: npt.NDArray[np.floating], names: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Each row's score, (R,), larger is better.

    ``popular`` is what everybody bought most in the last 28 days; ``personal`` what the user bought on the most days;
    ``decay`` the same with each purchase counting exp(-age / 90 days); ``followers`` what is bought after the items of the
    last visits, lately above all, a Markov chain over visits; ``ease`` what goes with the items bought, those of the last
    visits above all, by EASE (Steck 2019).

    Args:
        method: Which one.
        features_RK: Pair features.
        names: Of its columns.
    """

    def column(name: str) -> npt.NDArray[np.float64]:
        found: npt.NDArray[np.float64] = features_RK[:, names.index(name)].astype(np.float64)
        return found

    # the share of the last 28 days' baskets as a number below 1, to break ties with
    sold_R = np.clip((column("item_rate_28") + 14.0) / 14.0, 0.0, 0.999)
    match method:
        case "popular":
            return sold_R
        case "personal":
            days_R: npt.NDArray[np.float64] = np.rint(np.expm1(column("own_days"))) + sold_R
            return days_R
        case "decay":
            return column("own_decay_days_90") + 1e-6 * sold_R
        case "followers":
            return column("lately_recent") + 1e-6 * sold_R
        case "ease":
            return column("taste_recent") + 1e-6 * sold_R
