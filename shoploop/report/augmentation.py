"""Virtual behaviour: which variants were tried, what each gave, and the verdict. Its gates have a file of their own.

The same pieces make the section of a run's report and the page of ``shoploop augment``.
"""

from markupsafe import Markup

from shoploop.report import augmentation_gates, charts, frame, words
from shoploop.report.drawing import figure
from shoploop.report.run_folder import Json, RunFolder

TITLE = "Virtual behaviour"


def section(run: RunFolder) -> frame.Section:
    """The section of a run's report."""
    document = run.part("augmentation")
    parts = [verdict(document)]
    if document.get("variants"):
        parts += [frame.render("heading.html", text="What each variant gives"), gains(document["variants"])]
    parts += augmentation_gates.gates(document)
    if stated := _effort(document.get("effort") or {}):
        parts.append(frame.note(stated))
    return frame.Section(
        id="augmentation",
        title=TITLE,
        lead="Variants of more samples were tried on visits before the days of evaluation. One enters training only if "
        "it is shown to help shoppers with short histories, costs the others nothing, and gives no shopper away.",
        body=frame.join(*parts),
    )


def verdict(document: Json) -> Markup:
    """The reason in words, and how much entered."""
    entered = document.get("variant")
    added = f" {words.count(document.get('samples_added'))} samples were added." if entered else ""
    return frame.note(f"{document.get('reason') or 'No reason was given.'}{added}", "good" if entered else "plain")


def gains(variants: Json) -> Markup:
    """NDCG@10 with each variant over that without, on both slices."""
    ranked = sorted(variants.items(), key=lambda pair: -float(pair[1].get("ndcg@10_gain") or 0))
    panels, described = [], []
    for title, pick in (("Short histories", _cold), ("All shoppers", _overall)):
        found = [(name, *pick(tried), tried) for name, tried in ranked]
        dots = [
            charts.Dot(
                label=title_of(name),
                value=gain * 100,
                low=None if low is None else low * 100,
                high=None if high is None else high * 100,
                kind="ours" if tried.get("admitted") else "simple",
                text=_signed_percent(gain),
            )
            for name, gain, low, high, tried in found
            if gain is not None
        ]
        panels.append(charts.Panel(title=title, rows=dots, axis="gain in %, right is better", line=0.0))
        described.append(f"{title}: " + "; ".join(f"{dot.label} {dot.text}" for dot in dots))
    columns = [
        frame.Column(title="Variant"),
        frame.Column(title="Short histories", numeric=True, hint="gain of NDCG@10"),
        frame.Column(title="Interval", numeric=True, hint="paired bootstrap"),
        frame.Column(title="All shoppers", numeric=True, hint="gain of NDCG@10"),
        frame.Column(title="Interval", numeric=True, hint="paired bootstrap"),
        frame.Column(title="Verdict"),
    ]
    rows = []
    for name, tried in ranked:
        cells: list[object] = [frame.render("named.html", title=title_of(name), meaning=str(tried.get("what") or ""))]
        for gain, low, high in (_cold(tried), _overall(tried)):
            cells += [_signed_percent(gain), _range(low, high)]
        admitted = bool(tried.get("admitted"))
        tag = frame.render("tag.html", text="may enter" if admitted else "refused", tone="good" if admitted else "")
        rows.append(frame.Row(cells=[*cells, tag]))
    reasons = frame.table(
        "Why",
        [frame.Column(title="Variant"), frame.Column(title="Reason")],
        [frame.Row(cells=[title_of(name), str(tried.get("reason") or "")]) for name, tried in ranked],
    )
    return frame.join(
        figure(
            charts.panels(panels, texts=60),
            wide=True,
            caption="NDCG@10 with the variant over that without, less 1; a filled dot may enter training",
            label=". ".join(described) + ".",
        ),
        frame.table("Gain of each variant", columns, rows),
        frame.fold("The reason for each verdict", reasons),
    )


def title_of(variant: str) -> str:
    """A variant's name as people read it."""
    return words.plain(variant).replace("Gan", "GAN")


def _cold(tried: Json) -> tuple[float | None, float | None, float | None]:
    low, high = _ends(tried.get("interval"))
    return _number(tried.get("ndcg@10_gain")), low, high


def _overall(tried: Json) -> tuple[float | None, float | None, float | None]:
    found = tried.get("overall") or {}
    low, high = _ends(found.get("interval"))
    return _number(found.get("gain")), low, high


def _ends(found: object) -> tuple[float | None, float | None]:
    if not isinstance(found, (list, tuple)) or len(found) != 2:
        return None, None
    return _number(found[0]), _number(found[1])


def _number(value: object) -> float | None:
    return float(value) if words.is_number(value) else None


def _signed_percent(value: float | None) -> str:
    return words.NONE if value is None else f"{words.signed(value * 100, 1)} %"


def _range(low: float | None, high: float | None) -> str:
    return words.NONE if low is None or high is None else f"{_signed_percent(low)} to {_signed_percent(high)}"


def _effort(effort: Json) -> str:
    if not effort:
        return ""
    shoppers = words.count(effort["shoppers"]) if words.is_number(effort.get("shoppers")) else "all"
    return (
        f"Measured on a stated sample: a generator of {words.count(effort.get('generator_steps'))} steps on {shoppers} "
        f"shoppers, {words.count(effort.get('labels'))} visits to learn from, {words.count(effort.get('judged'))} shoppers "
        "to judge on, one seed. `shoploop bench augmentation` measures on everything, with three."
    )
