"""Charts as a browser gets them."""

import re
from xml.etree import ElementTree

import pytest

from shoploop.report import charts, frame
from shoploop.report.drawing import NARROW, figure, svg

BARS = charts.bars([charts.Bar(label="milk", end=0.5, text="50%")], axis="share")
CURVE = charts.lines({"training": [(1, 3.0), (2, 2.0)], "validation": [(1, 3.0), (2, 2.01)]}, x="epoch")
DOTS = charts.dots([charts.Dot(label="a & <b>", value=0.2, low=0.1, high=0.3, text="0.2")], axis="NDCG", lines=[0.0])
PANEL = charts.Panel(title="NDCG", rows=[charts.Dot(label="a", value=0.2)], axis="higher is better", line=0.1)
KINDS = {
    "bars": BARS,
    "lines": CURVE,
    "dots": DOTS,
    "panels": charts.panels([PANEL, PANEL]),
    "calibration": charts.calibration([(0.1, 0.2, 10.0), (0.3, 0.3, 5.0)]),
}


def texts(drawn: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(drawn).iter("text")]


@pytest.mark.parametrize("kind", KINDS)
def test_every_chart_is_sound_svg_without_an_address(kind):
    drawn = str(svg(KINDS[kind](NARROW), "what it shows"))
    root = ElementTree.fromstring(drawn)
    assert root.attrib["aria-label"] == "what it shows"
    assert "http" not in drawn
    assert "undefined" not in drawn
    assert "NaN" not in drawn


@pytest.mark.parametrize("kind", KINDS)
def test_charts_take_their_colours_from_the_page(kind):
    drawn = str(svg(KINDS[kind](NARROW), "x"))
    painted = set(re.findall(r'(?:fill|stroke)="([^"]+)"', drawn))
    assert {paint for paint in painted if not paint.startswith("var(--")} <= {"none", "transparent"}


def test_names_from_data_stay_text():
    assert "a & <b>" in texts(str(svg(DOTS(NARROW), "x")))
    assert 'aria-label="&lt;b&gt;&#34;"' in svg(DOTS(NARROW), '<b>"')


def test_the_last_values_of_two_close_curves_do_not_cover_each_other():
    drawn = ElementTree.fromstring(str(svg(CURVE(NARROW), "x")))
    ends = [e for e in drawn.iter("text") if (e.text or "").startswith(("training", "validation"))]
    heights = [float(re.findall(r"[-\d.]+", e.attrib["transform"])[1]) for e in ends]
    assert abs(heights[0] - heights[1]) >= 15


def test_a_wide_chart_is_drawn_for_both_widths():
    html = figure(BARS, label="x", wide=True)
    assert html.count("<svg") == 2
    assert 'class="on-wide"' in html and 'class="on-narrow"' in html


def test_the_pieces_make_a_page_of_one_s_own():
    body = frame.table("Stock", [frame.Column(title="Item"), frame.Column(title="Left", numeric=True)], [
        frame.Row(cells=["<anvil>", 3]), frame.Row(cells=["rope", None])
    ])  # fmt: skip
    section = frame.Section(id="stock", title="Stock", lead="What is left.", body=frame.join(body, frame.note("low")))
    html = frame.page(title="Shop", masthead=frame.render("heading.html", text="Shop"), sections=[section])
    assert '<th scope="row">&lt;anvil&gt;</th>' in html
    assert '<td class="number">–</td>' in html
    assert 'href="#stock"' in html
