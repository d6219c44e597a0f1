"""The CustomResourceDefinitions, derived from the pydantic models; pure.

Pydantic's JSON Schema is not a legal CRD schema as it comes. :func:`structural` narrows it; the rest of this file says
what a CRD holds beside its schema.
"""

from typing import Any

from pydantic import BaseModel

from shoploop.api.fields import GROUP, VERSION
from shoploop.api.status import ModelVersion, RecommenderStatus
from shoploop.api.v1alpha1 import Recommender

Schema = dict[str, Any]

CONDITIONS = ".status.conditions[?(@.type=='{type}')].{field}"


def structural(schema: Schema, defs: Schema | None = None) -> Schema:
    """Narrow pydantic's JSON Schema to the subset that the API server accepts.

    It refuses ``$ref``, ``type: null``, numeric ``exclusiveMinimum`` and ``additionalProperties`` beside
    ``properties``. A union other than ``X | None`` has no structural form: the operator checks such a value, the API
    server lets it pass.
    """
    defs = defs or schema.get("$defs", {})
    if "$ref" in schema:
        schema = defs[schema["$ref"].rsplit("/", 1)[-1]] | without(schema, "$ref")
    if "anyOf" in schema:
        some = [branch for branch in schema["anyOf"] if branch != {"type": "null"}]
        if len(some) > 1:
            unset = ("default",) if schema.get("default") is None else ()
            free = without(schema, "anyOf", "title", *unset) | {"x-kubernetes-preserve-unknown-fields": True}
            return free | {"description": " ".join(free["description"].split())} if "description" in free else free
        return structural(some[0] | without(schema, "anyOf", "default"), defs)  # optional, never nullable
    out = without(schema, "$defs", "title", "const")
    if out.get("additionalProperties") in (True, False) or "properties" in out:
        out.pop("additionalProperties", None)
    for bound in ("Minimum", "Maximum"):
        if f"exclusive{bound}" in out:
            limit = out.pop(f"exclusive{bound}")
            out |= {bound.lower(): limit, f"exclusive{bound}": True}
    if "properties" in out:
        out["properties"] = {key: structural(value, defs) for key, value in out["properties"].items()}
        if "default" in out:  # an object's own defaults are its fields'
            out["default"] = {}
    for inner in ("items", "additionalProperties"):
        if inner in out:
            out[inner] = structural(out[inner], defs)
    if isinstance(out.get("description"), str):
        out["description"] = " ".join(out["description"].split())
    return out


def without(schema: Schema, *keys: str) -> Schema:
    return {key: value for key, value in schema.items() if key not in keys}


def schema_of(model: type[BaseModel]) -> Schema:
    """The structural schema of one model, as YAML names its fields."""
    return structural(model.model_json_schema(by_alias=True))


def object_schema(model: type[BaseModel], status: type[BaseModel]) -> Schema:
    """The schema of a whole object: Kubernetes' own fields, spec and status."""
    whole = schema_of(model)
    properties = whole["properties"]
    own = {
        "apiVersion": {"type": "string", "description": f"{GROUP}/{VERSION}"},
        "kind": {"type": "string", "description": model.__name__},
        "metadata": {"type": "object"},
    }
    status_schema = schema_of(status) | {"description": "What the operator observed."}
    return whole | {
        "properties": own | {"spec": properties["spec"], "status": status_schema},
        "required": ["spec"],
    }


def column(name: str, path: str, *, kind: str = "string", description: str, wide: bool = False) -> Schema:
    shown = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return shown | ({"priority": 1} if wide else {})


def condition_column(name: str, type_: str, field: str, description: str) -> Schema:
    return column(name, CONDITIONS.format(type=type_, field=field), description=description)


AGE = column("Age", ".metadata.creationTimestamp", kind="date", description="Since it was made.")


def definition(
    *, model: type[BaseModel], status: type[BaseModel], singular: str, short: list[str], columns: list[Schema],
    scale: Schema | None = None,
) -> Schema:  # fmt: skip
    """One CustomResourceDefinition."""
    plural = f"{singular}s"
    subresources: Schema = {"status": {}} | ({"scale": scale} if scale else {})
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}", "annotations": {"helm.sh/resource-policy": "keep"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": model.__name__,
                "listKind": f"{model.__name__}List",
                "plural": plural,
                "singular": singular,
                "shortNames": short,
                "categories": ["shoploop"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": columns,
                    "subresources": subresources,
                    "schema": {"openAPIV3Schema": object_schema(model, status)},
                }
            ],
        },
    }


def definitions() -> dict[str, Schema]:
    """All CustomResourceDefinitions of shoploop, by plural."""
    recommenders = definition(
        model=Recommender,
        status=RecommenderStatus,
        singular="recommender",
        short=["rec", "recs"],
        columns=[
            condition_column("Ready", "Ready", "status", "Whether the predictor serves what the spec asks for."),
            condition_column("Reason", "Ready", "reason", "Why it is ready or not."),
            column("Version", ".status.version", description="The version that serves."),
            column("Online lag", ".status.online.lagSeconds", kind="number",
                   description="Seconds that online learning is behind."),
            column("Replicas", ".status.replicas", kind="integer", description="Predictor pods that are ready."),
            AGE,
            condition_column("Message", "Ready", "message", "Why, in a sentence.") | {"priority": 1},
        ],
        scale={
            "specReplicasPath": ".spec.serving.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    )  # fmt: skip
    versions = definition(
        model=ModelVersion,
        status=ModelVersion.Status,
        singular="modelversion",
        short=["mv"],
        columns=[
            column("Recommender", ".spec.recommender", description="Whose version it is."),
            column("Version", ".spec.version", description="Its id."),
            column("Passed", ".status.verdicts[0].passed", kind="boolean", description="The gate's last verdict."),
            column(
                "Answers", ".status.verdicts[0].answers", description="What answers, where not the model everywhere."
            ),
            column("Rule", ".status.verdicts[0].rule", description="The rule of that verdict."),
            column("Serving", ".status.serving", kind="boolean", description="Whether it serves now."),
            AGE,
            column("Bento", ".status.packages[0].bento", description="Where its newest Bento lies.", wide=True),
        ],
    )
    return {"recommenders": recommenders, "modelversions": versions}
