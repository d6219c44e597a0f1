"""Does virtual behaviour give a real shopper away? Attacks on it, each beside a hold-out of shoppers it never saw.

Shoppers are alike as bags of items, weighted by rarity (inverse document frequency): a shared rare item says more than
shared milk. An attack asks of a shopper: was this one among those that the generator learned from?
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.augmentation.generator.description import describe
from shoploop.augmentation.generator.records import Behaviour, Ints, Vocabulary, commonest
from shoploop.augmentation.proofs.count_attack import leaning, pairs_of
from shoploop.augmentation.proofs.fidelity import pair_keys, pair_rows
from shoploop.evaluation.metrics import auc
from shoploop.features.distinct import distinct, is_among

MEMBERSHIP_AUC = 0.55
MEMBERSHIP_AUC_UPPER = 0.60
CLOSEST_RECORD_SHARE = 0.55
SEEING = 0.80
"""AUC of a control from which on it counts that an attack finds nothing elsewhere."""

ALLOWED = {
    "membership_auc": MEMBERSHIP_AUC,
    "membership_auc_upper": MEMBERSHIP_AUC_UPPER,
    "closest_record_share": CLOSEST_RECORD_SHARE,
}
LIMITS = (
    "The attacks of this list were tried, each at the strength that its control shows, on shoppers of this shop alone; one "
    "that is not in the list may do better. Without differential privacy nothing bounds what an attack can find. "
    "The numbers of this sheet are measured on real shoppers, and no budget covers them."
)
"""What the attacks do not show, in words for whoever shares the data."""

COUNTS = "item counts"
PAIRS = "pair counts"
CONTROL_SHOPPERS = 40
"""Shoppers whom the control copies; on them every attack must succeed."""

PAIRED_ITEMS = 400
"""Of the virtual data the commonest, whose pairs are counted."""

ONE_IN_TWENTY = 1.645
"""Standard errors that one draw in twenty lies beyond."""

_BOOTSTRAPS = 1000
_COPY_ITEMS = 3  # baskets of one or two items are alike by chance

Numbers = npt.NDArray[np.float64]
Score = Callable[[Behaviour], npt.NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Privacy:
    """What the attacks found; :meth:`reasons` judges it."""

    membership_auc: float
    """Of the strongest attack; .5 is a coin."""

    membership_auc_interval: tuple[float, float]
    """95 % by bootstrap over shoppers."""

    attacks: dict[str, tuple[float, float, float]]
    """AUC and interval of each attack by name."""

    controls: dict[str, float]
    """By attack, its AUC where it must succeed: on a generator that copies a few shoppers, or on a loss that knows them by
    heart. A control near .5 would mean that the attack is blind."""

    closest_record_share: float
    """Share of virtual records that lie nearer to a record of training than to any of the hold-out; .5 is a coin."""

    neighbour_ratio: float
    """Median of nearest over second-nearest distance to the records of training; near 0, single records are copied."""

    neighbour_ratio_real: float
    """The same of the hold-out's records."""

    copies: float
    """Share of virtual baskets of three items or more that training holds exactly."""

    copies_real: float
    """The same of the hold-out's baskets: how often real shoppers fill equal baskets."""

    copies_allowed: float
    """What of virtual ones may be, were they as often equal as real ones: beyond it lies one draw in twenty."""

    k: int
    """Fewest shoppers of training who bought an item that virtual behaviour names."""

    unique_pairs: float
    """Share of its pairs of items in a basket that exactly one shopper of training ever had."""

    unique_pairs_real: float
    """The same of the hold-out's baskets."""

    shoppers: int
    """In and out of training, each, that the attack was tried on."""

    def reasons(self, *, k: int) -> list[str]:
        """Why it must not be used; empty when it may."""
        inferred = [refusal(name, found) for name, found in self.attacks.items()]
        rules = [
            (
                self.closest_record_share > CLOSEST_RECORD_SHARE,
                f"{self.closest_record_share:.1%} of virtual records lie closest to a record of training, allowed "
                f"{CLOSEST_RECORD_SHARE:.0%}",
            ),
            (
                self.copies > self.copies_allowed,
                f"{self.copies:.3%} of virtual baskets are copies, of real ones {self.copies_real:.3%}, and by chance up to "
                f"{self.copies_allowed:.3%}",
            ),
            (self.k < k, f"an item is named that only {self.k} shoppers bought, at least {k} are asked for"),
        ]
        return [reason for reason in inferred if reason] + [reason for broken, reason in rules if broken]

    def blind(self) -> list[str]:
        """Of which attacks it says little that they found nothing: each that hardly succeeds where it must."""
        return [
            f"{name} reaches {control:.3f} even on copies, where {SEEING:.2f} is asked"
            for name, control in self.controls.items()
            if control < SEEING
        ]

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"blind": self.blind(), "limits": LIMITS}

    def told(self) -> dict[str, dict[str, Any]]:
        """Every attack with its interval and its control."""
        return {
            name: {"auc": found, "interval": [low, high], "control": self.controls[name]}
            for name, (found, low, high) in self.attacks.items()
        }


