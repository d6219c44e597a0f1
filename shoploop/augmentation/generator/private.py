"""What a generator with differential privacy starts from: every statistic of shoppers, clipped and with noise.

What no budget of a shop of a few thousand covers is not used: which items go together beyond their categories, pulls of
single categories, segments of taste, prices, shops. One unit is one shopper, there or not there.

Shapes: U shoppers, B baskets, V items, C categories, D embedding, H bins.
"""

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import ndtri

from shoploop.augmentation.generator.calibration import Aim
from shoploop.augmentation.generator.choices import Choices
from shoploop.augmentation.generator.conditions import SPARSITY, Conditions
from shoploop.augmentation.generator.decoding import initial_decoder
from shoploop.augmentation.generator.embeddings import popular_column
from shoploop.augmentation.generator.encoding import (
    KNOTS,
    NUMBERS,
    SHARES,
    SIZE_CLASSES,
    Encoding,
    basket_means,
    measured_numbers,
    size_class,
)
from shoploop.augmentation.generator.foundations import Foundations
from shoploop.augmentation.generator.ledger import Ledger
from shoploop.augmentation.generator.records import (
    RECORD_BASKETS,
    Behaviour,
    Floats,
    Ints,
    Vocabulary,
    category_paths,
)
from shoploop.errors import TooFewEvents

MOST_ITEMS = 100
"""Distinct items that a shopper counts with in full; of one with more, each counts less."""

SURE = 4.0
"""Deviations of noise above k that an item's noisy buyers must be: else noise alone would name items."""

_JITTER = 0.5
"""Length, beside that of its category's vector, of what tells an item from others of its category."""

_CENTRE_NORM, _SPREAD_NORM = 1.5, 1.5
_DRAWN = 4096
_EDGES = {
    "size": np.array([*range(1, 12), 13, 16, 21, 26, 31, 41, 51, 76, 101, 151, 201]),
    "gap": np.array([*range(1, 16), 22, 29, 43, 61, 91, 181, 366]),
    "minute": np.arange(0, 1441, 30),
}
_OF_SHARE = np.array([0, 0, *np.arange(1, 10) / 10, 1, 1])
"""Edges of bins of a share: nothing and everything are bins of their own."""

Numbers = npt.NDArray[np.float64]


def private_vocabulary(
    seen: pl.DataFrame, items: pl.DataFrame, ledger: Ledger, *, min_buyers: int
) -> tuple[Vocabulary, Numbers]:
    """The catalogue's items that surely have ``min_buyers`` buyers, and (V,) noisy buyers of each.

    Raises:
        TooFewEvents: with so much noise, of fewer than two items that is sure.
    """
    listed = items.filter(pl.col("_listed")) if "_listed" in items.columns else items
    named = category_paths(listed.select(pl.col("item").unique().sort()), items).with_row_index("code")
    users = seen.select(pl.col("user").unique(maintain_order=True)).with_row_index("user_code")
    pairs = seen.select("user", "item").unique(maintain_order=True).join(named, on="item").join(users, on="user")
    norm = float(np.sqrt(min(MOST_ITEMS, named.height)))
    user = pairs["user_code"].to_numpy()
    length = np.sqrt(np.bincount(user, minlength=users.height))
    scale = np.minimum(1, norm / np.maximum(length, 1))
    buyers = ledger.noisy(
        "buyers of items",
        np.bincount(pairs["code"].to_numpy(), scale[user], named.height).astype(np.float64),
        norm=norm,
    )
    noise = norm * ledger.multiplier("buyers of items")
    kept = np.flatnonzero(buyers >= min_buyers + SURE * noise)
    if len(kept) < 2:
        raise TooFewEvents(
            f"Only {len(kept)} of {named.height} items surely have {min_buyers} buyers: the noise on their counts is "
            f"{noise:.0f} buyers wide, and {users.height} shoppers are there. Raise "
            "spec.augmentation.differentialPrivacy.epsilon, or bring more users."
        )
    chosen = named[kept]
    categories = chosen["category"].unique().sort()
    code = chosen["category"].replace_strict(categories, np.arange(len(categories)), return_dtype=pl.Int64)
    vocabulary = Vocabulary(
        items=tuple(chosen["item"]),
        category=code.to_numpy().astype(np.int64),
        categories=tuple(categories),
        dear=np.zeros(len(kept), np.float32),
        kinds=tuple(sorted(seen["kind"].unique(), key=lambda kind: (kind != "purchase", kind))),
        outside=float(np.clip(1 - buyers[kept].sum() / max(buyers.sum(), 1e-9), 0, 1)),
    )
    return vocabulary, buyers[kept]


