"""Whether it would pay to learn α and the DNN's last layer online, too, beside items' vectors and biases: each visit is
predicted before it is learned.

What is learned here is learned alone, so that its own part shows: w_i and b_i stay as they were trained.

Legend: N candidates, H hidden units of the DNN's last layer, P learned parameters.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import numpy as np
import polars as pl
import torch

from shoploop.bench.prequential import later_purchases
from shoploop.bench.replay import K, Purchase, visits
from shoploop.compute.cores import one_thread
from shoploop.evaluation.intervals import Bootstrap
from shoploop.events.fresh import Recent
from shoploop.events.messages import Kept
from shoploop.features.log import Float32, PurchaseLog
from shoploop.features.log import purchases as purchases_of
from shoploop.features.user import UserRow, user_rows, user_stats
from shoploop.packaging.local_setup import packaged_ranker
from shoploop.ranking.ranker import Ranker
from shoploop.runs.record import folder_of
from shoploop.store import Store

RATES = (0.005, 0.02, 0.1)
"""Of AdaGrad; of the last layer in units of its weights' typical size, of α in log-odds."""

HEADS = ("alpha", "last_layer", "both")


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """One visit as the model sees it."""

    user: str
    hidden_NH: Float32
    transformer_N: Float32
    places: list[int]
    """Of what was bought, among the candidates."""

    bought: int
    """Items, also those that were no candidates."""


class _Head:
    """α and the last layer's weights, and what AdaGrad remembers of them."""

    def __init__(self, alpha_logit: float, weights_H: Float32, *, learns: str, rate: float):
        self._logit, self._weights_H = alpha_logit, weights_H.astype(np.float64).copy()
        typical = float(np.sqrt(np.mean(np.square(weights_H)))) or 1.0
        self._alpha_rate = rate if learns in ("alpha", "both") else 0.0
        self._layer_rate = rate * typical if learns in ("last_layer", "both") else 0.0
        self._squares_P = np.full(len(weights_H) + 1, 1e-12)

    def scores(self, asked: _Asked) -> Float32:
        alpha = _sigmoid(self._logit)
        found_N: Float32 = alpha * (asked.hidden_NH @ self._weights_H) + (1 - alpha) * asked.transformer_N
        return found_N

    def learn(self, asked: _Asked, shares_N: Float32) -> None:
        """One step along the gradient of the mean cross-entropy of what was bought."""
        alpha = _sigmoid(self._logit)
        errors_N = shares_N.copy()
        errors_N[asked.places] -= 1.0 / len(asked.places)
        dnn_N = asked.hidden_NH @ self._weights_H
        slope = float(errors_N @ (dnn_N - asked.transformer_N)) * alpha * (1 - alpha)
        gradient_P = np.append(alpha * (errors_N @ asked.hidden_NH), slope)
        self._squares_P += np.square(gradient_P)
        step_P = gradient_P / np.sqrt(self._squares_P)
        self._weights_H -= self._layer_rate * step_P[:-1]
        self._logit -= self._alpha_rate * float(step_P[-1])


def run(
    store: Store,
    name: str,
    *,
    purchases: int = 2_000,
    seed: int = 0,
    say: Callable[[str], None] = lambda what: None,
) -> dict[str, Any]:
    """Predicts and learns the purchases of the days that the served version was evaluated on.

    Args:
        store: Where that version lies; nothing is written there.
        name: Of the recommender.
        purchases: How many at most.
        seed: Of the intervals.
        say: Told what is being done.

    Returns:
        By rate and by what learns (``alpha``, ``last_layer``, ``both``): ``recall@10`` and ``loss`` (nats, over the
        candidates) ``online`` and ``frozen``, their difference and its 95 % interval over users; and the ``alpha`` that was
        trained.
    """
    ranker = Ranker.load(packaged_ranker(store, name))
    events, first = later_purchases(store, ranker, name, purchases)
    bought = [
        (user, item, time_.replace(tzinfo=UTC))
        for user, item, time_ in zip(events["user"], events["item"], events["time"], strict=True)
    ]
    stats = statistics(store, ranker, name, sorted({user for user, _, _ in bought}), first)
    say(f"{len(bought)} purchases")
    with one_thread():
        asked = list(_asked(ranker.before(first, stats), bought))
    model = ranker.known.trained.model
    logit = float(model.alpha_logits.detach()[model.config.surfaces.index("items")])
    last = model.behaviour.layers[-1]
    assert isinstance(last, torch.nn.Linear)
    weights_H = last.weight.detach().numpy()[0]
    found: dict[str, Any] = {"recommender": name, "version": ranker.version, "visits": len(asked)}
    found["alpha"] = _sigmoid(logit)
    for rate in RATES:
        found[f"rate {rate:g}"] = {
            learns: _prequential(asked, _Head(logit, weights_H, learns=learns, rate=rate), logit, weights_H, seed)
            for learns in HEADS
        }
    return found


