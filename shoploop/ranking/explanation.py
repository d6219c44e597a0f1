"""Why an item was at its place: what is asked and what is answered, and which features of the DNN spoke most.

The descriptions become the service's OpenAPI: they are written for who builds a shop's front end, or answers for it.

Legend: K dense features.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import torch
from pydantic import ConfigDict, Field, StringConstraints
from torch import Tensor

from shoploop.features.contract import PAIR_FEATURES, Contract
from shoploop.features.log import Float32
from shoploop.models.fusion import FusedModel
from shoploop.ranking.answer import Id, Message, Method, RuleEffect
from shoploop.samples.searching import search_columns
from shoploop.samples.shops import SHOP_COLUMNS
from shoploop.surfaces.search.features import SEARCH_FEATURES
from shoploop.surfaces.shops.features import SHOP_FEATURES

STRONGEST = 6
"""Features that an explanation names."""

SMALL = 1e-6
ABOUT = (
    {feature.name: feature.about for feature in PAIR_FEATURES}
    | {f"search_{name}": about for name, about in SEARCH_FEATURES}
    | {f"shop_{name}": about for name, about in SHOP_FEATURES}
)

Source = Literal[
    "history",
    "popular",
    "neighbours",
    "followers",
    "lately",
    "alike",
    "kinds",
    "unsold",
    "best_sellers",
    "request",
    "shop",
    "name",
    "searches",
    "visits",
    "near",
]


class ExplainRequest(Message):
    """Which item of which answer."""

    request_id: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    """Of the answer."""

    item: Id
    """One that was in it; of an answer of /shops, a shop."""

    user: Id | None = None
    """Who was answered; needed with the impression."""

    impression: Annotated[str, StringConstraints(min_length=1, max_length=100_000)] | None = None
    """Of the answer, as it came. With it any predictor can explain; without it only the one that answered, for a while."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"request_id": "5f0c...", "item": "1029743", "user": "1", "impression": "eyJ..."}}
    )


class FeatureEffect(Message):
    """What one feature of the user and the item did to the score."""

    feature: str
    about: str
    """In plain English."""

    value: float
    effect: float
    """By how much the score would be lower if this feature were as in the mean training sample, all others as they are."""


class ScoreParts(Message):
    """score = alpha * dnn + (1 - alpha) * transformer, all of them log odds."""

    dnn: float
    """Of what is known of the user and the item."""

    transformer: float | None
    """Of the order of the user's baskets; null where the deadline left no time for it."""

    alpha: float
    """The learned share of the DNN; 1 where it answered alone."""


class Explanation(Message):
    """Why an item was at its place."""

    request_id: str
    item: str
    place: int
    """In the answer; 1 is the first."""

    version: str
    as_of: str
    """The day (ISO 8601, UTC) that features were computed for."""

    method: Method | None
    """Of the answer; null where only its impression is known, which does not say."""

    exact: bool
    """True where the predictor remembers the answer, and the model is as it was. False where parts are computed by what the
    model has learned since, or by what could not be read of the user then (degraded), or all of it from the impression with
    what is known of the user now: an impression tells neither of rules nor of deadlines."""

    reason: str | None
    """As the shopper sees it; null for an item of /rank that the model does not know."""

    score: float | None
    """As answered, boosts included; from an impression, the model's alone."""

    boost: float | None
    """Log odds that the shop's boosts have in the score; null where only its impression is known."""

    pinned: bool | None
    """The shop put it there; the model had no say in its place. Null where only its impression is known."""

    parts: ScoreParts | None
    """Null where the score is not the model's: the user or the item is unknown to it, the deadline had passed, or what sells
    filled the list up."""

    sources: list[Source]
    """What named it as a candidate: the user's history, what is popular, neighbours of the last baskets, what is bought
    after them (followers), and what lately; best_sellers filled the list up; request and shop named it themselves. Of a
    search: its name fits, or it was taken after such words (searches). Of a shop: the user's visits; that
    others go there who share their shops (near); or that it is visited most (popular). Empty where only its impression is
    known, and it is no candidate now."""

    features: list[FeatureEffect]
    """Those of the DNN that spoke most for or against it, strongest first."""

    rules: list[RuleEffect] = Field(default_factory=list)
    """What the shop's rules changed in the list."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "request_id": "5f0c...",
                "item": "1029743",
                "place": 1,
                "version": "v9545a0c0da16",
                "as_of": "2024-03-01",
                "method": "fused",
                "exact": True,
                "reason": "you buy this about every 6 days, last 5 days ago",
                "score": 2.1,
                "boost": 0.0,
                "pinned": False,
                "parts": {"dnn": 2.4, "transformer": 1.2, "alpha": 0.75},
                "sources": ["history", "popular"],
                "features": [
                    {
                        "feature": "own_share",
                        "about": "share of the user's baskets that hold it",
                        "value": 0.6,
                        "effect": 0.9,
                    }
                ],
                "rules": [],
            }
        }
    )


OF_HISTORY = ("own_", "kind_", "group_", "taste_", "factor_", "after_", "lately_")
"""How features begin that are made of what the user bought."""

LOOKED_AT = "what was looked at in the place of purchases: "


def named_as_looks(features: Sequence[FeatureEffect]) -> list[FeatureEffect]:
    """The same of a user who never bought anything, and whose looks stood for purchases: nobody is told that they bought."""
    return [
        each.model_copy(update={"about": LOOKED_AT + each.about})
        if each.feature.startswith(OF_HISTORY) and each.feature != "kind_rank"
        else each
        for each in features
    ]


def feature_effects(model: FusedModel, features_K: Float32, contract: Contract, *, alpha: float) -> list[FeatureEffect]:
    """The features that speak most for or against one item, by putting each of them to its mean.

    Args:
        model: Whose DNN is asked.
        features_K: Of the user and the item.
        contract: What they are.
        alpha: The DNN's share of the score.
    """
    return _strongest(model.behaviour, model.behaviour.mean_K, features_K, contract.pair_features, alpha)


def search_effects(model: FusedModel, features_F: Float32, contract: Contract, *, alpha: float) -> list[FeatureEffect]:
    """The same of an item that a query found: ``features_F`` are those of the pair, then those of the query."""
    means_F = torch.cat([model.behaviour.mean_K, model.searching().query.mean_K])
    return _strongest(model.behave, means_F, features_F, search_columns(contract.pair_features), alpha)


def shop_effects(model: FusedModel, features_S: Float32, *, alpha: float) -> list[FeatureEffect]:
    """The same of a shop: ``features_S`` are those of the user's visits and the shop."""
    behaviour = model.shopping().behaviour
    return _strongest(behaviour, behaviour.mean_K, features_S, SHOP_COLUMNS, alpha)


def _strongest(
    score: Callable[[Tensor], Tensor],
    means_K: Tensor,
    features_K: Float32,
    names: Sequence[str],
    alpha: float,
) -> list[FeatureEffect]:
    with torch.inference_mode():
        own_K = torch.from_numpy(features_K)
        rows_KK = own_K.repeat(len(own_K), 1)
        rows_KK.fill_diagonal_(0.0).add_(torch.diag(means_K))
        effects_K = alpha * (score(own_K[None]) - score(rows_KK))
        order = torch.argsort(-effects_K.abs(), stable=True)[:STRONGEST].tolist()
    return [
        FeatureEffect(
            feature=names[k], about=ABOUT[names[k]], value=float(features_K[k]), effect=round(float(effects_K[k]), 4)
        )
        for k in order
        if abs(float(effects_K[k])) > SMALL
    ]
