"""Facts in lines for a person: a label and what there is to say, under headings.

On a terminal long sentences are broken between words; elsewhere a fact stays one line, so that nothing is cut.
"""

import shutil
import sys
import textwrap
from collections.abc import Iterable
from typing import TextIO

from shoploop.cli.output import one_line

LABEL = 22
NARROWEST = 60


class Sheet:
    """Writes to a stream, in whatever encoding it has."""

    def __init__(self, stream: TextIO | None = None):
        self.stream = stream or sys.stdout
        self.width = max(shutil.get_terminal_size().columns, NARROWEST) if self.stream.isatty() else None

    def heading(self, text: str) -> None:
        self._write(f"\n{text}")

    def line(self, label: str, text: str) -> None:
        """A fact; without a label it goes on with the one above."""
        self._wrapped("  " + f"{one_line(label):{LABEL}}  ", text)

    def text(self, text: str) -> None:
        """A sentence of its own."""
        self._wrapped("  ", text)

    def _wrapped(self, indent: str, text: str) -> None:
        text = one_line(text)
        if self.width is None or not text:
            self._write((indent + text).rstrip())
            return
        wrapped = textwrap.wrap(
            text, self.width - len(indent), break_long_words=False, break_on_hyphens=False
        ) or [""]  # fmt: skip
        for number, part in enumerate(wrapped):
            self._write((indent if number == 0 else " " * len(indent)) + part)

    def lines(self, facts: Iterable[tuple[str, str]]) -> None:
        for label, text in facts:
            self.line(label, text)

    def _write(self, text: str) -> None:
        self.stream.write(text + "\n")
