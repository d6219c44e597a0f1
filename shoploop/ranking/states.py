"""h_u of many users at once: what :meth:`Known.user_state` says of each, in a few passes of the encoder.

Who did the same as somebody else among them, such as nothing, is encoded once. Histories are laid out as flat arrays, and the
encoder reads no more baskets than the longest of a group of alike ones has.

Legend: B who are asked for, U different histories, R rows (one a purchase), D width.
"""

import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from datetime import date, datetime

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from shoploop.features.baskets import BASKETS
from shoploop.features.history import History, moments_of
from shoploop.features.log import Float32, Int32
from shoploop.ranking.asked import Asked
from shoploop.ranking.known import Known, today
from shoploop.schemas import POSITIVE_KINDS

USERS = 20_000
"""Whose stored histories are kept in memory, the last that were asked for."""

LENGTHS = (1, 2, 4, 8, 16, BASKETS)
"""Baskets that a group is padded to."""

FEW_TOKENS = 64
"""Of padding that a pass of its own would spare, and that take less time than it."""

Int64 = npt.NDArray[np.int64]


class UserStates:
    """Reads stored histories in bulk, and keeps some."""

    def __init__(self, known: Known, *, users: int = USERS):
        """
        Args:
            known: The version.
            users: See :data:`USERS`.
        """
        self._known = known
        self._users = users
        self._stored: OrderedDict[str, History | None] = OrderedDict()
        self._days: dict[date, tuple[int, int, int]] = {}

    def of(self, asked: Sequence[Asked]) -> Float32:
        """h_u of each, (B, D); the same people in the same order give the same bytes."""
        stored = self._histories([each.user for each in asked])
        places: dict[object, int] = {}
        place_B = np.empty(len(asked), np.int64)
        rows, days_U = _Rows(sessions=self._known.trained.sessions), list[int]()
        for number, each in enumerate(asked):
            history = stored[each.user]
            codes, days, day = self._fresh(each, history)
            key = (each.user if history is not None else None, day, codes, days)
            place = places.setdefault(key, len(days_U))
            place_B[number] = place
            if place == len(days_U):
                days_U.append(day)
                rows.add(history, codes, days)
        states_UD = self._encode(rows, np.array(days_U, np.int64))
        return states_UD[place_B]

    def _fresh(self, asked: Asked, history: History | None) -> tuple[tuple[int, ...], tuple[int, ...], int]:
        """What lies over the stored history, and the day that is answered for: as :meth:`Known.visitor` has it."""
        day, today, shift = self._day(asked.time)
        if not asked.fresh:
            return (), (), day
        new = [done for done in asked.fresh if done.kind in POSITIVE_KINDS]
        code, codes, days = self._known.trained.vocabulary.code, list[int](), list[int]()
        for done in new if new or history is not None else asked.fresh:
            if (known := code(done.item)) >= 0:
                codes.append(known)
                days.append(done.day + shift if done.day + shift < today else today)
        if not codes:
            return (), (), day
        return tuple(codes), tuple(days), max(day, max(days) + 1)

    def _day(self, time: datetime) -> tuple[int, int, int]:
        """The day that is answered for, that of the request, and how far the data is from the time."""
        found = self._days.get(time.date())
        if found is None:
            asked = self._known.request_day(time)
            found = self._days[time.date()] = (self._known.day(time), asked, asked - today(time))
        return found

    def _histories(self, users: Sequence[str]) -> dict[str, History | None]:
        """What is stored of each; None where that is nothing."""
        missing = [user for user in dict.fromkeys(users) if user not in self._stored]
        found = self._known.histories(missing) if missing else {}
        for user in missing:
            history = found.get(user)
            self._stored[user] = history if history is not None and len(history) else None
        kept = {user: self._stored[user] for user in users}
        for user in kept:
            self._stored.move_to_end(user)
        while len(self._stored) > self._users:
            self._stored.popitem(last=False)
        return kept

    def _encode(self, rows: "_Rows", days_U: Int64) -> Float32:
        owner_R, day_R, moment_R, item_R = rows.sorted(days_U)
        users = len(days_U)
        # baskets of one user are counted from the latest
        new_R = np.ones(len(owner_R), bool)
        new_R[1:] = (owner_R[1:] != owner_R[:-1]) | (day_R[1:] != day_R[:-1]) | (moment_R[1:] != moment_R[:-1])
        first_G = np.flatnonzero(new_R)
        owner_G = owner_R[first_G]
        count_U = np.bincount(owner_G, minlength=users)
        latest_G = (np.cumsum(count_U) - 1)[owner_G] - np.arange(len(first_G))
        kept_G = latest_G < BASKETS
        size_G = np.diff(first_G, append=len(owner_R))[kept_G]
        item_R = item_R[np.repeat(kept_G, np.diff(first_G, append=len(owner_R)))]
        first_G, owner_G, latest_G = first_G[kept_G], owner_G[kept_G], latest_G[kept_G]
        age_G = days_U[owner_G] - day_R[first_G]
        count_U = np.minimum(count_U, BASKETS)
        with torch.inference_mode():
            tokens_GD = self._tokens(item_R, size_G, age_G, latest_G)
            states_UD = torch.empty((users, tokens_GD.shape[1]))
            place_U = np.empty(users, np.int64)
            for group, length in _groups(count_U):
                place_U[:] = -1
                place_U[group] = np.arange(len(group))
                of_G = np.flatnonzero(place_U[owner_G] >= 0)
                states_UD[group] = self._attended(
                    tokens_GD[of_G], place_U[owner_G[of_G]], latest_G[of_G], len(group), length
                )
            encoded_UD: Float32 = states_UD.numpy()
        return encoded_UD

    def _tokens(self, item_R: Int64, size_G: Int64, age_G: Int64, latest_G: Int64) -> torch.Tensor:
        """What each basket is read as, (G, D)."""
        sequence = self._known.trained.model.sequence
        items_R, first_G = torch.from_numpy(item_R), torch.from_numpy(np.cumsum(size_G) - size_G)

        def summed(table: torch.Tensor) -> torch.Tensor:
            return functional.embedding_bag(items_R, table, first_G, mode="sum")

        return sequence.tokens(
            summed(sequence.factors_IF),
            None if sequence.own_ID is None else summed(sequence.own_ID),
            torch.from_numpy(size_G.astype(np.float32)),
            torch.from_numpy(age_G),
            torch.from_numpy(latest_G),
        )

    def _attended(
        self, tokens_GD: torch.Tensor, owner_G: Int64, latest_G: Int64, users: int, length: int
    ) -> torch.Tensor:
        """h_u of a group, (B, D), whose longest has so many baskets."""
        tokens_BLD = torch.zeros((users, length, tokens_GD.shape[1]))
        absent_BL = torch.ones((users, length), dtype=torch.bool)
        tokens_BLD[owner_G, latest_G] = tokens_GD
        absent_BL[owner_G, latest_G] = False
        return self._known.trained.model.sequence.user_state(tokens_BLD, absent_BL)


