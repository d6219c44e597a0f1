"""How much each sample counts: the weights, the samples at both ends in product names, one from inside, and the self-check.

The same pieces make the section of a run's report and the page of ``shoploop weigh``.
"""

from markupsafe import Markup

from shoploop.report import charts, frame, words
from shoploop.report.drawing import figure
from shoploop.report.run_folder import Json, RunFolder

TITLE = "How much each sample counts"

METHODS = {
    "ensemble": "Ensemble",
    "gan_attention": "GAN attention",
    "loss": "Loss ranking",
    "loss_boosted": "Loss ranking, boosted",
    "el2n": "EL2N",
    "forgetting": "Forgetting",
    "tracin": "TracIn",
    "knn_shapley": "KNN-Shapley",
    "density_ratio": "Density ratio",
    "random": "Chance",
}
LEAD = (
    "A sample is a visit and a product, bought or not. Bought products that fit what is usual count more when the model "
    "learns, those that look like a mistake count less; the mean is 1."
)


def section(run: RunFolder) -> frame.Section:
    """The section of a run's report."""
    document = run.part("importance")
    parts = [verdict(document)]
    for title, make in PIECES:
        if body := make(document):
            parts += [frame.render("heading.html", text=title), body]
    return frame.Section(id="importance", title=TITLE, lead=LEAD, body=frame.join(*parts))


def verdict(document: Json) -> Markup:
    found: Json = document.get("verdict") or {}
    used = bool(found.get("used"))
    begin = "The weights are used in training." if used else "All samples count alike in training."
    return frame.join(
        frame.note(f"{begin} {found.get('reason') or ''}".strip(), "good" if used else "plain"),
        *([frame.facts(known)] if (known := facts(document)) else []),
    )


def distribution(document: Json) -> Markup | None:
    """How the weights spread, for the labels whose weights do."""
    found: Json = document.get("distribution") or {}
    drawn, alike = [], []
    for label, spread in found.items():
        if spread["quantiles"]["0.99"] - spread["quantiles"]["0.01"] < 1e-3:
            alike.append(
                f"All {words.count(spread['rows'])} samples that were {label} count {words.decimal(spread['mean'], 2)}."
            )
            continue
        # narrow bins must not share a name, or their bars would lie on one row
        digits = 2 if spread["bins"][0]["high"] - spread["bins"][0]["low"] > 0.01 else 4
        rows = [
            charts.Bar(
                label=f"{words.decimal(b['low'], digits)} to {words.decimal(b['high'], digits)}",
                end=b["share"],
                text=words.percent(b["share"]),
            )
            for b in spread["bins"]
        ]
        drawn.append(
            figure(
                charts.bars(rows, axis="share of samples", axis_format=".0%", labels=128),
                title=f"{label.capitalize()}: {words.count(spread['rows'])} samples",
                caption=f"weight; {words.percent(spread['at_lowest'])} stand at the lowest, "
                f"{words.percent(spread['at_highest'])} at the highest there is",
                label=f"{label}: median weight {words.decimal(spread['quantiles']['0.5'], 2)}.",
            )
        )
    parts = [
        *([frame.render("grid.html", items=drawn)] if drawn else []),
        *([frame.note(" ".join(alike))] if alike else []),
    ]
    return frame.join(*parts) if parts else None


def ends(document: Json) -> Markup | None:
    """The samples that count least and most, in product names."""
    tables = {
        "Purchases it doubts most": ("least", "bought"),
        "Purchases it trusts most": ("most", "bought"),
        "Products left on the shelf that it doubts most": ("least", "not bought"),
        "Products left on the shelf that it trusts most": ("most", "not bought"),
    }
    drawn = []
    for title, (end, label) in tables.items():
        if not (found := (document.get(end) or {}).get(label)):
            continue
        columns = [
            frame.Column(title="Product"),
            frame.Column(title="Shopper"),
            frame.Column(title="Visit"),
            frame.Column(title="Label"),
            frame.Column(title="Importance", numeric=True),
            frame.Column(title="Weight", numeric=True),
        ]
        rows = [
            frame.Row(
                cells=[
                    str(row.get("title") or row.get("item")),
                    str(row["user"]),
                    words.day(row["day"]),
                    "bought" if row["bought"] else "not bought",
                    words.decimal(row["importance"], 3),
                    words.decimal(row["weight"], 2),
                ]
            )
            for row in found
        ]
        drawn.append(frame.table(title, columns, rows, show_caption=True))
    return frame.join(*drawn) if drawn else None


