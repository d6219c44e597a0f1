"""Whether a candidate does well enough to go on: its failures and its seconds beside those of the version that serves."""

import threading
from collections import deque

LAST = 300
"""Answers that are looked at, of each."""

FEWEST = 100
"""Answers, of each, before latencies are compared."""

FAILURES = 3
FAILED_SHARE = 0.01
SLOWER = 2.0
SLOWER_SECONDS = 0.010
QUANTILE = 0.95


class CandidateWatch:
    """One candidacy's last answers. One instance serves all threads of a process."""

    def __init__(self) -> None:
        self._seconds: dict[bool, deque[float]] = {True: deque(maxlen=LAST), False: deque(maxlen=LAST)}
        self._failed: deque[bool] = deque(maxlen=LAST)
        self._lock = threading.Lock()
        self.given = 0
        """Answers of the candidate since it was first watched."""

        self.failures = 0
        self.different = 0
        """Answers in the shadow that were others than what was shown."""

    def answered(self, seconds: float, *, candidate: bool) -> None:
        with self._lock:
            self._seconds[candidate].append(seconds)
            if candidate:
                self._failed.append(False)
                self.given += 1

    def differed(self) -> None:
        """In the shadow it would have shown something else."""
        with self._lock:
            self.different += 1

    def failed(self) -> None:
        """The candidate raised an error in place of an answer."""
        with self._lock:
            self._failed.append(True)
            self.failures += 1

    @property
    def verdict(self) -> str | None:
        """Why it must not go on; None where it may."""
        with self._lock:
            failures = sum(self._failed)
            if failures >= FAILURES and failures > FAILED_SHARE * len(self._failed):
                return f"{failures} of its last {len(self._failed)} answers failed"
            if min(map(len, self._seconds.values())) < FEWEST:
                return None
            slow, usual = (_quantile(self._seconds[candidate]) for candidate in (True, False))
        if slow > usual * SLOWER and slow > usual + SLOWER_SECONDS:
            return (
                f"{QUANTILE:.0%} of its last answers took up to {slow * 1000:.0f} ms, and those of the version that serves "
                f"{usual * 1000:.0f} ms"
            )
        return None


def _quantile(seconds: "deque[float]") -> float:
    ordered = sorted(seconds)
    return ordered[int(QUANTILE * (len(ordered) - 1))]
