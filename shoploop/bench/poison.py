"""What those who mean harm, or clocks and numbers that are wrong, can do to what is learned online, with defences on and off.

A shop is drawn: items, users and what they want, a model that was trained on it with some error, and days of its log. Into
it come the records of one per cent of the users, or of whoever the stream says. All of it is learned by the real loop, by
a real log and chain. What is told is told of the honest users. Records come every ten minutes, as from a shop that sends them
in bulk: so a day takes seconds.

Legend: I items, D width, U honest users.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from shoploop.compute.cores import one_thread
from shoploop.events.log import Entry
from shoploop.events.messages import Kept, Shown, from_json, to_json
from shoploop.events.sqlite_log import SqliteLog
from shoploop.features.log import Float32, Int32
from shoploop.online.chain import Chain
from shoploop.online.guardrails import NO_GUARD, GuardConfig
from shoploop.online.learner import LearnerConfig
from shoploop.online.limits import NO_LIMITS, LimitConfig
from shoploop.online.loop import OnlineLoop
from shoploop.ranking.asked import Asked
from shoploop.store import Store

ITEMS, WIDTH, USERS = 1_000, 16, 2_000
FARMERS = USERS // 100
DAYS = 3
BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
LIST = 10
FREE_OF_GUARDS = replace(NO_GUARD, finite=False)
UNBOUND = LearnerConfig(max_change=float("inf"), max_bias_change=float("inf"))

Timed = tuple[datetime, list[Entry]]
"""When it comes, and what."""


class Shop:
    """What is drawn once: it is also the model that the loop learns on."""

    def __init__(self, random: np.random.Generator):
        def normal(*shape: int, scale: float = 1.0) -> Float32:
            return (scale * random.standard_normal(shape)).astype(np.float32)

        self.wanted_ID, self.wanted_I = normal(ITEMS, WIDTH, scale=0.4), normal(ITEMS)
        self._items = (self.wanted_ID + normal(ITEMS, WIDTH, scale=0.15), self.wanted_I + normal(ITEMS, scale=0.3))
        self.states_UD = normal(USERS, WIDTH)
        self.wants_UI = _softmax(self.states_UD @ self.wanted_ID.T + self.wanted_I)
        self.known_items = tuple(f"i{code}" for code in range(ITEMS))
        place = np.argsort(-self.wants_UI.mean(axis=0))
        self.target = int(place[ITEMS // 2])
        """What is pushed: neither liked nor disliked."""

        self._others = {f"farmer {number}": normal(WIDTH) for number in range(FARMERS)}

    def items(self) -> tuple[Float32, Float32]:
        return self._items

    def shares(self) -> Float32:
        """As they sold."""
        shares_I: Float32 = self.wants_UI.mean(axis=0)
        return shares_I

    def user_states(self) -> "Shop":
        return self

    def of(self, asked: Sequence[Asked]) -> Float32:
        """Of a user who is said to be broken NaN, of one who is new nothing."""
        return np.stack([self._state(each.user) for each in asked])

    def _state(self, user: str) -> Float32:
        if user.startswith("u"):
            own_D: Float32 = self.states_UD[int(user[1:])]
            return own_D
        if user.startswith("broken"):
            return np.full(WIDTH, np.nan, np.float32)
        return self._others.get(user, np.zeros(WIDTH, np.float32))

    def ndcg(self, vectors_ID: Float32, bias_I: Float32) -> float:
        """Of the first ten, expected over what honest users want."""
        place_UI = _places(self.states_UD @ vectors_ID.T + bias_I)
        gain_UI = np.where(place_UI < LIST, 1 / np.log2(place_UI + 2), 0.0)
        return float((self.wants_UI * gain_UI).sum(axis=1).mean())

    def places(self, vectors_ID: Float32, bias_I: Float32) -> Float32:
        """Mean place of each item among honest users, 0 for the first, (I,)."""
        places_I: Float32 = _places(self.states_UD @ vectors_ID.T + bias_I).mean(axis=0)
        return places_I


def honest(shop: Shop, random: np.random.Generator, events: int) -> Iterator[Timed]:
    """Purchases, and answers with a click on what is wanted most of them."""
    vectors_ID, bias_I = shop.items()
    for number in range(events):
        when, user = _in_bulk(BEGIN + timedelta(days=DAYS) * (number / events)), int(random.integers(USERS))
        if random.random() < 0.4:
            item = int(random.choice(ITEMS, p=shop.wants_UI[user]))
            yield when, [_did(f"h{number}", f"u{user}", item, when)]
            continue
        best = np.argsort(-(vectors_ID @ shop.states_UD[user] + bias_I))[: LIST // 2]
        shown = np.unique(np.append(best, random.integers(0, ITEMS, LIST // 2)))
        wants = shop.wants_UI[user][shown]
        item = int(random.choice(shown, p=wants / wants.sum()))
        yield when, _clicked(f"h{number}", f"u{user}", shown.tolist(), item, when)


Draw = Callable[[Shop, np.random.Generator, int], Iterator[Timed]]
"""One way of doing harm."""


def click_farm(shop: Shop, random: np.random.Generator, events: int) -> Iterator[Timed]:
    """One per cent of the users buy and click one item, again and again."""
    for number in range(events):
        when, user = _some_time(random), f"farmer {number % FARMERS}"
        if number % 2:
            yield when, [_did(f"a{number}", user, shop.target, when)]
        else:
            shown = np.unique(np.append(random.integers(0, ITEMS, LIST - 1), shop.target))
            yield when, _clicked(f"a{number}", user, shown.tolist(), shop.target, when)


def label_flips(shop: Shop, random: np.random.Generator, events: int) -> Iterator[Timed]:
    """One per cent of the users click what they want least of what they are shown."""
    for number in range(events):
        when, user = _some_time(random), number % FARMERS
        shown = np.unique(random.choice(ITEMS, LIST, p=shop.wants_UI[user]))
        yield (
            when,
            _clicked(f"a{number}", f"u{user}", shown.tolist(), int(shown[shop.wants_UI[user][shown].argmin()]), when),
        )


def nan_features(shop: Shop, random: np.random.Generator, events: int) -> Iterator[Timed]:
    """Users whose features are NaN, and records whose numbers are."""
    for number in range(events):
        when, item = _some_time(random), int(random.integers(ITEMS))
        [entry] = [_did(f"a{number}", f"broken {number % FARMERS}", item, when)]
        yield when, [entry if number % 2 else Entry(entry.id, entry.body[:-1] + b',"quantity":NaN,"price":-Infinity}')]


def time_travel(shop: Shop, random: np.random.Generator, events: int) -> Iterator[Timed]:
    """The same farm behind a clock that jumps by years: so that no window holds what they do together."""
    for number in range(events):
        when = _some_time(random)
        told = when + timedelta(days=int(random.integers(-3650, 3650)), hours=int(random.integers(24)))
        yield when, [_did(f"a{number}", f"farmer {number % FARMERS}", shop.target, told)]


def flood(shop: Shop, random: np.random.Generator, events: int) -> Iterator[Timed]:
    """All of it within an hour, each by a user of its own whom nobody has seen."""
    first = BEGIN + timedelta(days=DAYS) / 2
    for number in range(events):
        when = _in_bulk(first + timedelta(hours=1) * (number / events))
        yield when, [_did(f"a{number}", f"stranger {number}", shop.target, when)]


STREAMS: dict[str, Draw] = {
    "click_farm": click_farm,
    "label_flips": label_flips,
    "nan_features": nan_features,
    "time_travel": time_travel,
    "flood": flood,
}


def run(
    *, events: int = 6_000, attacks: int = 6_000, seed: int = 0, say: Callable[[str], None] = lambda what: None
) -> dict[str, Any]:
    """Learns an honest log, and the same with each stream in it, with the defences on and off.

    Args:
        events: Of honest users.
        attacks: Of each stream.
        seed: Of all that is drawn.
        say: Told what is being done.

    Returns:
        By stream: ``blocked``, the part of its events that taught nothing; ``rank_gain``, by how many places of 1,000 what it
        says is wanted stands higher for honest users than without the stream, on average;
        ``rank_gain_undefended``; and ``ndcg_change`` and ``ndcg_change_undefended`` of honest users, as parts of what it is
        without the stream.
    """
    shop = Shop(np.random.default_rng(seed))
    say("nobody means harm")
    calm = {
        defended: _learned(shop, _log(shop, None, events, 0, seed), defended=defended) for defended in (True, False)
    }
    found: dict[str, Any] = {}
    for name, draw in STREAMS.items():
        facts: dict[str, Any] = {}
        pushed_I = _pushed(draw, shop, attacks, seed)
        for defended in (True, False):
            say(f"{name}, defences {'on' if defended else 'off'}")
            vectors_ID, bias_I, taught = _learned(shop, _log(shop, draw, events, attacks, seed), defended=defended)
            before, suffix = calm[defended], "" if defended else "_undefended"
            gains_I = shop.places(*before[:2]) - shop.places(vectors_ID, bias_I)
            facts[f"rank_gain{suffix}"] = float(gains_I @ pushed_I)
            facts[f"ndcg_change{suffix}"] = shop.ndcg(vectors_ID, bias_I) / shop.ndcg(*before[:2]) - 1
            if defended:
                facts["blocked"] = 1 - min(max(taught - before[2], 0) / attacks, 1.0)
        found[name] = facts
    trained, learned = shop.items(), calm[True]
    found["nobody"] = {
        "ndcg_trained": shop.ndcg(*trained),
        "ndcg": shop.ndcg(*learned[:2]),
        "ndcg_undefended": shop.ndcg(*calm[False][:2]),
        "learned": learned[2],
        "events": events,
    }
    return found


def _pushed(draw: Draw, shop: Shop, attacks: int, seed: int) -> Float32:
    """Each item's part of what a stream says is wanted, (I,)."""
    counts_I = np.zeros(ITEMS)
    for _, entries in draw(shop, np.random.default_rng([seed, 2]), attacks):
        message = from_json(entries[-1].body)
        assert isinstance(message, Kept) and message.item is not None
        counts_I[int(message.item[1:])] += 1
    shares_I: Float32 = counts_I / counts_I.sum()
    return shares_I