def private_conditions(behaviour: Behaviour, vocabulary: Vocabulary, *, min_users: int) -> tuple[Conditions, Behaviour]:
    """One segment of taste, and as many baskets as a history has: a condition that only a shopper's own rows decide.

    How many shoppers have it is not told, so that none may be asked for.
    """
    conditions = Conditions(
        segments=("1 all",),
        counts=np.zeros(len(SPARSITY), np.int64),
        centres=np.zeros((1, len(vocabulary.categories)), np.float32),
        min_users=min_users,
    )
    return conditions, conditions.assign(behaviour, vocabulary)


def lay_private_foundations(
    behaviour: Behaviour,
    vocabulary: Vocabulary,
    buyers: Numbers,
    ledger: Ledger,
    choices: Choices,
    *,
    days: tuple[int, int],
    dims: int,
    seed: int,
) -> Foundations:
    """Measures with noise.

    Args:
        buyers: (V,) noisy, of :func:`private_vocabulary`.
        days: First and last of the log; known to all.
        seed: Of what is drawn by what has been told already; nothing of a shopper is chosen by it.
    """
    random = np.random.default_rng(seed)
    users, user = np.unique(behaviour.user, return_inverse=True)
    one = choices.one_each(behaviour, "record")
    categories = len(vocabulary.categories)
    shares = np.asarray(buyers / buyers.sum(), np.float32)
    embeddings = _embeddings(behaviour, user, len(users), vocabulary, shares, ledger, dims=dims, seed=seed)
    condition, baskets, known = _lengths(one, ledger, random)
    encoding = _encoding(behaviour, user, len(users), vocabulary, embeddings, known, ledger)
    aim = Aim(
        category=vocabulary.category,
        manners=embeddings[:, -1:],
        count=shares.astype(np.float64),
        rows=np.bincount(vocabulary.category, shares, categories).astype(np.float64),
        alike=None,
        by_size=None,
    )
    return Foundations(
        encoding=encoding,
        decoder=initial_decoder(vocabulary, embeddings, shares),
        aim=aim,
        shares=shares,
        condition=condition,
        baskets=baskets,
        days=_first_days(one, days, ledger, random),
        spans=None,
        first_day=days[0],
        last_day=days[1],
    )


def _embeddings(
    behaviour: Behaviour,
    user: Ints,
    users: int,
    vocabulary: Vocabulary,
    shares: Floats,
    ledger: Ledger,
    *,
    dims: int,
    seed: int,
) -> Floats:
    """(V, dims + 1): where an item's category lies by what categories shoppers have together, and a little of its own
    that is drawn and not learned."""
    categories, items = len(vocabulary.categories), len(vocabulary)
    table = np.zeros((users, categories))
    np.add.at(table, (user[behaviour.row_record], vocabulary.category[behaviour.item]), 1)
    table /= np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)
    together = ledger.noisy("categories of one shopper", table.T @ table, norm=1.0)
    together = (together + together.T) / 2
    size = np.sqrt(np.maximum(np.diag(together), 1.0))
    values, vectors = np.linalg.eigh(together / np.outer(size, size))
    order = np.argsort(-values)[1 : dims + 1]  # the first says what all have in common
    of_category = np.pad(vectors[:, order] * np.sqrt(np.maximum(values[order], 0)), ((0, 0), (0, dims - len(order))))
    random = np.random.default_rng((seed, 7))
    own = _unit(random.normal(size=(items, dims)))
    placed = _unit(_unit(of_category)[vocabulary.category] + _JITTER * own)
    return np.asarray(np.column_stack([placed, popular_column(shares)]), np.float32)