def _groups(count_U: Int64) -> Iterator[tuple[Int64, int]]:
    """Who is encoded together, and how many baskets they are padded to."""
    upper_U = np.searchsorted(LENGTHS, count_U)
    waiting, steps = np.zeros(0, np.int64), np.unique(upper_U).tolist()
    for step, longer in zip(steps, [*steps[1:], None], strict=True):
        group = np.concatenate([waiting, np.flatnonzero(upper_U == step)])
        waiting = group[:0]
        if longer is not None and len(group) * (LENGTHS[longer] - LENGTHS[step]) <= FEW_TOKENS:
            waiting = group
        else:
            yield group, LENGTHS[step]


class _Rows:
    """Purchases of all of them, as they are gathered."""

    def __init__(self, *, sessions: bool) -> None:
        """``sessions``: whether the last day's moments are visits of their own."""
        self._sessions = sessions
        self._moments: list[int] = []
        self._stored: list[tuple[int, History]] = []
        self._owners: list[int] = []
        self._codes: list[int] = []
        self._days: list[int] = []
        self._count = 0

    def add(self, history: History | None, codes: Sequence[int], days: Sequence[int]) -> None:
        """The next user's."""
        if history is not None:
            self._stored.append((self._count, history))
        self._owners += [self._count] * len(codes)
        self._codes += codes
        self._days += days
        self._moments += moments_of(_array(days)).tolist() if self._sessions and days else [0] * len(days)
        self._count += 1

    def sorted(self, days_U: Int64) -> tuple[Int64, Int64, Int64, Int64]:
        """(owner, day, moment, item) of each, an item once a day, in this order; only days before the owner's."""
        stored = self._stored
        lengths = [len(history) for _, history in stored]
        owners: list[npt.NDArray[np.integer]] = [
            np.repeat(np.array([owner for owner, _ in stored], np.int64), lengths),
            _array(self._owners),
        ]
        days: list[npt.NDArray[np.integer]] = [*(history.days_H for _, history in stored), _array(self._days)]
        items: list[npt.NDArray[np.integer]] = [*(history.items_H for _, history in stored), _array(self._codes)]
        moments = [np.zeros(sum(lengths), np.int32), _array(self._moments)]
        owner_R, day_R, moment_R, item_R = (_joined(parts) for parts in (owners, days, moments, items))
        seen_R = (day_R < days_U[owner_R]) & (item_R >= 0)
        owner_R, day_R, moment_R, item_R = owner_R[seen_R], day_R[seen_R], moment_R[seen_R], item_R[seen_R]
        order_R = order(owner_R, day_R, item_R, moment_R)
        owner_R, day_R, moment_R, item_R = owner_R[order_R], day_R[order_R], moment_R[order_R], item_R[order_R]
        first_R = np.ones(len(owner_R), bool)
        first_R[1:] = (owner_R[1:] != owner_R[:-1]) | (day_R[1:] != day_R[:-1]) | (item_R[1:] != item_R[:-1])
        owner_R, day_R, moment_R, item_R = owner_R[first_R], day_R[first_R], moment_R[first_R], item_R[first_R]
        if not moment_R.any():
            return owner_R, day_R, moment_R, item_R
        order_R = order(owner_R, day_R, moment_R, item_R)
        return owner_R[order_R], day_R[order_R], moment_R[order_R], item_R[order_R]


def order(*keys_R: Int64) -> Int64:
    """By the first, then by the next: :func:`numpy.lexsort`, and by one key where all of them fit into a number, as they do
    but for days that somebody made up. What is nearly in order, as stored histories are, is sorted in one pass then."""
    if not len(keys_R[0]):
        return np.zeros(0, np.int64)
    lows = [int(key_R.min()) for key_R in keys_R]
    sizes = [int(key_R.max()) - low + 1 for key_R, low in zip(keys_R, lows, strict=True)]
    if math.prod(sizes) >= 2**63:
        return np.lexsort(keys_R[::-1])
    key_R = np.zeros(len(keys_R[0]), np.int64)
    for each_R, low, size in zip(keys_R, lows, sizes, strict=True):
        key_R = key_R * size + (each_R - low)
    return np.argsort(key_R, kind="stable")


def _joined(parts: Sequence[npt.NDArray[np.integer]]) -> Int64:
    return np.concatenate(parts).astype(np.int64)


def _array(values: Sequence[int]) -> Int32:
    return np.array(values, np.int32)
