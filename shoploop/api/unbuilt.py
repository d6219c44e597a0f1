"""What the API has a place for and shoploop cannot do yet: it is refused by name instead of being ignored.

The one list for a run on this machine, a pod and the operator. A field that has become real leaves the list, and all of
them take it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal
from urllib.parse import urlsplit

from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.errors import SpecInvalid

Place = Literal["Machine", "Cluster", "Kubeflow"]
"""Where the spec is carried out: on this machine, by the operator and its pods on a cluster, or by Kubeflow Pipelines."""

STORE_SCHEMES = ("file", "s3", "gs", "az")
"""Of the addresses that pods can reach; a plain folder has none and lies on a claim."""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One field that can be set to more than is built."""

    field: str
    """Its path below ``spec``, as YAML writes it."""

    built: Callable[[Any], bool]
    """Whether a value of it can be carried out."""

    instead: Any = None
    """The value to write instead; None: leave the field out."""

    advice: str
    """What to do, in words."""

    places: tuple[Place, ...] = ("Machine", "Cluster", "Kubeflow")
    """Where it is refused; elsewhere the field has no meaning."""


LIMITS = (
    Limit(
        field="store.uri",
        built=lambda uri: "://" not in uri or urlsplit(uri).scheme in STORE_SCHEMES,
        advice="name a folder, or file://, s3://, gs:// or az://, in a new Recommender: it cannot be changed",
        places=("Cluster", "Kubeflow"),  # on this machine --store comes before it, and the store says what it can open
    ),
    Limit(
        field="training.surfaces",
        built=lambda surfaces: "Items" in surfaces,
        instead=["Items"],
        advice="name Items among them: [Items], or with Search and Shops beside it",
    ),
)


def unbuilt(spec: RecommenderSpec, *, place: Place) -> list[Limit]:
    """The limits that ``spec`` goes beyond where it is carried out at ``place``; none where all of it can be done."""
    here = [limit for limit in LIMITS if place in limit.places]
    return [limit for limit in here if not limit.built(attrgetter(limit.field)(spec))]


def is_built(field: str, value: Any, *, place: Place) -> bool:
    """Whether ``field``, a path below ``spec``, may have ``value`` at ``place``."""
    return all(limit.built(value) for limit in LIMITS if limit.field == field and place in limit.places)


def described(limits: list[Limit]) -> str:
    """A sentence that names every field, and what to do about it."""
    return "Not built yet: " + "; ".join(f"spec.{limit.field} ({limit.advice})" for limit in limits) + "."


def refuse_unbuilt(spec: RecommenderSpec, *, place: Place) -> None:
    """Makes sure that everything the spec asks of a run can be done at ``place``.

    Raises:
        SpecInvalid: it cannot; every such field is named.
    """
    if found := unbuilt(spec, place=place):
        raise SpecInvalid(described(found))
