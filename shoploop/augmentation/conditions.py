"""Segment and sparsity: what a virtual shopper is asked to be."""

from dataclasses import dataclass

import numpy as np

from shoploop.augmentation.behaviour import Behaviour, Ints, Vocabulary
from shoploop.errors import TooFewEvents

SPARSITY = (("few", 16), ("some", 48), ("many", 2**31))
"""Name and most baskets of a shopper's whole history."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Every combination of a taste segment and a sparsity that real shoppers have."""

    segments: tuple[str, ...]
    """Named by the category that the segment favours most, against all shoppers."""

    counts: Ints
    """(segments × sparsity,) records of each in the data."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{segment}, {sparsity}" for segment in self.segments for sparsity, _ in SPARSITY)

    def choose(self, names: list[str] | None, records: int, random: np.random.Generator) -> Ints:
        """A condition for each of ``records`` new records: as the data has them, or evenly over the named.

        Raises:
            TooFewEvents: a named condition is unknown, or no real shopper has it.
        """
        if names is None:
            return random.choice(len(self.counts), records, p=self.counts / self.counts.sum())
        for name in names:
            if name not in self.names or not self.counts[self.names.index(name)]:
                had = [known for known, count in zip(self.names, self.counts, strict=True) if count]
                raise TooFewEvents(f"No shopper has the condition {name!r}. Conditions of the data: {'; '.join(had)}.")
        return random.choice([self.names.index(name) for name in names], records)


def fit_conditions(
    behaviour: Behaviour, vocabulary: Vocabulary, *, segments: int, seed: int
) -> tuple[Conditions, Behaviour]:
    """Clusters shoppers by the categories they buy (k-means on square roots of shares) and counts their baskets."""
    from sklearn.cluster import KMeans

    users, user = np.unique(behaviour.user, return_inverse=True)
    row_user = user[behaviour.row_record]
    mix = np.zeros((len(users), len(vocabulary.categories)), np.float32)
    np.add.at(mix, (row_user, vocabulary.category[behaviour.item]), 1)
    mix = np.sqrt(mix / mix.sum(1, keepdims=True))
    clusters = KMeans(min(segments, len(users)), n_init=2, random_state=seed).fit(mix)
    favourite = (clusters.cluster_centers_ - mix.mean(0)).argmax(1)
    names = [vocabulary.categories[f].split(" / ")[-1] or "all" for f in favourite]
    baskets = np.bincount(user[behaviour.record], minlength=len(users))
    sparsity = np.searchsorted([most for _, most in SPARSITY], baskets)
    condition = (clusters.labels_ * len(SPARSITY) + sparsity)[user].astype(np.int64)
    segment_names = tuple(f"{i + 1} {name}" for i, name in enumerate(names))
    counts = np.bincount(condition, minlength=len(segment_names) * len(SPARSITY)).astype(np.int64)
    return Conditions(segments=segment_names, counts=counts), behaviour.conditioned(condition)
