"""Printing in whatever encoding a terminal has: a sign that it lacks is printed as a plain one, and never ends a command."""

import codecs
import sys
from io import TextIOWrapper
from typing import Final

PLAIN_SIGNS: Final = {"✓": "+", "✗": "x", "↺": "=", "…": "...", "·": "-", "α": "alpha", "’": "'", "–": "-", "━": "-"}
"""For our own signs; one of somebody else's, as in a title, becomes ``\\xe9``, from which it can still be told."""

NAME: Final = "plain-signs"


def adapt_streams() -> None:
    """Lets everything be printed on stdout and stderr."""
    codecs.register_error(NAME, _in_plain_signs)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=NAME)


def _in_plain_signs(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(
        PLAIN_SIGNS.get(sign) or sign.encode("ascii", "backslashreplace").decode() for sign in signs
    ), error.end