def _log(shop: Shop, draw: Draw | None, events: int, attacks: int, seed: int) -> list[Entry]:
    """All records in the order in which they come; the honest ones are the same whatever comes with them."""
    timed = list(honest(shop, np.random.default_rng([seed, 1]), events))
    if draw is not None:
        timed += draw(shop, np.random.default_rng([seed, 2]), attacks)
    return [entry for _, entries in sorted(timed, key=lambda each: each[0]) for entry in entries]


def _learned(shop: Shop, entries: list[Entry], *, defended: bool) -> tuple[Float32, Float32, int]:
    """What is served in the end, and how many examples taught it."""
    with tempfile.TemporaryDirectory(prefix="shoploop-bench-") as folder, SqliteLog(Path(folder) / "log") as log:
        log.append(entries)
        loop = OnlineLoop(
            ranker=shop,
            log=log,
            chain=Chain(Store(str(Path(folder) / "store")), "bench", "drawn"),
            learner=LearnerConfig() if defended else UNBOUND,
            guard=GuardConfig() if defended else FREE_OF_GUARDS,
            limits=LimitConfig() if defended else NO_LIMITS,
        )
        with one_thread(), np.errstate(all="ignore"):
            while loop.step():
                pass
            loop.publish()
        chain = Chain(Store(str(Path(folder) / "store")), "bench", "drawn")
        chain.refresh()
        state = chain.state()
        vectors_ID, bias_I = (array.copy() for array in shop.items())
        vectors_ID[state.rows.codes_N], bias_I[state.rows.codes_N] = state.rows.vectors_ND, state.rows.bias_N
        return vectors_ID, bias_I, state.totals.examples


