"""Sample augmentation that must pay: virtual behaviour, and the proofs that it is like the real, discreet, and of
use."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoploop.api.v1alpha1 import AugmentationSpec, RecommenderSpec, TrainingSpec

if TYPE_CHECKING:
    from shoploop.augmentation.effort import Effort

__all__ = ["augment_samples", "synthesize"]


def augment_samples(
    data: Path,
    samples: Path,
    features: Path,
    out: Path,
    augmentation: AugmentationSpec,
    training: TrainingSpec,
    seed: int,
    *,
    effort: "Effort | None" = None,
) -> dict[str, Any]:
    """See :func:`shoploop.augmentation.step.augment_samples`; torch is loaded only when this is called."""
    from shoploop.augmentation import step
    from shoploop.augmentation.effort import RUN

    return step.augment_samples(data, samples, features, out, augmentation, training, seed, effort=effort or RUN)


def synthesize(spec: RecommenderSpec, rows: int, out: Path, **settings: Any) -> dict[str, Any]:
    """See :func:`shoploop.augmentation.synthesize.synthesize`."""
    from shoploop.augmentation.synthesize import synthesize as run

    return run(spec, rows, out, **settings)
