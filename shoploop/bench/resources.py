"""What processes hold over time, memory, file descriptors and threads, and whether it grows.

It must not know what they do.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

import numpy as np
import psutil
from scipy import stats

MB = 1e6

WARM_UP_SHARE = 0.3
"""Of the time, from the beginning, that no slope is fitted to: caches fill, threads begin, allocators take what they keep."""

BLOCKS = 30
"""Means that a line is fitted to: samples of neighbouring seconds are alike, so an interval from them would be too narrow."""

RSS_MB_PER_HOUR = 10.0
"""A slope that is not above it is called flat, and so of the other two: a slower leak takes more than an hour to be told from
what allocators do."""

FDS_PER_HOUR = THREADS_PER_HOUR = 12.0

Verdict = Literal["flat", "grows", "unclear"]


@dataclass(frozen=True, kw_only=True)
class Trend:
    """A line through values over time, by ordinary least squares over the means of blocks."""

    slope: float
    """An hour."""

    interval: tuple[float, float]
    """95 %, by Student's t."""

    verdict: Verdict
    """``flat`` where the slope is not above the bound; ``grows`` where it is, and the interval holds no zero; ``unclear``
    where it is, and the interval holds zero: too short, or too restless."""

    @classmethod
    def of(cls, seconds: Sequence[float], values: Sequence[float], *, at_most: float) -> "Trend | None":
        """The trend of values; None of fewer than three.

        Args:
            seconds: When each was taken, in order.
            values: As many.
            at_most: What slope an hour is still flat.
        """
        if len(values) < 3:
            return None
        cuts = np.array_split(np.arange(len(values)), min(BLOCKS, len(values)))
        hours_B = np.array([np.mean(np.asarray(seconds)[cut]) for cut in cuts]) / 3600
        means_B = np.array([np.mean(np.asarray(values, np.float64)[cut]) for cut in cuts])
        line = stats.linregress(hours_B, means_B)
        # of values that are all the same no error can be told
        half = float(stats.t.ppf(0.975, len(cuts) - 2)) * float(np.nan_to_num(line.stderr))
        slope = float(line.slope)
        verdict: Verdict = "flat" if slope <= at_most else "grows" if slope - half > 0 else "unclear"
        return cls(slope=slope, interval=(slope - half, slope + half), verdict=verdict)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What one process held at a moment."""

    second: float
    """Since the beginning."""

    pid: int
    rss: int
    fds: int
    threads: int


class Watch:
    """Looks at processes again and again, in a thread, while a block lasts."""

    def __init__(self, processes: Callable[[], Mapping[str, psutil.Process]], *, period_seconds: float = 1.0):
        """
        Args:
            processes: Those there are now, by name; asked each time, since one that ends may be started again.
            period_seconds: Between two looks.
        """
        self.samples: dict[str, list[Sample]] = {}
        self._processes = processes
        self._period = period_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)

    def __enter__(self) -> "Watch":
        self._began = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def told(self) -> dict[str, dict[str, Any]]:
        """By name: ``rss_mb_start`` and ``rss_mb_end``, ``rss_slope_mb_per_hour`` with its ``interval``, ``fds_start``,
        ``fds_end``, ``threads_start``, ``threads_end`` and their slopes, all after the warm-up; ``restarts``; ``verdicts`` of
        the three slopes. What was there too shortly has no slopes and no verdicts."""
        return {name: _told(samples) for name, samples in self.samples.items()}

    def _look(self) -> None:
        while not self._stop.wait(self._period):
            for name, process in self._processes().items():
                with suppress(psutil.NoSuchProcess, psutil.AccessDenied):  # it has just ended
                    self.samples.setdefault(name, []).append(
                        Sample(
                            second=time.perf_counter() - self._began,
                            pid=process.pid,
                            rss=process.memory_info().rss,
                            fds=process.num_fds(),
                            threads=process.num_threads(),
                        )
                    )


def _told(samples: list[Sample]) -> dict[str, Any]:
    warm = [each for each in samples if each.second >= WARM_UP_SHARE * samples[-1].second]
    last = [each for each in warm if each.pid == warm[-1].pid]  # one that was started again begins anew
    seconds = [each.second for each in last]
    found: dict[str, Any] = {
        "rss_mb_start": round(last[0].rss / MB, 2),
        "rss_mb_end": round(last[-1].rss / MB, 2),
        "fds_start": last[0].fds,
        "fds_end": last[-1].fds,
        "threads_start": last[0].threads,
        "threads_end": last[-1].threads,
        "restarts": len({each.pid for each in samples}) - 1,
    }
    rss = Trend.of(seconds, [each.rss / MB for each in last], at_most=RSS_MB_PER_HOUR)
    fds = Trend.of(seconds, [each.fds for each in last], at_most=FDS_PER_HOUR)
    threads = Trend.of(seconds, [each.threads for each in last], at_most=THREADS_PER_HOUR)
    if rss is None or fds is None or threads is None:
        return found | {"verdicts": {}}
    return found | {
        "rss_slope_mb_per_hour": round(rss.slope, 3),
        "interval": [round(end, 3) for end in rss.interval],
        "fds_slope_per_hour": round(fds.slope, 3),
        "threads_slope_per_hour": round(threads.slope, 3),
        "verdicts": {"rss": rss.verdict, "fds": fds.verdict, "threads": threads.verdict},
    }
