"""Which versions answer, as a predictor is told: a file that whoever follows the store moves into place last.

It names the folders of rankers that were fetched and verified. A predictor writes back into the same folder why it no longer
answers with a candidate. It must not know of the store.
"""

import hmac
import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from shoploop.store import disk

ENVIRONMENT = "SHOPLOOP_LINEUP"
"""Environment variable: the folder that the file lies in. Unset: the packaged version answers everybody."""

FILE = "lineup.json"
RETURNED = "returned.json"
TALLY = "tally.json"


@dataclass(frozen=True, kw_only=True)
class Packaged:
    """A version that may answer."""

    version: str
    folder: str
    """What ``Ranker.load`` reads."""

    updates: str | None = None
    """Folder that brings what is learned on top of it; None: it is served as it was trained."""


@dataclass(frozen=True, kw_only=True)
class Lineup:
    """Who answers whom."""

    stable: Packaged
    candidate: Packaged | None = None
    candidacy: int = 0
    """Number of the candidacy; 0 for none."""

    percent: int = 0
    shadow: bool = False
    salt: str = ""

    def write(self, folder: Path) -> None:
        """Moves it into place; durable on return."""
        disk.write_json(folder / FILE, asdict(self, dict_factory=_without_updates_that_are_none))

    @classmethod
    def read(cls, folder: Path) -> "Lineup":
        """What ``folder`` holds.

        Raises:
            OSError: there is none.
            ValueError: it is none.
        """
        try:
            found: dict[str, Any] = json.loads((folder / FILE).read_text())
            candidate = found["candidate"]
            return cls(
                stable=Packaged(**found["stable"]),
                candidate=Packaged(**candidate) if candidate else None,
                candidacy=int(found["candidacy"]),
                percent=int(found["percent"]),
                shadow=bool(found["shadow"]),
                salt=str(found["salt"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"{folder / FILE} names no versions: {error!r}") from error

    def gives_candidate(self, user: str) -> bool:
        """Whether the candidate answers this user: the same in every predictor, and for as long as the candidacy lasts. Who
        is among 10 percent is among 50, too."""
        if self.candidate is None or self.shadow or not self.percent:
            return False
        digest = hmac.digest(self.salt.encode(), user.encode(), sha256)
        return int.from_bytes(digest[:8]) < self.percent * 2**64 // 100


def _without_updates_that_are_none(facts: list[tuple[str, Any]]) -> dict[str, Any]:
    """A predictor that was packaged before there were any reads what is left."""
    return {name: fact for name, fact in facts if (name, fact) != ("updates", None)}


@dataclass(frozen=True, kw_only=True)
class Returned:
    """Why a predictor answers without a candidate."""

    candidacy: int
    version: str
    reason: str

    def write(self, folder: Path) -> None:
        disk.write_json(folder / RETURNED, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "Returned | None":
        """What a predictor wrote; None where it wrote nothing that can be read."""
        try:
            return cls(**json.loads((folder / RETURNED).read_text()))
        except (OSError, ValueError, TypeError):
            return None


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How a candidate has done in one process, since its candidacy was taken up there."""

    candidacy: int
    given: int = 0
    """Answers of it, those in the shadow too."""

    failed: int = 0
    different: int = 0
    """Answers in the shadow that were others than what was shown."""

    def write(self, folder: Path) -> None:
        disk.write_json(folder / TALLY, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "Tally | None":
        """What a predictor wrote; None where it wrote nothing that can be read."""
        try:
            return cls(**json.loads((folder / TALLY).read_text()))
        except (OSError, ValueError, TypeError):
            return None
