"""The step as two processes that meet carry it out together; a test starts it."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parents[1] / "shared"))

from narrow_network import narrow
from tiny_effort import TINY

from shoploop.api.v1alpha1 import AugmentationSpec
from shoploop.augmentation.step import augment_samples


def work(run: Path, out: Path) -> None:
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        narrow(patch)
        augment_samples(
            **{name: run / name for name in ("data", "features", "samples")},
            out=out,
            augmentation_spec=AugmentationSpec(mode="Always", ratio=0.5),
            seed=0,
            effort=TINY,
        )


if __name__ == "__main__":
    work(*map(Path, sys.argv[1:]))
