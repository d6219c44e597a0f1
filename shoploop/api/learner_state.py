"""What a learner says of itself, at ``/status`` of its port: the operator reads it, and tells it of the Recommender."""

from typing import Annotated

from pydantic import ConfigDict, Field

from shoploop.api.fields import Spec, Text

PORT = 9102
"""Where a learner on a cluster answers."""


class Halt(Spec):
    """Why nothing is learned, though it should be."""

    code: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z]+$")]
    """In one word: ChainTaken, LogGap and the like."""

    message: Annotated[str, Field(max_length=4096)]
    """In a sentence."""


class LearnerState(Spec):
    """Where a learner is. What a newer one says beside is passed over."""

    model_config = ConfigDict(extra="ignore")

    version: Text
    """Its base."""

    commit: Annotated[int, Field(ge=0)]
    """The last one of the chain."""

    served: Annotated[int, Field(ge=0)]
    """The one that predictors answer with."""

    settled: Annotated[int, Field(ge=0)] | None = None
    """Offset of the last record whose lesson is in the chain; unset while it takes up where the chain is."""

    behind: Annotated[int, Field(ge=0)] | None = None
    """Records of the log after that; unset where the log does not answer."""

    lag_seconds: Annotated[float, Field(ge=0)] | None = None
    """Age of the first of them; 0 where there is none."""

    examples: Annotated[int, Field(ge=0)] = 0
    """Learned since the version was trained."""

    frozen: Annotated[str, Field(max_length=4096)] | None = None
    """Why a guardrail, or a person, stopped it: a code, a colon, a sentence."""

    halt: Halt | None = None
    """Why it stopped by itself; it tries again by itself, too."""

    waits_for: Annotated[str, Field(max_length=4096)] | None = None
    """What it waits for: a log or a store that does not answer."""
