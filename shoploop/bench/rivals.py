"""Other online learners on the same stream, one event at a time, as they are made to be used; those that are installed.

River's matrix factorisation, and Vowpal Wabbit's low-rank quadratic one, both of the width of ours. Neither compares an item
with others: what they do is less than a softmax.
"""

import time
from collections.abc import Callable
from importlib.util import find_spec

Learn = Callable[[int, int], object]


def other_rates(users: list[int], items: list[int], *, width: int) -> dict[str, float]:
    """Events a second of CPU time, by name; empty where neither is installed.

    Args:
        users: Who wanted something, one an event.
        items: What they wanted.
        width: Of the factors.
    """
    learners: dict[str, Callable[[int], Learn]] = {"river": _river, "vowpalwabbit": _vowpal}
    return {name: _rate(make(width), users, items) for name, make in learners.items() if find_spec(name)}


def _rate(learn: Learn, users: list[int], items: list[int]) -> float:
    began = time.process_time()
    for user, item in zip(users, items, strict=True):
        learn(user, item)
    return len(users) / (time.process_time() - began)


def _river(width: int) -> Learn:
    from river.reco import BiasedMF

    model = BiasedMF(n_factors=width, seed=0)
    return lambda user, item: model.learn_one(user=user, item=item, y=1.0)


def _vowpal(width: int) -> Learn:
    from vowpalwabbit import Workspace

    model = Workspace(f"--quiet -b 22 --loss_function logistic --lrq ui{width}")
    return lambda user, item: model.learn(f"1 |u {user} |i {item}")
