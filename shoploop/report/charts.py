"""The kinds of chart that the report knows, each as a function of its rows to a drawing for any width.

Dots with intervals rather than bars where a number is an estimate: a bar says that 0 matters and hides the doubt.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shoploop.report.drawing import Draw, Spec

KINDS = ("simple", "learned", "part", "incumbent", "ours")
_INK = {"simple": "var(--simple)", "learned": "var(--learned)", "part": "var(--ours)", "incumbent": "var(--incumbent)"}
_INK["ours"] = "var(--ours)"
_FILL = _INK | {"simple": "var(--paper)", "part": "var(--paper)"}
_SHAPE = dict.fromkeys(KINDS, "circle") | {"incumbent": "diamond"}
_STATE_INK = {"done": "var(--ours)", "reused": "var(--simple)", "failed": "var(--bad)", "broken off": "var(--bad)"}


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


def dots(
    rows: Sequence[Dot],
    *,
    axis: str,
    labels: int = 116,
    texts: int = 52,
    lines: Sequence[float] = (),
) -> Draw:
    """Dots with their intervals, one a row, the number written at the right. Rows of one label stand together.

    Args:
        axis: what the numbers are, with unit or direction.
        labels: room for the rows' names, in pixels.
        texts: room for the rows' numbers, in pixels.
        lines: where dashed reference lines stand.
    """

    def draw(width: int) -> Spec:
        left = _left(width, labels)
        return _margins(left, texts) | _dots(rows, axis, left, width - left - texts, lines)

    return draw


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One of several dot charts with the same names in the same order."""

    title: str
    rows: Sequence[Dot]
    axis: str
    line: float | None = None
    """Where a dashed reference line stands."""


def panels(charts: Sequence[Panel], *, labels: int = 128, texts: int = 52) -> Draw:
    """Dot charts side by side that share their names; below each other where the width does not allow it."""

    def draw(width: int) -> Spec:
        gap = 20
        across = width >= 200 * len(charts) + labels
        room = (width - labels) // len(charts) - texts - gap if across else width - labels - texts
        drawn = []
        for index, panel in enumerate(charts):
            named = index == 0 or not across
            spec = _dots(panel.rows, panel.axis, labels, room, [] if panel.line is None else [panel.line], named)
            title = {"text": panel.title, "anchor": "start", "frame": "group", "offset": 12}
            drawn.append(spec | {"title": title | ({} if across else {"dx": -labels + 6})})
        return {
            "autosize": {"type": "pad"},
            "padding": 0,
            "bounds": "full" if not across else "flush",
            "spacing": texts + gap if across else 28,
            "hconcat" if across else "vconcat": drawn,
        }

    return draw


def _dots(rows: Sequence[Dot], axis: str, labels: int, room: int, lines: Sequence[float], named: bool = True) -> Spec:
    order: dict[str, int] = {}
    values = []
    for r in rows:
        order[r.label] = order.get(r.label, -1) + 1
        values.append(
            {"label": r.label, "value": r.value, "low": r.low, "high": r.high, "kind": r.kind, "text": r.text}
            | {"order": order[r.label]}
        )
    seen = [v for r in rows for v in (r.value, r.low, r.high) if v is not None] + list(lines)
    domain = _padded(seen)
    x = {"type": "quantitative", "scale": {"domain": domain, "nice": False, "zero": False}}
    ink = {"field": "kind", "type": "nominal", "scale": _scale(_INK), "legend": None}
    layer: list[Spec] = [
        *_references(lines),
        {
            "mark": {"type": "rule", "strokeWidth": 2, "strokeCap": "round", "opacity": 0.75},
            "encoding": {"x": {"field": "low"} | x, "x2": {"field": "high"}, "color": ink},
        },
        {
            "mark": {"type": "point", "size": 64, "strokeWidth": 2, "opacity": 1},
            "encoding": {
                "x": {"field": "value", "axis": _number_axis(axis, f".{_digits(domain)}f", room)} | x,
                "fill": {"field": "kind", "type": "nominal", "scale": _scale(_FILL), "legend": None},
                "stroke": ink,
                "shape": {"field": "kind", "type": "nominal", "scale": _scale(_SHAPE), "legend": None},
            },
        },
        _texts_at_right(room),
    ]
    each = max(order.values(), default=0) + 1
    spec = _rows(room, len(order), labels, values=values, layer=layer, step=27 if each == 1 else 12 + 20 * each)
    if each > 1:
        spec["encoding"]["yOffset"] = {"field": "order", "type": "ordinal"}
    if not named:
        spec["encoding"]["y"]["axis"] = None
    return spec


def bars(
    rows: Sequence[Bar],
    *,
    axis: str,
    axis_format: str | None = None,
    labels: int = 116,
    texts: int = 52,
    top: float | None = None,
) -> Draw:
    """Horizontal bars from start to end, one a row: shares, drops, and steps over time.

    Args:
        axis_format: d3 format of the axis' numbers; unset: as many decimals as tell them apart.
        top: end of the axis; unset: a little beyond the longest bar.
    """
    values = [{"label": r.label, "start": r.start, "end": r.end, "kind": r.kind, "text": r.text} for r in rows]
    low = min([0.0, *(r.end for r in rows)])
    high = top if top is not None else (max([0.0, *(r.end for r in rows)]) or 1.0) * 1.02
    x = {"type": "quantitative", "scale": {"domain": [low, high], "nice": False}}

    def draw(width: int) -> Spec:
        left = _left(width, labels)
        room = width - left - texts
        color = {"field": "kind", "type": "nominal", "scale": _scale(_INK | _STATE_INK), "legend": None}
        layer: list[Spec] = [
            {
                "mark": {"type": "bar", "height": 11, "cornerRadiusEnd": 2},
                "encoding": {
                    "x": {
                        "field": "start",
                        "axis": _number_axis(axis, axis_format or f".{_digits([low, high])}f", room),
                    }
                    | x,
                    "x2": {"field": "end"},
                    "color": color,
                },
            },
            _texts_at_right(room),
        ]
        return _margins(left, texts) | _rows(room, len(rows), left, values=values, layer=layer)

    return draw