def slices(document: Json) -> Markup | None:
    """How credible the samples of slices and days are."""
    found: list[Json] = document.get("slices") or []
    if not found:
        return None
    panels = [
        charts.Panel(
            title=label.capitalize(),
            rows=[
                charts.Dot(
                    label=words.plain(row["slice"]), value=row[label]["rank"], text=words.decimal(row[label]["rank"], 2)
                )
                for row in found
                if row.get(label)
            ],
            axis="mean rank of importance",
            line=0.5,
        )
        for label in ("bought", "not bought")
    ]
    columns = [
        frame.Column(title="Slice"),
        frame.Column(title="Bought", numeric=True, hint="samples"),
        frame.Column(title="Mean weight", numeric=True),
        frame.Column(title="Not bought", numeric=True, hint="samples"),
        frame.Column(title="Mean weight", numeric=True),
    ]
    rows = []
    for row in found:
        cells: list[object] = [words.plain(row["slice"])]
        for label in ("bought", "not bought"):
            one = row.get(label) or {}
            cells += [words.count(one.get("rows")), words.decimal(one.get("weight"), 2)]
        rows.append(frame.Row(cells=cells))
    parts = [
        figure(
            charts.panels(panels, labels=140),
            wide=True,
            title="By shopper and by product",
            caption="0 is the most doubtful sample of its label, 1 the most credible; the dashed line is the middle",
            label=". ".join(
                f"{panel.title}: " + "; ".join(f"{dot.label} {dot.text}" for dot in panel.rows) for panel in panels
            )
            + ".",
        ),
        frame.fold("Slices as numbers", frame.table("Weights by slice", columns, rows)),
    ]
    days: list[Json] = document.get("days") or []
    curves = {
        label: [(float(at), row[label]["rank"]) for at, row in enumerate(days) if row.get(label)]
        for label in ("bought", "not bought")
    }
    curves = {label: points for label, points in curves.items() if len(points) > 1}
    if curves:
        parts.append(
            figure(
                charts.lines(curves, x=f"day of training, from {words.day(days[0]['day'])}"),
                wide=True,
                title="Over time",
                caption="mean rank of each day's samples",
                label="Mean rank by day, "
                + "; ".join(f"{label} ends at {words.decimal(c[-1][1], 2)}" for label, c in curves.items())
                + ".",
            )
        )
    return frame.join(*parts)


def inside(document: Json) -> Markup | None:
    """One sample: the prototypes it attends to, their scores and the features that differ most."""
    found: Json = document.get("inside") or {}
    if not found:
        return None
    prototypes: list[Json] = found["prototypes"]
    columns = [frame.Column(title="Feature"), frame.Column(title="The sample", numeric=True, hint="as it is")]
    columns += [
        frame.Column(
            title=f"Prototype {at}",
            numeric=True,
            hint=f"attention {words.percent(p['attention'])}, score {words.decimal(p['score'], 2)}",
        )
        for at, p in enumerate(prototypes, start=1)
    ]
    rows = [
        frame.Row(cells=[name, _short(found["own"][k]), *(_short(p["values"][k]) for p in prototypes)])
        for k, name in enumerate(found["features"])
    ]
    explanation = (
        f"{found.get('title') or found['item']}, bought by shopper {found['user']} on {words.day(found['day'])}, weighs "
        f"{words.decimal(found['weight'], 2)}: its importance {words.decimal(found['importance'], 3)} is the sum of "
        f"attention times score over {found['prototypes_in_all']} prototypes that the generator made of bought products. It "
        f"attends to {words.decimal(found['attended'], 1)} of them in effect; the mean score of all is "
        f"{words.decimal(found['mean_score'], 3)}."
    )
    return frame.join(frame.note(explanation), frame.table("One sample and its prototypes", columns, rows))


