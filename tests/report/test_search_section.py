"""The section on search: there where a run was asked for it, and plain about where its queries come from."""

import json

import pytest
from markupsafe import Markup
from report_runs import complete_run, evaluation, scores, write
from test_run_report import Page

from shoploop.report import build, drawing

RIVALS = {"popular": 0.5, "bm25": 0.8, "words_own": 0.9}
"""How many times the NDCG@10 of this version, 0.2362, each rival has."""


def search():
    fused = scores("fused")
    methods = {name: scores("fused", lift) for name, lift in RIVALS.items()} | {"fused": fused}
    return {
        "queries": 1234,
        "alpha": 0.613,
        "methods": methods,
        "comparisons": [
            {"better": "fused", "than": name, "metric": "ndcg@10", "difference": 0.2362 * (1 - lift),
             "interval": [0.2362 * (1 - lift) - 0.004, 0.2362 * (1 - lift) + 0.004]}
            for name, lift in RIVALS.items()
        ],
        "slices": {
            "query_not_seen_before": {"queries": 77, "fused": 0.1111, "bm25": 0.1023},
            "user_not_known": {"queries": 15, "fused": 0.1501, "bm25": 0.1402},
        },
    }  # fmt: skip


@pytest.fixture
def page_of(tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "svg", lambda spec, label: Markup("<svg></svg>"))

    def make(found, *, queries="made of names"):
        run = complete_run(tmp_path)
        samples = json.loads((run / "samples/samples.json").read_bytes())
        split = {"requests": 1234, "rows": 30_000, "candidate_recall": 0.987}
        write(run, "samples/samples.json", samples | {"search": {"queries": queries, "splits": {"evaluation": split}}})
        training = json.loads((run / "model/training.json").read_bytes())
        write(run, "model/training.json", training | {"search": {"epochs": [], "requests": {"train": 3760}}})
        write(run, "evaluation/evaluation.json", evaluation() | {"search": found})
        return run, Page(build(run))

    return make


def test_every_method_is_told_with_its_interval_and_what_it_is(page_of):
    _, page = page_of(search())
    assert "search" in page.attributes("id")
    for told in ("This version", "BM25", "Words and habits", "then what the shopper buys, then what sells"):
        assert told in page.text, told
    for told in ("0.2362 0.228–0.244", "0.1890 0.181–0.197", "0.2031 0.195–0.211", "0.6367 0.629–0.645"):
        assert told in page.text, told  # NDCG@10 of this version and of BM25, recall@10 and hit@10


def test_this_version_is_compared_with_each_rival_on_the_same_queries(page_of):
    _, page = page_of(search())
    assert "This version less BM25 NDCG@10 +0.0472 +0.0432 to +0.0512 better" in page.text
    assert "This version less Words and habits NDCG@10 +0.0236" in page.text
    assert "Differences on the same queries" in page.text


def test_kinds_of_queries_the_mix_and_how_many_there_are_is_told(page_of):
    _, page = page_of(search())
    assert "Nobody had asked so before 77 queries Of somebody who is not known 15 queries" in page.text
    assert "This version 0.1111 0.1501" in page.text and "BM25 0.1023 0.1402" in page.text
    for told in ("Queries judged 1,234", "Learned from 3,760", "Can be found 98.7%", "α of search 0.613"):
        assert told in page.text, told


@pytest.mark.parametrize(
    ("queries", "sentence"),
    [
        ("made of names", "Nobody typed these queries."),
        ("made of names", "the numbers do not show how people type"),
        ("typed", "The queries are what people typed; right is what was taken after them."),
        (None, "No step has said where the queries come from."),
        ("typed and made of names", "Few of these queries were typed"),
    ],
)
def test_where_the_queries_come_from_is_said_before_the_numbers(page_of, queries, sentence):
    _, page = page_of(search(), queries=queries)
    assert page.text.index(sentence) < page.text.index("Queries judged")
    assert ("Nobody typed these queries." in page.text) == (queries == "made of names")


def test_the_numbers_of_search_are_in_the_json_beside_the_page(page_of):
    run, _ = page_of(search())
    assert json.loads((run / "report.json").read_bytes())["evaluation"]["search"] == search()


def test_a_run_that_was_not_asked_for_search_has_no_such_section(tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "svg", lambda spec, label: Markup("<svg></svg>"))
    run = complete_run(tmp_path)
    before = build(run).read_bytes()
    assert "search" not in Page(run / "report.html").attributes("id")
    for file in ("model/training.json", "evaluation/evaluation.json"):  # as the steps write it then
        write(run, file, json.loads((run / file).read_bytes()) | {"search": None})
    assert build(run).read_bytes() == before


@pytest.mark.parametrize("found", [None, {}, 3, {"methods": 3}, {"methods": {"fused": {}}, "slices": 3}])
def test_search_of_another_form_costs_its_section_only(page_of, found):
    _, page = page_of(found)
    assert "search" not in page.attributes("id")
    assert "Not in this run" in page.text
    assert "5 min 53 s in all" in page.text


def test_a_run_that_ended_before_its_queries_were_judged_says_so(page_of):
    run, _ = page_of(search())
    (run / "evaluation/evaluation.json").unlink()
    assert (
        "Search The step evaluate_model ended well, but: There is no evaluation/evaluation.json."
        in Page(build(run)).text
    )
