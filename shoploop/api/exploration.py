"""Exploration, as a spec asks for it: how often two items of a list change places, and which may."""

from typing import Annotated

from pydantic import Field, model_validator

from shoploop.api.fields import Rule, Spec, rules

POOL_BEYOND_KEPT = Rule(cel="self.keep + 1 < self.pool", message="pool must be larger than keep + 1")


class ExplorationSpec(Spec):
    """Now and then an answer is not quite as the model made it: one item of it changes places with another. With what
    chance is logged, so that another version can be judged on what shoppers did."""

    model_config = rules(POOL_BEYOND_KEPT)

    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of the answers in which two items change places. The evaluation of a version says what that costs."""

    keep: Annotated[int, Field(ge=0, le=100)] = 0
    """So many items at the head of a list never move. What another version would do there cannot be judged then."""

    pool: Annotated[int, Field(ge=2, le=200)] = 15
    """An item of the list may change places with one of the best so many, shown or not."""

    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Seed and request id decide what moves."""

    @model_validator(mode="after")
    def _pool_beyond_kept(self) -> "ExplorationSpec":
        if self.keep + 1 >= self.pool:
            raise ValueError(POOL_BEYOND_KEPT.message)
        return self
