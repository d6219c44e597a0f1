"""Who is learned from, who chooses, and who proves: all visits before the days of evaluation, parted by user.

The best of many trials is partly the luckiest on the visits that chose it (the winner's curse). So what is gained is measured
on the visits of users whom neither a training nor the choice has seen.
"""

from dataclasses import dataclass

import numpy as np

from shoploop.errors import TooFewEvents
from shoploop.samples.sample_set import SampleSet

JUDGING_SHARE = 0.3
"""Share of users whose visits are not learned from; half of them choose, the other half prove."""

MOST_JUDGED, MOST_LEARNED = 1500, 5000
"""Visits: of each half, and to learn from in a trial."""

FEWEST_JUDGED = 20
"""Visits that either half needs."""


@dataclass(frozen=True, kw_only=True)
class Visits:
    """The parts; no user is in two of them but ``train`` and ``validation``."""

    train: SampleSet
    validation: SampleSet
    """Says which epoch of a training is kept."""

    choosing: SampleSet
    proving: SampleSet


def part_visits(train: SampleSet, validation: SampleSet, *, seed: int) -> Visits:
    """Parts the visits of a run's training and validation; those of its evaluation are no business of this.

    Raises:
        TooFewEvents: too few visits to judge by, or none to learn from with a candidate that was bought.
    """
    rng = np.random.default_rng([seed, 16])
    users = rng.permutation(np.union1d(train.users_Q, validation.users_Q))
    judging = max(round(len(users) * JUDGING_SHARE), 2)
    choosing, proving = users[: judging // 2], users[judging // 2 : judging]

    def of(samples: SampleSet, users: "np.ndarray", most: int, *, others: bool = False) -> SampleSet:
        mine = np.flatnonzero(np.isin(samples.users_Q, users, invert=others))
        return samples.select(np.sort(rng.permutation(mine)[:most]))

    parts = Visits(
        train=of(train, users[:judging], MOST_LEARNED, others=True),
        validation=of(validation, users[:judging], MOST_LEARNED, others=True),
        choosing=of(train, choosing, MOST_JUDGED),
        proving=of(train, proving, MOST_JUDGED),
    )
    fewest = min(len(parts.choosing), len(parts.proving))
    if fewest < FEWEST_JUDGED or not parts.train.labels_R.any():
        raise TooFewEvents(
            f"Of the {len(train)} visits before the days of evaluation, {len(parts.train)} are left to learn from, "
            f"{len(parts.choosing)} to choose settings by and {len(parts.proving)} to prove them on; {FEWEST_JUDGED} are "
            "needed of each. Bring more days or users, or a longer spec.training.trainingDays."
        )
    return parts
