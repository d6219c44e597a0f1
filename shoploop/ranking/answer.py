"""What is asked of a predictor and what it answers, as JSON over HTTP.

The descriptions become the service's OpenAPI: they are written for who builds a shop's front end.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, StringConstraints

from shoploop.api.list_rules import ListRulesSpec
from shoploop.data.ids import canonical_id
from shoploop.ranking.exploration import Explored
from shoploop.ranking.rules import RuleName

MAX_ITEMS = 500
MAX_SHOPS = 100
Degraded = Literal["feature_store_unavailable"]
Method = Literal["fused", "dnn", "frequency", "popularity", "text", "decay", "followers", "ease"]
Id = Annotated[str, StringConstraints(min_length=1, max_length=200), BeforeValidator(canonical_id)]
"""Text, or a whole number, compared as the data's ids are."""


class Message(BaseModel):
    """One object of a request or an answer; a misspelt field is an error."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, protected_namespaces=())


class RecommendRequest(Message):
    """Who wants recommendations."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"user": "1", "k": 5, "exclude": ["1029743"], "rules": {"maxPerCategory": 2}}}
    )

    user: Id
    """Id as in your data, as text or as a whole number. One that is not in it gets what is popular."""

    k: Annotated[int, Field(ge=1, le=MAX_ITEMS)] = 10
    """How many items."""

    surface: Literal["items"] = "items"
    """What is recommended."""

    shop: Id | None = None
    """The shop that the user is in; decides what is popular for a user of whom nothing is known."""

    exclude: Annotated[list[Id], Field(max_length=MAX_ITEMS)] = []
    """Items that must not be recommended, such as those in the basket already."""

    only: Annotated[list[Id], Field(min_length=1, max_length=MAX_ITEMS)] | None = None
    """Nothing but these is recommended, such as what a page's filter leaves. One that neither the model nor sales know is
    left out; /rank answers with those too."""

    rules: ListRulesSpec | None = None
    """What this list must be, as spec.serving.listRules writes it. A rule that is named here takes the place of the
    spec's."""


class RuleEffect(Message):
    rule: RuleName
    """As in the request, or in spec.serving.listRules."""

    items: int
    """How many items it left out before the list was full, moved or placed."""


class RankRequest(Message):
    """Whose order a list of items shall have."""

    model_config = ConfigDict(json_schema_extra={"example": {"user": "1", "items": ["1029743", "995242"]}})

    user: Id
    """Id as in your data. For one that is not in it, what is popular comes first."""

    items: Annotated[list[Id], Field(min_length=1, max_length=MAX_ITEMS)]
    """Items to order; one that is named twice is answered once."""


class SearchRequest(Message):
    """What somebody searches for."""

    model_config = ConfigDict(json_schema_extra={"example": {"query": "organic whole milk", "user": "1", "k": 5}})

    query: Annotated[str, Field(max_length=10_000)]
    """As typed; case, accents, plurals and the order of words do not matter, and spelling is forgiven. Of a long one the
    first 200 letters are read."""

    user: Id | None = None
    """Who searches, if known: of what fits, what they buy comes first."""

    k: Annotated[int, Field(ge=1, le=MAX_ITEMS)] = 10
    """How many items."""

    exclude: Annotated[list[Id], Field(max_length=MAX_ITEMS)] = []
    """Items that must not be found."""

    only: Annotated[list[Id], Field(min_length=1, max_length=MAX_ITEMS)] | None = None
    """Nothing but these is found, such as what a page's filter leaves."""


class ShopsRequest(Message):
    """Whose next shop is asked for."""

    model_config = ConfigDict(json_schema_extra={"example": {"user": "1", "k": 3}})

    user: Id
    """Id as in your data, as text or as a whole number. For one that is not in it, the shops that are visited most."""

    k: Annotated[int, Field(ge=1, le=MAX_SHOPS)] = 3
    """How many shops."""

    shop: Id | None = None
    """Where the user is, or was last, if you know it: for one of whom no visit is known it says which shops are near. One
    that nobody has visited says nothing."""

    exclude: Annotated[list[Id], Field(max_length=MAX_ITEMS)] = []
    """Shops that must not be answered, such as those that are closed."""

    only: Annotated[list[Id], Field(min_length=1, max_length=MAX_ITEMS)] | None = None
    """Nothing but these is answered, such as the shops of a region. One that nobody has visited is left out; where nobody
    has visited any of them, 404 shop_unknown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """How an item came to its place: told to nobody, and remembered for /explain."""

    pinned: bool = False
    boost: float = 0.0
    """Log odds that the shop's boosts have in its score."""

    modelled: bool = False
    """Its score is the model's."""


class RankedItem(Message):
    item: str
    score: float | None
    """Larger is better; comparable within one answer, and with the shop's boosts in it. Null for an item that the model does
    not know."""

    known: bool
    """False for an item that the model does not know; such items come last, in the order in which they were asked."""

    reason: str | None
    """Why, in words for the shopper."""

    fields: dict[str, Any]
    """The item's columns that spec.serving.itemFields names; null where unknown."""

    _origin: Origin = PrivateAttr(default_factory=Origin)

    @property
    def origin(self) -> Origin:
        return self._origin

    def came_by(self, origin: Origin) -> "RankedItem":
        """The same item, which knows how it came to its place."""
        self._origin = origin
        return self


