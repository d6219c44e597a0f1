"""Requests with their candidates, labels and features as flat arrays: what is trained and evaluated on.

It sees purchases only through histories cut at the request's day and statistics as of that day.

Legend: Q requests, R rows (a request and a candidate), K features, E events of the baskets that the Transformer reads,
L baskets, T items that were bought.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from shoploop.candidates.fetching import CandidateConfig, fetch_candidates
from shoploop.compute.threads import one_blas_thread
from shoploop.features.baskets import BasketSequence
from shoploop.features.catalog import Catalog
from shoploop.features.contract import Contract
from shoploop.features.history import bought_on, history_of
from shoploop.features.in_shop import Here, InShops
from shoploop.features.item import ItemMatrix
from shoploop.features.log import Float32, Int32, PurchaseLog
from shoploop.features.offers import Offers, OnOffer
from shoploop.features.pairs import pair_parts
from shoploop.features.shop import ShopRow
from shoploop.features.user import UserRow

Offsets = npt.NDArray[np.int64]

VIRTUAL_USER_CODES = 2**30
"""Codes of virtual users begin here, far from those of a log."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """Somebody asks on a day; what they bought on it is the label."""

    user: int
    """Code in the log."""

    day: int
    """Days since 1970-01-01 (UTC)."""

    seen: int = 0
    """Moments of that day which lie behind them, where a log is of sessions; what they buy after these is the label."""

    shop: int = -1
    """Code in the log of the shop that they say they are in; -1 where they name none."""

    @property
    def as_of(self) -> int:
        """The day before which everything of the user is known. Of items and shops it is always ``day``: what others do on
        the same day is not known, and a predictor answers one who did something today as of tomorrow."""
        return self.day + 1 if self.seen else self.day


@dataclass(frozen=True, kw_only=True)
class SampleSet:
    """Samples of Q requests, in the order of their days."""

    users_Q: Int32
    days_Q: Int32
    offsets_Q1: Offsets
    """Rows of request q are ``offsets_Q1[q]`` to ``offsets_Q1[q + 1]``, sorted by item."""

    items_R: Int32
    labels_R: npt.NDArray[np.bool_]
    sources_R: npt.NDArray[np.uint8]
    """Bits of ``candidates.fetching.SOURCES``."""

    features_RK: Float32
    truth_offsets_Q1: Offsets
    truth_T: Int32
    """Vocabulary items bought on the request's day, also those that are no candidates."""

    event_offsets_Q1: Offsets
    event_items_E: Int32
    event_baskets_E: Int32
    ages_QL: Int32
    weights_R: Float32 | None = None
    """What each row counts in the loss; None counts all alike."""

    taught_R: Float32 | None = None
    """How likely a teacher holds each row to be what is bought, 1 over a request; None where nobody was asked."""

    queries: tuple[str, ...] | None = None
    """What each request asked for in words; None where nobody asked in words."""

    shops_QL: Int32 | None = None
    """Where shops are asked for: those where the last baskets were bought, -1 where that is not known."""

    seen_Q: Int32 | None = None
    """Moments of the day that lie behind each request; None where a visit is a day."""

    def __len__(self) -> int:
        return len(self.users_Q)

    def request(self, q: int) -> Request:
        """Who asked when."""
        seen = 0 if self.seen_Q is None else int(self.seen_Q[q])
        return Request(user=int(self.users_Q[q]), day=int(self.days_Q[q]), seen=seen)

    def rows(self, request: int) -> slice:
        return slice(int(self.offsets_Q1[request]), int(self.offsets_Q1[request + 1]))

    def truth(self, request: int) -> Int32:
        return self.truth_T[self.truth_offsets_Q1[request] : self.truth_offsets_Q1[request + 1]]

    def sequence(self, request: int) -> BasketSequence:
        events = slice(int(self.event_offsets_Q1[request]), int(self.event_offsets_Q1[request + 1]))
        return BasketSequence(
            items_E=self.event_items_E[events], baskets_E=self.event_baskets_E[events], ages_L=self.ages_QL[request]
        )

    def select(self, chosen: Sequence[int] | npt.NDArray[np.integer]) -> "SampleSet":
        """The set of these requests alone."""
        chosen_Q = np.asarray(chosen, np.int64)
        rows, offsets = _gather(self.offsets_Q1, chosen_Q)
        truth, truth_offsets = _gather(self.truth_offsets_Q1, chosen_Q)
        events, event_offsets = _gather(self.event_offsets_Q1, chosen_Q)
        return replace(
            self,
            users_Q=self.users_Q[chosen_Q],
            days_Q=self.days_Q[chosen_Q],
            offsets_Q1=offsets,
            items_R=self.items_R[rows],
            labels_R=self.labels_R[rows],
            sources_R=self.sources_R[rows],
            features_RK=self.features_RK[rows],
            truth_offsets_Q1=truth_offsets,
            truth_T=self.truth_T[truth],
            event_offsets_Q1=event_offsets,
            event_items_E=self.event_items_E[events],
            event_baskets_E=self.event_baskets_E[events],
            ages_QL=self.ages_QL[chosen_Q],
            weights_R=None if self.weights_R is None else self.weights_R[rows],
            taught_R=None if self.taught_R is None else self.taught_R[rows],
            queries=None if self.queries is None else tuple(self.queries[q] for q in chosen_Q),
            shops_QL=None if self.shops_QL is None else self.shops_QL[chosen_Q],
            seen_Q=None if self.seen_Q is None else self.seen_Q[chosen_Q],
        )

    def with_candidates(self) -> "SampleSet":
        """The set of those requests that have candidates: of the others nothing can be learned."""
        some_Q = np.diff(self.offsets_Q1) > 0
        return self if some_Q.all() else self.select(np.flatnonzero(some_Q))

    @classmethod
    def of_request(
        cls,
        request: Request,
        *,
        items_N: Int32,
        labels_N: npt.NDArray[np.bool_],
        sources_N: npt.NDArray[np.uint8],
        features_NK: Float32,
        truth: Int32,
        sequence: BasketSequence,
        query: str | None = None,
    ) -> "SampleSet":
        """The set of one request."""
        return cls(
            users_Q=np.array([request.user], np.int32),
            days_Q=np.array([request.day], np.int32),
            offsets_Q1=np.array([0, len(items_N)]),
            items_R=items_N,
            labels_R=labels_N,
            sources_R=sources_N,
            features_RK=features_NK,
            truth_offsets_Q1=np.array([0, len(truth)]),
            truth_T=truth,
            event_offsets_Q1=np.array([0, len(sequence.items_E)]),
            event_items_E=sequence.items_E,
            event_baskets_E=sequence.baskets_E,
            ages_QL=sequence.ages_L[None, :],
            queries=None if query is None else (query,),
            seen_Q=np.array([request.seen], np.int32) if request.seen else None,
        )

    @classmethod
    def concat(cls, parts: Sequence["SampleSet"]) -> "SampleSet":
        """One set of several without weights and a teacher."""
        return cls(
            users_Q=np.concatenate([p.users_Q for p in parts]),
            days_Q=np.concatenate([p.days_Q for p in parts]),
            offsets_Q1=_joined([p.offsets_Q1 for p in parts]),
            items_R=np.concatenate([p.items_R for p in parts]),
            labels_R=np.concatenate([p.labels_R for p in parts]),
            sources_R=np.concatenate([p.sources_R for p in parts]),
            features_RK=np.concatenate([p.features_RK for p in parts]),
            truth_offsets_Q1=_joined([p.truth_offsets_Q1 for p in parts]),
            truth_T=np.concatenate([p.truth_T for p in parts]),
            event_offsets_Q1=_joined([p.event_offsets_Q1 for p in parts]),
            event_items_E=np.concatenate([p.event_items_E for p in parts]),
            event_baskets_E=np.concatenate([p.event_baskets_E for p in parts]),
            ages_QL=np.concatenate([p.ages_QL for p in parts]),
            queries=_all_queries(parts),
            shops_QL=_all_shops(parts),
            seen_Q=_all_seen(parts),
        )


