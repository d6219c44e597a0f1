"""``shoploop events``: what shoppers did."""

from typing import Annotated

import typer

from shoploop.cli.options import JsonOption, LogAccessOption, LogOfOption, Name, StoreOption, person, writable_store

app = typer.Typer(help="What shoppers did, as predictors have collected it.", no_args_is_help=True)


@app.command("compact")
def events_compact(
    name: Name,
    log: LogOfOption = None,
    log_access: LogAccessOption = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="The log took the place of the former one: read it from its beginning.")
    ] = False,
    store: StoreOption = None,
) -> None:
    """Turn collected events into interactions that the next run learns from, each once."""
    from shoploop.cli.events import compact_events

    compact_events(writable_store(store), name, log, anew=anew, access=log_access)


@app.command("trim")
def events_trim(
    name: Name,
    days: Annotated[
        int | None,
        typer.Option(min=1, max=3650, help="Keep the last days, 8 at least; unset: spec.retention.onlineDays."),
    ] = None,
    log: LogOfOption = None,
    log_access: LogAccessOption = None,
    store: StoreOption = None,
) -> None:
    """Forget old events that the serving version was trained on; what no version has learned from stays."""
    from shoploop.cli.events import trim_events

    trim_events(writable_store(store), name, log, days=days, access=log_access)


@app.command("delete-user")
def events_delete_user(
    name: Name,
    user: Annotated[str, typer.Option(help="Whose events; an id as in your data.")],
    log: LogOfOption = None,
    log_access: LogAccessOption = None,
    json_: JsonOption = None,
    store: StoreOption = None,
) -> None:
    """Take all that one user did, and was shown, out of the event log and of what was compacted of it, for good."""
    from shoploop.cli.events import delete_user

    delete_user(writable_store(store), name, log, user=user, by=person(), json_=json_, access=log_access)


@app.command("show")
def events_show(
    name: Name,
    last: Annotated[int, typer.Option(min=1, max=100_000, help="How many, the newest.")] = 20,
    log: LogOfOption = None,
    log_access: LogAccessOption = None,
    store: StoreOption = None,
) -> None:
    """Print the newest records of the event log, one JSON a line."""
    from shoploop.cli.events import show_events

    show_events(writable_store(store), name, log, last=last, access=log_access)
