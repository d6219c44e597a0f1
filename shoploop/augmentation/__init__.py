"""Sample augmentation that must pay: virtual behaviour, and the proofs that it is like the real, discreet, and of use."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoploop.api.v1alpha1 import AugmentationSpec

if TYPE_CHECKING:
    from shoploop.augmentation.trials.effort import Effort

__all__ = ["augment_samples"]


def augment_samples(
    data: Path,
    samples: Path,
    features: Path,
    out: Path,
    augmentation: AugmentationSpec,
    *,
    seed: int,
    cache: Path | None = None,
    effort: "Effort | None" = None,
) -> dict[str, Any]:
    """See :func:`shoploop.augmentation.step.augment_samples`; torch is loaded only when this is called."""
    from shoploop.augmentation import step
    from shoploop.augmentation.trials.effort import RUN
    from shoploop.compute.parallel import writing

    with writing(out) as mine:
        return step.augment_samples(
            data, samples, features, mine, augmentation, seed=seed, cache=cache, effort=effort or RUN
        )
