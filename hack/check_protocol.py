"""Has spin look at every order in which learners, a person, updaters, replicas and a promotion can act and be killed.

The model is hack/protocol/online.pml; docs/protocol.md says what is shown. A check that cannot fail shows nothing, so the
model is checked again with one care taken away each time, and there spin must find the harm.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MODEL = Path(__file__).parent / "protocol" / "online.pml"
HOLDS = ((), ("PROMOTION",))
"""With these macros no property may be violated."""

FAILS = (
    ("WITHOUT_FENCE",),
    ("WITHOUT_BORDERS",),
    ("WITHOUT_WAITING",),
    ("PROMOTION", "WITHOUT_CATCHING_UP"),
)
"""With these one must be."""


def main() -> int:
    if missing := [tool for tool in ("spin", "gcc") if shutil.which(tool) is None]:
        print(f"{' and '.join(missing)} is not installed: apt-get install spin gcc", file=sys.stderr)
        return 2
    wrong = 0
    for macros in (*HOLDS, *FAILS):
        errors, states = check(macros)
        expected = macros in HOLDS
        wrong += (errors == 0) != expected
        print(f"{'+'.join(macros) or 'as it is':<32} {states:>10,} states, {'holds' if errors == 0 else 'harm was found'}"
              f"{'' if (errors == 0) == expected else '  <- WRONG'}")  # fmt: skip
    return 1 if wrong else 0


def check(macros: tuple[str, ...]) -> tuple[int, int]:
    """Errors that spin found, and the states that it saw."""
    with tempfile.TemporaryDirectory(prefix="shoploop-protocol-") as folder:
        shutil.copyfile(MODEL, Path(folder) / MODEL.name)
        run = {"cwd": folder, "check": True, "capture_output": True, "text": True}
        subprocess.run(["spin", *(f"-D{macro}" for macro in macros), "-a", MODEL.name], **run)
        subprocess.run(["gcc", "-O2", "-w", "-DSAFETY", "-DCOLLAPSE", "-o", "pan", "pan.c"], **run)
        told = subprocess.run(["./pan", "-m100000"], **run).stdout
    errors, states = re.search(r"errors: (\d+)", told), re.search(r"(\d+) states, stored", told)
    if errors is None or states is None or "max search depth too small" in told:
        raise SystemExit(f"spin did not finish:\n{told}")
    return int(errors[1]), int(states[1])


if __name__ == "__main__":
    sys.exit(main())
