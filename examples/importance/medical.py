"""Doubtful labels of a medical table: a fifth of the diagnoses is swapped, the weights find them.

python examples/importance/medical.py
"""

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from shoploop.importance import SampleImportance


def main(seed: int = 0) -> dict[str, float]:
    X, y = load_breast_cancer(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=seed)
    swapped = np.random.default_rng(seed).random(len(y)) < 0.2
    recorded = np.where(swapped, 1 - y, y)

    importance = SampleImportance(random_state=seed).fit(X, recorded)
    first = importance.suspects_[: swapped.sum()]
    model = make_pipeline(StandardScaler(), LogisticRegression())
    plain = model.fit(X, recorded).score(X_test, y_test)
    weighted = model.fit(X, recorded, logisticregression__sample_weight=importance.weights_).score(X_test, y_test)
    return {"swapped among the suspects": float(swapped[first].mean()), "unweighted": plain, "weighted": weighted}


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name:28} {value:.3f}")
