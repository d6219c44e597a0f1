"""The page of a run: complete, partial, failed, hostile."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markupsafe import Markup
from report_runs import complete_run, evaluation, example, expectation, run_record, scores, steps, write

from shoploop.errors import NotFound
from shoploop.report import build, drawing
from shoploop.report.run_folder import DOCUMENTS, OPTIONAL, read_run
from shoploop.report.run_report import SECTIONS
from shoploop.report.verdict import verdict


class Page(HTMLParser):
    """What a browser would make of the page: its tags, ids and text."""

    def __init__(self, path: Path):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "br", "img", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.tags if name in attributes]


@pytest.fixture(scope="module")
def complete(tmp_path_factory) -> Path:
    return complete_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def page(complete) -> Page:
    return Page(build(complete))


def test_a_complete_run_fills_every_section(page):
    sections = [attributes["id"] for tag, attributes in page.tags if tag == "section"]
    assert sections == [id for id, _, _ in SECTIONS if id not in OPTIONAL]
    assert "Not in this run" not in page.text


def test_the_words_for_kinds_and_what_was_said_while_loading_are_shown(page):
    assert "order purchase 1,400,001" in page.text
    assert "no word unknown 69,306" in page.text
    assert "names 'sale', which no row has" in page.text


def test_the_verdict_comes_first_and_in_shop_words(page):
    (headline,) = [i for i, (tag, _) in enumerate(page.tags) if tag == "h1"]
    assert headline < min(i for i, (tag, _) in enumerate(page.tags) if tag == "section")
    assert (
        "Of every 10 products it shows, shoppers buy 1.9, against 1.6 with what each has bought most lately"
        in page.text
    )
    assert "Passed the gate" in page.text


def test_the_page_names_no_address_and_runs_no_script(complete, page):
    html = (complete / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?:|//[a-z]|url\(|@import", html)
    assert {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object", "use", "image"} == set()
    assert [a for _, attributes in page.tags for a in attributes if a.startswith("on")] == []
    assert all(href.startswith("#") for href in page.attributes("href"))
    policy = [a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_every_link_of_the_contents_has_its_section_and_no_id_stands_twice(page):
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    assert {href[1:] for href in page.attributes("href")} <= set(ids)


def test_every_chart_says_what_it_shows_to_who_cannot_see_it(page):
    charts = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(charts) > 10
    assert all(chart["role"] == "img" and len(chart["aria-label"] or "") > 10 for chart in charts)


def test_every_table_has_a_caption_and_headers_with_scope(page):
    tags = [tag for tag, _ in page.tags]
    assert tags.count("caption") == tags.count("table") > 5
    assert all(attributes.get("scope") in ("row", "col") for tag, attributes in page.tags if tag == "th")


def test_report_json_holds_the_numbers_as_the_steps_wrote_them(complete, page):
    report = json.loads((complete / "report.json").read_bytes())
    for name, (_, file) in DOCUMENTS.items():
        if (complete / file).exists():
            assert report[name] == json.loads((complete / file).read_bytes()), name
    run = json.loads((complete / "run.json").read_bytes())
    assert {key: report[key] for key in run} == run
    assert report["missing"] == {}


@pytest.mark.parametrize("shown", ["0.2362", "0.228–0.244", "63.7%", "+0.0317", "1,469,307", "5 min 53 s", "α = 0.617"])
def test_the_page_shows_the_number(page, shown):
    assert shown in page.text


def test_the_same_run_gives_the_same_bytes(complete):
    first = build(complete).read_bytes()
    assert build(complete).read_bytes() == first


HOSTILE = "<script>alert('x')</script>\"'><img src=x onerror=alert(1)>{{ 7 * 7 }}</svg>"


def test_hostile_texts_stay_texts_wherever_they_come_from(tmp_path):
    run = complete_run(tmp_path)
    found = evaluation() | {"examples": [example(HOSTILE, 0, recent=[HOSTILE], truth=[HOSTILE])]}
    found["examples"][0]["recommended"] = [
        {"item": "1", "title": HOSTILE, "score": 1.0, "reason": HOSTILE, "bought": True}
    ]
    found["feature_importance"] = [{"feature": HOSTILE, "ndcg@10_drop": 0.1}]
    found["slices"] = {HOSTILE: next(iter(found["slices"].values()))}
    found["candidates"]["by_source"] = {HOSTILE: 0.5}
    found["methods"][HOSTILE] = found["methods"]["dnn"]
    write(run, "evaluation/evaluation.json", found)
    broken = expectation("items.title", HOSTILE, 20_000, examples=[{HOSTILE: HOSTILE}])
    write(run, "validation/validation.json", {"verdict": "warned", "expectations": [broken]})
    write(run, "run.json", run_record(name=HOSTILE, spec=HOSTILE, versions={HOSTILE: HOSTILE}))

    page = Page(build(run))

    assert {tag for tag, _ in page.tags} & {"script", "img"} == set()
    assert page.attributes("onerror") == []
    assert page.text.count("<script>alert('x')</script>") > 8
    assert "{{ 7 * 7 }}" in page.text


def test_without_its_documents_a_section_says_so_and_the_rest_is_there(tmp_path, undrawn):
    run = complete_run(tmp_path)
    (run / "model/training.json").unlink()

    page = Page(build(run))

    assert "The step train_fused ended well, but: There is no model/training.json." in page.text
    assert "Of every 10 products it shows" in page.text
    assert json.loads((run / "report.json").read_bytes())["missing"].keys() == {"training"}


def test_the_recall_of_candidates_is_known_before_anything_is_evaluated(tmp_path):
    run = complete_run(tmp_path)
    (run / "evaluation/evaluation.json").unlink()

    page = Page(build(run))

    assert "A visit has 463 candidates on average." in page.text
    assert "59.8%" in page.text


def test_what_is_bought_of_products_that_no_version_knows_is_told_beside_the_recall(tmp_path, undrawn):
    run = complete_run(tmp_path)
    features = json.loads((run / "features/features.json").read_bytes())
    write(run, "features/features.json", features | {"items": 12000, "unknown_share": 0.213})
    assert (
        "another 21.3% of all that was bought is of products that were bought too rarely before"
        in Page(build(run)).text
    )
    write(run, "features/features.json", features | {"items": 900, "unknown_share": 0.0})
    assert "too rarely" not in Page(build(run)).text


@pytest.fixture
def undrawn(monkeypatch):
    """Leaves the charts' marks out, which is where the time goes."""
    monkeypatch.setattr(drawing, "svg", lambda spec, label: Markup("<svg></svg>"))


