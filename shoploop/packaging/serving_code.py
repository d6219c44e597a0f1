"""Which serving code a Bento was packaged with: versions of one code can be exchanged within a process that answers."""

import hashlib
from pathlib import Path

from shoploop.packaging.fetch import RANKER


def code_of(bento: Path) -> str:
    """What tells the serving code of an unpacked Bento from another: a digest of all but its ranker, and of what it needs
    installed."""
    found = hashlib.sha256()
    for part in (bento / "src", bento / "env" / "python"):
        for path in sorted(part.rglob("*")):
            inside = path.relative_to(bento)
            if not path.is_file() or inside.is_relative_to(RANKER) or "__pycache__" in inside.parts:
                continue
            found.update(f"{inside.as_posix()}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()
