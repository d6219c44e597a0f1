"""The one shop that tests share, small enough to see every answer in.

**Items.** Twelve: six sweet ones (apples, bread, cake, honey, jam, milk) and six salty ones (nuts, olives, rice, salt, soap,
tea). An item's code is its place in this list, from 0, which is in the order of the alphabet. Apples cost 1.00 and each next
item 0.50 more: bread 1.50, milk 3.50. Salt has no title.

**Shoppers.** Fifteen: ann, bob, cid, dora, eve, ... oda, numbered from 0. Even numbers like sweet things and go to the shop
south, odd ones like salty things and go to the shop north. Ann (0), dora (3), ... come on days 0, 3, 6, ..., bob (1), eve
(4), ... on days 1, 4, 7, ..., cid (2), fay (5), ... on days 2, 5, 8, ..., at noon, for sixty days: twenty visits each.

- At every visit they buy the item of their own. Of each taste, the first shopper's is the last item, the second's the one
  before it and so on, but nobody's is the first: ann milk, bob tea, cid jam, dora soap, eve honey, fay salt, gus cake, ...
- At every second visit, beginning with the first, they also buy the first item of their taste: apples or nuts.

One piece on even days, two on odd ones. So:

==================  ===========================================================================================
ann has bought      milk on 20 days and apples on 10, nothing else; she comes every 3 days, last on day 57
bob has bought      tea on 20 days and nuts on 10, nothing else
most are bought     apples, by 8 shoppers on 10 days each: 80; then nuts, 7 x 10 = 70; no other more than 40
the north buys      nuts most, then the other salty things, and nothing sweet
day 60              is the one served on: ann was last there 3 days ago
days 53 to 59       are evaluated on, and every shopper comes; the 21 days before are learned from
==================  ===========================================================================================

A test that needs something else changes a parameter: more shoppers, other days, more items of both tastes; ``drawn``, with
which nobody has habits and what each visit buys is drawn from the taste; ``every``, with which visits come by chance.
``shop.samples`` has the shop as sample sets and as folders of a run, ``shop.stored`` as a feature store, and
``shop.serving`` as a trained version and a ranker.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache

import numpy as np
import polars as pl

from shoploop.api.v1alpha1 import TrainingSpec
from shoploop.data.splits import TimeSplit
from shoploop.features.catalog import Catalog, CatalogConfig
from shoploop.features.catalogs import Catalogs, fit_catalogs
from shoploop.features.log import PurchaseLog, Vocabulary, purchases
from shoploop.schemas import ITEMS as ITEMS_TABLE

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST = 20_000
"""The shop's day 0, in days since 1970-01-01."""

SWEET = ("apples", "bread", "cake", "honey", "jam", "milk")
SALTY = ("nuts", "olives", "rice", "salt", "soap", "tea")
PEOPLE = "ann bob cid dora eve fay gus hal ida jon kim lea max ned oda".split()
TIERS = {"ann": "gold", "bob": "silver"}

TRAINING = TrainingSpec(evaluation_days=7, training_days=21, epochs=1)


