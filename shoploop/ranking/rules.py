"""What a list must be, whatever the model thinks: a re-ranker over scored items. Pure; it knows neither users nor models.

Rules that leave items out come first and yield to nothing. Then boosts change scores, pins take their places, and the rest is
filled up from the best: as many of a category as are allowed, near-duplicates last.
"""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from shoploop.api.list_rules import MAX_BOOST, ListRulesSpec
from shoploop.data.ids import canonical_id

RuleName = Literal[
    "exclude",
    "only",
    "out_of_stock",
    "hide_purchased_days",
    "hide_owned",
    "max_per_category",
    "near_duplicates",
    "pins",
    "boosts",
]
Hides = Mapping[RuleName, Callable[[str], bool]]
SIMILAR = 0.8
"""Share of the words of two titles together that both have, from which on they are near-duplicates."""

_WORD = re.compile(r"[^\W_]+")
_SIZES = frozenset(
    "l ml cl dl liter litre liters litres g kg mg gram grams oz fl floz lb lbs ounce ounces gal gallon qt pt m cm mm in inch"
    " ft ct count dozen pk pack packs pc pcs piece pieces x xs s xl xxl small medium large".split()
)


@dataclass(frozen=True, kw_only=True)
class About:
    """What rules know of an item."""

    title: str | None = None
    category: tuple[str, ...] = ()
    """Path, widest first."""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """An item of the finished list."""

    item: str
    score: float | None
    """With its boosts; None for a pinned item that was not scored."""

    pinned: bool = False
    boost: float = 0.0
    """Log odds that the shop's boosts added."""


@dataclass(frozen=True, kw_only=True)
class Reranked:
    """The finished list."""

    items: tuple[Placed, ...]
    effects: dict[RuleName, int]
    """Rules that changed something, and how many items they left out, moved, raised or placed."""


def rerank(
    scored: Sequence[tuple[str, float]],
    *,
    k: int,
    rules: ListRulesSpec,
    about: Callable[[str], About] = lambda item: About(),
    hides: Hides | None = None,
    log_odds: bool = True,
) -> Reranked:
    """The k items to show.

    Args:
        scored: Best first, each item once; as many as there are, since some may have to go.
        k: How many; fewer only where no more are left that may be shown.
        rules: What the list must be.
        about: Titles and categories.
        hides: Of rules that know the user or the stock: whether an item must not be shown.
        log_odds: Whether scores are log odds, as a model's are. Else they are counts or shares, never negative, and a boost
            multiplies them.
    """
    effects: Counter[RuleName] = Counter()
    hides = hides or {}

    def hidden(item: str) -> RuleName | None:
        return next((name for name, hides_it in hides.items() if hides_it(item)), None)

    left = []
    for item, score in scored:
        if (rule := hidden(item)) is not None:
            effects[rule] += 1
        else:
            left.append((item, score))
    boosts = boosts_of(rules, [item for item, _ in left], about)
    raised = [(item, _raised(score, boosts.get(item, 0.0), log_odds=log_odds)) for item, score in left]
    if boosts:
        raised.sort(key=lambda each: -each[1])  # stable: equal scores keep their order
    pins = {pin.place: item for pin in rules.pins if pin.place <= k and hidden(item := canonical_id(pin.item)) is None}
    effects["pins"] += len(pins)
    scores = dict(raised)
    chosen = _chosen([item for item, _ in raised], k, pins.values(), rules, about, effects)
    items = _at_their_places(chosen, pins)
    effects["boosts"] += sum(item in boosts for item in items)
    pinned = frozenset(pins.values())
    return Reranked(
        items=tuple(
            Placed(item=item, score=scores.get(item), pinned=item in pinned, boost=boosts.get(item, 0.0))
            for item in items
        ),
        effects={name: count for name, count in effects.items() if count},
    )


