"""How a Recommender answers: pods, candidates, lists."""

from typing import Annotated

from pydantic import Field, model_validator

from shoploop.api.access import AccessSpec
from shoploop.api.exploration import ExplorationSpec
from shoploop.api.fields import Column, Origin, Rule, Spec, Text, rules
from shoploop.api.list_rules import ListRulesSpec

ORDERED = Rule(cel="self.min <= self.max", message="min must not exceed max")


class AutoscalingSpec(Spec):
    """Pods by load, with KEDA."""

    model_config = rules(ORDERED)

    min: Annotated[int, Field(ge=1, le=1000)] = 2
    """Fewest pods."""

    max: Annotated[int, Field(ge=1, le=1000)] = 10
    """Most pods."""

    @model_validator(mode="after")
    def _ordered(self) -> "AutoscalingSpec":
        if self.min > self.max:
            raise ValueError(ORDERED.message)
        return self


class CandidateStep(Spec):
    """One step of a candidate's way to all users."""

    percent: Annotated[int, Field(ge=1, le=99)]
    """Share of users."""

    minutes: Annotated[int, Field(ge=1, le=100_000)] = 60
    """How long the step lasts."""


class CandidateSpec(Spec):
    """How a new version meets its first shoppers."""

    percent: Annotated[int, Field(ge=1, le=99)] | None = None
    """Share of users that a new version serves first, until somebody promotes it, or the next one that passes takes its
    place. Unset: it replaces the old one at once."""

    shadow: bool = False
    """Score with the candidate too, and show only the stable version's answer."""

    steps: Annotated[list[CandidateStep], Field(max_length=20)] = []
    """Shares of users, one after another, in place of percent; after the last one it replaces the old one. A version that
    passes before that is kept and not tried: steps may take longer than the time between two runs."""


REPLICAS_OR_AUTOSCALING = Rule(
    cel="!(has(self.replicas) && has(self.autoscaling))", message="replicas and autoscaling exclude each other"
)


class ServingSpec(Spec):
    """The predictor."""

    model_config = rules(REPLICAS_OR_AUTOSCALING)

    replicas: Annotated[int, Field(ge=0, le=1000)] | None = None
    """Pods. Unset means 2, or 1 with an event log of type Sqlite, or what autoscaling says; not both."""

    autoscaling: AutoscalingSpec | None = None
    """Pods by load. Needs KEDA."""

    deadline_milliseconds: Annotated[int, Field(ge=1, le=60_000)] = 100
    """After this long the predictor answers with what it has."""

    candidate: CandidateSpec | None = None
    """How a new version meets its first shoppers. Unset: it replaces the old one at once."""

    pinned_version: Text | None = None
    """Serve this version whatever is trained later."""

    item_fields: Annotated[list[Column], Field(max_length=50)] = ["title"]
    """Columns of the items table that answers carry. No comma is in their names."""

    allowed_origins: Annotated[list[Origin], Field(max_length=50)] = []
    """Origins whose pages may ask from a browser (CORS), e.g. https://shop.example; "*" is every one. Empty: none."""

    access: AccessSpec | None = None
    """Who may ask, on a cluster; `shoploop serve --access` is told by a folder. Unset: everybody who reaches it."""

    admin_on_public_port: bool = False
    """Whether /metrics, /docs.json and /load are answered where shoppers ask, too, and not at the admin port alone."""

    list_rules: ListRulesSpec = ListRulesSpec()
    """What every list must be, whatever the model thinks."""

    exploration: ExplorationSpec | None = None
    """Lets two items of some answers change places, so that gate.counterfactual can judge other versions on what shoppers
    did. Unset: lists are as the model makes them."""

    @model_validator(mode="after")
    def _replicas_or_autoscaling(self) -> "ServingSpec":
        if self.replicas is not None and self.autoscaling is not None:
            raise ValueError(REPLICAS_OR_AUTOSCALING.message)
        return self
