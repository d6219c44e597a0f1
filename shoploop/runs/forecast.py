"""What a run of some data would be, before it runs: its days, whether each step has enough, and what it may take.

Days, items and requests are chosen by the functions that the steps themselves call; what they refuse is told in their own
words. Time and memory are an estimate from measured runs and no more.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import polars as pl

from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.augmentation.trials.splitting import FEWEST_JUDGED, FEWEST_SHOPPERS, FEWEST_VISITS, SHOPPERS_IN_A_RUN
from shoploop.candidates.fetching import CandidateConfig
from shoploop.data.description import user_and_item, with_codes
from shoploop.data.inputs import image_of
from shoploop.data.moments import in_sessions
from shoploop.data.outliers import MANY_NAMELESS
from shoploop.data.rules import dropped_rows
from shoploop.data.splits import WANTED_USERS, TimeSplit
from shoploop.errors import TooFewEvents
from shoploop.features.ends import within_ends
from shoploop.features.in_shop import refuse_unnamed
from shoploop.features.log import purchases
from shoploop.features.materialize import request_days
from shoploop.features.repeats import is_of_repeats
from shoploop.features.shop import refuse_shopless
from shoploop.features.sold_before import COARSER, sold_before, sold_once
from shoploop.features.windows import choose_windows, unknown_share
from shoploop.importance.checks.effort import CheckConfig, first_judged_day
from shoploop.samples.shop_step import choose_shop_visits
from shoploop.samples.step import TRAINING_NEGATIVES, Chosen, choose_visits
from shoploop.steps import STEPS, not_asked_for
from shoploop.surfaces.shops.visits import visits_of
from shoploop.training.sequence_task import sequence_task
from shoploop.validation.expectations import Expectation, configured

State = Literal["enough", "little", "too little", "not asked for", "not reached"]
"""little: the step is carried out and has less to say. too little: the run ends there."""

MEASURED_CORES = 2

CHANGES = {
    "validate_data": "Mend the tables or how they are mapped in spec.data.tables, or allow what is found there: a severity "
    "or a tolerance in spec.validation.expectations.",
    "materialize_features": "Bring more days or users, or change spec.training.evaluationDays and trainingDays as it says. "
    "Where there is no purchase, say which kind is one: spec.data.tables.interactions.kinds.",
    "build_samples": "Bring more days or users, or change spec.training.evaluationDays and trainingDays.",
}
"""What helps where a step would end the run."""

SELDOM_SOLD_BEFORE = 0.1
"""Below this share of purchases whose item was sold on an earlier day, little of what is bought can be recommended."""


@dataclass(frozen=True, kw_only=True)
class Enough:
    """Whether a step has enough."""

    step: str
    state: State
    why: str
    change: str = ""
    """What to change where it is too little."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What the time of the steps depends on."""

    rows: int
    """Interactions."""

    statistics: int
    """Items times the days that somebody asks for, and the interactions that they are counted from."""

    candidates: int
    """Items to score of all requests, at most."""

    shoppers: int
    """Users that augmentation is tried on, at most so many."""

    training_rows: int
    """Requests to learn from, times their candidates."""

    lessons: int
    """The same, times epochs."""

    evaluated: int
    """Candidates of the requests that are evaluated on."""

    log_visits: int
    """Visits that the Transformer learns from before it is mixed, in all passes together."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Seconds and bytes of a step: a fixed part, and one for each unit of a size."""

    size: str
    """A field of :class:`Sizes`; empty where the step takes the same of any data."""

    seconds: float
    seconds_a_million: float
    gib: float
    gib_a_million: float


