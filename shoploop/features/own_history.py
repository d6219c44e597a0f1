"""What a user's own history says of candidates: of each item that was bought, of its kind and of its wider group.

It reads one history that is cut at the request's day; of what others buy it takes what items and catalog say of that day.

Legend: N candidates, M of them that the user has bought, I items of the vocabulary, H history rows, V baskets (days with a
purchase), C codes of kinds or of groups.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shoploop.features.catalog import Catalog, elapsed_bucket
from shoploop.features.contract import PAIR_FEATURES
from shoploop.features.distinct import distinct, firsts, ordered
from shoploop.features.habits import Partition, rate_on_such_days
from shoploop.features.history import History
from shoploop.features.item import ItemMatrix
from shoploop.features.log import Float32, Int32

Array = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

NEVER_DAYS, NEVER_BASKETS, MOST_OVERDUE = 400.0, 200.0, 10.0

BOUGHT = "own_days"
"""Above 0 where the user has bought the candidate."""

OF_OWN_PURCHASES = frozenset(feature.name for feature in PAIR_FEATURES if feature.name.startswith("own_"))
"""Features that are the same for all candidates that the user has never bought."""

NEVER_BOUGHT = {
    "own_since_days": float(np.log1p(NEVER_DAYS)),
    "own_since_baskets": float(np.log1p(NEVER_BASKETS)),
    "own_hazard": -6.0,
}
"""What they are then; the others are 0."""

OF_KIND = {
    "kind_days": 0.0,
    "kind_since_days": float(np.log1p(NEVER_DAYS)),
    "kind_decay_days_90": 0.0,
    "kind_decay_baskets_90": 0.0,
    "kind_due": 0.0,
    "kind_items": 0.0,
}
"""Features that are the same for all candidates of a kind, and what they are of a kind that the user has never bought."""

OF_GROUP = {
    "group_days": 0.0,
    "group_since_days": float(np.log1p(NEVER_DAYS)),
    "group_decay_baskets_90": 0.0,
}
"""The same of the wider groups."""


@dataclass(frozen=True, kw_only=True)
class Bought:
    """What is known of the candidates that the user has bought; of all others it is :data:`NEVER_BOUGHT`."""

    places_M: Places
    """Which candidates these are, ascending."""

    times_M: Array
    """How often each was bought."""

    values_M: dict[str, Array]
    """:data:`OF_OWN_PURCHASES` of each, (M,)."""

    def table(self, names: Sequence[str]) -> Float32:
        """Some of the features, (len(names), 1 + M): first those of what was never bought."""
        values_CM = np.empty((len(names), 1 + len(self.places_M)), np.float32)
        for row, name in enumerate(names):
            values_CM[row, 0] = NEVER_BOUGHT.get(name, 0.0)
            values_CM[row, 1:] = self.values_M[name]
        return values_CM

    def lay(self, name: str, out_N: Float32) -> None:
        """Writes one of the features of all candidates."""
        out_N[:] = NEVER_BOUGHT.get(name, 0.0)
        out_N[self.places_M] = self.values_M[name]


@dataclass(frozen=True, kw_only=True)
class ByCode:
    """Features that are the same for all candidates of a kind, or of a wider group."""

    values_C: dict[str, Array]
    """Of each kind that the user has bought, ascending, and last of all others, (C,)."""

    rows_C: Array
    """Rows of the history that are of each."""

    place_N: Places
    """Which of these a candidate's is."""

    def table(self, names: Sequence[str]) -> Float32:
        """Some of the features, (len(names), C)."""
        size = len(next(iter(self.values_C.values())))
        return np.array([self.values_C[name] for name in names], np.float32).reshape(len(names), size)

    def of_candidates(self, name: str) -> Array:
        """One of the features, (N,)."""
        values_N: Array = self.values_C[name].take(self.place_N)
        return values_N


