"""Whether labels are as likely with as many wrong ones as were counted as with fewer.

:mod:`shoploop.importance.doubt` counts wrong labels where features speak most clearly, and where classes overlap it counts
what is none. Here a linear model learns with the weights that follow from a rate, and what it says of held-out labels goes
through the noise of that rate (forward correction, Patrini et al. 2017, theorem 2): too high a rate makes these labels less
likely, and so does one that is too low.

Legend: N samples, M of them, C labels, R rates.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from shoploop.importance.estimators.judges import FOLDS, TUNED_ON
from shoploop.importance.estimators.stacked import Folds
from shoploop.importance.estimators.table import Float64, Int64, Table
from shoploop.importance.estimators.weights import WeightConfig, weights_by_noise

DRAWS = 3
"""Of the folds: of one a few labels would decide."""

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of the rates that were counted; more were never counted by mistake."""

LEAST = 1e-6
"""No chance counts as less: one label must not decide about a rate."""


def confirmed(rate_C: Float64, own_N: Float64, table: Table, config: WeightConfig, *, seed: int) -> Float64:
    """The most of these rates that makes held-out labels as likely as any, (C,): within one standard error (Breiman et al.
    1984, "Classification and regression trees", section 3.4.3).

    Args:
        rate_C: How often a sample carries each label that is not its own, as it was counted.
        own_N: Chance of the label that each sample carries, as judged without having seen it.
        table: The samples. Of a label with fewer than FOLDS of them nothing can be held out: the rates stay then.
        config: Bounds of weights.
        seed: Of what is drawn.
    """
    rows_M = _drawn(table, seed)
    y_M = table.y_N[rows_M]
    if not rate_C.any() or np.bincount(y_M, minlength=len(rate_C)).min() < FOLDS:
        return rate_C
    # by ranks, as judges see them, outliers are none; models that learn with the weights meet them as they are
    x_MK = StandardScaler().fit_transform(table.scale.backward(table.x_NK[rows_M]))
    likelihood_RM = np.array([_likelihood(share * rate_C, own_N[rows_M], x_MK, y_M, config, seed) for share in SHARES])
    best_M = likelihood_RM[int(likelihood_RM.mean(axis=1).argmax())]
    short_RM = best_M - likelihood_RM
    # labels that features settle are as likely by chance as by mistake: then the count has the word
    near_R = short_RM.mean(axis=1) <= short_RM.std(axis=1) / np.sqrt(len(y_M))
    return rate_C * SHARES[int(np.flatnonzero(near_R).max())]


def _drawn(table: Table, seed: int) -> Int64:
    if len(table) <= TUNED_ON:
        return np.arange(len(table))
    return np.sort(np.random.default_rng(seed).choice(len(table), TUNED_ON, replace=False))


def _likelihood(rate_C: Float64, own_M: Float64, x_MK: Float64, y_M: Int64, config: WeightConfig, seed: int) -> Float64:
    """Log-likelihood of each label, by models that have not seen it, (M,)."""
    weights_M = weights_by_noise(own_M, y_M, rate_C, config)
    folds, likelihood_M = Folds.draw(y_M, folds=FOLDS, repeats=DRAWS, seed=seed), np.zeros(len(y_M))
    for net in range(folds.nets):
        seen, held = folds.seen(net), folds.held_out(net)
        model = LogisticRegression(max_iter=500).fit(x_MK[seen], y_M[seen], sample_weight=weights_M[seen])
        label_M = np.searchsorted(model.classes_, y_M[held])
        chance_M = (
            rate_C[y_M[held]] + (1 - rate_C.sum()) * model.predict_proba(x_MK[held])[np.arange(len(held)), label_M]
        )
        likelihood_M[held] += np.log(np.maximum(chance_M, LEAST)) / DRAWS
    return likelihood_M
