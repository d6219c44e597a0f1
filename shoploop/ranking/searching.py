"""One version's answers to queries: what the words fit, what was taken after them, and what this shopper is likely to want.

It must not know of HTTP.

Legend: I items of the vocabulary, U items that it does not hold, N candidates.
"""

import threading
from collections.abc import Mapping, Set
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from shoploop.features.history import History
from shoploop.features.item import ItemMatrix
from shoploop.features.log import Float32, Int32, Vocabulary
from shoploop.surfaces.search.asked import item_texts
from shoploop.surfaces.search.features import ALL_WORDS, Read, read, search_candidates
from shoploop.surfaces.search.memory import QueryMemory, Recall, Searches
from shoploop.surfaces.search.names import Names
from shoploop.versions.trained import TrainedModel

MOST_UNSOLD = 50
"""Items unknown to the model that an answer may hold; more where more are asked for."""

WHOLE_NAME, SLIGHT = 0.9, 1e-3
"""Share of a name's pieces that a query has which says it, and a difference between shares that counts."""

SPELT_LIKE, NEAR_ENOUGH = 0.4, 0.6
"""Share of a query's pieces of letters, each by its rarity, that a name must have where it has none of the words; and cosine
of a remembered spelling, from which what was taken after it may be meant."""

LEAST_NUMBER = 4
"""Signs of an id that is looked for as it is typed: 12 may as well be a size."""

DAYS_KEPT = 3
"""Days of which what is remembered is kept: today, tomorrow, and one more around midnight."""

OFTEN = 0.1
"""Share of what was taken after a query from which that is said as a reason."""


@dataclass(frozen=True, kw_only=True)
class Searched:
    """A query with what may answer it."""

    asked: Read
    items_N: Int32
    """Codes, sorted, each once; empty where no item is called so and nothing was taken after such words."""

    def fit_N(self, items: ItemMatrix, history: History) -> Float32:
        """Scores without a model, (N,): how many of the words the name has, a little more where they are as typed, then what
        the shopper buys, then what sells."""
        fit, remembered = self.asked.fit, self.asked.remembered
        own_I = np.bincount(history.items_H, minlength=len(fit.words_I))
        names_N = 8 * fit.words_I + 0.25 * fit.typed_I + 4 * fit.letters_I + 8 * remembered.near_I
        sold_N = np.log(items["rate_28"][self.items_N] + 1e-6)
        scores_N: Float32 = (names_N[self.items_N] + np.log1p(own_I[self.items_N]) + 0.25 * sold_N).astype(np.float32)
        return scores_N


@dataclass(frozen=True, kw_only=True)
class Unsold:
    """An item that the model does not know, found by its name."""

    item: str
    words: float
    """Share of the query's words that its name has, each by its rarity."""

    named: float = 0.0
    """Share of its name's pieces that the query has: 1 where it says the whole name."""

    as_typed: bool = True
    """Whether the query's words are among those of such names as they were typed, none misspelt."""

    def wanted(self, asked: Read, codes_N: Int32) -> bool:
        """Whether the query says this item's name better than that of any of these: it has more of the words, or has them all
        as they were typed where the others are but spelt alike, or it is called so and no more than that."""
        fit = asked.fit
        words_N = fit.words_I[codes_N]
        best = float(words_N.max(initial=0.0))
        if self.words > best + SLIGHT:
            return True
        if self.words < ALL_WORDS:
            return False
        if fit.understood is not None and self.as_typed:
            return True
        named = float(fit.named_I[codes_N][words_N >= best - SLIGHT].max(initial=0.0))
        return self.named >= WHOLE_NAME and self.named > named + SLIGHT


