"""How good the version is: against every alternative, for whom, and whether its promises hold."""

from collections.abc import Sequence

from markupsafe import Markup

from shoploop.report import charts, frame, words
from shoploop.report.drawing import figure
from shoploop.report.run_folder import Json, RunFolder
from shoploop.report.verdict import not_compared, simple_best

MAIN = ("ndcg@10", "recall@10", "hit@10")
ALL = ("ndcg@10", "recall@10", "precision@10", "f1@10", "hit@10", "auc")


def alternatives(run: RunFolder) -> frame.Section:
    """Every method with its interval, the differences that count, and the whole table."""
    evaluation = run.part("evaluation")
    methods = run.methods
    if not methods:
        return frame.missing("results", "Against the alternatives", "The evaluation names no methods.")
    parts = [frame.note(why, "warn")] if (why := not_compared(run.documents.get("gate", {}))) else []
    parts += [frame.note(where, "warn")] if (where := _on_fewer(evaluation, methods)) else []
    parts += [legend(methods), _forest(methods, [m for m in MAIN if _has(methods, m)])]
    if comparisons := evaluation.get("comparisons"):
        parts += [
            frame.render("heading.html", text="This version less each other, shopper by shopper"),
            differences(comparisons),
        ]
    table = methods_table("All metrics by method", methods, ALL, evaluation.get("coverage@10") or {})
    parts += [frame.render("heading.html", text="All metrics"), table]
    parts.append(frame.fold("What the metrics mean", _glossary([m for m in ALL if _has(methods, m)], evaluation)))
    return frame.Section(
        id="results",
        title="Against the alternatives",
        lead=f"Each method recommended ten products for the same visits{_WITHIN if evaluation.get('sessions') else ''}. "
        "A dot is the mean, its line the interval in which the mean would fall with other shoppers of the same kind "
        "(bootstrap).",
        body=frame.join(*parts),
    )


def _on_fewer(evaluation: Json, methods: dict[str, Json]) -> str:
    """That the version that serves was not measured on all visits, and how both did on the same; empty where it was."""
    theirs = methods.get("incumbent", {})
    ours = theirs.get("fused")
    if not (isinstance(ours, dict) and words.is_number(theirs.get("visits"))):
        return ""
    both = ", ".join(
        f"{words.metric(m).title} {words.decimal(ours[m])} against {words.decimal(theirs[m])}"
        for m in MAIN
        if words.is_number(ours.get(m)) and words.is_number(theirs.get(m))
    )
    visits = f"{words.count(theirs['visits'])} of {words.count(evaluation.get('requests'))} visits"
    return (
        f"The version that serves was measured on {visits}, those of days that its weights have not learned from. On these "
        f"this version has {both}. Its means over all visits are not to be held against that version's."
    )


_WITHIN = (
    ", each asked in the middle, before one of its moments drawn at random: most visits are somebody's first, and what was "
    "done in them so far is what tells what comes next"
)


def slices(run: RunFolder) -> frame.Section:
    """For whom and for what it works: this version beside the best simple method."""
    evaluation = run.part("evaluation")
    found: dict[str, Json] = evaluation.get("slices") or {}
    if not found:
        return frame.missing("slices", "For whom it works", "The evaluation has no slices.")
    metric = _slice_metric(found)
    rival = simple_best(run.methods, metric) or "popular"
    pair = [name for name in ("fused", rival) if any(name in s.get("methods", {}) for s in found.values())]
    rows, described = [], []
    for name, part in found.items():
        group = f"{words.plain(name)} ({words.count(part.get('users'))})"
        scored = [(method, (part.get("methods") or {}).get(method, {})) for method in pair]
        these = [
            _dot(group, method, values, metric) for method, values in scored if words.is_number(values.get(metric))
        ]
        rows += these
        described.append(f"{group}: " + " against ".join(dot.text for dot in these))
    title = words.metric(metric).title
    return frame.Section(
        id="slices",
        title="For whom it works",
        lead=f"{title} by kind of shopper and product, beside {words.method(rival).title.lower()}, the best of the "
        "simple methods. In brackets the number of shoppers; small groups have long lines, read them with care.",
        body=frame.join(
            legend({name: {} for name in pair}),
            figure(
                charts.dots(rows, axis=f"{title}, higher is better", labels=150),
                wide=True,
                label=f"{title} of this version against {words.method(rival).title}. {'; '.join(described)}.",
            ),
            frame.fold("Every method in every group", _slice_table(found, metric)),
        ),
    )