@pytest.mark.parametrize("file", [file for _, file in DOCUMENTS.values()])
@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"methods": 3, "tables": [], "expectations": {"a": 1}}'])
def test_a_document_of_another_form_costs_its_sections_only(tmp_path, undrawn, file, content):
    run = complete_run(tmp_path)
    (run / file).parent.mkdir(exist_ok=True)
    (run / file).write_text(content)

    page = Page(build(run))

    assert "Time and memory" in page.text
    assert "5 min 53 s in all" in page.text


def failed_at(name: str, error: str) -> list[dict]:
    names = [step["name"] for step in steps()]
    states = ["done"] * names.index(name) + ["failed"] + ["waiting"] * len(names)
    found = [step | {"state": state} for step, state in zip(steps(), states, strict=False)]
    found[names.index(name)]["error"] = error
    return found


def test_a_run_that_the_data_stopped_shows_the_rows_that_did_it(tmp_path):
    write(tmp_path, "run.json", run_record(steps=failed_at("validate_data", "users are missing")))
    rows = [{"user": None, "item": "anvil", "quantity": 1}]
    broken = expectation(
        "interactions.user_filled", "every row names a user", 7, severity="Stop", passed=False, examples=rows
    )
    write(tmp_path, "validation/validation.json", {"verdict": "failed", "expectations": [broken]})

    page = Page(build(tmp_path))

    assert "The data broke what is expected of it, so nothing was trained" in page.text
    assert "anvil" in page.text
    assert "The step train_fused was not reached, because validate_data failed." in page.text
    assert "users are missing" in page.text


@pytest.mark.parametrize(
    ("state", "message", "says"),
    [("failed", "No space is left.", "Failed"), ("cancelled", "", "Cancelled")],
)
def test_a_run_that_broke_off_behind_its_gate_is_not_said_to_have_passed(tmp_path, state, message, says):
    run = complete_run(tmp_path)
    failure = {"step": None, "message": message, "exit_code": 1} if message else None
    write(run, "run.json", run_record(state=state, failure=failure))
    said = verdict(read_run(run))
    assert (said.state, said.tone) == (says, "bad") and message in said.sentence
    assert "Passed the gate" not in Page(build(run)).text