def boosts_of(rules: ListRulesSpec, items: Sequence[str], about: Callable[[str], About]) -> dict[str, float]:
    """The log odds that the shop adds, by item; only items with any."""
    by_item: defaultdict[str, float] = defaultdict(float)
    by_category: defaultdict[str, float] = defaultdict(float)
    for boost in rules.boosts:
        if boost.item is not None:
            by_item[canonical_id(boost.item)] += boost.log_odds
        else:
            by_category[str(boost.category)] += boost.log_odds
    found = {}
    for item in items:
        total = by_item.get(item, 0.0)
        if by_category:
            total += sum(by_category.get(name, 0.0) for name in set(about(item).category))
        if total:
            found[item] = min(max(total, -MAX_BOOST), MAX_BOOST)
    return found


def _raised(score: float, boost: float, *, log_odds: bool) -> float:
    if not boost:
        return score
    return score + boost if log_odds else score * math.exp(boost)


def _chosen(
    items: Sequence[str],
    k: int,
    pinned: Collection[str],
    rules: ListRulesSpec,
    about: Callable[[str], About],
    effects: Counter[RuleName],
) -> list[str]:
    """What fills the places that are not pinned, in order."""
    free = k - len(pinned)
    counts: Counter[str] = Counter()
    twins = _Twins(rules)

    def take(item: str) -> None:
        if category := _category(about(item), rules):
            counts[category] += 1
        twins.add(about(item))

    def is_full(item: str) -> bool:
        category = _category(about(item), rules)
        return rules.max_per_category is not None and bool(category) and counts[category] >= rules.max_per_category

    for item in pinned:
        take(item)
    found: list[str] = []
    late: list[str] = []
    for item in items:
        if len(found) == free:
            break
        if item in pinned:
            continue
        if is_full(item):
            effects["max_per_category"] += 1
        elif twins.has(about(item)):
            effects["near_duplicates"] += 1
            late.append(item)
        else:
            take(item)
            found.append(item)
    for item in late:
        if len(found) < free and not is_full(item):
            take(item)
            found.append(item)
    return found


def _at_their_places(chosen: Sequence[str], pins: Mapping[int, str]) -> list[str]:
    """Pins at their places, the others in between; where the list is too short for a place, pins come last."""
    others = iter(chosen)
    items: list[str] = []
    waiting = dict(sorted(pins.items()))
    while True:
        place = len(items) + 1
        if place in waiting:
            items.append(waiting.pop(place))
        elif (item := next(others, None)) is not None:
            items.append(item)
        else:
            return items + list(waiting.values())


def _category(about: About, rules: ListRulesSpec) -> str:
    if not about.category:
        return ""
    # the whole path: two departments may each have an "other"
    return "\0".join(about.category) if rules.category_level == "Narrowest" else about.category[0]


class _Twins:
    """Titles that are in the list."""

    def __init__(self, rules: ListRulesSpec):
        self._looks = rules.near_duplicates != "Keep"
        self._similar = rules.near_duplicates == "SimilarTitle"
        self._titles: set[str] = set()
        self._words: defaultdict[tuple[str, ...], list[frozenset[str]]] = defaultdict(list)

    def add(self, about: About) -> None:
        if self._looks and about.title:
            self._titles.add(normal(about.title))
            self._words[about.category].append(words(about.title))

    def has(self, about: About) -> bool:
        if not self._looks or not about.title or not (title := normal(about.title)):
            return False
        if title in self._titles:
            return True
        own = words(about.title)
        return self._similar and any(_are_similar(own, other) for other in self._words[about.category])


@lru_cache(100_000)
def normal(title: str) -> str:
    """A title as titles are compared: words without case, accents and what stands between them."""
    plain = unicodedata.normalize("NFKD", title.casefold())
    return " ".join(_WORD.findall("".join(c for c in plain if not unicodedata.combining(c))))


@lru_cache(100_000)
def words(title: str) -> frozenset[str]:
    """The words of a title without numbers and sizes."""
    return frozenset(
        word for word in normal(title).split() if word not in _SIZES and not any(c.isdigit() for c in word)
    )


def _are_similar(a: frozenset[str], b: frozenset[str]) -> bool:
    return bool(a) and len(a & b) >= SIMILAR * len(a | b)