RATES: Mapping[str, Rate] = {
    "load_data": Rate(size="rows", seconds=0.5, seconds_a_million=1.434, gib=0.39, gib_a_million=0.273),
    "validate_data": Rate(size="rows", seconds=5.7, seconds_a_million=5.53, gib=0.58, gib_a_million=0.355),
    "materialize_features": Rate(size="statistics", seconds=5.8, seconds_a_million=6.475, gib=0.76, gib_a_million=0.0798),
    "build_samples": Rate(size="candidates", seconds=8.9, seconds_a_million=22.8, gib=0.83, gib_a_million=0.0626),
    "augment_samples": Rate(size="shoppers", seconds=3.4, seconds_a_million=6.735e+04, gib=0.62, gib_a_million=958),
    "estimate_importance": Rate(size="training_rows", seconds=70.2, seconds_a_million=36.46, gib=1.01, gib_a_million=1.68),
    "train_fused": Rate(size="lessons", seconds=7.9, seconds_a_million=51.65, gib=0.89, gib_a_million=0.0584),
    "evaluate_model": Rate(size="evaluated", seconds=14.1, seconds_a_million=64.76, gib=0.98, gib_a_million=1.05),
    "gate": Rate(size="", seconds=0.0, seconds_a_million=0.0, gib=0.28, gib_a_million=0.0),
    "build_bento": Rate(size="rows", seconds=9.6, seconds_a_million=10.17, gib=0.89, gib_a_million=0.102),
}  # fmt: skip
"""From two runs on two cores with nothing else at work: the 1,469,307 interactions of examples/grocery and the 4,676 of
examples/own-data. A straight line through two points: between and near them it holds best."""

LOG_VISIT_SECONDS = 0.00025
"""To learn from a visit of the log in ``train_fused`` (record 0086)."""

LESSON_SECONDS_A_MILLION = 35.0
"""For trees to learn from a million training rows and to say in ``train_fused`` what they know of them (record 0118)."""

SKIPPED_SECONDS = 1.0
"""Of a step that is not asked for, beside its start: it writes that it was not."""

START_SECONDS = 1.8
"""To start a step's process."""


def forecast(
    spec: RecommenderSpec,
    description: Mapping[str, Any],
    events: pl.DataFrame,
    *,
    searched: pl.DataFrame | None = None,
) -> dict[str, Any]:
    """The days, whether there is enough, and the estimate.

    Args:
        spec: Of the recommender.
        description: As :func:`shoploop.data.description.describe` gives it.
        events: Canonical interactions.
        searched: What was taken after searches, where search is asked for and there are any
            (:func:`shoploop.features.searched.taken_after_searches`).

    Returns:
        ``windows`` and ``sold_before``, the share of purchases to learn from whose item was sold on an earlier day (None
        where there is nothing to choose from), ``requests``, ``enough`` (a line a step) and ``estimate``
        (None where the run would end early).
    """
    plan = _plan(spec, events, searched)
    enough = _enough(spec, description, events, plan)
    ends = any(line.state == "too little" for line in enough)
    sizes = None if ends else _sizes(spec, events, plan)
    return {
        "windows": plan.split.report() if plan.split else None,
        "sold_before": plan.sold_before if plan.split else None,
        "requests": {name: len(getattr(plan.chosen, name)) for name in ("train", "validation", "evaluation")}
        if plan.chosen
        else None,
        "enough": [asdict(line) for line in enough],
        "estimate": None if sizes is None else _estimate(spec, sizes),
    }


@dataclass(kw_only=True)
class _Plan:
    """As far as the steps would come."""

    split: TimeSplit | None = None
    items: int = 0
    """Of the vocabulary."""

    rarer: int = 0
    """Items that were bought before the days of evaluation and have no place in the vocabulary."""

    unknown_share: float = 0.0
    """As of :func:`shoploop.features.windows.unknown_share`."""

    visits: pl.DataFrame = field(default_factory=pl.DataFrame)
    """User and day of those who bought one of these items, sorted."""

    pairs: int = 0
    """Users and what each has bought of them."""

    sold_before: float = 1.0
    """Share of the purchases to learn from whose item was sold on an earlier day."""

    chosen: Chosen | None = None
    log_visits: int = 0
    """As of :class:`Sizes`."""

    sessions: bool = False

    stopped: tuple[str, str] | None = None
    """The step that would end the run, and what it says."""


