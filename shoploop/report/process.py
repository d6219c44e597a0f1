"""What was run: the YAML, the code, the version that came of it, and what every step cost."""

import yaml
from markupsafe import Markup

from shoploop.errors import with_no_passwords
from shoploop.report import charts, frame, words
from shoploop.report.drawing import figure
from shoploop.report.run_folder import Json, RunFolder

_DAYS = frozenset({"last_training_day", "last_day"})
_LINEAGE = {
    "code": "Code, version of shoploop",
    "last_training_day": "Last day learned from",
    "last_day": "Last day of the data",
    "parent": "Learned on from",
    "weights_of": "Has the weights of",
}


def steps(run: RunFolder) -> frame.Section:
    """Time and memory, one row a step."""
    found = run.steps
    if not found:
        return frame.missing("steps", "Time and memory", run.missing.get("run", "run.json names no steps."))
    bars, clock = [], 0.0
    for step in found:
        state = _state(step)
        took = float(step["seconds"]) if state in ("done", "failed") and words.is_number(step.get("seconds")) else 0.0
        memory = f" · {words.size(step['peak_rss_bytes'])}" if step.get("peak_rss_bytes") else ""
        text = words.seconds(took) + memory if state == "done" else state
        bars.append(charts.Bar(label=_title(step), start=clock, end=clock + took, text=text, kind=state))
        clock += took
    columns = [
        frame.Column(title="Step"),
        frame.Column(title="State"),
        frame.Column(title="Time", numeric=True, hint="in the step itself"),
        frame.Column(title="Peak memory", numeric=True, hint="all processes"),
    ]
    rows = [frame.Row(cells=_cells(step)) for step in found]
    wall = run.run.get("wall_seconds")
    rest = f" {words.seconds(max(wall - clock, 0))} went to starting the steps." if words.is_number(wall) else ""
    return frame.Section(
        id="steps",
        title="Time and memory",
        lead=f"{words.seconds(wall)} in all, {words.size(run.run.get('peak_rss_bytes'))} at the peak.{rest}",
        body=frame.join(
            *([_clock(bars)] if clock else []),  # nothing is drawn, which takes seconds, of a run that ended at once
            frame.fold("The steps as a table", frame.table("Steps", columns, rows)),
        ),
    )


def _clock(bars: list[charts.Bar]) -> Markup:
    return figure(
        charts.bars(bars, axis="seconds since the first step began", axis_format=".2~f", labels=130, texts=132),
        wide=True,
        label="Steps after each other: " + "; ".join(f"{bar.label} {bar.text}" for bar in bars) + ".",
    )


def provenance(run: RunFolder) -> frame.Section:
    """Enough to do it again: spec, software, lineage, the files of the version."""
    manifest, load = run.documents.get("manifest", {}), run.documents.get("load", {})
    bento = run.documents.get("bento", {})
    lineage = _flat(_without_numbers(manifest.get("lineage") or {}))
    facts = {
        "Run": run.run.get("run"),
        "Page in Kubeflow": run.run.get("link"),
        "Started": words.moment(run.run.get("started")) if run.run.get("started") else None,
        "Version made" if run.is_renewal else "Version trained": run.version,
        "Renews" if run.is_renewal else "Compared with": run.run.get("incumbent"),
        "Raw tables": load.get("source_sha256"),
        **{_LINEAGE.get(name, words.plain(name.replace(".", ", "))): value for name, value in lineage.items()},
        "Contract of features": manifest.get("contract_hash"),
        "Bento": bento.get("tag"),
        "Bento's archive": bento.get("archive"),
        "Bento's digest": bento.get("sha256"),
        "Bento's size": words.size(bento["bytes"]) if bento.get("bytes") else None,
    }
    rows = [frame.Row(cells=[name, frame.render("code.html", text=str(v))]) for name, v in facts.items() if v]
    parts = [frame.table("What was run", [frame.Column(title="What"), frame.Column(title="Value")], rows)]
    if spec := run.run.get("spec"):
        parts.append(
            frame.fold("The recommender as YAML, with every default", frame.render("yaml.html", text=_yaml(spec)))
        )
    if software := _software(run.run):
        parts.append(frame.fold("Software", software))
    if files := manifest.get("files"):
        parts.append(frame.fold("Files of the version", _files(files)))
    return frame.Section(
        id="provenance",
        title="What was run",
        lead="The same YAML, data and code give the same version.",
        body=frame.join(*parts),
    )


def _title(step: Json) -> str:
    return words.STEPS.get(str(step.get("name")), words.plain(str(step.get("name"))))


def _state(step: Json) -> str:
    """As a person calls it once the run is over."""
    return {"waiting": "not reached", "running": "broken off"}.get(str(step.get("state")), str(step.get("state")))


def _cells(step: Json) -> list[object]:
    state = _state(step)
    tone = {"done": "good", "failed": "bad"}.get(state, "")
    took = words.seconds(step.get("seconds")) if state in ("done", "failed", "reused") else words.NONE
    return [
        frame.render("named.html", title=_title(step), meaning=str(step.get("error") or "")),
        frame.render("tag.html", text=state, tone=tone),
        f"{took} when it ran" if state == "reused" else took,
        words.size(step.get("peak_rss_bytes")) if step.get("peak_rss_bytes") else words.NONE,
    ]


def _yaml(spec: object) -> str:
    spec = with_no_passwords(spec)  # records of before kept them
    return spec if isinstance(spec, str) else yaml.safe_dump(spec, sort_keys=False, allow_unicode=True, width=100)


def _software(run: Json) -> Markup | None:
    versions = {key: run[key] for key in ("shoploop", "python") if key in run} | (run.get("versions") or {})
    if not versions:
        return None
    rows = [frame.Row(cells=[name, str(version)]) for name, version in versions.items()]
    return frame.table("Software", [frame.Column(title="Package"), frame.Column(title="Version")], rows)


def _without_numbers(lineage: Json) -> Json:
    """Verdicts by their reason alone: their numbers have sections of their own. Renewals are too many to be told."""
    return {
        name: value["reason"] if isinstance(value, dict) and "reason" in value else value
        for name, value in lineage.items()
        if name != "renewals"
    }


def _flat(document: Json, prefix: str = "") -> dict[str, str]:
    """Nested JSON as dotted rows; lists are joined, numbers of days become dates."""
    rows: dict[str, str] = {}
    for key, value in document.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            rows |= _flat(value, f"{name}.")
        elif isinstance(value, list):
            rows[name] = ", ".join(map(str, value))
        elif key in _DAYS and words.is_number(value):
            rows[name] = words.day_number(value)
        elif value is not None:
            rows[name] = str(value)
    return rows


def _files(files: dict[str, Json]) -> Markup:
    columns = [
        frame.Column(title="File"),
        frame.Column(title="Size", numeric=True),
        frame.Column(title="Digest", hint="sha256"),
    ]
    rows = [
        frame.Row(
            cells=[name, words.size(file.get("bytes")), frame.render("code.html", text=str(file.get("sha256") or ""))]
        )
        for name, file in files.items()
    ]
    return frame.table("Files of the version", columns, rows)
