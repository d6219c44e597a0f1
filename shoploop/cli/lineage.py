"""``shoploop lineage``: what a version learned from, and which versions a user's rows touched."""

from typing import Any

from rich.table import Table

from shoploop.cli import output
from shoploop.errors import NotFound
from shoploop.hints import command
from shoploop.store import Store

NEVER_KEPT = "It was made before lineage was kept, or elsewhere."


def show(store: Store, name: str, version: str | None, json_: str | None) -> None:
    """Says what a version learned from: rows, digests, expectations, generator, weights, code, parent.

    Raises:
        NotFound: there is no such version, or nothing is kept of it.
    """
    found = of_version(store, name, version)
    if json_:
        output.write_json(found, json_)
    if json_ == "-":
        return
    console = output.console()
    console.print(f"{found['version']} of {name}: run {found['run']}, {found['made']}")
    for title, value in (
        ("Serves", "yes" if found["serves"] else "no"),
        ("Renews" if found["renews"] else "Compared with", found["parent"] or "no version"),
        ("Gate", f"{'passed' if found['gate'].get('passed') else 'refused'}: {found['gate'].get('reason', '')}"),
        ("Bento", found["bento"] or "-"),
        ("Read", ", ".join(_place(one) for one in found["read"])),
    ):
        console.print(f"{title:14}{output.one_line(value)}")
    tables = Table(box=None)
    for title in ("table", "rows", "sha256", "expectations broken"):
        tables.add_column(title, no_wrap=True)
    for one in found["tables"]:
        rows, broken = one["rows"], ", ".join(one["broken"]) or "none"
        tables.add_row(one["table"], f"{rows:,}" if rows is not None else "-", one["sha256"][:16], broken)
    output.print_table(console, tables)
    steps = Table(box=None)
    for title in ("step", "state", "of run", "code", "what it came to"):
        steps.add_column(title, no_wrap=title != "what it came to")
    for one in found["steps"]:
        facts = "; ".join(f"{key} {value}" for key, value in list(one["facts"].items())[:4] if key != "verdict")
        steps.add_row(one["step"], one["state"], one["run"], one["code"][:12], output.one_line(facts)[:160])
    output.print_table(console, steps)


def _place(read: dict[str, str]) -> str:
    """Of a file on this machine its path alone."""
    return read["name"] if read["namespace"] == "file" else f"{read['namespace']}/{read['name']}"


def show_user(store: Store, name: str, user: str, json_: str | None) -> None:
    """Says which versions have read rows of a user."""
    found = of_user(store, name, user)
    if json_:
        output.write_json(found, json_)
    if json_ == "-":
        return
    console = output.console()
    table = Table(box=None)
    for title in ("version", "run", "rows", "first", "last"):
        table.add_column(title, no_wrap=True)
    for one in found["versions"]:
        rows = "not known any more" if one["rows"] is None else f"{one['rows']:,}"
        table.add_row(one["version"], one["run"], rows, one.get("first", "-")[:10], one.get("last", "-")[:10])
    output.print_table(console, table)
    touched = [one["version"] for one in found["versions"] if one["rows"]]
    unknown = sum(one["rows"] is None for one in found["versions"])
    console.print(
        f"User {output.one_line(user)} touched {len(touched)} of {len(found['versions'])} versions"
        + (f"; of {unknown} the tables are gone." if unknown else ".")
    )


