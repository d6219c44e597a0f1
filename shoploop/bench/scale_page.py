"""docs/scale.md: what :mod:`shoploop.bench.scale` measured, the engine of each part, and where it breaks."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from shoploop.errors import SpecInvalid
from shoploop.store import disk

ENGINES = (
    (
        "tables",
        "polars, one process",
        "they do not fit in memory; validation first, whose Great Expectations has a second copy, of pandas",
        "a database (`duckdb://`, `postgresql://`), fewer days",
    ),
    (
        "features",
        "Feast: DuckDB, SQLite",
        "SQLite holds some 2 KB a user: one machine's disk, or a second predictor pod",
        "Redis online; its offline stores",
    ),
    (
        "samples",
        "numpy, in pieces",
        "candidates × features do not fit in memory",
        "fewer days; shares, by `training.nodes`",
    ),
    ("training", "one process, one thread", "time", "`training.nodes`: a TrainJob; each process reads its share"),
    ("item vectors", "in each process", "some ten million items", "TorchRec (below)"),
    ("best of all items", "a matrix product", "some ten million items within 100 ms", "an index of nearest neighbours"),
    ("event log", "SQLite", "one pod", "Redis Streams; Kafka"),
    ("objects", "a folder", "one machine", "s3://, gs://, az://"),
    ("pipeline", "a process a step", "one machine", "Jobs; Kubeflow Pipelines"),
    ("serving", "one process", "requests a second", "replicas, KEDA"),
)
"""Part, what does it, where that breaks, and what comes then."""

HEAD = """# From one machine to many

This page is written by `shoploop bench scale --page docs/scale.md --json docs/scale.json`, parts of it anew by `--earlier
docs/scale.json` and 0 for what need not be measured again. It says how a run grows, not how fast a machine is: the shop is
synthetic and small."""

FEWEST_SECONDS = 1.0
"""Of a step's longest, for its exponent to say anything."""

TORCHREC = """Where parts break follows from bytes and from the seconds above; no size was measured at which one did.

Of many users, filling the online store is most of `materialize_features`: a row for each feature of each user. Feast's own
materialization made objects of all rows at once and wrote them in no order; into SQLite these rows are now written in pieces
(decision 0020, which also says what Redis takes). The table of events above is from before this change.

**TorchRec is an option, not a part.** Embeddings here are linear maps of frozen factors with one bias an item, and, where a
log without repeats tells enough of each item, a free vector of 64 numbers: that fits on a device for tens of millions of
items. Somebody with more items than a device holds shards them by TorchRec's `DistributedModelParallel` within the processes
that a TrainJob starts. What would change our mind: a catalogue of more than ten million items, on which free vectors gain."""

COST = """## What it costs

A run costs cores × hours × price. A step's seconds on your shop are those of the largest shop × (your events / its events)^e,
as far as e was fitted where the step's own work is most of its time; on n nodes training takes about 1/n of them, the others
as long as before. The memory of a machine is the largest row, by the same rule. Nothing beyond the sizes in the
tables was measured, and nothing on several machines or on a GPU."""


def page(found: dict[str, Any]) -> str:
    """The page as Markdown.

    Args:
        found: As :func:`shoploop.bench.scale.run` returns it.
    """
    parts = [HEAD]
    if "events" in found:
        parts += ["## Events", *_events(found)]
    if items := found.get("items"):
        parts += ["## Items", _items(items)]
    if users := found.get("users"):
        parts += ["## Users", *_users(users)]
    parts += ["## The engine of each part, and where it breaks"]
    parts += [_table(["part", "here", "breaks where", "then"], ENGINES), TORCHREC, COST]
    return "\n\n".join(parts) + "\n"


def read_earlier(source: Path) -> dict[str, Any]:
    """What :func:`shoploop.bench.scale.run` returned and was kept.

    Raises:
        SpecInvalid: there is no such file, or it is something else.
    """
    try:
        found = json.loads(source.read_text())
    except (OSError, ValueError) as error:
        raise SpecInvalid(
            f"--earlier {source} cannot be read: {error}. It is what --json of this command wrote."
        ) from error
    if not isinstance(found, dict) or not set(found) & {"events", "items", "users"}:
        raise SpecInvalid(
            f"--earlier {source} holds no numbers of events, items or users; --json of this command writes them."
        )
    return found


def write_page(target: Path, found: dict[str, Any]) -> None:
    """Writes :func:`page` whole or not at all."""
    disk.write_text(target, page(found))


def _table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


GROWTH = ("exponent", "of the two largest")


def _growth(found: dict[str, Any], name: str) -> tuple[str, str]:
    """A step's exponent over all sizes, and that of the two largest, in which what a process costs anyway counts least."""
    step = found["steps"][name]
    if len(found["events"]) < 2 or max(step["seconds"]) < FEWEST_SECONDS:
        return "", ""
    return f"{step['exponent']:.2f}", f"{step['last_exponent']:.2f}"


