"""Charts as inline SVG: Vega-Lite draws them here, once, so that the page needs no script.

Colours are the page's CSS variables, which Vega passes through; one drawing serves light, dark and paper. A chart that is
hard to read small is drawn twice, for wide and for narrow screens. Titles and marks that come from data are escaped by Vega.
Source of the form: Vega-Lite, a grammar of interactive graphics (Satyanarayan et al., 2017).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from shoploop.report.frame import render

Spec = dict[str, Any]

NARROW, WIDE = 340, 860
"""Widths in CSS pixels that charts are drawn for."""

KINDS = ("simple", "learned", "part", "incumbent", "ours")
_INK = {"simple": "var(--simple)", "learned": "var(--learned)", "part": "var(--ours)", "incumbent": "var(--incumbent)"}
_INK["ours"] = "var(--ours)"
_FILL = _INK | {"simple": "var(--paper)", "part": "var(--paper)"}
_SHAPE = dict.fromkeys(KINDS, "circle") | {"incumbent": "diamond"}
_STATE_INK = {"done": "var(--ours)", "reused": "var(--simple)", "failed": "var(--bad)"}

_CONFIG: Spec = {
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
    "text": {"color": "var(--ink)", "fontSize": 12, "baseline": "middle"},
}


@dataclass(frozen=True, kw_only=True)
class Dot:
    """One row of a dot-and-interval chart."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    kind: str = "ours"
    """One of ``KINDS``."""

    text: str = ""
    """The value as it is written beside the dot."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One row of a bar chart or a timeline; start is 0 in a bar chart."""

    label: str
    end: float
    start: float = 0
    text: str = ""
    kind: str = "ours"
    """One of ``KINDS``, or done, reused, failed."""


def figure(
    draw: Callable[[int], Spec], *, label: str, title: str = "", caption: str = "", wide: bool = False
) -> Markup:
    """A ``<figure>`` around what ``draw(width)`` describes.

    Args:
        draw: width in CSS pixels -> a Vega-Lite specification of that width.
        label: what a person who cannot see the chart is told: what it shows and what to conclude.
        wide: it takes the page's whole width, and is drawn again for narrow screens.
    """
    widths = {"on-wide": WIDE, "on-narrow": NARROW} if wide else {"on-all": NARROW}
    drawings = [{"when": when, "svg": svg(draw(width), label)} for when, width in widths.items()]
    return render("figure.html", drawings=drawings, title=title, caption=caption, wide=wide)


def svg(spec: Spec, label: str) -> Markup:
    """Draw a Vega-Lite specification. Nothing is fetched: its data must be inline."""
    import vl_convert

    drawn = vl_convert.vegalite_to_svg({"config": _CONFIG} | spec, allowed_base_urls=[])
    # Inline in HTML an SVG needs no namespaces, and addresses in the page would look like something that is fetched.
    return Markup(re.sub(r"^<svg [^>]*?width=", f'<svg role="img" aria-label="{escape(label)}" width=', drawn, count=1))


def dots(
    rows: Sequence[Dot],
    *,
    axis: str,
    digits: int = 3,
    labels: int = 116,
    texts: int = 52,
    lines: Sequence[float] = (),
) -> Callable[[int], Spec]:
    """Dots with their intervals, one a row, the number written at the right.

    Args:
        axis: what the numbers are, with unit or direction.
        digits: decimals on the axis.
        labels: room for the rows' names, in pixels.
        texts: room for the rows' numbers, in pixels.
        lines: where dashed reference lines stand.
    """
    values = [
        {"label": r.label, "value": r.value, "low": r.low, "high": r.high, "kind": r.kind, "text": r.text} for r in rows
    ]
    seen = [v for r in rows for v in (r.value, r.low, r.high) if v is not None] + list(lines)
    x = {"type": "quantitative", "scale": {"domain": _padded(seen), "nice": False, "zero": False}}
    ink = {"field": "kind", "type": "nominal", "scale": _scale(_INK), "legend": None}

    def draw(width: int) -> Spec:
        return _rows(
            width,
            len(rows),
            labels,
            texts,
            values=values,
            layer=[
                *_references(lines),
                {
                    "mark": {"type": "rule", "strokeWidth": 2, "strokeCap": "round", "opacity": 0.75},
                    "encoding": {"x": {"field": "low"} | x, "x2": {"field": "high"}, "color": ink},
                },
                {
                    "mark": {"type": "point", "size": 64, "strokeWidth": 2, "opacity": 1},
                    "encoding": {
                        "x": {"field": "value", "axis": _number_axis(axis, digits, width - labels - texts)} | x,
                        "fill": {"field": "kind", "type": "nominal", "scale": _scale(_FILL), "legend": None},
                        "stroke": ink,
                        "shape": {"field": "kind", "type": "nominal", "scale": _scale(_SHAPE), "legend": None},
                    },
                },
                _texts_at_right(width - labels - texts),
            ],
        )

    return draw


