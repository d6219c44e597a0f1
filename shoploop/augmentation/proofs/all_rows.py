"""The attacks on counts, of all rows that are kept and not of a sample: counts tell by how many there are.

Rows are counted a piece at a time, since they may be more than fit into memory.
"""

import numpy as np

from shoploop.augmentation.generator.records import Behaviour, commonest
from shoploop.augmentation.proofs import privacy_attacks as privacy
from shoploop.augmentation.proofs.count_attack import pairs_of

Found = tuple[float, float, float]


class AllRows:
    """Counts of items, and of pairs of the items that are commonest in the first piece.

    Args:
        first: The first piece, which is counted.
        items: Of the vocabulary.
    """

    def __init__(self, first: Behaviour, items: int, *, seed: int):
        self.seed, self.random = seed, np.random.default_rng((seed, 4))
        self.rows = np.zeros(items, np.int64)
        self.common = commonest(np.bincount(first.item, minlength=items), privacy.PAIRED_ITEMS)
        self.pairs = np.zeros(len(self.common) ** 2, np.int64)
        self.add(first)

    def add(self, made: Behaviour) -> None:
        self.rows += np.bincount(made.item, minlength=len(self.rows))
        self.pairs += np.bincount(pairs_of(made, self.common, self.random).item, minlength=len(self.pairs))

    def attacked(self, real: Behaviour, held: Behaviour) -> dict[str, Found]:
        """By attack, its AUC and interval.

        Args:
            real: What the generator learned from.
            held: Shoppers it never saw.
        """
        return {
            privacy.COUNTS: privacy.attack_counts(self.rows, real, held, seed=self.seed),
            privacy.PAIRS: privacy.attack_pairs(self.pairs, self.common, real, held, seed=self.seed),
        }


def refusals(found: dict[str, Found]) -> list[str]:
    """Why what was found must not be; empty where it may."""
    return [reason for name, one in found.items() if (reason := privacy.refusal(name, one))]
