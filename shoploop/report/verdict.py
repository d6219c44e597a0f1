"""What the page says first: may this version serve, in words that need no glossary, and the gate's numbers for it."""

from dataclasses import dataclass

from markupsafe import Markup

from shoploop.errors import without_passwords
from shoploop.report import charts, frame, words
from shoploop.report.drawing import figure
from shoploop.report.run_folder import Json, RunFolder


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How a run ended."""

    state: str
    headline: str
    sentence: str
    tone: str
    """good | warn | bad; never shown by colour alone: ``sign`` and ``state`` say it too."""

    @property
    def sign(self) -> str:
        return {"good": "✓", "warn": "!", "bad": "✕"}[self.tone]


def verdict(run: RunFolder) -> Verdict:
    """Read the run's end from its steps, its gate and its validation."""
    gate, failed = run.documents.get("gate"), run.failed_step
    if failed is not None:
        return _failed(run, failed)
    if run.run.get("state") in ("failed", "cancelled"):
        return _broken_off(run)
    if run.is_renewal:
        return Verdict(
            state="Renewed",
            tone="good" if run.run.get("passed") is True else "warn",
            headline="It knows what shoppers did since",
            sentence=f"{run.run.get('reason') or ''} Nothing was trained.".strip(),
        )
    if gate is None:
        return Verdict(
            state="Incomplete",
            tone="warn",
            headline="This run has not come to a verdict",
            sentence=f"{run.missing.get('gate', '')} Start it again: the steps that are done are reused.".strip(),
        )
    if gate.get("passed") is True and (fallen := gate.get("falls_back")):
        passed = [words.surface(name) for name in gate.get("surfaces") or {} if name not in fallen]
        simple = [words.surface(name) for name in fallen]
        headline = f"{' and '.join(passed)} passed; {' and '.join(simple).lower()} did not, and a simple method answers"
        return Verdict(
            state="Passed the gate in part",
            tone="warn",
            headline=headline,
            sentence=" ".join(said for said in (str(gate.get("reason") or ""), _waits(run)) if said),
        )
    gain = _in_shop_words(run.methods, str(gate.get("against") or ""))
    if gate.get("passed") is True:
        basis = _basis(run) or str(gate.get("reason") or "")
        warning = " ".join(said for said in (not_compared(gate), _waits(run)) if said)
        return Verdict(
            state="Passed the gate",
            tone="warn" if warning else "good",
            headline=gain or "Good enough to serve",
            sentence=f"{basis} {warning}".strip(),
        )
    return Verdict(
        state="Refused by the gate",
        tone="warn",
        headline="Not shown to be good enough to serve",
        sentence=f"{gate.get('reason') or ''} The version is kept, and what served before goes on serving.".strip(),
    )


def masthead(run: RunFolder) -> Markup:
    facts = [*_quality_facts(run), *_cost_facts(run)]
    return frame.render(
        "masthead.html",
        verdict=verdict(run),
        name=run.name,
        run=str(run.run.get("run") or ""),
        started=words.moment(run.run.get("started")) if run.run.get("started") else "",
        facts=frame.facts(facts) if facts else Markup(""),
    )


def gate(run: RunFolder) -> frame.Section:
    """The gate's rule, its numbers and its reason."""
    document = run.part("gate")
    metric, against = str(document.get("metric") or ""), words.method(str(document.get("against") or ""))
    parts = [frame.note(str(document.get("reason") or ""), "good" if document.get("passed") is True else "warn")]
    bounds, difference = document.get("interval"), document.get("difference")
    if words.is_number(difference) and isinstance(bounds, list) and len(bounds) == 2:
        parts.append(
            figure(
                charts.dots(
                    [
                        charts.Dot(
                            label=f"against {against.title}",
                            value=difference,
                            low=bounds[0],
                            high=bounds[1],
                            text=words.signed(difference),
                        )
                    ],
                    axis=f"difference in {words.metric(metric).title}",
                    labels=170,
                    texts=64,
                    lines=[_needed(document)],
                ),
                wide=True,
                title="This version less the other, and what is needed",
                caption="the whole line must lie to the right of the dashed one",
                label=f"Difference {words.signed(difference)} in {metric}, interval {words.interval(bounds)}.",
            )
        )
    parts.append(frame.facts(_gate_facts(document)))
    if surfaces := document.get("surfaces"):
        parts.append(_surfaces(surfaces))
    return frame.Section(
        id="gate",
        title="The gate",
        lead="A new version serves only if the shoppers it was measured on make its advantage more than luck.",
        body=frame.join(*parts),
    )


