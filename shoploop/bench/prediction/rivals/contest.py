"""Rivals on a problem: fitted, held against what is known of them, measured on the targets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.bench.prediction.problem import Known, Problem, Say
from shoploop.bench.prediction.rivals.interface import Array, Rival, judged
from shoploop.bench.prediction.rivals.markov import Markov
from shoploop.bench.prediction.rivals.tifu_knn import TifuKnn
from shoploop.errors import ShoploopError

WITHIN = 0.003
"""How far below its known number a rival may be."""


class RivalTooWeak(ShoploopError):
    """A method is far below what others report of it: to be above it would mean nothing."""


@dataclass(frozen=True)
class Measured:
    """What rivals reach."""

    metrics: dict[str, dict[str, Array]]
    """By name and metric, (Q,) each, in the order of the problem's targets."""

    held: list[dict[str, Any]]
    """Each number that is known of one of them, as of :func:`hold`."""


def rivals(problem: Problem, *, seed: int, say: Say) -> Measured:
    """Every rival of the problem, fitted and measured."""
    made: Mapping[str, Callable[[], Rival]] = {"markov": Markov, "tifu_knn": TifuKnn, "sasrec": _sasrec}
    everyone = problem.everyone or problem.targets
    slices = problem.everyones_slices if problem.everyone else problem.slices
    place = {request: at for at, request in enumerate(everyone)}
    chosen = np.array([place[request] for request in problem.targets], np.intp)
    metrics: dict[str, dict[str, Array]] = {}
    held: list[dict[str, Any]] = []
    for name in problem.rivals:
        say(f"fitting {name}")
        rival = made[name]()
        rival.fit(problem, seed=seed, say=say)
        found = judged(rival, problem, everyone, seed=seed)
        held += hold(name, found, slices, problem.known)
        metrics[name] = {metric: values[chosen] for metric, values in found.items()}
    return Measured(metrics, held)


def _sasrec() -> Rival:
    from shoploop.bench.prediction.rivals.sasrec import Sasrec  # torch takes a second

    return Sasrec()


def hold(
    name: str,
    metrics: Mapping[str, Array],
    slices: Mapping[str, npt.NDArray[np.bool_]],
    known: Sequence[Known],
) -> list[dict[str, Any]]:
    """A rival's numbers beside those known of it.

    Returns:
        Of each ``rival``, ``metric``, ``slice``, ``known``, ``found``, and ``weak``: whether it is more than
            :data:`WITHIN` below.
    """
    rows = []
    for number in known:
        if number.rival != name:
            continue
        values = metrics[number.metric]
        found = float((values if number.slice is None else values[slices[number.slice]]).mean())
        rows.append(
            {
                "rival": name,
                "metric": number.metric,
                "slice": number.slice,
                "known": number.value,
                "found": found,
                "weak": found < number.value - WITHIN,
            }
        )
    return rows


def refuse_weak(numbers: Mapping[str, Any]) -> None:
    """Nothing, where every rival of a contest is what is known of it, by the mean over its seeds: one draw of a few thousand
    targets differs from the next by as much as :data:`WITHIN`.

    Raises:
        RivalTooWeak: one is far below.
    """
    found: dict[tuple[str, str, str | None, float], list[float]] = {}
    for row in numbers.get("held_against", ()):
        found.setdefault((row["rival"], row["metric"], row["slice"], row["known"]), []).append(row["found"])
    weak = [
        f"{rival} reaches {metric} {np.mean(values):.4f}{' on ' + part if part else ''}, and {known:.4f} is known of it"
        for (rival, metric, part, known), values in found.items()
        if np.mean(values) < known - WITHIN
    ]
    if weak:
        raise RivalTooWeak(f"A rival is made or tuned badly: {'; '.join(weak)}. Mend it before comparing.")
