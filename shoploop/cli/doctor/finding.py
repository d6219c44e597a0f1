"""What a check found out."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "missing", "unused", "waiting"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    about: str
    state: State
    """missing: something that is needed is not there. unused: it is not there, and nobody needs it. waiting: it is on
    its way, and nobody has to do anything."""

    detail: str
    remedy: str | None = None
    """The command that mends it."""
