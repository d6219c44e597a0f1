"""The page of ``shoploop replay``: what was learned online beside the frozen version, day by day."""

from pathlib import Path

from markupsafe import Markup

from shoploop.report import charts, frame, words
from shoploop.report.drawing import figure
from shoploop.report.run_folder import Json
from shoploop.store import disk


def write(target: Path, document: Json) -> None:
    """Writes one self-contained page.

    Args:
        target: The page.
        document: What :func:`shoploop.bench.replay.run` returns.
    """
    recall = document["recall@10"]
    low, high = recall["interval"]
    proven, trips = low > 0, document["trips"]
    headline = (
        "What is learned online finds more of what is bought"
        if proven
        else "What is learned online is not shown to find more"
    )
    page = frame.page(
        title=f"{document['recommender']} · replay · shoploop",
        masthead=frame.render(
            "command_masthead.html",
            command="shoploop replay",
            name=document["recommender"],
            tone="good" if proven and not trips else "warn",
            sign="✓" if proven and not trips else "!",
            state="A guardrail stopped it" if trips else "Better" if proven else "No difference shown",
            headline=headline,
            sentence=(
                f"{words.count(document['visits'])} visits of {words.count(document['users'])} users were replayed "
                f"{document['speed']:g} times as fast through log, joiner, learner, updater and ranker. Of what was bought, "
                f"the ten that were shown held {recall['difference']:+.4f} more [{low:+.4f}, {high:+.4f}] than those of the "
                "version as it was trained."
            ),
            facts=_facts(document),
        ),
        sections=frame.gathered(
            [_over_time(document), _nights(document), _lag(document), _trips(document), _days(document)]
        ),
        footer=_FOOTER,
    )
    disk.write_text(target, page)


_FOOTER = (
    "Written by shoploop replay. The frozen version knows what was known before the first of these days, and one of a night "
    "what was known by then. Tables of items, users and shops are as they are, whatever the day."
)

SIDES = {
    "online": "frozen, learning online",
    "frozen": "frozen",
    "renewed_online": "renewed every night, learning online",
    "renewed": "renewed every night",
    "nightly_online": "trained every night, learning online",
    "nightly": "trained every night",
}


def _kinds(document: Json) -> list[str]:
    """What became of a version every night, as far as somebody asked."""
    return [kind for kind in ("renewed", "nightly") if document.get(kind) is not None]


def _sides(document: Json) -> list[str]:
    kinds = _kinds(document)
    return [side for side in SIDES if side in ("online", "frozen") or side.removesuffix("_online") in kinds]


def _facts(document: Json) -> Markup:
    recall, lag, loss = document["recall@10"], document["lag_seconds"], document["loss"]
    return frame.facts([
        frame.Fact(title="Recall@10 online", value=words.decimal(recall["online"]), note="by user"),
        frame.Fact(title="Recall@10 frozen", value=words.decimal(recall["frozen"]), note="by user"),
        frame.Fact(
            title="Surprise", value=f"{loss['online']:.3f}", note=f"nats a choice; {loss['frozen']:.3f} of the frozen version"
        ),
        frame.Fact(
            title="From event to answer",
            value=words.NONE if lag["p50"] is None else f"{lag['p50']:.2f} s",
            note="" if lag["p99"] is None else f"p99 {lag['p99']:.2f} s",
        ),
        frame.Fact(
            title="Commits", value=words.count(document["commits"]), note=f"{words.count(document['learned'])} examples"
        ),
        frame.Fact(title="Trips", value=words.count(len(document["trips"])), note="of guardrails"),
    ])  # fmt: skip


