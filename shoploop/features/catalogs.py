"""The catalog as of the day that is asked for: taste moves, and what is known of items must not be older than it has to be.

A model is trained on what was known before each of its labels, judged on what was known when the days of evaluation began,
and served with all that is known. What follows what is counted on every few days, which costs little. Factors are fitted
three times: before the labels, before the evaluation, and for serving. Neighbours are, too, and beside that every few days
of those to learn from: a model that learns from neighbours of months ago trusts those of yesterday too little
(docs/decisions/0115).
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import polars as pl

from shoploop import progress as told
from shoploop.features.catalog import (
    Catalog,
    CatalogConfig,
    LatestFollowers,
    fit_catalog,
    followers,
    pairs_after,
    renewed,
    with_neighbours,
)
from shoploop.features.ease import MOST_OF_USER, users_of_many_items
from shoploop.features.log import PurchaseLog

Progress = Callable[[float, float, str], None]

RENEWED_DAYS = 7
"""Days after which a catalog is renewed: a shop that trains every week serves one that is a few days old."""

MOST_RENEWALS, FEWEST_RENEWALS = 6, 3
"""Of the days to learn from, and of those of evaluation: a longer span is renewed less often."""

LOG_OF_FEWEST = 1_000_000
"""Purchases from which on the fewest have to do: each takes some seconds, and so many change little in a week."""

NEIGHBOURS_FITTED = 60_000
"""Items whose neighbours are fitted anew within the days to learn from, all times together: a minute where each is fitted by
itself."""


@dataclass(frozen=True, kw_only=True)
class Catalogs:
    """Catalogs by the first day that each is for, ascending."""

    first_days: tuple[int, ...]
    catalogs: tuple[Catalog, ...]

    def __call__(self, day: int) -> Catalog:
        """The freshest that knows nothing of ``day`` or later; the first one of all for a day before it."""
        return self.catalogs[max(bisect_right(self.first_days, day) - 1, 0)]

    @property
    def training(self) -> Catalog:
        """What a model is trained with."""
        return self.catalogs[0]

    @property
    def serving(self) -> Catalog:
        """All that is known."""
        return self.catalogs[-1]


def fit_catalogs(
    log: PurchaseLog,
    items: pl.DataFrame,
    *,
    training_first: int,
    evaluation_first: int,
    last: int,
    config: CatalogConfig | None = None,
    progress: Progress = lambda done, total, what: None,
) -> Catalogs:
    """Fits the catalogs of a run; each knows the purchases before its day alone.

    Args:
        log: All purchases.
        items: As of :func:`~shoploop.features.catalog.fit_catalog`.
        training_first: First day that is learned from.
        evaluation_first: First day of evaluation.
        last: Last day of the data; the serving catalog is for the day after it.
        config: How each is fitted.
        progress: Called with the catalogs that are fitted, how many there are, and what they are.
    """
    config = config or CatalogConfig()
    learned_days = _renewals(training_first, evaluation_first, log)
    judged_days = _renewals(evaluation_first, last + 1, log)
    days = [*learned_days, *judged_days, last + 1]
    done, total = 0, 3 + len(_fitted_anew(log, learned_days))

    def fitted() -> None:
        nonlocal done
        done += 1
        progress(done, total, "catalogs of candidates")

    progress(done, total, "catalogs of candidates")
    # products of sparse matrices leave Python to others while LAPACK computes: beside each other they take half the time
    with ThreadPoolExecutor(1, "followers") as beside:
        following = beside.submit(_followers, log, days, config)
        base = fit_catalog(log.where(log.day_R < training_first), items, config)
        fitted()
        judged = renewed(base, log.where(log.day_R < evaluation_first), config)
        fitted()
        serving = renewed(base, log.where(log.day_R < last + 1), config)
        fitted()
        learned = _renewed_neighbours(base, log, learned_days, config, fitted)
        catalogs = learned | dict.fromkeys(judged_days, judged) | {last + 1: serving}
        found, left_out = following.result()
        _tell_left_out(log, left_out)
        return _followed(catalogs, found)


def following(catalog: Catalog, log: PurchaseLog, days: Sequence[int], config: CatalogConfig | None = None) -> Catalogs:
    """The catalog by day where only what follows what is renewed.

    Args:
        catalog: All else of it stays.
        log: The purchases to count, each for the days after its own.
        days: That requests are of; none of them sees a purchase of its day or later.
        config: As the catalog was fitted.
    """
    renewals = _renewals(min(days), max(days) + 1, log)
    return _followed(dict.fromkeys(renewals, catalog), _followers(log, renewals, config or CatalogConfig())[0])


def moving(catalog: Catalog, log: PurchaseLog, days: Sequence[int], config: CatalogConfig | None = None) -> Catalogs:
    """The catalog by day as a run learns from it: what follows what is renewed, and so are neighbours.

    Args:
        catalog: As of the first of the days; all else of it stays.
        log: As of :func:`following`.
        days: Likewise.
        config: As the catalog was fitted.
    """
    config = config or CatalogConfig()
    renewals = _renewals(min(days), max(days) + 1, log)
    return _followed(_renewed_neighbours(catalog, log, renewals, config), _followers(log, renewals, config)[0])


def _renewed_neighbours(
    catalog: Catalog,
    log: PurchaseLog,
    days: Sequence[int],
    config: CatalogConfig,
    fitted: Callable[[], None] = lambda: None,
) -> dict[int, Catalog]:
    """The catalog by these ascending days, with the neighbours as of each; ``fitted`` hears of each that are fitted anew."""
    anew = _fitted_anew(log, days)
    found: dict[int, Catalog] = {}
    for day in days:
        if day in anew:
            catalog = with_neighbours(catalog, log.where(log.day_R < day), config)
            fitted()
        found[day] = catalog
    return found


def _fitted_anew(log: PurchaseLog, days: Sequence[int]) -> set[int]:
    """Those of the days on which neighbours are fitted anew: as many times as may be, evenly spread.

    A log of so many purchases that its renewals are few keeps those of the first day: there they move slowly.
    """
    times = 0 if len(log) >= LOG_OF_FEWEST else min(NEIGHBOURS_FITTED // max(len(log.vocabulary), 1), len(days) - 1)
    return {days[-(-place * len(days) // (times + 1))] for place in range(1, times + 1)}


def _followers(log: PurchaseLog, days: Sequence[int], config: CatalogConfig) -> tuple[list[LatestFollowers], int]:
    """What follows what before each of these ascending days, and how many baskets were left out as too large."""
    after, found = pairs_after(log), []
    for day in days:
        after.advance(day)
        found.append(followers(after, config))
    return found, after.left_out


def _tell_left_out(log: PurchaseLog, baskets_left_out: int) -> None:
    """Says what counts in no pair of items because there is so much of it that it would stand for all others."""
    if baskets_left_out:
        baskets = f"{baskets_left_out:,} baskets are" if baskets_left_out > 1 else "One basket is"
        told.warn(
            f"{baskets} so large, after others of the same user, that what is bought after what is counted without. {_MANY}"
        )
    if users := users_of_many_items(log):
        names = ", ".join(repr(log.users[code]) for code in users[:3]) + (", ..." if len(users) > 3 else "")
        bought = f"{len(users):,} users have" if len(users) > 1 else "One user has"
        told.warn(
            f"{bought} bought more than {MOST_OF_USER:,} different items ({names}): of what goes with what, the latest "
            f"{MOST_OF_USER:,} count. {_MANY}"
        )


_MANY = (
    "Where an id stands for many people, such as a till's card, leave it empty in those rows: they name no user then."
)


def _followed(catalogs: Mapping[int, Catalog], following: Sequence[LatestFollowers]) -> Catalogs:
    """The catalogs by their days, each with what follows what before its own."""
    made = [catalog.with_followers(each) for catalog, each in zip(catalogs.values(), following, strict=True)]
    return Catalogs(first_days=tuple(catalogs), catalogs=tuple(made))


def _renewals(first: int, end: int, log: PurchaseLog) -> range:
    """The days from ``first`` up to ``end`` on which a catalog is made."""
    most = MOST_RENEWALS if len(log) < LOG_OF_FEWEST else FEWEST_RENEWALS
    return range(first, end, max(RENEWED_DAYS, -(-(end - first) // most)))
