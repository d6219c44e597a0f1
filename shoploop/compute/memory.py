"""How much memory a process and all that it has started hold together."""

import threading

import psutil

SAMPLE_SECONDS = 0.2


class PeakMemory:
    """Watches the sum of resident memory of this process and everything below it, until the block ends."""

    def __init__(self, every: float = SAMPLE_SECONDS):
        self.every = every
        self._peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def taken(self) -> int:
        """Bytes at the peak since this was asked last, or since the beginning."""
        peak, self._peak = max(self._peak, held()), 0
        return peak

    def _sample(self) -> None:
        while not self._stop.wait(self.every):
            self._peak = max(self._peak, held())


def held() -> int:
    """Bytes that this process and everything below it hold now."""
    return sum(_resident(process) for process in family())


def family(pid: int | None = None) -> list[psutil.Process]:
    """A process and everything that it has started; empty where it has ended."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