def attack(
    made: Behaviour,
    real: Behaviour,
    held: Behaviour,
    vocabulary: Vocabulary,
    *,
    seed: int,
    losses: Mapping[str, Score] | None = None,
) -> Privacy:
    """Tries every attack.

    Args:
        made: Virtual records.
        real: What the generator learned from.
        held: Shoppers it never saw.
        losses: By name, how real records look to what was trained on some: the loss attacks of one who holds the generator.
    """
    random = np.random.default_rng(seed)
    users = [np.unique(side.user) for side in (real, held)]
    count = min(len(u) for u in users)
    chosen = [
        np.isin(side.user, random.choice(u, count, replace=False)) for side, u in zip((real, held), users, strict=True)
    ]
    members, others = (side.take(np.flatnonzero(c)) for side, c in zip((real, held), chosen, strict=True))
    weight = rarity(held, len(vocabulary))
    by_name = _scores(made, members, others, weight, losses or {}, random)
    attacks = {name: auc_interval(*by_user, random) for name, by_user in by_name.items()}
    worst = max(attacks.values())
    baskets = [_basket_hashes(side, len(vocabulary)) for side in (made, held, real)]
    buyers = buyers_of(real, len(vocabulary))
    ratios = _neighbours(made, members, others, weight)
    pairs = [_unique_pairs(side, real, len(vocabulary)) for side in (made, held)]
    copies = [np.isin(side, baskets[2]) for side in baskets[:2]]
    return Privacy(
        membership_auc=worst[0],
        membership_auc_interval=worst[1:],
        attacks=attacks,
        controls=_controls(members, others, vocabulary, weight, list(losses or {}), seed),
        closest_record_share=ratios[0],
        neighbour_ratio=ratios[1],
        neighbour_ratio_real=ratios[2],
        copies=float(copies[0].mean()) if len(copies[0]) else 0.0,
        copies_real=float(copies[1].mean()) if len(copies[1]) else 0.0,
        copies_allowed=_by_chance(*copies),
        k=int(buyers[distinct(made.item)].min()),
        unique_pairs=pairs[0],
        unique_pairs_real=pairs[1],
        shoppers=count,
    )


def _by_chance(made_B: npt.NDArray[np.bool_], held_B: npt.NDArray[np.bool_]) -> float:
    """Up to which share virtual baskets may be copies, where real ones are: the one-sided bound of 95 % of the difference of
    two shares (pooled, normal), on top of the real one."""
    if not (len(made_B) and len(held_B)):
        return 0.0
    share = (made_B.sum() + held_B.sum()) / (len(made_B) + len(held_B))
    error = np.sqrt(share * (1 - share) * (1 / len(made_B) + 1 / len(held_B)))
    return float(held_B.mean() + ONE_IN_TWENTY * error)


def attack_counts(
    rows: npt.NDArray[np.int64], real: Behaviour, held: Behaviour, *, seed: int
) -> tuple[float, float, float]:
    """AUC and interval of the attack on counts alone, of (V,) rows of all that is written."""
    random = np.random.default_rng((seed, 2))
    return auc_interval(*leaning(rows, real, held, random), random)


def count_auc(rows: npt.NDArray[np.int64], real: Behaviour, held: Behaviour, *, seed: int) -> float:
    """The AUC of :func:`attack_counts` alone."""
    return _auc(*leaning(rows, real, held, np.random.default_rng((seed, 2))))


def attack_pairs(rows: Ints, items: Ints, real: Behaviour, held: Behaviour, *, seed: int) -> tuple[float, float, float]:
    """The same of pairs of ``items`` in one basket, numbered as :func:`pairs_of` does."""
    random = np.random.default_rng((seed, 3))
    inside, outside = (pairs_of(side, items, drawn) for side, drawn in zip((real, held), random.spawn(2), strict=True))
    return auc_interval(*leaning(rows, inside, outside, random), random)


