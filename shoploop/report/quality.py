"""What went in, and how good it is: tables with digests, what was done to rows, and expectations met and broken."""

from collections.abc import Sequence

from markupsafe import Markup

from shoploop.report import frame, words
from shoploop.report.run_folder import Json, RunFolder

_ACTIONS = {"warned": "warn", "dropped": "warn"}


def quality(run: RunFolder) -> frame.Section:
    """Expectations: the broken ones with examples, then all of them."""
    document = run.part("validation")
    found = run.expectations
    if not found:
        return frame.missing("quality", "Is the data as expected", "The validation names no expectations.")
    broken = [e for e in found if not e["passed"]]
    stopped = document.get("verdict") == "failed"
    stops = [e for e in broken if stopped and _severity(e) == "stop"]
    tone = "bad" if stops else "warn" if broken else "good"
    parts = [frame.note(_sentence(document, found, broken, stops), tone)]
    if broken:
        parts.append(frame.render("failures.html", failures=[_failure(e, stopped) for e in broken]))
    met = f"All {len(found)} expectations" if broken else f"The {len(found)} expectations"
    parts.append(frame.fold(met, _expectations(found, stopped)))
    return frame.Section(
        id="quality",
        title="Is the data as expected",
        lead="What the tables must satisfy, checked before anything is learned from them. A tolerance is the share of "
        "rows that may differ; severity and tolerance can be set under validation.expectations in the YAML.",
        body=frame.join(*parts),
    )


def data(run: RunFolder) -> frame.Section:
    """The tables as they were read, and every rule that kept, changed or dropped rows."""
    document = run.part("load")
    tables: dict[str, Json] = document["tables"]
    columns = [
        frame.Column(title="Table"),
        frame.Column(title="Rows", numeric=True, hint="count"),
        frame.Column(title="Columns"),
        frame.Column(title="Digest", hint="sha256, first 12 digits"),
    ]
    rows = [
        frame.Row(
            cells=[
                words.plain(name),
                words.count(table.get("rows")),
                ", ".join(map(str, table.get("columns") or [])),
                frame.render("code.html", text=str(table.get("sha256") or "")[:12]),
            ]
        )
        for name, table in tables.items()
    ]
    parts = [frame.table("Tables", columns, rows)]
    if kinds := document.get("kinds"):
        parts += [frame.render("heading.html", text="Kinds of interaction, and the words for them"), _kinds(kinds)]
    if said := _unsaid(document):
        parts.append(frame.render("heading.html", text="What was said while they were read"))
        parts += [frame.note(sentence, "warn") for sentence in said]
    if rules := document.get("rules"):
        parts += [frame.render("heading.html", text="What was done to rows on their way in"), _rules(rules)]
    source = document.get("dataset")
    return frame.Section(
        id="data",
        title="The data",
        lead=f"The known dataset {source}, as canonical tables." if source else "Your own tables, in canonical form.",
        body=frame.join(*parts),
    )


def _kinds(kinds: Sequence[Json]) -> Markup:
    columns = [
        frame.Column(title="In your data"),
        frame.Column(title="Read as"),
        frame.Column(title="Rows", numeric=True, hint="count"),
    ]
    rows = [
        frame.Row(cells=[str(one.get("word") or "no word"), str(one.get("kind")), words.count(one.get("rows"))])
        for one in kinds
    ]
    return frame.table("Kinds of interaction", columns, rows)


def _unsaid(document: Json) -> list[str]:
    """Remarks that no rule of the table below says in the same words."""
    whys = [str(rule.get("why")) for rule in document.get("rules") or []]
    return [str(remark) for remark in document.get("remarks") or [] if not any(why in str(remark) for why in whys)]


def _rules(rules: Sequence[Json]) -> Markup:
    columns = [
        frame.Column(title="Rule"),
        frame.Column(title="Table"),
        frame.Column(title="Rows", numeric=True, hint="count"),
        frame.Column(title="Action"),
        frame.Column(title="Why"),
    ]
    rows = [
        frame.Row(
            cells=[
                words.plain(str(rule["name"])),
                rule.get("table"),
                words.count(rule.get("rows")),
                frame.render("tag.html", text=str(rule["action"]), tone=_ACTIONS.get(str(rule["action"]), "")),
                rule.get("why"),
            ]
        )
        for rule in rules
    ]
    return frame.table("What was done to rows", columns, rows)


def _expectations(found: Sequence[Json], stopped: bool) -> Markup:
    columns = [
        frame.Column(title="Expectation"),
        frame.Column(title="Rows", numeric=True, hint="checked"),
        frame.Column(title="Differ", numeric=True, hint="count"),
        frame.Column(title="Share", numeric=True, hint="lower is better"),
        frame.Column(title="Tolerated", numeric=True, hint="share of rows"),
        frame.Column(title="Outcome"),
    ]
    rows = []
    for e in found:
        text, tone = _outcome(e, stopped)
        rows.append(
            frame.Row(
                cells=[
                    frame.render("named.html", title=str(e.get("rule") or e["name"]), meaning=str(e["name"])),
                    words.count(e.get("rows")),
                    words.count(e.get("unexpected")),
                    words.percent(e.get("share"), 2),
                    words.percent(e.get("tolerance"), 2),
                    frame.render("tag.html", text=text, tone=tone),
                ]
            )
        )
    return frame.table("Expectations", columns, rows)


def _failure(expectation: Json, stopped: bool) -> Json:
    text, tone = _outcome(expectation, stopped)
    examples = [row for row in expectation.get("examples") or [] if isinstance(row, dict)]
    names = list(dict.fromkeys(key for row in examples for key in row))
    rows = [frame.Row(cells=[_cell(row.get(name)) for name in names]) for row in examples]
    shown = frame.table(f"Rows that break {expectation['name']}", [frame.Column(title=n) for n in names], rows)
    return {
        "name": str(expectation["name"]),
        "rule": str(expectation.get("rule") or expectation["name"]),
        "tag": text,
        "tone": tone,
        "counts": _counts(expectation),
        "examples": shown if rows else Markup(""),
    }


def _counts(expectation: Json) -> str:
    observed = expectation.get("observed")
    if isinstance(observed, (int, float, str)):
        return f"Observed: {words.count(observed) if isinstance(observed, int) else observed}."
    return (
        f"{words.count(expectation.get('unexpected'))} of {words.count(expectation.get('rows'))} rows differ "
        f"({words.percent(expectation.get('share'), 2)}; tolerated {words.percent(expectation.get('tolerance'), 2)})."
    )


def _cell(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return words.NONE if value is None else str(value)


def _outcome(expectation: Json, stopped: bool) -> tuple[str, str]:
    if expectation["passed"]:
        return ("met, within tolerance", "good") if expectation.get("unexpected") else ("met", "good")
    severity = _severity(expectation)
    if severity == "ignore":
        return "broken, ignored", ""
    return ("broken, stops", "bad") if severity == "stop" and stopped else ("broken, warns", "warn")


def _severity(expectation: Json) -> str:
    return str(expectation.get("severity") or "").lower()


def _sentence(document: Json, found: Sequence[Json], broken: Sequence[Json], stops: Sequence[Json]) -> str:
    took = f" Checked in {words.seconds(document['seconds'])}." if words.is_number(document.get("seconds")) else ""
    if not broken:
        return f"All {len(found)} expectations are met.{took}"
    end = f"{len(stops)} of them stopped the run." if stops else "None of them stopped the run."
    return f"{len(broken)} of {len(found)} expectations are broken. {end}{took}"
