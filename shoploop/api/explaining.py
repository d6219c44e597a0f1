"""Field documentation on the terminal, as `kubectl explain` gives it, without a cluster."""

import difflib
import textwrap
from typing import Any

from shoploop.api.crd import Schema, definitions
from shoploop.errors import NotFound

WIDTH = 100


def explain(path: str) -> str:
    """What the field at ``path`` is for, e.g. ``recommender.spec.training``.

    Raises:
        NotFound: there is no such kind or field; the nearest right name is proposed.
    """
    head, *fields = path.strip().strip(".").split(".")
    names, schema = _kind(head)
    walked = names["singular"]
    for field in fields:
        known = properties_of(schema)
        found = next((name for name in known if name.lower() == field.lower()), None)
        if found is None:
            raise NotFound(f"{walked} has no field {field!r}{_choices(field, known)}")
        schema = known[found]
        walked += f".{found}"
    return "\n".join(_page(names["kind"], walked, fields, schema)) + "\n"


def _kind(word: str) -> tuple[Schema, Schema]:
    known: dict[str, Schema] = {}
    for crd in definitions().values():
        names = crd["spec"]["names"]
        for name in (names["singular"], names["plural"], *names["shortNames"]):
            known[name] = crd["spec"]
    spec = known.get(word.lower())
    if spec is None:
        kinds = {crd["names"]["singular"]: crd for crd in known.values()}
        raise NotFound(f"There is no kind {word!r}{_choices(word.lower(), kinds)}")
    return spec["names"], spec["versions"][0]["schema"]["openAPIV3Schema"]


def _page(kind: str, walked: str, fields: list[str], schema: Schema) -> list[str]:
    lines = ["GROUP:      shoploop.io", f"KIND:       {kind}", "VERSION:    v1alpha1", ""]
    if fields:
        lines += [f"FIELD: {walked.rsplit('.', 1)[-1]} <{type_name(schema)}>", *limits(schema), ""]
    lines += ["DESCRIPTION:", *_wrapped(schema.get("description", "Kubernetes' own fields."), 4), ""]
    for rule in schema.get("x-kubernetes-validations", []):
        lines += [*_wrapped(f"Rule: {rule['message']}.", 4), ""]
    known = properties_of(schema)
    if known:
        required: list[str] = schema.get("required") or _items(schema).get("required") or []
        lines.append("FIELDS:")
        for name, inner in known.items():
            mark = " -required-" if name in required else ""
            lines += [f"  {name}\t<{type_name(inner)}>{mark}", *limits(inner)]
            lines += [*_wrapped(inner.get("description", "Kubernetes' own."), 4), ""]
    return lines[:-1] if lines[-1] == "" else lines


def properties_of(schema: Schema) -> Schema:
    found: Schema = schema.get("properties") or _items(schema).get("properties", {})
    return found


def _items(schema: Schema) -> Schema:
    inner: Schema = schema.get("items") or schema.get("additionalProperties") or {}
    return inner


def type_name(schema: Schema) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "quantity"
    match schema.get("type"):
        case "array":
            return f"[]{type_name(schema['items'])}"
        case "object" if "additionalProperties" in schema:
            return f"map[string]{type_name(schema['additionalProperties'])}"
        case "object":
            return "Object"
        case None:
            return "any"
    return str(schema["type"])


def limits(schema: Schema) -> list[str]:
    """Choices, default and bounds, each where there is one."""
    inner = schema.get("items", schema)
    parts = []
    if "enum" in inner:
        parts.append("one of " + ", ".join(inner["enum"]))
    if "minimum" in schema:
        parts.append(f"{'more than' if schema.get('exclusiveMinimum') else 'at least'} {schema['minimum']}")
    if "maximum" in schema:
        parts.append(f"{'less than' if schema.get('exclusiveMaximum') else 'at most'} {schema['maximum']}")
    if schema.get("default") not in (None, {}, []):
        parts.append(f"default {_written(schema['default'])}")
    return [f"    ({'; '.join(parts)})"] if parts else []


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _choices(word: str, known: Schema) -> str:
    if not known:
        return ": it has no fields below it."
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1)
    if close:
        return f"; did you mean {by_lower[close[0]]}?"
    return f"; it has {', '.join(known)}."


def _wrapped(text: str, indent: int) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * indent)
