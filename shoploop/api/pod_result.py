"""What a pod of steps leaves at its end: written by the pod, read by the operator, defined once, here.

It travels as the container's termination message, of which Kubernetes keeps 4,096 bytes and cuts the rest off. So
:func:`written` never makes more: it leaves out the metrics first and then cuts the one long text, and what a verdict
consists of has bounds of its own. :func:`read` takes nothing but what :func:`written` can make: a message that was cut,
that somebody else wrote or that holds ``"False"`` where a boolean belongs is no result, and so no verdict.
"""

from bisect import bisect_right
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError

from shoploop.errors import ShoploopError

LIMIT_BYTES = 4096
"""What Kubernetes keeps of a termination message."""

ELLIPSIS = "…"


def _encodable(value: object) -> object:
    """Text as UTF-8 can hold it: half of a surrogate pair becomes a question mark."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")]
"""A version, a digest or a name: letters that JSON writes as one byte each, so that its size is known."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Words = Annotated[str, BeforeValidator(_encodable)]
"""Text of any length; :func:`written` may cut it."""

SENTENCE_LENGTH = 300


def _cut(value: object) -> object:
    """A sentence of bounded length."""
    value = _encodable(value)
    if isinstance(value, str) and len(value) > SENTENCE_LENGTH:
        return value[: SENTENCE_LENGTH - len(ELLIPSIS)] + ELLIPSIS
    return value


Sentence = Annotated[str, BeforeValidator(_cut), Field(max_length=SENTENCE_LENGTH)]
"""Text that is cut at once, so that its size is known."""

MetricName = Annotated[str, Field(pattern=r"^[!-~]{1,64}$")]


class ResultUnreadable(ShoploopError):
    """A termination message holds no result; it says why."""


class _Result(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class PartDone(_Result):
    """Steps were carried out, and others are still to come."""

    kind: Literal["PartDone"] = "PartDone"


class Incumbent(_Result):
    """The version that served when another was judged."""

    version: Id
    """Its id."""

    compared: bool
    """Whether the two could be compared; where not, the new one was judged as a first version is."""

    why_not: Sentence | None = None
    """Why they could not."""


class VersionMade(_Result):
    """The last step is done: three facts, a version, a verdict on it and a package of it."""

    kind: Literal["VersionMade"] = "VersionMade"

    version: Id
    """The version's id."""

    parent: Id | None = None
    """The version that it was compared with."""

    source: Id
    """Digest of the data that it was made from."""

    metrics: dict[MetricName, FiniteFloat] = Field(default_factory=dict)
    """What the evaluation measured; left out where there is no room."""

    rule: Literal["NotWorse", "Better", "Always"]
    """The rule of the gate."""

    passed: bool
    """The gate's verdict."""

    reason: Words
    """The verdict in a sentence."""

    answers: Sentence | None = None
    """By surface what answers, where that is not the model everywhere."""

    incumbent: Incumbent | None = None
    """The version that served; None where none did."""

    digest: Sha256
    """sha256 of the Bento."""

    code: Sha256 | None = None
    """Digest of the serving code in it."""


class DataSeen(_Result):
    """The data were looked at, and nothing else was done."""

    kind: Literal["DataSeen"] = "DataSeen"

    source: Id
    """Digest of the data as they are."""


class NothingNew(_Result):
    """A renewal found that the version knows all that there is to know: nothing was made."""

    kind: Literal["NothingNew"] = "NothingNew"

    reason: Words
    """Why, in a sentence."""

    source: Id | None = None
    """Digest of the data."""


class StepsFailed(_Result):
    """A step ended with a named error."""

    kind: Literal["StepsFailed"] = "StepsFailed"

    error: Id
    """The error's name."""

    message: Words
    """What happened, and what to do."""

    source: Id | None = None
    """Digest of the data, where it got that far."""


Result = PartDone | VersionMade | DataSeen | NothingNew | StepsFailed
_ANY: TypeAdapter[Result] = TypeAdapter(Annotated[Result, Field(discriminator="kind")])
_TEXT = {VersionMade: "reason", NothingNew: "reason", StepsFailed: "message"}
"""The one field of a kind that may be cut."""


def written(result: Result) -> str:
    """``result`` as a termination message, at most :data:`LIMIT_BYTES` of UTF-8 whatever it holds."""
    if _fits(result):
        return result.model_dump_json(exclude_none=True)
    if isinstance(result, VersionMade):
        result = result.model_copy(update={"metrics": {}})
    field = _TEXT.get(type(result))
    if field is not None and not _fits(result):
        text = getattr(result, field)[:LIMIT_BYTES]

        def cut(letters: int) -> Result:
            return result.model_copy(update={field: text[:letters] + ELLIPSIS})

        result = cut(bisect_right(range(len(text) + 1), False, key=lambda letters: not _fits(cut(letters))) - 1)
    return result.model_dump_json(exclude_none=True)


def _fits(result: Result) -> bool:
    return len(result.model_dump_json(exclude_none=True).encode()) <= LIMIT_BYTES


def read(message: object) -> Result:
    """The result that a termination message holds.

    Raises:
        ResultUnreadable: it holds none: it was cut, or nobody wrote it by :func:`written`.
    """
    if not isinstance(message, str) or not message.strip():
        raise ResultUnreadable("it left no message.")
    try:
        return _ANY.validate_json(message)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ResultUnreadable(f"{place + ': ' if place else ''}{first['msg']}") from error
