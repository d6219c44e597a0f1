"""Prints what the running interpreter's environment holds, as a CycloneDX 1.5 document."""

import json
import sys
from importlib.metadata import Distribution, distributions


def component(found: Distribution) -> dict[str, object]:
    name, version = found.metadata["Name"], found.version
    licence = found.metadata["License-Expression"]
    return {
        "type": "library",
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name.lower().replace('_', '-')}@{version}",
    } | ({"licenses": [{"expression": licence}]} if licence else {})


def main() -> None:
    components = sorted((component(d) for d in distributions()), key=lambda c: str(c["purl"]))
    json.dump({"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": components}, sys.stdout)


if __name__ == "__main__":
    main()
