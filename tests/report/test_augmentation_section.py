"""The section on virtual behaviour: every variant with its interval, both gates, and the verdict in words."""

import json

import pytest
from markupsafe import Markup
from report_runs import augmentation, complete_run, write
from test_run_report import Page

from shoploop.report import build, drawing


@pytest.fixture
def page_of(tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "svg", lambda spec, label: Markup("<svg></svg>"))

    def make(document):
        run = complete_run(tmp_path)
        write(run, "augmentation/augmentation.json", document)
        return run, Page(build(run))

    return make


def test_every_variant_is_told_with_its_gain_interval_and_verdict(page_of):
    _, page = page_of(augmentation())
    assert "augmentation" in page.attributes("id")
    assert "crop enters training: it gains +4.1% on the cold slice. 5,200 samples were added." in page.text
    for told in ("+4.1 %", "+2.1 % to +6.1 %", "−0.3 %", "may enter", "refused for privacy"):
        assert told in page.text, told


def test_both_gates_are_told_with_their_numbers_and_what_is_allowed(page_of):
    _, page = page_of(augmentation())
    for told in ("0.612 (0.580 to 0.644)", "AUC at most 0.55, its upper end at most 0.6", "50.5%", "Hour of a visit"):
        assert told in page.text, told
    assert "Refused: membership can be inferred" in page.text
    assert "basket size" in page.text.lower()


def test_a_refusal_without_a_generator_is_told_with_its_reason(page_of):
    _, page = page_of({"variant": None, "reason": "Nothing could be shown to pay: only 90 users.", "mode": "Auto"})
    assert "only 90 users" in page.text
    assert "Is it like the real" not in page.text


def test_a_generator_that_was_refused_is_told_beside_the_rivals(page_of):
    document = augmentation() | {"generator": {"refused": "the loss is no number"}}
    del document["fidelity"], document["privacy"]
    _, page = page_of(document)
    assert "There is no generator: the loss is no number" in page.text
    assert "Short histories" in page.text


def test_the_numbers_are_in_the_json_beside_the_page(page_of):
    run, _ = page_of(augmentation())
    numbers = json.loads((run / "report.json").read_bytes())["augmentation"]
    assert numbers["variants"]["crop"]["interval"] == augmentation()["variants"]["crop"]["interval"]
    assert numbers["privacy"]["membership_auc"] == 0.612