def _encoding(
    behaviour: Behaviour,
    user: Ints,
    users: int,
    vocabulary: Vocabulary,
    embeddings: Floats,
    known: float,
    ledger: Ledger,
) -> Encoding:
    of_basket = user[behaviour.record]
    per_user = np.maximum(np.bincount(of_basket, minlength=users), 1)

    def means(values: npt.NDArray[np.floating]) -> Numbers:
        out = np.zeros((users, values.shape[1]))
        np.add.at(out, of_basket, values)
        return out / per_user[:, None]

    centres = basket_means(behaviour, embeddings).astype(np.float64)
    mean = ledger.sum("mean of a basket", means(centres), norm=_CENTRE_NORM) / known
    inverse = 1 / behaviour.sizes
    square = (centres - mean) ** 2
    asked = np.column_stack([square, square * inverse[:, None], inverse, inverse**2])
    told = ledger.sum("spread of a basket", means(asked), norm=_SPREAD_NORM) / known
    dims = embeddings.shape[1]
    # Least squares of the squares on 1 and 1 / size, from its noisy normal equations; ridged, since noise may bend them.
    gram = np.array([[1, told[-2]], [told[-2], max(told[-1], told[-2] ** 2)]]) + 0.01 * np.eye(2)
    spread = np.maximum(np.linalg.solve(gram, np.stack([told[:dims], told[dims : 2 * dims]])), 1e-4)
    quantiles, shares = _numbers(behaviour, of_basket, users, vocabulary, ledger)
    gaussian = np.tile(ndtri((np.arange(KNOTS) + 0.5) / KNOTS), (dims, 1))
    return Encoding(
        embeddings=embeddings,
        category=vocabulary.category,
        mean=np.asarray(mean, np.float32),
        spread=spread.astype(np.float32),
        quantiles=np.concatenate([gaussian, quantiles]).astype(np.float32),
        by_size=np.concatenate([np.tile(gaussian[:, None], (1, SIZE_CLASSES, 1)), shares]).astype(np.float32),
    )


def _numbers(
    behaviour: Behaviour, of_basket: Ints, users: int, vocabulary: Vocabulary, ledger: Ledger
) -> tuple[Numbers, Numbers]:
    """(numbers, KNOTS) and (2, classes of size, KNOTS) quantiles, by one histogram a number in which shoppers count alike."""
    values = measured_numbers(behaviour, vocabulary.category, len(vocabulary.kinds) - 1)
    names = (*NUMBERS, *vocabulary.kinds[1:])
    later, classes = behaviour.position > 0, size_class(behaviour.sizes)
    wide = len(_OF_SHARE) - 1
    blocks: list[Numbers] = []
    for name, column in zip(names, values.T, strict=True):
        counts = later if name in ("gap", "repeat") else np.ones(len(column), bool)
        if name in _EDGES:
            edges = _EDGES[name]
            bins = np.clip(np.searchsorted(edges, column, side="right") - 1, 0, len(edges) - 2)
            blocks.append(_histogram(of_basket, bins, counts, users, len(edges) - 1))
        elif name in SHARES:
            blocks.append(
                _histogram(of_basket, classes * wide + _share_bin(column), counts, users, SIZE_CLASSES * wide)
            )
        elif name == "weekend":
            blocks.append(_histogram(of_basket, column.astype(np.int64), counts, users, 2))
        else:
            blocks.append(_histogram(of_basket, _share_bin(column), counts, users, wide))
    norm = float(np.sqrt(len(blocks)))  # each block of a shopper adds up to 1
    told = ledger.sum("numbers of a basket", np.concatenate(blocks, 1), norm=norm)
    noise = norm * ledger.multiplier("numbers of a basket")
    told = np.where(told > noise, told, 0)  # what noise alone could be is taken to be nothing
    parts = dict(zip(names, np.split(told, np.cumsum([block.shape[1] for block in blocks])[:-1]), strict=True))
    levels = (np.arange(KNOTS) + 0.5) / KNOTS
    by_size = {name: parts[name].reshape(SIZE_CLASSES, wide) for name in SHARES}
    shares = np.stack(
        [
            [_quantiles(row if row.any() else table.sum(0), _OF_SHARE, levels) for row in table]
            for table in by_size.values()
        ]
    )
    out = []
    for name in names:
        if name in _EDGES:
            out.append(np.floor(_quantiles(parts[name], _EDGES[name], levels)))
        elif name in SHARES:
            out.append(_quantiles(by_size[name].sum(0), _OF_SHARE, levels))
        elif name == "weekend":
            week, end = parts[name]
            out.append((levels >= week / max(week + end, 1e-9)).astype(np.float64))
        else:
            out.append(_quantiles(parts[name], _OF_SHARE, levels))
    return np.stack(out), shares


