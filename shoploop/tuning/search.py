"""The search of settings for one recommender's samples: trials, a proof on visits that nobody chose by, and what is proposed.

It reads the samples of training and validation alone: the days of evaluation stay unseen, for the run that tries a proposal.

Legend: Q visits.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna

from shoploop.api.v1alpha1 import TrainingSpec
from shoploop.code_digest import code_digest
from shoploop.errors import ShoploopError
from shoploop.evaluation.intervals import Bootstrap
from shoploop.evaluation.scoring import model_scores, request_ndcg
from shoploop.features.catalog import Catalog
from shoploop.features.contract import Contract
from shoploop.models.fusion import FusedModel
from shoploop.samples.files import read_catalog, read_samples
from shoploop.store import disk
from shoploop.training.building import build_model
from shoploop.training.calibration import calibrate
from shoploop.training.loop import TrainConfig, fit
from shoploop.training.teaching import lesson, taught
from shoploop.tuning.settings import Settings, changed, present, space, tidy
from shoploop.tuning.study import Reporting, Study, alone, drawn
from shoploop.tuning.visits import Visits, part_visits

METRIC = "ndcg@10"
PROOF_SEEDS = 2
"""Trainings of either settings that the proof is a mean of: one may be lucky."""

Array = npt.NDArray[np.float64]
Told = Callable[[dict[str, Any]], None]


class OutOfTime(ShoploopError):
    """The trial at work is dropped, what is done counts; :func:`tune` lets nobody see it."""


def study_digest(samples: str, training: TrainingSpec, *, seed: int) -> str:
    """Names a study by all that it depends on but the number of its trials: 16 hex digits.

    Args:
        samples: Key of the step that made the samples.
        training: Where it starts from.
        seed: Of the search.
    """
    content = [samples, code_digest(__name__), optuna.__version__, present(training), training.seed, seed]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def tune(
    *,
    features: Path,
    samples: Path,
    folder: Path,
    training_spec: TrainingSpec,
    trials: int,
    seed: int = 0,
    timeout_seconds: float | None = None,
    told: Told = lambda trial: None,
    epoch: Callable[[int, int, int], None] = lambda trial, done, total: None,
) -> dict[str, Any]:
    """Searches, going on where the folder's study ended, and proves what it found.

    Args:
        features: Folder of ``materialize_features``.
        samples: Folder of ``build_samples``.
        folder: The study's, see :func:`study_digest`; each trial is a file in it.
        training_spec: The settings of now, the first trial, and the seed of every training.
        trials: In all, with those that are done.
        seed: Of the search and of how visits are parted.
        timeout_seconds: No longer than this for trials; the one at work then is dropped. What the spec says now is
            always tried, and the proof comes after.
        told: Given each trial when it is done.
        epoch: Told the number of the trial, its epochs done and all of them.

    Returns:
        ``trials``; ``present`` and ``best`` settings; ``visits`` of each part; ``proof``: means of NDCG@10 of both on the
        proving visits, their ``difference`` and its paired 95 % ``interval`` over users (null where the best are the
        settings of now); ``better``, whether that interval lies above 0; ``proposal``, the settings to change; ``verdict``
        in words.

    Raises:
        TooFewEvents: too few visits before the days of evaluation to search by.
        AnotherTune: another search holds the folder.
        ArtifactForeign: a file of the study cannot be read.
    """
    contract = Contract.from_json(json.loads((features / "contract.json").read_text()))
    validation = read_samples(samples, contract, "validation")
    visits = part_visits(read_samples(samples, contract, "train"), validation, seed=seed)
    judge = _Judge(visits, contract, read_catalog(samples), training_spec, folder)
    until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    now = present(training_spec)
    with alone(folder):
        study = Study(folder, space(training_spec), first=now, seed=seed)
        for trial in study.trials[:trials]:
            told(trial | {"kept": True})
        timed_out = False
        while len(study.trials) < trials and not timed_out:
            number = len(study.trials)
            if number and until is not None and time.monotonic() >= until:
                timed_out = True
                break

            def carry_out(settings: dict[str, float | int], tell: Reporting, number: int = number) -> Array:
                total, done = int(settings["epochs"]) + TrainConfig().joint_epochs, 0

                def after(loss: float) -> None:
                    nonlocal done
                    done += 1
                    epoch(number, done, total)
                    if number and until is not None and time.monotonic() >= until:
                        raise OutOfTime
                    tell(loss)

                return judge.measure(number, settings, training_spec.seed, after)

            try:
                told(study.next(carry_out))
            except OutOfTime:
                timed_out = True
        return _found(judge, study.trials[:trials], visits, now, seed=seed, timed_out=timed_out)


class SeparateTrials:
    """The same search for whoever carries its trials out apart from each other, in processes that share no folder.

    A trial is a number's settings, or somebody else's, and comes to all that is needed of it later.
    """

    def __init__(self, *, features: Path, samples: Path, folder: Path, training_spec: TrainingSpec, seed: int = 0):
        """Args are those of :func:`tune`; the folder is this process's own.

        Raises:
            TooFewEvents: too few visits before the days of evaluation to search by.
        """
        contract = Contract.from_json(json.loads((features / "contract.json").read_text()))
        self._visits = part_visits(
            read_samples(samples, contract, "train"), read_samples(samples, contract, "validation"), seed=seed
        )
        folder.mkdir(parents=True, exist_ok=True)
        self._training, self._seed = training_spec, seed
        self._judge = _Judge(self._visits, contract, read_catalog(samples), training_spec, folder)

    def drawn(self, number: int) -> dict[str, float | int]:
        """The settings of a trial that knows no other: of number 0 those of now."""
        return drawn(space(self._training), present(self._training), number, seed=self._seed)

    def trial(self, settings: Settings, after: Callable[[float], None] = lambda value: None) -> dict[str, Any]:
        """Trains once.

        Args:
            after: Told after each epoch NDCG@10 on the choosing visits, as the model then is.

        Returns:
            ``settings``; ``value``, the mean of NDCG@10 on the choosing visits; ``proving``, that of each proving visit, for
            the proof alone (null where nothing was bought); ``losses`` by epoch; ``seconds``.
        """
        began, losses, kept = time.monotonic(), list[float](), tidy(settings)

        def told(loss: float, model: FusedModel) -> None:
            losses.append(loss)
            after(float(np.nanmean(self._judge.choosing(model))))

        model = self._judge.trained(kept, self._training.seed, told)
        proving = self._judge.proving(model)
        return {
            "settings": kept,
            "state": "done",
            "value": float(np.nanmean(self._judge.choosing(model))),
            "proving": [None if np.isnan(value) else float(value) for value in proving],
            "losses": losses,
            "seconds": round(time.monotonic() - began, 2),
        }

    def conclude(self, trials: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """What :func:`tune` comes to, of trials that others have carried out; the settings of now are tried where nobody has.

        Args:
            trials: As :meth:`trial` returns them, each with a ``name``; their order says which of equals is the best.
        """
        now = present(self._training)
        own = next((trial for trial in trials if trial["settings"] == now), None) or {"name": "now"} | self.trial(now)
        counted: list[dict[str, Any]] = [
            {"number": number} | dict(trial)
            for number, trial in enumerate([own, *(trial for trial in trials if trial is not own)])
        ]
        for trial in counted:
            self._judge.keep(trial["number"], self._training.seed, trial["settings"], trial.pop("proving"))
        return _found(self._judge, counted, self._visits, now, seed=self._seed, timed_out=False)


def _found(
    judge: "_Judge", counted: list[dict[str, Any]], visits: Visits, now: Settings, *, seed: int, timed_out: bool
) -> dict[str, Any]:
    best = Study.best_of(counted)
    better, proof = False, None
    if best["settings"] != now:
        proof = judge.proof(best, counted[0])
        better = proof["interval"] is not None and proof["interval"][0] > 0
    return {
        "metric": METRIC,
        "seed": seed,
        "trials": counted,
        "timed_out": timed_out,
        "visits": {
            name: {"visits": len(part), "users": len(np.unique(part.users_Q))}
            for name, part in (
                ("learned_from", visits.train),
                ("choosing", visits.choosing),
                ("proving", visits.proving),
            )
        },
        "present": now,
        "best": best["settings"],
        "proof": proof,
        "better": better,
        "proposal": {name: value for name, value in best["settings"].items() if value != now[name]} if better else {},
        "verdict": _verdict(len(counted), better, proof),
    }


def _verdict(trials: int, better: bool, proof: dict[str, Any] | None) -> str:
    if proof is None:
        return (
            f"No better settings found: of {trials} trials none is above the settings of now on the visits that choose."
        )
    low, high = proof["interval"] or (float("nan"), float("nan"))
    gain = f"{METRIC} {proof['difference']:+.4f} [{low:+.4f}, {high:+.4f}]"
    if better:
        return f"Better settings found: {gain} on visits that neither training nor choice had seen."
    return f"No better settings found: the best of {trials} trials come to {gain} where nobody chose, and that holds 0."


class _Judge:
    """Trains with settings and measures what comes of it."""

    def __init__(self, visits: Visits, contract: Contract, catalog: Catalog, training: TrainingSpec, folder: Path):
        self._visits, self._contract, self._catalog = visits, contract, catalog
        self._training, self._folder = training, folder
        self._lesson = cache(lambda seed: lesson(visits.train, seed=seed))  # the same whatever the settings

    def trained(
        self, settings: Settings, seed: int, after: Callable[[float, FusedModel], None] = lambda loss, model: None
    ) -> FusedModel:
        """A model that has learned with them; ``after`` is told each epoch's loss, and given the model as it then is."""
        spec = changed(self._training, settings)
        visits = self._visits
        model = build_model(self._contract, self._catalog, visits.train, seed=seed)
        fit(
            model,
            taught(visits.train, self._lesson(seed)),
            visits.validation,
            TrainConfig(
                epochs=spec.epochs,
                learning_rate=spec.learning_rate,
                adversarial_radius=spec.adversarial_radius,
                seed=seed,
            ),
            after_epoch=lambda row: after(row.get("validation_loss", row["train_loss"])["fused"], model),
        )
        calibrate(model, visits.validation)
        return model

    def choosing(self, model: FusedModel) -> Array:
        """NDCG@10 by choosing visit, (Q,)."""
        return request_ndcg(self._visits.choosing, model_scores(model, self._visits.choosing)["fused"])

    def proving(self, model: FusedModel) -> Array:
        """NDCG@10 by proving visit, (Q,)."""
        return request_ndcg(self._visits.proving, model_scores(model, self._visits.proving)["fused"])

    def keep(self, number: int, seed: int, settings: Settings, proving: list[float | None]) -> None:
        """Puts what a training came to on the proving visits into a file, for the proof alone."""
        disk.write_json(self._path(number, seed), {"settings": dict(settings), "ndcg": proving})

    def measure(self, number: int, settings: Settings, seed: int, after: Reporting = lambda loss: None) -> Array:
        """NDCG@10 by choosing visit, (Q,); that of the proving visits goes to a file."""
        model = self.trained(settings, seed, lambda loss, model: after(loss))
        self.keep(number, seed, settings, self.proving(model).tolist())
        return self.choosing(model)

    def proof(self, best: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
        """What the best settings gain over those of now, on the proving visits, as means over trainings."""
        seeds = [self._training.seed + more for more in range(PROOF_SEEDS)]
        best_Q, now_Q = (np.mean([self._proving(t, seed) for seed in seeds], axis=0) for t in (best, now))
        bootstrap = Bootstrap(len(best_Q), of_user=self._visits.proving.users_Q)
        interval = bootstrap.interval(best_Q - now_Q)
        return {
            "trainings": PROOF_SEEDS,
            "present": float(np.nanmean(now_Q)),
            "best": float(np.nanmean(best_Q)),
            "difference": float(np.nanmean(best_Q - now_Q)),
            "interval": list(interval) if interval else None,
        }

    def _proving(self, trial: dict[str, Any], seed: int) -> Array:
        path = self._path(trial["number"], seed)
        try:
            kept = json.loads(path.read_bytes())
            whole = kept["settings"] == trial["settings"] and len(kept["ndcg"]) == len(self._visits.proving)
        except (OSError, ValueError, KeyError, TypeError):
            whole = False
        if not whole:
            self.measure(trial["number"], trial["settings"], seed)
            kept = json.loads(path.read_bytes())
        return np.array(kept["ndcg"], np.float64)

    def _path(self, number: int, seed: int) -> Path:
        return self._folder / f"proof-{number:05}-{seed}.json"
