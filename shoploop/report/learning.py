"""How the version came to know what it knows: candidates, training, the mix of its two networks, and its features."""

from collections.abc import Iterable

from markupsafe import Markup

from shoploop.report import charts, frame, words
from shoploop.report.drawing import figure
from shoploop.report.run_folder import Json, RunFolder

TOP_FEATURES = 15


def candidates(run: RunFolder) -> frame.Section:
    """How much of what shoppers bought was fetched at all."""
    found: Json = run.part("evaluation").get("candidates") or {}
    if not found:
        return frame.missing("candidates", "What it can choose from", "The evaluation has no recall of candidates.")
    overall, by_source = found.get("recall"), found.get("by_source") or {}
    ranked = sorted(by_source.items(), key=lambda pair: -pair[1])
    rows = [
        charts.Bar(
            label=words.SOURCES.get(name, words.plain(name)), end=recall, text=words.percent(recall), kind="simple"
        )
        for name, recall in ranked
    ]
    if words.is_number(overall):
        rows.insert(0, charts.Bar(label="All together", end=overall, text=words.percent(overall)))
    said = "; ".join(f"{row.label} {row.text}" for row in rows)
    mean = found.get("mean_count")
    return frame.Section(
        id="candidates",
        title="What it can choose from",
        lead="Products are fetched from several sources first and ranked then; what was not fetched cannot be shown. "
        + (f"A visit has {words.count(mean)} candidates on average." if words.is_number(mean) else ""),
        body=figure(
            charts.bars(
                rows, axis="share of the products bought that were fetched", axis_format=".0%", labels=170, top=1.0
            ),
            wide=True,
            title="Recall of candidates by source",
            caption="share of the products bought, higher is better; a product may come from several sources",
            label=f"Recall of candidates: {said}.",
        ),
    )


def fusion(run: RunFolder) -> frame.Section:
    """The learned α per surface."""
    alpha: Json = run.part("evaluation").get("alpha") or {}
    rows = [
        {
            "surface": words.plain(surface),
            "alpha": words.decimal(share, 3),
            "width": f"{min(max(share, 0.0), 1.0) * 100:.1f}",
            "dnn": words.percent(share, 0),
            "transformer": words.percent(1 - share, 0),
        }
        for surface, share in alpha.items()
        if words.is_number(share)
    ]
    if not rows:
        return frame.missing("fusion", "How the two networks are mixed", "The evaluation has no α.")
    return frame.Section(
        id="fusion",
        title="How the two networks are mixed",
        lead="score = α · DNN + (1 − α) · Transformer. α is learned with the weights, one for each surface.",
        body=frame.render("alpha.html", rows=rows),
    )


def training(run: RunFolder) -> frame.Section:
    """Curves over the epochs."""
    document = run.part("training")
    curves = _curves(document)
    if not curves:
        return frame.missing("training", "How it was trained", "The training report has no curves.")
    panels = [
        figure(
            charts.lines(points, x="epoch"),
            title=_curve_title(name),
            caption=_curve_hint(name),
            label=f"{_curve_title(name)} from {words.decimal(points[0][1])} to {words.decimal(points[-1][1])}.",
        )
        for name, points in curves.items()
        if len(points) > 1 and not name.endswith("seconds")
    ]
    columns = [frame.Column(title="Epoch", numeric=True)]
    columns += [frame.Column(title=_curve_title(name), numeric=True, hint=_curve_hint(name)) for name in curves]
    epochs = sorted({x for points in curves.values() for x, _ in points})
    values = {name: dict(points) for name, points in curves.items()}
    rows = [frame.Row(cells=[f"{x:g}", *(words.decimal(values[name].get(x)) for name in curves)]) for x in epochs]
    return frame.Section(
        id="training",
        title="How it was trained",
        lead="One point for each pass over the samples.",
        body=frame.join(
            *([frame.render("grid.html", items=panels)] if panels else []),
            frame.fold("The curves as numbers", frame.table("Training by epoch", columns, rows)),
        ),
    )


def features(run: RunFolder) -> frame.Section:
    """What the version leans on."""
    found: list[Json] = run.part("evaluation").get("feature_importance") or []
    if not found:
        return frame.missing("feature-importance", "What it looks at", "The evaluation has no importance of features.")
    ranked = sorted(found, key=lambda row: -row["ndcg@10_drop"])
    top = ranked[:TOP_FEATURES]
    bars = [
        charts.Bar(label=str(row["feature"]), end=row["ndcg@10_drop"], text=words.signed(-row["ndcg@10_drop"]))
        for row in top
    ]
    rows = [frame.Row(cells=[str(row["feature"]), words.signed(-row["ndcg@10_drop"])]) for row in ranked]
    columns = [
        frame.Column(title="Feature"),
        frame.Column(title="Change of NDCG@10", numeric=True, hint="when shuffled"),
    ]
    return frame.Section(
        id="feature-importance",
        title="What it looks at",
        lead="How much worse the ranking gets when one feature is shuffled among the candidates: the longer the bar, "
        "the more the version leans on it. Features that say the same share their importance.",
        body=frame.join(
            figure(
                charts.bars(bars, axis="loss of NDCG@10 when shuffled", axis_format=".3f", labels=190, texts=64),
                wide=True,
                label="Loss of NDCG@10 by feature: " + "; ".join(f"{bar.label} {bar.text}" for bar in bars) + ".",
            ),
            frame.fold(f"All {len(ranked)} features", frame.table("Importance of features", columns, rows)),
        ),
    )


def _curves(document: Json) -> dict[str, list[tuple[float, float]]]:
    """Every number that training reports once an epoch, by its name."""
    epochs: list[Json] = next(
        (document[key] for key in ("epochs", "curves", "history") if isinstance(document.get(key), list)), []
    )
    curves: dict[str, list[tuple[float, float]]] = {}
    for index, row in enumerate(epochs, start=1):
        for name, value in _numbers(row):
            curves.setdefault(name, []).append((float(row.get("epoch", index)), value))
    return curves


def _numbers(row: Json) -> Iterable[tuple[str, float]]:
    for name, value in row.items():
        if name not in ("epoch", "step") and words.is_number(value):
            yield name, float(value)


def _curve_title(name: str) -> str:
    return words.plain(name).replace("Ndcg", "NDCG").replace("ndcg", "NDCG")


def _curve_hint(name: str) -> str:
    lowered = name.lower()
    if "loss" in lowered:
        return "lower is better"
    if "seconds" in lowered:
        return "s, lower is better"
    if any(metric.split("@")[0] in lowered for metric in words.METRICS):
        return "0 to 1, higher is better"
    return "share of the DNN, 0 to 1" if "alpha" in lowered else ""


def further(run: RunFolder, name: str) -> Markup:
    """The plain numbers at the top of an optional step's document."""
    rows = [
        frame.Row(cells=[words.plain(key), f"{value:g}" if words.is_number(value) else str(value)])
        for key, value in run.part(name).items()
        if isinstance(value, (int, float, str))
    ]
    return frame.table(words.plain(name), [frame.Column(title="What"), frame.Column(title="Value", numeric=True)], rows)
