"""A shop of which nobody can foretell what is bought, and whose searches tell a lot: from its files to what its predictor
answers."""

import json
from datetime import UTC, datetime, time

import polars as pl
import pytest
from minimal_logs import carry, with_little_effort
from shop import Shop

from shoploop.api.v1alpha1 import Recommender
from shoploop.packaging import bento
from shoploop.packaging.fetch import ranker_folder
from shoploop.ranking.answer import RecommendRequest, SearchRequest
from shoploop.ranking.ranker import Ranker
from shoploop.ranking.simple import ANSWERED_AS
from shoploop.report.run_folder import read_run
from shoploop.report.verdict import verdict
from shoploop.runs.finishing import publish
from shoploop.runs.letting_serve import let_serve
from shoploop.runs.planning import Plan, Run
from shoploop.steps import run_step
from shoploop.store import Store
from shoploop.versions import promotions
from shoploop.versions.signing import Trust
from shoploop.versions.stored import fetch_incumbent
from shoploop.versions.verdicts import falls_back

pytestmark = pytest.mark.usefixtures("one_thread")

SHOP = Shop(users=36, days=40, every=3, items=24, drawn=3, seed=3)
NOON = datetime.combine(SHOP.serving_day, time(12), UTC)
PLAIN = {"augmentation": {"mode": "Never"}, "importance": {"estimator": "None"}, "gate": {}}
TRUST = Trust.configured()


def write_files(folder):
    """What is bought is drawn by chance; who types sweet or salty takes the first item of their visit before."""
    bought = SHOP.interactions()
    visits = bought.sort("time").group_by("user", "time", maintain_order=True).agg(pl.col("item").min())
    typed = visits.select(
        "user", "time",
        query=pl.when(SHOP.numbers() % 2 == 0).then(pl.lit("sweet")).otherwise(pl.lit("salty")),
        item=pl.col("item").shift(1).over("user"),
    ).drop_nulls()  # fmt: skip
    tables = {
        "interactions": bought.select("user", "item", "time"),
        "items": SHOP.described().select("item", "title", category=pl.col("category").list.get(1)),
        "searches": typed,
    }
    for name, table in tables.items():
        table.write_csv(folder / f"{name}.csv", datetime_format="%Y-%m-%dT%H:%M:%SZ")
    return {"tables": {name: {"uri": str(folder / f"{name}.csv")} for name in tables}}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run that was carried out to its package, and what its steps said."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        with_little_effort(patch)
        # a network as small as this is behind trees, which is another matter
        patch.setattr("shoploop.evaluation.scoring.LEARNED", ())
        training = {"epochs": 3, "surfaces": ["Items", "Search"]}
        said = carry(folder, write_files(folder), settings=PLAIN | {"training": training}, without=["validate_data"])
    inputs = {name: folder / name for name in ("model", "features", "data", "gate")}
    serving = {"serving": {"deadlineMilliseconds": 60_000}}
    run_step("build_bento", settings=serving, inputs=inputs, out=folder / "bento")
    return folder, said


def test_search_serves_by_the_model_and_recommendations_by_the_best_simple_method(run, tmp_path):
    folder, said = run
    judged, store = said["gate"], Store(str(tmp_path / "store"))
    simple = judged["falls_back"]["items"]
    assert judged["passed"] and list(judged["falls_back"]) == ["items"]
    assert judged["reason"].startswith("Search passed and answers by the model. Recommendations did not pass")

    document = {"metadata": {"name": "small"}, "spec": {"data": {"dataset": "completejourney"}}}
    first = Run(id="20260101-000000-abcd", recommender=Recommender.model_validate(document))
    plan = Plan(run=first, source="s", incumbent=None, after=0, keys={})
    made = publish(store, plan, folder, TRUST)
    assert made.answers == f"items by {simple}, search by model"
    assert let_serve(store, plan, made, trust=TRUST) is None
    assert promotions.serving_version(store, "small") == made.version

    unpacked = bento.fetch_bento(store, "small", made.version, tmp_path / "cache")
    ranker = Ranker.load(ranker_folder(unpacked))
    recommended = ranker.recommend(RecommendRequest(user="ann", k=5), now=NOON)
    found = ranker.search(SearchRequest(user="ann", query="sweet", k=5), now=NOON)
    assert (recommended.method, found.method) == (ANSWERED_AS[simple], "fused")
    assert not any(item.origin.modelled for item in recommended.items)
    assert all(item.origin.modelled for item in found.items)

    # the next run knows what of it serves by the model
    copied = fetch_incumbent(store, "small", made.version, tmp_path / made.version, TRUST)
    assert json.loads((copied / "falls_back.json").read_text()) == falls_back(store, "small", made.version)

    # and holds the new one's search against it: here they are the same, but for what is known of items, which is fitted anew
    inputs = {name: folder / name for name in ("data", "features", "samples", "model")} | {"incumbent": copied}
    run_step("evaluate_model", settings={"gate": {}}, inputs=inputs, out=tmp_path / "again")
    beside = json.loads((tmp_path / "again" / "evaluation.json").read_text())["gate"]["surfaces"]["search"]["incumbent"]
    assert beside["compared"] and beside["difference"] == pytest.approx(0, abs=0.02)
    again = run_step("gate", settings={"gate": {}}, inputs={"evaluation": tmp_path / "again"}, out=tmp_path / "gate")
    assert again["surfaces"]["search"]["passed"]


def test_its_report_says_which_surface_passed_and_what_answers_on_the_other(run):
    shown = verdict(read_run(run[0]))
    assert shown.state == "Passed the gate in part"
    assert shown.headline == "Search passed; recommendations did not, and a simple method answers"
    assert "it answers recommendations by" in shown.sentence
