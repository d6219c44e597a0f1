"""``shoploop online``: what is learned between two runs."""

from pathlib import Path
from typing import Annotated

import typer

from shoploop.cli.options import (
    JsonOption,
    LogAccessOption,
    LogOfOption,
    Name,
    StoreOption,
    person,
    readable_store,
    writable_store,
)

app = typer.Typer(help="What is learned between two runs.", no_args_is_help=True)

VersionOption = Annotated[str | None, typer.Option("--version", help="A version other than the one that is promoted.")]
Why = Annotated[str, typer.Option(help="Why; it is kept in the chain.")]
To = Annotated[int, typer.Option("--to", min=0, help="Number of a commit; 0 is the version as it was trained.")]


@app.command("status")
def online_status(
    name: Name, version: VersionOption = None, json_: JsonOption = None, store: StoreOption = None
) -> None:
    """Say which commit serves, and how well what was learned predicts."""
    from shoploop.cli.online import print_status

    print_status(readable_store(store), name, version=version, json_=json_)


@app.command("log")
def online_log(
    name: Name,
    last: Annotated[int, typer.Option(min=1, max=100_000, help="How many, the newest.")] = 20,
    version: VersionOption = None,
    json_: JsonOption = None,
    store: StoreOption = None,
) -> None:
    """List the commits of what was learned on top of a version."""
    from shoploop.cli.online import print_log

    print_log(readable_store(store), name, version=version, last=last, json_=json_)


@app.command("rollback")
def online_rollback(
    name: Name,
    to: To,
    reason: Why = "rolled back by hand",
    version: VersionOption = None,
    json_: JsonOption = None,
    store: StoreOption = None,
) -> None:
    """Let an earlier commit serve again; what comes is learned on top of it."""
    from shoploop.cli.online import decide

    decide(writable_store(store), name, "rollback", version=version, by=person(), reason=reason, to=to, json_=json_)


@app.command("pin")
def online_pin(
    name: Name,
    to: To,
    reason: Why = "pinned by hand",
    version: VersionOption = None,
    json_: JsonOption = None,
    store: StoreOption = None,
) -> None:
    """Let one commit serve until it is unpinned; learning goes on."""
    from shoploop.cli.online import decide

    decide(writable_store(store), name, "pin", version=version, by=person(), reason=reason, to=to, json_=json_)


@app.command("unpin")
def online_unpin(
    name: Name,
    reason: Why = "unpinned by hand",
    version: VersionOption = None,
    json_: JsonOption = None,
    store: StoreOption = None,
) -> None:
    """Let the newest commit serve again."""
    from shoploop.cli.online import decide

    decide(writable_store(store), name, "unpin", version=version, by=person(), reason=reason, json_=json_)


@app.command("resume")
def online_resume(
    name: Name,
    reason: Why = "resumed by hand",
    version: VersionOption = None,
    json_: JsonOption = None,
    store: StoreOption = None,
) -> None:
    """Go on learning after a guardrail stopped it."""
    from shoploop.cli.online import decide

    decide(writable_store(store), name, "resume", version=version, by=person(), reason=reason, json_=json_)


@app.command("deadletters")
def online_deadletters(
    name: Name,
    last: Annotated[int, typer.Option(min=1, max=100_000, help="How many, the newest.")] = 20,
    replay: Annotated[
        bool, typer.Option("--replay", help="Learn from all that can be learned from now, whatever --last says.")
    ] = False,
    log: LogOfOption = None,
    log_access: LogAccessOption = None,
    version: VersionOption = None,
    json_: JsonOption = None,
    store: StoreOption = None,
) -> None:
    """Print the records of the event log that nothing could be learned from: offset, reason, size, and what lies there."""
    from shoploop.cli.online import print_dead_letters

    print_dead_letters(
        readable_store(store), name, log, version=version, last=last, again=replay, json_=json_, access=log_access
    )


@app.command("diff")
def online_diff(
    name: Name,
    one: Annotated[int, typer.Argument(metavar="A", min=0, help="A commit; 0 is the version as it was trained.")],
    other: Annotated[int, typer.Argument(metavar="B", min=0, help="Another one.")],
    last: Annotated[
        int, typer.Option("--items", min=1, max=100_000, help="How many items, those that moved most.")
    ] = 10,
    version: VersionOption = None,
    json_: JsonOption = None,
    store: StoreOption = None,
) -> None:
    """Say what changed between two commits: how many items, how far, and which of them most."""
    from shoploop.cli.online import print_difference

    print_difference(readable_store(store), name, one, other, version=version, last=last, json_=json_)


@app.command("learn")
def online_learn(
    name: Name,
    log: LogOfOption = None,
    log_access: LogAccessOption = None,
    period: Annotated[
        float, typer.Option(min=0.1, max=3600, help="Seconds between two commits at least.", metavar="SECONDS")
    ] = 1.0,
    skip_gaps: Annotated[
        bool, typer.Option("--skip-gaps", help="Go on where the log was trimmed behind what was learned.")
    ] = False,
    weights: Annotated[
        Path | None, typer.Option(help="How much events count, as estimate_importance wrote it.", metavar="FILE")
    ] = None,
    samples: Annotated[
        Path | None, typer.Option(help="The samples folder that the weights belong to.", metavar="FOLDER")
    ] = None,
    beside: Annotated[
        str | None,
        typer.Option(
            help="The version that serves: commit what it has read, too, to take its place.", metavar="VERSION"
        ),
    ] = None,
    version: VersionOption = None,
    store: StoreOption = None,
) -> None:
    """Learn from the event log until Ctrl-C: one such process for each version that learns."""
    from shoploop.cli.online import learn

    if (weights is None) != (samples is None):
        raise typer.BadParameter("--weights and --samples belong together: a weight is of a row of the samples.")
    learn(
        writable_store(store), name, log, version=version, period_seconds=period, skip_gaps=skip_gaps,
        weights=(weights, samples) if weights and samples else None, beside=beside, access=log_access,
    )  # fmt: skip


@app.command("follow")
def online_follow(
    name: Name,
    into: Annotated[Path, typer.Option(help="The folder that predictors follow.", metavar="FOLDER")],
    version: VersionOption = None,
    store: StoreOption = None,
) -> None:
    """Bring what is learned to the predictors of this machine until Ctrl-C."""
    from shoploop.cli.online import follow

    follow(readable_store(store), name, into, version=version)
