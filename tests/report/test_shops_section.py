"""The section on shops: there where a run was asked for it, each method on the same visits."""

import json

import pytest
from markupsafe import Markup
from report_runs import complete_run, evaluation, write
from test_run_report import Page

from shoploop.report import build, drawing

RIGHT = {"last": 0.659, "half_life_weekday": 0.734, "lambdamart": 0.7398, "fused": 0.7412}
"""Hit@1 by method."""


def scores(name, lift=1.0):
    hit, mrr = RIGHT[name] * lift, (RIGHT[name] + 0.1) * lift
    return {"hit@1": hit, "mrr": mrr, "interval": {"hit@1": [hit - 0.02, hit + 0.02], "mrr": [mrr - 0.01, mrr + 0.01]}}


def shops():
    return {
        "visits": 4000,
        "users": 1617,
        "candidate_recall": 0.978,
        "weekday_times": 2.0,
        "alpha": 0.731,
        "methods": {name: scores(name) for name in RIGHT},
        "comparisons": [
            {"better": "fused", "than": name, "metric": "hit@1", "difference": RIGHT["fused"] - right,
             "interval": [RIGHT["fused"] - right - 0.006, RIGHT["fused"] - right + 0.006]}
            for name, right in RIGHT.items() if name != "fused"
        ],
        "slices": {
            "changed": {"visits": 1362, "methods": {name: scores(name, 0.5) for name in RIGHT}, "comparisons": []},
            "habits_known": {"visits": 3131, "methods": {name: scores(name) for name in RIGHT}, "comparisons": []},
        },
    }  # fmt: skip


@pytest.fixture
def page_of(tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "svg", lambda spec, label: Markup("<svg></svg>"))

    def make(found):
        run = complete_run(tmp_path)
        samples = json.loads((run / "samples/samples.json").read_bytes())
        write(run, "samples/samples.json", samples | {"shops": {"shops": 457, "visits": 90_000, "splits": {}}})
        training = json.loads((run / "model/training.json").read_bytes())
        write(run, "model/training.json", training | {"shops": {"epochs": [], "requests": {"train": 8084}}})
        write(run, "evaluation/evaluation.json", evaluation() | {"shops": found})
        return run, Page(build(run))

    return make


def test_every_method_is_told_with_its_interval_the_best_first(page_of):
    _, page = page_of(shops())
    assert "shops" in page.attributes("id")
    section = page.text[page.text.index("Shops by method") :]
    places = [section.index(told) for told in ("0.7412 0.721–0.761", "0.7398", "0.7340", "0.6590")]
    assert places == sorted(places)


def test_this_version_is_compared_with_each_other_on_the_same_visits(page_of):
    _, page = page_of(shops())
    assert "+0.0072 +0.0012 to +0.0132 better" in page.text, "the half-life with weekday"
    assert "+0.0014 -0.0046 to +0.0074" in page.text.replace("−", "-"), "the trees"


def test_kinds_of_visits_and_how_many_there_are_is_told(page_of):
    _, page = page_of(shops())
    assert "Another shop than the last 1,362 visits 20 visits before 3,131 visits" in page.text
    assert "This version 0.3706 0.7412" in page.text
    for told in ("Visits judged 4,000", "Learned from 8,084", "Shops 457", "Can be found 97.8%", "α of shops 0.731"):
        assert told in page.text, told


def test_the_numbers_of_shops_are_in_the_json_beside_the_page(page_of):
    run, _ = page_of(shops())
    assert json.loads((run / "report.json").read_bytes())["evaluation"]["shops"] == shops()


def test_a_run_that_was_not_asked_for_shops_has_no_such_section(tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "svg", lambda spec, label: Markup("<svg></svg>"))
    run = complete_run(tmp_path)
    before = build(run).read_bytes()
    assert "shops" not in Page(run / "report.html").attributes("id")
    for file in ("model/training.json", "evaluation/evaluation.json"):  # as the steps write it then
        write(run, file, json.loads((run / file).read_bytes()) | {"shops": None})
    assert build(run).read_bytes() == before


@pytest.mark.parametrize(
    "found", [None, {}, 3, {"methods": 3}, {"methods": {"fused": {}}, "slices": 3}, shops() | {"comparisons": 3}]
)
def test_shops_of_another_form_cost_their_section_only(page_of, found):
    _, page = page_of(found)
    assert "shops" not in page.attributes("id")
    assert "Not in this run" in page.text
    assert "5 min 53 s in all" in page.text


def test_a_run_that_ended_before_its_visits_were_judged_says_so(page_of):
    run, _ = page_of(shops())
    (run / "evaluation/evaluation.json").unlink()
    assert (
        "Shops The step evaluate_model ended well, but: There is no evaluation/evaluation.json."
        in Page(build(run)).text
    )
