"""Virtual behaviour: which variants were tried, what each gave, how like the real and how discreet it is, and the verdict.

The same pieces make the section of a run's report and the page of ``shoploop augment``.
"""

from markupsafe import Markup

from shoploop.report import charts, frame, words
from shoploop.report.drawing import figure
from shoploop.report.run_folder import Json, RunFolder

TITLE = "Virtual behaviour"

_STATISTICS = {
    "popularity": "Popularity of products",
    "basket_size": "Products in a basket",
    "inter_purchase_time": "Days between visits",
    "hour": "Hour of a visit",
    "co_occurrence": "Bought together",
    "repeat_rate": "Bought again",
    "category_transitions": "From category to category",
    "kinds": "Kinds of event",
}


def section(run: RunFolder) -> frame.Section:
    """The section of a run's report."""
    document = run.part("augmentation")
    parts = [verdict(document)]
    if document.get("variants"):
        parts += [frame.render("heading.html", text="What each variant gives"), gains(document["variants"])]
    parts += gates(document)
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


def gates(document: Json) -> list[Markup]:
    """Fidelity, privacy and the generator's curve, as far as there is a generator."""
    parts: list[Markup] = []
    generator: Json = document.get("generator") or {}
    if generator.get("refused"):
        parts.append(frame.note(f"There is no generator: {generator['refused']}", "warn"))
    if document.get("fidelity"):
        parts += [frame.render("heading.html", text="Is it like the real"), fidelity(document["fidelity"])]
    if document.get("privacy"):
        parts += [frame.render("heading.html", text="Does it give anybody away"), privacy(document["privacy"])]
    if curve := [(row["step"], row["distance"]) for row in generator.get("curve") or []]:
        drawn = figure(
            charts.lines({"distance": curve}, x="step of the generator"),
            title="How the generator learned",
            caption="what the discriminator still tells apart (Wasserstein distance), lower is better",
            label=f"Distance from {words.decimal(curve[0][1])} to {words.decimal(curve[-1][1])}.",
        )
        digest = str(generator.get("digest") or "")[:12]
        said = f"{words.count(generator.get('shoppers'))} shoppers, digest {digest}."
        parts.append(frame.fold("The generator", frame.join(frame.note(said), drawn)))
    return parts


def gains(variants: Json) -> Markup:
    """NDCG@10 with each variant over that without, on both slices."""
    ranked = sorted(variants.items(), key=lambda pair: -float(pair[1].get("ndcg@10_gain") or 0))
    panels, said = [], []
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
        said.append(f"{title}: " + "; ".join(f"{dot.label} {dot.text}" for dot in dots))
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
            label=". ".join(said) + ".",
        ),
        frame.table("Gain of each variant", columns, rows),
        frame.fold("The reason for each verdict", reasons),
    )


def fidelity(found: Json) -> Markup:
    """The two-sample test and every statistic beside its noise floor."""
    tests = [
        charts.Bar(label=label, end=found[key], text=words.decimal(found[key], 3), kind=kind)
        for label, key, kind in (
            ("Virtual shoppers", "two_sample_auc", "ours"),
            ("Other real shoppers", "real_auc", "simple"),
            ("Drawn by popularity", "control_auc", "learned"),
        )
        if words.is_number(found.get(key))
    ]
    rows, dots = [], []
    for name, marginal in (found.get("marginals") or {}).items():
        distance, floor = marginal.get("distance"), marginal.get("floor")
        if not (words.is_number(distance) and words.is_number(floor)):
            continue
        times = f"{distance / floor:.1f}" if floor else words.NONE
        label = _STATISTICS.get(name, words.plain(name))
        rows.append(
            frame.Row(
                cells=[
                    label,
                    words.decimal(distance),
                    words.decimal(floor),
                    times,
                    _tag(marginal.get("passed")),
                ]
            )
        )
        if floor:
            dots.append(charts.Dot(label=label, value=distance / floor, kind="ours", text=times))
    columns = [
        frame.Column(title="Statistic"),
        frame.Column(title="Distance", numeric=True, hint="0 is alike"),
        frame.Column(title="Floor", numeric=True, hint="real against real"),
        frame.Column(title="Times the floor", numeric=True, hint="at most 3"),
        frame.Column(title="Gate"),
    ]
    telling = "; ".join(
        f"{words.plain(str(name))} ({words.percent(share)})" for name, share in found.get("telling") or []
    )
    more = []
    if words.is_number(found.get("coverage")):
        more.append(f"It names {words.percent(found['coverage'])} as many different products as the hold-out does.")
    if words.is_number(found.get("novelty")):
        real = f", of real shoppers' {words.percent(found['novelty_real'])}" if "novelty_real" in found else ""
        more.append(
            f"Of its pairs of products in a basket {words.percent(found['novelty'])} are new to training{real}."
        )
    parts = [
        figure(
            charts.bars(tests, axis="AUC: 0.5 cannot be told apart, 1 always", axis_format=".1f", labels=170, top=1.0),
            wide=True,
            title="Can a classifier tell it from real shoppers?",
            caption="at most 0.80 for virtual shoppers, at least 0.90 for the control, which shows that the test sees",
            label="AUC of the two-sample test: " + "; ".join(f"{bar.label} {bar.text}" for bar in tests) + ".",
        )
    ]
    if dots:
        parts.append(
            figure(
                charts.dots(dots, axis="times the distance between real and real", labels=200, lines=[1.0, 3.0]),
                wide=True,
                title="Every statistic against real shoppers whom it never saw",
                caption="dashed: as far as real shoppers are from each other, and the three times that are allowed",
                label="; ".join(f"{dot.label} {dot.text} floors" for dot in dots) + ".",
            )
        )
    parts.append(frame.table("Statistics", columns, rows))
    if telling or more:
        said = [f"What gave most away: {telling}." if telling else "", *more]
        parts.append(frame.note(" ".join(filter(None, said))))
    return frame.join(*parts)