def _plan(spec: RecommenderSpec, events: pl.DataFrame, searched: pl.DataFrame | None) -> _Plan:
    plan, step = _Plan(), "materialize_features"
    try:
        coded = with_codes(events)
        kept, outside = within_ends(coded)
        rows = purchases(kept)
        bought = rows.select("user", "item", "day").unique()
        plan.sessions = in_sessions(rows, spec.training.task)
        if spec.training.task.in_shop:
            refuse_unnamed(events)
        in_shops = None
        if "Shops" in spec.training.surfaces:
            in_shops = purchases(within_ends(events)[0])
            refuse_shopless(in_shops)
        windows = choose_windows(
            bought,
            last=outside.span.last,
            training=spec.training,
            sessions=plan.sessions,
            searched=None if searched is None else _with_codes_of(events, coded, searched),
        )
        plan.split = windows.split
        items = pl.DataFrame({"item": windows.vocabulary.items}, schema={"item": bought.schema["item"]})
        known = bought.join(items, on="item", how="semi")
        judged = pl.col("day") >= windows.split.evaluation_first
        plan.rarer = bought.filter(~judged).join(items, on="item", how="anti")["item"].n_unique()
        plan.unknown_share = unknown_share(bought, windows)
        plan.items, plan.pairs = len(windows.vocabulary), known.select(user_and_item()).n_unique()
        plan.visits = known.select("user", "day").unique().sort("user", "day")
        step = "build_samples"
        learn_days = pl.col("day").is_between(windows.split.training_first, windows.split.evaluation_first - 1)
        plan.sold_before = sold_before(bought, learn_days)
        user_V = plan.visits["user"].rank("dense").cast(pl.Int32).to_numpy() - 1
        learned = known.filter(~judged)
        latest = not is_of_repeats(learned["user"].to_numpy(), learned["item"].to_numpy())
        plan.chosen = choose_visits(
            user_V, plan.visits["day"].to_numpy(), windows.split, seed=spec.training.seed, latest=latest
        )
        if in_shops is not None:
            choose_shop_visits(visits_of(in_shops), windows.split, seed=spec.training.seed)
        before = known.filter(pl.col("day") < windows.split.training_first).sort("user", "day")
        user_R, day_R, item_R = (before[name].to_numpy() for name in ("user", "day", "item"))
        task = sequence_task(user_R, day_R, item_R, spec.training.task)
        plan.log_visits = task.epochs * task.visits
    except TooFewEvents as error:
        plan.stopped = (step, str(error))
    return plan


def _with_codes_of(events: pl.DataFrame, coded: pl.DataFrame, searched: pl.DataFrame) -> pl.DataFrame:
    """What was taken after searches with the numbers that the interactions' items have; what is in no interaction has numbers
    behind them."""
    codes = pl.DataFrame({"item": events["item"], "code": coded["item"]}).unique("item")
    greatest = codes.select(pl.col("code").max()).item()
    new = (pl.col("item").rank("dense") + greatest).cast(codes.schema["code"])
    return searched.join(codes, on="item", how="left").with_columns(item=pl.coalesce("code", new)).drop("code")


def _enough(spec: RecommenderSpec, description: Mapping[str, Any], events: pl.DataFrame, plan: _Plan) -> list[Enough]:
    found = [
        _loaded(description, events),
        _validated(spec, description, events),
    ]
    if plan.stopped is not None:
        step, why = plan.stopped
        found += [Enough(step=name, state="enough", why="") for name in _between("validate_data", step)]
        found.append(Enough(step=step, state="too little", why=why, change=CHANGES[step]))
        found += [Enough(step=name, state="not reached", why="") for name in _between(step, None)]
        return found
    assert plan.chosen is not None
    learned, judged = len(plan.chosen.train) + len(plan.chosen.validation), len(plan.chosen.evaluation)
    known = f"{plan.items:,} items, {plan.visits['user'].n_unique():,} buyers."
    if plan.rarer:
        known += (
            f" {plan.rarer:,} rarer ones are recommended by no model: {plan.unknown_share:.0%} of what is bought on the days "
            "of evaluation is of these."
        )
    found.append(Enough(step="materialize_features", state="enough", why=known))
    requests = f"{learned:,} visits to learn from, {judged:,} users to evaluate on."
    seldom = plan.sold_before < SELDOM_SOLD_BEFORE
    if seldom:
        requests += f" {sold_once(plan.sold_before)} {COARSER}"
    # pictures offer items that nobody has bought, and within a session what was taken before on the same day comes again
    known_otherwise = image_of(spec.data) is not None or plan.sessions
    if plan.sold_before == 0 and not known_otherwise:
        found.append(Enough(step="build_samples", state="too little", why=requests, change=COARSER))
        found += [Enough(step=name, state="not reached", why="") for name in _between("build_samples", None)]
        return found
    found.append(Enough(step="build_samples", state="little" if seldom else "enough", why=requests))
    found += [_augmented(spec, plan), _weighed(spec, plan)]
    found.append(Enough(step="train_fused", state="enough", why=f"{learned:,} visits, {spec.training.epochs} epochs."))
    few = judged < WANTED_USERS
    why = f"{judged:,} users" + (
        f"; with fewer than {WANTED_USERS} a gain of a tenth is not told from chance." if few else "."
    )
    found.append(Enough(step="evaluate_model", state="little" if few else "enough", why=why))
    doubt = "It may refuse what is better, for want of proof." if few else ""
    found.append(Enough(step="gate", state="little" if few else "enough", why=doubt))
    found.append(Enough(step="build_bento", state="enough", why=""))
    return found


