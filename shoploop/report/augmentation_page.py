"""The page of ``shoploop augment``: real and virtual shoppers side by side, both gates, every variant, the verdict."""

from pathlib import Path

from markupsafe import Markup

from shoploop.report import augmentation, augmentation_gates, charts, frame, words
from shoploop.report.drawing import figure
from shoploop.report.run_folder import Json

_CURVES = {
    "basket_size": ("Products in a basket", "products, up to 30", "share of baskets"),
    "gap": ("Days between visits", "days, up to 28", "share of pauses"),
    "hour": ("Hour of a visit", "hour of the day, UTC", "share of visits"),
    "popularity": ("How few products make up the sales", "most bought products, as a power of ten", "share of rows"),
}
_SIDES = ("virtual", "real")
_SHOWN_TITLES = 10


def write(target: Path, name: str, document: Json, comparison: Json | None) -> None:
    """Writes one self-contained page.

    Args:
        target: The page.
        name: Of the recommender.
        document: ``augmentation.json``.
        comparison: See ``side_by_side.compare``; None where nothing virtual was made.
    """
    sections = [_verdict(document)]
    if comparison is not None:
        sections += [_statistics(comparison), _shoppers(comparison)]
    if body := augmentation_gates.gates(document):
        sections.append(frame.Section(id="gates", title="Fidelity and privacy", body=frame.join(*body)))
    page = frame.page(
        title=f"{name} · virtual behaviour · shoploop",
        masthead=_masthead(name, document),
        sections=sections,
        footer="Written by shoploop augment. The numbers of this page lie beside it in augmentation.json.",
    )
    target.write_text(page, encoding="utf-8")


def _masthead(name: str, document: Json) -> Markup:
    entered = document.get("variant")
    headline = (
        f"{augmentation.title_of(entered)} enters training" if entered else "Training goes on without virtual behaviour"
    )
    facts = [
        frame.Fact(title=title, value=value, note=note)
        for title, value, note in (
            ("Two-sample AUC", _of(document, "fidelity", "two_sample_auc"), "at most 0.80; 0.5 is real"),
            ("Membership AUC", _of(document, "privacy", "membership_auc"), "at most 0.55; 0.5 is a coin"),
            ("Virtual rows", words.count(document.get("synthetic_rows")), "made to be judged"),
            ("Samples added", words.count(document.get("samples_added")), "to training, to nothing else"),
        )
    ]
    return frame.render(
        "command_masthead.html",
        command="shoploop augment",
        name=name,
        tone="good" if entered else "warn",
        sign="✓" if entered else "!",
        state="Pays" if entered else "Not shown to pay",
        headline=headline,
        sentence=str(document.get("reason") or ""),
        facts=frame.facts(facts),
    )


def _of(document: Json, part: str, key: str) -> str:
    return words.decimal((document.get(part) or {}).get(key), 3)


def _verdict(document: Json) -> frame.Section:
    variants = document.get("variants") or {}
    return frame.Section(
        id="variants",
        title="What each variant gives",
        lead="Each was tried on visits that nobody had learned from, before the days of evaluation.",
        body=augmentation.gains(variants) if variants else augmentation.verdict(document),
    )


def _statistics(comparison: Json) -> frame.Section:
    drawn = []
    for key, (title, x, y) in _CURVES.items():
        sides = {side: [tuple(point) for point in comparison["curves"][key][side]] for side in _SIDES}
        if not all(sides.values()):
            continue
        label = f"{title}, {y} by {x}, of virtual and of real shoppers."
        drawn.append(figure(charts.lines(sides, x=x), title=title, caption=y, label=label))
    parts = [frame.render("grid.html", items=drawn)]
    if categories := comparison.get("categories"):
        dots = [
            charts.Dot(
                label=words.plain(str(row["category"]).lower()),
                value=row[side],
                kind="ours" if side == "virtual" else "simple",
                text=words.percent(row[side]),
            )
            for row in categories
            for side in _SIDES
        ]
        parts.append(
            figure(
                charts.dots(dots, axis="share of rows", labels=170),
                wide=True,
                title="What is bought",
                caption="filled: virtual shoppers, hollow: real ones",
                label="; ".join(f"{dot.label} {dot.text}" for dot in dots) + ".",
            )
        )
    columns = [frame.Column(title="Mean"), *(frame.Column(title=side.capitalize(), numeric=True) for side in _SIDES)]
    rows = [
        frame.Row(cells=[words.plain(what), *(words.decimal(means[side], 3) for side in _SIDES)])
        for what, means in comparison["numbers"].items()
    ]
    counted = comparison["counted"]
    sizes = ", ".join(
        f"{words.count(counted[side]['shoppers'])} {side} shoppers with {words.count(counted[side]['rows'])} rows"
        for side in _SIDES
    )
    return frame.Section(
        id="statistics",
        title="Real and virtual side by side",
        lead=f"Of each shopper the last eight visits: {sizes}.",
        body=frame.join(*parts, frame.table("Means by side", columns, rows)),
    )


def _shoppers(comparison: Json) -> frame.Section:
    pairs = zip(comparison["shoppers"]["virtual"], comparison["shoppers"]["real"], strict=False)
    tables = []
    for number, (virtual, real) in enumerate(pairs, start=1):
        rows = [
            frame.Row(
                cells=[f"{at + 1}", *(_visit(side[at]) if at < len(side) else words.NONE for side in (virtual, real))]
            )
            for at in range(max(len(virtual), len(real)))
        ]
        columns = [
            frame.Column(title="Visit"),
            frame.Column(title="A virtual shopper", hint="exists nowhere"),
            frame.Column(title="A real shopper", hint="drawn at random, unnamed"),
        ]
        tables.append(frame.table(f"Pair {number}", columns, rows, show_caption=True))
    return frame.Section(
        id="shoppers",
        title="A few shoppers",
        lead="Drawn at random, not chosen: the last visits of each, with the products by name. The two of a pair have "
        "nothing to do with each other.",
        body=frame.join(*tables),
    )


def _visit(visit: Json) -> str:
    titles = [str(title) for title in visit["titles"]]
    more = len(titles) - _SHOWN_TITLES
    return f"day {visit['day']}: " + " · ".join(titles[:_SHOWN_TITLES]) + (f" and {more} more" if more > 0 else "")
