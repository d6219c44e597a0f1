"""What augmentation makes of the shop, made once."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from narrow_network import narrow
from shop import two_tastes
from shop.samples import write_folders
from tiny_effort import TINY

from shoploop.api.v1alpha1 import AugmentationSpec
from shoploop.augmentation.step import augment_samples


@pytest.fixture(scope="session")
def ninety(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders of a run of ninety shoppers; not to be written to."""
    return write_folders(tmp_path_factory.mktemp("ninety") / "run", two_tastes(90))


@pytest.fixture(scope="session")
def always(ninety: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Of those what the mode Always makes: its folder, not to be written to, and its report."""
    root = tmp_path_factory.mktemp("always")
    folders = {name: ninety / name for name in ("data", "features", "samples")}
    settings = {"augmentation_spec": AugmentationSpec(mode="Always", ratio=0.5), "seed": 0, "effort": TINY}
    with pytest.MonkeyPatch.context() as patch:
        narrow(patch)
        return root / "out", augment_samples(**folders, out=root / "out", cache=root / "cache", **settings)


@pytest.fixture
def cache(always: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    """A copy of the cache in which that left its generator."""
    out, _ = always
    return shutil.copytree(out.parent / "cache", tmp_path / "cache")