def _between(first: str, last: str | None) -> list[str]:
    """The steps after ``first`` and before ``last``."""
    names = list(STEPS)
    return names[names.index(first) + 1 : names.index(last) if last else None]


def _loaded(description: Mapping[str, Any], events: pl.DataFrame) -> Enough:
    """What is left, and whether much of it is nobody's."""
    why = f"{events.height:,} interactions are left of what was read."
    nameless = sum(rule["rows"] for rule in description["rules"] if rule["name"] == "rows_without_user")
    if nameless < MANY_NAMELESS * description["log"]["rows_read"]:
        return Enough(step="load_data", state="enough", why=why)
    why += f" {nameless:,} rows name no user, and nothing is learned from them: see rows_without_user."
    return Enough(step="load_data", state="little", why=why)


def _validated(spec: RecommenderSpec, description: Mapping[str, Any], events: pl.DataFrame) -> Enough:
    """The expectations about amounts; the others are asked by the step itself."""
    broken, stops = [], False
    dropped = dropped_rows(description["rules"])
    for rule in configured(spec.validation.expectations):
        why = _breaks(rule, events, dropped)
        if why and rule.severity != "Ignore":
            broken.append(f"{rule.name} does not hold: {rule.rule} ({why}).")
            stops |= rule.severity == "Stop" and spec.validation.on_failure == "Stop"
    state: State = "too little" if stops else "little" if broken else "enough"
    why = " ".join(broken) or "Enough rows, users, items and days; what else is expected is looked at in the run."
    return Enough(step="validate_data", state=state, why=why, change=CHANGES["validate_data"] if stops else "")


_COUNTS = ("ExpectTableRowCountToBeBetween", "ExpectColumnUniqueValueCountToBeBetween")


def _breaks(rule: Expectation, events: pl.DataFrame, dropped: Mapping[str, int]) -> str | None:
    """How a rule about amounts is broken; None where it holds, or is of another kind."""
    if rule.table != "interactions":
        return None
    least = int(rule.arguments.get("min_value", 0)) if rule.check in _COUNTS else 0
    if rule.column == "kept":
        lost = dropped.get(rule.table, 0)
        share = lost / (events.height + lost)
        return f"{lost:,} rows, {share:.1%}; tolerated are {rule.tolerance:.0%}" if share > rule.tolerance else None
    if rule.check == "ExpectTableRowCountToBeBetween":
        return f"found: {events.height:,}" if events.height < least else None
    if rule.check == "ExpectColumnUniqueValueCountToBeBetween":
        column = pl.col("time").dt.date() if rule.column == "day" else pl.col(rule.column)
        count = int(events.select(column.n_unique()).item())
        return f"found: {count:,}" if count < least else None
    if rule.check == "ExpectColumnDistinctValuesToContainSet":
        lacking = set(rule.arguments["value_set"]) - set(events[rule.column].unique().to_list())
        return f"there is no {' or '.join(sorted(lacking))}" if lacking else None
    return None


def _augmented(spec: RecommenderSpec, plan: _Plan) -> Enough:
    if spec.augmentation.mode == "Never":
        return Enough(step="augment_samples", state="not asked for", why="spec.augmentation.mode is Never.")
    least = FEWEST_JUDGED if spec.augmentation.mode == "Auto" else FEWEST_SHOPPERS
    shoppers = _shoppers(plan)
    if shoppers < least:
        why = (
            f"{shoppers:,} users have {FEWEST_VISITS} visits before the days of evaluation, and {least} are needed to tell "
            "whether virtual behaviour pays: the run goes on without."
        )
        return Enough(step="augment_samples", state="little", why=why)
    return Enough(
        step="augment_samples", state="enough", why=f"{shoppers:,} users with {FEWEST_VISITS} visits or more."
    )