def _all_queries(parts: Sequence[SampleSet]) -> tuple[str, ...] | None:
    words = [part.queries for part in parts if part.queries is not None]
    return tuple(query for each in words for query in each) if words else None


def _all_shops(parts: Sequence[SampleSet]) -> Int32 | None:
    shops = [part.shops_QL for part in parts if part.shops_QL is not None]
    return np.concatenate(shops) if shops else None


def _all_seen(parts: Sequence[SampleSet]) -> Int32 | None:
    if all(part.seen_Q is None for part in parts):
        return None
    return np.concatenate([np.zeros(len(p), np.int32) if p.seen_Q is None else p.seen_Q for p in parts])


def _gather(offsets: Offsets, chosen: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], Offsets]:
    lengths = offsets[chosen + 1] - offsets[chosen]
    new = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows = np.arange(new[-1]) - np.repeat(new[:-1], lengths) + np.repeat(offsets[chosen], lengths)
    return rows, new


def _joined(offsets: Sequence[Offsets]) -> Offsets:
    lengths = np.concatenate([np.diff(o) for o in offsets])
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where a request's features come from: Feast's joins in a run, the pure functions in a benchmark."""

    log: PurchaseLog
    contract: Contract
    catalogs: Callable[[int], Catalog]
    """What is known of items as of a day."""

    items: Callable[[int], ItemMatrix]
    """Statistics as of a day."""

    shops: Callable[[int], Mapping[str, ShopRow]]
    offers: Offers | None = None
    """Where the contract knows of some."""

    in_shops: Callable[[int], InShops] | None = None
    """What was bought in which shop as of a day, where requests name shops."""

    def on_offer(self, shops: Mapping[str, ShopRow]) -> Callable[[int], OnOffer | None]:
        """What is on offer on a day, with these statistics of shops."""
        return (lambda day: None) if self.offers is None else self.offers.of_shops(shops)


def assemble(
    requests: Sequence[Request],
    users: Sequence[UserRow],
    sources: Sources,
    *,
    candidates: CandidateConfig,
    negatives: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[SampleSet]:
    """Makes the samples, a thousand requests at a time, in the order of days and users.

    Args:
        requests: Each user and day once.
        users: Their statistics, one per request.
        sources: Everything else that features are made of.
        candidates: How many candidates.
        negatives: Candidates kept per request beside those that were bought, drawn at random; None keeps all.
        seed: Of that draw.
        progress: Told requests done and in all, every hundred.
    """
    order = sorted(range(len(requests)), key=lambda q: (requests[q].day, requests[q].user))
    items, catalog, day = None, None, None
    shops: dict[str, ShopRow] = {}
    on_offer, in_shops = sources.on_offer(shops), None
    for start in range(0, len(order), 1000):
        made = []
        with one_blas_thread():  # of two, one waits for the other longer than a request's product takes
            for done, q in enumerate(order[start : start + 1000], start):
                request = requests[q]
                if items is None or catalog is None or request.day != day:
                    day = request.day
                    items, catalog, shops = sources.items(day), sources.catalogs(day), dict(sources.shops(day))
                    on_offer = sources.on_offer(shops)
                    in_shops = None if sources.in_shops is None else sources.in_shops(day)
                rng = np.random.default_rng(
                    [seed, request.user, request.day, *([request.seen] if request.seen else [])]
                )
                offers = on_offer(request.as_of)
                here = None if in_shops is None else in_shops.of(request.shop)
                made.append(
                    _one(request, users[q], sources, items, catalog, shops, offers, here, candidates, negatives, rng)
                )
                if done % 100 == 99 or done + 1 == len(order):
                    progress(done + 1, len(order))
        yield SampleSet.concat(made)


def _one(
    request: Request,
    user: UserRow,
    sources: Sources,
    items: ItemMatrix,
    catalog: Catalog,
    shops: Mapping[str, ShopRow],
    offers: OnOffer | None,
    here: Here | None,
    config: CandidateConfig,
    negatives: int | None,
    rng: np.random.Generator,
) -> SampleSet:
    log = sources.log
    history = history_of(log, request.user, before=request.day, seen=request.seen)
    truth = bought_on(log, request.user, day=request.day, seen=request.seen)
    candidates = fetch_candidates(history, day=request.as_of, items=items, catalog=catalog, config=config)
    items_N, sources_N = candidates.items_N, candidates.sources_N
    labels_N = np.isin(items_N, truth)
    if negatives is not None:
        kept = drawn(labels_N, negatives, rng)
        items_N, sources_N, labels_N = items_N[kept], sources_N[kept], labels_N[kept]
    features_NK = pair_parts(
        history=history,
        candidates_N=items_N,
        day=request.as_of,
        items=items,
        catalog=catalog,
        user=user,
        shop=shops.get(user.usual_shop),
        after=candidates.after,
        habits=sources.contract.habits,
        offers=offers,
        here=here,
    ).whole(sources.contract)
    return SampleSet.of_request(
        request,
        items_N=items_N,
        labels_N=labels_N,
        sources_N=sources_N,
        features_NK=features_NK,
        truth=truth,
        sequence=BasketSequence.of(history, day=request.as_of),
    )


def drawn(labels_N: npt.NDArray[np.bool_], negatives: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Places of all that was taken, and of so many others, ascending."""
    others = rng.permutation(np.flatnonzero(~labels_N))[:negatives]
    return np.sort(np.concatenate([np.flatnonzero(labels_N), others]))