class Searching:
    """What one version knows of names and of queries."""

    def __init__(self, trained: TrainedModel, items: pl.DataFrame):
        """
        Args:
            trained: The version's model.
            items: ``item``, ``title`` and ``category`` of all that may be sold, the model's items among them.
        """
        self._trained = trained
        known = frozenset(trained.vocabulary.items)
        self._unsold = items.filter(~pl.col("item").is_in(list(known))) if items.height else items
        self.unknown = Vocabulary(tuple(self._unsold["item"]) if items.height else ())
        """What may be sold and the model does not know, in the order in which its names are read."""

        self._sellable = items["item"].to_list() if items.height else []
        self._recalled: dict[int, Recall] = {}
        self._recalling = threading.Lock()

    @cached_property
    def _numbers(self) -> dict[str, str]:
        """Items by their ids as somebody types them, where these could be no words."""
        found: dict[str, list[str]] = {}
        for item in self._sellable:
            if number := _as_number(item):
                found.setdefault(number, []).append(item)
        return {number: items[0] for number, items in found.items() if len(items) == 1}

    def numbered(self, query: str) -> str | None:
        """The item whose id the query is, whatever its case, its zeros in front and the space around it."""
        return self._numbers.get(_as_number(query) or "")

    @cached_property
    def _unsold_names(self) -> Names:
        return Names(item_texts(self._unsold, self._unsold["item"].to_list()))

    def unsold(
        self,
        query: str,
        may_U: npt.NDArray[np.bool_] | None = None,
        *,
        least: int = 0,
        weights: Mapping[str, float] | None = None,
        shoppers: Set[str] = frozenset(),
    ) -> list[Unsold]:
        """Items that nobody bought before the model learned, whose names have some of the query's words, best first.

        Args:
            query: As typed.
            may_U: Which may be shown; unset, all.
            least: So many, where there are so many, though fewer are found otherwise.
            weights: Of its words among the names of what is bought. By their rarity among these names, of which there may be
                few, a name with the same words seemed to have more of them, or less.
            shoppers: Words that are no misspelling of any name's, as what was taken after them says.
        """
        if not self._unsold.height:
            return []
        fit = self._unsold_names.fit(query, weights, shoppers=shoppers)
        some = np.flatnonzero(fit.words_I > 0 if may_U is None else (fit.words_I > 0) & may_U)
        order = some[np.lexsort((some, -fit.named_I[some], -fit.bm25_I[some], -fit.words_I[some]))]
        order = order[: max(MOST_UNSOLD, least)]
        names = self._unsold["item"]
        return [
            Unsold(
                item=names[int(place)],
                words=float(fit.words_I[place]),
                named=float(fit.named_I[place]),
                as_typed=fit.understood is None,
            )
            for place in order
        ]

    @cached_property
    def _names(self) -> Names:
        return Names(self._trained.texts)

    @cached_property
    def _memory(self) -> QueryMemory:
        return QueryMemory(remembered_by(self._trained), len(self._trained.vocabulary))

    def warm_up(self, day: int) -> None:
        """Reads names, ids and memory, so that nobody has to wait for them: of the day, and of the next, for which those are
        answered who did something on it."""
        _ = self._names, self._numbers, self._unsold_names if self._unsold.height else None
        self._recall(day)
        self._recall(day + 1)

    def search(
        self,
        query: str,
        *,
        items: ItemMatrix,
        history: History,
        day: int,
        may_I: npt.NDArray[np.bool_] | None = None,
        least: int = 0,
    ) -> Searched:
        """What may answer a query.

        Args:
            query: As typed.
            items: Statistics as of the day.
            history: Of who asks; empty for nobody.
            day: Of the request.
            may_I: Which items may be shown; unset, all.
            least: See :func:`search_candidates`.
        """
        asked = read(query, self._names, self._recall(day))
        own = np.unique(history.items_H).astype(np.int32)
        codes_N = search_candidates(asked, items, own, fill=False, may_I=may_I, least=least)
        return Searched(asked=asked, items_N=codes_N[_meant(asked, codes_N)])

    def reason(self, asked: Read, code: int) -> str | None:
        """Why a query found an item, in words for the shopper; None where neither its name nor other shoppers say it."""
        # of its name, brand and kind nobody can tell which has the words
        words = f'"{asked.fit.understood}"' if asked.fit.understood else "what you searched for"
        taken = float(asked.remembered.same_I[code])
        if taken >= OFTEN and asked.remembered.times >= 3:
            return f"{taken:.0%} of what was taken after this search"
        if asked.fit.words_I[code] >= ALL_WORDS:
            return f"it matches {words}"
        if asked.remembered.near_I[code] >= OFTEN:
            return "taken after searches like yours"
        if asked.fit.words_I[code] > 0:
            return f"it matches some of {words}"
        if asked.fit.letters_I[code] > 0.3:
            return "it is spelt much like what you searched for"
        if taken > 0:
            return "some took it after this search"
        if asked.remembered.near_I[code] > 0:
            return "some took it after searches like yours"
        return None

    def _recall(self, day: int) -> Recall:
        """Memory fades by the day. Some are kept: who did something today is answered for tomorrow, beside others."""
        found = self._recalled.get(day)
        if found is not None:
            return found
        with self._recalling:  # whoever waits for the same day finds it done
            found = self._recalled.get(day)
            if found is None:
                found = self._memory.as_of(day)
                kept = list(self._recalled.items())[-(DAYS_KEPT - 1) :]
                self._recalled = dict(kept) | {day: found}
            return found


def _meant(asked: Read, codes_N: Int32) -> npt.NDArray[np.bool_]:
    """Which candidates the query may mean, (N,): a model orders what it is given, and nonsense is to find nothing."""
    fit, remembered = asked.fit, asked.remembered
    named_N = (fit.words_I[codes_N] > 0) | (fit.letters_I[codes_N] >= SPELT_LIKE)
    taken_N = (remembered.same_I[codes_N] > 0) | (remembered.words_I[codes_N] > 0)
    if remembered.nearest >= NEAR_ENOUGH:
        taken_N |= remembered.near_I[codes_N] > 0
    return named_N | taken_N


def remembered_by(trained: TrainedModel) -> Searches:
    """The searches that a version remembers; none where it does not search."""
    table = trained.searches
    if table is None:
        table = pl.DataFrame(schema={"query": pl.String, "item": pl.String, "day": pl.Int32})
    queries = sorted(table["query"].unique().to_list())
    place = {query: code for code, query in enumerate(queries)}
    codes_E = trained.vocabulary.encode(table["item"].to_list())
    known = codes_E >= 0
    return Searches(
        queries=tuple(queries),
        query_E=np.array([place[query] for query in table["query"]], np.int32)[known],
        item_E=codes_E[known].astype(np.int32),
        day_E=table["day"].to_numpy().astype(np.int32)[known],
        user_E=np.full(int(known.sum()), -1, np.int32),
    )


def _as_number(text: str) -> str | None:
    """An id as it is compared with what is typed; None where it may be a word or an amount."""
    number = text.strip().casefold()
    if len(number) < LEAST_NUMBER or not any(sign.isdigit() for sign in number) or any(map(str.isspace, number)):
        return None
    return number.lstrip("0") or number
