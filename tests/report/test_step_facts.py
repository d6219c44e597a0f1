"""What Kubeflow shows of one step alone: facts, a table, a page that needs nothing outside itself."""

import json
import re

import pytest
import report_runs

from shoploop.report.step_facts import document_of, facts, step_page
from shoploop.runs.kubeflow.task import Done
from shoploop.steps import STEPS


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return report_runs.complete_run(tmp_path_factory.mktemp("run"))


@pytest.mark.parametrize("step", STEPS)
def test_a_step_has_a_page_of_its_own_that_loads_nothing(run, step):
    page = step_page(step, run / STEPS[step].output, title=f"grocery: {STEPS[step].says}")
    assert STEPS[step].says in page and page.startswith("<!doctype html>")
    assert not re.search(r"<script|<link[^>]+href=|src=[\"']?(https?:)?//", page)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_has_left_nothing_has_a_page_all_the_same(tmp_path, step):
    assert STEPS[step].says in step_page(step, tmp_path, title=f"grocery: {STEPS[step].says}")


def test_facts_are_rows_digests_and_verdicts(run):
    def told(step):
        return facts(step, document_of(step, run / STEPS[step].output))

    assert told("load_data").metadata["rows of interactions"] == 1_469_307
    assert len(told("load_data").metadata["sha256 of items"]) == 64
    assert told("gate").metadata["passed"] in ("yes", "no")
    assert told("evaluate_model").metrics["ndcg@10"] == pytest.approx(0.2362)
    json.dumps([told(step).metadata for step in STEPS])


def test_what_stands_in_a_table_is_no_markup():
    markdown = facts("gate", {"passed": True, "reason": "<b>a|b</b>\n`x` [y](z)"}).markdown
    (line,) = [line for line in markdown.splitlines() if "reason" in line]
    assert line.count(" | ") == 1 and "\\<b\\>a\\|b" in line and "\\`x\\`" in line


def test_numbers_that_are_none_are_no_metrics():
    document = {"methods": {"fused": {"ndcg@10": float("nan"), "hit@10": 0.5, "interval": {}}}}
    assert facts("evaluate_model", document).metrics == {"hit@10": 0.5}


CURVE = {
    "roc": {
        "false_positive_rate": [0.0, 0.0, 1.0],
        "true_positive_rate": [0.0, 0.5, 1.0],
        "threshold": [0.9, 0.9, 0.1],
    },
    "confusion": [[8, 2], [1, 3]],
}


@pytest.mark.parametrize(
    ("step", "document", "categories"),
    [
        ("augment_samples", {"fidelity": {"two_sample_auc": 0.6, "curve": CURVE}}, ("real", "virtual")),
        (
            "estimate_importance",
            {"self_check": {"preferred": "loss", "detection": {"random": {}, "loss": {"auc": 0.8, "curve": CURVE}}}},
            ("as it was", "flipped"),
        ),
    ],
)
def test_a_step_that_judges_by_a_classifier_shows_its_curve_and_its_confusion(step, document, categories):
    from kfp import dsl

    found = facts(step, document).classification
    assert found.categories == categories and found.confusion == ((8, 2), (1, 3))
    artifact = dsl.ClassificationMetrics(name="judge", uri="judge")
    Done(metadata={}, metrics={}, classification=found).show_classification(artifact)
    shown = artifact.metadata["confidenceMetrics"]
    assert [(one["falsePositiveRate"], one["recall"]) for one in shown] == [(0, 0), (0, 0.5), (1, 1)]
    matrix = artifact.metadata["confusionMatrix"]
    assert [one["displayName"] for one in matrix["annotationSpecs"]] == list(categories)
    assert [row["row"] for row in matrix["rows"]] == [[8, 2], [1, 3]]


@pytest.mark.parametrize("document", [{}, {"fidelity": {}}, {"self_check": {"detection": {"loss": {"auc": 0.8}}}}])
def test_a_step_without_a_classifier_shows_none(document):
    from kfp import dsl

    for step in ("augment_samples", "estimate_importance", "gate"):
        assert facts(step, document).classification is None
    artifact = dsl.ClassificationMetrics(name="judge", uri="judge")
    Done(metadata={}, metrics={}).show_classification(artifact)
    assert not artifact.metadata


def test_kinds_of_day_are_told_with_what_they_gain():
    gains = {"gain": 0.27, "low": 0.25, "high": 0.29, "visits": 1749.0}
    document = {"habits": {"weekend": gains | {"told": True}, "weekday": gains | {"told": False}}}
    told = facts("materialize_features", document).metadata
    assert told["habits by weekend"] == "+0.270 [+0.250, +0.290] a purchase; a feature"
    assert "no feature" in told["habits by weekday"]