def _events(found: dict[str, Any]) -> list[str]:
    heads = [f"{size:,}" for size in found["events"]]
    steps = found["steps"].items()
    seconds = [(name, *(f"{value:.1f}" for value in step["seconds"]), *_growth(found, name)) for name, step in steps]
    mib = [
        (name, *(f"{x / 2**20:.0f}" for x in step["peak_rss_bytes"]), step["memory_exponent"]) for name, step in steps
    ]
    shop = found["shop"]
    known = [(grown, name) for name in found["steps"] for grown in _growth(found, name) if grown]
    worst = "The largest is {} ({}).".format(*max(known, key=lambda each: float(each[0]))) if known else ""
    worst = worst or "One size has none."
    about = (
        f"{shop['items']:,} items, {shop['days']} days, a shopper for every {shop['events_a_shopper']} events; each step a\n"
        f"process, on {found['cores']} cores. The exponent e is fitted to seconds = c·events^e. What a process costs before\n"
        f"it begins counts in it: where that is most of a step, e is low and says nothing of larger shops; the last column\n"
        f"is closer to them, and noisier. Steps of less than {FEWEST_SECONDS:g} s have none. {worst}\n"
        "Augmentation and importance are left out (`mode: Never`, `estimator: None`): how long they try is bounded."
    )
    return [about, _table(["seconds", *heads, *GROWTH], seconds), _table(["MiB at most", *heads, "exponent"], mib)]


def _items(items: dict[str, Any]) -> str:
    count, requests, mib = items["items"], items["requests"], 2**20
    step, best = (f"{items[name] * 1000:.0f} ms" for name in ("training_step_seconds", "top_100_seconds"))
    model, most = (f"{items[name] / mib:.0f} MiB" for name in ("parameters_bytes", "peak_rss_bytes"))
    return (
        f"{count:,} items: a training step of {requests} requests, each with a softmax over {items['drawn']} candidates and\n"
        f"drawn items, not all, takes {step} in one thread. The hundred best of all by a user's state\n"
        f"take {best}, exactly, without an index. The model has {model}; measuring it took {most} at most. A softmax\n"
        f"over all would hold {requests} × {count:,} scores and their gradients, {8 * requests * count / mib:.0f} MiB, and\n"
        "the features of all of them."
    )


def _users(found: dict[str, Any]) -> list[str]:
    heads = [f"{users:,}" for users in found["users"]]
    steps = found["steps"].items()

    def told(value: float | None, unit: float, digits: int) -> str:
        return "not done" if value is None else f"{value / unit:,.{digits}f}"

    def rows(what: str, grown: str | None, unit: float, digits: int) -> list[tuple[str, ...]]:
        return [
            (
                name,
                *(told(value, unit, digits) for value in step[what]),
                *([] if grown is None else ["" if step[grown] is None else f"{step[grown]:.2f}"]),
            )
            for name, step in steps
        ]

    whys = [
        f"- {name} of {users} users: {why}"
        for name, step in steps
        for users, why in zip(heads, step["why"], strict=True)
        if why
    ]
    about = (
        f"Shops of so many users and {found['events'][0] // found['users'][0]} purchases for each, which fall on users at\n"
        f"random, so that {found['buyers'][-1] / found['users'][-1]:.0%} of them bought at all; and the steps that read all\n"
        f"rows, each a process, on {found['cores']} cores: seconds are what a person waited, CPU\n"
        "seconds what was worked, over all threads and with the start of the process. The exponents are of what is taken\n"
        "beyond the smallest shop's, over the shops where that is at least half the smallest shop's; where there are\n"
        "not two such shops there is none. What is learned from is bounded by days (`training.trainingDays`), and is not\n"
        f"measured here.{_largest(found, heads[-1])}"
    )
    return [
        about,
        _table(["CPU seconds", *heads, "exponent"], rows("cpu_seconds", "exponent", 1, 1)),
        _table(["seconds", *heads], rows("seconds", None, 1, 1)),
        _table(["MiB at most", *heads, "exponent"], rows("peak_rss_bytes", "memory_exponent", 2**20, 0)),
        *(["Not done:\n\n" + "\n".join(whys)] if whys else []),
    ]


def _largest(found: dict[str, Any], users: str) -> str:
    """What the largest shop took in all; nothing where a step of it was not done."""
    cpu = [step["cpu_seconds"][-1] for step in found["steps"].values()]
    peaks = {name: step["peak_rss_bytes"][-1] for name, step in found["steps"].items()}
    if None in cpu or None in peaks.values():
        return ""
    most = max(peaks, key=lambda name: peaks[name])
    return (
        f" To carry {users} users to a filled online store takes {sum(cpu) / 60:.0f} minutes\n"
        f"of CPU and {peaks[most] / 2**30:.1f} GiB of memory, most of it in {most}."
    )