def self_check(document: Json) -> Markup | None:
    """Flipped labels, removal, agreement, and training with and without."""
    found: Json = document.get("self_check") or {}
    parts: list[Markup] = []
    if detection := found.get("detection"):
        parts.append(_detection(detection, found, str(document.get("method"))))
    if removal := found.get("removal"):
        parts.append(_removal(removal))
    if training := found.get("training"):
        parts.append(_training(training))
    if agreement := found.get("agreement"):
        facts = [
            frame.Fact(
                title=f"Ranks {_named(name)}", value=words.decimal(value, 2), note="1 is the same order, 0 no relation"
            )
            for name, value in agreement.items()
        ]
        parts.append(frame.facts(facts))
    return frame.join(*parts) if parts else None


def quality(document: Json) -> Markup | None:
    """What is odd about the table, which has no part in the weights."""
    found: Json = document.get("quality") or {}
    if not found:
        return None
    missing, outliers = found.get("missing") or {}, found.get("outliers") or {}
    most = sorted(outliers.items(), key=lambda pair: -pair[1])[:10]
    facts = [
        frame.Fact(title="Rows looked at", value=words.count(found.get("rows"))),
        frame.Fact(
            title="Missing values", value=words.count(sum(missing.values())), note=f"in {len(missing)} features"
        ),
        frame.Fact(title="Duplicate rows", value=words.count(found.get("duplicates"))),
        frame.Fact(
            title="Duplicates of another label",
            value=words.count(found.get("duplicates_of_other_label", 0)),
            note="groups of equal rows with both labels",
        ),
    ]
    columns = [
        frame.Column(title="Feature"),
        frame.Column(title="Outliers", numeric=True, hint="far from the quartiles"),
    ]
    table = frame.table("Outliers", columns, [frame.Row(cells=[name, words.count(n)]) for name, n in most])
    return frame.join(
        frame.note("These stand beside the weights and have no part in them."),
        frame.facts(facts),
        *([frame.fold(f"Outliers in {len(outliers)} features", table)] if outliers else []),
    )


PIECES = (
    ("How the weights spread", distribution),
    ("Does it know which labels are wrong", self_check),
    ("The samples at both ends", ends),
    ("By slice and time", slices),
    ("One sample from inside", inside),
    ("The data beside the weights", quality),
)
"""Title and maker of every piece, in the order of the page; a maker returns None where it has nothing to show."""


def _detection(detection: Json, found: Json, method: str) -> Markup:
    known = {name: one for name, one in detection.items() if words.is_number(one.get("auc"))}
    ranked = sorted(known.items(), key=lambda pair: -pair[1]["auc"])
    rows = [
        charts.Dot(
            label=METHODS.get(name, words.plain(name)),
            value=one["auc"],
            low=one["interval"][0],
            high=one["interval"][1],
            kind="ours" if name == method else "simple" if name == "random" else "learned",
            text=words.decimal(one["auc"], 3),
        )
        for name, one in ranked
    ]
    columns = [
        frame.Column(title="Method"),
        frame.Column(title="AUC", numeric=True, hint="within a label; 0.5 is a coin"),
        frame.Column(title="Interval", numeric=True, hint="95%, over visits"),
        frame.Column(title="F1", numeric=True, hint="of the lowest k, higher is better"),
    ]
    cells = [
        frame.Row(
            cells=[
                METHODS.get(name, words.plain(name)),
                words.decimal(one["auc"], 3),
                words.interval(one["interval"], 3),
                words.decimal(one["f1"], 3),
            ]
        )
        for name, one in ranked
    ]
    sample: Json = found.get("sample") or {}
    return frame.join(
        figure(
            charts.dots(rows, axis="AUC of finding the flipped, higher is better", labels=130, lines=[0.5]),
            wide=True,
            title=f"{words.percent(found.get('share'), 0)} of {words.count(sample.get('flipped'))} visits' labels flipped",
            caption="who finds them again? at the dashed line a method knows nothing",
            label="AUC of finding flipped labels: " + "; ".join(f"{row.label} {row.text}" for row in rows) + ".",
        ),
        frame.fold("Detection as numbers", frame.table("Detection of flipped labels", columns, cells)),
    )


