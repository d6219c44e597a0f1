"""What commands print through: text as it is, on any terminal and on none; and numbers as JSON.

Titles, ids and paths are a person's own: no part of them is read as markup, replaced, cut or wrapped.
"""

import json
import os
import re
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

WIDEST: Final = 100_000
"""Columns; more than any line has."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def console(*, stderr: bool = False) -> Console:
    """Where a command prints; with colours on a terminal, unless NO_COLOR is set."""
    plain: dict[str, Any] = {"color_system": None} if os.environ.get("NO_COLOR") else {}
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True, **plain)


def spinner(console: Console) -> str:
    """The name of a spinner that the console's encoding has the signs of."""
    return "line" if console.options.ascii_only else "dots"


def print_table(console: Console, table: Table) -> None:
    """Prints a table with room for every word: it may be wider than a terminal, which then breaks the line itself."""
    room = console.options.update(max_width=WIDEST)
    for column in table.columns:
        if column.no_wrap:
            column.min_width = max(
                Measurement.get(console, room, cell).maximum for cell in (column.header, *column.cells)
            )
    needed = Measurement.get(console, room, table)
    before, shown = console.width, console.is_terminal
    console.width = max(before, needed.minimum) if shown else needed.maximum
    try:
        console.print(table, soft_wrap=False, crop=False)
    finally:
        console.width = before


def one_line(value: object) -> str:
    """A person's own words within a line: what would move a terminal's cursor is a blank."""
    return _CONTROL.sub(" ", str(value))


def marked(mark: str, style: str, rest: str = "") -> Text:
    """A coloured mark, and what follows as it is."""
    return Text.assemble((mark, style), rest)


def write_json(numbers: dict[str, Any], target: str | None) -> None:
    """Writes ``numbers`` to ``target``; nothing where none is named. Where it cannot be written, stdout has them."""
    text = json.dumps(numbers, indent=1)
    if target == "-":
        print(text)
    elif target is not None:
        try:
            Path(target).write_text(text + "\n")
        except OSError:  # a disk that has filled up meanwhile; the numbers may be hours of work
            print(text)
            raise
