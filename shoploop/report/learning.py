"""How the version came to know what it knows: candidates, training, the mix of its two networks, and its features."""

from shoploop.report import charts, frame, words
from shoploop.report.drawing import figure
from shoploop.report.run_folder import Json, RunFolder

TOP_FEATURES = 15
_NETWORKS = {"dnn": "DNN", "transformer": "Transformer", "fused": "both fused"}
_CURVES = {"train": "training"}


def candidates(run: RunFolder) -> frame.Section:
    """How much of what shoppers bought was fetched at all."""
    found: Json = run.documents.get("evaluation", {}).get("candidates") or _of_samples(run.part("samples"))
    if not found:
        return frame.missing("candidates", "What it can choose from", "No step has measured the recall of candidates.")
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
    described = "; ".join(f"{row.label} {row.text}" for row in rows)
    mean = found.get("mean_count")
    return frame.Section(
        id="candidates",
        title="What it can choose from",
        lead="Products are fetched from several sources first and ranked then; what was not fetched cannot be shown. "
        + (f"A visit has {words.count(mean)} candidates on average. " if words.is_number(mean) else "")
        + _unknown(run.part("features")),
        body=figure(
            charts.bars(rows, axis="share of products bought", axis_format=".0%", labels=170, top=1.0),
            wide=True,
            title="Recall of candidates by source",
            caption="share of the products bought, higher is better; a product may come from several sources",
            label=f"Recall of candidates: {described}.",
        ),
    )


def _unknown(features: Json) -> str:
    """What no source could fetch, where it is enough to be worth a sentence."""
    share, items = features.get("unknown_share"), features.get("items")
    if not words.is_number(share) or share < 0.005:
        return ""
    return (
        f"Counted here is what was bought of the {words.count(items)} products that the version knows; another "
        f"{words.percent(share)} of all that was bought is of products that were bought too rarely before."
    )


def fusion(run: RunFolder) -> frame.Section:
    """The learned α per surface."""
    alpha: Json = run.part("evaluation").get("alpha") or run.part("training").get("alpha") or {}
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
    panels = _panels(document)
    if not panels:
        return frame.missing("training", "How it was trained", "The training report has no curves.")
    drawn = [
        figure(
            charts.lines(curves, x="epoch"),
            title=title,
            caption=_hint(title),
            label=f"{title}: " + "; ".join(f"{name} ends at {words.decimal(c[-1][1])}" for name, c in curves.items()),
        )
        for title, curves in panels.items()
        if title != "Seconds" and max(map(len, curves.values())) > 1
    ]
    of_log: Json = document.get("pretraining") or {}
    if len(of_log.get("epochs", [])) > 1:
        losses = [(float(row["epoch"]), float(row["loss"])) for row in of_log["epochs"]]
        drawn.append(
            figure(
                charts.lines({"Transformer": losses}, x="epoch"),
                title="The Transformer learns from the log first",
                caption="Cross-entropy over all items at each visit before those that samples are made of, in nats.",
                label=f"The Transformer's loss over the log ends at {words.decimal(losses[-1][1])}",
            )
        )
    columns, cells = [frame.Column(title="Epoch", numeric=True)], []
    for title, curves in panels.items():
        for name, points in curves.items():
            columns.append(frame.Column(title=f"{title} {name}".strip(), numeric=True, hint=_hint(title)))
            cells.append(dict(points))
    epochs = sorted({x for values in cells for x in values})
    rows = [frame.Row(cells=[f"{x:g}", *(words.decimal(values.get(x)) for values in cells)]) for x in epochs]
    return frame.Section(
        id="training",
        title="How it was trained",
        lead=_learned_from(document)
        + "One point for each pass over the samples. Validation that rises while training falls is overfitting."
        + (f" {of_log['why']}" if of_log else ""),
        body=frame.join(
            *([frame.render("grid.html", items=drawn)] if drawn else []),
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
        "the more the version leans on it. Features that say the same share their importance; measured on a sample of "
        "the visits, so the shortest bars may be chance.",
        body=frame.join(
            figure(
                charts.bars(bars, axis="loss of NDCG@10 when shuffled", labels=190, texts=64),
                wide=True,
                label="Loss of NDCG@10 by feature: " + "; ".join(f"{bar.label} {bar.text}" for bar in bars) + ".",
            ),
            frame.fold(f"All {len(ranked)} features", frame.table("Importance of features", columns, rows)),
        ),
    )


def _learned_from(document: Json) -> str:
    visits, parameters = document.get("requests") or {}, document.get("parameters")
    if not words.is_number(visits.get("train")):
        return ""
    held = f", {words.count(visits['validation'])} to validate on" if words.is_number(visits.get("validation")) else ""
    weights = f", {words.count(parameters)} weights" if words.is_number(parameters) else ""
    rated = " A purchase counts in proportion to its rating." if document.get("ratings_weigh") else ""
    return f"{words.count(visits['train'])} visits to learn from{held}{weights}.{rated} "


def _of_samples(samples: Json) -> Json:
    """The candidates of the visits that are measured on, as the samples were built: for a run without evaluation."""
    split = (samples.get("splits") or {}).get("evaluation") or {}
    if not split:
        return {}
    visits = split.get("requests") or 1
    return {
        "recall": split.get("candidate_recall"),
        "by_source": split.get("candidate_recall_by_source"),
        "mean_count": split.get("rows", 0) / visits,
    }


def _panels(document: Json) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Chart title -> curve name -> points, from every number that training reports once an epoch.

    A network's losses in training and validation belong together; other groups stay as they are reported.
    """
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for index, row in enumerate(document.get("epochs") or [], start=1):
        for key, value in row.items():
            for inner, number in value.items() if isinstance(value, dict) else [("", value)]:
                if key in ("epoch", "phase") or not words.is_number(number):
                    continue
                if inner and key.endswith("_loss"):
                    title, curve = f"Loss, {_NETWORKS.get(inner, words.plain(inner))}", key.removesuffix("_loss")
                else:
                    title, curve = "α" if key == "alpha" else words.plain(key).replace("ndcg", "NDCG"), inner
                panels.setdefault(title, {}).setdefault(_CURVES.get(curve, curve), []).append(
                    (float(row.get("epoch", index)), float(number))
                )
    losses_first = sorted(panels, key=lambda title: not title.startswith("Loss"))
    return {title: dict(sorted(panels[title].items(), reverse=True)) for title in losses_first}


def _hint(title: str) -> str:
    lowered = title.lower()
    if "loss" in lowered:
        return "nats a visit, lower is better"
    if lowered == "seconds":
        return "s, lower is better"
    if title == "α":
        return "share of the DNN, 0 to 1"
    return "higher is better" if any(name.split("@")[0] in lowered for name in words.METRICS) else ""
