"""From a Vega-Lite specification to inline SVG in a ``<figure>``: the look that every chart shares.

Vega-Lite draws here, once, so that the page needs no script. Colours are the page's CSS variables, which Vega passes
through: one drawing serves light, dark and paper. Text that comes from data is escaped by Vega.
Source of the form: Vega-Lite, a grammar of interactive graphics (Satyanarayan et al., 2017).
"""

import re
from collections.abc import Callable
from typing import Any

from markupsafe import Markup, escape

from shoploop.report.frame import render

Spec = dict[str, Any]
Draw = Callable[[int], Spec]
"""Width in CSS pixels -> a Vega-Lite specification of that width."""

NARROW, WIDE = 340, 860
"""Widths in CSS pixels that charts are drawn for."""

CONFIG: Spec = {
    "aria": False,  # the figure carries one label; hundreds of marks that are read out help nobody
    "background": None,
    "font": "Helvetica, Arial, sans-serif",  # for measuring only: the page's style sheet sets its own
    "view": {"stroke": None},
    "axis": {
        "domain": False,
        "ticks": False,
        "grid": False,
        "labelColor": "var(--muted)",
        "labelFontSize": 12,
        "labelPadding": 6,
        "titleColor": "var(--muted)",
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
        "gridColor": "var(--faint)",
    },
    "title": {"color": "var(--ink)", "fontSize": 13, "fontWeight": 600},
    "text": {"color": "var(--ink)", "fontSize": 12, "baseline": "middle"},
}


def figure(draw: Draw, *, label: str, title: str = "", caption: str = "", wide: bool = False) -> Markup:
    """A ``<figure>`` around what ``draw(width)`` describes.

    Args:
        draw: width in CSS pixels -> a Vega-Lite specification of that width.
        label: the text for a person who cannot see the chart: what it shows and what to conclude.
        wide: it takes the page's whole width, and is drawn again for narrow screens.
    """
    widths = {"on-wide": WIDE, "on-narrow": NARROW} if wide else {"on-all": NARROW}
    drawings = [{"when": when, "svg": svg(draw(width), label)} for when, width in widths.items()]
    return render("figure.html", drawings=drawings, title=title, caption=caption, wide=wide)


def svg(spec: Spec, label: str) -> Markup:
    """Draw a Vega-Lite specification. Nothing is fetched: its data must be inline."""
    import vl_convert

    drawn = vl_convert.vegalite_to_svg({"config": CONFIG} | spec, allowed_base_urls=[])
    # Inline in HTML an SVG needs no namespaces, and addresses in the page would look like something that is fetched.
    return Markup(re.sub(r"^<svg [^>]*?width=", f'<svg role="img" aria-label="{escape(label)}" width=', drawn, count=1))
