"""A step that is killed with SIGKILL goes on from the generator's last checkpoint when it is run again."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from narrow_network import narrow
from shop import two_tastes
from shop.samples import write_folders
from tiny_effort import TINY

from shoploop.api.v1alpha1 import AugmentationSpec
from shoploop.augmentation.generator.adversary import Adversary
from shoploop.augmentation.step import augment_samples

pytestmark = pytest.mark.usefixtures("one_thread")

STEPS = 300
SLOW = replace(
    TINY,
    generator=replace(TINY.generator, adversary=replace(TINY.generator.adversary, steps=STEPS)),
    variants=("crop",),
    rows=1000,
)
HERE = Path(__file__).parent
PLACES = [str(HERE), str(HERE.parent / "shared")]


def work(root: Path) -> dict:
    asked = AugmentationSpec(mode="Always")
    with pytest.MonkeyPatch.context() as patch:
        narrow(patch)
        return augment_samples(
            data=root / "data",
            features=root / "features",
            samples=root / "samples",
            out=root / "out",
            augmentation_spec=asked,
            seed=0,
            cache=root / "cache",
            effort=SLOW,
        )


def test_a_killed_step_goes_on_from_its_last_checkpoint(tmp_path, monkeypatch):
    write_folders(tmp_path, two_tastes(60))
    code = f"import sys; sys.path[:0] = {PLACES!r}; import torch; torch.set_num_threads(1); " + (
        f"from pathlib import Path; import test_killed_step; test_killed_step.work(Path({str(tmp_path)!r}))"
    )
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], start_new_session=True)
    try:
        until = time.monotonic() + 120
        while not list((tmp_path / "cache").glob("generators/*.safetensors")):
            assert process.poll() is None, "the step ended before it could be killed"
            assert time.monotonic() < until, "no checkpoint was written"
            time.sleep(0.01)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert not (tmp_path / "out" / "augmentation.json").exists()

    steps = []
    learned = Adversary._generator_step
    monkeypatch.setattr(
        Adversary, "_generator_step", lambda self, *given: steps.append(self.step) or learned(self, *given)
    )
    report = work(tmp_path)
    assert steps[0] >= 100 and steps[0] % 100 == 0
    assert steps[-1] == STEPS - 1
    assert report["generator"]["steps"] == STEPS
    assert report["variant"] == "crop"