def bars(
    rows: Sequence[Bar],
    *,
    axis: str,
    axis_format: str = "~g",
    labels: int = 116,
    texts: int = 52,
    top: float | None = None,
    lines: Sequence[float] = (),
) -> Callable[[int], Spec]:
    """Horizontal bars from start to end, one a row: shares, drops, and steps over time.

    Args:
        axis_format: d3 format of the axis' numbers.
        top: end of the axis; unset: a little beyond the longest bar.
    """
    values = [{"label": r.label, "start": r.start, "end": r.end, "kind": r.kind, "text": r.text} for r in rows]
    low = min([0.0, *(r.end for r in rows), *lines])
    high = top if top is not None else (max([0.0, *(r.end for r in rows), *lines]) or 1.0) * 1.02
    x = {"type": "quantitative", "scale": {"domain": [low, high], "nice": False}}

    def draw(width: int) -> Spec:
        room = width - labels - texts
        return _rows(
            width,
            len(rows),
            labels,
            texts,
            values=values,
            layer=[
                {
                    "mark": {"type": "bar", "height": 11, "cornerRadiusEnd": 2, "minBandSize": 1},
                    "encoding": {
                        "x": {"field": "start", "axis": _number_axis(axis, axis_format, room)} | x,
                        "x2": {"field": "end"},
                        "color": {
                            "field": "kind",
                            "type": "nominal",
                            "scale": _scale(_INK | _STATE_INK),
                            "legend": None,
                        },
                    },
                },
                *_references(lines),
                _texts_at_right(room),
            ],
        )

    return draw


def lines(points: Sequence[tuple[float, float]], *, x: str, y: str, digits: int = 3) -> Callable[[int], Spec]:
    """One curve of (x, y) points, the last value written at its end."""
    values = [{"x": a, "y": b} for a, b in points]
    ends = [min(a for a, _ in points), max(a for a, _ in points)]
    encoding = {
        "x": {
            "field": "x",
            "type": "quantitative",
            "scale": {"domain": ends, "nice": False},
            "axis": {"title": x, "format": "d", "values": _ticks(ends), "domain": True, "domainColor": "var(--line)"},
        },
        "y": {
            "field": "y",
            "type": "quantitative",
            "scale": {"domain": _padded([b for _, b in points]), "nice": False, "zero": False},
            "axis": {"title": None, "format": f".{digits}f", "tickCount": 4, "grid": True},
        },
    }

    def draw(width: int) -> Spec:
        return _plain(width, 150, left=52, right=52) | {
            "description": y,
            "data": {"values": values},
            "encoding": encoding,
            "layer": [
                {"mark": {"type": "line", "color": "var(--ours)", "strokeWidth": 2, "strokeJoin": "round"}},
                {"mark": {"type": "point", "filled": True, "color": "var(--ours)", "size": 34, "opacity": 1}},
                {
                    "data": {"values": values[-1:]},
                    "mark": {"type": "text", "align": "left", "dx": 9},
                    "encoding": {"text": {"field": "y", "format": f".{digits}f"}},
                },
            ],
        }

    return draw


