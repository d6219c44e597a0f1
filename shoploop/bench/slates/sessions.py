"""What a session did before each slate, followed in the order of time.

Legend: Q slates, E events.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from shoploop.bench.slates.problems import CLICK, KINDS, NO_ITEM, Deeds, Slates

LONG_AGO = 20
"""Events since the list was asked for anew, at most: before there was any, it is as long ago as that."""


@dataclass
class Touched:
    """What a session did with an item."""

    kinds: list[int] = field(default_factory=lambda: [0] * len(KINDS))
    """Times, of each of :data:`KINDS`."""

    order: int = 0
    """Of the last time, among all touches of the session, from 1."""

    step: int = 0
    second: int = 0


@dataclass(frozen=True)
class Shown:
    """How an item was shown the last time, and how often it was."""

    times: int
    place: int
    price: float


@dataclass
class Session:
    """All that was done so far."""

    touched: dict[int, Touched] = field(default_factory=dict)
    """In the order of the first times."""

    shown: dict[int, Shown] = field(default_factory=dict)
    touches: int = 0
    slates: int = 0
    second: int = 0
    """Of the last event."""

    last: int = NO_ITEM
    """What was touched last."""

    in_a_row: int = 0
    """How often it was, without another between."""

    last_click: int = NO_ITEM
    touches_at_click: int = 0
    clicked_prices: list[float] = field(default_factory=list)
    by_price: bool = False
    other_order: bool = False
    since_asked: int = LONG_AGO
    """Events since the list was sorted or filtered, or something was looked for."""

    def latest(self) -> list[int]:
        """The touched items, the last first."""
        return sorted(self.touched, key=lambda item: -self.touched[item].order)

    def show(self, slates: Slates, q: int) -> None:
        """Remembers a slate."""
        self.slates += 1
        rows = slates.rows(q)
        for item, place, price in zip(
            slates.item_R[rows].tolist(), slates.place_R[rows].tolist(), slates.price_R[rows].tolist(), strict=True
        ):
            times = self.shown[item].times if item in self.shown else 0
            self.shown[item] = Shown(times + 1, place, price)

    def do(self, deeds: Deeds, e: int) -> None:
        """Remembers an event."""
        kind, item = int(deeds.kind_E[e]), int(deeds.item_E[e])
        self.second = int(deeds.second_E[e])
        self.since_asked += 1
        if item == NO_ITEM:
            if deeds.by_price_E[e] or deeds.sorted_E[e]:
                self.by_price = bool(deeds.by_price_E[e])
                self.other_order = not self.by_price
            self.since_asked = 0
            return
        self.touches += 1
        self.in_a_row = self.in_a_row + 1 if item == self.last else 1
        self.last = item
        known = self.touched.setdefault(item, Touched())
        known.kinds[kind] += 1
        known.order, known.step, known.second = self.touches, int(deeds.step_E[e]), self.second
        if kind == CLICK:
            self.last_click, self.touches_at_click = item, self.touches
            if item in self.shown:
                self.clicked_prices.append(self.shown[item].price)


@dataclass(frozen=True)
class Moment:
    """A slate is shown."""

    slate: int
    session: Session
    """As it was before; it goes on when the next moment is asked for."""

    earlier: dict[int, bool]
    """Items that the user's earlier sessions touched, and whether they clicked them."""


def moments(slates: Slates, deeds: Deeds) -> Iterator[Moment]:
    """Every slate, users one after the other, each in the order of time."""
    place = {key: q for q, key in enumerate(zip(slates.session_Q.tolist(), slates.step_Q.tolist(), strict=True))}
    user: int | None = None
    sessions: dict[int, Session] = {}
    earlier: dict[int, bool] = {}
    for e in range(len(deeds.user_E)):
        if deeds.user_E[e] != user:
            user, sessions, earlier = int(deeds.user_E[e]), {}, {}
        number = int(deeds.session_E[e])
        if number not in sessions:
            for before in sessions.values():
                for item, touched in before.touched.items():
                    earlier[item] = earlier.get(item, False) or touched.kinds[CLICK] > 0
            sessions[number] = Session(second=int(deeds.second_E[e]))
        session = sessions[number]
        q = place.pop((number, int(deeds.step_E[e])), None)
        if q is not None:
            yield Moment(q, session, earlier)
            session.show(slates, q)
        session.do(deeds, e)