def _removal(removal: Json) -> Markup:
    panels = [
        charts.Panel(
            title=f"Without the {name}",
            rows=[
                charts.Dot(
                    label=f"{words.percent(float(share), 0)} removed",
                    value=one["difference"],
                    low=(one["interval"] or [None, None])[0],
                    high=(one["interval"] or [None, None])[1],
                    text=words.signed(one["difference"], 3),
                )
                for share, one in removal[name].items()
            ],
            axis="difference in AUC, right is better",
            line=0.0,
        )
        for name in ("lowest", "highest")
    ]
    columns = [
        frame.Column(title="Removed"),
        frame.Column(title="Lowest", numeric=True, hint="against random"),
        frame.Column(title="Interval", numeric=True, hint="95%"),
        frame.Column(title="Highest", numeric=True, hint="against random"),
        frame.Column(title="Interval", numeric=True, hint="95%"),
    ]
    rows = []
    for share in removal["lowest"]:
        cells: list[object] = [words.percent(float(share), 0)]
        for name in ("lowest", "highest"):
            one = removal[name][share]
            cells += [words.signed(one["difference"], 3), words.interval(one["interval"], 3)]
        rows.append(frame.Row(cells=cells))
    return frame.join(
        figure(
            charts.panels(panels, texts=60),
            wide=True,
            title="What a simple model is worth that learns without some rows, against rows removed at random",
            caption="AUC on later visits: without the lowest it should gain, without the highest lose",
            label=". ".join(
                f"{panel.title}: " + "; ".join(f"{dot.label} {dot.text}" for dot in panel.rows) for panel in panels
            )
            + ".",
        ),
        frame.fold("Removal as numbers", frame.table("Removal of rows", columns, rows)),
    )


def _training(training: Json) -> Markup:
    parts = {"all visits": training["overall"]} | training["slices"]
    rows = [
        charts.Dot(
            label=words.plain(name),
            value=one["difference"],
            low=(one["interval"] or [None, None])[0],
            high=(one["interval"] or [None, None])[1],
            kind="ours" if name == "all visits" else "part",
            text=words.signed(one["difference"]),
        )
        for name, one in parts.items()
    ]
    return figure(
        charts.dots(rows, axis="difference in NDCG@10, right is better", labels=130, texts=64, lines=[0.0]),
        wide=True,
        title="The same training with the weights, less without",
        caption=f"{words.count(training['learned'])} visits to learn from, {words.count(training['judged'])} later ones to "
        f"judge on, paired; more than {training['margin']} must not be lost",
        label="; ".join(f"{row.label} {row.text}" for row in rows) + ".",
    )


def facts(document: Json) -> list[frame.Fact]:
    if not (rows := rows_of(document)):
        return []
    weighed: Json = document["weighed"]
    bounds: Json = document.get("bounds") or {}
    method = str(document.get("method"))
    return [
        frame.Fact(
            title="Samples weighed",
            value=words.count(rows),
            note=f"of {words.count(weighed.get('requests'))} training visits; those to validate and evaluate on never are",
        ),
        frame.Fact(
            title="Estimator", value=METHODS.get(method, words.plain(method)), note=str(document.get("proxy") or "")
        ),
        frame.Fact(
            title="Bounds",
            value=f"{bounds.get('lowest')} to {bounds.get('highest')}",
            note="no sample counts less or more",
        ),
        frame.Fact(
            title="Purchases in doubt",
            value=words.percent(document.get("doubt")),
            note="weights spread as far; 0 counts all alike",
        ),
        frame.Fact(
            title="Speed",
            value=f"{words.count(document.get('samples_per_second'))} a second",
            note="with the proxy's training",
        ),
    ]


def rows_of(document: Json) -> int:
    return int((document.get("weighed") or {}).get("rows") or 0)


def _named(name: str) -> str:
    return name if not name.startswith("with ") else f"with {METHODS.get(name[5:], name[5:])}"


def _short(value: float) -> str:
    """Three digits; what is as good as 0 is 0."""
    return "0" if abs(value) < 1e-6 else f"{value:.3g}".replace("-", words.MINUS)