def _shoppers(plan: _Plan) -> int:
    """Users on whom augmentation can be tried."""
    assert plan.split is not None
    before = plan.visits.filter(pl.col("day") < plan.split.evaluation_first)
    return before.group_by("user").len().filter(pl.col("len") >= FEWEST_VISITS).height


def _weighed(spec: RecommenderSpec, plan: _Plan) -> Enough:
    if spec.importance.estimator == "None":
        return Enough(step="estimate_importance", state="not asked for", why="spec.importance.estimator is None.")
    assert plan.chosen is not None
    check = CheckConfig()
    days = np.array([request.day for request in plan.chosen.train])
    cut = first_judged_day(np.unique(days), check)
    earlier, later = int((days < cut).sum()), int((days >= cut).sum())
    if min(earlier, later) < check.fewest:
        why = (
            f"{earlier:,} visits to learn from and {later:,} later ones to judge on, and {check.fewest} of each are needed "
            "to show that weights do not lose: training goes on without."
        )
        return Enough(step="estimate_importance", state="little", why=why)
    why = f"{earlier:,} visits, and {later:,} later ones to judge on."
    return Enough(step="estimate_importance", state="enough", why=why)


def _sizes(spec: RecommenderSpec, events: pl.DataFrame, plan: _Plan) -> Sizes:
    assert plan.chosen is not None and plan.split is not None
    chosen, config = plan.chosen, CandidateConfig()
    history = plan.pairs / plan.visits["user"].n_unique()
    each = min(plan.items, history + config.popular + config.neighbours)
    requests = len(chosen.train) + len(chosen.validation) + len(chosen.evaluation)
    training_rows = int(len(chosen.train) * min(each, TRAINING_NEGATIVES))
    least = FEWEST_JUDGED if spec.augmentation.mode == "Auto" else FEWEST_SHOPPERS
    shoppers = _shoppers(plan)
    return Sizes(
        rows=events.height,
        statistics=plan.items * len(request_days(plan.visits["day"].to_numpy(), plan.split)) + events.height,
        candidates=int(requests * each),
        shoppers=min(shoppers, SHOPPERS_IN_A_RUN) if shoppers >= least else 0,
        training_rows=training_rows,
        lessons=training_rows * spec.training.epochs,
        evaluated=int(len(chosen.evaluation) * each),
        log_visits=plan.log_visits,
    )


def _estimate(spec: RecommenderSpec, sizes: Sizes) -> dict[str, Any]:
    from shoploop.compute.cores import cores

    steps = {}
    for name in STEPS:
        rate = RATES[name]
        millions = getattr(sizes, rate.size) / 1e6 if rate.size else 0.0
        seconds = rate.seconds + rate.seconds_a_million * millions
        if name in not_asked_for(spec):
            seconds, millions = SKIPPED_SECONDS, 0.0
        if name == "train_fused":
            seconds += LOG_VISIT_SECONDS * sizes.log_visits
            seconds += LESSON_SECONDS_A_MILLION * sizes.training_rows / 1e6
        if name == "train_fused" and spec.training.adversarial_radius:
            seconds *= 2
        gib = rate.gib + rate.gib_a_million * millions
        steps[name] = {"seconds": round(seconds + START_SECONDS, 1), "gib": round(gib, 2)}
    here = cores()
    return {
        "seconds": round(sum(step["seconds"] for step in steps.values())),
        "gib": max(step["gib"] for step in steps.values()),
        "steps": steps,
        "sizes": asdict(sizes),
        "cores": here,
        "how": (
            f"From two measured runs on {MEASURED_CORES} cores, a straight line for each step by the size that it depends "
            f"on; half or twice as much is possible. {_cores(here)}"
        ),
    }


def _cores(here: int) -> str:
    if here == MEASURED_CORES:
        return "There are as many here."
    more = "less, by how much was not measured" if here > MEASURED_CORES else "more"
    return f"There {'is' if here == 1 else 'are'} {here} here, so it will take {more}."