def _did(id: str, user: str, item: int, when: datetime) -> Entry:
    kept = Kept(source="organic", kind="purchase", user=user, item=f"i{item}", time=when, received=when)
    return Entry(id, to_json(kept))


def _clicked(id: str, user: str, shown: list[int], item: int, when: datetime) -> list[Entry]:
    answer = Shown(
        request_id=id, user=user, version="drawn", surface="items", method="fused", as_of=when.date().isoformat(), time=when,
        items=[f"i{code}" for code in shown], scores=[0.0] * len(shown), propensities=[1.0] * len(shown),
    )  # fmt: skip
    click = Kept(
        source="attributed", kind="click", user=user, item=f"i{item}", time=when, received=when, request_id=id
    )  # fmt: skip
    return [Entry(f"{id} shown", to_json(answer)), Entry(f"{id} click", to_json(click))]


def _some_time(random: np.random.Generator) -> datetime:
    return _in_bulk(BEGIN + timedelta(days=DAYS) * float(random.random()))


def _in_bulk(when: datetime) -> datetime:
    return when - timedelta(minutes=when.minute % 10, seconds=when.second, microseconds=when.microsecond)


def _softmax(logits_UI: Float32) -> Float32:
    powers_UI = np.exp(logits_UI.astype(np.float64))
    shares_UI: Float32 = powers_UI / powers_UI.sum(axis=1, keepdims=True)
    return shares_UI


def _places(logits_UI: Float32) -> Int32:
    """Place of each item, 0 for the first; what is NaN comes last."""
    order_UI = np.argsort(-logits_UI, axis=1, kind="stable")
    place_UI = np.empty_like(order_UI)
    np.put_along_axis(place_UI, order_UI, np.arange(ITEMS)[None].repeat(len(order_UI), 0), axis=1)
    return place_UI.astype(np.int32)