def lines(curves: Mapping[str, Sequence[tuple[float, float]]], *, x: str) -> Draw:
    """Curves of (x, y) points by name; each ends in its name and last value. At most four, the first stands out."""
    everything = [point for points in curves.values() for point in points]
    ends = [min(a for a, _ in everything), max(a for a, _ in everything)]
    low, high = _padded([b for _, b in everything])
    digits = _digits([b for _, b in everything])
    height = 150
    longest = max(len(name) for name in curves) + digits + 4
    inks = {"domain": list(curves), "range": ["var(--ours)", "var(--simple)", "var(--incumbent)", "var(--learned)"]}
    layer: list[Spec] = [
        {"mark": {"type": "line", "strokeWidth": 2, "strokeJoin": "round"}},
        {"mark": {"type": "point", "filled": True, "size": 34, "opacity": 1}},
    ]
    marks = _spread([(high - points[-1][1]) / (high - low) * height for points in curves.values()])
    for (name, points), at in zip(curves.items(), marks, strict=True):
        layer.append(
            {
                "data": {"values": [{"text": f"{name} {points[-1][1]:.{digits + 1}f}".strip(), "x": points[-1][0]}]},
                "mark": {"type": "text", "align": "left", "dx": 9, "y": at},
                "encoding": {"text": {"field": "text", "type": "nominal"}, "y": None, "color": None},
            }
        )
    values = [{"x": a, "y": b, "curve": name} for name, points in curves.items() for a, b in points]
    encoding = {
        "x": {
            "field": "x",
            "type": "quantitative",
            "scale": {"domain": ends, "nice": False},
            "axis": {"title": x, "format": "d", "values": _ticks(ends), "domain": True, "domainColor": "var(--line)"}
            | {"labelFlush": False},
        },
        "y": {
            "field": "y",
            "type": "quantitative",
            "scale": {"domain": [low, high], "nice": False, "zero": False},
            "axis": {"title": None, "format": f".{digits}f", "tickCount": 4, "grid": True},
        },
        "color": {"field": "curve", "type": "nominal", "scale": inks, "legend": None},
    }

    def draw(width: int) -> Spec:
        return _plain(width, height, left=46, right=20 + 7 * longest) | {
            "data": {"values": values},
            "encoding": encoding,
            "layer": layer,
        }

    return draw


def calibration(bins: Sequence[tuple[float, float, float]]) -> Draw:
    """(predicted, observed, count) per bin against the line on which a promise is kept. Shares of 0 to 1."""
    top = max([max(p, o) for p, o, _ in bins] or [1.0]) * 1.08 or 1.0
    axis = {"format": ".0%" if top > 0.06 else ".1%", "tickCount": 5, "grid": True, "labelFlush": False}
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


def _rows(room: int, count: int, labels: int, *, values: list[Spec], layer: list[Spec], step: int = 27) -> Spec:
    """A chart with one named row per label, on ``room`` pixels beside the names."""
    return {
        "width": room,
        "height": step * max(count, 1),
        "data": {"values": values},
        "encoding": {
            "y": {
                "field": "label",
                "type": "nominal",
                "sort": None,
                "scale": {"paddingInner": 0.2, "paddingOuter": 0.1},
                "axis": {
                    "title": None,
                    "labelLimit": labels - 10,
                    "minExtent": labels - 10,
                    "labelColor": "var(--ink)",
                },
            }
        },
        "layer": layer,
    }


def _plain(width: int, height: int, *, left: int, right: int) -> Spec:
    return _margins(left, right) | {"width": width - left - right, "height": height}


def _margins(left: int, right: int) -> Spec:
    """Fixed, not fitted to the texts: charts below each other align, whatever they say."""
    return {"autosize": {"type": "none"}, "padding": {"left": left, "right": right, "top": 6, "bottom": 44}}


def _left(width: int, labels: int) -> int:
    """Room for names: as asked for, unless that leaves a narrow chart too little for its marks."""
    return min(labels, round(width * 0.4))


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


def _number_axis(title: str, form: str, room: int) -> Spec:
    return {
        "title": title,
        "format": form,
        "grid": True,
        "tickCount": min(8, max(2, room // 48)),
        "labelFlush": False,
    }


def _scale(table: dict[str, str]) -> Spec:
    return {"domain": list(table), "range": list(table.values())}


def _padded(values: Sequence[float]) -> list[float]:
    """Ends of an axis that leaves air around the values and need not begin at 0."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    air = (high - low) * 0.06 or abs(high) * 0.1 or 0.1
    return [low - air, high + air]


def _spread(places: Sequence[float], apart: float = 15) -> list[float]:
    """The same places in pixels, moved down as far as texts there need to stand clear of each other."""
    moved = list(places)
    last = -math.inf
    for index in sorted(range(len(places)), key=lambda i: places[i]):
        moved[index] = last = max(places[index], last + apart)
    return moved


def _digits(values: Sequence[float]) -> int:
    """Decimals that tell the ticks of an axis over these values apart."""
    span = max(values) - min(values) or abs(values[0]) or 1.0
    return min(max(0, 1 - math.floor(math.log10(span))), 5)


def _ticks(ends: Sequence[float]) -> list[int]:
    """At most seven whole numbers from end to end."""
    first, last = round(ends[0]), round(ends[1])
    step = max(1, -(-(last - first) // 6))
    return list(range(first, last + 1, step))
