"""What ``--json`` asks for: numbers into a file, or alone on stdout for ``-``."""

import json
from pathlib import Path
from typing import Any


def write_json(numbers: dict[str, Any], target: str | None) -> None:
    """Writes ``numbers`` to ``target``; nothing where none is named."""
    text = json.dumps(numbers, indent=1)
    if target == "-":
        print(text)
    elif target is not None:
        Path(target).write_text(text + "\n")
