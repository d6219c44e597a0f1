"""What Kubeflow shows of one step alone: facts, a table, a page that needs nothing outside itself."""

import json
import re

import pytest
import report_runs

from shoploop.report.step_facts import document_of, facts, step_page
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
