"""What the updater of a predictor pod says of the versions that answer there, at ``/state`` of its port.

The operator reads it, and tells it of the Recommender.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from shoploop.api.fields import Spec, Text

PORT = 9101
"""Where an updater on a cluster answers."""


class Waiting(Spec):
    """Why the version that was promoted last does not serve in this pod."""

    code: Literal["CatchingUp", "LearningStopped", "OtherCode", "Refused"]
    """It learns what came since its data; it learns no more; it was packaged by other serving code; it must not or cannot
    be served."""

    message: Annotated[str, Field(max_length=4096)]
    """In a sentence."""


class CandidateState(Spec):
    """The version that answers some users, or none, beside the one that serves."""

    version: Text
    """Its id."""

    number: Annotated[int, Field(ge=1)]
    """Of its candidacy."""

    percent: Annotated[int, Field(ge=0, le=100)]
    """Share of users now."""

    shadow: bool = False
    """Whether it answers nobody."""

    answers: bool = True
    """Whether it is at work in this pod; not where it was packaged by other serving code, or was given up."""

    over: bool = False
    """Whether its last step is over, so that it is to be promoted."""

    returned: Annotated[str, Field(max_length=4096)] | None = None
    """Why this pod gave it up."""

    given: Annotated[int, Field(ge=0)] = 0
    """Answers of it in this pod, those in the shadow too."""

    failed: Annotated[int, Field(ge=0)] = 0
    """Answers of it that failed; the version that serves gave them."""

    different: Annotated[int, Field(ge=0)] = 0
    """Answers in the shadow that were others than what was shown."""


class Ended(Spec):
    """The last candidacy, which is over."""

    version: Text
    number: Annotated[int, Field(ge=1)]
    """Of the entry that ended it."""

    reason: Annotated[str, Field(max_length=4096)]
    by: Annotated[str, Field(max_length=4096)]


class PredictorState(Spec):
    """Who answers in a pod, and what the logs of promotions and candidates say. Fields of a newer one are passed over."""

    model_config = ConfigDict(extra="ignore")

    base: Text
    """The version that the pod was started with."""

    stable: Text
    """Who serves."""

    promoted: Text | None = None
    """Whom the last promotion names; unset where there was none."""

    promotions: Annotated[int, Field(ge=0)] = 0
    """Number of the last promotion."""

    waiting: Waiting | None = None
    """Why the promoted version does not serve; unset where it does."""

    candidate: CandidateState | None = None
    ended: Ended | None = None
    """Unset while there is a candidate, or where there never was one that was ended."""

    problem: Annotated[str, Field(max_length=4096)] | None = None
    """Why it is not known what the store says now."""
