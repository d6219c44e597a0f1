"""What the fields of every custom resource are made of: the base model, bounded types, and rules with their messages.

A rule that spans fields stands once, with its message, and holds on the laptop and in the API server alike.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, WithJsonSchema
from pydantic.alias_generators import to_camel

GROUP, VERSION = "shoploop.io", "v1alpha1"
API_VERSION: Literal["shoploop.io/v1alpha1"] = "shoploop.io/v1alpha1"

NAME_LENGTH = 40
NAME_PATTERN = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
QUANTITY_PATTERN = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"

Name = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH, pattern=NAME_PATTERN)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, Field(min_length=1, max_length=253)]
Column = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[^,]+$")]
"""A column's name that stands in lists of them, which a comma parts."""

Url = Annotated[str, Field(min_length=1, max_length=1024)]
Origin = Annotated[
    str, Field(max_length=253, pattern=r"^(\*|[a-z][a-z0-9+.-]*://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?)$")
]
"""As a browser names a page's origin: scheme, host and port, without a path; ``*`` is every one."""

_HOST = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?"
Servers = Annotated[str, Field(max_length=1024, pattern=rf"^(rediss?://\S+|{_HOST}(,{_HOST})*)$")]
"""Addresses of servers, host:port,..., or the URL of a Redis."""

Quantity = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if type(value) is int else value),
    Field(pattern=QUANTITY_PATTERN),
    WithJsonSchema({"x-kubernetes-int-or-string": True, "pattern": QUANTITY_PATTERN}),
]
"""A Kubernetes quantity, written as a string or a whole number."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule that spans fields: as the API server checks it (CEL), and what it says."""

    cel: str
    message: str


def validations(*held: Rule) -> dict[str, JsonValue]:
    """``held`` as a schema writes them."""
    return {"x-kubernetes-validations": [{"rule": rule.cel, "message": rule.message} for rule in held]}


def rules(*held: Rule) -> ConfigDict:
    """The model's configuration that puts ``held`` into the CRD."""
    return ConfigDict(json_schema_extra=validations(*held))


class Spec(BaseModel):
    """snake_case in Python, camelCase in YAML; a misspelt field is an error."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )


class Metadata(BaseModel):
    """Of Kubernetes' own fields only the name matters here."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: Name = "recommender"
