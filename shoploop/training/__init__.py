"""Training: samples and features in, a model version out."""

from pathlib import Path
from typing import Any

from shoploop.api.v1alpha1 import TrainingSpec

__all__ = ["train_fused"]


def train_fused(
    samples: Path,
    features: Path,
    data: Path,
    out: Path,
    training: TrainingSpec,
    weights: Path | None = None,
    *,
    parent: str | None = None,
    augmentation: Path | None = None,
    importance: Path | None = None,
) -> dict[str, Any]:
    """Trains the DNN, the Transformer and the α that fuses them, and writes a model version.

    Args:
        samples: Folder of ``build_samples``, or the one of ``augment_samples``.
        features: Folder of ``materialize_features``.
        data: Folder of ``load_data``; only its digests are read, for the lineage.
        out: The version's folder; ``training.json`` with the curves is written beside its files.
        training: Epochs, learning rate and seed.
        parent: Id of the version that serves now, for the lineage.
        augmentation: Folder of ``augment_samples``, whose verdict becomes part of the lineage.
        importance: Folder of ``estimate_importance``: its verdict becomes part of the lineage, and its weights are used
            where the verdict says so.
        weights: Weights artifact of ``samples``: what each training sample counts in the loss.

    Returns:
        ``training.json``: per epoch losses, α and seconds; parameters, samples and the version's id.

    Raises:
        TooFewEvents: no training request has a candidate that was bought.
        WeightsForeign: the weights belong to other samples.
        ArtifactForeign, ArtifactCorrupt: they are no weights artifact, or a weight is negative or not finite.
    """
    from shoploop.compute.parallel import writing
    from shoploop.training.step import train

    with writing(out) as mine:
        return train(samples, features, data, mine, training, weights, parent, augmentation, importance)
