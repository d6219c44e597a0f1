"""Whether a live object still is what was asked for; pure.

Only what was asked for is compared: the API server adds defaults, controllers add fields, webhooks add containers.
"""

import re
from decimal import Decimal
from typing import Any

import yaml

from shoploop.controller.decide.names import Object
from shoploop.controller.decide.observed import Release

QUANTITY = re.compile(r"^([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")
FACTORS = {
    None: Decimal(1), "m": Decimal("0.001"), "k": Decimal(10) ** 3, "M": Decimal(10) ** 6, "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12, "Ki": Decimal(2) ** 10, "Mi": Decimal(2) ** 20, "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
}  # fmt: skip

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def rendered(release: Release) -> list[Object]:
    """What a revision consists of, with the marks by which Helm knows its own."""
    found = [dict(document) for document in yaml.load_all(release.manifest, _Loader) if document]
    for document in found:
        meta = document["metadata"] = dict(document["metadata"])
        namespace = meta.get("namespace", "")
        meta["labels"] = (meta.get("labels") or {}) | {"app.kubernetes.io/managed-by": "Helm"}
        meta["annotations"] = (meta.get("annotations") or {}) | {
            "meta.helm.sh/release-name": release.name,
            "meta.helm.sh/release-namespace": namespace,
        }
    return found


def holds(wanted: Any, live: Any) -> bool:
    """Whether ``live`` has all of ``wanted``. A list of named entries is compared by name, any other in order."""
    match wanted:
        case dict():
            return isinstance(live, dict) and all(_field_holds(wanted[key], live.get(key)) for key in wanted)
        case [{"name": _}, *_] if isinstance(live, list):
            by_name = {entry.get("name"): entry for entry in live if isinstance(entry, dict)}
            return all(holds(entry, by_name.get(entry.get("name"))) for entry in wanted)
        case list():
            return isinstance(live, list) and len(wanted) == len(live) and all(map(holds, wanted, live))
        case bool() | None:
            return bool(wanted == live)
    return bool(wanted == live) or _same_quantity(wanted, live)


def _field_holds(wanted: Any, live: Any) -> bool:
    """The API server drops empty fields, and writes false where nothing stood."""
    empty = wanted is None or wanted is False or wanted in ("", [], {})
    return (empty and live in (None, False, "", [], {})) or holds(wanted, live)


def _same_quantity(wanted: Any, live: Any) -> bool:
    left, right = _quantity(wanted), _quantity(live)
    return left is not None and left == right


def _quantity(value: Any) -> Decimal | None:
    match = QUANTITY.match(str(value)) if isinstance(value, str | int | float) else None
    return Decimal(match[1]) * FACTORS[match[2]] if match else None