def test_a_run_that_was_killed_in_a_step_says_what_is_known_of_it_and_no_password(tmp_path):
    killed = [step | {"state": "running"} if step["name"] == "train_fused" else step for step in steps()]
    message = "Step train_fused ended without a word (exit -9). It read s3://me:secret@place/x."
    failure = {"step": "train_fused", "message": message, "exit_code": 1}
    write(tmp_path, "run.json", run_record(steps=killed, state="failed", failure=failure))
    said = verdict(read_run(tmp_path))
    assert said.state == "Failed" and "without a word (exit -9)" in said.sentence and "secret" not in said.sentence


def test_a_version_that_passed_and_waits_says_why_it_does_not_serve(tmp_path):
    run = complete_run(tmp_path)
    write(run, "run.json", run_record(waits="v2 was promoted by somebody while it was made."))
    said = verdict(read_run(run))
    assert said.state == "Passed the gate" and said.tone == "warn"
    assert "It does not serve: v2 was promoted by somebody while it was made." in said.sentence


def test_a_run_that_failed_names_the_step_and_its_error(tmp_path):
    complete_run(tmp_path)
    for folder in ("samples", "model", "evaluation", "gate"):
        shutil.rmtree(tmp_path / folder)
    write(tmp_path, "run.json", run_record(steps=failed_at("train_fused", "The loss is not finite.")))

    page = Page(build(tmp_path))

    assert "The run failed at the step “Train”" in page.text
    assert "The loss is not finite." in page.text
    assert [a["id"] for t, a in page.tags if t == "section"] == ["quality", "data", "steps", "provenance", "absent"]


def test_a_refused_version_is_no_success(tmp_path, undrawn):
    run = complete_run(tmp_path)
    gate = json.loads((run / "gate/gate.json").read_bytes())
    write(run, "gate/gate.json", gate | {"passed": False, "reason": "It is worse than decay."})

    page = Page(build(run))

    assert "Refused by the gate" in page.text
    assert "It is worse than decay. The version is kept, and what served before goes on serving." in page.text


def test_a_version_that_passed_in_part_is_told_surface_by_surface(tmp_path, undrawn):
    run = complete_run(tmp_path)
    gate = json.loads((run / "gate/gate.json").read_bytes())
    one = {"metric": "ndcg@10", "against": "ease", "difference": 0.01, "interval": [-0.02, 0.04]}
    surfaces = {
        "items": one | {"passed": False, "answers": "followers"},
        "search": one | {"passed": True, "answers": "model", "against": "bm25", "interval": [0.005, 0.015]},
    }
    reason = "Search passed and answers by the model. Recommendations did not pass."
    write(run, "gate/gate.json", gate | {"surfaces": surfaces, "falls_back": {"items": "followers"}, "reason": reason})

    text = Page(build(run)).text

    assert "Passed the gate in part" in text and "Search passed; recommendations did not" in text
    assert reason in text and "Each surface for itself" in text
    for words in ("did not pass", "What follows", "the model", "BM25, NDCG@10", "+0.0050"):
        assert words in text[text.index("Each surface for itself") :]


@pytest.mark.parametrize("passed", [True, False])
def test_a_serving_version_that_could_not_be_compared_is_told_at_the_top(tmp_path, undrawn, passed):
    run = complete_run(tmp_path)
    gate = json.loads((run / "gate/gate.json").read_bytes())
    why = "Version v0123456789ab serves and could not be compared: Its files are gone."
    incumbent = {"version": "v0123456789ab", "compared": False, "why_not": "Its files are gone."}
    reason = gate["reason"] if passed else f"It may be no better. {why}"
    write(run, "gate/gate.json", gate | {"passed": passed, "incumbent": incumbent, "reason": reason})

    page = Page(build(run))

    assert page.text.index(why) < page.text.index("This version less the other, and what is needed")
    assert page.text.count(why) >= 2  # and again beside the alternatives
    assert "it must be better, as the version that serves could not be compared" in page.text