def calibration(run: RunFolder) -> frame.Section:
    """Whether products that it calls likely are bought as often as it says."""
    bins = run.part("evaluation").get("calibration") or []
    points = [(b["predicted"], b["observed"], b["count"]) for b in bins if b.get("count")]
    if not points:
        return frame.missing("calibration", "Do its promises hold", "The evaluation has no calibration.")
    rows = [
        frame.Row(cells=[words.percent(p, 2), words.percent(o, 2), words.signed((o - p) * 100, 2), words.count(n)])
        for p, o, n in points
    ]
    columns = [
        frame.Column(title="Predicted", numeric=True, hint="mean chance"),
        frame.Column(title="Observed", numeric=True, hint="share bought"),
        frame.Column(title="Difference", numeric=True, hint="points, 0 is best"),
        frame.Column(title="Candidates", numeric=True, hint="count"),
    ]
    return frame.Section(
        id="calibration",
        title="Do its promises hold",
        lead="Candidates grouped by the chance the model gave them. On the dashed line a promise is kept; below it the "
        "model promises too much. The larger the dot, the more candidates.",
        body=frame.render(
            "columns.html",
            items=[
                figure(charts.calibration(points), label="Predicted against observed share, by group."),
                frame.table("Calibration by group", columns, rows),
            ],
        ),
    )


def _forest(methods: dict[str, Json], metrics: Sequence[str]) -> Markup:
    best_first = sorted(methods, key=lambda name: -float(methods[name].get(metrics[0]) or 0))
    panels, described = [], []
    for metric in metrics:
        scored = [(name, methods[name]) for name in best_first if words.is_number(methods[name].get(metric))]
        rows = [_dot(words.method(name).title, name, values, metric) for name, values in scored]
        title = words.metric(metric).title
        ours = methods.get("fused", {}).get(metric)
        panels.append(charts.Panel(title=title, rows=rows, axis="0 to 1, higher is better", line=ours))
        described.append(f"{title}: " + "; ".join(f"{row.label} {row.text}" for row in rows))
    return figure(charts.panels(panels), wide=True, label=". ".join(described) + ".")


def _dot(label: str, name: str, values: Json, metric: str) -> charts.Dot:
    low, high = _bounds(values, metric)
    return charts.Dot(
        label=label,
        value=values[metric],
        low=low,
        high=high,
        kind=words.method(name).kind,
        text=words.decimal(values[metric]),
    )


def _bounds(values: Json, metric: str) -> tuple[float | None, float | None]:
    return _ends((values.get("interval") or {}).get(metric))


def _ends(found: object) -> tuple[float | None, float | None]:
    """The two ends of an interval, or two Nones where there is none."""
    if not isinstance(found, list) or len(found) != 2 or not all(map(words.is_number, found)):
        return None, None
    return found[0], found[1]


def differences(comparisons: Sequence[Json], what: str = "visits") -> Markup:
    """Dots with intervals around 0, a panel a metric; and the numbers. ``what`` names what both were asked."""
    metrics = list(dict.fromkeys(str(found["metric"]) for found in comparisons))
    beyond = _far_behind(comparisons)
    panels, rows, described = [], [], []
    for metric in metrics:
        title = words.metric(metric).title
        these = [found for found in comparisons if found["metric"] == metric and words.is_number(found["difference"])]
        dots = [_difference(found) for found in these if found["than"] not in beyond]
        panels.append(charts.Panel(title=title, rows=dots, axis="difference, above 0 is better", line=0.0))
        rows += [_difference_row(found, title) for found in these]
        described.append(f"{title}: " + "; ".join(f"over {dot.label} {dot.text}" for dot in dots))
    columns = [
        frame.Column(title="Compared"),
        frame.Column(title="Metric"),
        frame.Column(title="Difference", numeric=True, hint="above 0 is better"),
        frame.Column(title="Interval", numeric=True, hint="paired bootstrap"),
        frame.Column(title="Verdict"),
    ]
    return frame.join(
        figure(
            charts.panels(panels, texts=60),
            wide=True,
            caption=f"{words.listing([words.method(n).title for n in beyond])}: too far behind for this scale, see the "
            "table."
            if beyond
            else "paired bootstrap; right of the dashed line this version is better",
            label=". ".join(described) + ".",
        ),
        frame.fold("The differences as a table", frame.table(f"Differences on the same {what}", columns, rows)),
    )


