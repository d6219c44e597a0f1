"""What a list must be, whatever the model thinks: a re-ranker over scored items. Pure; it knows neither users nor models.

Rules that leave items out come first and yield to nothing. Then boosts change scores, pins take their places, and the rest is
filled up from the best: as many of a category as are allowed, near-duplicates last.
"""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from shoploop.api.list_rules import MAX_BOOST, ListRulesSpec

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
Scored = list[tuple[str, float]]
"""Items with their scores, best first."""

SIMILAR = 0.8
"""Share of the words of two titles together that both have, from which on they are near-duplicates."""

MOST_COMPARED = 20_000
"""Pairs of titles that one list may cost, some 10 ms: from then on only the same words in any order are similar. A list of 20
items meets it only where a thousand had to be passed by."""

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
    """Rules that changed something, and how many items they left out before the list was full, moved or placed."""


def rerank(
    scored: Scored,
    *,
    k: int,
    rules: ListRulesSpec,
    more: Iterable[tuple[str, float]] = (),
    about: Callable[[str], About] = lambda item: About(),
    hides: Hides | None = None,
    log_odds: bool = True,
) -> Reranked:
    """The k items to show.

    Args:
        scored: Best first, each item once; more than k, since some may have to go.
        k: How many; fewer only where no more are left that may be shown.
        rules: What the list must be.
        more: Other items, best first, asked for only as far as the list is too short without them. No boost raises them.
        about: Titles and categories.
        hides: Of rules that know the user or the stock: whether an item must not be shown. Asked of no more items than it
            takes to fill the list.
        log_odds: Whether scores are log odds, as a model's are. Else they are counts or shares, never negative, and a boost
            multiplies them.
    """
    hidden = _Hidden(hides or {})
    pins = {pin.place: pin.item for pin in rules.pins if pin.place <= k and not hidden.has(pin.item)}
    boosts = boosts_of(rules, [item for item, _ in scored], about)
    raised = scored
    if boosts:
        raised = [(item, _raised(score, boosts.get(item, 0.0), log_odds=log_odds)) for item, score in scored]
        raised.sort(key=lambda each: -each[1])  # stable: equal scores keep their order
    chosen, effects = _chosen([raised, more], k, pins.values(), rules, about, hidden)
    scores = dict(raised) | dict(chosen)
    items = _at_their_places([item for item, _ in chosen], pins)
    pinned = frozenset(pins.values())
    effects += hidden.counts()
    effects["pins"] = len(pins)
    if boosts:
        before, _ = _chosen([scored], k, pins.values(), rules, about, _Hidden(hides or {}))
        was = {item: place for place, item in enumerate(_at_their_places([item for item, _ in before], pins))}
        now = {item: place for place, item in enumerate(items)}
        effects["boosts"] = sum(was.get(item) != now.get(item) for item in boosts if item not in pinned)
    return Reranked(
        items=tuple(
            Placed(item=item, score=scores.get(item), pinned=item in pinned, boost=boosts.get(item, 0.0))
            for item in items
        ),
        effects={name: count for name, count in effects.items() if count},
    )


class _Hidden:
    """What is left out, and by which rule: as far as somebody asked."""

    def __init__(self, hides: Hides):
        self._hides = hides
        self._rules: dict[str, RuleName] = {}

    def has(self, item: str) -> bool:
        for name, hides_it in self._hides.items():
            if hides_it(item):
                self._rules[item] = name
                return True
        return False

    def counts(self) -> Counter[RuleName]:
        return Counter(self._rules.values())


def boosts_of(rules: ListRulesSpec, items: Sequence[str], about: Callable[[str], About]) -> dict[str, float]:
    """The log odds that the shop adds, by item; only items with any."""
    by_item: defaultdict[str, float] = defaultdict(float)
    by_category: defaultdict[str, float] = defaultdict(float)
    for boost in rules.boosts:
        if boost.item is not None:
            by_item[boost.item] += boost.log_odds
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
    batches: Iterable[Iterable[tuple[str, float]]],
    k: int,
    pinned: Collection[str],
    rules: ListRulesSpec,
    about: Callable[[str], About],
    hidden: _Hidden,
) -> tuple[Scored, Counter[RuleName]]:
    """What fills the places that are not pinned, in order, and how many items the rules passed by until they were full.

    Near-duplicates of a batch come after its others, and before the next batch.
    """
    free = k - len(pinned)
    effects: Counter[RuleName] = Counter()
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
    found: Scored = []
    for batch in batches:
        if len(found) >= free:
            break
        late: Scored = []
        for item, score in batch:
            if item in pinned or hidden.has(item):
                continue
            if is_full(item):
                effects["max_per_category"] += 1
            elif twins.has(about(item)):
                effects["near_duplicates"] += 1
                late.append((item, score))
            else:
                take(item)
                found.append((item, score))
                if len(found) == free:
                    return found, effects
        for item, score in late:
            if len(found) < free and not is_full(item):
                take(item)
                found.append((item, score))
    return found, effects


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
        # by category path; a dict, since it keeps the order
        self._words: defaultdict[tuple[str, ...], dict[frozenset[str], None]] = defaultdict(dict)
        self._compared = 0

    def add(self, about: About) -> None:
        if self._looks and about.title:
            self._titles.add(normal(about.title))
            if own := words(about.title):
                self._words[about.category][own] = None

    def has(self, about: About) -> bool:
        if not self._looks or not about.title or not (title := normal(about.title)):
            return False
        if title in self._titles:
            return True
        return self._similar and self._has_similar(words(about.title), self._words[about.category])

    def _has_similar(self, own: frozenset[str], others: Collection[frozenset[str]]) -> bool:
        if own in others:
            return True
        for other in others:
            if self._compared == MOST_COMPARED:
                return False
            self._compared += 1
            if _are_similar(own, other):
                return True
        return False


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
