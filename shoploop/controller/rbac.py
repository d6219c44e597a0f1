"""The operator's roles, as the chart's template and as a table for people; both from ``kinds.PERMISSIONS``."""

import yaml

from shoploop.controller.decide.kinds import PERMISSIONS

HEADER = "{{/* Generated from shoploop/controller/decide/kinds.py by `make generate`. */}}\n"


def rules() -> list[dict[str, list[str]]]:
    """Role rules, as RBAC writes them."""
    return [
        {"apiGroups": [held.group], "resources": list(held.resources), "verbs": list(held.verbs)}
        for held in PERMISSIONS
    ]


def template() -> str:
    """Named templates: rules of each namespace that is served, and rules that have no namespace."""
    body = yaml.safe_dump(rules(), sort_keys=False, default_flow_style=None, width=120)
    return (
        f'{HEADER}{{{{- define "shoploop.operator.rules" -}}}}\n{body}{{{{- end -}}}}\n\n'
        '{{- define "shoploop.operator.clusterRules" -}}\n[]\n{{- end -}}\n'
    )


def table() -> str:
    """A Markdown table of what the operator may do and why."""
    lines = ["| API group | resources | verbs | why |", "| --- | --- | --- | --- |"]
    for held in PERMISSIONS:
        group = held.group or "core"
        lines.append(f"| {group} | {', '.join(held.resources)} | {', '.join(held.verbs)} | {held.why} |")
    return "\n".join(lines) + "\n"