def _surfaces(surfaces: dict[str, Json]) -> Markup:
    """What the gate said of each surface, and what answers there."""
    titles = ["Surface", "Verdict", "Answered by", "Against", "Difference", "At least"]
    rows = []
    for name, one in surfaces.items():
        bounds, answers = one.get("interval"), str(one.get("answers") or "")
        rows.append(
            frame.Row(
                cells=[
                    words.surface(name),
                    _of_surface(one),
                    "the model" if answers == "model" else words.method(answers).title,
                    f"{words.method(str(one.get('against'))).title}, {words.metric(str(one.get('metric'))).title}",
                    words.signed(one.get("difference")),
                    words.signed(bounds[0] if isinstance(bounds, list) and bounds else None),
                ]
            )
        )
    columns = [frame.Column(title=title, numeric=title in titles[-2:]) for title in titles]
    return frame.table("Each surface for itself", columns, rows, show_caption=True)


def _of_surface(one: Json) -> str:
    if one.get("passed") is True:
        return "passed"
    return "worse than what serves" if one.get("worse") is True else "did not pass"


def not_compared(gate: Json) -> str:
    """That the version that serves could not be compared, and why; empty where it was, or where none serves."""
    incumbent = gate.get("incumbent")
    if not isinstance(incumbent, dict) or incumbent.get("compared") is True:
        return ""
    return f"Version {incumbent.get('version')} serves and could not be compared: {incumbent.get('why_not')}"


def simple_best(methods: dict[str, Json], metric: str) -> str | None:
    """Name of the simple baseline that does best on ``metric``."""
    simple = [n for n in methods if words.method(n).kind == "simple" and words.is_number(methods[n].get(metric))]
    return max(simple, key=lambda name: float(methods[name][metric]), default=None)


def _needed(document: Json) -> float:
    """What the interval's lower end must exceed."""
    margin = document.get("margin")
    return -margin + 0.0 if words.is_number(margin) else 0.0


def _least(document: Json) -> str:
    """From where on the interval's lower end is enough."""
    needed, not_worse = _needed(document), document.get("rule") == "NotWorse" and document.get("against") == "incumbent"
    places = 0 if needed == 0 else 3 if abs(needed) >= 0.001 else 5
    return f"{'at least' if not_worse else 'more than'} {words.decimal(needed, places)}"


def _rule(document: Json) -> str:
    rule = str(document.get("rule") or "")
    if rule != "Always" and not_compared(document):
        return "it must be better, as the version that serves could not be compared"
    if rule == "NotWorse" and document.get("against") != "incumbent":
        return "a first version must be better"
    return {"NotWorse": "it must not be worse", "Better": "it must be better", "Always": "every version may serve"}.get(
        rule, rule
    )


def _gate_facts(document: Json) -> list[frame.Fact]:
    bounds, confidence = document.get("interval"), document.get("confidence")
    low = bounds[0] if isinstance(bounds, list) and bounds else None
    always = document.get("rule") == "Always"
    return [
        frame.Fact(
            title=f"Difference in {words.metric(str(document.get('metric'))).title}",
            value=words.signed(document.get("difference")),
            note=f"against {words.method(str(document.get('against'))).title}; higher is better",
        ),
        frame.Fact(
            title=f"At least, with {words.percent(confidence, 0)} confidence",
            value=words.signed(low),
            note="bootstrap over shoppers",
        ),
        frame.Fact(
            title="Needed",
            value="anything" if always else _least(document),
            note=_rule(document),
        ),
    ]


def _failed(run: RunFolder, step: Json) -> Verdict:
    name = str(step.get("name"))
    broken = [e for e in run.expectations if not e.get("passed") and _stops(e)]
    if name == "validate_data" and broken:
        return Verdict(
            state="Stopped by the data",
            tone="bad",
            headline="The data broke what is expected of it, so nothing was trained",
            sentence=f"{len(broken)} of {len(run.expectations)} expectations stopped the run; "
            "the failing rows are shown below. What serves now goes on serving.",
        )
    error = str(step.get("error") or "").strip()
    return Verdict(
        state="Failed",
        tone="bad",
        headline=f"The run failed at the step “{words.STEPS.get(name, words.plain(name))}”",
        sentence=f"{error} Start it again when that is put right: the steps that are done are reused.".strip(),
    )


