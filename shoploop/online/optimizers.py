"""How far a step goes: stochastic gradient descent, AdaGrad, FTRL-Proximal, and a diagonal Newton step.

A parameter is learned as its difference to what was trained. Each step is a function of what is given and of the slots, so
that the same examples give the same bytes.

Legend: R items, P parameters of one: its w_i and its b_i.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import numpy as np

from shoploop.features.log import Float32

OptimizerName = Literal["sgd", "adagrad", "ftrl", "newton"]
Second = Literal["nothing", "squares", "curvature"]


class Optimizer(ABC):
    """One rule; it holds nothing of any item."""

    slots: ClassVar[int]
    """Numbers that it remembers of each parameter."""

    second: ClassVar[Second]
    """What it needs beside the gradient: the sum over the examples of its squares, or the loss's second derivative."""

    rate: ClassVar[float]
    """Where none is given."""

    def __init__(self, rate_P: Float32):
        """
        Args:
            rate_P: Of each parameter, in its own unit.
        """
        self.rate_P = rate_P

    @abstractmethod
    def step(
        self, change_RP: Float32, slots_SRP: Float32, gradient_RP: Float32, second_RP: Float32, whole_P: Float32
    ) -> tuple[Float32, Float32]:
        """One step of the touched items: (changes, slots) after it.

        Args:
            change_RP: What was learned so far: the difference to what was trained.
            slots_SRP: What this rule remembered of them.
            gradient_RP: Of the loss, summed over the examples.
            second_RP: See :attr:`second`.
            whole_P: The square of the gradient of one example that surprises wholly, mean over the examples.
        """


class Sgd(Optimizer):
    """A step along the gradient."""

    slots = 0
    second = "nothing"
    rate = 0.02

    def step(
        self, change_RP: Float32, slots_SRP: Float32, gradient_RP: Float32, second_RP: Float32, whole_P: Float32
    ) -> tuple[Float32, Float32]:
        return change_RP - self.rate_P * gradient_RP, slots_SRP


class AdaGrad(Optimizer):
    """Duchi, Hazan and Singer (2011). The squares are of each example's own gradient: a batch takes about as far as its
    examples one by one.

    The sum of squares begins at a quarter of what an example that surprises wholly would add. From nothing the first step
    would be as long as the rate whatever the gradient, for a rival that hardly counted as for what was chosen, and the first
    few who push an item would move it farthest.
    """

    slots = 1
    second = "squares"
    rate = 0.02
    beginning = np.float32(0.25)

    def step(
        self, change_RP: Float32, slots_SRP: Float32, gradient_RP: Float32, second_RP: Float32, whole_P: Float32
    ) -> tuple[Float32, Float32]:
        squares_RP = slots_SRP[0] + second_RP
        roots_RP = np.sqrt(squares_RP + self.beginning * whole_P) + np.float32(1e-8)
        return change_RP - self.rate_P * gradient_RP / roots_RP, squares_RP[None]


class Ftrl(Optimizer):
    """FTRL-Proximal (McMahan et al. 2013, "Ad click prediction: a view from the trenches", algorithm 1), around what was
    trained: a parameter stays there until its gradients say more than ``l1``."""

    slots = 2
    second = "squares"
    rate = 0.02
    beta = np.float32(1e-3)
    l1 = np.float32(0.05)
    l2 = np.float32(0.1)

    def step(
        self, change_RP: Float32, slots_SRP: Float32, gradient_RP: Float32, second_RP: Float32, whole_P: Float32
    ) -> tuple[Float32, Float32]:
        sums_RP, squares_RP = slots_SRP
        root_RP, new_squares_RP = np.sqrt(squares_RP), squares_RP + second_RP
        new_root_RP = np.sqrt(new_squares_RP)
        sums_RP = sums_RP + gradient_RP - (new_root_RP - root_RP) / self.rate_P * change_RP
        beyond_RP = np.sign(sums_RP) * np.maximum(np.abs(sums_RP) - self.l1, np.float32(0))
        change_RP = -beyond_RP / ((self.beta + new_root_RP) / self.rate_P + self.l2)
        return change_RP, np.stack([sums_RP, new_squares_RP])


class Newton(Optimizer):
    """A diagonal second-order step: the gradient over the curvature of all examples so far. The rate is the deviation of a
    normal prior around what was trained: its curvature is there before the first example."""

    slots = 1
    second = "curvature"
    rate = 0.1

    def step(
        self, change_RP: Float32, slots_SRP: Float32, gradient_RP: Float32, second_RP: Float32, whole_P: Float32
    ) -> tuple[Float32, Float32]:
        curvature_RP = slots_SRP[0] + second_RP
        precision_RP = np.float32(1) / np.square(self.rate_P) + curvature_RP
        return change_RP - gradient_RP / precision_RP, curvature_RP[None]


OPTIMIZERS: dict[OptimizerName, type[Optimizer]] = {"sgd": Sgd, "adagrad": AdaGrad, "ftrl": Ftrl, "newton": Newton}