def _over_time(document: Json) -> frame.Section:
    """Recall up to each day: a day alone says little."""
    days = document["days"]
    if len(days) < 2:
        return frame.missing("time", "Over time", "The replay is of one day.")
    curves = {}
    for side in _sides(document):
        visits, found, points = 0, 0.0, []
        for number, day in enumerate(days, 1):
            visits += day["visits"]
            found += day["visits"] * day[side]
            points.append((float(number), found / visits))
        curves[SIDES[side] if len(_sides(document)) > 2 else side] = points
    ends = "; ".join(f"{name} ends at {words.decimal(points[-1][1])}" for name, points in curves.items())
    return frame.Section(
        id="time",
        title="Over time",
        lead="Of what a visit bought, the share that stood among the ten items shown just before: all visits up to each day.",
        body=figure(
            charts.lines(curves, x="day"), wide=True, title="Recall@10 so far", caption="higher is better",
            label=f"Recall@10 over all visits so far, by day: {ends}.",
        ),
    )  # fmt: skip


def _nights(document: Json) -> frame.Section:
    kinds = _kinds(document)
    if not kinds:
        return frame.missing("nights", "A version a night", "Nobody asked for it: shoploop replay --nightly --renewed.")
    columns = [
        frame.Column(title="What"),
        frame.Column(title="Metric"),
        *(frame.Column(title=title, numeric=True) for title in ("More", "95 %")),
    ]
    compared = [(f"{SIDES['online']}, over the same without", document)]
    for kind in kinds:
        compared.append((f"{SIDES[kind]}, over frozen", document[kind]["gained"]))
        compared.append((f"{SIDES[f'{kind}_online']}, over the same without", document[kind]))
    rows = [
        frame.Row(
            cells=[
                name, words.metric(metric).title, words.signed(found[metric]["difference"]),
                words.interval(found[metric]["interval"]),
            ]
        )
        for name, found in compared
        for metric in ("recall@10", "ndcg@10")
    ]  # fmt: skip
    lead = "Trained is what a run does. Renewed has the weights of the first night, and all that is known since."
    return frame.Section(
        id="nights",
        title="A version a night",
        lead=lead,
        body=frame.table("What a night and what a second is worth", columns, rows),
    )


def _lag(document: Json) -> frame.Section:
    points = [
        (float(number), day["lag_seconds"])
        for number, day in enumerate(document["days"], 1)
        if day["lag_seconds"] is not None
    ]
    if len(points) < 2:
        return frame.missing("lag", "From an event to the answers", "Too little was learned to say.")
    behind = document["behind_seconds"]
    late = f" The machine ended {behind:.0f} s behind the speed that was asked for." if behind > 1 else ""
    return frame.Section(
        id="lag",
        title="From an event to the answers",
        lead=f"Seconds of the clock from an event's append until the ranker answers with it, median of a day.{late}",
        body=figure(
            charts.lines({"median": points}, x="day"), wide=True, title="Lag", caption="seconds, lower is better",
            label=f"Median lag by day, from {min(y for _, y in points):.2f} to {max(y for _, y in points):.2f} seconds.",
        ),
    )  # fmt: skip


def _trips(document: Json) -> frame.Section:
    if not document["trips"]:
        return frame.missing("trips", "What guardrails stopped", "Nothing: no guardrail tripped.")
    columns = [frame.Column(title="Commit", numeric=True), frame.Column(title="Why")]
    rows = [frame.Row(cells=[trip["commit"], trip["reason"]]) for trip in document["trips"]]
    return frame.Section(
        id="trips",
        title="What guardrails stopped",
        lead="From there on nothing more was learned: in a shop a person resumes it.",
        body=frame.table("Trips of guardrails", columns, rows),
    )


def _days(document: Json) -> frame.Section:
    sides = _sides(document)
    named = [side.replace("_", " ").capitalize() for side in sides]
    columns = [
        frame.Column(title="Day"),
        *(frame.Column(title=title, numeric=True) for title in ("Visits", *named, "Commits", "Lag")),
    ]
    rows = [
        frame.Row(
            cells=[
                day["day"],
                words.count(day["visits"]),
                *(words.decimal(day[side]) for side in sides),
                words.count(day["commits"]),
                None if day["lag_seconds"] is None else f"{day['lag_seconds']:.2f} s",
            ]
        )
        for day in document["days"]
    ]
    return frame.Section(id="days", title="Day by day", body=frame.table("Each day of the replay", columns, rows))
