"""Shopping behaviour as records: a shopper's few consecutive baskets, real or virtual, in one form.

A record is what a generator learns and what it makes; fidelity and privacy compare records with records. Everything here is
codes and numbers: names of users never come this far (see :mod:`shoploop.augmentation.generator.pseudonyms`).

Lengths: R rows (item in basket), B baskets, N records, V items of the vocabulary.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from shoploop.augmentation.generator.pseudonyms import numbered
from shoploop.errors import TooFewEvents

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

RECORD_BASKETS = 8
"""Baskets of a full record: five of history, as the cold slice has, and three to learn from."""

MIN_HISTORIES = 50
"""With fewer real histories, whatever is learned is about single shoppers."""


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The items and kinds that a generator may speak of; an item of too few buyers is not among them."""

    items: tuple[str, ...]
    category: Ints
    """(V,) code of each item's category, widest level first joined with the second."""

    categories: tuple[str, ...]
    kinds: tuple[str, ...]
    dear: Floats
    """(V,) logarithm of the price of a piece, of as many buyers as an item must have; the mean of the others where no price
    of an item is known, 0 where none of any is."""

    outside: float
    """Share of the real rows whose item had too few buyers, and which no generator sees."""

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """Records as flat arrays; rows lie basket by basket, baskets record by record, in the order of time."""

    item: Ints
    """(R,) code of the item."""

    kind: Ints
    """(R,) code of the kind of interaction."""

    basket: Ints
    """(R,) which basket the row belongs to, ascending."""

    record: Ints
    """(B,) which record the basket belongs to, ascending."""

    day: Ints
    """(B,) days since 1970-01-01."""

    minute: Ints
    """(B,) minute of the day, UTC."""

    user: Ints
    """(N,) code of the shopper; records of one shopper share it."""

    condition: Ints
    """(N,) code of segment and sparsity; -1 before :class:`~.conditions.Conditions` names it."""

    @property
    def records(self) -> int:
        return len(self.user)

    @property
    def row_record(self) -> Ints:
        """(R,) which record each row belongs to."""
        out: Ints = self.record[self.basket]
        return out

    @property
    def position(self) -> Ints:
        """(B,) place of the basket within its record, from 0."""
        first = np.searchsorted(self.record, np.arange(self.records))
        out: Ints = np.arange(len(self.record)) - first[self.record]
        return out

    @property
    def sizes(self) -> Ints:
        """(B,) items per basket."""
        return np.bincount(self.basket, minlength=len(self.record)).astype(np.int64)

    @property
    def gaps(self) -> Ints:
        """(B,) days since the basket before of the same record; -1 for the first."""
        out = np.diff(self.day, prepend=0)
        out[self.position == 0] = -1
        return out.astype(np.int64)

    @property
    def repeated(self) -> npt.NDArray[np.bool_]:
        """(R,) whether the same record held the item in an earlier basket."""
        key = self.row_record * (int(self.item.max(initial=0)) + 1) + self.item
        _, first = np.unique(key, return_index=True)
        out = np.ones(len(self.item), bool)
        out[first] = False
        return out

    def take(self, records: npt.NDArray[np.int64]) -> "Behaviour":
        """These records, in this order; one named twice comes twice."""
        start = np.searchsorted(self.record, records)
        stop = np.searchsorted(self.record, records, side="right")
        baskets, of_record = ranges(start, stop)
        rows, of_basket = ranges(np.searchsorted(self.basket, baskets), np.searchsorted(self.basket, baskets, "right"))
        return Behaviour(
            item=self.item[rows],
            kind=self.kind[rows],
            basket=of_basket,
            record=of_record,
            day=self.day[baskets],
            minute=self.minute[baskets],
            user=self.user[records],
            condition=self.condition[records],
        )

    def conditioned(self, condition: Ints) -> "Behaviour":
        return replace(self, condition=condition)

    def one_per_user(self, random: np.random.Generator, most: int | None = None) -> "Behaviour":
        """One record of each shopper, drawn at random: independent records, as the statistics need them."""
        order = random.permutation(self.records)
        _, first = np.unique(self.user[order], return_index=True)
        chosen = order[first]
        if most is not None and len(chosen) > most:
            chosen = random.choice(chosen, most, replace=False)
        return self.take(np.sort(chosen))


