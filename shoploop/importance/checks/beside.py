"""The self-check in a process of its own, beside the weighing: neither needs what the other finds.

Trainings of this size gain little from a second thread, so on two cores the step takes little more than its longer half.
The process leaves its results as stages; where it was not started or broke, the step computes the same itself.

Run as a program, this module is such a process: a worker, see :mod:`shoploop.compute.worker`.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shoploop.compute.cores import one_thread
from shoploop.compute.worker import Worker, work
from shoploop.store import disk

if TYPE_CHECKING:
    from shoploop.importance.checks.effort import CheckConfig

CHECKS: Final = ("flips", "trial")
"""The stages that it makes."""

JOB: Final = "self-check"


@dataclass(frozen=True, kw_only=True)
class CheckInputs:
    """What a self-check is made from."""

    data: Path
    features: Path
    samples: Path
    digest: str
    method: str
    seed: int
    check: "CheckConfig"


@contextmanager
def started(folder: Path, inputs: CheckInputs) -> Iterator[Worker]:
    """A process at work on the checks of the stages in ``folder``; it is ended where the block is left too early."""
    disk.write_text(folder / f"{JOB}.job.json", json.dumps(asdict(inputs), default=str))
    with Worker(__name__, folder, log=folder / f"{JOB}.log") as worker:
        worker.begin(JOB)
        yield worker


def carry_out(folder: Path, job: str) -> None:
    """What the process does."""
    from shoploop.importance.checks.check import check_weights, read_inputs
    from shoploop.importance.checks.effort import CheckConfig
    from shoploop.importance.weighing import WeighingConfig
    from shoploop.resuming.stages import KEY, Stages

    given: dict[str, Any] = json.loads((folder / f"{job}.job.json").read_bytes())
    folders = {name: Path(given[name]) for name in ("data", "features", "samples")}
    inputs = read_inputs(**folders, digest=given["digest"])
    stages = Stages(folder, json.loads((folder / KEY).read_bytes()))
    config = WeighingConfig(method=given["method"])
    with one_thread():
        check_weights(inputs, config, given["seed"], stages, CheckConfig(**given["check"]))


if __name__ == "__main__":
    work(carry_out)
