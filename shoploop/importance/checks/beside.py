"""The self-check in a process of its own, beside the weighing: neither needs what the other finds.

Trainings of this size gain little from a second thread, so on two cores the step takes little more than its longer half.
The process leaves its results as stages; where it was not started or broke, the step computes the same itself.

``python -m shoploop.importance.checks.beside FOLDER`` is such a process: what it does stands in FOLDER/beside.json, and it
ends with the process that started it.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoploop import progress

if TYPE_CHECKING:
    from shoploop.importance.checks.check import CheckConfig

CHECKS = ("flips", "trial")
"""The stages that it makes."""

NOT_INHERITED = (progress.VARIABLE, "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
"""It reports no progress of its own, and is none of torchrun's processes."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the process is told."""

    data: Path
    features: Path
    samples: Path
    digest: str
    method: str
    seed: int
    check: "CheckConfig"


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it torch and BLAS use one thread: sums must not depend on how many cores there are."""
    import torch
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def started(folder: Path, told: Told) -> Iterator[subprocess.Popen[bytes]]:
    """The process at work on the checks of the stages in ``folder``; it is ended where the block is left too early."""
    (folder / "beside.json").write_text(json.dumps(asdict(told), default=str))
    environment = {key: value for key, value in os.environ.items() if key not in NOT_INHERITED}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    with (folder / "beside.log").open("wb") as log:
        command = [sys.executable, "-m", __name__, str(folder)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        assert process.stdin is not None
        process.stdin.close()


def carry_out(folder: Path) -> None:
    """What the process does."""
    from shoploop.importance.checks.check import CheckConfig, check_weights, read_inputs
    from shoploop.importance.weighing import WeighingConfig
    from shoploop.resuming.stages import Stages

    told: dict[str, Any] = json.loads((folder / "beside.json").read_text())
    folders = {name: Path(told[name]) for name in ("data", "features", "samples")}
    inputs = read_inputs(**folders, digest=told["digest"])
    stages = Stages(folder, json.loads((folder / "key.json").read_text()))
    config = WeighingConfig(method=told["method"])
    with one_thread():
        check_weights(inputs, config, told["seed"], stages, CheckConfig(**told["check"]))


def _main(folder: Path) -> None:
    def end_with_the_other() -> None:
        os.read(0, 1)  # nothing is ever sent: it returns when the other end is closed
        os._exit(1)

    threading.Thread(target=end_with_the_other, daemon=True).start()
    carry_out(folder)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
