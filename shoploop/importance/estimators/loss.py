"""Loss ranking: how likely a logistic regression that has not seen a sample finds its label.

Ranking by out-of-fold self-confidence is the plain form of confident learning (Northcutt, Jiang, Chuang 2021, section 3).

Legend: N samples, K features, C classes, F folds.
"""

from dataclasses import dataclass

import numpy as np

from shoploop.importance.estimators.stacked import Folds
from shoploop.importance.estimators.table import Float64, Table
from shoploop.importance.estimators.weights import Scores


@dataclass(frozen=True, kw_only=True)
class LossRanking:
    folds: int = 5
    strengths: tuple[float, ...] | None = (1e-3, 1e-2, 1e-1, 1.0)
    """Inverse strengths of the L2 penalty to choose from, by the log loss within each training part. None: 1, scikit-learn's
    default."""

    tuned_on: int = 5000
    """Samples that the choice is made on, at most."""

    name = "loss"
    paper = "Northcutt et al. 2021, section 3"

    def score(self, table: Table, *, seed: int) -> Scores:
        """exp(-loss), out of fold."""
        folds = Folds.draw(table.y_N, folds=min(self.folds, len(table)), repeats=1, seed=seed)
        chance_N = np.zeros(len(table))
        chosen = []
        for fold in range(folds.folds):
            seen, held = folds.seen(fold), folds.held_out(fold)
            chance_N[held], strength = self._judge(table, seen, held, seed)
            chosen.append(strength)
        loss_N = -np.log(np.clip(chance_N, 1e-12, 1))
        return Scores(
            importance_N=chance_N, diagnostics={"out_of_fold_loss": float(loss_N.mean()), "strengths": chosen}
        )

    def _judge(
        self,
        table: Table,
        seen: "np.ndarray",
        held: "np.ndarray",
        seed: int,
    ) -> tuple[Float64, float]:
        from sklearn.linear_model import LogisticRegression

        x_NK, y_N = table.x_NK[seen], table.y_N[seen]
        if len(np.unique(y_N)) < 2:
            return (table.y_N[held] == y_N[0]).astype(np.float64), 1.0
        strength = self._strength(x_NK, y_N, seed)
        model = LogisticRegression(C=strength, max_iter=300).fit(x_NK, y_N)
        column_C = np.full(len(table.classes), -1)
        column_C[model.classes_] = np.arange(len(model.classes_))
        chance_NC = model.predict_proba(table.x_NK[held])
        wanted = column_C[table.y_N[held]]
        known = wanted >= 0
        return np.where(known, chance_NC[np.arange(len(held)), np.maximum(wanted, 0)], 0.0), strength

    def _strength(self, x_NK: "np.ndarray", y_N: "np.ndarray", seed: int) -> float:
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import log_loss

        if self.strengths is None:
            return 1.0
        rng = np.random.default_rng(seed)
        rows = rng.permutation(len(y_N))[: self.tuned_on]
        folds = Folds.draw(y_N[rows], folds=min(5, len(rows)), repeats=1, seed=seed)
        if np.bincount(y_N[rows])[np.unique(y_N[rows])].min() < 2:
            return 1.0
        losses = []
        for strength in self.strengths:
            total = 0.0
            for fold in range(folds.folds):
                seen, held = rows[folds.seen(fold)], rows[folds.held_out(fold)]
                if len(np.unique(y_N[seen])) < len(np.unique(y_N[rows])):
                    return 1.0
                model = LogisticRegression(C=strength, max_iter=300).fit(x_NK[seen], y_N[seen])
                total += log_loss(y_N[held], model.predict_proba(x_NK[held]), labels=model.classes_) * len(held)
            losses.append(total)
        return self.strengths[int(np.argmin(losses))]
