"""Learns w_i and b_i of the items as events come: p(i | u) = softmax over a set S of w_i·h_u + b_i.

S is what was shown, where something was chosen from a list (the conditional logit of McFadden 1974); else what was wanted and
a uniform sample of all items, which the examples of a batch share: its log-Q correction (Bengio and Senécal 2008) is the same
for all of S and falls out of the softmax. h_u comes from the encoder, which is not learned here.

Steps are taken by batches, whose examples are all predicted with what was learned before the batch. The same batches in the
same order give the same bytes, whatever was killed in between; who learns sees to it that the log alone says what a batch is.

Legend: I items, D width, P = D + 1 parameters of an item, B examples, S items of a list, K sampled ones, R touched ones.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shoploop.features.log import Float32, Int32
from shoploop.online.optimizers import OPTIMIZERS, OptimizerName
from shoploop.online.rows import Rows

Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class LearnerConfig:
    """How fast, and how far."""

    optimizer: OptimizerName = "adagrad"
    """By which rule."""

    rate: float | None = None
    """Of the optimiser, in units of the trained vectors' typical entry. Unset: the optimiser's own."""

    negatives: int = 50
    """Sampled for what was not chosen from a list."""

    max_change: float = 1.0
    """How far a w_i may go from where it was trained, in units of the trained vectors' mean norm: what bounds the influence
    of whoever sends events."""

    max_bias_change: float = 2.0
    """How far a b_i may go, in log-odds."""

    seed: int = 0
    """Of the samples, together with the offset of the batch's first event."""


@dataclass(frozen=True)
class Losses:
    """Cross-entropies of one example, nats, before it was learned: progressive validation (Blum, Kalai and Langford 1999)."""

    online: float
    frozen: float
    """Of the model as it was trained."""

    online_auc: float = 0.5
    """Share of the others of its choices that it put behind what was chosen; half of those beside."""

    frozen_auc: float = 0.5
    online_sureness: float = 0.0
    """The chance that it gave to its first choice, less 1 where that was chosen: 0 on average where it is calibrated."""

    frozen_sureness: float = 0.0


@dataclass(frozen=True)
class BatchLosses:
    """The same of a batch, in the order of its examples; NaN where there was nothing to choose from."""

    online_B: Float32
    frozen_B: Float32
    online_auc_B: Float32
    frozen_auc_B: Float32
    online_sureness_B: Float32
    frozen_sureness_B: Float32
    chance_B: Float32
    """Of a model that knows nothing: the log of how much there was to choose from."""

    def of(self, number: int) -> Losses:
        """Of one example."""
        return Losses(
            online=float(self.online_B[number]),
            frozen=float(self.frozen_B[number]),
            online_auc=float(self.online_auc_B[number]),
            frozen_auc=float(self.frozen_auc_B[number]),
            online_sureness=float(self.online_sureness_B[number]),
            frozen_sureness=float(self.frozen_sureness_B[number]),
        )


@dataclass(frozen=True, kw_only=True)
class Change:
    """How far the items have moved, in units of the mean length of the trained vectors."""

    row: float
    """The farthest of those that were touched, since the last commit."""

    all: float
    """Root of the mean square over all items, since they were trained."""

    fits: bool
    """Whether what was learned is of the trained model's shape."""


