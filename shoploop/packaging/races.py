"""When a version that learns may take the place of one that answers: once its predictors would answer with all that it has
learned. Both learn on, so for a moment the one that answers has to stand still."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shoploop.events.log import BEGINNING
from shoploop.online.chain import Chain
from shoploop.online.pointer import Pointer
from shoploop.online.updater import HOLD
from shoploop.packaging.bento import collected_of
from shoploop.store import Store

HELD_SECONDS = 10.0
"""What the version that serves answers with stands still no longer, for another to reach it."""

SETTLED_SECONDS = 0.5
"""After as long an updater that was told to hold does."""


@dataclass
class _Race:
    """One version on its way to another, which learns on."""

    mark: int
    """Offset that the other had reached when this was first looked at."""

    held: float | None = None
    """When the other was told to stand still; None while it moves."""


class Races:
    """Between the versions that updaters bring into folders."""

    def __init__(
        self,
        store: Store,
        name: str,
        folder: Path,
        *,
        end: Callable[[], int | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        beat: Callable[[], None] = lambda: None,
    ):
        """
        Args:
            store: Where the chains lie.
            name: Of the recommender.
            folder: Below which each version has the folder that its predictors follow.
            end: Offset of the last record of the log; None where nobody here knows.
            clock: Seconds.
            beat: Called again and again while a long chain is read.
        """
        self._store, self._name, self._folder, self._end, self._clock = store, name, folder, end, clock
        self._beat = beat
        self._races: dict[tuple[str, str], _Race] = {}
        self._chains: dict[str, Chain] = {}
        self._logs: dict[str, int] = {}

    def is_level(self, version: str, serving: str) -> bool:
        """Whether a version's predictors would answer with all that those of the one that serves answer with.

        Both learn on, so neither would ever be level for longer than a moment: once the first has reached what the other had
        at some look before, the other's predictors are brought nothing more until it is level, or for HELD_SECONDS. What was
        learned of a log whose place another has taken is not caught up with: the log that a version is of does not hold it.

        Raises:
            StoreUnavailable, ArtifactCorrupt: a chain cannot be read.
        """
        try:
            there = self._offset(serving, Pointer.read(self._folder / serving).commit)
            here = self._offset(version, Pointer.read(self._folder / version).commit)
        except (OSError, ValueError):  # its updater has not written yet
            return False
        if here < there and (end := self._end()) is not None:
            there = min(there, end)  # of a log that took another's place
        if self._log(version) != self._log(serving):
            there = BEGINNING
        race = self._races.setdefault((version, serving), _Race(there))
        hold, now = self._folder / serving / HOLD, self._clock()
        if race.held is not None and now - race.held > HELD_SECONDS:
            race.held, race.mark = None, there
            hold.unlink(missing_ok=True)
        elif race.held is None and here >= race.mark:
            race.held = now
            hold.touch()
        return race.held is not None and now - race.held >= SETTLED_SECONDS and here >= there

    def frozen(self, version: str) -> str | None:
        """Why a version does not go on learning; None where nothing stops it."""
        frozen = self.chain(version).frozen
        return frozen.reason if frozen else None

    def keep(self, *versions: str | None) -> None:
        """Forgets all races but those between these, and the chains of all others."""
        self._races = {race: how for race, how in self._races.items() if set(race) <= set(versions)}
        self._chains = {version: chain for version, chain in self._chains.items() if version in versions}
        self._logs = {version: log for version, log in self._logs.items() if version in versions}

    def chain(self, version: str) -> Chain:
        """Of a version, as it is now."""
        if version not in self._chains:
            self._chains[version] = chain_of(self._store, self._name, version, beat=self._beat)
        chain = self._chains[version]
        chain.refresh()
        return chain

    def _log(self, version: str) -> int:
        """That the collected events of a version are of."""
        if version not in self._logs:
            self._logs[version] = collected_of(self._store, self._name, version).log
        return self._logs[version]

    def _offset(self, version: str, commit: int) -> int:
        """Of the last record that was read for a commit."""
        return self.chain(version).offset_of(commit)


def chain_of(store: Store, name: str, version: str, *, beat: Callable[[], None] = lambda: None) -> Chain:
    """The chain of a stored version, which begins where the collected events end that it was trained on. Who decides
    anything needs it: where nothing was learned yet, learning goes on from what the decision says.

    Args:
        store: Where it lies.
        name: Of the recommender.
        version: Its base.
        beat: Called again and again while a long chain is read.

    Raises:
        NotFound: it was not packaged.
    """
    return Chain(store, name, version, start=collected_of(store, name, version).offset, beat=beat)