@dataclass(frozen=True, kw_only=True)
class Shop:
    """The shop, or one like it."""

    users: int = 15
    days: int = 60
    items: int = 12
    """Half of them sweet. Those above six of a taste are muffin-06, muffin-07, ... and wurst-26, wurst-27, ..."""

    drawn: int | None = None
    """Nobody has habits: so many different items of the taste are drawn for each visit."""

    every: float | None = None
    """Visits come by chance, one in so many days, after noon; of what is drawn, the first of a taste are bought most."""

    once: bool = False
    """Everybody comes by chance on one day alone."""

    seed: int = 0
    """Of what is drawn."""

    @property
    def names(self) -> tuple[str, ...]:
        """The items, each at its code."""
        half = self.items // 2
        more = range(len(SWEET), half)
        salty = [*SALTY, *(f"wurst-{half + n:02}" for n in more)]
        return (*[*SWEET, *(f"muffin-{n:02}" for n in more)][:half], *salty[:half])

    @property
    def titles(self) -> tuple[str | None, ...]:
        return tuple(
            None if name == "salt" else name.replace("-0", "-").replace("-", " ").title() for name in self.names
        )

    @property
    def people(self) -> tuple[str, ...]:
        """The shoppers, each at their number, which is their code in the log as well."""
        return tuple(PEOPLE[: self.users]) + tuple(f"u{n:03}" for n in range(len(PEOPLE), self.users))

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(self.names)

    @property
    def split(self) -> TimeSplit:
        return TimeSplit.of(FIRST + self.days - 1, TRAINING)

    @property
    def serving_day(self) -> date:
        """The day after the last."""
        return day(self.days).date()

    def interactions(self) -> pl.DataFrame:
        """The canonical table, in the order of shoppers."""
        names, half = self.names, self.items // 2
        random = np.random.default_rng(self.seed)
        by_chance = self.once or self.every is not None
        liking = np.arange(half, 0, -1) / (half * (half + 1) / 2) if by_chance else None
        rows: list[tuple[object, ...]] = []
        for number, user in enumerate(self.people):
            taste = names[:half] if number % 2 == 0 else names[half:]
            own = taste[-1 - number // 2 % (half - 1)]
            shop = "south" if number % 2 == 0 else "north"
            for visit, on in enumerate(self._days_of(number, random)):
                minute = int(random.integers(700)) if by_chance else 0
                if self.drawn is not None:
                    bought = [taste[n] for n in random.choice(half, self.drawn, replace=False, p=liking)]
                else:
                    bought = [own] if visit % 2 else [own, taste[0]]
                about = (day(on) + timedelta(minutes=minute), "purchase", 1.0 + on % 2)
                rows += [(user, item, *about, price(names.index(item)), shop, f"{user}-{on}") for item in bought]
        schema = {"user": pl.String, "item": pl.String, "time": pl.Datetime("us", "UTC"), "kind": pl.String}
        schema |= {"quantity": pl.Float64, "price": pl.Float64, "shop": pl.String, "basket": pl.String}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def _days_of(self, number: int, random: np.random.Generator) -> Sequence[int]:
        if self.once:
            return [int(random.integers(self.days))]
        if self.every is not None:
            return np.flatnonzero(random.random(self.days) < 1 / self.every).tolist()
        return range(number % 3, self.days, 3)

    def described(self) -> pl.DataFrame:
        """The canonical table of items."""
        tastes = [["food", "sweet" if code < self.items // 2 else "salty"] for code in range(self.items)]
        rows = [
            (name, title, taste, None, price(code), None)
            for code, (name, title, taste) in enumerate(zip(self.names, self.titles, tastes, strict=True))
        ]
        return pl.DataFrame(rows, schema=pl.from_arrow(ITEMS_TABLE.schema.empty_table()).schema, orient="row")

    def tables(self) -> dict[str, pl.DataFrame]:
        """All canonical tables."""
        return {
            "interactions": self.interactions().sort("time", maintain_order=True),
            "items": self.described(),
            "users": pl.DataFrame({"user": self.people, "tier": [TIERS.get(name) for name in self.people]}),
            "shops": pl.DataFrame({"shop": ["north", "south"], "title": ["North", "South"]}),
        }

    def log(self) -> PurchaseLog:
        return _log(self)

    def catalog(self) -> Catalog:
        """Of what was bought before the days to learn from."""
        return self.catalogs().training

    def catalogs(self) -> Catalogs:
        """By the days of a run."""
        return _catalogs(self)

    def codes(self, item: str = "item") -> pl.Expr:
        """The codes of the items in a column."""
        return pl.col(item).replace_strict({name: code for code, name in enumerate(self.names)}, return_dtype=pl.Int32)

    def numbers(self, user: str = "user") -> pl.Expr:
        """The numbers of the shoppers in a column."""
        return pl.col(user).replace_strict(
            {name: number for number, name in enumerate(self.people)}, return_dtype=pl.Int32
        )


def two_tastes(users: int) -> Shop:
    """The shop for generators of behaviour: 16 visits, for each of which four of twenty items of a taste are drawn."""
    return Shop(users=users, days=48, items=40, drawn=4)


def day(after: int) -> datetime:
    """Noon of a day, counted from the first."""
    return EPOCH + timedelta(days=FIRST + after, hours=12)


def price(code: int) -> float:
    return 1 + code / 2


@cache
def _log(shop: Shop) -> PurchaseLog:
    return PurchaseLog.of(purchases(shop.interactions()), shop.vocabulary)


@cache
def _catalogs(shop: Shop) -> Catalogs:
    split = shop.split
    return fit_catalogs(
        _log(shop),
        shop.described(),
        training_first=split.training_first,
        evaluation_first=split.evaluation_first,
        last=split.last,
        config=CatalogConfig(factors=4, neighbours=3),
    )