class ItemLearner:
    """The items' w_i and b_i, and what the optimiser remembers."""

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
        typical = float(np.sqrt(np.mean(np.square(self._trained_ID, dtype=np.float64)))) or 1.0
        self._length = float(np.linalg.norm(self._trained_ID, axis=1).mean()) or 1.0
        self._radius = config.max_change * self._length
        rule = OPTIMIZERS[config.optimizer]
        rate = rule.rate if config.rate is None else config.rate
        rate_P = np.append(np.full(self._trained_ID.shape[1], rate * typical), rate).astype(np.float32)
        self._optimizer = rule(rate_P)
        self.reset(Rows.none(self._trained_ID.shape[1], config.optimizer))

    def reset(self, rows: Rows) -> None:
        """What was trained, and these rows over it; nothing counts as touched."""
        self.vectors_ID = self._trained_ID.copy()
        self.bias_I = self._trained_I.copy()
        parameters = self._trained_ID.shape[1] + 1
        self._slots_SIP = np.zeros((self._optimizer.slots, len(self.bias_I), parameters), np.float32)
        self._touched_I = np.zeros(len(self.bias_I), bool)
        self._undo: list[tuple[Int32, Rows]] | None = None
        self._lay(rows)
        self._out_ID = self.vectors_ID.copy()

    def trained(self) -> tuple[Float32, Float32]:
        """w_i and b_i as they were trained; not to be written to."""
        return self._trained_ID, self._trained_I

    def change(self, codes_N: Int32) -> Change:
        """How far it has moved, with these items touched since the last commit."""
        if self.vectors_ID.shape != self._trained_ID.shape or self.bias_I.shape != self._trained_I.shape:
            return Change(row=float("nan"), all=float("nan"), fits=False)
        moved_N = np.linalg.norm(self.vectors_ID[codes_N] - self._out_ID[codes_N], axis=1)
        squares = float(np.square(self.vectors_ID - self._trained_ID, dtype=np.float64).sum())
        return Change(
            row=float(moved_N.max(initial=0.0)) / self._length,
            all=(squares / max(len(self.bias_I), 1)) ** 0.5 / self._length,
            fits=True,
        )

    def goes_out(self, codes_N: Int32) -> None:
        """Remembers these items as they are: what the next commit's change is measured from."""
        self._out_ID[codes_N] = self.vectors_ID[codes_N]

    def predict_one(self, state_D: Float32, codes_S: Int32) -> Float32:
        """p(i | u) of each of the items, among them, (S,)."""
        return _softmax(self.vectors_ID[codes_S] @ state_D + self.bias_I[codes_S])

    def rank(self, state_D: Float32, k: int) -> Int32:
        """Codes of the k items with the largest logits, best first."""
        logits_I = self.vectors_ID @ state_D + self.bias_I
        order_I = np.lexsort((np.arange(len(logits_I)), -logits_I))[:k]
        return order_I.astype(np.int32)

    def learn_one(
        self, state_D: Float32, chosen: int, among: Sequence[int] | None, *, offset: int, weight: float = 1.0
    ) -> Losses | None:
        """One step of one example: a batch of one.

        Args:
            state_D: h_u, (D,).
            chosen: Code of what was wanted.
            among: Codes of what it was chosen from; None where that was no list.
            offset: Of the event in the log.
            weight: How much it counts.

        Returns:
            How surprising it was; None where there was nothing to choose from.
        """
        losses = self.learn_many([state_D], [chosen], [among], [offset], [weight])
        return None if np.isnan(losses.online_B[0]) else losses.of(0)

    def learn_many(
        self,
        states: Sequence[Float32] | Float32,
        chosen: Sequence[int],
        among: Sequence[Sequence[int] | None],
        offsets: Sequence[int],
        weights: Sequence[float] | None = None,
        *,
        learn: bool = True,
    ) -> BatchLosses:
        """One step of a batch: all of its examples are predicted first, then learned together.

        Args: as :meth:`learn_one`, each as a sequence; ``learn`` is false where they are to be predicted only.

        Returns:
            How surprising each was, before any of them was learned.
        """
        losses = BatchLosses(*np.full((7, len(chosen)), np.nan, np.float32))
        if not len(chosen):
            return losses
        choices = _Choices.of(chosen, among, lambda: self._sample(offsets[0]))
        learns_B = choices.holds_BC.sum(axis=1) >= 2
        if not learns_B.any():
            return losses
        choices = choices.only(learns_B)
        states_BD = np.asarray(states, np.float32)[learns_B]
        weights_B = np.ones(len(chosen), np.float32) if weights is None else np.asarray(weights, np.float32)
        shares_BC, losses.online_B[learns_B] = choices.predict(states_BD, self.vectors_ID, self.bias_I)
        frozen_BC, losses.frozen_B[learns_B] = choices.predict(states_BD, self._trained_ID, self._trained_I)
        losses.online_auc_B[learns_B], losses.online_sureness_B[learns_B] = choices.judged(shares_BC)
        losses.frozen_auc_B[learns_B], losses.frozen_sureness_B[learns_B] = choices.judged(frozen_BC)
        losses.chance_B[learns_B] = np.log(choices.holds_BC.sum(axis=1))
        if not learn:
            return losses
        self._step(choices, states_BD, shares_BC, weights_B[learns_B, None])
        return losses

    def touched(self) -> Rows:
        """What has changed since it was last asked for, or reset."""
        codes_N = np.flatnonzero(self._touched_I).astype(np.int32)
        self._touched_I[:] = False
        return self._rows(codes_N)

    def touch(self, codes_N: Int32) -> None:
        """Has these asked for again."""
        self._touched_I[codes_N] = True

    @contextmanager
    def tentatively(self) -> Iterator[None]:
        """What is learned within is taken back at the end, to the same bytes."""
        touched_I = self._touched_I.copy()
        self._undo = []
        try:
            yield
        finally:
            undo, self._undo = self._undo, None
            for codes_N, rows in reversed(undo):
                assert len(codes_N) == len(rows)
                self._lay(rows)
            self._touched_I = touched_I

    def is_finite(self) -> bool:
        """Whether no touched row holds NaN or infinity."""
        codes_N = np.flatnonzero(self._touched_I)
        return bool(np.isfinite(self.vectors_ID[codes_N]).all() and np.isfinite(self.bias_I[codes_N]).all())

    def _rows(self, codes_N: Int32) -> Rows:
        slots_SNP = self._slots_SIP[:, codes_N]
        return Rows(
            codes_N=codes_N,
            vectors_ND=self.vectors_ID[codes_N],
            bias_N=self.bias_I[codes_N],
            slots_NE=np.concatenate([*slots_SNP], axis=1)
            if len(slots_SNP)
            else np.zeros((len(codes_N), 0), np.float32),
            optimizer=self.config.optimizer,
        )

    def _lay(self, rows: Rows) -> None:
        if len(rows):
            self.vectors_ID[rows.codes_N] = rows.vectors_ND
            self.bias_I[rows.codes_N] = rows.bias_N
            for slot_IP, columns_NP in zip(
                self._slots_SIP, np.split(rows.slots_NE, max(self._optimizer.slots, 1), axis=1), strict=False
            ):
                slot_IP[rows.codes_N] = columns_NP

    def _sample(self, offset: int) -> Int32:
        """A sample of all items: the same for a batch whenever it is learned."""
        random = np.random.default_rng([self.config.seed, offset])
        return np.unique(random.integers(0, len(self.bias_I), self.config.negatives)).astype(np.int32)

    def _step(self, choices: "_Choices", states_BD: Float32, shares_BC: Float32, weights_B1: Float32) -> None:
        """The optimiser's, then back into the ball around what was trained."""
        inputs_BP = np.concatenate([states_BD, np.ones((len(states_BD), 1), np.float32)], axis=1)
        errors_BC = shares_BC.copy()
        errors_BC[:, 0] -= 1.0
        errors_BC *= weights_B1
        places = choices.places()
        codes_R = places.codes_R
        gradient_RP = places.spread(errors_BC, inputs_BP)
        second = self._optimizer.second
        if second == "nothing":
            second_RP = gradient_RP
        else:
            sizes_BC = np.square(errors_BC) if second == "squares" else shares_BC * (1 - shares_BC) * weights_B1
            second_RP = places.spread(sizes_BC, np.square(inputs_BP))
        if self._undo is not None:
            self._undo.append((codes_R, self._rows(codes_R)))
        trained_RD, trained_R = self._trained_ID[codes_R], self._trained_I[codes_R]
        change_RP = np.empty_like(gradient_RP)
        change_RP[:, :-1] = self.vectors_ID[codes_R] - trained_RD
        change_RP[:, -1] = self.bias_I[codes_R] - trained_R
        whole_P = np.square(inputs_BP).mean(axis=0)
        change_RP, slots_SRP = self._optimizer.step(
            change_RP, self._slots_SIP[:, codes_R], gradient_RP, second_RP, whole_P
        )
        norms_R1 = np.sqrt(np.square(change_RP[:, :-1]).sum(axis=1, keepdims=True))
        change_RP[:, :-1] *= np.minimum(1.0, self._radius / np.maximum(norms_R1, 1e-12)).astype(np.float32)
        most = self.config.max_bias_change
        self.vectors_ID[codes_R] = trained_RD + change_RP[:, :-1]
        self.bias_I[codes_R] = trained_R + np.clip(change_RP[:, -1], -most, most)
        self._slots_SIP[:, codes_R] = slots_SRP
        self._touched_I[codes_R] = True


