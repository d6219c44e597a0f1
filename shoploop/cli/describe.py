"""``shoploop describe``: what is in somebody's data and what a run of them would be, before anything runs."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shoploop.cli.output import write_json
from shoploop.cli.sheet import Sheet
from shoploop.errors import without_passwords
from shoploop.hints import on_file

MARKS = {"enough": "enough", "little": "little", "too little": "TOO LITTLE", "not asked for": "not asked for",
         "not reached": "not reached"}  # fmt: skip


def describe_recommender(file: Path, json_: str | None) -> None:
    """Reads the tables as a run would, writes nothing, and prints what it found."""
    from shoploop.api.unbuilt import refuse_unbuilt
    from shoploop.cli.run import load_with_data
    from shoploop.data.description import describe
    from shoploop.data.step import read_raw
    from shoploop.features.searched import taken_after_searches
    from shoploop.runs.forecast import forecast

    recommender = load_with_data(file)
    spec = recommender.spec
    refuse_unbuilt(spec, place="Machine")
    loaded = read_raw(spec.data)
    try:
        description, tables = describe(loaded)
    except Exception:
        for sentence in loaded.remarks:  # what was seen on the way explains an error
            print(f"! {sentence}", file=sys.stderr)
        raise
    whole = {"name": recommender.metadata.name, "source": _source(spec.data), **description}
    searched = None
    if "Search" in spec.training.surfaces and "searches" in tables:
        searched = taken_after_searches(tables["searches"], tables["items"])
    whole |= forecast(spec, description, tables["interactions"], searched=searched)
    write_json(whole, json_)
    if json_ != "-":
        _print(whole, file)


def _source(data: Any) -> dict[str, Any]:
    if data.dataset is not None:
        return {"dataset": data.dataset}

    return {"tables": {name: without_passwords(table.uri) for name, table in data.tables if table is not None}}


def _print(whole: Mapping[str, Any], file: Path) -> None:
    sheet = Sheet()
    source = whole["source"]
    places = [f"dataset {source['dataset']}"] if "dataset" in source else list(source["tables"].values())
    sheet.text(f"{whole['name']}: {', '.join(places)}")
    sheet.heading("The log")
    sheet.lines(_log(whole))
    sheet.heading("Kinds of interaction")
    sheet.lines(_kinds(whole))
    sheet.heading("Habits, and the task that they make")
    sheet.lines(_habits(whole))
    if whole["missing"]:
        sheet.heading("What is missing")
        sheet.lines(_missing(whole["missing"]))
    if whole["rules"]:
        sheet.heading("What loading does to rows")
        sheet.lines(
            (f"{rule['table']} {rule['action']}", f"{rule['rows']:,}, {rule['name']}: {rule['why']}")
            for rule in whole["rules"]
        )
    if others := _other_remarks(whole):
        sheet.heading("What else is worth knowing")
        for sentence in others:
            sheet.text(sentence)
    sheet.heading("Is there enough")
    sheet.lines(
        (line["step"], f"{MARKS[line['state']]}{': ' if line['why'] else ''}{line['why']}") for line in whole["enough"]
    )
    sheet.heading("What a run will take, as an estimate")
    sheet.lines(_estimate(whole))
    ends = [line for line in whole["enough"] if line["state"] == "too little"]
    if ends:
        sheet.heading("Next: change this, for a run would end there")
        sheet.lines((line["step"], line["change"]) for line in ends)
        sheet.text(f"Then look again: {on_file('describe', file)}")
    else:
        sheet.heading(f"Next: {on_file('run', file)}")


def _log(whole: Mapping[str, Any]) -> list[tuple[str, str]]:
    log, tables = whole["log"], whole["tables"]
    left = log["rows_read"] - log["rows"]
    facts = [
        ("rows", f"{log['rows']:,}" + (f" of {log['rows_read']:,} read" if left else "")),
        (
            "span",
            f"{log['first']} to {log['last']}, {log['days']:,} days, {log['days_with_events']:,} of them with events",
        ),
        ("users", f"{log['users']:,}{_listed(tables['users'])}"),
        ("items", f"{log['items']:,}{_listed(tables['items'])}"),
    ]
    if log["shops"]:
        facts.append(("shops", f"{log['shops']:,}{_listed(tables['shops'])}"))
    if "searches" in tables:
        facts.append(("searches", f"{tables['searches']['rows']:,} that something was taken of"))
    if "offers" in tables:
        facts.append(("offers", f"{tables['offers']['rows']:,}, {_offered(whole['offers'])}"))
    facts.append(("density", f"{_share(log['density'])} of all pairs of a user and an item occur"))
    return facts


def _offered(offers: Mapping[str, Any]) -> str:
    kinds = ", ".join(offers["kinds"])
    where = f"in {offers['shops']:,} shops" if offers["shops"] else "in all shops"
    return f"{offers['first']} to {offers['last']}, {where}" + (f": {kinds}" if kinds else "")


def _listed(table: Mapping[str, Any]) -> str:
    return "" if table["listed"] is None else f"; the table lists {table['listed']:,}"


def _kinds(whole: Mapping[str, Any]) -> list[tuple[str, str]]:
    words: dict[str, list[str]] = {}
    read_as: dict[str, int] = {}
    for found in whole["words"]:
        read_as[found["kind"]] = read_as.get(found["kind"], 0) + found["rows"]
        if found["word"] != found["kind"]:
            words.setdefault(found["kind"], []).append(f"{found['word']!r} {found['rows']:,}")
    facts = []
    for kind in whole["kinds"]:
        read = f", written {', '.join(words[kind['kind']])}" if kind["kind"] in words else ""
        # words are counted in the file, kinds in what loading has left of it
        lost = read_as.get(kind["kind"], 0) - kind["rows"]
        less = f"; {lost:,} more were read, and dropped or made another kind by loading" if lost > 0 else ""
        facts.append((kind["kind"], f"{kind['rows']:,}, {_share(kind['share'])}{read}{less}"))
    return facts


def _habits(whole: Mapping[str, Any]) -> list[tuple[str, str]]:
    habits, task = whole["habits"], whole["task"]
    facts = [
        ("purchases", f"{habits['purchases']:,}, an item counted once a user and day"),
        ("repeats", f"{_share(habits['repeats'])} of them were bought before by the same user"),
        (
            "visits by day",
            f"{habits['visits']:,} of {habits['buyers']:,} buyers; {habits['items_a_visit']:g} items a visit and "
            f"{habits['visits_a_buyer']:g} visits a buyer in the median; {_share(habits['buyers_of_one_visit'])} of the "
            "buyers came once",
        ),
    ]  # fmt: skip
    if "sessions" in habits:
        facts.append((
            "sessions",
            f"{habits['sessions']:,}, parted by {habits['session_gap_minutes']} minutes without an event; "
            f"{habits['events_a_session']:g} events and {habits['minutes_a_session']:g} minutes in the median",
        ))  # fmt: skip
    facts += [("task" if number == 0 else "", sentence) for number, sentence in enumerate(task["why"])]
    if windows := whole["windows"]:
        facts.append(("learned from", f"{' to '.join(windows['training'])}, {windows['training_days']} days"))
        facts.append(("evaluated on", f"{' to '.join(windows['evaluation'])}, {windows['evaluation_days']} days"))
        facts.append(("", windows["why"]))
        facts.append(
            ("sold before", f"{_share(whole['sold_before'])} of what is learned from is of an item of earlier days")
        )
    return facts


def _missing(missing: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [
        (
            f"{one['table']}.{one['column']}",
            ("not there" if one["share"] == 1 else f"in {one['rows']:,} rows, {_share(one['share'])}")
            + f"; {one['lost']}",
        )
        for one in missing
    ]


def _other_remarks(whole: Mapping[str, Any]) -> list[str]:
    """Remarks that no rule above says already."""
    return [sentence for sentence in whole["remarks"] if not any(rule["why"] in sentence for rule in whole["rules"])]


def _estimate(whole: Mapping[str, Any]) -> list[tuple[str, str]]:
    estimate = whole["estimate"]
    if estimate is None:
        return [("", "Nothing: the run would end where it says too little.")]
    longest = sorted(estimate["steps"].items(), key=lambda item: -item[1]["seconds"])[:3]
    return [
        ("time", f"about {_time(estimate['seconds'])}"),
        ("memory", f"about {estimate['gib']:.1f} GiB at the peak"),
        ("longest steps", ", ".join(f"{name} {_time(step['seconds'])}" for name, step in longest)),
        ("how", estimate["how"]),
    ]


def _share(share: float) -> str:
    if share >= 0.1 or share == 0:
        return f"{share:.0%}"
    return f"{share:.1%}" if share >= 0.001 else f"{100 * share:.2g}%"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} minutes"
