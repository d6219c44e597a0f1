"""Does a variant of augmentation pay? The same model, trained with and without it, on the same visits.

The cold slice is every shopper's last visit with the history before it cut to five baskets: the few shoppers who really
have so few show nothing. Overall is the same visits with whole histories. Everything lies before the days of evaluation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from shoploop.augmentation.trials.episodes import PREFIX, Labelled
from shoploop.candidates.fetching import CandidateConfig
from shoploop.errors import TooFewEvents
from shoploop.features.catalog import Catalog, CatalogConfig, fit_catalog
from shoploop.features.catalogs import Catalogs, following
from shoploop.features.contract import Contract
from shoploop.features.item import ItemMatrix, ItemStatistics
from shoploop.features.log import PurchaseLog, Vocabulary
from shoploop.features.shop import ShopRow, ShopStatistics
from shoploop.features.user import user_rows, user_stats
from shoploop.samples.sample_set import Request, SampleSet, Sources, assemble

COLD_BASKETS = 5
LABEL_VISITS = (1, 2, 3)
"""Visits before the last, counted from it, whose items are training labels."""

_CANDIDATES = CandidateConfig(popular=300, neighbours=0, followers=0, lately=0)
_NEGATIVES = 100
FEWEST_VISITS, FEWEST_SHOPPERS = 3, 50
"""Visits of a shopper, and such shoppers, below which nothing is tried."""

SHOPPERS_IN_A_RUN = 2_500
"""More are not looked at within a run. Of 1,200 too few are left to learn from: the closest-record share rose to .58."""

FEWEST_JUDGED = 500
"""Shoppers to judge on that Auto asks for: with fewer, not even a gain of 5 % could be told from chance."""

Metric = npt.NDArray[np.float64]


class Judging(Protocol):
    """Of a trial what a training needs: the model's sizes, and what it is measured on."""

    @property
    def contract(self) -> Contract: ...

    @property
    def catalog(self) -> Catalog: ...

    @property
    def cold(self) -> SampleSet: ...

    @property
    def overall(self) -> SampleSet: ...

    @property
    def seed(self) -> int: ...


_KEPT_ROWS = 3_000_000
"""Rows of items' statistics that are kept, some hundred and fifty megabytes: 250 days of the longest vocabulary."""


