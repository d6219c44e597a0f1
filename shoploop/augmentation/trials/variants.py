"""The rivals: what each adds to training, and how a model is trained with it."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from shoploop.augmentation.trials import episodes
from shoploop.augmentation.trials.episodes import Labelled
from shoploop.augmentation.trials.splitting import COLD_BASKETS, Trials
from shoploop.samples.sample_set import SampleSet

ADVERSARIAL_RADIUS = 0.1
GENERATED = ("gan", "gan then real", "gan and substitute")
"""Those that use what a generator made, and stand and fall with its privacy."""

ADDED = ("crop", "mask", "reorder", "substitute", "gan", "gan and substitute")
"""Those that a run can admit: they are more rows of training, and nothing else of the run changes."""

SAYS = {
    "longer": "as many more passes over the real visits: what more work alone gives",
    "crop": "histories that begin later",
    "mask": "histories with a quarter of the rows missing",
    "reorder": "histories whose baskets change places",
    "substitute": "histories with a quarter of the items replaced by what is bought with them",
    "reverse": "pre-training on reversed histories, then the real visits",
    "adversarial": "real visits, and the worst small change of the items' embeddings",
    "gan": "virtual shoppers beside the real ones",
    "gan and substitute": "half of the one, half of the other",
    "gan then real": "pre-training on virtual and real shoppers, fine-tuning on the real",
}


@dataclass(frozen=True, kw_only=True)
class Extra:
    """What every variant draws from: real episodes, and what a generator made."""

    ratio: float
    """Virtual samples per real one."""

    virtual: Labelled | None
    seed: int

    def rows(self, variant: str, trials: Trials) -> Labelled:
        """The rows that a variant adds, no more samples than ``ratio`` allows."""
        if variant == "gan and substitute":
            half = replace(self, ratio=self.ratio / 2)
            parts = [half.rows(name, trials) for name in ("gan", "substitute")]
            return Labelled(
                rows=pl.concat([part.rows for part in parts]), labels=pl.concat([part.labels for part in parts])
            )
        random = np.random.default_rng(self.seed)
        if variant in GENERATED:
            assert self.virtual is not None, "a generator's variant needs what it made"
            made = self.virtual
        else:
            known = episodes.episodes_of(trials.bought, trials.labels, baskets=COLD_BASKETS)
            if variant == "substitute":
                made = episodes.substitute(known, random, _alike(trials))
            elif variant == "reverse":
                made = episodes.reverse(known, random)
            else:
                made = episodes.SIMPLE[variant](known, random)
        most = int(self.ratio * trials.labels.height)
        if made.labels.height <= most:
            return made
        kept = made.labels[np.sort(random.permutation(made.labels.height)[:most])]
        return Labelled(rows=made.rows.join(kept.select("user").unique(), on="user", how="semi"), labels=kept)


UNAUGMENTED = "unaugmented"
"""What variants are compared with: see :meth:`~shoploop.augmentation.trials.splitting.Trials.unaugmented`."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """How a model is trained with a variant: what :func:`~.splitting.train_and_judge` is given."""

    train: SampleSet
    settings: dict[str, Any]
    added: int = 0
    """Samples that the variant brings."""


def course_of(variant: str, trials: Trials, extra: Extra, *, epochs: int) -> Course:
    settings = {"epochs": epochs}
    if variant == UNAUGMENTED:
        return Course(train=trials.unaugmented(extra.ratio), settings=settings)
    if variant == "longer":
        return Course(train=trials.train, settings={"epochs": 2 * epochs})
    if variant == "adversarial":
        return Course(train=trials.train, settings=settings | {"adversarial_radius": ADVERSARIAL_RADIUS})
    added = trials.samples(extra.rows(variant, trials))
    both = SampleSet.concat([trials.train, added])
    if variant == "reverse":
        return Course(train=trials.train, settings=settings | {"first": added}, added=len(added))
    if variant == "gan then real":
        return Course(train=trials.train, settings=settings | {"first": both}, added=len(added))
    return Course(train=both, settings=settings, added=len(added))


def _alike(trials: Trials) -> dict[str, str]:
    """Each item's closest neighbour of the catalog; an item without any stays."""
    names, catalog = trials.vocabulary.items, trials.catalog
    if not catalog.neighbours_IM.shape[1]:
        return {}
    speaks_for = np.flatnonzero(catalog.neighbour_weights_IM[:, 0] > 0)  # 0 pads, and less speaks against
    return {names[int(item)]: names[int(catalog.neighbours_IM[item, 0])] for item in speaks_for}
