"""What versions have learned, brought into a pod's folders while another process learns: a thread for each version."""

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from shoploop.online.updater import HOLD, Updater, follow
from shoploop.packaging.races import Races, chain_of
from shoploop.store import Store


class Brought:
    """The versions that are followed here. It writes below its folder only."""

    def __init__(self, store: Store, name: str, folder: Path, *, beat: Callable[[], None] = lambda: None):
        """
        Args:
            store: Where the chains lie.
            name: Of the recommender.
            folder: Below which each version has the folder that its predictor follows.
            beat: Called again and again while a long chain is read in the thread that asks.
        """
        self._store, self._name, self._folder = store, name, folder
        self._races = Races(store, name, folder, beat=beat)
        self._following: dict[str, tuple[threading.Event, threading.Thread]] = {}

    def __enter__(self) -> "Brought":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.keep()

    def begin(self, version: str, *, beside: str | None = None) -> Path:
        """Brings what a version learns, if that is not done yet; returns the folder that its predictor follows.

        Raises:
            NotFound, StoreUnavailable: nobody knows where its chain begins.
        """
        updates = self._folder / version
        if version in self._following:
            return updates
        chain = chain_of(self._store, self._name, version)
        updates.mkdir(parents=True, exist_ok=True)
        (updates / HOLD).unlink(missing_ok=True)
        stop, updater = threading.Event(), Updater(chain, updates, version=version)
        thread = threading.Thread(
            target=follow, args=(updater,), kwargs={"until": stop.is_set}, name=f"follows-{version}", daemon=True
        )
        thread.start()
        self._following[version] = stop, thread
        return updates

    def is_level(self, version: str, serving: str) -> bool:
        """As :meth:`Races.is_level`."""
        return self._races.is_level(version, serving)

    def frozen(self, version: str) -> str | None:
        """As :meth:`Races.frozen`."""
        return self._races.frozen(version)

    def keep(self, *versions: str | None) -> None:
        """Follows none but these."""
        self._races.keep(*versions)
        for version in [known for known in self._following if known not in versions]:
            stop, thread = self._following.pop(version)
            stop.set()
            thread.join(timeout=5)
