"""Trials' trainings, each in a process of its own: on several cores they go on beside each other and beside the generator.

A training of this size gains little from a second thread. Each process uses one, so that its numbers do not depend on how
many cores there are. What goes from process to process is arrays in files.

Run as a program, this module is such a process: a worker, see :mod:`shoploop.compute.worker`.
"""

import json
import shutil
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from shoploop.augmentation.trials.splitting import Judging, Metric, train_and_judge
from shoploop.compute.cores import cores
from shoploop.compute.parallel import alone
from shoploop.compute.worker import Worker, work
from shoploop.features.catalog import Catalog
from shoploop.features.contract import Contract
from shoploop.samples.sample_set import SampleSet
from shoploop.store import disk

Metrics = dict[str, Metric]

_MOST = 4  # each holds the samples it is judged on: half a gigabyte
_WAITING = 2  # trainings that lie on disk before a core is free for them


@dataclass(frozen=True, kw_only=True)
class _Material:
    """Of a trial what a training needs."""

    contract: Contract
    catalog: Catalog
    cold: SampleSet
    overall: SampleSet
    seed: int


class Trainings:
    """Starts the trainings of one trial; what is not done when it is left is ended."""

    def __init__(self, trial: Judging, folder: Path, *, processes: int | None = None):
        """
        Args:
            folder: For the files; it is removed at the end.
            processes: At a time; 0 trains in this one. Unset, one for each core but that of the process that asks, at most
                four.
        """
        self._trial, self._folder = trial, folder
        self._processes = max(1, min(cores() - 1, _MOST)) if processes is None else processes
        self._pool = ThreadPoolExecutor(max(1, self._processes))
        self._room = threading.Semaphore(self._processes + _WAITING)
        self._workers: list[Worker] = []
        self._own = threading.local()
        self._left = False
        shutil.rmtree(folder, ignore_errors=True)  # what a killed step has left
        folder.mkdir(parents=True)
        if self._processes:
            for name in ("catalog", "cold", "overall"):
                _write(folder / f"{name}.npz", getattr(trial, name))
            _note(folder / "trial.json", {"contract": trial.contract.to_json(), "seed": trial.seed})

    def __enter__(self) -> "Trainings":
        return self

    def __exit__(self, *_: object) -> None:
        self._left = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        for worker in list(self._workers):
            worker.end()
        self._pool.shutdown()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(
        self,
        name: str,
        train: SampleSet,
        *,
        first: SampleSet | None = None,
        epochs: int,
        adversarial_radius: float = 0.0,
    ) -> "Future[Metrics]":
        """See :func:`~shoploop.augmentation.trials.splitting.train_and_judge`. Waits while enough others are waiting.

        Returns:
            The metrics to come. Instead it may raise WorkerEnded: the process ended without any.
        """
        if not self._processes:
            done: Future[Metrics] = Future()
            with alone():
                done.set_result(
                    train_and_judge(
                        self._trial, train, first=first, epochs=epochs, adversarial_radius=adversarial_radius
                    )
                )
            return done
        self._room.acquire()
        name = name.replace(" ", "-")
        _write(self._folder / f"{name}.train.npz", train)
        if first is not None:
            _write(self._folder / f"{name}.first.npz", first)
        _note(self._folder / f"{name}.json", {"epochs": epochs, "adversarial_radius": adversarial_radius})
        future = self._pool.submit(self._carry_out, name)
        future.add_done_callback(lambda _: self._room.release())
        return future

    def _carry_out(self, name: str) -> Metrics:
        worker: Worker | None = getattr(self._own, "worker", None)
        if worker is None or not worker.alive():
            log = self._folder / f"worker-{len(self._workers)}.log"
            worker = self._own.worker = Worker(__name__, self._folder, log=log)
            self._workers.append(worker)
            if self._left:
                worker.end()
        worker.carry_out(name)
        metrics = _read(self._folder / f"{name}.found.npz")
        for path in self._folder.glob(f"{name}.*"):
            path.unlink()
        return metrics


def carry_out(folder: Path, name: str) -> None:
    """What such a process does."""
    trial, course = (json.loads((folder / f"{file}.json").read_text()) for file in ("trial", name))
    material = _Material(
        contract=Contract.from_json(trial["contract"]),
        catalog=Catalog(**_read(folder / "catalog.npz")),
        cold=SampleSet(**_read(folder / "cold.npz")),
        overall=SampleSet(**_read(folder / "overall.npz")),
        seed=trial["seed"],
    )
    first = folder / f"{name}.first.npz"
    metrics = train_and_judge(
        material,
        SampleSet(**_read(folder / f"{name}.train.npz")),
        first=SampleSet(**_read(first)) if first.exists() else None,
        **course,
    )
    with disk.whole_file(folder / f"{name}.found.npz") as file:
        np.savez(file, allow_pickle=False, **metrics)


def _write(path: Path, arrays: SampleSet | Catalog) -> None:
    given = {field.name: getattr(arrays, field.name) for field in fields(arrays)}
    np.savez(path, allow_pickle=False, **{name: values for name, values in given.items() if values is not None})


def _read(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as kept:
        return {name: kept[name] for name in kept.files}


def _note(path: Path, about: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(about))


if __name__ == "__main__":
    work(carry_out)
