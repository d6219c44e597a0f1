"""What became of mutated inputs, told at the end of a run."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzzing import Tally

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tally(request, record_property) -> Iterator[Tally]:
    made = Tally(ROOT / ".cache" / "fuzz" / request.node.name)
    yield made
    record_property("fuzz", made.report())
    assert made.counts["inputs"], "nothing was tried"
    assert not made.tracebacks, "\n".join(f"{what}: {message}" for what, message in made.tracebacks.items())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    total: Counter[str] = Counter()
    lines = []
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, counts in getattr(report, "user_properties", ()):
                if name == "fuzz" and report.when == "teardown":
                    total.update(counts)
                    what = report.nodeid.partition("::")[2].removeprefix("test_").replace("_", " ")
                    lines.append(f"  {what}: " + ", ".join(f"{count:,} {name}" for name, count in counts.items()))
    if lines:
        terminalreporter.section("mutated inputs")
        for line in lines:
            terminalreporter.line(line)
        terminalreporter.line("all: " + ", ".join(f"{count:,} {name}" for name, count in total.items()))