def ranges(start: npt.NDArray[Any], stop: npt.NDArray[Any]) -> tuple[Ints, Ints]:
    """The integers of all half-open ranges, one after the other, and which range each came from."""
    lengths = stop - start
    which = np.repeat(np.arange(len(start)), lengths)
    before = np.cumsum(lengths) - lengths
    return (np.arange(lengths.sum()) - before[which] + start[which]).astype(np.int64), which.astype(np.int64)


def concatenate(parts: list[Behaviour]) -> Behaviour:
    """One behaviour after the other; codes of users are kept as they are."""
    baskets = np.cumsum([0] + [len(p.record) for p in parts])
    records = np.cumsum([0] + [p.records for p in parts])
    return Behaviour(
        item=np.concatenate([p.item for p in parts]),
        kind=np.concatenate([p.kind for p in parts]),
        basket=np.concatenate([p.basket + n for p, n in zip(parts, baskets, strict=False)]),
        record=np.concatenate([p.record + n for p, n in zip(parts, records, strict=False)]),
        day=np.concatenate([p.day for p in parts]),
        minute=np.concatenate([p.minute for p in parts]),
        user=np.concatenate([p.user for p in parts]),
        condition=np.concatenate([p.condition for p in parts]),
    )


def commonest(rows: Ints, most: int) -> Ints:
    """(P,) codes, ascending, of the items with the most of (V,) rows."""
    return np.sort(np.argsort(-rows, kind="stable")[:most]).astype(np.int64)


def rows_of(behaviour: Behaviour, items: Ints) -> tuple[Ints, Ints]:
    """Basket of each row of these items, which are codes, ascending; and which of them it holds, from 0."""
    at = np.minimum(np.searchsorted(items, behaviour.item), len(items) - 1)
    known = items[at] == behaviour.item
    return behaviour.basket[known], at[known].astype(np.int64)


def build_vocabulary(interactions: pl.DataFrame, items: pl.DataFrame, *, min_buyers: int) -> Vocabulary:
    """The items and kinds of interaction that at least ``min_buyers`` users have: a rarer one could name who has it.

    Args:
        interactions: Canonical interactions.
        items: Canonical items.

    Raises:
        TooFewEvents: fewer than two items are left; there is no behaviour to learn in a single one.
    """
    buyers = interactions.group_by("item").agg(users=pl.col("user").n_unique(), rows=pl.len())
    kept = buyers.filter(pl.col("users") >= min_buyers).sort("item")
    if kept.height < 2:
        raise TooFewEvents(
            f"Only {kept.height} of {buyers.height} items were bought by {min_buyers} users or more, and a generator "
            "of behaviour needs two. Bring more data, or set spec.augmentation.mode to Never."
        )
    named = category_paths(kept, items)
    categories = named["category"].unique().sort()
    kinds = interactions.group_by("kind").agg(rows=pl.len(), users=pl.col("user").n_unique())
    kinds = kinds.sort(["rows", "kind"], descending=[True, False])
    return Vocabulary(
        items=tuple(named["item"]),
        category=named.select(pl.col("category").replace_strict(categories, np.arange(len(categories))))
        .to_series()
        .to_numpy()
        .astype(np.int64),
        categories=tuple(categories),
        # the commonest is what there is to speak of
        kinds=(kinds["kind"][0], *kinds[1:].filter(pl.col("users") >= min_buyers)["kind"]),
        dear=_dear(interactions, named["item"], min_buyers),
        outside=1 - int(kept["rows"].sum()) / interactions.height,
    )


def _dear(interactions: pl.DataFrame, items: pl.Series, min_buyers: int) -> Floats:
    paid = interactions.filter((pl.col("price") > 0) & (pl.col("quantity") > 0))
    each = paid.group_by("item", maintain_order=True).agg(
        each=(pl.col("price") / pl.col("quantity")).log().mean(), users=pl.col("user").n_unique()
    )
    known = each.filter(pl.col("users") >= min_buyers).select("item", "each")
    out = pl.DataFrame({"item": items}).join(known, on="item", how="left", maintain_order="left")["each"]
    middle = out.mean()
    return out.fill_null(0.0 if middle is None else middle).to_numpy().astype(np.float32)