def _histogram(of_basket: Ints, bins: Ints, counts: npt.NDArray[np.bool_], users: int, wide: int) -> Numbers:
    """(U, wide) shares of each shopper's baskets; none of a shopper without."""
    flat = np.bincount(of_basket[counts] * wide + bins[counts], minlength=users * wide).reshape(users, wide)
    out: Numbers = flat / np.maximum(flat.sum(1, keepdims=True), 1)
    return out


def _share_bin(share: npt.NDArray[np.floating]) -> Ints:
    inner = 1 + np.clip((share * 10).astype(np.int64), 0, 9)
    return np.where(share <= 0, 0, np.where(share >= 1, len(_OF_SHARE) - 2, inner)).astype(np.int64)


def _quantiles(mass: Numbers, edges: npt.NDArray[np.floating] | Ints, levels: Numbers) -> Numbers:
    if mass.sum() <= 0:
        mass = np.ones(len(mass))
    return np.interp(levels, np.concatenate([[0], np.cumsum(mass)]) / mass.sum(), edges.astype(np.float64))


def _lengths(one: Behaviour, ledger: Ledger, random: np.random.Generator) -> tuple[Ints, Ints, float]:
    """Conditions and baskets of records drawn from their noisy table, and how many shoppers that table holds."""
    lengths = RECORD_BASKETS - 1
    baskets = np.bincount(one.record, minlength=one.records)
    cell = one.condition * lengths + baskets - 2
    table = np.bincount(cell, minlength=len(SPARSITY) * lengths).astype(np.float64)
    told = ledger.noisy("lengths of histories", table, norm=1.0)
    drawn = _draw(told, random)
    return drawn // lengths, drawn % lengths + 2, max(float(told.sum()), 1.0)


def _first_days(one: Behaviour, days: tuple[int, int], ledger: Ledger, random: np.random.Generator) -> Ints:
    first, last = days
    weeks = np.bincount((one.day[one.position == 0] - first) // 7, minlength=(last - first) // 7 + 1).astype(np.float64)
    drawn = _draw(ledger.noisy("weeks", weeks, norm=1.0), random)
    return np.sort(np.minimum(first + 7 * drawn + random.integers(7, size=len(drawn)), last))


def _draw(told: Numbers, random: np.random.Generator) -> Ints:
    mass = np.maximum(told, 0)
    share = mass / mass.sum() if mass.any() else np.full(len(mass), 1 / len(mass))
    return random.choice(len(mass), _DRAWN, p=share).astype(np.int64)


def _unit(vectors: Numbers) -> Numbers:
    out: Numbers = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return out
