"""The study: trials one after another, each kept as a file when it is done, so that one that was broken off goes on.

A trial is asked for with a sampler of its own seed and everything that earlier trials found: the same seed asks the same
trials, whether or not it was broken off between them. Optuna's own storage knows of trials that have begun; here one that
has not ended has never been.

Legend: Q visits.
"""

import fcntl
import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from shoploop.errors import ArtifactForeign, UserError
from shoploop.store import disk
from shoploop.tuning.settings import Settings, tidy

STARTUP_TRIALS = 5
"""Drawn at random before the sampler learns from what was found, and before any is ended early."""

Array = npt.NDArray[np.float64]
Say = Callable[[str], None]


class AnotherTune(UserError):
    pass


class Study:
    """Trials in a folder."""

    def __init__(self, folder: Path, space: dict[str, BaseDistribution], *, first: Settings, seed: int):
        """Reads what is there.

        Args:
            folder: Of this study alone; made where it is not there.
            space: Where is searched.
            first: The first trial: what the spec says now.
            seed: Of the search.

        Raises:
            ArtifactForeign: a trial's file cannot be read.
        """
        logging.getLogger("optuna").setLevel(logging.WARNING)
        self._folder, self._space, self._first, self._seed = folder, space, dict(first), seed
        self._study = optuna.create_study(
            direction="maximize", pruner=MedianPruner(n_startup_trials=STARTUP_TRIALS, n_warmup_steps=1)
        )
        folder.mkdir(parents=True, exist_ok=True)
        self.trials: list[dict[str, Any]] = []
        while (path := self._path(len(self.trials))).exists():
            try:
                trial = json.loads(path.read_bytes())
                self._study.add_trial(self._frozen(trial))
            except (ValueError, KeyError, TypeError) as error:
                raise ArtifactForeign(f"{path} is no trial of a study. Remove it: the trial is done again.") from error
            self.trials.append(trial)

    def next(self, carry_out: "Callable[[dict[str, float | int], Reporting], Array]") -> dict[str, Any]:
        """Carries out one more trial and keeps it.

        Args:
            carry_out: Given settings and whom to tell of each epoch; returns NDCG@10 by visit that chooses, (Q,).

        Returns:
            The trial: ``number``, ``settings``, ``state`` (done, pruned), ``value`` and ``epochs``, the losses by epoch.
        """
        number, began = len(self.trials), time.monotonic()
        self._study.sampler = _sampler(self._seed, number)
        if number == 0:
            self._study.enqueue_trial(self._first)
        asked = self._study.ask(self._space)
        settings = dict(self._first) if number == 0 else tidy(asked.params)
        losses: list[float] = []

        def tell(loss: float) -> None:
            losses.append(loss)
            asked.report(-loss, len(losses))
            if number and asked.should_prune():
                raise optuna.TrialPruned

        value: float | None = None
        try:
            value = float(np.nanmean(carry_out(settings, tell)))
        except optuna.TrialPruned:
            pass
        trial = {
            "number": number,
            "settings": settings,
            "asked": asked.params,
            "state": "pruned" if value is None else "done",
            "value": value,
            "losses": losses,
            "seconds": round(time.monotonic() - began, 2),
        }
        disk.write_json(self._path(number), trial)
        self._study.tell(asked, value, state=TrialState.PRUNED if value is None else TrialState.COMPLETE)
        self.trials.append(trial)
        return trial

    @staticmethod
    def best_of(trials: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The best of those that are done; of equals the first."""
        return max((t for t in trials if t["state"] == "done"), key=lambda t: (t["value"], -t["number"]))

    def _path(self, number: int) -> Path:
        return self._folder / f"trial-{number:05}.json"

    def _frozen(self, trial: dict[str, Any]) -> FrozenTrial:
        return create_trial(
            state=TrialState.PRUNED if trial["state"] == "pruned" else TrialState.COMPLETE,
            value=trial["value"],
            params=trial["asked"],
            distributions=self._space,
            intermediate_values={step + 1: -loss for step, loss in enumerate(trial["losses"])},
        )


def drawn(space: dict[str, BaseDistribution], first: Settings, number: int, *, seed: int) -> dict[str, float | int]:
    """The settings of a trial that is carried out apart from all others, and so learns nothing from them: those that a
    :class:`Study` of the same seed asks for under that number before it has found anything.

    Args:
        space: Where is searched.
        first: What number 0 tries.
        number: From 0.
        seed: Of the search.
    """
    if number == 0:
        return dict(first)
    logging.getLogger("optuna").setLevel(logging.WARNING)
    return tidy(optuna.create_study(sampler=_sampler(seed, number)).ask(space).params)


def _sampler(seed: int, number: int) -> TPESampler:
    """What is asked depends on the seed, the number and what was found: not on where a search was broken off."""
    return TPESampler(
        seed=int.from_bytes(hashlib.sha256(f"{seed} {number}".encode()).digest()[:4]), n_startup_trials=STARTUP_TRIALS
    )


Reporting = Callable[[float], None]
"""Told the validation loss of each epoch; raises ``optuna.TrialPruned`` where it is no use to go on."""


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Holds the folder for one search.

    Raises:
        AnotherTune: another holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise AnotherTune(f"Another `shoploop tune` works in {folder}. Wait for it, or end it.") from error
        yield
