"""How much one shopper, and one item, may teach: what keeps a few who send much from moving what all others see.

Counts are of the log's records and its own time, so that a learner that begins anew comes to the same. What is beyond a limit
is counted and passed over; nothing is waited for.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shoploop.api.online import GuardrailsSpec
from shoploop.events.fresh import Table
from shoploop.events.names import Names
from shoploop.features.log import Float32
from shoploop.online.joiner import Example

SPAN = 1_000
"""Records of the log."""

MOST = 200_000
"""Users of a day, and pairs of a user and an item, that are counted: the last who taught something. Who floods a shop with so
many others that their own count is forgotten has been held by the limit of each item meanwhile. Some 60 MB."""


@dataclass(frozen=True, kw_only=True)
class LimitConfig:
    """A limit that is None does not hold."""

    of_user: int | None = 20
    """Examples of one user in so many records as SPAN."""

    of_user_a_day: int | None = 10
    """Examples of one user in a day."""

    of_user_and_item: int | None = 1
    """Examples of one user and one item in a day."""

    of_item: int | None = 3
    """Examples of one item in a day, whatever its share; more where it has one."""

    least_choices: int | None = 5
    """Of one user, after which they teach nothing while their choices are shown to be worse than chance."""

    chance_errors: float = 2.0
    """Standard errors that show it."""

    times_its_share: float = 2.0
    """Of a day's examples, an item may have as many times its share of what was sold before, and of an even share."""

    @classmethod
    def of(cls, spec: GuardrailsSpec) -> "LimitConfig":
        """What a spec asks for."""
        return cls(
            of_user_a_day=spec.per_user_a_day,
            of_user_and_item=spec.per_user_and_item_a_day,
            of_item=spec.per_item_a_day,
        )


NO_LIMITS = LimitConfig(of_user=None, of_user_a_day=None, of_user_and_item=None, of_item=None, least_choices=None)
"""All of it may teach."""


class Limits:
    """Counts of the running windows."""

    def __init__(self, shares_I: Float32, config: LimitConfig = LimitConfig(), *, most: int = MOST):
        """
        Args:
            shares_I: Of each item, in what was sold; they sum to one.
            config: How much is allowed.
            most: See :data:`MOST`.
        """
        self.config = config
        self._most = most
        even = 1.0 / max(len(shares_I), 1)
        self._times_I = (config.times_its_share * (shares_I + even)).tolist()
        self._span, self._day = -1, -1
        self._users = Names(most=most)
        self._of_user: dict[str, int] = {}
        self._of_user_a_day: OrderedDict[str, int] = OrderedDict()
        self._of_item: dict[int, int] = {}
        self._pairs: OrderedDict[tuple[str, int], int] = OrderedDict()
        self._learned = 0

    def allow(self, example: Example, code: int, *, offset: int, now: datetime) -> bool:
        """Whether it may teach; counts it where it may.

        Args:
            example: What may be learned.
            code: Of what was wanted.
            offset: Of the record that made it known.
            now: The log's own time.
        """
        self._pass_to(offset, now)
        config, user = self.config, self._users.one(example.user)
        pair = (user, code)
        in_span, in_day = self._of_user.get(user, 0), self._of_user_a_day.get(user, 0)
        of_item, of_pair = self._of_item.get(code, 0), self._pairs.get(pair, 0)
        if config.of_user is not None and in_span >= config.of_user:
            return False
        if config.of_user_a_day is not None and in_day >= config.of_user_a_day:
            return False
        if config.of_user_and_item is not None and of_pair >= config.of_user_and_item:
            return False
        if config.of_item is not None and of_item >= config.of_item + self._times_I[code] * self._learned:
            return False
        self._of_user[user] = in_span + 1
        self._of_user_a_day[user] = in_day + 1
        self._of_item[code] = of_item + 1
        self._pairs[pair] = of_pair + 1
        if in_day:  # else they stand last already
            self._of_user_a_day.move_to_end(user)
        elif len(self._of_user_a_day) > self._most:
            self._of_user_a_day.popitem(last=False)
        if of_pair:
            self._pairs.move_to_end(pair)
        elif len(self._pairs) > self._most:
            self._pairs.popitem(last=False)
        self._learned += 1
        return True

    def forget(self, users: Collection[str]) -> None:
        """Counts nothing of these users any more."""
        for user in users:
            self._of_user.pop(user, None)
            self._of_user_a_day.pop(user, None)
        if users:
            self._pairs = OrderedDict((pair, n) for pair, n in self._pairs.items() if pair[0] not in users)

    def tables(self) -> dict[str, Table]:
        """What is counted, those first who are forgotten first."""
        return {
            "limits": {"span": [self._span], "day": [self._day], "learned": [self._learned]},
            "users_in_span": _counts("user", self._of_user),
            "users_in_day": _counts("user", self._of_user_a_day),
            "items_in_day": _counts("code", self._of_item),
            "pairs_in_day": {
                "user": [user for user, _ in self._pairs],
                "code": [code for _, code in self._pairs],
                "examples": list(self._pairs.values()),
            },
        }

    def take_up(self, tables: Mapping[str, Table]) -> None:
        """Has counted what :meth:`tables` told, and nothing else."""
        limits, pairs, name = tables["limits"], tables["pairs_in_day"], self._users.one
        self._span, self._day, self._learned = limits["span"][0], limits["day"][0], limits["learned"][0]
        self._of_user = dict(_counted("user", tables["users_in_span"]))
        self._of_user_a_day = OrderedDict((name(user), n) for user, n in _counted("user", tables["users_in_day"]))
        self._of_item = dict(_counted("code", tables["items_in_day"]))
        users = map(name, pairs["user"])
        self._pairs = OrderedDict(zip(zip(users, pairs["code"], strict=True), pairs["examples"], strict=True))

    def _pass_to(self, offset: int, now: datetime) -> None:
        span, day = offset // SPAN, now.toordinal()
        if span != self._span:
            self._span = span
            self._of_user.clear()
        if day != self._day:
            self._day, self._learned = day, 0
            self._of_user_a_day.clear()
            self._of_item.clear()
            self._pairs.clear()
            self._users.forget()


def _counts(key: str, counts: Mapping[Any, int]) -> Table:
    return {key: list(counts), "examples": list(counts.values())}


def _counted(key: str, table: Table) -> Iterable[tuple[Any, int]]:
    return zip(table[key], table["examples"], strict=True)
