"""A risk-like table, drawn: who defaults depends on debt, income and delays, and some outcomes were recorded wrongly.

python examples/importance/risk.py
"""

import numpy as np

from shoploop.importance import SampleImportance


def main(seed: int = 0) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    income = rng.lognormal(10, 0.5, 1500)
    debt = income * rng.gamma(2, 0.2, 1500)
    delays = rng.poisson(2 * debt / income)
    noise = rng.normal(size=(1500, 3))
    risk = 4 * debt / income + delays + 0.3 * rng.normal(size=1500)
    defaulted = risk > np.quantile(risk, 0.7)
    wrong = rng.random(1500) < 0.1
    recorded = np.where(wrong, ~defaulted, defaulted)

    importance = SampleImportance(random_state=seed).fit(np.column_stack([income, debt, delays, noise]), recorded)
    first = importance.suspects_[: wrong.sum()]
    return {
        "wrong among the suspects": float(wrong[first].mean()),
        "wrong in all": float(wrong.mean()),
        "mean weight of the wrong": float(importance.weights_[wrong].mean()),
        "mean weight of the right": float(importance.weights_[~wrong].mean()),
    }


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:28} {value:.3f}")