def calibration(bins: Sequence[tuple[float, float, float]]) -> Callable[[int], Spec]:
    """(predicted, observed, count) per bin against the line on which a promise is kept. Shares of 0 to 1."""
    top = max([max(p, o) for p, o, _ in bins] or [1.0]) * 1.08 or 1.0
    axis = {"format": ".0%" if top > 0.06 else ".1%", "tickCount": 5, "grid": True}
    scale = {"domain": [0, top], "nice": False}

    def draw(width: int) -> Spec:
        return _plain(width, 230, left=52, right=14) | {
            "layer": [
                {
                    "data": {"values": [{"a": 0, "b": top}]},
                    "mark": {"type": "rule", "color": "var(--muted)", "strokeDash": [4, 4]},
                    "encoding": {
                        "x": {"field": "a", "type": "quantitative"},
                        "y": {"field": "a", "type": "quantitative"},
                        "x2": {"field": "b"},
                        "y2": {"field": "b"},
                    },
                },
                {
                    "data": {"values": [{"predicted": p, "observed": o, "count": n} for p, o, n in bins]},
                    "mark": {"type": "point", "filled": True, "color": "var(--ours)", "opacity": 0.85},
                    "encoding": {
                        "x": {"field": "predicted", "type": "quantitative", "scale": scale}
                        | {"axis": {"title": "predicted chance to be bought"} | axis},
                        "y": {"field": "observed", "type": "quantitative", "scale": scale}
                        | {"axis": {"title": "share that was bought"} | axis},
                        "size": {"field": "count", "type": "quantitative", "legend": None}
                        | {"scale": {"type": "sqrt", "range": [24, 260]}},
                    },
                },
            ]
        }

    return draw


def _rows(width: int, count: int, labels: int, texts: int, *, values: list[Spec], layer: list[Spec]) -> Spec:
    """The frame of a chart with one named row per value: fixed margins, so that charts side by side align."""
    step = 27
    return {
        "autosize": {"type": "none"},
        "padding": {"left": labels, "right": texts, "top": 4, "bottom": 44},
        "width": width - labels - texts,
        "height": step * max(count, 1),
        "data": {"values": values},
        "encoding": {
            "y": {
                "field": "label",
                "type": "nominal",
                "sort": None,
                "scale": {"paddingInner": 0.2, "paddingOuter": 0.1},
                "axis": {"title": None, "labelLimit": labels - 10, "labelColor": "var(--ink)"},
            }
        },
        "layer": layer,
    }


def _plain(width: int, height: int, *, left: int, right: int) -> Spec:
    return {
        "autosize": {"type": "none"},
        "padding": {"left": left, "right": right, "top": 8, "bottom": 44},
        "width": width - left - right,
        "height": height,
    }


def _texts_at_right(room: int) -> Spec:
    return {
        "mark": {"type": "text", "align": "left", "x": room + 8},
        "encoding": {"text": {"field": "text", "type": "nominal"}},
    }


def _references(lines: Sequence[float]) -> list[Spec]:
    if not lines:
        return []
    return [
        {
            "data": {"values": [{"at": at} for at in lines]},
            "mark": {"type": "rule", "color": "var(--muted)", "strokeDash": [3, 3], "strokeWidth": 1},
            "encoding": {"x": {"field": "at", "type": "quantitative"}, "y": None},
        }
    ]


def _number_axis(title: str, form: int | str, room: int) -> Spec:
    return {
        "title": title,
        "format": f".{form}f" if isinstance(form, int) else form,
        "grid": True,
        "tickCount": max(2, room // 62),
        "labelFlush": True,
    }


def _scale(table: dict[str, str]) -> Spec:
    return {"domain": list(table), "range": list(table.values())}


def _padded(values: Sequence[float]) -> list[float]:
    """Ends of an axis that leaves air around the values and need not begin at 0."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    air = (high - low) * 0.06 or abs(high) * 0.1 or 0.1
    return [low - air, high + air]


def _ticks(ends: Sequence[float]) -> list[int]:
    """At most seven whole numbers from end to end."""
    first, last = round(ends[0]), round(ends[1])
    step = max(1, -(-(last - first) // 6))
    return list(range(first, last + 1, step))
