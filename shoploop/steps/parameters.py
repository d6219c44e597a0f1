"""The parameters of the pipeline: every field of the spec that a step depends on, flat, each with one name, for Kubeflow.

They follow from the table of steps and the API's types: a parameter's default is the field's, and what it says is what the
field says. A section that a step takes whole is one parameter, except the gate, whose fields several steps read.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic.alias_generators import to_camel, to_snake

from shoploop.api.v1alpha1 import Recommender, RecommenderSpec, Spec
from shoploop.errors import SpecInvalid
from shoploop.steps.table import STEPS

SPREAD = ("gate",)
"""Sections whose fields are parameters of their own."""

RENAMED = {"importance.estimator": "importance_estimator", "gate.rule": "gate_rule"}
"""Fields whose name says too little beside the others."""

EXAMPLE = {"dataset": "completejourney"}
"""What a pipeline reads that was compiled for nobody in particular."""

PRESETS: dict[str, dict[str, Any]] = {
    "small": {"epochs": 1, "augmentation": {"mode": "Never"}, "importance_estimator": "None"},
    "full": {},
}
"""Values in the place of the spec's. A small run shows within minutes whether everything fits together; what it makes is
judged by the same gate."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    name: str
    path: str
    """Below ``spec``, as YAML writes it."""

    kind: type
    """dict, list, str, bool, int or float."""

    default: Any
    """Kubeflow passes no None: 0 and {} stand for a field that is unset."""

    optional: bool
    """Whether the field may be unset."""

    says: str


@cache
def parameters() -> tuple[Parameter, ...]:
    """All of them, in the order of the steps that read them first."""
    paths = dict.fromkeys(path for step in STEPS.values() for wanted in step.settings for path in _spread(wanted))
    found = tuple(_parameter(path) for path in paths)
    assert len({one.name for one in found}) == len(found), "two fields need different names"
    return found


def arguments_of(spec: RecommenderSpec, preset: str = "full") -> dict[str, Any]:
    """The parameters' values as ``spec`` and the preset say."""
    whole = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    given: dict[str, Any] = {}
    for one in parameters():
        section, _, field = one.path.partition(".")
        value = whole[section].get(field) if field else whole[section]
        given[one.name] = one.kind() if value is None else value
    return given | PRESETS[preset]


def recommender_of(document: Mapping[str, Any], arguments: Mapping[str, Any]) -> Recommender:
    """The recommender whose spec is the document's, with the parameters' values in their fields.

    Args:
        document: A Recommender as JSON; what parameters are for may be missing in it.
        arguments: By the parameters' names; numbers may have become floats on their way, as JSON's do.

    Raises:
        SpecInvalid: the values break rules of the spec.
    """
    from shoploop.api.loading import parse

    whole: dict[str, Any] = _whole_numbers(json.loads(json.dumps(dict(document))))
    spec = whole.setdefault("spec", {})
    if not isinstance(spec, dict):
        raise SpecInvalid("The parameter recommender holds no spec: hand over a Recommender as JSON.")
    for one in parameters():
        section, _, field = one.path.partition(".")
        value = _whole_numbers(arguments[one.name])
        if not field:
            spec[section] = value
        elif one.optional and value == one.kind():
            spec.setdefault(section, {}).pop(field, None)
        else:
            spec.setdefault(section, {})[field] = value
    return parse(json.dumps(whole), source="What the pipeline was given")


def _spread(path: str) -> Iterator[str]:
    if path not in SPREAD:
        yield path
        return
    for name in _model(path).model_fields:
        yield f"{path}.{to_camel(name)}"


def _parameter(path: str) -> Parameter:
    section, _, field = path.partition(".")
    if not field:
        says = RecommenderSpec.model_fields[section].description or ""
        default: Any = EXAMPLE if section == "data" else {}
        return Parameter(name=section, path=path, kind=dict, default=default, optional=False, says=says)
    name = to_snake(field)
    info = _model(section).model_fields[name]
    value = info.get_default(call_default_factory=True)
    if isinstance(value, Spec):
        value = value.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    optional = value is None
    kind = type(value)
    if optional:
        kind = int if "int" in str(info.annotation) else dict
        value = kind()
    says = " ".join((info.description or "").split())
    return Parameter(
        name=RENAMED.get(path, name), path=path, kind=kind, default=value, optional=optional, says=says
    )  # fmt: skip


def _model(section: str) -> type[Spec]:
    found = RecommenderSpec.model_fields[section].annotation
    assert isinstance(found, type) and issubclass(found, Spec)
    return found


def _whole_numbers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _whole_numbers(inner) for name, inner in value.items()}
    return [_whole_numbers(inner) for inner in value] if isinstance(value, list) else value
