"""How the report says things: numbers with their units, and names that a shop person understands."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TypeGuard

MINUS, DASH, NONE = "\N{MINUS SIGN}", "\N{EN DASH}", "\N{EN DASH}"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What a metric's number means."""

    title: str
    meaning: str
    """One clause in shop words."""

    direction: str = "higher is better"


METRICS = {
    "ndcg@10": Metric(title="NDCG@10", meaning="how near the top of the ten the bought products stand, 0 to 1"),
    "recall@10": Metric(title="Recall@10", meaning="share of the products bought that were among the ten, 0 to 1"),
    "precision@10": Metric(title="Precision@10", meaning="share of the ten that were bought, 0 to 1"),
    "f1@10": Metric(title="F1@10", meaning="harmonic mean of precision and recall, 0 to 1"),
    "hit@10": Metric(title="Hit@10", meaning="share of visits with at least one of the ten bought, 0 to 1"),
    "hit@1": Metric(title="Hit@1", meaning="share of visits whose shop came first, 0 to 1"),
    "mrr": Metric(title="MRR", meaning="one over the place of the shop that was visited, mean; 0 where it was none"),
    "auc": Metric(title="AUC", meaning="chance that a bought product is scored above one not bought; 0.5 is a coin"),
    "coverage@10": Metric(title="Coverage@10", meaning="share of all products that anybody is shown, 0 to 1"),
}


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to recommend, and what it is in relation to the version under test."""

    title: str
    kind: str
    """ours | incumbent | part (of ours) | learned | simple; decides colour and mark in charts."""

    meaning: str


METHODS = {
    "fused": Method(title="This version", kind="ours", meaning="DNN and Transformer, mixed with the learned α"),
    "incumbent": Method(title="Serving version", kind="incumbent", meaning="the version that serves now"),
    "fixed_alpha": Method(title="Fixed α = 0.5", kind="part", meaning="the same two networks, mixed half and half"),
    "dnn": Method(title="DNN alone", kind="part", meaning="the part that reads behaviour and product features"),
    "transformer": Method(title="Transformer alone", kind="part", meaning="the part that reads the order of visits"),
    "lambdamart": Method(title="LambdaMART", kind="learned", meaning="boosted trees on the same features"),
    "decay": Method(title="Recent habits", kind="simple", meaning="what the shopper bought, recent visits first"),
    "followers": Method(
        title="What follows",
        kind="simple",
        meaning="what others bought after the same products, lately more than before",
    ),
    "item_knn": Method(title="Item neighbours", kind="simple", meaning="what the same shoppers bought, by cosine"),
    "ease": Method(title="EASE", kind="simple", meaning="what goes with the products bought, by EASE"),
    "personal": Method(title="Own habits", kind="simple", meaning="what the shopper bought most often"),
    "popular": Method(title="Best sellers", kind="simple", meaning="the same best sellers for everybody"),
    "popular_decayed": Method(
        title="Best sellers, decayed",
        kind="simple",
        meaning="the same for everybody, old purchases fading at the best of several speeds",
    ),
    "bm25": Method(title="BM25", kind="simple", meaning="how well the words fit the name, the textbook's formula"),
    "bm25_popular": Method(title="BM25 and sales", kind="simple", meaning="the same, and what sells"),
    "words_popular": Method(
        title="Words and sales", kind="simple", meaning="how many of the words the name has, then what sells"
    ),
    "words_own": Method(
        title="Words and habits",
        kind="simple",
        meaning="how many of the words the name has, then what the shopper buys, then what sells",
    ),
    "memory": Method(
        title="What was taken",
        kind="simple",
        meaning="what others took after the same words, also spelt otherwise, then BM25 and sales",
    ),
    "text": Method(
        title="Words, habits and sales",
        kind="simple",
        meaning="how many of the words the name has, then what the shopper buys, then what sells",
    ),
    "frequency": Method(title="Own habits", kind="simple", meaning="where the shopper was lately, and on this weekday"),
    "last": Method(title="Last shop", kind="simple", meaning="where the shopper was last"),
    "most_frequent": Method(title="Most frequent shop", kind="simple", meaning="where the shopper was most often"),
    "half_life_30": Method(
        title="Recent visits", kind="simple", meaning="where the shopper was, a visit counting half at 30 days"
    ),
    "half_life_weekday": Method(
        title="Recent visits and weekday", kind="simple", meaning="the same, and visits on this weekday again"
    ),
}

SOURCES = {
    "history": "Own history",
    "popular": "Best sellers lately",
    "neighbours": "Bought together",
    "followers": "Bought after",
    "lately": "Bought after, lately",
    "alike": "Alike",
    "kinds": "Best of own kinds",
    "unsold": "New, and like what was bought",
    "transformer": "Transformer's own",
}

STEPS = {
    "load_data": "Load data",
    "validate_data": "Validate data",
    "materialize_features": "Make features",
    "build_samples": "Build samples",
    "augment_samples": "Augment samples",
    "estimate_importance": "Weigh samples",
    "train_fused": "Train",
    "evaluate_model": "Evaluate",
    "gate": "Gate",
    "build_bento": "Package",
    "report": "Report",
}


def method(name: str) -> Method:
    return METHODS.get(name) or Method(title=plain(name), kind="learned", meaning="")


def surface(name: str) -> str:
    return {"items": "Recommendations"}.get(name) or plain(name)


def metric(name: str) -> Metric:
    return METRICS.get(name) or Metric(title=name, meaning="", direction="higher is better")


def plain(name: str) -> str:
    """snake_case as words: ``new_items`` -> ``New items``."""
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def count(value: object) -> str:
    """A whole number with thousands separators."""
    return f"{value:,.0f}".replace("-", MINUS) if is_number(value) else NONE


def decimal(value: object, digits: int = 4) -> str:
    return f"{value:.{digits}f}".replace("-", MINUS) if is_number(value) else NONE


def signed(value: object, digits: int = 4) -> str:
    """With its sign, which a number that rounds to 0 does not have."""
    if not is_number(value):
        return NONE
    return f"{value:+.{digits}f}".replace("-", MINUS) if round(value, digits) else f"{0:.{digits}f}"


def percent(value: object, digits: int = 1) -> str:
    """A share of 0 to 1 as a percentage; a share that is small but not nothing never reads 0."""
    if not is_number(value):
        return NONE
    smallest = 10.0**-digits
    if 0 < value * 100 < smallest:
        return f"<{smallest:.{digits}f}%"
    return f"{value * 100:.{digits}f}%"


def interval(bounds: object, digits: int = 4) -> str:
    if not isinstance(bounds, Sequence) or len(bounds) != 2:
        return NONE
    return f"{decimal(bounds[0], digits)} to {decimal(bounds[1], digits)}"


def seconds(value: object) -> str:
    if not is_number(value):
        return NONE
    if value < 10:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def size(value: object) -> str:
    """Bytes in binary units."""
    if not is_number(value):
        return NONE
    for unit, bytes_ in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if value >= bytes_:
            return f"{value / bytes_:.1f} {unit}" if unit == "GiB" else f"{value / bytes_:.0f} {unit}"
    return f"{value:.0f} B"


def day(value: object) -> str:
    """An ISO date or time as 3 Dec 2017; anything else as it is."""
    try:
        parsed = date.fromisoformat(str(value)[:10])
    except ValueError:
        return NONE if value is None else str(value)
    return f"{parsed.day} {parsed:%b %Y}"


def day_number(value: float) -> str:
    """Days since 1970-01-01 as 3 Dec 2017."""
    return day((date(1970, 1, 1) + timedelta(days=round(value))).isoformat())


def moment(value: object) -> str:
    """An ISO time as 3 Dec 2017, 14:05 UTC; seconds since 1970 too; anything else as it is."""
    try:
        if isinstance(value, (int, float)):
            parsed = datetime.fromtimestamp(value, tz=UTC)
        else:
            parsed = datetime.fromisoformat(str(value))
        parsed = parsed.astimezone(UTC) if parsed.tzinfo else parsed
    except (ValueError, OverflowError, OSError):
        return NONE if value is None else str(value)
    return f"{parsed.day} {parsed:%b %Y, %H:%M}{' UTC' if parsed.tzinfo else ''}"


def listing(names: Sequence[str]) -> str:
    """a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""