def of_version(store: Store, name: str, version: str | None) -> dict[str, Any]:
    """What ``shoploop lineage NAME [VERSION]`` answers, as JSON.

    Args:
        version: None for the one that serves, or the newest where none does.
    """
    from shoploop.packaging.bento import bento_digest
    from shoploop.runs import lineage
    from shoploop.versions import promotions

    serving = promotions.serving_version(store, name)
    runs = _runs_by_version(store, name)
    wanted = version or serving or next(iter(runs), None)
    if wanted is None:
        raise promotions.no_version(store, name)
    if wanted not in runs:
        known = ", ".join(runs) or "none"
        raise NotFound(
            f"No run is kept that made version {wanted} of {name!r}; there is one of each of: {known}. "
            f"`{command(store, f'versions {name}')}` lists all versions."
        )
    run = runs[wanted][0]
    try:
        told = lineage.read(store, name, run.run)
    except NotFound as error:
        raise NotFound(f"Nothing is kept of where version {wanted} came from. {NEVER_KEPT} Run it again.") from error
    steps = [event for event in told if "shoploop_step" in event["run"]["facets"]]
    by_step = {event["run"]["facets"]["shoploop_step"]["step"]: event for event in steps}

    def facts(step: str) -> dict[str, Any]:
        event = by_step.get(step)
        found: dict[str, Any] = event["run"]["facets"]["shoploop_facts"]["facts"] if event else {}
        return found

    return {
        "recommender": name,
        "version": wanted,
        "run": run.run,
        "made": run.started.isoformat(),
        "serves": wanted == serving,
        "parent": run.incumbent,
        "renews": run.incumbent if run.is_renewal else None,
        "gate": {"passed": run.passed, "reason": run.reason},
        "bento": facts("build_bento").get("sha256") or bento_digest(store, name, wanted),
        "read": [
            {"namespace": one["namespace"], "name": one["name"], "version": _version_of(one)}
            for one in (by_step.get("load_data") or {}).get("inputs", [])
        ],
        "tables": _tables(by_step),
        "generator": facts("augment_samples"),
        "weights": facts("estimate_importance"),
        "steps": [
            {
                **{
                    key: event["run"]["facets"]["shoploop_step"][key]
                    for key in ("step", "state", "run", "digest", "code", "settings")
                },
                "facts": event["run"]["facets"]["shoploop_facts"]["facts"],
            }
            for event in steps
        ],
        "events": len(told),
    }


def of_user(store: Store, name: str, user: str) -> dict[str, Any]:
    """What ``shoploop lineage NAME --user U`` answers, as JSON: rows is None where a run's tables are gone.

    A version has read a user's rows if they are in the tables that its run loaded, or that of the version whose weights it
    has; whether its weights show it is another question.
    """
    from shoploop.runs import lineage
    from shoploop.steps import Workspace
    from shoploop.versions.removal import weights_of

    workspace = Workspace(store, name)
    counted: dict[str, dict[str, Any] | None] = {}
    versions = []
    made = _runs_by_version(store, name)

    def seen_by(runs: list[Any]) -> dict[str, Any] | None:
        for run in runs:
            try:
                plan = lineage.plan_of(workspace, name, run.run)
            except NotFound:
                continue
            key = plan.keys["load_data"]
            if key not in counted:
                counted[key] = lineage.touched_by(workspace, plan, user)
            if (seen := counted[key]) is not None:
                return seen
        return None

    for version, runs in made.items():
        weights = weights_of(store, name, version) if runs[0].is_renewal else version
        seen = [seen_by(made.get(each, [])) for each in dict.fromkeys((version, weights))]
        most = max((each for each in seen if each), key=lambda each: int(each["rows"]), default=None)
        if most and not most["rows"] and None in seen:  # one of those tables is gone
            most = None
        versions.append({"version": version, "run": runs[0].run, **(most or {"rows": None})})
    return {"recommender": name, "user": user, "versions": versions}


def _runs_by_version(store: Store, name: str) -> dict[str, list[Any]]:
    """The runs that made each version, newest first."""
    from shoploop.runs import Record, list_runs

    found: dict[str, list[Any]] = {}
    for record in list_runs(store, name):
        if isinstance(record, Record) and record.version:
            found.setdefault(record.version, []).append(record)
    return found


def _tables(by_step: dict[str, Any]) -> list[dict[str, Any]]:
    """The canonical tables: rows, digest, and which expectations they broke."""
    made = (by_step.get("load_data") or {}).get("outputs", [])
    judged = {one["name"]: one for one in (by_step.get("validate_data") or {}).get("inputs", [])}
    tables = []
    for one in made:
        if "outputStatistics" not in (one.get("outputFacets") or {}):
            continue
        quality = ((judged.get(one["name"]) or {}).get("inputFacets") or {}).get("dataQualityAssertions") or {}
        tables.append(
            {
                "table": one["name"].rpartition("/")[2],
                "rows": one["outputFacets"]["outputStatistics"].get("rowCount"),
                "sha256": _version_of(one),
                "columns": [field["name"] for field in one["facets"]["schema"]["fields"]],
                "expectations": len(quality.get("assertions", [])),
                "broken": [found["name"] for found in quality.get("assertions", []) if not found["success"]],
            }
        )
    return tables


def _version_of(data_set: dict[str, Any]) -> str:
    return str((data_set.get("facets") or {}).get("version", {}).get("datasetVersion", ""))