@dataclass(frozen=True, kw_only=True)
class _Choices:
    """What each example was chosen from: its own items, what was wanted first, and those that the batch shares.

    Legend: C = S + K columns.
    """

    own_BS: Int32
    shared_K: Int32
    holds_BC: Bool
    """Whether the example has that choice."""

    @classmethod
    def of(
        cls, chosen: Sequence[int], among: Sequence[Sequence[int] | None], sample: Callable[[], Int32]
    ) -> "_Choices":
        if any(rivals is not None for rivals in among):
            lists = [
                (code,) if rivals is None else tuple(dict.fromkeys((code, *rivals)))
                for code, rivals in zip(chosen, among, strict=True)
            ]
            longest = max(map(len, lists))
            own_BS = np.array([codes + codes[:1] * (longest - len(codes)) for codes in lists], np.int32)
            holds_BS = np.arange(longest) < np.array([len(codes) for codes in lists])[:, None]
        else:
            own_BS = np.array(chosen, np.int32)[:, None]
            holds_BS = np.ones_like(own_BS, bool)
        samples_B = np.array([rivals is None for rivals in among])
        shared_K = sample() if samples_B.any() else np.zeros(0, np.int32)
        holds_BK = samples_B[:, None] & (shared_K != own_BS[:, :1])
        return cls(own_BS=own_BS, shared_K=shared_K, holds_BC=np.concatenate([holds_BS, holds_BK], axis=1))

    def only(self, kept_B: Bool) -> "_Choices":
        if kept_B.all():
            return self
        return _Choices(own_BS=self.own_BS[kept_B], shared_K=self.shared_K, holds_BC=self.holds_BC[kept_B])

    def predict(self, states_BD: Float32, vectors_ID: Float32, bias_I: Float32) -> tuple[Float32, Float32]:
        """p(i | u) of each choice, (B, C), and how surprising what was wanted was, (B,)."""
        own_BS = np.einsum("bsd,bd->bs", vectors_ID[self.own_BS], states_BD) + bias_I[self.own_BS]
        shared_BK = states_BD @ vectors_ID[self.shared_K].T + bias_I[self.shared_K]
        logits_BC = np.where(self.holds_BC, np.concatenate([own_BS, shared_BK], axis=1), np.float32(-np.inf))
        highest_B1 = logits_BC.max(axis=1, keepdims=True)
        powers_BC = np.exp(logits_BC - highest_B1)
        sums_B1 = powers_BC.sum(axis=1, keepdims=True)
        surprise_B = (np.log(sums_B1) + highest_B1 - logits_BC[:, :1])[:, 0]
        return powers_BC / sums_B1, np.maximum(surprise_B, np.float32(0))

    def judged(self, shares_BC: Float32) -> tuple[Float32, Float32]:
        """Of the chances of each choice: :attr:`Losses.online_auc` and :attr:`Losses.online_sureness` of each example."""
        chosen_B1, rest_BC = shares_BC[:, :1], shares_BC[:, 1:]
        held_B = np.count_nonzero(self.holds_BC[:, 1:], axis=1)
        # of what it does not hold the chance is 0, which is behind
        behind_B = np.count_nonzero(rest_BC < chosen_B1, axis=1) + np.count_nonzero(rest_BC <= chosen_B1, axis=1)
        behind_B = np.maximum(behind_B / 2 - (rest_BC.shape[1] - held_B), 0.0)
        first_B = rest_BC.max(axis=1)
        chosen_B = chosen_B1[:, 0]
        sureness_B = np.where(chosen_B >= first_B, chosen_B - 1, first_B)
        return (behind_B / held_B).astype(np.float32), sureness_B.astype(np.float32)

    def places(self) -> "_Places":
        """The items that the batch touches, and where its choices stand among them."""
        held_BS = self.holds_BC[:, : self.own_BS.shape[1]]
        codes_R, places = np.unique(np.concatenate([self.own_BS[held_BS], self.shared_K]), return_inverse=True)
        owned = len(places) - len(self.shared_K)
        order_N = np.argsort(places[:owned], kind="stable")
        sorted_N = places[:owned][order_N]
        starts = np.flatnonzero(np.concatenate([[True], sorted_N[1:] != sorted_N[:-1]]))
        return _Places(
            codes_R=codes_R.astype(np.int32),
            held_BS=held_BS,
            order_N=order_N,
            examples_N=np.nonzero(held_BS)[0][order_N],
            runs=sorted_N[starts],
            starts=starts,
            lengths=np.diff(starts, append=owned),
            shared_K=places[owned:],
        )


