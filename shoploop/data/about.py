"""What people should know of a known dataset before they use it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class About:
    what: str
    """In a sentence."""

    source: str
    """Who gives it, and the package that it comes in."""

    licence: str
    """As far as it is known."""

    rows: int
    """Interactions."""

    offers: bool = False
    """Whether it says what was on offer."""

    install: str
    """The command that brings it to this machine."""