class Answer(Message):
    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "request_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
                "version": "v9545a0c0da16",
                "as_of": "2024-03-01",
                "method": "fused",
                "items": [
                    {
                        "item": "1029743",
                        "score": 2.1,
                        "known": True,
                        "reason": "you buy this about every 6 days, last 5 days ago",
                        "fields": {"title": "Milk"},
                    }
                ],
                "rules": [{"rule": "max_per_category", "items": 3}],
                "impression": "eyJhbGciOiJIUzI1NiIs...",
            }
        }
    )

    request_id: str
    """Names this answer in feedback and logs."""

    version: str
    """The model version that answered."""

    commit: int | None = None
    """What was learned online since that version: the number of the last commit. Null where nothing was."""

    as_of: str
    """The day (ISO 8601, UTC) that features were computed for."""

    method: Method
    """fused is the whole model. dnn and frequency are its short answers past the deadline; popularity answers for a
    user of whom nothing is known. Of searches, text is an answer by names, by what was taken after such words and by what
    sells, without a model; popularity says that nothing is called so, and shows what sells. Where the gate did not let the
    model recommend, a simple method does at any time: popularity, frequency (what the user bought most often), decay (the
    same, lately above all), followers (what is bought after the items of the last visits) or ease (what goes with them)."""

    understood: str | None = None
    """Of a search, the query's words as they were understood, where that is not how they were spelt: what to show as "showing
    results for". Null where the words are known."""

    items: list[RankedItem]
    """Best first, but for what the shop pinned to a place, and where it explores for two that changed places."""

    rules: list[RuleEffect] = []
    """What the shop's rules changed; empty where the list is as the model made it."""

    degraded: Degraded | None = None
    """Why the answer is less than it could be. feature_store_unavailable: what is stored of the user could not be read in
    time, so what they bought before the last events is not known to it, nor to rules on what they own. Null where
    nothing is missing."""

    impression: str | None = None
    """Send it with what the shopper does with these items, to /events. Null where events are not collected."""

    _explored: Explored | None = PrivateAttr(default=None)

    @property
    def explored(self) -> Explored | None:
        """How chance took part in it; told to the log alone."""
        return self._explored

    def drawn_as(self, explored: Explored) -> "Answer":
        """The same answer, which knows how it was drawn."""
        self._explored = explored
        return self


class RankedShop(Message):
    shop: str
    title: str | None
    """As the table of shops has it; null where it has none."""

    score: float
    """Larger is better; comparable within one answer."""

    reason: str
    """Why, in words for the shopper."""


class ShopsAnswer(Message):
    """Which shops somebody is likely to go to next."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "request_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
                "version": "v9545a0c0da16",
                "as_of": "2024-03-01",
                "method": "fused",
                "shops": [
                    {"shop": "367", "title": None, "score": 1.7, "reason": "where you mostly are on Fridays"},
                    {"shop": "406", "title": None, "score": 0.2, "reason": "you were here 4 times, last 9 days ago"},
                ],
                "impression": "eyJhbGciOiJIUzI1NiIs...",
            }
        }
    )

    request_id: str
    """Names this answer in logs and in /explain."""

    version: str
    """The model version that answered."""

    commit: int | None = None
    """As of a recommendation; what is learned online changes no choice of a shop."""

    as_of: str
    """The day (ISO 8601, UTC) that is answered for: its weekday counts."""

    method: Method
    """fused is the whole model. dnn is its short answer past the deadline. frequency is what was visited lately and on this
    weekday, without a model: past the deadline, or where the version was not trained to choose shops or the gate did not let
    it. popularity is what is visited most, for a user of whom nothing is known."""

    shops: list[RankedShop]
    """Best first."""

    degraded: Degraded | None = None
    """As of a recommendation; the visits that are known do not depend on it."""

    impression: str | None = None
    """Send it with /explain. What comes of the answer is told by the purchases that name their shop, without it. Null where
    events are not collected."""

    _origins: tuple[Origin, ...] = PrivateAttr(default=())

    @property
    def items(self) -> list[RankedItem]:
        """The shops as what every answer consists of, for the log and for explanations."""
        return [
            RankedItem(item=shop.shop, score=shop.score, known=True, reason=shop.reason, fields={}).came_by(origin)
            for shop, origin in zip(self.shops, self._origins, strict=True)
        ]

    @property
    def rules(self) -> list[RuleEffect]:
        """A shop's rules are about items."""
        return []

    @property
    def explored(self) -> None:
        """Chance has no part in it."""
        return None

    def came_by(self, origins: Iterable[Origin]) -> "ShopsAnswer":
        """The same answer, which knows how each shop came to its place."""
        self._origins = tuple(origins)
        return self


A = TypeVar("A", Answer, ShopsAnswer)
"""What answers a request of its kind."""

AnyAnswer = Answer | ShopsAnswer
AnyRequest = RecommendRequest | RankRequest | SearchRequest | ShopsRequest
