"""Writes what is derived from the API types: CRDs, the operator's roles, docs/reference.md.

``python hack/generate.py`` writes; with ``--check`` it fails where a file differs from what it would write.
"""

import argparse
import difflib
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from shoploop.api.crd import Schema, definitions
from shoploop.api.explaining import limits, properties_of, type_name

ROOT = Path(__file__).parents[1]


class _Dumper(yaml.SafeDumper):
    """Aliases off: every object is written where it stands."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def files() -> dict[str, str]:
    """What is generated: path below the repository's root, and content."""
    from shoploop.controller import rbac

    crds = definitions()
    written = {f"charts/shoploop/templates/crds/{plural}.yaml": crd_template(crd) for plural, crd in crds.items()}
    return written | {
        "charts/shoploop/templates/operator/_rules.tpl": rbac.template(),
        "docs/reference.md": reference(crds) + "\n## What the operator may do\n\n" + rbac.table(),
    }


def crd_template(crd: Schema) -> str:
    body = yaml.dump(crd, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
    if "{{" in body:
        raise ValueError("a description holds {{, which Helm would take for a template")
    header = "{{/* Generated from shoploop/api by `make generate`. */}}\n"
    return f"{header}{{{{- if .Values.crds.install }}}}\n{body}{{{{- end }}}}\n"


def reference(crds: dict[str, Schema]) -> str:
    """docs/reference.md: every field of every kind."""
    lines = [
        "# Reference",
        "",
        "Generated from `shoploop/api` by `make generate`. `shoploop explain` and `kubectl explain` say the same.",
    ]
    for crd in crds.values():
        schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        lines += ["", f"## {crd['spec']['names']['kind']}", "", schema.get("description", ""), ""]
        for part in ("spec", "status"):
            lines += ["| field | type | what it is for |", "| --- | --- | --- |"]
            lines += [*_rows(part, schema["properties"][part]), ""]
    return "\n".join(lines).rstrip() + "\n"


def _rows(path: str, schema: Schema) -> Iterator[str]:
    for name, inner in properties_of(schema).items():
        where = f"{path}.{name}"
        sentences = [inner.get("description", "")]
        sentences += [f"Rule: {rule['message']}." for rule in inner.get("x-kubernetes-validations", [])]
        bounds = " ".join(line.strip() for line in limits(inner))
        text = " ".join(part for part in (*sentences, bounds) if part).replace("|", "\\|")
        yield f"| `{where}` | {type_name(inner)} | {text} |"
        yield from _rows(where + "[]" * (inner.get("type") == "array"), inner)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    check = parser.parse_args(arguments).check
    stale = 0
    for name, content in files().items():
        path = ROOT / name
        before = path.read_text() if path.exists() else ""
        if before == content:
            continue
        stale += 1
        if check:
            sys.stdout.writelines(
                difflib.unified_diff(
                    before.splitlines(True), content.splitlines(True), name, f"{name} (generated)", n=1
                )
            )
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
            print(f"wrote {name}")
    if check and stale:
        print(f"{stale} generated files differ: run `make generate`.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