def refusal(name: str, found: tuple[float, float, float]) -> str | None:
    """Why what an attack has found must not be; None where it may."""
    value, low, high = found
    if value <= MEMBERSHIP_AUC and high <= MEMBERSHIP_AUC_UPPER:
        return None
    doubt = "" if low > 0.5 else "of too few shoppers it is not ruled out that "
    return (
        f"{doubt}membership can be inferred by {name}: AUC {value:.3f} [{low:.3f}, {high:.3f}], allowed "
        f"{MEMBERSHIP_AUC} with an upper end of {MEMBERSHIP_AUC_UPPER}"
    )


def _scores(
    made: Behaviour,
    members: Behaviour,
    others: Behaviour,
    weight: Numbers,
    losses: Mapping[str, Score],
    random: np.random.Generator,
) -> dict[str, tuple[Numbers, Numbers]]:
    """By attack, a score of each shopper of either side."""
    scores: dict[str, Score] = {
        "closest record": lambda side: closest(side, made, weight, baskets=False),
        "closest basket": lambda side: closest(side, made, weight, baskets=True),
        **losses,
    }
    by_user = {
        name: (best_by_user(members.user, score(members)), best_by_user(others.user, score(others)))
        for name, score in scores.items()
    }
    rows = np.bincount(made.item, minlength=len(weight))
    by_user[COUNTS] = leaning(rows, members, others, random)
    common = commonest(rows, PAIRED_ITEMS)
    virtual, inside, outside = (
        pairs_of(side, common, drawn) for side, drawn in zip((made, members, others), random.spawn(3), strict=True)
    )
    by_user[PAIRS] = leaning(np.bincount(virtual.item, minlength=len(common) ** 2), inside, outside, random)
    return by_user


def _controls(
    members: Behaviour,
    others: Behaviour,
    vocabulary: Vocabulary,
    weight: Numbers,
    losses: list[str],
    seed: int,
) -> dict[str, float]:
    """The same attacks where they must succeed: a generator that copies few of the members, and a loss that learned these
    few by heart."""
    random = np.random.default_rng((seed, 1))
    few = random.permutation(np.unique(members.user))[:CONTROL_SHOPPERS]
    copied = members.take(np.flatnonzero(np.isin(members.user, few)))
    by_heart = _known_by_heart(copied, vocabulary) if losses else None
    found = _scores(copied, copied, others, weight, {name: by_heart for name in losses if by_heart}, random)
    return {name: _auc(*by_user) for name, by_user in found.items()}


def _known_by_heart(copied: Behaviour, vocabulary: Vocabulary) -> Score:
    """A loss that is least on the copied records: how near a record comes to the nearest of them, as a table describes it."""
    from scipy.spatial import cKDTree

    popularity = np.bincount(copied.item, minlength=len(vocabulary)) / len(copied.item)
    table = np.nan_to_num(describe(copied, vocabulary, popularity))
    spread = np.maximum(table.std(0), 1e-6)
    tree = cKDTree(table / spread)
    return lambda side: -tree.query(np.nan_to_num(describe(side, vocabulary, popularity)) / spread)[0]


def _auc(members: Numbers, others: Numbers) -> float:
    found = auc(np.concatenate([members, others]), np.repeat([True, False], [len(members), len(others)]))
    assert found is not None, "there are shoppers on either side"
    return found


