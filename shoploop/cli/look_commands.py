"""Commands that show what is there."""

from typing import Annotated

import typer

from shoploop.cli.options import (
    File,
    JsonOption,
    Name,
    StoreOption,
    readable_store,
)
from shoploop.errors import SpecInvalid

PANEL = "Look"
app = typer.Typer()


@app.command(rich_help_panel=PANEL)
def runs(
    name: Name,
    log: Annotated[
        str | None, typer.Option(help="Print what the steps of this run have written.", metavar="RUN")
    ] = None,
    store: StoreOption = None,
) -> None:
    """List the runs of a recommender, newest first."""
    from shoploop.cli import tables

    if log is None:
        tables.print_runs(readable_store(store), name)
    else:
        tables.print_log(readable_store(store), name, log)


@app.command(rich_help_panel=PANEL)
def lineage(
    name: Name,
    version: Annotated[str | None, typer.Argument(help="A version other than the one that serves.")] = None,
    user: Annotated[str | None, typer.Option(help="Say which versions have read rows of this user.")] = None,
    json_: JsonOption = None,
    store: StoreOption = None,
) -> None:
    """Say what a version learned from, or which versions a user's rows touched."""
    from shoploop.cli import lineage as lineage_

    if user is None:
        lineage_.show(readable_store(store), name, version, json_)
    elif version is None:
        lineage_.show_user(readable_store(store), name, user, json_)
    else:
        raise SpecInvalid("Name a version or a --user, not both: a user's answer tells of every version.")


@app.command(rich_help_panel=PANEL)
def report(
    name: Name,
    run: Annotated[str | None, typer.Option(help="A run other than the last one.")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    store: StoreOption = None,
) -> None:
    """Say where the report of a run lies; --open shows it."""
    from shoploop.cli import tables

    tables.print_report(readable_store(store), name, run=run, show=open_)


@app.command(rich_help_panel=PANEL)
def explain(
    path: Annotated[str, typer.Argument(help="e.g. recommender.spec.training", metavar="PATH")] = "recommender",
) -> None:
    """Explain a field of the resource, as kubectl explain does, without a cluster."""
    from shoploop.api import explain as explain_

    typer.echo(explain_(path))
    if path.strip().strip(".").lower().endswith(".validation.expectations"):
        try:
            from shoploop.validation.step import expectation_names
        except ImportError:  # where nothing runs, nothing is expected of data
            typer.echo("NAMES: pip install 'shoploop[pipeline]' to see them.")
        else:
            typer.echo("\n".join(["NAMES:", *(f"  {name}" for name in expectation_names())]))


@app.command(rich_help_panel=PANEL)
def validate(file: File) -> None:
    """Check a recommender.yaml, and its tables' columns, without running it."""
    from shoploop.cli.validate import validate_recommender

    validate_recommender(file)
