"""Learns w_i and b_i of the items as events come: p(i | u) = softmax over a set S of w_i·h_u + b_i.

S is what was shown, where something was chosen from a list (the conditional logit of McFadden 1974); else what was wanted and
a uniform sample of all items, whose log-Q correction (Bengio and Senécal 2008) is the same for all of S and falls out of the
softmax. Steps are AdaGrad's (Duchi, Hazan and Singer 2011), one per example in the order of the log, so that the same log
gives the same bytes, whatever was killed in between. h_u comes from the encoder, which is not learned here.

Legend: I items, D width, S the items of an example.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shoploop.features.log import Float32, Int32
from shoploop.online.rows import Rows


@dataclass(frozen=True, kw_only=True)
class LearnerConfig:
    """How fast, and how far."""

    rate: float = 0.02
    """Of AdaGrad, in units of the trained vectors' typical entry."""

    negatives: int = 50
    """Sampled for what was not chosen from a list."""

    max_change: float = 1.0
    """How far a w_i may go from where it was trained, in units of the trained vectors' mean norm: what bounds the influence
    of whoever sends events."""

    max_bias_change: float = 2.0
    """How far a b_i may go, in log-odds."""

    seed: int = 0
    """Of the samples, together with the event's offset."""


@dataclass(frozen=True)
class Losses:
    """Cross-entropies of one example, nats, before it was learned: progressive validation (Blum, Kalai and Langford 1999)."""

    online: float
    frozen: float
    """Of the model as it was trained."""


class ItemLearner:
    """The items' w_i and b_i, and what AdaGrad remembers."""

    def __init__(self, vectors_ID: Float32, bias_I: Float32, config: LearnerConfig = LearnerConfig()):
        """
        Args:
            vectors_ID: As they were trained.
            bias_I: As they were trained.
            config: How fast, and how far.
        """
        self.config = config
        self._trained_ID = np.array(vectors_ID, np.float32)
        self._trained_I = np.array(bias_I, np.float32)
        self._trained_ID.flags.writeable = self._trained_I.flags.writeable = False
        self._typical = float(np.sqrt(np.mean(np.square(self._trained_ID, dtype=np.float64)))) or 1.0
        self._radius = config.max_change * (float(np.linalg.norm(self._trained_ID, axis=1).mean()) or 1.0)
        self.reset(Rows.none(self._trained_ID.shape[1]))

    def reset(self, rows: Rows) -> None:
        """What was trained, and these rows over it; nothing counts as touched."""
        self.vectors_ID = self._trained_ID.copy()
        self.bias_I = self._trained_I.copy()
        self._squares_ID = np.zeros((len(self.bias_I), self._trained_ID.shape[1] + 1), np.float32)
        if len(rows):
            self.vectors_ID[rows.codes_N] = rows.vectors_ND
            self.bias_I[rows.codes_N] = rows.bias_N
            self._squares_ID[rows.codes_N] = rows.squares_ND
        self._touched: set[int] = set()

    def predict_one(self, state_D: Float32, codes_S: Int32) -> Float32:
        """p(i | u) of each of the items, among them, (S,)."""
        return _softmax(self.vectors_ID[codes_S] @ state_D + self.bias_I[codes_S])

    def rank(self, state_D: Float32, k: int) -> Int32:
        """Codes of the k items with the largest logits, best first."""
        logits_I = self.vectors_ID @ state_D + self.bias_I
        order_I = np.lexsort((np.arange(len(logits_I)), -logits_I))[:k]
        return order_I.astype(np.int32)

    def learn_one(self, state_D: Float32, chosen: int, among: Sequence[int] | None, *, offset: int) -> Losses | None:
        """One step.

        Args:
            state_D: h_u, (D,).
            chosen: Code of what was wanted.
            among: Codes of what it was chosen from; None where that was no list.
            offset: Of the event in the log.

        Returns:
            How surprising it was; None where there was nothing to choose from.
        """
        codes_S = self._rivals(chosen, offset) if among is None else np.unique(np.asarray([*among, chosen], np.int32))
        if len(codes_S) < 2:
            return None
        probabilities_S = self.predict_one(state_D, codes_S)
        at = int(np.searchsorted(codes_S, chosen))
        frozen_S = _softmax(self._trained_ID[codes_S] @ state_D + self._trained_I[codes_S])
        errors_S = probabilities_S.copy()
        errors_S[at] -= 1.0
        self._step(codes_S, np.outer(errors_S, np.append(state_D, np.float32(1.0))))
        return Losses(online=_surprise(probabilities_S[at]), frozen=_surprise(frozen_S[at]))

    def learn_many(
        self,
        states: Sequence[Float32],
        chosen: Sequence[int],
        among: Sequence[Sequence[int] | None],
        offsets: Sequence[int],
    ) -> list[Losses | None]:
        """Several steps, in their order: the same as one after the other."""
        steps = zip(states, chosen, among, offsets, strict=True)
        return [self.learn_one(state_D, code, rivals, offset=at) for state_D, code, rivals, at in steps]

    def touched(self) -> Rows:
        """What has changed since it was last asked for, or reset."""
        codes_N = np.array(sorted(self._touched), np.int32)
        self._touched = set()
        return self._rows(codes_N)

    def is_finite(self) -> bool:
        """Whether no touched row holds NaN or infinity."""
        codes = list(self._touched)
        return bool(np.isfinite(self.vectors_ID[codes]).all() and np.isfinite(self.bias_I[codes]).all())

    def _rows(self, codes_N: Int32) -> Rows:
        return Rows(
            codes_N=codes_N,
            vectors_ND=self.vectors_ID[codes_N],
            bias_N=self.bias_I[codes_N],
            squares_ND=self._squares_ID[codes_N],
        )

    def _rivals(self, chosen: int, offset: int) -> Int32:
        """What was wanted and a sample of the rest: the same for an event whenever it is learned."""
        random = np.random.default_rng([self.config.seed, offset])
        drawn = random.integers(0, len(self.bias_I), self.config.negatives)
        return np.unique(np.append(drawn, chosen)).astype(np.int32)

    def _step(self, codes_S: Int32, gradient_SE: Float32) -> None:
        """AdaGrad, then back into the ball around what was trained."""
        self._squares_ID[codes_S] += np.square(gradient_SE)
        step_SE = gradient_SE / (np.sqrt(self._squares_ID[codes_S]) + np.float32(1e-8))
        rate = np.float32(self.config.rate)
        change_SD = (
            self.vectors_ID[codes_S] - rate * np.float32(self._typical) * step_SE[:, :-1] - self._trained_ID[codes_S]
        )
        norms_S1 = np.linalg.norm(change_SD, axis=1, keepdims=True)
        change_SD *= np.minimum(1.0, self._radius / np.maximum(norms_S1, 1e-12)).astype(np.float32)
        most = self.config.max_bias_change
        change_S = np.clip(self.bias_I[codes_S] - rate * step_SE[:, -1] - self._trained_I[codes_S], -most, most)
        self.vectors_ID[codes_S] = self._trained_ID[codes_S] + change_SD
        self.bias_I[codes_S] = self._trained_I[codes_S] + change_S
        self._touched.update(codes_S.tolist())


def _softmax(logits_S: Float32) -> Float32:
    powers_S = np.exp(logits_S - logits_S.max())
    shares_S: Float32 = (powers_S / powers_S.sum()).astype(np.float32)
    return shares_S


def _surprise(probability: float) -> float:
    return float(-np.log(max(float(probability), 1e-12)))