def _far_behind(comparisons: Sequence[Json]) -> list[str]:
    """The method that is so far behind that the others' differences would shrink to one point beside it."""
    furthest: dict[str, float] = {}
    for found in comparisons:
        if words.is_number(found["difference"]):
            furthest[found["than"]] = max(furthest.get(found["than"], 0.0), abs(found["difference"]))
    ranked = sorted(furthest, key=lambda name: -furthest[name])
    return ranked[:1] if len(ranked) > 2 and furthest[ranked[0]] > 3 * furthest[ranked[1]] else []


def _difference(found: Json) -> charts.Dot:
    low, high = _ends(found.get("interval"))
    return charts.Dot(
        label=words.method(found["than"]).title,
        value=found["difference"],
        low=low,
        high=high,
        kind=words.method(found["better"]).kind,
        text=words.signed(found["difference"]),
    )


def _difference_row(found: Json, metric: str) -> frame.Row:
    low, high = _ends(found.get("interval"))
    if low is None or high is None:
        sure, tone = "unknown", ""
    elif low > 0:
        sure, tone = "better", "good"
    else:
        sure, tone = ("worse", "bad") if high < 0 else ("undecided", "")
    return frame.Row(
        cells=[
            f"{words.method(found['better']).title} less {words.method(found['than']).title}",
            metric,
            words.signed(found["difference"]),
            words.NONE if low is None else f"{words.signed(low)} to {words.signed(high)}",
            frame.render("tag.html", text=sure, tone=tone),
        ]
    )


def methods_table(caption: str, methods: dict[str, Json], metrics: Sequence[str], coverage: Json) -> Markup:
    """A row a method, the best first; of the metrics, those that any of them has."""
    metrics = [m for m in metrics if _has(methods, m)]
    columns = [frame.Column(title="Method")]
    columns += [frame.Column(title=words.metric(m).title, numeric=True, hint="higher is better") for m in metrics]
    if coverage:
        columns.append(frame.Column(title="Coverage@10", numeric=True, hint="share of products"))
    rows = []
    first = "ndcg@10" if "ndcg@10" in metrics or not metrics else metrics[0]
    for name in sorted(methods, key=lambda name: -float(methods[name].get(first) or 0)):
        known = words.method(name)
        cells: list[object] = [frame.render("named.html", title=known.title, meaning=known.meaning)]
        cells += [_with_interval(methods[name], metric) for metric in metrics]
        if coverage:
            cells.append(words.percent(coverage.get(name)))
        rows.append(frame.Row(cells=cells, emphasis=known.kind == "ours"))
    return frame.table(caption, columns, rows)


def _with_interval(values: Json, metric: str) -> object:
    low, high = _bounds(values, metric)
    if low is None:
        return words.decimal(values.get(metric))
    return frame.render(
        "named.html",
        title=words.decimal(values.get(metric)),
        meaning=f"{words.decimal(low, 3)}{words.DASH}{words.decimal(high, 3)}",
    )


def _glossary(metrics: Sequence[str], evaluation: Json) -> Markup:
    names = [*metrics, *(["coverage@10"] if evaluation.get("coverage@10") else [])]
    known = [words.metric(name) for name in names]
    rows = [frame.Row(cells=[m.title, m.meaning, m.direction]) for m in known]
    return frame.table("Metrics", [frame.Column(title=t) for t in ("Metric", "Meaning", "Direction")], rows)


def _slice_table(found: dict[str, Json], metric: str) -> Markup:
    names = list(dict.fromkeys(method for part in found.values() for method in part.get("methods") or {}))
    columns = [frame.Column(title="Group"), frame.Column(title="Shoppers", numeric=True, hint="count")]
    columns += [frame.Column(title=words.method(name).title, numeric=True) for name in names]
    rows = []
    for name, part in found.items():
        scores = [words.decimal((part.get("methods") or {}).get(method, {}).get(metric)) for method in names]
        rows.append(frame.Row(cells=[words.plain(name), words.count(part.get("users")), *scores]))
    return frame.table(f"{words.metric(metric).title} by group, higher is better", columns, rows, show_caption=True)


def _slice_metric(found: dict[str, Json]) -> str:
    present = {
        metric for part in found.values() for values in (part.get("methods") or {}).values() for metric in values
    }
    return next((metric for metric in ALL if metric in present), "ndcg@10")


def legend(methods: dict[str, Json]) -> Markup:
    """What the colours and marks of these methods mean."""
    kinds = {words.method(name).kind for name in methods}
    return frame.render("legend.html", kinds=[kind for kind in reversed(charts.KINDS) if kind in kinds])


def _has(methods: dict[str, Json], metric: str) -> bool:
    return any(words.is_number(values.get(metric)) for values in methods.values())
