"""Writes the table of values in each chart's README from values.yaml; with --check, says only whether it is up to date.

A comment that begins with "# --" describes the value below it. A value without one is a row too, a mapping is not.
"""

import json
import re
import sys
from pathlib import Path

import yaml

CHARTS = Path(__file__).resolve().parent.parent / "charts"
BEGIN, END = "<!-- values: written by make generate -->", "<!-- values: end -->"
KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z][A-Za-z0-9]*):")


def main() -> None:
    stale = []
    for readme in sorted(CHARTS.glob("*/README.md")):
        text = readme.read_text()
        before, rest = text.split(BEGIN)
        _, after = rest.split(END)
        wanted = f"{before}{BEGIN}\n{table(readme.with_name('values.yaml').read_text())}{END}{after}"
        if wanted != text:
            stale.append(readme)
            if "--check" not in sys.argv:
                readme.write_text(wanted)
    if stale and "--check" in sys.argv:
        sys.exit(
            f"Not up to date: {', '.join(str(path.relative_to(CHARTS.parent)) for path in stale)}. Run make generate."
        )


def table(text: str) -> str:
    described = descriptions(text)
    rows = [
        f"| `{'.'.join(path)}` | `{json.dumps(default)}` | {described.get(path, '')} |"
        for path, default in leaves(yaml.safe_load(text), (), described)
    ]
    return "\n".join(["| Value | Default | Meaning |", "| --- | --- | --- |", *rows]) + "\n"


def leaves(values: dict, above: tuple[str, ...], described: dict):
    for key, default in values.items():
        path = (*above, key)
        if isinstance(default, dict) and default and path not in described:
            yield from leaves(default, path, described)
        else:
            yield path, default


def descriptions(text: str) -> dict[tuple[str, ...], str]:
    """The comments that begin with "# --", by the path of the value below."""
    found, path, comment = {}, [], []
    for line in text.splitlines():
        if (stripped := line.strip()).startswith("# --"):
            comment = [stripped.removeprefix("# --").strip()]
        elif stripped.startswith("#") and comment:
            comment.append(stripped.removeprefix("#").strip())
        elif match := KEY.match(line):
            path = [*path[: len(match["indent"]) // 2], match["key"]]
            if comment:
                found[tuple(path)] = " ".join(comment)
            comment = []
    return found


if __name__ == "__main__":
    main()
