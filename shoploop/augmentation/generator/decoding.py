"""From vectors to items: herding with a softmax, the sampled form of nearest-item decoding.

A vector asks for a basket's size, how much of it is bought again, how much is of one category, and the mean of its items'
embeddings. Items are drawn one after the other, each near to what is still missing from that mean (Welling 2009,
Herding), so that a basket of ten items is ten different items and not ten times the nearest. A draw takes two looks: at
groups of alike items of one category, then at the items of the group.

Shapes: N records, T baskets, V items, G groups, S most items of a group, D embedding, M manners, P common items.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.augmentation.generator.encoding import SIZE_CLASSES, Encoding, size_class
from shoploop.augmentation.generator.records import Behaviour, Floats, Ints, Vocabulary
from shoploop.augmentation.generator.weekdays import WEEK, shifted
from shoploop.features.distinct import distinct

_CHUNK = 256  # records at a time
_THREADS = 2
_GROUP = 64  # most items of a group
_CROWDS = np.array([1, 4, 16, _GROUP])  # sizes of groups that are looked at together
_FOCUS = np.array([0.02, 0.07, 0.15, 0.3, 0.6])
"""Least focus of each further class."""


@dataclass(frozen=True, kw_only=True)
class Decoder:
    """How items are chosen for a basket; the numbers are aggregates over all shoppers."""

    groups: Ints
    """(G, S) items of each group, -1 where it has fewer."""

    group_category: Ints
    """(G,) the one category of the group's items."""

    log_popularity: Floats
    """(V,) log share of rows, corrected by :func:`~shoploop.augmentation.generator.calibration.calibrate`."""

    clump: Floats
    """(categories,) pull of a category's items already in the basket: yogurts come in sixes. Corrected likewise."""

    cling: Floats
    """(categories,) pull of a category's items in the record's earlier baskets: nappies come every week."""

    pull: Floats
    """(classes of size, classes of focus) of the items of any category already in the basket, by the focus that is asked
    for: one basket is of a dozen categories, the next of cat food. Corrected likewise."""

    tilt: Floats
    """(classes of size, M) further pull to popular items, to dear ones, to those of large baskets: what is fetched alone is
    rarer than what fills a trolley, and the mean of few embeddings is too vague to say so. Corrected likewise."""

    fit: Floats
    """(classes of size, categories) pull of a category in a basket of about a size: fuel is fetched alone, and with a drink,
    and not with half a trolley. Corrected likewise."""

    common: Ints
    """(P,) items, ascending, each a group of its own."""

    together: Floats
    """(P, P) pull of a common item already in the basket on another. Corrected likewise."""

    weekdays: Floats
    """(W,) of :func:`~.weekdays.log_shares`; all alike where they may not be told."""

    sharpness: float = 24.0
    """Inverse temperature of the choice; infinity is the nearest item, 0 is popularity."""

    looks: int = 8
    """Most looks at what is missing from a basket: in a larger one several items are drawn at a look."""

    loyalty: float = 1.0
    """Exponent of how often a shopper bought an item before, when one is bought again."""

    def decode(
        self, encoding: Encoding, vectors: Floats, mask: Floats, condition: Ints, first_day: Ints, seed: int
    ) -> tuple[Behaviour, Floats]:
        """Draws the rows that the vectors ask for; a basket without any is left out.

        Args:
            vectors: (N, T, F).
            mask: (N, T); 1 where the record has a basket.
            first_day: (N,) day of each record's first basket; moved by up to three days to weekdays that suit the record.

        Returns:
            The records, and (B,) the focus that was asked of each basket.
        """

        def chunk(at: int) -> Ints:
            part = slice(at, at + _CHUNK)
            random = np.random.default_rng((seed, at))
            filled = _Basketeer(self, encoding, vectors[part], mask[part] > 0, random).fill()
            return np.asarray(filled + np.array([at, 0, 0, 0]), np.int64)

        # numpy lets go of the interpreter's lock in what takes the time here; each chunk has its own random numbers.
        with ThreadPoolExecutor(_THREADS) as pool:
            rows = np.concatenate(list(pool.map(chunk, range(0, len(vectors), _CHUNK))))
        flat = rows[:, 0] * mask.shape[1] + rows[:, 1]
        baskets = distinct(flat)
        record, position = np.divmod(baskets, mask.shape[1])
        gaps = np.maximum(encoding.number(vectors, "gap"), 1).astype(np.int64)
        gaps[:, 0] = 0
        day = shifted(
            first_day[:, None] + np.cumsum(gaps, 1),
            encoding.number(vectors, "weekend") > 0.5,
            mask,
            self.weekdays,
            np.random.default_rng((seed, 1)),  # no chunk begins at 1
        )
        order = np.lexsort((rows[:, 2], flat))
        made = Behaviour(
            item=rows[order, 2],
            kind=rows[order, 3],
            basket=np.searchsorted(baskets, flat[order]),
            record=record,
            day=day[record, position],
            minute=np.clip(encoding.number(vectors, "minute"), 0, 1439).astype(np.int64)[record, position],
            user=np.arange(len(vectors)),
            condition=condition,
        )
        return made, encoding.number(vectors, "focus")[record, position]