def auc_interval(members: Numbers, others: Numbers, random: np.random.Generator) -> tuple[float, float, float]:
    """The AUC and its interval by the bootstrap; what is drawn again and again is sorted once."""
    values, place = np.unique(np.concatenate([members, others]), return_inverse=True)
    places = np.split(place, [len(members)])

    def drawn(side: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        return np.bincount(side[random.integers(0, len(side), len(side))], minlength=len(values))

    draws = []
    for _ in range(_BOOTSTRAPS):
        above, below = drawn(places[0]), drawn(places[1])
        won = above @ (2 * np.cumsum(below) - below) / 2  # pairs, ties counting half
        draws.append(won / (len(members) * len(others)))
    low, high = np.quantile(draws, [0.025, 0.975])
    return _auc(members, others), float(low), float(high)


def _bags(behaviour: Behaviour, weight: npt.NDArray[np.float64], *, baskets: bool) -> Any:
    """Sparse rows of length 1, one per record or basket."""
    from scipy import sparse

    row = behaviour.basket if baskets else behaviour.row_record
    rows = len(behaviour.record) if baskets else behaviour.records
    table = sparse.csr_matrix((np.ones(len(row)), (row, behaviour.item)), shape=(rows, len(weight)))
    table.data[:] = 1
    table = table @ sparse.diags(weight)
    length = np.sqrt(np.asarray(table.multiply(table).sum(1)).ravel())
    return (sparse.diags(1 / np.maximum(length, 1e-12)) @ table).tocsr().astype(np.float32)


def _similarity(a: Any, b: Any) -> npt.NDArray[np.float32]:
    """Greatest and second-greatest cosine of each row of ``a`` to the rows of ``b``, (rows, 2)."""
    out = np.zeros((a.shape[0], 2), np.float32)
    across = b.T.tocsc()
    for at in range(0, a.shape[0], 512):
        block = (a[at : at + 512] @ across).toarray()
        out[at : at + 512] = -np.partition(-block, min(1, block.shape[1] - 1), axis=1)[:, :2]
    return out


def closest(
    side: Behaviour, made: Behaviour, weight: npt.NDArray[np.float64], *, baskets: bool
) -> npt.NDArray[np.float64]:
    """(records,) cosine to the closest virtual record; or the mean over a record's two best-matched baskets."""
    near = _similarity(_bags(side, weight, baskets=baskets), _bags(made, weight, baskets=baskets))[:, 0].astype(float)
    if not baskets:
        return near
    big = np.where(side.sizes >= _COPY_ITEMS, near, 0)
    order = np.lexsort((-big, side.record))
    ranked = order[side.position < 2]  # positions of the sorted order are the positions of the record
    out: npt.NDArray[np.float64] = np.bincount(side.record[ranked], big[ranked], side.records) / 2
    return out


def best_by_user(user: npt.NDArray[np.int64], score: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    _, index = np.unique(user, return_inverse=True)
    best = np.full(int(index.max()) + 1, -np.inf)
    np.maximum.at(best, index, score)
    return best


def _neighbours(
    made: Behaviour, members: Behaviour, others: Behaviour, weight: npt.NDArray[np.float64]
) -> tuple[float, float, float]:
    """Closest-record share over as many records of either side, and the two medians of the neighbour ratio."""
    count = min(members.records, others.records)
    a, b, m = (_bags(s, weight, baskets=False) for s in (members, others, made))
    to_members, to_others = _similarity(m, a[:count]), _similarity(m, b[:count])
    closer = (to_members[:, 0] > to_others[:, 0]) + 0.5 * (to_members[:, 0] == to_others[:, 0])
    between = _similarity(b[:count], a[:count])

    def ratio(near: npt.NDArray[np.float32]) -> float:
        distance = np.sqrt(np.maximum(2 - 2 * near, 0))
        return float(np.median(distance[:, 0] / np.maximum(distance[:, 1], 1e-6)))

    return float(closer.mean()), ratio(to_members), ratio(between)


def rarity(reference: Behaviour, items: int) -> npt.NDArray[np.float64]:
    """Weights from the hold-out alone: from the generator's own data they would favour its members."""
    out: npt.NDArray[np.float64] = np.log((1 + reference.records) / (1 + buyers_of(reference, items)))
    return np.maximum(out, 1e-3)


def buyers_of(behaviour: Behaviour, items: int) -> npt.NDArray[np.int64]:
    """(V,) distinct shoppers of each item."""
    users = int(behaviour.user.max(initial=0)) + 1
    return np.bincount(
        distinct(behaviour.item * users + behaviour.user[behaviour.row_record]) // users, minlength=items
    )


def _basket_hashes(behaviour: Behaviour, items: int) -> npt.NDArray[np.uint64]:
    """One number per basket of three items or more: the sum of its items' random 64-bit numbers (Zobrist 1970)."""
    names = np.random.default_rng(0).integers(0, 2**63, items, np.uint64)
    start = np.searchsorted(behaviour.basket, np.arange(len(behaviour.record)))
    hashes = np.add.reduceat(names[behaviour.item], start)
    return np.asarray(hashes[behaviour.sizes >= _COPY_ITEMS])


def _unique_pairs(side: Behaviour, real: Behaviour, items: int) -> float:
    first, second = pair_rows(real)
    low = np.minimum(real.item[first], real.item[second])
    high = np.maximum(real.item[first], real.item[second])
    users = int(real.user.max(initial=0)) + 1
    key = distinct((low * items + high) * users + real.user[real.row_record[first]]) // users
    start = np.flatnonzero(np.diff(key, prepend=-1))
    known, shoppers = key[start], np.diff(start, append=len(key))
    mine = pair_keys(side, items)
    return float(is_among(mine, known[shoppers == 1]).mean()) if len(mine) else 0.0
