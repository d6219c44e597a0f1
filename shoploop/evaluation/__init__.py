"""How good a model is, how sure that is, and whether it may serve."""

from pathlib import Path
from typing import Any

from shoploop.api.v1alpha1 import GateSpec

__all__ = ["evaluate_model"]


def evaluate_model(
    samples: Path,
    features: Path,
    data: Path,
    model: Path,
    out: Path,
    gate: GateSpec,
    incumbent: Path | None = None,
) -> dict[str, Any]:
    """Measures a version on the days held out, against the baselines and the version that serves.

    Args:
        samples: Folder of ``build_samples``: one visit of each user in the days of evaluation, with all its candidates.
        features: Folder of ``materialize_features``.
        data: Folder of ``load_data``.
        model: The version's folder.
        out: Folder to write ``evaluation.json`` into.
        gate: Metric and confidence of the bounds that the gate will look at.
        incumbent: Folder of the version that serves; scored on the same visits with its own candidates.

    Returns:
        ``evaluation.json``: metrics of every method with 95% intervals over users, paired comparisons, slices, α,
        recall of candidates, calibration, coverage, feature importance, examples, and the bounds for the gate.

    Raises:
        ArtifactCorrupt, ArtifactForeign: a version must not be used.
    """
    from shoploop.evaluation.step import evaluate

    return evaluate(samples, features, data, model, out, gate, incumbent)
