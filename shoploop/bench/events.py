"""How many events a second a log accepts durably, and whether a writer that is killed costs one of them, or doubles one."""

import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shoploop.api.online import EventLogSpec
from shoploop.events.log import EventLog
from shoploop.events.numbered import BATCH, all_ids, batches
from shoploop.events.opening import open_log

EVENTS = 50_000
REPETITIONS = 3
KILLS = 5
BATCHES_BEFORE_A_KILL = 20


def run(
    *,
    log: EventLogSpec,
    folder: Path | None = None,
    events: int = EVENTS,
    say: Callable[[str], None] = lambda what: None,
) -> dict[str, Any]:
    """Measures one log.

    Args:
        log: Which one; what it accepts is appended to a log of its own name, and trimmed at the end.
        folder: Where a SQLite file lies; a folder that is removed afterwards where not given.
        events: To append in each repetition, in batches of 100.
        say: Told what is being done.

    Returns:
        ``events_per_second`` (median, min and max over the repetitions), what was ``lost`` and ``doubled`` over writers that
        were killed (kill -9) amid appends, and what that was measured on.
    """
    with tempfile.TemporaryDirectory(prefix="shoploop-bench-") as own:
        place = folder or Path(own)
        name = f"bench-{time.time_ns()}"
        with open_log(log, name=name, folder=place) as opened:
            rates = []
            for repetition in range(REPETITIONS):
                say(f"{events} events, {repetition + 1} of {REPETITIONS}")
                rates.append(_rate(opened, f"rate{repetition}", events))
            say(f"{KILLS} writers are killed")
            wanted = {f"rate{n}-{number}" for n in range(REPETITIONS) for number in range(events)}
            for kill in range(KILLS):
                wanted |= _accepted_before_a_kill(log, name, place, f"killed{kill}")
            found = Counter(all_ids(opened))
            opened.trim(opened.end() + 1)
    rates.sort()
    return {
        "log": log.type,
        "events_per_second": {"median": rates[len(rates) // 2], "min": rates[0], "max": rates[-1]},
        "batch": BATCH,
        "events": len(found),
        "killed_writers": KILLS,
        "lost": len(wanted - found.keys()),
        "doubled": sum(count - 1 for count in found.values()),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }


def _rate(log: EventLog, writer: str, events: int) -> float:
    """Events a second."""
    source = batches(writer)
    given = [next(source) for _ in range(events // BATCH)]
    began = time.perf_counter()
    for batch in given:
        log.append(batch)
    return events / (time.perf_counter() - began)


def _accepted_before_a_kill(log: EventLogSpec, name: str, folder: Path, writer: str) -> set[str]:
    """Ids that a process has had accepted when it was killed."""
    command = [sys.executable, "-m", "shoploop.events.numbered", log.model_dump_json(), name, str(folder), writer]
    last = -1
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for _ in range(BATCHES_BEFORE_A_KILL):
            last = int(process.stdout.readline())
        process.kill()
        for line in process.stdout:  # what it said before it died
            last = int(line) if line.endswith("\n") else last
    return {f"{writer}-{number}" for number in range(last + 1)}
