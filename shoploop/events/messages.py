"""What shoppers did, as it comes over HTTP and as it lies in the log.

The descriptions become the service's OpenAPI: they are written for who builds a shop's front end.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Annotated, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from shoploop.data.ids import canonical_id

MAX_EVENTS = 500
MAX_EVENTS_BYTES = 4 * 2**20
"""Of a request: that many events, each with the impression of a long list."""

Id = Annotated[str, StringConstraints(min_length=1, max_length=200), BeforeValidator(canonical_id)]
"""Text, or a whole number, compared as the data's ids are."""

Kind = Literal["view", "click", "cart", "purchase", "query"]
Amount = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, protected_namespaces=())


class Event(_Message):
    """One thing that a shopper did."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    """Chosen by you, another for each event. Send the same again when you retry: an event counts once."""

    kind: Kind
    """What was done. A click is on something that was recommended."""

    user: Id
    """Who did it, as in your data and in the request for recommendations."""

    item: Id | None = None
    """What it was done with; every kind but a query has it."""

    time: AwareDatetime | None = None
    """When, ISO 8601 with a zone. Unset: now."""

    impression: Annotated[str, StringConstraints(max_length=100_000)] | None = None
    """Of the answer that showed the item, as it came. Without it an event needs a key, and tells of no recommendation."""

    query: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None
    """What was searched for."""

    shop: Id | None = None
    quantity: Amount | None = None
    """Pieces. More than a hundred count as a hundred, but from the shop's own server."""

    price: Amount | None = None
    """For one piece. Kept where the shop's own server sends it, since pages are anybody's; else the table of items has it."""

    @model_validator(mode="after")
    def _has_its_object(self) -> "Event":
        if self.kind == "query" and self.query is None:
            raise ValueError("an event of kind query has a query")
        if self.kind != "query" and self.item is None:
            raise ValueError(f"an event of kind {self.kind} has an item")
        return self


class EventsRequest(_Message):
    """What shoppers did since the last time."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "events": [{"id": "e1", "kind": "click", "user": "1", "item": "1029743", "impression": "eyJ..."}]
            }
        }
    )

    events: Annotated[list[Event], Field(min_length=1, max_length=MAX_EVENTS)]
    """In any order."""


class Refused(_Message):
    index: int
    """Of the event in the request, from 0."""

    code: str
    """Stable; for programs."""

    message: str
    """For people."""


class EventsAnswer(_Message):
    accepted: int
    """Events that are kept now; they will not be lost."""

    known: int = 0
    """Of those, how many were accepted before, and count once."""

    refused: list[Refused] = []
    """Events that are not kept, and why. To send them again helps only where the code says rate_limited."""


Moment = Annotated[AwareDatetime, Field(ge=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(9000, 1, 1, tzinfo=UTC))]
"""Of a record: with room on both sides, since what reads it goes on to other zones, and days back and forth."""


class _Record(BaseModel):
    """What lies in the log; a newer predictor's may have further members."""

    model_config = ConfigDict(extra="ignore", use_attribute_docstrings=True)


class Kept(_Record):
    """An event as it lies in the log."""

    type: Literal["event"] = "event"
    source: Literal["attributed", "organic"]
    """Attributed events say what became of a recommendation; organic ones feed the history and no estimate."""

    kind: Kind
    user: str
    item: str | None = None
    time: Moment
    """When it was done, as it was told; UTC."""

    received: Moment
    request_id: str | None = None
    version: str | None = None
    position: int | None = None
    propensity: float | None = None
    query: str | None = None
    shop: str | None = None
    quantity: float | None = None
    price: float | None = None
    key: str | None = None
    """Id of the key that an organic event came with."""


class Exploration(_Record):
    """How chance took part in an answer: what it takes to compute every probability anew."""

    share: float
    keep: int
    ranking: list[str]
    """What was best before chance came to it, best first: the pool."""


class Shown(_Record):
    """An answer as it lies in the log."""

    type: Literal["impression"] = "impression"
    request_id: str
    user: str
    version: str
    surface: str
    method: str
    as_of: str
    time: Moment
    items: list[str]
    scores: list[float | None]
    propensities: list[float]
    """With which probability each item came to its position."""

    exploration: Exploration | None = None
    """None where chance had no part."""

    query: str | None = None
    """What was searched for, as typed, where it answers that; as much of it as search reads."""


class Again(_Record):
    """An event that nothing could be learned from where it first lay, for learners alone: others have counted it there."""

    type: Literal["again"] = "again"
    of: int
    """Offset of the record that it was."""

    event: Kept
    items: list[str]
    """Of the answer that it is about, as they were shown."""

    searched: bool = False
    """That was the answer to a query."""

    failed: bool = False
    """A learner failed at it: another one may have learned it where it first lay."""


class Forgotten(_Record):
    """Records that are erased: who holds something of them in memory forgets it. It is not said whose they were."""

    type: Literal["forgotten"] = "forgotten"
    offsets: list[int]
    """Of the records, all before this one."""

    requests: list[str] = []
    """Marks of the answers among them: :func:`mark_of_request`."""


Message = Kept | Shown | Again | Forgotten

_KNOWN: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Discriminator("type")])
_read: Callable[[bytes], Message] = _KNOWN.validator.validate_json
"""Without what the adapter asks of every call, which takes a quarter as long as an event."""

_IMPRESSION = b'{"type":"impression",'
"""How an answer's JSON begins: fields are written in the order of their definition."""


def mark_of_request(request_id: str) -> str:
    """By which who remembers an answer finds it, and nobody else does: its id must not outlive it."""
    return blake2b(request_id.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def to_json(message: Message) -> bytes:
    return message.model_dump_json(exclude_none=True).encode()


def is_impression(body: bytes) -> bool:
    """Whether :func:`to_json` wrote an answer as it was shown, without reading all of it."""
    return body.startswith(_IMPRESSION)


def from_json(body: bytes) -> Message | None:
    """What lies in the log; None for a record of a kind that is not known here, such as one of a newer predictor.

    Raises:
        ValueError: it is none of ours.
    """
    try:
        return _read(body)
    except ValidationError:  # what it is, if it is anything, is told below: mostly there is nothing to tell
        pass
    try:
        document = json.loads(body)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(document, dict):
        raise ValueError("no object")
    kinds: dict[str, type[Kept] | type[Shown] | type[Again] | type[Forgotten]] = {
        "event": Kept, "impression": Shown, "again": Again, "forgotten": Forgotten,
    }  # fmt: skip
    kind = kinds.get(str(document.get("type")))
    return kind.model_validate(document) if kind else None
