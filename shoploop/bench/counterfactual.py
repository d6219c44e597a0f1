"""Whether the counterfactual gate can be believed: simulated worlds in which the truth is known.

In each world shoppers of many kinds look at lists that chance has had a small part in, and take what they see by the
position-based model; all of it (how often a position is looked at, what is liked, who comes how often) differs from world to
world. Of three versions the truth is computed over all kinds of shoppers: one that is as it happens to be, one that is 5 %
worse, and one that is as good. Each is estimated from the same answers.

Legend: T kinds of shoppers, U users, N answers, R ranks of the pool, K positions.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from shoploop.api.v1alpha1 import GateSpec
from shoploop.evaluation.counterfactual import Answers, Array, Estimate, Int, Method, compare
from shoploop.evaluation.gate import COUNTERFACTUAL_MARGIN, holds_counterfactually
from shoploop.ranking.exploration import Design, propensities

KINDS = 4_000
"""Of shoppers in a world."""

ANSWERS = 50_000
"""At least so many are drawn: what is stated of refused and passed versions holds for so many."""

PER_USER = 8
"""Answers a user has in the mean."""

DESIGN = Design(share=0.5, keep=0, shown=10, pool=15)
"""The defaults of ``spec.serving.exploration``."""

WORSE = 0.05
METHODS: tuple[Method, ...] = ("snips", "doubly_robust")


@dataclass(frozen=True, kw_only=True)
class World:
    """One truth."""

    theta_K: Array
    liked_TR: Array
    """Probability that a kind takes the item of a rank which it looks at."""

    def value_T(self, positions_TR: Int) -> Array:
        """What is taken of a list that shows the items there."""
        found: Array = (np.append(self.theta_K, 0.0)[positions_TR] * self.liked_TR).sum(axis=1)
        return found


def run(
    *,
    worlds: int = 1000,
    answers: int = ANSWERS,
    seed: int = 0,
    say: Callable[[str], None] = lambda what: None,
) -> dict[str, Any]:
    """Estimates in so many worlds.

    Args:
        worlds: How many.
        answers: Logged in each.
        seed: Of the first; each has its own.
        say: Told how far it is.

    Returns:
        ``coverage``: share of the 95 % intervals that hold the truth, of the version that is as it happens to be;
        ``worse_refused``: share of the versions 5 % worse that the gate refuses; ``equal_passed``: share of those as good
        that it lets through, without which the former would be easy; ``worlds``, ``answers``, ``margin``, ``design``; and by
        method the same with ``bias`` and ``error``, the mean standard error.
    """
    began = time.perf_counter()
    found: dict[str, dict[str, list[tuple[float, Estimate]]]] = {
        method: {version: [] for version in ("any", "worse", "equal")} for method in METHODS
    }
    for number in range(worlds):
        rng = np.random.default_rng([seed, number])
        world = _world(rng)
        versions = _versions(world, rng)
        kinds_N, logged = _log(world, answers, rng)
        for name, (truth, positions_TR) in versions.items():
            for method, estimate in compare(logged, positions_TR[kinds_N], METHODS).items():
                found[method][name].append((truth, estimate))
        if (number + 1) % 50 == 0:
            say(f"{number + 1} worlds")
    methods = {method: _summary(found[method]) for method in METHODS}
    best = methods["doubly_robust"]
    return {
        "coverage": best["coverage"],
        "worse_refused": best["worse_refused"],
        "equal_passed": best["equal_passed"],
        "worlds": worlds,
        "answers": answers,
        "users": round(answers / PER_USER),
        "worse_by": WORSE,
        "margin": COUNTERFACTUAL_MARGIN,
        "confidence": GateSpec().confidence,
        "design": {"share": DESIGN.share, "keep": DESIGN.keep, "shown": DESIGN.shown, "pool": DESIGN.pool},
        "methods": methods,
        "seconds": round(time.perf_counter() - began, 1),
    }


def _summary(versions: dict[str, list[tuple[float, Estimate]]]) -> dict[str, float]:
    def covered(name: str) -> float:
        intervals = [(truth, *each.interval(0.95)) for truth, each in versions[name]]
        return float(np.mean([low <= truth <= high for truth, low, high in intervals]))

    def passed(name: str) -> float:
        gate_spec = GateSpec()
        lows = [each.interval(2 * gate_spec.confidence - 1)[0] for _, each in versions[name]]
        return float(np.mean([holds_counterfactually(low, gate_spec) for low in lows]))

    return {
        "coverage": covered("any"),
        "coverage_worse": covered("worse"),
        "coverage_equal": covered("equal"),
        "worse_refused": round(1 - passed("worse"), 4),
        "equal_passed": passed("equal"),
        "bias": round(float(np.mean([each.lift - truth for truth, each in versions["any"]])), 5),
        "error": round(float(np.mean([each.error for _, each in versions["any"]])), 5),
    }


def _world(rng: np.random.Generator) -> World:
    at = np.arange(1, DESIGN.shown + 1)
    theta_K = 0.9 * at ** -rng.uniform(0.3, 1.2) * np.exp(rng.uniform(-0.1, 0.1) * np.log(at) ** 2)
    by_rank_R = rng.uniform(0.03, 0.2) * np.arange(1, DESIGN.pool + 1) ** -rng.uniform(0.2, 0.8)
    by_kind_T = rng.gamma(3.0, 1 / 3.0, KINDS)
    own_TR = rng.gamma(2.0, 1 / 2.0, (KINDS, DESIGN.pool))
    return World(theta_K=theta_K.clip(0, 1), liked_TR=(by_kind_T[:, None] * by_rank_R * own_TR).clip(0, 1))


def _versions(world: World, rng: np.random.Generator) -> dict[str, tuple[float, Int]]:
    """Other versions by name: the true lift, and where each kind is shown which rank, (T, R)."""
    ranks = np.arange(DESIGN.pool, dtype=np.int16)
    stable_TR = np.broadcast_to(np.where(ranks < DESIGN.shown, ranks, -1), (KINDS, DESIGN.pool))
    base_T = world.value_T(stable_TR)
    noise_TR = rng.normal(0, 1, (KINDS, DESIGN.pool))
    wish_TR = np.log(world.liked_TR + 1e-9)
    like_stable_TR = -rng.uniform(0.2, 0.6) * ranks
    free_TR = _ranked(like_stable_TR + rng.uniform(0.0, 0.3) * wish_TR + rng.uniform(0.2, 1.0) * noise_TR)
    bad_TR = _ranked(like_stable_TR - 0.5 * wish_TR + noise_TR)
    good_TR = _ranked(like_stable_TR + 0.5 * wish_TR + 0.5 * noise_TR)

    def lift(positions_TR: Int) -> float:
        return float(world.value_T(positions_TR).sum() / base_T.sum() - 1)

    worse_TR = _with_lift(-WORSE, stable_TR, bad_TR, world, base_T, rng)
    half = rng.random(KINDS) < 0.3
    equal_TR = _with_lift(0.0, np.where(half[:, None], good_TR, stable_TR), bad_TR, world, base_T, rng)
    return {name: (lift(at), at) for name, at in (("any", free_TR), ("worse", worse_TR), ("equal", equal_TR))}


def _with_lift(wanted: float, from_TR: Int, to_TR: Int, world: World, base_T: Array, rng: np.random.Generator) -> Int:
    """The first version for some kinds, the second for as many others as it takes."""
    order = rng.permutation(KINDS)
    start, end = world.value_T(from_TR), world.value_T(to_TR)
    lifts = (start.sum() + np.cumsum((end - start)[order])) / base_T.sum() - 1
    changed = order[: int(np.argmin(np.abs(lifts - wanted))) + 1]
    mixed: Int = from_TR.copy()
    mixed[changed] = to_TR[changed]
    return mixed


def _ranked(scores_TR: Array) -> Int:
    """Where items of these scores are shown."""
    order_TR = np.argsort(-scores_TR, axis=1)
    positions: Int = np.empty_like(order_TR)
    np.put_along_axis(positions, order_TR, np.arange(scores_TR.shape[1])[None, :], axis=1)
    return np.where(positions < DESIGN.shown, positions, -1).astype(np.int16)


def _log(world: World, count: int, rng: np.random.Generator) -> tuple[Int, Answers]:
    """Answers to users of random kinds, and the kind of each answer's."""
    users = round(count / PER_USER)
    visits_U = 1 + rng.poisson(PER_USER - 1, users)
    users_N = np.repeat(np.arange(users), visits_U)
    kinds_N = rng.integers(0, KINDS, users)[users_N]
    ranks_NK = _drawn(len(users_N), rng)
    chance_NK = world.theta_K * world.liked_TR[kinds_N[:, None], ranks_NK]
    taken_NK = rng.random(ranks_NK.shape, np.float32) < chance_NK
    return kinds_N, Answers(
        users_N=users_N,
        designs=(DESIGN,),
        design_N=np.zeros(len(users_N), np.int64),
        ranks_NK=ranks_NK,
        taken_NK=taken_NK,
    )


def _drawn(count: int, rng: np.random.Generator) -> Int:
    """What :func:`shoploop.ranking.exploration.draw` shows in so many answers; a test holds them together."""
    assert propensities(DESIGN).shape == (DESIGN.pool, DESIGN.shown)
    shown_NK = np.tile(np.arange(DESIGN.shown), (count, 1))
    moved = np.flatnonzero(rng.random(count) < DESIGN.share)
    position = rng.integers(DESIGN.keep, DESIGN.shown, len(moved))
    rank = rng.integers(DESIGN.keep, DESIGN.pool, len(moved))
    shown_NK[moved, position] = rank
    back = rank < DESIGN.shown
    shown_NK[moved[back], rank[back]] = position[back]
    return shown_NK