class Statistics:
    """Items' and shops' statistics by day, counted once where they fit: every variant's samples ask for the same days."""

    def __init__(self, past: PurchaseLog):
        self._items, self._shops = ItemStatistics(past), ShopStatistics(past)
        self._items_on: dict[int, ItemMatrix] = {}
        self._shops_on: dict[int, dict[str, ShopRow]] = {}
        self._most = max(_KEPT_ROWS // max(len(past.vocabulary), 1), 1)

    def items(self, day: int) -> ItemMatrix:
        if day not in self._items_on:
            if len(self._items_on) >= self._most:
                del self._items_on[next(iter(self._items_on))]
            self._items_on[day] = self._items.on(day)
        return self._items_on[day]

    def shops(self, day: int) -> dict[str, ShopRow]:
        if day not in self._shops_on:
            self._shops_on[day] = self._shops.rows_on(day)
        return self._shops_on[day]


@dataclass(frozen=True, kw_only=True)
class Trials:
    """One shop, split once: real visits to learn from, and the two slices that every variant is measured on."""

    bought: pl.DataFrame
    """Purchases that training may see, users' last visits not among them."""

    labels: pl.DataFrame
    """``user`` and ``day`` of the visits to learn from."""

    vocabulary: Vocabulary
    past: PurchaseLog
    """What statistics count."""

    statistics: Statistics
    contract: Contract
    catalog: Catalog
    """What models are trained with."""

    catalogs: Catalogs
    """The same as requests of each day see it."""

    judged: pl.DataFrame
    """``user`` and ``day`` of the visits that variants are measured on."""

    train: SampleSet
    cold: SampleSet
    overall: SampleSet
    shoppers: tuple[str, ...]
    """The users that the codes in ``cold`` and ``overall`` stand for; in ``train`` they are those of ``past``."""

    seed: int

    def unaugmented(self, ratio: float) -> SampleSet:
        """What variants are compared with: the real samples, as many of them seen twice as a variant adds.

        Else a variant would be praised for the steps of training that more samples bring.
        """
        again = np.random.default_rng(self.seed).permutation(len(self.train))[: int(ratio * len(self.train))]
        return SampleSet.concat([self.train, self.train.select(np.sort(again))])

    def samples(
        self, extra: Labelled, *, candidates: CandidateConfig | None = None, negatives: int | None = None
    ) -> SampleSet:
        """Training samples of other rows than the real ones; statistics stay those of real purchases.

        Args:
            candidates, negatives: As the real samples beside them have them; unset, as those of the trials.

        Raises:
            ValueError: a row bears the name of a real user.
        """
        if not extra.rows["user"].str.starts_with(PREFIX).all():
            raise ValueError(f"virtual rows must be of users whose names begin with {PREFIX!r}")
        log = PurchaseLog.of(extra.rows, self.vocabulary, sessions=False)
        return _assemble(
            log,
            self.statistics,
            extra.labels,
            self.contract,
            self.catalogs,
            negatives or _NEGATIVES,
            self.seed,
            candidates or _CANDIDATES,
        )


def prepare_trials(
    bought: pl.DataFrame,
    items: pl.DataFrame,
    vocabulary: Vocabulary,
    contract: Contract,
    *,
    cut_training: bool,
    most_labels: int,
    most_judged: int,
    fewest_judged: int | None = None,
    seed: int,
    progress: Callable[[str], None] = lambda what: None,
) -> Trials:
    """Splits purchases into what is learned and what is judged.

    Args:
        bought: Rows of ``features.log.purchases``, none of the days of evaluation.
        cut_training: Whether training, too, sees five baskets per shopper and no more.
        most_labels: Visits to learn from, at most; a random draw.
        most_judged: Shoppers to judge on, at most.
        fewest_judged: Shoppers to judge on, at least; 50 and no fewer.

    Raises:
        TooFewEvents: fewer shoppers have three visits.
    """
    random = np.random.default_rng(seed)
    known = bought.join(vocabulary.frame().select("item"), on="item")
    visits = known.select("user", "day").unique()
    visits = visits.with_columns(back=pl.col("day").rank("dense", descending=True).over("user").cast(pl.Int32) - 1)
    enough = visits.group_by("user").len().filter(pl.col("len") >= FEWEST_VISITS).sort("user")["user"]
    fewest = max(fewest_judged or 0, FEWEST_SHOPPERS)
    if len(enough) < fewest:
        raise TooFewEvents(
            f"only {len(enough)} users have {FEWEST_VISITS} visits or more before the days of evaluation; whether "
            f"augmentation pays cannot be told from chance on fewer than {fewest}."
        )
    judged = enough
    if len(enough) > most_judged:
        # the same shoppers whatever the seed, so that seeds can be averaged shopper by shopper
        judged = enough.gather(np.sort(np.random.default_rng(0).permutation(len(enough))[:most_judged]))
    rows = known.join(visits, on=["user", "day"])
    targets = visits.filter((pl.col("back") == 0) & pl.col("user").is_in(judged.implode())).select("user", "day")
    learned = rows.filter(pl.col("back") > 0)
    cut = rows.filter(pl.col("back") <= COLD_BASKETS)
    training_rows = cut.filter(pl.col("back") > 0) if cut_training else learned
    depth = pl.col("back").max().over("user")
    labels = (
        training_rows.select("user", "day", "back")
        .unique()
        .filter(pl.col("back").is_in(LABEL_VISITS) & (pl.col("back") < depth))
        .select("user", "day")
        .sort("user", "day")
    )
    if labels.height > most_labels:
        labels = labels[np.sort(random.permutation(labels.height)[:most_labels])]
    past = PurchaseLog.of(training_rows, vocabulary, sessions=False)
    statistics = Statistics(past)
    catalog = fit_catalog(past, items, CatalogConfig(seed=seed))
    catalogs = following(catalog, past, [*labels["day"], *targets["day"]])

    def make(source: pl.DataFrame, wanted: pl.DataFrame, negatives: int | None) -> SampleSet:
        return _assemble(
            PurchaseLog.of(source, vocabulary, sessions=False), statistics, wanted, contract, catalogs, negatives, seed
        )

    progress("samples of the visits to learn from")
    train = make(training_rows, labels, _NEGATIVES)
    progress("samples of the slices to judge on")
    return Trials(
        bought=training_rows,
        labels=labels,
        vocabulary=vocabulary,
        past=past,
        statistics=statistics,
        contract=contract,
        catalog=catalog,
        catalogs=catalogs,
        judged=targets.sort("user"),
        train=train,
        cold=make(cut, targets, None),
        overall=make(rows, targets, None),
        shoppers=PurchaseLog.of(rows, vocabulary, sessions=False).users,
        seed=seed,
    )


def train_and_judge(
    trials: Judging,
    train: SampleSet,
    *,
    first: SampleSet | None = None,
    epochs: int,
    adversarial_radius: float = 0.0,
) -> dict[str, Metric]:
    """NDCG@10 per shopper of ``cold`` and ``overall``.

    Args:
        train: What the model ends on.
        first: What it is trained on before, with as many epochs: pre-training, and ``train`` is the fine-tuning.
        adversarial_radius: Of the fast gradient's step on embeddings; 0 is none.
    """
    from shoploop.compute.device import training_device
    from shoploop.evaluation.scoring import model_scores, request_metrics
    from shoploop.training.building import build_model
    from shoploop.training.loop import TrainConfig, fit

    model = build_model(trials.contract, trials.catalog, train, seed=trials.seed).to(training_device())
    none = train.select([])
    config = TrainConfig(epochs=epochs, seed=trials.seed, adversarial_radius=adversarial_radius)
    if first is not None:
        fit(model, first, none, config)
    fit(model, train, none, config)
    return {
        name: request_metrics(part, model_scores(model, part)["fused"])["ndcg@10"]
        for name, part in (("cold", trials.cold), ("overall", trials.overall))
    }


def _assemble(
    log: PurchaseLog,
    statistics: Statistics,
    labels: pl.DataFrame,
    contract: Contract,
    catalogs: Catalogs,
    negatives: int | None,
    seed: int,
    candidates: CandidateConfig = _CANDIDATES,
) -> SampleSet:
    sources = Sources(log=log, contract=contract, catalogs=catalogs, items=statistics.items, shops=statistics.shops)
    code = {user: at for at, user in enumerate(log.users)}
    wanted = [(user, day) for user, day in labels.select("user", "day").iter_rows() if user in code]
    rows = user_rows(user_stats(log), [user for user, _ in wanted], [day for _, day in wanted])
    requests = [Request(user=code[user], day=day) for user, day in wanted]
    return SampleSet.concat(
        list(assemble(requests, rows, sources, candidates=candidates, negatives=negatives, seed=seed))
    )
