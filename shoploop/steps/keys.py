"""A step's cache key: what the step would do, so that equal keys mean equal outputs."""

import inspect
import json
from hashlib import sha256
from typing import Any

from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.code_digest import code_digest
from shoploop.steps.table import PRODUCER, STEPS, Step


def settings_of(spec: RecommenderSpec, step: Step) -> dict[str, Any]:
    """The part of ``spec`` that ``step`` depends on, as nested YAML fields."""
    whole = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    picked: dict[str, Any] = {}
    for path in step.settings:
        section, _, name = path.partition(".")
        if not name:
            picked[section] = whole[section]
        elif name in whole[section]:
            picked.setdefault(section, {})[name] = whole[section][name]
    return picked


def step_keys(spec: RecommenderSpec, *, source: str, incumbent: str | None) -> dict[str, str]:
    """Each step's cache key: what it would do, hashed with the keys of what it reads.

    A key does not need the inputs themselves: seeds are settings and steps are deterministic, so equal keys mean equal
    outputs.

    Args:
        spec: The recommender's spec.
        source: Digest of the raw tables.
        incumbent: Id of the version that the new one is compared with.
    """
    outside = {"load_data": source, "evaluate_model": incumbent}
    keys: dict[str, str] = {}
    for step in STEPS.values():
        content = [
            step.name,
            code_digest(step.module, shell=step.shell),
            inspect.getsource(step.function),  # which settings and folders it hands on, and how
            settings_of(spec, step),
            {name: keys[PRODUCER[name]] for name in step.inputs},
            outside.get(step.name),
        ]
        keys[step.name] = sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return keys