def category_paths(chosen: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """``chosen`` with each item's category, its two widest levels joined; empty where there is none."""
    path = (
        items.select("item", category=pl.col("category").list.head(2).list.join(" / "))
        if "category" in items.columns and isinstance(items.schema["category"], pl.List)
        else items.select("item", category=pl.lit(""))
    )
    return chosen.join(path, on="item", how="left", maintain_order="left").with_columns(
        pl.col("category").fill_null("")
    )


def read_behaviour(interactions: pl.DataFrame, vocabulary: Vocabulary, *, baskets: int = RECORD_BASKETS) -> Behaviour:
    """Cuts every user's history into records of consecutive baskets, counted back from the last.

    A basket is a user's day, each item and kind in it once. The first record of a history may be short; one of a single
    basket shows no sequence and is left out.

    Args:
        interactions: Canonical interactions with pseudonymous users; nothing later than what training may see.
        baskets: Of a full record.
    """
    codes = pl.DataFrame({"item": vocabulary.items, "item_code": np.arange(len(vocabulary))})
    kinds = pl.DataFrame({"kind": vocabulary.kinds, "kind_code": np.arange(len(vocabulary.kinds))})
    time = pl.col("time").dt.convert_time_zone("UTC")
    rows = (
        numbered(interactions.select("user", "item", "time", "kind"))
        .rename({"user": "user_code"})
        .join(codes, on="item")
        .join(kinds, on="kind")
        .with_columns(
            day=time.dt.epoch("d").cast(pl.Int64),
            minute=time.dt.hour().cast(pl.Int64) * 60 + time.dt.minute().cast(pl.Int64),
        )
        .group_by("user_code", "day", "item_code", "kind_code")
        .agg(minute=pl.col("minute").min())
        .with_columns(minute=pl.col("minute").min().over("user_code", "day"))
        .with_columns(back=pl.col("day").rank("dense", descending=True).over("user_code").cast(pl.Int64) - 1)
        .with_columns(cut=pl.col("back") // baskets)
        .filter(pl.col("back").n_unique().over("user_code", "cut") > 1)
        .sort(["user_code", "cut", "day", "item_code", "kind_code"], descending=[False, True, False, False, False])
    )
    columns = {name: rows[name].to_numpy() for name in ("user_code", "cut", "day", "minute", "item_code", "kind_code")}
    new_record = _changes(columns["user_code"], columns["cut"])
    new_basket = new_record | _changes(columns["day"])
    basket_record = (np.cumsum(new_record) - 1)[new_basket]
    return Behaviour(
        item=columns["item_code"].astype(np.int64),
        kind=columns["kind_code"].astype(np.int64),
        basket=(np.cumsum(new_basket) - 1).astype(np.int64),
        record=basket_record.astype(np.int64),
        day=columns["day"][new_basket].astype(np.int64),
        minute=columns["minute"][new_basket].astype(np.int64),
        user=columns["user_code"][new_record].astype(np.int64),
        condition=np.full(int(new_record.sum()), -1, np.int64),
    )


def split_users(
    interactions: pl.DataFrame, *, share: float, random: np.random.Generator
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Divides the shoppers: whom to learn from, and a hold-out of ``share`` of them that no generator sees.

    By order of first appearance, so that the split does not depend on the key of the pseudonyms.

    Raises:
        TooFewEvents: fewer than 50 users have two baskets or more.
    """
    users = histories(interactions)
    return divided(
        interactions, users, np.sort(random.permutation(users.height)[: max(1, round(share * users.height))])
    )


def histories(interactions: pl.DataFrame) -> pl.DataFrame:
    """``user`` of those with two baskets or more, by first appearance.

    Raises:
        TooFewEvents: they are fewer than 50.
    """
    baskets = interactions.group_by("user", maintain_order=True).agg(
        days=pl.col("time").dt.convert_time_zone("UTC").dt.date().n_unique()
    )
    users = baskets.filter(pl.col("days") > 1).select("user")
    if users.height < MIN_HISTORIES:
        raise TooFewEvents(
            f"Only {users.height} users have a history of two baskets or more, and a generator needs {MIN_HISTORIES}. "
            "Bring more data, or set spec.augmentation.mode to Never."
        )
    return users


def divided(interactions: pl.DataFrame, users: pl.DataFrame, places: Ints) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of the users who are not at these places, and of those who are."""
    held = users[places]
    seen = users.join(held, on="user", how="anti", maintain_order="left")
    learn, hide = (interactions.join(side, on="user", how="semi", maintain_order="left") for side in (seen, held))
    return learn, hide


def _changes(*keys: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    out = np.zeros(len(keys[0]), bool)
    out[:1] = True
    for key in keys:
        out[1:] |= key[1:] != key[:-1]
    return out
