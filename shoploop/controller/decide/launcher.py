"""The half of a launcher that decides: what a cluster must be told so that a run goes on, and how it goes; pure.

:class:`shoploop.runs.Launcher` acts; what is here only says what to do, because an operator may be killed between any two of
its acts and has to come to the same decision again. Who carries the moves out looks again after each, so launching and
going on are one: ``advance`` says what the run lacks at this moment.

Kubeflow Pipelines fits the same shape: what is seen is the answer of ``GET /runs/ID``, moves are ``POST /runs``,
``:terminate`` and ``:retry``. A run that was cancelled looks like one that failed or was never begun, there as here: who
asked for the end has to remember that it asked (``status.run`` of the Recommender).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from shoploop.controller.decide.names import Object
from shoploop.controller.decide.observed import ChildKey
from shoploop.runs.launchers.launcher import Look


class Seen(Protocol):
    """What somebody has seen of a cluster."""

    @property
    def children(self) -> Mapping[ChildKey, Object]: ...

    @property
    def pods(self) -> tuple[Object, ...]: ...

    @property
    def warnings(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, kw_only=True)
class Moves:
    """What is to be done; doing it twice does no harm."""

    apply: tuple[Object, ...] = ()
    delete: tuple[ChildKey, ...] = ()
    waits_for: str | None = None
    """A pod that has to end before anything can be done."""


class ClusterLauncher(Protocol):
    """Decides about one Recommender's runs; ``run`` is the id of one."""

    @property
    def name(self) -> str: ...

    def advance(self, run: str, seen: Seen) -> Moves:
        """What the run lacks now; nothing where all of it has been launched."""

    def look(self, run: str, seen: Seen) -> Look: ...

    def cancel(self, run: str, seen: Seen) -> Moves: ...

    def resume(self, run: str, seen: Seen) -> Moves:
        """What has to go before ``advance`` can begin again; steps that are done are found in the store."""

    def logs(self, run: str) -> str:
        """Label selector of the pods whose logs are the run's."""