def statistics(store: Store, ranker: Ranker, name: str, users: list[str], day: int) -> dict[str, UserRow]:
    """Users' statistics as they were on a day; of those who had bought something by then."""
    folder = folder_of(store, name, ranker.version)
    assert folder is not None
    bought = purchases_of(pl.read_parquet(folder / "data" / "interactions.parquet"))
    log = PurchaseLog.of(bought, ranker.known.trained.vocabulary)
    there = set(log.users)
    known = [user for user in users if user in there]
    table = user_stats(log, visited_shops="visited_shops" in ranker.known.trained.contract.user_stats)
    return dict(zip(known, user_rows(table, known, [day] * len(known)), strict=True))


def _asked(ranker: Ranker, bought: Sequence[Purchase]) -> Iterator[_Asked]:
    """Each visit of somebody of whom something is known."""
    known, recent = ranker.known, Recent()
    model, caught = known.trained.model, list[torch.Tensor]()
    last = model.behaviour.layers[-1]
    assert isinstance(last, torch.nn.Linear)
    hook = last.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    try:
        for (when, user), items in visits(bought):
            visitor = known.visitor(user, recent.of(user), when)
            if visitor.user is not None:
                candidates = known.candidates(visitor.user, visitor.day)
                request = known.input(visitor.user, candidates.items_N, visitor.day, candidates)
                caught.clear()
                model.score(request, part="dnn")
                codes = known.codes(items)
                places = np.searchsorted(request.items_N, codes[np.isin(codes, request.items_N)]).tolist()
                yield _Asked(
                    user=user,
                    hidden_NH=caught[-1].reshape(len(request.items_N), -1).numpy().astype(np.float64),
                    transformer_N=model.score(request, part="transformer").astype(np.float64),
                    places=places,
                    bought=len(items),
                )
            for item in items:
                recent.add(Kept(source="organic", kind="purchase", user=user, item=item, time=when, received=when))
    finally:
        hook.remove()


def _prequential(asked: Sequence[_Asked], head: _Head, logit: float, weights_H: Float32, seed: int) -> dict[str, Any]:
    frozen = _Head(logit, weights_H, learns="nothing", rate=0.0)
    rows: list[tuple[str, float, float, float | None, float | None]] = []
    for each in asked:
        if not each.places:
            rows.append((each.user, 0.0, 0.0, None, None))
            continue
        (hit, loss, shares_N), (frozen_hit, frozen_loss, _) = (_judged(model, each) for model in (head, frozen))
        rows.append((each.user, hit, frozen_hit, loss, frozen_loss))
        head.learn(each, shares_N)
    schema = {
        "user": pl.String,
        "hit": pl.Float64,
        "frozen_hit": pl.Float64,
        "loss": pl.Float64,
        "frozen_loss": pl.Float64,
    }
    of_user = pl.DataFrame(rows, schema=schema, orient="row").group_by("user", maintain_order=True).mean()
    found = {}
    for metric, name in (("recall@10", "hit"), ("loss", "loss")):
        users = of_user.drop_nulls(name)
        online_U, frozen_U = users[name].to_numpy(), users[f"frozen_{name}"].to_numpy()
        found[metric] = {
            "online": float(online_U.mean()),
            "frozen": float(frozen_U.mean()),
            "difference": float((online_U - frozen_U).mean()),
            "interval": Bootstrap(users.height, seed=seed).interval(online_U - frozen_U),
        }
    return found


def _judged(head: _Head, asked: _Asked) -> tuple[float, float, Float32]:
    """Recall@10, mean cross-entropy of what was bought, and p of each candidate."""
    scores_N = head.scores(asked)
    best = np.argsort(-scores_N, kind="stable")[:K].tolist()
    powers_N = np.exp(scores_N - scores_N.max())
    shares_N: Float32 = powers_N / powers_N.sum()
    loss = -float(np.mean(np.log(np.maximum(shares_N[asked.places], 1e-30))))
    return len(set(best) & set(asked.places)) / asked.bought, loss, shares_N


def _sigmoid(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit))
