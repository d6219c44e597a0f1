"""Whose choices are worse than chance: who keeps taking what the model as it was trained thinks least of teaches nothing.

It is judged by that model alone, so nobody can earn a say by what they taught. Counts are a function of the log's records in
their order: who begins anew judges the records again. Who has chosen nothing for the longest is forgotten where there are too
many, in that order too.
"""

from collections import OrderedDict
from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from shoploop.events.fresh import Table
from shoploop.features.log import Float32

Bool = npt.NDArray[np.bool_]

USERS = 100_000
"""Who are remembered, the last who chose something; some 30 MB."""


class Credit:
    """How surprising the choices of each user were, beyond what chance would be, in nats."""

    def __init__(self, *, least: int | None, errors: float, users: int = USERS):
        """
        Args:
            least: Choices of a user before anything is said of them; None: everybody has a say.
            errors: Standard errors by which the mean must be above chance.
            users: See :data:`USERS`.
        """
        self._least = least
        self._errors = errors
        self._users = users
        self._sums: OrderedDict[str, tuple[int, float, float]] = OrderedDict()

    def has_say(self, users: Sequence[str]) -> Bool:
        """Of each, whether what they choose may teach, (B,)."""
        if self._least is None:
            return np.ones(len(users), bool)
        return np.fromiter((self._has_say(user) for user in users), bool, len(users))

    def count(self, users: Sequence[str], surprise_B: Float32, chance_B: Float32) -> None:
        """Remembers what was chosen.

        Args:
            users: Who chose.
            surprise_B: Cross-entropies of the model as it was trained, nats; NaN where there was nothing to choose from.
            chance_B: Those of a model that knows nothing: the logs of how much there was to choose from.
        """
        if self._least is None:
            return
        for user, excess in zip(users, (surprise_B - chance_B).tolist(), strict=True):
            if excess == excess:
                choices, total, squares = self._sums.get(user, (0, 0.0, 0.0))
                self._sums[user] = (choices + 1, total + excess, squares + excess * excess)
                self._sums.move_to_end(user)
                if len(self._sums) > self._users:
                    self._sums.popitem(last=False)

    def forget(self, users: Collection[str]) -> None:
        """Remembers nothing of these users any more."""
        for user in users:
            self._sums.pop(user, None)

    def table(self) -> Table:
        """What is remembered, a row for each user, who chose something last at the end."""
        sums = self._sums.values()
        return {"user": list(self._sums)} | {
            name: [each[place] for each in sums] for place, name in enumerate(("choices", "total", "squares"))
        }

    def take_up(self, table: Table) -> None:
        """Remembers what :meth:`table` told, and nothing else."""
        rows = zip(table["choices"], table["total"], table["squares"], strict=True)
        self._sums = OrderedDict(zip(table["user"], rows, strict=True))

    def _has_say(self, user: str) -> bool:
        choices, total, squares = self._sums.get(user, (0, 0.0, 0.0))
        if self._least is None or choices < self._least:
            return True
        mean = total / choices
        error = (max(squares / choices - mean * mean, 0.0) / choices) ** 0.5
        return bool(mean <= self._errors * error)