def test_a_serving_version_that_was_compared_is_not_warned_about(tmp_path, undrawn):
    run = complete_run(tmp_path)
    gate = json.loads((run / "gate/gate.json").read_bytes())
    incumbent = {"version": "v0123456789ab", "compared": True, "why_not": None}
    write(run, "gate/gate.json", gate | {"against": "incumbent", "rule": "NotWorse", "incumbent": incumbent})

    page = Page(build(run))

    assert "could not be compared" not in page.text


def test_where_the_serving_version_was_measured_on_fewer_visits_both_are_told_on_the_same(tmp_path, undrawn):
    run, found = complete_run(tmp_path), evaluation()
    found["methods"]["incumbent"] = scores("fused", 1.2)
    write(run, "evaluation/evaluation.json", found)
    assert "visits, those of days" not in Page(build(run)).text

    found["methods"]["incumbent"] |= {"visits": 120, "fused": scores("fused", 1.5)}
    write(run, "evaluation/evaluation.json", found)
    told = Page(build(run)).text
    assert "The version that serves was measured on 120 of " in told
    assert "NDCG@10 0.3543 against 0.2834" in told


def test_the_first_line_compares_both_on_the_same_visits(tmp_path, undrawn):
    run, found = complete_run(tmp_path), evaluation()
    gate = json.loads((run / "gate/gate.json").read_bytes())
    incumbent = {"version": "v0123456789ab", "compared": True, "why_not": None}
    write(run, "gate/gate.json", gate | {"against": "incumbent", "rule": "NotWorse", "incumbent": incumbent})
    found["methods"]["fused"]["precision@10"] = 0.21
    found["methods"]["incumbent"] = scores("fused", 1.0) | {"precision@10": 0.26, "visits": 120}
    found["methods"]["incumbent"]["fused"] = scores("fused", 1.0) | {"precision@10": 0.28}
    write(run, "evaluation/evaluation.json", found)
    told = Page(build(run)).text
    assert "shoppers buy 2.8, against 2.6 with the version that serves now" in told


def test_a_gain_in_order_alone_is_called_so(tmp_path, undrawn):
    run = complete_run(tmp_path)
    found = evaluation()
    found["methods"]["decay"]["precision@10"] = found["methods"]["fused"]["precision@10"]
    write(run, "evaluation/evaluation.json", found)

    page = Page(build(run))

    assert "What shoppers buy stands nearer the top than with what each has bought most lately" in page.text


def test_steps_that_were_reused_are_called_so(tmp_path, undrawn):
    run = complete_run(tmp_path)
    write(run, "run.json", run_record(steps=[step | {"state": "reused", "peak_rss_bytes": 0} for step in steps()]))

    page = Page(build(run))

    assert "8 of 8 steps reused" in page.text
    assert "2 min 23 s when it ran" in page.text


def test_an_empty_folder_gets_a_page_too(tmp_path):
    page = Page(build(tmp_path))
    assert "This run has not come to a verdict" in page.text
    assert "There is no run.json." in page.text


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NotFound, match=r"There is no run folder .*nowhere"):
        build(tmp_path / "nowhere")


def test_numbers_that_json_does_not_know_become_null(tmp_path, undrawn):
    run = complete_run(tmp_path)
    text = (run / "evaluation/evaluation.json").read_text()
    (run / "evaluation/evaluation.json").write_text(text.replace("0.6172", "NaN"))

    build(run)

    assert (
        json.loads((run / "report.json").read_text(), parse_constant=pytest.fail)["evaluation"]["alpha"]["items"]
        is None
    )


def test_optional_steps_appear_when_they_were_run(tmp_path, undrawn):
    run = complete_run(tmp_path)
    refused = {"verdict": {"used": False, "reason": "A loss of 0.0123 is not ruled out."}}
    write(run, "importance/importance.json", refused)

    page = Page(build(run))

    assert "importance" in page.attributes("id")
    assert "All samples count alike in training. A loss of 0.0123 is not ruled out." in page.text


def test_the_page_of_a_run_has_no_password_of_an_address(tmp_path):
    uri = "postgresql://shop:hunter2@db/shop"
    write(tmp_path, "run.json", run_record(spec={"spec": {"data": {"tables": {"interactions": {"uri": uri}}}}}))
    build(tmp_path)
    written = "".join(path.read_text() for path in tmp_path.glob("report.*"))
    assert "shop:...@db/shop" in written and "hunter2" not in written
