"""What holds more and more is told from what does not."""

import subprocess
import sys
import time
from contextlib import ExitStack

import psutil
import pytest

from shoploop.bench.resources import Trend, Watch

LEAKS = "import time, os\nkept = []\nwhile True: kept.append((bytearray(1_000_000), os.dup(1))); time.sleep(0.05)"
WORKS = "import time\nwhile True: bytearray(1_000_000); time.sleep(0.05)"


@pytest.fixture(scope="module")
def told():
    """Of two processes, one of which keeps a megabyte and a file descriptor twenty times a second."""
    with ExitStack() as stack:
        processes = {}
        for name, code in (("leaks", LEAKS), ("works", WORKS)):
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", code]))
            stack.callback(process.kill)
            processes[name] = psutil.Process(process.pid)
        with Watch(lambda: processes, period_seconds=0.05) as watch:
            time.sleep(2.5)
        return watch.told()


def test_a_process_that_leaks_is_told_from_one_that_does_not(told):
    leaks, works = told["leaks"], told["works"]
    assert leaks["verdicts"]["rss"] == leaks["verdicts"]["fds"] == "grows"
    assert leaks["fds_end"] > leaks["fds_start"] and leaks["rss_mb_end"] > leaks["rss_mb_start"] + 5
    low, high = leaks["interval"]
    assert 0 < low < leaks["rss_slope_mb_per_hour"] < high
    assert works["verdicts"]["fds"] == works["verdicts"]["threads"] == "flat"
    assert works["rss_mb_end"] < works["rss_mb_start"] + 5
    assert (works["restarts"], leaks["restarts"]) == (0, 0)


def test_what_rises_by_no_more_than_allowed_is_flat_and_what_cannot_be_told_is_unclear():
    seconds = [float(second) for second in range(360)]
    assert Trend.of(seconds, [second / 360 for second in seconds], at_most=12.0).verdict == "flat"
    steep = Trend.of(seconds, [second / 360 for second in seconds], at_most=5.0)
    assert steep.verdict == "grows" and steep.slope == pytest.approx(10.0)
    assert Trend.of(seconds, [7.0] * 360, at_most=0.0).interval == (0.0, 0.0)
    restless = [100.0 * (second % 120 > 60) + second / 360 for second in seconds]
    assert Trend.of(seconds, restless, at_most=5.0).verdict == "unclear"
    assert Trend.of([0.0, 1.0], [0.0, 1.0], at_most=1.0) is None


def test_of_a_process_that_was_started_again_the_new_one_is_told_of():
    with ExitStack() as stack:
        both = [stack.enter_context(subprocess.Popen([sys.executable, "-c", WORKS])) for _ in range(2)]
        for process in both:
            stack.callback(process.kill)
        there = {"works": psutil.Process(both[0].pid)}
        with Watch(lambda: there, period_seconds=0.05) as watch:
            time.sleep(0.5)
            both[0].kill()
            there["works"] = psutil.Process(both[1].pid)
            time.sleep(0.5)
    assert watch.told()["works"]["restarts"] == 1
