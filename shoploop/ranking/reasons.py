"""Why an item is recommended, in a sentence that the shopper would recognise as true. Pure; reads no model.

Legend: N candidates, H history rows.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from shoploop.features.catalog import Catalog
from shoploop.features.distinct import distinct, is_among
from shoploop.features.history import History
from shoploop.features.item import ItemMatrix
from shoploop.features.log import Int32
from shoploop.schemas import UNLISTED

CLAIMED_CHANCE = 0.02
"""Chance that one of its later pairs is with an item, from which on the item is said to be bought after it."""

CLAIMED_WEIGHT = 0.02
"""EASE's weight between two items, how much likelier the one makes the other beside all else that was bought, from which on
they are said to be bought together."""

CHOSEN_BY_SHOP = "chosen by the shop"
"""Of an item that is where it is whatever the model thinks."""

OFTEN = 2
"""Purchases from which on a rhythm is claimed."""


Kind = Literal["own", "looked", "companion", "leader", "week", "month", "new"]


@dataclass(frozen=True, slots=True)
class Reason:
    """What is claimed, in words and as what it names."""

    kind: Kind
    """own: bought before; looked: looked at before; companion, leader: another item of the last baskets; week, month: what
    sells; new: nothing."""

    text: str
    named: int | None = None
    """Vocabulary code of the item of the history that it names."""


def reason(
    item: int,
    *,
    history: History,
    day: int,
    items: ItemMatrix,
    catalog: Catalog,
    titles: "list[str | None] | tuple[str | None, ...]",
    today: int | None = None,
    only_looked: bool = False,
    since: int | None = None,
) -> str:
    """The words of :func:`find_reason`, which see."""
    return find_reason(
        item,
        history=history,
        day=day,
        items=items,
        catalog=catalog,
        titles=titles,
        today=today,
        only_looked=only_looked,
        since=since,
    ).text


def find_reason(
    item: int,
    *,
    history: History,
    day: int,
    items: ItemMatrix,
    catalog: Catalog,
    titles: "list[str | None] | tuple[str | None, ...]",
    today: int | None = None,
    only_looked: bool = False,
    since: int | None = None,
) -> Reason:
    """The reason for one recommended item.

    Args:
        item: Vocabulary code.
        history: The user's purchases; rows from ``day`` on are ignored.
        day: That is answered for, days since 1970-01-01 (UTC).
        items: Statistics as of ``day``.
        catalog: Neighbours and followers.
        titles: By vocabulary code; None where an item has none.
        today: Day of the request, which is the one before ``day`` for who did something on it; unset, ``day``.
        only_looked: The history is what somebody looked at who never bought anything.
        since: Days since they last did of what is new, if anything: its days in the history may have moved.
    """
    history = history.before(day)
    days = history.days_H[history.items_H == item]
    last = ago(last_since(days, today=day if today is None else today, since=since)) if len(days) else ""
    if len(days) and only_looked:
        return Reason("looked", f"you looked at this {last}", item)
    if len(days) > OFTEN:
        every = max(round((int(days[-1]) - int(days[0])) / (len(days) - 1)), 1)
        return Reason("own", f"you buy this about every {in_days(every)}, last {last}", item)
    if len(days):
        times = "once" if len(days) == 1 else "twice"
        return Reason("own", f"you bought this {times}, last {last}", item)
    companion = _companion(item, history, catalog)
    if companion is not None and _is_name(titles[companion]):
        return Reason("companion", f"often bought with {titles[companion]}", companion)
    leader = _leader(item, history, catalog)
    if leader is not None and _is_name(titles[leader]):
        return Reason("leader", f"often bought after {titles[leader]}", leader)
    if items["rate_7"][item] > 1.3 * items["rate_28"][item]:
        return Reason("week", "popular this week")
    if items["purchases_28"][item] > 0:
        return Reason("month", "popular this month")
    return Reason("new", "new to you")


def outside_reason(*, sold_lately: bool) -> str:
    """The reason for an item that the model does not know: whether it sold in the last 28 days of the data, or before."""
    return "popular this month" if sold_lately else "sold well before"


def _is_name(title: str | None) -> bool:
    """Whether a shopper could know an item by it."""
    return bool(title) and not str(title).startswith(UNLISTED)


def _companion(item: int, history: History, catalog: Catalog) -> int | None:
    """The item of the last five baskets that speaks most for this one."""
    recent = recently_bought(history)
    if not len(recent):
        return None
    speaks = catalog.neighbour_weights_IM[item] * is_among(catalog.neighbours_IM[item], distinct(recent))
    best = int(speaks.argmax())
    return int(catalog.neighbours_IM[item, best]) if speaks[best] >= CLAIMED_WEIGHT else None


def _leader(item: int, history: History, catalog: Catalog) -> int | None:
    """The item of the last five baskets that this one follows most often."""
    recent = recently_bought(history)
    follows_HP = catalog.lately_IP.take(recent, 0) == item
    if not follows_HP.any():
        return None
    chances = np.where(follows_HP, catalog.lately_weights_IP.take(recent, 0), 0.0).max(axis=1)
    if chances.max() < CLAIMED_CHANCE:
        return None
    return int(recent[chances.argmax()])


def recently_bought(history: History) -> Int32:
    """The items of the last five baskets."""
    recent: Int32 = history.items_H[history.since_H < 5]
    return recent


def last_since(days: Int32, *, today: int, since: int | None) -> int:
    """Days since the last of these, ascending. Where answers are as of an earlier day than today, what is new lies earlier
    among them than it was: ``since`` says when."""
    stored = today - int(days[-1])
    return stored if since is None else min(stored, since)


def in_days(count: int) -> str:
    """How many days, in words."""
    return "day" if count == 1 else f"{count} days"


def ago(days: int) -> str:
    """How many days ago, in words."""
    return {0: "today", 1: "yesterday"}.get(days, f"{days} days ago")
