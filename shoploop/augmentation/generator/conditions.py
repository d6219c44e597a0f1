"""Segment and sparsity: what a virtual shopper is asked to be."""

from dataclasses import dataclass, replace

import numpy as np

from shoploop.augmentation.generator.records import Behaviour, Floats, Ints, Vocabulary
from shoploop.errors import TooFewEvents

SPARSITY = (("few", 16), ("some", 48), ("many", 2**31))
"""Name and most baskets of a shopper's whole history."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Every combination of a taste segment and a sparsity that real shoppers have."""

    segments: tuple[str, ...]
    """Named by the category that the segment favours most, against all shoppers."""

    counts: Ints
    """(segments × sparsity,) shoppers of each in the data."""

    min_users: int
    """k: nothing is made of a condition of fewer shoppers alone, for it would be their profile; nor is it named."""

    centres: Floats
    """(segments, categories) of the clusters: roots of shares."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{segment}, {sparsity}" for segment in self.segments for sparsity, _ in SPARSITY)

    @property
    def told(self) -> tuple[str, ...]:
        """The names of those that may be asked for."""
        return tuple(name for name, count in zip(self.names, self.counts, strict=True) if count >= self.min_users)

    def choose(self, names: list[str], records: int, random: np.random.Generator) -> Ints:
        """A condition for each of ``records`` new records, evenly over the named.

        Raises:
            TooFewEvents: a named condition is unknown, or fewer than k real shoppers have it; which of the two is not said.
        """
        for name in names:
            if name not in self.told:
                raise TooFewEvents(
                    f"The condition {name!r} is none that {self.min_users} shoppers or more have. "
                    + (
                        f"Those of the data: {'; '.join(self.told)}."
                        if self.told
                        else "The data has none; leave it out."
                    )
                )
        return random.choice([self.names.index(name) for name in names], records)

    def assign(self, behaviour: Behaviour, vocabulary: Vocabulary) -> Behaviour:
        """The behaviour with each record's condition, of shoppers seen or unseen: nearest centre, and number of
        baskets."""
        users, user = np.unique(behaviour.user, return_inverse=True)
        mix = _mix(behaviour, user, len(users), vocabulary)
        segment = ((mix[:, None, :] - self.centres) ** 2).sum(2).argmin(1)
        baskets = np.bincount(user[behaviour.record], minlength=len(users))
        sparsity = np.searchsorted([most for _, most in SPARSITY], baskets)
        return behaviour.conditioned((segment * len(SPARSITY) + sparsity)[user].astype(np.int64))


def fit_conditions(
    behaviour: Behaviour, vocabulary: Vocabulary, *, segments: int, min_users: int, seed: int
) -> tuple[Conditions, Behaviour]:
    """Clusters shoppers by the categories they buy (k-means on square roots of shares) and counts their baskets."""
    from sklearn.cluster import KMeans

    users, user = np.unique(behaviour.user, return_inverse=True)
    mix = _mix(behaviour, user, len(users), vocabulary)
    clusters = KMeans(min(segments, len(np.unique(mix, axis=0))), n_init=2, random_state=seed).fit(mix)
    centres = clusters.cluster_centers_.astype(np.float32)
    names = [vocabulary.categories[f].split(" / ")[-1] or "all" for f in (centres - mix.mean(0)).argmax(1)]
    segment_names = tuple(f"{i + 1} {name}" for i, name in enumerate(names))
    none = np.zeros(len(names) * len(SPARSITY), np.int64)
    unknown = Conditions(segments=segment_names, counts=none, centres=centres, min_users=min_users)
    assigned = unknown.assign(behaviour, vocabulary)
    _, one_record = np.unique(assigned.user, return_index=True)
    counts = np.bincount(assigned.condition[one_record], minlength=len(none)).astype(np.int64)
    return replace(unknown, counts=counts), assigned


def _mix(behaviour: Behaviour, user: Ints, users: int, vocabulary: Vocabulary) -> Floats:
    """(users, categories) square roots of the shares of rows."""
    mix = np.zeros((users, len(vocabulary.categories)), np.float32)
    np.add.at(mix, (user[behaviour.row_record], vocabulary.category[behaviour.item]), 1)
    return np.asarray(np.sqrt(mix / mix.sum(1, keepdims=True)), np.float32)
