"""How like the real virtual behaviour is, and how discreet: both gates with every number and what is allowed."""

from markupsafe import Markup

from shoploop.report import charts, frame, words
from shoploop.report.drawing import figure
from shoploop.report.run_folder import Json

_STATISTICS = {
    "popularity": "Popularity of products",
    "basket_size": "Products in a basket",
    "inter_purchase_time": "Days between visits",
    "weekdays": "Weekday of a visit",
    "hour": "Hour of a visit",
    "co_occurrence": "Bought together",
    "repeat_rate": "Bought again",
    "category_transitions": "From category to category",
    "kinds": "Kinds of event",
}


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
    if curve := [(row["step"], row["distance"]) for row in generator.get("curve") or [] if "distance" in row]:
        drawn = figure(
            charts.lines({"distance": curve}, x="step of the generator"),
            title="How the generator learned",
            caption="what the discriminator still tells apart (Wasserstein distance), lower is better",
            label=f"Distance from {words.decimal(curve[0][1])} to {words.decimal(curve[-1][1])}.",
        )
        digest = str(generator.get("digest") or "")[:12]
        origin = f"{words.count(generator.get('shoppers'))} shoppers, digest {digest}."
        parts.append(frame.fold("The generator", frame.join(frame.note(origin), drawn)))
    return parts


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
        notes = [f"What gave most away: {telling}." if telling else "", *more]
        parts.append(frame.note(" ".join(filter(None, notes))))
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
            f"at most as among real shoppers, {words.percent(found.get('copies_real'), 2)}, beyond chance",
            _at_most(found.get("copies"), found.get("copies_allowed")),
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
            f"shown, not judged; among real shoppers {words.percent(found.get('unique_pairs_real'))}",
            None,
        ),
        (
            "Nearest over second nearest",
            words.decimal(found.get("neighbour_ratio"), 3),
            f"shown, not judged; among real shoppers {words.decimal(found.get('neighbour_ratio_real'), 3)}",
            None,
        ),
    ]
    if isinstance(private := found.get("differential_privacy"), dict):
        checks.append(
            (
                "Differential privacy",
                f"ε {words.decimal(private.get('epsilon'), 2)}, δ {private.get('delta'):g}",
                "as spec.augmentation.differentialPrivacy asks, of this release; releases add up",
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
    if blind := found.get("blind"):
        parts.append(frame.note("That these found nothing says little: " + "; ".join(map(str, blind)) + "."))
    if found.get("limits"):
        parts.append(frame.note(str(found["limits"])))
    reasons = found.get("reasons") or []
    if reasons:
        parts.insert(0, frame.note("Refused: " + "; ".join(map(str, reasons)) + ".", "bad"))
    return frame.join(*parts)


def _at_most(value: object, limit: object) -> bool:
    return words.is_number(value) and words.is_number(limit) and value <= limit


def _range_plain(low: object, high: object) -> str:
    return f"{words.decimal(low, 3)} to {words.decimal(high, 3)}"


def _tag(passed: object) -> Markup:
    return frame.render("tag.html", text="passes" if passed else "fails", tone="good" if passed else "bad")