class OwnHistory:
    """The history's rows with what every group of them is counted by."""

    def __init__(self, history: History, day: int, habits: Collection[Partition]):
        """
        Args:
            history: The user's purchases before ``day``.
            day: Of the request, days since 1970-01-01 (UTC).
            habits: Kinds of day whose features are wanted.
        """
        self._items_H = history.items_H
        self._days_H = history.days_H
        self._quantities_H = history.quantities_H.astype(np.float64)
        self._basket_H = history.visits_H.astype(np.int64)
        self._days_V = history.days_H[np.flatnonzero(np.diff(self._basket_H, prepend=-1))]
        self._baskets = len(self._days_V)
        # what is a visit's is computed once a visit
        self._age_V = (day - self._days_V).astype(np.float64)
        self._since_V = np.arange(self._baskets - 1, -1, -1, dtype=np.float64)
        self._decay_days_V = {days: np.exp(-self._age_V / days) for days in (30.0, 90.0, 180.0)}
        self._decay_baskets_V = {base: base**self._since_V for base in (0.8, 0.9, 0.95)}
        self._focus_H = 1.0 / np.maximum(history.sizes_H, 1)
        self._different = distinct(history.items_H)
        self._day = day
        self._habits = habits

    def bought(self, candidates_N: Int32, items: ItemMatrix, catalog: Catalog) -> Bought:
        """What is known of the candidates that the user has bought.

        Args:
            candidates_N: Items.
            items: Statistics of all items as of the day.
            catalog: How likely items of a kind are bought again, as of the day.
        """
        bought_M, place, row = self._rows_of(candidates_N, len(catalog))
        codes_M = candidates_N[bought_M]
        size = len(bought_M)
        visit = self._basket_H[row]
        age, since, focus = self._age_V[visit], self._since_V[visit], self._focus_H[row]

        def total(weights: Array | None = None) -> Array:
            return np.bincount(place, weights=weights, minlength=size).astype(np.float64, copy=False)

        count = total()
        # history is sorted by day: the last write is the latest purchase, and the first one of the reversed order
        last, first, last_baskets, first_baskets = (np.zeros(size) for _ in range(4))
        last[place], last_baskets[place] = age, since
        first[place[::-1]], first_baskets[place[::-1]] = age[::-1], since[::-1]
        gap = np.where(count > 1, (first - last) / np.maximum(count - 1, 1), 0.0)
        decay_90, baskets_90 = total(self._decay_days_V[90.0][visit]), total(self._decay_baskets_V[0.9][visit])
        decay_95 = self._decay_baskets_V[0.95][visit]
        all_days = self._decay_days_V[90.0].sum()
        all_baskets = (0.9 ** np.arange(self._baskets)).sum()
        share = count / max(self._baskets, 1)
        kind = catalog.kind_I[codes_M]
        log_odds = catalog.log_odds_CB[kind, elapsed_bucket(np.minimum(last, NEVER_DAYS).astype(np.int64))]
        chance = 1 / (1 + np.exp(-log_odds.astype(np.float64)))
        item_gap = items["mean_gap_days"][codes_M].astype(np.float64)
        weekday = (self._days_H[row] - self._day) % 7 == 0
        own = {
            "own_days": np.log1p(count),
            "own_share": share,
            "own_recent_share": count / (first_baskets + 1),
            "own_since_days": np.log1p(last),
            "own_since_baskets": np.log1p(last_baskets),
            "own_first_days": np.log1p(first),
            "own_decay_days_30": total(self._decay_days_V[30.0][visit]),
            "own_decay_days_90": decay_90,
            "own_decay_days_180": total(self._decay_days_V[180.0][visit]),
            "own_decay_baskets_80": total(self._decay_baskets_V[0.8][visit]),
            "own_decay_baskets_90": baskets_90,
            "own_decay_baskets_95": total(decay_95),
            "own_decay_rate_90": decay_90 / (all_days or 1.0),  # however long ago, all visits alike
            "own_decay_rate_baskets_90": baskets_90 / max(all_baskets, 1e-9),
            "own_focus": total(focus),
            "own_focus_decay": total(decay_95 * focus),
            "own_in_last": total((since < 1).astype(np.float64)),
            "own_in_last_5": total((since < 5).astype(np.float64)) / 5,
            "own_in_last_10": total((since < 10).astype(np.float64)) / 10,
            "own_gap_days": np.log1p(gap),
            "own_gap_spread": _spread(place, self._days_H[row], count, gap),
            "own_due": _ratio(last, gap, count > 1),
            "own_due_item": _ratio(last, item_gap, item_gap > 0),
            "own_hazard": log_odds,
            "own_hazard_share": chance * share,
            "own_weekday_share": total(weekday.astype(np.float64)) / count,
            "own_quantity": np.log1p(np.maximum(total(self._quantities_H[row]) / count, 0.0)),
        }
        for partition in self._habits:
            own[f"own_{partition}_rate"] = rate_on_such_days(
                partition,
                day=self._day,
                days_V=self._days_V,
                fade_V=self._decay_days_V[90.0],
                visit_R=visit,
                place_R=place,
                usual_M=own["own_decay_rate_90"],
            )
        return Bought(places_M=bought_M, times_M=count, values_M=own)

    def kinds(self, candidates_N: Int32, catalog: Catalog) -> ByCode:
        """:data:`OF_KIND`."""
        return self._by_code(candidates_N, catalog.kind_I, "kind", OF_KIND)

    def groups(self, candidates_N: Int32, catalog: Catalog) -> ByCode:
        """:data:`OF_GROUP`."""
        return self._by_code(candidates_N, catalog.group_I, "group", OF_GROUP)

    def _rows_of(self, candidates_N: Int32, items: int) -> tuple[Places, Places, Places]:
        """The places of candidates that the user has bought, and the history's rows that hold one, with which of these.

        Args:
            candidates_N: Items.
            items: How many the vocabulary has.
        """
        size = len(candidates_N)
        place_I = np.full(items, -1, np.int32)
        place_I[candidates_N] = np.arange(size, dtype=np.int32)
        place_H = place_I.take(self._items_H)
        row = np.flatnonzero(place_H >= 0)
        at = place_H.take(row)
        bought_N = np.zeros(size, bool)
        bought_N[at] = True
        number_N = np.cumsum(bought_N) - 1
        return np.flatnonzero(bought_N), number_N[at], row

    def _by_code(self, candidates_N: Int32, code_I: Int32, name: str, never: Mapping[str, float]) -> ByCode:
        """What :meth:`bought` says of an item of all items with the candidate's code, a day counting once.

        Args:
            candidates_N: Items.
            code_I: Of each item of the vocabulary.
            name: Of the code, kind or group: what the features' names begin with.
            never: The features, and what each is where nothing with the code was bought.
        """
        code_H = code_I[self._items_H].astype(np.int64)
        # rows by code and then basket, in whose order they come, of which the first of each stands for the day
        ordered_H, order = ordered(code_H)
        new_H = firsts(ordered_H)
        begins = np.flatnonzero(new_H)
        ordered_basket_H = self._basket_H.take(order)
        starts = np.flatnonzero(firsts(ordered_basket_H) | new_H)
        basket = ordered_basket_H.take(starts)
        new = new_H.take(starts)
        codes, inverse = ordered_H.take(begins), np.cumsum(new) - 1
        size = len(codes)
        # the last one stands for codes of which nothing was bought
        place_I = np.full(int(code_I.max(initial=-1)) + 1, size, np.intp)
        place_I[codes] = np.arange(size)
        days = np.bincount(inverse, minlength=size).astype(np.float64)
        age = self._age_V[basket]
        last = np.full(size, NEVER_DAYS)
        last[inverse] = age
        made = {
            "days": np.log1p(days),
            "since_days": np.log1p(last),
            "decay_baskets_90": np.bincount(inverse, self._decay_baskets_V[0.9][basket], size),
        }
        if name == "kind":
            first = np.zeros(size)
            first[inverse[::-1]] = age[::-1]
            gap = np.where(days > 1, (first - last) / np.maximum(days - 1, 1), 0.0)
            variety = np.bincount(place_I[code_I[self._different]], minlength=size).astype(np.float64)
            made |= {
                "decay_days_90": np.bincount(inverse, self._decay_days_V[90.0][basket], size),
                "due": _ratio(last, gap, days > 1),
                "items": np.log1p(variety),
            }
        values_C = {feature: np.append(made[feature.removeprefix(f"{name}_")], never[feature]) for feature in never}
        rows_C = np.append(np.diff(begins, append=len(code_H)), 0).astype(np.float64)
        return ByCode(values_C=values_C, rows_C=rows_C, place_N=place_I.take(code_I.take(candidates_N)))


def loyalty(bought: Bought, kinds: ByCode) -> Array:
    """What share of the user's purchases of a candidate's kind is of the candidate itself, (N,)."""
    loyalty_N = np.zeros(len(kinds.place_N))
    rows_M = kinds.rows_C.take(kinds.place_N[bought.places_M])
    loyalty_N[bought.places_M] = bought.times_M / np.maximum(rows_M, 1.0)
    return loyalty_N


def _ratio(days: Array, gap: Array, where: npt.NDArray[np.bool_]) -> Array:
    return np.where(where, np.minimum(days / np.maximum(gap, 0.5), MOST_OVERDUE), 0.0)


def _spread(place: Places, days: Int32, count: Array, gap: Array) -> Array:
    """Standard deviation over mean of the gaps between a candidate's purchases."""
    place, order = ordered(place)
    days = days[order]
    same = place[1:] == place[:-1]
    gaps = np.diff(days)[same].astype(np.float64)
    squares = np.bincount(place[1:][same], weights=gaps * gaps, minlength=len(count))
    variance = squares / np.maximum(count - 1, 1) - gap * gap
    return np.where(count > 2, np.sqrt(np.maximum(variance, 0.0)) / np.maximum(gap, 0.5), 0.0)
