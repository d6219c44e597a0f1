"""What a generator knows of its shoppers beside what the adversary learns: counts, quantiles, lengths and days.

Measured as they are here, with items' shares bounded; with noise in :mod:`~.private`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from shoploop.augmentation.generator.calibration import Aim
from shoploop.augmentation.generator.company import MOST_ITEMS, Company
from shoploop.augmentation.generator.counts import bounded_shares, counted_shares
from shoploop.augmentation.generator.decoding import Decoder, initial_decoder
from shoploop.augmentation.generator.embeddings import MANNERS, embed_items
from shoploop.augmentation.generator.encoding import Encoding, fit_encoding
from shoploop.augmentation.generator.extremes import reached
from shoploop.augmentation.generator.records import Behaviour, Floats, Ints, Vocabulary, commonest
from shoploop.augmentation.generator.weekdays import log_shares


@dataclass(frozen=True, kw_only=True)
class Foundations:
    """Aggregates over shoppers."""

    encoding: Encoding
    decoder: Decoder
    aim: Aim
    shares: Floats
    """(V,) of rows, by which a record's items are known to be popular or rare. What items are drawn by stands in the aim."""

    condition: Ints
    """(N,) of records; what a new record is asked to be is drawn from them."""

    baskets: Ints
    """(N,) of the same records."""

    days: Ints
    """First days of records, in the order of ``spans``; sorted where these may not be told."""

    spans: Ints | None
    """Days from the first to the last visit of the same records, ascending: who comes seldom begins early, or is cut off."""

    first_day: int
    last_day: int
    """No record begins before the one or ends after the other: days by which k shoppers had come, and from which on k came
    again."""


def lay_foundations(
    behaviour: Behaviour,
    drawn: Behaviour,
    vocabulary: Vocabulary,
    *,
    dims: int,
    min_users: int,
    seed: int,
    tells: Callable[[Floats], float] | None = None,
) -> Foundations:
    """Measures without noise.

    Args:
        drawn: Records of ``behaviour`` in which every shopper counts alike.
        dims: Of the item embeddings.
        min_users: k, of what is told of pairs of items, of weekdays and of the first and last days.
        tells: As of :func:`bounded_shares`.
    """
    told = bounded_shares(behaviour, vocabulary, seed=seed, tells=tells)
    known = counted_shares(behaviour, len(vocabulary))
    embeddings = embed_items(behaviour, vocabulary, known, dims=dims, seed=seed)
    common = commonest(np.bincount(behaviour.item, minlength=len(vocabulary)), MOST_ITEMS)
    first, last = (np.searchsorted(drawn.record, np.arange(drawn.records), side) for side in ("left", "right"))
    begins, spans = drawn.day[first], drawn.day[last - 1] - drawn.day[first]
    # Of equal spans by chance: else the neighbours of one are all early or all late.
    by_span = np.lexsort((np.random.default_rng((seed, 2)).random(len(spans)), spans))
    first_day, last_day = reached(behaviour.day, behaviour.user[behaviour.record], min_users=min_users)
    return Foundations(
        encoding=fit_encoding(drawn, vocabulary, embeddings),
        decoder=initial_decoder(vocabulary, embeddings, told, common, MANNERS, log_shares(drawn, min_users=min_users)),
        aim=Aim.of(
            drawn,
            vocabulary,
            embeddings[:, -MANNERS:],
            told,
            company=Company.of(behaviour, common, min_users=min_users),
        ),
        shares=known,
        condition=drawn.condition,
        baskets=np.bincount(drawn.record, minlength=drawn.records).astype(np.int64),
        days=np.clip(begins, first_day, last_day)[by_span],
        spans=spans[by_span],
        first_day=int(first_day),
        last_day=int(last_day),
    )
