"""How many mutated inputs are tried, and what becomes of them."""

import os
import traceback
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings

from shoploop.errors import UserError

WANTED = int(os.environ.get("SHOPLOOP_FUZZ", "300"))
"""Mutated inputs in all; ``make fuzz`` asks for 10,000."""


ROOM = "/shoploop/"


def share(part: float) -> settings:
    """How often a test tries, as a part of all inputs. Nothing is shrunk: an input is a few mutations, and it is kept."""
    return settings(
        max_examples=max(10, round(WANTED * part)),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )


class Tally:
    """What became of the inputs of one kind. A traceback does not end the search: all are told at the end."""

    def __init__(self, kept: Path):
        self.counts: Counter[str] = Counter()
        self.tracebacks: dict[str, str] = {}
        self._kept = kept

    def refused_or(self, error: BaseException, what: str, content: bytes) -> None:
        """Counts an error of the user's that names what is wrong; anything else is a traceback, whose input is kept."""
        if isinstance(error, KeyboardInterrupt):
            raise error
        if isinstance(error, UserError) and str(error).strip() and error.exit_code == 2:
            self.counts["refused by name"] += 1
            return
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if ROOM in frame.filename]
        place = f"{frames[-1].filename.partition(ROOM)[2]}:{frames[-1].lineno}" if frames else "elsewhere"
        self.failed(f"{what}: {type(error).__name__} at {place}", str(error), content)

    def failed(self, what: str, message: str, content: bytes) -> None:
        """Notes what must not be; the same again is not noted again."""
        if what not in self.tracebacks:
            path = self._kept / f"input-{len(self.tracebacks)}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            self.tracebacks[what] = f"{message[:300]} ({path})"

    def half_written(self, left: Iterable[str], content: bytes) -> None:
        """Notes what was left behind, if anything was."""
        if names := sorted(left):
            self.counts["half-written"] += 1
            self.failed(f"left behind: {', '.join(names)}", "", content)

    def report(self) -> dict[str, int]:
        return {
            "inputs": self.counts["inputs"],
            "tracebacks": len(self.tracebacks),
            "half-written files": self.counts["half-written"],
            **{name: count for name, count in self.counts.items() if name not in ("inputs", "half-written")},
        }
