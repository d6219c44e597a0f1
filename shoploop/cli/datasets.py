"""``shoploop datasets``: what is known by name, and whether it is here."""

from dataclasses import asdict
from typing import Any

from shoploop.cli.output import write_json
from shoploop.cli.sheet import Sheet
from shoploop.data.datasets import KNOWN
from shoploop.errors import DataUnreadable


def list_datasets(json_: str | None) -> None:
    """Prints every known dataset with the YAML that uses it."""
    found = [_described(name) for name in sorted(KNOWN)]
    write_json({"datasets": found}, json_)
    if json_ != "-":
        sheet = Sheet()
        for one in found:
            sheet.heading(one["name"])
            here = f"yes, version {one['installed']}" if one["installed"] else f"no: {one['install']}"
            sheet.lines(
                [
                    ("what", one["what"]), ("from", one["source"]), ("licence", one["licence"]),
                    ("rows", f"{one['rows']:,} interactions"), ("installed here", here), ("in your YAML", one["yaml"]),
                ]
            )  # fmt: skip
        sheet.heading("Your own files need no name: shoploop init EVENTS writes the YAML for them.")


def _described(name: str) -> dict[str, Any]:
    dataset = KNOWN[name]()
    try:
        installed: str | None = dataset.version()
    except DataUnreadable:
        installed = None
    whole = {"name": name, **asdict(dataset.ABOUT), "installed": installed}
    return whole | {"yaml": f"spec: {{data: {{dataset: {name}}}}}"}