class _Basketeer:
    """Fills the baskets of one chunk of records, one after the other."""

    def __init__(
        self,
        decoder: Decoder,
        encoding: Encoding,
        vectors: Floats,
        mask: npt.NDArray[np.bool_],
        random: np.random.Generator,
    ):
        self.decoder, self.embeddings, self.random = decoder, encoding.embeddings, random
        items = len(decoder.log_popularity)
        self.centres = encoding.centres(vectors)
        self.sizes = np.clip(encoding.number(vectors, "size"), 1, max(1, items // 2)).astype(np.int64) * mask
        self.repeat = encoding.number(vectors, "repeat")
        self.repeat[:, 0] = 0
        self.kinds = encoding.kind_shares(vectors)
        self.of_size = size_class(self.sizes)
        self.tilt = decoder.tilt[self.of_size]  # (N, T, M)
        self.pull = decoder.pull[pull_classes(self.sizes, encoding.number(vectors, "focus"))]
        filled = decoder.groups >= 0
        self.centroids = (self.embeddings[decoder.groups] * filled[..., None]).sum(1) / filled.sum(1)[:, None]
        popularity = np.where(filled, np.exp(decoder.log_popularity[decoder.groups]), 0)
        self.group_popularity = np.log(popularity.sum(1)).astype(np.float32)
        records = len(vectors)
        self.bought = np.zeros((records, items), np.uint8)
        self.before = np.zeros((records, len(decoder.clump)), np.int64)
        self.owned = np.zeros((records, items), bool)  # in this basket or an earlier one
        self.gone = np.zeros((records, len(decoder.common)), bool)  # the same of common items
        self.category = np.empty(items, np.int64)
        self.category[decoder.groups[filled]] = np.repeat(decoder.group_category, filled.sum(1))
        self.column = np.full(items, -1)
        self.column[decoder.common] = np.arange(len(decoder.common))
        # rows of a category so far: an item may come again in each basket
        self.log1p = np.log1p(np.arange(self.sizes.shape[1] * items + 1, dtype=np.float32))
        self.crowds = _crowds(filled.sum(1))

    def fill(self) -> Ints:
        """(R, 4): record of the chunk, basket, item, kind."""
        return np.concatenate([self._basket(t) for t in range(self.sizes.shape[1])]).astype(np.int64)

    def _basket(self, t: int) -> Ints:
        sizes = self.sizes[:, t]
        again = np.floor(sizes * self.repeat[:, t] + self.random.random(len(sizes))).astype(np.int64)
        held = (self.bought > 0).sum(1)
        again = np.maximum(again, sizes - (self.bought.shape[1] - held))  # what nothing new is left for
        again = np.minimum(again, np.minimum(sizes, held))
        # What has been chosen is missing from the mean at the mean's own scale: size × mean - sum of the chosen.
        self.missing = self.centres[:, t] * sizes[:, None]
        self.left = sizes.copy()
        self.here = np.zeros(self.bought.shape, bool)
        self.held = np.zeros(self.before.shape, np.int64)
        self.drawn_to = np.zeros((len(sizes), len(self.decoder.common)), np.float32)
        self.together, self.popular = self.pull[:, t], self.tilt[:, t]
        # What stays while the basket fills: reckoned once, and not at each look.
        self.fit = self.decoder.fit[self.of_size[:, t]]
        lasting = self.decoder.cling * self.log1p[self.before] + self.fit
        self.lasting = np.take(lasting, self.decoder.group_category, axis=1) + self.group_popularity
        self.past = np.nonzero(self.owned)
        rows = [self._draw(self._past, again), self._draw(self._new, sizes - again)]
        self.bought += self.here
        self.before += self.held
        record, item = np.concatenate(rows, 1)
        kind = _draw_kinds(self.kinds[record, t], self.random)
        return np.stack([record, np.full(len(record), t), item, kind], 1)

    def _draw(self, choose: Any, wanted: Ints) -> Ints:
        """(2, rows) records and items: ``wanted`` items per record, or fewer where there are no more."""
        due, at_once = wanted.copy(), -(-wanted // self.decoder.looks)
        out = [np.zeros((2, 0), np.int64)]
        for _ in range(3 * self.decoder.looks):
            if not due.any():
                break
            active = np.flatnonzero(due)
            draws = np.minimum(at_once, due)[active]
            pull = self.missing[active] * (self.decoder.sharpness / np.maximum(self.left[active, None], 1))
            pull[:, -self.popular.shape[1] :] += self.popular[active]
            row, item = choose(active, pull.astype(np.float32), draws)
            pairs = distinct(active[row] * len(self.category) + item)  # drawn twice at a look counts once
            record, item = np.divmod(pairs, len(self.category))
            self.here[record, item] = self.owned[record, item] = True
            wide = self.held.shape[1]
            self.held += np.bincount(record * wide + self.category[item], minlength=self.held.size).reshape(-1, wide)
            drawn = np.bincount(record, minlength=len(due))
            _add_by_record(self.missing, record, -self.embeddings[item])
            common = self.column[item] >= 0
            whose, column = record[common], self.column[item[common]]
            self.gone[whose, column] = True
            _add_by_record(self.drawn_to, whose, self.decoder.together[column])
            self.left -= drawn
            due -= drawn
            out.append(np.stack([record, item]))
        return np.concatenate(out, 1)

    def _past(self, active: Ints, pull: Floats, draws: Ints) -> tuple[Ints, Ints]:
        """From what the record holds already: the more often it was bought, the likelier."""
        at, item = self.past
        row = np.full(len(self.here), -1)
        row[active] = np.arange(len(active))
        free = (row[at] >= 0) & ~self.here[at, item]
        at, item = at[free], item[free]
        record = row[at]
        logits = np.einsum("rd,rd->r", pull[record], self.embeddings[item])
        logits = logits + self.decoder.loyalty * np.log(self.bought[at, item])
        category = self.category[item]
        logits += self.together[at] * self.log1p[self.held[at, category]] + self.fit[at, category]
        column = self.column[item]
        logits += np.where(column >= 0, self.drawn_to[at, column], 0) if len(self.decoder.common) else 0
        # The `draws` best by Gumbel noise are a draw without replacement from the softmax (Vieira 2014).
        noisy = logits + self.random.gumbel(size=len(logits))
        order = np.lexsort((-noisy, record))
        rank = np.arange(len(order)) - np.searchsorted(record, record)
        taken = order[rank < draws[record[order]]]
        return record[taken], item[taken]

    def _new(self, active: Ints, pull: Floats, draws: Ints) -> tuple[Ints, Ints]:
        decoder = self.decoder
        urn = (decoder.clump + self.together[active, None]) * self.log1p[self.held[active]]
        logits = pull @ self.centroids.T
        logits += self.lasting[active]
        logits += np.take(urn, decoder.group_category, axis=1)
        if len(decoder.common):
            alone = logits[:, -len(decoder.common) :]
            alone += self.drawn_to[active]
            # A group of one item that the record has is empty. Not infinite: of none but such there would be no softmax.
            alone[self.gone[active]] = -1e9
        row = np.repeat(np.arange(len(active)), draws)
        group = _softmax_draw(logits.astype(np.float32), row, self.random)
        chosen = np.full(len(row), -1)
        for crowd, most in enumerate(_CROWDS):  # groups of few items are not looked at as if they had 64
            of = np.flatnonzero(self.crowds[group] == crowd)
            chosen[of] = self._of_group(active[row[of]], pull[row[of]], decoder.groups[group[of], :most])
        some = chosen >= 0
        return row[some], chosen[some]

    def _of_group(self, record: Ints, pull: Floats, items: Ints) -> Ints:
        """One of each row's (R, S) items, or -1 where the record has all of them."""
        if items.shape[1] == 1:
            return np.where(self.owned[record, items[:, 0]], -1, items[:, 0])
        within = np.einsum("rd,rsd->rs", pull, self.embeddings[items]) + self.decoder.log_popularity[items]
        within[(items < 0) | self.owned[record[:, None], items]] = -np.inf
        noisy = within + self.random.gumbel(size=within.shape)
        best, every = noisy.argmax(1), np.arange(len(record))
        return np.where(np.isfinite(noisy[every, best]), items[every, best], -1)


def _crowds(members: Ints) -> Ints:
    """Which of ``_CROWDS`` is the least that holds so many."""
    return np.searchsorted(_CROWDS, members).astype(np.int64)


def _add_by_record(out: npt.NDArray[Any], record: Ints, rows: Floats) -> None:
    """Adds each of the rows to its record's; records ascend."""
    if len(record):
        first = np.flatnonzero(np.diff(record, prepend=-1))
        out[record[first]] += np.add.reduceat(rows, first)


def pull_classes(sizes: npt.NDArray[Any], asked: npt.NDArray[Any]) -> tuple[Ints, Ints]:
    """Class of size and of focus of each basket: where in ``Decoder.pull`` it finds its own."""
    return size_class(sizes), np.searchsorted(_FOCUS, asked, side="right")


def initial_decoder(
    vocabulary: Vocabulary,
    embeddings: Floats,
    shares: Floats,
    common: Ints | None = None,
    manners: int = 1,
    weekdays: Floats | None = None,
) -> Decoder:
    """Popularity by (V,) shares of rows, no pull of categories yet, groups along each category's main direction, and last one
    for each common item; weekdays alike where none are told."""
    groups: list[Ints] = []
    of_group: list[int] = []
    common = np.zeros(0, np.int64) if common is None else common
    for category in range(len(vocabulary.categories)):
        members = np.setdiff1d(np.flatnonzero(vocabulary.category == category), common, assume_unique=True)
        if not len(members):
            continue
        vectors = embeddings[members] - embeddings[members].mean(0)
        main = np.linalg.svd(vectors, full_matrices=False)[2][0]
        ordered = members[np.argsort(vectors @ main, kind="stable")]
        for part in np.array_split(ordered, -(-len(ordered) // _GROUP)):
            groups.append(np.pad(part, (0, _GROUP - len(part)), constant_values=-1))
            of_group.append(category)
    groups += [np.pad(common[i : i + 1], (0, _GROUP - 1), constant_values=-1) for i in range(len(common))]
    of_group += vocabulary.category[common].tolist()
    none = np.zeros(len(vocabulary.categories), np.float32)
    return Decoder(
        groups=np.stack(groups),
        group_category=np.array(of_group),
        log_popularity=np.log(shares).astype(np.float32),
        clump=none,
        cling=none,
        pull=np.zeros((SIZE_CLASSES, len(_FOCUS) + 1), np.float32),
        tilt=np.zeros((SIZE_CLASSES, manners), np.float32),
        fit=np.zeros((SIZE_CLASSES, len(none)), np.float32),
        common=common,
        together=np.zeros((len(common), len(common)), np.float32),
        weekdays=np.zeros(WEEK, np.float32) if weekdays is None else weekdays,
    )


def _softmax_draw(logits: Floats, row: Ints, random: np.random.Generator) -> Ints:
    """One column for each entry of ``row``, by that row's softmax."""
    logits -= logits.max(1, keepdims=True)
    cumulated = np.cumsum(np.exp(logits), 1)
    last = logits.shape[1] - 1
    level = random.random(len(row), dtype=np.float32) * cumulated[row, -1]
    low, high = np.zeros(len(row), np.int64), np.full(len(row), last)
    for _ in range(last.bit_length()):  # bisection, of all rows at once
        middle = (low + high) // 2
        above = cumulated[row, middle] <= level
        low, high = np.where(above, np.minimum(middle + 1, high), low), np.where(above, high, middle)
    return low


def _draw_kinds(shares: Floats, random: np.random.Generator) -> Ints:
    """0 is the commonest kind, with the probability that the others leave."""
    level = random.random(len(shares))[:, None]
    out: Ints = (level >= 1 - np.cumsum(shares[:, ::-1], 1)[:, ::-1]).sum(1).astype(np.int64)
    return out