@dataclass(frozen=True, kw_only=True)
class _Places:
    """Where the choices of a batch stand among the items that it touches.

    Legend: N own choices of all examples, those of an item beside each other.
    """

    codes_R: Int32
    held_BS: Bool
    order_N: npt.NDArray[np.int64]
    examples_N: npt.NDArray[np.int64]
    runs: npt.NDArray[np.int64]
    """Place of the item of each run of own choices."""

    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    shared_K: npt.NDArray[np.int64]

    def spread(self, values_BC: Float32, inputs_BP: Float32) -> Float32:
        """Sum over the examples of value times input, by item, (R, P)."""
        own = self.held_BS.shape[1]
        sums_RP = np.zeros((len(self.codes_R), inputs_BP.shape[1]), np.float32)
        rows_NP = values_BC[:, :own][self.held_BS][self.order_N, None] * inputs_BP[self.examples_N]
        once = self.lengths == 1  # most of them: reduceat takes its time for each run
        sums_RP[self.runs[once]] = rows_NP[self.starts[once]]
        lengths = self.lengths[~once]
        if len(lengths):
            sums_RP[self.runs[~once]] = np.add.reduceat(
                rows_NP[np.repeat(~once, self.lengths)], np.cumsum(lengths) - lengths, axis=0
            )
        sums_RP[self.shared_K] += values_BC[:, own:].T @ inputs_BP
        return sums_RP


def _softmax(logits_S: Float32) -> Float32:
    powers_S = np.exp(logits_S - logits_S.max())
    shares_S: Float32 = (powers_S / powers_S.sum()).astype(np.float32)
    return shares_S
