"""A made-up log of searches: who types the name of what nobody has taken yet finds it, and the others find what they did.

Seven makers sell six colours each. Who types a maker's name takes its red one, who types maker and colour takes that.
Black ones are in the shop since ever and nobody takes them. White ones nobody has taken before the last day, though some
asked for them by name when they were not there yet, and took others.
"""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from shoploop.bench.prediction.problem import NOBODY as NO_USERS
from shoploop.bench.prediction.problem import bare_purchases
from shoploop.bench.search.contest import _Made
from shoploop.bench.search.problems import SearchProblem
from shoploop.evaluation.scoring import model_scores, request_metrics
from shoploop.features.contract import resolve
from shoploop.features.log import PurchaseLog, Vocabulary, purchases
from shoploop.surfaces.search.asked import item_texts, requests_of, searches_of
from shoploop.training.building import build_model
from shoploop.training.searching import SearchTraining, fit_search

pytestmark = pytest.mark.usefixtures("one_thread")

MAKERS = ("acorn", "birch", "cedar", "dahlia", "elder", "fennel", "ginger")
COLOURS = ("red", "blue", "green", "yellow", "white", "black")
FIRST, DAYS = datetime(2024, 1, 1, tzinfo=UTC), 30
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def made_up():
    random = np.random.default_rng(0)
    rows = []
    for day in range(DAYS):
        for visit in range(12):
            maker, user = MAKERS[random.integers(7)], f"user {random.integers(60)}"
            colour = COLOURS[random.choice(4, p=[0.6, 0.2, 0.1, 0.1])]
            query = maker if colour == "red" and visit % 2 else f"{maker} {colour}"
            if day >= DAYS - 10 and visit < 2:
                query, colour = f"{maker} white", COLOURS[random.integers(4)]
            rows.append((user, query, f"{maker}-{colour}", FIRST + timedelta(days=day, minutes=visit)))
    last = FIRST + timedelta(days=DAYS)
    rows += [("somebody", f"{maker} white", f"{maker}-white", last) for maker in MAKERS]
    rows += [("somebody", maker, f"{maker}-red", last) for maker in MAKERS]
    typed = pl.DataFrame(rows, schema=["user", "query", "item", "time"], orient="row").sort("time")
    typed = typed.with_columns(pl.col("time").cast(pl.Datetime("us", "UTC")))
    names = [(f"{maker}-{colour}", f"{maker.title()} mug, {colour}") for maker in MAKERS for colour in COLOURS]
    items = pl.DataFrame(sorted(names), schema=["item", "title"], orient="row")
    items = items.with_columns(category=pl.lit([], pl.List(pl.String)))
    interactions = bare_purchases(typed.select("user", "item", "time"))
    log = PurchaseLog.of(purchases(interactions), Vocabulary(tuple(items["item"])))
    searches, first = searches_of(typed, log), (FIRST - EPOCH).days
    asked = requests_of(searches)
    return SearchProblem(
        dataset="made up",
        queries="made up",
        log=log,
        items=items,
        texts=item_texts(items, log.vocabulary.items),
        contract=resolve(interactions=interactions, items=items, users=NO_USERS),
        searches=searches,
        first=first + 5,
        test=first + DAYS,
        learn=[each for each in asked if first + 5 <= each.day < first + DAYS],
        judged=[each for each in asked if each.day == first + DAYS],
    )


def test_the_name_of_what_nobody_has_taken_yet_finds_it_first():
    problem = made_up()
    made = _Made(problem, lambda what: None)
    queries, judged = made.queries(problem.learn, learn=True, hiding=True), made.queries(problem.judged)
    visits, _ = made.visits(0)
    model = build_model(problem.contract, made.catalogs.training, visits, seed=0, queries=queries, texts=problem.texts)
    fit_search(model, queries, queries.select([]), visits, visits.select([]), SearchTraining(items_share=0.0))
    scores = model_scores(model, judged, surface="search")
    new = np.array(["white" in query for query in judged.queries])
    for part in ("fused", "dnn"):
        found = request_metrics(judged, scores[part])["ndcg@10"]
        assert found[new].min() == 1 == found[~new].min(), part