def privacy(found: Json) -> Markup:
    """Every attack's number, what is allowed and whether it passes."""
    allowed: Json = found.get("allowed") or {}
    interval = found.get("membership_auc_interval") or [None, None]
    high = interval[1]
    k_asked = found.get("k_asked")
    checks = [
        (
            "Membership can be guessed",
            f"{words.decimal(found.get('membership_auc'), 3)} ({_range_plain(*interval)})",
            f"AUC at most {allowed.get('membership_auc')}, its upper end at most {allowed.get('membership_auc_upper')}",
            _at_most(found.get("membership_auc"), allowed.get("membership_auc"))
            and _at_most(high, allowed.get("membership_auc_upper")),
        ),
        (
            "Closest to a shopper it learned from",
            words.percent(found.get("closest_record_share")),
            f"at most {words.percent(allowed.get('closest_record_share'), 0)}; half is a coin",
            _at_most(found.get("closest_record_share"), allowed.get("closest_record_share")),
        ),
        (
            "Copied baskets",
            words.percent(found.get("copies"), 2),
            f"at most as among real shoppers, {words.percent(found.get('copies_real'), 2)}",
            _at_most(found.get("copies"), found.get("copies_real")),
        ),
        (
            "Fewest buyers of a product in it",
            words.count(found.get("k")),
            f"at least {words.count(k_asked)}",
            _at_most(k_asked, found.get("k")),
        ),
        (
            "Pairs of products of one shopper only",
            words.percent(found.get("unique_pairs")),
            f"told, not judged; among real shoppers {words.percent(found.get('unique_pairs_real'))}",
            None,
        ),
        (
            "Nearest over second nearest",
            words.decimal(found.get("neighbour_ratio"), 3),
            f"told, not judged; among real shoppers {words.decimal(found.get('neighbour_ratio_real'), 3)}",
            None,
        ),
    ]
    if isinstance(private := found.get("differential_privacy"), dict):
        checks.append(
            (
                "Differential privacy",
                f"ε {words.decimal(private.get('epsilon'), 2)}, δ {private.get('delta'):g}",
                "as spec.augmentation.differentialPrivacy asks",
                True,
            )
        )
    columns = [
        frame.Column(title="Attack or check"),
        frame.Column(title="Found", numeric=True),
        frame.Column(title="Allowed"),
        frame.Column(title="Gate"),
    ]
    rows = [
        frame.Row(cells=[what, value, rule, words.NONE if passed is None else _tag(passed)])
        for what, value, rule, passed in checks
    ]
    attacks = [
        charts.Dot(label=words.plain(name), value=value, low=low, high=high, text=words.decimal(value, 3))
        for name, (value, low, high) in (found.get("attacks") or {}).items()
    ]
    parts = [frame.table("Privacy", columns, rows)]
    if attacks:
        drawn = figure(
            charts.dots(attacks, axis="AUC: 0.5 is a coin", labels=150, lines=[0.5]),
            wide=True,
            title="Was this shopper among those it learned from?",
            caption="each attack with its interval; at the dashed line it knows nothing",
            label="; ".join(f"{dot.label} {dot.text}" for dot in attacks) + ".",
        )
        parts.append(drawn)
    reasons = found.get("reasons") or []
    if reasons:
        parts.insert(0, frame.note("Refused: " + "; ".join(map(str, reasons)) + ".", "bad"))
    return frame.join(*parts)


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


def _at_most(value: object, limit: object) -> bool:
    return words.is_number(value) and words.is_number(limit) and value <= limit


def _signed_percent(value: float | None) -> str:
    return words.NONE if value is None else f"{words.signed(value * 100, 1)} %"


def _range(low: float | None, high: float | None) -> str:
    return words.NONE if low is None or high is None else f"{_signed_percent(low)} to {_signed_percent(high)}"


def _range_plain(low: object, high: object) -> str:
    return f"{words.decimal(low, 3)} to {words.decimal(high, 3)}"


def _tag(passed: object) -> Markup:
    return frame.render("tag.html", text="passes" if passed else "fails", tone="good" if passed else "bad")


def _effort(effort: Json) -> str:
    if not effort:
        return ""
    shoppers = words.count(effort["shoppers"]) if words.is_number(effort.get("shoppers")) else "all"
    return (
        f"Measured on a stated sample: a generator of {words.count(effort.get('generator_steps'))} steps on {shoppers} "
        f"shoppers, {words.count(effort.get('labels'))} visits to learn from, {words.count(effort.get('judged'))} shoppers "
        "to judge on, one seed. `shoploop bench augmentation` measures on everything, with three."
    )