def _broken_off(run: RunFolder) -> Verdict:
    """A run that ended outside of its steps, or in one that could say nothing any more."""
    failure = run.run.get("failure")
    told: Json = failure if isinstance(failure, dict) else {}
    cancelled = run.run["state"] == "cancelled"
    name = str(told.get("step") or "")
    headline = "The run did not come to its end"
    if name:
        headline = f"The run failed at the step “{words.STEPS.get(name, words.plain(name))}”"
    message = without_passwords(str(told.get("message") or "").strip())
    again = "Start it again" + ("" if cancelled else " when that is put right")
    return Verdict(
        state="Cancelled" if cancelled else "Failed",
        tone="bad",
        headline="The run was cancelled" if cancelled else headline,
        sentence=f"{message} {again}: the steps that are done are reused. What served before goes on serving.".strip(),
    )


def _waits(run: RunFolder) -> str:
    """Why a version that passed does not serve."""
    why = str(run.run.get("waits") or "")
    return f"It does not serve: {why}" if why else ""


def _stops(expectation: Json) -> bool:
    return str(expectation.get("severity", "")).lower() == "stop"


def _in_shop_words(methods: dict[str, Json], against: str) -> str:
    """How many of ten shown products are bought, and what the compared method reaches; empty where not measured."""
    other_name = against if against in methods else simple_best(methods, "precision@10")
    beside = methods.get(other_name, {}) if other_name else {}
    same_visits = beside.get("fused")  # where the other was judged on fewer
    own = same_visits if isinstance(same_visits, dict) else methods.get("fused", {})
    ours, other = own.get("precision@10"), beside.get("precision@10")
    if not words.is_number(ours):
        return ""
    shown = words.decimal(ours * 10, 1)
    if other_name is None or not words.is_number(other):
        return f"Of every 10 products it shows, shoppers buy {shown}"
    if shown != words.decimal(other * 10, 1):
        begin = f"Of every 10 products it shows, shoppers buy {shown}"
        return f"{begin}, against {words.decimal(other * 10, 1)} with {_as_words(other_name)}"
    if own.get("ndcg@10", 0) > beside.get("ndcg@10", 0):
        return f"What shoppers buy stands nearer the top than with {_as_words(other_name)}"
    return ""


def _as_words(name: str) -> str:
    return {
        "incumbent": "the version that serves now",
        "popular": "the best sellers",
        "personal": "what each has bought most",
        "decay": "what each has bought most lately",
        "followers": "what others bought next",
        "popular_decayed": "what sells now",
        "item_knn": "what the same shoppers bought",
        "ease": "what goes with what they bought",
    }.get(name, words.method(name).title)


def _basis(run: RunFolder) -> str:
    evaluation = run.documents.get("evaluation", {})
    visits, users, days = evaluation.get("requests"), evaluation.get("users"), evaluation.get("days")
    if not (words.is_number(visits) and words.is_number(users)):
        return ""
    when = f", {words.day(days[0])} to {words.day(days[1])}" if isinstance(days, list) and len(days) == 2 else ""
    seen = f"one visit of each of {words.count(users)} shoppers"
    if visits != users:
        seen = f"{words.count(visits)} visits of {words.count(users)} shoppers"
    return f"Measured on {seen}{when}: days that the model had not seen."


def _quality_facts(run: RunFolder) -> list[frame.Fact]:
    methods = run.methods
    ours = methods.get("fused", {})
    facts = []
    for name in ("hit@10", "ndcg@10", "recall@10"):
        if not words.is_number(ours.get(name)):
            continue
        best = simple_best(methods, name)
        note = f"{words.method(best).title} {_value(name, methods[best][name])}; higher is better" if best else ""
        title = "Visits that bought from the ten" if name == "hit@10" else words.metric(name).title
        facts.append(frame.Fact(title=title, value=_value(name, ours[name]), note=note))
    return facts


def _value(metric: str, value: float) -> str:
    return words.percent(value) if metric == "hit@10" else words.decimal(value)


def _cost_facts(run: RunFolder) -> list[frame.Fact]:
    if "wall_seconds" not in run.run:
        return []
    reused = sum(step.get("state") == "reused" for step in run.steps)
    return [
        frame.Fact(
            title="Time",
            value=words.seconds(run.run["wall_seconds"]),
            note=f"{reused} of {len(run.steps)} steps reused" if reused else "from the raw tables to this page",
        ),
        frame.Fact(title="Peak memory", value=words.size(run.run.get("peak_rss_bytes")), note="all processes together"),
    ]
