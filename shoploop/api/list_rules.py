"""What lists must be, whatever the model thinks: ``spec.serving.listRules``, and the same in a request."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from shoploop.api.fields import Rule, Spec, validations

MAX_BOOST = 5.0
"""Log odds; a factor of 148 for the odds is as good as first."""

ItemId = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
"""As the data's ids are compared: without the space around it."""

ONE_OBJECT = Rule(
    cel="self.all(one, has(one.item) != has(one.category))", message="name exactly one of item and category"
)
EACH_ONCE = Rule(
    cel="self.all(a, self.exists_one(b, b.place == a.place) && self.exists_one(b, b.item == a.item))",
    message="an item can be pinned to one place, and a place can have one item",
)


class PinSpec(Spec):
    """An item that the shop puts at a place of every list, whatever the model thinks of it."""

    item: ItemId
    """Its id, as text."""

    place: Annotated[int, Field(ge=1, le=500)]
    """1 is the first. A list that is shorter ends with it."""


class ItemsSpec(Spec):
    """One item, or all of a category."""

    item: ItemId | None = None
    """One item, by its id. Either this or category."""

    category: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """All items that have this name anywhere in their category path. Either this or item."""

    @model_validator(mode="after")
    def _one_object(self) -> "ItemsSpec":
        if (self.item is None) == (self.category is None):
            raise ValueError(ONE_OBJECT.message)
        return self


class ExcludeSpec(ItemsSpec):
    """What no list may hold."""


class BoostSpec(ItemsSpec):
    """Something that the shop would rather sell, or rather not."""

    log_odds: Annotated[float, Field(ge=-MAX_BOOST, le=MAX_BOOST)]
    """Added to the model's score, which is the log of the odds that the shopper wants the item: 0.7 doubles the odds, -0.7
    halves them. The sum of all boosts of an item is kept within the same bounds."""


class ListRulesSpec(Spec):
    """What every list must be. None of it is on unless it is set here or in a request, whose rules come before these."""

    exclude: Annotated[list[ExcludeSpec], Field(max_length=100, json_schema_extra=validations(ONE_OBJECT))] = []
    """Items and categories that are in no list, such as fees, freight and gift cards: often bought, and nothing to recommend.
    Who searches for them finds them."""

    max_per_category: Annotated[int, Field(ge=1, le=500)] | None = None
    """Most items of one category in an answer; items without a category are not counted, and what is pinned stays. Unset: any
    number."""

    category_level: Literal["Narrowest", "Widest"] = "Narrowest"
    """Which name of an item's category path maxPerCategory counts by: the last, or the first."""

    near_duplicates: Literal["Keep", "SameTitle", "SimilarTitle"] = "Keep"
    """What is left out because the list has one like it already, unless the list would be too short: then it comes last.
    SameTitle: an item whose title has the same words in the same order, whatever their case, accents and punctuation.
    SimilarTitle: also one of the same category path whose title, without numbers and sizes such as 500 g, XL or 6 pack,
    shares four of five words with the other's."""

    hide_purchased_days: Annotated[int, Field(ge=0, le=3650)] | None = None
    """Leaves out what the user bought in so many days before; 0 and unset leave out nothing."""

    hide_owned: bool = False
    """Leaves out everything that the user ever bought: for shops where nobody needs a thing twice."""

    pins: Annotated[list[PinSpec], Field(max_length=50, json_schema_extra=validations(EACH_ONCE))] = []
    """Items at fixed places. What is excluded, out of stock or hidden is not pinned either."""

    boosts: Annotated[list[BoostSpec], Field(max_length=100, json_schema_extra=validations(ONE_OBJECT))] = []
    """Items and categories that the shop would rather sell, or rather not."""

    @model_validator(mode="after")
    def _each_once(self) -> "ListRulesSpec":
        if len({pin.place for pin in self.pins}) < len(self.pins) or len({pin.item for pin in self.pins}) < len(
            self.pins
        ):
            raise ValueError(EACH_ONCE.message)
        return self

    def overlaid(self, given: "ListRulesSpec | None") -> "ListRulesSpec":
        """These rules, with each one that ``given`` names in its place."""
        if given is None:
            return self
        return self.model_copy(update={name: getattr(given, name) for name in given.model_fields_set})


NO_RULES = ListRulesSpec()
